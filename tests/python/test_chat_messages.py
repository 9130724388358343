"""Chat: messages, posted, listed, got and deleted, over both transports. BEHAVIOUR CH-30 to CH-43."""

import time

import pytest

from harness import operations
from harness.chat import (
    CATEGORY_MAX, DAY_SECONDS, NO_MESSAGE, NO_ROOM, POST, UUID, Member, post_at_once)
from harness.environment import unique
from harness.sdk import BadRequest, Conflict, NotFound

MIXED = "あ𠮷"
DELETE = operations.operation("chat", "deleteMessage")
DESCRIBE = operations.operation("chat", "describeMessagesByUserId")
POSTERS, POSTS = 6, 50
NEVER_MS = 32_503_680_000_000


@pytest.fixture
def room(member):
    return member.room(name="lobby")


@pytest.fixture
def poster(member, rest):
    """Posts many messages without the pauses of the SDK and gives their items."""

    def post(count, room="lobby", **fields):
        where = {"namespaceName": member.namespace, "roomName": room, "userId": member.user}
        return [rest.call(POST, {**where, "metadata": str(number), **fields}).ok()["item"] for number in range(count)]

    return post


class TestPost:
    def test_item_ch30_ch31_n04(self, member, room, environment):
        """CH-30, CH-31, N-04: the message with its poster, its default category and its exact GRN."""
        before = time.time_ns() // 1_000_000
        item = member.post(room, "Hello あ𠮷")
        assert UUID.fullmatch(item.name) and len(item.name) == 36
        assert item.message_id == environment.grn("chat", member.namespace, "room", room, "message", item.name)
        assert (item.room_name, item.user_id, item.category, item.metadata) == (room, member.user, 0, "Hello あ𠮷")
        assert before - 1000 <= item.created_at <= time.time_ns() // 1_000_000 + 1000
        assert isinstance(item.revision, int)
        assert member.message(room, item.name).to_dict() == item.to_dict()
        assert member.other().message(room, item.name).to_dict() == item.to_dict()
        listed, = member.messages(room)
        latest, = member.latest(room).items
        assert listed.to_dict() == latest.to_dict() == item.to_dict()

    def test_text_is_kept_as_it_is_ch30(self, member, room):
        texts = ["あ𠮷" * 512, "𠮷" * 1024, " ", "\n\t\x01", "\u2028\ufeff", "null", "{}", '"', "\\", "👨‍👩‍👧", "5"]
        for text in texts:
            name = member.post(room, text).name
            assert member.message(room, name).metadata == text
        assert member.texts(room) == texts

    def test_text_refused_ch30_e10(self, member, room):
        for text, kind in ((None, "require"), ("𠮷" * 1025, "tooLong"), (5, "invalid"), ("a\0b", "invalid")):
            with member.sdk.refuses(BadRequest, f"chat.message.metadata.error.{kind}"):
                member.post(room, text)
        assert member.messages(room) == []

    def test_no_text_ch30_e04(self, member, room):
        """CH-30, E-04: what is required must not be empty."""
        with member.sdk.refuses(BadRequest, "chat.message.metadata.error.require"):
            member.post(room, "")

    def test_category_ch30(self, member, room):
        for category in (0, 1, CATEGORY_MAX):
            item = member.post(room, category=category)
            assert item.category == member.message(room, item.name).category == category

    def test_category_refused_ch30_e10(self, member, room):
        for category in (-1, CATEGORY_MAX + 1, 2 ** 63, "many", 1.5, True):
            with member.sdk.refuses(BadRequest, "chat.message.category.error.invalid"):
                member.post(room, category=category)
        assert member.messages(room) == []

    def test_everything_wrong_e14(self, member, room):
        with member.sdk.refuses(
            BadRequest, "chat.message.category.error.invalid", "chat.message.metadata.error.tooLong",
            "chat.message.password.error.tooLong",
        ):
            member.post(room, "m" * 1025, category=-1, password="p" * 129)

    def test_whoever_posts_ch31_n17(self, member, room):
        """CH-31, N-17: any user id by the server, the token's user as a player."""
        users = [member.user, "あ𠮷" * 64, " ", "a/b?c#d%20"] if member.who == "me" else [member.user, MIXED * 64, " "]
        for user in users:
            assert member.of(user=user).post(room).user_id == user
        assert [item.user_id for item in member.messages(room)] == users


class TestList:
    def test_oldest_first_from_a_time_on_ch35_ch37(self, member, room):
        """CH-35, CH-37: inclusive, from the oldest one without a time."""
        items = [member.post(room, str(number)) for number in range(5)]
        times = [item.created_at for item in items]
        assert times == sorted(set(times))
        assert member.texts(room) == member.texts(room, start_at=0) == list("01234")
        for number, at in enumerate(times):
            assert member.texts(room, start_at=at) == list("01234")[number:]
            assert member.texts(room, start_at=at + 1) == list("01234")[number + 1:]
            assert member.texts(room, start_at=at, limit=2) == list("01234")[number:number + 2]
        assert member.messages(room, start_at=NEVER_MS) == []

    def test_thirty_by_default_n07(self, member, room, poster):
        names = [item["name"] for item in poster(33)]
        assert [item.name for item in member.messages(room)] == names[:30]
        assert [item.name for item in member.latest(room).items] == names[3:]
        assert [item.name for item in member.paged(room)] == names
        assert [item.name for item in member.messages(room, limit=1000)] == names

    def test_pages_ch35(self, member, room, poster):
        """CH-35: clients go on behind the last message until a page is empty."""
        names = [item["name"] for item in poster(12)]
        for limit in (1, 5, 6, 1000):
            assert [item.name for item in member.paged(room, limit)] == names

    def test_category_ch39(self, member, room):
        """CH-39: one category only; the limit counts what is left."""
        for number in range(9):
            member.post(room, str(number), category=number % 3)
        assert member.texts(room, category=0) == ["0", "3", "6"]
        assert member.texts(room, category=2, limit=2) == ["2", "5"]
        assert member.texts(room, category=3) == []
        assert [item.metadata for item in member.paged(room, 1, category=1)] == ["1", "4", "7"]
        assert member.texts(room) == [str(number) for number in range(9)]

    def test_category_refused_ch39(self, member, room):
        for call in (member.messages, member.latest):
            for category in (-1, CATEGORY_MAX + 1, "many", 1.5):
                with member.sdk.refuses(BadRequest, "chat.message.category.error.invalid"):
                    call(room, category=category)

    def test_start_at_refused_e04(self, member, room):
        for start_at in ("now", 1.5):
            with member.sdk.refuses(BadRequest, "chat.message.startAt.error.invalid"):
                member.messages(room, start_at=start_at)

    def test_rooms_ch01(self, member, room):
        other = member.room()
        name = member.post(room, "here").name
        member.post(other, "there")
        assert (member.texts(room), member.texts(other)) == (["here"], ["there"])
        with member.sdk.refuses(NotFound, NO_MESSAGE):
            member.message(other, name)


class TestLatest:
    def test_newest_ones_oldest_first_ch38(self, member, room):
        """CH-38: the newest `limit`, oldest first within the page; the token leads to older ones."""
        for number in range(8):
            member.post(room, str(number))
        pages, token = [], None
        while True:
            page = member.latest(room, limit=3, page_token=token)
            pages.append([item.metadata for item in page.items])
            token = page.next_page_token
            if token is None:
                break
        assert pages == [["5", "6", "7"], ["2", "3", "4"], ["0", "1"]]

    def test_one_page_ch38(self, member, room):
        for limit in (None, 2, 3):
            page = member.latest(room, limit=limit)
            assert (page.items, page.next_page_token) == ([], None)
        member.post(room, "0")
        member.post(room, "1")
        for limit in (None, 2, 3):
            page = member.latest(room, limit=limit)
            assert ([item.metadata for item in page.items], page.next_page_token) == (["0", "1"], None)

    def test_while_others_post_ch38(self, member, room):
        """CH-38: newer messages do not shift the older pages."""
        for number in range(5):
            member.post(room, str(number))
        page = member.latest(room, limit=2)
        member.post(room, "new")
        older = member.latest(room, limit=2, page_token=page.next_page_token)
        assert [item.metadata for item in older.items] == ["1", "2"]
        oldest = member.latest(room, limit=2, page_token=older.next_page_token)
        assert [item.metadata for item in oldest.items] == ["0"] and oldest.next_page_token is None
        assert [item.metadata for item in member.latest(room, limit=2).items] == ["4", "new"]

    def test_category_ch39(self, member, room):
        for number in range(10):
            member.post(room, str(number), category=number % 2)
        page = member.latest(room, category=1, limit=3)
        assert [item.metadata for item in page.items] == ["5", "7", "9"]
        rest = member.latest(room, category=1, limit=3, page_token=page.next_page_token)
        assert [item.metadata for item in rest.items] == ["1", "3"] and rest.next_page_token is None

    def test_made_up_page_token_n07(self, member, room):
        with member.sdk.refuses(BadRequest, "chat.message.pageToken.error.invalid"):
            member.latest(room, page_token="made up")


class TestOrder:
    """CH-35, CH-36: the times within a room ascend strictly, so that a pager by time loses and repeats nothing."""

    def test_of_posts_at_once_ch36(self, backend, open_socket, threads):
        """CH-35, CH-36: however many post at once; the order of the list is that of the times."""
        room, sockets = backend.room(), [open_socket() for _number in range(POSTERS)]
        where = {"namespaceName": backend.namespace, "roomName": room}
        posting = [
            threads.submit(post_at_once, socket, {**where, "userId": f"user-{number}"}, POSTS)
            for number, socket in enumerate(sockets)]
        posted = {item["name"]: item["createdAt"] for done in posting for item in done.result()}
        times = sorted(posted.values())
        assert len(posted) == len(set(times)) == POSTERS * POSTS
        for limit in (7, 100):
            seen = backend.paged(room, limit)
            assert [item.created_at for item in seen] == times
            assert {item.name: item.created_at for item in seen} == posted

    def test_pager_beside_posters_ch35(self, admin, make_chat, open_socket, rest, threads):
        """CH-35: a client that pages while others post gets every message once."""
        sockets, namespace = [open_socket() for _number in range(POSTERS)], make_chat()
        where = {"namespaceName": namespace, "roomName": Member(admin, namespace).room()}
        posting = [
            threads.submit(post_at_once, socket, {**where, "userId": f"user-{number}"}, POSTS)
            for number, socket in enumerate(sockets)]
        seen, start_at, last = [], 0, False
        while True:
            page = rest.call(DESCRIBE, {**where, "userId": "reader", "startAt": start_at, "limit": 5}).ok()["items"]
            seen += page
            if page:
                start_at = page[-1]["createdAt"] + 1
            elif last:
                break
            last = all(done.done() for done in posting)
        posted = {item["name"]: item["createdAt"] for done in posting for item in done.result()}
        assert len(seen) == POSTERS * POSTS
        assert {item["name"]: item["createdAt"] for item in seen} == posted

    def test_one_after_the_other_ch36(self, member, room, poster):
        """CH-36: who posts next comes next."""
        times = [item["createdAt"] for item in poster(50)]
        assert times == sorted(set(times))
        assert [item.created_at for item in member.messages(room, limit=50)] == times

    def test_rooms_do_not_push_each_other_ch36(self, member, poster):
        """CH-36: the times are those of the clock: a busy room does not carry another one ahead."""
        member.room(name="busy")
        poster(100, room="busy")
        quiet = member.post(member.room()).created_at
        assert quiet <= time.time_ns() // 1_000_000 + 1000


class TestGet:
    def test_unknown_ch42(self, member, room):
        kept = member.post(room).name
        for name in ("absent", "0" * 36, "7d444840-9dc0-41d1-8b38-9a1b4cf0b5c6", "あ" * 36, kept.upper(), kept[:-1]):
            with member.sdk.refuses(NotFound, NO_MESSAGE):
                member.message(room, name)

    def test_of_a_room_that_is_not_there_ch20(self, member):
        with member.sdk.refuses(NotFound, NO_ROOM):
            member.message("absent", "0" * 36)

    def test_too_long_e09(self, member, room):
        with member.sdk.refuses(BadRequest, "chat.message.messageName.error.tooLong"):
            member.message(room, "m" * 37)


class TestDelete:
    """CH-43: the server's call; it names the poster and needs no password."""

    def test_ch43(self, member, room):
        items = [member.post(room, str(number)) for number in range(3)]
        assert member.delete_message(room, items[1].name).to_dict() == items[1].to_dict()
        assert member.texts(room) == ["0", "2"]
        assert [item.metadata for item in member.latest(room).items] == ["0", "2"]
        for call in (member.message, member.delete_message):
            with member.sdk.refuses(NotFound, NO_MESSAGE):
                call(room, items[1].name)

    def test_of_another_poster_ch43(self, member, room):
        name = member.post(room).name
        for user in (unique("other"), member.user.upper()):
            with member.sdk.refuses(NotFound, NO_MESSAGE):
                member.delete_message(room, name, user_id=user)
        assert member.message(room, name).name == name

    def test_needs_no_password_ch43_ch10(self, member):
        """CH-43, CH-10: and so tells no text of a room that has one, and asks for no white list."""
        room = member.room(password="p", white_list_user_ids=[member.user])
        kept = member.post(room, "secret", password="p")
        member.sdk.chat.update_room_from_backend(
            room_name=room, password="q", white_list_user_ids=["somebody-else"], **member.where)
        gone = member.delete_message(room, kept.name)
        assert (gone.name, gone.user_id, gone.created_at) == (kept.name, member.user, kept.created_at)
        assert "secret" not in str(member.sdk.answer)
        assert member.of(user="somebody-else").messages(room, password="q") == []

    def test_unknown_ch43(self, backend):
        for name in ("absent", "0" * 36, "あ" * 36):
            with backend.sdk.refuses(NotFound, NO_MESSAGE):
                backend.delete_message(backend.room(), name)

    def test_missing_room_ch20(self, backend):
        with backend.sdk.refuses(NotFound, NO_ROOM):
            backend.delete_message("absent", "0" * 36)

    def test_the_newest_one_ch36(self, member, room):
        """CH-36: a later message stays later than one that is gone, so that no pager misses it."""
        gone = member.post(room)
        member.delete_message(room, gone.name)
        assert member.post(room).created_at > gone.created_at

    def test_once_x02(self, member, room):
        name = member.post(room).name
        gone = member.delete_message(room, name, duplication_avoider="x")
        assert member.delete_message(room, name, duplication_avoider="x").to_dict() == gone.to_dict()
        with member.sdk.refuses(NotFound, NO_MESSAGE):
            member.delete_message(room, name, duplication_avoider="y")


class TestRetention:
    """CH-40 to CH-42, A-07 to A-09: what has expired at the time that the call sees is gone from every read."""

    def reads(self, member, room, name):
        """What the member sees of a message by each call."""
        try:
            got = [member.message(room, name).name]
        except NotFound:
            got = []
        return got, [item.name for item in member.messages(room)], [item.name for item in member.latest(room).items]

    @pytest.mark.parametrize("days", [1, 30])
    def test_expires_ch40_ch42(self, sdk, member, days):
        sdk.chat.update_namespace(message_life_time_days=days, **member.where)
        room = member.room()
        name = member.post(room).name
        assert self.reads(member.at(days * DAY_SECONDS - 60), room, name) == ([name],) * 3
        later = member.at(days * DAY_SECONDS + 1)
        assert self.reads(later, room, name) == ([],) * 3
        with sdk.refuses(NotFound, NO_MESSAGE):
            later.message(room, name)
        assert self.reads(member, room, name) == ([name],) * 3

    def test_for_new_messages_only_ch41(self, sdk, member):
        """CH-41: a message keeps the lifetime that it was posted with."""
        room = member.room()
        short = member.post(room).name
        sdk.chat.update_namespace(message_life_time_days=3, **member.where)
        long = member.post(room).name
        sdk.chat.update_namespace(message_life_time_days=1, **member.where)
        again = member.post(room).name
        assert [item.name for item in member.messages(room)] == [short, long, again]
        assert [item.name for item in member.at(2 * DAY_SECONDS).messages(room)] == [long]
        assert member.at(4 * DAY_SECONDS).messages(room) == []

    def test_pages_leave_out_what_has_expired_ch40(self, sdk, member, poster):
        room = member.room(name="lobby")
        sdk.chat.update_namespace(message_life_time_days=2, **member.where)
        kept = poster(3)
        sdk.chat.update_namespace(message_life_time_days=1, **member.where)
        poster(5)
        sdk.chat.update_namespace(message_life_time_days=2, **member.where)
        kept += poster(3)
        later = member.at(DAY_SECONDS + 60)
        assert [item.name for item in later.paged(room, 2)] == [item["name"] for item in kept]
        page = later.latest(room, limit=4)
        assert [item.name for item in page.items] == [item["name"] for item in kept[2:]]
        rest = later.latest(room, limit=4, page_token=page.next_page_token)
        assert [item.name for item in rest.items] == [item["name"] for item in kept[:2]]

    def test_an_offset_reaches_no_stored_time_a09(self, member):
        room = member.room()
        item = member.at(10 * DAY_SECONDS).post(room)
        assert item.created_at <= time.time_ns() // 1_000_000 + 1000
        assert member.message(room, item.name).name == item.name


class TestOnce:
    """X-02, X-03: a repeated call with the same avoider posts once."""

    def test_post_x02(self, member, room):
        first = member.post(room, "hello", category=1, duplication_avoider="x")
        for _time in range(2):
            again = member.post(room, "hello", category=1, duplication_avoider="x")
            assert again.to_dict() == first.to_dict()
        assert member.texts(room) == ["hello"]
        for other in ({"metadata": "other", "category": 1}, {"metadata": "hello"}):
            with member.sdk.refuses_with(Conflict):
                member.post(room, duplication_avoider="x", **other)
        member.post(room, "hello", category=1, duplication_avoider="y")
        member.other().post(room, "hello", category=1, duplication_avoider="x")
        assert member.texts(room) == ["hello"] * 3

    def test_many_at_once_x03(self, member, room, socket):
        """X-03: of equal calls at once one is done; the others get its answer or a conflict."""
        fields = {"namespaceName": member.namespace, "roomName": room, "userId": member.user, "metadata": "once"}
        for number in range(20):
            socket.send({**POST.frame(str(number), fields), "xGs2ProjectToken": socket.token,
                         "xGs2DuplicationAvoider": "x"})
        answers = [socket.receive() for _number in range(20)]
        assert {answer["status"] for answer in answers} <= {200, 409}
        item, = member.messages(room)
        assert {answer["body"]["item"]["name"] for answer in answers if answer["status"] == 200} == {item.name}


class TestDryRun:
    def test_t14(self, dry, admin, make_chat):
        """T-14: the answer is the one that would be; nothing is posted or deleted, and no avoider is used up."""
        member = Member(admin, make_chat())
        room = member.room()
        fields = {"namespaceName": member.namespace, "roomName": room, "userId": member.user}
        item = dry(POST, {**fields, "metadata": "dry", "duplicationAvoider": "x"}).ok()["item"]
        assert UUID.fullmatch(item["name"]) and item["metadata"] == "dry"
        assert member.messages(room) == []
        kept = member.post(room, "kept", duplication_avoider="x")
        dry(POST, {**fields, "roomName": "absent", "metadata": "dry"}).refused(404, NO_ROOM)
        gone = dry(DELETE, {**fields, "messageName": kept.name}).ok()["item"]
        assert gone["name"] == kept.name and member.texts(room) == ["kept"]
