//! The Gateway service.

mod channel;
mod fcm;
pub(crate) mod firebase;
mod mobile;
pub(crate) mod node;
mod notify;
pub(crate) mod session;
pub(crate) mod user_data;

use hiroba_api::gateway::Namespaces;
use hiroba_store::Tx;

pub(crate) use channel::{Channel, Prepared};
pub(crate) use mobile::{Mobile, MobileMetrics};
pub(crate) use notify::{Notice, Warned, notify, notify_now, remember};

use super::namespaces::{self, NamespaceData};
use crate::cx::Cx;
use crate::error::Error;
use crate::pipeline::Core;
use crate::registry::Registry;

pub(crate) fn register(registry: &mut Registry) {
    namespaces::register::<Namespaces>(registry);
    session::register(registry);
    notify::register(registry);
    firebase::register(registry);
    crate::services::user_data::register::<Namespaces>(registry);
}

/// Seals the service accounts under the current master key.
pub(crate) async fn reseal(core: &Core) -> Result<u64, Error> {
    namespaces::reseal::<Namespaces>(core).await
}

impl NamespaceData for Namespaces {
    const SECRETS: &'static [&'static str] = &["firebaseSecret"];

    fn delete_data(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
        session::delete_all(tx, cx, namespace)?;
        firebase::delete_all(tx, cx, namespace)
    }
}
