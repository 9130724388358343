//! Running scripts on request: `/script/invoke`, `/script/debug/invoke` (BEHAVIOUR SC-03 … SC-06).

use std::sync::Arc;
use std::time::{Duration, Instant};

use hiroba_api::error::ApiError;
use hiroba_api::names::UserId;
use hiroba_api::script::{
    AcquireAction, ConsumeAction, DebugInvoke, InvokeByStampSheet, InvokeScript, Invoked, RandomStatus,
    RandomUsed, SERVICE, Transaction, VerifyAction,
};
use hiroba_store::Tx;
use serde_json::Value;

use crate::cx::Cx;
use crate::error::Error;
use crate::pipeline::Origin;
use crate::registry::Registry;
use crate::scripts::{self, Target, Work};

pub(super) fn register(registry: &mut Registry) {
    registry.call(invoke_script);
    registry.call(debug_invoke);
    registry.read(invoke_by_stamp_sheet);
}

async fn invoke_script(cx: Arc<Cx>, request: Arc<InvokeScript>) -> Result<Invoked, Error> {
    let found = scripts::find(&cx.core, &cx.project, &request.script_id, Instant::now()).await?;
    let Ok(target) = found else {
        let detail = format!(
            "there is no script `{}`; its id is a GRN such as `{}`",
            request.script_id,
            cx.grn(&SERVICE, "{namespaceName}:script:{scriptName}")
        );
        return Err(ApiError::not_found(SERVICE.name, "script", detail).into());
    };
    invoke(&cx, target, &request.args, &request.user_id, &request.random_status).await
}

async fn debug_invoke(cx: Arc<Cx>, request: Arc<DebugInvoke>) -> Result<Invoked, Error> {
    let source = cx.core.scripts.source("debug", &request.script);
    let target = Target::Lua { source, keep_digit_texts: request.disable_string_number_to_number };
    invoke(&cx, target, &request.args, &request.user_id, &request.random_status).await
}

fn invoke_by_stamp_sheet(_: &mut Tx<'_>, _: &Cx, _: &InvokeByStampSheet) -> Result<Invoked, Error> {
    let detail = "this server runs no stamp sheets, since it has no Distributor service; call invokeScript";
    Err(ApiError::bad_request(SERVICE.name, "stampSheet", "stampSheet", "failed", detail).into())
}

async fn invoke(
    cx: &Arc<Cx>,
    target: Target,
    args: &Option<String>,
    user: &Option<UserId>,
    random: &Option<RandomStatus>,
) -> Result<Invoked, Error> {
    let args = args.as_deref().filter(|args| !args.is_empty()).unwrap_or("{}");
    if !matches!(serde_json::from_str(args), Ok(Value::Object(_))) {
        let detail = "`args` must be the JSON text of an object, such as `{}`";
        return Err(ApiError::bad_request(SERVICE.name, "script", "args", "invalid", detail).into());
    }
    let entropy = cx.entropy.bytes();
    let work = Work {
        target,
        args: args.into(),
        // The path names no player; the field does.
        origin: Origin { user: user.clone(), ..Origin::of(cx) },
        random: random.as_ref().map(random_status),
        seed: u64::from(u32::from_be_bytes([entropy[0], entropy[1], entropy[2], entropy[3]])),
    };
    let outcome = scripts::run(&cx.core, work).await?;
    let transaction = outcome.transaction.map(|transaction| self::transaction(cx, transaction));
    Ok(Invoked {
        code: i32::from(outcome.status),
        result: outcome.result,
        atomic_commit: transaction.is_some().then_some(false),
        transaction,
        random_status: outcome.random.map(|random| RandomStatus {
            seed: random.seed,
            used: Some(
                random
                    .used
                    .into_iter()
                    .map(|used| RandomUsed { category: used.category, used: used.used })
                    .collect(),
            ),
        }),
        transaction_result: None,
        execute_time: i32::try_from(outcome.elapsed.as_millis()).unwrap_or(i32::MAX),
        charged: billed_seconds(outcome.elapsed),
        output: outcome.output,
    })
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

/// What a script recorded to be done (BEHAVIOUR SC-17).
fn transaction(cx: &Cx, recorded: hiroba_lua::Transaction) -> Transaction {
    let action = |action: hiroba_lua::Action| (action.action, action.request);
    Transaction {
        transaction_id: crate::entropy::uuid(cx.entropy.bytes()),
        verify_actions: recorded
            .verify
            .into_iter()
            .map(action)
            .map(|(action, request)| VerifyAction { action, request })
            .collect(),
        consume_actions: recorded
            .consume
            .into_iter()
            .map(action)
            .map(|(action, request)| ConsumeAction { action, request })
            .collect(),
        acquire_actions: recorded
            .acquire
            .into_iter()
            .map(action)
            .map(|(action, request)| AcquireAction { action, request })
            .collect(),
    }
}
