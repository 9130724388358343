"""Gateway: what players are told. BEHAVIOUR G-30 to G-40, G-51."""

import uuid

import pytest
from gs2.gateway import MobileNotificationMessage

from harness import operations
from harness.environment import unique
from harness.gateway import SEND, SET_USER_ID_BY_USER_ID, recorded_pushes
from harness.sdk import BadRequest, NotFound

MIXED = "あ𠮷"
NO_NAMESPACE = "gateway.namespace.namespace.error.notFound"
MANY = 1000
AT_ONCE = 200


class Player:
    """A user of a Gateway namespace, and what others send to it."""

    def __init__(self, sdk, gateway, listen):
        self.sdk, self.gateway, self._listen, self.user = sdk, gateway, listen, unique("user")

    @property
    def who(self):
        return {"namespace_name": self.gateway, "user_id": self.user}

    def open(self):
        """A new socket of this player, and its connection id."""
        socket = self._listen()
        return socket, socket.gateway.set_user_id_by_user_id(**self.who).item.connection_id

    def send(self, payload="payload", subject="subject", **fields):
        return self.sdk.gateway.send_notification(subject=subject, payload=payload, **self.who, **fields)


@pytest.fixture
def player(sdk, gateway, listen):
    return Player(sdk, gateway, listen)


def payloads(socket, count):
    return [body["payload"] for body in socket.notifications(count)]


class TestDelivery:
    def test_reaches_the_player_g30_g31_g33(self, player, environment):
        """G-30, G-31, G-33, G-34: what the SDK's handler gets, and what the sender is told."""
        socket, connection_id = player.open()
        sent = player.send("Hello あ𠮷", "Greeting")
        assert (sent.protocol, sent.send_connection_ids) == ("websocket", [connection_id])
        assert socket.notifications(1) == [{
            "issuer": environment.grn("gateway", player.gateway), "subject": "Greeting", "payload": "Hello あ𠮷"}]

    def test_frame_t24_g31(self, player, open_socket):
        """T-24, G-31: the envelope, without a request id."""
        socket = open_socket("/v2")
        socket.call(SET_USER_ID_BY_USER_ID, {"namespaceName": player.gateway, "userId": player.user}).ok()
        player.send()
        assert socket.notification()["subject"] == "subject"

    @pytest.mark.parametrize("payload", [
        '{"namespaceName": "ns", "count": 1}', "[]", "null", "5", "not JSON {", '"', "\\", " ", "a\n\r\t\x01b",
        "\u2028\u2029", "\ufeff", "👨‍👩‍👧", "</script>",
    ], ids=ascii)
    def test_payload_is_text_g31(self, player, payload):
        """G-31: the payload arrives as it was sent, unparsed; so does a subject of that kind."""
        socket, _connection_id = player.open()
        player.send(payload, payload)
        body, = socket.notifications(1)
        assert (body["payload"], body["subject"]) == (payload, payload)

    def test_longest_g40(self, player):
        """G-40: 128 and 1,024 characters, not bytes or UTF-16 units; longer ones reach nobody."""
        socket, _connection_id = player.open()
        for subject, payload in (("𠮷" * 128, "𠮷" * 1024), (MIXED * 64, MIXED * 512)):
            player.send(payload, subject)
            body, = socket.notifications(1)
            assert (body["subject"], body["payload"]) == (subject, payload)
        with player.sdk.refuses(BadRequest, "gateway.sendNotificationEntry.subject.error.tooLong"):
            player.send(subject="𠮷" * 129)
        with player.sdk.refuses(BadRequest, "gateway.sendNotificationEntry.payload.error.tooLong"):
            player.send("𠮷" * 1025)
        player.send("last")
        assert payloads(socket, 1) == ["last"]

    def test_all_sockets_g36(self, player):
        opened = [player.open() for _number in range(3)]
        sent = player.send()
        assert sorted(sent.send_connection_ids) == sorted(connection_id for _socket, connection_id in opened)
        for socket, _connection_id in opened:
            assert payloads(socket, 1) == ["payload"]

    def test_nobody_else_n15(self, player, sdk, listen, make_gateway):
        """N-15: not other players, not the player's sockets in other namespaces, not sockets that are bound to nobody."""
        mine, _connection_id = player.open()
        others = [Player(sdk, player.gateway, listen), Player(sdk, make_gateway(), listen)]
        others[1].user = player.user
        sockets = [other.open()[0] for other in others]
        unbound = listen()
        player.send("mine")
        for other in others:
            other.send("theirs")
        assert payloads(mine, 1) == ["mine"]
        assert [payloads(socket, 1) for socket in sockets] == [["theirs"], ["theirs"]]
        assert unbound.gateway.get_namespace_status(namespace_name=player.gateway).status == "ACTIVE"
        assert payloads(unbound, 0) == []

    def test_users_differ_exactly_n02(self, player, sdk, gateway, listen):
        socket, _connection_id = player.open()
        for user in (player.user.upper(), player.user + " ", player.user + "\n", player.user[:-1]):
            sent = sdk.gateway.send_notification(namespace_name=gateway, user_id=user, subject="s", payload="p")
            assert sent.protocol == "none"
        player.send("last")
        assert payloads(socket, 1) == ["last"]

    def test_to_oneself_g38_t22(self, listen, gateway):
        """T-22: a socket that notifies its own player gets the answer and the notification."""
        socket = listen()
        item = socket.gateway.set_user_id(
            namespace_name=gateway, access_token=socket.auth.login(user_id="user-1").token).item
        for number in range(20):
            sent = socket.gateway.send_notification(
                namespace_name=gateway, user_id="user-1", subject="s", payload=str(number))
            assert sent.send_connection_ids == [item.connection_id]
        assert payloads(socket, 20) == [str(number) for number in range(20)]

    def test_missing_namespace_e08(self, sdk, make_gateway, player):
        """E-08, N-14: also at once after the namespace was deleted, and no more after it was created again."""
        namespace = make_gateway()
        call = {"user_id": "user-1", "subject": "s", "payload": "p"}
        with sdk.refuses(NotFound, NO_NAMESPACE):
            sdk.gateway.send_notification(namespace_name=unique("absent"), **call)
        for _time in range(3):
            assert sdk.gateway.send_notification(namespace_name=namespace, **call).protocol == "none"
            sdk.gateway.delete_namespace(namespace_name=namespace)
            with sdk.refuses(NotFound, NO_NAMESPACE):
                sdk.gateway.send_notification(namespace_name=namespace, **call)
            sdk.gateway.create_namespace(name=namespace)


class TestAbsentPlayer:
    def test_is_no_error_g35(self, player):
        sent = player.send()
        assert (sent.protocol, sent.send_connection_ids) == ("none", [])

    def test_nothing_is_kept_g35(self, player):
        """G-35: what was sent before the player was bound is lost, also for one who was bound earlier."""
        player.send("before")
        socket, _connection_id = player.open()
        player.send("first")
        assert payloads(socket, 1) == ["first"]
        player.sdk.gateway.disconnect_by_user_id(**player.who)
        player.send("away")
        again, _connection_id = player.open()
        player.send("back")
        assert payloads(again, 1) == ["back"]


class TestOrder:
    @pytest.fixture(params=["rest", "websocket"])
    def call(self, request, rest, socket):
        """Calls without the pauses of the SDK."""
        return rest.call if request.param == "rest" else socket.call

    def test_a_thousand_g38(self, call, admin, gateway, listen):
        """G-38: every socket of the player gets them all in the order in which they were sent."""
        player = Player(admin, gateway, listen)
        sockets = [player.open()[0] for _number in range(2)]
        wanted = [str(number) for number in range(MANY)]
        for number in wanted:
            call(SEND, {"namespaceName": gateway, "userId": player.user, "subject": "s", "payload": number}).ok()
        for socket in sockets:
            assert payloads(socket, MANY) == wanted

    def test_sockets_agree_g36_g38(self, admin, socket, gateway, listen):
        """G-38: of what is sent at once no order is promised, but all sockets of the player see the same one."""
        player = Player(admin, gateway, listen)
        sockets = [player.open()[0] for _number in range(3)]
        for number in range(AT_ONCE):
            fields = {"namespaceName": gateway, "userId": player.user, "subject": "s", "payload": str(number)}
            socket.send({**SEND.frame(str(uuid.uuid4()), fields), "xGs2ProjectToken": socket.token})
        for _number in range(AT_ONCE):
            assert len(socket.receive()["body"]["sendConnectionIds"]) == 3
        first, *others = [payloads(listening, AT_ONCE) for listening in sockets]
        assert sorted(first, key=int) == [str(number) for number in range(AT_ONCE)]
        assert all(other == first for other in others)

    def test_between_answers_t22(self, admin, open_socket, gateway):
        """T-22, T-24: notifications and the answers of many calls do not disturb each other."""
        socket, sender = open_socket(), open_socket()
        where = {"namespaceName": gateway, "userId": "user-1"}
        socket.call(SET_USER_ID_BY_USER_ID, where).ok()
        describe = operations.operation("gateway", "describeWebSocketSessionsByUserId")
        for number in range(AT_ONCE):
            socket.send({**describe.frame(str(number), where), "xGs2ProjectToken": socket.token})
            sender.call(SEND, {**where, "subject": "s", "payload": str(number)}).ok()
        answers = [socket.receive() for _number in range(AT_ONCE)]
        assert sorted(int(answer["requestId"]) for answer in answers) == list(range(AT_ONCE))
        assert all(len(answer["body"]["items"]) == 1 for answer in answers)
        received = [socket.notification()["payload"] for _number in range(AT_ONCE)]
        assert received == [str(number) for number in range(AT_ONCE)]


class TestForwarding:
    """G-34, G-51, G-52: to the device if the sender wants it, no socket is there, and a token is. Without a service
    account in the namespace the push is recorded only."""

    @pytest.mark.parametrize("wanted, device, online, protocol", [
        (True, True, False, "firebase"),
        (True, True, True, "websocket"),
        (True, False, False, "none"),
        (False, True, False, "none"),
        (None, True, False, "none"),
        (False, True, True, "websocket"),
    ])
    def test_protocol_g34_g51(self, player, environment, wanted, device, online, protocol):
        if device:
            player.sdk.gateway.set_firebase_token_by_user_id(token="token", **player.who)
        connection_ids = [player.open()[1]] if online else []
        before = recorded_pushes(environment)
        sent = player.send(enable_transfer_mobile_notification=wanted)
        assert (sent.protocol, sent.send_connection_ids) == (protocol, connection_ids)
        assert recorded_pushes(environment) - before == (protocol == "firebase")

    def test_token_elsewhere_n15(self, player, make_gateway):
        for who in ({"namespace_name": make_gateway(), "user_id": player.user},
                    {"namespace_name": player.gateway, "user_id": "somebody-else"}):
            player.sdk.gateway.set_firebase_token_by_user_id(token="token", **who)
        assert player.send(enable_transfer_mobile_notification=True).protocol == "none"

    def test_after_the_last_socket_g51(self, player):
        player.sdk.gateway.set_firebase_token_by_user_id(token="token", **player.who)
        player.open()
        assert player.send(enable_transfer_mobile_notification=True).protocol == "websocket"
        player.sdk.gateway.disconnect_by_user_id(**player.who)
        assert player.send(enable_transfer_mobile_notification=True).protocol == "firebase"
        player.sdk.gateway.delete_firebase_token_by_user_id(**player.who)
        assert player.send(enable_transfer_mobile_notification=True).protocol == "none"


def message(**members):
    made = MobileNotificationMessage()
    for name, value in members.items():
        getattr(made, f"with_{name}")(value)
    return made


class TestMessages:
    """G-51: texts for the device; each is checked whether or not it is needed."""

    @pytest.fixture(params=["send_notification", "send_mobile_notification_by_user_id"])
    def send(self, request, sdk, gateway):
        sdk.gateway.set_firebase_token_by_user_id(namespace_name=gateway, user_id="user-1", token="token", locale="ja")

        def send_(messages, sound=None):
            getattr(sdk.gateway, request.param)(
                namespace_name=gateway, user_id="user-1", subject="s", payload="p", sound=sound,
                mobile_notification_messages=messages)

        send_.model = "sendNotificationEntry" if request.param == "send_notification" else "firebaseToken"
        return send_

    def test_longest_g40_g51(self, send):
        text = message(locale="l" * 64, title=MIXED * 128, message="𠮷" * 1024)
        send([text] * 64, sound=MIXED * 128)
        send([])
        send([message(), message(locale="", title="", message="")])

    @pytest.mark.parametrize("member, value, kind", [
        ("locale", "l" * 65, "tooLong"), ("title", "𠮷" * 257, "tooLong"), ("message", "𠮷" * 1025, "tooLong"),
        ("locale", 5, "invalid"), ("title", "a\0b", "invalid"), ("message", ["a"], "invalid"),
    ], ids=lambda value: str(value)[:10].replace("\0", "-"))
    def test_refused_e02_e09(self, sdk, send, member, value, kind):
        with sdk.refuses(BadRequest, f"gateway.mobileNotificationMessage.{member}.error.{kind}"):
            send([message(title="fine"), message(**{member: value})])

    def test_too_many_e09(self, sdk, send):
        with sdk.refuses(BadRequest, f"gateway.{send.model}.mobileNotificationMessages.error.tooMany"):
            send([message()] * 65)

    @pytest.mark.parametrize("wrong", ["text", 5, {"title": "t"}, [5], ["a"], [["a"]]], ids=repr)
    def test_wrong_type_e04(self, rest, gateway, wrong):
        for name in ("sendNotification", "sendMobileNotificationByUserId"):
            operation = operations.operation("gateway", name)
            rest.call(operation, operation.sample(namespaceName=gateway, mobileNotificationMessages=wrong)).refused(
                400, operation.error("mobileNotificationMessages", "invalid"))


class TestOnce:
    """X-02, X-03: a repeated call with the same avoider notifies nobody again."""

    def test_notification_x02(self, player):
        socket, connection_id = player.open()
        for _time in range(3):
            sent = player.send("once", duplication_avoider="x")
            assert (sent.protocol, sent.send_connection_ids) == ("websocket", [connection_id])
        player.send("last")
        assert payloads(socket, 2) == ["once", "last"]

    def test_the_first_answer_counts_x02(self, player):
        """X-02: what was sent to nobody is not made up for later."""
        assert player.send("once", duplication_avoider="x").protocol == "none"
        socket, _connection_id = player.open()
        assert player.send("once", duplication_avoider="x").protocol == "none"
        player.send("last", duplication_avoider="y")
        assert payloads(socket, 1) == ["last"]

    def test_push_x02(self, player, environment):
        player.sdk.gateway.set_firebase_token_by_user_id(token="token", **player.who)
        before = recorded_pushes(environment)
        for _time in range(3):
            assert player.send(
                enable_transfer_mobile_notification=True, duplication_avoider="x").protocol == "firebase"
        assert recorded_pushes(environment) - before == 1

    def test_many_at_once_x03(self, admin, socket, gateway, listen):
        """X-03: of equal calls at once one is done; the others get its answer or a conflict."""
        player = Player(admin, gateway, listen)
        listening, connection_id = player.open()
        fields = {"namespaceName": gateway, "userId": player.user, "subject": "s", "payload": "once"}
        for number in range(20):
            socket.send({**SEND.frame(str(number), fields), "xGs2ProjectToken": socket.token,
                         "xGs2DuplicationAvoider": "x"})
        answers = [socket.receive() for _number in range(20)]
        assert {answer["status"] for answer in answers} <= {200, 409}
        done = [answer["body"]["sendConnectionIds"] for answer in answers if answer["status"] == 200]
        assert done and all(ids == [connection_id] for ids in done)
        player.send("last")
        assert payloads(listening, 2) == ["once", "last"]


class TestDryRun:
    """T-14: the answer is the one that would be, and nobody hears of it."""

    def test_notification_t14(self, dry, admin, gateway, listen):
        player = Player(admin, gateway, listen)
        socket, connection_id = player.open()
        fields = {"namespaceName": gateway, "userId": player.user, "subject": "s", "payload": "dry"}
        answer = dry(SEND, {**fields, "duplicationAvoider": "x"}).ok()
        assert (answer["protocol"], answer["sendConnectionIds"]) == ("websocket", [connection_id])
        player.send("real", duplication_avoider="x")
        assert payloads(socket, 1) == ["real"]
        dry(SEND, {**fields, "subject": "s" * 129}).refused(400, "gateway.sendNotificationEntry.subject.error.tooLong")
        dry(SEND, {**fields, "namespaceName": unique("absent")}).refused(404, NO_NAMESPACE)

    def test_push_t14(self, dry, admin, gateway, environment):
        admin.gateway.set_firebase_token_by_user_id(namespace_name=gateway, user_id="user-1", token="token")
        fields = {"namespaceName": gateway, "userId": "user-1", "subject": "s", "payload": "p"}
        before = recorded_pushes(environment)
        assert dry(SEND, {**fields, "enableTransferMobileNotification": True}).ok()["protocol"] == "firebase"
        dry(operations.operation("gateway", "sendMobileNotificationByUserId"), fields).ok()
        assert recorded_pushes(environment) == before
