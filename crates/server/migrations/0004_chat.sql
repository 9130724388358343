CREATE TABLE chat_room (
    owner_id       TEXT   NOT NULL,
    namespace_name TEXT   NOT NULL,
    name           TEXT   NOT NULL,
    -- A number of the whole store, under which what belongs to the room is kept: another one when a room of this name is
    -- made again.
    room_id        BIGINT NOT NULL,
    user_id        TEXT,
    metadata       TEXT,
    password_hash  TEXT,
    -- Ids of players, a JSON list.
    white_list     TEXT   NOT NULL,
    -- The key of the messages, under the master key.
    room_key       BYTEA  NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    revision       BIGINT NOT NULL,
    PRIMARY KEY (owner_id, namespace_name, name)
) /*sqlite WITHOUT ROWID*/;

-- What changes with each post. There is a row as long as the room exists.
CREATE TABLE chat_room_state (
    room_id         BIGINT NOT NULL PRIMARY KEY,
    -- The room's revision: what is remembered of the room counts while it is this one.
    room_revision   BIGINT NOT NULL,
    last_message_at BIGINT NOT NULL,
    -- Grows with each change of the subscriptions.
    subscriptions   BIGINT NOT NULL,
    -- No message expires before.
    sweep_at        BIGINT NOT NULL
) /*sqlite WITHOUT ROWID*/;

-- A message's name holds its time of creation, which is unique in its room, so that the name needs no index.
CREATE TABLE chat_message (
    room_id    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    -- The other bits of the name.
    tag        BYTEA  NOT NULL,
    user_id    TEXT   NOT NULL,
    category   BIGINT NOT NULL,
    -- The text, under the room's key.
    metadata   BYTEA  NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (room_id, created_at)
) /*sqlite WITHOUT ROWID*/;

CREATE TABLE chat_subscribe (
    room_id            BIGINT NOT NULL,
    user_id            TEXT   NOT NULL,
    owner_id           TEXT   NOT NULL,
    namespace_name     TEXT   NOT NULL,
    room_name          TEXT   NOT NULL,
    -- The JSON list of the protocol.
    notification_types TEXT   NOT NULL,
    created_at         BIGINT NOT NULL,
    revision           BIGINT NOT NULL,
    PRIMARY KEY (room_id, user_id)
) /*sqlite WITHOUT ROWID*/;
CREATE INDEX chat_subscribe_user ON chat_subscribe (owner_id, namespace_name, user_id, room_name, room_id);

-- Rooms that were deleted and whose messages and subscriptions, which nobody sees any more, are still to be removed.
CREATE TABLE chat_ended_room (
    room_id BIGINT NOT NULL PRIMARY KEY
) /*sqlite WITHOUT ROWID*/;
