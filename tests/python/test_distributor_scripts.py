"""Distributor: scripts inside of transactions, and transactions of jobs' and triggers' scripts. BEHAVIOUR SC-07, SC-17,
SC-21, J-61, T-12, DT-10, DT-31, DT-38, CH-72."""

import json
from contextlib import closing

import pytest

from harness.chat import Member, hook
from harness.environment import unique
from harness.jobs import ECHO, Queue, Scripts, errors
from harness.sdk import BadRequest, NotFound, Sdk
from harness.server import Server
from harness.transactions import (
    ATOMIC, LATER, MODES, NO_MUTEX, STEPS, Results, Sheet, Shop, invoke, statuses, transaction_setting)

# Takes a mutex, and then does what it is told.
TAKE = """
local given = gs2('lock').lock_by_user_id({namespaceName = args.lock, userId = args.user, propertyId = args.what,
    transactionId = 't'})
if given.isError then fail(given.statusCode, given.errorMessage) end
if args.status then fail(args.status, 'told to') end
result = {count = given.result.item.referenceCount}
"""
# Records a gain and permits, as a script before a change does.
TRADE = """
transaction.execute({verify = {}, consume = %s, acquire = {transaction.service('lock').acquire.lock_by_user_id({
    namespaceName = '%s', userId = '#{userId}', propertyId = 'sword', transactionId = 't'})}})
result = {permit = true, own = 'word'}
"""
PAY = """{transaction.service('lock').consume.unlock_by_user_id({
    namespaceName = '%s', userId = '#{userId}', propertyId = 'coin', transactionId = 't'})}"""
TOGETHER = pytest.mark.parametrize("mode", [ATOMIC, LATER], ids=["atomic", "later"])


def take(shop, what, **args):
    """The gain that a script gives."""
    args = {"lock": shop.lock, "user": "#{userId}", "what": what, **args}
    return invoke(shop.scripts.store(TAKE), args, userId="#{userId}")


def trade(lock):
    """A script that sells a sword for a coin."""
    return TRADE % (PAY % lock, lock)


class TestInside:
    """SC-07: a script as an acquire action."""

    def test_sc07(self, shop):
        purse = shop.purse()
        purse.put("coin")
        answer = shop.make(purse, [], [purse.loses("coin")], [take(shop, "sword")])
        assert shop.outcome(purse, answer) == ([], [200], [200])
        assert purse.counts("coin", "sword") == [0, 1]

    def test_answer_sc07_sc03(self, make_shop):
        """SC-07, SC-03: the action's answer is that of an invocation."""
        shop = make_shop(**ATOMIC)
        purse = shop.purse()
        answer = shop.make(purse, acquire=[take(shop, "sword")])
        invoked = json.loads(answer["transactionResult"]["acquireResults"][0]["acquireResult"])
        assert (invoked["code"], invoked["result"]) == (200, '{"count":1}')

    @pytest.mark.parametrize("status", [400, 404, 409, 500])
    def test_fails_dt17(self, shop, mode, status):
        """DT-17, DT-31: a script that fails is an action that failed, with its status; together it takes everything back,
        what it did itself too."""
        purse = shop.purse()
        purse.put("coin")
        answer = shop.make(purse, [], [purse.loses("coin")], [take(shop, "sword", status=status)])
        assert answer["code"] == 200
        assert shop.outcome(purse, answer) == ([], [200], [status])
        together = mode in (ATOMIC, LATER)
        assert purse.counts("coin", "sword") == ([1, 0] if together else [0, 1])

    @pytest.mark.parametrize("source, status", [
        ("result = ", 400), ("nothing()", 500), ("result = {f = print}", 400), ("fail(409, 'closed')", 409)])
    def test_words_dt17(self, make_shop, source, status):
        shop = make_shop(**ATOMIC)
        purse = shop.purse()
        answer = shop.make(purse, acquire=[invoke(shop.scripts.store(source), userId="#{userId}")])
        ran, = answer["transactionResult"]["acquireResults"]
        assert ran["statusCode"] == status and errors(ran["acquireResult"])

    def test_missing_script_e07(self, shop):
        purse = shop.purse()
        purse.put("coin")
        answer = shop.make(purse, [], [purse.loses("coin")], [invoke(shop.scripts.absent(), userId="#{userId}")])
        assert shop.outcome(purse, answer) == ([], [200], [404])

    @TOGETHER
    def test_one_after_the_other_dt31(self, make_shop, mode):
        """DT-31: several scripts; the last one's failure takes back what all did."""
        shop = make_shop(**mode)
        purse = shop.purse()
        good = [take(shop, "sword") for _number in range(3)]
        assert shop.outcome(purse, shop.make(purse, acquire=good)) == ([], [], [200] * 3)
        answer = shop.make(purse, acquire=[*good, take(shop, "shield", status=400)])
        assert shop.outcome(purse, answer) == ([], [], [200, 200, 200, 400])
        assert purse.counts("sword", "shield") == [3, 0]

    @TOGETHER
    def test_sees_what_was_done_before_dt31(self, make_shop, mode):
        """DT-31: the script sees the actions before it, and its own calls; nobody else sees any of it before the end."""
        shop = make_shop(**mode)
        purse = shop.purse()
        purse.put("coin", 3)
        source = """
            local lock = gs2('lock')
            local function count(what)
                local held = lock.get_mutex_by_user_id({namespaceName = args.lock, userId = args.user, propertyId = what})
                return held.isError and 0 or held.result.item.referenceCount
            end
            local before = count('coin')
            lock.unlock_by_user_id({namespaceName = args.lock, userId = args.user, propertyId = 'coin',
                transactionId = 't'})
            result = {before = before, after = count('coin')}
        """
        seen = invoke(shop.scripts.store(source), {"lock": shop.lock, "user": "#{userId}"}, userId="#{userId}")
        name = shop.make(purse, [], [purse.loses("coin")], [seen])["transactionId"]
        result = shop.results(purse).awaited("transaction", name)
        invoked = json.loads(result["acquireResults"][0]["acquireResult"])
        assert json.loads(invoked["result"]) == {"before": 2, "after": 1} and purse.count("coin") == 1

    @TOGETHER
    def test_asynchronous_calls_sc14(self, make_shop, mode):
        """SC-14: also calls that nobody waits for belong to the whole."""
        shop = make_shop(**mode)
        purse = shop.purse()
        source = """
            for i = 1, 5 do gs2('lock').lock_by_user_id_async({namespaceName = args.lock, userId = args.user,
                propertyId = 'sword', transactionId = 't'}) end
            if args.status then fail(args.status, 'told to') end
        """
        script_id = shop.scripts.store(source)
        for status, count in ((None, 5), (400, 5)):
            args = {"lock": shop.lock, "user": "#{userId}"}
            args = args if status is None else {**args, "status": status}
            answer = shop.make(purse, acquire=[invoke(script_id, args, userId="#{userId}")])
            assert shop.outcome(purse, answer) == ([], [], [status or 200])
            assert purse.count("sword") == count

    def test_errors_inside_do_not_break_it_sc13(self, make_shop):
        """SC-13: a call that fails inside is the script's business."""
        shop = make_shop(**ATOMIC)
        purse = shop.purse()
        source = """
            local lock = gs2('lock')
            local missing = lock.unlock_by_user_id({namespaceName = args.lock, userId = args.user, propertyId = 'none',
                transactionId = 't'})
            lock.lock_by_user_id({namespaceName = args.lock, userId = args.user, propertyId = 'sword',
                transactionId = 't'})
            result = {status = missing.statusCode}
        """
        given = invoke(shop.scripts.store(source), {"lock": shop.lock, "user": "#{userId}"}, userId="#{userId}")
        answer = shop.make(purse, acquire=[given])
        assert shop.outcome(purse, answer) == ([], [], [200]) and purse.count("sword") == 1

    def test_http_is_refused_together_dt31(self, make_shop, environment):
        """DT-31: a script that others wait for asks nobody outside; what it did before is taken back when it fails so."""
        shop = make_shop(**ATOMIC)
        purse = shop.purse()
        source = """
            gs2('lock').lock_by_user_id({namespaceName = args.lock, userId = args.user, propertyId = 'sword',
                transactionId = 't'})
            local got = http.get(args.url)
            if got.isError then fail(got.statusCode, got.errorMessage) end
        """
        asking = invoke(shop.scripts.store(source), {
            "lock": shop.lock, "user": "#{userId}", "url": environment.url + "/healthz"}, userId="#{userId}")
        answer = shop.make(purse, acquire=[asking])
        ran, = answer["transactionResult"]["acquireResults"]
        assert ran["statusCode"] >= 400 and answer["transactionResult"]["hasError"] is True
        assert purse.count("sword") == 0

    @pytest.mark.parametrize("loop", [
        "while true do end", "while true do gs2('lock').get_service_version({}) end"], ids=["computes", "calls"])
    def test_too_slow_together_dt31(self, make_shop, loop):
        """DT-31: a script that others wait for ends with 504, and everybody goes on."""
        shop = make_shop(**ATOMIC)
        purse = shop.purse()
        purse.put("coin")
        source = """
            gs2('lock').lock_by_user_id({namespaceName = args.lock, userId = args.user, propertyId = 'sword',
                transactionId = 't'})
        """ + loop
        slow = invoke(shop.scripts.store(source), {"lock": shop.lock, "user": "#{userId}"}, userId="#{userId}")
        answer = shop.make(purse, [], [purse.loses("coin")], [slow])
        assert statuses(answer["transactionResult"]) == ([], [200], [504])
        assert purse.counts("coin", "sword") == [1, 0]
        assert shop.outcome(purse, shop.make(purse, acquire=[purse.gains("sword")])) == ([], [], [200])

    @TOGETHER
    def test_transaction_in_a_transaction_dt38(self, make_shop, mode):
        """DT-38, DT-31: what a script inside records belongs to the whole when it runs at once; so does its failure."""
        shop, inner = make_shop(**mode), make_shop(**ATOMIC)
        purse = shop.purse()
        purse.put("coin", 2)
        parts = {"verify": [], "consume": [purse.loses("gem")], "acquire": [purse.gains("sword")]}
        for gems, code, counts in ((0, 404, [2, 0]), (1, 200, [1, 1])):
            purse.put("gem", gems)
            answer = shop.make(
                purse, [], [purse.loses("coin")], [invoke(inner.record, parts, userId="#{userId}")])
            assert shop.outcome(purse, answer) == ([], [200], [code])
            assert purse.counts("coin", "sword") == counts

    @TOGETHER
    def test_sheet_inside_dt10(self, make_shop, mode):
        """DT-10: what a script inside leaves to the client stands in the action's answer."""
        shop, inner = make_shop(**mode), make_shop()
        purse = shop.purse()
        parts = {"verify": [], "consume": [], "acquire": [purse.gains("sword")]}
        name = shop.make(purse, acquire=[invoke(inner.record, parts, userId="#{userId}")])["transactionId"]
        result = shop.results(purse).awaited("transaction", name)
        assert purse.count("sword") == 0
        sheet = Sheet(shop.sdk, json.loads(result["acquireResults"][0]["acquireResult"]))
        assert sheet.walk().status_code == 200 and purse.count("sword") == 1

    def test_time_sc23(self, make_shop):
        """SC-23: a script that runs within the call sees the caller's time."""
        shop = make_shop(**ATOMIC)
        purse = shop.purse()
        token = shop.sdk.auth.issue_time_offset_token_by_user_id(user_id=purse.user, time_offset=86_400).token
        clock = invoke(shop.scripts.store("result = {now = os.time()}"), userId="#{userId}")
        seen = []
        for fields in ({}, {"time_offset_token": token}):
            answer = shop.make(purse, acquire=[clock], **fields)
            invoked = json.loads(answer["transactionResult"]["acquireResults"][0]["acquireResult"])
            seen.append(json.loads(invoked["result"])["now"])
        assert 86_400 <= seen[1] - seen[0] < 86_460


@pytest.fixture
def server(environment, tmp_path):
    server = Server(environment, tmp_path)
    server.start()
    yield server
    server.kill()


class TestItself:
    """SC-21: scripts that make transactions that run them."""

    def test_within_the_call_sc21(self, server):
        """SC-21: at most eight inside each other; the innermost one's failure takes everything back."""
        with closing(Sdk.login(server.environment, "rest")) as sdk:
            shop = self.open(sdk, **ATOMIC)
            purse = shop.purse()
            answer = shop.run(self.script(shop), purse, {"lock": shop.lock})
            assert answer["transactionResult"]["hasError"] is True
            assert purse.count("sword") == 0
            assert sdk.lock.get_service_version().item

    def test_after_the_call_sc21(self, server):
        """SC-21: also where the server runs it; it then goes on with the player's next transaction."""
        with closing(Sdk.login(server.environment, "rest")) as sdk:
            later, shop = self.open(sdk, "later", **LATER), self.open(sdk, "atomic", **ATOMIC)
            purse = later.purse()
            itself = invoke(self.script(shop), {"lock": shop.lock}, userId="#{userId}")
            name = later.make(purse, acquire=[itself])["transactionId"]
            assert later.results(purse).awaited("transaction", name)["hasError"] is True
            assert purse.count("sword") == 0
            assert later.outcome(purse, later.make(purse, acquire=[purse.gains("sword")])) == ([], [], [200])

    def open(self, sdk, name="shop", **members):
        setting = transaction_setting(sdk.environment, "default", "default", **members)
        sdk.script.create_namespace(name=name, transaction_setting=setting)
        for service in (sdk.lock, sdk.distributor):
            try:
                service.create_namespace(name="default")
            except BadRequest:
                pass
        return Shop(Scripts(sdk, name), "default", "default", "default")

    def script(self, shop):
        """GRN of a script that takes a mutex and has itself run."""
        name = unique("script")
        grn = shop.sdk.environment.grn("script", shop.scripts.namespace, "script", name)
        return shop.scripts.store("""
            transaction.execute({acquire = {
                transaction.service('lock').acquire.lock_by_user_id({namespaceName = args.lock, userId = '#{userId}',
                    propertyId = 'sword', transactionId = 't'}),
                transaction.service('script').acquire.invoke_script({scriptId = '%s', userId = '#{userId}',
                    args = util.table_to_json(args).result})}})
        """ % grn, name)


class TestJobs:
    """J-61, DT-10: transactions of jobs' scripts."""

    @pytest.fixture(params=[False, True], ids=["run", "auto run"])
    def queue(self, request, admin, make_queue):
        def queue_(purse, **fields):
            queue = Queue(admin, make_queue(enable_auto_run=request.param, **fields), user=purse.user)
            queue.auto = request.param
            return queue

        return queue_

    def ran(self, queue, script_id, args=None, tries=1):
        """Status and result of a new job."""
        name = queue.push_one(script_id, args, tries)
        if queue.auto:
            result = queue.awaited(name)
        else:
            queue.run()
            result = queue.result(name)
        return result.status_code, result.result

    def test_members_j61_dt10(self, queue, shop, mode):
        """J-61, DT-10: beside the script's own members stand those that SDKs look for."""
        purse = shop.purse()
        purse.put("coin", 2)
        status, text = self.ran(queue(purse), shop.scripts.store(trade(shop.lock)))
        assert status == 200
        result = json.loads(text)
        assert (result["own"], result["autoRunStampSheet"], result["atomicCommit"]) == (
            "word", mode.get("enable_auto_run", False), mode.get("enable_atomic_commit", False))
        assert len(result["transactionId"]) == 36
        assert ("stampSheet" in result) == (mode == MODES["manual"])
        assert ("transactionResult" in result) == (mode == ATOMIC)
        assert shop.outcome(purse, result) == ([], [200], [200])
        assert purse.counts("coin", "sword") == [1, 1]

    def test_fails_j61(self, queue, make_shop):
        """J-61, J-62: a job whose transaction fails at once has failed, and may be tried again."""
        shop = make_shop(**ATOMIC)
        purse = shop.purse()
        queue = queue(purse)
        script_id = shop.scripts.store(trade(shop.lock))
        status, text = self.ran(queue, script_id)
        assert (status, errors(text)[0]["message"]) == (404, NO_MUTEX)
        purse.put("coin")
        assert self.ran(queue, script_id)[0] == 200
        assert purse.counts("coin", "sword") == [0, 1]

    def test_unknown_action_j61(self, queue, shop):
        purse = shop.purse()
        status, text = self.ran(queue(purse), shop.record, {"acquire": [{"action": "Gs2Lock:Fly", "request": "{}"}]})
        assert status == 400 and errors(text)

    def test_setting_of_the_queue_dt30(self, queue, admin, make_scripts, make_distributor, namespace, environment):
        """DT-30: where the script's namespace says nothing, the JobQueue namespace says how it runs."""
        where = make_distributor()
        purse = Shop(make_scripts(), namespace, where, None).purse()
        purse.put("coin")
        scripts = make_scripts()
        setting = transaction_setting(environment, where, service="jobQueue", **ATOMIC)
        status, text = self.ran(
            queue(purse, transaction_setting=setting), scripts.store(trade(namespace)))
        result = json.loads(text)
        assert (status, result["atomicCommit"], result["transactionResult"]["hasError"]) == (200, True, False)
        kept = Results(admin, where, purse.user).transaction(result["transactionId"])
        assert kept["hasError"] is False and purse.counts("coin", "sword") == [0, 1]

    def test_a_gain_that_is_a_job_that_makes_one_j17(self, make_shop, admin, make_queue):
        """J-17, DT-33, J-64: a job of a built-in script may run a script that makes a transaction."""
        shop, inner = make_shop(acquire_action_use_job_queue=True, **ATOMIC), make_shop(**ATOMIC)
        purse = shop.purse()
        parts = {"verify": [], "consume": [], "acquire": [purse.gains("sword")]}
        answer = shop.make(purse, acquire=[invoke(inner.record, parts, userId="#{userId}")])
        assert shop.outcome(purse, answer) == ([], [], [200])
        queue = Queue(admin, shop.queue, user=purse.user)
        assert [code for _name, code in queue.run_all()] == [200]
        assert purse.count("sword") == 1


class TestTrigger:
    """T-12: transactions of scripts before a change."""

    @pytest.fixture
    def market(self, sdk, shop, make_chat):
        """A namespace of Chat where whoever posts buys a sword, and a purse of the player who does."""
        member = Member(sdk, make_chat(post_message_script=hook(
            trigger_script_id=shop.scripts.store(trade(shop.lock)))), maker=shop.sdk)
        member.room(name="lobby")
        return member, shop.purse(member.user)

    def noted(self, sdk):
        return sdk.answer["metadata"]["scriptTransactionResults"]

    def test_metadata_t12(self, market, shop, mode):
        """T-12: the answer names the script and its transaction, with what became of it at once."""
        member, purse = market
        purse.put("coin")
        member.post("lobby", "hello")
        noted, = self.noted(member.sdk)
        assert noted["scriptId"].startswith(shop.sdk.environment.grn("script", shop.scripts.namespace, "script"))
        assert len(noted["transactionId"]) == 36
        assert ("transactionResult" in noted) == (mode == ATOMIC)
        assert member.texts("lobby") == ["hello"]
        if mode == ATOMIC:
            assert statuses(noted["transactionResult"]) == ([], [200], [200])
            assert noted["transactionResult"]["transactionId"] == noted["transactionId"]
        if mode != MODES["manual"]:
            purse.awaits("sword")
            assert purse.count("coin") == 0
            kind = "sheet" if mode == STEPS else "transaction"
            assert shop.results(purse).awaited(kind, noted["transactionId"])

    def test_repeated_x02_t12(self, market, mode):
        """X-02: a repeated call gets the first answer, with its transaction; it is made once."""
        member, purse = market
        purse.put("coin", 5)
        answers = []
        for _time in range(2):
            member.post("lobby", "hello", duplication_avoider="x")
            answers.append(member.sdk.answer)
        assert answers[0] == answers[1] and self.noted(member.sdk)
        assert member.texts("lobby") == ["hello"]
        if mode != MODES["manual"]:
            purse.awaits("sword")
            assert purse.count("coin") == 4

    def test_without_a_transaction_t12(self, market, shop):
        member, _purse = market
        shop.sdk.chat.update_namespace(namespace_name=member.namespace, post_message_script=hook(
            trigger_script_id=shop.scripts.store("result = {permit = true}")))
        member.post("lobby", "hello")
        assert "metadata" not in member.sdk.answer

    def test_denied_ch72(self, market, shop):
        """CH-72: what the script recorded before it denied is not made."""
        member, purse = market
        purse.put("coin")
        denying = trade(shop.lock) + "result = {permit = false}"
        shop.sdk.chat.update_namespace(namespace_name=member.namespace, post_message_script=hook(
            trigger_script_id=shop.scripts.store(denying)))
        with member.sdk.refuses(BadRequest, "chat.message.script.error.failed"):
            member.post("lobby", "hello")
        assert purse.counts("coin", "sword") == [1, 0] and member.texts("lobby") == []

    def test_setting_of_chat_dt30(self, sdk, make_chat, make_scripts, make_distributor, namespace, environment):
        """DT-30: where the script's namespace says nothing, the Chat namespace says how it runs."""
        where = make_distributor()
        shop = Shop(make_scripts(), namespace, where, None)
        member = Member(sdk, make_chat(
            transaction_setting=transaction_setting(environment, where, service="chat", **ATOMIC),
            post_message_script=hook(trigger_script_id=shop.scripts.store(trade(namespace)))), maker=shop.sdk)
        member.room(name="lobby")
        purse = shop.purse(member.user)
        with member.sdk.refuses(NotFound, NO_MUTEX):
            member.post("lobby", "hello")
        purse.put("coin")
        member.post("lobby", "hello")
        noted, = self.noted(sdk)
        assert statuses(noted["transactionResult"]) == ([], [200], [200])
        assert shop.results(purse).transaction(noted["transactionId"])["hasError"] is False


class TestAround:
    """T-12, DT-31: a transaction that runs within the call is a part of the change, for every kind of change."""

    KINDS = {
        "post": ("post_message_script", lambda member: member.post("lobby", "hello")),
        "create": ("create_room_script", lambda member: member.create_room("hall")),
        "delete": ("delete_room_script", lambda member: member.delete_room("lobby")),
        "subscribe": ("subscribe_room_script", lambda member: member.subscribe("lobby")),
        "unsubscribe": ("unsubscribe_room_script", lambda member: member.unsubscribe("garden")),
    }

    @pytest.fixture(params=KINDS)
    def change(self, request, admin, make_shop, make_chat):
        """Somebody who can make the change once a coin is there, and whether it was made."""
        setting, make = self.KINDS[request.param]
        shop = make_shop(**ATOMIC)
        member = Member(admin, make_chat())
        member.create_room("lobby")
        member.create_room("garden")
        member.subscribe("garden")
        admin.chat.update_namespace(namespace_name=member.namespace, **{setting: hook(
            trigger_script_id=shop.scripts.store(trade(shop.lock)))})

        def state():
            return member.rooms(), member.texts("lobby") if "lobby" in member.rooms() else None, member.subscribed()

        return member, shop.purse(member.user), lambda: make(member), state

    def test_together_t12_dt31(self, change):
        member, purse, make, state = change
        before = state()
        with member.sdk.refuses(NotFound, NO_MUTEX):
            make()
        assert state() == before and purse.counts("coin", "sword") == [0, 0]
        purse.put("coin")
        make()
        noted, = member.sdk.answer["metadata"]["scriptTransactionResults"]
        assert noted["transactionResult"]["hasError"] is False
        assert state() != before and purse.counts("coin", "sword") == [0, 1]

    def test_taken_back_with_the_change_dt31(self, admin, make_shop, make_chat):
        """DT-31: a change that fails itself takes the transaction back, also the one that would run later."""
        for mode in (ATOMIC, LATER, STEPS):
            shop = make_shop(**mode)
            member = Member(admin, make_chat())
            purse = shop.purse(member.user)
            purse.put("coin", 2)
            member.create_room("lobby")
            admin.chat.update_namespace(namespace_name=member.namespace, create_room_script=hook(
                trigger_script_id=shop.scripts.store(trade(shop.lock))))
            with admin.refuses(BadRequest, "chat.room.name.error.exists"):
                member.create_room("lobby")
            member.create_room("hall")
            purse.awaits("sword")
            assert purse.count("coin") == 1

    def test_of_nobody_dt30(self, admin, make_shop, make_chat):
        """DT-30: a change by nobody has no player for whom the transaction could run."""
        shop = make_shop(**ATOMIC)
        member = Member(admin, make_chat(create_room_script=hook(
            trigger_script_id=shop.scripts.store(trade(shop.lock)))))
        with admin.refuses(BadRequest, "distributor.transaction.userId.error.invalid"):
            member.room()
        assert member.rooms() == []

    def test_done_triggers_see_it_ch74(self, admin, make_shop, make_chat, make_queue):
        """CH-74, T-12: what is done after the change is done when the transaction is made."""
        shop = make_shop(**ATOMIC)
        member = Member(admin, make_chat())
        purse, queue = shop.purse(member.user), Queue(admin, make_queue(), user=member.user)
        member.room(name="lobby")
        admin.chat.update_namespace(namespace_name=member.namespace, post_message_script=hook(
            trigger_script_id=shop.scripts.store(trade(shop.lock)), done_trigger_target_type="gs2_script",
            done_trigger_script_id=shop.scripts.store(ECHO),
            done_trigger_queue_namespace_id=admin.environment.grn("queue", queue.namespace)))
        with admin.refuses(NotFound, NO_MUTEX):
            member.post("lobby")
        assert queue.names() == []
        purse.put("coin")
        member.post("lobby")
        assert len(queue.names()) == 1
