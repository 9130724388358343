//! What a caller sends for one row of the table, and where each part travels over REST. Every document is written from
//! this.

use crate::contract::{AVOIDER_CHARS_MAX, Access, FieldInfo, Kind, Row, Spec, TOKEN_CHARS_MAX, Variant};
use crate::names::UserId;

/// Where a field travels over REST. On the socket every field stands at the top level of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A segment of the path.
    Path,
    /// The query string.
    Query,
    /// The JSON body.
    Body,
}

impl Place {
    /// Word for the documents.
    pub fn word(self) -> &'static str {
        match self {
            Place::Path => "path",
            Place::Query => "query",
            Place::Body => "body",
        }
    }
}

/// One field of a request.
#[derive(Debug, Clone)]
pub struct RequestField {
    /// Name, type, limits and documentation.
    pub info: FieldInfo,
    /// Where it travels over REST.
    pub place: Place,
}

/// The fields of a request in the order in which they are read, the player of a `…ByUserId` operation included.
pub fn request_fields(row: &Row) -> Vec<RequestField> {
    let mut infos = (row.declaration.fields)();
    if row.variant == Variant::ByUser {
        // Behind the namespace, where the reader looks for it.
        let at = usize::from(row.path.starts_with("/{namespaceName}")).min(infos.len());
        infos.insert(at, player());
    }
    let path: Vec<&str> = row.path_params().collect();
    let elsewhere =
        if matches!(row.declaration.method, "GET" | "DELETE") { Place::Query } else { Place::Body };
    let place = |info: &FieldInfo| if path.contains(&info.name) { Place::Path } else { elsewhere };
    infos.into_iter().map(|info| RequestField { place: place(&info), info }).collect()
}

fn player() -> FieldInfo {
    let spec = Spec { name: "userId", alias: None, range: None, default: None, doc: "Player." };
    FieldInfo::of::<UserId>(&spec)
}

/// A header of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Name of the header.
    pub name: &'static str,
    /// Name of the field that stands for it in the SDKs and the protocol facts.
    pub field: &'static str,
    /// Name of its member in a socket message.
    pub socket: &'static str,
    /// Whether the call is refused without it.
    pub required: bool,
    /// Largest length in characters; for the flag and ids nothing.
    pub chars_max: Option<usize>,
    /// What it is for.
    pub doc: &'static str,
}

/// Access token of a player.
pub const ACCESS_TOKEN: Header = Header {
    name: "X-GS2-ACCESS-TOKEN",
    field: "accessToken",
    socket: "xGs2AccessToken",
    required: true,
    chars_max: Some(TOKEN_CHARS_MAX),
    doc: "Access token of the player that the call acts for.",
};
/// Access token of a player where a call can do without.
pub const OPTIONAL_ACCESS_TOKEN: Header = Header {
    required: false,
    doc: "Access token of the player that the call acts for; without it the call acts for nobody.",
    ..ACCESS_TOKEN
};
/// Idempotency key.
pub const DUPLICATION_AVOIDER: Header = Header {
    name: "X-GS2-DUPLICATION-AVOIDER",
    field: "duplicationAvoider",
    socket: "xGs2DuplicationAvoider",
    required: false,
    chars_max: Some(AVOIDER_CHARS_MAX),
    doc: "A call that comes again with the same text within 24 hours gets the first answer and is not done again; with \
          another request it fails with 409 (BEHAVIOUR X-01 … X-03).",
};
/// Token of a later time.
pub const TIME_OFFSET_TOKEN: Header = Header {
    name: "X-GS2-TIME-OFFSET-TOKEN",
    field: "timeOffsetToken",
    socket: "timeOffsetToken",
    required: false,
    chars_max: Some(TOKEN_CHARS_MAX),
    doc: "Token of `auth.issueTimeOffsetTokenByUserId` for this player; the call then sees the later time (BEHAVIOUR \
          A-08).",
};
/// Evaluation without effect.
pub const DRY_RUN: Header = Header {
    name: "X-GS2-DRY-RUN",
    field: "dryRun",
    socket: "xGs2DryRun",
    required: false,
    chars_max: None,
    doc: "`true` answers what the call would answer and changes nothing (BEHAVIOUR T-14).",
};
/// Name under which the server's log knows the call.
pub const REQUEST_ID: Header = Header {
    name: "X-GS2-REQUEST-ID",
    field: "requestId",
    socket: "xGs2RequestId",
    required: false,
    chars_max: None,
    doc: "Id under which the server's log knows the call, at most 64 printable ASCII characters; the server makes one \
          when it is absent and answers it in the header of this name.",
};
/// Client id of the caller.
pub const CLIENT_ID: Header = Header {
    name: "X-GS2-CLIENT-ID",
    field: "clientId",
    socket: "xGs2ClientId",
    required: false,
    chars_max: None,
    doc: "Client id of the caller's credential. Every SDK sends it; this server goes by the project token alone.",
};

/// The headers that mean something to an operation, beside the project token.
pub fn headers(row: &Row) -> Vec<Header> {
    let mut headers = Vec::new();
    if row.access == Access::Player {
        headers.push(ACCESS_TOKEN);
    } else if row.declaration.maybe_player {
        headers.push(OPTIONAL_ACCESS_TOKEN);
    }
    if row.avoids_duplicates() {
        headers.push(DUPLICATION_AVOIDER);
    }
    if takes_time_offset(row) {
        headers.push(TIME_OFFSET_TOKEN);
    }
    if row.writes() && row.access != Access::Anonymous {
        headers.push(DRY_RUN);
    }
    headers.extend([REQUEST_ID, CLIENT_ID]);
    headers
}

/// Whether a time offset token is looked at: by calls that name their player, in the path or in another field.
fn takes_time_offset(row: &Row) -> bool {
    let names_player = || row.declaration.specs.iter().any(|spec| spec.name == "userId");
    match (row.access, row.variant) {
        (Access::Project, Variant::ByUser) => true,
        (Access::Project, Variant::Plain) => names_player(),
        _ => false,
    }
}

/// The fields of an answer: those of the object that the declaration names, in its order.
pub fn answer_fields(row: &Row) -> Vec<FieldInfo> {
    match (row.declaration.answer)().kind {
        Kind::Model { fields, .. } => fields,
        _ => Vec::new(),
    }
}

/// Name of the operation in scripts: `lock_by_user_id`.
pub fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 8);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

/// Path of the operation with its service, parameters in braces: `/lock/{namespaceName}/…`.
pub fn full_path(row: &Row) -> String {
    format!("/{}{}", row.declaration.service.segment, row.path.replace("{*", "{"))
}

/// Every model that requests and answers of `rows` name, innermost first named last, each once.
pub fn models<'r>(rows: impl Iterator<Item = &'r Row>) -> Vec<Model> {
    let mut models: Vec<Model> = Vec::new();
    for row in rows {
        for field in request_fields(row).iter().map(|field| &field.info).chain(&answer_fields(row)) {
            collect(&field.shape.kind, &mut models);
        }
    }
    models
}

/// An object that is nested in requests or answers.
#[derive(Debug, Clone)]
pub struct Model {
    /// Name.
    pub name: String,
    /// What it is.
    pub doc: &'static str,
    /// Its fields.
    pub fields: Vec<FieldInfo>,
}

fn collect(kind: &Kind, models: &mut Vec<Model>) {
    match kind {
        Kind::List(element) => collect(&element.kind, models),
        Kind::Model { name, doc, fields } if !models.iter().any(|model| model.name == *name) => {
            models.push(Model { name: name.clone(), doc, fields: fields.clone() });
            for field in fields {
                collect(&field.shape.kind, models);
            }
        }
        _ => {}
    }
}

/// The limits of a field in words: `1 … 128 characters`; empty when it has none.
pub fn limits(info: &FieldInfo) -> String {
    let Some((min, max)) = info.shape.range else { return String::new() };
    let unit = match info.shape.kind {
        Kind::String => " characters",
        Kind::List(_) => " elements",
        _ => "",
    };
    match (min, max) {
        (min, i64::MAX) => format!("from {}{unit}", grouped(min)),
        (0, max) if !unit.is_empty() => format!("at most {}{unit}", grouped(max)),
        (min, max) => format!("{} … {}{unit}", grouped(min), grouped(max)),
    }
}

/// The number with a comma between thousands.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-".to_owned() } else { String::new() };
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The summary of a documentation text: its first sentence.
pub fn first_sentence(doc: &str) -> String {
    let paragraph = doc.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    match paragraph.find(". ") {
        Some(end) => paragraph[..=end].to_owned(),
        None => paragraph,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(snake_case("describeMutexesByUserId"), "describe_mutexes_by_user_id");
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(-1_000), "-1,000");
        assert_eq!(grouped(32_503_680_000_000), "32,503,680,000,000");
        assert_eq!(first_sentence("One. Two.\n\nThree."), "One.");
        assert_eq!(first_sentence("Only\none line"), "Only one line");
    }

    #[test]
    fn the_player_stands_behind_the_namespace() {
        let table = crate::table();
        let row = table.named("lock", "lockByUserId").unwrap();
        let fields = request_fields(row);
        let names: Vec<&str> = fields.iter().map(|field| field.info.name).collect();
        assert_eq!(names, ["namespaceName", "userId", "propertyId", "transactionId", "ttl"]);
        let places: Vec<&str> = fields.iter().map(|field| field.place.word()).collect();
        assert_eq!(places, ["path", "path", "path", "body", "body"]);
        assert_eq!(full_path(row), "/lock/{namespaceName}/user/{userId}/mutex/{propertyId}/lock");
    }
}
