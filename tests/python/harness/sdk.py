"""The official Python SDK over either transport, called by operation name and keyword fields.

The SDK itself is untouched. Its HTTP session and its WebSocket offer hooks through which the raw answer is
kept as well, since the SDK's models drop members that newer or older versions know.
"""

import json
import queue
import threading
import uuid
from contextlib import contextmanager

import pytest
from gs2 import auth, chat, core, distributor, gateway, identifier, job_queue, key, lock, log, script

from harness.errors import check_errors

BadRequest = core.BadRequestException
Conflict = core.ConflictException
InternalError = core.InternalServerErrorException
NotFound = core.NotFoundException
QuotaExceeded = core.QuotaExceedException
Unauthorized = core.UnauthorizedException

TRANSPORTS = ("rest", "websocket")
ANSWER_SECONDS = 30
MODULES = {
    "lock": (lock, lock.Gs2LockRestClient, lock.Gs2LockWebSocketClient),
    "gateway": (gateway, gateway.Gs2GatewayRestClient, gateway.Gs2GatewayWebSocketClient),
    "auth": (auth, auth.Gs2AuthRestClient, auth.Gs2AuthWebSocketClient),
    "identifier": (identifier, identifier.Gs2IdentifierRestClient, identifier.Gs2IdentifierWebSocketClient),
    "script": (script, script.Gs2ScriptRestClient, script.Gs2ScriptWebSocketClient),
    "jobQueue": (job_queue, job_queue.Gs2JobQueueRestClient, job_queue.Gs2JobQueueWebSocketClient),
    "chat": (chat, chat.Gs2ChatRestClient, chat.Gs2ChatWebSocketClient),
    "distributor": (distributor, distributor.Gs2DistributorRestClient, distributor.Gs2DistributorWebSocketClient),
    "key": (key, key.Gs2KeyRestClient, key.Gs2KeyWebSocketClient),
    "log": (log, log.Gs2LogRestClient, log.Gs2LogWebSocketClient),
}

# (transport, service, operation) that succeeded at least once in this run.
succeeded = set()
# Sessions not closed yet: an SDK session over REST keeps the process alive until it is closed.
open_sessions = []


class ListeningSession(core.Gs2WebSocketSession):
    """The SDK's socket with its override for notifications (core.json, notificationEnvelope)."""

    def __init__(self, *args, **named):
        super().__init__(*args, **named)
        self.notifications = queue.Queue()

    def on_notification(self, message):
        self.notifications.put(message)


class _Plain:
    """A result type for calls that the Python SDK cannot make: the answer as it came."""

    @staticmethod
    def from_dict(data):
        return data


class Service:
    def __init__(self, sdk, name):
        self._sdk = sdk
        self._name = name
        self._module, *clients = MODULES[name]
        self.client = clients[TRANSPORTS.index(sdk.transport)](sdk.session)

    def __getattr__(self, operation):
        def call(**fields):
            result = getattr(self.client, operation)(self.request(operation, **fields))
            succeeded.add((self._sdk.transport, self._name, operation))
            return result

        return call

    def request(self, operation, **fields):
        title = "".join(word.capitalize() for word in operation.split("_"))
        request = getattr(self._module, f"{title}Request")()
        for field, value in fields.items():
            getattr(request, f"with_{field}")(value)
        return request


class Sdk:
    """One session of the SDK with the clients of every service on it."""

    def __init__(self, environment, transport, credential):
        session_type = core.Gs2RestSession if transport == "rest" else ListeningSession
        self.transport = transport
        self.environment = environment
        self.session = session_type(credential, environment.region, steady_endpoint=environment.url)
        self.answer = None
        self.session.connect()
        open_sessions.append(self)
        self._keep_answers()
        self.lock = Service(self, "lock")
        self.gateway = Service(self, "gateway")
        self.auth = Service(self, "auth")
        self.identifier = Service(self, "identifier")
        self.script = Service(self, "script")
        self.job_queue = Service(self, "jobQueue")
        self.chat = Service(self, "chat")
        self.distributor = Service(self, "distributor")
        self.key = Service(self, "key")
        self.log = Service(self, "log")

    @staticmethod
    def login(environment, transport, client_id=None, client_secret=None):
        return Sdk(environment, transport, core.BasicGs2Credential(
            client_id or environment.client_id, client_secret or environment.client_secret))

    @staticmethod
    def with_token(environment, transport, token):
        return Sdk(environment, transport, core.ProjectTokenGs2Credential(environment.owner_id, token))

    def close(self):
        self.session.disconnect()
        if self in open_sessions:
            open_sessions.remove(self)

    @property
    def token(self):
        return self.session.project_token

    def _keep_answers(self):
        connection = self.session.connection
        if self.transport == "rest":
            def keep_response(response, *_args, **_kwargs):
                self.answer = json.loads(response.content)

            connection.hooks["response"].append(keep_response)
            return

        deliver = connection.on_message

        def keep_message(socket, message):
            frame = json.loads(message)
            if "requestId" in frame:
                self.answer = frame.get("body")
            deliver(socket, message)

        connection.on_message = keep_message

    def notifications(self, count):
        """The next notifications; none of them may be missing, and there are no more of them now."""
        received = [self.session.notifications.get(timeout=ANSWER_SECONDS) for _number in range(count)]
        assert self.session.notifications.empty(), self.session.notifications.get()
        return received

    @contextmanager
    def refuses(self, exception, *messages):
        """The call inside fails with this SDK exception and exactly these errors in this order."""
        with pytest.raises(core.Gs2Exception) as caught:
            yield
        assert type(caught.value) is exception, f"{type(caught.value).__name__}: {caught.value}"
        items = check_errors(self.answer, *messages)
        read = [(e.component, e.message, e.code) for e in caught.value.errors]
        assert read == [(i["component"], i["message"], i["code"]) for i in items]

    @contextmanager
    def refuses_with(self, exception, component=None, suffix=""):
        """As `refuses`, where the full message is the server's choice."""
        with pytest.raises(core.Gs2Exception) as caught:
            yield
        assert type(caught.value) is exception, f"{type(caught.value).__name__}: {caught.value}"
        first = caught.value.errors[0]
        assert component is None or first.component == component, first.component
        assert first.message.endswith(suffix), first.message
        assert first.message.startswith(tuple(MODULES)) and first.code

    def service(self, operation):
        """The client of the operation's service."""
        return getattr(self, _snake(operation.service))

    def call(self, operation, fields):
        """Calls an operation of the catalogue with camelCase fields.

        What the SDK has dropped or cannot send goes through its session (G-03: no SDK sends a `connectionId`).
        """
        if operation.retired or "connectionId" in fields:
            return self._call_raw(operation, fields)
        snake = {_snake(field): value for field, value in fields.items()}
        return getattr(self.service(operation), operation.snake)(**snake)

    def _call_raw(self, operation, fields):
        client = self.service(operation).client
        answered, results = threading.Event(), []

        def callback(result):
            results.append(result)
            answered.set()

        if self.transport == "rest":
            method, target, headers, body = operation.rest(fields)
            self.session.send(core.rest.NetworkJob(
                url=self.environment.url + target, method=method, result_type=_Plain, callback=callback, body=body,
                headers={**client._create_authorized_headers(), **headers},
            ), is_blocking=True)
        else:
            request_id = str(uuid.uuid4())
            self.session.send(core.web_socket.NetworkJob(
                request_id=request_id, result_type=_Plain, callback=callback,
                body={**operation.frame(request_id, fields), **client._create_authorized_bodies()},
            ))
        assert answered.wait(ANSWER_SECONDS), "no answer"
        if results[0].error:
            raise results[0].error
        succeeded.add((self.transport, operation.service, operation.snake))
        return results[0].result


def _snake(field):
    return "".join("_" + c.lower() if c.isupper() else c for c in field)
