"""Distributor: how transactions of scripts run, and what is told of them. BEHAVIOUR SC-17, DT-01 to DT-04, DT-10, DT-14,
DT-30 to DT-39."""

import json
import re
import uuid

import pytest
from gs2 import script

from harness.chat import Member
from harness.environment import unique
from harness.jobs import Queue, errors, system_script
from harness.sdk import BadRequest, NotFound
from harness.transactions import (
    ATOMIC, LATER, NO_MUTEX, NO_NAMESPACE, NO_SHEET_RESULT, NO_TRANSACTION_RESULT, SHEET_RAN, STEPS, TRANSACTION_RAN,
    WRONG_ACTION, WRONG_REQUEST, Results, Sheet, Shop, action, fund, invoke, setting, statuses, tells,
    transaction_setting)

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class TestModes:
    """DT-30 to DT-35: what a setting says, and what the call answers."""

    @pytest.mark.parametrize("members, auto_run, atomic, sheet, result", [
        ({}, False, False, True, False),
        ({"enable_atomic_commit": True}, False, False, True, False),
        ({"transaction_use_distributor": True}, False, False, True, False),
        ({"enable_atomic_commit": True, "transaction_use_distributor": True}, False, False, True, False),
        ({"enable_auto_run": True}, True, False, False, False),
        ({"enable_auto_run": True, "transaction_use_distributor": True}, True, False, False, False),
        ({"enable_auto_run": True, "enable_atomic_commit": True}, True, True, False, True),
        ({"enable_auto_run": True, "enable_atomic_commit": True, "transaction_use_distributor": True}, True, True, False,
         False),
        ({"enable_auto_run": True, "enable_atomic_commit": True, "enable_sequential_execution": True}, True, True, False,
         True),
        ({"enable_auto_run": True, "enable_atomic_commit": True, "commit_script_result_in_use_distributor": True}, True,
         True, False, True),
    ], ids=lambda value: "-".join(value) if isinstance(value, dict) else None)
    def test_answer_dt35(self, make_shop, members, auto_run, atomic, sheet, result):
        """DT-35: what clients decide by. A member that needs another one is nothing without it (DT-31, DT-32)."""
        shop = make_shop(**members)
        purse = shop.purse()
        answer = shop.make(purse, acquire=[purse.gains("sword")])
        assert (answer["code"], answer["autoRunStampSheet"], answer["atomicCommit"]) == (200, auto_run, atomic)
        assert ("stampSheet" in answer, "stampSheetEncryptionKeyId" in answer) == (sheet, sheet)
        assert ("transactionResult" in answer) == result
        assert UUID.fullmatch(answer["transactionId"])
        assert answer["transaction"]["transactionId"] == answer["transactionId"]
        if auto_run:
            purse.awaits("sword")
        else:
            assert purse.count("sword") == 0

    def test_of_the_sdk_dt10(self, sdk, make_shop):
        """DT-10: the members that the SDK's model has."""
        shop = make_shop(**ATOMIC)
        purse = shop.purse()
        ran = sdk.script.invoke_script(script_id=shop.record, user_id=purse.user, args=json.dumps({
            "verify": [], "consume": [], "acquire": [purse.gains("sword")]}))
        assert ran.atomic_commit is True and purse.count("sword") == 1
        assert ran.transaction.transaction_id == ran.transaction_result.transaction_id
        assert [made.action for made in ran.transaction.acquire_actions] == ["Gs2Lock:LockByUserId"]
        assert [made.status_code for made in ran.transaction_result.acquire_results] == [200]

    @pytest.mark.parametrize("members, auto_run, atomic", [
        ({"enable_parallel_execution": True}, True, True), ({}, True, True)])
    def test_newer_setting_dt34(self, make_scripts, make_distributor, namespace, environment, members, auto_run, atomic):
        """DT-34: the newer setting alone stands for what the vendor advises; of both the older one counts."""
        where = make_distributor()
        grn = environment.grn("distributor", where)
        newer = setting(script.TransactionSettingV2, distributor_namespace_id=grn, **members)
        shop = Shop(make_scripts(transaction_setting_v2=newer), namespace, where, None)
        purse = shop.purse()
        answer = shop.make(purse, acquire=[purse.gains("sword")])
        assert (answer["autoRunStampSheet"], answer["atomicCommit"]) == (auto_run, atomic)
        assert shop.results(purse).transaction(answer["transactionId"])["hasError"] is False
        both = Shop(make_scripts(
            transaction_setting_v2=newer, transaction_setting=setting(script.TransactionSetting)), namespace, where, None)
        assert both.make(purse, acquire=[purse.gains("sword")])["autoRunStampSheet"] is False

    def test_defaults_dt34(self, admin, make_scripts, namespace):
        """DT-34, N-18: the Distributor and the JobQueue namespace `default`."""
        made = []
        for service in (admin.distributor, admin.job_queue):
            try:
                service.create_namespace(name="default")
                made.append(service)
            except BadRequest as refusal:
                assert refusal.errors[0].message.endswith(".name.error.exists")
        try:
            members = setting(script.TransactionSetting, acquire_action_use_job_queue=True, **ATOMIC)
            shop = Shop(make_scripts(transaction_setting=members), namespace, "default", "default")
            purse = shop.purse()
            answer = shop.make(purse, acquire=[purse.gains("sword")])
            result = shop.results(purse).transaction(answer["transactionId"])
            assert result["transactionResultId"] == admin.environment.grn(
                "distributor", "default", "user", purse.user, "transaction", "result", answer["transactionId"])
            queue = Queue(admin, "default", user=purse.user)
            assert [code for _name, code in queue.run_all()] == [200] and purse.count("sword") == 1
        finally:
            for service in made:
                service.delete_namespace(namespace_name="default")

    def test_placeholders_of_the_setting_n06(self, admin, make_scripts, make_distributor, make_queue, namespace):
        """N-06: the project's own region and owner."""
        where, queue = make_distributor(), make_queue()
        members = setting(
            script.TransactionSetting, distributor_namespace_id="grn:gs2:{region}:{ownerId}:distributor:" + where,
            queue_namespace_id="grn:gs2:{region}:{ownerId}:queue:" + queue, acquire_action_use_job_queue=True, **ATOMIC)
        shop = Shop(make_scripts(transaction_setting=members), namespace, where, queue)
        purse = shop.purse()
        answer = shop.make(purse, acquire=[purse.gains("sword")])
        assert shop.results(purse).transaction(answer["transactionId"])["hasError"] is False
        assert len(Queue(admin, queue, user=purse.user).names()) == 1

    def test_without_a_distributor_v04(self, make_scripts, namespace, environment):
        """V-04: a transaction runs also where nobody can ask what became of it."""
        absent = unique("absent")
        for members in (ATOMIC, LATER, STEPS):
            members = transaction_setting(environment, absent, **members)
            shop = Shop(make_scripts(transaction_setting=members), namespace, absent, None)
            purse = shop.purse()
            answer = shop.make(purse, acquire=[purse.gains("sword")])
            purse.awaits("sword")
            for kind in (shop.results(purse).transaction, shop.results(purse).sheet):
                with shop.sdk.refuses(NotFound, NO_NAMESPACE):
                    kind(answer["transactionId"])

    def test_nobodys_dt30(self, make_shop):
        """DT-30: what the server runs needs a player; it is the script's failure."""
        for mode in (STEPS, ATOMIC, LATER):
            shop = make_shop(**mode)
            answer = shop.run(shop.record, None, {"acquire": [shop.purse().gains("sword")]})
            assert answer["code"] == 400
            assert errors(answer["result"])[0]["message"] == "distributor.transaction.userId.error.invalid"

    def test_of_sources_sc05(self, sdk, namespace, make_shop):
        """SC-05: a source that is not stored belongs to no namespace, and its transaction is the client's to run."""
        purse = make_shop().purse()
        sdk.script.debug_invoke(
            script="transaction.execute({acquire = args.acquire})", user_id=purse.user,
            args=json.dumps({"acquire": [purse.gains("sword")]}))
        answer = dict(sdk.answer)
        assert (answer["code"], answer["autoRunStampSheet"]) == (200, False)
        assert Sheet(sdk, answer).express().sheet_result_code == 200 and purse.count("sword") == 1

    def test_of_a_script_that_fails_sc17(self, shop):
        """SC-17: what failed made no transaction."""
        purse = shop.purse()
        failing = shop.scripts.store("transaction.execute({acquire = args.acquire}) fail(400, 'no')")
        answer = shop.run(failing, purse, {"acquire": [purse.gains("sword")]})
        assert answer["code"] == 400 and not {"transactionId", "stampSheet", "transactionResult"} & set(answer)
        assert shop.outcome(purse, shop.make(purse, acquire=[purse.gains("shield")])) == ([], [], [200])
        assert purse.counts("sword", "shield") == [0, 1]

    def test_built_by_the_script_sc17(self, shop):
        """SC-17: with the builders of a service, in several calls, under either name of it."""
        source = """
            local lock = transaction.service('lock')
            local function key(what) return {namespaceName = args.lock, userId = '#{userId}', propertyId = what,
                transactionId = 't'} end
            transaction.execute({acquire = {lock.acquire.lock_by_user_id(key('sword'))}})
            transaction.execute({
                verify = {lock.verify.get_mutex_by_user_id({
                    namespaceName = args.lock, userId = '#{userId}', propertyId = 'ticket'})},
                consume = {lock.consume.unlock_by_user_id(key('coin'))}})
        """
        purse = shop.purse()
        fund(purse)
        answer = shop.run(shop.scripts.store(source), purse, {"lock": shop.lock})
        recorded = answer["transaction"]
        assert [[made["action"] for made in recorded[f"{role}Actions"]] for role in ("verify", "consume", "acquire")] == [
            ["Gs2Lock:GetMutexByUserId"], ["Gs2Lock:UnlockByUserId"], ["Gs2Lock:LockByUserId"]]
        assert shop.outcome(purse, answer) == ([200], [200], [200])
        assert purse.counts("coin", "sword") == [0, 1]

    def test_unknown_action_dt02(self, shop):
        """DT-02: what can never run is the script's failure, in every mode."""
        purse = shop.purse()
        for wrong in ({"acquire": [action("Gs2Lock:Fly")]}, {"consume": [action("Gs2Nothing:GetByUserId")]},
                      {"verify": [purse.gains("sword")]}, {"acquire": [action("Gs2Identifier:DeleteUser")]}):
            answer = shop.make(purse, **wrong)
            assert (answer["code"], errors(answer["result"])[0]["message"]) == (400, WRONG_ACTION)

    def test_too_many_dt01(self, shop):
        purse = shop.purse()
        for wrong in ({"verify": [purse.has("x")] * 101}, {"consume": [purse.loses("x")] * 101},
                      {"acquire": [purse.gains("x")] * 101}):
            assert shop.make(purse, **wrong)["code"] == 400

    def test_a_hundred_of_each_dt01(self, make_shop):
        for mode in (ATOMIC, LATER):
            shop = make_shop(**mode)
            purse = shop.purse()
            purse.put("coin", 100)
            answer = shop.make(
                purse, [purse.has("coin")] * 100, [purse.loses("coin")] * 100, [purse.gains("sword")] * 100)
            assert shop.outcome(purse, answer) == ([200] * 100, [200] * 100, [200] * 100)
            assert purse.counts("coin", "sword") == [0, 100]


class TestActions:
    """DT-01 to DT-04, in every mode."""

    def test_order_dt01(self, shop):
        """DT-01: verify, consume, acquire, whatever the order in which they were recorded."""
        purse = shop.purse()
        purse.put("coin")
        answer = shop.make(purse, [purse.has("coin")], [purse.loses("coin")], [purse.gains("coin")])
        assert shop.outcome(purse, answer) == ([200], [200], [200]) and purse.count("coin") == 1

    def test_verify_fails_dt01(self, shop):
        """DT-01: then nothing is taken and nothing is given."""
        purse = shop.purse()
        purse.put("coin")
        answer = shop.make(
            purse, [purse.has("coin"), purse.has("ticket"), purse.has("coin")], [purse.loses("coin")],
            [purse.gains("sword")])
        assert answer["code"] == 200
        assert shop.outcome(purse, answer) == ([200, 404], [], [])
        assert purse.counts("coin", "sword") == [1, 0]

    def test_consume_fails_dt31(self, shop, mode):
        """DT-31: with atomic commit what was taken before is given back; otherwise it is gone."""
        purse = shop.purse()
        purse.put("coin")
        answer = shop.make(purse, [], [purse.loses("coin"), purse.loses("gem")], [purse.gains("sword")])
        assert shop.outcome(purse, answer) == ([], [200, 404], [])
        assert purse.counts("coin", "sword") == [1 if mode in (ATOMIC, LATER) else 0, 0]

    def test_acquire_fails_dt31(self, shop, mode):
        purse = shop.purse()
        purse.put("coin")
        answer = shop.make(purse, [], [purse.loses("coin")], [purse.loses("debt")])
        assert shop.outcome(purse, answer) == ([], [200], [404])
        assert purse.count("coin") == (1 if mode in (ATOMIC, LATER) else 0)

    def test_seen_by_later_actions_dt31(self, make_shop):
        """DT-31: an action sees what those before it did."""
        for mode in (ATOMIC, LATER):
            shop = make_shop(**mode)
            purse = shop.purse()
            purse.put("coin", 2)
            answer = shop.make(
                purse, [], [purse.loses("coin"), purse.loses("coin"), purse.gains("coin")],
                [action("Gs2Lock:DeleteMutexByUserId", namespaceName=purse.lock, propertyId="coin"), purse.gains("coin"),
                 purse.has("coin")])
            assert shop.outcome(purse, answer) == ([], [200] * 3, [200] * 3)
            assert purse.count("coin") == 1

    def test_strings_dt04(self, shop):
        """DT-04: values may be texts."""
        purse = shop.purse()
        gain = action("Gs2Lock:LockByUserId", namespaceName=purse.lock, userId="#{userId}", propertyId="sword",
                      transactionId="t", ttl="3600")
        assert shop.outcome(purse, shop.make(purse, acquire=[gain])) == ([], [], [200])
        wrong = action("Gs2Lock:LockByUserId", namespaceName=purse.lock, userId="#{userId}", propertyId="sword",
                       transactionId="t", ttl="soon")
        assert shop.outcome(purse, shop.make(purse, acquire=[wrong])) == ([], [], [400])
        assert purse.count("sword") == 1

    def test_acting_player_dt03(self, shop):
        """DT-03: an action that names nobody is for the player of the transaction; who is named is who is meant."""
        purse, other = shop.purse(), shop.purse()
        request = {"namespaceName": purse.lock, "transactionId": "t"}
        answer = shop.make(purse, [], [action("Gs2Lock:LockByUserId", propertyId="paid", userId=None, **request)],
                           [action("Gs2Lock:LockByUserId", propertyId="sword", **request)])
        assert shop.outcome(purse, answer) == ([], [200], [200])
        gift = action("Gs2Lock:LockByUserId", propertyId="gift", userId=other.user, **request)
        assert shop.outcome(purse, shop.make(purse, acquire=[gift])) == ([], [], [200])
        assert purse.counts("paid", "sword", "gift") == [1, 1, 0] and other.count("gift") == 1

    @pytest.mark.parametrize("request_text", ["no JSON", "[]", "null", '"text"', "", "{", '{"a":1}{}'])
    def test_requests_that_are_none_dt02(self, make_shop, request_text):
        """DT-02: a request that is no object makes the action fail, and the transaction with it."""
        shop = make_shop(**ATOMIC)
        purse = shop.purse()
        purse.put("coin")
        answer = shop.make(purse, [], [purse.loses("coin")], [action("Gs2Lock:LockByUserId", request_text)])
        if answer["code"] == 200:
            result = answer["transactionResult"]
            assert statuses(result) == ([], [200], [400]) and result["hasError"] is True
            assert errors(result["acquireResults"][0]["acquireResult"])[0]["message"] == WRONG_REQUEST
        else:
            assert answer["code"] == 400
        assert purse.count("coin") == 1

    def test_jobs_j16(self, shop, admin):
        """J-16: what JobQueue has as actions."""
        purse = shop.purse()
        queue = Queue(admin, shop.queue, user=purse.user)
        old = queue.push_one("grn:old")
        where = {"namespaceName": queue.namespace, "userId": "#{userId}"}
        answer = shop.make(
            purse, [], [action("Gs2JobQueue:DeleteJobByUserId", jobName=old, **where)],
            [action("Gs2JobQueue:PushByUserId", jobs=[{"scriptId": "grn:new"}], **where)])
        assert shop.outcome(purse, answer) == ([], [200], [200])
        assert [queue.get(name).script_id for name in queue.names()] == ["grn:new"]

    def test_what_takes_several_steps_dt31(self, make_shop, make_chat, mode):
        """DT-31: what cannot be a part of a whole fails in it, and says so; otherwise it is called."""
        shop = make_shop(**mode)
        purse = shop.purse()
        member = Member(shop.sdk, make_chat(), user=purse.user)
        room = member.room()
        post = action("Gs2Chat:PostByUserId", namespaceName=member.namespace, roomName=room, metadata="hello",
                      userId="#{userId}")
        together = mode in (ATOMIC, LATER)
        answer = shop.make(purse, acquire=[post])
        assert shop.outcome(purse, answer) == ([], [], [400 if together else 200])
        assert member.texts(room) == ([] if together else ["hello"])


class TestResults:
    """DT-36, DT-37, DT-39: what is kept of a transaction that the server ran."""

    @pytest.fixture(params=["me", "by_user_id"])
    def who(self, request):
        return request.param

    @pytest.mark.parametrize("mode", [ATOMIC, LATER], ids=["atomic", "later"])
    def test_transaction_dt37(self, sdk, make_shop, environment, who, mode):
        shop = make_shop(**mode)
        purse = shop.purse()
        fund(purse)
        answer = shop.make(purse, [purse.has("ticket")], [purse.loses("coin")], [purse.gains("sword")])
        results, name = shop.results(purse, who, sdk), answer["transactionId"]
        result = results.awaited("transaction", name)
        assert set(result) == {"transactionResultId", "userId", "transactionId", "verifyResults", "consumeResults",
                               "acquireResults", "hasError", "createdAt", "revision"}
        assert result["transactionResultId"] == environment.grn(
            "distributor", shop.distributor, "user", purse.user, "transaction", "result", name)
        assert (result["userId"], result["transactionId"], result["hasError"]) == (purse.user, name, False)
        assert (result["revision"], result["createdAt"] > 0) == (1, True)
        ran = result["verifyResults"] + result["consumeResults"] + result["acquireResults"]
        for role, action_, what in zip(("verify", "consume", "acquire"), ran, ("ticket", "coin", "sword")):
            assert set(action_) == {"action", f"{role}Request", "statusCode", f"{role}Result"}
            request = json.loads(action_[f"{role}Request"])
            assert (request["userId"], request["propertyId"]) == (purse.user, what)
            assert json.loads(action_[f"{role}Result"])["item"]["propertyId"] == what
        if "transactionResult" in answer:
            assert answer["transactionResult"].items() <= result.items()
        with sdk.refuses(NotFound, NO_SHEET_RESULT):
            results.sheet(name)

    def test_sheet_dt35(self, sdk, make_shop, environment, who):
        shop = make_shop(**STEPS)
        purse = shop.purse()
        fund(purse)
        answer = shop.make(purse, [purse.has("ticket")], [purse.loses("coin")], [purse.gains("sword")])
        results, name = shop.results(purse, who, sdk), answer["transactionId"]
        result = results.awaited("sheet", name)
        assert result["stampSheetResultId"] == environment.grn(
            "distributor", shop.distributor, "user", purse.user, "stampSheet", "result", name)
        assert (result["userId"], result["transactionId"], result["revision"]) == (purse.user, name, 1)
        assert result["verifyTaskResultCodes"] == result["taskResultCodes"] == [200]
        assert result["sheetResultCode"] == 200
        requests = result["verifyTaskRequests"] + result["taskRequests"] + [result["sheetRequest"]]
        assert [made["action"] for made in requests] == [
            "Gs2Lock:GetMutexByUserId", "Gs2Lock:UnlockByUserId", "Gs2Lock:LockByUserId"]
        assert [json.loads(made["request"])["propertyId"] for made in requests] == ["ticket", "coin", "sword"]
        texts = result["verifyTaskResults"] + result["taskResults"] + [result["sheetResult"]]
        assert [json.loads(text)["item"]["propertyId"] for text in texts] == ["ticket", "coin", "sword"]
        assert "nextTransactionId" not in result
        with sdk.refuses(NotFound, NO_TRANSACTION_RESULT):
            results.transaction(name)

    def test_errors_dt37(self, make_shop):
        """DT-37, J-62: the errors of the action that failed, as they stand in an error body."""
        for mode in (ATOMIC, LATER, STEPS):
            shop = make_shop(**mode)
            purse = shop.purse()
            answer = shop.make(purse, consume=[purse.loses("coin")])
            if mode == STEPS:
                text, = shop.results(purse).awaited("sheet", answer["transactionId"])["taskResults"]
            else:
                result = shop.results(purse).awaited("transaction", answer["transactionId"])
                text, = [ran["consumeResult"] for ran in result["consumeResults"]]
                assert result["hasError"] is True
            error, = errors(text)
            assert (error["component"], error["message"]) == ("mutex", NO_MUTEX)

    def test_missing_dt36_e07(self, sdk, make_shop, who):
        """DT-36, E-07: 404 names the model that is not there yet; other players' results are not there either."""
        shop = make_shop(**ATOMIC)
        purse = shop.purse()
        name = shop.make(purse, acquire=[purse.gains("sword")])["transactionId"]
        for results, wanted in ((shop.results(purse, who, sdk), str(uuid.uuid4())),
                                (shop.results(shop.purse(), who, sdk), name)):
            with sdk.refuses(NotFound, NO_TRANSACTION_RESULT):
                results.transaction(wanted)
            with sdk.refuses(NotFound, NO_SHEET_RESULT):
                results.sheet(wanted)
        absent = Results(sdk, unique("absent"), purse.user, who)
        for call in (absent.transaction, absent.sheet):
            with sdk.refuses(NotFound, NO_NAMESPACE):
                call(name)
        for wrong, kind in (("x" * 35, "tooShort"), ("x" * 37, "tooLong")):
            with sdk.refuses(BadRequest, f"distributor.transactionResult.transactionId.error.{kind}"):
                shop.results(purse, who, sdk).transaction(wrong)

    def test_transaction_that_the_sheet_made_dt38_dt39(self, make_shop):
        """DT-38, DT-39: a script that made one more transaction is followed by its name."""
        shop = make_shop(**STEPS)
        purse = shop.purse()
        inner = {"verify": [], "consume": [], "acquire": [purse.gains("sword")]}
        answer = shop.make(purse, acquire=[invoke(shop.record, inner, userId="#{userId}")])
        result = shop.results(purse).awaited("sheet", answer["transactionId"])
        told = json.loads(result["sheetResult"])
        assert result["nextTransactionId"] == told["transactionId"] and told["autoRunStampSheet"] is True
        assert shop.results(purse).awaited("sheet", told["transactionId"])["sheetResultCode"] == 200
        assert purse.count("sword") == 1


class TestNotification:
    """DT-36: players learn that there is a result."""

    @pytest.fixture(params=["atomic", "later", "steps"])
    def kind(self, request):
        """The mode, the member of the namespace and the subject."""
        member = "auto_run_stamp_sheet_notification" if request.param == "steps" else "auto_run_transaction_notification"
        mode = {"atomic": ATOMIC, "later": LATER, "steps": STEPS}[request.param]
        return mode, member, SHEET_RAN if request.param == "steps" else TRANSACTION_RAN

    @pytest.fixture
    def told(self, kind, make_shop, make_distributor, gateway, listen, environment):
        """A place, a player and the player's socket, with these members in the one setting."""
        mode, member, _subject = kind

        def told_(gateway_name=gateway, **members):
            where = make_distributor(**{member: tells(environment, gateway_name, **members)})
            shop = make_shop(distributor=where, **mode)
            purse, socket = shop.purse(), listen()
            socket.gateway.set_user_id_by_user_id(namespace_name=gateway, user_id=purse.user)
            return shop, purse, socket

        return told_

    def last(self, admin, gateway, purse, socket, count):
        """The notifications so far: `count` of them, and nothing else before a mark."""
        admin.gateway.send_notification(namespace_name=gateway, user_id=purse.user, subject="mark", payload="p")
        received = socket.notifications(count + 1)
        assert received[-1]["subject"] == "mark"
        return received[:-1]

    def test_dt36(self, kind, told, environment):
        """DT-36: whoever is told finds the result, also when an action failed."""
        shop, purse, socket = told()
        for parts in ({"acquire": [purse.gains("sword")]}, {"consume": [purse.loses("coin")]}):
            name = shop.make(purse, **parts)["transactionId"]
            body, = socket.notifications(1)
            assert (body["subject"], body["issuer"]) == (kind[2], environment.grn("distributor", shop.distributor))
            assert json.loads(body["payload"]) == {
                "namespaceName": shop.distributor, "userId": purse.user, "transactionId": name}
            assert (shop.results(purse).sheet if kind[0] == STEPS else shop.results(purse).transaction)(name)

    def test_disabled_dt36(self, kind, told, admin, gateway):
        shop, purse, socket = told(enable="Disabled")
        shop.make(purse, acquire=[purse.gains("sword")])
        purse.awaits("sword")
        assert self.last(admin, gateway, purse, socket, 0) == []

    def test_missing_gateway_v04(self, told):
        """V-04: nobody is told, and the transaction runs."""
        shop, purse, _socket = told(gateway_name=unique("absent"))
        shop.make(purse, acquire=[purse.gains("sword")])
        purse.awaits("sword")

    def test_default_gateway_n18(self, kind, admin, make_shop, listen):
        """N-18: through the Gateway namespace `default` when the setting names none."""
        try:
            admin.gateway.create_namespace(name="default")
            made = True
        except BadRequest:
            made = False
        try:
            shop = make_shop(**kind[0])
            purse, socket = shop.purse(), listen()
            socket.gateway.set_user_id_by_user_id(namespace_name="default", user_id=purse.user)
            shop.make(purse, acquire=[purse.gains("sword")])
            assert [body["subject"] for body in socket.notifications(1)] == [kind[2]]
        finally:
            if made:
                admin.gateway.delete_namespace(namespace_name="default")


class TestJobQueue:
    """DT-33: acquire actions as jobs."""

    def test_jobs_dt33_j65(self, make_shop, mode, admin, environment):
        """DT-33, J-64, J-65: in any mode the gains become jobs of built-in scripts, in their order."""
        shop = make_shop(acquire_action_use_job_queue=True, **mode)
        purse = shop.purse()
        purse.put("coin")
        answer = shop.make(purse, [], [purse.loses("coin")], [purse.gains("sword"), purse.gains("shield")])
        assert [made["action"] for made in answer["transaction"]["acquireActions"]] == ["Gs2JobQueue:PushByUserId"]
        assert shop.outcome(purse, answer) == ([], [200], [200])
        queue = Queue(admin, shop.queue, user=purse.user)
        jobs = [queue.get(name) for name in queue.names()]
        assert [job.script_id for job in jobs] == [system_script(environment, "lock_lock_by_user_id")] * 2
        assert [json.loads(job.args)["propertyId"] for job in jobs] == ["sword", "shield"]
        assert purse.counts("coin", "sword", "shield") == [0, 0, 0]
        assert [code for _name, code in queue.run_all()] == [200, 200]
        assert purse.counts("sword", "shield") == [1, 1]

    def test_acting_player_dt03(self, make_shop, mode, admin):
        """DT-03: also a job is for the player of the transaction when its request names nobody."""
        shop = make_shop(acquire_action_use_job_queue=True, **mode)
        purse = shop.purse()
        gain = action("Gs2Lock:LockByUserId", namespaceName=purse.lock, propertyId="sword", transactionId="t")
        assert shop.outcome(purse, shop.make(purse, acquire=[gain])) == ([], [], [200])
        assert [code for _name, code in Queue(admin, shop.queue, user=purse.user).run_all()] == [200]
        assert purse.count("sword") == 1

    def test_no_jobs_without_gains_dt33(self, make_shop, mode):
        shop = make_shop(acquire_action_use_job_queue=True, **mode)
        purse = shop.purse()
        purse.put("coin")
        assert shop.outcome(purse, shop.make(purse, consume=[purse.loses("coin")]))[1] == [200]
        assert purse.count("coin") == 0

    def test_at_most_ten_j10(self, make_shop, mode):
        """J-10: one push holds ten."""
        shop = make_shop(acquire_action_use_job_queue=True, **mode)
        purse = shop.purse()
        assert shop.make(purse, acquire=[purse.gains("sword")] * 10)["code"] == 200
        answer = shop.make(purse, acquire=[purse.gains("sword")] * 11)
        assert (answer["code"], errors(answer["result"])[0]["message"]) == (
            400, "distributor.transaction.acquireActions.error.tooMany")

    def test_missing_queue_dt33(self, make_shop):
        """DT-33, DT-31: without the queue the push fails, and everything with it."""
        shop = make_shop(queue=unique("absent"), acquire_action_use_job_queue=True, **ATOMIC)
        purse = shop.purse()
        purse.put("coin")
        answer = shop.make(purse, [], [purse.loses("coin")], [purse.gains("sword")])
        assert shop.outcome(purse, answer) == ([], [200], [404]) and purse.count("coin") == 1

    def test_several_gains_in_steps_dt14(self, make_shop, admin):
        """DT-14: several gains of a transaction in steps become one push, where there is a queue for it."""
        shop = make_shop(**STEPS)
        purse = shop.purse()
        answer = shop.make(purse, acquire=[purse.gains("sword"), purse.gains("shield")])
        assert shop.outcome(purse, answer) == ([], [], [200])
        assert len(Queue(admin, shop.queue, user=purse.user).names()) == 2
        shop = make_shop(queue=unique("absent"), **STEPS)
        answer = shop.make(purse, acquire=[purse.gains("bow"), purse.gains("arrow")])
        assert shop.outcome(purse, answer) == ([], [], [200])
        assert purse.counts("sword", "bow", "arrow") == [0, 1, 1]
