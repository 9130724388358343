//! The functions of `string` that could run without a bound, bounded.
//!
//! The engine asks whether to go on at every step of a pattern, but not while it looks for a plain text, and not while
//! it tries one class of characters on a text. The rest of `string` is bounded by the memory that it fills.

use std::rc::Rc;

use memchr::memmem;
use mlua::{Function, Lua, MultiValue, Table, Value};

use super::text_of;
use crate::state::State;

/// What one step of a pattern may cost: the length of the text times that of the longest class.
const STEP_COST_MAX: usize = 1 << 28;

/// The greatest length of a replacement that refers to captures.
const REPLACEMENT_BYTES_MAX: usize = 1 << 20;

/// After how many pieces of a text the clock is read.
const PIECES_PER_CHECK: usize = 256;

/// The characters that make a pattern more than a plain text.
const SPECIALS: &[u8] = b"^$*+?.([%-";

pub(super) fn install(lua: &Lua, globals: &Table, state: &Rc<State>) -> mlua::Result<()> {
    let string: Table = globals.raw_get("string")?;
    string.raw_set("find", find(lua, state, string.raw_get("find")?)?)?;
    string.raw_set("gsub", gsub(lua, state, string.raw_get("gsub")?)?)?;
    for name in ["match", "gmatch"] {
        string.raw_set(name, bounded(lua, state, string.raw_get(name)?)?)?;
    }
    let state = state.clone();
    let split = lua.create_function(move |lua, (text, separator): (Value, Value)| {
        let Some(text) = text_of(lua, &text)? else {
            return Err(state.raise(lua, "string.split: the text must be a text"));
        };
        let separator = match separator {
            Value::Nil => lua.create_string(",")?,
            other => match text_of(lua, &other)? {
                Some(separator) => separator,
                None => return Err(state.raise(lua, "string.split: the separator must be a text")),
            },
        };
        split(lua, &state, &text, &separator)
    })?;
    string.raw_set("split", split)
}

/// Splits a text at each `separator`; into single bytes if that is empty.
pub(super) fn split(
    lua: &Lua,
    state: &State,
    text: &mlua::String,
    separator: &mlua::String,
) -> mlua::Result<Table> {
    let pieces = lua.create_table()?;
    let (text, separator) = (text.as_bytes(), separator.as_bytes());
    let mut count = 0;
    let mut add = |piece: &[u8]| {
        count += 1;
        if count % PIECES_PER_CHECK == 0 {
            state.check_time(lua)?;
        }
        pieces.raw_set(count, lua.create_string(piece)?)
    };
    if separator.is_empty() {
        text.chunks(1).try_for_each(add)?;
        return Ok(pieces);
    }
    let mut start = 0;
    for end in memmem::find_iter(&text, &*separator) {
        add(&text[start..end])?;
        start = end + separator.len();
    }
    add(&text[start..])?;
    Ok(pieces)
}

/// `string.find`, plain searches in linear time.
fn find(lua: &Lua, state: &Rc<State>, native: Function) -> mlua::Result<Function> {
    let state = state.clone();
    lua.create_function(move |lua, (text, pattern, from, plain): (Value, Value, Value, Value)| {
        if let (Some(text), Some(pattern)) = (text_of(lua, &text)?, text_of(lua, &pattern)?) {
            let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
            let is_plain = !matches!(plain, Value::Nil | Value::Boolean(false));
            if is_plain || memchr_any(&pattern) {
                if let Some(from) = position(lua, &from) {
                    return find_plain(&text, &pattern, from);
                }
            } else {
                check_cost(lua, &state, &text, &pattern)?;
            }
        }
        // Also for arguments of the wrong kind: the native function says what is wrong with them.
        native.call::<MultiValue>((text, pattern, from, plain))
    })
}

/// Whether a pattern has no special character.
fn memchr_any(pattern: &[u8]) -> bool {
    !pattern.iter().any(|byte| SPECIALS.contains(byte))
}

/// The position that an argument stands for; `None` if it is no number.
fn position(lua: &Lua, from: &Value) -> Option<i64> {
    match from {
        Value::Nil => Some(1),
        other => lua.coerce_number(other.clone()).ok().flatten().map(|number| number as i64),
    }
}

fn find_plain(text: &[u8], pattern: &[u8], from: i64) -> mlua::Result<MultiValue> {
    let len = text.len() as i64;
    let from = if from < 0 { (from.saturating_add(len) + 1).max(1) } else { from.max(1) };
    let found = usize::try_from(from - 1)
        .ok()
        .filter(|&from| from <= text.len())
        .and_then(|from| memmem::find(&text[from..], pattern).map(|at| from + at));
    Ok(match found {
        Some(at) => [at + 1, at + pattern.len()].into_iter().map(|n| Value::Integer(n as i64)).collect(),
        None => [Value::Nil].into_iter().collect(),
    })
}

/// `string.gsub` with a bound on what one step costs.
fn gsub(lua: &Lua, state: &Rc<State>, native: Function) -> mlua::Result<Function> {
    let state = state.clone();
    lua.create_function(move |lua, (text, pattern, with, count): (Value, Value, Value, Value)| {
        check_values(lua, &state, &text, &pattern)?;
        if let Value::String(with) = &with {
            let with = with.as_bytes();
            if with.len() > REPLACEMENT_BYTES_MAX && with.contains(&b'%') {
                return Err(state.raise(lua, "gsub: the replacement is too long"));
            }
        }
        // A missing count must stay missing: nil is taken for none here as well.
        native.call::<MultiValue>((text, pattern, with, count))
    })
}

/// A function of a text and a pattern, with a bound on what one step costs.
fn bounded(lua: &Lua, state: &Rc<State>, native: Function) -> mlua::Result<Function> {
    let state = state.clone();
    lua.create_function(move |lua, (text, pattern, from): (Value, Value, Value)| {
        check_values(lua, &state, &text, &pattern)?;
        native.call::<MultiValue>((text, pattern, from))
    })
}

fn check_values(lua: &Lua, state: &State, text: &Value, pattern: &Value) -> mlua::Result<()> {
    match (text, pattern) {
        (Value::String(text), Value::String(pattern)) => {
            check_cost(lua, state, &text.as_bytes(), &pattern.as_bytes())
        }
        // A number is a short text, and anything else is refused by the native function.
        _ => Ok(()),
    }
}

fn check_cost(lua: &Lua, state: &State, text: &[u8], pattern: &[u8]) -> mlua::Result<()> {
    let class = if pattern.contains(&b'[') { pattern.len() } else { 1 };
    if text.len().saturating_mul(class) > STEP_COST_MAX {
        return Err(state.raise(lua, "the pattern is too long for a text of this length"));
    }
    state.check_time(lua)
}
