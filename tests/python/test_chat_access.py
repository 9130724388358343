"""Chat: who may read and write in a room, for every call about messages. BEHAVIOUR CH-01, CH-10, CH-20 to CH-23."""

import pytest

from harness import operations
from harness.chat import (
    NO_MESSAGE, NO_NAMESPACE, NO_ROOM, NOT_ALLOWED, PASSWORD_REQUIRED, PASSWORD_WRONG, Member)
from harness.environment import unique
from harness.sdk import BadRequest, NotFound, Unauthorized

CALLS = {
    "post": Member.post,
    "describe": Member.messages,
    "latest": Member.latest,
    "get": lambda member, room, **fields: member.message(room, fields.pop("name", "0" * 36), **fields),
}


@pytest.fixture(params=CALLS)
def call(request):
    """One of the four calls, each of which the players and the server have."""
    return CALLS[request.param]


def passes(member, call, room, **fields):
    """The call gets as far as the messages: only the message that it asks for may be missing."""
    if call is CALLS["get"]:
        with member.sdk.refuses(NotFound, NO_MESSAGE):
            call(member, room, **fields)
    else:
        call(member, room, **fields)


class TestOrder:
    """CH-20: namespace, room, white list, password, in this order."""

    def test_a_room_for_everybody_ch01_ch22(self, member, call):
        """CH-01, CH-22: whoever knows the name may, nobody joins; a room without a password takes any."""
        room = member.room()
        passes(member, call, room)
        passes(member.other(), call, room, password="any")

    def test_missing_room_ch20(self, member, call):
        """CH-20, E-08: also with a password, also when the namespace is missing as well."""
        for fields in ({}, {"password": "p"}):
            with member.sdk.refuses(NotFound, NO_ROOM):
                call(member, "absent", **fields)
        with member.sdk.refuses(NotFound, NO_NAMESPACE):
            call(member.of(namespace=unique("absent")), "absent")

    def test_white_list_ch21(self, member, call):
        """CH-21: exactly those who stand in it; the owner is not implied."""
        owner = member.other()
        room = owner.create_room(white_list_user_ids=["somebody", member.user]).name
        passes(member, call, room)
        for user in (owner.user, member.user.upper(), member.user[:-1], member.user + " "):
            with member.sdk.refuses(BadRequest, NOT_ALLOWED):
                call(member.of(user=user), room)

    def test_an_empty_white_list_is_everybody_ch21(self, member, call):
        room = member.create_room(white_list_user_ids=[]).name
        passes(member.other(), call, room)
        member.update_room(room, white_list_user_ids=["somebody-else"])
        with member.sdk.refuses(BadRequest, NOT_ALLOWED):
            call(member, room)
        member.update_room(room, white_list_user_ids=[])
        passes(member, call, room)

    def test_password_ch20_ch22_ch10(self, member, call):
        """CH-20, CH-22, CH-10: after the white list; everybody needs it, the owner and the server too."""
        password = ("𠮷あ p&=?" * 128)[:128]
        owner, outsider = member.other(), member.other()
        room = owner.create_room(password=password, white_list_user_ids=[owner.user, member.user]).name
        for given in (None, "wrong", password):
            with member.sdk.refuses(BadRequest, NOT_ALLOWED):
                call(outsider, room, password=given)
        for one, wrong in ((owner, password[:-1]), (member, password.upper())):
            for given in (None, ""):
                with member.sdk.refuses(BadRequest, PASSWORD_REQUIRED):
                    call(one, room, password=given)
            with member.sdk.refuses(BadRequest, PASSWORD_WRONG):
                call(one, room, password=wrong)
            passes(one, call, room, password=password)
        with member.sdk.refuses(BadRequest, "chat.message.password.error.tooLong"):
            call(member, room, password=password + "x")


class TestGet:
    def test_a_message_behind_a_password_ch20_ch10(self, member):
        """CH-20, CH-10: who may not read the room learns nothing about a message."""
        room = member.room(password="p", white_list_user_ids=[member.user])
        name = member.post(room, password="p").name
        for sought in (name, "0" * 36):
            with member.sdk.refuses(BadRequest, NOT_ALLOWED):
                member.other().message(room, sought, password="p")
            with member.sdk.refuses(BadRequest, PASSWORD_REQUIRED):
                member.message(room, sought)
            with member.sdk.refuses(BadRequest, PASSWORD_WRONG):
                member.message(room, sought, password="wrong")
        assert member.message(room, name, password="p").name == name

    def test_what_was_refused_was_not_posted_ch20(self, member):
        room = member.room(password="p", white_list_user_ids=[member.user])
        for one, password in ((member.other(), "p"), (member, None), (member, "wrong")):
            with member.sdk.refuses_with(BadRequest, "room"):
                one.post(room, password=password)
        assert member.texts(room, password="p") == []


class TestWithoutAccessToken:
    """CH-23: players read what is for everybody without saying who they are; they never write so (A-10)."""

    @pytest.fixture(params=["describeMessages", "describeLatestMessages", "getMessage"])
    def read(self, request, sdk):
        """Reads and gives the names of what was found."""
        operation = operations.operation("chat", request.param)

        def read_(member, room, name="0" * 36, **fields):
            if "messageName" in operation.fields:
                fields["messageName"] = name
            answer = sdk.call(operation, {"namespaceName": member.namespace, "roomName": room, **fields})
            return [item.name for item in ([answer.item] if "messageName" in fields else answer.items)]

        return read_

    def test_everybody_ch23(self, backend, read):
        room = backend.room()
        name = backend.post(room).name
        assert read(backend, room, name) == [name]

    def test_white_list_ch23_ch21(self, backend, read):
        room = backend.room(white_list_user_ids=["somebody"], password="p")
        for fields in ({}, {"password": "p"}):
            with backend.sdk.refuses(BadRequest, NOT_ALLOWED):
                read(backend, room, **fields)

    def test_password_ch22(self, backend, read):
        room = backend.room(password="p")
        name = backend.post(room, password="p").name
        with backend.sdk.refuses(BadRequest, PASSWORD_REQUIRED):
            read(backend, room, name)
        with backend.sdk.refuses(BadRequest, PASSWORD_WRONG):
            read(backend, room, name, password="wrong")
        assert read(backend, room, name, password="p") == [name]

    def test_missing_ch20(self, backend, read):
        with backend.sdk.refuses(NotFound, NO_ROOM):
            read(backend, "absent")
        with backend.sdk.refuses(NotFound, NO_NAMESPACE):
            read(backend.of(namespace=unique("absent")), "absent")

    def test_a_wrong_one_is_refused_e16(self, backend, read):
        """E-16: a token that is given must be right, also where none is needed."""
        with backend.sdk.refuses(Unauthorized, "chat.accessToken.accessToken.error.invalid"):
            read(backend, backend.room(), accessToken="garbage")

    @pytest.mark.parametrize("name", ["post", "subscribe", "createRoom"])
    def test_not_for_what_changes_a10(self, backend, name):
        operation = operations.operation("chat", name)
        given = {"roomName": backend.room()} if "roomName" in operation.fields else {}
        with backend.sdk.refuses(BadRequest, "chat.accessToken.accessToken.error.require"):
            backend.sdk.call(operation, operation.sample(namespaceName=backend.namespace, **given))
