//! What a script finds in its global table: the language, cut to what is safe and bounded, and the server's functions.
//!
//! Every function here is shared by all runs of a virtual machine. It keeps nothing of a run but in [`State`], which
//! begins anew with each run, and no table of it can be written.

mod client;
mod language;
mod net;
pub(crate) mod random;
mod tables;
mod text;
mod transaction;
mod util;

use std::rc::Rc;

use mlua::{Function, Lua, Table, Value};

pub(crate) use tables::LESS_NAME;

use crate::state::State;

/// The globals of the language that a script may use.
const LANGUAGE: [&str; 24] = [
    "_VERSION",
    "assert",
    "bit32",
    "error",
    "getmetatable",
    "ipairs",
    "math",
    "next",
    "os",
    "pairs",
    "rawequal",
    "rawget",
    "rawlen",
    "rawset",
    "select",
    "setmetatable",
    "string",
    "table",
    "tonumber",
    "tostring",
    "type",
    "typeof",
    "unpack",
    "utf8",
];

/// What the functions of the library share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) state: Rc<State>,
    /// The metatable of tables that came from JSON arrays.
    pub(crate) array_mark: Table,
}

/// Fills the global table of a new virtual machine. `sandbox(true)` freezes it afterwards, one level deep.
pub(crate) fn install(lua: &Lua, shared: &Shared) -> mlua::Result<()> {
    let globals = lua.globals();
    remove_all_but_language(&globals)?;
    language::install(lua, &globals, &shared.state)?;
    text::install(lua, &globals, &shared.state)?;
    tables::install(lua, &globals, &shared.state)?;
    random::install(lua, &globals, &shared.state)?;
    client::install(lua, &globals, shared)?;
    util::install(lua, &globals, shared)?;
    net::install(lua, &globals, &shared.state)?;
    transaction::install(lua, &globals, shared)
}

fn remove_all_but_language(globals: &Table) -> mlua::Result<()> {
    let mut others = Vec::new();
    globals.for_each(|name: String, _: Value| {
        if !LANGUAGE.contains(&name.as_str()) {
            others.push(name);
        }
        Ok(())
    })?;
    others.into_iter().try_for_each(|name| globals.raw_set(name, Value::Nil))
}

/// A chunk of ours that returns a function made from `given`. Its name stands in no error text.
fn lua_function(lua: &Lua, name: &str, source: &str, given: Value) -> mlua::Result<Function> {
    lua.load(source).set_name(name).call(given)
}

/// The text that a value is in the language's own functions: a text, or a number as text.
fn text_of(lua: &Lua, value: &Value) -> mlua::Result<Option<mlua::String>> {
    match value {
        Value::String(text) => Ok(Some(text.clone())),
        Value::Integer(_) | Value::Number(_) => lua.coerce_string(value.clone()),
        _ => Ok(None),
    }
}

/// As [`text_of`], for text that leaves the script: UTF-8, or a script error that names the argument.
fn utf8_of(lua: &Lua, state: &State, value: &Value, argument: &str) -> mlua::Result<String> {
    match text_of(lua, value)?.as_ref().map(mlua::String::to_str) {
        Some(Ok(text)) => Ok(text.to_owned()),
        Some(Err(_)) => Err(state.raise(lua, &format!("{argument} must be UTF-8"))),
        None => Err(state.raise(lua, &format!("{argument} must be a text"))),
    }
}

/// The answer table of a call or a utility: `{isError, statusCode, errorMessage, message, result}`.
fn answer(lua: &Lua, status: u16, outcome: Result<Value, &str>) -> mlua::Result<Table> {
    let answer = lua.create_table_with_capacity(0, 5)?;
    answer.raw_set("statusCode", status)?;
    answer.raw_set("isError", outcome.is_err())?;
    match outcome {
        Ok(result) => answer.raw_set("result", result)?,
        Err(message) => {
            let message = lua.create_string(message)?;
            answer.raw_set("errorMessage", &message)?;
            // What older scripts read.
            answer.raw_set("message", message)?;
        }
    }
    Ok(answer)
}
