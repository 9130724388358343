"""Script: what runs, what it sees and what it may do. BEHAVIOUR SC-02 to SC-06, SC-10 to SC-23, X-01 to X-03, T-14."""

import json
import time

import pytest
from gs2.script import RandomStatus, RandomUsed

from harness import operations
from harness.environment import unique
from harness.jobs import ECHO, NO_SCRIPT, Queue, entry, errors, system_script
from harness.policy import allow, deny, document
from harness.sdk import BadRequest, Conflict, NotFound, Unauthorized

NO_MUTEX = "lock.mutex.mutex.error.notFound"
DEBUG = operations.operation("script", "debugInvoke")
INVOKE = operations.operation("script", "invokeScript")


class Way:
    """Invokes sources: stored as a script first, or as they are (SC-05)."""

    def __init__(self, sdk, name, scripts):
        self.sdk, self.name, self._scripts = sdk, name, scripts

    def __call__(self, source, args=None, keep_digit_texts=None, **fields):
        if args is not None and not isinstance(args, str):
            args = json.dumps(args)
        if self.name == "debug_invoke":
            return self.sdk.script.debug_invoke(
                script=source, args=args, disable_string_number_to_number=keep_digit_texts, **fields)
        stored = self._scripts.store(source, disable_string_number_to_number=keep_digit_texts)
        return self.sdk.script.invoke_script(script_id=stored, args=args, **fields)

    def result(self, source, args=None, **fields):
        """The result of a script that succeeds."""
        ran = self(source, args, **fields)
        assert ran.code == 200, ran.result
        return json.loads(ran.result)


@pytest.fixture(params=["invoke_script", "debug_invoke"])
def invoke(request, sdk, scripts):
    return Way(sdk, request.param, scripts)


@pytest.fixture
def debug(sdk):
    return Way(sdk, "debug_invoke", None)


def random_status(seed, **used):
    return RandomStatus().with_seed(seed).with_used([
        RandomUsed().with_category(int(category[1:])).with_used(count) for category, count in used.items()])


class TestInvoke:
    def test_answer_sc03_sc04_sc16(self, invoke):
        """SC-03, SC-04, SC-10, SC-16: code, result, time, and each line that was printed."""
        ran = invoke("print('first', 1) print('あ') result = {sum = args.a + args.b}", {"a": 1, "b": 2})
        assert (ran.code, ran.result, ran.output) == (200, '{"sum":3}', ["first\t1", "あ"])
        assert ran.execute_time >= 0 and ran.charged in (0, 1)
        assert (ran.transaction, ran.transaction_result) == (None, None)

    def test_time_is_measured_sc04(self, debug):
        """SC-04: milliseconds, and begun seconds."""
        ran = debug("for i = 1, 200 do gs2('lock').get_service_version({}) end result = {}")
        assert 0 < ran.execute_time < 10_000
        assert ran.charged == 1

    @pytest.mark.parametrize("source, result", [
        (" ", {}), ("result = nil", {}), ("return {a = 1}", {}), ("result = {}", {}), ("local result = {a = 1}", {}),
        ("result = {a = {}, b = {1, 2}, c = {{}}}", {"a": {}, "b": [1, 2], "c": [{}]}),
        ("result = {n = 0.5, i = 2^53, t = true, s = 'あ'}", {"n": 0.5, "i": 2 ** 53, "t": True, "s": "あ"}),
    ])
    def test_result_sc10(self, invoke, source, result):
        """SC-10: what is assigned to the global; nothing is an empty object, and a returned value is ignored."""
        assert invoke.result(source) == result

    @pytest.mark.parametrize("args", [None, "", "{}"])
    def test_no_args_sc03(self, invoke, args):
        assert invoke.result("result = {none = next(args) == nil}", args) == {"none": True}

    @pytest.mark.parametrize("args", ["[]", "5", "null", '"text"', "{", "{} x"])
    def test_args_must_be_an_object_sc03(self, invoke, args):
        with invoke.sdk.refuses(BadRequest, "script.script.args.error.invalid"):
            invoke(ECHO, args)

    def test_args_come_back_sc10(self, invoke):
        args = {"a": [1, [], {}, {"b": None}], "t": "あ𠮷\n\"", "f": 1.5, "n": -3, "y": True}
        assert invoke.result(ECHO, args) == {**args, "a": [1, [], {}, {}]}

    @pytest.mark.parametrize("keep, seen", [
        (None, {"a": 12, "b": [7], "c": "1.5", "d": "-3", "e": "x1", "f": ""}),
        (False, {"a": 12, "b": [7], "c": "1.5", "d": "-3", "e": "x1", "f": ""}),
        (True, {"a": "12", "b": ["7"], "c": "1.5", "d": "-3", "e": "x1", "f": ""})])
    def test_digit_texts_sc02(self, invoke, keep, seen):
        args = {"a": "12", "b": ["7"], "c": "1.5", "d": "-3", "e": "x1", "f": ""}
        assert invoke.result(ECHO, args, keep_digit_texts=keep) == seen

    @pytest.mark.parametrize("source, status", [
        ("result = ", 400), ("fail(404, 'gone')", 404), ("error('oops')", 500), ("result = {1} result = 'text'", 400),
        ("nothing()", 500), ("result = {f = print}", 400)])
    def test_failures_are_answers_sc06(self, invoke, source, status):
        """SC-06, J-35, J-62: HTTP 200; the code says what became of it, the result is a list of errors."""
        ran = invoke(source)
        assert ran.code == status and errors(ran.result)

    def test_output_of_what_failed_sc16(self, invoke):
        ran = invoke("print('before') fail(409, 'no luck')")
        assert (ran.code, ran.output) == (409, ["before"])
        assert [error["message"] for error in errors(ran.result)] == ["no luck"]

    def test_a_list_as_result_sc10(self, invoke):
        """SC-10, J-61: jobs must answer an object; whoever invokes a script gets what it says."""
        assert invoke.result("result = {1, 2}") == [1, 2]

    @pytest.mark.parametrize("script_id", ["absent", "grn:gs2:ap-northeast-1:somebody:script:a:script:b"])
    def test_missing_script_e07(self, sdk, scripts, script_id):
        for wanted in (script_id, scripts.absent()):
            with sdk.refuses(NotFound, NO_SCRIPT):
                sdk.script.invoke_script(script_id=wanted)

    def test_placeholders_n06(self, sdk, scripts):
        """N-06: the project's own region and owner."""
        name = scripts.store(ECHO).rpartition(":")[2]
        grn = f"grn:gs2:{{region}}:{{ownerId}}:script:{scripts.namespace}:script:{name}"
        assert sdk.script.invoke_script(script_id=grn, args='{"a":1}').result == '{"a":1}'

    def test_system_script_j64(self, sdk, environment):
        ran = sdk.script.invoke_script(script_id=system_script(environment, "lock_get_service_version"))
        assert ran.code == 200 and json.loads(ran.result)["item"]

    def test_runs_are_worlds_of_their_own_sc10(self, sdk, scripts):
        """SC-10: nothing that a script leaves behind is seen by the next one."""
        leak = "seen = leaked leaked = 1 string.leaked = 1"
        stored = scripts.store("local before = leaked leaked = 1 result = {before = before == nil}")
        for _time in range(5):
            assert sdk.script.invoke_script(script_id=stored).result == '{"before":true}'
        assert sdk.script.debug_invoke(script=leak).code == 500


class TestClient:
    """SC-12 to SC-14: the services of the server."""

    def test_call_sc12_sc13(self, invoke, namespace):
        """SC-12, SC-13: one table in, one table out, with members in camel case."""
        answer = invoke.result(
            "result = gs2('lock').lock_by_user_id({namespaceName = args.n, userId = 'u', propertyId = 'p', "
            "transactionId = 't', ttl = 60})", {"n": namespace})
        assert (answer["isError"], answer["statusCode"]) == (False, 200)
        held = invoke.sdk.lock.get_mutex_by_user_id(namespace_name=namespace, user_id="u", property_id="p").item
        assert answer["result"]["item"]["mutexId"] == held.mutex_id
        assert answer["result"]["item"]["referenceCount"] == 1

    def test_errors_do_not_raise_sc13(self, invoke, namespace):
        """SC-13: status and text of the errors, under the older name as well."""
        answer = invoke.result(
            "result = gs2('lock').get_mutex_by_user_id({namespaceName = args.n, userId = 'u', propertyId = 'p'})",
            {"n": namespace})
        assert (answer["isError"], answer["statusCode"]) == (True, 404)
        assert answer["errorMessage"] == answer["message"]
        error, = errors(answer["errorMessage"])
        assert (error["component"], error["message"]) == ("mutex", NO_MUTEX)
        assert "result" not in answer

    @pytest.mark.parametrize("service", ["job_queue", "jobQueue"])
    def test_names_of_services_sc12(self, invoke, service, make_queue):
        """SC-12: in snake case; older texts say `jobQueue`. An empty table stands for a list where one belongs."""
        queue = Queue(invoke.sdk, make_queue())
        source = """
            local client = gs2(args.service)
            local pushed = client.push_by_user_id({namespaceName = args.n, userId = args.u, jobs = {
                {scriptId = 'grn:s', args = '{"hoge": "fuga"}'}, {scriptId = 'grn:t'}}})
            local none = client.push_by_user_id({namespaceName = args.n, userId = args.u, jobs = {}})
            local page = client.describe_jobs_by_user_id({namespaceName = args.n, userId = args.u, pageToken = nil})
            result = {pushed = #pushed.result.items, none = none.isError, listed = #page.result.items,
                next = page.result.nextPageToken == nil}
        """
        args = {"service": service, "n": queue.namespace, "u": queue.user}
        assert invoke.result(source, args) == {"pushed": 2, "none": False, "listed": 2, "next": True}
        assert len(queue.names()) == 2

    def test_asynchronous_sc14(self, invoke, namespace):
        """SC-14: several calls under way; a handler gives the same answer as often as it is asked."""
        source = """
            local lock, waiting, seen = gs2('lock'), {}, {}
            for i = 1, 5 do
                waiting[i] = lock.lock_by_user_id_async({
                    namespaceName = args.n, userId = 'u', propertyId = 'p' .. i, transactionId = 't'})
            end
            for i = 5, 1, -1 do
                local answer = waiting[i]()
                seen[i] = answer.result.item.propertyId
                if waiting[i]().result.item.propertyId ~= seen[i] then fail(500, 'another answer') end
            end
            result = {seen = seen}
        """
        assert invoke.result(source, {"n": namespace}) == {"seen": ["p1", "p2", "p3", "p4", "p5"]}

    def test_calls_nobody_waits_for_sc14(self, invoke, namespace):
        """SC-14: what was begun is done, also when the handler is not called."""
        invoke.result("gs2('lock').lock_by_user_id_async({namespaceName = args.n, userId = 'u', propertyId = 'p', "
                      "transactionId = 't'})", {"n": namespace})
        assert invoke.sdk.lock.get_mutex_by_user_id(
            namespace_name=namespace, user_id="u", property_id="p").item.transaction_id == "t"

    def test_every_service_sc12(self, invoke):
        source = """
            result = {}
            for _, name in {'lock', 'gateway', 'auth', 'identifier', 'script', 'job_queue'} do
                result[name] = gs2(name).get_service_version({}).statusCode
            end
        """
        assert set(invoke.result(source).values()) == {200}

    def test_unknown_names_sc12(self, invoke):
        for source in ("gs2('nothing')", "gs2('lock').nothing({})", "gs2('lock').lockByUserId({})", "gs2()"):
            ran = invoke(source)
            assert ran.code == 500 and "1: " in errors(ran.result)[0]["message"], "the line is named"


class TestUser:
    """SC-03, SC-22: for whom a script runs."""

    LOCK = "result = gs2('lock').lock({namespaceName = args.n, propertyId = 'p', transactionId = 't', " \
           "accessToken = args.token})"

    def test_acting_user_sc22(self, invoke, namespace):
        """SC-22: a player's call without an access token is the invoking user's."""
        user = unique("user")
        answer = invoke.result(self.LOCK, {"n": namespace}, user_id=user)
        assert (answer["statusCode"], answer["result"]["item"]["userId"]) == (200, user)

    def test_access_token_sc22(self, invoke, namespace):
        """SC-22: one that is given counts, and a wrong one is refused."""
        user = unique("user")
        token = invoke.sdk.auth.login(user_id=user).token
        answer = invoke.result(self.LOCK, {"n": namespace, "token": token}, user_id="somebody-else")
        assert answer["result"]["item"]["userId"] == user
        assert invoke.result(self.LOCK, {"n": namespace, "token": "garbage"}, user_id=user)["statusCode"] == 401

    def test_nobody_sc22(self, invoke, namespace):
        """SC-22, A-10: without either there is nobody to act for."""
        answer = invoke.result(self.LOCK, {"n": namespace})
        assert (answer["isError"], answer["statusCode"]) == (True, 400)
        assert errors(answer["errorMessage"])[0]["message"] == "lock.accessToken.accessToken.error.require"

    def test_all_rights_of_the_project_sc22(self, sign_in, admin, scripts, namespace):
        """SC-22: a caller who may invoke one script may do with it whatever it does."""
        stored = scripts.store("result = gs2('lock').lock_by_user_id({namespaceName = args.n, userId = 'u', "
                               "propertyId = 'p', transactionId = 't'})")
        theirs = sign_in(document(allow("Gs2Script:InvokeScript")))
        ran = theirs.script.invoke_script(script_id=stored, args=json.dumps({"n": namespace}))
        assert json.loads(ran.result)["statusCode"] == 200
        assert admin.lock.get_mutex_by_user_id(
            namespace_name=namespace, user_id="u", property_id="p").item.transaction_id == "t"
        with theirs.refuses_with(Unauthorized):
            theirs.lock.get_mutex_by_user_id(namespace_name=namespace, user_id="u", property_id="p")


class TestPolicies:
    """I-10: a call that names a script is about that script."""

    REFUSED = "script.script.invokeScript.error.notAuthorized"

    def test_one_script_i10(self, sign_in, scripts):
        mine, other = scripts.store(ECHO), scripts.store(ECHO)
        theirs = sign_in(document(allow("Gs2Script:InvokeScript", on=[mine])))
        assert theirs.script.invoke_script(script_id=mine, args='{"a":1}').result == '{"a":1}'
        for script_id in (other, mine + "0", scripts.absent()):
            with theirs.refuses(Unauthorized, self.REFUSED):
                theirs.script.invoke_script(script_id=script_id)
        with theirs.refuses(Unauthorized, "script.script.debugInvoke.error.notAuthorized"):
            theirs.script.debug_invoke(script=ECHO)
        with theirs.refuses(Unauthorized, "script.script.getScript.error.notAuthorized"):
            theirs.script.get_script(namespace_name=scripts.namespace, script_name=mine.rpartition(":")[2])

    def test_placeholders_go_round_nothing_i10_n06(self, sign_in, scripts):
        """I-10, N-06: the script that is meant counts, however it is written."""
        mine, other = scripts.store(ECHO), scripts.store(ECHO)
        theirs = sign_in(document(allow("*"), deny("Gs2Script:InvokeScript", on=[other])))
        name = other.rpartition(":")[2]
        for script_id in (other, f"grn:gs2:{{region}}:{{ownerId}}:script:{scripts.namespace}:script:{name}"):
            with theirs.refuses(Unauthorized, self.REFUSED):
                theirs.script.invoke_script(script_id=script_id)
        assert theirs.script.invoke_script(script_id=mine).code == 200

    def test_built_in_scripts_i10_j64(self, sign_in, environment):
        theirs = sign_in(document(allow("Gs2Script:InvokeScript", on=[system_script(environment, "lock_*")])))
        allowed = system_script(environment, "lock_get_service_version")
        assert theirs.script.invoke_script(script_id=allowed).code == 200
        with theirs.refuses(Unauthorized, self.REFUSED):
            theirs.script.invoke_script(script_id=system_script(environment, "auth_get_service_version"))

    def test_one_namespace_i10(self, sign_in, make_scripts, environment):
        mine, other = make_scripts(), make_scripts()
        theirs = sign_in(document(allow("Gs2Script:*", on=[environment.grn("script", mine.namespace) + ":*"])))
        assert theirs.script.invoke_script(script_id=mine.store(ECHO)).code == 200
        with theirs.refuses(Unauthorized, self.REFUSED):
            theirs.script.invoke_script(script_id=other.store(ECHO))


class TestRandom:
    """SC-18: the same status gives the same numbers."""

    DRAW = "result = {random(1), random(1), random(2), random()}"

    def test_repeatable_sc18(self, invoke):
        first, again = (invoke(self.DRAW, random_status=random_status(5)) for _time in range(2))
        assert first.result == again.result
        numbers = json.loads(first.result)
        assert len(set(numbers)) == 4 and all(0 <= number < 2 ** 32 for number in numbers)
        assert first.random_status.to_dict() == random_status(5, _1=2, _2=1, _0=1).to_dict()
        assert invoke(self.DRAW, random_status=random_status(6)).result != first.result

    def test_goes_on_sc18(self, invoke):
        """SC-18: with the status that came back the draws go on where they ended."""
        whole = invoke.result("result = {random(1), random(1), random(1)}", random_status=random_status(7))
        first = invoke("result = {random(1)}", random_status=random_status(7))
        rest = invoke.result("result = {random(1), random(1)}", random_status=first.random_status)
        assert json.loads(first.result) + rest == whole

    def test_without_a_status_sc18(self, invoke):
        """SC-18: the seed is the server's choice and comes back; nothing comes back when nothing was drawn."""
        ran = invoke(self.DRAW)
        assert 0 <= ran.random_status.seed <= 4_294_967_294
        used = RandomStatus().with_seed(ran.random_status.seed)
        assert invoke(self.DRAW, random_status=used).result == ran.result
        assert invoke("result = {}").random_status is None

    @pytest.mark.parametrize("seed", [0, 4_294_967_294])
    def test_edges_sc18(self, invoke, seed):
        assert invoke("result = {random(1)}", random_status=random_status(seed)).random_status.seed == seed

    @pytest.mark.parametrize("seed", [-1, 4_294_967_295, "x"])
    def test_out_of_range_sc18(self, invoke, seed):
        with invoke.sdk.refuses(BadRequest, "script.randomStatus.seed.error.invalid"):
            invoke(self.DRAW, random_status=RandomStatus().with_seed(seed))


class TestTransaction:
    """SC-17: what is recorded; how it runs is Distributor's."""

    def test_is_recorded_sc17(self, invoke):
        """SC-17, DT-02: the actions by kind, in their order, with requests as JSON text."""
        ran = invoke("""
            local lock = transaction.service('lock')
            transaction.execute({
                verify = {transaction.service('jobQueue').verify.get_job_by_user_id({userId = 'u'})},
                consume = {lock.consume.unlock_by_user_id({propertyId = 'p', n = 1})},
                acquire = {lock.acquire.lock_by_user_id({propertyId = 'p'}), lock.acquire.lock_by_user_id()},
            })
            result = {}
        """)
        assert (ran.code, ran.atomic_commit) == (200, False)
        recorded = ran.transaction.to_dict()
        assert recorded.pop("transactionId")
        pairs = {kind: [(action["action"], json.loads(action["request"])) for action in actions]
                 for kind, actions in recorded.items()}
        assert pairs == {
            "verifyActions": [("Gs2JobQueue:GetJobByUserId", {"userId": "u"})],
            "consumeActions": [("Gs2Lock:UnlockByUserId", {"n": 1, "propertyId": "p"})],
            "acquireActions": [("Gs2Lock:LockByUserId", {"propertyId": "p"}), ("Gs2Lock:LockByUserId", {})],
        }

    def test_not_of_a_script_that_fails_sc17(self, invoke):
        ran = invoke("transaction.execute({acquire = {transaction.service('lock').acquire.lock_by_user_id({})}}) "
                     "fail(400, 'no')")
        assert (ran.code, ran.transaction) == (400, None)

    @pytest.mark.parametrize("source", [
        "transaction.execute()", "transaction.execute({other = {}})", "transaction.execute({verify = 5})",
        "transaction.execute({acquire = {5}})", "transaction.execute({acquire = {{action = 'a'}}})",
        "transaction.execute({acquire = {{action = {}, request = '{}'}}})", "transaction.service()",
        "transaction.service('a:b')",
        "transaction.service('lock').acquire.lock_by_user_id(5)", "transaction.service('lock').gain.x({})"])
    def test_wrong_use_sc17(self, invoke, source):
        """SC-17: a mistake in the script is named with its line."""
        ran = invoke(source)
        assert ran.code in (400, 500) and "1: " in errors(ran.result)[0]["message"]


class TestSandbox:
    def test_absent_sc20(self, debug):
        names = ["load", "loadstring", "loadfile", "dofile", "require", "pcall", "xpcall", "io", "debug", "package",
                 "coroutine", "collectgarbage", "getfenv", "setfenv", "newproxy", "os.execute", "os.getenv", "os.exit",
                 "os.remove", "os.rename", "os.tmpname", "os.clock", "os.date"]
        present = debug.result("result = {%s}" % ", ".join(f"['{name}'] = {name} ~= nil" for name in names))
        assert present == dict.fromkeys(names, False)

    def test_language_sc19_sc20(self, debug):
        """SC-19, SC-20: the old functions, and what `table`, `string` and `math` have."""
        source = """
            local t = {3, 1, 2}
            table.sort(t)
            result = {table.concat(t, ','), ('abc'):upper(), string.format('%03d', 7), math.floor(2.5), #t,
                unpack({8, 9}), select('#', 1, 2), tostring(nil), tonumber('0x10'), type(os.time())}
        """
        assert debug.result(source) == ["1,2,3", "ABC", "007", 2, 3, 8, 2, "nil", 16, "number"]

    def test_errors_cannot_be_caught_sc20(self, debug):
        ran = debug("local t = setmetatable({}, {__index = function() fail(409, 'at once') end}) result = {x = t.x}")
        assert ran.code == 409

    @pytest.mark.parametrize("source", [
        "local t = {} while true do t[#t + 1] = ('x'):rep(1048576) .. #t end",
        "for i = 1, 20 do print(('x'):rep(65536)) end",
        "local function f() return 1 + f() end f()",
        "result = {text = ('x'):rep(6000000)}",
        "local t = {} t.t = t result = t",
    ], ids=["memory", "output", "stack", "result", "cycle"])
    def test_limits_sc21(self, debug, source):
        """SC-21: whoever wants too much fails, and the server goes on."""
        ran = debug(source)
        assert ran.code in (400, 500) and errors(ran.result)
        assert debug.result("result = {well = true}") == {"well": True}

    def test_no_network_unless_allowed_sc15_sc20(self, debug, environment):
        """SC-15: `http` answers like a call; which hosts may be reached is the operator's to say."""
        answer = debug.result("result = http.get(args.url)", {"url": environment.url + "/healthz"})
        assert answer["isError"] is True and answer["errorMessage"]

    def test_utilities_sc15(self, debug):
        source = """
            local text = util.table_to_json({b = {1, 'x'}, a = 'あ'})
            local back = util.json_to_table('{"a": "12", "b": []}')
            local kept = util.json_to_table('{"a": "12"}', true)
            result = {text = text.result, ok = text.isError, a = back.result.a, kept = kept.result.a,
                bad = util.json_to_table('{').statusCode, parts = util.split('a,b,,c', ',').result}
        """
        assert debug.result(source) == {
            "text": '{"a":"あ","b":[1,"x"]}', "ok": False, "a": 12, "kept": "12", "bad": 400,
            "parts": ["a", "b", "", "c"]}


class TestTime:
    """SC-23: seconds, as the caller sees them."""

    def test_os_time_sc23(self, invoke):
        before = int(time.time())
        assert before <= invoke.result("result = {now = os.time()}")["now"] <= time.time()

    def test_time_offset_sc23_a08(self, invoke):
        user = unique("user")
        token = invoke.sdk.auth.issue_time_offset_token_by_user_id(user_id=user, time_offset=86_400).token
        before = int(time.time()) + 86_400
        now = invoke.result("result = {now = os.time()}", user_id=user, time_offset_token=token)["now"]
        assert before <= now <= time.time() + 86_400

    def test_calls_see_it_too_sc23_a09(self, invoke, namespace):
        """SC-23, A-09: what the script asks for the same player is judged at that time."""
        user = unique("user")
        invoke.sdk.lock.lock_by_user_id(
            namespace_name=namespace, user_id=user, property_id="p", transaction_id="t", ttl=60)
        token = invoke.sdk.auth.issue_time_offset_token_by_user_id(user_id=user, time_offset=61).token
        source = "result = {gs2('lock').get_mutex{namespaceName = args.n, propertyId = 'p'}.statusCode}"
        args = {"n": namespace}
        assert invoke.result(source, args, user_id=user) == [200]
        assert invoke.result(source, args, user_id=user, time_offset_token=token) == [404]

    @pytest.mark.parametrize("who", ["me", "by_user_id"])
    def test_of_jobs_sc23(self, sdk, make_queue, scripts, who):
        """SC-23: a job runs at the time of whoever runs it."""
        queue = Queue(sdk, make_queue(), who, offset=3600)
        queue.push(entry(scripts.store("result = {now = os.time()}")))
        before = int(time.time()) + 3600
        assert before <= json.loads(queue.run().result.result)["now"] <= time.time() + 3600


class TestNesting:
    """SC-21: scripts inside scripts, at most eight of them."""

    SOURCE = """
        local inner = gs2('script').invoke_script({scriptId = args.me, args = util.table_to_json({
            me = args.me, n = args.n + 1}).result})
        if inner.isError then fail(inner.statusCode, inner.errorMessage) end
        local result_ = util.json_to_table(inner.result.result).result
        local deepest = inner.result.code ~= 200
        result = {depth = deepest and args.n or result_.depth, code = deepest and inner.result.code or result_.code}
    """

    def test_depth_sc21(self, sdk, scripts):
        stored = scripts.store(self.SOURCE)
        ran = sdk.script.invoke_script(script_id=stored, args=json.dumps({"me": stored, "n": 1}))
        assert (ran.code, json.loads(ran.result)) == (200, {"depth": 8, "code": 400})

    def test_of_jobs_sc21(self, sdk, make_queue, scripts):
        queue, stored = Queue(sdk, make_queue()), scripts.store(self.SOURCE)
        queue.push(entry(stored, {"me": stored, "n": 1}))
        assert json.loads(queue.run().result.result) == {"depth": 8, "code": 400}

    def test_the_user_goes_with_it_sc22(self, invoke, scripts, namespace):
        inner = scripts.store(
            "result = gs2('lock').lock{namespaceName = args.n, propertyId = 'p', transactionId = 't'}")
        source = "result = gs2('script').invoke_script({scriptId = args.inner, userId = 'inner-user', " \
                 "args = util.table_to_json({n = args.n}).result})"
        answer = invoke.result(source, {"inner": inner, "n": namespace}, user_id="outer-user")
        assert json.loads(answer["result"]["result"])["result"]["item"]["userId"] == "inner-user"


class TestOnce:
    """X-01 to X-03: a repeated call with the same avoider runs nothing and gets the first answer."""

    LOCK = "result = {n = gs2('lock').lock_by_user_id({namespaceName = args.n, userId = 'u', propertyId = 'p', " \
           "transactionId = 't'}).result.item.referenceCount, r = random(1)}"

    def test_invoke_x02(self, sdk, scripts, namespace):
        stored, avoider, other = scripts.store(self.LOCK), unique("avoider"), unique("avoider")
        call = {"script_id": stored, "args": json.dumps({"n": namespace}), "user_id": unique("user")}
        first = sdk.script.invoke_script(duplication_avoider=avoider, **call)
        assert sdk.script.invoke_script(duplication_avoider=avoider, **call).to_dict() == first.to_dict()
        assert json.loads(first.result)["n"] == 1
        with sdk.refuses_with(Conflict):
            sdk.script.invoke_script(duplication_avoider=avoider, **{**call, "args": "{}"})
        assert json.loads(sdk.script.invoke_script(duplication_avoider=other, **call).result)["n"] == 2

    def test_scope_x03(self, sdk, scripts, namespace):
        """X-03: the avoider counts per user, and the user is the one for whom the script runs."""
        call = {"script_id": scripts.store(self.LOCK), "args": json.dumps({"n": namespace}),
                "duplication_avoider": unique("avoider")}
        for count, user in ((1, unique("user")), (2, unique("user"))):
            ran = sdk.script.invoke_script(user_id=user, **call)
            assert json.loads(ran.result)["n"] == count

    def test_debug_invoke_x02(self, sdk, namespace):
        avoider = unique("avoider")
        call = {"script": self.LOCK, "args": json.dumps({"n": namespace}), "duplication_avoider": avoider}
        first = sdk.script.debug_invoke(**call)
        assert sdk.script.debug_invoke(**call).to_dict() == first.to_dict()

    def test_avoider_of_a_call_inside_x02(self, invoke, namespace):
        """X-02: the member `duplicationAvoider` of a call's table."""
        source = """
            local request = {namespaceName = args.n, userId = 'u', propertyId = 'p', transactionId = 't',
                duplicationAvoider = args.avoider}
            local lock = gs2('lock')
            result = {lock.lock_by_user_id(request).result.item.referenceCount,
                lock.lock_by_user_id(request).result.item.referenceCount}
        """
        assert invoke.result(source, {"n": namespace, "avoider": unique("a")}) == [1, 1]


class TestDryRun:
    """T-14: the script runs, and nothing that it does is kept."""

    SOURCE = "result = gs2('lock').lock_by_user_id({namespaceName = args.n, userId = 'u', propertyId = 'p', " \
             "transactionId = 't'})"

    def test_effects_t14(self, dry, admin, scripts, namespace):
        args = json.dumps({"n": namespace})
        for operation, which in ((INVOKE, {"scriptId": scripts.store(self.SOURCE)}), (DEBUG, {"script": self.SOURCE})):
            answer = dry(operation, {**which, "args": args}).ok()
            assert answer["code"] == 200
            assert json.loads(answer["result"])["result"]["item"]["transactionId"] == "t"
            with admin.refuses(NotFound, NO_MUTEX):
                admin.lock.get_mutex_by_user_id(namespace_name=namespace, user_id="u", property_id="p")

    def test_stored_scripts_t14(self, dry, admin, scripts):
        create = operations.operation("script", "createScript")
        item = dry(create, {"namespaceName": scripts.namespace, "name": "dry", "script": ECHO}).ok()["item"]
        with admin.refuses(NotFound, NO_SCRIPT):
            admin.script.invoke_script(script_id=item["scriptId"])
        kept = scripts.store("result = {kept = true}")
        dry(operations.operation("script", "updateScript"), {
            "namespaceName": scripts.namespace, "scriptName": kept.rpartition(":")[2], "script": ECHO}).ok()
        dry(operations.operation("script", "deleteScript"), {
            "namespaceName": scripts.namespace, "scriptName": kept.rpartition(":")[2]}).ok()
        assert admin.script.invoke_script(script_id=kept).result == '{"kept":true}'
