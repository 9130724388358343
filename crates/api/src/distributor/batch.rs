//! Several calls in one: `/distributor/batch/execute` (BEHAVIOUR DT-50).

use super::SERVICE;
use crate::names::text_type;
use crate::{Model, Operation};

fn anything(_: &str) -> Result<(), &'static str> {
    Ok(())
}

text_type! {
    /// Tells the calls of a batch apart, at most 1,024 characters.
    BatchRequestId, 0..=1024, anything
}

/// A call of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct BatchRequestPayload {
    /// What its answer is found by.
    pub request_id: Option<BatchRequestId>,
    /// Service: `jobQueue`.
    #[field(1..=128)]
    pub service: String,
    /// Operation: `pushByUserId`.
    #[field(1..=128)]
    pub method_name: String,
    /// Request of the operation as JSON text; `accessToken`, `duplicationAvoider` and `timeOffsetToken` may stand in it.
    #[field(1..=10240)]
    pub parameter: String,
}

/// What became of a call of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct BatchResultPayload {
    /// The call's own.
    pub request_id: Option<BatchRequestId>,
    /// Status of its answer.
    pub status_code: i32,
    /// Its answer as JSON text, the list of errors when the status is not 200.
    pub result_payload: String,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct BatchExecuted {
    /// The answers, in the order of the calls.
    pub results: Vec<BatchResultPayload>,
}

/// Makes calls one after the other; each succeeds or fails alone, with the rights of the caller (BEHAVIOUR DT-50).
#[derive(Debug, Operation)]
#[operation(POST "/batch/execute", name = "batchExecuteApi", component = "distribute", answer = BatchExecuted)]
pub struct BatchExecuteApi {
    /// The calls.
    #[field(0..=100)]
    pub request_payloads: Vec<BatchRequestPayload>,
}
