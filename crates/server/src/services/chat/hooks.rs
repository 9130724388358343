//! The scripts that a namespace sets around changes (BEHAVIOUR CH-70 … CH-74).

use std::sync::Arc;

use hiroba_api::chat::{Namespace, SERVICE};
use hiroba_api::error::{ApiError, ErrorItem, Status};
use hiroba_api::names::UserId;
use hiroba_api::namespace::ScriptSetting;
use hiroba_store::Tx;
use serde_json::Value;

use crate::cx::Cx;
use crate::error::Error;
use crate::services::distributor::Mode;
use crate::services::triggers::{self, Subject};

/// Whether a script runs before the change.
pub(super) fn has_before(setting: Option<&ScriptSetting>) -> bool {
    setting.is_some_and(|setting| setting.trigger_script_id.is_some())
}

/// What scripts get, made only where there are any.
pub(super) fn args(setting: Option<&ScriptSetting>, args: impl FnOnce() -> Value) -> Value {
    if setting.is_some() { args() } else { Value::Null }
}

/// A change with scripts around it.
pub(super) struct Hook {
    subject: Subject,
    player: Option<UserId>,
    args: Value,
}

impl Hook {
    /// A change of a model that a player makes, or somebody in the player's name.
    pub(super) fn new(
        model: &'static str,
        action: &'static str,
        player: Option<&UserId>,
        args: Value,
    ) -> Hook {
        Hook { subject: Subject { service: SERVICE.name, model, action }, player: player.cloned(), args }
    }

    /// Runs the script before the change, if there is one. Fails unless it permits the change (BEHAVIOUR CH-72).
    pub(super) async fn before(
        &self,
        cx: &Arc<Cx>,
        namespace: &Namespace,
        setting: Option<&ScriptSetting>,
    ) -> Result<(), Error> {
        let mode =
            Mode::new(namespace.transaction_setting.as_ref(), namespace.transaction_setting_v2.as_ref());
        let Some(result) = triggers::before(cx, setting, self.subject, &self.args, mode).await? else {
            return Ok(());
        };
        let refuse = |status, detail: &str| {
            let item = ErrorItem::new(SERVICE.name, self.subject.model, "script", "failed", detail);
            Err(ApiError::one(status, item).into())
        };
        match result.get("permit") {
            Some(Value::Bool(true)) => Ok(()),
            Some(Value::Bool(false)) => {
                refuse(Status::BadRequest, "the namespace's script does not permit this")
            }
            _ => refuse(
                Status::Internal,
                "the namespace's script must set `result = {permit = true}` or `false`",
            ),
        }
    }

    /// Has done after the change of this transaction what the setting says.
    pub(super) fn done(
        &self,
        tx: &mut Tx<'_>,
        cx: &Cx,
        setting: Option<&ScriptSetting>,
    ) -> Result<(), Error> {
        triggers::done(tx, cx, self.player.as_ref(), setting, self.subject, &self.args)
    }
}
