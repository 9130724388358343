//! What the server keeps of a player: `/distributor/user/{userId}/data`.

use super::SERVICE;
use crate::contract::Page;
use crate::names::{PageLimit, PageToken};
use crate::{Model, Operation};

/// Something that is kept of a player.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct UserDataEntry {
    /// Service: `jobQueue`.
    pub service: String,
    /// Name of the namespace.
    pub namespace_name: String,
    /// Model: `job`.
    pub kind: String,
    /// The thing itself as JSON text.
    pub payload: String,
}

/// Lists what JobQueue, Gateway and Chat keep of a player, as a dump of the player's data has it (BEHAVIOUR U-07).
#[derive(Debug, Operation)]
#[operation(GET "/user/{userId}/data", name = "describeUserData", component = "userDataEntry",
    answer = Page<UserDataEntry>)]
pub struct DescribeUserData {
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}
