//! What an operation is: its declaration, its request type and its answer.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::{At, Field, FieldInfo, Fields, Kind, Reader, Shape, Spec, Variant};
use crate::error::ErrorItem;
use crate::names::{PageToken, UserId};

/// A service of the protocol under all its names (BEHAVIOUR section 0).
#[derive(Debug)]
pub struct Service {
    /// Name in messages, on the socket and in logs: `jobQueue`.
    pub name: &'static str,
    /// First path segment and host label: `job-queue`.
    pub segment: &'static str,
    /// Segment of its GRNs: `queue`.
    pub grn: &'static str,
    /// Name of its client in scripts: `job_queue`.
    pub script: &'static str,
    /// Prefix of its policy and transaction actions: `Gs2JobQueue`.
    pub action: &'static str,
    /// Whether its GRNs carry the region; Identifier's do not (BEHAVIOUR N-03).
    pub regional: bool,
    /// What the service is for.
    pub doc: &'static str,
    /// For each component the rest of its model's GRN, which is also the resource that policies name.
    pub resources: &'static [(&'static str, &'static str)],
}

/// Who may call an operation at all, before any policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody; only logins.
    Anonymous,
    /// A caller with a project token.
    Project,
    /// A caller with a project token and the access token of a player.
    Player,
}

impl Access {
    /// Word for the documents.
    pub fn word(self) -> &'static str {
        match self {
            Access::Anonymous => "anonymous",
            Access::Project => "project",
            Access::Player => "player",
        }
    }
}

/// What `#[derive(Operation)]` writes down.
#[derive(Debug)]
pub struct Declaration {
    /// Service that has the operation.
    pub service: &'static Service,
    /// HTTP method.
    pub method: &'static str,
    /// Path below the service; `{userId}` makes two operations of one declaration.
    pub path: &'static str,
    /// Path of the player's variant where it is another one than with `me` for `{userId}`.
    pub me: Option<&'static str>,
    /// Name of the operation, of the player's variant when there are two.
    pub name: &'static str,
    /// Model that the operation is about; `x_gs2.component` on the socket.
    pub component: &'static str,
    /// Model that messages about wrong fields name (BEHAVIOUR E-10); the component where nothing else is said.
    pub model: &'static str,
    /// Policy action when it is not the name.
    pub policy: Option<&'static str>,
    /// Whether the path's player is always named by the caller, though the name does not end in `ByUserId`.
    pub by_user: bool,
    /// Whether the player is the one of the access token, though the path names none.
    pub player: bool,
    /// Whether there may be an access token, though the path names no player.
    pub maybe_player: bool,
    /// Whether no project token is needed.
    pub anonymous: bool,
    /// Whether a duplication avoider is ignored although the operation writes.
    pub repeatable: bool,
    /// Whether a duplication avoider is honoured although the path names no player.
    pub once: bool,
    /// Documentation of the operation.
    pub doc: &'static str,
    /// The request fields as declared.
    pub specs: &'static [Spec],
    /// The request fields with their types.
    pub fields: fn() -> Vec<FieldInfo>,
    /// The answer.
    pub answer: fn() -> Shape,
}

impl Declaration {
    /// Whether the only variant is the one whose player the caller names.
    pub(super) fn is_by_user_only(&self) -> bool {
        self.by_user || self.name.ends_with("ByUserId")
    }

    /// Path of the operation in a variant.
    pub fn path_of(&self, variant: Variant) -> Cow<'static, str> {
        match (variant, self.me) {
            (Variant::Me, Some(path)) => path.into(),
            (Variant::Me, None) => self.path.replacen("{userId}", "me", 1).into(),
            _ => self.path.into(),
        }
    }

    /// Name of the operation in a variant.
    pub fn name_of(&self, variant: Variant) -> Cow<'static, str> {
        match variant {
            Variant::ByUser if !self.is_by_user_only() => format!("{}ByUserId", self.name).into(),
            _ => self.name.into(),
        }
    }
}

/// A request type that is declared with `#[derive(Operation)]`.
pub trait Operation: Sized + Send + Sync + std::fmt::Debug + 'static {
    /// The result object.
    type Answer: Field + Send + 'static;

    /// The table row.
    const DECLARATION: &'static Declaration;

    /// The request fields with their types.
    fn describe() -> Vec<FieldInfo>;

    /// Reads the request; `None` when the reader collected errors.
    fn read(reader: &mut Reader<'_>) -> Option<Self>;

    /// Writes the request as the flat object that a transport carries.
    fn write(&self, fields: &mut Fields);
}

/// The player that a call is about, as the request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The operation is not about a player.
    None,
    /// The user of the access token (`/user/me/`).
    Token,
    /// The user in the path (`/user/{userId}/`).
    User(UserId),
}

/// Seconds by which a call sees a later time (BEHAVIOUR A-07).
pub type TimeOffset = i32;

/// `{}`: the answer of an operation without result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Empty;

impl Serialize for Empty {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_map(Some(0))?.end()
    }
}

impl Field for Empty {
    fn shape() -> Shape {
        Shape::model("Empty", "", Vec::new)
    }

    fn read(_value: Value, _at: &At<'_>, _errors: &mut Vec<ErrorItem>) -> Option<Self> {
        Some(Empty)
    }
}

/// `{"item": …}`: the answer about one thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Item<T> {
    /// The thing.
    pub item: T,
}

const ITEM: Spec = Spec { name: "item", alias: None, range: None, default: None, doc: "" };

impl<T: Field> Serialize for Item<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("item", &self.item)?;
        map.end()
    }
}

impl<T: Field> Field for Item<T> {
    fn shape() -> Shape {
        let fields = vec![FieldInfo::of::<T>(&ITEM)];
        Shape::of(Kind::Model { name: "Item".to_owned(), doc: "", fields })
    }

    fn read(value: Value, at: &At<'_>, errors: &mut Vec<ErrorItem>) -> Option<Self> {
        let mut reader = Reader::nested(value, "result", at, errors)?;
        Some(Item { item: reader.field(&ITEM)? })
    }
}

/// `{"items": […]}`: a list that has no pages of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Items<T> {
    /// The list.
    pub items: Vec<T>,
}

impl<T: Field> Serialize for Items<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("items", &self.items)?;
        map.end()
    }
}

impl<T: Field> Field for Items<T> {
    fn shape() -> Shape {
        let fields = vec![FieldInfo::of::<Vec<T>>(&ITEMS)];
        Shape::of(Kind::Model { name: "Items".to_owned(), doc: "", fields })
    }

    fn read(value: Value, at: &At<'_>, errors: &mut Vec<ErrorItem>) -> Option<Self> {
        let mut reader = Reader::nested(value, "result", at, errors)?;
        Some(Items { items: reader.field(&ITEMS)? })
    }
}

/// `{"items": […], "nextPageToken": …}`: one page of a list (BEHAVIOUR N-07).
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The page; may be shorter than the limit.
    pub items: Vec<T>,
    /// Where the next page starts; absent on the last one.
    pub next_page_token: Option<PageToken>,
}

const ITEMS: Spec = Spec { name: "items", alias: None, range: None, default: None, doc: "" };
const NEXT: Spec =
    Spec { name: "nextPageToken", alias: None, range: None, default: None, doc: "Absent on the last page." };

impl<T: Field> Serialize for Page<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("items", &self.items)?;
        if let Some(token) = &self.next_page_token {
            map.serialize_entry("nextPageToken", token)?;
        }
        map.end()
    }
}

impl<T: Field> Field for Page<T> {
    fn shape() -> Shape {
        let fields = vec![FieldInfo::of::<Vec<T>>(&ITEMS), FieldInfo::of::<Option<PageToken>>(&NEXT)];
        Shape::of(Kind::Model { name: "Page".to_owned(), doc: "", fields })
    }

    fn read(value: Value, at: &At<'_>, errors: &mut Vec<ErrorItem>) -> Option<Self> {
        let mut reader = Reader::nested(value, "result", at, errors)?;
        let items = reader.field(&ITEMS);
        let next_page_token = reader.field(&NEXT);
        Some(Page { items: items?, next_page_token: next_page_token? })
    }
}
