//! Insights: records that point at this server, whose queries need no place of their own.

use hiroba_api::contract::{Item, Page, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::log::{
    CreateInsight, DeleteInsight, DescribeInsights, GetInsight, Insight, InsightName, Namespaces, SERVICE,
};
use hiroba_store::{Row, StoreError, Tx, params};

use crate::cx::Cx;
use crate::entropy::uuid;
use crate::error::Error;
use crate::registry::Registry;
use crate::services::{namespaces, page};

const COMPONENT: &str = "insight";
/// Insights of a namespace.
const COUNT_MAX: i64 = 1000;
/// Characters of a host in the protocol.
const HOST_CHARS_MAX: usize = 256;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// A page of insights.
        SELECT_INSIGHTS = "SELECT name, task_id, created_at FROM log_insight
            WHERE owner_id = $1 AND namespace_name = $2 AND name > $3 ORDER BY name LIMIT $4";
        /// One insight.
        SELECT_INSIGHT = "SELECT name, task_id, created_at FROM log_insight
            WHERE owner_id = $1 AND namespace_name = $2 AND name = $3";
        /// How many insights a namespace has.
        COUNT_INSIGHTS = "SELECT COUNT(*) FROM log_insight WHERE owner_id = $1 AND namespace_name = $2";
        /// Adds an insight.
        INSERT_INSIGHT = "INSERT INTO log_insight (owner_id, namespace_name, name, task_id, created_at)
            VALUES ($1, $2, $3, $4, $5)";
        /// Removes an insight.
        DELETE_INSIGHT = "DELETE FROM log_insight WHERE owner_id = $1 AND namespace_name = $2 AND name = $3
            RETURNING name, task_id, created_at";
        /// Removes all insights of a namespace.
        DELETE_ALL_INSIGHTS = "DELETE FROM log_insight WHERE owner_id = $1 AND namespace_name = $2";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(describe_insights);
    registry.write(create_insight);
    registry.read(get_insight);
    registry.write(delete_insight);
}

struct Stored {
    name: String,
    task_id: String,
    created_at: i64,
}

impl Stored {
    fn read(row: &Row<'_>) -> Result<Stored, StoreError> {
        Ok(Stored { name: row.text(0)?, task_id: row.text(1)?, created_at: row.int(2)? })
    }

    fn model(self, cx: &Cx, namespace: &str) -> Insight {
        let host = cx.url("");
        Insight {
            insight_id: cx.grn(&SERVICE, &format!("{namespace}:insight:{}", self.name)),
            name: InsightName::trusted(self.name),
            task_id: Some(self.task_id),
            host: Some(host).filter(|host| !host.is_empty() && host.chars().count() <= HOST_CHARS_MAX),
            password: None,
            status: "ACTIVE".to_owned(),
            created_at: UnixMillis(self.created_at),
            revision: 1,
        }
    }
}

fn describe_insights(tx: &mut Tx<'_>, cx: &Cx, request: &DescribeInsights) -> Result<Page<Insight>, Error> {
    let namespace = request.namespace_name.as_str();
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let after = page::after(request.page_token.as_ref());
    let params = params![cx.owner(), namespace, after, page::rows(request.limit)];
    let stored = tx.query(sql::SELECT_INSIGHTS, params, Stored::read)?;
    let Page { items, next_page_token } = page::page(stored, request.limit, |stored| &stored.name);
    let items = items.into_iter().map(|stored| stored.model(cx, namespace)).collect();
    Ok(Page { items, next_page_token })
}

fn create_insight(tx: &mut Tx<'_>, cx: &Cx, request: &CreateInsight) -> Result<Item<Insight>, Error> {
    let namespace = request.namespace_name.as_str();
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let count = tx.query_opt(sql::COUNT_INSIGHTS, params![cx.owner(), namespace], |row| row.int(0))?;
    if count.unwrap_or_default() >= COUNT_MAX {
        let detail = format!("a namespace has at most {COUNT_MAX} insights; delete one first");
        return Err(ApiError::bad_request(SERVICE.name, COMPONENT, COMPONENT, "tooMany", detail).into());
    }
    let (name, task_id) = (uuid(cx.entropy.bytes()), uuid(cx.entropy.bytes()));
    let stored = Stored { name, task_id, created_at: cx.now.0 };
    let params = params![cx.owner(), namespace, &stored.name, &stored.task_id, stored.created_at];
    tx.execute(sql::INSERT_INSIGHT, params)?;
    Ok(Item { item: stored.model(cx, namespace) })
}

/// What was found, or 404: `insight`, or `namespace` when even that is missing (BEHAVIOUR E-08).
fn found(
    tx: &mut Tx<'_>,
    cx: &Cx,
    (namespace, name): (&str, &str),
    row: Option<Stored>,
) -> Result<Item<Insight>, Error> {
    let stored = namespaces::found_in::<Namespaces, _>(tx, cx, namespace, row, (COMPONENT, name))?;
    Ok(Item { item: stored.model(cx, namespace) })
}

fn get_insight(tx: &mut Tx<'_>, cx: &Cx, request: &GetInsight) -> Result<Item<Insight>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.insight_name.as_str());
    let row = tx.query_opt(sql::SELECT_INSIGHT, params![cx.owner(), namespace, name], Stored::read)?;
    found(tx, cx, (namespace, name), row)
}

fn delete_insight(tx: &mut Tx<'_>, cx: &Cx, request: &DeleteInsight) -> Result<Item<Insight>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.insight_name.as_str());
    let row = tx.query_opt(sql::DELETE_INSIGHT, params![cx.owner(), namespace, name], Stored::read)?;
    found(tx, cx, (namespace, name), row)
}

/// Removes all insights of a namespace.
pub(super) fn delete_all(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
    tx.execute(sql::DELETE_ALL_INSIGHTS, params![cx.owner(), namespace])?;
    Ok(())
}
