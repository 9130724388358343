//! The player's mobile device: `/gateway/{namespaceName}/user/{userId}/firebase/token…`.

use serde_json::Value;

use super::{MobileNotificationMessage, SERVICE};
use crate::contract::{Empty, Item, UnixMillis};
use crate::names::{NamespaceName, UserId, text_type};
use crate::{Model, Operation};

/// The members of a service account that sending takes.
pub const SERVICE_ACCOUNT_MEMBERS: [&str; 3] = ["project_id", "client_email", "private_key"];

fn service_account(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Ok(());
    }
    let Ok(Value::Object(account)) = serde_json::from_str(text) else {
        return Err(
            "must be the JSON file of a service account of Firebase: Google switched the older API with its \
            server keys off in 2024",
        );
    };
    let has = |name: &str| account.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    if SERVICE_ACCOUNT_MEMBERS.into_iter().all(has) {
        Ok(())
    } else {
        Err(
            "must be the JSON file of a service account of Firebase, with `project_id`, `client_email` and `private_key`",
        )
    }
}

text_type! {
    /// JSON file of a service account of Firebase, at most 8,192 characters; empty for none (BEHAVIOUR G-52).
    secret FirebaseSecret, 0..=8192, service_account
}

/// The player's device, as Firebase knows it; one for each player and namespace (BEHAVIOUR G-50).
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct FirebaseToken {
    /// GRN of the token.
    pub firebase_token_id: String,
    /// Player.
    pub user_id: UserId,
    /// Registration token of the device.
    #[field(1..=1024)]
    pub token: String,
    /// Language of the device, such as `ja` or `en-US`.
    #[field(0..=64)]
    pub locale: Option<String>,
    /// When a device was first known.
    pub created_at: UnixMillis,
    /// When it was last set.
    pub updated_at: UnixMillis,
    /// Grows with each change, from 1.
    pub revision: i64,
}

/// Says which device is the player's; replaces the one before (BEHAVIOUR G-50).
///
/// Fails with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(PUT "/{namespaceName}/user/{userId}/firebase/token", name = "setFirebaseToken", component = "firebaseToken",
    answer = Item<FirebaseToken>)]
pub struct SetFirebaseToken {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// Registration token of the device.
    #[field(1..=1024)]
    pub token: String,
    /// Language of the device, such as `ja` or `en-US`.
    #[field(0..=64)]
    pub locale: Option<String>,
}

/// Gets the player's device.
///
/// Fails with 404 `firebaseToken` when none is known, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(GET "/{namespaceName}/user/{userId}/firebase/token", name = "getFirebaseToken", component = "firebaseToken",
    answer = Item<FirebaseToken>)]
pub struct GetFirebaseToken {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
}

/// Forgets the player's device.
///
/// Fails with 404 `firebaseToken` when none is known, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(DELETE "/{namespaceName}/user/{userId}/firebase/token", name = "deleteFirebaseToken",
    component = "firebaseToken", answer = Item<FirebaseToken>)]
pub struct DeleteFirebaseToken {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
}

/// Sends a notification to the player's device, whether or not the player has a socket (BEHAVIOUR G-53).
///
/// It is sent after the answer. Fails with 404 `firebaseToken` when no device is known, with 404 `namespace`.
#[derive(Debug, Operation)]
#[operation(POST "/{namespaceName}/user/{userId}/firebase/token/notification", name = "sendMobileNotificationByUserId",
    component = "firebaseToken", answer = Empty)]
pub struct SendMobileNotificationByUserId {
    /// Name of the namespace.
    pub namespace_name: NamespaceName,
    /// What it is about; the title when there are no texts.
    #[field(1..=256)]
    pub subject: String,
    /// What the app gets, as it is; the text when there are no texts.
    #[field(1..=1024)]
    pub payload: String,
    /// Sound of the notification.
    #[field(0..=256)]
    pub sound: Option<String>,
    /// Texts; the one in the device's language is taken.
    #[field(0..=64)]
    pub mobile_notification_messages: Option<Vec<MobileNotificationMessage>>,
}
