//! The server through its transports, every behaviour on both engines from one source.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, also in its helpers")]

mod chat;
mod clients;
mod contention;
mod contract;
mod crash;
mod dry_run;
mod duplicates;
mod envelope;
mod expiry;
mod gateway;
mod hostile;
mod http;
mod jobs;
mod key;
mod linearizability;
mod logs;
mod master_key;
mod masters;
mod owners;
mod permissions;
mod requests;
mod revisions;
mod running;
mod scripts;
mod second_factor;
mod statements;
#[cfg(feature = "otel")]
mod telemetry;
mod time_offsets;
mod tokens;
mod transactions;
mod user_data;
