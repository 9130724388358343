//! The Lock service.

pub(crate) mod mutex;

use hiroba_api::lock::Namespaces;
use hiroba_store::Tx;

use super::namespaces::{self, NamespaceData};
use crate::cx::Cx;
use crate::error::Error;
use crate::registry::Registry;

pub(crate) fn register(registry: &mut Registry) {
    namespaces::register::<Namespaces>(registry);
    mutex::register(registry);
}

impl NamespaceData for Namespaces {
    fn delete_data(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
        mutex::delete_all(tx, cx, namespace)
    }
}
