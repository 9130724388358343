//! `print`, `error`, `fail` and `os`.

use std::rc::Rc;

use mlua::{Function, Lua, Table, Value, Variadic};

use super::lua_function;
use crate::state::{State, one_line};

/// How many values a `print` takes.
const PRINT_VALUES_MAX: usize = 200;

/// The status of a `fail` whose own is none.
const FAIL_STATUS: u16 = 500;

pub(super) fn install(lua: &Lua, globals: &Table, state: &Rc<State>) -> mlua::Result<()> {
    let tostring: Function = globals.raw_get("tostring")?;
    globals.raw_set("print", print(lua, state, tostring.clone())?)?;
    globals.raw_set("error", error(lua, state, tostring.clone())?)?;
    globals.raw_set("fail", fail(lua, state, tostring)?)?;
    let os: Table = globals.raw_get("os")?;
    globals.raw_set("os", bounded_os(lua, state, os.raw_get("time")?)?)
}

/// `print(...)`: a line of the output.
fn print(lua: &Lua, state: &Rc<State>, tostring: Function) -> mlua::Result<Function> {
    let state = state.clone();
    let write = lua.create_function(move |lua, (few, values): (bool, Variadic<Value>)| {
        if !few {
            return Err(state.raise(lua, &format!("print takes no more than {PRINT_VALUES_MAX} values")));
        }
        let mut line = String::new();
        for (i, value) in values.iter().enumerate() {
            if i > 0 {
                line.push('\t');
            }
            let text = match value {
                Value::String(text) => text.clone(),
                other => tostring.call(other)?,
            };
            let bytes = text.as_bytes();
            // What does not fit is not copied; the line as it is then says that there is too much.
            let fits = bytes.len().min(state.output_left() + 1);
            line.push_str(&String::from_utf8_lossy(&bytes[..fits]));
        }
        state.print(line)
    })?;
    // The values are counted before they leave the engine: it has room for some thousand outside.
    let source = format!(
        "local write = ... \
         return function(...) \
           if select('#', ...) > {PRINT_VALUES_MAX} then return write(false) end \
           write(true, ...) \
         end"
    );
    lua_function(lua, "=print", &source, Value::Function(write))
}

/// `error(message, level)`: since nothing can catch an error, it ends the script there and then.
fn error(lua: &Lua, state: &Rc<State>, tostring: Function) -> mlua::Result<Function> {
    let state = state.clone();
    lua.create_function(move |lua, (value, level): (Value, Value)| -> mlua::Result<()> {
        let message = match &value {
            Value::String(text) => text.to_string_lossy(),
            Value::Table(_) if is_text_made(&value) => {
                tostring.call::<mlua::String>(&value)?.to_string_lossy()
            }
            Value::Nil | Value::Boolean(_) | Value::Integer(_) | Value::Number(_) => {
                tostring.call::<mlua::String>(&value)?.to_string_lossy()
            }
            other => format!("(the error is a {})", other.type_name()),
        };
        let level = lua.coerce_integer(level)?.unwrap_or(1);
        let place = match usize::try_from(level) {
            Ok(0) | Err(_) => String::new(),
            Ok(level) => match state.place_at(lua, level) {
                Some(Some(place)) => place,
                _ => state.place(lua, 1),
            },
        };
        Err(state.stop(500, one_line(&format!("{place}{message}"))))
    })
}

/// Whether a table says itself what its text is.
fn is_text_made(value: &Value) -> bool {
    let Value::Table(table) = value else { return false };
    table.metatable().is_some_and(|metatable| {
        metatable.raw_get::<Value>("__tostring").is_ok_and(|made| made.is_function())
    })
}

/// `fail(statusCode, message)`.
fn fail(lua: &Lua, state: &Rc<State>, tostring: Function) -> mlua::Result<Function> {
    let state = state.clone();
    lua.create_function(move |lua, (status, message): (Value, Value)| -> mlua::Result<()> {
        let status = lua
            .coerce_integer(status)
            .ok()
            .flatten()
            .and_then(|status| u16::try_from(status).ok())
            .filter(|status| (100..=999).contains(status))
            .unwrap_or(FAIL_STATUS);
        let message = match &message {
            Value::Nil => String::new(),
            Value::String(text) => text.to_string_lossy(),
            other => tostring.call::<mlua::String>(other)?.to_string_lossy(),
        };
        Err(state.stop(status, message))
    })
}

/// `os.time`, all that there is of `os`.
fn bounded_os(lua: &Lua, state: &Rc<State>, of_date: Function) -> mlua::Result<Table> {
    let state = state.clone();
    let time = lua.create_function(move |_, date: Value| {
        if !date.is_nil() {
            return of_date.call::<Value>(date);
        }
        let lasted = i64::try_from(state.elapsed().as_secs()).unwrap_or(i64::MAX);
        Ok(Value::Integer(state.now_seconds.get().saturating_add(lasted)))
    })?;
    let os = lua.create_table()?;
    os.raw_set("time", time)?;
    Ok(os)
}
