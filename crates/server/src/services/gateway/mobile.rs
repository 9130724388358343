//! Notifications to players' devices: queued, sent in the background, tried again, or recorded where nothing is configured.

use std::sync::{Arc, Weak};
use std::time::Duration;

use hiroba_api::gateway::Namespace;
use hiroba_api::names::UserId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;

use super::fcm::{Failure, Fcm};
use super::firebase::{self, Device};
use super::notify::{self, Notice};
use crate::config::Config;
use crate::pipeline::Core;

/// Messages that may wait; further ones are dropped and counted.
const QUEUE_MAX: usize = 10_000;
/// Messages on their way at once.
const SENDING_MAX: usize = 16;
/// How often a message is tried.
const ATTEMPTS_MAX: u32 = 5;
/// Time before the second attempt; it doubles with each further one.
const BACK_OFF: Duration = Duration::from_millis(500);
/// The longest time between two attempts, whatever Firebase asks for.
const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// Time that messages on their way get when the server stops.
const STOP_TIME: Duration = Duration::from_secs(5);

/// A message for a device.
#[derive(Debug)]
pub(crate) struct Push {
    pub(super) owner: String,
    pub(super) namespace: Arc<Namespace>,
    pub(super) user: UserId,
    pub(super) device: Device,
    pub(super) notice: Notice,
}

impl Push {
    /// Title and text in the device's language: the same locale, else the same language, else the first text. Without
    /// texts, or with a text that lacks one of both, subject and payload (BEHAVIOUR G-51).
    pub(super) fn text(&self) -> (&str, &str) {
        let Notice { subject, payload, messages, .. } = &self.notice;
        let wanted = self.device.locale.as_deref().unwrap_or_default();
        let language =
            |locale: &str| locale.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        let locale = |message: &&hiroba_api::gateway::MobileNotificationMessage| {
            message.locale.clone().unwrap_or_default()
        };
        let same = messages.iter().find(|message| locale(message).eq_ignore_ascii_case(wanted));
        let near = || messages.iter().find(|message| language(&locale(message)) == language(wanted));
        let chosen = same.or_else(near).or(messages.first());
        let title = chosen.and_then(|message| message.title.as_deref()).unwrap_or(subject);
        let text = chosen.and_then(|message| message.message.as_deref()).unwrap_or(payload);
        (title, text)
    }
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OutcomeLabel {
    outcome: &'static str,
}

/// What became of messages to devices.
#[derive(Debug, Default, Clone)]
pub(crate) struct MobileMetrics {
    /// By outcome: `sent`, `recorded`, `unregistered`, `failed`, `dropped`.
    pub(crate) outcomes: Family<OutcomeLabel, Counter>,
}

impl MobileMetrics {
    fn count(&self, outcome: &'static str) {
        self.outcomes.get_or_create(&OutcomeLabel { outcome }).inc();
    }
}

/// Sends to devices.
#[derive(Debug)]
pub(crate) struct Mobile {
    queue: mpsc::Sender<Push>,
    /// Taken by the task that sends.
    waiting: Mutex<Option<mpsc::Receiver<Push>>>,
    fcm: Fcm,
    metrics: MobileMetrics,
}

impl Mobile {
    pub(crate) fn new(config: &Config, metrics: MobileMetrics) -> Mobile {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let fcm = Fcm::new(&config.firebase_endpoint, &config.firebase_token_endpoint);
        Mobile { queue, waiting: Mutex::new(Some(waiting)), fcm, metrics }
    }

    /// Queues a message. Without a service account it is recorded only (BEHAVIOUR G-52).
    pub(super) fn push(&self, push: Push) {
        if notify::account(&push.namespace).is_none() {
            self.metrics.count("recorded");
            let (title, text) = push.text();
            tracing::info!(
                namespace = push.namespace.name.as_str(),
                user = push.user.as_str(),
                subject = push.notice.subject,
                title,
                text,
                "a mobile notification is recorded and not sent: the Gateway namespace has no `firebaseSecret`"
            );
        } else if self.queue.try_send(push).is_err() {
            self.metrics.count("dropped");
            tracing::warn!("a mobile notification is dropped: {QUEUE_MAX} are waiting already");
        }
    }

    /// Sends what is queued until the server stops.
    pub(crate) async fn run(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
        let Some(mut waiting) = core.mobile.waiting.lock().await.take() else { return };
        let mut sending = JoinSet::new();
        loop {
            tokio::select! {
                Some(push) = waiting.recv(), if sending.len() < SENDING_MAX => {
                    sending.spawn(send(Arc::downgrade(&core), push));
                }
                Some(sent) = sending.join_next() => {
                    if let Err(error) = sent {
                        tracing::error!(%error, "sending a mobile notification ended badly");
                    }
                }
                _ = stop.changed() => break,
            }
        }
        let rest = async { while sending.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_TIME, rest).await.is_err() || !waiting.is_empty() {
            tracing::warn!("some mobile notifications were not sent before the stop");
        }
    }
}

/// Sends one message, if need be several times.
async fn send(core: Weak<Core>, push: Push) {
    let mut back_off = BACK_OFF;
    for attempt in 1.. {
        // A server that stops keeps nobody waiting for its store.
        let Some(core) = core.upgrade() else { return };
        let mobile = &core.mobile;
        let failure = match mobile.fcm.send(&push, core.clock.now()).await {
            Ok(()) => return mobile.metrics.count("sent"),
            Err(failure) => failure,
        };
        match failure {
            Failure::Later { problem, after } if attempt < ATTEMPTS_MAX => {
                tracing::debug!(problem, attempt, "a mobile notification is tried again");
                drop(core);
                tokio::time::sleep(after.unwrap_or(back_off).min(BACK_OFF_MAX)).await;
                back_off *= 2;
            }
            Failure::Unregistered => {
                mobile.metrics.count("unregistered");
                let forgotten = core.store.write(move |tx| firebase::forget(tx, &push)).await;
                if let Err(error) = forgotten {
                    tracing::warn!(%error, "a device that is not registered any more could not be forgotten");
                }
                return;
            }
            failure => {
                mobile.metrics.count("failed");
                let (namespace, user) = (push.namespace.name.as_str(), push.user.as_str());
                tracing::warn!(namespace, user, %failure, "a mobile notification failed");
                return;
            }
        }
    }
}
