//! The functions of `table` that could run without a bound, bounded.

use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Table, Value};

use super::lua_function;
use crate::state::State;

/// How many members `table.move` moves at a time.
const MOVED_MAX: i64 = 1_000_000;

/// The longest table of numbers that is sorted without asking whether to go on.
const SORTED_AT_ONCE_MAX: usize = 100_000;

/// The name of the comparison in error texts; it is taken out of them.
pub(crate) const LESS_NAME: &str = "table.sort";

pub(super) fn install(lua: &Lua, globals: &Table, state: &Rc<State>) -> mlua::Result<()> {
    let table: Table = globals.raw_get("table")?;
    table.raw_set("move", bounded_move(lua, state, table.raw_get("move")?)?)?;
    table.raw_set("sort", sort(lua, table.raw_get("sort")?)?)
}

/// `table.move`: the native one walks a range however long and empty.
fn bounded_move(lua: &Lua, state: &Rc<State>, native: Function) -> mlua::Result<Function> {
    let state = state.clone();
    lua.create_function(move |lua, (from, first, last, to, target): (Value, Value, Value, Value, Value)| {
        let ends = (lua.coerce_number(first.clone()), lua.coerce_number(last.clone()));
        if let (Ok(Some(first)), Ok(Some(last))) = ends
            && last - first >= MOVED_MAX as f64
        {
            return Err(
                state.raise(lua, &format!("table.move moves no more than {MOVED_MAX} members at a time"))
            );
        }
        native.call::<MultiValue>((from, first, last, to, target))
    })
}

/// `table.sort`: the native one compares long texts many times over without asking whether to go on. With a comparison
/// that is a function of the language it asks.
fn sort(lua: &Lua, native: Function) -> mlua::Result<Function> {
    let less =
        lua_function(lua, &format!("={LESS_NAME}"), "return function(a, b) return a < b end", Value::Nil)?;
    lua.create_function(move |_, (table, comparison): (Value, Value)| {
        let comparison = match &table {
            Value::Table(table) if comparison.is_nil() && !is_short_of_numbers(table) => {
                Value::Function(less.clone())
            }
            _ => comparison,
        };
        native.call::<()>((table, comparison))
    })
}

fn is_short_of_numbers(table: &Table) -> bool {
    table.raw_len() <= SORTED_AT_ONCE_MAX
        && table
            .for_each_value(|value: Value| match value {
                Value::Integer(_) | Value::Number(_) => Ok(()),
                _ => Err(mlua::Error::runtime("")),
            })
            .is_ok()
}
