//! What logs say of transactions (BEHAVIOUR LG-09): that one was made, in the log of the namespace whose script made it, and that
//! its actions were executed, in the log of the Distributor namespace.

use std::sync::Arc;

use hiroba_api::distributor::{Namespace, SERVICE};
use hiroba_api::names::UserId;
use hiroba_api::script::{AcquireAction, ConsumeAction, Transaction};
use hiroba_store::Tx;
use serde_json::json;

use crate::cx::Cx;
use crate::logs::{Action, Line};

/// GRN of the log of a Distributor namespace.
pub(super) fn log_of(namespace: Option<&Namespace>) -> Option<&str> {
    namespace?.log_setting.as_ref().map(|setting| &*setting.logging_namespace_id)
}

/// A transaction was made by a script.
pub(super) fn issued(tx: &mut Tx<'_>, cx: &Cx, log: Option<&str>, user: &UserId, transaction: &Transaction) {
    let Some(log) = log else { return };
    let task = |item: &ConsumeAction| json!({ "action": item.action, "args": item.request }).to_string();
    let tasks: Vec<String> = transaction.consume_actions.iter().map(task).collect();
    // One that gives nothing is a line too.
    let nothing = [AcquireAction { action: String::new(), request: "{}".to_owned() }];
    let acquire = match &*transaction.acquire_actions {
        [] => &nothing,
        actions => actions,
    };
    let lines = acquire.iter().map(|item| {
        let action = Action {
            id: transaction.transaction_id.clone(),
            service: "script",
            method: "invoke",
            user_id: Some(user.clone()),
            action: item.action.clone(),
            args: item.request.clone(),
        };
        Line::issued(cx, log, action, tasks.clone())
    });
    when_committed(tx, cx, lines.flatten().collect());
}

/// An action that was executed: its id, its name and its request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Executed<'a> {
    /// Id of the transaction, or of the task.
    pub(super) id: &'a str,
    pub(super) action: &'a str,
    pub(super) request: &'a str,
    /// Plain verb of the call that ran it.
    pub(super) method: &'static str,
}

impl Executed<'_> {
    fn told(self, user: Option<&UserId>) -> Action {
        Action {
            id: self.id.to_owned(),
            service: SERVICE.name,
            method: self.method,
            user_id: user.cloned(),
            action: self.action.to_owned(),
            args: self.request.to_owned(),
        }
    }

    /// As a consume action.
    pub(super) fn task(self, cx: &Cx, log: &str, user: Option<&UserId>) -> Option<Line> {
        Line::executed_task(cx, log, self.told(user))
    }

    /// As an acquire action.
    pub(super) fn sheet(self, cx: &Cx, log: &str, user: Option<&UserId>) -> Option<Line> {
        Line::executed_sheet(cx, log, self.told(user))
    }
}

/// Writes lines when the transaction commits.
pub(super) fn when_committed(tx: &mut Tx<'_>, cx: &Cx, lines: Vec<Line>) {
    if lines.is_empty() {
        return;
    }
    let core = Arc::clone(&cx.core);
    tx.on_commit(move || lines.into_iter().for_each(|line| core.logs.keep(line)));
}
