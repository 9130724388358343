//! Transactions that scripts make: run at once, run later, or given to the client as a signed sheet, as the setting of the
//! script's namespace says (BEHAVIOUR SC-17, DT-10, DT-30 … DT-35).

use std::sync::Arc;

use hiroba_api::contract::Fields;
use hiroba_api::distributor::SERVICE;
use hiroba_api::error::ApiError;
use hiroba_api::grn::Grn;
use hiroba_api::job_queue;
use hiroba_api::names::UserId;
use hiroba_api::script::{
    self, AcquireAction, ConsumeAction, ScriptTransactionResult, Transaction, TransactionResult, VerifyAction,
};
use hiroba_store::Tx;
use serde_json::{Value, json};

use super::action::{self, Role};
use super::context::Values;
use super::{Context, Mode, queue, record, sheet, together};
use crate::cx::Cx;
use crate::error::Error;
use crate::json;
use crate::pipeline::{Core, Origin};
use crate::scripts;
use crate::services::namespaces;

/// The operation under whose name it is kept that a run has made its transaction.
const KEPT_AS: &str = "runTransaction";
/// Jobs that one push may have (BEHAVIOUR J-10).
const PUSHED_MAX: usize = 10;
/// Characters of the arguments of a job that is pushed (BEHAVIOUR J-11).
const JOB_ARGS_CHARS_MAX: usize = 131_072;
/// Characters of a sheet that can be run.
const SHEET_CHARS_MAX: usize = 5_242_880;

/// A transaction that a script made, and how it is to run.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    /// GRN of the script; absent for one that is not stored.
    script_id: Option<String>,
    transaction: Transaction,
    mode: Mode,
    /// GRN of the log of the script's namespace.
    log: Option<String>,
}

/// A transaction that was made.
#[derive(Debug, Clone)]
pub(crate) struct Issued {
    /// Its actions, with placeholders replaced.
    pub(crate) transaction: Transaction,
    /// Whether the server runs it by itself.
    pub(crate) auto_run: bool,
    /// Whether its actions take effect together.
    pub(crate) atomic: bool,
    /// What became of it, when it ran at once.
    pub(crate) result: Option<TransactionResult>,
    /// The signed sheet and the GRN of its key, when the client is to run it.
    pub(crate) sheet: Option<(String, String)>,
    script_id: Option<String>,
}

/// What a script recorded, with the setting of its namespace; when that says nothing, with that of the namespace that had the
/// script run.
pub(crate) fn recorded(
    tx: &mut Tx<'_>,
    cx: &Cx,
    script_id: Option<&str>,
    recorded: hiroba_lua::Transaction,
    otherwise: &Mode,
) -> Result<Recorded, Error> {
    let script_id = script_id.map(|id| cx.project.expand(id));
    let namespace = match script_id.as_deref().and_then(Grn::parse).filter(|grn| grn.owner == cx.owner()) {
        Some(grn) => match grn.rest.split_once(":script:") {
            Some((name, _)) => namespaces::read::<script::Namespaces>(tx, cx, name)?,
            None => None,
        },
        None => None,
    };
    let (old, new) = match &namespace {
        Some(namespace) => {
            (namespace.transaction_setting.as_ref(), namespace.transaction_setting_v2.as_ref())
        }
        None => (None, None),
    };
    let log = namespace.as_ref().and_then(|namespace| namespace.log_setting.as_ref());
    let log = log.map(|setting| setting.logging_namespace_id.to_string());
    let mode = if old.is_none() && new.is_none() { otherwise.clone() } else { Mode::new(old, new) };
    Ok(Recorded { script_id, transaction: named(cx, recorded), mode, log })
}

fn named(cx: &Cx, recorded: hiroba_lua::Transaction) -> Transaction {
    let parts =
        |actions: Vec<hiroba_lua::Action>| actions.into_iter().map(|action| (action.action, action.request));
    Transaction {
        transaction_id: crate::entropy::uuid(cx.entropy.bytes()),
        verify_actions: parts(recorded.verify)
            .map(|(action, request)| VerifyAction { action, request })
            .collect(),
        consume_actions: parts(recorded.consume)
            .map(|(action, request)| ConsumeAction { action, request })
            .collect(),
        acquire_actions: parts(recorded.acquire)
            .map(|(action, request)| AcquireAction { action, request })
            .collect(),
    }
}

/// Makes a transaction: runs it, has it run, or signs its sheet.
///
/// Fails with 400 when an action does not exist. An action that fails while the transaction runs at once is no failure here: the
/// result says it.
pub(crate) fn issue(
    tx: &mut Tx<'_>,
    cx: &Cx,
    user: Option<&UserId>,
    recorded: Recorded,
) -> Result<Issued, Error> {
    let Recorded { script_id, transaction, mode, log } = recorded;
    let values = Context::of(cx).values(user.map(UserId::as_str));
    let transaction = prepared(cx, user, transaction, &values)?;
    let transaction = if mode.acquire_by_jobs { by_jobs(cx, &mode, user, transaction)? } else { transaction };
    let mut issued = Issued {
        transaction,
        auto_run: mode.auto_run,
        atomic: mode.atomic,
        result: None,
        sheet: None,
        script_id,
    };
    let Some(user) = user else {
        if mode.auto_run {
            let detail =
                "a transaction runs for a player, and the script that made it runs for none; give `userId`";
            return Err(refuse("userId", detail));
        }
        return Ok(issued);
    };
    record::issued(tx, cx, log.as_deref(), user, &issued.transaction);
    let distributor = mode.distributor(cx);
    if !mode.auto_run {
        let one = if issued.transaction.acquire_actions.len() > 1 {
            by_jobs(cx, &mode, Some(user), issued.transaction.clone())?
        } else {
            issued.transaction.clone()
        };
        let signed = sheet::sign(tx, cx, user, &one, mode.key_id.as_deref())?;
        let chars = signed.0.chars().count();
        if chars > SHEET_CHARS_MAX {
            let detail = format!(
                "the sheet of a transaction has at most {SHEET_CHARS_MAX} characters, this one {chars}"
            );
            let (service, model) = (SERVICE.name, "transaction");
            return Err(ApiError::bad_request(service, model, "stampSheet", "tooLong", detail).into());
        }
        issued.sheet = Some(signed);
    } else if mode.atomic && !mode.later {
        let ran = together::run(tx, cx, user, &distributor, issued.transaction.clone())?;
        issued.result = Some(script_result(ran));
    } else {
        if !mode.atomic && issued.transaction.acquire_actions.len() > 1 && has_queue(tx, cx, &mode)? {
            issued.transaction = by_jobs(cx, &mode, Some(user), issued.transaction)?;
        }
        queue::push(tx, cx, user, &distributor, mode.atomic, &issued.transaction)?;
    }
    Ok(issued)
}

/// Whether several acquire actions can become jobs (BEHAVIOUR DT-14). Without a queue each is called by itself: what a player has
/// paid for must not be lost for want of a namespace.
fn has_queue(tx: &mut Tx<'_>, cx: &Cx, mode: &Mode) -> Result<bool, Error> {
    let id = mode.queue_id(cx);
    let name = Grn::parse(&id).filter(|grn| grn.owner == cx.owner()).map(|grn| grn.rest);
    match name {
        Some(name) => Ok(namespaces::read::<job_queue::Namespaces>(tx, cx, name)?.is_some()),
        None => Ok(false),
    }
}

/// The outcome of a job's script with what became of the transaction that it recorded: made once, however often the job is tried,
/// and a failure of the job when it fails (BEHAVIOUR J-61).
pub(crate) async fn after_job(
    core: &Arc<Core>,
    origin: &Origin,
    script_id: &str,
    mut outcome: hiroba_lua::Outcome,
    otherwise: Mode,
) -> Result<hiroba_lua::Outcome, Error> {
    let Some(transaction) = outcome.transaction.take().filter(|_| outcome.status == 200) else {
        return Ok(outcome);
    };
    let mut cx = Cx::internal(core);
    cx.project = Arc::clone(&origin.project);
    cx.user = origin.user.clone();
    cx.time_offset = origin.time_offset;
    cx.dry_run = origin.dry_run;
    cx.depth = origin.depth;
    cx.once = origin.once.clone();
    let issued = once(&Arc::new(cx), origin.user.clone(), Some(script_id), transaction, otherwise).await;
    let failed = |error: &ApiError| Ok(scripts::failed(&scripts::refused(error)));
    match issued {
        Ok(issued) => match issued.error() {
            Some(error) => failed(&error),
            None => {
                outcome.result = with_members(&outcome.result, issued.members());
                Ok(outcome)
            }
        },
        Err(Error::Refused(error)) => failed(&error),
        Err(error) => Err(error),
    }
}

/// Whether the result of a job, as [`after_job`] made it, has a sheet for a client.
pub(crate) fn has_sheet(result: &str) -> bool {
    let result: Option<Fields> = serde_json::from_str(result).ok();
    result.is_some_and(|result| result.contains_key("stampSheet"))
}

/// Makes the transaction that a script recorded, in a transaction of its own: once, where the run may be repeated. One that ran at
/// once and failed may be made again.
pub(crate) async fn once(
    cx: &Arc<Cx>,
    user: Option<UserId>,
    script_id: Option<&str>,
    transaction: hiroba_lua::Transaction,
    otherwise: Mode,
) -> Result<Issued, Error> {
    let fields = fields_of(&transaction);
    let row = cx.core.table.named(SERVICE.name, KEPT_AS);
    let row = row.ok_or_else(|| Error::Internal("an operation is missing".to_owned()))?;
    let avoider = cx.once.as_ref().map(|once| once.avoider(row, cx, &fields));
    let (making, script_id) = (Arc::clone(cx), script_id.map(str::to_owned));
    let make = move |tx: &mut Tx<'_>| {
        let cx = &making;
        cx.entropy.restart();
        if let Some(avoider) = &avoider
            && let Some(kept) = avoider.answer(tx, cx)?
        {
            return Issued::read(&kept);
        }
        let recorded = recorded(tx, cx, script_id.as_deref(), transaction.clone(), &otherwise)?;
        let issued = issue(tx, cx, user.as_ref(), recorded)?;
        if let Some(avoider) = avoider.as_ref().filter(|_| issued.error().is_none()) {
            avoider.keep(tx, cx, &issued.text())?;
        }
        Ok(issued)
    };
    cx.write(make).await
}

/// The request by which a job's transaction is known again.
fn fields_of(recorded: &hiroba_lua::Transaction) -> Fields {
    let list = |actions: &[hiroba_lua::Action]| {
        Value::from_iter(actions.iter().map(|action| json!([action.action, action.request])))
    };
    Fields::from_iter([
        ("verify".to_owned(), list(&recorded.verify)),
        ("consume".to_owned(), list(&recorded.consume)),
        ("acquire".to_owned(), list(&recorded.acquire)),
    ])
}

/// The result of a script with more members; those of the script win.
fn with_members(result: &str, members: Value) -> String {
    match (serde_json::from_str::<Fields>(result), members) {
        (Ok(result), Value::Object(mut all)) => {
            all.extend(result);
            Value::Object(all).to_string()
        }
        _ => result.to_owned(),
    }
}

fn refuse(member: &str, detail: &str) -> Error {
    ApiError::bad_request(SERVICE.name, "transaction", member, "invalid", detail).into()
}

/// Replaces the placeholders and says for whom each action is where it does not, and refuses what can never run: whoever wrote it
/// learns it now.
pub(super) fn prepared(
    cx: &Cx,
    user: Option<&UserId>,
    mut transaction: Transaction,
    values: &Values,
) -> Result<Transaction, Error> {
    let user = user.map(UserId::as_str);
    let prepare = |role, name: &str, request: &mut String| {
        let ready = action::ready(&cx.core, role, (name, &action::replaced(request, user, values)), user)?;
        *request = ready.request();
        Ok::<_, ApiError>(())
    };
    for item in &mut transaction.verify_actions {
        prepare(Role::Verify, &item.action, &mut item.request)?;
    }
    for item in &mut transaction.consume_actions {
        prepare(Role::Consume, &item.action, &mut item.request)?;
    }
    for item in &mut transaction.acquire_actions {
        prepare(Role::Acquire, &item.action, &mut item.request)?;
    }
    Ok(transaction)
}

/// The transaction with its acquire actions as jobs of built-in scripts (BEHAVIOUR DT-14, DT-33, J-64).
fn by_jobs(
    cx: &Cx,
    mode: &Mode,
    user: Option<&UserId>,
    mut transaction: Transaction,
) -> Result<Transaction, Error> {
    if transaction.acquire_actions.is_empty() {
        return Ok(transaction);
    }
    if transaction.acquire_actions.len() > PUSHED_MAX {
        let detail = format!(
            "acquire actions that run as jobs are one push, which has at most {PUSHED_MAX}; the transaction has {}",
            transaction.acquire_actions.len()
        );
        return Err(
            ApiError::bad_request(SERVICE.name, "transaction", "acquireActions", "tooMany", detail).into()
        );
    }
    let mut jobs = Vec::with_capacity(transaction.acquire_actions.len());
    for item in &transaction.acquire_actions {
        let row = action::row(&cx.core, Role::Acquire, &item.action)?;
        let chars = item.request.chars().count();
        if chars > JOB_ARGS_CHARS_MAX {
            let detail = format!(
                "the request of an acquire action that runs as a job has at most {JOB_ARGS_CHARS_MAX} characters, this one of \
                 `{}` {chars}",
                item.action
            );
            let (service, model) = (SERVICE.name, "transaction");
            return Err(ApiError::bad_request(service, model, "request", "tooLong", detail).into());
        }
        let script = crate::scripts::built_in(&cx.project, row);
        jobs.push(json!({ "scriptId": script, "args": item.request }));
    }
    let queue_id = mode.queue_id(cx);
    let queue = Grn::parse(&queue_id).map(|grn| grn.rest).unwrap_or_default();
    let request = json!({ "namespaceName": queue, "userId": user.map(UserId::as_str), "jobs": jobs });
    transaction.acquire_actions =
        vec![AcquireAction { action: "Gs2JobQueue:PushByUserId".to_owned(), request: request.to_string() }];
    Ok(transaction)
}

pub(super) fn script_result(result: hiroba_api::distributor::TransactionResult) -> TransactionResult {
    TransactionResult {
        transaction_id: result.transaction_id,
        verify_results: result.verify_results,
        consume_results: result.consume_results,
        acquire_results: result.acquire_results,
        has_error: result.has_error,
    }
}

impl Issued {
    /// The error of the action that failed, when it ran at once and one did.
    pub(crate) fn error(&self) -> Option<ApiError> {
        let result = self.result.as_ref().filter(|result| result.has_error)?;
        together::error_of(result)
    }

    /// What clients look for beside a result (BEHAVIOUR DT-10, J-61).
    pub(crate) fn members(&self) -> Value {
        let mut members = json!({
            "transactionId": self.transaction.transaction_id,
            "autoRunStampSheet": self.auto_run,
            "atomicCommit": self.atomic,
        });
        if let Some((sheet, key_id)) = &self.sheet {
            members["stampSheet"] = sheet.as_str().into();
            members["stampSheetEncryptionKeyId"] = key_id.as_str().into();
        } else {
            members["transaction"] = json!(self.transaction);
        }
        if let Some(result) = &self.result {
            members["transactionResult"] = json!(result);
        }
        members
    }

    /// All of it as JSON text.
    fn text(&self) -> String {
        let mut all = self.members();
        all["transaction"] = json!(self.transaction);
        all["scriptId"] = json!(self.script_id);
        all.to_string()
    }

    /// Reads what [`Issued::text`] wrote.
    fn read(text: &str) -> Result<Issued, Error> {
        let mut all: Value =
            serde_json::from_str(text).map_err(|error| Error::internal("reading a transaction", error))?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let result = match all["transactionResult"].take() {
            Value::Null => None,
            value => Some(json::stored(&SERVICE, "transactionResult", value)?),
        };
        Ok(Issued {
            auto_run: all["autoRunStampSheet"] == true,
            atomic: all["atomicCommit"] == true,
            result,
            sheet: text(&all["stampSheet"]).zip(text(&all["stampSheetEncryptionKeyId"])),
            script_id: text(&all["scriptId"]),
            transaction: json::stored(&SERVICE, "transaction", all["transaction"].take())?,
        })
    }

    /// What the answer of the call that ran the script says of it (BEHAVIOUR T-12).
    pub(crate) fn noted(self) -> ScriptTransactionResult {
        ScriptTransactionResult {
            script_id: self.script_id.unwrap_or_default(),
            transaction_id: self.transaction.transaction_id,
            transaction_result: self.result,
        }
    }
}
