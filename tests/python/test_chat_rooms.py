"""Chat: the rooms, for players and for the server, over both transports. BEHAVIOUR CH-01 to CH-09."""

from harness import operations
from harness.chat import (
    NO_MESSAGE, NO_ROOM, NO_SUBSCRIPTION, NOT_ALLOWED, PASSWORD_REQUIRED, PASSWORD_WRONG, Member)
from harness.environment import unique
from harness.jobs import UUID_V4
from harness.sdk import BadRequest, Conflict, NotFound

MIXED = "あ𠮷"
CREATE = operations.operation("chat", "createRoomFromBackend")
UPDATE = operations.operation("chat", "updateRoomFromBackend")
DELETE = operations.operation("chat", "deleteRoomFromBackend")


class TestCreate:
    def test_item_ch03_n04(self, member, environment):
        """CH-03, N-04, N-11: a room is named by a UUID and belongs to its creator unless something else is said."""
        item = member.create_room()
        assert UUID_V4.fullmatch(item.name)
        assert item.room_id == environment.grn("chat", member.namespace, "room", item.name)
        assert (item.user_id, item.white_list_user_ids, item.metadata or None) == (member.user, [], None)
        assert item.created_at == item.updated_at > 0 and item.revision == 1
        assert member.get_room(item.name).to_dict() == item.to_dict()
        assert member.create_room().name != item.name

    def test_given_ch03_n02(self, member):
        """CH-03, N-02: the longest of everything."""
        name, users = "r" * 128, ["あ𠮷" * 64, *(f"user-{number}" for number in range(999))]
        item = member.create_room(name, metadata=MIXED * 512, password="𠮷" * 128, white_list_user_ids=users)
        assert (item.name, item.metadata, item.white_list_user_ids) == (name, MIXED * 512, users)
        assert member.get_room(name).to_dict() == item.to_dict()

    def test_names_n01(self, member):
        """N-01: letters, digits, `-`, `_` and `.`; also words that stand in paths."""
        for name in ("a", "A-b_c.9", "-", "null-1", "user", "room", "message"):
            assert member.create_room(name).name == name
            assert member.get_room(name).name == name
            member.post(name, "hello")
            assert member.texts(name) == ["hello"]
            assert member.delete_room(name).name == name

    def test_other_names_n01(self, member):
        for name in ("a b", "あ", "a:b", "a/b"):
            with member.sdk.refuses(BadRequest, "chat.room.name.error.invalid"):
                member.create_room(name)

    def test_refused_e09(self, member):
        for field, value, kind in (
            ("name", "r" * 129, "tooLong"), ("name", 5, "invalid"), ("metadata", "𠮷" * 1025, "tooLong"),
            ("metadata", 5, "invalid"), ("metadata", "a\0b", "invalid"), ("password", "𠮷" * 129, "tooLong"),
            ("password", ["p"], "invalid"),
        ):
            with member.sdk.refuses(BadRequest, f"chat.room.{field}.error.{kind}"):
                member.create_room(**{field: value})
        assert member.rooms() == []

    def test_white_list_e09_e10(self, member):
        """E-10: 1,000 users and no more; what is no user id is refused."""
        with member.sdk.refuses(BadRequest, "chat.room.whiteListUserIds.error.tooMany"):
            member.create_room(white_list_user_ids=["u"] * 1001)
        for wrong in ("u" * 129, "", 5):
            with member.sdk.refuses_with(BadRequest, "room"):
                member.create_room(white_list_user_ids=["user-1", wrong])
        assert member.rooms() == []

    def test_white_list_of_wrong_type_e04(self, rest, make_chat):
        where = {"namespaceName": make_chat()}
        for wrong in ("text", 5, {"a": "b"}, [["user-1"]], [5]):
            rest.call(CREATE, {**where, "whiteListUserIds": wrong}).refused(400)
        assert rest.call(operations.operation("chat", "describeRooms"), where).ok()["items"] == []

    def test_everything_wrong_e14(self, member):
        with member.sdk.refuses(
            BadRequest, "chat.room.name.error.tooLong", "chat.room.metadata.error.tooLong",
            "chat.room.password.error.tooLong", "chat.room.whiteListUserIds.error.tooMany",
        ):
            member.create_room("r" * 129, metadata="m" * 1025, password="p" * 129, white_list_user_ids=["u"] * 1001)

    def test_exists_ch05_e13(self, member):
        """CH-05, E-13: whoever made it; nothing of it changes."""
        old = member.create_room("lobby", metadata="first")
        for other in (member, member.other(), member.of(who="by_user_id")):
            with member.sdk.refuses(BadRequest, "chat.room.name.error.exists"):
                other.create_room("lobby", metadata="second")
        assert member.get_room("lobby").to_dict() == old.to_dict()

    def test_players_may_not_ch02_ch04(self, sdk, make_chat):
        """CH-02, CH-04: `allowCreateRoom` binds players, not the server, and can be switched at any time."""
        namespace = make_chat(allow_create_room=False)
        player, server = Member(sdk, namespace, "me"), Member(sdk, namespace)
        with sdk.refuses(BadRequest, NOT_ALLOWED):
            player.create_room("lobby")
        assert server.create_room("lobby").user_id == server.user
        assert player.post("lobby", "hello").user_id == player.user
        sdk.chat.update_namespace(namespace_name=namespace, allow_create_room=True)
        assert player.create_room("mine").user_id == player.user
        sdk.chat.update_namespace(namespace_name=namespace, allow_create_room=False)
        with sdk.refuses(BadRequest, NOT_ALLOWED):
            player.create_room("another")
        assert player.delete_room("mine").name == "mine"

    def test_of_nobody_ch04_ch06(self, sdk, make_chat):
        """CH-04, CH-06: a room may have no owner; then only the server changes it."""
        namespace = make_chat()
        player, server = Member(sdk, namespace, "me"), Member(sdk, namespace)
        item = sdk.chat.create_room_from_backend(name="hall", **server.where).item
        assert item.user_id is None and not sdk.answer["item"].get("userId")
        for call in (player.update_room, player.delete_room, server.update_room, server.delete_room):
            with sdk.refuses(BadRequest, NOT_ALLOWED):
                call("hall")
        changed = sdk.chat.update_room_from_backend(room_name="hall", metadata="m", **server.where).item
        assert (changed.metadata, changed.user_id) == ("m", None)
        assert sdk.chat.delete_room_from_backend(room_name="hall", **server.where).item.name == "hall"


class TestOwner:
    def test_only_the_creator_ch06(self, member):
        """CH-06: nobody else updates or deletes a room, neither as a player nor where the server names who does it."""
        old = member.create_room("lobby", metadata="first")
        for other in (member.other(), member.of(user=unique("other"), who="by_user_id"),
                      member.of(user=member.user.upper())):
            for call in (other.update_room, other.delete_room):
                with member.sdk.refuses(BadRequest, NOT_ALLOWED):
                    call("lobby")
        assert member.get_room("lobby").to_dict() == old.to_dict()
        assert member.update_room("lobby", metadata="second").metadata == "second"
        assert member.delete_room("lobby").metadata == "second"

    def test_the_white_list_gives_no_rights_ch06(self, member):
        other = member.other()
        member.create_room("lobby", white_list_user_ids=[other.user])
        for call in (other.update_room, other.delete_room):
            with member.sdk.refuses(BadRequest, NOT_ALLOWED):
                call("lobby")

    def test_the_server_without_a_user_ch06(self, member):
        """CH-06: without `userId` the server changes whose room it is."""
        sdk, room = member.sdk, {"room_name": "lobby", **member.where}
        member.create_room("lobby", password="p", white_list_user_ids=["somebody-else"])
        changed = sdk.chat.update_room_from_backend(metadata="m", **room).item
        assert (changed.metadata, changed.user_id) == ("m", member.user)
        assert sdk.chat.delete_room_from_backend(**room).item.user_id == member.user
        with sdk.refuses(NotFound, NO_ROOM):
            sdk.chat.get_room(**room)

    def test_missing_ch06(self, member):
        for call in (member.update_room, member.delete_room, member.get_room):
            with member.sdk.refuses(NotFound, NO_ROOM):
                call("absent")


class TestUpdate:
    def test_replaces_ch07_n13(self, member):
        """CH-07: metadata, password and white list are what the update says; name, owner and time of creation stay."""
        old = member.create_room("lobby", metadata="m", password="p", white_list_user_ids=["a", member.user])
        changed = member.update_room("lobby", metadata="n", password="q", white_list_user_ids=[member.user, "b"])
        assert (changed.room_id, changed.name, changed.user_id) == (old.room_id, "lobby", member.user)
        assert (changed.metadata, changed.white_list_user_ids) == ("n", [member.user, "b"])
        assert (changed.created_at, changed.revision) == (old.created_at, 2)
        assert changed.updated_at >= old.updated_at
        assert member.get_room("lobby").to_dict() == changed.to_dict()
        with member.sdk.refuses(BadRequest, PASSWORD_WRONG):
            member.post("lobby", password="p")
        member.post("lobby", "hello", password="q")
        bare = member.update_room("lobby")
        assert (bare.metadata or None, bare.white_list_user_ids, bare.revision) == (None, [], 3)
        assert member.texts("lobby") == member.other().texts("lobby") == ["hello"]

    def test_an_empty_password_is_none_ch03(self, member):
        member.create_room("lobby", password="")
        member.post("lobby", "hello")
        member.update_room("lobby", password="p")
        member.update_room("lobby", password="")
        assert member.texts("lobby") == ["hello"]

    def test_sets_a_password_ch07(self, member):
        member.create_room("lobby")
        member.post("lobby", "hello")
        member.update_room("lobby", password="p")
        for call in (member.post, member.messages, member.latest):
            with member.sdk.refuses(BadRequest, PASSWORD_REQUIRED):
                call("lobby")
        assert member.texts("lobby", password="p") == ["hello"]

    def test_refused_e09(self, member):
        old = member.create_room("lobby", metadata="m")
        for wire, kind, fields in (
            ("metadata", "tooLong", {"metadata": "𠮷" * 1025}), ("password", "tooLong", {"password": "p" * 129}),
            ("whiteListUserIds", "tooMany", {"white_list_user_ids": ["u"] * 1001}),
        ):
            with member.sdk.refuses(BadRequest, f"chat.room.{wire}.error.{kind}"):
                member.update_room("lobby", **fields)
        assert member.get_room("lobby").to_dict() == old.to_dict()


class TestRead:
    def test_the_password_is_never_told_ch08(self, member):
        """CH-08: no answer holds it, not even to the owner who has just set it."""
        for call in (lambda: member.create_room("lobby", password="secret-1"),
                     lambda: member.get_room("lobby"), lambda: member.update_room("lobby", password="secret-2"),
                     lambda: member.other().get_room("lobby"), lambda: member.delete_room("lobby")):
            call()
            assert "password" not in member.sdk.answer["item"] and "secret" not in str(member.sdk.answer)
        member.sdk.chat.create_room_from_backend(name="hall", password="secret-3", **member.where)
        assert "password" not in member.sdk.answer["item"]
        member.rooms()
        assert len(member.sdk.answer["items"]) == 1 and "secret" not in str(member.sdk.answer)
        assert "password" not in member.sdk.answer["items"][0]

    def test_needs_neither_password_nor_white_list_ch08(self, member):
        room = member.create_room(password="p", white_list_user_ids=["somebody-else"])
        other = member.other()
        assert other.get_room(room.name).to_dict() == room.to_dict()
        assert other.rooms() == [room.name]

    def test_list_ch08_n07_n08_n09(self, backend):
        """CH-08, N-07 to N-09: ascending by name, by prefix, by page."""
        for name in ("b", "B", "a1", "a-2", "a_3", "a", "10", "c"):
            backend.room(name=name)
        names = ["10", "B", "a", "a-2", "a1", "a_3", "b", "c"]
        describe = backend.sdk.chat.describe_rooms
        assert backend.rooms() == names
        assert backend.rooms(name_prefix="a") == names[2:6]
        assert backend.rooms(name_prefix="a-") == ["a-2"] and backend.rooms(name_prefix="x") == []
        first = describe(name_prefix="a", limit=3, **backend.where)
        assert [item.name for item in first.items] == names[2:5]
        rest = describe(name_prefix="a", limit=3, page_token=first.next_page_token, **backend.where)
        assert [item.name for item in rest.items] == names[5:6] and rest.next_page_token is None

    def test_thirty_by_default_n07(self, backend, rest):
        for number in range(31):
            rest.call(CREATE, {"namespaceName": backend.namespace, "name": f"r-{number:02}"}).ok()
        page = backend.sdk.chat.describe_rooms(**backend.where)
        assert len(page.items) == 30
        assert backend.rooms(page_token=page.next_page_token) == ["r-30"]


class TestDelete:
    def test_takes_what_is_in_it_ch09(self, member):
        """CH-09: messages and subscriptions go with the room; a later room of its name has none of them."""
        other = member.other()
        item = member.create_room("lobby")
        member.create_room("hall")
        names = [member.post("lobby").name, other.post("lobby").name]
        for room in ("lobby", "hall"):
            member.subscribe(room)
            other.subscribe(room)
        assert member.delete_room("lobby").to_dict() == item.to_dict()
        for call in (member.get_room, member.messages, member.latest, member.post, member.subscribe,
                     lambda room: member.message(room, names[0]), lambda room: member.delete_message(room, names[0])):
            with member.sdk.refuses(NotFound, NO_ROOM):
                call("lobby")
        assert member.subscribed() == other.subscribed() == ["hall"]
        again = other.create_room("lobby")
        assert (again.user_id, again.revision) == (other.user, 1)
        assert member.messages("lobby") == [] and member.latest("lobby").items == []
        assert member.subscribers("lobby").items == []
        for one, name in zip((member, other), names):
            with member.sdk.refuses(NotFound, NO_MESSAGE):
                one.message("lobby", name)
            with member.sdk.refuses(NotFound, NO_SUBSCRIPTION):
                one.subscription("lobby")

    def test_of_many_messages_ch09(self, backend, socket):
        """CH-09: however many there are."""
        room = backend.create_room("lobby").name
        fields = {"namespaceName": backend.namespace, "roomName": room, "userId": "u", "metadata": "m"}
        post = operations.operation("chat", "postByUserId")
        for number in range(1200):
            socket.send({**post.frame(str(number), fields), "xGs2ProjectToken": socket.token})
        assert {socket.receive()["status"] for _number in range(1200)} == {200}
        backend.delete_room(room)
        backend.create_room(room)
        assert backend.messages(room, limit=1000) == []
        backend.post(room, "first")
        assert backend.texts(room) == ["first"]


class TestOnce:
    """X-02, X-03: a repeated call with the same avoider gets the first answer and does nothing."""

    def test_create_x02(self, member):
        first = member.create_room(duplication_avoider="x")
        assert member.create_room(duplication_avoider="x").to_dict() == first.to_dict()
        assert member.rooms() == [first.name]
        with member.sdk.refuses_with(Conflict):
            member.create_room("another", duplication_avoider="x")
        assert member.create_room(duplication_avoider="y").name != first.name

    def test_create_without_a_user_x02_x03(self, backend):
        """X-03: nobody's avoiders are shared by all rooms of nobody, so this one must be new."""
        avoider = unique("avoider")
        first, again = (backend.sdk.chat.create_room_from_backend(duplication_avoider=avoider, **backend.where).item.name
                        for _time in range(2))
        assert first == again and backend.rooms() == [first]

    def test_update_x02(self, member):
        member.create_room("lobby")
        first = member.update_room("lobby", metadata="a", duplication_avoider="x")
        member.update_room("lobby", metadata="b")
        assert member.update_room("lobby", metadata="a", duplication_avoider="x").to_dict() == first.to_dict()
        assert member.get_room("lobby").metadata == "b"

    def test_delete_x02(self, member):
        member.create_room("lobby")
        gone = member.delete_room("lobby", duplication_avoider="x")
        member.create_room("lobby", metadata="again")
        assert member.delete_room("lobby", duplication_avoider="x").to_dict() == gone.to_dict()
        assert member.get_room("lobby").metadata == "again"


class TestDryRun:
    def test_t14(self, dry, admin, make_chat):
        """T-14: the answer is the one that would be, and nothing is kept."""
        backend = Member(admin, make_chat())
        where = {"namespaceName": backend.namespace}
        item = dry(CREATE, {**where, "userId": "user-1", "password": "p"}).ok()["item"]
        assert UUID_V4.fullmatch(item["name"]) and item["userId"] == "user-1"
        assert backend.rooms() == []
        kept = backend.create_room("lobby", metadata="kept")
        dry(CREATE, {**where, "name": "lobby"}).refused(400, "chat.room.name.error.exists")
        room = {**where, "roomName": "lobby"}
        assert dry(UPDATE, {**room, "metadata": "dry"}).ok()["item"]["metadata"] == "dry"
        dry(UPDATE, {**room, "userId": "somebody-else"}).refused(400, NOT_ALLOWED)
        assert dry(DELETE, room).ok()["item"]["name"] == "lobby"
        assert backend.get_room("lobby").to_dict() == kept.to_dict()
