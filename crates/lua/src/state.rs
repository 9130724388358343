//! What a run has come to: its clock, its output, its draws and its end.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use mlua::Lua;

use crate::{Failure, Host, Limits, Pending, Run, Transaction, library::random::Draws};

/// The greatest length of an error text in characters.
const ERROR_CHARS_MAX: usize = 1_024;

/// How many times the engine asks before the clock is read once, while memory is small: to read it costs more than a
/// turn of a loop.
const ASKS_PER_CHECK: u32 = 16;

/// After which time the host is told that the run lasts.
pub const LASTS: Duration = Duration::from_millis(2);

/// From how much memory on the clock is read each time: one turn may then work on so much that it takes long.
const LARGE_BYTES: usize = 8 << 20;

/// How many frames are searched for one that is the script's.
const FRAMES_MAX: usize = 32;

/// How many calls may be under way at a time.
const CALLS_MAX: usize = 1_000;

/// A call that is under way; `None` when its answer was taken.
pub(crate) type Call = Rc<RefCell<Option<Box<dyn Pending>>>>;

/// The state of the run. One for each virtual machine, whose functions share it; it holds no value of the machine.
pub(crate) struct State {
    pub(crate) limits: Limits,
    start: Cell<Instant>,
    asks: Cell<u32>,
    collected_bytes: Cell<usize>,
    /// Whether the host knows that the run lasts.
    told: Cell<bool>,
    pub(crate) now_seconds: Cell<i64>,
    name: RefCell<Arc<str>>,
    host: RefCell<Option<Rc<dyn Host>>>,
    stop: RefCell<Option<Stop>>,
    output: RefCell<Vec<String>>,
    output_bytes: Cell<usize>,
    calls: RefCell<Vec<Call>>,
    pub(crate) draws: RefCell<Draws>,
    pub(crate) transaction: RefCell<Option<Transaction>>,
}

/// Why the script was stopped.
pub(crate) struct Stop {
    pub(crate) failure: Failure,
    /// Whether the virtual machine must not be used again.
    pub(crate) spoils: bool,
}

impl State {
    pub(crate) fn new(limits: Limits) -> State {
        State {
            limits,
            start: Cell::new(Instant::now()),
            asks: Cell::new(0),
            collected_bytes: Cell::new(0),
            told: Cell::new(false),
            now_seconds: Cell::new(0),
            name: RefCell::new(Arc::from("")),
            host: RefCell::new(None),
            stop: RefCell::new(None),
            output: RefCell::new(Vec::new()),
            output_bytes: Cell::new(0),
            calls: RefCell::new(Vec::new()),
            draws: RefCell::new(Draws::default()),
            transaction: RefCell::new(None),
        }
    }

    /// Makes the state that of a new run.
    pub(crate) fn begin(&self, run: &Run, start: Instant) {
        self.start.set(start);
        self.asks.set(0);
        self.collected_bytes.set(0);
        self.told.set(false);
        self.now_seconds.set(run.now_seconds);
        if **self.name.borrow() != *run.script.name() {
            *self.name.borrow_mut() = run.script.name().into();
        }
        *self.host.borrow_mut() = Some(run.host.clone());
        *self.stop.borrow_mut() = None;
        self.output.borrow_mut().clear();
        self.output_bytes.set(0);
        self.calls.borrow_mut().clear();
        *self.draws.borrow_mut() = Draws::new(run.random.clone(), run.seed);
        *self.transaction.borrow_mut() = None;
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.get().elapsed()
    }

    /// The run's host. There is one while a script runs.
    pub(crate) fn host(&self) -> mlua::Result<Rc<dyn Host>> {
        self.host.borrow().clone().ok_or_else(|| mlua::Error::runtime("no script is running"))
    }

    pub(crate) fn release_host(&self) {
        *self.host.borrow_mut() = None;
    }

    /// Stops the script with a failure. The error that comes back must be handed to the engine, which unwinds the
    /// script; nothing in a script can catch it. The first reason to stop is the one that counts.
    pub(crate) fn stop(&self, status: u16, message: impl Into<String>) -> mlua::Error {
        self.stop_with(status, message.into(), false)
    }

    fn stop_with(&self, status: u16, message: String, spoils: bool) -> mlua::Error {
        let mut stop = self.stop.borrow_mut();
        if stop.is_none() {
            *stop = Some(Stop { failure: Failure::new(status, message), spoils });
        }
        mlua::Error::runtime("the script was stopped")
    }

    /// Stops the script with a script error: status 500 and the place in the script.
    pub(crate) fn raise(&self, lua: &Lua, message: &str) -> mlua::Error {
        self.stop(500, one_line(&format!("{}{message}", self.place(lua, 1))))
    }

    pub(crate) fn take_stop(&self) -> Option<Stop> {
        self.stop.borrow_mut().take()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.borrow().is_some()
    }

    /// Where the script is, as `name:line: `; of the frames from `level` on, the first that is the script's.
    pub(crate) fn place(&self, lua: &Lua, level: usize) -> String {
        for level in level..level + FRAMES_MAX {
            match self.place_at(lua, level) {
                Some(None) => {}
                Some(Some(place)) => return place,
                None => break,
            }
        }
        format!("{}: ", self.name.borrow())
    }

    /// The place of the frame at `level`. `None` when there is no such frame; `Some(None)` when it is not the
    /// script's.
    pub(crate) fn place_at(&self, lua: &Lua, level: usize) -> Option<Option<String>> {
        lua.inspect_stack(level, |frame| {
            let line = frame.current_line()?;
            let name = self.name.borrow();
            (frame.source().short_src.as_deref() == Some(&**name)).then(|| format!("{name}:{line}: "))
        })
    }

    /// Called by the engine at every turn of a loop, every call and every step of a pattern.
    pub(crate) fn interrupt(&self, lua: &Lua) -> mlua::Result<()> {
        let used_bytes = lua.used_memory();
        let asks = self.asks.get() + 1;
        if asks < ASKS_PER_CHECK && used_bytes < LARGE_BYTES {
            self.asks.set(asks);
            return Ok(());
        }
        self.asks.set(0);
        self.collect(lua, used_bytes);
        if !self.told.get() && self.elapsed() >= LASTS {
            self.told.set(true);
            let host = self.host.borrow().clone();
            if let Some(host) = host {
                host.lasts();
            }
        }
        self.check_time(lua)
    }

    /// Stops the script when its time is over. For functions that take long before the engine asks again.
    pub(crate) fn check_time(&self, lua: &Lua) -> mlua::Result<()> {
        if self.elapsed() < self.limits.time {
            return Ok(());
        }
        let place = self.place(lua, 0);
        Err(self.stop_with(504, format!("{place}{}", self.time_text()), true))
    }

    /// The failure of a run whose time is over and whose place does not matter any more.
    pub(crate) fn time_text(&self) -> String {
        format!("the script ran longer than the limit of {:?}", self.limits.time)
    }

    /// Collects garbage when there is much of it. The engine collects as memory grows, not as it runs out, so that a
    /// script that makes large texts would fail although it holds few of them.
    fn collect(&self, lua: &Lua, used_bytes: usize) {
        let limit = self.limits.memory_bytes;
        if used_bytes > limit / 2 && used_bytes > self.collected_bytes.get().saturating_add(limit / 8) {
            // A collection that fails leaves the garbage, and the next allocation tells.
            let _ = lua.gc_collect();
            self.collected_bytes.set(lua.used_memory());
        }
    }

    /// Adds a line to the output.
    pub(crate) fn print(&self, line: String) -> mlua::Result<()> {
        let bytes = self.output_bytes.get() + line.len() + 1;
        if bytes > self.limits.output_bytes {
            let limit = self.limits.output_bytes;
            let name = self.name.borrow();
            return Err(
                self.stop(500, format!("{name}: the script printed more than the limit of {limit} bytes"))
            );
        }
        self.output_bytes.set(bytes);
        self.output.borrow_mut().push(line);
        Ok(())
    }

    /// How many bytes may still be printed.
    pub(crate) fn output_left(&self) -> usize {
        self.limits.output_bytes.saturating_sub(self.output_bytes.get())
    }

    pub(crate) fn take_output(&self) -> Vec<String> {
        std::mem::take(&mut self.output.borrow_mut())
    }

    /// Keeps a call that is under way, so that it is waited for at the end of the run.
    pub(crate) fn keep_call(&self, lua: &Lua, pending: Box<dyn Pending>) -> mlua::Result<Call> {
        let call: Call = Rc::new(RefCell::new(Some(pending)));
        let mut calls = self.calls.borrow_mut();
        calls.push(call.clone());
        if calls.len() > CALLS_MAX {
            calls.retain(|call| call.borrow().is_some());
            if calls.len() > CALLS_MAX {
                drop(calls);
                return Err(self.raise(lua, &format!("more than {CALLS_MAX} calls are under way")));
            }
        }
        Ok(call)
    }

    /// Waits for every call whose answer nobody took.
    pub(crate) fn wait_for_calls(&self) {
        let calls = std::mem::take(&mut *self.calls.borrow_mut());
        for call in calls {
            let pending = call.borrow_mut().take();
            if let Some(pending) = pending {
                pending.wait();
            }
        }
    }
}

/// `text` as one line of at most 1,024 characters.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(ERROR_CHARS_MAX).collect()
}
