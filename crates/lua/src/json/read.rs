//! Tables from JSON text.

use std::{cell::RefCell, fmt};

use mlua::{Lua, Table, Value};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::EXACT_MAX;
use crate::state::State;

/// After how many values the clock is read.
const VALUES_PER_CHECK: u32 = 256;

/// Why a text did not become a value.
pub(crate) enum ReadError {
    /// The text is at fault; a sentence.
    Text(String),
    /// The script is stopped, or the engine refused.
    Engine(mlua::Error),
}

/// Turns JSON text into a value. `null` becomes nil, so that a member with it is absent.
///
/// With `digits`, texts of digits only become numbers, unless the number would not be exact.
pub(crate) fn read(
    lua: &Lua,
    state: &State,
    array_mark: &Table,
    text: &str,
    digits: bool,
) -> Result<Value, ReadError> {
    let reader = Reader { lua, state, array_mark, digits, progress: RefCell::new(Progress::default()) };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Seed { reader: &reader, depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    match (read, reader.progress.into_inner().error) {
        (Ok(value), _) => Ok(value),
        (Err(_), Some(error)) => Err(ReadError::Engine(error)),
        (Err(error), None) => Err(ReadError::Text(error.to_string())),
    }
}

struct Reader<'a> {
    lua: &'a Lua,
    state: &'a State,
    array_mark: &'a Table,
    digits: bool,
    progress: RefCell<Progress>,
}

#[derive(Default)]
struct Progress {
    values: u32,
    /// What the engine said: the parser's errors are texts and cannot carry it.
    error: Option<mlua::Error>,
}

impl Reader<'_> {
    fn engine<T, E: serde::de::Error>(&self, result: mlua::Result<T>) -> Result<T, E> {
        result.map_err(|error| {
            let text = E::custom("the engine refused");
            self.progress.borrow_mut().error = Some(error);
            text
        })
    }

    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
        let mut progress = self.progress.borrow_mut();
        progress.values += 1;
        if progress.values < VALUES_PER_CHECK {
            return Ok(());
        }
        progress.values = 0;
        drop(progress);
        self.engine(self.state.check_time(self.lua))
    }
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    reader: &'a Reader<'a>,
    depth: usize,
}

impl Seed<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let nesting = self.reader.state.limits.nesting;
        if self.depth >= nesting {
            return Err(E::custom(format_args!("nested deeper than {nesting}")));
        }
        Ok(Seed { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.reader.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Number(value as f64), Value::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        if self.reader.digits
            && let Some(number) = number_of_digits(value)
        {
            return Ok(Value::Integer(number));
        }
        self.reader.engine(self.reader.lua.create_string(value)).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let reader = self.reader;
        let table = reader.engine(reader.lua.create_table())?;
        let mut index = 0;
        while let Some(value) = array.next_element_seed(seed)? {
            index += 1;
            if !value.is_nil() {
                reader.engine(table.raw_set(index, value))?;
            }
        }
        reader.engine(table.set_metatable(Some(reader.array_mark.clone())))?;
        Ok(Value::Table(table))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let reader = self.reader;
        let table = reader.engine(reader.lua.create_table())?;
        while let Some(name) = object.next_key_seed(Name { reader })? {
            let value = object.next_value_seed(seed)?;
            reader.engine(table.raw_set(name, value))?;
        }
        Ok(Value::Table(table))
    }
}

/// The name of a member, which stays a text whatever it is made of.
struct Name<'a> {
    reader: &'a Reader<'a>,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = mlua::String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<mlua::String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = mlua::String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<mlua::String, E> {
        self.reader.engine(self.reader.lua.create_string(value))
    }
}

/// The number that a text of digits only stands for, if it is exact.
fn number_of_digits(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse::<u64>()
        .ok()
        .filter(|&number| number <= EXACT_MAX)
        .and_then(|number| i64::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sc02_a_text_of_digits_is_a_number_if_it_is_exact() {
        let check =
            |text: &str, expected: Option<i64>| assert_eq!(number_of_digits(text), expected, "{text}");
        check("0", Some(0));
        check("007", Some(7));
        check("9007199254740992", Some(9_007_199_254_740_992));
        check("9007199254740993", None);
        check("99999999999999999999999", None);
        check("", None);
        check("-1", None);
        check("1.5", None);
        check("１", None);
    }
}
