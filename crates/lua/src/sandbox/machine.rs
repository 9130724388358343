//! The virtual machine of a sandbox.

use std::{rc::Rc, time::Instant};

use mlua::{ChunkMode, Function, Lua, LuaOptions, StdLib, Table, Value, VmState};

use crate::{
    Compiled, Failure, Limits, Outcome, Run,
    json::{self, ReadError, WriteError},
    library::{self, Shared},
    state::{State, Stop, one_line},
};

/// How many loaded scripts a machine keeps, and how much of its memory their code may take, as a divisor of the limit.
const LOADED_MAX: usize = 64;
const LOADED_SHARE: usize = 32;

/// How much the memory may have grown since the last full collection before there is another, in bytes.
const GARBAGE_BYTES_MAX: usize = 1 << 20;

/// The parts of the language's library that are loaded at all.
const LIBRARIES: [StdLib; 6] =
    [StdLib::TABLE, StdLib::OS, StdLib::STRING, StdLib::UTF8, StdLib::BIT, StdLib::MATH];

pub(super) struct Machine {
    lua: Lua,
    shared: Shared,
    /// The metatable of each run's global table: it reads what it has not from the frozen one.
    globals_mark: Table,
    globals: Table,
    randomseed: Function,
    loaded: Vec<Loaded>,
    /// The memory after the last full collection.
    settled_bytes: usize,
}

/// A script in the form of the machine.
struct Loaded {
    id: u64,
    bytes: usize,
    function: Function,
}

impl Machine {
    pub(super) fn new(limits: Limits) -> mlua::Result<Machine> {
        let libraries = LIBRARIES.into_iter().fold(StdLib::NONE, |all, one| all | one);
        let lua = Lua::new_with(libraries, LuaOptions::default())?;
        let state = Rc::new(State::new(limits));
        let shared = Shared { state: state.clone(), array_mark: json::array_mark(&lua)? };
        library::install(&lua, &shared)?;
        let globals = lua.globals();
        let randomseed = globals.raw_get::<Table>("math")?.raw_get("randomseed")?;
        // Freezes the globals, the tables in them and the metatable of texts.
        lua.sandbox(true)?;
        let globals_mark = lua.create_table()?;
        globals_mark.raw_set("__index", &globals)?;
        globals_mark.set_readonly(true);
        lua.set_interrupt(move |lua| state.interrupt(lua).map(|()| VmState::Continue));
        lua.gc_collect()?;
        let settled_bytes = lua.used_memory();
        lua.set_memory_limit(limits.memory_bytes)?;
        Ok(Machine { lua, shared, globals_mark, globals, randomseed, loaded: Vec::new(), settled_bytes })
    }

    /// Runs a script up to its result as JSON text.
    pub(super) fn run(&mut self, run: &Run, start: Instant) -> Result<String, Stop> {
        let state = self.shared.state.clone();
        state.begin(run, start);
        let result = self.execute(run);
        match result {
            // A stop counts even if the engine went on in spite of it.
            Ok(_) if state.is_stopped() => Err(self.stop_of(run, &mlua::Error::runtime(""))),
            Ok(result) => Ok(result),
            Err(Ended::Stop(stop)) => Err(stop),
            Err(Ended::Engine(error)) => Err(self.stop_of(run, &error)),
        }
    }

    fn execute(&mut self, run: &Run) -> Result<String, Ended> {
        let Machine { lua, shared, .. } = self;
        let state = &*shared.state;
        let args = match json::read(lua, state, &shared.array_mark, &run.args, !run.keep_digit_texts) {
            Ok(args @ Value::Table(_)) if !run.args.trim_start().starts_with('[') => args,
            Ok(_) => return Err(Ended::refused("args: must be a JSON object")),
            Err(ReadError::Text(cause)) => return Err(Ended::refused(format!("args: {cause}"))),
            Err(ReadError::Engine(error)) => return Err(error.into()),
        };
        let globals = lua.create_table()?;
        globals.raw_set("_G", &globals)?;
        globals.raw_set("args", args)?;
        globals.set_metatable(Some(self.globals_mark.clone()))?;
        // What is read from a name that the script does not assign cannot change during a run: the tables are frozen.
        globals.set_safeenv(true);
        self.randomseed.call::<()>(state.draws.borrow().seed_of_math())?;
        let function = self.load(&run.script)?;
        function.set_environment(globals.clone())?;
        let returned = function.call::<()>(());
        // The function is kept, what it worked on is not.
        function.set_environment(self.globals.clone())?;
        returned?;
        let result: Value = globals.raw_get("result")?;
        let (lua, shared) = (&self.lua, &self.shared);
        match &result {
            Value::Nil => Ok("{}".to_owned()),
            Value::Table(_) => match json::write(lua, &shared.state, &shared.array_mark, "result", &result) {
                Ok(text) => Ok(text),
                Err(WriteError::Value(cause)) => Err(Ended::refused(cause)),
                Err(WriteError::Engine(error)) => Err(error.into()),
            },
            other => Err(Ended::refused(format!("result: must be a table, not a {}", other.type_name()))),
        }
    }

    /// The script as a function of this machine, loaded if it is not yet.
    fn load(&mut self, script: &Compiled) -> mlua::Result<Function> {
        if let Some(i) = self.loaded.iter().position(|loaded| loaded.id == script.id()) {
            // The most recent one stands last.
            let loaded = self.loaded.remove(i);
            let function = loaded.function.clone();
            self.loaded.push(loaded);
            return Ok(function);
        }
        let function = self
            .lua
            .load(script.code())
            .set_name(format!("={}", script.name()))
            .set_mode(ChunkMode::Binary)
            .into_function()?;
        let (bytes, room) = (script.bytes(), self.shared.state.limits.memory_bytes / LOADED_SHARE);
        if bytes <= room {
            let mut kept = bytes + self.loaded.iter().map(|loaded| loaded.bytes).sum::<usize>();
            while kept > room || self.loaded.len() >= LOADED_MAX {
                kept -= self.loaded.remove(0).bytes;
            }
            self.loaded.push(Loaded { id: script.id(), bytes, function: function.clone() });
        }
        Ok(function)
    }

    /// Waits for what is under way, and makes the outcome. Whether the machine may be used again comes with it.
    pub(super) fn finish(
        &mut self,
        run: &Run,
        ended: Result<String, Stop>,
        start: Instant,
    ) -> (Outcome, bool) {
        let state = self.shared.state.clone();
        state.wait_for_calls();
        state.release_host();
        let late = start.elapsed() >= state.limits.time;
        let ended = match ended {
            Ok(_) if late => Err(Stop {
                failure: Failure::new(504, format!("{}: {}", run.script.name(), state.time_text())),
                spoils: false,
            }),
            ended => ended,
        };
        let transaction = state.transaction.borrow_mut().take();
        let (status, result, transaction, spoils) = match ended {
            Ok(result) => (200, result, transaction, false),
            // `fail` with a status of success: the script ended itself, without a result.
            Err(Stop { failure, spoils }) if (200..300).contains(&failure.status) => {
                (failure.status, "{}".to_owned(), transaction, spoils)
            }
            Err(Stop { failure, spoils }) => (failure.status, failure.result(), None, spoils),
        };
        let random = state.draws.borrow_mut().take();
        let output = state.take_output();
        let elapsed = start.elapsed();
        let keep = !spoils && self.settle();
        (Outcome { status, result, output, random, transaction, elapsed }, keep)
    }

    /// Collects garbage if there may be much; small runs are left to the engine's own, gradual collection.
    fn settle(&mut self) -> bool {
        if self.lua.used_memory() <= self.settled_bytes + GARBAGE_BYTES_MAX {
            return true;
        }
        let collected = self.lua.gc_collect();
        self.settled_bytes = self.lua.used_memory();
        collected.is_ok()
    }

    /// Why the script ended, from the error that came out of the engine.
    fn stop_of(&self, run: &Run, error: &mlua::Error) -> Stop {
        let state = &self.shared.state;
        if let Some(stop) = state.take_stop() {
            return stop;
        }
        let name = run.script.name();
        let (cause, traceback) = root(error, None);
        let text = match cause {
            mlua::Error::RuntimeError(text) => text.as_str(),
            mlua::Error::StackError => "stack overflow",
            mlua::Error::MemoryError(_) => NO_MEMORY,
            _ => {
                let failure = Failure::new(500, format!("{name}: the script could not be run to its end"));
                return Stop { failure, spoils: true };
            }
        };
        let (message, own_traceback) = text.split_once('\n').unwrap_or((text, ""));
        if message == NO_MEMORY || message.ends_with(": not enough memory") {
            let limit = state.limits.memory_bytes;
            let failure = Failure::new(
                500,
                format!("{name}: the script needed more memory than the limit of {limit} bytes"),
            );
            return Stop { failure, spoils: true };
        }
        let message = without_less(message);
        let placed = match place_in(name, message) {
            Some(_) => message.to_owned(),
            None => {
                let mut lines = own_traceback.lines().chain(traceback.unwrap_or("").lines());
                let place = lines.find_map(|line| place_in(name, line.trim_start())).unwrap_or(name);
                format!("{place}: {message}")
            }
        };
        Stop { failure: Failure::new(500, one_line(&placed)), spoils: false }
    }
}

/// What the engine says when there is no memory left.
const NO_MEMORY: &str = "not enough memory";

/// The error within, and the traceback of the innermost callback.
fn root<'e>(error: &'e mlua::Error, traceback: Option<&'e str>) -> (&'e mlua::Error, Option<&'e str>) {
    match error {
        mlua::Error::CallbackError { traceback, cause } => root(cause, Some(traceback)),
        mlua::Error::WithContext { cause, .. } | mlua::Error::BadArgument { cause, .. } => {
            root(cause, traceback)
        }
        other => (other, traceback),
    }
}

/// The `name:line` that a text begins with.
fn place_in<'t>(name: &str, text: &'t str) -> Option<&'t str> {
    let rest = text.strip_prefix(name)?.strip_prefix(':')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0 && rest[digits..].starts_with(':')).then(|| &text[..name.len() + 1 + digits])
}

/// The message without the place of a comparison that is ours.
fn without_less(message: &str) -> &str {
    match place_in(library::LESS_NAME, message) {
        Some(place) => message[place.len()..].trim_start_matches([':', ' ']),
        None => message,
    }
}

/// How the execution ended if it did not come to a result.
enum Ended {
    Stop(Stop),
    Engine(mlua::Error),
}

impl Ended {
    fn refused(cause: impl Into<String>) -> Ended {
        Ended::Stop(Stop { failure: Failure::new(400, one_line(&cause.into())), spoils: false })
    }
}

impl From<mlua::Error> for Ended {
    fn from(error: mlua::Error) -> Ended {
        Ended::Engine(error)
    }
}
