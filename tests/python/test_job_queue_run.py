"""JobQueue: running jobs, what becomes of them, and dead letters. BEHAVIOUR J-02, J-20 to J-39, J-50 to J-65."""

import json

import pytest

from harness.environment import unique
from harness.jobs import (
    ECHO, FAIL, NO_DEAD_LETTER, NO_JOB, NO_NAMESPACE, NO_RESULT, NO_SCRIPT, WAIT, Gate, Queue, entry, errors,
    system_script)
from harness.policy import allow, document
from harness.sdk import BadRequest, Conflict, NotFound, Sdk, Unauthorized
from harness.server import Server

CONFLICT = "jobQueue.execution.conflict"


class TestRun:
    def test_answer_j20_j30_j31_j60(self, queue, environment, scripts):
        """J-20, J-30, J-31, J-60: the job, its result counted from 1, and the kept result counted from 0."""
        script_id = scripts.store(ECHO)
        pushed = queue.push(entry(script_id, {"text": "あ𠮷", "list": [1, {"a": []}]})).items[0]
        ran = queue.run()
        assert ran.item.to_dict() == pushed.to_dict()
        assert (ran.result.try_number, ran.result.status_code) == (1, 200)
        assert json.loads(ran.result.result) == {"text": "あ𠮷", "list": [1, {"a": []}]}
        assert ran.is_last_job is True
        kept = queue.result(pushed.name)
        assert kept.job_id == pushed.job_id
        assert kept.job_result_id == f"{pushed.job_id}:jobResult:0"
        assert (kept.script_id, kept.args, kept.try_number) == (script_id, pushed.args, 0)
        assert (kept.status_code, kept.result, kept.try_at) == (200, ran.result.result, ran.result.try_at)
        assert pushed.created_at <= kept.try_at
        assert kept.job_result_id.startswith(environment.grn("queue", queue.namespace, "user", queue.user, "job"))

    def test_success_leaves_the_queue_j32_j51(self, queue, scripts):
        """J-32, J-51: the job is gone, its result is not."""
        name = queue.push_one(scripts.store(ECHO))
        queue.run()
        assert queue.names() == [] and queue.letters()["items"] == []
        with queue.sdk.refuses(NotFound, NO_JOB):
            queue.get(name)
        assert queue.result(name).status_code == 200

    def test_first_in_first_out_j02(self, queue, scripts):
        """J-02: over several pushes, also when a new one comes between two runs."""
        echo = scripts.store(ECHO)
        names = [item.name for _push in range(3) for item in queue.push(*[entry(echo)] * 3).items]
        ran = [queue.run().item.name for _number in range(4)]
        names.append(queue.push_one(echo))
        assert ran + [name for name, _status in queue.run_all()] == names

    def test_last_job_j23(self, queue, scripts):
        """J-23: with the last job, not one call later; a job that failed and stays is one that is left."""
        echo, fail = scripts.store(ECHO), scripts.store(FAIL)
        queue.push(entry(echo), entry(echo), entry(fail, {"status": 500}, 2))
        assert [queue.run().is_last_job for _number in range(4)] == [False, False, False, True]

    def test_empty_queue_j22(self, queue):
        for _time in range(2):
            ran = queue.run()
            assert (ran.item, ran.result, ran.is_last_job) == (None, None, True)
            assert queue.sdk.answer.get("item") is None and queue.sdk.answer.get("result") is None

    def test_not_with_auto_run_j24(self, auto):
        """J-24: the call answers at once, whether or not there are jobs."""
        ran = auto.run()
        assert (ran.item, ran.result, ran.is_last_job) == (None, None, True)

    def test_not_while_the_server_runs_j24(self, auto, gate, scripts):
        """J-24: no conflict either, and the job that runs is not touched."""
        name = auto.push_one(scripts.store(WAIT), gate.args)
        gate.reached()
        ran = auto.run()
        assert (ran.item, ran.result, ran.is_last_job) == (None, None, True)
        assert auto.names() == [name]
        gate.open()
        assert auto.awaited(name).status_code == 200

    def test_missing_namespace_e08(self, sdk):
        for who in ("me", "by_user_id"):
            absent = Queue(sdk, unique("absent"), who)
            with sdk.refuses(NotFound, NO_NAMESPACE):
                absent.run()

    def test_the_script_as_it_is_now_j13(self, queue, scripts):
        """J-13: a changed script counts from the next attempt on, a removed one too."""
        script_id = scripts.store("fail(500, 'broken')")
        name = queue.push_one(script_id)
        assert queue.run().result.status_code == 500
        scripts.remove(script_id)
        assert queue.run().result.status_code == 404
        scripts.store("result = {mended = true}", script_id.rpartition(":")[2])
        ran = queue.run()
        assert (ran.item.name, ran.result.try_number, ran.result.result) == (name, 3, '{"mended":true}')

    def test_a_caller_who_may_run_only_j20(self, sign_in, queue, scripts):
        """J-20, SC-22: the rights of the script are not those of whoever runs it."""
        name = queue.push_one(scripts.store("result = gs2('lock').describe_namespaces({limit = 1})"))
        theirs = queue.of(sdk=sign_in(document(allow(
            "Gs2JobQueue:Run" if queue.who == "me" else "Gs2JobQueue:RunByUserId", "Gs2Auth:Login"))))
        ran = theirs.run()
        assert (ran.item.name, json.loads(ran.result.result)["statusCode"]) == (name, 200)
        with theirs.sdk.refuses_with(Unauthorized):
            theirs.result(name)


class TestAtTheSameTime:
    """J-25: one attempt of a player at a time, as many players as there are."""

    @pytest.fixture
    def beside(self, queue, open_sdk):
        """The same queue, or one of another player, through a session of its own."""
        return lambda **other: queue.of(sdk=open_sdk(queue.sdk.transport), **other)

    def test_conflict_j25_e11(self, queue, beside, gate, scripts, threads):
        names = [item.name for item in queue.push(
            entry(scripts.store(WAIT), gate.args), entry(scripts.store(ECHO))).items]
        running = threads.submit(beside().run)
        gate.reached()
        for _time in range(2):
            with pytest.raises(Conflict) as caught:
                queue.run()
            error, = caught.value.errors
            assert error.code == CONFLICT
            assert error.message == "jobQueue.job.execution.error.duplicate"
            assert queue.names() == names, "the job is in the queue while it runs"
        gate.open()
        assert running.result().item.name == names[0]
        assert queue.run_all() == [(names[1], 200)]

    def test_players_side_by_side_j25(self, queue, beside, admin, namespace, scripts, threads, make_queue):
        """J-25: other players, and the player's queues in other namespaces, are not in the way."""
        wait = scripts.store(WAIT)
        queues = [queue, queue.of(user=unique("user")), queue.of(namespace=make_queue())]
        gates = [Gate(admin, namespace) for _queue in queues]
        names = [one.push_one(wait, gate.args) for one, gate in zip(queues, gates)]
        runs = [threads.submit(beside(user=one.user, namespace=one.namespace).run) for one in queues]
        for gate in gates:
            gate.reached()
        for gate in reversed(gates):
            gate.open()
        assert [run.result().item.name for run in runs] == names

    def test_pushes_do_not_wait_j25(self, queue, beside, gate, scripts, threads):
        queue.push_one(scripts.store(WAIT), gate.args)
        running = threads.submit(beside().run)
        gate.reached()
        name = queue.push_one(scripts.store(ECHO))
        gate.open()
        assert running.result().is_last_job is False
        assert queue.run_all() == [(name, 200)]


class TestFailure:
    def test_counts_and_blocks_j21_j32_j34(self, queue, scripts):
        """J-21, J-23, J-32, J-34: HTTP says 200, the count grows, and the jobs behind it wait."""
        fail, echo = scripts.store(FAIL), scripts.store(ECHO)
        first, second = [item.name for item in queue.push(entry(fail, {"status": 409}), entry(echo)).items]
        for count in (1, 2):
            ran = queue.run()
            assert (ran.item.name, ran.item.max_try_count) == (first, 3)
            assert (ran.result.try_number, ran.result.status_code, ran.is_last_job) == (count, 409, False)
            assert queue.get(first).current_retry_count == count
            assert queue.get(second).current_retry_count == 0
            assert queue.names() == [first, second]
        assert queue.get(first).updated_at >= queue.get(first).created_at

    def test_dead_letter_j33_j37_j38(self, queue, environment, scripts):
        """J-31, J-33, J-37: after the last attempt; all of them are in it, counted from 1, and the next job runs."""
        fail, echo = scripts.store("fail(400 + args.x, 'no ' .. args.x)"), scripts.store(ECHO)
        first, second = queue.push(entry(fail, {"x": 7}), entry(echo)).items
        ran = [queue.run() for _number in range(3)]
        assert [answer.is_last_job for answer in ran] == [False, False, False]
        assert queue.names() == [second.name]
        letter = queue.letter(first.name)
        assert queue.letters()["items"] == [letter]
        assert letter["deadLetterJobId"] == environment.grn(
            "queue", queue.namespace, "user", queue.user, "dead", first.name)
        assert (letter["name"], letter["userId"], letter["scriptId"], letter["args"]) == (
            first.name, queue.user, fail, first.args)
        assert [body["tryNumber"] for body in letter["result"]] == [1, 2, 3]
        assert letter["result"] == [answer.result.to_dict() for answer in ran]
        assert all(body["statusCode"] == 407 for body in letter["result"])
        assert letter["createdAt"] == letter["updatedAt"] >= first.created_at
        assert queue.run_all() == [(second.name, 200)]

    def test_when_it_became_one_j37(self, queue, gate, namespace, scripts, threads, open_sdk):
        """J-37: `createdAt` of a dead letter is when it became one, which is behind the last attempt."""
        name = queue.push_one(scripts.store(WAIT + "fail(400, 'late')"), gate.args, tries=1)
        running = threads.submit(queue.of(sdk=open_sdk(queue.sdk.transport)).run)
        gate.reached()
        meanwhile = queue.sdk.lock.lock_by_user_id(
            namespace_name=namespace, user_id="u", property_id="p", transaction_id="t").item.created_at
        gate.open()
        assert running.result().result.try_at <= meanwhile
        assert queue.letter(name)["createdAt"] >= meanwhile

    def test_last_job_that_dies_j23_j33(self, queue, scripts):
        name = queue.push_one(scripts.store(FAIL), {"status": 500}, tries=1)
        assert queue.run().is_last_job is True
        assert [letter["name"] for letter in queue.letters()["items"]] == [name]

    def test_none_counts_as_one_j11_j33(self, queue, scripts):
        name = queue.push_one(scripts.store(FAIL), {"status": 500}, tries=0)
        queue.run()
        assert len(queue.letter(name)["result"]) == 1

    def test_success_after_failures_j32(self, queue, scripts):
        """J-32, J-50: no dead letter, and all attempts can be asked for."""
        script_id = scripts.store("fail(503, 'not yet')")
        name = queue.push_one(script_id, tries=3)
        queue.run()
        queue.run()
        scripts.change(script_id, "result = {at = 'last'}")
        assert queue.run().result.try_number == 3
        assert queue.letters()["items"] == []
        assert [queue.result(name, number).status_code for number in (0, 1, 2)] == [503, 503, 200]
        assert queue.result(name).to_dict() == queue.result(name, 2).to_dict()

    def test_hundred_attempts_j37(self, sdk, make_queue, scripts):
        """J-04, J-37: as many attempts as a job can have are all in its dead letter."""
        queue = Queue(sdk, make_queue())
        name = queue.push_one(scripts.store(FAIL), {"status": 500}, tries=100)
        while not queue.run().is_last_job:
            pass
        assert [body["tryNumber"] for body in queue.letter(name)["result"]] == list(range(1, 101))
        assert queue.result(name).try_number == 99

    @pytest.mark.parametrize("source, args, status", [
        ("result = ", None, 400),
        ("nothing.here = 1", None, 500),
        ("error('oops')", None, 500),
        ("require('x')", None, 500),
        ("io.open('x')", None, 500),
        ("gs2('nothing')", None, 500),
        ("gs2('lock').nothing({})", None, 500),
        ("local t = {} while true do t[#t + 1] = ('x'):rep(1048576) .. #t end", None, 500),
        (ECHO, "not JSON", 400),
        (ECHO, "[]", 400),
        (ECHO, "null", 400),
        ("result = {1, 2}", None, 400),
        ("result = 'text'", None, 400),
        ("result = {f = print}", None, 400),
    ])
    def test_statuses_j35_j61_j62(self, queue, scripts, source, args, status):
        """J-35, J-61, J-62: syntax, breach of the sandbox, answers that are no object; the text is a list of errors."""
        name = queue.push_one(scripts.store(source), args, tries=1)
        result = queue.run().result
        assert result.status_code == status, result.result
        assert errors(result.result)
        assert queue.letter(name)["result"][0]["result"] == queue.result(name).result == result.result

    def test_missing_script_j35(self, queue, scripts):
        queue.push_one(scripts.absent())
        for script_id in (scripts.absent(), "script-0001", "grn:gs2:ap-northeast-1:somebody:script:a:script:b",
                          system_script(queue.sdk.environment, "lock_nothing"),
                          system_script(queue.sdk.environment, "lock")):
            other = queue.of(user=unique("user"))
            other.push_one(script_id)
            result = other.run().result
            assert (result.status_code, errors(result.result)[0]["message"]) == (404, NO_SCRIPT)

    def test_empty_args_j11(self, queue, scripts):
        """J-11: an empty text stands for no arguments."""
        queue.push_one(scripts.store(ECHO), "")
        assert queue.run().result.result == "{}"

    def test_fail_j63_sc11(self, queue, scripts):
        """J-63, SC-11: the script says status and message; what is no status becomes 500."""
        fail = scripts.store(FAIL)
        for status, kept in ((400, 400), (404, 404), (409, 409), (500, 500), (503, 503), (302, 302), (999, 999),
                             (0, 500), (1000, 500), ("text", 500)):
            queue.push_one(fail, {"status": status, "message": "あ \"quoted\""}, tries=1)
            result = queue.run().result
            assert result.status_code == kept
            assert [item["message"] for item in errors(result.result)] == ["あ \"quoted\""]

    def test_fail_with_success_j34(self, queue, scripts):
        """J-21, J-34: 2xx is success whoever says it."""
        name = queue.push_one(scripts.store(FAIL), {"status": 202})
        ran = queue.run()
        assert (ran.result.status_code, ran.result.result, queue.names()) == (202, "{}", [])
        assert queue.result(name).status_code == 202

    def test_errors_of_calls_are_passed_on_j62(self, queue, scripts):
        """J-62, J-63: the seeds' way to fail hands the errors of the call to the client as they are."""
        source = """
            client = gs2('jobQueue')
            api_result_handler = client.get_namespace_async({namespaceName = args.name})
            api_result = api_result_handler()
            if(api_result.isError) then
                fail(api_result['statusCode'], api_result['message'])
            end
            result = api_result.result
        """
        queue.push_one(scripts.store(source), {"name": unique("absent")})
        result = queue.run().result
        error, = errors(result.result)
        assert (result.status_code, error["component"], error["message"]) == (404, "namespace", NO_NAMESPACE)
        queue.push_one(scripts.store(source), {"name": queue.namespace}, tries=1)
        for _attempt in range(3):
            result = queue.run().result
        assert json.loads(result.result)["item"]["name"] == queue.namespace

    def test_calls_of_an_attempt_that_is_repeated_count_once_j03(self, queue, namespace, scripts):
        """J-03: what a failed attempt has done already is not done again by the next one."""
        source = """
            local lock = gs2('lock')
            local held = lock.lock_by_user_id({
                namespaceName = args.lock, userId = 'u', propertyId = 'p', transactionId = 't'})
            if held.isError then fail(held.statusCode, held.errorMessage) end
            %s
            result = {count = held.result.item.referenceCount}
        """
        script_id = scripts.store(source % "fail(500, 'after the call')")
        queue.push_one(script_id, {"lock": namespace})
        assert queue.run().result.status_code == 500
        scripts.change(script_id, source % "")
        assert queue.run().result.result == '{"count":1}'


@pytest.fixture(scope="module")
def strict(environment, tmp_path_factory):
    """A server on which scripts have one second."""
    server = Server(environment, str(tmp_path_factory.mktemp("strict")), SCRIPT_SECONDS_MAX=1)
    server.start()
    yield server.environment
    server.stop()


class TestTimeLimit:
    @pytest.mark.parametrize("transport", ["rest", "websocket"])
    def test_status_j35_sc21(self, strict, transport):
        """J-35, SC-21: a script that takes too long is stopped, the job counts as tried, and the queue is free."""
        sdk = Sdk.login(strict, transport)
        try:
            queue, space = Queue(sdk, unique("ns")), unique("ns")
            sdk.job_queue.create_namespace(name=queue.namespace)
            sdk.script.create_namespace(name=space)
            made = sdk.script.create_script(namespace_name=space, name="endless", script="while true do end").item
            name = queue.push_one(made.script_id, tries=2)
            ran = queue.run()
            assert (ran.result.status_code, ran.is_last_job) == (504, False)
            assert errors(ran.result.result)
            assert queue.get(name).current_retry_count == 1
            sdk.script.update_script(namespace_name=space, script_name="endless", script="result = {}")
            assert queue.run_all() == [(name, 200)]
        finally:
            sdk.close()


class TestResult:
    def test_each_attempt_j31_j50(self, queue, scripts):
        """J-31, J-50: counted from 0; without a number the latest one."""
        script_id = scripts.store("fail(401, 'first')")
        name = queue.push_one(script_id, tries=5)
        with queue.sdk.refuses(NotFound, NO_RESULT):
            queue.result(name)
        for number, status in enumerate((401, 402, 403)):
            scripts.change(script_id, f"fail({status}, 'x')")
            queue.run()
            assert (queue.result(name).status_code, queue.result(name).try_number) == (status, number)
            assert queue.result(name).job_result_id.endswith(f":{name}:jobResult:{number}")
        assert [queue.result(name, number).status_code for number in (0, 1, 2)] == [401, 402, 403]
        for number in (3, 10000):
            with queue.sdk.refuses(NotFound, NO_RESULT):
                queue.result(name, number)

    @pytest.mark.parametrize("number", [-1, 10001, "first", 1.5])
    def test_number_out_of_range_e09(self, queue, number):
        with queue.sdk.refuses(BadRequest, "jobQueue.jobResult.tryNumber.error.invalid"):
            queue.result("absent", number)

    def test_of_others_j01(self, queue, make_queue, scripts):
        """J-01, N-15: a result is its player's, in its namespace."""
        name = queue.push_one(scripts.store(ECHO))
        queue.run()
        for other in (queue.of(user=unique("user")), queue.of(namespace=make_queue())):
            with queue.sdk.refuses(NotFound, NO_RESULT):
                other.result(name)

    def test_large_result_j30(self, queue, scripts):
        queue.push_one(scripts.store("result = {text = ('あ'):rep(50000)}"))
        ran = queue.run()
        assert json.loads(ran.result.result) == {"text": "あ" * 50000}
        assert queue.result(ran.item.name).result == ran.result.result


class TestDeadLetters:
    @pytest.fixture
    def dead(self, sdk, make_queue, scripts):
        """A queue with so many dead letters."""

        def dead_(count):
            queue = Queue(sdk, make_queue())
            names = []
            for _push in range(0, count, 10):
                names += [item.name for item in queue.push(*[entry(scripts.absent(), tries=1)] * min(10, count)).items]
            for _name in names:
                queue.run()
            return queue, names

        return dead_

    def test_by_page_n07_j37(self, dead):
        queue, names = dead(5)
        seen, token = [], None
        while True:
            page = queue.letters(limit=2, **({"pageToken": token} if token else {}))
            assert len(page["items"]) <= 2
            seen += [letter["name"] for letter in page["items"]]
            token = page.get("nextPageToken")
            if token is None:
                break
        assert seen == names

    def test_delete_j39(self, dead):
        """J-39: kept until somebody deletes them; their results outlive them."""
        queue, (first, second) = dead(2)
        letter = queue.letter(first)
        assert queue.delete_letter(first) == letter
        for call in (queue.letter, queue.delete_letter):
            with queue.sdk.refuses(NotFound, NO_DEAD_LETTER):
                call(first)
        assert [letter["name"] for letter in queue.letters()["items"]] == [second]
        assert queue.result(first).status_code == 404

    def test_again_j39(self, dead, scripts):
        """J-39: pushed anew from what the dead letter says."""
        queue, (name,) = dead(1)
        letter = queue.letter(name)
        scripts.store(ECHO, letter["scriptId"].rpartition(":")[2])
        again = queue.push_one(letter["scriptId"], letter["args"])
        assert again != name and queue.run_all() == [(again, 200)]

    def test_of_others_j01(self, dead):
        queue, (name,) = dead(1)
        other = queue.of(user=unique("user"))
        assert other.letters()["items"] == []
        for call in (other.letter, other.delete_letter):
            with queue.sdk.refuses(NotFound, NO_DEAD_LETTER):
                call(name)

    def test_made_up_page_token_n07(self, dead):
        queue, _names = dead(0)
        with queue.sdk.refuses(BadRequest, "jobQueue.deadLetterJob.pageToken.error.invalid"):
            queue.letters(pageToken="made up")

    def test_missing_namespace_e08(self, sdk):
        absent = Queue(sdk, unique("absent"))
        for call in (absent.letters, lambda: absent.letter("n"), lambda: absent.delete_letter("n")):
            with sdk.refuses(NotFound, NO_NAMESPACE):
                call()


class TestSystemScripts:
    """J-64, J-65: `execute_{service}_{method}` makes that call with the arguments and answers what it answers."""

    def run(self, queue, name, args):
        queue.push_one(system_script(queue.sdk.environment, name), args, tries=1)
        result = queue.run().result
        return result.status_code, json.loads(result.result)

    def test_lock_j64(self, queue, namespace):
        fields = {"namespaceName": namespace, "userId": "user-1", "propertyId": "p", "transactionId": "t", "ttl": 60}
        status, result = self.run(queue, "lock_lock_by_user_id", fields)
        assert (status, result["item"]["transactionId"]) == (200, "t")
        held = queue.sdk.lock.get_mutex_by_user_id(namespace_name=namespace, user_id="user-1", property_id="p").item
        assert result["item"]["mutexId"] == held.mutex_id

    def test_push_j64(self, queue):
        fields = {"namespaceName": queue.namespace, "userId": "user-1", "jobs": [{"scriptId": "grn:s", "args": "{}"}]}
        status, result = self.run(queue, "job_queue_push_by_user_id", fields)
        assert (status, result["autoRun"]) == (200, False)
        assert queue.of(user="user-1").names() == [item["name"] for item in result["items"]]

    def test_invoke_j64(self, queue, scripts):
        fields = {"scriptId": scripts.store(ECHO), "args": '{"a":1}'}
        status, result = self.run(queue, "script_invoke_script", fields)
        assert (status, result["code"], result["result"]) == (200, 200, '{"a":1}')

    def test_notification_j64(self, queue, gateway, listen):
        socket = listen()
        socket.gateway.set_user_id_by_user_id(namespace_name=gateway, user_id="user-1")
        fields = {"namespaceName": gateway, "userId": "user-1", "subject": "s", "payload": "p"}
        status, result = self.run(queue, "gateway_send_notification", fields)
        assert (status, result["protocol"]) == (200, "websocket")
        assert [body["payload"] for body in socket.notifications(1)] == ["p"]

    def test_for_the_player_j64(self, queue, namespace):
        """J-64, SC-22: a call of a player is made for the player of the queue."""
        status, result = self.run(queue, "lock_lock", {
            "namespaceName": namespace, "propertyId": "p", "transactionId": "t"})
        assert (status, result["item"]["userId"]) == (200, queue.user)

    def test_region_of_the_id_j64(self, queue):
        """J-64: older texts write the id with placeholders."""
        queue.push_one("grn:gs2:{region}:system:script:general:script:execute_lock_describe_namespaces", tries=1)
        assert queue.run().result.status_code == 200

    def test_failing_j62_j64(self, queue, namespace):
        """J-62, J-64: status and errors are those of the call, and the attempt counts."""
        args = {"namespaceName": namespace, "userId": "u", "propertyId": "p", "transactionId": "t"}
        name = queue.push_one(system_script(queue.sdk.environment, "lock_unlock_by_user_id"), args, tries=2)
        result = queue.run().result
        error, = errors(result.result)
        assert (result.status_code, error["message"]) == (404, "lock.mutex.mutex.error.notFound")
        queue.sdk.lock.lock_by_user_id(namespace_name=namespace, user_id="u", property_id="p", transaction_id="t")
        assert queue.run_all() == [(name, 200)]

    def test_refused_fields_j62_j64(self, queue):
        status, result = self.run(queue, "lock_lock_by_user_id", {"userId": 5})
        assert (status, [error["message"] for error in result]) == (400, [
            "lock.mutex.namespaceName.error.require", "lock.mutex.userId.error.invalid",
            "lock.mutex.propertyId.error.require", "lock.mutex.transactionId.error.require"])
