"""Chat: who wants to hear of what, over both transports. BEHAVIOUR CH-24, CH-50 to CH-53, CH-59."""

import pytest
from gs2.chat import NotificationType

from harness import operations
from harness.chat import NO_ROOM, NO_SUBSCRIPTION, Member, notification_type, types
from harness.environment import unique
from harness.sdk import BadRequest, Conflict, NotFound

SUBSCRIBE = operations.operation("chat", "subscribeByUserId")
UPDATE = operations.operation("chat", "updateNotificationTypeByUserId")
UNSUBSCRIBE = operations.operation("chat", "unsubscribeByUserId")
CATEGORY_MAX = 2_147_483_646


def wire(category=0, push=False):
    return {"category": category, "enableTransferMobilePushNotification": push}


@pytest.fixture
def room(member):
    return member.room(name="lobby")


class TestSubscribe:
    def test_item_ch50_ch51_n04(self, member, room, environment):
        """CH-50, CH-51, N-04: without types the list is empty, which stands for every category."""
        item = member.subscribe(room)
        assert item.subscribe_id == environment.grn("chat", member.namespace, "user", member.user, "subscribe", room)
        assert (item.user_id, item.room_name, item.notification_types) == (member.user, room, [])
        assert item.created_at > 0 and isinstance(item.revision, int)
        assert member.subscription(room).to_dict() == item.to_dict()
        listed, = member.subscriptions().items
        of_room, = member.subscribers(room).items
        assert listed.to_dict() == of_room.to_dict() == item.to_dict()

    def test_types_ch50(self, member, room):
        """CH-50: the types as they were given, in their order, with their defaults."""
        member.subscribe(room, [notification_type(5, True), notification_type(0), notification_type(CATEGORY_MAX, False),
                                notification_type()])
        kept = [wire(5, True), wire(0), wire(CATEGORY_MAX), wire()]
        assert member.sdk.answer["item"]["notificationTypes"] == kept
        member.subscription(room)
        assert member.sdk.answer["item"]["notificationTypes"] == kept

    def test_at_most_a_hundred_ch50_e10(self, member, room):
        item = member.subscribe(room, types(*range(100)))
        assert [one.category for one in item.notification_types] == list(range(100))
        with member.sdk.refuses(BadRequest, "chat.subscribe.notificationTypes.error.tooMany"):
            member.subscribe(room, types(*range(101)))
        with member.sdk.refuses(BadRequest, "chat.subscribe.notificationTypes.error.tooMany"):
            member.update_types(room, types(*range(101)))
        assert member.subscription(room).to_dict() == item.to_dict()

    def test_types_refused_ch50_e09(self, member, room):
        for name, value in (
            ("category", -1), ("category", CATEGORY_MAX + 1), ("category", "many"), ("category", 1.5),
            ("category", True), ("enableTransferMobilePushNotification", "yes"),
            ("enableTransferMobilePushNotification", 1),
        ):
            wrong = NotificationType.from_dict({"category": 1, name: value})
            for call in (member.subscribe, member.update_types):
                with member.sdk.refuses(BadRequest, f"chat.notificationType.{name}.error.invalid"):
                    call(room, [notification_type(1), wrong])
        assert member.subscribed() == []

    @pytest.mark.parametrize("operation", [SUBSCRIBE, UPDATE], ids=str)
    def test_wrong_type_e04(self, rest, make_chat, operation):
        fields = operation.sample(namespaceName=make_chat())
        for wrong in ("text", 5, {"category": 1}, [5], ["a"], [[{"category": 1}]]):
            rest.call(operation, {**fields, "notificationTypes": wrong}).refused(
                400, "chat.subscribe.notificationTypes.error.invalid")

    def test_again_replaces_ch52(self, member, room):
        """CH-52: one subscription for each user and room; a second one changes its types."""
        first = member.subscribe(room, types(1, 2))
        again = member.subscribe(room, types(3))
        assert again.subscribe_id == first.subscribe_id
        assert [one.category for one in again.notification_types] == [3]
        assert member.subscribe(room).notification_types == []
        assert member.subscribed() == [room] and len(member.subscribers(room).items) == 1

    def test_missing_room_ch52(self, member):
        for call in (member.subscribe, lambda room: member.subscribe(room, types(1))):
            with member.sdk.refuses(NotFound, NO_ROOM):
                call("absent")
        assert member.subscribed() == []

    def test_needs_no_access_ch24_ch52(self, member):
        """CH-24, CH-52: neither password nor white list stand in the way."""
        room = member.room(password="p", white_list_user_ids=["somebody-else"])
        assert member.subscribe(room).room_name == room
        assert member.update_types(room, types(1)).room_name == room
        assert member.unsubscribe(room).room_name == room

    def test_me_and_by_user_id_are_one_n17(self, sdk, make_chat):
        """N-17: the player and the server mean the same subscription."""
        player = Member(sdk, make_chat(), "me")
        server, room = player.of(who="by_user_id"), player.room()
        assert player.subscribe(room, types(1)).user_id == player.user
        assert [one.category for one in server.subscription(room).notification_types] == [1]
        assert [one.category for one in server.update_types(room, types(2)).notification_types] == [2]
        assert [one.category for one in player.unsubscribe(room).notification_types] == [2]
        with sdk.refuses(NotFound, NO_SUBSCRIPTION):
            server.subscription(room)


class TestChange:
    def test_update_ch53(self, member, room):
        """CH-53: the list is what the update says."""
        old = member.subscribe(room, types(1, 2))
        new = member.update_types(room, [notification_type(3, True)])
        assert member.sdk.answer["item"]["notificationTypes"] == [wire(3, True)]
        assert (new.subscribe_id, new.created_at) == (old.subscribe_id, old.created_at)
        assert member.subscription(room).to_dict() == new.to_dict()
        assert member.update_types(room).notification_types == []
        assert member.subscription(room).notification_types == []

    def test_unsubscribe_ch53(self, member, room):
        """CH-53: the answer is what there was."""
        item = member.subscribe(room, types(1))
        assert member.unsubscribe(room).to_dict() == item.to_dict()
        assert member.subscribed() == [] and member.subscribers(room).items == []
        again = member.subscribe(room)
        assert again.notification_types == []

    def test_missing_ch53(self, member, room):
        """CH-53, E-07: who has not subscribed, or no more."""
        calls = (member.subscription, member.update_types, member.unsubscribe)
        for _time in range(2):
            for call in calls:
                with member.sdk.refuses(NotFound, NO_SUBSCRIPTION):
                    call(room)
            member.subscribe(room)
            member.unsubscribe(room)

    def test_of_others_ch53(self, member, room):
        other = member.other()
        member.subscribe(room, types(1))
        for call in (other.subscription, other.update_types, other.unsubscribe):
            with member.sdk.refuses(NotFound, NO_SUBSCRIPTION):
                call(room)
        other.subscribe(room, types(2))
        other.unsubscribe(room)
        assert [one.category for one in member.subscription(room).notification_types] == [1]


class TestList:
    def test_of_a_user_ch59_n09(self, member):
        """CH-59, N-07 to N-09: ascending by room, by prefix, by page; nobody else's."""
        names = ["10", "B", "a", "a-2", "a1", "a_3", "b", "c"]
        other = member.other()
        for name in ("b", "B", "a1", "a-2", "a_3", "a", "10", "c"):
            member.subscribe(member.room(name=name))
        other.subscribe("a")
        assert member.subscribed() == names and other.subscribed() == ["a"]
        assert member.subscribed(room_name_prefix="a") == names[2:6]
        assert member.subscribed(room_name_prefix="a-") == ["a-2"]
        assert member.subscribed(room_name_prefix="x") == []
        first = member.subscriptions(room_name_prefix="a", limit=3)
        assert [item.room_name for item in first.items] == names[2:5]
        rest = member.subscriptions(room_name_prefix="a", limit=3, page_token=first.next_page_token)
        assert [item.room_name for item in rest.items] == names[5:6] and rest.next_page_token is None

    def test_of_a_room_ch59_n09(self, backend):
        """CH-59, N-09: ascending by user."""
        room, elsewhere = backend.room(), backend.room()
        users = sorted(["u-1", "U", "あ", "u", "10", "𠮷"])
        for user in reversed(users):
            backend.of(user=user).subscribe(room)
        backend.subscribe(elsewhere)
        assert [item.user_id for item in backend.subscribers(room).items] == users
        seen, token = [], None
        while True:
            page = backend.subscribers(room, limit=4, page_token=token)
            seen += [item.user_id for item in page.items]
            token = page.next_page_token
            if token is None:
                break
        assert seen == users

    def test_of_a_room_that_is_not_there_ch59(self, backend):
        with backend.sdk.refuses(NotFound, NO_ROOM):
            backend.subscribers("absent")

    def test_thirty_by_default_n07(self, backend, rest):
        room = backend.room()
        for number in range(31):
            rest.call(SUBSCRIBE, {
                "namespaceName": backend.namespace, "roomName": room, "userId": f"u-{number:02}"}).ok()
        page = backend.subscribers(room)
        assert len(page.items) == 30
        rest_of_it = backend.subscribers(room, page_token=page.next_page_token)
        assert [item.user_id for item in rest_of_it.items] == ["u-30"] and rest_of_it.next_page_token is None

    def test_nothing_ch59(self, member, room):
        for page in (member.subscriptions(), member.subscribers(room)):
            assert page.items == [] and page.next_page_token is None


class TestOnce:
    """X-02, X-03: a repeated call with the same avoider gets the first answer and does nothing."""

    def test_subscribe_x02(self, member, room):
        first = member.subscribe(room, types(1), duplication_avoider="x")
        member.unsubscribe(room)
        assert member.subscribe(room, types(1), duplication_avoider="x").to_dict() == first.to_dict()
        assert member.subscribed() == []
        with member.sdk.refuses_with(Conflict):
            member.subscribe(room, types(2), duplication_avoider="x")

    def test_update_and_unsubscribe_x02(self, member, room):
        member.subscribe(room)
        first = member.update_types(room, types(1), duplication_avoider="x")
        member.update_types(room, types(2))
        assert member.update_types(room, types(1), duplication_avoider="x").to_dict() == first.to_dict()
        assert [one.category for one in member.subscription(room).notification_types] == [2]
        gone = member.unsubscribe(room, duplication_avoider="y")
        member.subscribe(room, types(3))
        assert member.unsubscribe(room, duplication_avoider="y").to_dict() == gone.to_dict()
        assert [one.category for one in member.subscription(room).notification_types] == [3]


class TestDryRun:
    def test_t14(self, dry, admin, make_chat):
        """T-14: the answer is the one that would be, and nothing is kept."""
        member = Member(admin, make_chat(), user=unique("user"))
        room = member.room()
        fields = {"namespaceName": member.namespace, "roomName": room, "userId": member.user}
        asked = {**fields, "notificationTypes": [{"category": 1}]}
        assert dry(SUBSCRIBE, asked).ok()["item"]["notificationTypes"] == [wire(1)]
        assert member.subscribed() == []
        kept = member.subscribe(room, types(2))
        assert dry(UPDATE, asked).ok()["item"]["notificationTypes"] == [wire(1)]
        assert dry(UNSUBSCRIBE, fields).ok()["item"]["userId"] == member.user
        assert member.subscription(room).to_dict() == kept.to_dict()
        dry(SUBSCRIBE, {**fields, "roomName": "absent"}).refused(404, NO_ROOM)
