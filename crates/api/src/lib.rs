//! The protocol that Hiroba serves, as declarations: operations, models, names, limits and errors.
//!
//! One struct per operation ([`Operation`](contract::Operation)) is the only place where an operation is described;
//! routes, validation, access level, policy action, OpenAPI document and reference pages come from it. This crate
//! does no I/O and knows no transport and no store.

extern crate self as hiroba_api;

pub mod auth;
pub mod chat;
pub mod contract;
pub mod distributor;
pub mod error;
pub mod gateway;
pub mod grn;
pub mod identifier;
pub mod job_queue;
pub mod key;
pub mod lock;
pub mod log;
pub mod names;
pub mod namespace;
pub mod openapi;
pub mod policy;
pub mod reference;
pub mod script;
pub mod user_data;

pub use contract::Operation;
pub use error::{ApiError, ErrorItem, Status};
pub use hiroba_derive::{Model, Operation};

use contract::{Service, Table};

/// Every service, in the order of the reference pages.
pub const SERVICES: &[&Service] = &[
    &identifier::SERVICE,
    &auth::SERVICE,
    &gateway::SERVICE,
    &job_queue::SERVICE,
    &chat::SERVICE,
    &script::SERVICE,
    &distributor::SERVICE,
    &key::SERVICE,
    &lock::SERVICE,
    &log::SERVICE,
];

/// The table of every operation that this version declares.
pub fn table() -> Table {
    Table::new(&[
        identifier::OPERATIONS,
        auth::OPERATIONS,
        gateway::OPERATIONS,
        job_queue::OPERATIONS,
        chat::OPERATIONS,
        script::OPERATIONS,
        distributor::OPERATIONS,
        key::OPERATIONS,
        lock::OPERATIONS,
        log::OPERATIONS,
    ])
}
