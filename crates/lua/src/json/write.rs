//! JSON text from tables.

use mlua::{Lua, Table, Value};

use super::EXACT_MAX;
use crate::state::State;

/// After how many members the clock is read.
const MEMBERS_PER_CHECK: u32 = 256;

/// Why a value did not become text.
pub(crate) enum WriteError {
    /// The value is at fault; a sentence that names the member.
    Value(String),
    /// The script is stopped, or the engine refused.
    Engine(mlua::Error),
}

/// Turns a value into JSON text. `root` names it in errors (`result`). Members stand in the order of their names.
///
/// A sequence becomes an array, every other table an object; an empty table an object, unless it came from an array.
pub(crate) fn write(
    lua: &Lua,
    state: &State,
    array_mark: &Table,
    root: &str,
    value: &Value,
) -> Result<String, WriteError> {
    let mark = array_mark.to_pointer();
    let mut writer = Writer { lua, state, mark, out: Vec::new(), open: Vec::new(), members: 0 };
    match writer.value(value) {
        Ok(()) => Ok(String::from_utf8_lossy(&writer.out).into_owned()),
        Err(Refusal::Engine(error)) => Err(WriteError::Engine(error)),
        Err(Refusal::Value { steps, cause }) => {
            let path: String = steps.into_iter().rev().collect();
            Err(WriteError::Value(format!("{root}{path}: {cause}")))
        }
    }
}

/// Turns a table into the members of a JSON object; nil is one without members.
pub(crate) fn write_map(
    lua: &Lua,
    state: &State,
    array_mark: &Table,
    root: &str,
    value: &Value,
) -> Result<serde_json::Map<String, serde_json::Value>, WriteError> {
    if value.is_nil() {
        return Ok(serde_json::Map::new());
    }
    let text = write(lua, state, array_mark, root, value)?;
    if text == "[]" {
        return Ok(serde_json::Map::new());
    }
    serde_json::from_str(&text)
        .map_err(|_| WriteError::Value(format!("{root}: must be a table with named members")))
}

struct Writer<'a> {
    lua: &'a Lua,
    state: &'a State,
    mark: *const std::ffi::c_void,
    out: Vec<u8>,
    /// The tables around the present value.
    open: Vec<*const std::ffi::c_void>,
    members: u32,
}

enum Refusal {
    /// The way to the member is put together while the error travels up, innermost first.
    Value {
        steps: Vec<String>,
        cause: String,
    },
    Engine(mlua::Error),
}

impl From<mlua::Error> for Refusal {
    fn from(error: mlua::Error) -> Refusal {
        Refusal::Engine(error)
    }
}

impl Refusal {
    fn new(cause: impl Into<String>) -> Refusal {
        Refusal::Value { steps: Vec::new(), cause: cause.into() }
    }

    fn at(mut self, step: impl FnOnce() -> String) -> Refusal {
        if let Refusal::Value { steps, .. } = &mut self {
            steps.push(step());
        }
        self
    }
}

/// The name of a member and the key that it has in the table.
type Member = (String, Option<f64>);

impl Writer<'_> {
    fn value(&mut self, value: &Value) -> Result<(), Refusal> {
        match value {
            Value::Nil => self.put(b"null"),
            Value::Boolean(true) => self.put(b"true"),
            Value::Boolean(false) => self.put(b"false"),
            Value::Integer(number) if number.unsigned_abs() <= EXACT_MAX => {
                self.put(number.to_string().as_bytes())
            }
            Value::Integer(number) => self.number(*number as f64),
            Value::Number(number) => self.number(*number),
            Value::String(text) => match text.to_str() {
                Ok(text) => self.text(&text),
                Err(_) => Err(Refusal::new("a text must be UTF-8")),
            },
            Value::Table(table) => self.table(table),
            other => Err(Refusal::new(format!("a {} cannot be JSON", other.type_name()))),
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.check_room(bytes.len())?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn check_room(&self, bytes: usize) -> Result<(), Refusal> {
        let limit = self.state.limits.result_bytes;
        if self.out.len() + bytes > limit {
            return Err(Refusal::new(format!("longer than the limit of {limit} bytes")));
        }
        Ok(())
    }

    fn number(&mut self, number: f64) -> Result<(), Refusal> {
        if !number.is_finite() {
            return Err(Refusal::new("a number must be finite"));
        }
        if number.fract() == 0.0 && number.abs() <= EXACT_MAX as f64 {
            return self.put((number as i64).to_string().as_bytes());
        }
        self.put(serde_json::Value::from(number).to_string().as_bytes())
    }

    fn text(&mut self, text: &str) -> Result<(), Refusal> {
        self.check_room(text.len() + 2)?;
        // Writing to memory cannot fail.
        let _ = serde_json::to_writer(&mut self.out, text);
        self.check_room(0)
    }

    fn table(&mut self, table: &Table) -> Result<(), Refusal> {
        let pointer = table.to_pointer();
        if self.open.contains(&pointer) {
            return Err(Refusal::new("a table must not contain itself"));
        }
        let nesting = self.state.limits.nesting;
        if self.open.len() >= nesting {
            return Err(Refusal::new(format!("nested deeper than {nesting}")));
        }
        self.open.push(pointer);
        match self.sequence_len(table)? {
            Some(0) => {
                let is_array = table.metatable().is_some_and(|metatable| metatable.to_pointer() == self.mark);
                self.put(if is_array { b"[]" } else { b"{}" })?;
            }
            Some(len) => self.array(table, len)?,
            None => self.object(table)?,
        }
        self.open.pop();
        Ok(())
    }

    /// The length of a table that is a sequence.
    fn sequence_len(&mut self, table: &Table) -> Result<Option<i64>, Refusal> {
        let len = table.raw_len() as i64;
        if len == 0 && table.is_empty() {
            return Ok(Some(0));
        }
        let mut count = 0;
        let mut is_sequence = len > 0;
        let counted = table.for_each(|key: Value, _: Value| {
            self.count()?;
            match key {
                Value::Integer(index) if (1..=len).contains(&index) => count += 1,
                _ => is_sequence = false,
            }
            // Nothing more can be learned; the error ends the walk and is not looked at.
            if is_sequence { Ok(()) } else { Err(mlua::Error::runtime("")) }
        });
        if !is_sequence {
            return if self.state.is_stopped() { Err(stopped().into()) } else { Ok(None) };
        }
        counted?;
        Ok((count == len).then_some(len))
    }

    fn array(&mut self, table: &Table, len: i64) -> Result<(), Refusal> {
        for index in 1..=len {
            self.put(if index == 1 { b"[" } else { b"," })?;
            self.count()?;
            let value: Value = table.raw_get(index)?;
            self.value(&value).map_err(|refusal| refusal.at(|| format!("[{index}]")))?;
        }
        self.put(b"]")
    }

    fn object(&mut self, table: &Table) -> Result<(), Refusal> {
        let mut members = self.members_of(table)?;
        members.sort_by(|a, b| a.0.cmp(&b.0));
        for (i, (name, number)) in members.iter().enumerate() {
            if i > 0 && members[i - 1].0 == *name {
                return Err(
                    Refusal::new("has a number and a text of the same name").at(|| format!(".{name}"))
                );
            }
            self.put(if i == 0 { b"{" } else { b"," })?;
            self.count()?;
            self.text(name)?;
            self.put(b":")?;
            let value: Value = match number {
                Some(number) => table.raw_get(*number)?,
                None => table.raw_get(name.as_str())?,
            };
            self.value(&value).map_err(|refusal| refusal.at(|| format!(".{name}")))?;
        }
        self.put(b"}")
    }

    fn members_of(&mut self, table: &Table) -> Result<Vec<Member>, Refusal> {
        let mut members: Vec<Member> = Vec::new();
        let mut bytes = 0;
        let mut refusal = None;
        let listed = table.for_each(|key: Value, _: Value| {
            self.count()?;
            let member = match &key {
                Value::String(name) => match name.to_str() {
                    Ok(name) => Ok((name.to_owned(), None)),
                    Err(_) => Err(Refusal::new("the name of a member must be UTF-8")),
                },
                Value::Integer(number) => Ok((number.to_string(), Some(*number as f64))),
                Value::Number(number) => Ok((number.to_string(), Some(*number))),
                other => Err(Refusal::new(format!("a {} cannot be the name of a member", other.type_name()))),
            };
            // The names alone may be more than fits, and they are outside of the memory that is limited.
            let member = member.and_then(|member| {
                bytes += member.0.len() + 4;
                self.check_room(bytes).map(|()| member)
            });
            match member {
                Ok(member) => {
                    members.push(member);
                    Ok(())
                }
                Err(error) => {
                    refusal = Some(error);
                    Err(mlua::Error::runtime(""))
                }
            }
        });
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        listed?;
        Ok(members)
    }

    fn count(&mut self) -> mlua::Result<()> {
        self.members += 1;
        if self.members < MEMBERS_PER_CHECK {
            return Ok(());
        }
        self.members = 0;
        self.state.check_time(self.lua)
    }
}

/// The error of a script whose stop is in the state.
fn stopped() -> mlua::Error {
    mlua::Error::runtime("the script was stopped")
}
