CREATE TABLE script_script (
    owner_id         TEXT   NOT NULL,
    namespace_name   TEXT   NOT NULL,
    name             TEXT   NOT NULL,
    description      TEXT,
    script           TEXT   NOT NULL,
    -- Whether texts of digits in the arguments stay texts.
    keep_digit_texts BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    revision         BIGINT NOT NULL,
    -- A number of the whole store: it tells this content from every other that a script of this name ever had.
    version          BIGINT NOT NULL,
    PRIMARY KEY (owner_id, namespace_name, name)
) /*sqlite WITHOUT ROWID*/;

-- Waiting jobs only, so that the table stays as small as the queues are long. The sequence is the place in the queue; the
-- job's name holds it too, which saves an index.
CREATE TABLE job_queue_job (
    owner_id       TEXT   NOT NULL,
    namespace_name TEXT   NOT NULL,
    user_id        TEXT   NOT NULL,
    sequence       BIGINT NOT NULL,
    name           TEXT   NOT NULL,
    script_id      TEXT   NOT NULL,
    args           TEXT   NOT NULL,
    retry_count    BIGINT NOT NULL,
    max_try_count  BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    PRIMARY KEY (owner_id, namespace_name, user_id, sequence)
) /*sqlite WITHOUT ROWID*/;

-- Attempts. The key grows with time, so that rows are added at one end and swept away at the other however many there are.
CREATE TABLE job_queue_result (
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
    expires_at     BIGINT NOT NULL,
    PRIMARY KEY (sequence, try_number)
) /*sqlite WITHOUT ROWID*/;

CREATE TABLE job_queue_dead_letter (
    owner_id       TEXT   NOT NULL,
    namespace_name TEXT   NOT NULL,
    user_id        TEXT   NOT NULL,
    sequence       BIGINT NOT NULL,
    name           TEXT   NOT NULL,
    script_id      TEXT   NOT NULL,
    args           TEXT   NOT NULL,
    -- All attempts, as the JSON list of the protocol.
    results        TEXT   NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    PRIMARY KEY (owner_id, namespace_name, user_id, sequence)
) /*sqlite WITHOUT ROWID*/;

-- Queues that a node is running, where there may be several nodes; the claim lasts as long as the node's lease.
CREATE TABLE job_queue_lane (
    owner_id       TEXT   NOT NULL,
    namespace_name TEXT   NOT NULL,
    user_id        TEXT   NOT NULL,
    node_id        TEXT   NOT NULL,
    PRIMARY KEY (owner_id, namespace_name, user_id)
) /*sqlite WITHOUT ROWID*/;
CREATE INDEX job_queue_lane_node ON job_queue_lane (node_id);
