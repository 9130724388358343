//! Facet models: the fields that queries count the values of, beside those that they always do.

use hiroba_api::contract::{Item, Page};
use hiroba_api::error::ApiError;
use hiroba_api::log::{
    CreateFacetModel, DeleteFacetModel, DescribeFacetModels, FacetField, FacetModel, FacetType,
    GetFacetModel, Namespaces, SERVICE, UpdateFacetModel,
};
use hiroba_store::{Row, StoreError, Tx, params};

use super::field::{Field, NAMES};
use crate::cx::Cx;
use crate::error::Error;
use crate::registry::Registry;
use crate::services::{namespaces, page};

const COMPONENT: &str = "facetModel";
/// Facet models of a namespace.
pub(super) const COUNT_MAX: i64 = 100;
/// What a field holds when nothing else is said.
const DEFAULT_TYPE: &str = "string";

pub(crate) mod sql {
    hiroba_store::statements! {
        /// A page of facet models whose fields begin with a prefix: at least `$4`, below `$5`.
        SELECT_FACETS = "SELECT field, type, display_name, place FROM log_facet_model
            WHERE owner_id = $1 AND namespace_name = $2 AND field > $3 AND field >= $4 AND field < $5
            ORDER BY field LIMIT $6";
        /// One facet model.
        SELECT_FACET = "SELECT field, type, display_name, place FROM log_facet_model
            WHERE owner_id = $1 AND namespace_name = $2 AND field = $3";
        /// How many facet models a namespace has.
        COUNT_FACETS = "SELECT COUNT(*) FROM log_facet_model WHERE owner_id = $1 AND namespace_name = $2";
        /// Adds a facet model unless there is one of its field.
        INSERT_FACET = "INSERT INTO log_facet_model (owner_id, namespace_name, field, type, display_name, place)
            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (owner_id, namespace_name, field) DO NOTHING";
        /// Replaces a facet model.
        UPDATE_FACET = "UPDATE log_facet_model SET type = $4, display_name = $5, place = $6
            WHERE owner_id = $1 AND namespace_name = $2 AND field = $3 RETURNING field, type, display_name, place";
        /// Removes a facet model.
        DELETE_FACET = "DELETE FROM log_facet_model WHERE owner_id = $1 AND namespace_name = $2 AND field = $3
            RETURNING field, type, display_name, place";
        /// Removes all facet models of a namespace.
        DELETE_ALL_FACETS = "DELETE FROM log_facet_model WHERE owner_id = $1 AND namespace_name = $2";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(describe_facet_models);
    registry.write(create_facet_model);
    registry.read(get_facet_model);
    registry.write(update_facet_model);
    registry.write(delete_facet_model);
}

/// A facet model as its row holds it.
pub(super) struct Stored {
    pub(super) field: String,
    pub(super) kind: String,
    display_name: Option<String>,
    place: i64,
}

impl Stored {
    fn read(row: &Row<'_>) -> Result<Stored, StoreError> {
        Ok(Stored {
            field: row.text(0)?,
            kind: row.text(1)?,
            display_name: row.opt_text(2)?,
            place: row.int(3)?,
        })
    }

    /// Whether the field holds numbers.
    pub(super) fn is_numeric(&self) -> bool {
        self.kind != DEFAULT_TYPE
    }

    fn model(self, cx: &Cx, namespace: &str) -> FacetModel {
        FacetModel {
            facet_model_id: cx.grn(&SERVICE, &format!("{namespace}:model:facet:{}", self.field)),
            field: FacetField::trusted(self.field),
            r#type: FacetType::trusted(self.kind),
            display_name: self.display_name,
            order: i32::try_from(self.place).unwrap_or_default(),
        }
    }
}

/// All facet models of a namespace, in the order of answers.
pub(super) fn all(tx: &mut Tx<'_>, owner: &str, namespace: &str) -> Result<Vec<Stored>, Error> {
    let params = params![owner, namespace, "", "", "\u{10ffff}", COUNT_MAX];
    let mut facets = tx.query(sql::SELECT_FACETS, params, Stored::read)?;
    facets.sort_by_key(|facet| facet.place);
    Ok(facets)
}

fn describe_facet_models(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DescribeFacetModels,
) -> Result<Page<FacetModel>, Error> {
    let namespace = request.namespace_name.as_str();
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let prefix = request.name_prefix.as_deref().unwrap_or_default();
    let below = format!("{prefix}\u{10ffff}");
    let after = page::after(request.page_token.as_ref());
    let params = params![cx.owner(), namespace, after, prefix, &below, page::rows(request.limit)];
    let stored = tx.query(sql::SELECT_FACETS, params, Stored::read)?;
    let Page { items, next_page_token } = page::page(stored, request.limit, |stored| &stored.field);
    let items = items.into_iter().map(|stored| stored.model(cx, namespace)).collect();
    Ok(Page { items, next_page_token })
}

fn create_facet_model(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &CreateFacetModel,
) -> Result<Item<FacetModel>, Error> {
    let (namespace, field) = (request.namespace_name.as_str(), request.field.as_str());
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let refuse = |member, problem, detail: String| {
        Err(ApiError::bad_request(SERVICE.name, COMPONENT, member, problem, detail).into())
    };
    if Field::parse(field).is_none() {
        let detail = format!("entries have no field `{field}`: name {NAMES}");
        return refuse("field", "invalid", detail);
    }
    let count = tx.query_opt(sql::COUNT_FACETS, params![cx.owner(), namespace], |row| row.int(0))?;
    if count.unwrap_or_default() >= COUNT_MAX {
        let detail = format!("a namespace has at most {COUNT_MAX} facet models; delete one first");
        return refuse(COMPONENT, "tooMany", detail);
    }
    let stored = Stored {
        field: field.to_owned(),
        kind: kind(request.r#type.as_ref()).to_owned(),
        display_name: request.display_name.clone(),
        place: request.order.into(),
    };
    let display_name = stored.display_name.as_ref();
    let params = params![cx.owner(), namespace, field, &stored.kind, display_name, stored.place];
    if tx.execute(sql::INSERT_FACET, params)? == 0 {
        return Err(ApiError::exists(SERVICE.name, COMPONENT, field).into());
    }
    Ok(Item { item: stored.model(cx, namespace) })
}

fn kind(given: Option<&FacetType>) -> &str {
    given.map_or(DEFAULT_TYPE, FacetType::as_str)
}

/// What was found, or 404: `facetModel`, or `namespace` when even that is missing (BEHAVIOUR E-08).
fn found(
    tx: &mut Tx<'_>,
    cx: &Cx,
    (namespace, field): (&str, &str),
    row: Option<Stored>,
) -> Result<Item<FacetModel>, Error> {
    let stored = namespaces::found_in::<Namespaces, _>(tx, cx, namespace, row, (COMPONENT, field))?;
    Ok(Item { item: stored.model(cx, namespace) })
}

fn get_facet_model(tx: &mut Tx<'_>, cx: &Cx, request: &GetFacetModel) -> Result<Item<FacetModel>, Error> {
    let (namespace, field) = (request.namespace_name.as_str(), request.field.as_str());
    let row = tx.query_opt(sql::SELECT_FACET, params![cx.owner(), namespace, field], Stored::read)?;
    found(tx, cx, (namespace, field), row)
}

fn update_facet_model(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &UpdateFacetModel,
) -> Result<Item<FacetModel>, Error> {
    let (namespace, field) = (request.namespace_name.as_str(), request.field.as_str());
    let (kind, display_name) = (kind(request.r#type.as_ref()), request.display_name.as_ref());
    let params = params![cx.owner(), namespace, field, kind, display_name, request.order];
    let row = tx.query_opt(sql::UPDATE_FACET, params, Stored::read)?;
    found(tx, cx, (namespace, field), row)
}

fn delete_facet_model(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DeleteFacetModel,
) -> Result<Item<FacetModel>, Error> {
    let (namespace, field) = (request.namespace_name.as_str(), request.field.as_str());
    let row = tx.query_opt(sql::DELETE_FACET, params![cx.owner(), namespace, field], Stored::read)?;
    found(tx, cx, (namespace, field), row)
}

/// Removes all facet models of a namespace.
pub(super) fn delete_all(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
    tx.execute(sql::DELETE_ALL_FACETS, params![cx.owner(), namespace])?;
    Ok(())
}
