//! The other nodes: what must happen to a socket of another node is told to that node through NATS.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event};
use futures_util::StreamExt;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio::time::timeout;

use crate::hub::Command;
use crate::pipeline::Core;
use crate::services::gateway::node;

/// Time for another node's answer.
const ANSWER_TIME: Duration = Duration::from_secs(1);
/// Time between two attempts to listen while NATS has never been reached.
const RETRY: Duration = Duration::from_secs(1);

/// What is counted of the traffic between nodes.
#[derive(Debug, Default, Clone)]
pub(crate) struct ClusterMetrics {
    /// 1 while NATS is reached.
    pub(crate) connected: Gauge,
    /// Commands that were sent to other nodes.
    pub(crate) sent: Counter,
    /// Commands from other nodes.
    pub(crate) received: Counter,
    /// Commands that were dropped because NATS was not reached, or that nobody answered.
    pub(crate) lost: Counter,
}

/// This node's link to the others.
#[derive(Debug)]
pub(crate) struct Cluster {
    client: Client,
    /// Subjects of this installation; a node's own has its name behind it.
    prefix: String,
    told: mpsc::UnboundedSender<(String, Command)>,
    /// Taken by the task that sends, so that what one caller tells keeps its order.
    waiting: Mutex<Option<mpsc::UnboundedReceiver<(String, Command)>>>,
    /// Says that NATS is reached again.
    reached: Arc<Notify>,
    metrics: ClusterMetrics,
}

impl Cluster {
    /// Connects in the background; NATS may come later, and go.
    pub(crate) async fn connect(
        url: &str,
        installation: &str,
        metrics: ClusterMetrics,
    ) -> anyhow::Result<Cluster> {
        let reached = Arc::new(Notify::new());
        let (reached_again, gauge) = (Arc::clone(&reached), metrics.connected.clone());
        let options =
            ConnectOptions::new().name("hiroba").retry_on_initial_connect().event_callback(move |event| {
                let (reached, gauge) = (Arc::clone(&reached_again), gauge.clone());
                async move {
                    match event {
                        Event::Connected => {
                            gauge.set(1);
                            tracing::info!("NATS is reached");
                            reached.notify_one();
                        }
                        Event::Disconnected => {
                            gauge.set(0);
                            tracing::warn!(
                                "NATS is not reached: players on other nodes are told nothing until it is"
                            );
                        }
                        other => tracing::debug!(%other, "NATS"),
                    }
                }
            });
        // The URL may hold a password.
        let client = options.connect(url).await.context("connecting to NATS")?;
        let (told, waiting) = mpsc::unbounded_channel();
        Ok(Cluster {
            client,
            prefix: format!("hiroba.{installation}"),
            told,
            waiting: Mutex::new(Some(waiting)),
            reached,
            metrics,
        })
    }

    fn subject(&self, node: &str) -> String {
        format!("{}.{node}", self.prefix)
    }

    fn is_reached(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Tells a node something, in the order of the calls. What cannot be sent now is dropped: what is told is only of use
    /// at once, and bindings are compared with the store when NATS is reached again.
    pub(crate) fn tell(&self, node: &str, command: Command) {
        // The receiver lives as long as the server takes calls.
        let _ = self.told.send((node.to_owned(), command));
    }

    /// Tells a node something and waits for the sockets that it reached there; none when the node does not answer.
    pub(crate) async fn ask(&self, node: &str, command: &Command) -> Vec<String> {
        if !self.is_reached() {
            self.metrics.lost.inc();
            return Vec::new();
        }
        let Ok(payload) = serde_json::to_vec(command) else { return Vec::new() };
        self.metrics.sent.inc();
        match timeout(ANSWER_TIME, self.client.request(self.subject(node), payload.into())).await {
            Ok(Ok(answer)) => serde_json::from_slice(&answer.payload).unwrap_or_default(),
            Ok(Err(error)) => {
                self.metrics.lost.inc();
                tracing::debug!(node, %error, "a node cannot be told");
                Vec::new()
            }
            Err(_) => {
                self.metrics.lost.inc();
                tracing::warn!(node, "a node did not answer");
                Vec::new()
            }
        }
    }

    /// Sends what is told, and does what other nodes tell, until the server stops.
    pub(crate) async fn run(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
        let Some(cluster) = &core.cluster else { return };
        let Some(mut waiting) = cluster.waiting.lock().await.take() else { return };
        let subject = cluster.subject(core.hub.node());
        let mut incoming = loop {
            match cluster.client.subscribe(subject.clone()).await {
                Ok(incoming) => break incoming,
                Err(error) => tracing::warn!(%error, "listening to the other nodes failed; trying again"),
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                _ = stop.changed() => return,
            }
        };
        loop {
            tokio::select! {
                Some(message) = incoming.next() => {
                    cluster.metrics.received.inc();
                    let reached = match serde_json::from_slice::<Command>(&message.payload) {
                        Ok(command) => core.hub.apply(command),
                        Err(error) => {
                            tracing::warn!(%error, "another node said what this one does not understand");
                            continue;
                        }
                    };
                    if let Some(reply) = message.reply {
                        let reached: Vec<&str> = reached.iter().map(|id| &**id).collect();
                        let payload = serde_json::to_vec(&reached).unwrap_or_default();
                        cluster.publish(reply.to_string(), payload).await;
                    }
                }
                Some((node, command)) = waiting.recv() => match serde_json::to_vec(&command) {
                    Ok(payload) => cluster.publish(cluster.subject(&node), payload).await,
                    Err(error) => tracing::error!(%error, "a command cannot be written"),
                },
                () = cluster.reached.notified() => {
                    if let Err(error) = node::reconcile(&core).await {
                        tracing::warn!(%error, "comparing this node's bindings with the store failed");
                    }
                }
                _ = stop.changed() => break,
            }
        }
        // What is still in the client's buffer has a moment to leave.
        let _ = timeout(ANSWER_TIME, cluster.client.flush()).await;
    }

    async fn publish(&self, subject: String, payload: Vec<u8>) {
        // The client would keep what it cannot send now, and its buffer is bounded: this task would wait.
        if !self.is_reached() {
            self.metrics.lost.inc();
            return;
        }
        self.metrics.sent.inc();
        if let Err(error) = self.client.publish(subject, payload.into()).await {
            self.metrics.lost.inc();
            tracing::debug!(%error, "a node cannot be told");
        }
    }
}
