//! The Hiroba server: transports, the pipeline that every call takes, and the services behind it.
//!
//! `main` only wires; tests start the same [`App`](app::App) inside their own process.

pub mod app;
mod bootstrap;
pub mod clock;
mod cluster;
pub mod config;
mod cx;
mod entropy;
mod error;
mod files;
mod generation;
mod hub;
mod jobs;
mod json;
mod logs;
mod metrics;
mod outbound;
mod pipeline;
mod registry;
mod scripts;
mod services;
mod sweeper;
#[cfg(feature = "otel")]
mod telemetry;
mod transport;
mod vault;

/// Every SQL statement of the server, for the test that prepares each on both engines.
pub fn statements() -> Vec<&'static str> {
    let modules = pipeline::STATEMENTS
        .iter()
        .chain(services::STATEMENTS)
        .chain(services::chat::STATEMENTS)
        .chain(services::distributor::STATEMENTS)
        .chain(services::user_data::STATEMENTS)
        .chain(services::log::STATEMENTS)
        .chain([&bootstrap::sql::ALL, &jobs::sql::ALL, &logs::store::sql::ALL]);
    modules.flat_map(|statements| statements.iter().copied()).collect()
}
