//! `util`: JSON and texts.

use mlua::{Lua, Table, Value};

use super::{Shared, answer, text, text_of};
use crate::json::{self, ReadError, WriteError};

pub(super) fn install(lua: &Lua, globals: &Table, shared: &Shared) -> mlua::Result<()> {
    let util = lua.create_table()?;
    let own = shared.clone();
    util.raw_set(
        "table_to_json",
        lua.create_function(move |lua, value: Value| table_to_json(lua, &own, &value))?,
    )?;
    let own = shared.clone();
    util.raw_set(
        "json_to_table",
        lua.create_function(move |lua, (text, keep_digit_texts): (Value, Value)| {
            json_to_table(lua, &own, &text, keep_digit_texts == Value::Boolean(true))
        })?,
    )?;
    let own = shared.clone();
    util.raw_set(
        "split",
        lua.create_function(move |lua, (value, separator): (Value, Value)| {
            split(lua, &own, &value, &separator)
        })?,
    )?;
    globals.raw_set("util", util)
}

/// `util.table_to_json(table)`.
fn table_to_json(lua: &Lua, shared: &Shared, value: &Value) -> mlua::Result<Table> {
    if !value.is_table() {
        return answer(lua, 400, Err("table_to_json: the value must be a table"));
    }
    match json::write(lua, &shared.state, &shared.array_mark, "table", value) {
        Ok(text) => answer(lua, 200, Ok(Value::String(lua.create_string(text)?))),
        Err(WriteError::Value(cause)) => answer(lua, 400, Err(&cause)),
        Err(WriteError::Engine(error)) => Err(error),
    }
}

/// `util.json_to_table(text, disableNumberStringToNumber)`. Any JSON text is taken, not only one of an object.
fn json_to_table(lua: &Lua, shared: &Shared, text: &Value, keep_digit_texts: bool) -> mlua::Result<Table> {
    let Some(text) = text_of(lua, text)? else {
        return answer(lua, 400, Err("json_to_table: the value must be a text"));
    };
    let Ok(text) = text.to_str() else {
        return answer(lua, 400, Err("json_to_table: the text must be UTF-8"));
    };
    match json::read(lua, &shared.state, &shared.array_mark, &text, !keep_digit_texts) {
        Ok(value) => answer(lua, 200, Ok(value)),
        Err(ReadError::Text(cause)) => answer(lua, 400, Err(&cause)),
        Err(ReadError::Engine(error)) => Err(error),
    }
}

/// `util.split(value, sep)`. An empty separator splits into single bytes.
fn split(lua: &Lua, shared: &Shared, value: &Value, separator: &Value) -> mlua::Result<Table> {
    let (Some(value), Some(separator)) = (text_of(lua, value)?, text_of(lua, separator)?) else {
        return answer(lua, 400, Err("split: the value and the separator must be texts"));
    };
    let pieces = text::split(lua, &shared.state, &value, &separator)?;
    pieces.set_metatable(Some(shared.array_mark.clone()))?;
    answer(lua, 200, Ok(Value::Table(pieces)))
}
