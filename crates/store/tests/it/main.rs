//! The store through its public interface, every behaviour on both engines from one source.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, also in its helpers")]

mod concurrency;
mod crash;
mod harness;
mod lifecycle;
mod migrations;
mod model;
mod outages;
mod transactions;
mod values;
