//! Removes messages that have expired, and what belonged to rooms that are gone.

use std::sync::Arc;

use hiroba_api::contract::UnixMillis;
use hiroba_store::{Tx, params};

use super::room::NEVER;
use crate::error::Error;
use crate::pipeline::Core;

/// Rows that one transaction looks at or removes, so that no caller waits long behind it.
const ROWS_MAX: i64 = 500;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// Some rooms behind one, and before when nothing expires there.
        SELECT_STATES = "SELECT room_id, sweep_at FROM chat_room_state WHERE room_id > $1 ORDER BY room_id LIMIT $2";
        /// The oldest messages of a room.
        SELECT_OLDEST = "SELECT created_at, expires_at FROM chat_message
            WHERE room_id = $1 ORDER BY created_at LIMIT $2";
        /// Removes what has expired among the oldest messages of a room.
        DELETE_EXPIRED = "DELETE FROM chat_message WHERE room_id = $1 AND created_at <= $2 AND expires_at <= $3";
        /// Says before when nothing expires in a room.
        UPDATE_SWEEP = "UPDATE chat_room_state SET sweep_at = $2 WHERE room_id = $1";
        /// A room that is gone.
        SELECT_ENDED = "SELECT room_id FROM chat_ended_room ORDER BY room_id LIMIT 1";
        /// Removes some messages of a room that is gone.
        DELETE_MESSAGES = "DELETE FROM chat_message WHERE room_id = $1 AND created_at IN (
            SELECT created_at FROM chat_message WHERE room_id = $1 ORDER BY created_at LIMIT $2)";
        /// Removes some subscriptions to a room that is gone.
        DELETE_SUBSCRIBES = "DELETE FROM chat_subscribe WHERE room_id = $1 AND user_id IN (
            SELECT user_id FROM chat_subscribe WHERE room_id = $1 ORDER BY user_id LIMIT $2)";
        /// Nothing of the room is left.
        DELETE_ENDED = "DELETE FROM chat_ended_room WHERE room_id = $1";
    }
}

/// One sweep.
pub(crate) async fn sweep(core: &Arc<Core>) -> Result<(), Error> {
    sweep_messages(core).await?;
    while core.store.write(sweep_ended).await? {}
    Ok(())
}

async fn sweep_messages(core: &Arc<Core>) -> Result<(), Error> {
    let (now, mut after) = (core.clock.now(), -1);
    loop {
        let states = core.store.read(move |tx| {
            let params = params![after, ROWS_MAX];
            let states = tx.query(sql::SELECT_STATES, params, |row| Ok((row.int(0)?, row.int(1)?)))?;
            Ok::<_, Error>(states)
        });
        let states = states.await?;
        let Some((last, _)) = states.last() else { return Ok(()) };
        after = *last;
        for (room_id, sweep_at) in states {
            if sweep_at > now.0 {
                continue;
            }
            loop {
                let (swept, more) = core.store.write(move |tx| sweep_room(tx, room_id, now)).await?;
                core.chat.metrics.swept.inc_by(swept);
                if !more {
                    break;
                }
            }
        }
    }
}

/// Removes what has expired among the oldest messages of a room; says how many, and whether to go on. A message that
/// expires before older ones do, since the retention was shortened meanwhile, waits for them where nobody sees it.
fn sweep_room(tx: &mut Tx<'_>, room_id: i64, now: UnixMillis) -> Result<(u64, bool), Error> {
    tx.lock_row(&super::message::lock_name(room_id));
    let oldest =
        tx.query(sql::SELECT_OLDEST, params![room_id, ROWS_MAX], |row| Ok((row.int(0)?, row.int(1)?)))?;
    let swept = match oldest.last() {
        Some((last, _)) => tx.execute(sql::DELETE_EXPIRED, params![room_id, *last, now.0])?,
        None => 0,
    };
    let full = (oldest.len() as i64) == ROWS_MAX;
    if full && swept == ROWS_MAX.unsigned_abs() {
        return Ok((swept, true));
    }
    let next =
        oldest.iter().map(|(_, expires_at)| *expires_at).filter(|expires_at| *expires_at > now.0).min();
    tx.execute(sql::UPDATE_SWEEP, params![room_id, next.unwrap_or(NEVER)])?;
    Ok((swept, false))
}

/// Removes some of what belonged to a room that is gone; says whether to go on.
fn sweep_ended(tx: &mut Tx<'_>) -> Result<bool, Error> {
    let Some(room_id) = tx.query_opt(sql::SELECT_ENDED, &[], |row| row.int(0))? else { return Ok(false) };
    let removed = tx.execute(sql::DELETE_MESSAGES, params![room_id, ROWS_MAX])?
        + tx.execute(sql::DELETE_SUBSCRIBES, params![room_id, ROWS_MAX])?;
    if removed == 0 {
        tx.execute(sql::DELETE_ENDED, params![room_id])?;
    }
    Ok(true)
}
