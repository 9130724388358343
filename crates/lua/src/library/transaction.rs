//! `transaction`: actions that are carried out after the script has ended well.

use mlua::{Function, Lua, Table, Value};

use super::{Shared, utf8_of};
use crate::{
    Action, Transaction,
    json::{self, WriteError},
    state::State,
};

/// How many actions each list may have.
const ACTIONS_MAX: usize = 100;

/// The greatest length of the name of a service or an action.
const NAME_BYTES_MAX: usize = 128;

pub(super) fn install(lua: &Lua, globals: &Table, shared: &Shared) -> mlua::Result<()> {
    let transaction = lua.create_table()?;
    let own = shared.clone();
    transaction
        .raw_set("service", lua.create_function(move |lua, name: Value| service(lua, &own, &name))?)?;
    let own = shared.clone();
    transaction.raw_set(
        "execute",
        lua.create_function(move |lua, lists: Value| execute(lua, &own.state, &lists))?,
    )?;
    globals.raw_set("transaction", transaction)
}

/// `transaction.service(name)`: what builds the service's actions.
fn service(lua: &Lua, shared: &Shared, name: &Value) -> mlua::Result<Table> {
    let name = utf8_of(lua, &shared.state, name, "transaction.service: the name of the service")?;
    let Some(service) = pascal(&name) else {
        return Err(shared.state.raise(lua, "transaction.service: that is no name of a service"));
    };
    let own = shared.clone();
    let index = lua.create_function(move |lua, (_, action): (Value, Value)| {
        let action = utf8_of(lua, &own.state, &action, "transaction: the name of the action")?;
        let Some(action) = pascal(&action) else {
            return Err(own.state.raise(lua, "transaction: that is no name of an action"));
        };
        builder(lua, &own, format!("Gs2{service}:{action}"))
    })?;
    let metatable = lua.create_table()?;
    metatable.raw_set("__index", index)?;
    metatable.raw_set("__metatable", false)?;
    let actions = lua.create_table()?;
    actions.set_metatable(Some(metatable))?;
    actions.set_readonly(true);
    let service = lua.create_table()?;
    // The name of an action says which list it belongs to; all three build it alike.
    for list in ["verify", "consume", "acquire"] {
        service.raw_set(list, &actions)?;
    }
    service.set_readonly(true);
    Ok(service)
}

/// The function that builds an action from its request.
fn builder(lua: &Lua, shared: &Shared, action: String) -> mlua::Result<Function> {
    let shared = shared.clone();
    lua.create_function(move |lua, request: Value| {
        let state = &shared.state;
        if !matches!(request, Value::Nil | Value::Table(_)) {
            return Err(state.raise(lua, &format!("{action}: the request must be a table")));
        }
        let request = match json::write_map(lua, state, &shared.array_mark, "request", &request) {
            Ok(request) => serde_json::Value::Object(request).to_string(),
            Err(WriteError::Value(cause)) => return Err(state.raise(lua, &format!("{action}: {cause}"))),
            Err(WriteError::Engine(error)) => return Err(error),
        };
        let built = lua.create_table_with_capacity(0, 2)?;
        built.raw_set("action", action.as_str())?;
        built.raw_set("request", request)?;
        Ok(built)
    })
}

/// `serialKey`, `serial_key` → `SerialKey`. `None` when it is no name.
fn pascal(name: &str) -> Option<String> {
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name {
        return None;
    }
    let mut pascal = String::with_capacity(name.len());
    for word in name.split('_') {
        let mut letters = word.chars();
        pascal.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        pascal.push_str(letters.as_str());
    }
    Some(pascal)
}

/// `transaction.execute({verify = {…}, consume = {…}, acquire = {…}})`.
fn execute(lua: &Lua, state: &State, lists: &Value) -> mlua::Result<()> {
    let Value::Table(lists) = lists else {
        return Err(state.raise(lua, "transaction.execute: the argument must be a table"));
    };
    lists.for_each(|name: Value, _: Value| {
        let known = name
            .as_string()
            .is_some_and(|name| matches!(&*name.as_bytes(), b"verify" | b"consume" | b"acquire"));
        if known {
            return Ok(());
        }
        Err(state.raise(lua, "transaction.execute: the argument has only verify, consume and acquire"))
    })?;
    let mut read = Transaction::default();
    for (name, list) in
        [("verify", &mut read.verify), ("consume", &mut read.consume), ("acquire", &mut read.acquire)]
    {
        *list = actions(lua, state, name, &lists.raw_get(name)?)?;
    }
    let mut transaction = state.transaction.borrow_mut();
    let recorded = transaction.get_or_insert_default();
    for (name, list, more) in [
        ("verify", &mut recorded.verify, read.verify),
        ("consume", &mut recorded.consume, read.consume),
        ("acquire", &mut recorded.acquire, read.acquire),
    ] {
        if list.len() + more.len() > ACTIONS_MAX {
            return Err(too_many(lua, state, name));
        }
        list.extend(more);
    }
    Ok(())
}

fn actions(lua: &Lua, state: &State, name: &str, list: &Value) -> mlua::Result<Vec<Action>> {
    let table = match list {
        Value::Nil => return Ok(Vec::new()),
        Value::Table(table) => table,
        _ => return Err(state.raise(lua, &format!("transaction.execute: {name} must be a list of actions"))),
    };
    let len = table.raw_len();
    if len > ACTIONS_MAX {
        return Err(too_many(lua, state, name));
    }
    let mut members = 0;
    table.for_each(|_: Value, _: Value| {
        members += 1;
        if members <= len {
            return Ok(());
        }
        Err(state.raise(lua, &format!("transaction.execute: {name} must be a list of actions")))
    })?;
    (1..=len)
        .map(|index| {
            let member: Value = table.raw_get(index)?;
            let Value::Table(action) = member else {
                return Err(
                    state.raise(lua, &format!("transaction.execute: {name}[{index}] must be an action"))
                );
            };
            let text = |member: &str| {
                let value: Value = action.raw_get(member)?;
                utf8_of(lua, state, &value, &format!("transaction.execute: {name}[{index}].{member}"))
            };
            Ok(Action { action: text("action")?, request: text("request")? })
        })
        .collect()
}

fn too_many(lua: &Lua, state: &State, name: &str) -> mlua::Error {
    let place = state.place(lua, 1);
    state.stop(400, format!("{place}transaction.execute: more than {ACTIONS_MAX} actions in {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sc17_names_become_pascal_case() {
        let check = |name: &str, expected: Option<&str>| assert_eq!(pascal(name).as_deref(), expected);
        check("serialKey", Some("SerialKey"));
        check("serial_key", Some("SerialKey"));
        check("use_by_user_id", Some("UseByUserId"));
        check("login_reward2", Some("LoginReward2"));
        check("", None);
        check("_x", None);
        check("a:b", None);
    }
}
