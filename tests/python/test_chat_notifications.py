"""Chat: what subscribers are told, through Gateway, on the sockets of the SDK. BEHAVIOUR CH-24, CH-51, CH-54 to CH-57."""

import json

import pytest

from harness import operations
from harness.chat import (
    POST, Member, notification_type, payloads, post_at_once, tells, types)
from harness.environment import unique
from harness.gateway import recorded_pushes, wait_until
from harness.sdk import BadRequest

SUBJECT = "Gs2Chat:Post"
POSTERS, POSTS = 4, 50


class Chatter(Member):
    """A user whose sockets are told by the Gateway namespace of the Chat namespace."""

    def __init__(self, *args, listen, gateway, **named):
        super().__init__(*args, **named)
        self._listen, self.gateway = listen, gateway

    def of(self, user=None, namespace=None, who=None):
        return Chatter(self.sdk, namespace or self.namespace, who or self.who, user or self.user, maker=self.maker,
                       listen=self._listen, gateway=self.gateway)

    def open(self):
        """A new socket of this user."""
        socket = self._listen()
        socket.gateway.set_user_id_by_user_id(namespace_name=self.gateway, user_id=self.user)
        return socket

    def told(self, socket, count, room, **fields):
        """What the socket is told up to a last message, which the user posts into a room; nothing came in between."""
        mark = self.post(room, "mark", **fields)
        *rest, last = payloads(socket, count + 1)
        assert last["createdAt"] == mark.created_at
        return rest

    def witness(self, room, bound):
        """Waits for what has been posted: subscribers are told after the answer to a post, all at the same time."""
        other = self.other()
        socket, _item = bound(other.user)
        other.subscribe(room)

        def posted(*categories):
            for category in categories:
                self.post(room, category=category)
            for category in categories:
                assert json.loads(socket.notification()["payload"])["category"] == category

        return posted


@pytest.fixture
def notify(environment, gateway):
    """Settings of a namespace that tells its subscribers."""
    return lambda **members: {"post_notification": tells(environment, gateway, **members)}


@pytest.fixture(params=["me", "by_user_id"])
def player(request, sdk, admin, make_chat, notify, gateway, listen):
    return Chatter(sdk, make_chat(**notify()), request.param, maker=admin, listen=listen, gateway=gateway)


@pytest.fixture
def chatter(admin, make_chat, notify, gateway, listen):
    """As `player`, where it does not matter who posts and how."""
    return Chatter(admin, make_chat(**notify()), listen=listen, gateway=gateway)


@pytest.fixture
def listener(chatter):
    """Another user, who listens."""
    return chatter.other()


class TestPost:
    def test_payload_ch54_ch55_g33(self, player, environment):
        """CH-54, CH-55, G-32, G-33: subject, issuer, and exactly the five members that SDKs read; no text."""
        listener = player.other()
        room, socket = player.room(), listener.open()
        listener.subscribe(room)
        item = player.post(room, "a secret text", category=7)
        body, = socket.notifications(1)
        assert (body["subject"], body["issuer"]) == (SUBJECT, environment.grn("chat", player.namespace))
        assert json.loads(body["payload"]) == {
            "namespaceName": player.namespace, "roomName": room, "userId": player.user, "category": 7,
            "createdAt": item.created_at}
        assert "secret" not in str(body)

    def test_the_poster_too_ch56(self, player):
        room, socket = player.room(), player.open()
        player.subscribe(room)
        item = player.post(room)
        told, = payloads(socket, 1)
        assert (told["userId"], told["createdAt"]) == (player.user, item.created_at)

    def test_the_message_is_there_when_it_is_told_ch55(self, player):
        """CH-55: whoever is told fetches from that time on."""
        listener = player.other()
        room, socket = player.room(), listener.open()
        listener.subscribe(room)
        item = player.post(room, "hello")
        told, = payloads(socket, 1)
        assert [found.name for found in listener.messages(room, start_at=told["createdAt"])] == [item.name]

    def test_only_of_subscribed_rooms_ch54(self, chatter, listener, bound):
        """CH-54: and only who has subscribed, as long as the subscription lasts."""
        room, other = chatter.room(), chatter.room()
        socket, silent = listener.open(), chatter.other().open()
        posted = chatter.witness(room, bound)
        posted(0)
        listener.subscribe(room)
        chatter.post(other)
        posted(1)
        assert [told["category"] for told in payloads(socket, 1)] == [1]
        listener.unsubscribe(room)
        posted(2)
        listener.subscribe(room)
        assert listener.told(socket, 0, room) == []
        assert payloads(silent, 0) == []

    def test_all_sockets_and_subscribers_g36_ch58(self, chatter):
        """G-36, CH-58: every socket of every subscriber."""
        room = chatter.room()
        listeners = [chatter.other() for _number in range(3)]
        sockets = [one.open() for one in listeners for _number in range(2)]
        for one in listeners:
            one.subscribe(room)
        item = chatter.post(room)
        assert [payloads(socket, 1)[0]["createdAt"] for socket in sockets] == [item.created_at] * 6

    def test_a_room_of_many_ch58(self, chatter, rest):
        """CH-58: also the last of many subscribers is told."""
        room = chatter.room()
        subscribe = operations.operation("chat", "subscribeByUserId")
        for number in range(150):
            rest.call(subscribe, {
                "namespaceName": chatter.namespace, "roomName": room, "userId": f"user-{number:03}"}).ok()
        sockets = [chatter.of(user=f"user-{number:03}").open() for number in (0, 75, 149)]
        item = chatter.post(room)
        assert [payloads(socket, 1)[0]["createdAt"] for socket in sockets] == [item.created_at] * 3

    def test_who_may_not_read_is_told_ch24(self, chatter, listener):
        """CH-24: what is told says nothing of the text, so that white list and password do not matter."""
        room = chatter.room(password="p", white_list_user_ids=[chatter.user])
        socket = listener.open()
        listener.subscribe(room)
        item = chatter.post(room, password="p")
        assert [told["createdAt"] for told in payloads(socket, 1)] == [item.created_at]

    def test_what_was_refused_is_not_told_ch20(self, chatter, listener):
        room, socket = chatter.room(password="p"), listener.open()
        listener.subscribe(room)
        with chatter.sdk.refuses_with(BadRequest, "room"):
            chatter.post(room)
        item = chatter.post(room, password="p")
        assert [told["createdAt"] for told in payloads(socket, 1)] == [item.created_at]

    def test_a_room_of_the_same_name_ch09(self, chatter, listener):
        """CH-09: subscriptions end with their room."""
        room, socket = chatter.create_room("lobby").name, listener.open()
        listener.subscribe(room)
        chatter.delete_room(room)
        chatter.create_room(room)
        chatter.post(room)
        listener.subscribe(room)
        assert listener.told(socket, 0, room) == []


class TestCategories:
    def test_filtered_ch51_ch54(self, chatter, bound):
        """CH-51, CH-54: none is every category; each message is told once."""
        room, sockets = chatter.room(), []
        cases = (([], [0, 1, 2, 0, 9]), ([0], [0, 0]), ([1], [1]), ([2, 9, 1], [1, 2, 9]), ([3, 9], [9]), ([1, 1], [1]))
        for wanted, _heard in cases:
            listener = chatter.other()
            sockets.append(listener.open())
            listener.subscribe(room, types(*wanted))
        posted = chatter.witness(room, bound)
        posted(0, 1, 2, 0, 9)
        for (_wanted, heard), socket in zip(cases, sockets):
            assert [told["category"] for told in payloads(socket, len(heard))] == heard

    def test_changed_ch52_ch53(self, chatter, listener, bound):
        """CH-52, CH-53: what was changed counts from the next message on."""
        room, socket = chatter.room(), listener.open()
        posted = chatter.witness(room, bound)
        for change, wanted in ((listener.subscribe, types(1)), (listener.update_types, types(2)),
                               (listener.subscribe, types(3)), (listener.update_types, [])):
            change(room, wanted)
            posted(1, 2, 3)
        assert [told["category"] for told in payloads(socket, 6)] == [1, 2, 3, 1, 2, 3]


class TestOrder:
    def test_of_posts_at_once_ch36_g38(self, chatter, listener, open_socket, threads):
        """CH-36, G-38: every socket is told in the order of the messages, however many post at once."""
        room, sockets = chatter.room(), [listener.open(), listener.open(), chatter.open()]
        listener.subscribe(room)
        chatter.subscribe(room)
        where = {"namespaceName": chatter.namespace, "roomName": room}
        posting = [
            threads.submit(post_at_once, socket, {**where, "userId": f"user-{number}"}, POSTS)
            for number, socket in enumerate([open_socket() for _number in range(POSTERS)])]
        for done in posting:
            done.result()
        wanted = [(item.user_id, item.created_at) for item in chatter.messages(room, limit=1000)]
        assert len(wanted) == POSTERS * POSTS
        for socket in sockets:
            told = payloads(socket, POSTERS * POSTS)
            assert [(one["userId"], one["createdAt"]) for one in told] == wanted


class TestSetting:
    def test_disabled_j06(self, chatter, listener, notify):
        """J-06, N-13: it can be switched off and on."""
        room, socket = chatter.room(), listener.open()
        listener.subscribe(room)
        for settings in (notify(enable="Disabled"), {}):
            chatter.sdk.chat.update_namespace(**settings, **chatter.where)
            chatter.post(room)
        chatter.sdk.chat.update_namespace(**notify(enable="Enabled"), **chatter.where)
        assert listener.told(socket, 0, room) == []

    def test_placeholders_n06(self, chatter, listener, environment, gateway):
        """N-06: region and owner may be left to the server."""
        room, socket = chatter.room(), listener.open()
        listener.subscribe(room)
        setting = tells(environment, gateway)
        setting.with_gateway_namespace_id("grn:gs2:{region}:{ownerId}:gateway:" + gateway)
        chatter.sdk.chat.update_namespace(post_notification=setting, **chatter.where)
        assert listener.told(socket, 0, room) == []

    def test_a_gateway_that_is_not_there_g37(self, chatter, listener, environment):
        """G-37: whom nothing reaches does not keep others from posting."""
        room = chatter.room()
        listener.subscribe(room)
        setting = tells(environment, unique("absent"))
        chatter.sdk.chat.update_namespace(post_notification=setting, **chatter.where)
        assert chatter.post(room).room_name == room


class TestAbsent:
    def test_nothing_is_kept_ch57(self, chatter, listener, bound):
        """CH-57: who has no socket hears nothing of it later."""
        room = chatter.room()
        posted = chatter.witness(room, bound)
        listener.subscribe(room)
        posted(0, 1)
        socket = listener.open()
        assert listener.told(socket, 0, room) == []

    def test_devices_ch57(self, chatter, notify, environment, gateway):
        """CH-57: a device is told only if both the subscription and the namespace want it, and no socket is there."""
        room = chatter.room()
        settings = [notify(), notify(enable_transfer_mobile_notification=True)]
        users = [chatter.other() for _number in range(4)]
        for user in users:
            chatter.sdk.gateway.set_firebase_token_by_user_id(
                namespace_name=gateway, user_id=user.user, token="token")
        wants, wants_not, online, another = users
        wants.subscribe(room, [notification_type(1, True), notification_type(2, False)])
        wants_not.subscribe(room)
        online.subscribe(room, [notification_type(1, True)])
        another.subscribe(room, [notification_type(2, True), notification_type(1, False)])
        online.open()
        before = recorded_pushes(environment)
        for setting, category, count in ((settings[0], 1, 0), (settings[1], 2, 1), (settings[1], 3, 1),
                                         (settings[1], 1, 2), (settings[0], 2, 2), (settings[1], 2, 3)):
            chatter.sdk.chat.update_namespace(**setting, **chatter.where)
            chatter.post(room, category=category)
            wait_until(lambda: recorded_pushes(environment) - before >= count)
        assert recorded_pushes(environment) - before == 3


class TestOnce:
    def test_repeated_post_x02(self, player):
        """X-02: a repeated call tells nobody again."""
        listener = player.other()
        room, socket = player.room(), listener.open()
        listener.subscribe(room)
        for _time in range(3):
            item = player.post(room, duplication_avoider="x")
        assert [told["createdAt"] for told in listener.told(socket, 1, room)] == [item.created_at]

    def test_dry_run_t14(self, dry, admin, make_chat, notify, gateway, listen):
        """T-14: nobody hears of what was not posted."""
        chatter = Chatter(admin, make_chat(**notify()), listen=listen, gateway=gateway)
        room, socket = chatter.room(), chatter.open()
        chatter.subscribe(room)
        dry(POST, {"namespaceName": chatter.namespace, "roomName": room, "userId": "u", "metadata": "dry"}).ok()
        assert chatter.told(socket, 0, room) == []
