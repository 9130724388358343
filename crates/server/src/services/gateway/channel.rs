//! Telling many players the same: what is common to all is looked up and written once.

use std::sync::Arc;

use bytes::Bytes;
use hiroba_api::gateway::{Namespace, Namespaces};
use hiroba_api::names::UserId;
use hiroba_api::namespace::NotificationSetting;

use super::firebase;
use super::mobile::Push;
use super::notify::{Notice, namespace_of};
use crate::cx::Cx;
use crate::error::Error;
use crate::hub::{Command, Player};
use crate::pipeline::Core;
use crate::services::namespaces;

/// The Gateway namespace that a service's setting names.
#[derive(Debug)]
pub(crate) struct Channel {
    core: Arc<Core>,
    owner: String,
    name: String,
    namespace: Arc<Namespace>,
    setting: NotificationSetting,
}

/// Something to tell, with its frame.
#[derive(Debug)]
pub(crate) struct Prepared {
    notice: Notice,
    frame: Bytes,
}

impl Channel {
    /// The channel of a service's setting; `None` when nobody is to be told, or when its namespace does not exist, of which
    /// the log warns (BEHAVIOUR G-37).
    pub(crate) async fn open(
        cx: &Arc<Cx>,
        (service, setting): (&'static str, &NotificationSetting),
    ) -> Result<Option<Channel>, Error> {
        if !setting.is_enabled() {
            return Ok(None);
        }
        let (grn, name) = namespace_of(cx, setting);
        let namespace = match &name {
            Some(name) => match namespaces::cached::<Namespaces>(cx, name).await {
                Ok(namespace) => Some(namespace),
                Err(Error::Refused(_)) => None,
                Err(error) => return Err(error),
            },
            None => None,
        };
        let (Some(name), Some(namespace)) = (name, namespace) else {
            cx.core.warned.warn(&grn, service);
            return Ok(None);
        };
        let (core, owner, setting) = (Arc::clone(&cx.core), cx.owner().to_owned(), setting.clone());
        Ok(Some(Channel { core, owner, name, namespace, setting }))
    }

    /// Name of the Gateway namespace.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A player of the Gateway namespace.
    pub(crate) fn player(&self, user: &str) -> Player {
        Player::new(&self.owner, &self.name, user)
    }

    /// Makes something ready to be told, with the sound and the texts of the setting.
    pub(crate) fn prepare(&self, notice: Notice) -> Result<Prepared, Error> {
        let notice = notice.with(&self.setting);
        let frame = notice.frame()?;
        Ok(Prepared { notice, frame })
    }

    /// Tells a player on the sockets of this node; says whether there is one.
    pub(crate) fn deliver<'a>(
        &self,
        player: &Player,
        notices: impl Iterator<Item = &'a Prepared> + Clone,
    ) -> bool {
        self.core.hub.deliver_all(player, &notices.map(|notice| &notice.frame))
    }

    /// Tells players on the sockets of another node.
    pub(crate) fn deliver_there(&self, node: &str, players: Vec<Player>, notice: &Prepared) {
        // A frame is JSON text.
        let frame = String::from_utf8_lossy(&notice.frame).into_owned();
        self.core.tell(node, Command::DeliverAll { players, frame });
    }

    /// Tells players without a socket on their devices, if the setting says so.
    pub(crate) async fn deliver_mobile(
        &self,
        cx: &Arc<Cx>,
        away: Vec<(&UserId, Vec<(&Prepared, bool)>)>,
    ) -> Result<(), Error> {
        if away.is_empty() || self.setting.enable_transfer_mobile_notification != Some(true) {
            return Ok(());
        }
        let users: Vec<UserId> = away.iter().map(|(user, _)| (*user).clone()).collect();
        let (owner, name) = (self.owner.clone(), self.name.clone());
        let devices = cx.read(move |tx| {
            users.iter().map(|user| firebase::device(tx, &owner, &name, user)).collect::<Result<Vec<_>, _>>()
        });
        for ((user, notices), device) in away.into_iter().zip(devices.await?) {
            let Some(device) = device else { continue };
            for (notice, _) in notices {
                self.core.mobile.push(Push {
                    owner: self.owner.clone(),
                    namespace: Arc::clone(&self.namespace),
                    user: user.clone(),
                    device: device.clone(),
                    notice: notice.notice.clone(),
                });
            }
        }
        Ok(())
    }
}
