//! Tables from JSON and JSON from tables.

mod read;
mod write;

pub(crate) use read::{ReadError, read};
pub(crate) use write::{WriteError, write, write_map};

use mlua::{Lua, Table};

/// The greatest number that every smaller one is exact below: 2^53.
const EXACT_MAX: u64 = 1 << 53;

/// The metatable of tables that came from JSON arrays: an empty one of them is written as `[]`.
pub(crate) fn array_mark(lua: &Lua) -> mlua::Result<Table> {
    let mark = lua.create_table()?;
    mark.set_readonly(true);
    Ok(mark)
}
