-- Leases of the nodes that serve sockets. On the embedded store there is one node, which needs none.
CREATE TABLE gateway_node (
    node_id    TEXT   NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
) /*sqlite WITHOUT ROWID*/;

-- Sockets that players are bound to. A row goes with its socket, or with the lease of a node that was killed.
CREATE TABLE gateway_session (
    owner_id       TEXT   NOT NULL,
    namespace_name TEXT   NOT NULL,
    connection_id  TEXT   NOT NULL,
    node_id        TEXT   NOT NULL,
    user_id        TEXT   NOT NULL,
    session_id     TEXT,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    revision       BIGINT NOT NULL,
    PRIMARY KEY (owner_id, namespace_name, connection_id)
) /*sqlite WITHOUT ROWID*/;
CREATE INDEX gateway_session_user ON gateway_session (owner_id, namespace_name, user_id, connection_id);
CREATE INDEX gateway_session_connection ON gateway_session (connection_id);
CREATE INDEX gateway_session_node ON gateway_session (node_id);

CREATE TABLE gateway_firebase_token (
    owner_id       TEXT   NOT NULL,
    namespace_name TEXT   NOT NULL,
    user_id        TEXT   NOT NULL,
    token          TEXT   NOT NULL,
    locale         TEXT,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    revision       BIGINT NOT NULL,
    PRIMARY KEY (owner_id, namespace_name, user_id)
) /*sqlite WITHOUT ROWID*/;
