//! What a field accepts. Limits live in types first and in `#[field(…)]` second; both end here, in one reader per type.

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::Fields;
use crate::error::ErrorItem;

/// What the declaration says of one field.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Name on the wire.
    pub name: &'static str,
    /// Second name that some SDKs send.
    pub alias: Option<&'static str>,
    /// Smallest and largest value; of a text the length in characters, of a list the number of elements.
    pub range: Option<(i64, i64)>,
    /// Value when the field is absent; of a truth value 0 or 1.
    pub default: Option<i64>,
    /// Documentation of the field.
    pub doc: &'static str,
}

/// Type of a field on the wire, in the words of the protocol.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Text.
    String,
    /// 32-bit integer.
    Int,
    /// 64-bit integer.
    Long,
    /// Number with a fraction.
    Double,
    /// Truth value.
    Bool,
    /// Any JSON value; only in answers.
    Any,
    /// List of elements of one kind.
    List(Box<Shape>),
    /// Object with named fields.
    Model {
        /// Name of the model.
        name: String,
        /// What the model is.
        doc: &'static str,
        /// Its fields.
        fields: Vec<FieldInfo>,
    },
}

impl Kind {
    /// The kind in the notation of the protocol facts: `string`, `List<Mutex>`.
    pub fn notation(&self) -> String {
        match self {
            Kind::String => "string".to_owned(),
            Kind::Int => "int".to_owned(),
            Kind::Long => "long".to_owned(),
            Kind::Double => "double".to_owned(),
            Kind::Bool => "bool".to_owned(),
            Kind::Any => "any".to_owned(),
            Kind::List(element) => format!("List<{}>", element.kind.notation()),
            Kind::Model { name, .. } => name.clone(),
        }
    }
}

/// A type as seen on the wire.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Type on the wire.
    pub kind: Kind,
    /// Whether the field may be left out.
    pub optional: bool,
    /// Limits that the type brings along.
    pub range: Option<(i64, i64)>,
    /// Value when the field is absent, as text.
    pub default: Option<String>,
    /// Whether the value must not stand in any log.
    pub secret: bool,
}

impl Shape {
    /// A required value of `kind` without limits.
    pub fn of(kind: Kind) -> Shape {
        Shape { kind, optional: false, range: None, default: None, secret: false }
    }

    /// A required object.
    pub fn model(name: &str, doc: &'static str, fields: fn() -> Vec<FieldInfo>) -> Shape {
        Shape::of(Kind::Model { name: name.to_owned(), doc, fields: fields() })
    }
}

/// A field as the documents and the comparison with the protocol facts see it.
#[derive(Debug, Clone)]
pub struct FieldInfo {
    /// Name on the wire.
    pub name: &'static str,
    /// Type, limits and default.
    pub shape: Shape,
    /// Documentation; may be empty.
    pub doc: &'static str,
}

impl FieldInfo {
    /// Joins what the declaration says with what the type says.
    pub fn of<T: Field>(spec: &Spec) -> FieldInfo {
        let mut shape = T::shape();
        if spec.range.is_some() {
            shape.range = spec.range;
        }
        if let Some(default) = spec.default {
            shape.default = Some(match shape.kind {
                Kind::Bool => (default != 0).to_string(),
                _ => default.to_string(),
            });
            shape.optional = true;
        }
        FieldInfo { name: spec.name, shape, doc: spec.doc }
    }
}

/// Where a value stands, for its error messages, and the limits that the declaration gives.
#[derive(Debug)]
pub struct At<'a> {
    /// Name of the service in messages: `jobQueue`.
    pub service: &'a str,
    /// Model (or component of the operation) that the member belongs to.
    pub model: &'a str,
    /// The member.
    pub member: &'a str,
    /// Limits from the declaration.
    pub range: Option<(i64, i64)>,
}

impl At<'_> {
    /// An error item about this member.
    pub fn error(&self, problem: &str, detail: impl Into<String>) -> ErrorItem {
        ErrorItem::new(self.service, self.model, self.member, problem, detail)
    }
}

/// A type that can stand in a request or an answer.
pub trait Field: Sized + Serialize {
    /// The type as the documents see it.
    fn shape() -> Shape;

    /// Reads a value that is present and not `null`; adds to `errors` and answers `None` when it is wrong.
    fn read(value: Value, at: &At<'_>, errors: &mut Vec<ErrorItem>) -> Option<Self>;

    /// What an absent field means; `None` makes it required.
    fn absent() -> Option<Self> {
        None
    }

    /// The value that a declared default stands for; only integers and truth values have declared defaults.
    fn from_default(_default: i64) -> Option<Self> {
        None
    }

    /// Whether the value is written at all.
    fn present(&self) -> bool {
        true
    }
}

/// Writes one field into a flat object; an absent optional field is left out.
pub fn write_field<T: Field>(fields: &mut Fields, name: &str, value: &T) {
    if value.present() {
        // Values of declared types always have a JSON form: no maps with keys that are not text, no foreign types.
        fields.insert(name.to_owned(), serde_json::to_value(value).unwrap_or(Value::Null));
    }
}

fn invalid<T>(at: &At<'_>, errors: &mut Vec<ErrorItem>, expected: &str) -> Option<T> {
    errors.push(at.error("invalid", format!("`{}` must be {expected}", at.member)));
    None
}

/// Reads a text and checks its length in characters, not bytes.
pub(crate) fn read_text(value: Value, at: &At<'_>, errors: &mut Vec<ErrorItem>) -> Option<String> {
    let Value::String(text) = value else { return invalid(at, errors, "a text") };
    let (min, max) = at.range.unwrap_or((0, i64::MAX));
    // A text has at most as many characters as bytes, so that most need no counting.
    let count_needed = text.len() as u64 > max.unsigned_abs() || (text.len() as u64) < min.unsigned_abs() * 4;
    if count_needed {
        let count = text.chars().count() as i64;
        if count == 0 && min > 0 {
            errors.push(at.error("require", format!("`{}` is required and must not be empty", at.member)));
            return None;
        }
        if count > max {
            let detail = format!("`{}` must have at most {max} characters, but has {count}", at.member);
            errors.push(at.error("tooLong", detail));
            return None;
        }
        if count < min {
            let detail = format!("`{}` must have at least {min} characters, but has {count}", at.member);
            errors.push(at.error("tooShort", detail));
            return None;
        }
    }
    if text.contains('\0') {
        return invalid(at, errors, "a text without the character U+0000");
    }
    Some(text)
}

fn read_integer(
    value: &Value,
    at: &At<'_>,
    errors: &mut Vec<ErrorItem>,
    (type_min, type_max): (i64, i64),
) -> Option<i64> {
    // The C# SDK sends top-level numbers as text, Unreal 64-bit ones (`core.json`, numbersAndBools).
    let number = match value {
        Value::Number(number) => number.as_i64().or_else(|| integral(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let (min, max) = at.range.unwrap_or((type_min, type_max));
    match number {
        Some(number) if (min..=max).contains(&number) => Some(number),
        _ => {
            let detail =
                format!("`{}` must be an integer from {min} to {max}, but is {}", at.member, shown(value));
            errors.push(at.error("invalid", detail));
            None
        }
    }
}

/// The integer that a JSON number such as `60.0` stands for.
fn integral(number: f64) -> Option<i64> {
    let exact = number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0;
    exact.then_some(number as i64)
}

/// A value as it may be shown in a message: scalars shortened, nothing else.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => {
            let text = other.to_string();
            if text.chars().count() > 40 {
                format!("{}…", text.chars().take(40).collect::<String>())
            } else {
                text
            }
        }
    }
}

impl Field for String {
    fn shape() -> Shape {
        Shape::of(Kind::String)
    }

    fn read(value: Value, at: &At<'_>, errors: &mut Vec<ErrorItem>) -> Option<Self> {
        read_text(value, at, errors)
    }
}

impl Field for i32 {
    fn shape() -> Shape {
        Shape::of(Kind::Int)
    }

    fn read(value: Value, at: &At<'_>, errors: &mut Vec<ErrorItem>) -> Option<Self> {
        let number = read_integer(&value, at, errors, (i32::MIN.into(), i32::MAX.into()))?;
        i32::try_from(number).ok()
    }

    fn from_default(default: i64) -> Option<Self> {
        i32::try_from(default).ok()
    }
}

impl Field for i64 {
    fn shape() -> Shape {
        Shape::of(Kind::Long)
    }

    fn read(value: Value, at: &At<'_>, errors: &mut Vec<ErrorItem>) -> Option<Self> {
        read_integer(&value, at, errors, (i64::MIN, i64::MAX))
    }

    fn from_default(default: i64) -> Option<Self> {
        Some(default)
    }
}

impl Field for f64 {
    fn shape() -> Shape {
        Shape::of(Kind::Double)
    }

    fn read(value: Value, at: &At<'_>, errors: &mut Vec<ErrorItem>) -> Option<Self> {
        let number = match &value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let range = at.range.map_or(f64::MIN..=f64::MAX, |(min, max)| min as f64..=max as f64);
        match number.filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => {
                let detail = format!("`{}` must be a number, but is {}", at.member, shown(&value));
                errors.push(at.error("invalid", detail));
                None
            }
        }
    }
}

impl Field for bool {
    fn shape() -> Shape {
        Shape::of(Kind::Bool)
    }

    fn read(value: Value, at: &At<'_>, errors: &mut Vec<ErrorItem>) -> Option<Self> {
        match &value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => invalid(at, errors, "true or false"),
        }
    }

    fn from_default(default: i64) -> Option<Self> {
        Some(default != 0)
    }
}

impl<T: Field> Field for Option<T> {
    fn shape() -> Shape {
        Shape { optional: true, ..T::shape() }
    }

    fn read(value: Value, at: &At<'_>, errors: &mut Vec<ErrorItem>) -> Option<Self> {
        T::read(value, at, errors).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn present(&self) -> bool {
        self.is_some()
    }
}

impl<T: Field> Field for Vec<T> {
    fn shape() -> Shape {
        Shape::of(Kind::List(Box::new(T::shape())))
    }

    fn read(value: Value, at: &At<'_>, errors: &mut Vec<ErrorItem>) -> Option<Self> {
        let Value::Array(elements) = value else { return invalid(at, errors, "a list") };
        let (min, max) = at.range.unwrap_or((0, i64::MAX));
        let count = elements.len() as i64;
        if count > max {
            let detail = format!("`{}` must have at most {max} elements, but has {count}", at.member);
            errors.push(at.error("tooMany", detail));
            return None;
        }
        if count < min {
            let detail = format!("`{}` must have at least {min} elements, but has {count}", at.member);
            errors.push(at.error("tooFew", detail));
            return None;
        }
        let at = At { range: None, ..*at };
        let before = errors.len();
        let read: Vec<T> = elements.into_iter().filter_map(|element| T::read(element, &at, errors)).collect();
        (errors.len() == before).then_some(read)
    }
}

/// A moment: milliseconds since 1970, 0 to 32503680000000 (BEHAVIOUR N-10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The last moment that the protocol can name.
    pub const MAX: UnixMillis = UnixMillis(32_503_680_000_000);
}

impl Serialize for UnixMillis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl Field for UnixMillis {
    fn shape() -> Shape {
        Shape { range: Some((0, UnixMillis::MAX.0)), ..Shape::of(Kind::Long) }
    }

    fn read(value: Value, at: &At<'_>, errors: &mut Vec<ErrorItem>) -> Option<Self> {
        let at = At { range: at.range.or(Some((0, UnixMillis::MAX.0))), ..*at };
        i64::read(value, &at, errors).map(UnixMillis)
    }
}

/// A value that the declaration leaves open; only in answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Unspecified(pub Value);

impl Serialize for Unspecified {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Field for Unspecified {
    fn shape() -> Shape {
        Shape::of(Kind::Any)
    }

    fn read(value: Value, _at: &At<'_>, _errors: &mut Vec<ErrorItem>) -> Option<Self> {
        Some(Unspecified(value))
    }
}
