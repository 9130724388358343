//! The error that a caller sees: a status of the protocol and one item for each thing that is wrong (BEHAVIOUR E-01 …
//! E-16). It knows no transport; REST and the socket write the same object.

use serde::{Deserialize, Serialize};

/// Status classes of the protocol (BEHAVIOUR E-05). There is no 403, 405, 412 and 429: the SDKs know none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum Status {
    /// The request is wrong; repeating it cannot help.
    BadRequest = 400,
    /// Unknown or expired token, or no permission.
    Unauthorized = 401,
    /// A quota or rate was exceeded.
    QuotaExceeded = 402,
    /// The thing that the request names does not exist.
    NotFound = 404,
    /// Somebody else has it; the SDKs repeat the call.
    Conflict = 409,
    /// Too many bytes in an upload, which is no call and goes past the SDKs' own errors.
    TooLarge = 413,
    /// A fault of the server.
    Internal = 500,
    /// A service that this call needs failed.
    BadGateway = 502,
    /// The server cannot take the call now; repeat it.
    Unavailable = 503,
    /// The call took too long.
    Timeout = 504,
}

impl Status {
    /// The number on the wire.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The class with this number, if the protocol has it.
    pub fn from_code(code: u16) -> Option<Status> {
        use Status::*;
        [
            BadRequest,
            Unauthorized,
            QuotaExceeded,
            NotFound,
            Conflict,
            TooLarge,
            Internal,
            BadGateway,
            Unavailable,
            Timeout,
        ]
        .into_iter()
        .find(|status| status.code() == code)
    }
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorItem {
    /// Model in question, camelCase; for a 404 exactly the model that is missing (BEHAVIOUR E-07).
    pub component: String,
    /// Dotted form `{service}.{model}.{member}.error.{type}` (BEHAVIOUR E-03).
    pub message: String,
    /// Stable code; the special codes of the protocol, otherwise `{model}.{member}.{type}` (BEHAVIOUR E-12).
    #[serde(default)]
    pub code: String,
    /// What is wrong in words, with the limit, and what to do about it. SDKs ignore it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl ErrorItem {
    /// An item about `member` of `model`. `problem` is an error type of BEHAVIOUR E-04: `require`, `invalid`, …
    pub fn new(
        service: &str,
        model: &str,
        member: &str,
        problem: &str,
        detail: impl Into<String>,
    ) -> ErrorItem {
        ErrorItem {
            component: model.to_owned(),
            message: format!("{service}.{model}.{member}.error.{problem}"),
            code: format!("{model}.{member}.{problem}"),
            detail: detail.into(),
        }
    }
}

/// Why a call was refused: a status and at least one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// Class of the refusal.
    pub status: Status,
    /// All that is wrong, the most specific first (SDKs look at the first, BEHAVIOUR E-14).
    pub items: Vec<ErrorItem>,
}

impl ApiError {
    /// A refusal for one reason.
    pub fn one(status: Status, item: ErrorItem) -> ApiError {
        ApiError { status, items: vec![item] }
    }

    /// 400 about one member.
    pub fn bad_request(
        service: &str,
        model: &str,
        member: &str,
        problem: &str,
        detail: impl Into<String>,
    ) -> ApiError {
        ApiError::one(Status::BadRequest, ErrorItem::new(service, model, member, problem, detail))
    }

    /// 401 about one member.
    pub fn unauthorized(
        service: &str,
        model: &str,
        member: &str,
        problem: &str,
        detail: impl Into<String>,
    ) -> ApiError {
        ApiError::one(Status::Unauthorized, ErrorItem::new(service, model, member, problem, detail))
    }

    /// 409 about one member.
    pub fn conflict(
        service: &str,
        model: &str,
        member: &str,
        problem: &str,
        detail: impl Into<String>,
    ) -> ApiError {
        ApiError::one(Status::Conflict, ErrorItem::new(service, model, member, problem, detail))
    }

    /// 404: the whole `model` is missing (BEHAVIOUR E-03, E-07).
    pub fn not_found(service: &str, model: &str, detail: impl Into<String>) -> ApiError {
        ApiError::one(Status::NotFound, ErrorItem::new(service, model, model, "notFound", detail))
    }

    /// 400: a `model` with this name exists already (BEHAVIOUR E-13).
    pub fn exists(service: &str, model: &str, name: &str) -> ApiError {
        let detail =
            format!("a {model} named `{name}` exists already; choose another name or delete it first");
        ApiError::bad_request(service, model, "name", "exists", detail)
    }

    /// 500 without details; the log holds them under the request id.
    pub fn internal(request_id: &str) -> ApiError {
        let detail = format!("the server failed; its log says more under request id {request_id}");
        ApiError::one(Status::Internal, ErrorItem::new("server", "server", "server", "failed", detail))
    }

    /// The error body of the protocol: `{"message": "[{…}]"}` (BEHAVIOUR E-01).
    pub fn body(&self) -> String {
        // Strings alone always have a JSON text.
        let items = serde_json::to_string(&self.items).unwrap_or_else(|_| "[]".to_owned());
        let mut body = String::with_capacity(items.len() + 64);
        body.push_str("{\"message\":");
        body.push_str(&serde_json::Value::String(items).to_string());
        body.push('}');
        body
    }

    /// Reads the error body of an answer; `None` when it has another shape.
    pub fn from_body(status: u16, body: &[u8]) -> Option<ApiError> {
        #[derive(Deserialize)]
        struct Body {
            message: String,
        }
        let body: Body = serde_json::from_slice(body).ok()?;
        let items = serde_json::from_str(&body.message).ok()?;
        Some(ApiError { status: Status::from_code(status)?, items })
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.status.code())?;
        for item in &self.items {
            write!(formatter, " {}", item.message)?;
            if !item.detail.is_empty() {
                write!(formatter, " ({})", item.detail)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ApiError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_is_an_array_in_text_form() {
        let error = ApiError::not_found("lock", "mutex", "say \"please\"");
        let body: serde_json::Value = serde_json::from_str(&error.body()).unwrap();
        let items: serde_json::Value = serde_json::from_str(body["message"].as_str().unwrap()).unwrap();
        assert_eq!(items[0]["message"], "lock.mutex.mutex.error.notFound");
        assert_eq!(items[0]["code"], "mutex.mutex.notFound");
        assert_eq!(ApiError::from_body(404, error.body().as_bytes()), Some(error));
    }
}
