//! The client against the server, started inside the test.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, also in its helpers")]

mod harness;
mod lock;
mod login;
mod socket;
mod transport;
