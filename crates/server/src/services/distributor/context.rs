//! The context stack: what clients hand from one call to the next. It is signed, so that they cannot change it: the proof of
//! the tasks that were done, values of placeholders, and the moment of master data (BEHAVIOUR DT-03, DT-16).

use std::collections::{BTreeMap, BTreeSet};

use hiroba_api::contract::UnixMillis;
use hiroba_api::distributor::{
    FreezeMasterData, FreezeMasterDataBySignedTimestamp, FreezeMasterDataByTimestamp, Namespaces,
    NewContextStack, SERVICE, SetTransactionDefaultConfig, SignFreezeMasterDataTimestamp, SignedTimestamp,
};
use hiroba_api::error::ApiError;
use hiroba_store::Tx;
use serde::{Deserialize, Serialize};

use super::signature::{Signed, Signer};
use crate::cx::Cx;
use crate::error::Error;
use crate::registry::Registry;
use crate::services::masters::FORMER_MS;
use crate::services::namespaces;

/// How long a context stack counts.
const LIFETIME_MS: i64 = 24 * 3_600_000;
/// Bytes that the values of a context stack may have together.
const VALUES_BYTES_MAX: usize = 1 << 20;

/// Values of placeholders.
pub(crate) type Values = BTreeMap<String, String>;

/// What a context stack says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Context {
    owner_id: String,
    /// The player whose values and moment these are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    expires_at: i64,
    /// Values of placeholders.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    config: Values,
    /// The moment of which master data is seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frozen_at: Option<i64>,
    /// Tasks that were done.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    done: BTreeSet<String>,
}

impl Context {
    /// What came with the call; nothing when that is no context stack of this server, or one that is too old.
    pub(crate) fn of(cx: &Cx) -> Context {
        let read = || {
            let signed: Signed = serde_json::from_str(cx.context_stack.as_deref()?).ok()?;
            if !Signer::own(cx).fits(&signed.body, &signed.signature) {
                return None;
            }
            let context: Context = serde_json::from_str(&signed.body).ok()?;
            (context.owner_id == cx.owner() && context.expires_at > cx.now.0).then_some(context)
        };
        read().unwrap_or_default()
    }

    fn is_of(&self, user: Option<&str>) -> bool {
        self.user_id.as_deref() == user
    }

    /// Values of placeholders for a player.
    pub(crate) fn values(&self, user: Option<&str>) -> Values {
        if self.is_of(user) { self.config.clone() } else { Values::new() }
    }

    /// The moment of which a player sees master data; now when nothing is said.
    pub(crate) fn frozen_at(&self, user: Option<&str>) -> Option<i64> {
        self.frozen_at.filter(|_| self.is_of(user))
    }

    /// Whether a task was done.
    pub(super) fn proves(&self, task: &str) -> bool {
        self.done.contains(task)
    }

    /// Adds a task that was done.
    pub(super) fn add_done(&mut self, task: &str) {
        self.done.insert(task.to_owned());
    }

    /// The context stack of this; it counts for a day.
    pub(super) fn text(mut self, cx: &Cx) -> String {
        self.owner_id = cx.owner().to_owned();
        self.expires_at = cx.now.0 + LIFETIME_MS;
        // Texts, numbers and lists of them always have a JSON text.
        let body = serde_json::to_string(&self).unwrap_or_default();
        Signer::own(cx).sign(body).text()
    }

    /// What came with the call as far as it is the player's, for adding to it.
    fn of_player(cx: &Cx) -> Result<Context, Error> {
        let user = cx.user()?;
        let context = Context::of(cx);
        let done = context.done.clone();
        let mut own =
            if context.is_of(Some(user)) { context } else { Context { done, ..Context::default() } };
        own.user_id = Some(user.to_string());
        Ok(own)
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(set_transaction_default_config);
    registry.read(freeze_master_data);
    registry.read(sign_freeze_master_data_timestamp);
    registry.read(freeze_master_data_by_signed_timestamp);
    registry.read(freeze_master_data_by_timestamp);
}

fn set_transaction_default_config(
    _: &mut Tx<'_>,
    cx: &Cx,
    request: &SetTransactionDefaultConfig,
) -> Result<NewContextStack, Error> {
    let mut context = Context::of_player(cx)?;
    for config in request.config.iter().flatten() {
        let key = config.key.clone().unwrap_or_default();
        context.config.insert(key, config.value.clone().unwrap_or_default());
    }
    let bytes: usize = context.config.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > VALUES_BYTES_MAX {
        let detail = format!(
            "the values may have {VALUES_BYTES_MAX} bytes together with their names, but have {bytes}"
        );
        return Err(ApiError::bad_request(SERVICE.name, "distribute", "config", "tooLong", detail).into());
    }
    Ok(NewContextStack { new_context_stack: context.text(cx) })
}

fn frozen(cx: &Cx, moment: i64) -> Result<NewContextStack, Error> {
    let refuse = |detail| {
        Err(ApiError::bad_request(SERVICE.name, "distribute", "timestamp", "invalid", detail).into())
    };
    if moment > cx.now.0 {
        return refuse("the moment has not come: nobody knows the master data of the future".to_owned());
    }
    if moment < cx.now.0 - FORMER_MS {
        let hours = FORMER_MS / 3_600_000;
        return refuse(format!("former master data is kept for {hours} hours, and the moment is longer ago"));
    }
    let mut context = Context::of_player(cx)?;
    context.frozen_at = Some(moment);
    Ok(NewContextStack { new_context_stack: context.text(cx) })
}

fn freeze_master_data(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &FreezeMasterData,
) -> Result<NewContextStack, Error> {
    namespaces::require::<Namespaces>(tx, cx, &request.namespace_name)?;
    frozen(cx, cx.now.0)
}

/// A signed moment.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Moment {
    owner_id: String,
    namespace_name: String,
    timestamp: i64,
}

fn sign_freeze_master_data_timestamp(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &SignFreezeMasterDataTimestamp,
) -> Result<SignedTimestamp, Error> {
    let namespace = &request.namespace_name;
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let signer = Signer::new(tx, cx, request.key_id.as_deref())?;
    let UnixMillis(timestamp) = request.timestamp;
    let (owner_id, namespace_name) = (cx.owner().to_owned(), namespace.to_string());
    let moment = Moment { owner_id, namespace_name, timestamp };
    let body = serde_json::to_string(&moment).map_err(|error| Error::internal("writing a moment", error))?;
    let Signed { body, signature } = signer.sign(body);
    Ok(SignedTimestamp { body, signature })
}

fn freeze_master_data_by_signed_timestamp(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &FreezeMasterDataBySignedTimestamp,
) -> Result<NewContextStack, Error> {
    let namespace = &request.namespace_name;
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let signer = Signer::new(tx, cx, request.key_id.as_deref())?;
    let moment: Option<Moment> = serde_json::from_str(&request.body).ok();
    let own = |moment: &Moment| moment.owner_id == cx.owner() && moment.namespace_name == namespace.as_str();
    match moment.filter(own) {
        Some(moment) if signer.fits(&request.body, &request.signature) => frozen(cx, moment.timestamp),
        _ => {
            let detail = "`body` and `signature` must be those that signFreezeMasterDataTimestamp answered for this \
                          namespace and key";
            Err(ApiError::bad_request(SERVICE.name, "distribute", "signature", "invalid", detail).into())
        }
    }
}

fn freeze_master_data_by_timestamp(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &FreezeMasterDataByTimestamp,
) -> Result<NewContextStack, Error> {
    namespaces::require::<Namespaces>(tx, cx, &request.namespace_name)?;
    frozen(cx, request.timestamp.0)
}
