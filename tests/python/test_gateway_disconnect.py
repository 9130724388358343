"""Gateway: how sessions end. BEHAVIOUR G-12, G-14, G-15."""

from contextlib import closing

import pytest

from harness import operations
from harness.environment import unique
from harness.gateway import DISCONNECTED, GET_SESSION, SEND, SET_USER_ID_BY_USER_ID, wait_until
from harness.sdk import NotFound, Sdk
from harness.server import Server
from harness.wire import Rest, Socket

NO_NAMESPACE = "gateway.namespace.namespace.error.notFound"


class TestEnd:
    """G-12: a session ends with its socket."""

    @pytest.mark.parametrize("how", ["close", "break"])
    def test_closed_socket_g12(self, sessions, bound, how):
        gone, _item = bound("user-1", sessions.gateway)
        _kept, item = bound("user-1", sessions.gateway)
        if how == "close":
            gone.close()
        else:
            gone.connection.shutdown()
        wait_until(lambda: sessions.describe("user-1") == [item])
        assert sessions.send("user-1").send_connection_ids == [item["connectionId"]]

    def test_in_all_namespaces_g12(self, sessions, listen, make_gateway):
        socket, other = listen(), make_gateway()
        sessions.bind(socket, "user-1")
        sessions.bind(socket, "user-2", namespace=other)
        socket.close()
        wait_until(lambda: not sessions.describe("user-1") and not sessions.describe("user-2", other))
        assert sessions.send("user-1").protocol == "none"

    def test_deleted_namespace_n14(self, sdk, bound, listen, make_gateway):
        """N-14: bindings go with the namespace; a new one of the same name starts without."""
        namespace = make_gateway()
        bound("user-1", namespace)
        sdk.gateway.delete_namespace(namespace_name=namespace)
        call = {"namespace_name": namespace, "user_id": "user-1"}
        with sdk.refuses(NotFound, NO_NAMESPACE):
            sdk.gateway.send_notification(subject="s", payload="p", **call)
        sdk.gateway.create_namespace(name=namespace)
        assert sdk.gateway.describe_web_socket_sessions_by_user_id(**call).items == []
        assert sdk.gateway.send_notification(subject="s", payload="p", **call).protocol == "none"
        again = listen()
        again.gateway.set_user_id_by_user_id(allow_concurrent_access=False, **call)
        assert sdk.gateway.send_notification(subject="s", payload="p", **call).protocol == "websocket"
        assert len(again.notifications(1)) == 1

    @pytest.mark.parametrize("how", ["stop", "kill"])
    def test_restart_of_the_server_g12(self, environment, tmp_path, how):
        """G-12: no session outlives the server, however it ends."""
        server, call = Server(environment, tmp_path), {"namespace_name": "ns", "user_id": "user-1"}
        try:
            server.start()
            with closing(Sdk.login(server.environment, "websocket")) as sdk:
                sdk.gateway.create_namespace(name="ns")
                sdk.gateway.set_user_id_by_user_id(**call)
                getattr(server, how)()
            server.start()
            with closing(Sdk.login(server.environment, "websocket")) as sdk:
                assert sdk.gateway.describe_web_socket_sessions_by_user_id(**call).items == []
                assert sdk.gateway.send_notification(subject="s", payload="p", **call).protocol == "none"
                sdk.gateway.set_user_id_by_user_id(allow_concurrent_access=False, **call)
        finally:
            server.kill()


class TestDisconnect:
    def test_by_user_id_g14_g15(self, sdk, bound, gateway, make_gateway):
        """G-14, G-15: all sockets of the player here are closed with 4001, their sessions come back, nobody else's."""
        elsewhere, call = make_gateway(), {"namespace_name": gateway, "user_id": "user-1"}
        gone = [bound("user-1"), bound("user-1")]
        kept = [(*bound("user-2"), "user-2", gateway), (*bound("user-1", elsewhere), "user-1", elsewhere)]
        sdk.gateway.disconnect_by_user_id(**call)
        by_id = sorted((item for _socket, item in gone), key=lambda item: item["connectionId"])
        assert sorted(sdk.answer["items"], key=lambda item: item["connectionId"]) == by_id
        assert [socket.closed() for socket, _item in gone] == [DISCONNECTED] * 2
        assert sdk.gateway.describe_web_socket_sessions_by_user_id(**call).items == []
        for socket, item, user, namespace in kept:
            sent = sdk.gateway.send_notification(namespace_name=namespace, user_id=user, subject="s", payload="p")
            assert sent.send_connection_ids == [item["connectionId"]]
            assert socket.notification()["subject"] == "s"

    def test_nobody_g14(self, sdk, gateway):
        assert sdk.gateway.disconnect_by_user_id(namespace_name=gateway, user_id="user-1").items == []

    def test_what_the_sdk_sees_t26(self, sdk, listen, gateway):
        """T-26: the SDK's session ends with the close and works again after a new connect and setUserId."""
        socket, call = listen(), {"namespace_name": gateway, "user_id": "user-1"}
        first = socket.gateway.set_user_id_by_user_id(**call).item
        sdk.gateway.disconnect_by_user_id(**call)
        wait_until(lambda: socket.session.connection is None)
        with pytest.raises(BrokenPipeError):
            socket.gateway.describe_web_socket_sessions_by_user_id(**call)
        socket.session.connect()
        second = socket.gateway.set_user_id_by_user_id(allow_concurrent_access=False, **call).item
        assert second.connection_id != first.connection_id
        assert sdk.gateway.send_notification(
            subject="s", payload="p", **call).send_connection_ids == [second.connection_id]
        assert len(socket.notifications(1)) == 1

    def test_all_g14_g15(self, sdk, bound, gateway, make_gateway):
        elsewhere = make_gateway()
        gone = [bound(user)[0] for user in ("user-1", "user-1", "user-2")]
        kept, item = bound("user-1", elsewhere)
        sdk.gateway.disconnect_all(namespace_name=gateway)
        assert set(sdk.answer) <= {"metadata"}
        assert [socket.closed() for socket in gone] == [DISCONNECTED] * 3
        for user in ("user-1", "user-2"):
            assert sdk.gateway.describe_web_socket_sessions_by_user_id(namespace_name=gateway, user_id=user).items == []
        sent = sdk.gateway.send_notification(namespace_name=elsewhere, user_id="user-1", subject="s", payload="p")
        assert sent.send_connection_ids == [item["connectionId"]]
        kept.notification()
        sdk.gateway.disconnect_all(namespace_name=gateway)

    def test_a_socket_of_two_namespaces_g12_g14(self, sdk, bound, gateway, make_gateway):
        """G-12, G-14: the socket is closed, so its session elsewhere ends as well."""
        other = make_gateway()
        socket, _item = bound("user-1")
        socket.call(SET_USER_ID_BY_USER_ID, {"namespaceName": other, "userId": "user-2"}).ok()
        sdk.gateway.disconnect_by_user_id(namespace_name=gateway, user_id="user-1")
        assert socket.closed() == DISCONNECTED
        wait_until(lambda: not sdk.gateway.describe_web_socket_sessions_by_user_id(
            namespace_name=other, user_id="user-2").items)

    @pytest.mark.parametrize("name", ["disconnectByUserId", "disconnectAll"])
    def test_the_calling_socket_g14(self, bound, gateway, name):
        """G-14, T-22: who disconnects itself gets the answer, and then the close."""
        operation = operations.operation("gateway", name)
        socket, item = bound("user-1")
        socket.send({**operation.frame("r", {"namespaceName": gateway, "userId": "user-1"}),
                     "xGs2ProjectToken": socket.token})
        frames, close = socket.last_words()
        assert close == DISCONNECTED
        body = {"items": [item]} if name == "disconnectByUserId" else {}
        assert [(frame["requestId"], frame["status"]) for frame in frames] == [("r", 200)]
        assert {**frames[0]["body"], **body} == frames[0]["body"]


# More than the system keeps for a socket that does not read, and less than the server below does.
UNREAD_PAYLOADS = ["𠮷" * 1024] * 2000
QUEUE_BYTES_MAX = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def patient(environment, tmp_path_factory):
    """The administrator of a server that keeps much for a socket."""
    server = Server(environment, tmp_path_factory.mktemp("patient"), SOCKET_QUEUE_BYTES_MAX=QUEUE_BYTES_MAX)
    server.start()
    sdk = Sdk.login(server.environment, "rest")
    yield sdk
    sdk.close()
    server.kill()


class TestSlowReader:
    """G-12, G-34: what has been closed is no connection any more, even while it has not read what was sent before."""

    @pytest.fixture
    def stuck(self, patient):
        """A namespace and a player whose socket has much to read and does not."""
        call = {"namespace_name": unique("ns"), "user_id": "user-1"}
        fields = {"namespaceName": call["namespace_name"], "userId": "user-1", "subject": "s"}
        patient.gateway.create_namespace(name=call["namespace_name"])
        socket = Socket(patient.environment, "/", patient.token, receive_buffer=4096)
        socket.call(SET_USER_ID_BY_USER_ID, {**fields, "sessionId": "s"}).ok()
        rest = Rest(patient.environment, patient.token)
        for payload in UNREAD_PAYLOADS:
            rest.call(SEND, {**fields, "payload": payload}).ok()
        rest.close()
        yield call
        socket.connection.shutdown()

    @pytest.mark.parametrize("name", ["disconnect_by_user_id", "disconnect_all"])
    def test_after_disconnect_g14_g34(self, patient, stuck, name):
        who = stuck if name == "disconnect_by_user_id" else {"namespace_name": stuck["namespace_name"]}
        getattr(patient.gateway, name)(**who)
        sent = patient.gateway.send_notification(subject="s", payload="p", **stuck)
        assert (sent.protocol, sent.send_connection_ids) == ("none", [])

    def test_after_a_take_over_g06_g34(self, patient, stuck):
        with closing(Sdk.with_token(patient.environment, "websocket", patient.token)) as new:
            item = new.gateway.set_user_id_by_user_id(allow_concurrent_access=False, session_id="s", **stuck).item
            sent = patient.gateway.send_notification(subject="s", payload="p", **stuck)
            assert sent.send_connection_ids == [item.connection_id]
            assert [body["payload"] for body in new.notifications(1)] == ["p"]


@pytest.mark.parametrize("name", ["disconnectByUserId", "disconnectAll"])
def test_dry_run_t14(dry, bound, gateway, name):
    """T-14: nobody is closed."""
    held, session = bound("user-1")
    dry(operations.operation("gateway", name), {"namespaceName": gateway, "userId": "user-1"}).ok()
    assert held.call(GET_SESSION, {"namespaceName": gateway}).ok()["item"] == session
