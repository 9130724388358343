//! Actions made of actions: `…/expression/if`, `…/and`, `…/or` (BEHAVIOUR DT-51). Each is one transaction of the store.

use std::sync::Arc;

use hiroba_api::contract::{Empty, UnixMillis};
use hiroba_api::distributor::{
    AndExpressionByStampTask, AndExpressionByUserId, IfExpression, IfExpressionByStampTask,
    IfExpressionByUserId, Namespaces, OrExpressionByStampTask, OrExpressionByUserId, TransactionResult,
};
use hiroba_api::error::{ApiError, Status};
use hiroba_api::names::{NamespaceName, UserId};
use hiroba_api::script::{ConsumeActionResult, VerifyAction, VerifyActionResult};
use hiroba_store::Tx;

use super::action::{self, Outcome, Role};
use super::result::Place;
use super::{Context, by_task, setting};
use crate::cx::{Cx, found};
use crate::error::Error;
use crate::pipeline::Origin;
use crate::registry::{Answered, Registry, Steps};

pub(super) fn register(registry: &mut Registry) {
    registry.write(if_expression_by_user_id);
    registry.write(and_expression_by_user_id);
    registry.write(or_expression_by_user_id);
    registry.steps(if_expression_by_stamp_task);
    registry.steps(and_expression_by_stamp_task);
    registry.steps(or_expression_by_stamp_task);
}

/// For whom, and with what rights, the actions of an expression are called.
fn origin(tx: &mut Tx<'_>, cx: &Cx, namespace: &NamespaceName, user: &UserId) -> Result<Origin, Error> {
    let settings = setting::namespace(tx, cx, namespace);
    let settings = found(
        settings,
        <Namespaces as hiroba_api::namespace::NamespaceOperations>::SERVICE,
        "namespace",
        namespace,
    )?;
    let permissions = setting::permissions(tx, cx, Some(&settings))?;
    Ok(Origin { user: Some(user.clone()), permissions, ..Origin::of(cx) })
}

/// Calls an action of an expression.
fn call(
    tx: &mut Tx<'_>,
    cx: &Cx,
    origin: &Origin,
    role: Role,
    (name, request): (&str, &str),
) -> Result<(String, Outcome), Error> {
    let user = origin.user.as_deref();
    let request = action::replaced(request, user, &Context::of(cx).values(user));
    let outcome = match action::ready(&cx.core, role, (name, &request), user) {
        Ok(ready) => action::within(tx, &cx.core, ready, origin.clone())?,
        Err(error) => Err(error),
    };
    Ok((request, outcome))
}

fn if_expression_by_user_id(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &IfExpressionByUserId,
) -> Result<IfExpression, Error> {
    let origin = origin(tx, cx, &request.namespace_name, &request.user_id)?;
    let condition = &request.condition;
    let (verify_request, outcome) =
        call(tx, cx, &origin, Role::Verify, (&condition.action, &condition.request))?;
    let verify = VerifyActionResult {
        action: condition.action.clone(),
        verify_request,
        status_code: Some(action::code(&outcome)),
        verify_result: Some(action::text(&outcome)),
    };
    let holds = match &outcome {
        Ok(_) => true,
        // A condition that cannot be asked is neither true nor false.
        Err(error) if is_fault(error) => return Err(error.clone().into()),
        Err(_) => false,
    };
    let chosen = if holds { &request.true_actions } else { &request.false_actions };
    let mut consume_results = Vec::new();
    for item in chosen.iter().flatten() {
        let (consume_request, outcome) = call(tx, cx, &origin, Role::Consume, (&item.action, &item.request))?;
        let answer = outcome?;
        consume_results.push(ConsumeActionResult {
            action: item.action.clone(),
            consume_request,
            status_code: Some(200),
            consume_result: Some(answer),
        });
    }
    let transaction_id = crate::entropy::uuid(cx.entropy.bytes());
    let place =
        Place { namespace: &request.namespace_name, user: &request.user_id, transaction_id: &transaction_id };
    let item = TransactionResult {
        transaction_result_id: place.id(cx, "transaction"),
        user_id: request.user_id.to_string(),
        transaction_id: transaction_id.clone(),
        verify_results: vec![verify],
        consume_results,
        acquire_results: Vec::new(),
        has_error: false,
        created_at: UnixMillis(cx.now.0),
        revision: 1,
    };
    Ok(IfExpression { item, expression_result: holds })
}

/// Whether an error says that the action could not be asked, not that what it asks for does not hold.
fn is_fault(error: &ApiError) -> bool {
    matches!(error.status, Status::Unauthorized | Status::QuotaExceeded | Status::Conflict)
        || error.status.code() >= 500
        || error.items.iter().any(|item| item.message.starts_with("distributor.transaction."))
}

fn and_expression_by_user_id(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &AndExpressionByUserId,
) -> Result<Empty, Error> {
    let origin = origin(tx, cx, &request.namespace_name, &request.user_id)?;
    for VerifyAction { action, request } in &request.actions {
        call(tx, cx, &origin, Role::Verify, (action, request))?.1?;
    }
    Ok(Empty)
}

fn or_expression_by_user_id(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &OrExpressionByUserId,
) -> Result<Empty, Error> {
    let origin = origin(tx, cx, &request.namespace_name, &request.user_id)?;
    let detail = "one of no actions never holds; give at least one";
    let mut last = ApiError::bad_request("distributor", "expression", "actions", "require", detail);
    for VerifyAction { action, request } in &request.actions {
        match call(tx, cx, &origin, Role::Verify, (action, request))?.1 {
            Ok(_) => return Ok(Empty),
            Err(error) if is_fault(&error) => return Err(error.into()),
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

async fn if_expression_by_stamp_task(steps: Steps<IfExpressionByStampTask>) -> Result<Answered, Error> {
    let (cx, request) = (Arc::clone(&steps.cx), steps.request());
    let (task, key) = (&request.stamp_task, request.key_id.as_deref());
    by_task(&cx, "Gs2Distributor:IfExpressionByUserId", task, key).await.map(Answered::as_text)
}

async fn and_expression_by_stamp_task(steps: Steps<AndExpressionByStampTask>) -> Result<Answered, Error> {
    let (cx, request) = (Arc::clone(&steps.cx), steps.request());
    let (task, key) = (&request.stamp_task, request.key_id.as_deref());
    by_task(&cx, "Gs2Distributor:AndExpressionByUserId", task, key).await.map(Answered::as_text)
}

async fn or_expression_by_stamp_task(steps: Steps<OrExpressionByStampTask>) -> Result<Answered, Error> {
    let (cx, request) = (Arc::clone(&steps.cx), steps.request());
    let (task, key) = (&request.stamp_task, request.key_id.as_deref());
    by_task(&cx, "Gs2Distributor:OrExpressionByUserId", task, key).await.map(Answered::as_text)
}
