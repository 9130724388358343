//! The error that crosses the layers of the server. It knows no transport; `pipeline` alone translates it.

use hiroba_api::ApiError;
use hiroba_store::StoreError;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The caller's mistake, or the state of things; the caller reads it as it is.
    #[error("{0}")]
    Refused(#[from] ApiError),
    /// The store failed.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// Another call with the same duplication avoider was faster: this one must not take effect.
    #[error("another call with this duplication avoider was faster")]
    Twin,
    /// What was remembered and the call rests on has changed meanwhile: it must be done again with what holds now.
    #[error("what the call rests on has changed meanwhile")]
    Stale,
    /// Something that must not happen did; the caller reads nothing of it.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// An internal fault, with what was being done.
    pub(crate) fn internal(doing: &str, cause: impl std::fmt::Display) -> Error {
        Error::Internal(format!("{doing}: {cause}"))
    }
}
