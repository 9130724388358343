"""Gateway: which sockets a player has. BEHAVIOUR G-01 to G-13."""

import json
import time

import pytest
import websocket

from harness import operations
from harness.environment import unique
from harness.gateway import (
    GET_BY_CONNECTION_ID, GET_SESSION, REPLACED, SET_USER_ID, SET_USER_ID_BY_USER_ID, wait_until,
)
from harness.sdk import BadRequest, Conflict, NotFound, QuotaExceeded, Unauthorized

MIXED = "あ𠮷"
MISSING = "gateway.webSocketSession.webSocketSession.error.notFound"
NO_NAMESPACE = "gateway.namespace.namespace.error.notFound"
DUPLICATE = "gateway.webSocketSession.userId.error.duplicate"
PLAYER_SOCKETS_MAX = 100
CLOCK_SLACK_MS = 1000


class TestSetUserId:
    def test_item_g01_g11(self, sessions, listen, environment):
        """G-01, G-11, N-04, N-10: the exact GRN, the server's connection id, times in milliseconds, first revision."""
        before = time.time_ns() // 1_000_000
        item = sessions.bind(listen(), "user-1", sessionId=MIXED * 64)
        connection_id = item["connectionId"]
        assert 1 <= len(connection_id) <= 128
        assert item.pop("createdAt") == item.pop("updatedAt") >= before - CLOCK_SLACK_MS
        assert item == {
            "webSocketSessionId": environment.grn(
                "gateway", sessions.gateway, "user", "user-1", "session", connection_id),
            "connectionId": connection_id, "namespaceName": sessions.gateway, "userId": "user-1",
            "sessionId": MIXED * 64, "revision": 1}

    def test_without_session_id_g11(self, sessions, listen):
        assert sessions.bind(listen(), "user-1").get("sessionId") is None

    def test_connection_ids_differ_g01(self, sessions, listen):
        ids = {sessions.bind(listen(), user)["connectionId"] for user in ("user-1", "user-1", "user-2")}
        assert len(ids) == 3

    def test_longest_user_id_n02(self, sessions, listen):
        user = MIXED * 64
        assert sessions.bind(listen(), user)["webSocketSessionId"].split(":user:")[1].startswith(user + ":session:")
        assert [item["userId"] for item in sessions.describe(user)] == [user]

    def test_many_sockets_by_default_g04(self, sessions, listen):
        """G-04: concurrent access is allowed unless the call says otherwise."""
        first, second = sessions.bind(listen(), "user-1"), sessions.bind(listen(), "user-1", allowConcurrentAccess=True)
        assert {item["connectionId"] for item in sessions.describe("user-1")} == {
            first["connectionId"], second["connectionId"]}

    def test_missing_namespace_g08(self, sessions, listen):
        socket = listen()
        with sessions.caller(socket).refuses(NotFound, NO_NAMESPACE):
            sessions.bind(socket, "user-1", namespace=unique("absent"))

    def test_unknown_access_token_g08(self, sdk, gateway):
        with sdk.refuses(Unauthorized, "gateway.accessToken.accessToken.error.invalid"):
            sdk.gateway.set_user_id(namespace_name=gateway, access_token="stale")

    def test_names_another_socket_g02(self, listen, gateway):
        """G-02: a call that names a socket means that one, on whichever it arrives."""
        asking, meant = listen(), listen()
        meant_id = meant.gateway.set_user_id_by_user_id(namespace_name=gateway, user_id="user-1").item.connection_id
        asking.call(SET_USER_ID_BY_USER_ID, {
            "namespaceName": gateway, "userId": "user-2", "connectionId": meant_id})
        assert asking.answer["item"]["connectionId"] == meant_id
        asking.gateway.send_notification(namespace_name=gateway, user_id="user-2", subject="s", payload="p")
        assert meant.notifications(1)[0]["subject"] == "s"
        with asking.refuses(NotFound, MISSING):
            asking.call(GET_SESSION, {"namespaceName": gateway})

    @pytest.mark.parametrize("who", ["me", "by_user_id"])
    def test_over_rest_without_a_socket_g03(self, admin, gateway, who):
        """G-03: over REST there is no current socket, so the call must name one."""
        with admin.refuses(BadRequest, "gateway.webSocketSession.connectionId.error.require"):
            if who == "me":
                admin.gateway.set_user_id(namespace_name=gateway, access_token=admin.auth.login(user_id="u").token)
            else:
                admin.gateway.set_user_id_by_user_id(namespace_name=gateway, user_id="u")

    def test_no_such_socket_g03(self, sdk, gateway):
        token = sdk.auth.login(user_id="user-1").token
        for operation, who in ((SET_USER_ID, {"accessToken": token}), (SET_USER_ID_BY_USER_ID, {"userId": "user-1"})):
            with sdk.refuses(NotFound, MISSING):
                sdk.call(operation, {"namespaceName": gateway, "connectionId": "absent", **who})

    def test_a_closed_socket_g12(self, sdk, gateway, bound):
        socket, item = bound("user-1")
        socket.close()
        wait_until(lambda: not sdk.gateway.describe_web_socket_sessions_by_user_id(
            namespace_name=gateway, user_id="user-1").items)
        with sdk.refuses(NotFound, MISSING):
            sdk.call(SET_USER_ID_BY_USER_ID, {
                "namespaceName": gateway, "userId": "user-1", "connectionId": item["connectionId"]})


class TestConcurrentAccess:
    def test_conflict_g05(self, sessions, listen):
        """G-05, G-07: 409; the socket that was there keeps its place, the other one has none."""
        first, second = listen(), listen()
        item = sessions.bind(first, "user-1", allowConcurrentAccess=False)
        with sessions.caller(second).refuses(Conflict, DUPLICATE):
            sessions.bind(second, "user-1", allowConcurrentAccess=False)
        assert sessions.describe("user-1") == [item]
        assert sessions.send("user-1").send_connection_ids == [item["connectionId"]]
        assert len(first.notifications(1)) == 1
        with second.refuses(NotFound, MISSING):
            second.call(GET_SESSION, {"namespaceName": sessions.gateway})

    def test_a_refusal_leaves_the_former_binding_g05_g09(self, sessions, listen):
        first, second = listen(), listen()
        sessions.bind(first, "user-1")
        item = sessions.bind(second, "user-2")
        with sessions.caller(second).refuses(Conflict, DUPLICATE):
            sessions.bind(second, "user-1", allowConcurrentAccess=False)
        assert sessions.describe("user-2") == [item]
        assert sessions.send("user-2").send_connection_ids == [item["connectionId"]]

    @pytest.mark.parametrize("theirs, mine", [
        (None, None), ("a", None), (None, "a"), ("a", "b"), ("a", "A"),
    ], ids=repr)
    def test_other_session_ids_g05(self, sessions, listen, theirs, mine):
        sessions.bind(listen(), "user-1", sessionId=theirs)
        second = listen()
        with sessions.caller(second).refuses(Conflict, DUPLICATE):
            sessions.bind(second, "user-1", allowConcurrentAccess=False, sessionId=mine)

    def test_the_same_socket_again_g05_g09(self, sessions, listen):
        """G-05: only other connections are in the way."""
        socket = listen()
        for revision in (1, 2):
            assert sessions.bind(socket, "user-1", allowConcurrentAccess=False)["revision"] == revision

    def test_others_are_not_in_the_way_g05_n15(self, sessions, listen, make_gateway):
        sessions.bind(listen(), "user-1")
        sessions.bind(listen(), "user-2", allowConcurrentAccess=False)
        sessions.bind(listen(), "user-1", namespace=make_gateway(), allowConcurrentAccess=False)

    def test_free_again_after_a_close_g12(self, sessions, listen):
        first, second = listen(), listen()
        sessions.bind(first, "user-1", allowConcurrentAccess=False)
        first.close()
        wait_until(lambda: not sessions.describe("user-1"))
        item = sessions.bind(second, "user-1", allowConcurrentAccess=False)
        assert sessions.describe("user-1") == [item]

    def test_take_over_g06_g15(self, sessions, listen, bound):
        """G-05, G-06, G-15: a socket of the same session id takes the place; the old one is closed with 4002."""
        old, _item = bound("user-1", sessions.gateway, sessionId="session あ")
        new = listen()
        item = sessions.bind(new, "user-1", allowConcurrentAccess=False, sessionId="session あ")
        assert old.closed() == REPLACED
        assert sessions.describe("user-1") == [item]
        assert sessions.send("user-1").send_connection_ids == [item["connectionId"]]
        assert len(new.notifications(1)) == 1

    def test_force_g05_g15(self, sessions, listen, bound, make_gateway):
        """G-05: `force` closes all other sockets of the player, whatever their session ids, and nobody else's."""
        elsewhere = make_gateway()
        old = [bound("user-1", sessions.gateway, sessionId=session_id)[0] for session_id in (None, "a", "b")]
        kept = [bound("user-2", sessions.gateway), bound("user-1", elsewhere)]
        item = sessions.bind(listen(), "user-1", allowConcurrentAccess=False, sessionId="c", force=True)
        assert [socket.closed() for socket in old] == [REPLACED] * 3
        assert sessions.describe("user-1") == [item]
        for (socket, its), (user, namespace) in zip(kept, (("user-2", sessions.gateway), ("user-1", elsewhere))):
            assert sessions.describe(user, namespace) == [its]
            sessions.send(user, namespace)
            assert socket.notification()["payload"] == "payload"

    def test_one_of_several_has_another_session_id_g05(self, sessions, listen, bound):
        """G-05: a take-over that is refused closes nobody."""
        old = [bound("user-1", sessions.gateway, sessionId=session_id) for session_id in ("a", "b")]
        new = listen()
        with sessions.caller(new).refuses(Conflict, DUPLICATE):
            sessions.bind(new, "user-1", allowConcurrentAccess=False, sessionId="a")
        assert len(sessions.describe("user-1")) == 2
        assert set(sessions.send("user-1").send_connection_ids) == {item["connectionId"] for _socket, item in old}
        for socket, _item in old:
            socket.notification()

    def test_all_of_the_same_session_g06(self, sessions, listen, bound):
        old = [bound("user-1", sessions.gateway, sessionId="a")[0] for _number in range(3)]
        item = sessions.bind(listen(), "user-1", allowConcurrentAccess=False, sessionId="a")
        assert [socket.closed() for socket in old] == [REPLACED] * 3
        assert sessions.describe("user-1") == [item]

    def test_of_many_at_once_one_is_granted_g05(self, open_socket, sdk, gateway):
        """G-05: sockets that ask at the same time do not slip past each other."""
        sockets = [open_socket() for _number in range(20)]
        frame = SET_USER_ID_BY_USER_ID.frame("r", {
            "namespaceName": gateway, "userId": "user-1", "allowConcurrentAccess": False})
        for socket in sockets:
            socket.send({**frame, "xGs2ProjectToken": socket.token})
        assert sorted(socket.receive()["status"] for socket in sockets) == [200] + [409] * 19
        assert len(sdk.gateway.describe_web_socket_sessions_by_user_id(
            namespace_name=gateway, user_id="user-1").items) == 1

    def test_the_last_of_many_at_once_stays_g06(self, open_socket, sdk, gateway):
        """G-06: a storm of reconnects of one client ends with one socket; all others are closed with 4002."""
        sockets = [open_socket() for _number in range(20)]
        call = {"namespace_name": gateway, "user_id": "user-1"}
        frame = SET_USER_ID_BY_USER_ID.frame("r", {
            "namespaceName": gateway, "userId": "user-1", "allowConcurrentAccess": False, "sessionId": "s"})
        for socket in sockets:
            socket.send({**frame, "xGs2ProjectToken": socket.token})
        answered = {}
        for socket in sockets:
            try:
                answered[socket.receive()["body"]["item"]["connectionId"]] = socket
            except (json.JSONDecodeError, websocket.WebSocketConnectionClosedException):
                pass  # Another one took its place before it had its answer.
        winner, = sdk.gateway.describe_web_socket_sessions_by_user_id(**call).items
        winning = answered.pop(winner.connection_id)
        assert {socket.closed() for socket in answered.values()} <= {REPLACED}
        assert sdk.gateway.send_notification(
            subject="s", payload="p", **call).send_connection_ids == [winner.connection_id]
        assert winning.notification()["subject"] == "s"

    def test_too_many_sockets_e05(self, sessions, listen, bound):
        """E-05: a player has at most 100 sockets in a namespace; those that are bound may be bound again."""
        first = bound("user-1", sessions.gateway)[0]
        for _number in range(PLAYER_SOCKETS_MAX - 1):
            bound("user-1", sessions.gateway)
        one_more = listen()
        with sessions.caller(one_more).refuses(QuotaExceeded, "gateway.webSocketSession.userId.error.tooMany"):
            sessions.bind(one_more, "user-1")
        assert len(sessions.describe("user-1", limit=1000)) == PLAYER_SOCKETS_MAX
        first.call(SET_USER_ID_BY_USER_ID, {"namespaceName": sessions.gateway, "userId": "user-1"}).ok()
        assert len(sessions.send("user-1").send_connection_ids) == PLAYER_SOCKETS_MAX
        sessions.bind(one_more, "user-2")


class TestBindAgain:
    """G-09: one binding of a socket in each namespace."""

    def test_same_player_g09(self, sessions, listen):
        socket = listen()
        first = sessions.bind(socket, "user-1", sessionId="a")
        second = sessions.bind(socket, "user-1")
        assert second.get("sessionId") is None
        assert {**second, "updatedAt": 0} == {
            **{name: value for name, value in first.items() if name != "sessionId"}, "updatedAt": 0, "revision": 2}
        assert second["updatedAt"] >= first["updatedAt"]
        assert sessions.describe("user-1") == [second]
        assert sessions.send("user-1").send_connection_ids == [second["connectionId"]]
        sessions.send("user-1", payload="another")
        assert [body["payload"] for body in socket.notifications(2)] == ["payload", "another"]

    def test_another_player_g09(self, sessions, listen, environment):
        socket = listen()
        first = sessions.bind(socket, "user-1")
        second = sessions.bind(socket, "user-2")
        assert second["connectionId"] == first["connectionId"] and second["revision"] > first["revision"]
        assert second["webSocketSessionId"] == environment.grn(
            "gateway", sessions.gateway, "user", "user-2", "session", second["connectionId"])
        assert sessions.describe("user-1") == [] and sessions.describe("user-2") == [second]
        assert sessions.send("user-1", payload="lost").protocol == "none"
        assert sessions.send("user-2", payload="kept").protocol == "websocket"
        assert [body["payload"] for body in socket.notifications(1)] == ["kept"]

    def test_several_namespaces_g09(self, sessions, listen, make_gateway, environment):
        socket, other = listen(), make_gateway()
        first = sessions.bind(socket, "user-1")
        second = sessions.bind(socket, "user-2", namespace=other)
        assert first["connectionId"] == second["connectionId"]
        assert sessions.describe("user-1") == [first] and sessions.describe("user-2", other) == [second]
        assert sessions.describe("user-2") == [] and sessions.describe("user-1", other) == []
        sessions.send("user-1")
        sessions.send("user-2", other)
        assert [body["issuer"] for body in socket.notifications(2)] == [
            environment.grn("gateway", sessions.gateway), environment.grn("gateway", other)]


class TestDescribe:
    def test_live_sessions_g13(self, sessions, bound, make_gateway):
        """G-13, N-09: the sockets of this player here, ascending by connection id, with the items as they were set."""
        items = [bound("user-1", sessions.gateway, sessionId=session_id)[1] for session_id in ("a", None, MIXED)]
        bound("user-2", sessions.gateway)
        bound("user-1", make_gateway())
        assert sessions.describe("user-1") == sorted(items, key=lambda item: item["connectionId"])
        assert "nextPageToken" not in sessions.sdk.answer
        assert sessions.describe("user-3") == []

    def test_pages_n07(self, sessions, bound):
        """N-07: 30 on a page when no limit is given; the same order under any page size."""
        made = sorted(bound("user-1", sessions.gateway)[1]["connectionId"] for _number in range(31))

        def pages(**fields):
            token = None
            while True:
                yield [item["connectionId"] for item in sessions.describe("user-1", page_token=token, **fields)]
                token = sessions.sdk.answer.get("nextPageToken")
                if token is None:
                    return

        assert list(pages()) == [made[:30], made[30:]]
        assert list(pages(limit=1000)) == [made]
        assert sum(pages(limit=7), []) == made


class TestGetSession:
    """Operations that newer SDKs have dropped."""

    def test_of_this_socket(self, listen, gateway, make_gateway):
        socket = listen()
        with socket.refuses(NotFound, MISSING):
            socket.call(GET_SESSION, {"namespaceName": gateway})
        socket.gateway.set_user_id_by_user_id(namespace_name=gateway, user_id="user-1")
        item = socket.answer["item"]
        assert socket.call(GET_SESSION, {"namespaceName": gateway})["item"] == item
        with socket.refuses(NotFound, MISSING):
            socket.call(GET_SESSION, {"namespaceName": make_gateway()})

    def test_by_connection_id(self, sdk, bound, gateway, make_gateway):
        _socket, item = bound("user-1")
        where = {"namespaceName": gateway, "connectionId": item["connectionId"]}
        for operation in (GET_SESSION, GET_BY_CONNECTION_ID):
            assert sdk.call(operation, where)["item"] == item
            for wrong in ({"connectionId": "absent"}, {"namespaceName": make_gateway()}):
                with sdk.refuses(NotFound, MISSING):
                    sdk.call(operation, {**where, **wrong})

    def test_over_rest_without_a_socket_g03(self, admin, gateway):
        with admin.refuses(BadRequest, "gateway.webSocketSession.connectionId.error.require"):
            admin.call(GET_SESSION, {"namespaceName": gateway})


class TestDryRun:
    """T-14: nothing is bound and nobody is closed."""

    def test_set_user_id_t14(self, dry, admin, bound, gateway, make_gateway):
        _other, item = bound("user-1", make_gateway())
        fields = {"namespaceName": gateway, "userId": "user-1", "connectionId": item["connectionId"]}
        assert dry(SET_USER_ID_BY_USER_ID, fields).ok()["item"]["userId"] == "user-1"
        call = {"namespace_name": gateway, "user_id": "user-1"}
        assert admin.gateway.describe_web_socket_sessions_by_user_id(**call).items == []
        assert admin.gateway.send_notification(subject="s", payload="p", **call).protocol == "none"

    def test_take_over_t14(self, dry, admin, bound, gateway, make_gateway):
        held, session = bound("user-1", sessionId="a")
        _other, item = bound("user-1", make_gateway())
        fields = {"namespaceName": gateway, "userId": "user-1", "connectionId": item["connectionId"],
                  "allowConcurrentAccess": False}
        dry(SET_USER_ID_BY_USER_ID, fields).refused(409, DUPLICATE)
        for how in ({"sessionId": "a"}, {"force": True}):
            dry(SET_USER_ID_BY_USER_ID, {**fields, **how}).ok()
        admin.gateway.send_notification(namespace_name=gateway, user_id="user-1", subject="s", payload="p")
        assert held.notification()["subject"] == "s"
        assert held.call(GET_SESSION, {"namespaceName": gateway}).ok()["item"] == session


PLAYER_CALLS = [operation for operation in operations.GATEWAY
                if operation.component != "namespace" and operation.name != "getWebSocketSession"]


@pytest.mark.parametrize("operation", PLAYER_CALLS, ids=str)
def test_missing_namespace_e08(sdk, operation):
    """E-08, G-08: every call in a missing namespace names the namespace."""
    fields = operation.sample(namespaceName=unique("absent"))
    if operation.takes_access_token:
        fields["accessToken"] = sdk.auth.login(user_id="user-1").token
    with sdk.refuses(NotFound, NO_NAMESPACE):
        sdk.call(operation, fields)


def test_silent_sockets_stay_g12(sdk, bound, gateway):
    """G-12: a binding needs no further calls; the socket answers pings as before."""
    socket, item = bound("user-1")
    socket.connection.ping("still there")
    assert socket.connection.recv_data(control_frame=True)[1] == b"still there"
    sent = sdk.gateway.send_notification(namespace_name=gateway, user_id="user-1", subject="s", payload="p")
    assert sent.send_connection_ids == [item["connectionId"]]
    assert socket.notification()["payload"] == "p"
