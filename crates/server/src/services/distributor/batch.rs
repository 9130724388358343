//! Several calls in one: `batchExecuteApi` (BEHAVIOUR DT-50).

use std::sync::Arc;

use hiroba_api::contract::{Credentials, Fields};
use hiroba_api::distributor::{
    BatchExecuteApi, BatchExecuted, BatchRequestPayload, BatchResultPayload, SERVICE,
};
use hiroba_api::error::{ApiError, ErrorItem, Status};
use hiroba_store::StoreError;
use serde_json::Value;

use crate::cx::Cx;
use crate::error::Error;
use crate::json;
use crate::pipeline::{Origin, Pipeline};
use crate::registry::Registry;

/// JSON values of a call's parameter; a parsed value takes many times the bytes of its text.
const VALUES_MAX: usize = 10_000;

pub(super) fn register(registry: &mut Registry) {
    registry.call(batch_execute_api);
}

async fn batch_execute_api(cx: Arc<Cx>, request: Arc<BatchExecuteApi>) -> Result<BatchExecuted, Error> {
    let pipeline = cx.core.road.get().ok_or(StoreError::Closed)?;
    let mut results = Vec::with_capacity(request.request_payloads.len());
    for payload in &request.request_payloads {
        let (status, result_payload) = match call(&cx, &pipeline, payload).await {
            Ok(answer) => (200, answer),
            Err(error) => (error.status.code(), serde_json::to_string(&error.items).unwrap_or_default()),
        };
        results.push(BatchResultPayload {
            request_id: payload.request_id.clone(),
            status_code: i32::from(status),
            result_payload,
        });
    }
    Ok(BatchExecuted { results })
}

/// Makes a call of a batch with the rights of whoever sends the batch; a script has all of its project.
async fn call(cx: &Arc<Cx>, pipeline: &Pipeline, payload: &BatchRequestPayload) -> Result<String, ApiError> {
    let refuse = |member: &str, detail: String| {
        let item = ErrorItem::new(SERVICE.name, "batchRequestPayload", member, "invalid", detail);
        ApiError::one(Status::BadRequest, item)
    };
    let BatchRequestPayload { service, method_name, parameter, .. } = payload;
    let row = cx.core.table.named(service, method_name).ok_or_else(|| {
        refuse("methodName", format!("service `{service}` has no operation `{method_name}`"))
    })?;
    if row.is::<BatchExecuteApi>() {
        return Err(refuse("methodName", "a batch cannot be part of a batch".to_owned()));
    }
    if json::values_at_most(parameter.as_bytes(), VALUES_MAX) > VALUES_MAX {
        return Err(refuse("parameter", format!("`parameter` holds at most {VALUES_MAX} JSON values")));
    }
    let mut fields: Fields = serde_json::from_str(parameter)
        .map_err(|_| refuse("parameter", "`parameter` must be the JSON text of an object".to_owned()))?;
    let mut take = |name: &str| match fields.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    let credentials = Credentials {
        access_token: take("accessToken"),
        time_offset_token: take("timeOffsetToken"),
        duplication_avoider: take("duplicationAvoider"),
        dry_run: cx.dry_run,
        base_url: cx.base_url.clone(),
        ..Credentials::default()
    };
    match &cx.project_token {
        Some(token) => {
            let credentials = Credentials { project_token: Some(token.0.clone()), ..credentials };
            let id = row.id;
            // In a box, since the call of a batch is a call like the batch itself.
            let reply = Box::pin(pipeline.call(id, fields, credentials)).await;
            if reply.status == 200 {
                return Ok(reply.body);
            }
            let error = ApiError::from_body(reply.status, reply.body.as_bytes());
            Err(error.unwrap_or_else(|| ApiError::internal(&reply.request_id)))
        }
        None if cx.is_inside => {
            Box::pin(pipeline.call_inside(row, fields, credentials, Origin::of(cx))).await
        }
        None => {
            let detail = "a batch needs a project token";
            Err(ApiError::unauthorized(SERVICE.name, "projectToken", "projectToken", "require", detail))
        }
    }
}
