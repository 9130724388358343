//! The Log service.

mod access;
mod dashboard;
mod facet;
mod facets;
mod field;
mod find;
mod in_game;
mod insight;
mod metric;
mod query;
mod stamp;
mod timeseries;
mod trace;

use hiroba_api::log::Namespaces;
use hiroba_store::Tx;

use super::namespaces::{self, NamespaceData};
use crate::cx::Cx;
use crate::error::Error;
use crate::logs::store;
use crate::registry::Registry;

pub(crate) fn register(registry: &mut Registry) {
    namespaces::register::<Namespaces>(registry);
    access::register(registry);
    stamp::register(registry);
    in_game::register(registry);
    insight::register(registry);
    facet::register(registry);
    dashboard::register(registry);
    find::register(registry);
    facets::register(registry);
    timeseries::register(registry);
    trace::register(registry);
    metric::register(registry);
}

/// Every statement of the service.
pub(crate) const STATEMENTS: &[&[&str]] = &[dashboard::sql::ALL, facet::sql::ALL, insight::sql::ALL];

impl NamespaceData for Namespaces {
    fn delete_data(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
        insight::delete_all(tx, cx, namespace)?;
        facet::delete_all(tx, cx, namespace)?;
        dashboard::delete_all(tx, cx, namespace)?;
        store::delete_all(tx, cx.owner(), namespace)
    }
}
