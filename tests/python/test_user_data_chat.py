"""Chat: dump, clean and import of a player's rooms, subscriptions and messages. BEHAVIOUR U-01 to U-08."""

import pytest

from harness.environment import unique
from harness.sdk import BadRequest, NotFound
from harness.user_data import UserData, check_life_cycle


@pytest.fixture
def data(sdk):
    return UserData(sdk, "chat", sdk.chat)


@pytest.fixture
def player(sdk, make_chat):
    """A namespace and a player with a room, a subscription, and messages there and in a room of the game."""
    chat, user = make_chat(), unique("user")
    sdk.chat.create_room_from_backend(namespace_name=chat, name="own", user_id=user, password="p")
    sdk.chat.create_room_from_backend(namespace_name=chat, name="common")
    for room in ("own", "common"):
        for number in range(2):
            sdk.chat.post_by_user_id(namespace_name=chat, room_name=room, user_id=user, category=number,
                                     metadata=f"täxt {number}", password="p")
    sdk.chat.subscribe_by_user_id(namespace_name=chat, room_name="common", user_id=user)
    return chat, user


def messages(sdk, chat, room, user, **fields):
    page = sdk.chat.describe_messages_by_user_id(namespace_name=chat, room_name=room, user_id=user, **fields)
    return [message.to_dict() for message in page.items]


def test_life_cycle(sdk, data, player):
    """U-01 to U-08: a room, a subscription, four messages."""
    _chat, user = player
    check_life_cycle(sdk, data, (BadRequest, NotFound), user, 6)


def test_messages_and_rooms_u07(sdk, data, player):
    """U-07: messages come back as they were; a room is opened by its password, which the dump does not hold."""
    chat, user = player
    other = unique("user")
    sdk.chat.post_by_user_id(namespace_name=chat, room_name="common", user_id=other, metadata="of another")
    before = messages(sdk, chat, "own", user, password="p")
    archive = data.dump(user)
    (room,) = data.entries(user)[f"chat/{chat}/room.jsonl"]
    assert "password" not in room and room["passwordHash"].startswith("$argon2id$")
    data.clean(user)
    with sdk.refuses(NotFound, "chat.room.room.error.notFound"):
        sdk.chat.get_room(namespace_name=chat, room_name="own")
    assert [message["userId"] for message in messages(sdk, chat, "common", other)] == [other]
    data.bring(user, archive)
    assert messages(sdk, chat, "own", user, password="p") == before
    with sdk.refuses(BadRequest, "chat.room.password.error.invalid"):
        messages(sdk, chat, "own", user, password="q")
    assert len(messages(sdk, chat, "common", user)) == 3
    subscribe = sdk.chat.get_subscribe_by_user_id(namespace_name=chat, room_name="common", user_id=user).item
    assert subscribe.room_name == "common"


def test_a_room_of_another_stays_u05(sdk, data, player):
    chat, user = player
    archive = data.dump(user)
    data.clean(user)
    sdk.chat.create_room_from_backend(namespace_name=chat, name="own", user_id=unique("user"), metadata="another")
    assert "left out: there is a room `own`" in data.bring(user, archive)
    assert sdk.chat.get_room(namespace_name=chat, room_name="own").item.metadata == "another"
