//! The script host: finds scripts, keeps them compiled, and runs them in sandboxes on threads that may block. A script never
//! runs inside a transaction; each call that it makes takes the road of every other call (BEHAVIOUR section 9).

mod calls;
mod library;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hiroba_api::contract::{Row, RowId, Table};
use hiroba_api::error::{ApiError, ErrorItem};
use hiroba_api::grn::{Project, SYSTEM_OWNER};
use hiroba_lua::{Compiled, Failure, Limits, Outcome, RandomStatus, Run, Sandbox};
use hiroba_store::{StoreError, Tx};
use quick_cache::sync::Cache;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::config::{Config, RUNS_MAX};
use crate::error::Error;
use crate::generation::Generation;
use crate::outbound::web::{self, Web};
use crate::pipeline::{Core, Origin};
pub(crate) use calls::Methods;
use calls::{Asked, Calls, Said, Way};
use library::Known;
pub(crate) use library::{find, find_within};

/// Scripts whose source is remembered.
const KNOWN_MAX: usize = 10_000;
/// Compiled scripts that are remembered.
const COMPILED_MAX: usize = 10_000;
/// About how many bytes of source and of compiled code are remembered, each.
const REMEMBERED_BYTES_MAX: u64 = 64 << 20;

/// Bytes of a request or an answer of a script's `http`.
const HTTP_BYTES_MAX: usize = 1 << 20;

/// Scripts that may run inside each other in one transaction, whatever the settings allow: each takes some of the stack of the
/// thread that has the transaction.
const WITHIN_DEPTH_MAX: u8 = 16;

/// What runs scripts.
pub(crate) struct Scripts {
    limits: Limits,
    depth_max: u8,
    /// How long a script may take that is part of a transaction.
    atomic_time: Duration,
    generation: Generation,
    known: Cache<String, Known, Weight>,
    compiled: Cache<[u8; 32], Arc<Source>, Weight>,
    methods: Methods,
    runs: Semaphore,
    web: Web,
    runtime: Handle,
}

impl std::fmt::Debug for Scripts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Scripts").field("limits", &self.limits).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
struct Weight;

impl quick_cache::Weighter<[u8; 32], Arc<Source>> for Weight {
    fn weight(&self, _: &[u8; 32], source: &Arc<Source>) -> u64 {
        source.text.len() as u64 + 256
    }
}

impl quick_cache::Weighter<String, Known> for Weight {
    fn weight(&self, _: &String, known: &Known) -> u64 {
        known.bytes() as u64 + 256
    }
}

/// A script's text under a name, and what it compiles to.
#[derive(Debug)]
pub(crate) struct Source {
    name: String,
    text: String,
    compiled: OnceLock<Result<Compiled, Failure>>,
}

/// What a script id stands for.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// A stored script.
    Lua {
        /// Its text.
        source: Arc<Source>,
        /// Whether texts of digits in the arguments stay texts (BEHAVIOUR SC-02).
        keep_digit_texts: bool,
    },
    /// An operation that a built-in script makes of its arguments (BEHAVIOUR J-64).
    Operation(RowId),
}

/// One run.
#[derive(Debug)]
pub(crate) struct Work {
    /// What runs.
    pub(crate) target: Target,
    /// JSON text of an object.
    pub(crate) args: Arc<str>,
    /// For whom.
    pub(crate) origin: Origin,
    /// Where its random draws go on.
    pub(crate) random: Option<RandomStatus>,
    /// Where its random draws begin when nothing else says so.
    pub(crate) seed: u64,
}

/// What whoever runs a script wants to know while it runs.
pub(crate) trait Watcher {
    /// The script will now make a call, or has been running for a while; says whether the call may take effect.
    fn slow(&self) -> bool;
}

thread_local! {
    /// The thread's sandbox: making one anew for each run would cost more than most runs.
    static SANDBOX: RefCell<Option<Sandbox>> = const { RefCell::new(None) };
}

impl Scripts {
    pub(crate) fn new(config: &Config, table: &Table, runtime: Handle) -> anyhow::Result<Scripts> {
        let limits = Limits {
            time: Duration::from_secs(config.script_seconds_max),
            memory_bytes: config.script_memory_mib_max << 20,
            output_bytes: config.script_output_bytes_max,
            ..Limits::default()
        };
        let web = Web::new(web::Settings {
            allowed: config.script_http_allow.clone(),
            loopback: config.script_http_loopback,
            body_bytes_max: HTTP_BYTES_MAX,
            timeout: limits.time,
        })?;
        Ok(Scripts {
            limits,
            depth_max: config.script_depth_max,
            atomic_time: Duration::from_millis(config.atomic_script_ms_max),
            generation: Generation::default(),
            known: Cache::with_weighter(KNOWN_MAX, REMEMBERED_BYTES_MAX, Weight),
            compiled: Cache::with_weighter(COMPILED_MAX, REMEMBERED_BYTES_MAX, Weight),
            methods: Methods::new(table),
            runs: Semaphore::new(RUNS_MAX),
            web,
            runtime,
        })
    }

    /// Ends when no call runs a script any more; callers who went away left theirs running.
    pub(crate) async fn finished(&self) {
        // Closed by nobody.
        let _ = self.runs.acquire_many(RUNS_MAX as u32).await;
    }

    /// A script was changed, and the change is committed.
    pub(crate) fn changed(&self) {
        self.generation.change();
    }

    /// The text under this name, compiled at most once while it is remembered.
    pub(crate) fn source(&self, name: &str, text: &str) -> Arc<Source> {
        let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        digest.update(name.as_bytes());
        digest.update(b"\0");
        digest.update(text.as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(digest.finish().as_ref());
        if let Some(source) = self.compiled.get(&key) {
            return source;
        }
        let source =
            Arc::new(Source { name: name.to_owned(), text: text.to_owned(), compiled: OnceLock::new() });
        self.compiled.insert(key, Arc::clone(&source));
        source
    }
}

/// Runs a script on a thread of its own, and waits for it.
pub(crate) async fn run(core: &Arc<Core>, work: Work) -> Result<Outcome, Error> {
    // Whoever waits for an inner run holds a place already; waiting for a second one could wait for ever.
    let _place = if work.origin.depth == 0 {
        let place = core.scripts.runs.acquire().await;
        Some(place.map_err(|error| Error::internal("waiting to run a script", error))?)
    } else {
        None
    };
    let running = Arc::clone(core);
    let ran = tokio::task::spawn_blocking(move || run_here(&running, work, None)).await;
    ran.map_err(|error| Error::internal("running a script", error))
}

/// Runs a script on this thread, which must be one that may block.
pub(crate) fn run_here(core: &Arc<Core>, work: Work, watcher: Option<Rc<dyn Watcher>>) -> Outcome {
    run_on(core, work, Way::Road(core.road.get()), watcher)
}

/// Runs a script whose calls are all part of a running transaction, and waits for it.
///
/// The script runs on a thread of its own and has its calls made by this one, which has the transaction. A script that takes
/// longer than `--atomic-script-ms-max` fails with 504: others wait for the transaction. Nothing that it does later takes effect.
pub(crate) fn run_within(core: &Arc<Core>, tx: &mut Tx<'_>, work: Work) -> Result<Outcome, Error> {
    let Some(pipeline) = core.road.get() else { return Err(StoreError::Closed.into()) };
    if work.origin.depth >= WITHIN_DEPTH_MAX {
        let detail =
            format!("{WITHIN_DEPTH_MAX} scripts run inside each other in one transaction, which is the most");
        return Ok(failed(&failure(400, "depth", "tooMany", detail)));
    }
    let (saying, said) = mpsc::channel();
    let running = Arc::clone(core);
    core.scripts.runtime.spawn_blocking(move || {
        let outcome = run_on(&running, work, Way::Within(saying.clone()), None);
        // Nobody listens any more when it took too long.
        let _ = saying.send(Said::Done(outcome));
    });
    let deadline = Instant::now() + core.scripts.atomic_time;
    loop {
        match said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Said::Asked(asked)) => {
                let Asked { row, fields, credentials, origin, answer } = *asked;
                let answered = pipeline.call_within(tx, core.table.row(row), fields, credentials, origin)?;
                // A script that ended meanwhile wants no answer.
                let _ = answer.send(calls::reply(answered));
            }
            Ok(Said::Done(outcome)) => return Ok(outcome),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::Internal("the thread of a script broke off".to_owned()));
            }
            Err(RecvTimeoutError::Timeout) => {
                let detail = format!(
                    "a script that is part of a transaction may take {} ms (`--atomic-script-ms-max`), since others wait for \
                     the transaction",
                    core.scripts.atomic_time.as_millis()
                );
                return Ok(failed(&failure(504, "time", "tooLong", detail)));
            }
        }
    }
}

fn run_on(core: &Arc<Core>, work: Work, way: Way, watcher: Option<Rc<dyn Watcher>>) -> Outcome {
    let scripts = &core.scripts;
    if work.origin.depth >= scripts.depth_max {
        let detail = format!(
            "{} scripts run inside each other, which is the most that is allowed (`--script-depth-max`)",
            work.origin.depth
        );
        return failed(&failure(400, "depth", "tooMany", detail));
    }
    let calls = Calls::new(core, &work.origin, way, watcher);
    match work.target {
        Target::Operation(row) => calls.operation(row, &work.args),
        Target::Lua { source, keep_digit_texts } => {
            let compiled = source.compiled.get_or_init(|| Compiled::new(&source.name, &source.text));
            let script = match compiled {
                Ok(script) => script.clone(),
                Err(failure) => return failed(failure),
            };
            let seen = core.clock.now().0.saturating_add(work.origin.time_offset);
            let run = Run {
                script,
                args: work.args,
                keep_digit_texts,
                now_seconds: seen.div_euclid(1000),
                random: work.random,
                seed: work.seed,
                host: Rc::new(calls),
            };
            let sandbox = SANDBOX.take();
            let mut sandbox = sandbox.unwrap_or_else(|| Sandbox::new(scripts.limits));
            let outcome = sandbox.run(run);
            SANDBOX.set(Some(sandbox));
            outcome
        }
    }
}

/// The outcome of a run that did not begin.
pub(crate) fn failed(failure: &Failure) -> Outcome {
    Outcome {
        status: failure.status,
        result: failure.result(),
        output: Vec::new(),
        random: None,
        transaction: None,
        elapsed: Duration::ZERO,
    }
}

/// GRN of the built-in script that makes an operation of its arguments (BEHAVIOUR J-64).
pub(crate) fn built_in(project: &Project, row: &Row) -> String {
    format!(
        "grn:gs2:{}:{SYSTEM_OWNER}:script:general:script:execute_{}",
        project.region,
        calls::built_in_name(row)
    )
}

/// A failure about a member of the script, in the protocol's form.
pub(crate) fn failure(status: u16, member: &str, problem: &str, detail: String) -> Failure {
    Failure { status, message: items(&[ErrorItem::new("script", "script", member, problem, detail)]) }
}

/// The failure that an error of the API is.
pub(crate) fn refused(error: &ApiError) -> Failure {
    Failure { status: error.status.code(), message: items(&error.items) }
}

/// The list of errors as it stands in an error body and in the result of a failed run (BEHAVIOUR E-01, J-62).
fn items(items: &[ErrorItem]) -> String {
    // Strings alone always have a JSON text.
    serde_json::to_string(items).unwrap_or_else(|_| "[]".to_owned())
}
