-- Settings of the installation that must be the same on every node, such as the key that signs tokens.
CREATE TABLE server_setting (
    name  TEXT  NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

CREATE TABLE namespace (
    owner_id    TEXT   NOT NULL,
    service     TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    description TEXT,
    -- The service's own settings, as the JSON object of the protocol.
    settings    TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    PRIMARY KEY (owner_id, service, name)
) /*sqlite WITHOUT ROWID*/;

CREATE TABLE duplication_answer (
    owner_id     TEXT   NOT NULL,
    service      TEXT   NOT NULL,
    method       TEXT   NOT NULL,
    user_id      TEXT   NOT NULL,
    avoider      TEXT   NOT NULL,
    request_hash BYTEA  NOT NULL,
    answer       TEXT   NOT NULL,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (owner_id, service, method, user_id, avoider)
) /*sqlite WITHOUT ROWID*/;
CREATE INDEX duplication_answer_expiry ON duplication_answer (expires_at);

CREATE TABLE identifier_user (
    owner_id    TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    description TEXT,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    PRIMARY KEY (owner_id, name)
) /*sqlite WITHOUT ROWID*/;

-- A login names only the client id, so that is the key.
CREATE TABLE identifier_credential (
    client_id   TEXT   NOT NULL PRIMARY KEY,
    owner_id    TEXT   NOT NULL,
    user_name   TEXT   NOT NULL,
    secret_hash BYTEA  NOT NULL,
    -- GRNs of the attached guard namespaces, a JSON list.
    guards      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL
) /*sqlite WITHOUT ROWID*/;
CREATE INDEX identifier_credential_user ON identifier_credential (owner_id, user_name, client_id);

CREATE TABLE identifier_password (
    owner_id     TEXT   NOT NULL,
    user_name    TEXT   NOT NULL,
    hash         TEXT   NOT NULL,
    mfa_status   TEXT,
    mfa_secret   BYTEA,
    -- Last time step whose one-time password was used; each works once.
    mfa_step     BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    revision     BIGINT NOT NULL,
    PRIMARY KEY (owner_id, user_name)
) /*sqlite WITHOUT ROWID*/;

CREATE TABLE identifier_policy (
    owner_id    TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    description TEXT,
    policy      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (owner_id, name)
) /*sqlite WITHOUT ROWID*/;

CREATE TABLE identifier_attachment (
    owner_id    TEXT   NOT NULL,
    user_name   TEXT   NOT NULL,
    -- `system` for a built-in policy, else the owner itself.
    policy_owner TEXT  NOT NULL,
    policy_name TEXT   NOT NULL,
    position    BIGINT NOT NULL,
    PRIMARY KEY (owner_id, user_name, policy_owner, policy_name)
) /*sqlite WITHOUT ROWID*/;
CREATE INDEX identifier_attachment_policy ON identifier_attachment (owner_id, policy_owner, policy_name);

CREATE TABLE auth_federation (
    owner_id         TEXT   NOT NULL,
    federation_id    TEXT   NOT NULL,
    original_user_id TEXT   NOT NULL,
    user_id          TEXT   NOT NULL,
    policy           TEXT,
    expires_at       BIGINT NOT NULL,
    PRIMARY KEY (owner_id, federation_id)
) /*sqlite WITHOUT ROWID*/;
CREATE INDEX auth_federation_expiry ON auth_federation (expires_at);

-- Held mutexes only. There is no index on `ttl_at`: the sweeper walks the primary key, so that locking and unlocking
-- keep one tree instead of two.
CREATE TABLE lock_mutex (
    owner_id        TEXT   NOT NULL,
    namespace_name  TEXT   NOT NULL,
    user_id         TEXT   NOT NULL,
    -- The property, shortened with a hash where it is too long for an index of PostgreSQL.
    property_key    TEXT   NOT NULL,
    -- The property where the key is not the property itself.
    property_id     TEXT,
    transaction_id  TEXT   NOT NULL,
    reference_count BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    ttl_at          BIGINT NOT NULL,
    -- Milliseconds by which the holder's call was ahead of time.
    time_offset     BIGINT NOT NULL,
    revision        BIGINT NOT NULL,
    PRIMARY KEY (owner_id, namespace_name, user_id, property_key)
) /*sqlite WITHOUT ROWID*/;
