-- Dumps, cleans and imports of users' data: the last of each kind, and every import that was prepared.
CREATE TABLE user_data_task (
    owner_id     TEXT   NOT NULL,
    service      TEXT   NOT NULL,
    user_id      TEXT   NOT NULL,
    -- `dump`, `clean` or `import`.
    kind         TEXT   NOT NULL,
    -- SHA-256 of an import's token in hexadecimal digits; empty for the others.
    token_hash   TEXT   NOT NULL,
    -- `prepared`, `running`, `done`, `refused` or `failed`.
    state        TEXT   NOT NULL,
    -- Tells this start from every other; empty before the first.
    run          TEXT   NOT NULL,
    -- Node that runs it.
    node_id      TEXT   NOT NULL,
    done         BIGINT NOT NULL,
    total        BIGINT,
    -- Until when the file of an import can be uploaded.
    upload_until BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (owner_id, service, user_id, kind, token_hash)
) /*sqlite WITHOUT ROWID*/;
CREATE INDEX user_data_task_token ON user_data_task (token_hash);
CREATE INDEX user_data_task_expiry ON user_data_task (expires_at);

-- Results belong to a player: an imported job has the place of the one that it is a copy of, in another player's queue.
CREATE TABLE job_queue_attempt (
    sequence       BIGINT NOT NULL,
    try_number     BIGINT NOT NULL,
    owner_id       TEXT   NOT NULL,
    namespace_name TEXT   NOT NULL,
    user_id        TEXT   NOT NULL,
    name           TEXT   NOT NULL,
    script_id      TEXT   NOT NULL,
    args           TEXT   NOT NULL,
    status_code    BIGINT NOT NULL,
    result         TEXT   NOT NULL,
    tried_at       BIGINT NOT NULL,
    -- When the row came: at the attempt, or with an import. A namespace that was made later does not have it.
    added_at       BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    PRIMARY KEY (sequence, try_number, owner_id, namespace_name, user_id)
) /*sqlite WITHOUT ROWID*/;
INSERT INTO job_queue_attempt (sequence, try_number, owner_id, namespace_name, user_id, name, script_id, args, status_code,
        result, tried_at, added_at, expires_at)
    SELECT sequence, try_number, owner_id, namespace_name, user_id, name, script_id, args, status_code, result, tried_at,
        tried_at, expires_at
    FROM job_queue_result;
DROP TABLE job_queue_result;
ALTER TABLE job_queue_attempt RENAME TO job_queue_result;
