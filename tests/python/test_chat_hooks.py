"""Chat: scripts before and after a change. BEHAVIOUR CH-70 to CH-74, SC-08, SC-30, SC-31."""

import json

import pytest

from harness.chat import POST, Member, hook, types
from harness.errors import error_items
from harness.jobs import Queue, poll
from harness.sdk import BadRequest, Conflict, InternalError, NotFound

PERMIT = "result = {permit = true}"
DENY = "result = {permit = false}"
FAILING = (
    ("fail(409, 'the hall is closed')", Conflict), ("fail(400, 'no')", BadRequest), ("fail(500, 'oh')", InternalError),
    ("result = {permit = nothing.at.all}", InternalError), ("result = {}", InternalError),
    ("result = {permit = 'yes'}", InternalError), ("result = {permit = true} fail(409, 'the hall is closed')", Conflict),
)
# Writes its arguments down as a job of the witness and permits.
WITNESS = """
local seen = gs2('job_queue').push_by_user_id({namespaceName = '%s', userId = '%s', jobs = {
    {scriptId = 'grn:seen', args = util.table_to_json(args).result}}})
if seen.isError then fail(seen.statusCode, seen.errorMessage) end
result = {permit = true}
"""
# What a hook is called, and the model that a refusal names (CH-72).
HOOKS = {
    "post": ("post_message_script", "message"),
    "create": ("create_room_script", "room"),
    "delete": ("delete_room_script", "room"),
    "subscribe": ("subscribe_room_script", "subscribe"),
    "unsubscribe": ("unsubscribe_room_script", "subscribe"),
}


class Change:
    """One of the five changes that have hooks, by one user to one room."""

    def __init__(self, kind, member, scripts):
        self.kind, self.member, self.scripts = kind, member, scripts
        self.setting, self.model = HOOKS[kind]
        self.refused = f"chat.{self.model}.script.error.failed"
        self.room = "lobby"
        if kind != "create":
            member.create_room(self.room)
        if kind == "unsubscribe":
            member.subscribe(self.room, types(5))

    def hook(self, **members):
        """Sets this hook and no other one."""
        self.member.maker.chat.update_namespace(**{self.setting: hook(**members)}, **self.member.where)

    def before(self, source):
        script_id = self.scripts.store(source)
        self.hook(trigger_script_id=script_id)
        return script_id

    def make(self, **fields):
        member, room = self.member, self.room
        return {
            "post": lambda: member.post(room, "hello", category=3, **fields),
            "create": lambda: member.create_room(room, metadata="hello", **fields),
            "delete": lambda: member.delete_room(room, **fields),
            "subscribe": lambda: member.subscribe(room, types(5), **fields),
            "unsubscribe": lambda: member.unsubscribe(room, **fields),
        }[self.kind]()

    def made(self):
        """Whether the change is there to be seen."""
        member = Member(self.member.maker, self.member.namespace, user=self.member.user)
        rooms, subscribed = member.rooms(), member.subscribed()
        return {
            "post": lambda: member.texts(self.room) == ["hello"],
            "create": lambda: rooms == [self.room],
            "delete": lambda: rooms == [],
            "subscribe": lambda: subscribed == [self.room],
            "unsubscribe": lambda: subscribed == [],
        }[self.kind]()


@pytest.fixture(params=HOOKS)
def change(request, member, scripts):
    return Change(request.param, member, scripts)


@pytest.fixture(params=HOOKS)
def by_server(request, admin, make_chat, scripts):
    """As `change`, where it does not matter who makes it and how."""
    return Change(request.param, Member(admin, make_chat()), scripts)


@pytest.fixture
def witness(admin, make_queue):
    """A queue of a player who writes down what scripts see; nothing in it runs."""
    queue = Queue(admin, make_queue())
    queue.source = WITNESS % (queue.namespace, queue.user)

    def seen(count):
        """The arguments so far once there are so many of them."""
        poll(lambda: True if len(queue.names()) >= count else None)
        jobs = admin.job_queue.describe_jobs_by_user_id(**queue.server).items
        assert len(jobs) == count
        return [json.loads(job.args) for job in jobs]

    queue.seen = seen
    return queue


class TestBefore:
    """CH-71 to CH-73: the script before a change decides about it and nothing else."""

    def test_permits_and_denies_ch71_ch72(self, change):
        change.before(DENY)
        for _time in range(2):
            with change.member.sdk.refuses(BadRequest, change.refused):
                change.make()
            assert not change.made()
        change.before(PERMIT)
        change.make()
        assert change.made()

    def test_fails_ch72(self, by_server):
        """CH-72: with the status that it gives to `fail`, with 500 after an error of its own or when it does not say
        whether it permits, or is not there; nothing is changed."""
        for source, kind in FAILING:
            by_server.before(source)
            with by_server.member.sdk.refuses(kind, by_server.refused):
                by_server.make()
            assert ("the hall is closed" in error_items(by_server.member.sdk.answer)[0]["detail"]) == (kind is Conflict)
        by_server.hook(trigger_script_id=by_server.scripts.absent())
        with by_server.member.sdk.refuses(InternalError, by_server.refused):
            by_server.make()
        assert not by_server.made()

    def test_arguments_ch71(self, change, witness):
        """CH-71: the namespace, the room, and the message or the subscription that would be; before the change."""
        change.before(witness.source)
        change.make()
        seen, = witness.seen(1)
        member = change.member
        assert seen["namespace"]["name"] == member.namespace
        assert (seen["room"]["name"], seen["room"]["userId"]) == ("lobby", member.user)
        if change.kind == "post":
            assert (seen["message"]["userId"], seen["message"]["roomName"]) == (member.user, "lobby")
            assert (seen["message"]["metadata"], seen["message"]["category"]) == ("hello", 3)
            assert not {"name", "messageId"} & set(seen["message"])
        if change.kind in ("subscribe", "unsubscribe"):
            assert (seen["subscribe"]["userId"], seen["subscribe"]["roomName"]) == (member.user, "lobby")
            assert [one["category"] for one in seen["subscribe"]["notificationTypes"]] == [5]
        assert ("message" in seen, "subscribe" in seen) == (
            change.kind == "post", change.kind in ("subscribe", "unsubscribe"))

    def test_overrides_nothing_ch73(self, by_server):
        """CH-73: what else the script answers or does to its arguments changes nothing."""
        by_server.before("""
            for _, what in pairs(args) do what.metadata = 'other' what.name = 'other' what.category = 9 end
            result = {permit = true, metadata = 'other', overrideMetadata = 'other', name = 'other'}
        """)
        by_server.make()
        assert by_server.made()

    def test_decides_by_its_arguments_ch71(self, member, scripts):
        """CH-71: a word that nobody may write."""
        source = "result = {permit = not args.message.metadata:find('bad') and args.message.category == 0}"
        member.sdk.chat.update_namespace(
            post_message_script=hook(trigger_script_id=scripts.store(source)), **member.where)
        room = member.room()
        member.post(room, "good")
        for fields in ({"metadata": "a bad word"}, {"metadata": "good", "category": 1}):
            with member.sdk.refuses(BadRequest, "chat.message.script.error.failed"):
                member.post(room, **fields)
        assert member.texts(room) == ["good"]

    def test_runs_before_the_change_ch71(self, by_server):
        """CH-71: the script itself does not find what is not done yet."""
        source = f"""
            local chat = gs2('chat')
            local where = {{namespaceName = '{by_server.member.namespace}', roomName = 'lobby',
                userId = '{by_server.member.user}'}}
            local room, subscribed = chat.get_room(where), chat.get_subscribe_by_user_id(where)
            local messages = chat.describe_messages_by_user_id(where)
            local state = {{
                post = not messages.isError and #messages.result.items == 0, create = room.isError,
                delete = not room.isError, subscribe = subscribed.isError, unsubscribe = not subscribed.isError}}
            result = {{permit = state['{by_server.kind}']}}
        """
        by_server.before(source)
        by_server.make()
        assert by_server.made()

    def test_other_changes_do_not_ask_it_ch70(self, by_server):
        """CH-70: each hook is for one kind of change."""
        by_server.before(DENY)
        sdk, member = by_server.member.sdk, by_server.member.other()
        steps = {"create": member.create_room, "subscribe": member.subscribe, "post": member.post,
                 "unsubscribe": member.unsubscribe, "delete": member.delete_room}
        refused = []
        for kind, step in steps.items():
            try:
                step("another")
            except BadRequest:
                assert [item["message"] for item in error_items(sdk.answer)] == [by_server.refused]
                refused.append(kind)
            except NotFound:
                # What was not created or subscribed cannot be used or taken back.
                assert refused
        assert refused == [by_server.kind]

    def test_of_the_server_ch70(self, backend, scripts):
        """CH-70: also rooms of nobody are asked for."""
        script_id = scripts.store("result = {permit = args.room.userId == nil and args.room.name == 'hall'}")
        for setting in ("create_room_script", "delete_room_script"):
            backend.sdk.chat.update_namespace(**{setting: hook(trigger_script_id=script_id)}, **backend.where)
            if setting == "create_room_script":
                assert backend.room(name="hall") == "hall"
                with backend.sdk.refuses(BadRequest, "chat.room.script.error.failed"):
                    backend.sdk.chat.create_room_from_backend(name="lobby", **backend.where)
            else:
                assert backend.sdk.chat.delete_room_from_backend(room_name="hall", **backend.where).item.name == "hall"


class TestDone:
    """CH-74, SC-30, SC-31: what is done after a change, whoever waits for it."""

    def done(self, change, script_id, queue=None, **members):
        grn = change.member.sdk.environment.grn("queue", queue) if queue else None
        change.hook(done_trigger_target_type="gs2_script", done_trigger_script_id=script_id,
                    done_trigger_queue_namespace_id=grn, **members)

    def check(self, change, seen):
        member = change.member
        assert seen["namespace"]["name"] == member.namespace
        assert (seen["room"]["name"], seen["room"]["userId"]) == ("lobby", member.user)
        if change.kind == "post":
            message, = member.messages("lobby")
            kept = message.to_dict()
            for key in ("messageId", "name", "roomName", "userId", "category", "metadata", "createdAt"):
                assert seen["message"][key] == kept[key], key
        if change.kind in ("subscribe", "unsubscribe"):
            assert (seen["subscribe"]["userId"], seen["subscribe"]["roomName"]) == (member.user, "lobby")

    def test_as_a_job_ch74_sc30(self, change, make_queue, scripts):
        """CH-74, SC-30: a job of the player who made the change, which follows the queue's mode; its arguments are those
        of the script."""
        queue = Queue(change.member.sdk, make_queue(), user=change.member.user)
        script_id = scripts.store("result = {room = args.room.name}")
        self.done(change, script_id, queue.namespace)
        change.make()
        job = queue.get(queue.names()[0])
        assert (job.script_id, job.user_id) == (script_id, change.member.user)
        self.check(change, json.loads(job.args))
        ran = queue.run()
        assert (ran.item.name, ran.result.status_code, ran.result.result) == (job.name, 200, '{"room":"lobby"}')
        assert ran.is_last_job

    def test_in_a_queue_that_runs_sc30(self, by_server, make_queue, witness, scripts):
        """SC-30: with auto run the server runs it."""
        self.done(by_server, scripts.store(witness.source), make_queue(enable_auto_run=True))
        by_server.make()
        self.check(by_server, *witness.seen(1))

    def test_without_a_queue_sc31(self, by_server, witness, scripts):
        """SC-31: in the background, once."""
        self.done(by_server, scripts.store(witness.source))
        by_server.make()
        self.check(by_server, *witness.seen(1))

    def test_its_failure_is_not_the_callers_ch74(self, by_server, scripts):
        """CH-74: what becomes of it changes nothing."""
        self.done(by_server, scripts.store("fail(500, 'oh')"))
        by_server.make()
        assert by_server.made()

    def test_not_after_a_refusal_ch72_ch74(self, by_server, make_queue, scripts):
        """CH-72, CH-74: what was refused leaves nothing to do."""
        queue = Queue(by_server.member.sdk, make_queue(), user=by_server.member.user)
        done = scripts.store(PERMIT)
        self.done(by_server, done, queue.namespace, trigger_script_id=scripts.store(DENY))
        with by_server.member.sdk.refuses(BadRequest, by_server.refused):
            by_server.make()
        assert queue.names() == []
        self.done(by_server, done, queue.namespace, trigger_script_id=scripts.store(PERMIT))
        by_server.make()
        assert len(queue.names()) == 1

    def test_none_ch70(self, by_server, make_queue, scripts):
        """CH-70: a script that is named but not wanted."""
        queue = Queue(by_server.member.sdk, make_queue(), user=by_server.member.user)
        by_server.hook(
            done_trigger_target_type="none", done_trigger_script_id=scripts.store(PERMIT),
            done_trigger_queue_namespace_id=by_server.member.sdk.environment.grn("queue", queue.namespace))
        by_server.make()
        assert by_server.made() and queue.names() == []

    def test_once_x02(self, by_server, make_queue, scripts):
        """X-02: a repeated call is not followed by anything again."""
        queue = Queue(by_server.member.sdk, make_queue(), user=by_server.member.user)
        self.done(by_server, scripts.store(PERMIT), queue.namespace)
        first = by_server.make(duplication_avoider="x")
        assert by_server.make(duplication_avoider="x").to_dict() == first.to_dict()
        assert len(queue.names()) == 1

    def test_posts_in_another_room_ch74(self, member, scripts):
        """CH-74: for example, one that welcomes whoever writes."""
        source = f"""
            if args.room.name == 'lobby' then
                local posted = gs2('chat').post_by_user_id({{namespaceName = '{member.namespace}', roomName = 'log',
                    userId = 'bot', metadata = args.message.userId .. ' wrote ' .. args.message.name}})
                if posted.isError then fail(posted.statusCode, posted.errorMessage) end
            end
        """
        member.sdk.chat.update_namespace(post_message_script=hook(
            done_trigger_target_type="gs2_script", done_trigger_script_id=scripts.store(source)), **member.where)
        for name in ("lobby", "log"):
            member.room(name=name)
        names = [member.post("lobby", str(number)).name for number in range(3)]
        written = poll(lambda: member.texts("log") if len(member.texts("log")) == 3 else None)
        assert written == [f"{member.user} wrote {name}" for name in names]

    def test_of_the_server_ch74(self, backend, witness, make_queue, scripts):
        """CH-74, SC-31: also after a change by nobody, also where a queue is named that could be nobody's."""
        script_id = scripts.store(witness.source)
        for number, queue in enumerate((None, make_queue(enable_auto_run=True))):
            grn = backend.sdk.environment.grn("queue", queue) if queue else None
            backend.sdk.chat.update_namespace(create_room_script=hook(
                done_trigger_target_type="gs2_script", done_trigger_script_id=script_id,
                done_trigger_queue_namespace_id=grn), **backend.where)
            name = backend.room()
            assert witness.seen(number + 1)[-1]["room"]["name"] == name

    def test_dry_run_t14(self, dry, admin, make_chat, make_queue, scripts):
        """T-14: nothing follows what was not done; the script before it is asked all the same."""
        member = Member(admin, make_chat())
        queue = Queue(admin, make_queue(), user=member.user)
        room = member.room()
        fields = {"namespaceName": member.namespace, "roomName": room, "userId": member.user}
        done = {"done_trigger_target_type": "gs2_script", "done_trigger_script_id": scripts.store(PERMIT),
                "done_trigger_queue_namespace_id": admin.environment.grn("queue", queue.namespace)}
        admin.chat.update_namespace(post_message_script=hook(**done), **member.where)
        dry(POST, {**fields, "metadata": "dry"}).ok()
        assert queue.names() == []
        admin.chat.update_namespace(
            post_message_script=hook(trigger_script_id=scripts.store(DENY), **done), **member.where)
        dry(POST, {**fields, "metadata": "dry"}).refused(400, "chat.message.script.error.failed")
