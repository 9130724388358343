//! Which script an id stands for: a stored one, or a built-in one that makes an operation of its arguments.

use std::sync::Arc;
use std::time::Instant;

use hiroba_api::contract::RowId;
use hiroba_api::error::ApiError;
use hiroba_api::grn::{Grn, Project, SYSTEM_OWNER};
use hiroba_api::script::SERVICE;
use hiroba_lua::Failure;
use hiroba_store::{Engine, Tx};

use super::{Source, Target, refused};
use crate::error::Error;
use crate::generation::Stamp;
use crate::pipeline::Core;
use crate::services::script::source::{self, Change};

/// A stored script as it was read.
#[derive(Debug, Clone)]
pub(super) struct Known {
    stamp: Stamp,
    version: i64,
    script: Option<(Arc<Source>, bool)>,
}

impl Known {
    pub(super) fn bytes(&self) -> usize {
        self.script.as_ref().map_or(0, |(source, _)| source.text.len())
    }
}

/// The script behind an id as it is now, or as it was at `since` at the earliest.
///
/// The inner error says that there is none (BEHAVIOUR J-35).
pub(crate) async fn find(
    core: &Arc<Core>,
    project: &Project,
    id: &str,
    since: Instant,
) -> Result<Result<Target, Failure>, Error> {
    let expanded = project.expand(id);
    let (owner, namespace, name) = match names(core, project, id, &expanded) {
        Ok(Named::BuiltIn(row)) => return Ok(Ok(Target::Operation(row))),
        Ok(Named::Stored(names)) => names,
        Err(failure) => return Ok(Err(failure)),
    };
    let known = stored(core, &expanded, (owner, namespace, name), since).await?;
    let target = known.script.map(|(source, keep_digit_texts)| Target::Lua { source, keep_digit_texts });
    Ok(target.ok_or_else(|| missing(project, id)))
}

/// As [`find`], inside of a transaction.
pub(crate) fn find_within(
    tx: &mut Tx<'_>,
    core: &Core,
    project: &Project,
    id: &str,
) -> Result<Result<Target, Failure>, Error> {
    let expanded = project.expand(id);
    let (owner, namespace, name) = match names(core, project, id, &expanded) {
        Ok(Named::BuiltIn(row)) => return Ok(Ok(Target::Operation(row))),
        Ok(Named::Stored(names)) => names,
        Err(failure) => return Ok(Err(failure)),
    };
    match source::changed_source(tx, owner, namespace, name, None)? {
        Change::New { text, keep_digit_texts, .. } => {
            let source = core.scripts.source(&format!("{namespace}:{name}"), &text);
            Ok(Ok(Target::Lua { source, keep_digit_texts }))
        }
        Change::Gone | Change::None => Ok(Err(missing(project, id))),
    }
}

/// What an id names.
enum Named<'a> {
    /// A built-in script.
    BuiltIn(RowId),
    /// Owner, namespace and name of a stored one.
    Stored((&'a str, &'a str, &'a str)),
}

fn missing(project: &Project, id: &str) -> Failure {
    let detail = format!(
        "there is no script `{id}`; its id is a GRN such as `{}`",
        project.grn(&SERVICE, "{namespaceName}:script:{scriptName}")
    );
    refused(&ApiError::not_found(SERVICE.name, "script", detail))
}

/// Takes an id apart. Fails when it can be no script's.
fn names<'a>(core: &Core, project: &Project, id: &str, expanded: &'a str) -> Result<Named<'a>, Failure> {
    let grn = Grn::parse(expanded).filter(|grn| grn.service == SERVICE.grn);
    let names = grn.and_then(|grn| Some((grn.owner, grn.rest.split_once(":script:")?)));
    let Some((owner, (namespace, name))) = names else { return Err(missing(project, id)) };
    if owner == SYSTEM_OWNER {
        let row = name.strip_prefix("execute_").and_then(|name| core.scripts.methods.named(name));
        return row.map(Named::BuiltIn).ok_or_else(|| missing(project, id));
    }
    if owner == project.owner {
        Ok(Named::Stored((owner, namespace, name)))
    } else {
        Err(missing(project, id))
    }
}

async fn stored(
    core: &Arc<Core>,
    id: &str,
    (owner, namespace, name): (&str, &str, &str),
    since: Instant,
) -> Result<Known, Error> {
    let scripts = &core.scripts;
    let known = scripts.known.get(id);
    let fresh = |known: &Known| match core.store.engine() {
        Engine::Sqlite => scripts.generation.is_fresh(&known.stamp, Engine::Sqlite),
        // Another node may have changed it since; a script counts from the next attempt on.
        Engine::Postgres => known.stamp.read_at() >= since,
    };
    if let Some(known) = known.clone().filter(fresh) {
        return Ok(known);
    }
    let stamp = scripts.generation.stamp();
    let had = known.as_ref().filter(|known| known.script.is_some()).map(|known| known.version);
    let (owner, namespace_name, script_name) = (owner.to_owned(), namespace.to_owned(), name.to_owned());
    let read = move |tx: &mut hiroba_store::Tx<'_>| {
        source::changed_source(tx, &owner, &namespace_name, &script_name, had)
    };
    let known = match (core.store.read(read).await?, known) {
        (Change::None, Some(known)) => Known { stamp, ..known },
        (Change::New { version, text, keep_digit_texts }, _) => {
            let source = scripts.source(&format!("{namespace}:{name}"), &text);
            Known { stamp, version, script: Some((source, keep_digit_texts)) }
        }
        (Change::Gone | Change::None, _) => Known { stamp, version: 0, script: None },
    };
    scripts.known.insert(id.to_owned(), known.clone());
    Ok(known)
}
