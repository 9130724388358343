//! The Key service (BEHAVIOUR section 11).

pub(crate) mod github;
pub(crate) mod secret;
pub(crate) mod signing;

use hiroba_api::key::Namespaces;
use hiroba_store::Tx;

pub(crate) use secret::reseal;

use super::namespaces::{self, NamespaceData};
use crate::cx::Cx;
use crate::error::Error;
use crate::registry::Registry;

pub(crate) fn register(registry: &mut Registry) {
    namespaces::register::<Namespaces>(registry);
    secret::register(registry);
    github::register(registry);
}

impl NamespaceData for Namespaces {
    fn delete_data(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
        github::delete_all(tx, cx, namespace)?;
        secret::delete_all(tx, cx, namespace)
    }
}
