//! Sessions: `/gateway/{namespaceName}/session…`. A row is a socket that a player is bound to; the hub of the socket's
//! node follows after the commit.

use std::sync::Arc;

use hiroba_api::contract::{Empty, Item, Page, UnixMillis};
use hiroba_api::error::{ApiError, ErrorItem, Status};
use hiroba_api::gateway::{
    DescribeWebSocketSessions, DisconnectAll, DisconnectByUserId, Disconnected, GetWebSocketSession,
    GetWebSocketSessionByConnectionId, Namespaces, SERVICE, SetUserId, WebSocketSession,
};
use hiroba_api::names::{NamespaceName, UserId};
use hiroba_store::{Row, StoreError, Tx, params};

use crate::cx::Cx;
use crate::error::Error;
use crate::hub::{Command, Hub, Player, Reason};
use crate::registry::Registry;
use crate::services::{namespaces, page};

// A session counts while the lease of its node lasts; a node never doubts its own. `$…` are this node and the time.
pub(crate) mod sql {
    hiroba_store::statements! {
        /// Binds a socket, or binds it again.
        UPSERT_SESSION = "INSERT INTO gateway_session (owner_id, namespace_name, connection_id, node_id, user_id,
                session_id, created_at, updated_at, revision)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 1)
            ON CONFLICT (owner_id, namespace_name, connection_id) DO UPDATE SET
                created_at = CASE WHEN gateway_session.user_id = excluded.user_id
                    THEN gateway_session.created_at ELSE excluded.created_at END,
                user_id = excluded.user_id, session_id = excluded.session_id, updated_at = excluded.updated_at,
                revision = gateway_session.revision + 1
            RETURNING connection_id, user_id, session_id, created_at, updated_at, revision";
        /// A page of a player's sessions.
        SELECT_SESSIONS = "SELECT connection_id, user_id, session_id, created_at, updated_at, revision FROM gateway_session s
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND connection_id > $4
              AND (node_id = $5 OR EXISTS (SELECT 1 FROM gateway_node n WHERE n.node_id = s.node_id AND n.expires_at > $6))
            ORDER BY connection_id LIMIT $7";
        /// How many other sockets a player has, up to a number.
        COUNT_OTHERS = "SELECT COUNT(*) FROM (SELECT 1 FROM gateway_session s
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND connection_id <> $4
              AND (node_id = $5 OR EXISTS (SELECT 1 FROM gateway_node n WHERE n.node_id = s.node_id AND n.expires_at > $6))
            LIMIT $7) AS others";
        /// A socket's session.
        SELECT_SESSION = "SELECT connection_id, user_id, session_id, created_at, updated_at, revision FROM gateway_session s
            WHERE owner_id = $1 AND namespace_name = $2 AND connection_id = $3
              AND (node_id = $4 OR EXISTS (SELECT 1 FROM gateway_node n WHERE n.node_id = s.node_id AND n.expires_at > $5))";
        /// Removes a socket's session.
        DELETE_SESSION = "DELETE FROM gateway_session
            WHERE owner_id = $1 AND namespace_name = $2 AND connection_id = $3";
        /// Removes a player's sessions, also those of nodes whose lease has ended.
        DELETE_OF_USER = "DELETE FROM gateway_session WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3
            RETURNING connection_id, user_id, session_id, created_at, updated_at, revision";
        /// Removes all sessions of a namespace.
        DELETE_ALL = "DELETE FROM gateway_session WHERE owner_id = $1 AND namespace_name = $2
            RETURNING connection_id, user_id";
        /// The other nodes on which a player has sockets.
        SELECT_NODES = "SELECT DISTINCT node_id FROM gateway_session s
            WHERE owner_id = $1 AND namespace_name = $2 AND user_id = $3 AND node_id <> $4
              AND EXISTS (SELECT 1 FROM gateway_node n WHERE n.node_id = s.node_id AND n.expires_at > $5)";
        /// Whether a socket is bound in another project.
        SELECT_FOREIGN = "SELECT 1 FROM gateway_session WHERE connection_id = $1 AND owner_id <> $2 LIMIT 1";
        /// Whether a node's lease lasts.
        SELECT_NODE = "SELECT 1 FROM gateway_node WHERE node_id = $1 AND expires_at > $2";
        /// The bindings that the store has of a node.
        SELECT_OF_NODE = "SELECT owner_id, namespace_name, user_id, connection_id, revision FROM gateway_session
            WHERE node_id = $1";
        /// Removes all sessions of a socket.
        DELETE_OF_CONNECTION = "DELETE FROM gateway_session WHERE connection_id = $1";
    }
}

pub(super) fn register(registry: &mut Registry) {
    registry.read(describe_web_socket_sessions);
    registry.write(set_user_id);
    registry.write(disconnect_by_user_id);
    registry.write(disconnect_all);
    registry.read(get_web_socket_session);
    registry.read(get_web_socket_session_by_connection_id);
}

/// A session's row beside its namespace.
struct Bound {
    connection_id: String,
    user_id: String,
    session_id: Option<String>,
    created_at: i64,
    updated_at: i64,
    revision: i64,
}

impl Bound {
    fn read(row: &Row<'_>) -> Result<Bound, StoreError> {
        Ok(Bound {
            connection_id: row.text(0)?,
            user_id: row.text(1)?,
            session_id: row.opt_text(2)?,
            created_at: row.int(3)?,
            updated_at: row.int(4)?,
            revision: row.int(5)?,
        })
    }

    fn model(self, cx: &Cx, namespace: &NamespaceName) -> WebSocketSession {
        let (user, connection) = (&self.user_id, &self.connection_id);
        WebSocketSession {
            web_socket_session_id: cx.grn(&SERVICE, &format!("{namespace}:user:{user}:session:{connection}")),
            namespace_name: namespace.clone(),
            user_id: UserId::trusted(self.user_id),
            connection_id: self.connection_id,
            session_id: self.session_id,
            created_at: UnixMillis(self.created_at),
            updated_at: UnixMillis(self.updated_at),
            revision: self.revision,
        }
    }
}

fn describe_web_socket_sessions(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DescribeWebSocketSessions,
) -> Result<Page<WebSocketSession>, Error> {
    let (namespace, user) = (&request.namespace_name, cx.user()?);
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let after = page::after(request.page_token.as_ref());
    let bound = select(tx, cx, namespace, user, after, page::rows(request.limit))?;
    let Page { items, next_page_token } = page::page(bound, request.limit, |bound| &bound.connection_id);
    let items = items.into_iter().map(|bound| bound.model(cx, namespace)).collect();
    Ok(Page { items, next_page_token })
}

fn select(
    tx: &mut Tx<'_>,
    cx: &Cx,
    namespace: &str,
    user: &str,
    after: &str,
    rows: i64,
) -> Result<Vec<Bound>, Error> {
    let params = params![cx.owner(), namespace, user, after, cx.core.hub.node(), cx.now.0, rows];
    Ok(tx.query(sql::SELECT_SESSIONS, params, Bound::read)?)
}

fn set_user_id(tx: &mut Tx<'_>, cx: &Cx, request: &SetUserId) -> Result<Item<WebSocketSession>, Error> {
    let (namespace, user) = (&request.namespace_name, cx.user()?);
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    let connection = connection(request.connection_id.as_ref())?;
    let params = params![connection, cx.owner()];
    let foreign = tx.query_opt(sql::SELECT_FOREIGN, params, |row| row.int(0))?.is_some();
    if foreign || !is_open(tx, cx, connection)? {
        let detail = "no socket of this id is open";
        return Err(ApiError::not_found(SERVICE.name, "webSocketSession", detail).into());
    }
    tx.lock_row(&[cx.owner(), "gateway", namespace, user].join("\n"));
    // An empty text names no session: clients that send one would take over each other.
    let session_id = request.session_id.as_ref().filter(|id| !id.is_empty());
    if request.allow_concurrent_access {
        refuse_too_many(tx, cx, (namespace, user), connection)?;
    } else {
        let mut others = select(tx, cx, namespace, user, "", i64::MAX)?;
        others.retain(|other| other.connection_id != connection);
        let same = |other: &Bound| session_id.is_some() && other.session_id.as_ref() == session_id;
        if !request.force && !others.iter().all(same) {
            let detail = "the player has another socket; close it, send its `sessionId`, or set `force`";
            let model = "webSocketSession";
            return Err(ApiError::conflict(SERVICE.name, model, "userId", "duplicate", detail).into());
        }
        for other in others {
            tx.execute(sql::DELETE_SESSION, params![cx.owner(), namespace.as_str(), &other.connection_id])?;
            disconnect(tx, cx, &other.connection_id, Reason::Replaced);
        }
    }
    let params = params![
        cx.owner(),
        namespace.as_str(),
        connection,
        Hub::node_of(connection),
        user.as_str(),
        session_id,
        cx.now.0
    ];
    let bound = tx.query_opt(sql::UPSERT_SESSION, params, Bound::read)?;
    let bound = bound.ok_or_else(|| Error::Internal("a binding left no row".to_owned()))?;
    let player = Player::new(cx.owner(), namespace, user);
    let bind = Command::Bind { connection_id: connection.to_owned(), player, sequence: bound.revision };
    tell(tx, cx, connection, bind);
    Ok(Item { item: bound.model(cx, namespace) })
}

/// Fails with 402 when the player has as many other sockets as there may be.
fn refuse_too_many(
    tx: &mut Tx<'_>,
    cx: &Cx,
    (namespace, user): (&str, &str),
    connection: &str,
) -> Result<(), Error> {
    let most = i64::try_from(cx.core.hub.limits().player_sockets).unwrap_or(i64::MAX);
    let node = cx.core.hub.node();
    let params = params![cx.owner(), namespace, user, connection, node, cx.now.0, most];
    let others = tx.query_opt(sql::COUNT_OTHERS, params, |row| row.int(0))?.unwrap_or_default();
    if others < most {
        return Ok(());
    }
    let detail = format!("a player may have at most {most} sockets in a namespace (`--player-sockets-max`)");
    let item = ErrorItem::new(SERVICE.name, "webSocketSession", "userId", "tooMany", detail);
    Err(ApiError::one(Status::QuotaExceeded, item).into())
}

/// Whether a socket may be open: the other nodes' are not asked, a binding of one that is not is taken back.
fn is_open(tx: &mut Tx<'_>, cx: &Cx, connection: &str) -> Result<bool, Error> {
    let node = Hub::node_of(connection);
    if node == cx.core.hub.node() || cx.core.cluster.is_none() {
        return Ok(cx.core.hub.has(connection));
    }
    Ok(tx.query_opt(sql::SELECT_NODE, params![node, cx.now.0], |row| row.int(0))?.is_some())
}

/// The socket that a call means: the reader has filled in the one that it arrived on (BEHAVIOUR G-02, G-03).
fn connection(named: Option<&String>) -> Result<&str, Error> {
    named.map(String::as_str).ok_or_else(|| {
        let detail = "make the call on the socket, or name an open one";
        ApiError::bad_request(SERVICE.name, "webSocketSession", "connectionId", "require", detail).into()
    })
}

/// Has a command done on a socket's node after the commit.
fn tell(tx: &mut Tx<'_>, cx: &Cx, connection_id: &str, command: Command) {
    let (core, node) = (Arc::clone(&cx.core), Hub::node_of(connection_id).to_owned());
    tx.on_commit(move || core.tell(&node, command));
}

/// Closes a socket after the commit.
fn disconnect(tx: &mut Tx<'_>, cx: &Cx, connection_id: &str, reason: Reason) {
    tell(tx, cx, connection_id, Command::Disconnect { connection_id: connection_id.to_owned(), reason });
}

fn disconnect_by_user_id(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &DisconnectByUserId,
) -> Result<Disconnected, Error> {
    let (namespace, user) = (&request.namespace_name, cx.user()?);
    namespaces::require::<Namespaces>(tx, cx, namespace)?;
    tx.lock_row(&[cx.owner(), "gateway", namespace, user].join("\n"));
    let params = params![cx.owner(), namespace.as_str(), user.as_str()];
    let mut closed = tx.query(sql::DELETE_OF_USER, params, Bound::read)?;
    closed.sort_by(|one, other| one.connection_id.cmp(&other.connection_id));
    for bound in &closed {
        disconnect(tx, cx, &bound.connection_id, Reason::Disconnected);
    }
    Ok(Disconnected { items: closed.into_iter().map(|bound| bound.model(cx, namespace)).collect() })
}

fn disconnect_all(tx: &mut Tx<'_>, cx: &Cx, request: &DisconnectAll) -> Result<Empty, Error> {
    namespaces::require::<Namespaces>(tx, cx, &request.namespace_name)?;
    for (connection_id, _) in delete_rows(tx, cx, &request.namespace_name)? {
        disconnect(tx, cx, &connection_id, Reason::Disconnected);
    }
    Ok(Empty)
}

/// Takes all bindings of a namespace that is deleted back; the sockets stay open.
pub(super) fn delete_all(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<(), Error> {
    for (connection_id, user) in delete_rows(tx, cx, namespace)? {
        let player = Player::new(cx.owner(), namespace, &user);
        tell(tx, cx, &connection_id, Command::Unbind { connection_id: connection_id.clone(), player });
    }
    Ok(())
}

fn delete_rows(tx: &mut Tx<'_>, cx: &Cx, namespace: &str) -> Result<Vec<(String, String)>, Error> {
    let params = params![cx.owner(), namespace];
    Ok(tx.query(sql::DELETE_ALL, params, |row| Ok((row.text(0)?, row.text(1)?)))?)
}

fn get_web_socket_session(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &GetWebSocketSession,
) -> Result<Item<WebSocketSession>, Error> {
    namespaces::require::<Namespaces>(tx, cx, &request.namespace_name)?;
    let connection = connection(request.connection_id.as_ref())?;
    get(tx, cx, &request.namespace_name, connection)
}

fn get_web_socket_session_by_connection_id(
    tx: &mut Tx<'_>,
    cx: &Cx,
    request: &GetWebSocketSessionByConnectionId,
) -> Result<Item<WebSocketSession>, Error> {
    get(tx, cx, &request.namespace_name, &request.connection_id)
}

fn get(
    tx: &mut Tx<'_>,
    cx: &Cx,
    namespace: &NamespaceName,
    connection: &str,
) -> Result<Item<WebSocketSession>, Error> {
    let params = params![cx.owner(), namespace.as_str(), connection, cx.core.hub.node(), cx.now.0];
    match tx.query_opt(sql::SELECT_SESSION, params, Bound::read)? {
        Some(bound) => Ok(Item { item: bound.model(cx, namespace) }),
        None => {
            namespaces::require::<Namespaces>(tx, cx, namespace)?;
            let detail = "no player is bound to this socket, or it has closed";
            Err(ApiError::not_found(SERVICE.name, "webSocketSession", detail).into())
        }
    }
}

/// The sockets of a player on all nodes.
pub(super) fn connection_ids(
    tx: &mut Tx<'_>,
    cx: &Cx,
    namespace: &str,
    user: &str,
) -> Result<Vec<String>, Error> {
    let bound = select(tx, cx, namespace, user, "", i64::MAX)?;
    Ok(bound.into_iter().map(|bound| bound.connection_id).collect())
}

/// The other nodes on which a player has sockets.
pub(super) fn other_nodes(
    tx: &mut Tx<'_>,
    cx: &Cx,
    namespace: &str,
    user: &str,
) -> Result<Vec<String>, Error> {
    if cx.core.cluster.is_none() {
        return Ok(Vec::new());
    }
    let params = params![cx.owner(), namespace, user, cx.core.hub.node(), cx.now.0];
    Ok(tx.query(sql::SELECT_NODES, params, |row| row.text(0))?)
}

/// The bindings that the store has of a node: socket, player, number.
pub(super) fn of_node(tx: &mut Tx<'_>, node: &str) -> Result<Vec<(String, Player, i64)>, Error> {
    let read = |row: &Row<'_>| {
        let player = Player::new(&row.text(0)?, &row.text(1)?, &row.text(2)?);
        Ok((row.text(3)?, player, row.int(4)?))
    };
    Ok(tx.query(sql::SELECT_OF_NODE, params![node], read)?)
}

/// Removes the sessions of sockets that have closed.
pub(super) fn delete_closed(tx: &mut Tx<'_>, connection_ids: &[Arc<str>]) -> Result<(), Error> {
    for connection_id in connection_ids {
        tx.execute(sql::DELETE_OF_CONNECTION, params![&**connection_id])?;
    }
    Ok(())
}
