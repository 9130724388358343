//! Hiroba: rooms made by the administrator, who posts for players; players subscribe on their sockets and read pages.

use super::link::{Caller, ID_MARK, Link, Template, any_room, text};
use super::listener::{Dialect, Listener};
use super::{PAGE, PAGED_MESSAGES, Peer, Rooms, Way};
use crate::bench::hiroba::Prepared;
use crate::bench::http::Connection;
use crate::bench::socket::Socket;
use crate::postgres::Postgres;
use crate::proc;
use crate::server::{OWNER_ID, REGION, Server};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Settings beside the defaults: nobody answers pings while other measures are taken.
const SETTINGS: [&str; 2] = ["--socket-silence-seconds", "3600"];
/// Namespace of the rooms, and of the sockets.
const NAMESPACE: &str = "bench";
/// Subscribers that connect at the same time.
const OPENING: usize = 16;
/// Callers that fill the room whose pages are read.
const FILLERS: usize = 20;
/// Pages that are read in turn.
const PAGES: usize = 256;
/// Messages of a page when a whole history is read.
const HISTORY_PAGE: usize = 1000;

/// A started server.
#[derive(Debug)]
pub(super) struct Hiroba {
    peer: Peer,
    server: Box<Server>,
    prepared: Arc<Prepared>,
    /// Token of a player who reads.
    access_token: String,
    postgres: Option<Box<Postgres>>,
}

impl Hiroba {
    /// Starts the server and creates the namespaces.
    pub(super) async fn start(binary: &Path, base: Option<&Path>, peer: Peer) -> Result<Self> {
        let postgres = if peer == Peer::HirobaPostgres { Some(Postgres::start(base)?) } else { None };
        let url = postgres.as_ref().map(|postgres| postgres.create_database("hiroba")).transpose()?;
        let name = format!("chat-{}", peer.name());
        let server = Server::start(binary, base, &name, url.as_deref(), &SETTINGS)?;
        let prepared = Prepared::log_in(server.address()).await?;
        prepared.create_namespace("gateway", NAMESPACE).await?;
        let settings = json!({
            "name": NAMESPACE,
            "allowCreateRoom": true,
            "messageLifeTimeDays": 1,
            "postNotification": {
                "gatewayNamespaceId": format!("grn:gs2:{REGION}:{OWNER_ID}:gateway:{NAMESPACE}"),
            },
        });
        prepared.call("POST", "/chat/", &settings).await?;
        let login = prepared.call("POST", "/auth/login", &json!({"userId": "reader"})).await?;
        let access_token = login["token"].as_str().context("a login is answered without token")?.to_owned();
        let (server, prepared, postgres) = (Box::new(server), Arc::new(prepared), postgres.map(Box::new));
        Ok(Self { peer, server, prepared, access_token, postgres })
    }

    /// CPU time of all processes that do the server's work.
    pub(super) fn cpu(&self) -> Result<Duration> {
        let database =
            self.postgres.as_ref().map(|postgres| proc::cpu_of_tree(postgres.pid())).transpose()?;
        Ok(proc::cpu(self.server.pid())? + database.unwrap_or_default())
    }

    /// Creates the rooms.
    pub(super) async fn create(&self, rooms: &Rooms) -> Result<()> {
        let mut connection = Connection::open(self.prepared.address()).await?;
        for number in 0..rooms.count {
            let mut room = json!({"name": rooms.name(number)});
            if let Some(password) = rooms.password {
                room["password"] = password.into();
            }
            let path = format!("/chat/{NAMESPACE}/room");
            let create = self.prepared.request("POST", &path, None, &room.to_string());
            connection.call_ok(&create).await?;
        }
        Ok(())
    }

    /// Opens a socket for each subscriber, a player of its own, and subscribes.
    pub(super) async fn listeners(&self, rooms: &Rooms) -> Result<Vec<Listener>> {
        let total = rooms.count * rooms.subscribers;
        let mut lanes = JoinSet::new();
        for lane in 0..OPENING {
            let (prepared, rooms) = (Arc::clone(&self.prepared), rooms.clone());
            lanes.spawn(async move {
                let mut connection = Connection::open(prepared.address()).await?;
                let mut listeners = Vec::new();
                for number in (lane..total).step_by(OPENING) {
                    let room = rooms.name(number / rooms.subscribers);
                    let user = format!("{}-listener-{number}", rooms.prefix);
                    let path = format!("/chat/{NAMESPACE}/user/{user}/room/{room}/subscribe");
                    let types = json!({"notificationTypes": [{"category": 0}]}).to_string();
                    connection.call_ok(&prepared.request("POST", &path, None, &types)).await?;
                    let mut socket = Socket::open(prepared.address(), "/").await?;
                    prepared.bind(&mut socket, NAMESPACE, &user).await?;
                    let (stream, rest) = socket.into_parts();
                    listeners.push(Listener::new(stream, rest, Dialect::Hiroba));
                }
                Ok::<_, anyhow::Error>(listeners)
            });
        }
        let mut listeners = Vec::new();
        while let Some(lane) = lanes.join_next().await {
            listeners.extend(lane.context("a task panicked")?.context("connecting a subscriber")?);
        }
        Ok(listeners)
    }

    /// Connects somebody who posts.
    pub(super) async fn poster(&self, rooms: &Rooms, way: Way, number: usize) -> Result<Caller> {
        let (room, user) = (any_room(&rooms.prefix), format!("player-{number}"));
        let mut body = json!({"category": 0, "metadata": text()});
        if let Some(password) = rooms.password {
            body["password"] = password.into();
        }
        let call = match way {
            Way::Rest => {
                let path = format!("/chat/{NAMESPACE}/room/{room}/message/user/{user}");
                self.prepared.request("POST", &path, None, &body.to_string())
            }
            Way::Socket => {
                body["namespaceName"] = NAMESPACE.into();
                body["roomName"] = room.into();
                body["userId"] = user.into();
                self.envelope("postByUserId", body)
            }
        };
        Ok(Caller::poster(self.link(way).await?, Template::new(call), rooms.count, number))
    }

    /// Fills a room, and returns the calls for pages that begin anywhere in it.
    pub(super) async fn pages(&self, prefix: &str, way: Way) -> Result<Vec<Vec<u8>>> {
        let rooms = Rooms { prefix: prefix.to_owned(), count: 1, subscribers: 0, password: None };
        self.create(&rooms).await?;
        let mut fillers = JoinSet::new();
        for number in 0..FILLERS {
            let mut poster = self.poster(&rooms, Way::Rest, number).await?;
            fillers.spawn(async move {
                for _ in 0..PAGED_MESSAGES / FILLERS {
                    poster.call().await?;
                }
                Ok::<_, anyhow::Error>(())
            });
        }
        while let Some(ended) = fillers.join_next().await {
            ended.context("a caller panicked")?.context("filling a room")?;
        }
        let room = rooms.name(0);
        let mut connection = Connection::open(self.prepared.address()).await?;
        let history = self.history(&mut connection, &rooms, &room).await?;
        ensure!(history.len() == PAGED_MESSAGES, "a room has {} messages", history.len());
        let pages = (0..PAGES).map(|page| {
            // Steps of a prime number, so that no page is a neighbour of the one before.
            let (start_at, _) = &history[page * 2741 % (PAGED_MESSAGES - PAGE)];
            match way {
                Way::Rest => {
                    let path =
                        format!("/chat/{NAMESPACE}/room/{room}/message?startAt={start_at}&limit={PAGE}");
                    self.prepared.request("GET", &path, Some(&self.access_token), "")
                }
                Way::Socket => self.envelope(
                    "describeMessages",
                    json!({
                        "namespaceName": NAMESPACE,
                        "roomName": room,
                        "startAt": start_at,
                        "limit": PAGE,
                        "accessToken": self.access_token,
                        "xGs2AccessToken": self.access_token,
                    }),
                ),
            }
        });
        Ok(pages.collect())
    }

    /// Connects somebody who reads pages.
    pub(super) async fn reader(&self, way: Way, calls: Vec<Vec<u8>>) -> Result<Caller> {
        Ok(Caller::reader(self.link(way).await?, calls, b"\"metadata\":\""))
    }

    /// Demands that the history of the rooms holds so many messages, each once and in the order of time.
    pub(super) async fn demand_history(&self, rooms: &Rooms, messages: u64) -> Result<()> {
        let mut connection = Connection::open(self.prepared.address()).await?;
        let (mut found, mut ids) = (0, HashSet::new());
        for number in 0..rooms.count {
            let room = rooms.name(number);
            let history = self.history(&mut connection, rooms, &room).await?;
            found += history.len() as u64;
            ids.extend(history.into_iter().map(|(_, id)| id));
        }
        ensure!(
            found == messages && ids.len() as u64 == messages,
            "{messages} messages were posted; the listings have {found}, {} of them different",
            ids.len()
        );
        Ok(())
    }

    /// Time and id of every message of a room, read the way that clients do.
    async fn history(
        &self,
        connection: &mut Connection,
        rooms: &Rooms,
        room: &str,
    ) -> Result<Vec<(u64, String)>> {
        let mut history: Vec<(u64, String)> = Vec::new();
        let password = rooms.password.map(|password| format!("&password={password}")).unwrap_or_default();
        loop {
            let start_at =
                history.last().map(|(last, _)| format!("&startAt={}", last + 1)).unwrap_or_default();
            let path =
                format!("/chat/{NAMESPACE}/room/{room}/message?limit={HISTORY_PAGE}{start_at}{password}");
            let call = self.prepared.request("GET", &path, Some(&self.access_token), "");
            let page: Value =
                serde_json::from_slice(connection.call_ok(&call).await?).context("an answer is not JSON")?;
            let messages = page["items"].as_array().context("a listing has no items")?;
            if messages.is_empty() {
                return Ok(history);
            }
            for message in messages {
                let time = message["createdAt"].as_u64().context("a message has no time")?;
                let id = message["metadata"].as_str().and_then(|text| text.split(ID_MARK).nth(1));
                let id = id.with_context(|| format!("{message} has another text"))?;
                ensure!(
                    history.last().is_none_or(|(last, _)| *last < time),
                    "a listing of {room} has {time} after {:?}",
                    history.last()
                );
                history.push((time, id.to_owned()));
            }
        }
    }

    /// Last lines of the server's log.
    pub(super) fn log_tail(&mut self) -> String {
        self.server.log_tail()
    }

    /// Stops the server.
    pub(super) fn stop(mut self) -> Result<()> {
        self.server.stop().with_context(|| format!("stopping {}", self.peer.name()))
    }

    fn envelope(&self, function: &str, members: Value) -> Vec<u8> {
        // As long as the identifiers of the SDKs.
        let request_id = "01234567-89ab-cdef-0123-456789abcdef";
        self.prepared.envelope(["chat", "message", function], request_id, members).to_string().into_bytes()
    }

    async fn link(&self, way: Way) -> Result<Link> {
        let address = self.prepared.address();
        Ok(match way {
            Way::Rest => Link::Rest(Connection::open(address).await?),
            Way::Socket => Link::Socket(Socket::open(address, "/").await?),
        })
    }
}
