//! Dashboards, which are only kept.

use hiroba_api::contract::{Item, Page, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::log::{
    CreateDashboard, Dashboard, DashboardName, DeleteDashboard, DescribeDashboards, DuplicateDashboard,
    GetDashboard, Namespaces, SERVICE, UpdateDashboard,
};
use hiroba_api::names::Description;
use hiroba_store::{Row, StoreError, Tx, params};

use crate::cx::Cx;
use crate::entropy::uuid;
use crate::error::Error;
use crate::registry::Registry;
use crate::services::{namespaces, page};

const COMPONENT: &str = "dashboard";
/// Dashboards of a namespace.
const COUNT_MAX: i64 = 1000;
/// Dashboards that are read at once; each may have a megabyte.
const READ_MAX: i64 = 16;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// Dashboards whose names begin with a prefix: at least `$4`, below `$5`.
        SELECT_DASHBOARDS = "SELECT name, display_name, description, payload, created_at, updated_at FROM log_dashboard
            WHERE owner_id = $1 AND namespace_name = $2 AND name > $3 AND name >= $4 AND name < $5
            ORDER BY name LIMIT $6";
        /// One dashboard.
        SELECT_DASHBOARD = "SELECT name, display_name, description, payload, created_at, updated_at FROM log_dashboard
            WHERE owner_id = $1 AND namespace_name = $2 AND name = $3";
        /// How many dashboards a namespace has.
        COUNT_DASHBOARDS = "SELECT COUNT(*) FROM log_dashboard WHERE owner_id = $1 AND namespace_name = $2";
        /// Adds a dashboard.
        INSERT_DASHBOARD = "INSERT INTO log_dashboard
                (owner_id, namespace_name, name, display_name, description, payload, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $7)";
        /// Replaces a dashboard.
        UPDATE_DASHBOARD = "UPDATE log_dashboard
            SET display_name = $4, description = $5, payload = $6, updated_at = $7
            WHERE owner_id = $1 AND namespace_name = $2 AND name = $3
            RETURNING name, display_name, description, payload, created_at, updated_at";
        /// Removes a dashboard.
        DELETE_DASHBOARD = "DELETE FROM log_dashboard WHERE owner_id = $1 AND namespace_name = $2 AND name = $3
            RETURNING name, display_name, description, payload, created_at, updated_at";
        /// Removes all dashboards of a namespace.
        DELETE_ALL_DASHBOARDS = "DELETE FROM log_dashboard WHERE owner_id = $1 AND namespace_name = $2";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(describe_dashboards);
    registry.write(create_dashboard);
    registry.read(get_dashboard);
    registry.write(update_dashboard);
    registry.write(duplicate_dashboard);
    registry.write(delete_dashboard);
}

struct Stored {
    name: String,
    display_name: Option<String>,
    description: Option<String>,
    payload: Option<String>,
    created_at: i64,
    updated_at: i64,
}

impl Stored {
    fn read(row: &Row<'_>) -> Result<Stored, StoreError> {
        Ok(Stored {
            name: row.text(0)?,
            display_name: row.opt_text(1)?,
            description: row.opt_text(2)?,
            payload: row.opt_text(3)?,
            created_at: row.int(4)?,
            updated_at: row.int(5)?,
        })
    }

    fn model(self, cx: &Cx, namespace: &str) -> Dashboard {
        Dashboard {
            dashboard_id: cx.grn(&SERVICE, &format!("{namespace}:dashboard:{}", self.name)),
            name: DashboardName::trusted(self.name),
            display_name: self.display_name,
            description: self.description.map(Description::trusted),
            payload: self.payload,
            created_at: UnixMillis(self.created_at),
            updated_at: UnixMillis(self.updated_at),
        }
    }
}

fn describe_dashboards(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DescribeDashboards,
) -> Result<Page<Dashboard>, Error> {
    let namespace = request.namespace_name.as_str();
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let prefix = request.name_prefix.as_deref().unwrap_or_default();
    let below = format!("{prefix}\u{10ffff}");
    let select = |after: &String, count| {
        let params = params![cx.owner(), namespace, after, prefix, &below, count];
        Ok(tx.query(sql::SELECT_DASHBOARDS, params, Stored::read)?)
    };
    let after = page::after(request.page_token.as_ref()).to_owned();
    let bytes = |stored: &Stored| stored.payload.as_ref().map_or(0, String::len);
    let key = |stored: &Stored| stored.name.clone();
    let Page { items, next_page_token } = page::bounded(request.limit, after, READ_MAX, select, key, bytes)?;
    let items = items.into_iter().map(|stored| stored.model(cx, namespace)).collect();
    Ok(Page { items, next_page_token })
}

/// Adds a dashboard under a new name.
fn add(
    tx: &mut Tx<'_>,
    cx: &Cx,
    namespace: &str,
    (display_name, description, payload): (Option<String>, Option<String>, Option<String>),
) -> Result<Item<Dashboard>, Error> {
    let count = tx.query_opt(sql::COUNT_DASHBOARDS, params![cx.owner(), namespace], |row| row.int(0))?;
    if count.unwrap_or_default() >= COUNT_MAX {
        let detail = format!("a namespace has at most {COUNT_MAX} dashboards; delete one first");
        return Err(ApiError::bad_request(SERVICE.name, COMPONENT, COMPONENT, "tooMany", detail).into());
    }
    let (now, name) = (cx.now.0, uuid(cx.entropy.bytes()));
    let stored = Stored { name, display_name, description, payload, created_at: now, updated_at: now };
    let Stored { name, display_name, description, payload, .. } = &stored;
    let (display_name, description) = (display_name.as_ref(), description.as_ref());
    let params = params![cx.owner(), namespace, name, display_name, description, payload.as_ref(), now];
    tx.execute(sql::INSERT_DASHBOARD, params)?;
    Ok(Item { item: stored.model(cx, namespace) })
}

fn create_dashboard(tx: &mut Tx<'_>, cx: &Cx, request: &CreateDashboard) -> Result<Item<Dashboard>, Error> {
    let namespace = request.namespace_name.as_str();
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let description = request.description.as_deref().map(str::to_owned);
    add(tx, cx, namespace, (request.display_name.clone(), description, None))
}

/// What was found, or 404: `dashboard`, or `namespace` when even that is missing (BEHAVIOUR E-08).
fn found(
    tx: &mut Tx<'_>,
    cx: &Cx,
    (namespace, name): (&str, &str),
    row: Option<Stored>,
) -> Result<Stored, Error> {
    namespaces::found_in::<Namespaces, _>(tx, cx, namespace, row, (COMPONENT, name))
}

fn get_dashboard(tx: &mut Tx<'_>, cx: &Cx, request: &GetDashboard) -> Result<Item<Dashboard>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.dashboard_name.as_str());
    let row = tx.query_opt(sql::SELECT_DASHBOARD, params![cx.owner(), namespace, name], Stored::read)?;
    Ok(Item { item: found(tx, cx, (namespace, name), row)?.model(cx, namespace) })
}

fn update_dashboard(tx: &mut Tx<'_>, cx: &Cx, request: &UpdateDashboard) -> Result<Item<Dashboard>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.dashboard_name.as_str());
    let (display_name, description) = (request.display_name.as_ref(), request.description.as_deref());
    let payload = request.payload.as_ref();
    let params = params![cx.owner(), namespace, name, display_name, description, payload, cx.now.0];
    let row = tx.query_opt(sql::UPDATE_DASHBOARD, params, Stored::read)?;
    Ok(Item { item: found(tx, cx, (namespace, name), row)?.model(cx, namespace) })
}

fn duplicate_dashboard(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DuplicateDashboard,
) -> Result<Item<Dashboard>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.dashboard_name.as_str());
    let row = tx.query_opt(sql::SELECT_DASHBOARD, params![cx.owner(), namespace, name], Stored::read)?;
    let Stored { display_name, description, payload, .. } = found(tx, cx, (namespace, name), row)?;
    add(tx, cx, namespace, (display_name, description, payload))
}

fn delete_dashboard(tx: &mut Tx<'_>, cx: &Cx, request: &DeleteDashboard) -> Result<Item<Dashboard>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.dashboard_name.as_str());
    let row = tx.query_opt(sql::DELETE_DASHBOARD, params![cx.owner(), namespace, name], Stored::read)?;
    Ok(Item { item: found(tx, cx, (namespace, name), row)?.model(cx, namespace) })
}

/// Removes all dashboards of a namespace.
pub(super) fn delete_all(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
    tx.execute(sql::DELETE_ALL_DASHBOARDS, params![cx.owner(), namespace])?;
    Ok(())
}
