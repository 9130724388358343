//! Scripts in the sandbox, from outside.

mod args_and_result;
mod bombs;
mod calls;
mod errors;
mod isolation;
mod library;

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use hiroba_lua::{
    Compiled, Failure, Host, HttpRequest, Limits, Outcome, Pending, RandomStatus, Reply, Run, Sandbox,
};
use serde_json::{Map, Value};

/// A host with one service, `job_queue`, that answers with what it was asked.
#[derive(Default)]
pub(crate) struct TestHost {
    /// What happened, in order.
    pub(crate) log: Rc<RefCell<Vec<String>>>,
}

impl Host for TestHost {
    fn has_service(&self, service: &str) -> bool {
        matches!(service, "job_queue" | "jobQueue")
    }

    fn begin(
        &self,
        service: &str,
        method: &str,
        request: Map<String, Value>,
    ) -> Result<Box<dyn Pending>, String> {
        if method == "no_such" {
            return Err("there is no such method".to_owned());
        }
        assert_ne!(method, "panic", "a host that panics");
        self.log.borrow_mut().push(format!("begin {service}.{method} {}", Value::Object(request.clone())));
        let reply = match method {
            "refuse" => Reply { status: 404, body: r#"[{"component":"a","message":"b"}]"#.to_owned() },
            "garble" => Reply { status: 200, body: "{".to_owned() },
            _ => Reply { status: 200, body: Value::Object(request).to_string() },
        };
        Ok(Box::new(TestPending { log: self.log.clone(), method: method.to_owned(), reply }))
    }

    fn http(&self, request: HttpRequest) -> Reply {
        self.log.borrow_mut().push(format!("{request:?}"));
        let status = if request.url.ends_with("missing") { 404 } else { 200 };
        Reply { status, body: request.body.unwrap_or_else(|| request.method.clone()) }
    }
}

struct TestPending {
    log: Rc<RefCell<Vec<String>>>,
    method: String,
    reply: Reply,
}

impl Pending for TestPending {
    fn wait(self: Box<Self>) -> Reply {
        self.log.borrow_mut().push(format!("wait {}", self.method));
        if self.method == "slow" {
            let (_keep, never) = std::sync::mpsc::channel::<()>();
            let _ = never.recv_timeout(Duration::from_millis(400));
        }
        self.reply
    }
}

/// A sandbox with small limits and a host that keeps a log.
pub(crate) struct Bench {
    pub(crate) sandbox: Sandbox,
    pub(crate) log: Rc<RefCell<Vec<String>>>,
    pub(crate) keep_digit_texts: bool,
    pub(crate) random: Option<RandomStatus>,
    pub(crate) seed: u64,
}

/// Limits that end a bomb soon.
pub(crate) fn small() -> Limits {
    Limits { time: Duration::from_millis(300), memory_bytes: 32 << 20, ..Limits::default() }
}

impl Bench {
    pub(crate) fn new(limits: Limits) -> Bench {
        Bench {
            sandbox: Sandbox::new(limits),
            log: Rc::default(),
            keep_digit_texts: false,
            random: None,
            seed: 1,
        }
    }

    pub(crate) fn run_with(&mut self, source: &str, args: &str) -> Outcome {
        let script = Compiled::new("general:hello", source).expect("the source compiles");
        self.run_compiled(script, args)
    }

    pub(crate) fn run_compiled(&mut self, script: Compiled, args: &str) -> Outcome {
        self.sandbox.run(Run {
            script,
            args: Arc::from(args),
            keep_digit_texts: self.keep_digit_texts,
            now_seconds: 1_700_000_000,
            random: self.random.clone(),
            seed: self.seed,
            host: Rc::new(TestHost { log: self.log.clone() }),
        })
    }

    pub(crate) fn run(&mut self, source: &str) -> Outcome {
        self.run_with(source, "{}")
    }

    pub(crate) fn take_log(&self) -> Vec<String> {
        self.log.take()
    }
}

/// Runs a script in a new sandbox.
pub(crate) fn run(source: &str) -> Outcome {
    Bench::new(Limits::default()).run(source)
}

/// Checks what `result` becomes.
#[track_caller]
pub(crate) fn check(source: &str, expected: &str) {
    let outcome = run(source);
    assert_eq!((outcome.status, outcome.result.as_str()), (200, expected), "{source}");
}

/// Checks what a script fails with.
#[track_caller]
pub(crate) fn check_failure(source: &str, status: u16, message: &str) {
    let outcome = run(source);
    let expected = Failure { status, message: message.to_owned() };
    assert_eq!((outcome.status, outcome.result), (status, expected.result()), "{source}");
}
