-- The logs of a Log namespace, under a number of the whole store: another one when a namespace of this name is made again.
-- There is a row from the first log on.
CREATE TABLE log_space (
    owner_id       TEXT   NOT NULL,
    namespace_name TEXT   NOT NULL,
    log_id         BIGINT NOT NULL,
    PRIMARY KEY (owner_id, namespace_name)
) /*sqlite WITHOUT ROWID*/;

-- Logs of one kind that were written together, within a minute of each other. Not clustered by the key, since the body is large.
CREATE TABLE log_chunk (
    log_id   BIGINT NOT NULL,
    kind     BIGINT NOT NULL,
    -- Time of the newest entry.
    last_at  BIGINT NOT NULL,
    -- A number of the whole store.
    sequence BIGINT NOT NULL,
    -- Time of the oldest entry.
    first_at BIGINT NOT NULL,
    entries  BIGINT NOT NULL,
    -- Bytes of the entries.
    bytes    BIGINT NOT NULL,
    -- Says which values no entry has.
    summary  BYTEA  NOT NULL,
    -- The entries by time, compressed.
    body     BYTEA  NOT NULL,
    PRIMARY KEY (log_id, kind, last_at, sequence)
);

-- Logs of namespaces that were deleted, which nobody sees any more and which are still to be removed.
CREATE TABLE log_ended (
    log_id BIGINT NOT NULL PRIMARY KEY
) /*sqlite WITHOUT ROWID*/;

CREATE TABLE log_insight (
    owner_id       TEXT   NOT NULL,
    namespace_name TEXT   NOT NULL,
    name           TEXT   NOT NULL,
    task_id        TEXT   NOT NULL,
    created_at     BIGINT NOT NULL,
    PRIMARY KEY (owner_id, namespace_name, name)
) /*sqlite WITHOUT ROWID*/;

CREATE TABLE log_facet_model (
    owner_id       TEXT   NOT NULL,
    namespace_name TEXT   NOT NULL,
    field          TEXT   NOT NULL,
    type           TEXT   NOT NULL,
    display_name   TEXT,
    -- Place in the answer of a query.
    place          BIGINT NOT NULL,
    PRIMARY KEY (owner_id, namespace_name, field)
) /*sqlite WITHOUT ROWID*/;

-- Not clustered by the key, since the payload is large.
CREATE TABLE log_dashboard (
    owner_id       TEXT   NOT NULL,
    namespace_name TEXT   NOT NULL,
    name           TEXT   NOT NULL,
    display_name   TEXT,
    description    TEXT,
    payload        TEXT,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    PRIMARY KEY (owner_id, namespace_name, name)
);
