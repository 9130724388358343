//! The mutex and its operations: `/lock/{namespaceName}/user/{userId}/mutex…`.

use super::SERVICE;
use crate::contract::{Item, Page, UnixMillis};
use crate::names::{NamespaceName, PageLimit, PageToken, UserId};
use crate::{Model, Operation};

/// A mutex that somebody holds. Free ones do not exist.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct Mutex {
    /// GRN of the mutex.
    pub mutex_id: String,
    /// Player whose property is guarded.
    pub user_id: UserId,
    /// Property that the mutex guards.
    pub property_id: String,
    /// Transaction that holds it.
    pub transaction_id: String,
    /// How many unlocks free it; 0 in the answer to the last one (BEHAVIOUR L-11).
    pub reference_count: Option<i32>,
    /// When the present holder took it.
    pub created_at: UnixMillis,
    /// When it frees itself.
    pub ttl_at: Option<UnixMillis>,
    /// Grows with every grant of this mutex and never goes back, not even after expiry, deletion or a restart: a
    /// fencing number. Numbers are not consecutive.
    pub revision: i64,
}

/// Lists the mutexes that a player holds, by property, ascending. Old SDKs only.
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/user/{userId}/mutex", name = "describeMutexes", component = "mutex",
    answer = Page<Mutex>)]
pub struct DescribeMutexes {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Where the page starts.
    pub page_token: Option<PageToken>,
    /// Number of elements on the page.
    pub limit: PageLimit,
}

/// Takes the mutex for a player, or deepens it when the same transaction already holds it.
///
/// The revision in the answer is a fencing number: greater than that of every earlier holder. A re-entrant call never
/// shortens the time (BEHAVIOUR L-10). Fails at once with 409 `mutex` when another transaction holds it, with 404
/// `namespace`. BEHAVIOUR L-01 … L-04, L-09, seed 004.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/user/{userId}/mutex/{*propertyId}/lock", name = "lock", component = "mutex",
    answer = Item<Mutex>)]
pub struct Lock {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Property that the mutex guards; any text, slashes included.
    #[field(1..=1024)]
    pub property_id: String,
    /// Transaction that takes the mutex; any text that the caller chooses (BEHAVIOUR L-16).
    #[field(1..=256)]
    pub transaction_id: String,
    /// Seconds until the mutex frees itself; one hour when absent (BEHAVIOUR L-09).
    #[field(1..=9223372036854775807)]
    pub ttl: Option<i64>,
}

/// Takes back one `lock`; the mutex is free when as many unlocks as locks were made.
///
/// The answer holds the mutex also when it is free now, with `referenceCount` 0 (BEHAVIOUR L-08). Fails with 400 when
/// another transaction holds it (L-06), with 404 `mutex` when nobody does (L-07), with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/user/{userId}/mutex/{*propertyId}/unlock", name = "unlock", component = "mutex",
    answer = Item<Mutex>)]
pub struct Unlock {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Property that the mutex guards.
    #[field(1..=1024)]
    pub property_id: String,
    /// Transaction that holds the mutex.
    #[field(1..=256)]
    pub transaction_id: String,
}

/// Gets a mutex that somebody holds.
///
/// Fails with 404 `mutex` when it is free or expired (BEHAVIOUR L-12), with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/user/{userId}/mutex/{*propertyId}", name = "getMutex", component = "mutex",
    answer = Item<Mutex>)]
pub struct GetMutex {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Property that the mutex guards.
    #[field(1..=1024)]
    pub property_id: String,
}

/// Frees a mutex whoever holds it and however often (BEHAVIOUR L-13).
///
/// Fails with 404 `mutex` when it is free or expired, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(DELETE "/{namespaceName}/user/{userId}/mutex/{*propertyId}", name = "deleteMutexByUserId",
    component = "mutex", answer = Item<Mutex>)]
pub struct DeleteMutexByUserId {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Property that the mutex guards.
    #[field(1..=1024)]
    pub property_id: String,
}
