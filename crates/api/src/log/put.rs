//! The way in which old SDKs add to a log: `/log/log/put`.

use super::SERVICE;
use crate::Operation;
use crate::contract::Empty;
use crate::names::GrnText;

/// Adds to the logs of games, with the tag `category`; only old SDKs have it. It is on disk when the call is answered.
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/log/put", name = "putLog", component = "log", answer = Empty)]
pub struct PutLog {
    /// GRN of the Log namespace.
    pub logging_namespace_id: GrnText,
    /// Value of the tag.
    #[field(1..=128)]
    pub log_category: String,
    /// What it says, at most 10,485,760 characters. Empty when absent.
    #[field(0..=10485760)]
    pub payload: Option<String>,
}
