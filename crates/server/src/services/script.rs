//! The Script service.

mod invoke;
pub(crate) mod source;

use hiroba_api::script::Namespaces;
use hiroba_store::Tx;

use super::namespaces::{self, NamespaceData};
use crate::cx::Cx;
use crate::error::Error;
use crate::registry::Registry;

pub(crate) fn register(registry: &mut Registry) {
    namespaces::register::<Namespaces>(registry);
    source::register(registry);
    invoke::register(registry);
}

impl NamespaceData for Namespaces {
    fn delete_data(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
        source::delete_all(tx, cx, namespace)
    }
}
