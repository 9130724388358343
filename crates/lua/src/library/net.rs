//! `http`: requests to other servers.

use std::rc::Rc;

use mlua::{Lua, Table, Value};

use super::{answer, utf8_of};
use crate::{HttpRequest, state::State};

/// How many headers a request may have.
const HEADERS_MAX: usize = 100;

/// Functions whose requests have no body: `http.get(url, headers)`.
const WITHOUT_BODY: [&str; 4] = ["get", "head", "delete", "options"];

/// Functions whose requests have one: `http.post(url, contentType, body, headers)`.
const WITH_BODY: [&str; 3] = ["post", "put", "patch"];

pub(super) fn install(lua: &Lua, globals: &Table, state: &Rc<State>) -> mlua::Result<()> {
    let http = lua.create_table()?;
    for name in WITHOUT_BODY {
        let state = state.clone();
        let function = lua.create_function(move |lua, (url, headers): (Value, Value)| {
            request(lua, &state, name, &url, [&Value::Nil, &Value::Nil], &headers)
        })?;
        http.raw_set(name, function)?;
    }
    for name in WITH_BODY {
        let state = state.clone();
        let function =
            lua.create_function(move |lua, (url, kind, body, headers): (Value, Value, Value, Value)| {
                request(lua, &state, name, &url, [&kind, &body], &headers)
            })?;
        http.raw_set(name, function)?;
    }
    globals.raw_set("http", http)
}

fn request(
    lua: &Lua,
    state: &State,
    name: &str,
    url: &Value,
    [kind, body]: [&Value; 2],
    headers: &Value,
) -> mlua::Result<Table> {
    let url = utf8_of(lua, state, url, &format!("http.{name}: the URL"))?;
    let mut sent = headers_of(lua, state, name, headers)?;
    if !kind.is_nil() {
        let kind = utf8_of(lua, state, kind, &format!("http.{name}: the content type"))?;
        sent.push(("Content-Type".to_owned(), kind));
    }
    let line_end = |text: &str| text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
    if line_end(&url) || sent.iter().any(|(name, value)| line_end(name) || line_end(value)) {
        return Err(state.raise(lua, &format!("http.{name}: the URL and the headers must have no line end")));
    }
    let body = match body {
        Value::Nil => None,
        body => Some(utf8_of(lua, state, body, &format!("http.{name}: the body"))?),
    };
    sent.sort();
    state.check_time(lua)?;
    let reply = state.host()?.http(HttpRequest { method: name.to_uppercase(), url, headers: sent, body });
    state.check_time(lua)?;
    if !reply.is_success() {
        let table = answer(lua, reply.status, Err(&reply.body))?;
        table.raw_set("result", reply.body)?;
        return Ok(table);
    }
    answer(lua, reply.status, Ok(Value::String(lua.create_string(reply.body)?)))
}

fn headers_of(lua: &Lua, state: &State, name: &str, headers: &Value) -> mlua::Result<Vec<(String, String)>> {
    let table = match headers {
        Value::Nil => return Ok(Vec::new()),
        Value::Table(table) => table,
        _ => return Err(state.raise(lua, &format!("http.{name}: the headers must be a table"))),
    };
    let mut listed = Vec::new();
    table.for_each(|header: Value, value: Value| {
        if listed.len() >= HEADERS_MAX {
            return Err(state.raise(lua, &format!("http.{name}: more than {HEADERS_MAX} headers")));
        }
        let header = match &header {
            Value::String(_) => utf8_of(lua, state, &header, &format!("http.{name}: the name of a header"))?,
            _ => return Err(state.raise(lua, &format!("http.{name}: the name of a header must be a text"))),
        };
        let value = utf8_of(lua, state, &value, &format!("http.{name}: the header '{header}'"))?;
        listed.push((header, value));
        Ok(())
    })?;
    Ok(listed)
}
