"""JobQueue: jobs that wait. BEHAVIOUR J-01 to J-04, J-10 to J-15, J-50 to J-53, X-01 to X-03, T-14."""

import pytest

from harness import operations
from harness.environment import unique
from harness.jobs import (
    ECHO, FAIL, NO_JOB, NO_NAMESPACE, NO_RESULT, UUID_V4, WAIT, Queue, entry, tells)
from harness.sdk import BadRequest, Conflict, NotFound

PUSH = operations.operation("jobQueue", "pushByUserId")
RUN = operations.operation("jobQueue", "runByUserId")
DELETE = operations.operation("jobQueue", "deleteJobByUserId")
ARGS_MAX = 131_072


@pytest.fixture
def pushed(sdk, make_queue):
    """A queue for tests of what only the server calls."""
    return Queue(sdk, make_queue())


class TestPush:
    def test_item_j04_j10(self, pushed, environment):
        """J-04, J-10, J-11: the item with every default, as it is listed and got."""
        result = pushed.push(entry("grn:script"))
        item, = result.items
        assert result.auto_run is False
        assert UUID_V4.fullmatch(item.name)
        assert item.job_id == environment.grn("queue", pushed.namespace, "user", pushed.user, "job", item.name)
        assert (item.user_id, item.script_id, item.args) == (pushed.user, "grn:script", "{}")
        assert (item.current_retry_count, item.max_try_count) == (0, 3)
        assert item.created_at == item.updated_at > 0
        assert pushed.get(item.name).to_dict() == item.to_dict()
        listed, = pushed.sdk.job_queue.describe_jobs_by_user_id(**pushed.server).items
        assert listed.to_dict() == item.to_dict()

    def test_auto_run_is_the_namespaces_j10(self, sdk, make_queue, scripts):
        auto = Queue(sdk, make_queue(enable_auto_run=True))
        assert auto.push(entry(scripts.store(ECHO))).auto_run is True
        assert auto.push().auto_run is True

    def test_none_j10(self, pushed):
        for call in (lambda: pushed.push(), lambda: pushed.sdk.job_queue.push_by_user_id(**pushed.server)):
            result = call()
            assert (result.items, result.auto_run) == ([], False)
        assert pushed.names() == []

    def test_at_most_ten_j10(self, pushed):
        """J-10: ten entries come back in their order; of eleven nothing is kept."""
        result = pushed.push(*[entry("grn:s", {"number": number}) for number in range(10)])
        assert [item.args for item in result.items] == ['{"number": %d}' % number for number in range(10)]
        assert len({item.name for item in result.items}) == 10
        with pushed.sdk.refuses(BadRequest, "jobQueue.job.jobs.error.tooMany"):
            pushed.push(*[entry("grn:s")] * 11)
        assert pushed.names() == [item.name for item in result.items]

    @pytest.mark.parametrize("script_id, kind", [(None, "require"), ("", "require"), ("s" * 1025, "tooLong")])
    def test_needs_a_script_j11(self, pushed, script_id, kind):
        with pushed.sdk.refuses(BadRequest, f"jobQueue.jobEntry.scriptId.error.{kind}"):
            pushed.push(entry(script_id))

    @pytest.mark.parametrize("text", ["a" * ARGS_MAX, "𠮷" * ARGS_MAX, "", "not JSON", '{"a": "あ𠮷"}'],
                             ids=["longest", "longest in bytes", "empty", "no JSON", "object"])
    def test_args_are_kept_as_they_are_j11(self, pushed, text):
        """J-11, N-02: 131,072 characters; whether they make sense shows when the job runs."""
        name = pushed.push_one("grn:s", text)
        assert pushed.get(name).args == text

    @pytest.mark.parametrize("letter", ["a", "𠮷"])
    def test_args_too_long_j11(self, pushed, letter):
        with pushed.sdk.refuses(BadRequest, "jobQueue.jobEntry.args.error.tooLong"):
            pushed.push(entry("grn:s", letter * (ARGS_MAX + 1)))
        assert pushed.names() == []

    @pytest.mark.parametrize("tries, kept", [(0, 1), (1, 1), (100, 100), (None, 3)])
    def test_tries_j11(self, pushed, tries, kept):
        """J-11: none at all counts as one."""
        assert pushed.push(entry("grn:s", tries=tries)).items[0].max_try_count == kept

    @pytest.mark.parametrize("tries", [-1, 101, "many", 1.5])
    def test_tries_out_of_range_j11(self, pushed, tries):
        with pushed.sdk.refuses(BadRequest, "jobQueue.jobEntry.maxTryCount.error.invalid"):
            pushed.push(entry("grn:s", tries=tries))

    @pytest.mark.parametrize("place", [0, 4, 9])
    def test_all_or_none_j12(self, pushed, place):
        entries = [entry("grn:s") for _number in range(10)]
        entries[place] = entry("grn:s", tries=101)
        with pushed.sdk.refuses(BadRequest, "jobQueue.jobEntry.maxTryCount.error.invalid"):
            pushed.push(*entries)
        assert pushed.names() == []

    def test_unknown_script_j13(self, pushed, scripts):
        """J-13: a job may name a script that is stored only later."""
        name = unique("later")
        job = pushed.push_one(pushed.sdk.environment.grn("script", scripts.namespace, "script", name))
        scripts.store("result = {late = true}", name)
        ran = pushed.run()
        assert (ran.item.name, ran.result.result) == (job, '{"late":true}')

    @pytest.mark.parametrize("wrong", ["text", 5, {"scriptId": "s"}, [5], ["s"], [["s"]]], ids=repr)
    def test_wrong_type_e04(self, rest, pushed, wrong):
        rest.call(PUSH, {"namespaceName": pushed.namespace, "userId": pushed.user, "jobs": wrong}).refused(
            400, "jobQueue.job.jobs.error.invalid")

    def test_missing_namespace_e08(self, sdk):
        absent = Queue(sdk, unique("absent"))
        for entries in ([], [entry("grn:s")]):
            with sdk.refuses(NotFound, NO_NAMESPACE):
                absent.push(*entries)

    def test_players_cannot_j14(self, environment):
        """J-14: there is no push for access tokens."""
        assert not [op for op in operations.JOB_QUEUE if op.name.startswith("push") and op.takes_access_token]


class TestList:
    def test_in_queue_order_j02_j53(self, pushed):
        """J-02, J-53: in the order of the pushes and within each, also by page, also while jobs come and go."""
        names = [item.name for _push in range(3) for item in pushed.push(*[entry("grn:s")] * 4).items]
        assert pushed.names() == names
        describe, seen, token = pushed.sdk.job_queue.describe_jobs_by_user_id, [], None
        while True:
            page = describe(limit=5, page_token=token, **pushed.server)
            seen += [item.name for item in page.items]
            token = page.next_page_token
            if token is None:
                break
            if len(seen) == 5:
                pushed.delete(names[0])
                pushed.delete(names[7])
                names.append(pushed.push_one("grn:s"))
        assert seen == names[:7] + names[8:]

    def test_thirty_by_default_n07(self, pushed):
        for _push in range(4):
            pushed.push(*[entry("grn:s")] * 10)
        page = pushed.sdk.job_queue.describe_jobs_by_user_id(**pushed.server)
        assert len(page.items) == 30 and page.next_page_token
        rest = pushed.sdk.job_queue.describe_jobs_by_user_id(page_token=page.next_page_token, **pushed.server)
        assert len(rest.items) == 10 and rest.next_page_token is None

    @pytest.mark.parametrize("token", ["made up", "MTIz"])
    def test_made_up_page_token_n07(self, pushed, token):
        with pushed.sdk.refuses(BadRequest, "jobQueue.job.pageToken.error.invalid"):
            pushed.names(page_token=token)

    def test_players_and_namespaces_j01_n15(self, pushed, make_queue):
        """J-01, N-15: a queue of its own for each player of each namespace; nobody is registered."""
        others = [pushed.of(user=pushed.user + "-x"), pushed.of(namespace=make_queue())]
        mine = pushed.push_one("grn:s")
        theirs = [other.push_one("grn:s") for other in others]
        assert [queue.names() for queue in [pushed, *others]] == [[mine], *([name] for name in theirs)]
        for other in others:
            with pushed.sdk.refuses(NotFound, NO_JOB):
                other.get(mine)
            with pushed.sdk.refuses(NotFound, NO_JOB):
                other.delete(mine)
        assert pushed.of(user=unique("nobody")).names() == []

    @pytest.mark.parametrize("name", ["absent", "0" * 36, "7d444840-9dc0-41d1-8b38-9a1b4cf0b5c6", "あ" * 36])
    def test_unknown_j53_j50(self, queue, name):
        for call, message in ((queue.get, NO_JOB), (queue.delete, NO_JOB), (queue.result, NO_RESULT)):
            with queue.sdk.refuses(NotFound, message):
                call(name)


class TestDelete:
    def test_returns_the_job_j52(self, queue):
        first, second = queue.push(entry("grn:s", {"a": 1}), entry("grn:s")).items
        assert queue.delete(first.name).to_dict() == first.to_dict()
        assert queue.names() == [second.name]
        with queue.sdk.refuses(NotFound, NO_JOB):
            queue.delete(first.name)
        with queue.sdk.refuses(NotFound, NO_RESULT):
            queue.result(first.name)

    def test_a_job_that_failed_keeps_its_results_j51_j52(self, queue, scripts):
        name = queue.push_one(scripts.store(FAIL), {"status": 400})
        queue.run()
        assert queue.delete(name).current_retry_count == 1
        assert queue.result(name).status_code == 400
        assert queue.letters()["items"] == [] and queue.run().item is None

    def test_of_a_running_job_j52(self, queue, gate, scripts, threads, open_sdk):
        """J-52: the attempt that has begun ends, its result is kept, and there is no other one."""
        name = queue.push_one(scripts.store(WAIT + "fail(400, 'late')"), gate.args, tries=5)
        runner = queue.of(sdk=open_sdk(queue.sdk.transport))
        running = threads.submit(runner.run)
        gate.reached()
        queue.delete(name)
        assert queue.names() == []
        gate.open()
        ran = running.result()
        assert (ran.item.name, ran.result.status_code, ran.is_last_job) == (name, 400, True)
        result = queue.result(name)
        assert (result.status_code, result.try_number) == (400, 0)
        assert queue.letters()["items"] == []


class TestNotification:
    """J-05, J-06, J-15: players learn of new jobs, once for each push."""

    @pytest.fixture
    def player(self, sdk, make_queue, gateway, listen, environment):
        """A queue with this setting, and a socket of its player."""

        def player_(auto=False, gateway_name=gateway, **members):
            setting = tells(environment, gateway_name, **members)
            queue = Queue(sdk, make_queue(enable_auto_run=auto, push_notification=setting))
            socket = listen()
            socket.gateway.set_user_id_by_user_id(namespace_name=gateway, user_id=queue.user)
            return queue, socket

        return player_

    def last(self, queue, socket, gateway, count=0):
        """The notifications so far: `count` of them, and nothing else before a mark."""
        queue.sdk.gateway.send_notification(namespace_name=gateway, user_id=queue.user, subject="mark", payload="p")
        received = socket.notifications(count + 1)
        assert received[-1]["subject"] == "mark"
        return received[:-1]

    @pytest.mark.parametrize("enable", [None, "Enabled"])
    def test_once_for_each_push_j15(self, player, gateway, environment, enable):
        queue, socket = player(enable=enable)
        for _push in range(2):
            queue.push(*[entry("grn:s")] * 3)
        told = self.last(queue, socket, gateway, 2)
        for body in told:
            assert (body["subject"], body["issuer"]) == (
                "Gs2JobQueue:Push", environment.grn("queue", queue.namespace))
            assert body["payload"] == '{"namespaceName":"%s","userId":"%s"}' % (queue.namespace, queue.user)

    def test_not_without_jobs_j10(self, player, gateway):
        queue, socket = player()
        queue.push()
        with queue.sdk.refuses(BadRequest, "jobQueue.jobEntry.scriptId.error.require"):
            queue.push(entry(None))
        assert self.last(queue, socket, gateway) == []

    def test_disabled_j06(self, player, gateway):
        queue, socket = player(enable="Disabled")
        queue.push(entry("grn:s"))
        assert self.last(queue, socket, gateway) == []

    def test_not_with_auto_run_j05(self, player, gateway, scripts):
        queue, socket = player(auto=True)
        queue.awaited(queue.push_one(scripts.store(ECHO)))
        assert self.last(queue, socket, gateway) == []

    def test_placeholders_n06(self, sdk, make_queue, gateway, listen):
        """N-06: the project's own region and owner."""
        grn = "grn:gs2:{region}:{ownerId}:gateway:" + gateway
        setting = tells(sdk.environment, gateway).with_gateway_namespace_id(grn)
        queue, socket = Queue(sdk, make_queue(push_notification=setting)), listen()
        socket.gateway.set_user_id_by_user_id(namespace_name=gateway, user_id=queue.user)
        queue.push(entry("grn:s"))
        assert [body["subject"] for body in socket.notifications(1)] == ["Gs2JobQueue:Push"]

    def test_missing_gateway_j15(self, player):
        """J-15: a push succeeds also when nobody can be told."""
        queue, _socket = player(gateway_name=unique("absent"))
        name = queue.push_one("grn:s")
        assert queue.names() == [name]


class TestOnce:
    """X-01 to X-03: a repeated call with the same avoider changes nothing and gets the first answer."""

    def test_push_x02(self, pushed):
        first = pushed.push(entry("grn:s"), duplication_avoider="x")
        assert pushed.push(entry("grn:s"), duplication_avoider="x").to_dict() == first.to_dict()
        assert pushed.names() == [first.items[0].name]
        with pushed.sdk.refuses_with(Conflict):
            pushed.push(entry("grn:other"), duplication_avoider="x")
        pushed.push(entry("grn:s"), duplication_avoider="y")
        other = pushed.of(user=unique("user"))
        assert other.push(entry("grn:s"), duplication_avoider="x").items[0].user_id == other.user
        assert len(pushed.names()) == 2

    def test_run_x02(self, queue, scripts):
        echo = scripts.store(ECHO)
        names = [item.name for item in queue.push(entry(echo), entry(echo)).items]
        first = queue.run(duplication_avoider="x")
        assert queue.run(duplication_avoider="x").to_dict() == first.to_dict()
        assert first.item.name == names[0] and queue.names() == names[1:]
        assert queue.run(duplication_avoider="y").item.name == names[1]

    def test_delete_x02(self, queue):
        name = queue.push_one("grn:s")
        first = queue.delete(name, duplication_avoider="x")
        assert queue.delete(name, duplication_avoider="x").to_dict() == first.to_dict()
        with queue.sdk.refuses(NotFound, NO_JOB):
            queue.delete(name, duplication_avoider="y")

    def test_letter_x02(self, queue, scripts):
        name = queue.push_one(scripts.absent(), tries=1)
        queue.run()
        first = queue.delete_letter(name, duplicationAvoider="x")
        assert queue.delete_letter(name, duplicationAvoider="x") == first


class TestDryRun:
    """T-14: the answer is the one that would be, and nothing is kept."""

    def test_push_t14(self, dry, pushed):
        fields = {"namespaceName": pushed.namespace, "userId": pushed.user}
        answer = dry(PUSH, {**fields, "jobs": [{"scriptId": "grn:s"}]}).ok()
        assert answer["items"][0]["scriptId"] == "grn:s" and answer["autoRun"] is False
        assert pushed.names() == []
        dry(PUSH, {**fields, "jobs": [{}]}).refused(400, "jobQueue.jobEntry.scriptId.error.require")

    def test_run_t14(self, dry, pushed, scripts):
        fields = {"namespaceName": pushed.namespace, "userId": pushed.user}
        name = pushed.push_one(scripts.store(ECHO), {"a": 1})
        for _time in range(2):
            answer = dry(RUN, fields).ok()
            assert (answer["item"]["name"], answer["result"]["result"]) == (name, '{"a":1}')
        assert pushed.names() == [name]
        with pushed.sdk.refuses(NotFound, NO_RESULT):
            pushed.result(name)
        dry(DELETE, {**fields, "jobName": name}).ok()
        assert pushed.get(name).current_retry_count == 0

    def test_auto_run_t14(self, dry, sdk, make_queue, scripts):
        """T-14: the server runs nothing that was only tried out."""
        auto = Queue(sdk, make_queue(enable_auto_run=True))
        tried = dry(PUSH, {"namespaceName": auto.namespace, "userId": auto.user, "jobs": [
            {"scriptId": scripts.store(ECHO)}]}).ok()["items"][0]["name"]
        auto.awaited(auto.push_one(scripts.store(ECHO)))
        with sdk.refuses(NotFound, NO_RESULT):
            auto.result(tried)
