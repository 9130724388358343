//! The player's device: `/gateway/{namespaceName}/user/{userId}/firebase/token…`.

use std::sync::Arc;

use hiroba_api::contract::{Empty, Item, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::gateway::{
    DeleteFirebaseToken, FirebaseToken, GetFirebaseToken, Namespaces, SERVICE,
    SendMobileNotificationByUserId, SetFirebaseToken,
};
use hiroba_api::names::UserId;
use hiroba_store::{Row, StoreError, Tx, params};

use super::mobile::Push;
use super::notify::Notice;
use crate::cx::Cx;
use crate::error::Error;
use crate::registry::Registry;
use crate::services::namespaces;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// Sets a player's device.
        UPSERT_TOKEN = "INSERT INTO gateway_firebase_token
                (owner_id, namespace_name, user_id, token, locale, created_at, updated_at, revision)
            SELECT owner_id, name, CAST($4 AS text), CAST($5 AS text), CAST($6 AS text), CAST($7 AS BIGINT),
                CAST($7 AS BIGINT), 1
            FROM namespace WHERE owner_id = $1 AND service = $2 AND name = $3
            ON CONFLICT (owner_id, namespace_name, user_id) DO UPDATE SET token = excluded.token,
                locale = excluded.locale, updated_at = excluded.updated_at,
                revision = gateway_firebase_token.revision + 1
            RETURNING token, locale, created_at, updated_at, revision";
        /// A player's device.
        SELECT_TOKEN = "SELECT token, locale, created_at, updated_at, revision FROM gateway_firebase_token
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3";
        /// Forgets a player's device.
        DELETE_TOKEN = "DELETE FROM gateway_firebase_token WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3
            RETURNING token, locale, created_at, updated_at, revision";
        /// Forgets a player's device unless it is another one by now.
        DELETE_SAME_TOKEN = "DELETE FROM gateway_firebase_token
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND token = $4";
        /// Forgets all devices of a namespace.
        DELETE_ALL = "DELETE FROM gateway_firebase_token WHERE owner_id = $1 AND namespace_name = $2";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.write(set_firebase_token);
    registry.read(get_firebase_token);
    registry.write(delete_firebase_token);
    registry.call(send_mobile_notification_by_user_id);
}

/// A player's device.
#[derive(Debug, Clone)]
pub(super) struct Device {
    /// Registration token.
    pub(super) token: String,
    /// Its language.
    pub(super) locale: Option<String>,
}

pub(super) struct Stored {
    device: Device,
    created_at: i64,
    updated_at: i64,
    revision: i64,
}

impl Stored {
    pub(super) fn read(row: &Row<'_>) -> Result<Stored, StoreError> {
        Ok(Stored {
            device: Device { token: row.text(0)?, locale: row.opt_text(1)? },
            created_at: row.int(2)?,
            updated_at: row.int(3)?,
            revision: row.int(4)?,
        })
    }

    fn item(self, cx: &Cx, namespace: &str) -> Result<Item<FirebaseToken>, Error> {
        Ok(Item { item: self.model(cx, namespace, cx.user()?) })
    }

    pub(super) fn model(self, cx: &Cx, namespace: &str, user: &UserId) -> FirebaseToken {
        FirebaseToken {
            firebase_token_id: cx.grn(&SERVICE, &format!("{namespace}:user:{user}:firebase:token")),
            user_id: user.clone(),
            token: self.device.token,
            locale: self.device.locale,
            created_at: UnixMillis(self.created_at),
            updated_at: UnixMillis(self.updated_at),
            revision: self.revision,
        }
    }
}

/// What was found, or 404: `firebaseToken`, or `namespace` when even that is missing (BEHAVIOUR E-08).
fn found<T>(tx: &mut Tx<'_>, cx: &Cx, namespace: &str, row: Option<T>) -> Result<T, Error> {
    match row {
        Some(row) => Ok(row),
        None => {
            namespaces::require::<Namespaces>(tx, cx, namespace)?;
            let detail = "no device of the player is known; the app sets it with setFirebaseToken";
            Err(ApiError::not_found(SERVICE.name, "firebaseToken", detail).into())
        }
    }
}

fn set_firebase_token(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &SetFirebaseToken,
) -> Result<Item<FirebaseToken>, Error> {
    let namespace = request.namespace_name.as_str();
    let params = params![
        cx.owner(),
        SERVICE.name,
        namespace,
        cx.user()?.as_str(),
        &request.token,
        request.locale.as_ref(),
        cx.now.0
    ];
    match tx.query_opt(sql::UPSERT_TOKEN, params, Stored::read)? {
        Some(stored) => stored.item(cx, namespace),
        None => {
            namespaces::require::<Namespaces>(tx, cx, namespace)?;
            Err(Error::Internal("a device left no row".to_owned()))
        }
    }
}

fn get_firebase_token(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &GetFirebaseToken,
) -> Result<Item<FirebaseToken>, Error> {
    let namespace = request.namespace_name.as_str();
    let params = params![cx.owner(), namespace, cx.user()?.as_str()];
    let stored = tx.query_opt(sql::SELECT_TOKEN, params, Stored::read)?;
    found(tx, cx, namespace, stored)?.item(cx, namespace)
}

fn delete_firebase_token(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DeleteFirebaseToken,
) -> Result<Item<FirebaseToken>, Error> {
    let namespace = request.namespace_name.as_str();
    let params = params![cx.owner(), namespace, cx.user()?.as_str()];
    let stored = tx.query_opt(sql::DELETE_TOKEN, params, Stored::read)?;
    found(tx, cx, namespace, stored)?.item(cx, namespace)
}

async fn send_mobile_notification_by_user_id(
    cx: Arc<Cx>,
    request: Arc<SendMobileNotificationByUserId>,
) -> Result<Empty, Error> {
    let namespace = namespaces::cached::<Namespaces>(&cx, &request.namespace_name).await?;
    let user = cx.user()?.clone();
    let (reading, name) = (Arc::clone(&cx), request.namespace_name.clone());
    let read = move |tx: &mut Tx<'_>| {
        let device = device(tx, reading.owner(), &name, reading.user()?)?;
        found(tx, &reading, &name, device)
    };
    let device = cx.read(read).await?;
    if !cx.dry_run {
        let notice = Notice {
            issuer: cx.grn(&SERVICE, &request.namespace_name),
            subject: request.subject.clone(),
            payload: request.payload.clone(),
            sound: request.sound.clone(),
            messages: request.mobile_notification_messages.clone().unwrap_or_default(),
        };
        cx.core.mobile.push(Push { owner: cx.owner().to_owned(), namespace, user, device, notice });
    }
    Ok(Empty)
}

/// A player's device, if one is known.
pub(super) fn device(
    tx: &mut Tx<'_>,
    owner: &str,
    namespace: &str,
    user: &str,
) -> Result<Option<Device>, Error> {
    let stored = tx.query_opt(sql::SELECT_TOKEN, params![owner, namespace, user], Stored::read)?;
    Ok(stored.map(|stored| stored.device))
}

/// Forgets a device that Firebase does not know any more.
pub(super) fn forget(tx: &mut Tx<'_>, push: &Push) -> Result<(), Error> {
    let (namespace, user) = (push.namespace.name.as_str(), push.user.as_str());
    tx.execute(sql::DELETE_SAME_TOKEN, params![&push.owner, namespace, user, &push.device.token])?;
    Ok(())
}

/// Forgets all devices of a namespace.
pub(super) fn delete_all(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
    tx.execute(sql::DELETE_ALL, params![cx.owner(), namespace])?;
    Ok(())
}
