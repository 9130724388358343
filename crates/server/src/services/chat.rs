//! The Chat service.

mod access;
mod category;
mod delivery;
mod hooks;
mod master;
mod message;
mod name;
mod room;
mod subscribe;
mod sweep;
mod user_data;

use hiroba_api::chat::{Namespaces, NotificationType};
use hiroba_store::Tx;
use serde_json::Value;

pub(crate) use delivery::ChatMetrics;
pub(crate) use room::reseal;
pub(crate) use sweep::sweep;

use super::namespaces::{self, NamespaceData};
use crate::cx::Cx;
use crate::error::Error;
use crate::registry::Registry;

pub(crate) fn register(registry: &mut Registry) {
    namespaces::register::<Namespaces>(registry);
    room::register(registry);
    message::register(registry);
    subscribe::register(registry);
    category::register(registry);
    master::register(registry);
    crate::services::user_data::register::<Namespaces>(registry);
}

/// Every statement of the service.
pub(crate) const STATEMENTS: &[&[&str]] = &[
    access::sql::ALL,
    category::sql::ALL,
    delivery::sql::ALL,
    message::sql::ALL,
    room::sql::ALL,
    subscribe::sql::ALL,
    sweep::sql::ALL,
    user_data::sql::ALL,
];

impl NamespaceData for Namespaces {
    fn delete_data(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
        room::delete_all(tx, cx, namespace)?;
        category::delete_all(tx, cx, namespace)?;
        master::delete_all(tx, cx, namespace)
    }
}

/// What the service remembers.
#[derive(Debug)]
pub(crate) struct Chat {
    rooms: access::Rooms,
    deliveries: delivery::Deliveries,
    metrics: ChatMetrics,
}

impl Chat {
    /// Nothing is remembered yet.
    pub(crate) fn new(runtime: tokio::runtime::Handle, metrics: ChatMetrics) -> Chat {
        Chat {
            rooms: access::Rooms::default(),
            deliveries: delivery::Deliveries::new(runtime, metrics.clone()),
            metrics,
        }
    }
}

/// The categories of a subscription's row.
fn notification_types(text: &str) -> Vec<NotificationType> {
    let entries: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
    let entry = |entry: &Value| NotificationType {
        category: entry["category"]
            .as_i64()
            .and_then(|category| i32::try_from(category).ok())
            .unwrap_or_default(),
        enable_transfer_mobile_push_notification: entry["enableTransferMobilePushNotification"] == true,
    };
    entries.iter().map(entry).collect()
}
