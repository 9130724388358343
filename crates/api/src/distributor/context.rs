//! What goes with a player's calls in the context stack: default values of placeholders, and the moment of master data
//! (BEHAVIOUR DT-03).

use super::SERVICE;
use crate::contract::UnixMillis;
use crate::names::{GrnText, NamespaceName};
use crate::{Model, Operation};

/// The value of a placeholder (BEHAVIOUR DT-03).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Config {
    /// Name: `#{key}` stands for the value.
    #[field(0..=64)]
    pub key: Option<String>,
    /// Value.
    #[field(0..=51200)]
    pub value: Option<String>,
}

/// A context stack.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct NewContextStack {
    /// What later calls are to carry as `contextStack`, at most for a day.
    pub new_context_stack: String,
}

/// Sets the values of placeholders for the transactions of the calls that carry the answered context stack (BEHAVIOUR
/// DT-03).
#[derive(Debug, Operation)]
#[operation(POST "/transaction/user/{userId}/config", name = "setTransactionDefaultConfig", component = "distribute",
    answer = NewContextStack)]
pub struct SetTransactionDefaultConfig {
    /// The values; they replace those of the same names that the call's own context stack sets.
    #[field(0..=1000)]
    pub config: Option<Vec<Config>>,
}

/// Has the calls that carry the answered context stack see master data as it is now.
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/user/{userId}/masterdata/freeze", name = "freezeMasterData",
    component = "distribute", answer = NewContextStack)]
pub struct FreezeMasterData {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
}

/// A signed moment.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct SignedTimestamp {
    /// JSON text with the moment.
    pub body: String,
    /// Its signature.
    pub signature: String,
}

/// Signs a moment, so that a player may have master data as it was then.
///
/// Fails with 404 `namespace`, with 400 when the key does not exist.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/masterdata/freeze/timestamp", name = "signFreezeMasterDataTimestamp",
    component = "distribute", answer = SignedTimestamp)]
pub struct SignFreezeMasterDataTimestamp {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// The moment.
    pub timestamp: UnixMillis,
    /// GRN of the key that signs; the server's own when absent.
    pub key_id: Option<GrnText>,
}

/// Has the calls that carry the answered context stack see master data as it was at a signed moment.
///
/// Fails with 404 `namespace`, with 400 when the signature does not fit or the moment has not come.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/user/me/masterdata/freeze/timestamp", name = "freezeMasterDataBySignedTimestamp",
    component = "distribute", player, repeatable, answer = NewContextStack)]
pub struct FreezeMasterDataBySignedTimestamp {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// `body` of `signFreezeMasterDataTimestamp`.
    #[field(1..=1048576)]
    pub body: String,
    /// `signature` of `signFreezeMasterDataTimestamp`.
    #[field(1..=1024)]
    pub signature: String,
    /// GRN of the key that signed; the server's own when absent.
    pub key_id: Option<GrnText>,
}

/// Has the calls that carry the answered context stack see master data as it was at a moment.
///
/// Fails with 404 `namespace`, with 400 when the moment has not come.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/user/me/masterdata/freeze/timestamp/raw", name = "freezeMasterDataByTimestamp",
    component = "distribute", player, repeatable, answer = NewContextStack)]
pub struct FreezeMasterDataByTimestamp {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// The moment.
    pub timestamp: UnixMillis,
}
