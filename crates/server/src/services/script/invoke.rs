//! Running scripts on request: `/script/invoke`, `/script/debug/invoke` (BEHAVIOUR SC-03 … SC-06).

use std::sync::Arc;
use std::time::{Duration, Instant};

use hiroba_api::error::ApiError;
use hiroba_api::names::UserId;
use hiroba_api::script::{
    DebugInvoke, InvokeByStampSheet, InvokeScript, Invoked, RandomStatus, RandomUsed, SERVICE,
};
use hiroba_lua::Outcome;
use hiroba_store::Tx;
use serde_json::Value;

use crate::cx::Cx;
use crate::error::Error;
use crate::pipeline::Origin;
use crate::registry::{Answered, Registry, Steps};
use crate::scripts::{self, Target, Work};
use crate::services::distributor::{self, Issued, Mode};

pub(super) fn register(registry: &mut Registry) {
    registry.call_or_within(invoke_script, invoke_script_within);
    registry.call(debug_invoke);
    registry.steps(invoke_by_stamp_sheet);
}

async fn invoke_script(cx: Arc<Cx>, request: Arc<InvokeScript>) -> Result<Invoked, Error> {
    let found = scripts::find(&cx.core, &cx.project, &request.script_id, Instant::now()).await?;
    let Ok(target) = found else { return Err(missing(&cx, &request.script_id)) };
    let work = work(&cx, target, &request.args, &request.user_id, &request.random_status)?;
    invoke(&cx, work, Some(&request.script_id)).await
}

/// Runs the script as a part of the transaction: its calls are parts of it too.
fn invoke_script_within(tx: &mut Tx<'_>, cx: &Arc<Cx>, request: &InvokeScript) -> Result<Invoked, Error> {
    let found = scripts::find_within(tx, &cx.core, &cx.project, &request.script_id)?;
    let Ok(target) = found else { return Err(missing(cx, &request.script_id)) };
    let work = work(cx, target, &request.args, &request.user_id, &request.random_status)?;
    let user = work.origin.user.clone();
    let mut outcome = scripts::run_within(&cx.core, tx, work)?;
    let Some(transaction) = outcome.transaction.take() else { return Ok(answer(outcome, None)) };
    let recorded = distributor::recorded(tx, cx, Some(&request.script_id), transaction, &Mode::default())?;
    let issued = distributor::issue(tx, cx, user.as_ref(), recorded)?;
    // All or nothing: the transaction in a transaction too.
    if let Some(error) = issued.error() {
        return Err(error.into());
    }
    Ok(answer(outcome, Some(issued)))
}

fn missing(cx: &Cx, script_id: &str) -> Error {
    let detail = format!(
        "there is no script `{script_id}`; its id is a GRN such as `{}`",
        cx.grn(&SERVICE, "{namespaceName}:script:{scriptName}")
    );
    ApiError::not_found(SERVICE.name, "script", detail).into()
}

async fn debug_invoke(cx: Arc<Cx>, request: Arc<DebugInvoke>) -> Result<Invoked, Error> {
    let source = cx.core.scripts.source("debug", &request.script);
    let target = Target::Lua { source, keep_digit_texts: request.disable_string_number_to_number };
    let work = work(&cx, target, &request.args, &request.user_id, &request.random_status)?;
    invoke(&cx, work, None).await
}

async fn invoke_by_stamp_sheet(steps: Steps<InvokeByStampSheet>) -> Result<Answered, Error> {
    let request = steps.request();
    let (sheet, key) = (&request.stamp_sheet, request.key_id.as_deref());
    let answer = distributor::by_sheet(&steps.cx, "Gs2Script:InvokeScript", sheet, key).await?;
    Ok(Answered::as_text(answer))
}

fn work(
    cx: &Cx,
    target: Target,
    args: &Option<String>,
    user: &Option<UserId>,
    random: &Option<RandomStatus>,
) -> Result<Work, Error> {
    let args = args.as_deref().filter(|args| !args.is_empty()).unwrap_or("{}");
    if !matches!(serde_json::from_str(args), Ok(Value::Object(_))) {
        let detail = "`args` must be the JSON text of an object, such as `{}`";
        return Err(ApiError::bad_request(SERVICE.name, "script", "args", "invalid", detail).into());
    }
    let entropy = cx.entropy.bytes();
    Ok(Work {
        target,
        args: args.into(),
        // The path names no player; the field does.
        origin: Origin { user: user.clone(), ..Origin::of(cx) },
        random: random.as_ref().map(random_status),
        seed: u64::from(u32::from_be_bytes([entropy[0], entropy[1], entropy[2], entropy[3]])),
    })
}

async fn invoke(cx: &Arc<Cx>, work: Work, script_id: Option<&str>) -> Result<Invoked, Error> {
    let user = work.origin.user.clone();
    let mut outcome = scripts::run(&cx.core, work).await?;
    let Some(transaction) = outcome.transaction.take() else { return Ok(answer(outcome, None)) };
    match distributor::once(cx, user, script_id, transaction, Mode::default()).await {
        Ok(issued) => Ok(answer(outcome, Some(issued))),
        // What the script recorded can never run: that is the script's failure.
        Err(Error::Refused(error)) => {
            let failed = scripts::failed(&scripts::refused(&error));
            Ok(answer(Outcome { status: failed.status, result: failed.result, ..outcome }, None))
        }
        Err(error) => Err(error),
    }
}

fn answer(outcome: Outcome, issued: Option<Issued>) -> Invoked {
    let random = |random: hiroba_lua::RandomStatus| {
        let used = random.used.into_iter();
        let used = used.map(|used| RandomUsed { category: used.category, used: used.used });
        RandomStatus { seed: random.seed, used: Some(used.collect()) }
    };
    let (stamp_sheet, stamp_sheet_encryption_key_id) =
        issued.as_ref().and_then(|issued| issued.sheet.clone()).unzip();
    Invoked {
        code: i32::from(outcome.status),
        result: outcome.result,
        transaction_id: issued.as_ref().map(|issued| issued.transaction.transaction_id.clone()),
        auto_run_stamp_sheet: issued.as_ref().map(|issued| issued.auto_run),
        atomic_commit: issued.as_ref().map(|issued| issued.atomic),
        stamp_sheet,
        stamp_sheet_encryption_key_id,
        transaction_result: issued.as_ref().and_then(|issued| issued.result.clone()),
        transaction: issued.map(|issued| issued.transaction),
        random_status: outcome.random.map(random),
        execute_time: i32::try_from(outcome.elapsed.as_millis()).unwrap_or(i32::MAX),
        charged: billed_seconds(outcome.elapsed),
        output: outcome.output,
    }
}

/// Begun seconds.
fn billed_seconds(elapsed: Duration) -> i32 {
    let whole = elapsed.as_secs() + u64::from(elapsed.subsec_nanos() > 0);
    i32::try_from(whole).unwrap_or(i32::MAX)
}

fn random_status(random: &RandomStatus) -> hiroba_lua::RandomStatus {
    let used = random.used.iter().flatten();
    let used = used.map(|used| hiroba_lua::RandomUsed { category: used.category, used: used.used });
    hiroba_lua::RandomStatus { seed: random.seed, used: used.collect() }
}
