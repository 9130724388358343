"""Rooms, who talks in them, and what their members are told (BEHAVIOUR section 7)."""

import json
import re
import uuid

from gs2.chat import NotificationSetting, NotificationType, ScriptSetting

from harness import operations
from harness.environment import unique

NO_NAMESPACE = "chat.namespace.namespace.error.notFound"
NO_ROOM = "chat.room.room.error.notFound"
NO_MESSAGE = "chat.message.message.error.notFound"
NO_SUBSCRIPTION = "chat.subscribe.subscribe.error.notFound"
# The special codes of the service (E-11, CH-21, CH-22).
NOT_ALLOWED = "chat.room.allowUserIds.error.notInclude"
PASSWORD_REQUIRED = "chat.room.password.error.require"
PASSWORD_WRONG = "chat.room.password.error.invalid"

# Of any version: the protocol says no more of the names of messages (CH-30).
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

POST = operations.operation("chat", "postByUserId")
CATEGORY_MAX = 2_147_483_645
DAY_SECONDS = 24 * 3600


def notification_type(category=None, push=None):
    """One category that a subscriber wants to hear of (CH-50)."""
    made = NotificationType()
    if category is not None:
        made.with_category(category)
    return made if push is None else made.with_enable_transfer_mobile_push_notification(push)


def types(*categories):
    return [notification_type(category) for category in categories]


def tells(environment, gateway, **members):
    """A setting that tells subscribers through a Gateway namespace (CH-54)."""
    setting = NotificationSetting().with_gateway_namespace_id(environment.grn("gateway", gateway))
    for name, value in members.items():
        getattr(setting, f"with_{name}")(value)
    return setting


def hook(**members):
    """What is done around a change (CH-70)."""
    setting = ScriptSetting()
    for name, value in members.items():
        getattr(setting, f"with_{name}")(value)
    return setting


def payloads(socket, count):
    """What the next notifications to an SDK's socket say, as objects."""
    return [json.loads(body["payload"]) for body in socket.notifications(count)]


class Member:
    """One user in a namespace of Chat. What a player may do is done as the player (`me`) or by user id, at a time offset
    if given. `maker` prepares what is not under test: the SDK waits in its sockets longer than the server takes."""

    def __init__(self, sdk, namespace, who="by_user_id", user=None, offset=0, maker=None):
        self.sdk, self.namespace, self.who, self.maker = sdk, namespace, who, maker or sdk
        self.user = user or unique("user")
        self.where = {"namespace_name": namespace}
        if who == "me":
            self.identity = {"access_token": self.maker.auth.login(user_id=self.user, time_offset=offset).token}
        else:
            self.identity = {"user_id": self.user}
            if offset:
                token = self.maker.auth.issue_time_offset_token_by_user_id(user_id=self.user, time_offset=offset).token
                self.identity["time_offset_token"] = token

    def of(self, user=None, namespace=None, who=None):
        """Another user, or this one elsewhere."""
        return Member(
            self.sdk, namespace or self.namespace, who or self.who, user or self.user, maker=self.maker)

    def other(self):
        return self.of(user=unique("other"))

    def at(self, offset):
        """This user so many seconds later."""
        return Member(self.sdk, self.namespace, self.who, self.user, offset, self.maker)

    def _call(self, operation, **fields):
        suffix = "" if self.who == "me" else "_by_user_id"
        return getattr(self.sdk.chat, operation + suffix)(**self.where, **self.identity, **fields)

    def _call_room(self, operation, **fields):
        suffix = "" if self.who == "me" else "_from_backend"
        return getattr(self.sdk.chat, operation + suffix)(**self.where, **self.identity, **fields).item

    # Rooms

    def create_room(self, name=None, **fields):
        return self._call_room("create_room", name=name, **fields)

    def update_room(self, room, **fields):
        return self._call_room("update_room", room_name=room, **fields)

    def delete_room(self, room, **fields):
        return self._call_room("delete_room", room_name=room, **fields)

    def get_room(self, room):
        return self.sdk.chat.get_room(room_name=room, **self.where).item

    def rooms(self, **fields):
        """Names of the rooms of a page."""
        return [item.name for item in self.sdk.chat.describe_rooms(**self.where, **fields).items]

    def room(self, **fields):
        """The name of a new room that belongs to nobody, whatever players may create."""
        return self.maker.chat.create_room_from_backend(**self.where, **fields).item.name

    # Messages

    def post(self, room, metadata="text", **fields):
        return self._call("post", room_name=room, metadata=metadata, **fields).item

    def messages(self, room, **fields):
        return self._call("describe_messages", room_name=room, **fields).items

    def latest(self, room, **fields):
        """The page, with its token."""
        return self._call("describe_latest_messages", room_name=room, **fields)

    def message(self, room, name, **fields):
        return self._call("get_message", room_name=room, message_name=name, **fields).item

    def delete_message(self, room, name, **fields):
        fields = {"user_id": self.user, **fields}
        return self.sdk.chat.delete_message(room_name=room, message_name=name, **self.where, **fields).item

    def texts(self, room, **fields):
        return [item.metadata for item in self.messages(room, **fields)]

    def paged(self, room, limit=None, **fields):
        """All messages as clients page through them (CH-35): from the last one's time on until a page is empty."""
        seen = []
        while True:
            start_at = seen[-1].created_at + 1 if seen else None
            page = self.messages(room, start_at=start_at, limit=limit, **fields)
            if not page:
                return seen
            seen += page

    # Subscriptions

    def subscribe(self, room, notification_types=None, **fields):
        return self._call("subscribe", room_name=room, notification_types=notification_types, **fields).item

    def update_types(self, room, notification_types=None, **fields):
        return self._call(
            "update_notification_type", room_name=room, notification_types=notification_types, **fields).item

    def unsubscribe(self, room, **fields):
        return self._call("unsubscribe", room_name=room, **fields).item

    def subscription(self, room):
        return self._call("get_subscribe", room_name=room).item

    def subscriptions(self, **fields):
        """The page of this user's subscriptions."""
        return self._call("describe_subscribes", **fields)

    def subscribed(self, **fields):
        """Names of the rooms of a page."""
        return [item.room_name for item in self.subscriptions(**fields).items]

    def subscribers(self, room, **fields):
        """The page of a room's subscriptions."""
        return self.sdk.chat.describe_subscribes_by_room_name(room_name=room, **self.where, **fields)


def post_at_once(socket, fields, count):
    """Posts so many messages without waiting for the answers in between; gives them in the order of their times."""
    for number in range(count):
        socket.send({**POST.frame(str(uuid.uuid4()), {**fields, "metadata": str(number)}),
                     "xGs2ProjectToken": socket.token})
    answers = [socket.receive() for _number in range(count)]
    assert {answer["status"] for answer in answers} == {200}, answers
    return sorted((answer["body"]["item"] for answer in answers), key=lambda item: item["createdAt"])
