"""Distributor: transactions that the server runs once, in order, again, with whose rights, and by `runTransaction`.
BEHAVIOUR DT-03, DT-21, DT-31, DT-32, DT-37, DT-39, DT-52, X-02, T-14."""

import json
import uuid
from contextlib import closing

import pytest

from harness import operations
from harness.environment import unique
from harness.jobs import Queue, Scripts, errors
from harness.policy import allow, deny, document
from harness.sdk import BadRequest, Conflict, NotFound, Sdk, Unauthorized
from harness.server import Server
from harness.transactions import (
    ATOMIC, LATER, NO_MUTEX, NO_NAMESPACE, NO_TRANSACTION_RESULT, STEPS, TRANSACTION_RAN, WRONG_ACTION, WRONG_REQUEST,
    Results, Shop, action, invoke, statuses, tells, transaction_setting)

INVOKE = operations.operation("script", "invokeScript")
RUN = operations.operation("distributor", "runTransaction")
AFTERWARDS = pytest.mark.parametrize("mode", [LATER, STEPS], ids=["later", "steps"])
NOT_AUTHORIZED = "lock.mutex.lockByUserId.error.notAuthorized"
CALLERS = 6


class TestAfterwards:
    """DT-30, DT-32, DT-39: what runs after the call."""

    @AFTERWARDS
    def test_order_dt39(self, make_shop, mode):
        """DT-39, J-02: one after the other, in the order in which a player's transactions were made."""
        shop = make_shop(**mode)
        purse = shop.purse()
        answers = [shop.make(purse, consume=[purse.gains("coin")]) for _number in range(10)]
        kind = "sheet" if mode == STEPS else "transaction"
        results = shop.results(purse)
        results.awaited(kind, answers[-1]["transactionId"])
        seen = []
        for answer in answers:
            result = getattr(results, kind)(answer["transactionId"])
            text = result["taskResults"][0] if mode == STEPS else result["consumeResults"][0]["consumeResult"]
            seen.append(json.loads(text)["item"]["referenceCount"])
        assert seen == list(range(1, 11))

    @AFTERWARDS
    def test_failures_hold_nothing_up_dt39(self, make_shop, mode):
        """DT-39: what cannot succeed by waiting is not tried again, and the next one has its turn."""
        shop = make_shop(**mode)
        purse = shop.purse()
        failing = shop.make(purse, consume=[purse.loses("coin")])
        assert shop.outcome(purse, shop.make(purse, acquire=[purse.gains("sword")])) == ([], [], [200])
        assert shop.outcome(purse, failing) == ([], [404], [])
        kind = "sheet" if mode == STEPS else "transaction"
        assert getattr(shop.results(purse), kind)(failing["transactionId"])["revision"] == 1

    @AFTERWARDS
    def test_conflicts_are_tried_again_dt37_dt39(self, make_shop, mode):
        """DT-37, DT-39: a conflict passes; the result is told as it is, and again when it has changed. What was taken
        before it is not taken twice, and the player's next transaction waits."""
        shop = make_shop(**mode)
        purse = shop.purse()
        purse.put("coin", 5)
        purse.put("sword", holder="somebody else")
        kind = "sheet" if mode == STEPS else "transaction"
        name = shop.make(purse, [], [purse.loses("coin")], [purse.gains("sword")])["transactionId"]
        behind = shop.make(purse, acquire=[purse.gains("shield")])["transactionId"]
        first = shop.results(purse).awaited(kind, name)
        assert (first["revision"], purse.count("coin")) == (1, 4 if mode == STEPS else 5)
        assert (first["sheetResultCode"] if mode == STEPS else statuses(first)[2][0]) == 409
        assert purse.count("shield") == 0
        purse.drop("sword")
        last = shop.results(purse).awaited(kind, name, revision=2)
        assert (last["sheetResultCode"] if mode == STEPS else statuses(last)[2][0]) == 200
        assert last["createdAt"] == first["createdAt"]
        shop.results(purse).awaited(kind, behind)
        assert purse.counts("coin", "sword", "shield") == [4, 1, 1]

    @AFTERWARDS
    def test_players_do_not_wait_for_each_other_dt39(self, make_shop, mode):
        shop = make_shop(**mode)
        blocked, free = shop.purse(), shop.purse()
        blocked.put("sword", holder="somebody else")
        shop.make(blocked, acquire=[blocked.gains("sword")])
        assert shop.outcome(free, shop.make(free, acquire=[free.gains("sword")])) == ([], [], [200])
        blocked.drop("sword")
        blocked.awaits("sword")

    @AFTERWARDS
    def test_goes_on_after_a_restart_dt39(self, environment, tmp_path, mode):
        """DT-39: a transaction that waits survives a killed server, and takes effect once."""
        server = Server(environment, tmp_path)
        server.start()
        try:
            with closing(Sdk.login(server.environment, "rest")) as sdk:
                for service in (sdk.lock, sdk.distributor, sdk.job_queue):
                    service.create_namespace(name="default")
                setting = transaction_setting(server.environment, "default", "default", **mode)
                sdk.script.create_namespace(name="shop", transaction_setting=setting)
                shop = Shop(Scripts(sdk, "shop"), "default", "default", "default")
                purse = shop.purse()
                purse.put("coin", 5)
                purse.put("sword", holder="somebody else")
                name = shop.make(purse, [], [purse.loses("coin")], [purse.gains("sword")])["transactionId"]
                kind = "sheet" if mode == STEPS else "transaction"
                shop.results(purse).awaited(kind, name)
                server.kill()
                server.start()
                purse.drop("sword")
                assert shop.results(purse).awaited(kind, name, revision=2)
                purse.awaits("sword")
                assert purse.counts("coin", "sword") == [4, 1]
        finally:
            server.kill()

    def test_is_no_queue_of_jobs_n15(self, admin, make_shop):
        """N-15: the queue of the server itself has no name that anybody could give."""
        shop = make_shop(**LATER)
        purse = shop.purse()
        purse.put("sword", holder="somebody else")
        shop.make(purse, acquire=[purse.gains("sword")])
        assert Queue(admin, shop.queue, user=purse.user).names() == []
        with admin.refuses(BadRequest, "jobQueue.job.namespaceName.error.invalid"):
            admin.job_queue.describe_jobs_by_user_id(namespace_name=":transaction", user_id=purse.user)
        purse.drop("sword")
        purse.awaits("sword")


class TestOnce:
    """X-02, DT-21: a repeated call makes one transaction."""

    def test_repeated_x02(self, shop):
        """X-02: the same transaction, sheet and result are answered."""
        purse = shop.purse()
        purse.put("coin", 5)
        parts = [], [purse.loses("coin")], [purse.gains("sword")]
        answers = [shop.make(purse, *parts, duplication_avoider="x") for _time in range(2)]
        assert answers[0] == answers[1]
        assert shop.outcome(purse, answers[1]) == ([], [200], [200])
        assert purse.counts("coin", "sword") == [4, 1]
        other = shop.make(purse, *parts, duplication_avoider="y")
        assert other["transactionId"] != answers[0]["transactionId"]
        assert shop.outcome(purse, other) == ([], [200], [200]) and purse.counts("coin", "sword") == [3, 2]

    def test_without_an_avoider_dt21(self, shop):
        """DT-21: two calls are two transactions."""
        purse = shop.purse()
        answers = [shop.make(purse, acquire=[purse.gains("sword")]) for _time in range(2)]
        assert answers[0]["transactionId"] != answers[1]["transactionId"]
        for answer in answers:
            assert shop.outcome(purse, answer) == ([], [], [200])
        assert purse.count("sword") == 2


class TestDryRun:
    def test_invoke_t14(self, dry, shop):
        """T-14: the transaction that would be, and nothing of it."""
        purse = shop.purse()
        purse.put("coin")
        args = json.dumps({"verify": [], "consume": [purse.loses("coin")], "acquire": [purse.gains("sword")]})
        tried = dry(INVOKE, {"scriptId": shop.record, "userId": purse.user, "args": args}).ok()
        assert tried["code"] == 200
        if "transactionResult" in tried:
            assert statuses(tried["transactionResult"]) == ([], [200], [200])
        answer = shop.make(purse, acquire=[purse.gains("shield")])
        assert shop.outcome(purse, answer) == ([], [], [200])
        assert purse.counts("coin", "sword", "shield") == [1, 0, 1]
        with shop.sdk.refuses(NotFound, NO_TRANSACTION_RESULT):
            shop.results(purse).transaction(tried["transactionId"])

    def test_run_t14(self, dry, admin, make_distributor, make_shop):
        shop = make_shop()
        purse, name = shop.purse(), str(uuid.uuid4())
        fields = {"ownerId": admin.environment.owner_id, "namespaceName": shop.distributor, "userId": purse.user,
                  "transaction": json.dumps({"transactionId": name, "acquireActions": [purse.gains("sword")]})}
        assert dry(RUN, fields).ok()["item"]["hasError"] is False
        assert purse.count("sword") == 0
        with admin.refuses(NotFound, NO_TRANSACTION_RESULT):
            shop.results(purse).transaction(name)


class TestRights:
    """DT-52: what the actions of a transaction may do."""

    @pytest.fixture
    def assume(self, admin, make_user, make_policy, make_distributor, environment):
        """Makes Distributor namespaces that assume a user with such a policy."""

        def assume_(*statements):
            policies = [make_policy(document(*statements)).security_policy_id] if statements else []
            user = make_user(policies=policies)
            return make_distributor(assume_user_id=environment.grn("identifier", "user", user))

        return assume_

    def test_not_allowed_dt52(self, assume, make_shop, mode):
        """DT-52, E-15: an action that the user may not call fails with 401, like any other failure."""
        shop = make_shop(distributor=assume(allow("Gs2Lock:UnlockByUserId", "Gs2Lock:GetMutexByUserId")), **mode)
        purse = shop.purse()
        purse.put("coin")
        answer = shop.make(purse, [purse.has("coin")], [purse.loses("coin")], [purse.gains("sword")])
        assert shop.outcome(purse, answer) == ([200], [200], [401])
        assert purse.counts("coin", "sword") == [1 if mode in (ATOMIC, LATER) else 0, 0]

    def test_words_dt52(self, assume, make_shop):
        shop = make_shop(distributor=assume(deny("*")), **ATOMIC)
        purse = shop.purse()
        ran, = shop.make(purse, acquire=[purse.gains("sword")])["transactionResult"]["acquireResults"]
        assert [error["message"] for error in errors(ran["acquireResult"])] == [NOT_AUTHORIZED]

    def test_allowed_dt52(self, assume, make_shop, mode):
        shop = make_shop(distributor=assume(allow("Gs2Lock:*")), **mode)
        purse = shop.purse()
        purse.put("coin")
        answer = shop.make(purse, [purse.has("coin")], [purse.loses("coin")], [purse.gains("sword")])
        assert shop.outcome(purse, answer) == ([200], [200], [200])

    def test_resources_dt52_i10(self, assume, make_shop, namespace, environment):
        """DT-52, I-10: rights for one player's things."""
        mine, other = unique("user"), unique("user")
        shop = make_shop(distributor=assume(
            allow("Gs2Lock:LockByUserId", on=[environment.grn("lock", namespace, "user", mine) + ":*"])), **ATOMIC)
        for user, status in ((mine, 200), (other, 401)):
            purse = shop.purse(user)
            answer = shop.make(purse, acquire=[purse.gains("sword")])
            assert statuses(answer["transactionResult"]) == ([], [], [status])

    @pytest.mark.parametrize("user", ["user:absent", "absent", "securityPolicy:x", ""])
    def test_no_such_user_dt52(self, make_distributor, make_shop, environment, user):
        """DT-52: a user who does not exist may do nothing."""
        grn = environment.grn("identifier", user) if user else "grn:gs2::somebody:identifier:user:x"
        where = make_distributor(assume_user_id=grn)
        shop = make_shop(distributor=where, **ATOMIC)
        purse = shop.purse()
        assert statuses(shop.make(purse, acquire=[purse.gains("sword")])["transactionResult"]) == ([], [], [401])

    def test_change_counts_at_once_dt52(self, admin, make_user, make_policy, make_distributor, make_shop, environment):
        user = make_user()
        shop = make_shop(distributor=make_distributor(
            assume_user_id=environment.grn("identifier", "user", user)), **ATOMIC)
        purse = shop.purse()
        policy = make_policy(document(allow("Gs2Lock:LockByUserId"))).security_policy_id
        attach = {"user_name": user, "security_policy_id": policy}
        for change, status in ((None, 401), (admin.identifier.attach_security_policy, 200),
                               (admin.identifier.detach_security_policy, 401)):
            if change:
                change(**attach)
            answer = shop.make(purse, acquire=[purse.gains("sword")])
            assert statuses(answer["transactionResult"]) == ([], [], [status])

    def test_scripts_dt52_sc22(self, assume, make_shop):
        """DT-52, SC-22: the user must be allowed to invoke the script, which then has the rights of all scripts."""
        source = "result = gs2('lock').lock_by_user_id({namespaceName = args.lock, userId = args.user, " \
                 "propertyId = 'sword', transactionId = 't'})"
        for statements, status in (((allow("Gs2Script:InvokeScript"),), 200), ((allow("Gs2Lock:*"),), 401)):
            shop = make_shop(distributor=assume(*statements), **ATOMIC)
            purse = shop.purse()
            given = invoke(shop.scripts.store(source), {"lock": shop.lock, "user": purse.user}, userId="#{userId}")
            answer = shop.make(purse, acquire=[given])
            assert statuses(answer["transactionResult"]) == ([], [], [status])
            assert purse.count("sword") == (1 if status == 200 else 0)

    def test_run_transaction_i10(self, sign_in, make_shop, environment):
        """I-10: a right to run transactions of one player, and one to see what became of them."""
        shop = make_shop()
        purse, other = shop.purse(), shop.purse()
        mine = environment.grn("distributor", shop.distributor, "user", purse.user)
        runner = sign_in(document(allow("Gs2Distributor:RunTransaction", on=[mine])))
        item = Counter(runner, shop).run(purse, acquire=[purse.gains("sword")])
        assert item["hasError"] is False
        with runner.refuses(Unauthorized, "distributor.transactionResult.runTransaction.error.notAuthorized"):
            Counter(runner, shop).run(other, acquire=[other.gains("sword")])
        with runner.refuses(Unauthorized, "distributor.transactionResult.getTransactionResultByUserId.error.notAuthorized"):
            Results(runner, shop.distributor, purse.user).transaction(item["transactionId"])
        reader = sign_in(document(allow("Gs2Distributor:GetTransactionResultByUserId", on=[mine + ":*"])))
        assert Results(reader, shop.distributor, purse.user).transaction(item["transactionId"]) == item
        with reader.refuses_with(Unauthorized):
            Results(reader, shop.distributor, other.user).transaction(item["transactionId"])
        assert (purse.count("sword"), other.count("sword")) == (1, 0)

    def test_of_the_caller_do_not_count_dt52(self, sign_in, make_shop):
        """DT-52: whoever may invoke a script may have its transactions run."""
        shop = make_shop(**ATOMIC)
        purse = shop.purse()
        theirs = sign_in(document(allow("Gs2Script:InvokeScript", on=[shop.record])))
        answer = shop.make(purse, acquire=[purse.gains("sword")], sdk=theirs)
        assert statuses(answer["transactionResult"]) == ([], [], [200]) and purse.count("sword") == 1


class TestRunTransaction:
    """DT-21, DT-32, DT-37: a transaction that a backend makes itself."""

    @pytest.fixture
    def counter(self, sdk, make_shop):
        shop = make_shop()
        return Counter(sdk, shop), shop.purse()

    def test_item_dt37_n04(self, counter, environment):
        counter, purse = counter
        purse.put("coin")
        name = str(uuid.uuid4())
        item = counter.run(purse, [purse.has("coin")], [purse.loses("coin")], [purse.gains("sword")], name)
        assert item["transactionResultId"] == environment.grn(
            "distributor", counter.namespace, "user", purse.user, "transaction", "result", name)
        assert (item["userId"], item["transactionId"], item["hasError"], item["revision"]) == (purse.user, name, False, 1)
        assert statuses(item) == ([200], [200], [200])
        assert Results(counter.sdk, counter.namespace, purse.user).transaction(name) == item
        assert purse.counts("coin", "sword") == [0, 1]

    def test_once_dt21(self, counter):
        """DT-21: what succeeded under a name is not run again under it, whatever is asked; another player's is another
        one."""
        counter, purse = counter
        name = str(uuid.uuid4())
        first = counter.run(purse, acquire=[purse.gains("sword")], name=name)
        assert counter.run(purse, acquire=[purse.gains("sword")], name=name) == first
        assert counter.run(purse, acquire=[purse.gains("shield")], name=name) == first
        assert purse.counts("sword", "shield") == [1, 0]
        other = purse.of()
        assert counter.run(other, acquire=[other.gains("sword")], name=name)["userId"] == other.user
        assert other.count("sword") == 1

    def test_failure_takes_everything_back_dt31(self, counter):
        """DT-31, DT-37: HTTP 200; nothing has changed, and it may be run again under its name."""
        counter, purse = counter
        purse.put("coin")
        name, parts = str(uuid.uuid4()), ([], [purse.loses("coin")], [purse.loses("debt"), purse.gains("sword")])
        failed = counter.run(purse, *parts, name)
        assert (statuses(failed), failed["hasError"], failed["revision"]) == (([], [200], [404]), True, 1)
        assert errors(failed["acquireResults"][0]["acquireResult"])[0]["message"] == NO_MUTEX
        assert purse.counts("coin", "sword") == [1, 0]
        purse.put("debt")
        ran = counter.run(purse, *parts, name)
        assert (statuses(ran), ran["hasError"], ran["revision"]) == (([], [200], [200, 200]), False, 2)
        assert ran["createdAt"] == failed["createdAt"]
        assert purse.counts("coin", "sword") == [0, 1]

    def test_at_the_same_time_dt21(self, admin, make_shop, open_sdk, threads):
        shop = make_shop()
        purse = shop.purse()
        purse.put("coin", CALLERS)
        counters = [Counter(open_sdk("rest"), shop) for _number in range(CALLERS)]
        for number in range(1, 6):
            name = str(uuid.uuid4())

            def run(counter):
                return counter.run(purse, [], [purse.loses("coin")], [purse.gains("sword")], name)

            items = list(threads.map(run, counters))
            assert all(item == items[0] for item in items)
            assert purse.counts("coin", "sword") == [CALLERS - number, number]

    def test_repeated_x02(self, counter):
        counter, purse = counter
        name = str(uuid.uuid4())
        failed = counter.run(purse, [], [purse.loses("coin")], [], name, duplication_avoider="x")
        purse.put("coin")
        assert counter.run(purse, [], [purse.loses("coin")], [], name, duplication_avoider="x") == failed
        with counter.sdk.refuses_with(Conflict):
            counter.run(purse, [], [purse.loses("gem")], [], name, duplication_avoider="x")
        assert counter.run(purse, [], [purse.loses("coin")], [], name)["hasError"] is False

    def test_placeholders_dt03(self, counter):
        """DT-03: of the player in the path; others have no value and stay."""
        counter, purse = counter
        item = counter.run(purse, acquire=[purse.gains("sword-#{kind}-#{userId}")])
        request = json.loads(item["acquireResults"][0]["acquireRequest"])
        assert (request["userId"], request["propertyId"]) == (purse.user, "sword-#{kind}-" + purse.user)
        given = json.loads(item["acquireResults"][0]["acquireResult"])["item"]
        assert (given["userId"], given["propertyId"]) == (purse.user, request["propertyId"])

    def test_lists_may_be_absent_dt37(self, counter):
        counter, purse = counter
        for members in ({}, {"verifyActions": None, "consumeActions": [], "new": 1}):
            item = counter.send(purse, json.dumps({"transactionId": str(uuid.uuid4()), **members}))
            assert (statuses(item), item["hasError"]) == (([], [], []), False)

    @pytest.mark.parametrize("text", [
        "text", "5", "null", "[]", '"{}"', "{", "{}", '{"transactionId":5}', '{"transactionId":""}'])
    def test_no_transaction_e04(self, counter, text):
        counter, purse = counter
        with counter.sdk.refuses_with(BadRequest):
            counter.send(purse, text)

    @pytest.mark.parametrize("members", [
        {"verifyActions": {}}, {"consumeActions": [5]}, {"acquireActions": [None]}, {"acquireActions": "text"},
        {"acquireActions": [{"action": "Gs2Lock:LockByUserId"}]}, {"acquireActions": [{"request": "{}"}]},
        {"acquireActions": [{"action": "Gs2Lock:LockByUserId", "request": {}}]}], ids=json.dumps)
    def test_wrong_lists_e04(self, counter, members):
        counter, purse = counter
        with counter.sdk.refuses_with(BadRequest):
            counter.send(purse, json.dumps({"transactionId": str(uuid.uuid4()), **members}))

    def test_id_dt10(self, counter):
        """DT-10: 36 characters; a result under another name could not be asked for."""
        counter, purse = counter
        for name in ("short", "x" * 37, "x" * 128, "x" * 129):
            with counter.sdk.refuses_with(BadRequest):
                counter.run(purse, acquire=[purse.gains("sword")], name=name)
        assert purse.count("sword") == 0

    def test_too_many_dt37(self, counter):
        counter, purse = counter
        for parts in ({"verify": [purse.has("x")] * 101}, {"consume": [purse.loses("x")] * 101},
                      {"acquire": [purse.gains("x")] * 101}):
            with counter.sdk.refuses_with(BadRequest, suffix=".error.tooMany"):
                counter.run(purse, **parts)
        assert purse.count("x") == 0

    def test_wrong_actions_dt02(self, counter):
        """DT-02: the action fails, and the transaction with it."""
        counter, purse = counter
        purse.put("coin")
        for wrong, message in ((action("Gs2Lock:Fly"), WRONG_ACTION), (action("Gs2Identifier:CreateUser"), WRONG_ACTION),
                               (action("Gs2Lock:LockByUserId", "no JSON"), WRONG_REQUEST)):
            item = counter.run(purse, [], [purse.loses("coin")], [wrong])
            assert (statuses(item), item["hasError"]) == (([], [200], [400]), True)
            assert errors(item["acquireResults"][0]["acquireResult"])[0]["message"] == message
        item = counter.run(purse, [purse.gains("sword")])
        assert errors(item["verifyResults"][0]["verifyResult"])[0]["message"] == WRONG_ACTION
        assert purse.counts("coin", "sword") == [1, 0]

    def test_inside_another_dt31(self, counter):
        """DT-31: a transaction as an action of one: all or nothing, or no action at all."""
        counter, purse = counter
        inner = json.dumps({"transactionId": str(uuid.uuid4()), "consumeActions": [purse.loses("debt")]})
        nested = action("Gs2Distributor:RunTransaction", ownerId=counter.sdk.environment.owner_id,
                        namespaceName=counter.namespace, userId=purse.user, transaction=inner)
        item = counter.run(purse, acquire=[purse.gains("sword"), nested])
        assert item["hasError"] is True and purse.count("sword") == 0

    def test_owner_dt32(self, counter):
        """DT-32: only of the caller's own project."""
        counter, purse = counter
        with counter.sdk.refuses(BadRequest, "distributor.transactionResult.ownerId.error.invalid"):
            counter.run(purse, acquire=[purse.gains("sword")], owner_id="somebody")
        with counter.sdk.refuses(NotFound, NO_NAMESPACE):
            counter.run(purse, acquire=[purse.gains("sword")], namespace_name=unique("absent"))
        assert purse.count("sword") == 0

    def test_tells_dt36(self, sdk, make_shop, make_distributor, gateway, listen, environment):
        """DT-36: the player is told here too."""
        where = make_distributor(auto_run_transaction_notification=tells(environment, gateway))
        shop = make_shop(distributor=where)
        purse, socket = shop.purse(), listen()
        socket.gateway.set_user_id_by_user_id(namespace_name=gateway, user_id=purse.user)
        name = str(uuid.uuid4())
        Counter(sdk, shop).run(purse, acquire=[purse.gains("sword")], name=name)
        body, = socket.notifications(1)
        assert body["subject"] == TRANSACTION_RAN and json.loads(body["payload"])["transactionId"] == name

    def test_large_dt37(self, counter):
        """DT-37: results as large as the requests that made them."""
        counter, purse = counter
        parts = [purse.gains("sword", note="あ" * 50_000) for _number in range(20)]
        item = counter.run(purse, acquire=parts)
        assert statuses(item) == ([], [], [200] * 20) and purse.count("sword") == 20
        assert Results(counter.sdk, counter.namespace, purse.user).transaction(item["transactionId"]) == item


class Counter:
    """Runs transactions in the Distributor namespace of a shop."""

    def __init__(self, sdk, shop):
        self.sdk, self.namespace = sdk, shop.distributor

    def send(self, purse, text, **fields):
        """The item as it came."""
        fields = {"owner_id": self.sdk.environment.owner_id, "namespace_name": self.namespace, **fields}
        self.sdk.distributor.run_transaction(user_id=purse.user, transaction=text, **fields)
        return self.sdk.answer["item"]

    def run(self, purse, verify=(), consume=(), acquire=(), name=None, **fields):
        text = json.dumps({
            "transactionId": name or str(uuid.uuid4()), "verifyActions": list(verify), "consumeActions": list(consume),
            "acquireActions": list(acquire)}, ensure_ascii=False)
        return self.send(purse, text, **fields)
