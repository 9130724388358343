//! Which master key a server has, and whether its database belongs to it.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use hiroba_store::{Store, Tx, params};

use super::{HEAD_BYTES, KEY_BYTES, Source, Vault};
use crate::bootstrap::sql;
use crate::config::Config;
use crate::entropy::random_bytes;
use crate::error::Error;

/// Setting of the store that says which master key it belongs to: a value sealed under it. It is also the value's purpose.
const CHECK_SETTING: &str = "master_key_check";
/// What that value says.
const CHECK: &[u8] = b"hiroba";

/// The vault of this store's master key: given in the settings, kept in the file, or made when the store never had one.
///
/// Fails with a sentence when the key cannot be read, or is not the one that the store belongs to; the store is then closed.
pub(crate) async fn unlock(store: &Store, config: &Config) -> anyhow::Result<Arc<Vault>> {
    let vault = find(store, config).await;
    if vault.is_err() {
        // Else its files would stay taken a while.
        store.close().await;
    }
    vault
}

async fn find(store: &Store, config: &Config) -> anyhow::Result<Arc<Vault>> {
    let known = store.read(check).await.map_err(anyhow::Error::from)?;
    let (vault, made) = match &config.master_key {
        Some(given) => (Vault::parse(given.text(), Source::Setting)?, None),
        None => kept(&key_path(config), known.as_deref())?,
    };
    let vault = Arc::new(vault);
    let agreed = agree(store, &vault).await?;
    if let Err(error) = vault.open(CHECK_SETTING, &[], &agreed) {
        // Another node was faster: its key counts, and what was made just now has sealed nothing.
        if let Some(path) = made {
            std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
        anyhow::bail!(refusal(&vault, &agreed, &error));
    }
    renew(store, &vault, agreed).await?;
    Ok(vault)
}

/// Where the master key is kept when it is not given.
fn key_path(config: &Config) -> PathBuf {
    config.master_key_file.clone().unwrap_or_else(|| config.data_dir.join("master.key"))
}

fn check(tx: &mut Tx<'_>) -> Result<Option<Vec<u8>>, Error> {
    Ok(tx.query_opt(sql::SELECT_SETTING, params![CHECK_SETTING], |row| row.blob(0))?)
}

/// Has the store belong to this key unless it belongs to one: what proves which one. Of several nodes that start at once
/// one is first, and the others see its value.
async fn agree(store: &Store, vault: &Vault) -> Result<Vec<u8>, Error> {
    let fresh = vault.seal(CHECK_SETTING, &[], CHECK)?;
    let agree = move |tx: &mut Tx<'_>| {
        if let Some(known) = check(tx)? {
            return Ok(known);
        }
        tx.execute(sql::INSERT_SETTING, params![CHECK_SETTING, &fresh])?;
        check(tx)?.ok_or_else(|| Error::Internal(format!("the setting {CHECK_SETTING} is missing")))
    };
    store.write(agree).await
}

/// Puts the value under the current key; another node that does the same is as good.
async fn renew(store: &Store, vault: &Vault, known: Vec<u8>) -> Result<(), Error> {
    let Some(renewed) = vault.renewed(CHECK_SETTING, &[], &known)? else { return Ok(()) };
    store
        .write(move |tx| {
            tx.execute(sql::REPLACE_SETTING, params![CHECK_SETTING, &known, &renewed])?;
            Ok(())
        })
        .await
}

fn refusal(vault: &Vault, check: &[u8], error: &Error) -> String {
    let source = &vault.source;
    let current = vault.current_id();
    let wanted = data_encoding::HEXLOWER.encode(check.get(1..HEAD_BYTES).unwrap_or_default());
    format!(
        "the database belongs to another master key (its name is {wanted}) than the one in {source} (named {current}). \
         All nodes on one database need the same master key: copy the file master.key of a node that works, or set \
         HIROBA_MASTER_KEY to what it holds. Without the right key the chat messages and secrets in the database cannot \
         be read. ({error})"
    )
}

/// The key of the file; made when there is none and the store belongs to none. Answers the path of a file that was made.
fn kept(path: &Path, known: Option<&[u8]>) -> anyhow::Result<(Vault, Option<PathBuf>)> {
    let mut made = None;
    let read = match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if let Some(known) = known {
                let wanted = data_encoding::HEXLOWER.encode(known.get(1..HEAD_BYTES).unwrap_or_default());
                anyhow::bail!(
                    "the file of the master key, {}, is missing, and the database belongs to a master key already (its \
                     name is {wanted}). Put the file back from its backup or copy it from a node that works, name \
                     another one with --master-key-file, or set HIROBA_MASTER_KEY to what it holds. Without the right \
                     key the chat messages and secrets in the database cannot be read",
                    path.display()
                );
            }
            if write_new(path).with_context(|| format!("writing the master key to {}", path.display()))? {
                made = Some(path.to_owned());
            }
            std::fs::read(path)
        }
        read => read,
    };
    let mut read = read.with_context(|| format!("reading the master key in {}", path.display()))?;
    let vault = Vault::parse(&String::from_utf8_lossy(&read), Source::File(path.to_owned()));
    read.fill(0);
    warn_of_readers(path);
    Ok((vault?, made))
}

/// Makes a file with a new key that only its owner can read; it is there whole or not at all. False when another server
/// on the same folder was faster, whose file stays.
fn write_new(path: &Path) -> std::io::Result<bool> {
    let mut key: [u8; KEY_BYTES] = random_bytes();
    let mut text = data_encoding::HEXLOWER.encode(&key).into_bytes();
    text.push(b'\n');
    let mark = data_encoding::HEXLOWER.encode(&random_bytes()[..8]);
    let partial = path.with_extension(format!("{mark}.partial"));
    let written = write_whole(&partial, path, &text);
    key.fill(0);
    text.fill(0);
    // After a rename there is none any more.
    let _ = std::fs::remove_file(&partial);
    written
}

fn write_whole(partial: &Path, path: &Path, text: &[u8]) -> std::io::Result<bool> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(partial)?;
    file.write_all(text)?;
    file.sync_all()?;
    // A link, unlike a rename, never takes the place of a key that another server has begun to use.
    match std::fs::hard_link(partial, path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        // Some file systems have no links.
        Err(_) if !std::fs::exists(path)? => std::fs::rename(partial, path)?,
        Err(error) => return Err(error),
    }
    // The name too must outlast a crash: what is sealed from now on is lost without the key.
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => std::fs::File::open(folder)?.sync_all()?,
        None => std::fs::File::open(".")?.sync_all()?,
    }
    Ok(true)
}

/// Says so when others than its owner can read the file.
fn warn_of_readers(path: &Path) {
    #[cfg(unix)]
    if let Ok(metadata) = std::fs::metadata(path) {
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
        if mode & 0o077 != 0 {
            let mode = format!("{:o}", mode & 0o777);
            tracing::warn!(path = %path.display(), mode, "others than its owner can reach the file of the master key");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("hiroba_vault_{}_{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn of_many_who_make_the_file_one_does() {
        let folder = folder("many");
        let path = folder.join("master.key");
        let makers: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || {
                    let (vault, made) = kept(&path, None).unwrap();
                    (vault.current_id(), made.is_some())
                })
            })
            .collect();
        let made: Vec<_> = makers.into_iter().map(|maker| maker.join().unwrap()).collect();
        assert_eq!(made.iter().filter(|(_, made)| *made).count(), 1, "{made:?}");
        assert!(made.iter().all(|(id, _)| *id == made[0].0), "{made:?}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn no_file_is_made_for_a_store_that_has_a_key() {
        let folder = folder("known");
        let path = folder.join("master.key");
        let problem = kept(&path, Some(&[1, 0xab, 0xcd, 0xef, 0x01, 0])).unwrap_err().to_string();
        assert!(problem.contains("is missing") && problem.contains("abcdef01"), "{problem}");
        assert!(problem.contains(path.to_str().unwrap()), "{problem}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        let problem = format!("{:#}", kept(&folder.join("none").join("key"), None).unwrap_err());
        assert!(problem.contains("writing the master key to"), "{problem}");
        let problem = format!("{:#}", kept(&folder, None).unwrap_err());
        assert!(problem.contains("reading the master key in"), "{problem}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
