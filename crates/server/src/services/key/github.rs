//! Keys of GitHub, and fetching a file with one: `/key/{namespaceName}/github…` (BEHAVIOUR K-03, SC-01).

use std::sync::Arc;

use hiroba_api::contract::{Item, Page, UnixMillis};
use hiroba_api::error::{ApiError, ErrorItem, Status};
use hiroba_api::key::{
    ApiKeyText, CreateGitHubApiKey, DeleteGitHubApiKey, DescribeGitHubApiKeys, GetGitHubApiKey, GitHubApiKey,
    MASK, Namespaces, SERVICE, UpdateGitHubApiKey,
};
use hiroba_api::names::{Description, EntityName};
use hiroba_api::script::GitHubCheckoutSetting;
use hiroba_store::{Row, StoreError, Tx, params};

use super::{secret, signing};
use crate::cx::Cx;
use crate::error::Error;
use crate::outbound::github::{File, Problem};
use crate::registry::Registry;
use crate::services::{namespaces, page};

/// What keys of GitHub are encrypted as.
const PURPOSE: &str = "gitHubApiKey";
/// Model of a kept key.
const MODEL: &str = "gitHubApiKey";
/// Model of the setting that says which file.
const SETTING: &str = "gitHubCheckoutSetting";
/// Characters that a file may have, as those of a script (BEHAVIOUR SC-01) and of master data.
const CHARS_MAX: usize = 5_242_880;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// A page of kept keys.
        SELECT_API_KEYS = "SELECT name, description, encryption_key_name, created_at, updated_at, revision
            FROM key_git_hub_api_key
            WHERE owner_id = $1 AND namespace_name = $2 AND name > $3 ORDER BY name LIMIT $4";
        /// One kept key.
        SELECT_API_KEY = "SELECT name, description, encryption_key_name, created_at, updated_at, revision
            FROM key_git_hub_api_key WHERE owner_id = $1 AND namespace_name = $2 AND name = $3";
        /// What is encrypted of a kept key, and with which key.
        SELECT_ENCRYPTED = "SELECT api_key, encryption_key_name FROM key_git_hub_api_key
            WHERE owner_id = $1 AND namespace_name = $2 AND name = $3";
        /// Adds a kept key unless there is one of this name.
        INSERT_API_KEY = "INSERT INTO key_git_hub_api_key (owner_id, namespace_name, name, description, api_key,
                encryption_key_name, created_at, updated_at, revision)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 1) ON CONFLICT (owner_id, namespace_name, name) DO NOTHING";
        /// Replaces a kept key.
        UPDATE_API_KEY = "UPDATE key_git_hub_api_key
            SET description = $4, api_key = $5, encryption_key_name = $6, updated_at = $7, revision = revision + 1
            WHERE owner_id = $1 AND namespace_name = $2 AND name = $3
            RETURNING name, description, encryption_key_name, created_at, updated_at, revision";
        /// Removes a kept key.
        DELETE_API_KEY = "DELETE FROM key_git_hub_api_key WHERE owner_id = $1 AND namespace_name = $2 AND name = $3
            RETURNING name, description, encryption_key_name, created_at, updated_at, revision";
        /// Removes all kept keys of a namespace.
        DELETE_ALL = "DELETE FROM key_git_hub_api_key WHERE owner_id = $1 AND namespace_name = $2";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(describe_git_hub_api_keys);
    registry.write(create_git_hub_api_key);
    registry.write(update_git_hub_api_key);
    registry.read(get_git_hub_api_key);
    registry.write(delete_git_hub_api_key);
}

struct Stored {
    name: String,
    description: Option<String>,
    encryption_key_name: String,
    created_at: i64,
    updated_at: i64,
    revision: i64,
}

impl Stored {
    fn read(row: &Row<'_>) -> Result<Stored, StoreError> {
        Ok(Stored {
            name: row.text(0)?,
            description: row.opt_text(1)?,
            encryption_key_name: row.text(2)?,
            created_at: row.int(3)?,
            updated_at: row.int(4)?,
            revision: row.int(5)?,
        })
    }

    fn model(self, cx: &Cx, namespace: &str) -> GitHubApiKey {
        GitHubApiKey {
            api_key_id: cx.grn(&SERVICE, &format!("{namespace}:github:{}", self.name)),
            name: EntityName::trusted(self.name),
            description: self.description.map(Description::trusted),
            api_key: MASK.to_owned(),
            encryption_key_name: EntityName::trusted(self.encryption_key_name),
            created_at: UnixMillis(self.created_at),
            updated_at: UnixMillis(self.updated_at),
            revision: self.revision,
        }
    }
}

/// What was found, or 404: `gitHubApiKey`, or `namespace` when even that is missing (BEHAVIOUR E-08).
fn found<T>(tx: &mut Tx<'_>, cx: &Cx, (namespace, name): (&str, &str), row: Option<T>) -> Result<T, Error> {
    namespaces::found_in::<Namespaces, _>(tx, cx, namespace, row, (MODEL, name))
}

fn describe_git_hub_api_keys(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DescribeGitHubApiKeys,
) -> Result<Page<GitHubApiKey>, Error> {
    let namespace = request.namespace_name.as_str();
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let after = page::after(request.page_token.as_ref());
    let params = params![cx.owner(), namespace, after, page::rows(request.limit)];
    let stored = tx.query(sql::SELECT_API_KEYS, params, Stored::read)?;
    let Page { items, next_page_token } = page::page(stored, request.limit, |stored| &stored.name);
    let items = items.into_iter().map(|stored| stored.model(cx, namespace)).collect();
    Ok(Page { items, next_page_token })
}

/// A key of GitHub as it is kept: encrypted with a key of the same namespace, whose secret is under the master key.
///
/// Fails with 404 `key`, with 404 `namespace`.
fn encrypted(
    tx: &mut Tx<'_>,
    cx: &Cx,
    (namespace, name): (&str, &str),
    (api_key, encryption_key): (&ApiKeyText, &EntityName),
) -> Result<Vec<u8>, Error> {
    secret::require(tx, cx, namespace, encryption_key)?.encrypt(PURPOSE, name, api_key.as_bytes())
}

fn create_git_hub_api_key(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &CreateGitHubApiKey,
) -> Result<Item<GitHubApiKey>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.name.as_str());
    let key = &request.encryption_key_name;
    let api_key = encrypted(tx, cx, (namespace, name), (&request.api_key, key))?;
    let (description, now) = (request.description.as_deref(), cx.now.0);
    let params = params![cx.owner(), namespace, name, description, &api_key, key.as_str(), now];
    if tx.execute(sql::INSERT_API_KEY, params)? == 0 {
        return Err(ApiError::exists(SERVICE.name, MODEL, name).into());
    }
    let stored = Stored {
        name: name.to_owned(),
        description: description.map(str::to_owned),
        encryption_key_name: key.to_string(),
        created_at: now,
        updated_at: now,
        revision: 1,
    };
    Ok(Item { item: stored.model(cx, namespace) })
}

fn update_git_hub_api_key(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &UpdateGitHubApiKey,
) -> Result<Item<GitHubApiKey>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.api_key_name.as_str());
    let row = tx.query_opt(sql::SELECT_API_KEY, params![cx.owner(), namespace, name], Stored::read)?;
    found(tx, cx, (namespace, name), row)?;
    let key = &request.encryption_key_name;
    let api_key = encrypted(tx, cx, (namespace, name), (&request.api_key, key))?;
    let description = request.description.as_deref();
    let params = params![cx.owner(), namespace, name, description, &api_key, key.as_str(), cx.now.0];
    let row = tx.query_opt(sql::UPDATE_API_KEY, params, Stored::read)?;
    Ok(Item { item: found(tx, cx, (namespace, name), row)?.model(cx, namespace) })
}

fn get_git_hub_api_key(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &GetGitHubApiKey,
) -> Result<Item<GitHubApiKey>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.api_key_name.as_str());
    let row = tx.query_opt(sql::SELECT_API_KEY, params![cx.owner(), namespace, name], Stored::read)?;
    Ok(Item { item: found(tx, cx, (namespace, name), row)?.model(cx, namespace) })
}

fn delete_git_hub_api_key(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DeleteGitHubApiKey,
) -> Result<Item<GitHubApiKey>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.api_key_name.as_str());
    let row = tx.query_opt(sql::DELETE_API_KEY, params![cx.owner(), namespace, name], Stored::read)?;
    Ok(Item { item: found(tx, cx, (namespace, name), row)?.model(cx, namespace) })
}

/// Removes all kept keys of a namespace.
pub(super) fn delete_all(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
    tx.execute(sql::DELETE_ALL, params![cx.owner(), namespace])?;
    Ok(())
}

/// Refuses a setting of this service in which something is wrong: 400 with everything that is.
///
/// [`checkout`] does so too; this is for who has something to look up in front of it.
pub(crate) fn check(cx: &Cx, service: &str, setting: &GitHubCheckoutSetting) -> Result<(), Error> {
    Ok(Wanted::check(cx, service, setting).map(drop)?)
}

/// The text of the file that a setting of this service names, 1 to 5,242,880 characters without U+0000.
///
/// Asks GitHub, so it belongs in front of a transaction. Fails with 400 and everything that is wrong with the setting; with
/// 400 when there is no such kept key, or GitHub refuses it, or the file is no text of this size; with 402 when GitHub asks
/// to wait; with 404 when GitHub has no such file; with 502 or 504 when it does not answer. All of these name a member of
/// `gitHubCheckoutSetting`.
pub(crate) async fn checkout(
    cx: &Arc<Cx>,
    service: &str,
    setting: &GitHubCheckoutSetting,
) -> Result<String, Error> {
    let wanted = Wanted::check(cx, service, setting)?;
    let (reading, place, asking) = (Arc::clone(cx), wanted.api_key.clone(), service.to_owned());
    let api_key = cx.read(move |tx| api_key(tx, &reading, &place, &asking)).await?;
    let file = File {
        owner: wanted.owner,
        repository: wanted.repository,
        path: wanted.path,
        reference: &wanted.reference,
    };
    let text = cx.core.github.fetch(file, &api_key, CHARS_MAX).await;
    let text = text.map_err(|problem| wanted.refusal(service, setting, problem))?;
    let refuse = |problem: &str, what: &str| {
        let detail = format!("{} {what}", wanted.named(setting));
        Err(ApiError::bad_request(service, SETTING, "sourcePath", problem, detail).into())
    };
    if text.is_empty() {
        return refuse("invalid", "is empty");
    }
    if text.contains('\0') {
        return refuse("invalid", "holds the character U+0000, which no text may");
    }
    Ok(text)
}

/// A kept key, opened.
///
/// Fails with 400 `apiKeyId` when there is none, or when the key is gone that it is encrypted with.
fn api_key(
    tx: &mut Tx<'_>,
    cx: &Cx,
    (namespace, name): &(String, String),
    service: &str,
) -> Result<String, Error> {
    let refuse = |problem: &str, detail: String| {
        Err(ApiError::bad_request(service, SETTING, "apiKeyId", problem, detail).into())
    };
    let read = |row: &Row<'_>| Ok((row.blob(0)?, row.text(1)?));
    let row = tx.query_opt(sql::SELECT_ENCRYPTED, params![cx.owner(), namespace, name], read)?;
    let Some((sealed, encryption_key)) = row else {
        let detail = format!(
            "there is no {MODEL} `{name}` in the Key namespace `{namespace}`; createGitHubApiKey keeps one"
        );
        return refuse("notFound", detail);
    };
    let key = signing::find(tx, cx, namespace, &encryption_key)?;
    let opened = key.and_then(|key| key.decrypt(PURPOSE, name, &sealed));
    match opened.and_then(|plain| String::from_utf8(plain).ok()) {
        Some(api_key) => Ok(api_key),
        None => {
            let detail = format!(
                "the {MODEL} `{name}` cannot be read any more, since the key `{encryption_key}` that encrypted it was \
                 deleted; give it anew with updateGitHubApiKey"
            );
            refuse("failed", detail)
        }
    }
}

/// What a setting names.
struct Wanted<'a> {
    /// Namespace and name of the kept key.
    api_key: (String, String),
    owner: &'a str,
    repository: &'a str,
    path: &'a str,
    reference: String,
    /// Its name as it was given.
    given: &'a str,
    /// Member that says the reference.
    reference_member: &'static str,
}

impl<'a> Wanted<'a> {
    /// Everything that is wrong with a setting, or what it names.
    fn check(cx: &Cx, service: &str, setting: &'a GitHubCheckoutSetting) -> Result<Wanted<'a>, ApiError> {
        let mut items = Vec::new();
        let mut wrong = |member: &str, problem: &str, detail: String| {
            items.push(ErrorItem::new(service, SETTING, member, problem, detail));
        };
        let id = setting.api_key_id.as_deref().or(setting.git_hub_api_key_id.as_deref());
        let mut api_key = None;
        match id.map(|id| signing::place(&cx.project, id, "github")) {
            Some(Ok(place)) => api_key = Some(place),
            Some(Err(problem)) => wrong("apiKeyId", "invalid", format!("`apiKeyId`: {problem}")),
            None => wrong("apiKeyId", "require", "`apiKeyId` is required".to_owned()),
        }
        let repository =
            setting.repository_name.split_once('/').filter(|(owner, name)| is_name(owner) && is_name(name));
        if repository.is_none() {
            let detail = "`repositoryName` must be `owner/name`, of letters, digits, `-`, `_` and `.`, 100 each at most";
            wrong("repositoryName", "invalid", detail.to_owned());
        }
        let path = setting.source_path.strip_prefix('/').unwrap_or(&setting.source_path);
        let is_part = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\\');
        if !path.split('/').all(is_part) {
            let detail = "`sourcePath` must be a path within the repository, such as `scripts/start.lua`, without `.`, \
                          `..`, backslashes and empty parts";
            wrong("sourcePath", "invalid", detail.to_owned());
        }
        let kind = setting.reference_type.as_str();
        let (member, name, prefix) = match kind {
            "commit_hash" => ("commitHash", setting.commit_hash.as_deref(), ""),
            "tag" => ("tagName", setting.tag_name.as_deref(), "refs/tags/"),
            _ => ("branchName", setting.branch_name.as_deref(), "refs/heads/"),
        };
        // An empty text is none.
        let name = name.filter(|name| !name.is_empty());
        let is_hash =
            |text: &str| (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match name {
            None => {
                wrong(member, "require", format!("`{member}` is required when `referenceType` is `{kind}`"));
            }
            Some(name) if kind == "commit_hash" && !is_hash(name) => {
                wrong(member, "invalid", "`commitHash` must have 7 to 64 hexadecimal digits".to_owned());
            }
            Some(_) => {}
        }
        match (api_key, repository, name) {
            (Some(api_key), Some((owner, repository)), Some(name)) if items.is_empty() => {
                let reference = format!("{prefix}{name}");
                Ok(Wanted {
                    api_key,
                    owner,
                    repository,
                    path,
                    reference,
                    given: name,
                    reference_member: member,
                })
            }
            _ => Err(ApiError { status: Status::BadRequest, items }),
        }
    }

    /// The file in words.
    fn named(&self, setting: &GitHubCheckoutSetting) -> String {
        let Wanted { owner, repository, path, given, .. } = self;
        format!(
            "`{path}` of `{owner}/{repository}` at {} `{given}`",
            setting.reference_type.replace('_', " ")
        )
    }

    /// What the caller reads of a problem.
    fn refusal(&self, service: &str, setting: &GitHubCheckoutSetting, problem: Problem) -> ApiError {
        let file = self.named(setting);
        let refuse = |status, member: &str, kind: &str, detail: String| {
            ApiError::one(status, ErrorItem::new(service, SETTING, member, kind, detail))
        };
        let said =
            |words: &str| if words.is_empty() { String::new() } else { format!(", which said: {words}") };
        match problem {
            // Not 401, with which SDKs would sign their own session in again.
            Problem::Refused(words) => {
                let detail = format!("the key was refused by GitHub{}", said(&words));
                refuse(Status::BadRequest, "apiKeyId", "notAuthorized", detail)
            }
            Problem::Missing(words) => {
                let member = self.reference_member;
                let detail = format!(
                    "{file} was not found by GitHub{}; look at `repositoryName`, `sourcePath` and `{member}`, and at \
                     what the key may read",
                    said(&words)
                );
                refuse(Status::NotFound, "sourcePath", "notFound", detail)
            }
            Problem::NoFile => {
                let detail = format!("{file} is a folder or a submodule, no file");
                refuse(Status::BadRequest, "sourcePath", "invalid", detail)
            }
            Problem::TooLong => {
                let detail = format!("{file} has more than {CHARS_MAX} characters");
                refuse(Status::BadRequest, "sourcePath", "tooLong", detail)
            }
            Problem::NoText => {
                refuse(Status::BadRequest, "sourcePath", "invalid", format!("{file} is not UTF-8"))
            }
            Problem::Wait(seconds) => {
                let when = seconds.map_or("later".to_owned(), |seconds| format!("in {seconds} seconds"));
                let detail = format!("GitHub's limit for this key is reached; ask again {when}");
                refuse(Status::QuotaExceeded, "apiKeyId", "failed", detail)
            }
            Problem::Late => {
                let detail = format!("GitHub did not answer in time for {file}");
                refuse(Status::Timeout, "sourcePath", "failed", detail)
            }
            Problem::Failed(words) => {
                refuse(Status::BadGateway, "sourcePath", "failed", format!("{file}: {words}"))
            }
        }
    }
}

/// The names that GitHub gives to users and repositories, and some more.
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=100).contains(&text.len()) && !matches!(text, "." | "..") && text.bytes().all(allowed)
}
