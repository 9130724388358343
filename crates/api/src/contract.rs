//! The contract: what an operation is, the table of all of them, and the reader that turns a flat JSON object into a
//! request and reports every wrong field at once.

mod field;
mod operation;
mod reader;
mod route;
mod table;

pub use field::{At, Field, FieldInfo, Kind, Shape, Spec, UnixMillis, Unspecified, write_field};
pub use operation::{Access, Declaration, Empty, Item, Items, Operation, Page, Service, Subject, TimeOffset};
pub use reader::{AVOIDER_CHARS_MAX, Credentials, Decoded, Reader, TOKEN_CHARS_MAX, decode};
pub use route::{RouteMatch, Router};
pub use serde::ser::{Serialize, SerializeMap, Serializer};
pub use serde_json::Value;
pub use table::{Row, RowId, Table, Variant};

/// The flat object that every transport builds: all request fields at top level, path parameters included.
pub type Fields = serde_json::Map<String, Value>;
