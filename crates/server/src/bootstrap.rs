//! What a first start makes: the key that signs tokens, and the administrator with a credential (BEHAVIOUR I-16).

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use hiroba_api::grn::SYSTEM_OWNER;
use hiroba_store::{Store, Tx, params};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::config::Config;
use crate::entropy::{Entropy, random_bytes};
use crate::error::Error;
use crate::pipeline::Core;
use crate::services::identifier::secret_hash;
use crate::vault::Vault;

/// Setting of the store with the key that signs tokens, and what the master key knows it as.
const TOKEN_KEY: &str = "token_key";
/// Identifier user that the bootstrap credential belongs to.
const ADMINISTRATOR: &str = "administrator";

pub(crate) mod sql {
    hiroba_store::statements! {
        /// A setting of the installation.
        SELECT_SETTING = "SELECT value FROM server_setting WHERE name = $1";
        /// Adds a setting unless another node has.
        INSERT_SETTING = "INSERT INTO server_setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        /// Replaces a setting that still has this value.
        REPLACE_SETTING = "UPDATE server_setting SET value = $3 WHERE name = $1 AND value = $2";
        /// Sets a setting.
        UPSERT_SETTING = "INSERT INTO server_setting (name, value) VALUES ($1, $2)
            ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        /// Adds the administrator unless there is one.
        INSERT_ADMINISTRATOR = "INSERT INTO identifier_user
                (owner_id, name, description, created_at, updated_at, revision)
            VALUES ($1, $2, 'Made at first start.', $3, $3, 1) ON CONFLICT (owner_id, name) DO NOTHING";
        /// Gives the administrator its policy.
        INSERT_ADMINISTRATOR_POLICY = "INSERT INTO identifier_attachment
                (owner_id, user_name, policy_owner, policy_name, position)
            VALUES ($1, $2, $3, 'AdministratorAccess', hiroba_next_revision())
            ON CONFLICT (owner_id, user_name, policy_owner, policy_name) DO NOTHING";
        /// Whose a credential is, and the hash of its secret.
        SELECT_CREDENTIAL = "SELECT owner_id, user_name, secret_hash FROM identifier_credential WHERE client_id = $1";
        /// Adds the bootstrap credential, or gives it its secret again.
        UPSERT_CREDENTIAL = "INSERT INTO identifier_credential
                (client_id, owner_id, user_name, secret_hash, guards, created_at)
            VALUES ($1, $2, $3, $4, '[]', $5)
            ON CONFLICT (client_id) DO UPDATE SET secret_hash = excluded.secret_hash";
    }
}

/// The administrator's credential.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// Owner id of the project.
    pub owner_id: String,
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: String,
}

/// The key that signs tokens; the same on every node and after every start. The store has it sealed.
pub(crate) async fn signing_key(store: &Store, vault: &Vault) -> Result<Vec<u8>, Error> {
    let fresh = vault.seal(TOKEN_KEY, &[], &random_bytes())?;
    let kept = setting(store, TOKEN_KEY, fresh).await?;
    reseal_signing_key(store, vault, &kept).await?;
    vault.open_or_clear(TOKEN_KEY, &[], kept)
}

/// Seals the key that signs tokens under the current master key, if it is not: it lay in clear in former versions.
async fn reseal_signing_key(store: &Store, vault: &Vault, kept: &[u8]) -> Result<u64, Error> {
    let Some(renewed) = vault.renewed(TOKEN_KEY, &[], kept)? else { return Ok(0) };
    let kept = kept.to_vec();
    let replace =
        move |tx: &mut Tx<'_>| Ok(tx.execute(sql::REPLACE_SETTING, params![TOKEN_KEY, &kept, &renewed])?);
    store.write(replace).await
}

/// Does so once more in the background: another node may have put an older master key's value back.
pub(crate) async fn reseal(core: &Core) -> Result<u64, Error> {
    let select = |tx: &mut Tx<'_>| {
        Ok::<_, Error>(tx.query_opt(sql::SELECT_SETTING, params![TOKEN_KEY], |row| row.blob(0))?)
    };
    match core.store.read(select).await? {
        Some(kept) => reseal_signing_key(&core.store, &core.vault, &kept).await,
        None => Ok(0),
    }
}

/// Name of the installation: of all nodes on one store.
pub(crate) async fn installation(store: &Store) -> Result<String, Error> {
    let name = setting(store, "installation", random_bytes().to_vec()).await?;
    Ok(data_encoding::HEXLOWER.encode(&name[..8.min(name.len())]))
}

/// A setting that is drawn once: what it is, or this from now on.
async fn setting(store: &Store, name: &'static str, fresh: Vec<u8>) -> Result<Vec<u8>, Error> {
    store
        .write(move |tx| {
            tx.execute(sql::INSERT_SETTING, params![name, &fresh])?;
            let value = tx.query_opt(sql::SELECT_SETTING, params![name], |row| row.blob(0))?;
            value.ok_or_else(|| Error::Internal(format!("the setting {name} is missing")))
        })
        .await
}

/// Where a credential that the server made is kept.
pub(crate) fn credential_path(data_dir: &Path) -> PathBuf {
    data_dir.join("credentials.json")
}

/// The administrator's credential: from the settings, else the one made at first start, else a new one. Says whether it
/// is new.
pub(crate) fn credential(config: &Config) -> anyhow::Result<(Credential, bool)> {
    let owner_id = config.owner_id.clone();
    if let (Some(client_id), Some(client_secret)) = (&config.client_id, &config.client_secret) {
        let (client_id, client_secret) = (client_id.clone(), client_secret.clone());
        return Ok((Credential { owner_id, client_id, client_secret }, false));
    }
    let path = credential_path(&config.data_dir);
    let kept = match std::fs::read(&path) {
        Ok(bytes) => {
            let kept: Credential =
                serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))?;
            Some(kept)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    let other = match kept {
        Some(kept) if kept.owner_id == owner_id => return Ok((kept, false)),
        other => other,
    };
    // The folder served another owner, whose credential stays beside the present one's.
    let aside = |owner: &str| config.data_dir.join(format!("credentials-{owner}.json"));
    if let Some(other) = other {
        std::fs::rename(&path, aside(&other.owner_id))?;
        if std::fs::exists(aside(&owner_id))? {
            std::fs::rename(aside(&owner_id), &path)?;
            return credential(config);
        }
    }
    let entropy = Entropy::default();
    let made = Credential { owner_id, client_id: entropy.text(), client_secret: entropy.text() };
    let text = serde_json::to_string_pretty(&made)?;
    write_private(&path, text.as_bytes())?;
    Ok((made, true))
}

/// Writes a file that only its owner can read; it is there whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let partial = path.with_extension("partial");
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// Makes sure that the administrator exists and has this credential.
pub(crate) async fn ensure_administrator(
    store: &Store,
    clock: &Clock,
    credential: &Credential,
) -> Result<(), Error> {
    let (credential, now) = (credential.clone(), clock.now());
    let hash = secret_hash(&credential.client_secret);
    let ensure = move |tx: &mut Tx<'_>| {
        let owner = credential.owner_id.as_str();
        if tx.execute(sql::INSERT_ADMINISTRATOR, params![owner, ADMINISTRATOR, now.0])? == 1 {
            tx.execute(sql::INSERT_ADMINISTRATOR_POLICY, params![owner, ADMINISTRATOR, SYSTEM_OWNER])?;
        }
        let client_id = &credential.client_id;
        let present = tx.query_opt(sql::SELECT_CREDENTIAL, params![client_id], |row| {
            Ok((row.text(0)?, row.text(1)?, row.blob(2)?))
        })?;
        match present {
            Some((of, user, _)) if of != owner || user != ADMINISTRATOR => {
                let problem = format!("client id {client_id} belongs to another user; choose another one");
                return Err(Error::Internal(problem));
            }
            // Most starts change nothing, and what changes nothing waits for no disk.
            Some((_, _, present)) if present == hash => {}
            _ => {
                let params = params![client_id, owner, ADMINISTRATOR, &hash, now.0];
                tx.execute(sql::UPSERT_CREDENTIAL, params)?;
            }
        }
        Ok(())
    };
    store.write(ensure).await
}
