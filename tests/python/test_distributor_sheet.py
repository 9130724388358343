"""Distributor: transactions that clients run, by signed sheets and tasks. BEHAVIOUR DT-10 to DT-21, J-16, SC-07."""

import json

import pytest

from harness import operations
from harness.environment import unique
from harness.errors import error_items
from harness.jobs import ECHO, NO_JOB, Queue, entry, errors, system_script
from harness.policy import allow, common, document
from harness.sdk import BadRequest, Conflict, NotFound, Unauthorized
from harness.transactions import (
    NOT_PROVEN, NO_MUTEX, NO_NAMESPACE, WRONG_ACTION, WRONG_SHEET, WRONG_TASK, Sheet, action, changed, fund, invoke, read)

RUN_TASK = operations.operation("distributor", "runStampTask")
RUN_SHEET = operations.operation("distributor", "runStampSheet")
RUN_EXPRESS = operations.operation("distributor", "runStampSheetExpress")
CALLERS = 6


class TestText:
    """DT-10 to DT-13: what the script's caller gets."""

    def test_answer_dt10(self, sdk, market, purse):
        """DT-10: what SDKs look for beside the result."""
        answer = market.make(purse, consume=[purse.loses("coin")], acquire=[purse.gains("sword")], sdk=sdk)
        assert (answer["code"], answer["result"]) == (200, '{"made":true}')
        assert (answer["autoRunStampSheet"], answer["atomicCommit"]) == (False, False)
        assert len(answer["transactionId"]) == 36 and answer["transaction"]["transactionId"] == answer["transactionId"]
        assert answer["stampSheetEncryptionKeyId"].startswith("grn:gs2:") and "transactionResult" not in answer
        assert purse.counts("coin", "sword") == [0, 0]

    def test_body_dt11_dt12_dt13(self, issue, purse, environment):
        """DT-11 to DT-13: a sheet and its tasks, each a text with a signed body."""
        sheet = issue(purse, [purse.has("ticket")], [purse.loses("coin"), purse.loses("gem")], [purse.gains("sword")])
        assert set(json.loads(sheet.text)) == {"body", "signature"}
        body = sheet.body
        assert set(body) == {"ownerId", "userId", "transactionId", "action", "args", "verifyTasks", "tasks", "timestamp"}
        assert (body["ownerId"], body["userId"]) == (environment.owner_id, purse.user)
        assert (body["action"], json.loads(body["args"])["propertyId"]) == ("Gs2Lock:LockByUserId", "sword")
        assert (len(body["verifyTasks"]), len(body["tasks"])) == (1, 2)
        tasks = [read(task) for task in body["verifyTasks"] + body["tasks"]]
        assert all(set(task) == {"taskId", "action", "args", "timestamp"} for task in tasks)
        assert [task["action"] for task in tasks] == [
            "Gs2Lock:GetMutexByUserId", "Gs2Lock:UnlockByUserId", "Gs2Lock:UnlockByUserId"]
        assert [json.loads(task["args"])["propertyId"] for task in tasks] == ["ticket", "coin", "gem"]
        assert {json.loads(task["args"])["userId"] for task in tasks} == {purse.user}
        assert len({task["taskId"] for task in tasks}) == 3

    @pytest.mark.parametrize("consume, acquire", [([], ["sword"]), (["coin"], []), ([], [])])
    def test_empty_lists_dt12(self, issue, purse, consume, acquire):
        """DT-12: the lists of tasks are there also when they are empty; a transaction may only take, or do nothing."""
        purse.put("coin")
        sheet = issue(purse, [], [purse.loses(what) for what in consume], [purse.gains(what) for what in acquire])
        assert (sheet.verify_tasks, len(sheet.tasks)) == ([], len(consume))
        assert sheet.walk().status_code == 200
        assert purse.counts("coin", "sword") == [1 - len(consume), len(acquire)]

    def test_several_acquire_actions_dt14(self, issue, market, purse, environment):
        """DT-14, J-64: several gains become one push of jobs of built-in scripts."""
        sheet = issue(purse, [], [], [purse.gains("sword"), purse.gains("shield")])
        assert sheet.body["action"] == "Gs2JobQueue:PushByUserId"
        ran = sheet.run()
        queue = Queue(market.sdk, market.queue, user=purse.user)
        pushed = json.loads(ran.result)["items"]
        assert [job["scriptId"] for job in pushed] == [system_script(environment, "lock_lock_by_user_id")] * 2
        assert queue.names() == [job["name"] for job in pushed]
        assert purse.counts("sword", "shield") == [0, 0]
        assert [code for _name, code in queue.run_all()] == [200, 200]
        assert purse.counts("sword", "shield") == [1, 1]

    def test_too_many_acquire_actions_dt14_j10(self, market, purse):
        """DT-14, J-10: more than one push holds is refused at once, as the script's failure."""
        assert market.make(purse, acquire=[purse.gains("sword")] * 10)["code"] == 200
        answer = market.make(purse, acquire=[purse.gains("sword")] * 11)
        assert answer["code"] == 400 and "stampSheet" not in answer
        assert [error["message"] for error in errors(answer["result"])] == [
            "distributor.transaction.acquireActions.error.tooMany"]

    def test_too_long_for_a_job_dt14_j11(self, market, purse):
        """DT-14, J-11: a gain that no job can hold is refused before anybody pays for it."""
        long = purse.gains("sword", note="x" * 131_072)
        assert market.make(purse, acquire=[long])["code"] == 200
        answer = market.make(purse, acquire=[long, purse.gains("shield")])
        assert answer["code"] == 400 and "stampSheet" not in answer

    def test_too_long_sheet_dt11(self, market, purse):
        """DT-11: a sheet that no call could carry is not handed out."""
        answer = market.make(purse, consume=[purse.loses("coin", note='"' * 30_000)] * 10)
        assert answer["code"] == 400 and "stampSheet" not in answer

    def test_unknown_action_dt02(self, market, purse):
        """DT-02: what can never run is the script's failure."""
        for wrong in ("Gs2Lock:Fly", "Gs2Nothing:GetByUserId", "Gs2Lock:Lock", "Gs2JobQueue:CreateNamespace",
                      "Gs2Identifier:CreateUser", "Gs2Auth:IssueTimeOffsetTokenByUserId", "lock_by_user_id", "x"):
            answer = market.make(purse, consume=[action(wrong)])
            assert (answer["code"], errors(answer["result"])[0]["message"]) == (400, WRONG_ACTION)
        answer = market.make(purse, verify=[purse.gains("sword")])
        assert (answer["code"], errors(answer["result"])[0]["message"]) == (400, WRONG_ACTION)

    def test_nobodys_dt10(self, sdk, market, purse):
        """DT-10: who acts for nobody gets no sheet."""
        answer = market.run(market.record, None, {"acquire": [purse.gains("sword")]}, sdk)
        assert answer["code"] == 200 and "stampSheet" not in answer


class TestSteps:
    """DT-16, DT-17: one step after the other, with the proof of those before."""

    def test_all_dt16(self, trade, purse):
        fund(purse, 2)
        verified = trade.verify()
        assert verified.status_code == 200 and json.loads(verified.result)["item"]["propertyId"] == "ticket"
        assert verified.context_stack and purse.counts("coin", "sword") == [2, 0]
        paid = trade.task()
        assert (paid.status_code, json.loads(paid.result)["item"]["referenceCount"]) == (200, 1)
        assert paid.context_stack != verified.context_stack and purse.counts("coin", "sword") == [1, 0]
        given = trade.run()
        assert (given.status_code, json.loads(given.result)["item"]["propertyId"]) == (200, "sword")
        assert purse.counts("ticket", "coin", "sword") == [1, 1, 1]

    def test_acting_player_dt03(self, issue, purse, namespace):
        """DT-03: an action that names nobody is for the player of the transaction."""
        request = {"namespaceName": namespace, "transactionId": "t"}
        sheet = issue(purse, [action("Gs2Lock:GetMutexByUserId", namespaceName=namespace, propertyId="ticket")],
                      [action("Gs2Lock:UnlockByUserId", propertyId="coin", **request)],
                      [action("Gs2Lock:LockByUserId", propertyId="sword", **request)])
        fund(purse)
        assert sheet.walk().status_code == 200
        assert purse.counts("coin", "sword") == [0, 1]

    def test_action_that_fails_dt17(self, trade, purse):
        """DT-17: HTTP 200, and the action's own status and errors; the proof is missing."""
        for step, number in ((trade.verify, 0), (trade.task, 1)):
            if number:
                purse.put("ticket")
                step, before = trade.task, trade.verify().context_stack
            else:
                before = None
            ran = step()
            assert ran.status_code == 404
            assert [error["message"] for error in errors(ran.result)] == [NO_MUTEX]
            assert (ran.context_stack or None) == before
            with trade.sdk.refuses(BadRequest, NOT_PROVEN):
                trade.run()
        assert purse.count("sword") == 0

    def test_sheet_that_fails_dt17(self, issue, purse):
        sheet = issue(purse, [], [purse.loses("coin")], [purse.loses("debt")])
        purse.put("coin")
        assert sheet.task().status_code == 200
        ran = sheet.run()
        assert (ran.status_code, errors(ran.result)[0]["message"]) == (404, NO_MUTEX)
        purse.put("debt")
        assert sheet.run().status_code == 200
        assert purse.counts("coin", "debt") == [0, 0]

    def test_again_after_a_failure_dt21(self, trade, purse):
        """DT-21: what failed has not taken effect, and may be run again."""
        assert trade.verify().status_code == 404
        purse.put("ticket")
        assert trade.verify().status_code == 200
        assert trade.task().status_code == 404
        purse.put("coin")
        assert trade.task().status_code == 200
        assert trade.run().status_code == 200
        assert purse.counts("coin", "sword") == [0, 1]

    def test_missing_proofs_dt16(self, issue, market, purse):
        """DT-16: nothing is given before every task was done, and another sheet's tasks prove nothing."""
        parts = [purse.has("ticket")], [purse.loses("coin"), purse.loses("gem")], [purse.gains("sword")]
        sheet, other = issue(purse, *parts), issue(purse, *parts)
        fund(purse, 5)
        purse.put("gem", 5)
        steps = [lambda: sheet.verify(), lambda: sheet.task(sheet.tasks[0]), lambda: sheet.task(sheet.tasks[1])]
        for step in steps:
            with sheet.sdk.refuses(BadRequest, NOT_PROVEN):
                sheet.run()
            assert step().status_code == 200
        assert other.verify().status_code == 200
        for task in other.tasks:
            assert other.task(task).status_code == 200
        for stack in (None, "", other.stack, "null", "garbage", "{}", sheet.stack[:-2], changed(sheet.stack, done=[
                read(task)["taskId"] for task in sheet.verify_tasks + sheet.tasks])):
            with sheet.sdk.refuses(BadRequest, NOT_PROVEN):
                sheet.run(context_stack=stack)
        assert purse.count("sword") == 0
        assert sheet.run().status_code == 200 and purse.count("sword") == 1

    def test_lost_proof_dt16_dt21(self, trade, purse):
        """DT-16, DT-21: who lost the context stack runs the tasks again, which changes nothing but proves them."""
        fund(purse, 3)
        trade.verify()
        trade.task()
        trade.stack = None
        with trade.sdk.refuses(BadRequest, NOT_PROVEN):
            trade.run()
        assert trade.walk().status_code == 200
        assert purse.counts("coin", "sword") == [2, 1]

    def test_missing_namespace_e08_dt19(self, sdk, market, purse):
        """E-08, DT-19: SDKs then fall back to the variants without a namespace."""
        purse.put("coin", 2)
        parts = {"consume": [purse.loses("coin")], "acquire": [purse.gains("sword")], "verify": [purse.has("coin")]}
        sheet = Sheet(sdk, market.make(purse, **parts), unique("absent"))
        for call in (sheet.verify, sheet.task, sheet.run, sheet.express):
            with sdk.refuses(NotFound, NO_NAMESPACE):
                call()
        assert purse.counts("coin", "sword") == [2, 0]
        assert sheet.by().walk().status_code == 200
        assert purse.counts("coin", "sword") == [1, 1]

    def test_of_players_i13(self, market, purse, sign_in):
        """I-13, DT-16: a game's own credential is enough to run what a script made, and for nothing else."""
        app = sign_in(common("ApplicationAccess"))
        fund(purse, 2)
        parts = [purse.has("ticket")], [purse.loses("coin")], [purse.gains("sword")]
        for where in (market.distributor, None):
            assert Sheet(app, market.make(purse, *parts), where).walk().status_code == 200
        assert purse.counts("coin", "sword") == [0, 2]
        with app.refuses_with(Unauthorized):
            app.lock.lock_by_user_id(
                namespace_name=purse.lock, user_id=purse.user, property_id="sword", transaction_id="t")


class TestOnce:
    """DT-21: a task and a sheet take effect once, however they are run."""

    def test_again_dt21(self, trade, purse):
        fund(purse, 5)
        first = [trade.verify().to_dict(), trade.task().to_dict(), trade.run().to_dict()]
        for _time in range(2):
            assert trade.task(context_stack=None).result == first[1]["result"]
            assert trade.run(context_stack=first[1]["contextStack"]).to_dict() == first[2]
        assert purse.counts("coin", "sword") == [4, 1]

    def test_whoever_and_wherever_dt21(self, trade, purse, open_sdk, make_distributor):
        """DT-21: not by another session, another namespace or none, nor at once after the steps."""
        fund(purse, 9)
        result = trade.walk().result
        assert trade.express().sheet_result == result
        other = open_sdk("websocket" if trade.sdk.transport == "rest" else "rest")
        for where in (None, make_distributor()):
            again = trade.by(other, where)
            ran = again.express()
            assert (ran.task_result_codes, ran.sheet_result_code, ran.sheet_result) == ([200], 200, result)
            assert again.walk().result == result
        assert purse.counts("coin", "sword") == [8, 1]

    def test_at_the_same_time_dt21(self, admin, market, purse, open_sdk, threads):
        """DT-21: callers at the same time get the one answer, or are told that another one runs it."""
        fund(purse, CALLERS)
        parts = [purse.has("ticket")], [purse.loses("coin")], [purse.gains("sword")]
        sessions = [open_sdk("rest") for _number in range(CALLERS)]
        for _round in range(5):
            before = purse.counts("coin", "sword")
            sheet = Sheet(admin, market.make(purse, *parts), market.distributor)
            answers = list(threads.map(lambda session: self.tried(sheet.by(session, market.distributor)), sessions))
            assert set(answers) <= {(200, 200), Conflict} and (200, 200) in answers
            assert purse.counts("coin", "sword") == [before[0] - 1, before[1] + 1]

    @staticmethod
    def tried(sheet):
        try:
            ran = sheet.express()
            return ran.task_result_codes[0], ran.sheet_result_code
        except Conflict as refusal:
            return type(refusal)

    def test_two_sheets_are_two_dt21(self, issue, purse):
        parts = [], [purse.loses("coin")], [purse.gains("sword")]
        purse.put("coin", 2)
        for sheet in (issue(purse, *parts), issue(purse, *parts)):
            assert sheet.walk().status_code == 200
        assert purse.counts("coin", "sword") == [0, 2]


class TestExpress:
    """DT-18: everything at once."""

    def test_all_dt18(self, trade, purse):
        fund(purse)
        ran = trade.express()
        assert (ran.verify_task_result_codes, ran.task_result_codes, ran.sheet_result_code) == ([200], [200], 200)
        assert json.loads(ran.verify_task_results[0])["item"]["propertyId"] == "ticket"
        assert json.loads(ran.task_results[0])["item"]["propertyId"] == "coin"
        assert json.loads(ran.sheet_result)["item"]["propertyId"] == "sword"
        assert purse.counts("coin", "sword") == [0, 1]

    def test_stops_at_the_first_failure_dt01_dt18(self, issue, purse):
        """DT-01, DT-18: in the order verify, consume, acquire; what came before stays done, a repeated call goes on."""
        sheet = issue(purse, [purse.has("ticket"), purse.has("pass")], [purse.loses("coin"), purse.loses("gem")],
                      [purse.loses("debt")])
        seen = []
        for what in (None, "ticket", "pass", "coin", "gem", "debt"):
            if what is not None:
                purse.put(what)
            ran = sheet.express()
            seen.append((ran.verify_task_result_codes, ran.task_result_codes, ran.sheet_result_code))
            assert len(ran.verify_task_results) == len(ran.verify_task_result_codes)
        assert seen == [
            ([404], [], None), ([200, 404], [], None), ([200, 200], [404], None), ([200, 200], [200, 404], None),
            ([200, 200], [200, 200], 404), ([200, 200], [200, 200], 200)]
        assert purse.counts("coin", "gem", "debt") == [0, 0, 0]

    def test_a_hundred_of_each_dt01(self, issue, market, purse):
        """DT-01: a hundred actions of a kind, and no more."""
        purse.put("ticket")
        purse.put("coin", 100)
        many = [purse.has("ticket")] * 100, [purse.loses("coin")] * 100
        ran = issue(purse, *many, [purse.gains("sword")]).express()
        assert ran.verify_task_result_codes == ran.task_result_codes == [200] * 100 and ran.sheet_result_code == 200
        assert purse.counts("coin", "sword") == [0, 1]
        for wrong in ({"verify": [purse.has("ticket")] * 101}, {"consume": [purse.loses("coin")] * 101}):
            assert market.make(purse, **wrong)["code"] == 400


class TestEndpoints:
    """DT-20, J-16, SC-07: the endpoints of services that take the sheets and tasks of their own actions."""

    @pytest.fixture
    def queue(self, market, purse):
        return Queue(market.sdk, market.queue, user=purse.user)

    def test_push_j16_j17(self, sdk, market, purse, queue):
        """J-16, J-17: jobs in the answer, pushed once; only when the tasks are proven."""
        push = action("Gs2JobQueue:PushByUserId", namespaceName=queue.namespace, userId="#{userId}", jobs=[
            {"scriptId": "grn:a", "args": "{}"}, {"scriptId": "grn:b"}])
        purse.put("coin", 5)
        sheet = Sheet(sdk, market.make(purse, consume=[purse.loses("coin")], acquire=[push]))
        fields = {"stamp_sheet": sheet.text, "key_id": sheet.key_id}
        with sdk.refuses(BadRequest, NOT_PROVEN):
            sdk.job_queue.push_by_stamp_sheet(**fields)
        assert queue.names() == []
        sheet.task()
        pushed = sdk.job_queue.push_by_stamp_sheet(context_stack=sheet.stack, **fields)
        assert [item.script_id for item in pushed.items] == ["grn:a", "grn:b"] and pushed.auto_run is False
        assert queue.names() == [item.name for item in pushed.items]
        again = sdk.job_queue.push_by_stamp_sheet(context_stack=sheet.stack, **fields)
        assert again.to_dict() == pushed.to_dict()
        assert json.loads(sheet.run().result)["items"][0]["name"] == pushed.items[0].name
        assert len(queue.names()) == 2 and purse.count("coin") == 4

    def test_delete_j16(self, sdk, market, purse, queue):
        """J-16: the job, and the proof with which the sheet goes on."""
        names = [item.name for item in queue.push(entry("grn:s"), entry("grn:s")).items]
        delete = action(
            "Gs2JobQueue:DeleteJobByUserId", namespaceName=queue.namespace, userId="#{userId}", jobName=names[0])
        sheet = Sheet(sdk, market.make(purse, consume=[delete], acquire=[purse.gains("sword")]))
        for _time in range(2):
            deleted = sdk.job_queue.delete_by_stamp_task(stamp_task=sheet.tasks[0], key_id=sheet.key_id)
            assert deleted.item.name == names[0]
        assert queue.names() == names[1:]
        assert sheet.run(context_stack=deleted.new_context_stack).status_code == 200
        assert purse.count("sword") == 1
        other = Sheet(sdk, market.make(purse, consume=[delete]))
        with sdk.refuses(NotFound, NO_JOB):
            sdk.job_queue.delete_by_stamp_task(stamp_task=other.tasks[0], key_id=other.key_id)

    def test_invoke_sc07(self, sdk, market, purse):
        """SC-07: the answer is that of an invocation, and the script runs once."""
        source = """
            local lock = gs2('lock')
            local given = lock.lock_by_user_id({namespaceName = args.lock, userId = args.user, propertyId = 'sword',
                transactionId = 't'})
            result = {user = args.user, count = given.result.item.referenceCount}
        """
        given = invoke(market.scripts.store(source), {"lock": market.lock, "user": "#{userId}"}, userId="#{userId}")
        sheet = Sheet(sdk, market.make(purse, acquire=[given]))
        for _time in range(2):
            ran = sdk.script.invoke_by_stamp_sheet(stamp_sheet=sheet.text, key_id=sheet.key_id)
            assert (ran.code, json.loads(ran.result)) == (200, {"user": purse.user, "count": 1})
        assert sheet.run().status_code == 200 and purse.count("sword") == 1

    def test_invoke_that_fails_sc07_dt17(self, sdk, market, purse):
        """SC-07, DT-17: a script that fails is an action that failed, with its status, and may run again."""
        script_id = market.scripts.store("fail(409, 'closed')")
        sheet = Sheet(sdk, market.make(purse, acquire=[invoke(script_id, userId="#{userId}")]), market.distributor)
        with pytest.raises(Conflict):
            sdk.script.invoke_by_stamp_sheet(stamp_sheet=sheet.text, key_id=sheet.key_id)
        assert error_items(sdk.answer)[0]["message"] == "closed"
        ran = sheet.run()
        assert (ran.status_code, errors(ran.result)[0]["message"]) == (409, "closed")
        market.scripts.change(script_id, ECHO)
        assert sheet.run().status_code == 200

    @pytest.fixture(params=["if", "and", "or"])
    def expression(self, request, sdk, market, purse):
        """Name, endpoint and the action that holds with a ticket."""
        fields = {"namespaceName": market.distributor, "userId": "#{userId}"}
        if request.param == "if":
            fields.update(condition=purse.has("ticket"), trueActions=[purse.loses("coin")],
                          falseActions=[purse.loses("debt")])
        else:
            fields.update(actions=[purse.has("ticket")])
        made = action(f"Gs2Distributor:{request.param.capitalize()}ExpressionByUserId", **fields)
        return request.param, getattr(sdk.distributor, f"{request.param}_expression_by_stamp_task"), made

    def test_expressions_dt51(self, sdk, market, purse, expression):
        """DT-51, DT-20: as a task: what they came to, and the proof."""
        name, endpoint, made = expression
        fund(purse, 3)
        sheet = Sheet(sdk, market.make(purse, consume=[made], acquire=[purse.gains("sword")]))
        fields = {"stamp_task": sheet.tasks[0], "key_id": sheet.key_id}
        first, again = endpoint(**fields), endpoint(**fields)
        if name == "if":
            assert first.expression_result is True and again.item.to_dict() == first.item.to_dict()
            assert [ran.status_code for ran in first.item.consume_results] == [200]
        assert purse.count("coin") == (2 if name == "if" else 3)
        assert sheet.run(context_stack=again.new_context_stack).status_code == 200
        assert purse.count("sword") == 1

    def test_expressions_that_fail_dt51(self, sdk, market, purse, expression):
        _name, endpoint, made = expression
        sheet = Sheet(sdk, market.make(purse, consume=[made]))
        with sdk.refuses(NotFound, NO_MUTEX):
            endpoint(stamp_task=sheet.tasks[0], key_id=sheet.key_id)

    def test_other_actions_dt20(self, sdk, market, purse):
        """DT-20: each endpoint is for the one action that it is named after."""
        purse.put("coin")
        sheet = Sheet(sdk, market.make(purse, consume=[purse.loses("coin")], acquire=[purse.gains("sword")]))
        sheet.task()
        fields = {"key_id": sheet.key_id, "context_stack": sheet.stack}
        for endpoint in (sdk.job_queue.push_by_stamp_sheet, sdk.script.invoke_by_stamp_sheet):
            for text in (sheet.text, sheet.tasks[0], changed(sheet.text, action="Gs2JobQueue:PushByUserId"), "text"):
                with sdk.refuses(BadRequest, WRONG_SHEET):
                    endpoint(stamp_sheet=text, **fields)
        for endpoint in (sdk.job_queue.delete_by_stamp_task, sdk.distributor.if_expression_by_stamp_task,
                         sdk.distributor.and_expression_by_stamp_task, sdk.distributor.or_expression_by_stamp_task):
            forged = changed(sheet.tasks[0], action="Gs2JobQueue:DeleteJobByUserId")
            for text in (sheet.tasks[0], sheet.text, forged, "text"):
                with sdk.refuses(BadRequest, WRONG_TASK):
                    endpoint(stamp_task=text, **fields)
        assert purse.count("sword") == 0


class TestRights:
    """DT-52: in a namespace that assumes a user, sheets may do what that user may."""

    def test_assumed_user_dt52(self, sdk, admin, make_user, make_policy, make_distributor, market, purse, environment):
        policy = make_policy(document(allow("Gs2Lock:GetMutexByUserId", "Gs2Lock:UnlockByUserId")))
        user = make_user(policies=[policy.security_policy_id])
        where = make_distributor(assume_user_id=environment.grn("identifier", "user", user))
        fund(purse, 2)
        parts = [purse.has("ticket")], [purse.loses("coin")], [purse.gains("sword")]
        sheet = Sheet(sdk, market.make(purse, *parts), where)
        ran = sheet.express()
        assert (ran.verify_task_result_codes, ran.task_result_codes, ran.sheet_result_code) == ([200], [200], 401)
        assert errors(ran.sheet_result)[0]["message"] == "lock.mutex.lockByUserId.error.notAuthorized"
        assert purse.counts("coin", "sword") == [1, 0]
        admin.distributor.update_namespace(
            namespace_name=where, assume_user_id=environment.grn("identifier", "user", unique("absent")))
        other = Sheet(sdk, market.make(purse, *parts), where)
        assert other.express().verify_task_result_codes == [401]
        admin.distributor.update_namespace(namespace_name=where)
        assert sheet.express().sheet_result_code == other.express().sheet_result_code == 200
        assert purse.counts("coin", "sword") == [0, 2]


class TestDryRun:
    def test_t14(self, dry, market, purse):
        """T-14: the answers are those that would be; what is done then is done for the first time."""
        fund(purse)
        answer = market.make(purse, [], [purse.loses("coin")], [purse.gains("sword")])
        sheet = Sheet(market.sdk, answer, market.distributor)
        fields = {"namespaceName": market.distributor, "keyId": sheet.key_id}
        assert dry(RUN_TASK, {**fields, "stampTask": sheet.tasks[0]}).ok()["statusCode"] == 200
        assert dry(RUN_EXPRESS, {**fields, "stampSheet": sheet.text}).ok()["sheetResultCode"] == 200
        assert purse.counts("coin", "sword") == [1, 0]
        sheet.task()
        assert dry(RUN_SHEET, {
            **fields, "stampSheet": sheet.text, "contextStack": sheet.stack}).ok()["statusCode"] == 200
        assert purse.counts("coin", "sword") == [0, 0]
        assert sheet.run().status_code == 200 and purse.counts("coin", "sword") == [0, 1]
