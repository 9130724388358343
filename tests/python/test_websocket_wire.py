"""The WebSocket, frame by frame, as the SDKs send it. BEHAVIOUR T-20 to T-30, core.json."""

import asyncio
import json
import uuid

import pytest
import websocket

from harness import operations
from harness.environment import unique
from harness.errors import error_items
from harness.wire import Socket

GET_STATUS = operations.operation("lock", "getNamespaceStatus")
LOCK = operations.operation("lock", "lock")
LOCK_BY_USER = operations.operation("lock", "lockByUserId")
GET_BY_USER = operations.operation("lock", "getMutexByUserId")
CREATE = operations.operation("lock", "createNamespace")
LIST = operations.operation("lock", "describeNamespaces")
LOGIN = operations.operation("identifier", "login")
AUTH_LOGIN = operations.operation("auth", "login")
AT_ONCE = 200
FRAME_BYTES_MAX = 8 * 1024 * 1024


def login_frame(environment, request_id, **credential):
    return {
        **(credential or {"client_id": environment.client_id, "client_secret": environment.client_secret}),
        "x_gs2": {"service": "identifier", "component": "projectToken", "function": "login",
                  "contentType": "application/json", "requestId": request_id},
    }


class TestPaths:
    @pytest.mark.parametrize("path", ["/", "/v2"])
    def test_same_frames_on_both_t20(self, open_socket, environment, namespace, path):
        socket = open_socket(path)
        assert socket.exchange(login_frame(environment, str(uuid.uuid4()))).ok()["access_token"]
        assert socket.call(GET_STATUS, {"namespaceName": namespace}).ok()["status"] == "ACTIVE"

    def test_without_login_t25(self, socket, namespace):
        """T-25: each frame is judged by its own project token; npm never logs in on the socket."""
        assert socket.call(GET_STATUS, {"namespaceName": namespace}).ok()["status"] == "ACTIVE"

    def test_login_is_no_credential_of_the_socket_t25(self, socket, environment, namespace):
        """T-25: a login does not stand in for the token of later frames."""
        socket.exchange(login_frame(environment, "1")).ok()
        socket.call(GET_STATUS, {"namespaceName": namespace}, authorized=False).refused(
            401, "lock.projectToken.projectToken.error.require")


class TestLogin:
    def test_answer_t25_i03(self, socket, environment):
        body = socket.exchange(login_frame(environment, "10001")).ok()
        assert (body["token_type"], body["expires_in"], body["owner_id"]) == ("Bearer", 3600, environment.owner_id)

    def test_camel_case_i03(self, socket, environment):
        """The explicit login operation sends camelCase on the socket."""
        frame = login_frame(environment, str(uuid.uuid4()), clientId=environment.client_id,
                            clientSecret=environment.client_secret)
        assert socket.exchange(frame).ok()["access_token"]

    @pytest.mark.parametrize("credential, status, messages", [
        ({"client_id": "absent", "client_secret": "x"}, 401, ["identifier.identifier.clientSecret.error.invalid"]),
        ({"client_id": None, "client_secret": ""}, 400, ["identifier.projectToken.clientId.error.require",
                                                         "identifier.projectToken.clientSecret.error.require"]),
        ({"clientId": "x"}, 400, ["identifier.projectToken.clientSecret.error.require"]),
    ], ids=["wrong", "null", "half"])
    def test_refusals_i05_t23(self, socket, environment, credential, status, messages):
        """I-05, T-23: error frames carry the REST error object; the socket stays open."""
        socket.exchange(login_frame(environment, "1", **credential)).refused(status, *messages)
        socket.exchange(login_frame(environment, "2")).ok()

    def test_with_a_stale_token_i03(self, socket, environment):
        """C# and UE5 add what credentials they have."""
        frame = {**login_frame(environment, "1"), "xGs2ClientId": environment.client_id, "xGs2ProjectToken": "stale"}
        assert socket.exchange(frame).ok()["access_token"]


class TestDialects:
    def test_csharp_t21_t22(self, socket, namespace):
        """Decimal request ids, both forms of the access token, numbers and booleans as text."""
        player = socket.call(AUTH_LOGIN, {"userId": "user-1", "timeOffset": "0"}).ok()["token"]
        frame = {
            **LOCK.frame("10002", {"namespaceName": namespace, "propertyId": "p", "transactionId": "t", "ttl": "30"}),
            "accessToken": player, "xGs2AccessToken": player, "xGs2ClientId": "client", "xGs2ProjectToken": socket.token,
            "someSwitch": "True",
        }
        item = socket.exchange(frame).ok()["item"]
        assert (item["userId"], item["ttlAt"] - item["createdAt"]) == ("user-1", 30_000)

    def test_csharp_list_n07(self, socket, namespace):
        items = socket.call(LIST, {"namePrefix": namespace, "limit": "10"}).ok()["items"]
        assert [item["name"] for item in items] == [namespace]

    def test_npm_t21(self, socket, namespace):
        """Only `xGs2AccessToken`, and no login before."""
        player = socket.call(AUTH_LOGIN, {"userId": "user-1"}).ok()["token"]
        fields = {"namespaceName": namespace, "propertyId": "p", "transactionId": "t"}
        assert socket.call(LOCK, fields, xGs2AccessToken=player).ok()["item"]["userId"] == "user-1"

    def test_access_token_as_plain_field_t21(self, socket, namespace):
        player = socket.call(AUTH_LOGIN, {"userId": "user-1"}).ok()["token"]
        fields = {"namespaceName": namespace, "propertyId": "p", "transactionId": "t"}
        assert socket.call(LOCK, fields, accessToken=player).ok()["item"]["userId"] == "user-1"

    def test_ue5_t20(self, open_socket, namespace):
        """`/v2`, GUID request ids, long numbers as text, the avoider without its prefix."""
        socket = open_socket("/v2")
        frame = {
            **LOCK_BY_USER.frame(str(uuid.uuid4()).upper(), {
                "namespaceName": namespace, "userId": "u", "propertyId": "p", "transactionId": "t", "ttl": "60"}),
            "xGs2ClientId": "client", "xGs2ProjectToken": socket.token,
            "duplicationAvoider": unique("avoider"),
        }
        first, again = socket.exchange(frame).ok()["item"], socket.exchange(frame).ok()["item"]
        assert first == again and first["ttlAt"] - first["createdAt"] == 60_000

    def test_python_internals_t21(self, socket, namespace):
        """`private` and a caller's request id change nothing."""
        frame = GET_STATUS.frame("r", {"namespaceName": namespace})
        frame["x_gs2"]["private"] = True
        frame.update(xGs2ProjectToken=socket.token, xGs2RequestId="mine", contextStack="stack")
        assert socket.exchange(frame).ok()["status"] == "ACTIVE"

    def test_nulls_and_unknown_members_t13(self, socket, discard_namespace):
        fields = {"name": discard_namespace, "description": None, "contextStack": None, "transactionSetting": {"a": None},
                  "logSetting": {"loggingNamespaceId": "grn:log", "other": None}}
        members = {"xGs2AccessToken": None, "xGs2DuplicationAvoider": None, "xGs2RequestId": None, "xGs2DryRun": None}
        item = socket.call(CREATE, fields, **members).ok()["item"]
        assert item["logSetting"]["loggingNamespaceId"] == "grn:log" and not item.get("description")

    def test_time_offset_token_is_a_plain_field_t21(self, socket, namespace):
        where = {"namespaceName": namespace, "userId": "u", "propertyId": "p"}
        socket.call(LOCK_BY_USER, {**where, "transactionId": "t", "ttl": 60}).ok()
        issue = operations.operation("auth", "issueTimeOffsetTokenByUserId")
        token = socket.call(issue, {"userId": "u", "timeOffset": 61}).ok()["token"]
        socket.call(GET_BY_USER, {**where, "timeOffsetToken": token}).refused(404, "lock.mutex.mutex.error.notFound")

    def test_utf8_frames(self, socket, discard_namespace):
        frame = {**CREATE.frame("r", {"name": discard_namespace, "description": "あ𠮷" * 512}),
                 "xGs2ProjectToken": socket.token}
        socket.send(json.dumps(frame, ensure_ascii=False))
        assert socket.receive()["body"]["item"]["description"] == "あ𠮷" * 512


class TestAnswers:
    @pytest.mark.parametrize("request_id", ["10001", "0", "8f14e45f-ceea-4e7a-9c3d-2f1b6f0c1a11", "あ", "x" * 200, "007"])
    def test_request_id_comes_back_t22(self, socket, namespace, request_id):
        frame = {**GET_STATUS.frame(request_id, {"namespaceName": namespace}), "xGs2ProjectToken": socket.token}
        socket.exchange(frame).ok()

    def test_error_frames_t23(self, socket):
        """T-23: the status is the HTTP one, the body the REST error object."""
        for fields, status, message in (
            ({"namespaceName": "absent"}, 404, "lock.namespace.namespace.error.notFound"),
            ({"namespaceName": "a" * 129}, 400, "lock.namespace.namespaceName.error.tooLong"),
            ({}, 400, "lock.namespace.namespaceName.error.require"),
        ):
            socket.call(GET_STATUS, fields).refused(status, message)

    def test_conflict_is_409_t23(self, socket, namespace):
        where = {"namespaceName": namespace, "userId": "u", "propertyId": "p"}
        socket.call(LOCK_BY_USER, {**where, "transactionId": "t"}).ok()
        socket.call(LOCK_BY_USER, {**where, "transactionId": "u"}).refused(409, "lock.mutex.transactionId.error.notMatch")

    @pytest.mark.parametrize("service, component, function", [
        ("nosuch", "namespace", "getNamespace"), ("lock", "nosuch", "getNamespace"), ("lock", "namespace", "nosuch"),
        ("lock", "mutex", "getNamespace"), ("lock", "namespace", "GetNamespace"), ("", "", ""),
    ])
    def test_unknown_targets_t29(self, socket, namespace, service, component, function):
        frame = {**GET_STATUS.frame("r", {"namespaceName": namespace}), "xGs2ProjectToken": socket.token}
        frame["x_gs2"].update(service=service, component=component, function=function)
        socket.exchange(frame).refused(404)
        socket.call(GET_STATUS, {"namespaceName": namespace}).ok()

    @pytest.mark.parametrize("members", [{}, {"xGs2ProjectToken": "garbage"}, {"xGs2ProjectToken": ""},
                                         {"xGs2ProjectToken": None}, {"xGs2ProjectToken": "None"}], ids=repr)
    def test_project_token_e16(self, socket, namespace, members):
        answer = socket.call(GET_STATUS, {"namespaceName": namespace}, authorized=False, **members)
        assert answer.refused(401)[0]["component"] == "projectToken"
        socket.call(GET_STATUS, {"namespaceName": namespace}).ok()

    @pytest.mark.parametrize("garbage", ["", "garbage", "[]", "5", "null", "{}", '{"x_gs2":5}', '{"x_gs2":{}}',
                                         '{"requestId":"r"}', "{" * 10000, '{"x_gs2":{"requestId":5}}'],
                             ids=lambda text: text[:20] or "empty")
    def test_frames_that_cannot_be_read_t29(self, open_socket, namespace, garbage):
        """T-29: the server closes the socket, or answers, or ignores the frame; others go on."""
        hurt, other = open_socket(), open_socket()
        hurt.send(garbage)
        request_id = str(uuid.uuid4())
        frame = {**GET_STATUS.frame(request_id, {"namespaceName": namespace}), "xGs2ProjectToken": hurt.token}
        try:
            hurt.send(frame)
            answer = json.loads(hurt.connection.recv())
            if answer.get("requestId") != request_id:
                error_items(answer["body"])
                answer = json.loads(hurt.connection.recv())
            assert (answer["requestId"], answer["status"]) == (request_id, 200)
        except (websocket.WebSocketConnectionClosedException, ConnectionError, json.JSONDecodeError):
            pass
        assert other.call(GET_STATUS, {"namespaceName": namespace}).ok()["status"] == "ACTIVE"

    def test_too_large_frames_t28(self, open_socket, namespace):
        """T-28: more than 8 MiB ends the socket and nothing else."""
        hurt, other = open_socket(), open_socket()
        with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
            hurt.send("x" * (FRAME_BYTES_MAX + 1))
            opcode, reason = hurt.connection.recv_data(control_frame=True)
            assert opcode == websocket.ABNF.OPCODE_CLOSE and int.from_bytes(reason[:2], "big") == 1009
            raise ConnectionError("closed as expected")
        assert other.call(GET_STATUS, {"namespaceName": namespace}).ok()["status"] == "ACTIVE"

    def test_large_frames_t28(self, socket, namespace):
        """T-28: a frame of 7 MiB is read."""
        frame = {**GET_STATUS.frame("r", {"namespaceName": namespace}), "xGs2ProjectToken": socket.token,
                 "unknown": "x" * (7 * 1024 * 1024)}
        socket.exchange(frame).ok()

    def test_ping_t27(self, socket):
        socket.connection.ping("hello")
        opcode, payload = socket.connection.recv_data(control_frame=True)
        assert (opcode, payload) == (websocket.ABNF.OPCODE_PONG, b"hello")


class TestManyAtOnce:
    def test_every_answer_finds_its_request_t22(self, socket, namespace):
        """T-22: many requests on one socket without waiting; each answer carries its request's id."""
        sent = {}
        for number in range(AT_ONCE):
            request_id = str(uuid.uuid4())
            fields = {"namespaceName": namespace, "userId": f"user-{number % 7}", "propertyId": f"p-{number}",
                      "transactionId": f"t-{number}"}
            sent[request_id] = fields
            socket.send({**LOCK_BY_USER.frame(request_id, fields), "xGs2ProjectToken": socket.token})
        answers = [socket.receive() for _number in range(AT_ONCE)]
        assert {answer["requestId"] for answer in answers} == set(sent)
        for answer in answers:
            fields, item = sent[answer["requestId"]], answer["body"]["item"]
            assert answer["status"] == 200
            assert all(item[name] == fields[name] for name in ("userId", "propertyId", "transactionId"))

    def test_sockets_do_not_mix_t22(self, open_socket, namespace):
        sockets = [open_socket(path) for path in ("/", "/v2", "/")]
        for number, socket in enumerate(sockets):
            fields = {"namespaceName": namespace, "userId": "u", "propertyId": f"p-{number}", "transactionId": "t"}
            socket.send({**LOCK_BY_USER.frame("same-id", fields), "xGs2ProjectToken": socket.token})
        for number, socket in enumerate(sockets):
            assert socket.receive()["body"]["item"]["propertyId"] == f"p-{number}"

    def test_one_mutex_one_holder_l14(self, socket, namespace):
        """L-04, L-14: of many transactions that ask at once, one is granted the mutex."""
        for number in range(50):
            fields = {"namespaceName": namespace, "userId": "u", "propertyId": "p", "transactionId": f"t-{number}"}
            socket.send({**LOCK_BY_USER.frame(str(number), fields), "xGs2ProjectToken": socket.token})
        statuses = sorted(socket.receive()["status"] for _number in range(50))
        assert statuses == [200] + [409] * 49

    def test_one_avoider_counts_once_x03(self, socket, namespace):
        """X-03, L-17: of equal calls at once one is done; the others get its answer or a conflict."""
        fields = {"namespaceName": namespace, "userId": "u", "propertyId": "p", "transactionId": "t"}
        avoider = unique("avoider")
        for number in range(20):
            socket.send({**LOCK_BY_USER.frame(str(number), fields), "xGs2ProjectToken": socket.token,
                         "xGs2DuplicationAvoider": avoider})
        answers = [socket.receive() for _number in range(20)]
        done = [answer["body"]["item"] for answer in answers if answer["status"] == 200]
        assert {answer["status"] for answer in answers} <= {200, 409}
        assert done and all(item == done[0] for item in done)
        where = {name: fields[name] for name in ("namespaceName", "userId", "propertyId")}
        assert socket.call(GET_BY_USER, where).ok()["item"]["referenceCount"] == 1

    def test_the_sdks_asynchronous_calls_t22(self, sdk, namespace):
        """T-22: the SDK's own concurrent calls, on either transport."""
        async def run():
            return await asyncio.gather(*[
                sdk.lock.client.lock_by_user_id_async(sdk.lock.request(
                    "lock_by_user_id", namespace_name=namespace, user_id="u", property_id=f"p-{number}",
                    transaction_id="t"))
                for number in range(32)
            ])

        assert [result.item.property_id for result in asyncio.run(run())] == [f"p-{number}" for number in range(32)]


def test_upgrade_elsewhere_is_refused_t20(environment):
    """T-20: the socket is at `/` and `/v2` only."""
    with pytest.raises(websocket.WebSocketBadStatusException):
        Socket(environment, "/" + unique("nosuch"))
