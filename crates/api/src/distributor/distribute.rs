//! Giving a player something: `/distributor/distribute`, `/distributor/{namespaceName}/distribute/{distributorName}`.

use super::SERVICE;
use crate::names::{EntityName, NamespaceName, UserId};
use crate::{Model, Operation};

/// Something to give: an acquire action.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct DistributeResource {
    /// Action: `Gs2{Service}:{Operation}`.
    #[field(1..=128)]
    pub action: String,
    /// Request of the operation as JSON text; `#{userId}` stands for the player (BEHAVIOUR DT-03).
    #[field(1..=524288)]
    pub request: String,
}

/// What was given.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Distributed {
    /// The action that was called.
    pub distribute_resource: DistributeResource,
    /// GRN of the inbox that takes what does not fit; absent when the model names none.
    pub inbox_namespace_id: Option<String>,
    /// The action's answer as JSON text.
    pub result: String,
}

/// Gives a player something that a distributor model allows.
///
/// Fails with 400 when the model's white list lacks the target, as the action does, with 404 `distributorModel`, with 404
/// `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/distribute/{distributorName}", name = "distribute", component = "distribute", once,
    maybe_player, answer = Distributed)]
pub struct Distribute {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the distributor model.
    pub distributor_name: EntityName,
    /// Player who gets it.
    pub user_id: UserId,
    /// What the player gets.
    pub distribute_resource: DistributeResource,
}

/// What was given without a distributor model.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct DistributedWithoutOverflowProcess {
    /// The action that was called.
    pub distribute_resource: DistributeResource,
    /// The action's answer as JSON text.
    pub result: String,
}

/// Gives a player something.
///
/// Fails as the action does.
#[derive(Debug, Operation)]
#[operation(POST "/distribute", name = "distributeWithoutOverflowProcess", component = "distribute", once,
    maybe_player, answer = DistributedWithoutOverflowProcess)]
pub struct DistributeWithoutOverflowProcess {
    /// Player who gets it.
    pub user_id: UserId,
    /// What the player gets.
    pub distribute_resource: DistributeResource,
}
