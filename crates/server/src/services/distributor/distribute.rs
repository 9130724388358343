//! Giving a player something: `distribute`, `distributeWithoutOverflowProcess`.
//!
//! What does not fit goes nowhere: this server has no Inbox service, and nothing that it has can be full.

use std::sync::Arc;

use hiroba_api::distributor::{
    Distribute, DistributeResource, DistributeWithoutOverflowProcess, Distributed,
    DistributedWithoutOverflowProcess, SERVICE,
};
use hiroba_api::error::ApiError;
use hiroba_api::names::UserId;
use hiroba_store::Tx;

use super::action::{self, Role};
use super::{Context, model, setting};
use crate::cx::Cx;
use crate::error::Error;
use crate::pipeline::Origin;
use crate::registry::{Answered, Registry, Steps};

pub(super) fn register(registry: &mut Registry) {
    registry.steps(distribute);
    registry.write(distribute_without_overflow_process);
}

/// What is called for a player.
fn ready(cx: &Cx, user: &UserId, resource: &DistributeResource) -> Result<action::Ready, ApiError> {
    let values = Context::of(cx).values(Some(user));
    let request = action::replaced(&resource.request, Some(user), &values);
    action::ready(&cx.core, Role::Acquire, (&resource.action, &request), Some(user))
}

async fn distribute(steps: Steps<Distribute>) -> Result<Answered, Error> {
    let (cx, request) = (Arc::clone(&steps.cx), steps.request());
    let found =
        model::current(&cx, &request.namespace_name, &request.distributor_name, Some(&request.user_id))
            .await?;
    let target = action::target(&cx, &ready(&cx, &request.user_id, &request.distribute_resource)?);
    let allowed = found.white_list_target_ids.iter().flatten().map(|id| cx.project.expand(id));
    let allowed: Vec<String> = allowed.collect();
    // An id stands for itself and all that is below it.
    let covers = |id: &String| {
        target.strip_prefix(id.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    };
    if !allowed.is_empty() && !allowed.iter().any(covers) {
        let detail = format!(
            "the white list of `{}` does not allow `{target}`; add it, or what it is below, to `whiteListTargetIds`",
            request.distributor_name
        );
        let (service, model) = (SERVICE.name, "distribute");
        return Err(ApiError::bad_request(service, model, "distributeResource", "notIncluded", detail).into());
    }
    let inbox = found.inbox_namespace_id.as_deref().map(|id| cx.project.expand(id));
    let give = move |tx: &mut Tx<'_>, cx: &Cx, request: &Distribute| {
        let settings = setting::namespace(tx, cx, &request.namespace_name)?;
        let permissions = setting::permissions(tx, cx, settings.as_deref())?;
        let origin = Origin { user: Some(request.user_id.clone()), permissions, ..Origin::of(cx) };
        let ready = ready(cx, &request.user_id, &request.distribute_resource)?;
        let result = action::within(tx, &cx.core, ready, origin)??;
        let distribute_resource = request.distribute_resource.clone();
        Ok(Distributed { distribute_resource, inbox_namespace_id: inbox.clone(), result })
    };
    steps.write(give).await
}

fn distribute_without_overflow_process(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DistributeWithoutOverflowProcess,
) -> Result<DistributedWithoutOverflowProcess, Error> {
    let origin = Origin { user: Some(request.user_id.clone()), ..Origin::of(cx) };
    let ready = ready(cx, &request.user_id, &request.distribute_resource)?;
    let result = action::within(tx, &cx.core, ready, origin)??;
    let distribute_resource = request.distribute_resource.clone();
    Ok(DistributedWithoutOverflowProcess { distribute_resource, result })
}
