//! Keys and what is encrypted with them: `/key/{namespaceName}/key…` (BEHAVIOUR K-01, K-02, K-04).

use super::SERVICE;
use crate::contract::{Item, Page, UnixMillis};
use crate::names::{Description, EntityName, NamePrefix, NamespaceName, PageLimit, PageToken, text_type};
use crate::{Model, Operation};

text_type! {
    /// What is encrypted, 1 to 524,288 characters.
    secret PlainText, 1..=524288, |_| Ok(())
}
text_type! {
    /// What `encrypt` answered: base64 of at most 5,242,880 characters.
    CipherText, 1..=5242880, |_| Ok(())
}

/// A key. The server makes its secret and answers it to nobody (BEHAVIOUR K-01).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Key {
    /// GRN of the key.
    pub key_id: String,
    /// Name.
    pub name: EntityName,
    /// Description.
    pub description: Option<Description>,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it was last changed.
    pub updated_at: UnixMillis,
    /// Grows with each change, from 1.
    pub revision: i64,
}

/// What came of encrypting or decrypting.
#[derive(Clone, PartialEq, Eq, Model)]
pub struct Data {
    /// The text: base64 of what was encrypted, or what was decrypted.
    pub data: String,
}

impl std::fmt::Debug for Data {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It may be what the key keeps secret.
        formatter.write_str("Data(…)")
    }
}

/// Lists the keys of a namespace by name, ascending.
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/key", name = "describeKeys", component = "key", answer = Page<Key>)]
pub struct DescribeKeys {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Only names that begin so.
    pub name_prefix: Option<NamePrefix>,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Makes a key with a secret of its own (BEHAVIOUR K-01).
///
/// Fails with 400 `exists` when there is one of this name (BEHAVIOUR E-13), with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/key", name = "createKey", component = "key", answer = Item<Key>)]
pub struct CreateKey {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name.
    pub name: EntityName,
    /// Description.
    pub description: Option<Description>,
}

/// Replaces the description of a key; without one it has none any more (BEHAVIOUR N-13). The secret stays.
///
/// Fails with 404 `key`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(PUT "/{namespaceName}/key/{keyName}", name = "updateKey", component = "key", answer = Item<Key>)]
pub struct UpdateKey {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the key.
    pub key_name: EntityName,
    /// Description.
    pub description: Option<Description>,
}

/// Gets a key.
///
/// Fails with 404 `key`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/key/{keyName}", name = "getKey", component = "key", answer = Item<Key>)]
pub struct GetKey {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the key.
    pub key_name: EntityName,
}

/// Deletes a key, and with it whatever was made with it: signatures are refused from now on (BEHAVIOUR K-04), and what it
/// encrypted can be read by nobody, GitHub API keys included. A new key of this name has another secret.
///
/// Fails with 404 `key`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(DELETE "/{namespaceName}/key/{keyName}", name = "deleteKey", component = "key", answer = Item<Key>)]
pub struct DeleteKey {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the key.
    pub key_name: EntityName,
}

/// Encrypts a text with a key: AES-256-GCM, as base64 (BEHAVIOUR K-02). The same text gives another result each time, and
/// only this key of this namespace decrypts it.
///
/// Fails with 404 `key`, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/key/{keyName}/encrypt", name = "encrypt", component = "key", answer = Data)]
pub struct Encrypt {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the key.
    pub key_name: EntityName,
    /// What to encrypt.
    pub data: PlainText,
}

/// Decrypts what `encrypt` answered for this key (BEHAVIOUR K-02).
///
/// Fails with 400 `invalid` when `data` was changed, or is nothing that this key encrypted; with 404 `key`, with 404
/// `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/key/{keyName}/decrypt", name = "decrypt", component = "key", answer = Data)]
pub struct Decrypt {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Name of the key.
    pub key_name: EntityName,
    /// What to decrypt.
    pub data: CipherText,
}
