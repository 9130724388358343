-- What somebody may upload, or has: large texts that a later call names by their token. Not clustered by the key, since the
-- content is large.
CREATE TABLE upload (
    -- SHA-256 of the token.
    token_hash BYTEA  NOT NULL PRIMARY KEY,
    owner_id   TEXT   NOT NULL,
    -- What it is for; the call that takes it has the same.
    purpose    TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    -- NULL until it is uploaded.
    content    BYTEA
);
CREATE INDEX upload_purpose ON upload (owner_id, purpose);
CREATE INDEX upload_expiry ON upload (expires_at);

-- The document of master data that is in force in a namespace, as it was given.
CREATE TABLE current_master (
    owner_id       TEXT   NOT NULL,
    service        TEXT   NOT NULL,
    namespace_name TEXT   NOT NULL,
    settings       TEXT   NOT NULL,
    updated_at     BIGINT NOT NULL,
    -- A number of the whole store: it tells this document from every other that the namespace ever had.
    version        BIGINT NOT NULL,
    PRIMARY KEY (owner_id, service, namespace_name)
);

CREATE TABLE chat_category_model_master (
    owner_id                 TEXT   NOT NULL,
    namespace_name           TEXT   NOT NULL,
    category                 BIGINT NOT NULL,
    description              TEXT,
    reject_access_token_post TEXT   NOT NULL,
    created_at               BIGINT NOT NULL,
    updated_at               BIGINT NOT NULL,
    revision                 BIGINT NOT NULL,
    PRIMARY KEY (owner_id, namespace_name, category)
) /*sqlite WITHOUT ROWID*/;
