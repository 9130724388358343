//! The Distributor service: transactions.

mod action;
mod batch;
mod context;
mod distribute;
mod expression;
mod issue;
mod master;
mod model;
mod queue;
mod record;
mod result;
mod setting;
mod sheet;
mod signature;
mod together;
mod user_data;

use aws_lc_rs::hmac;
use hiroba_api::contract::Table;
use hiroba_api::distributor::Namespaces;
use hiroba_store::Tx;

pub(crate) use context::Context;
pub(crate) use issue::{Issued, after_job, has_sheet, issue, once, recorded};
pub(crate) use queue::{NAMESPACE as QUEUE, run as run_queued};
pub(crate) use result::sweep;
pub(crate) use setting::Mode;
pub(crate) use sheet::{by_sheet, by_task};

use super::namespaces::{self, NamespaceData};
use crate::cx::Cx;
use crate::error::Error;
use crate::registry::Registry;
use crate::vault::SealingKey;

pub(crate) fn register(registry: &mut Registry) {
    namespaces::register::<Namespaces>(registry);
    model::register(registry);
    master::register(registry);
    distribute::register(registry);
    sheet::register(registry);
    context::register(registry);
    batch::register(registry);
    expression::register(registry);
    result::register(registry);
    user_data::register(registry);
}

/// Every statement of the service.
pub(crate) const STATEMENTS: &[&[&str]] = &[model::sql::ALL, result::sql::ALL];

impl NamespaceData for Namespaces {
    fn delete_data(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
        model::delete_all(tx, cx, namespace)?;
        master::delete_all(tx, cx, namespace)?;
        result::delete_all(tx, cx, namespace)
    }
}

/// What runs transactions.
#[derive(Debug)]
pub(crate) struct Distributor {
    actions: action::Actions,
    /// Signs what no key of the Key service signs.
    key: hmac::Key,
    /// Seals results.
    sealing: SealingKey,
}

impl Distributor {
    /// Its keys belong to the key that signs tokens, which all nodes share.
    pub(crate) fn new(table: &Table, signing_key: &[u8]) -> Distributor {
        let signing = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, signing_key), b"hiroba transactions");
        Distributor {
            actions: action::Actions::new(table),
            key: hmac::Key::new(hmac::HMAC_SHA256, signing.as_ref()),
            sealing: SealingKey::derived(signing_key, b"hiroba transaction results"),
        }
    }
}
