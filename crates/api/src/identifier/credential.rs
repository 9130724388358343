//! Credentials (client id and secret) and their guards: `/identifier/user/{userName}/identifier…`.

use super::SERVICE;
use crate::contract::{Item, Page, UnixMillis};
use crate::names::{ClientId, EntityName, GrnText, PageLimit, PageToken};
use crate::{Model, Operation};

/// A credential. Its secret is shown once, when it is created (BEHAVIOUR I-02).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Identifier {
    /// Client id.
    pub client_id: ClientId,
    /// User that the credential belongs to.
    pub user_name: EntityName,
    /// When it was created.
    pub created_at: UnixMillis,
    /// Always 1: a credential never changes.
    pub revision: i64,
}

/// A new credential with its secret.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct NewIdentifier {
    /// The credential.
    pub item: Identifier,
    /// The secret; the server keeps only its hash.
    pub client_secret: String,
}

/// GRNs of guard namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Guards {
    /// The guards of the credential, in the order in which they were attached.
    pub items: Vec<GrnText>,
}

/// Lists the credentials of a user by client id, ascending.
///
/// Fails with 404 `user`.
#[derive(Debug, Operation)]
#[operation(GET "/user/{userName}/identifier", name = "describeIdentifiers", component = "identifier",
    answer = Page<Identifier>)]
pub struct DescribeIdentifiers {
    /// Name of the user.
    pub user_name: EntityName,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Creates a credential for a user.
///
/// Fails with 404 `user`.
#[derive(Debug, Operation)]
#[operation(POST "/user/{userName}/identifier", name = "createIdentifier", component = "identifier",
    answer = NewIdentifier)]
pub struct CreateIdentifier {
    /// Name of the user.
    pub user_name: EntityName,
}

/// Gets a credential without its secret.
///
/// Fails with 404 `identifier`, with 404 `user`.
#[derive(Debug, Operation)]
#[operation(GET "/user/{userName}/identifier/{clientId}", name = "getIdentifier", component = "identifier",
    answer = Item<Identifier>)]
pub struct GetIdentifier {
    /// Name of the user.
    pub user_name: EntityName,
    /// Client id.
    pub client_id: ClientId,
}

/// Deletes a credential; project tokens that it obtained stop working at once.
///
/// Fails with 404 `identifier`, with 404 `user`.
#[derive(Debug, Operation)]
#[operation(DELETE "/user/{userName}/identifier/{clientId}", name = "deleteIdentifier", component = "identifier",
    answer = Item<Identifier>)]
pub struct DeleteIdentifier {
    /// Name of the user.
    pub user_name: EntityName,
    /// Client id.
    pub client_id: ClientId,
}

/// Lists the guards of a credential (BEHAVIOUR I-15). Guards are kept and returned, not enforced: the Guard service is
/// not part of this server.
///
/// Fails with 404 `identifier`, with 404 `user`.
#[derive(Debug, Operation)]
#[operation(GET "/user/{userName}/identifier/{clientId}/guard", name = "describeAttachedGuards",
    component = "identifier", answer = Guards)]
pub struct DescribeAttachedGuards {
    /// Client id.
    pub client_id: ClientId,
    /// Name of the user.
    pub user_name: EntityName,
}

/// Attaches a guard to a credential; twice is once. Answers all guards of the credential.
///
/// Fails with 404 `identifier`, with 404 `user`, with 400 `tooMany` above 10 guards.
#[derive(Debug, Operation)]
#[operation(POST "/user/{userName}/identifier/{clientId}/guard", name = "attachGuard", component = "identifier",
    answer = Guards)]
pub struct AttachGuard {
    /// Name of the user.
    pub user_name: EntityName,
    /// Client id.
    pub client_id: ClientId,
    /// GRN of the guard namespace.
    pub guard_namespace_id: GrnText,
}

/// Detaches a guard from a credential. Answers the remaining guards.
///
/// Fails with 404 `guard`, with 404 `identifier`, with 404 `user`.
#[derive(Debug, Operation)]
#[operation(DELETE "/user/{userName}/identifier/{clientId}/guard/{guardNamespaceId}", name = "detachGuard",
    component = "identifier", answer = Guards)]
pub struct DetachGuard {
    /// Name of the user.
    pub user_name: EntityName,
    /// Client id.
    pub client_id: ClientId,
    /// GRN of the guard namespace.
    pub guard_namespace_id: GrnText,
}
