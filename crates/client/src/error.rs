//! Why a call has no answer.

use std::time::Duration;

use hiroba_api::{ApiError, Status};

/// Why a call has no answer. Only [`Api`](ClientError::Api) says for sure that the server did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server refused, and says why.
    #[error("the server refused: {0}")]
    Api(ApiError),
    /// No answer came in time; the call may have been made.
    #[error("no answer came within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The connection could not be made or broke; the call may have been made.
    #[error("the connection failed")]
    Connection(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The socket is closed; a call that waited for its answer may have been made.
    #[error("the socket is closed: {0}")]
    Closed(CloseReason),
    /// The answer is not one of the protocol.
    #[error("the answer with status {status} cannot be read: {detail}")]
    Answer {
        /// Status of the answer.
        status: u16,
        /// What is wrong with it.
        detail: String,
    },
    /// The request cannot be expressed on this transport; nothing was sent.
    #[error("`{field}` cannot be sent: {reason}")]
    Unsendable {
        /// The field in question.
        field: String,
        /// Why.
        reason: &'static str,
    },
    /// The client was set up wrongly; nothing was sent.
    #[error("{0}")]
    Setup(String),
}

impl ClientError {
    /// What the server said, when it refused.
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            ClientError::Api(error) => Some(error),
            _ => None,
        }
    }

    /// Class of the server's refusal.
    pub fn status(&self) -> Option<Status> {
        self.api().map(|error| error.status)
    }

    /// Whether the server says that this model does not exist: `mutex`, `namespace`.
    pub fn is_not_found(&self, model: &str) -> bool {
        self.api().is_some_and(|error| {
            error.status == Status::NotFound
                && error.items.first().is_some_and(|item| item.component == model)
        })
    }

    /// Whether the server does not know the project token any more (BEHAVIOUR E-16). A refusal by policy or of an access
    /// token is another 401, which no new project token changes.
    pub(crate) fn is_stale_project_token(&self) -> bool {
        self.api().is_some_and(|error| {
            error.status == Status::Unauthorized
                && error.items.first().is_some_and(|item| item.component == "projectToken")
        })
    }
}

/// Why a socket is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseReason {
    /// Close code of the WebSocket protocol; 1006 when the connection broke without one.
    pub code: u16,
    /// What the closing side says.
    pub text: String,
}

impl CloseReason {
    /// Code of a connection that broke.
    pub(crate) const BROKEN: u16 = 1006;

    pub(crate) fn broken(text: impl Into<String>) -> CloseReason {
        CloseReason { code: CloseReason::BROKEN, text: text.into() }
    }
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.code, self.text)
    }
}
