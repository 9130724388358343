//! The context of a call: who calls, for whom, when, and with what randomness.

use std::sync::Arc;

use hiroba_api::contract::{Service, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::grn::Project;
use hiroba_api::names::UserId;
use hiroba_api::script::ScriptTransactionResult;
use hiroba_store::Tx;
use parking_lot::Mutex;

use crate::entropy::Entropy;
use crate::error::Error;
use crate::logs::Trace;
use crate::pipeline::{Core, Once};
use crate::services::distributor::Mode;

/// A project token; whoever reads it in a log could use it.
#[derive(Clone)]
pub(crate) struct ProjectToken(pub(crate) String);

impl std::fmt::Debug for ProjectToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ProjectToken(…)")
    }
}

/// The context of a call.
#[derive(Debug)]
pub(crate) struct Cx {
    /// What all calls share.
    pub(crate) core: Arc<Core>,
    /// Region and owner of the project that the call is about.
    pub project: Arc<Project>,
    /// The player that the call is about.
    pub user: Option<UserId>,
    /// Whether the player calls with an access token, not somebody else in the player's name.
    pub(crate) by_player: bool,
    /// Real time; audit times are of this clock (BEHAVIOUR A-09).
    pub now: UnixMillis,
    /// Milliseconds that the call sees ahead of time (BEHAVIOUR ).
    pub time_offset: i64,
    /// Randomness of the call.
    pub entropy: Entropy,
    /// Seconds of the time offset token that came with the call.
    pub(crate) offset_token: Option<i32>,
    /// Whether nothing may be persisted.
    pub(crate) dry_run: bool,
    /// Scripts that this call was made by, one inside the other.
    pub(crate) depth: u8,
    /// Where the calls of scripts that this call runs are remembered, when it may be repeated after a crash.
    pub(crate) once: Option<Arc<Once>>,
    /// URL under which the caller reaches the server, where a transport knows it.
    pub(crate) base_url: Option<Arc<str>>,
    /// The context stack that came with the call.
    pub(crate) context_stack: Option<Arc<str>>,
    /// Whether the server makes the call itself, with all rights, such as for a script.
    pub(crate) is_inside: bool,
    /// The caller's project token, kept only for the calls of a batch.
    pub(crate) project_token: Option<ProjectToken>,
    /// The transaction that a script before this call's change recorded: GRN of the script, and how it runs when the script's
    /// namespace says nothing.
    pub(crate) recorded: Mutex<Option<(String, hiroba_lua::Transaction, Mode)>>,
    /// What became of them.
    pub(crate) transactions: Mutex<Vec<ScriptTransactionResult>>,
    /// Id of the call, and of those that caused it.
    pub(crate) trace: Trace,
}

impl Cx {
    /// The context of what the server does of itself.
    pub(crate) fn internal(core: &Arc<Core>) -> Cx {
        Cx {
            core: Arc::clone(core),
            project: Arc::clone(&core.project),
            user: None,
            by_player: false,
            now: core.clock.now(),
            time_offset: 0,
            entropy: Entropy::default(),
            offset_token: None,
            dry_run: false,
            depth: 0,
            once: None,
            base_url: None,
            context_stack: None,
            is_inside: false,
            project_token: None,
            recorded: Mutex::default(),
            transactions: Mutex::default(),
            trace: Trace::default(),
        }
    }

    /// The context of what the server does of itself in the project of an owner.
    pub(crate) fn of_owner(core: &Arc<Core>, owner: &str) -> Cx {
        let mut cx = Cx::internal(core);
        if cx.project.owner != owner {
            cx.project = Arc::new(Project { owner: owner.to_owned(), ..core.project.as_ref().clone() });
        }
        cx
    }

    /// The moment that the call sees.
    pub(crate) fn seen(&self) -> UnixMillis {
        UnixMillis(self.now.0.saturating_add(self.time_offset))
    }

    /// Owner of the project.
    pub(crate) fn owner(&self) -> &str {
        &self.project.owner
    }

    /// The player that the call is about. Operations whose path names a player always have one.
    pub(crate) fn user(&self) -> Result<&UserId, Error> {
        self.user.as_ref().ok_or_else(|| Error::Internal("the operation has no player".to_owned()))
    }

    /// GRN of something in a service of this project.
    pub(crate) fn grn(&self, service: &Service, rest: &str) -> String {
        self.project.grn(service, rest)
    }

    /// Absolute URL of a path of this server: below the public URL of the settings, else below the one that the caller
    /// reached the server under, else at the address that the server listens on.
    pub(crate) fn url(&self, path: &str) -> String {
        let urls = &self.core.urls;
        let base = urls.public.as_deref().or(self.base_url.as_deref());
        [base.unwrap_or_else(|| urls.listening.get().map_or("", String::as_str)), path].concat()
    }

    /// Runs a transaction of a handler that does more than one; a dry run is rolled back.
    pub(crate) async fn write<T, F>(&self, transaction: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    {
        if self.dry_run {
            self.core.store.dry_run(transaction).await
        } else {
            self.core.store.write(transaction).await
        }
    }

    /// Reads from the store.
    pub(crate) async fn read<T, F>(&self, transaction: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    {
        self.core.store.read(transaction).await
    }

    /// What follows from changed permissions must be seen by the next call: forgets what is cached of them.
    pub(crate) fn permissions_changed(&self, tx: &mut Tx<'_>) {
        let core = Arc::clone(&self.core);
        tx.on_commit(move || core.access.forget());
    }
}

/// Turns "no row" into a 404 that names the model.
pub(crate) fn found<T, E>(
    row: Result<Option<T>, E>,
    service: &Service,
    model: &str,
    name: &str,
) -> Result<T, Error>
where
    Error: From<E>,
{
    row?.ok_or_else(|| {
        ApiError::not_found(service.name, model, format!("there is no {model} `{name}`")).into()
    })
}
