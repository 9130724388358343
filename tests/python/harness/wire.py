"""Raw bytes to the server, for what other SDKs send and the Python SDK does not."""

import collections
import gzip
import http.client
import json
import socket
import uuid
from dataclasses import dataclass

import websocket

from harness.errors import check_errors, error_items

ANSWER_SECONDS = 10


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict
    raw: bytes

    @property
    def body(self):
        return json.loads(gzip.decompress(self.raw) if self.headers.get("content-encoding") == "gzip" else self.raw)

    def ok(self):
        assert self.status == 200, (self.status, self.raw)
        return self.body

    def refused(self, status, *messages):
        assert self.status == status, (self.status, self.raw)
        return check_errors(self.body, *messages) if messages else error_items(self.body)


class Rest:
    """HTTP requests, byte for byte as given, over one kept connection."""

    def __init__(self, environment, token=None):
        self.environment = environment
        self.token = token
        self._connection = http.client.HTTPConnection(environment.authority, timeout=ANSWER_SECONDS)

    def close(self):
        self._connection.close()

    def request(self, method, target, body=None, headers=None, chunked=False, authorized=True, host=None):
        """Sends `body` (bytes, or an object as JSON) and reads the whole answer."""
        payload = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        lines = {"X-GS2-CLIENT-ID": "anything", "Authorization": f"Bearer {self.token}"} if authorized else {}
        if payload is not None:
            lines["Content-Type"] = "application/json"
        lines.update(headers or {})
        self._connection.putrequest(method, target, skip_host=host is not None, skip_accept_encoding=True)
        if host is not None:
            self._connection.putheader("Host", host)
        for name, value in lines.items():
            self._connection.putheader(name, value)
        if payload is None:
            self._connection.endheaders()
        elif chunked:
            self._connection.putheader("Transfer-Encoding", "chunked")
            middle = len(payload) // 2
            self._connection.endheaders([payload[:middle], payload[middle:]], encode_chunked=True)
        else:
            self._connection.putheader("Content-Length", str(len(payload)))
            self._connection.endheaders(payload)
        response = self._connection.getresponse()
        raw = response.read()
        answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, raw)
        assert "transfer-encoding" not in answer.headers
        assert answer.headers["content-length"] == str(len(raw)), "every answer carries its length"
        return answer

    def call(self, operation, fields, headers=None, **how):
        method, target, own_headers, body = operation.rest(fields)
        return self.request(method, target, body, {**own_headers, **(headers or {})}, **how)


class Socket:
    """A WebSocket with frames as given."""

    def __init__(self, environment, path="/", token=None, receive_buffer=None):
        self.token = token
        options = [(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)] if receive_buffer else []
        self.connection = websocket.create_connection(
            f"ws://{environment.authority}{path}", timeout=ANSWER_SECONDS, sockopt=options)
        self._notifications = collections.deque()

    def close(self):
        self.connection.close()

    def send(self, message):
        self.connection.send(message if isinstance(message, str) else json.dumps(message))

    def receive(self):
        """The next answer; checks what every SDK needs of it (core.json, responseEnvelope)."""
        while True:
            frame = json.loads(self.connection.recv())
            if "requestId" in frame:
                break
            self._notifications.append(frame)
        assert isinstance(frame["requestId"], str)
        assert isinstance(frame["status"], int)
        assert isinstance(frame["body"], dict)
        assert None not in frame.values(), "a key is left out rather than null"
        assert frame.get("type") != "notification"
        return frame

    def notification(self):
        """Body of the next notification; checks what every SDK needs of it (core.json, notificationEnvelope)."""
        frame = self._notifications.popleft() if self._notifications else json.loads(self.connection.recv())
        assert set(frame) <= {"type", "body", "status"} and frame["type"] == "notification"
        assert frame.get("status", 200) == 200
        assert set(frame["body"]) == {"issuer", "subject", "payload"}
        assert all(isinstance(value, str) for value in frame["body"].values())
        return frame["body"]

    def last_words(self):
        """All frames until the server closes the socket, and its code and reason."""
        frames = []
        while True:
            opcode, payload = self.connection.recv_data(control_frame=True)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return frames, (int.from_bytes(payload[:2], "big"), payload[2:].decode())
            if opcode != websocket.ABNF.OPCODE_PING:
                frames.append(json.loads(payload))

    def closed(self):
        """Code and reason with which the server closes the socket; nothing else comes before."""
        frames, close = self.last_words()
        assert frames == [] and not self._notifications
        return close

    def exchange(self, message):
        """Sends one frame and reads its answer."""
        self.send(message)
        frame = self.receive()
        assert frame["requestId"] == message["x_gs2"]["requestId"]
        return Answer(frame["status"], {}, json.dumps(frame["body"]).encode())

    def call(self, operation, fields, authorized=True, **members):
        message = {**operation.frame(str(uuid.uuid4()), fields), **members}
        if authorized:
            message.update(xGs2ClientId="anything", xGs2ProjectToken=self.token)
        return self.exchange(message)
