"""The sockets of players, over the transport under test (BEHAVIOUR section 6)."""

import re
import time

from harness import operations
from harness.environment import unique
from harness.wire import Rest

SET_USER_ID = operations.operation("gateway", "setUserId")
SET_USER_ID_BY_USER_ID = operations.operation("gateway", "setUserIdByUserId")
GET_SESSION = operations.operation("gateway", "getWebSocketSession")
GET_BY_CONNECTION_ID = operations.operation("gateway", "getWebSocketSessionByConnectionId")
SEND = operations.operation("gateway", "sendNotification")

# Codes and reasons with which the server closes a socket (G-15).
DISCONNECTED = (4001, "disconnected by administrator")
REPLACED = (4002, "replaced by new session")

DEADLINE_SECONDS = 10
POLL_SECONDS = 0.01


def wait_until(condition):
    """Waits for what follows a closed socket; nothing tells us when."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(POLL_SECONDS)


def recorded_pushes(environment):
    """How many mobile notifications the server has recorded instead of sending them (G-52)."""
    rest = Rest(environment)
    text = rest.request("GET", "/metrics", authorized=False).raw.decode()
    rest.close()
    found = re.search(r'^hiroba_mobile_notifications_total\{outcome="recorded"\} (\d+)$', text, re.MULTILINE)
    return int(found.group(1)) if found else 0


class Sessions:
    """Binds sockets to players as the player (`me`) or by user id.

    Over WebSocket each socket makes the call itself; over REST the call names the socket (G-03), whose id is known from
    a binding in another namespace.
    """

    def __init__(self, sdk, who, gateway, elsewhere):
        self.sdk, self.who, self.gateway, self._elsewhere = sdk, who, gateway, elsewhere
        self._connection_ids = {}

    def caller(self, socket):
        """Whoever makes the call that binds this socket."""
        return self.sdk if self.sdk.transport == "rest" else socket

    def bind(self, socket, user, namespace=None, **fields):
        """The item of the answer as it came."""
        fields["namespaceName"] = namespace or self.gateway
        if self.who == "me":
            fields["accessToken"] = self.sdk.auth.login(user_id=user).token
        else:
            fields["userId"] = user
        if self.sdk.transport == "rest":
            fields["connectionId"] = self.connection_id(socket)
        caller = self.caller(socket)
        caller.call(SET_USER_ID if self.who == "me" else SET_USER_ID_BY_USER_ID, fields)
        return caller.answer["item"]

    def connection_id(self, socket):
        if socket not in self._connection_ids:
            bound = socket.gateway.set_user_id_by_user_id(namespace_name=self._elsewhere, user_id=unique("nobody"))
            self._connection_ids[socket] = bound.item.connection_id
        return self._connection_ids[socket]

    def describe(self, user, namespace=None, **fields):
        """The items of a page as they came."""
        fields["namespace_name"] = namespace or self.gateway
        if self.who == "me":
            token = self.sdk.auth.login(user_id=user).token
            self.sdk.gateway.describe_web_socket_sessions(access_token=token, **fields)
        else:
            self.sdk.gateway.describe_web_socket_sessions_by_user_id(user_id=user, **fields)
        return self.sdk.answer["items"]

    def send(self, user, namespace=None, subject="subject", payload="payload", **fields):
        return self.sdk.gateway.send_notification(
            namespace_name=namespace or self.gateway, user_id=user, subject=subject, payload=payload, **fields)
