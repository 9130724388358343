//! Brings everything sealed under the current master key, in the background after a start: what lies in clear from before
//! there was a master key, and what is under a key that only opens any more.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use hiroba_store::{Tx, params};
use tokio::sync::watch;

use super::Vault;
use crate::bootstrap::{self, sql};
use crate::error::Error;
use crate::pipeline::Core;
use crate::services::{chat, gateway, identifier, key};

/// Rows that one transaction reads or replaces, so that no caller waits long behind it.
const ROWS_MAX: usize = 100;
/// Time before another attempt when the store failed.
const PAUSE: Duration = Duration::from_secs(30);
/// Setting of the store that says under which key everything is.
const DONE_SETTING: &str = "master_key_sealed";
/// Which resources a pass looks at; grows when one joins whose secrets lay in clear.
const RESOURCES: u8 = 1;

/// One pass over everything that is sealed: how much it sealed anew. A resource that joins adds its line here.
async fn everything(core: &Arc<Core>) -> Result<u64, Error> {
    let mut sealed = bootstrap::reseal(core).await?;
    sealed += identifier::reseal(core).await?;
    sealed += gateway::reseal(core).await?;
    sealed += chat::reseal(core).await?;
    sealed += key::reseal(core).await?;
    Ok(sealed)
}

/// Rows with their keys and what is kept of their values.
pub(crate) type Found<R> = Vec<(<R as SealedRows>::Key, <R as SealedRows>::Value)>;

/// Rows that hold a sealed value, for [`rows`].
pub(crate) trait SealedRows: Sized + 'static {
    /// What they are, for messages.
    const WHAT: &'static str;
    /// Their key. The default comes before every key there is.
    type Key: Clone + Debug + Default + Send + 'static;
    /// What is kept of the value.
    type Value: Clone + Send + 'static;

    /// The rows behind this one in the order of their keys.
    fn select(tx: &mut Tx<'_>, after: &Self::Key, count: i64) -> Result<Found<Self>, Error>;

    /// What to keep in place of the value; `None` when it may stay.
    fn renewed(vault: &Vault, key: &Self::Key, value: &Self::Value) -> Result<Option<Self::Value>, Error>;

    /// Replaces a value unless it has changed meanwhile.
    fn replace(tx: &mut Tx<'_>, key: &Self::Key, old: &Self::Value, new: &Self::Value) -> Result<u64, Error>;
}

/// Seals anew what needs it in these rows, some at a time: how many there were.
///
/// Goes past rows that cannot be opened and fails at the end with how many there are.
pub(crate) async fn rows<R: SealedRows>(core: &Core) -> Result<u64, Error> {
    let (mut sealed, mut closed) = (0, 0);
    let mut after = R::Key::default();
    loop {
        let place = after.clone();
        let found = core.store.read(move |tx| R::select(tx, &place, ROWS_MAX as i64)).await?;
        let Some((last, _)) = found.last() else { break };
        after = last.clone();
        let is_last = found.len() < ROWS_MAX;
        let mut changes = Vec::new();
        for (key, old) in found {
            match R::renewed(&core.vault, &key, &old) {
                Ok(Some(new)) => changes.push((key, old, new)),
                Ok(None) => {}
                Err(error) => {
                    closed += 1;
                    tracing::error!(what = R::WHAT, ?key, %error, "a secret cannot be read");
                }
            }
        }
        if !changes.is_empty() {
            let replace = move |tx: &mut Tx<'_>| {
                let mut replaced = 0;
                for (key, old, new) in &changes {
                    replaced += R::replace(tx, key, old, new)?;
                }
                Ok::<_, Error>(replaced)
            };
            sealed += core.store.write(replace).await?;
        }
        if is_last {
            break;
        }
    }
    if closed > 0 {
        return Err(Error::Internal(format!("{closed} of the {} cannot be read", R::WHAT)));
    }
    Ok(sealed)
}

/// Makes one pass if one is needed; tries again while the store fails, until `stop` says so.
pub(crate) async fn run(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    loop {
        let failed = tokio::select! {
            done = pass(&core) => match done {
                Ok(()) => return,
                Err(error) => error,
            },
            _ = stop.changed() => return,
        };
        let source = &core.vault.source;
        let Error::Store(error) = failed else {
            tracing::error!(
                error = %failed,
                "not everything could be sealed under the current master key: remove no key from {source}, and put keys back \
                 that were removed"
            );
            return;
        };
        tracing::warn!(%error, "sealing under the current master key stopped; it goes on soon");
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = stop.changed() => return,
        }
    }
}

/// With one key everything that opens is under it: what is left to find was found by the first pass. With several a pass is
/// made at each start, since another node may have sealed under an older key since.
async fn pass(core: &Arc<Core>) -> Result<(), Error> {
    let done = [&[RESOURCES], core.vault.keys[0].id.as_slice()].concat();
    let known = core
        .store
        .read(|tx| {
            Ok::<_, Error>(tx.query_opt(sql::SELECT_SETTING, params![DONE_SETTING], |row| row.blob(0))?)
        })
        .await?;
    if !core.vault.has_older_keys() && known.as_ref() == Some(&done) {
        return Ok(());
    }
    let sealed = everything(core).await?;
    let key = core.vault.current_id();
    if known.as_ref() != Some(&done) {
        let mark = move |tx: &mut Tx<'_>| {
            tx.execute(sql::UPSERT_SETTING, params![DONE_SETTING, &done])?;
            Ok::<_, Error>(())
        };
        core.store.write(mark).await?;
    }
    if core.vault.has_older_keys() {
        tracing::info!(
            key,
            sealed,
            "no secret is under an older master key any more; when every node says so the older ones can be removed from {}",
            core.vault.source
        );
    } else if sealed > 0 {
        tracing::info!(key, sealed, "secrets that lay in clear are sealed under the master key");
    }
    Ok(())
}
