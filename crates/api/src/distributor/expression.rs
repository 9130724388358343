//! Actions made of actions: `/distributor/{namespaceName}/expression/…`, `/distributor/stamp/expression/…` (BEHAVIOUR
//! DT-51). Each takes effect as one.

use super::{SERVICE, TransactionResult};
use crate::contract::Empty;
use crate::names::{GrnText, NamespaceName, UserId};
use crate::script::{ConsumeAction, VerifyAction};
use crate::{Model, Operation};

/// What became of a choice.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct IfExpression {
    /// What became of the actions that were chosen.
    pub item: TransactionResult,
    /// Whether the condition held.
    pub expression_result: bool,
}

/// Runs some actions when a condition holds, else others.
///
/// Fails as the first action that fails, and nothing has changed then; with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/expression/if", name = "ifExpressionByUserId", component = "expression", once,
    answer = IfExpression)]
pub struct IfExpressionByUserId {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Player.
    pub user_id: UserId,
    /// The condition: holds when its answer is a success.
    pub condition: VerifyAction,
    /// What runs when it holds.
    #[field(0..=10)]
    pub true_actions: Option<Vec<ConsumeAction>>,
    /// What runs when it does not hold.
    #[field(0..=10)]
    pub false_actions: Option<Vec<ConsumeAction>>,
    /// Whether the quantities of the actions are multiplied; nothing here has one.
    pub multiply_value_specifying_quantity: Option<bool>,
}

/// Holds when all of some verify actions hold.
///
/// Fails as the first one that does not, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/expression/and", name = "andExpressionByUserId", component = "expression", once,
    answer = Empty)]
pub struct AndExpressionByUserId {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Player.
    pub user_id: UserId,
    /// The actions.
    #[field(0..=10)]
    pub actions: Vec<VerifyAction>,
}

/// Holds when one of some verify actions holds.
///
/// Fails as the last one when none does, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/expression/or", name = "orExpressionByUserId", component = "expression", once,
    answer = Empty)]
pub struct OrExpressionByUserId {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Player.
    pub user_id: UserId,
    /// The actions.
    #[field(0..=10)]
    pub actions: Vec<VerifyAction>,
}

/// What became of the choice that a task names.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct IfExpressionTask {
    /// What became of the actions that were chosen.
    pub item: TransactionResult,
    /// Whether the condition held.
    pub expression_result: bool,
    /// What the sheet's next task is called with: the proof that this one was done (BEHAVIOUR DT-16).
    pub new_context_stack: String,
}

/// What became of the expression that a task names.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct ExpressionTask {
    /// What the sheet's next task is called with: the proof that this one was done (BEHAVIOUR DT-16).
    pub new_context_stack: String,
}

/// Runs the choice that a signed task names: `Gs2Distributor:IfExpressionByUserId` (BEHAVIOUR DT-20).
///
/// Fails with 400 when the task is not one of this server, is of another action or too old, and as the action does.
#[derive(Debug, Operation)]
#[operation(POST "/stamp/expression/if", name = "ifExpressionByStampTask", component = "expression",
    answer = IfExpressionTask)]
pub struct IfExpressionByStampTask {
    /// The task: JSON text with `body` and `signature` (BEHAVIOUR DT-13).
    #[field(1..=5242880)]
    pub stamp_task: String,
    /// GRN of the key that signed it; the server's own when absent.
    pub key_id: Option<GrnText>,
}

/// Runs the expression that a signed task names: `Gs2Distributor:AndExpressionByUserId` (BEHAVIOUR DT-20).
///
/// Fails with 400 when the task is not one of this server, is of another action or too old, and as the action does.
#[derive(Debug, Operation)]
#[operation(POST "/stamp/expression/and", name = "andExpressionByStampTask", component = "expression",
    answer = ExpressionTask)]
pub struct AndExpressionByStampTask {
    /// The task: JSON text with `body` and `signature` (BEHAVIOUR DT-13).
    #[field(1..=5242880)]
    pub stamp_task: String,
    /// GRN of the key that signed it; the server's own when absent.
    pub key_id: Option<GrnText>,
}

/// Runs the expression that a signed task names: `Gs2Distributor:OrExpressionByUserId` (BEHAVIOUR DT-20).
///
/// Fails with 400 when the task is not one of this server, is of another action or too old, and as the action does.
#[derive(Debug, Operation)]
#[operation(POST "/stamp/expression/or", name = "orExpressionByStampTask", component = "expression",
    answer = ExpressionTask)]
pub struct OrExpressionByStampTask {
    /// The task: JSON text with `body` and `signature` (BEHAVIOUR DT-13).
    #[field(1..=5242880)]
    pub stamp_task: String,
    /// GRN of the key that signed it; the server's own when absent.
    pub key_id: Option<GrnText>,
}
