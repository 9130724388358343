//! Rust client for Hiroba and servers of the same protocol, on the declarations that the server itself is made of: every
//! request type of [`hiroba_api`] can be called, and its answer comes back typed.
//!
//! ```no_run
//! use hiroba_api::lock::{CreateNamespace, Lock, Unlock};
//! use hiroba_api::names::{NamespaceName, UserId};
//! use hiroba_client::{Client, ClientError};
//!
//! # async fn example() -> Result<(), ClientError> {
//! let client = Client::builder("http://127.0.0.1:8080").credential("client-id", "client-secret").build()?;
//!
//! let namespace_name = NamespaceName::trusted("game");
//! client.call(&CreateNamespace { name: namespace_name.clone(), description: None, log_setting: None }).await?;
//!
//! let player = client.for_user(UserId::trusted("player-1"));
//! let (property_id, transaction_id) = ("inventory".to_owned(), "purchase-17".to_owned());
//! let lock = Lock {
//!     namespace_name: namespace_name.clone(),
//!     property_id: property_id.clone(),
//!     transaction_id: transaction_id.clone(),
//!     ttl: Some(60),
//! };
//! let mutex = player.call(&lock).duplication_avoider("purchase-17-lock").await?.item;
//! println!("held until {:?}; fencing number {}", mutex.ttl_at, mutex.revision);
//! player.call(&Unlock { namespace_name, property_id, transaction_id }).await?;
//! # Ok(())
//! # }
//! ```
//!
//! An operation about a player exists twice, and the handle says which one is called: [`Client::as_player`] acts with
//! the player's access token, [`Client::for_user`] names any player and needs a stronger permission. Calling such an
//! operation without a handle does not compile:
//!
//! ```compile_fail,E0080
//! # use hiroba_api::lock::GetMutex;
//! # use hiroba_api::names::NamespaceName;
//! # fn main() -> Result<(), hiroba_client::ClientError> {
//! # let client = hiroba_client::Client::builder("http://127.0.0.1:8080").build()?;
//! let request = GetMutex { namespace_name: NamespaceName::trusted("game"), property_id: "inventory".to_owned() };
//! let call = client.call(&request);
//! # Ok(())
//! # }
//! ```
//!
//! Nor does one that exists only with the player in the path:
//!
//! ```compile_fail,E0080
//! # use hiroba_api::lock::DeleteMutexByUserId;
//! # use hiroba_api::names::NamespaceName;
//! # fn main() -> Result<(), hiroba_client::ClientError> {
//! # let client = hiroba_client::Client::builder("http://127.0.0.1:8080").build()?;
//! # let (namespace_name, property_id) = (NamespaceName::trusted("game"), "inventory".to_owned());
//! let player = client.as_player(hiroba_client::AccessToken::new("…"));
//! let call = player.call(&DeleteMutexByUserId { namespace_name, property_id });
//! # Ok(())
//! # }
//! ```
//!
//! The compiler sees both when it builds; `cargo check` does not look that far.
//!
//! [`Socket`] makes the same calls over one WebSocket and receives notifications.
//!
//! The client logs in at the first call, and once more when the server says that the project token has expired. Beyond
//! that nothing is repeated: a call that failed may have been made, and whoever called knows what that means. Give it a
//! [`duplication_avoider`](Call::duplication_avoider) to repeat it safely.

mod call;
mod client;
mod error;
mod outgoing;
mod path;
mod socket;
mod tls;

pub use call::{AccessToken, Call, ForUser, Player};
pub use client::{Client, ClientBuilder};
pub use error::{ClientError, CloseReason};
pub use hiroba_api as api;
pub use socket::{Missed, Notification, Notifications, Socket};
