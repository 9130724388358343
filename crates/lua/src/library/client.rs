//! `gs2(service)`: clients of the server's services.

use std::{cell::RefCell, rc::Rc};

use mlua::{Function, Lua, Table, Value};
use serde_json::Map;

use super::{Shared, answer, utf8_of};
use crate::{
    Host, Pending, Reply,
    json::{self, ReadError, WriteError},
    state::Call,
};

/// The greatest length of the name of a service or a method.
const NAME_BYTES_MAX: usize = 128;

/// What a method's name ends with that does not wait for the answer.
const ASYNC_SUFFIX: &str = "_async";

pub(super) fn install(lua: &Lua, globals: &Table, shared: &Shared) -> mlua::Result<()> {
    let shared = shared.clone();
    let gs2 = lua.create_function(move |lua, service: Value| {
        let state = &shared.state;
        let service = utf8_of(lua, state, &service, "gs2: the name of the service")?;
        if service.len() > NAME_BYTES_MAX || !state.host()?.has_service(&service) {
            let service: String = service.chars().take(NAME_BYTES_MAX).collect();
            return Err(state.raise(lua, &format!("gs2: there is no service '{service}'")));
        }
        client(lua, &shared, service.into())
    })?;
    globals.raw_set("gs2", gs2)
}

/// A client: a table without members, whose members are made when they are asked for.
fn client(lua: &Lua, shared: &Shared, service: Rc<str>) -> mlua::Result<Table> {
    let shared = shared.clone();
    let index = lua.create_function(move |lua, (_, method): (Value, Value)| {
        let method =
            utf8_of(lua, &shared.state, &method, &format!("gs2: the name of a method of '{service}'"))?;
        match method.strip_suffix(ASYNC_SUFFIX) {
            Some(method) => begun_method(lua, &shared, service.clone(), method.into()),
            None => waiting_method(lua, &shared, service.clone(), method.into()),
        }
    })?;
    let metatable = lua.create_table()?;
    metatable.raw_set("__index", index)?;
    metatable.raw_set("__metatable", false)?;
    let client = lua.create_table()?;
    client.set_metatable(Some(metatable))?;
    client.set_readonly(true);
    Ok(client)
}

/// `client.method{…}`: begins the call and waits for it.
fn waiting_method(lua: &Lua, shared: &Shared, service: Rc<str>, method: Rc<str>) -> mlua::Result<Function> {
    let shared = shared.clone();
    lua.create_function(move |lua, request: Value| {
        let reply = ask(lua, &shared, (&service, &method), &request, |host, service, method, request| {
            host.call(service, method, request)
        })?;
        shared.state.check_time(lua)?;
        answer_of(lua, &shared, &reply)
    })
}

/// `client.method_async{…}`: begins the call and returns a function that waits for it.
fn begun_method(lua: &Lua, shared: &Shared, service: Rc<str>, method: Rc<str>) -> mlua::Result<Function> {
    let shared = shared.clone();
    lua.create_function(move |lua, request: Value| {
        let pending = ask(lua, &shared, (&service, &method), &request, |host, service, method, request| {
            host.begin(service, method, request)
        })?;
        let call = shared.state.keep_call(lua, pending)?;
        handler(lua, &shared, call)
    })
}

/// The function that waits for a call. Called again it returns the same table again.
fn handler(lua: &Lua, shared: &Shared, call: Call) -> mlua::Result<Function> {
    let shared = shared.clone();
    let answer: RefCell<Option<Table>> = RefCell::new(None);
    lua.create_function(move |lua, ()| {
        let pending = call.borrow_mut().take();
        if let Some(pending) = pending {
            let table = wait(lua, &shared, pending)?;
            *answer.borrow_mut() = Some(table);
        }
        Ok(answer.borrow().clone())
    })
}

/// Asks the host for a call with the request that a table is.
fn ask<T>(
    lua: &Lua,
    shared: &Shared,
    (service, method): (&str, &str),
    request: &Value,
    ask: impl FnOnce(&dyn Host, &str, &str, Map<String, serde_json::Value>) -> Result<T, String>,
) -> mlua::Result<T> {
    let state = &shared.state;
    if !matches!(request, Value::Nil | Value::Table(_)) {
        return Err(state.raise(lua, &format!("{service}.{method}: the request must be a table")));
    }
    let request = match json::write_map(lua, state, &shared.array_mark, "request", request) {
        Ok(request) => request,
        Err(WriteError::Value(cause)) => {
            return Err(state.raise(lua, &format!("{service}.{method}: {cause}")));
        }
        Err(WriteError::Engine(error)) => return Err(error),
    };
    state.check_time(lua)?;
    let asked = match is_method(method) {
        true => ask(&*state.host()?, service, method, request),
        false => Err("there is no such method".to_owned()),
    };
    asked.map_err(|cause| {
        let method: String = method.chars().take(NAME_BYTES_MAX).collect();
        state.raise(lua, &format!("{service}.{method}: {cause}"))
    })
}

/// Whether a name could be that of a method.
fn is_method(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn wait(lua: &Lua, shared: &Shared, pending: Box<dyn Pending>) -> mlua::Result<Table> {
    let reply = pending.wait();
    shared.state.check_time(lua)?;
    answer_of(lua, shared, &reply)
}

fn answer_of(lua: &Lua, shared: &Shared, reply: &Reply) -> mlua::Result<Table> {
    if !reply.is_success() {
        return answer(lua, reply.status, Err(&reply.body));
    }
    match json::read(lua, &shared.state, &shared.array_mark, &reply.body, false) {
        Ok(result) => answer(lua, reply.status, Ok(result)),
        Err(ReadError::Text(cause)) => answer(lua, 500, Err(&format!("the answer cannot be read: {cause}"))),
        Err(ReadError::Engine(error)) => Err(error),
    }
}
