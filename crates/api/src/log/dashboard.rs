//! Dashboards, which the server only keeps: `/log/{namespaceName}/dashboard…`.

use super::SERVICE;
use crate::contract::{Item, Page, UnixMillis};
use crate::names::{Description, NamePrefix, NamespaceName, PageLimit, PageToken, text_type};
use crate::{Model, Operation};

text_type! {
    /// Name of a dashboard: the UUID that the server gives it, at most 36 characters.
    DashboardName, 1..=36, |_| Ok(())
}

/// A dashboard.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Dashboard {
    /// GRN of the dashboard.
    pub dashboard_id: String,
    /// Name: a UUID that the server gives.
    pub name: DashboardName,
    /// Name for people.
    #[field(0..=256)]
    pub display_name: Option<String>,
    /// Description.
    pub description: Option<Description>,
    /// What it shows, in the words of whoever shows it.
    #[field(0..=1048576)]
    pub payload: Option<String>,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it was last changed.
    pub updated_at: UnixMillis,
}

/// Lists the dashboards by name, ascending.
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/dashboard", name = "describeDashboards", component = "dashboard",
    answer = Page<Dashboard>)]
pub struct DescribeDashboards {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Only names that begin so.
    pub name_prefix: Option<NamePrefix>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Creates an empty dashboard under a name of its own.
///
/// Fails with 404 `namespace`, with 400 `tooMany` when the namespace has 1,000.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/dashboard", name = "createDashboard", component = "dashboard",
    answer = Item<Dashboard>)]
pub struct CreateDashboard {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name for people.
    #[field(0..=256)]
    pub display_name: Option<String>,
    /// Description.
    pub description: Option<Description>,
}

/// Gets a dashboard.
///
/// Fails with 404 `dashboard`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/dashboard/{dashboardName}", name = "getDashboard", component = "dashboard",
    answer = Item<Dashboard>)]
pub struct GetDashboard {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the dashboard.
    pub dashboard_name: DashboardName,
}

/// Replaces a dashboard; what is left out is empty from then on (BEHAVIOUR N-13).
///
/// Fails with 404 `dashboard`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(PUT "/{namespaceName}/dashboard/{dashboardName}", name = "updateDashboard", component = "dashboard",
    answer = Item<Dashboard>)]
pub struct UpdateDashboard {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the dashboard.
    pub dashboard_name: DashboardName,
    /// Name for people.
    #[field(0..=256)]
    pub display_name: Option<String>,
    /// Description.
    pub description: Option<Description>,
    /// What it shows, at most 1,048,576 characters.
    #[field(0..=1048576)]
    pub payload: Option<String>,
}

/// Creates a copy of a dashboard under a name of its own, and answers the copy.
///
/// Fails with 404 `dashboard`, with 404 `namespace`, with 400 `tooMany` when the namespace has 1,000.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/dashboard/{dashboardName}/copy", name = "duplicateDashboard",
    component = "dashboard", answer = Item<Dashboard>)]
pub struct DuplicateDashboard {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the dashboard.
    pub dashboard_name: DashboardName,
}

/// Deletes a dashboard, and answers it.
///
/// Fails with 404 `dashboard`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(DELETE "/{namespaceName}/dashboard/{dashboardName}", name = "deleteDashboard", component = "dashboard",
    answer = Item<Dashboard>)]
pub struct DeleteDashboard {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the dashboard.
    pub dashboard_name: DashboardName,
}
