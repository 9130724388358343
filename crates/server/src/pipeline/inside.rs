//! Calls that scripts make: the same road, entered by the server itself. A script has all rights of its project
//! (BEHAVIOUR SC-22) and acts for the player who set it off.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest;
use hiroba_api::contract::{Access as Level, Credentials, Fields, Row, Subject};
use hiroba_api::error::{ApiError, Status};
use hiroba_api::grn::Project;
use hiroba_api::names::UserId;
use hiroba_api::policy::Permissions;
use hiroba_api::script::{DebugInvoke, InvokeScript};
use hiroba_store::{Tx, params};
use parking_lot::Mutex;

use super::duplicates::{Avoider, sql};
use super::{Passage, Pipeline, avoider, context_stack, resource};
use crate::cx::Cx;
use crate::entropy::request_id;
use crate::error::Error;
use crate::logs::Trace;
use crate::registry::Call;

/// How long the answers that a job's calls got are kept while the job waits for its next attempt: 30 days.
const KEPT_MS: i64 = 30 * 24 * 3_600_000;

/// For whom a script runs, and what its calls inherit.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// Region and owner of the project.
    pub(crate) project: Arc<Project>,
    /// The player who set it off.
    pub(crate) user: Option<UserId>,
    /// Milliseconds that the player's call saw ahead of time.
    pub(crate) time_offset: i64,
    /// Whether nothing may be persisted.
    pub(crate) dry_run: bool,
    /// Scripts that this one was set off by, one inside the other.
    pub(crate) depth: u8,
    /// Where its calls are remembered, when the run may be repeated.
    pub(crate) once: Option<Arc<Once>>,
    /// The context stack of the call that set it off.
    pub(crate) context_stack: Option<Arc<str>>,
    /// What its calls may do; everything when nothing is said (BEHAVIOUR SC-22, DT-52).
    pub(crate) permissions: Option<Arc<Permissions>>,
    /// The call that set it off; for what the server does of itself the run, from its first call on.
    pub(crate) trace: Trace,
}

impl Origin {
    /// For what the server does of itself.
    pub(crate) fn of_server(project: Arc<Project>, user: Option<UserId>) -> Origin {
        let trace = Trace::default();
        Origin {
            project,
            user,
            time_offset: 0,
            dry_run: false,
            depth: 0,
            once: None,
            context_stack: None,
            permissions: None,
            trace,
        }
    }

    /// For what a call sets off.
    pub(crate) fn of(cx: &Cx) -> Origin {
        Origin {
            project: Arc::clone(&cx.project),
            user: cx.user.clone(),
            time_offset: cx.time_offset,
            dry_run: cx.dry_run,
            depth: cx.depth,
            once: cx.once.clone(),
            context_stack: cx.context_stack.clone(),
            permissions: None,
            trace: cx.trace.clone(),
        }
    }
}

/// Makes a run's calls take effect once, however often the run is repeated: each gets a duplication avoider that is the
/// same in every attempt. It is made of what is asked for and of how often the run asked for just that before, not of the
/// call's place in the script, so that a script that was mended between two attempts repeats nothing either.
#[derive(Debug)]
pub(crate) struct Once {
    /// Names the run; the call that a nested run is inside of.
    name: String,
    counts: Mutex<HashMap<String, u32>>,
    /// Calls of this attempt, those of nested runs included.
    made: Arc<Mutex<Vec<Made>>>,
    /// Whether one of them found the store unavailable.
    unavailable: Arc<AtomicBool>,
}

/// A call of a run, as the kept answers know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    service: &'static str,
    method: String,
    user: String,
    key: String,
}

impl Once {
    /// For one attempt of the run of this name.
    pub(crate) fn new(name: &str) -> Once {
        Once {
            name: name.to_owned(),
            counts: Mutex::default(),
            made: Arc::default(),
            unavailable: Arc::default(),
        }
    }

    /// Whether a call could not be made for want of the store: a failure that follows is not the script's.
    pub(crate) fn was_unavailable(&self) -> bool {
        self.unavailable.load(Ordering::Relaxed)
    }

    /// The calls that this attempt made.
    pub(crate) fn made(&self) -> Vec<Made> {
        self.made.lock().clone()
    }

    fn key(&self, row: &Row, user: &str, request: &Fields) -> String {
        // A map keeps its keys sorted: equal requests have equal texts.
        let request = serde_json::to_string(request).unwrap_or_default();
        let text = [&self.name, row.declaration.service.name, &row.name, user, &request].join("\n");
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        let hash = data_encoding::HEXLOWER.encode(hash.as_ref());
        let mut counts = self.counts.lock();
        let count = counts.entry(hash.clone()).or_default();
        *count += 1;
        format!("script:{hash}:{count}")
    }

    /// Makes what a run does besides its calls happen once: the transaction that it recorded. It is kept under the name of an
    /// operation.
    pub(crate) fn avoider(&self, row: &Row, cx: &Cx, request: &Fields) -> Avoider {
        let user = cx.user.as_deref().unwrap_or_default();
        let key = self.key(row, user, request);
        let made = Made {
            service: row.declaration.service.name,
            method: row.name.clone(),
            user: user.to_owned(),
            key: key.clone(),
        };
        self.made.lock().push(made);
        Avoider::new(row, key, request).kept_for(KEPT_MS)
    }

    /// For runs inside the call with this key.
    fn inside(&self, key: &str) -> Once {
        Once {
            name: key.to_owned(),
            counts: Mutex::default(),
            made: Arc::clone(&self.made),
            unavailable: Arc::clone(&self.unavailable),
        }
    }
}

/// Forgets the answers of a run that will not be repeated any more.
pub(crate) fn forget(tx: &mut Tx<'_>, owner: &str, made: &[Made]) -> Result<(), Error> {
    for Made { service, method, user, key } in made {
        tx.execute(sql::DELETE_ANSWER, params![owner, *service, method, user, key])?;
    }
    Ok(())
}

/// Whether the answer of a script's call may be kept: those of Identifier and Auth hold secrets.
fn is_kept(row: &Row) -> bool {
    let holds_secrets = matches!(row.declaration.service.name, "identifier" | "auth");
    row.writes() && !row.declaration.repeatable && !holds_secrets
}

/// Whether the operation runs a script.
pub(super) fn runs_script(row: &Row) -> bool {
    row.is::<InvokeScript>() || row.is::<DebugInvoke>()
}

impl Pipeline {
    /// Takes one call of a script from the flat object to the answer.
    pub(crate) async fn call_inside(
        &self,
        row: &Row,
        fields: Fields,
        credentials: Credentials,
        origin: Origin,
    ) -> Result<String, ApiError> {
        let (request_id, once) = (request_id(), origin.once.clone());
        let now = self.core.clock.now();
        let note = self.core.logs.note(row, &fields, &origin.project.owner, now.0);
        let passage = Passage { trace: origin.trace.inside(&request_id), note };
        let road = self.road_inside(row, fields, credentials, origin, &passage);
        let (answer, elapsed) = self.watched(row, &request_id, road).await;
        self.core.record(row, passage, &answer, elapsed);
        if let (Err(error), Some(once)) = (&answer, once)
            && error.status == Status::Unavailable
        {
            once.unavailable.store(true, Ordering::Relaxed);
        }
        answer
    }

    async fn road_inside(
        &self,
        row: &Row,
        fields: Fields,
        credentials: Credentials,
        origin: Origin,
        passage: &Passage,
    ) -> Result<String, Error> {
        let call = self.call_of(row, fields, credentials, origin, passage)?;
        self.handlers[usize::from(row.id.0)].run(&self.core.store, call).await
    }

    /// A call that the server makes, ready to be handled.
    pub(super) fn call_of(
        &self,
        row: &Row,
        mut fields: Fields,
        mut credentials: Credentials,
        origin: Origin,
        passage: &Passage,
    ) -> Result<Call, Error> {
        let handler = &self.handlers[usize::from(row.id.0)];
        let context_stack = context_stack(&mut fields).or(origin.context_stack);
        let for_player =
            row.access == Level::Player && credentials.access_token.is_none() && origin.user.is_some();
        if for_player {
            // The reader wants to see one.
            credentials.access_token = Some(String::new());
        }
        let (request, subject) = handler.decode(row, fields, &credentials)?;
        let mut cx = Cx { dry_run: origin.dry_run, depth: origin.depth, ..Cx::internal(&self.core) };
        cx.is_inside = true;
        cx.project = origin.project;
        cx.context_stack = context_stack;
        if for_player && subject == Subject::Token {
            cx.user = origin.user.clone();
            cx.by_player = true;
        } else {
            self.player(row, subject, &credentials, &mut cx)?;
            if row.declaration.maybe_player && cx.user.is_none() {
                cx.user = origin.user.clone();
            }
        }
        self.offset(row, request.as_ref(), &credentials, &mut cx)?;
        if cx.offset_token.is_none() && origin.time_offset != 0 {
            // Some paths name no player, and a field of the request does.
            let fields = request.fields();
            let named = fields.get("userId").and_then(serde_json::Value::as_str);
            if cx.user.as_deref().or(named) == origin.user.as_deref() {
                cx.time_offset = origin.time_offset;
            }
        }
        if let Some(permissions) = &origin.permissions {
            let resource = || resource(&cx, row, request.as_ref());
            if !permissions.permit(row.id, &row.action, resource) {
                let detail = format!(
                    "no policy of the user that the Distributor namespace assumes permits {} on {}",
                    row.action,
                    resource()
                );
                let (service, component) = (row.declaration.service.name, row.declaration.component);
                return Err(
                    ApiError::unauthorized(service, component, &row.name, "notAuthorized", detail).into()
                );
            }
        }
        passage.sees(&mut cx);
        let mut avoider = avoider(row, request.as_ref(), &credentials)?;
        if let Some(once) = origin.once.filter(|_| is_kept(row)) {
            let fields = request.fields();
            let named = fields.get("userId").and_then(serde_json::Value::as_str);
            let user = cx.user.as_deref().or(named).unwrap_or_default().to_owned();
            let key = once.key(row, &user, &fields);
            cx.once = Some(Arc::new(once.inside(&key)));
            // A script that runs again has each of its calls answered as before, and may succeed where it failed.
            if avoider.is_none() && !runs_script(row) {
                let service = row.declaration.service.name;
                once.made.lock().push(Made { service, method: row.name.clone(), user, key: key.clone() });
                avoider = Some(Avoider::new(row, key, &fields).kept_for(KEPT_MS));
            }
        }
        Ok(Call { cx: Arc::new(cx), request, avoider })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Fields {
        Fields::from_iter([("jobName".to_owned(), text.into())])
    }

    #[test]
    fn an_attempt_asks_for_the_same_calls_by_the_same_keys() {
        let table = hiroba_api::table();
        let row = table.named("jobQueue", "deleteJobByUserId").unwrap();
        let keys = |once: &Once| {
            [("u", "a"), ("u", "a"), ("u", "b"), ("v", "a")]
                .map(|(user, job)| once.key(row, user, &request(job)))
        };
        let first = keys(&Once::new("job"));
        assert_eq!(first, keys(&Once::new("job")));
        let unique: std::collections::BTreeSet<_> = first.iter().collect();
        assert_eq!(unique.len(), first.len(), "{first:?}");
        assert!(first.iter().all(|key| key.len() <= hiroba_api::contract::AVOIDER_CHARS_MAX));
        assert!(keys(&Once::new("other")).iter().all(|key| !first.contains(key)));
        // Another order asks for the same.
        let once = Once::new("job");
        once.key(row, "u", &request("b"));
        assert_eq!(once.key(row, "u", &request("a")), first[0]);
    }

    #[test]
    fn answers_with_secrets_are_not_kept() {
        let table = hiroba_api::table();
        let kept = |service, name| is_kept(table.named(service, name).unwrap());
        assert!(kept("jobQueue", "pushByUserId") && kept("lock", "createNamespace"));
        assert!(
            !kept("identifier", "createIdentifier") && !kept("auth", "login") && !kept("lock", "getMutex")
        );
    }
}
