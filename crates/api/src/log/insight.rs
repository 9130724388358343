//! Insights: `/log/{namespaceName}/insight…`.

use super::SERVICE;
use crate::contract::{Item, Page, UnixMillis};
use crate::names::{NamespaceName, PageLimit, PageToken, text_type};
use crate::{Model, Operation};

text_type! {
    /// Name of an insight: the UUID that the server gives it, at most 36 characters.
    InsightName, 1..=36, |_| Ok(())
}

/// A place to analyse logs at: this server itself, whose queries need no place of their own.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Insight {
    /// GRN of the insight.
    pub insight_id: String,
    /// Name: a UUID that the server gives.
    pub name: InsightName,
    /// Id of what prepared it: a UUID that means nothing here.
    #[field(0..=128)]
    pub task_id: Option<String>,
    /// URL of this server.
    #[field(0..=256)]
    pub host: Option<String>,
    /// Never there: the queries take the caller's project token.
    #[field(0..=32)]
    pub password: Option<String>,
    /// `ACTIVE`: there is nothing to wait for.
    #[field(0..=128)]
    pub status: String,
    /// When it was created.
    pub created_at: UnixMillis,
    /// Grows with each change, from 1.
    pub revision: i64,
}

/// Lists the insights by name, ascending.
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/insight", name = "describeInsights", component = "insight",
    answer = Page<Insight>)]
pub struct DescribeInsights {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Creates an insight, which is active at once.
///
/// Fails with 404 `namespace`, with 400 `tooMany` when the namespace has 1,000.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/insight", name = "createInsight", component = "insight",
    answer = Item<Insight>)]
pub struct CreateInsight {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
}

/// Gets an insight.
///
/// Fails with 404 `insight`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/insight/{insightName}", name = "getInsight", component = "insight",
    answer = Item<Insight>)]
pub struct GetInsight {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the insight.
    pub insight_name: InsightName,
}

/// Deletes an insight, and answers it.
///
/// Fails with 404 `insight`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(DELETE "/{namespaceName}/insight/{insightName}", name = "deleteInsight", component = "insight",
    answer = Item<Insight>)]
pub struct DeleteInsight {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the insight.
    pub insight_name: InsightName,
}
