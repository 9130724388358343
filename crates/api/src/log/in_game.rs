//! What games tell: `/log/{namespaceName}/ingame/log…` (BEHAVIOUR LG-09).

use super::{Found, SERVICE};
use crate::contract::{Item, UnixMillis};
use crate::names::{NamespaceName, PageLimit, PageToken, UserId};
use crate::{Model, Operation};

/// A name and a value, by which logs of games are found.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct InGameLogTag {
    /// Name.
    #[field(1..=64)]
    pub key: String,
    /// Value.
    #[field(0..=128)]
    pub value: String,
}

/// A log of a game.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct InGameLog {
    /// When it was sent.
    pub timestamp: UnixMillis,
    /// Id of the call that sent it.
    pub request_id: Option<String>,
    /// Player who sent it, or for whom it was sent.
    pub user_id: Option<UserId>,
    /// Its tags.
    #[field(0..=20)]
    pub tags: Vec<InGameLogTag>,
    /// What it says, at most 10,485,760 characters.
    #[field(0..=10485760)]
    pub payload: String,
}

/// Sends a log of a game. It is on disk when the call is answered.
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/ingame/log/user/{userId}/send", name = "sendInGameLog", component = "inGameLog",
    answer = Item<InGameLog>)]
pub struct SendInGameLog {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Tags by which it is found.
    #[field(0..=20)]
    pub tags: Option<Vec<InGameLogTag>>,
    /// What it says, at most 10,485,760 characters; kept as it is. Empty when absent.
    #[field(0..=10485760)]
    pub payload: Option<String>,
}

/// Finds logs of games, newest first; of several tags each must be there (BEHAVIOUR LG-08, LG-09).
///
/// Bounded like `queryAccessLog`, and fails like it.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/ingame/log", name = "queryInGameLog", component = "inGameLog",
    answer = Found<InGameLog>)]
pub struct QueryInGameLog {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Only this player.
    pub user_id: Option<UserId>,
    /// Only logs that have all of these.
    #[field(0..=20)]
    pub tags: Option<Vec<InGameLogTag>>,
    /// Earliest time, that moment included; an hour before the end when absent (BEHAVIOUR LG-08).
    pub begin: Option<UnixMillis>,
    /// Latest time, that moment included; now when absent (BEHAVIOUR LG-08).
    pub end: Option<UnixMillis>,
    /// Of no effect: all logs are equally at hand (BEHAVIOUR LG-08).
    pub long_term: Option<bool>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}
