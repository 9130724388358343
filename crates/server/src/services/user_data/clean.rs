//! Removing a player's data.

use std::sync::Arc;

use hiroba_store::Tx;

use super::task::{Ended, Step, patiently};
use super::{Data, Place, namespace_after};
use crate::cx::Cx;
use crate::error::Error;

/// Removes what a service holds of a player, some at a time: callers wait for one such step at most.
pub(super) async fn run(cx: Arc<Cx>, data: Data, step: Step) -> Result<Ended, Error> {
    let mut namespace = String::new();
    while let Some(next) = namespace_after(&cx, data.service, &namespace).await? {
        namespace = next;
        for model in data.models {
            let mut after = Some(String::new());
            while let Some(place) = after {
                step.goes_on()?;
                let (cleaning, advancing, of) = (Arc::clone(&cx), step.clone(), namespace.clone());
                let clean = move |tx: &mut Tx<'_>| {
                    cleaning.entropy.restart();
                    advancing.advance(tx)?;
                    let at = Place { namespace: &of, user: &advancing.which.user };
                    (model.clean)(tx, &cleaning, at, &place)
                };
                let cleaned = patiently(&cx.core.store, clean).await?;
                step.add(cleaned.removed);
                after = cleaned.next;
            }
        }
    }
    Ok(Ended::Done)
}
