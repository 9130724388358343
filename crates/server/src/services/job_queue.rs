//! The JobQueue service.

pub(crate) mod attempt;
pub(crate) mod dead_letter;
pub(crate) mod job;
mod name;
pub(crate) mod result;
mod run;
pub(crate) mod user_data;

use std::sync::Arc;

use hiroba_api::job_queue::{Namespace, Namespaces};
use hiroba_store::Tx;

use super::namespaces::{self, NamespaceData};
use crate::cx::Cx;
use crate::error::Error;
use crate::jobs;
use crate::registry::Registry;

pub(crate) fn register(registry: &mut Registry) {
    namespaces::register::<Namespaces>(registry);
    job::register(registry);
    run::register(registry);
    result::register(registry);
    dead_letter::register(registry);
    crate::services::user_data::register::<Namespaces>(registry);
}

impl NamespaceData for Namespaces {
    fn delete_data(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
        job::delete_all(tx, cx, namespace)?;
        dead_letter::delete_all(tx, cx, namespace)
    }

    /// Jobs that waited for somebody to call `run` are run by the server from now on.
    fn updated(tx: &mut Tx<'_>, cx: &Cx, namespace: &Namespace) {
        if namespace.enable_auto_run {
            let (core, owner, name) =
                (Arc::clone(&cx.core), cx.owner().to_owned(), namespace.name.to_string());
            tx.on_commit(move || jobs::find_in_background(&core, owner, name));
        }
    }
}
