CREATE TABLE distributor_model_master (
    owner_id             TEXT   NOT NULL,
    namespace_name       TEXT   NOT NULL,
    name                 TEXT   NOT NULL,
    description          TEXT,
    metadata             TEXT,
    inbox_namespace_id   TEXT,
    -- JSON list of GRNs.
    white_list_target_ids TEXT,
    created_at           BIGINT NOT NULL,
    updated_at           BIGINT NOT NULL,
    revision             BIGINT NOT NULL,
    PRIMARY KEY (owner_id, namespace_name, name)
) /*sqlite WITHOUT ROWID*/;

-- What became of transactions, for a day: whoever waits asks for it, and a transaction that succeeded is not run again.
CREATE TABLE distributor_result (
    owner_id       TEXT   NOT NULL,
    namespace_name TEXT   NOT NULL,
    user_id        TEXT   NOT NULL,
    transaction_id TEXT   NOT NULL,
    -- 'transaction' or 'sheet'.
    kind           TEXT   NOT NULL,
    -- Sealed: requests and answers may tell what players wrote.
    result         TEXT   NOT NULL,
    has_error      BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    revision       BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    PRIMARY KEY (owner_id, namespace_name, user_id, transaction_id, kind)
) /*sqlite WITHOUT ROWID*/;
CREATE INDEX distributor_result_expiry ON distributor_result (expires_at);

-- Documents of master data that were in force, for a day: a call may ask to see them as they were.
CREATE TABLE former_master (
    owner_id       TEXT   NOT NULL,
    service        TEXT   NOT NULL,
    namespace_name TEXT   NOT NULL,
    -- First moment at which it was not in force any more.
    until          BIGINT NOT NULL,
    version        BIGINT NOT NULL,
    since          BIGINT NOT NULL,
    settings       TEXT   NOT NULL,
    PRIMARY KEY (owner_id, service, namespace_name, until, version)
);
CREATE INDEX former_master_age ON former_master (until);
