//! What the tests of the server are written with: a database of its own for each test on either engine, the server
//! inside the test's process or as the real program, clients that control every byte, and checkers of histories.
//!
//! Everything here panics when something goes wrong, with what it was doing: a test fails by panicking.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, also in its helpers")]

pub mod api;
pub mod chat;
pub mod database;
pub mod deadline;
pub mod frames;
pub mod gateway;
pub mod http;
pub mod jobs;
pub mod limits;
pub mod linear;
pub mod mutex;
pub mod nats;
pub mod process;
pub mod random;
pub mod s3;
pub mod secrets;
pub mod server;
pub mod shape;
pub mod socket;
pub mod stage;
pub mod stand_in;
pub mod transactions;
pub mod user_data;

pub use api::Api;
pub use chat::Chat;
pub use database::{Database, run};
pub use deadline::{eventually, within};
pub use gateway::{Gateway, Player};
pub use hiroba_store::Engine;
pub use jobs::Queue;
pub use process::Process;
pub use random::Random;
pub use s3::S3;
pub use server::TestServer;
pub use socket::Socket;
pub use stage::Stage;
pub use stand_in::StandIn;
pub use transactions::Shop;
pub use user_data::UserData;

/// Makes a test of each function, once for each engine. A function takes a [`Database`].
#[macro_export]
macro_rules! on_both_engines {
    ($($name:ident)+) => {
        mod sqlite {
            $(#[test] fn $name() { $crate::run($crate::Engine::Sqlite, super::$name); })+
        }
        mod postgres {
            $(#[test] fn $name() { $crate::run($crate::Engine::Postgres, super::$name); })+
        }
    };
}
