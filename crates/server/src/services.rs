//! The services. A folder or file per service, a file per resource; none names a transport or an engine.

pub(crate) mod auth;
pub(crate) mod chat;
pub(crate) mod distributor;
pub(crate) mod gateway;
pub(crate) mod identifier;
pub(crate) mod job_queue;
pub(crate) mod key;
pub(crate) mod lock;
pub(crate) mod log;
pub(crate) mod masters;
pub(crate) mod namespaces;
mod page;
pub(crate) mod script;
pub(crate) mod triggers;
pub(crate) mod uploads;
pub(crate) mod user_data;

use crate::registry::Registry;

/// Version that `getServiceVersion` answers (BEHAVIOUR N-16): the date from which the protocol is served as it is.
pub(crate) const SERVICE_VERSION: &str = "2026-11-22";

/// Registers the handlers of every service.
pub(crate) fn register(registry: &mut Registry) {
    identifier::register(registry);
    auth::register(registry);
    chat::register(registry);
    gateway::register(registry);
    job_queue::register(registry);
    script::register(registry);
    distributor::register(registry);
    key::register(registry);
    lock::register(registry);
    log::register(registry);
}

/// Every statement of every service, for the test that prepares them on both engines.
pub(crate) const STATEMENTS: &[&[&str]] = &[
    namespaces::sql::ALL,
    masters::sql::ALL,
    uploads::sql::ALL,
    auth::sql::ALL,
    gateway::firebase::sql::ALL,
    gateway::node::sql::ALL,
    gateway::session::sql::ALL,
    gateway::user_data::sql::ALL,
    identifier::attachment::sql::ALL,
    identifier::credential::sql::ALL,
    identifier::login::sql::ALL,
    identifier::password::sql::ALL,
    identifier::security_policy::sql::ALL,
    identifier::user::sql::ALL,
    job_queue::attempt::sql::ALL,
    job_queue::dead_letter::sql::ALL,
    job_queue::job::sql::ALL,
    job_queue::result::sql::ALL,
    key::github::sql::ALL,
    key::secret::sql::ALL,
    job_queue::user_data::sql::ALL,
    lock::mutex::sql::ALL,
    script::source::sql::ALL,
];
