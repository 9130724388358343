//! Notifications: `sendNotification`, and the way by which every service tells a player something.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use hiroba_api::gateway::{
    MobileNotificationMessage, Namespace, Namespaces, SERVICE, SendNotification, Sent,
};
use hiroba_api::grn::Grn;
use hiroba_api::names::{NamespaceName, UserId};
use hiroba_api::namespace::NotificationSetting;
use hiroba_store::Tx;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;

use super::mobile::Push;
use super::{firebase, session};
use crate::cx::Cx;
use crate::error::Error;
use crate::hub::{Command, Player};
use crate::pipeline::Core;
use crate::registry::Registry;
use crate::services::namespaces;

/// Missing namespaces that were warned of.
const WARNED_MAX: usize = 1000;

pub(super) fn register(registry: &mut Registry) {
    registry.call(send_notification);
}

/// Something that a player is told.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    /// GRN of the namespace that tells it (BEHAVIOUR G-33).
    pub(crate) issuer: String,
    /// What it is about (BEHAVIOUR G-32).
    pub(crate) subject: String,
    /// What the client gets, as it is.
    pub(crate) payload: String,
    /// Sound on the player's device.
    pub(crate) sound: Option<String>,
    /// Texts for the player's device.
    pub(crate) messages: Vec<MobileNotificationMessage>,
}

impl Notice {
    /// What a service tells a player.
    pub(crate) fn new(issuer: String, subject: &str, payload: &Value) -> Notice {
        let (subject, payload) = (subject.to_owned(), payload.to_string());
        Notice { issuer, subject, payload, sound: None, messages: Vec::new() }
    }

    /// The notice with the sound and the texts of the service's setting, where it has none of its own.
    pub(super) fn with(mut self, setting: &NotificationSetting) -> Notice {
        self.sound = self.sound.or_else(|| setting.sound.clone());
        if self.messages.is_empty() {
            self.messages = setting.mobile_notification_messages.clone().unwrap_or_default();
        }
        self
    }

    /// The frame as every SDK reads it (BEHAVIOUR G-31, T-24; `core.json`, notificationEnvelope).
    pub(super) fn frame(&self) -> Result<Bytes, Error> {
        #[derive(Serialize)]
        struct Frame<'a> {
            r#type: &'static str,
            body: Body<'a>,
        }
        #[derive(Serialize)]
        struct Body<'a> {
            issuer: &'a str,
            subject: &'a str,
            payload: &'a str,
        }
        let Notice { issuer, subject, payload, .. } = self;
        let frame = Frame { r#type: "notification", body: Body { issuer, subject, payload } };
        let frame =
            serde_json::to_vec(&frame).map_err(|error| Error::internal("writing a notification", error))?;
        Ok(frame.into())
    }
}

async fn send_notification(cx: Arc<Cx>, request: Arc<SendNotification>) -> Result<Sent, Error> {
    let namespace = namespaces::cached::<Namespaces>(&cx, &request.namespace_name).await?;
    let (core, user) = (&cx.core, cx.user()?);
    let notice = Notice {
        issuer: cx.grn(&SERVICE, &request.namespace_name),
        subject: request.subject.clone(),
        payload: request.payload.clone(),
        sound: request.sound.clone(),
        messages: request.mobile_notification_messages.clone().unwrap_or_default(),
    };
    let reached = if cx.dry_run {
        let (reading, name) = (Arc::clone(&cx), request.namespace_name.clone());
        cx.read(move |tx| session::connection_ids(tx, &reading, &name, reading.user()?)).await?
    } else {
        deliver(&cx, &request.namespace_name, &notice).await?
    };
    let mut protocol = if reached.is_empty() { "none" } else { "websocket" };
    if reached.is_empty() && request.enable_transfer_mobile_notification {
        let reading = Arc::clone(&cx);
        let name = request.namespace_name.clone();
        if let Some(device) =
            cx.read(move |tx| firebase::device(tx, reading.owner(), &name, reading.user()?)).await?
        {
            protocol = "firebase";
            if !cx.dry_run {
                let push =
                    Push { owner: cx.owner().to_owned(), namespace, user: user.clone(), device, notice };
                core.mobile.push(push);
            }
        }
    }
    Ok(Sent { protocol: protocol.to_owned(), send_connection_ids: reached })
}

/// Sends to every socket of the call's player, on this node and the others; answers those that were reached.
async fn deliver(cx: &Arc<Cx>, namespace: &NamespaceName, notice: &Notice) -> Result<Vec<String>, Error> {
    let player = Player::new(cx.owner(), namespace, cx.user()?);
    let frame = notice.frame()?;
    let here = cx.core.hub.deliver(&player, &frame);
    let mut reached: Vec<String> = here.iter().map(|id| id.to_string()).collect();
    let Some(cluster) = &cx.core.cluster else { return Ok(reached) };
    let (reading, name) = (Arc::clone(cx), namespace.clone());
    let nodes = cx.read(move |tx| session::other_nodes(tx, &reading, &name, reading.user()?)).await;
    let nodes = match nodes {
        Ok(nodes) => nodes,
        // A caller who is told of a fault repeats the call, and these sockets would get it twice.
        Err(error) if !reached.is_empty() => {
            tracing::warn!(%error, "a notification reached the sockets of this node only");
            return Ok(reached);
        }
        Err(error) => return Err(error),
    };
    if !nodes.is_empty() {
        let command = deliver_command(player, &frame);
        let answers = join_all(nodes.iter().map(|node| cluster.ask(node, &command))).await;
        reached.extend(answers.into_iter().flatten());
    }
    Ok(reached)
}

fn deliver_command(player: Player, frame: &Bytes) -> Command {
    // A frame is JSON text.
    Command::Deliver { player, frame: String::from_utf8_lossy(frame).into_owned() }
}

/// Namespaces that settings name and that do not exist, so that each is warned of once.
#[derive(Debug, Default)]
pub(crate) struct Warned(Mutex<HashSet<String>>);

impl Warned {
    pub(super) fn warn(&self, namespace: &str, service: &str) {
        self.once(&format!("{service} {namespace}"), || {
            tracing::warn!(
                "{service} notifies players through the Gateway namespace `{namespace}`, which does not exist: \
                 create it with gateway.createNamespace, or nobody is told"
            );
        });
    }

    /// Says something that has this name, unless it was said before.
    pub(crate) fn once(&self, name: &str, say: impl FnOnce()) {
        let mut warned = self.0.lock();
        if warned.len() < WARNED_MAX && warned.insert(name.to_owned()) {
            say();
        }
    }
}

/// The Gateway namespace that a setting names: its GRN, and its name if it is one of this project.
pub(super) fn namespace_of(cx: &Cx, setting: &NotificationSetting) -> (String, Option<String>) {
    let grn = setting.gateway_namespace_id.as_deref().unwrap_or("grn:gs2:{region}:{ownerId}:gateway:default");
    let grn = cx.project.expand(grn);
    let name = Grn::parse(&grn).filter(|grn| grn.owner == cx.owner() && grn.service == SERVICE.grn);
    let name = name.map(|grn| grn.rest.to_owned());
    (grn, name)
}

/// Has the Gateway namespace of a setting remembered, where many will be told through it.
pub(crate) async fn remember(cx: &Arc<Cx>, setting: Option<&NotificationSetting>) -> Result<(), Error> {
    let setting = setting.filter(|setting| setting.is_enabled());
    let Some(name) = setting.and_then(|setting| namespace_of(cx, setting).1) else { return Ok(()) };
    match namespaces::cached::<Namespaces>(cx, &name).await {
        // That it is missing is said when somebody is to be told.
        Ok(_) | Err(Error::Refused(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Tells a player something when this transaction commits, as the service's setting says (BEHAVIOUR G-37: whatever
/// becomes of it, the call succeeds).
pub(crate) fn notify(
    tx: &mut Tx<'_>,
    cx: &Cx,
    (service, setting): (&'static str, &NotificationSetting),
    user: &UserId,
    notice: Notice,
) -> Result<(), Error> {
    if !setting.is_enabled() {
        return Ok(());
    }
    let notice = notice.with(setting);
    let (grn, name) = namespace_of(cx, setting);
    let namespace = match &name {
        Some(name) => match namespaces::remembered::<Namespaces>(cx, name) {
            Some(remembered) => remembered,
            None => namespaces::read::<Namespaces>(tx, cx, name)?.map(Arc::new),
        },
        None => None,
    };
    let (Some(name), Some(namespace)) = (name, namespace) else {
        cx.core.warned.warn(&grn, service);
        return Ok(());
    };
    let device = match setting.enable_transfer_mobile_notification {
        Some(true) => firebase::device(tx, cx.owner(), &name, user)?,
        _ => None,
    };
    let frame = notice.frame()?;
    let nodes = session::other_nodes(tx, cx, &name, user)?;
    let (core, owner, user) = (Arc::clone(&cx.core), cx.owner().to_owned(), user.clone());
    tx.on_commit(move || {
        let player = Player::new(&owner, &name, &user);
        let reached = core.hub.deliver(&player, &frame);
        for node in &nodes {
            core.tell(node, deliver_command(player.clone(), &frame));
        }
        if let (true, Some(device)) = (reached.is_empty() && nodes.is_empty(), device) {
            core.mobile.push(Push { owner, namespace, user, device, notice });
        }
    });
    Ok(())
}

/// What a namespace's sockets are told in tests and measurements, as if a service told it.
pub(crate) async fn notify_now(
    core: &Arc<Core>,
    namespace: &str,
    user: &str,
    notice: Notice,
) -> Result<(), Error> {
    let cx = Arc::new(Cx::internal(core));
    let setting = NotificationSetting::of(cx.grn(&SERVICE, namespace));
    let user = UserId::trusted(user);
    let transaction = move |tx: &mut Tx<'_>| notify(tx, &cx, ("server", &setting), &user, notice.clone());
    core.store.write(transaction).await
}

/// The parts of a namespace that sending to devices takes.
pub(super) fn account(namespace: &Namespace) -> Option<(&str, Option<&str>)> {
    let secret = namespace.firebase_secret.as_deref().filter(|secret| !secret.is_empty())?;
    Some((secret, namespace.firebase_project_id.as_deref().filter(|project| !project.is_empty())))
}
