CREATE TABLE key_key (
    owner_id       TEXT   NOT NULL,
    namespace_name TEXT   NOT NULL,
    name           TEXT   NOT NULL,
    description    TEXT,
    -- With what the key signs, then with what it encrypts: 32 bytes each, under the master key.
    secret         BYTEA  NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    revision       BIGINT NOT NULL,
    PRIMARY KEY (owner_id, namespace_name, name)
) /*sqlite WITHOUT ROWID*/;

CREATE TABLE key_git_hub_api_key (
    owner_id            TEXT   NOT NULL,
    namespace_name      TEXT   NOT NULL,
    name                TEXT   NOT NULL,
    description         TEXT,
    -- Encrypted with the key of the namespace that is named beside it.
    api_key             BYTEA  NOT NULL,
    encryption_key_name TEXT   NOT NULL,
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL,
    revision            BIGINT NOT NULL,
    PRIMARY KEY (owner_id, namespace_name, name)
) /*sqlite WITHOUT ROWID*/;
