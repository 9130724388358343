//! Stored scripts: `/script/{namespaceName}/script…` (BEHAVIOUR SC-01, SC-02).

use std::sync::Arc;

use hiroba_api::contract::{Item, Page, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::names::{Description, EntityName};
use hiroba_api::script::{
    CreateScript, CreateScriptFromGitHub, DeleteScript, DescribeScripts, GetScript, Namespaces, SERVICE,
    Script, UpdateScript, UpdateScriptFromGitHub,
};
use hiroba_store::{Row, StoreError, Tx, params};

use crate::cx::Cx;
use crate::error::Error;
use crate::registry::{Answered, Registry, Steps};
use crate::services::key::github::{check, checkout};
use crate::services::{namespaces, page};

/// Scripts that are read at once; together they may be large.
const CHUNK: i64 = 8;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// Some scripts whose names begin with a prefix: at least `$4`, below `$5`.
        SELECT_SCRIPTS = "SELECT name, description, script, keep_digit_texts, created_at, updated_at, revision
            FROM script_script
            WHERE owner_id = $1 AND namespace_name = $2 AND name > $3 AND name >= $4 AND name < $5
            ORDER BY name LIMIT $6";
        /// One script.
        SELECT_SCRIPT = "SELECT name, description, script, keep_digit_texts, created_at, updated_at, revision
            FROM script_script WHERE owner_id = $1 AND namespace_name = $2 AND name = $3";
        /// Which content a script has.
        SELECT_VERSION = "SELECT version FROM script_script
            WHERE owner_id = $1 AND namespace_name = $2 AND name = $3";
        /// The content of a script.
        SELECT_SOURCE = "SELECT version, script, keep_digit_texts FROM script_script
            WHERE owner_id = $1 AND namespace_name = $2 AND name = $3";
        /// Adds a script unless there is one of this name; no row either when there is no namespace.
        INSERT_SCRIPT = "INSERT INTO script_script (owner_id, namespace_name, name, description, script,
                keep_digit_texts, created_at, updated_at, revision, version)
            SELECT owner_id, name, CAST($4 AS text), CAST($5 AS text), CAST($6 AS text), CAST($7 AS BIGINT),
                CAST($8 AS BIGINT), CAST($8 AS BIGINT), 1, hiroba_next_revision()
            FROM namespace WHERE owner_id = $1 AND service = $2 AND name = $3
            ON CONFLICT (owner_id, namespace_name, name) DO NOTHING";
        /// Replaces a script.
        UPDATE_SCRIPT = "UPDATE script_script SET description = $4, script = $5, keep_digit_texts = $6, updated_at = $7,
                revision = revision + 1, version = hiroba_next_revision()
            WHERE owner_id = $1 AND namespace_name = $2 AND name = $3
            RETURNING name, description, script, keep_digit_texts, created_at, updated_at, revision";
        /// Removes a script.
        DELETE_SCRIPT = "DELETE FROM script_script WHERE owner_id = $1 AND namespace_name = $2 AND name = $3
            RETURNING name, description, script, keep_digit_texts, created_at, updated_at, revision";
        /// Removes all scripts of a namespace.
        DELETE_ALL = "DELETE FROM script_script WHERE owner_id = $1 AND namespace_name = $2";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(describe_scripts);
    registry.write(create_script);
    registry.steps(create_script_from_git_hub);
    registry.read(get_script);
    registry.write(update_script);
    registry.steps(update_script_from_git_hub);
    registry.write(delete_script);
}

struct Stored {
    name: String,
    description: Option<String>,
    script: String,
    keep_digit_texts: bool,
    created_at: i64,
    updated_at: i64,
    revision: i64,
}

impl Stored {
    fn read(row: &Row<'_>) -> Result<Stored, StoreError> {
        Ok(Stored {
            name: row.text(0)?,
            description: row.opt_text(1)?,
            script: row.text(2)?,
            keep_digit_texts: row.int(3)? != 0,
            created_at: row.int(4)?,
            updated_at: row.int(5)?,
            revision: row.int(6)?,
        })
    }

    fn model(self, cx: &Cx, namespace: &str) -> Script {
        Script {
            script_id: cx.grn(&SERVICE, &format!("{namespace}:script:{}", self.name)),
            name: EntityName::trusted(self.name),
            description: self.description.map(Description::trusted),
            script: self.script,
            disable_string_number_to_number: self.keep_digit_texts,
            created_at: UnixMillis(self.created_at),
            updated_at: UnixMillis(self.updated_at),
            revision: self.revision,
        }
    }
}

/// What was found, or 404: `script`, or `namespace` when even that is missing (BEHAVIOUR E-08).
fn found<T>(tx: &mut Tx<'_>, cx: &Cx, (namespace, name): (&str, &str), row: Option<T>) -> Result<T, Error> {
    namespaces::found_in::<Namespaces, _>(tx, cx, namespace, row, ("script", name))
}

/// The next run must see what this transaction changes.
fn changed(tx: &mut Tx<'_>, cx: &Cx) {
    let core = Arc::clone(&cx.core);
    tx.on_commit(move || core.scripts.changed());
}

fn describe_scripts(tx: &mut Tx<'_>, cx: &Cx, request: &DescribeScripts) -> Result<Page<Script>, Error> {
    namespaces::require::<Namespaces>(tx, cx, &request.namespace_name)?;
    let prefix = request.name_prefix.as_deref().unwrap_or_default();
    // No character sorts above the last code point, so this bounds every name that begins with the prefix.
    let below = format!("{prefix}\u{10ffff}");
    let after = page::after(request.page_token.as_ref()).to_owned();
    let select = |after: &String, count| {
        let params = params![cx.owner(), request.namespace_name.as_str(), after, prefix, &below, count];
        Ok(tx.query(sql::SELECT_SCRIPTS, params, Stored::read)?)
    };
    let bytes = |stored: &Stored| stored.script.len();
    let page = page::bounded(request.limit, after, CHUNK, select, |stored| stored.name.clone(), bytes)?;
    let items = page.items.into_iter().map(|stored| stored.model(cx, &request.namespace_name)).collect();
    Ok(Page { items, next_page_token: page.next_page_token })
}

/// What is set of a script.
#[derive(Debug)]
struct Settings<'a> {
    description: Option<&'a str>,
    script: &'a str,
    keep_digit_texts: bool,
}

fn create(
    tx: &mut Tx<'_>,
    cx: &Cx,
    (namespace, name): (&str, &str),
    settings: &Settings<'_>,
) -> Result<Item<Script>, Error> {
    let &Settings { description, script, keep_digit_texts } = settings;
    let keep = i64::from(keep_digit_texts);
    let params = params![cx.owner(), SERVICE.name, namespace, name, description, script, keep, cx.now.0];
    if tx.execute(sql::INSERT_SCRIPT, params)? == 0 {
        namespaces::require::<Namespaces>(tx, cx, namespace)?;
        return Err(ApiError::exists(SERVICE.name, "script", name).into());
    }
    changed(tx, cx);
    let stored = Stored {
        name: name.to_owned(),
        description: description.map(str::to_owned),
        script: script.to_owned(),
        keep_digit_texts,
        created_at: cx.now.0,
        updated_at: cx.now.0,
        revision: 1,
    };
    Ok(Item { item: stored.model(cx, namespace) })
}

fn update(
    tx: &mut Tx<'_>,
    cx: &Cx,
    (namespace, name): (&str, &str),
    settings: &Settings<'_>,
) -> Result<Item<Script>, Error> {
    let &Settings { description, script, keep_digit_texts } = settings;
    let keep = i64::from(keep_digit_texts);
    let params = params![cx.owner(), namespace, name, description, script, keep, cx.now.0];
    let row = tx.query_opt(sql::UPDATE_SCRIPT, params, Stored::read)?;
    let stored = found(tx, cx, (namespace, name), row)?;
    changed(tx, cx);
    Ok(Item { item: stored.model(cx, namespace) })
}

fn create_script(tx: &mut Tx<'_>, cx: &Cx, request: &CreateScript) -> Result<Item<Script>, Error> {
    let settings = Settings {
        description: request.description.as_deref(),
        script: &request.script,
        keep_digit_texts: request.disable_string_number_to_number,
    };
    create(tx, cx, (&request.namespace_name, &request.name), &settings)
}

fn get_script(tx: &mut Tx<'_>, cx: &Cx, request: &GetScript) -> Result<Item<Script>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.script_name.as_str());
    let row = tx.query_opt(sql::SELECT_SCRIPT, params![cx.owner(), namespace, name], Stored::read)?;
    Ok(Item { item: found(tx, cx, (namespace, name), row)?.model(cx, namespace) })
}

fn update_script(tx: &mut Tx<'_>, cx: &Cx, request: &UpdateScript) -> Result<Item<Script>, Error> {
    let settings = Settings {
        description: request.description.as_deref(),
        script: &request.script,
        keep_digit_texts: request.disable_string_number_to_number,
    };
    update(tx, cx, (&request.namespace_name, &request.script_name), &settings)
}

fn delete_script(tx: &mut Tx<'_>, cx: &Cx, request: &DeleteScript) -> Result<Item<Script>, Error> {
    let (namespace, name) = (request.namespace_name.as_str(), request.script_name.as_str());
    let row = tx.query_opt(sql::DELETE_SCRIPT, params![cx.owner(), namespace, name], Stored::read)?;
    let stored = found(tx, cx, (namespace, name), row)?;
    changed(tx, cx);
    Ok(Item { item: stored.model(cx, namespace) })
}

async fn create_script_from_git_hub(steps: Steps<CreateScriptFromGitHub>) -> Result<Answered, Error> {
    let request = steps.request();
    check(&steps.cx, SERVICE.name, &request.checkout_setting)?;
    let (cx, namespace, name) = (Arc::clone(&steps.cx), request.namespace_name.clone(), request.name.clone());
    // What is in vain is refused before GitHub is asked.
    let look = move |tx: &mut Tx<'_>| match select(tx, &cx, (&namespace, &name))? {
        Some(_) => Err(ApiError::exists(SERVICE.name, "script", &name).into()),
        None => namespaces::require::<Namespaces>(tx, &cx, &namespace),
    };
    steps.cx.read(look).await?;
    let script = checkout(&steps.cx, SERVICE.name, &request.checkout_setting).await?;
    let handle = move |tx: &mut Tx<'_>, cx: &Cx, request: &CreateScriptFromGitHub| {
        let settings = Settings {
            description: request.description.as_deref(),
            script: &script,
            keep_digit_texts: request.disable_string_number_to_number,
        };
        create(tx, cx, (&request.namespace_name, &request.name), &settings)
    };
    steps.write(handle).await
}

async fn update_script_from_git_hub(steps: Steps<UpdateScriptFromGitHub>) -> Result<Answered, Error> {
    let request = steps.request();
    check(&steps.cx, SERVICE.name, &request.checkout_setting)?;
    let (cx, namespace, name) =
        (Arc::clone(&steps.cx), request.namespace_name.clone(), request.script_name.clone());
    let look = move |tx: &mut Tx<'_>| {
        let version = select(tx, &cx, (&namespace, &name))?;
        found(tx, &cx, (&namespace, &name), version)
    };
    steps.cx.read(look).await?;
    let script = checkout(&steps.cx, SERVICE.name, &request.checkout_setting).await?;
    let handle = move |tx: &mut Tx<'_>, cx: &Cx, request: &UpdateScriptFromGitHub| {
        let settings = Settings {
            description: request.description.as_deref(),
            script: &script,
            keep_digit_texts: request.disable_string_number_to_number,
        };
        update(tx, cx, (&request.namespace_name, &request.script_name), &settings)
    };
    steps.write(handle).await
}

/// Which content a script has, if there is one.
fn select(tx: &mut Tx<'_>, cx: &Cx, (namespace, name): (&str, &str)) -> Result<Option<i64>, Error> {
    let params = params![cx.owner(), namespace, name];
    Ok(tx.query_opt(sql::SELECT_VERSION, params, |row| row.int(0))?)
}

/// Removes all scripts of a namespace.
pub(super) fn delete_all(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
    tx.execute(sql::DELETE_ALL, params![cx.owner(), namespace])?;
    changed(tx, cx);
    Ok(())
}

/// How a script differs from what is remembered of it.
#[derive(Debug)]
pub(crate) enum Change {
    /// Not at all.
    None,
    /// It has this content.
    New {
        /// Number of the content.
        version: i64,
        /// Lua source.
        text: String,
        /// Whether texts of digits in the arguments stay texts.
        keep_digit_texts: bool,
    },
    /// There is none.
    Gone,
}

/// Reads a script unless its content is the one of number `had`.
pub(crate) fn changed_source(
    tx: &mut Tx<'_>,
    owner: &str,
    namespace: &str,
    name: &str,
    had: Option<i64>,
) -> Result<Change, Error> {
    if had.is_some() {
        let version = tx.query_opt(sql::SELECT_VERSION, params![owner, namespace, name], |row| row.int(0))?;
        if version == had {
            return Ok(Change::None);
        }
    }
    let read = |row: &Row<'_>| {
        Ok(Change::New { version: row.int(0)?, text: row.text(1)?, keep_digit_texts: row.int(2)? != 0 })
    };
    let source = tx.query_opt(sql::SELECT_SOURCE, params![owner, namespace, name], read)?;
    Ok(source.unwrap_or(Change::Gone))
}
