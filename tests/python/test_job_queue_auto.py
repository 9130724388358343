"""JobQueue: jobs that the server runs by itself, and what players are told. BEHAVIOUR J-27, J-36, J-40 to J-42."""

import json

import pytest

from harness.environment import unique
from harness.jobs import ECHO, FAIL, NO_RESULT, WAIT, Queue, entry, errors, tells
from harness.sdk import NotFound

SUBJECT = "Gs2JobQueue:RunNotification"


class TestAutoRun:
    def test_runs_by_itself_j40_j41(self, auto, scripts):
        """J-40, J-41: from the push on; the client asks for the result until there is one."""
        pushed = auto.push(entry(scripts.store(ECHO), {"a": 1}))
        assert pushed.auto_run is True
        job = pushed.items[0]
        result = auto.awaited(job.name)
        assert (result.try_number, result.status_code, result.result) == (0, 200, '{"a":1}')
        assert result.job_id == job.job_id
        assert auto.names() == []

    def test_not_yet_j41(self, auto, gate, scripts):
        """J-41: 404 `jobResult` until the first attempt has ended; the job waits in the queue meanwhile."""
        name = auto.push_one(scripts.store(WAIT), gate.args)
        gate.reached()
        with auto.sdk.refuses(NotFound, NO_RESULT):
            auto.result(name)
        assert auto.get(name).current_retry_count == 0
        gate.open()
        assert auto.awaited(name).status_code == 200

    def test_order_j02_j25(self, auto, namespace, scripts):
        """J-02, J-25: one after the other in the order of the pushes, as what they do shows."""
        source = """
            local lock = gs2('lock')
            local held = lock.lock_by_user_id({
                namespaceName = args.lock, userId = args.user, propertyId = 'order', transactionId = 't'})
            result = {count = held.result.item.referenceCount}
        """
        script_id, args = scripts.store(source), {"lock": namespace, "user": auto.user}
        names = [item.name for _push in range(3) for item in auto.push(*[entry(script_id, args)] * 10).items]
        auto.awaited(names[-1])
        counts = [json.loads(auto.result(name).result)["count"] for name in names]
        assert counts == list(range(1, 31))
        times = [auto.result(name).try_at for name in names]
        assert times == sorted(times)

    def test_players_do_not_wait_for_each_other_j25(self, auto, gate, scripts):
        waits = auto.push_one(scripts.store(WAIT), gate.args)
        gate.reached()
        other = auto.of(user=unique("user"))
        name = other.push_one(scripts.store(ECHO))
        assert other.awaited(name).status_code == 200
        behind = auto.push_one(scripts.store(ECHO))
        gate.open()
        assert auto.awaited(behind).try_at >= auto.awaited(waits).try_at

    def test_jobs_that_push_jobs_j40(self, auto, scripts):
        """J-40: also what a job of the server pushes is run, behind what waits already."""
        push = scripts.store("""
            local pushed = gs2('job_queue').push_by_user_id({
                namespaceName = args.queue, userId = args.user, jobs = {{scriptId = args.echo, args = '{"n":1}'}}})
            if pushed.isError then fail(pushed.statusCode, pushed.errorMessage) end
            result = {name = pushed.result.items[1].name}
        """)
        args = {"queue": auto.namespace, "user": auto.user, "echo": scripts.store(ECHO)}
        pushed = json.loads(auto.awaited(auto.push_one(push, args)).result)
        assert auto.awaited(pushed["name"]).result == '{"n":1}'

    def test_dead_letter_j33(self, auto, scripts):
        """J-33, J-35: a job that may be tried once; the next one has its turn."""
        dead, done = [item.name for item in auto.push(
            entry(scripts.absent(), tries=1), entry(scripts.store(ECHO))).items]
        assert auto.awaited(done).status_code == 200
        result = auto.result(dead)
        assert result.status_code == 404 and errors(result.result)
        assert [body["tryNumber"] for body in auto.letter(dead)["result"]] == [1]

    def test_tries_again_j36(self, sdk, make_queue, scripts):
        """J-36: after a second the server tries once more; the jobs behind wait so long."""
        auto = Queue(sdk, make_queue(enable_auto_run=True))
        failing, behind = [item.name for item in auto.push(
            entry(scripts.store(FAIL), {"status": 500}, 2), entry(scripts.store(ECHO))).items]
        first = auto.awaited(failing)
        assert auto.names() == [failing, behind]
        second = auto.awaited(failing, tries=2)
        assert second.try_at - first.try_at >= 1000
        auto.awaited(behind)
        assert auto.result(behind).try_at >= second.try_at

    def test_deleted_while_it_waits_j52(self, auto, gate, scripts):
        names = [item.name for item in auto.push(
            entry(scripts.store(WAIT), gate.args), entry(scripts.store(ECHO)), entry(scripts.store(ECHO))).items]
        gate.reached()
        auto.delete(names[1])
        gate.open()
        auto.awaited(names[2])
        with auto.sdk.refuses(NotFound, NO_RESULT):
            auto.result(names[1])

    def test_switched_on_j24_n13(self, queue, scripts):
        """J-40, N-13: what waits for `run` is run once the server shall do it, for every player."""
        echo = scripts.store(ECHO)
        queues = [queue, *[queue.of(user=unique("user")) for _number in range(3)]]
        names = [[item.name for item in one.push(entry(echo), entry(echo)).items] for one in queues]
        queue.sdk.job_queue.update_namespace(namespace_name=queue.namespace, enable_auto_run=True)
        for one, (first, second) in zip(queues, names):
            assert one.awaited(second).try_at >= one.result(first).try_at

    def test_switched_off_n13(self, auto, scripts):
        auto.awaited(auto.push_one(scripts.store(ECHO)))
        auto.sdk.job_queue.update_namespace(namespace_name=auto.namespace)
        name = auto.push_one(scripts.store(ECHO))
        ran = auto.run()
        assert (ran.item.name, ran.is_last_job) == (name, True)

    def test_namespace_deleted_while_it_runs_n14(self, auto, gate, scripts):
        """N-14: the attempt ends, and nothing of it is in a later namespace of this name."""
        waits, behind = [item.name for item in auto.push(
            entry(scripts.store(WAIT), gate.args), entry(scripts.store(ECHO))).items]
        gate.reached()
        auto.sdk.job_queue.delete_namespace(namespace_name=auto.namespace)
        auto.sdk.job_queue.create_namespace(name=auto.namespace, enable_auto_run=True)
        gate.open()
        auto.awaited(auto.push_one(scripts.store(ECHO)))
        for name in (waits, behind):
            with auto.sdk.refuses(NotFound, NO_RESULT):
                auto.result(name)
        assert auto.names() == []


class TestNotification:
    @pytest.fixture(params=[False, True], ids=["run", "auto run"])
    def player(self, request, sdk, make_queue, gateway, listen, environment):
        """A queue of either kind whose player is told, and the player's socket."""

        def player_(**members):
            setting = tells(environment, gateway, **members)
            queue = Queue(sdk, make_queue(enable_auto_run=request.param, run_notification=setting))
            socket = listen()
            socket.gateway.set_user_id_by_user_id(namespace_name=gateway, user_id=queue.user)
            return queue, socket

        player_.auto = request.param
        return player_

    def finish(self, player, queue, name):
        if player.auto:
            queue.awaited(name)
        else:
            queue.run_all()

    def last(self, queue, socket, gateway, count):
        queue.sdk.gateway.send_notification(namespace_name=gateway, user_id=queue.user, subject="mark", payload="p")
        received = socket.notifications(count + 1)
        assert received[-1]["subject"] == "mark"
        return received[:-1]

    def test_success_j27_j41(self, player, gateway, environment, scripts):
        """J-27, J-41: subject, issuer, the three members that SDKs read, and the result while it fits."""
        queue, socket = player()
        names = [item.name for item in queue.push(*[entry(scripts.store(ECHO), {"a": 1})] * 3).items]
        self.finish(player, queue, names[-1])
        told = socket.notifications(3)
        for body, name in zip(told, names):
            assert (body["subject"], body["issuer"]) == (SUBJECT, environment.grn("queue", queue.namespace))
            payload = json.loads(body["payload"])
            assert {**payload, "result": None} == {
                "namespaceName": queue.namespace, "userId": queue.user, "jobName": name, "result": None}
            result = queue.result(name)
            assert payload["result"] == {
                "tryNumber": 1, "statusCode": 200, "result": '{"a":1}', "tryAt": result.try_at}

    def test_large_result_g40(self, player, scripts):
        """J-27, G-40: a result that would not fit is left out, the notification is not."""
        queue, socket = player()
        name = queue.push_one(scripts.store("result = {text = ('あ'):rep(2000)}"))
        self.finish(player, queue, name)
        body, = socket.notifications(1)
        assert json.loads(body["payload"]) == {
            "namespaceName": queue.namespace, "userId": queue.user, "jobName": name}

    def test_failed_attempts_are_silent_j27(self, player, gateway, scripts):
        """J-27, J-42: an attempt that failed tells nobody; with auto run the dead letter does."""
        queue, socket = player()
        dead, done = [item.name for item in queue.push(
            entry(scripts.store(FAIL), {"status": 409}, 1), entry(scripts.store(ECHO))).items]
        self.finish(player, queue, done)
        wanted = [dead, done] if player.auto else [done]
        told = [json.loads(body["payload"]) for body in self.last(queue, socket, gateway, len(wanted))]
        assert [payload["jobName"] for payload in told] == wanted
        if player.auto:
            assert told[0]["result"]["statusCode"] == 409 and errors(told[0]["result"]["result"])

    def test_disabled_j06(self, player, gateway, scripts):
        queue, socket = player(enable="Disabled")
        name = queue.push_one(scripts.store(ECHO))
        self.finish(player, queue, name)
        assert self.last(queue, socket, gateway, 0) == []

    def test_result_is_there_when_it_is_told_j41(self, player, scripts):
        """J-41: whoever is told can fetch the result at once."""
        queue, socket = player()
        name = queue.push_one(scripts.store(ECHO))
        if not player.auto:
            queue.run()
        body, = socket.notifications(1)
        assert queue.result(json.loads(body["payload"])["jobName"]).status_code == 200
        assert json.loads(body["payload"])["jobName"] == name
