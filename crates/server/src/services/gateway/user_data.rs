//! What Gateway holds of a player (BEHAVIOUR U-07): the device. Bindings of sockets end with the sockets.

use hiroba_api::contract::Fields;
use hiroba_api::gateway::{FirebaseToken, Namespaces, SERVICE};
use hiroba_store::{Tx, params};
use serde_json::json;

use super::firebase::{self, Stored};
use crate::cx::Cx;
use crate::error::Error;
use crate::services::user_data::{Chunk, Cleaned, Line, Model, Place, Taken, UserDataModels, read_line};

pub(crate) mod sql {
    hiroba_store::statements! {
        /// Adds a player's device unless there is one.
        INSERT_TOKEN = "INSERT INTO gateway_firebase_token
                (owner_id, namespace_name, user_id, token, locale, created_at, updated_at, revision)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (owner_id, namespace_name, user_id) DO NOTHING";
    }
}

impl UserDataModels for Namespaces {
    const MODELS: &'static [Model] = &[Model {
        name: "firebaseToken",
        hidden: &[],
        read,
        clean,
        check: |_, line| check(line).map(|_| ()),
        import,
    }];
}

fn read(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, after: &str) -> Result<Chunk, Error> {
    // There is one at most.
    if !after.is_empty() {
        return Ok(Chunk::default());
    }
    let params = params![cx.owner(), at.namespace, at.user.as_str()];
    let stored = tx.query_opt(firebase::sql::SELECT_TOKEN, params, Stored::read)?;
    let line = |stored: Stored| Line {
        after: "token".to_owned(),
        text: json!(stored.model(cx, at.namespace, at.user)).to_string(),
    };
    Ok(Chunk { lines: stored.map(line).into_iter().collect(), next: None })
}

fn clean(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, _: &str) -> Result<Cleaned, Error> {
    let params = params![cx.owner(), at.namespace, at.user.as_str()];
    let deleted = tx.query_opt(firebase::sql::DELETE_TOKEN, params, Stored::read)?;
    Ok(Cleaned { removed: u64::from(deleted.is_some()), next: None })
}

fn check(line: &Fields) -> Result<FirebaseToken, String> {
    let model: FirebaseToken = read_line(&SERVICE, "firebaseToken", line)?;
    if model.revision < 1 { Err("`revision` must be at least 1".to_owned()) } else { Ok(model) }
}

/// The device that a player has now is more likely to be theirs than the one of a file.
fn import(tx: &mut Tx<'_>, cx: &Cx, at: Place<'_>, lines: &[Fields]) -> Result<Vec<Taken>, Error> {
    let mut taken = Vec::with_capacity(lines.len());
    for line in lines {
        let model = check(line).map_err(|problem| Error::internal("taking user data in", problem))?;
        let key = params![cx.owner(), at.namespace, at.user.as_str()];
        let params = params![
            cx.owner(),
            at.namespace,
            at.user.as_str(),
            &model.token,
            model.locale.as_ref(),
            model.created_at.0,
            model.updated_at.0,
            model.revision
        ];
        taken.push(if tx.execute(sql::INSERT_TOKEN, params)? == 1 {
            Taken::Added
        } else {
            let there = tx.query_opt(firebase::sql::SELECT_TOKEN, key, |row| row.text(0))?;
            if there.as_deref() == Some(model.token.as_str()) {
                Taken::There
            } else {
                Taken::Left("the player has set another device, which stays".to_owned())
            }
        });
    }
    Ok(taken)
}
