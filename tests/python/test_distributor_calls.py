"""Distributor: gifts, batches and expressions. BEHAVIOUR DT-01 to DT-04, DT-50 to DT-52."""

import json

import pytest
from gs2.distributor import BatchRequestPayload, DistributeResource

from harness import operations
from harness.environment import unique
from harness.jobs import ECHO, Queue, errors
from harness.policy import allow, deny, document
from harness.sdk import BadRequest, Conflict, NotFound, Unauthorized
from harness.transactions import (
    ATOMIC, NO_MUTEX, NO_NAMESPACE, WRONG_ACTION, WRONG_REQUEST, action, batched, config, consume_action, invoke,
    verify_action)

DISTRIBUTE = operations.operation("distributor", "distributeWithoutOverflowProcess")
IF = operations.operation("distributor", "ifExpressionByUserId")
BATCH = operations.operation("distributor", "batchExecuteApi")
VERSION = "2019-03-01"


@pytest.fixture
def market(make_shop):
    return make_shop(**ATOMIC)


@pytest.fixture
def purse(market):
    return market.purse()


def resource(made):
    return DistributeResource.from_dict(made)


class TestDistribute:
    """Giving a player something, with a distributor model or without one."""

    @pytest.fixture
    def give(self, sdk, admin, make_distributor, purse):
        """Gives the player something by the model `gifts` with these members."""

        def give_(made, where=None, **members):
            if where is None:
                where = make_distributor()
                admin.distributor.update_current_distributor_master(namespace_name=where, settings=json.dumps({
                    "version": VERSION, "distributorModels": [{"name": "gifts", **members}]}))
            give_.where = where
            return sdk.distributor.distribute(
                namespace_name=where, distributor_name="gifts", user_id=purse.user, distribute_resource=resource(made))

        return give_

    @pytest.fixture(params=["model", "without overflow process"])
    def any_give(self, request, sdk, give, purse):
        if request.param == "model":
            return give
        return lambda made: sdk.distributor.distribute_without_overflow_process(
            user_id=purse.user, distribute_resource=resource(made))

    def test_given(self, any_give, purse):
        gift = purse.gains("sword")
        given = any_give(gift)
        assert given.distribute_resource.to_dict() == gift
        assert json.loads(given.result)["item"]["userId"] == purse.user
        assert purse.count("sword") == 1

    def test_inbox(self, give, purse):
        """What fits goes to no inbox; the model's is named all the same."""
        assert give(purse.gains("sword")).inbox_namespace_id is None
        given = give(purse.gains("sword"), inboxNamespaceId="grn:gs2:{region}:{ownerId}:inbox:box")
        assert given.inbox_namespace_id == give(purse.gains("sword"), where=give.where).inbox_namespace_id
        assert given.inbox_namespace_id.endswith(":inbox:box")

    def test_player_dt03(self, any_give, purse, market):
        """DT-03: `#{userId}` and whoever is not named are the player who gets it."""
        for fields in ({}, {"userId": "#{userId}"}, {"userId": None}):
            any_give(action(
                "Gs2Lock:LockByUserId", namespaceName=market.lock, propertyId="sword", transactionId="t", **fields))
        assert purse.count("sword") == 3

    def test_scripts_and_jobs_j16_sc07(self, any_give, purse, market):
        any_give(action("Gs2JobQueue:PushByUserId", namespaceName=market.queue, jobs=[{"scriptId": "grn:s"}]))
        assert len(Queue(market.sdk, market.queue, user=purse.user).names()) == 1
        given = any_give(invoke(market.scripts.store(ECHO), {"user": "#{userId}"}))
        assert json.loads(json.loads(given.result)["result"]) == {"user": purse.user}

    def test_fails_as_the_action_dt17(self, any_give, sdk, purse, market):
        with sdk.refuses(NotFound, NO_MUTEX):
            any_give(purse.loses("coin"))
        with sdk.refuses(BadRequest, WRONG_ACTION):
            any_give(action("Gs2Lock:Fly"))
        with sdk.refuses(BadRequest, WRONG_REQUEST):
            any_give(action("Gs2Lock:LockByUserId", "no JSON"))
        with pytest.raises(Conflict):
            any_give(invoke(market.scripts.store("fail(409, 'closed')")))

    def test_white_list(self, give, sdk, purse, market, environment):
        """Only what the list names, or what is below it; everything when the list is empty."""
        mine = environment.grn("lock", market.lock)
        sword = environment.grn("lock", market.lock, "user", purse.user, "property", "sword")
        for allowed in ([], None, [mine], [sword], ["grn:other", sword], [sword.replace(environment.region, "{region}")],
                        [mine + ":user:" + purse.user]):
            give(purse.gains("sword"), whiteListTargetIds=allowed)
        for allowed in (["grn:other"], [mine + "x"], [mine[:-1]], [sword + ":x"], [sword[:-1]], ["*"], [mine + ":*"],
                        [environment.grn("queue", market.lock)]):
            with sdk.refuses(BadRequest, "distributor.distribute.distributeResource.error.notIncluded"):
                give(purse.gains("sword"), whiteListTargetIds=allowed)
        with sdk.refuses(BadRequest, "distributor.distribute.distributeResource.error.notIncluded"):
            give(purse.gains("shield"), whiteListTargetIds=[sword])
        assert purse.counts("sword", "shield") == [7, 0]

    def test_white_list_sees_the_request_as_it_is_called(self, sdk, admin, give, purse, market, environment):
        """What the list is asked about is what is called: placeholders first, and no second player."""
        theirs = environment.grn("lock", market.lock, "user", purse.user)
        other = purse.of()
        named = action("Gs2Lock:LockByUserId", namespaceName=market.lock, userId=other.user, propertyId="sword",
                       transactionId="t")
        for gift in (other.gains("sword"), named):
            if "#{userId}" in gift["request"]:
                give(gift, whiteListTargetIds=[theirs])
            else:
                with sdk.refuses(BadRequest, "distributor.distribute.distributeResource.error.notIncluded"):
                    give(gift, whiteListTargetIds=[theirs])
        stack = sdk.distributor.set_transaction_default_config_by_user_id(
            user_id=purse.user, config=config(whose=other.user)).new_context_stack
        with sdk.refuses(BadRequest, "distributor.distribute.distributeResource.error.notIncluded"):
            sdk.distributor.distribute(
                namespace_name=give.where, distributor_name="gifts", user_id=purse.user, context_stack=stack,
                distribute_resource=resource(action(
                    "Gs2Lock:LockByUserId", namespaceName=market.lock, userId="#{whose}", propertyId="sword",
                    transactionId="t")))
        assert (purse.count("sword"), other.count("sword")) == (1, 0)

    def test_missing_e07_e08(self, sdk, give, purse, make_distributor):
        with sdk.refuses(NotFound, "distributor.distributorModel.distributorModel.error.notFound"):
            give(purse.gains("sword"), where=make_distributor())
        with sdk.refuses(NotFound, NO_NAMESPACE):
            give(purse.gains("sword"), where=unique("absent"))

    def test_wrong_resources_e10(self, sdk, purse):
        for made, message in (
            ({"request": "{}"}, "action.error.require"), ({"action": "a"}, "request.error.require"),
            ({"action": "a" * 129, "request": "{}"}, "action.error.tooLong"),
            ({"action": "a", "request": "r" * 524_289}, "request.error.tooLong"),
        ):
            with sdk.refuses(BadRequest, f"distributor.distributeResource.{message}"):
                sdk.distributor.distribute_without_overflow_process(
                    user_id=purse.user, distribute_resource=resource(made))

    def test_repeated_x02(self, sdk, purse):
        call = {"user_id": purse.user, "distribute_resource": resource(purse.gains("sword"))}
        give = sdk.distributor.distribute_without_overflow_process
        first = give(duplication_avoider="x", **call)
        assert give(duplication_avoider="x", **call).to_dict() == first.to_dict()
        assert purse.count("sword") == 1
        with sdk.refuses_with(Conflict):
            give(duplication_avoider="x", **{**call, "distribute_resource": resource(purse.gains("shield"))})

    def test_access_token_a08(self, rest, admin, purse):
        """Older SDKs send the player's access token; it names nobody else and is checked."""
        token = admin.auth.login(user_id=purse.user).token
        fields = {"userId": purse.user, "distributeResource": purse.gains("sword")}
        rest.call(DISTRIBUTE, fields, {"X-GS2-ACCESS-TOKEN": token}).ok()
        rest.call(DISTRIBUTE, fields, {"X-GS2-ACCESS-TOKEN": "garbage"}).refused(
            401, "distributor.accessToken.accessToken.error.invalid")
        assert purse.count("sword") == 1

    def test_assumed_user_dt52(self, sdk, give, admin, purse, make_user, make_policy, environment):
        """DT-52: with the rights of the namespace's user."""
        policy = make_policy(document(allow("Gs2Lock:UnlockByUserId"))).security_policy_id
        user = make_user(policies=[policy])
        give(purse.gains("sword"))
        admin.distributor.update_namespace(
            namespace_name=give.where, assume_user_id=environment.grn("identifier", "user", user))
        with sdk.refuses(Unauthorized, "lock.mutex.lockByUserId.error.notAuthorized"):
            give(purse.gains("sword"), where=give.where)
        give(purse.loses("sword"), where=give.where)
        assert purse.count("sword") == 0

    def test_dry_run_t14(self, dry, purse):
        fields = {"userId": purse.user, "distributeResource": purse.gains("sword")}
        assert json.loads(dry(DISTRIBUTE, fields).ok()["result"])["item"]["propertyId"] == "sword"
        assert purse.count("sword") == 0


class TestBatch:
    """DT-50: several calls in one."""

    def send(self, sdk, *calls):
        """Status and answer of each call."""
        results = sdk.distributor.batch_execute_api(request_payloads=list(calls)).results
        assert [result.request_id for result in results] == [call.request_id for call in calls]
        return [(result.status_code, json.loads(result.result_payload)) for result in results]

    def lock(self, purse, what, **fields):
        return batched("lock", "lockByUserId", {
            "namespaceName": purse.lock, "userId": purse.user, "propertyId": what, "transactionId": "t", **fields})

    def test_alone_dt50(self, sdk, purse):
        """DT-50: each succeeds or fails alone, in the order in which they are given."""
        missing = batched("lock", "getMutexByUserId", {
            "namespaceName": purse.lock, "userId": purse.user, "propertyId": "none"}, "second")
        results = self.send(sdk, self.lock(purse, "a"), missing, self.lock(purse, "a").with_request_id("third"),
                            batched("lock", "getServiceVersion", {}))
        assert [status for status, _answer in results] == [200, 404, 200, 200]
        assert [results[number][1]["item"]["referenceCount"] for number in (0, 2)] == [1, 2]
        assert errors(json.dumps(results[1][1]))[0]["message"] == NO_MUTEX
        assert purse.count("a") == 2

    def test_every_service_dt50(self, sdk):
        names = ["lock", "gateway", "auth", "identifier", "script", "jobQueue", "chat", "distributor", "key"]
        results = self.send(sdk, *[batched(name, "getServiceVersion", {}, name) for name in names])
        assert [status for status, _answer in results] == [200] * len(names)

    def test_wrong_calls_dt50(self, sdk):
        """DT-50: what cannot be called is that call's failure."""
        wrong = [("nothing", "x", {}), ("lock", "nothing", {}), ("job-queue", "getServiceVersion", {}),
                 ("Lock", "getServiceVersion", {}), ("lock", "get_service_version", {}),
                 ("lock", "getServiceVersion", "text"), ("lock", "getServiceVersion", "[]"),
                 ("lock", "getServiceVersion", "null"),
                 ("lock", "getServiceVersion", "{" * 100), ("lock", "lockByUserId", {}),
                 ("lock", "lockByUserId", {"namespaceName": 5})]
        results = self.send(sdk, *[batched(*call) for call in wrong], batched("lock", "getServiceVersion", {}))
        assert [status for status, _answer in results] == [400] * len(wrong) + [200]
        for _status, answer in results[:-1]:
            assert errors(json.dumps(answer))

    def test_of_a_player_dt50(self, sdk, purse):
        """DT-50: an access token stands in the parameter; without one nobody acts."""
        token = sdk.auth.login(user_id=purse.user).token
        call = {"namespaceName": purse.lock, "propertyId": "mine", "transactionId": "t"}
        results = self.send(
            sdk, batched("lock", "lock", {**call, "accessToken": token}), batched("lock", "lock", call),
            batched("lock", "lock", {**call, "accessToken": "garbage"}),
            batched("lock", "lock", {**call, "accessToken": sdk.token}))
        assert [status for status, _answer in results] == [200, 400, 401, 401]
        assert results[0][1]["item"]["userId"] == purse.user and purse.count("mine") == 1

    def test_players_are_not_mixed_up_dt50(self, sdk, purse):
        """DT-50: one call's token is not the next one's."""
        other = purse.of()
        tokens = [sdk.auth.login(user_id=one.user).token for one in (purse, other)]
        call = {"namespaceName": purse.lock, "propertyId": "mine", "transactionId": "t"}
        results = self.send(sdk, *[batched("lock", "lock", {**call, "accessToken": token}) for token in tokens * 2],
                            batched("lock", "lock", call))
        assert [status for status, _answer in results] == [200] * 4 + [400]
        assert (purse.count("mine"), other.count("mine")) == (2, 2)

    def test_time_offset_token_a08(self, sdk, purse):
        token = sdk.auth.issue_time_offset_token_by_user_id(user_id=purse.user, time_offset=61).token
        sdk.lock.lock_by_user_id(
            namespace_name=purse.lock, user_id=purse.user, property_id="a", transaction_id="t", ttl=60)
        get = {"namespaceName": purse.lock, "userId": purse.user, "propertyId": "a"}
        results = self.send(sdk, batched("lock", "getMutexByUserId", {**get, "timeOffsetToken": token}),
                            batched("lock", "getMutexByUserId", get),
                            batched("lock", "getMutexByUserId", {**get, "timeOffsetToken": "garbage"}))
        assert [status for status, _answer in results] == [404, 200, 401]

    def test_repeated_x02(self, sdk, purse):
        """X-02: an avoider stands in the parameter."""
        for _time in range(2):
            (status, answer), (other, _answer) = self.send(
                sdk, self.lock(purse, "a", duplicationAvoider="x"), self.lock(purse, "b", duplicationAvoider="x"))
            assert (status, answer["item"]["referenceCount"], other) == (200, 1, 409)
        assert purse.counts("a", "b") == [1, 0]

    def test_rights_of_the_caller_dt50(self, sign_in, purse):
        """DT-50: call by call those of whoever sends the batch, and the right to send one."""
        theirs = sign_in(document(allow("Gs2Distributor:BatchExecuteApi", "Gs2Lock:GetMutexByUserId")))
        purse.put("a")
        get = batched("lock", "getMutexByUserId", {
            "namespaceName": purse.lock, "userId": purse.user, "propertyId": "a"})
        results = self.send(theirs, self.lock(purse, "a"), get, batched("identifier", "describeUsers", {}),
                            batched("script", "debugInvoke", {"script": "result = {}"}))
        assert [status for status, _answer in results] == [401, 200, 401, 401]
        assert errors(json.dumps(results[0][1]))[0]["message"] == "lock.mutex.lockByUserId.error.notAuthorized"
        assert purse.count("a") == 1
        without = sign_in(document(allow("*"), deny("Gs2Distributor:BatchExecuteApi")))
        with without.refuses(Unauthorized, "distributor.distribute.batchExecuteApi.error.notAuthorized"):
            self.send(without, get)

    def test_resources_i10(self, sign_in, make_namespace, purse):
        """I-10: a right for one thing is one for that thing, in a batch too."""
        theirs = sign_in(document(allow("Gs2Distributor:BatchExecuteApi"), allow("Gs2Lock:*", on=[
            purse.sdk.environment.grn("lock", purse.lock) + ":*"])))
        other = make_namespace()
        elsewhere = batched("lock", "lockByUserId", {
            "namespaceName": other, "userId": "u", "propertyId": "a", "transactionId": "t"})
        assert [status for status, _answer in self.send(theirs, self.lock(purse, "a"), elsewhere)] == [200, 401]

    def test_not_in_a_batch_dt50(self, sdk, purse):
        """DT-50: a batch is no call of a batch."""
        inner = {"requestPayloads": [{"service": "lock", "methodName": "lockByUserId", "parameter": json.dumps({
            "namespaceName": purse.lock, "userId": purse.user, "propertyId": "a", "transactionId": "t"})}]}
        (status, answer), = self.send(sdk, batched("distributor", "batchExecuteApi", inner))
        assert status == 400 and errors(json.dumps(answer)) and purse.count("a") == 0

    def test_limits_dt50(self, sdk):
        """DT-50: a hundred calls with 10,240 characters each."""
        version = batched("lock", "getServiceVersion", {})
        assert len(self.send(sdk, *[version] * 100)) == 100
        assert self.send(sdk) == []
        with sdk.refuses(BadRequest, "distributor.distribute.requestPayloads.error.tooMany"):
            self.send(sdk, *[version] * 101)
        longest = '{"note":"%s"}' % ("あ" * (10_240 - 11))
        assert self.send(sdk, batched("lock", "getServiceVersion", longest))[0][0] == 200
        with sdk.refuses(BadRequest, "distributor.batchRequestPayload.parameter.error.tooLong"):
            self.send(sdk, batched("lock", "getServiceVersion", longest + " "))

    def test_wrong_payloads_e10_e14(self, sdk):
        with sdk.refuses(
            BadRequest, "distributor.batchRequestPayload.service.error.require",
            "distributor.batchRequestPayload.methodName.error.require",
            "distributor.batchRequestPayload.parameter.error.require",
            "distributor.batchRequestPayload.service.error.tooLong",
            "distributor.batchRequestPayload.methodName.error.tooLong",
        ):
            self.send(sdk, BatchRequestPayload(), batched("s" * 129, "m" * 129, {}))

    def test_master_data_and_writes_of_administrators_dt50(self, sdk, discard_namespace):
        """DT-50: any operation, also one that makes a namespace."""
        results = self.send(sdk, batched("lock", "createNamespace", {"name": discard_namespace}),
                            batched("lock", "getNamespace", {"namespaceName": discard_namespace}))
        assert [answer["item"]["name"] for _status, answer in results] == [discard_namespace] * 2

    def test_dry_run_t14(self, dry, purse):
        call = self.lock(purse, "a").to_dict()
        result, = dry(BATCH, {"requestPayloads": [call]}).ok()["results"]
        assert result["statusCode"] == 200 and purse.count("a") == 0

    def test_of_scripts_sc22(self, sdk, purse):
        """SC-22: a script's batch has the rights of the script."""
        source = "result = gs2('distributor').batch_execute_api({requestPayloads = {{requestId = 'r', " \
                 "service = 'lock', methodName = 'lockByUserId', parameter = args.parameter}}}).result.results[1]"
        ran = sdk.script.debug_invoke(script=source, args=json.dumps({"parameter": self.lock(purse, "a").parameter}))
        result = json.loads(ran.result)
        assert (result["requestId"], result["statusCode"], purse.count("a")) == ("r", 200, 1)


class TestExpression:
    """DT-51: actions made of actions."""

    @pytest.fixture
    def express(self, sdk, market, purse):
        return Expressions(sdk, market.distributor, purse)

    def test_and_dt51(self, express, purse):
        express.all()
        for missing in ("a", "b", "c"):
            with express.sdk.refuses(NotFound, NO_MUTEX):
                express.all(purse.has("a"), purse.has("b"), purse.has("c"))
            purse.put(missing)
        express.all(purse.has("a"), purse.has("b"), purse.has("c"))

    def test_or_dt51(self, express, purse):
        """DT-51: one is enough; none of none is not."""
        with express.sdk.refuses(BadRequest, "distributor.expression.actions.error.require"):
            express.any()
        with express.sdk.refuses(NotFound, NO_MUTEX):
            express.any(purse.has("a"), purse.has("b"), purse.has("c"))
        for have in ("c", "b", "a"):
            purse.put(have)
            express.any(purse.has("a"), purse.has("b"), purse.has("c"))
            purse.drop(have)

    def test_if_dt51_dt37(self, express, purse, environment):
        """DT-51, DT-37: what held, and what was done."""
        purse.put("coin", 3)
        chosen = {"true_actions": [purse.loses("coin"), purse.loses("coin")], "false_actions": [purse.gains("debt")]}
        ran = express.choose(purse.has("ticket"), **chosen)
        assert (ran.expression_result, purse.counts("coin", "debt")) == (False, [3, 1])
        assert [made.status_code for made in ran.item.verify_results + ran.item.consume_results] == [404, 200]
        purse.put("ticket")
        ran = express.choose(purse.has("ticket"), **chosen)
        assert (ran.expression_result, purse.counts("coin", "debt")) == (True, [1, 1])
        item = ran.item
        assert [made.status_code for made in item.verify_results + item.consume_results] == [200] * 3
        assert json.loads(item.consume_results[1].consume_result)["item"]["referenceCount"] == 1
        assert (item.user_id, item.has_error, item.acquire_results) == (purse.user, False, [])
        assert item.transaction_result_id == environment.grn(
            "distributor", express.namespace, "user", purse.user, "transaction", "result", item.transaction_id)

    def test_if_without_actions_dt51(self, express, purse):
        assert express.choose(purse.has("ticket")).expression_result is False
        purse.put("ticket")
        assert express.choose(purse.has("ticket"), true_actions=[]).expression_result is True

    def test_if_that_fails_dt51(self, express, purse):
        """DT-51: nothing has changed when one of the chosen actions fails."""
        purse.put("ticket")
        purse.put("coin")
        with express.sdk.refuses(NotFound, NO_MUTEX):
            express.choose(purse.has("ticket"), true_actions=[
                purse.loses("coin"), purse.gains("sword"), purse.loses("debt")])
        assert purse.counts("coin", "sword") == [1, 0]

    def test_what_cannot_be_asked_dt51(self, express, purse):
        """DT-51: a condition that makes no sense neither holds nor does not."""
        purse.put("ticket")
        for wrong, message in ((action("Gs2Nothing:GetByUserId"), WRONG_ACTION), (purse.gains("sword"), WRONG_ACTION),
                               (action("Gs2Lock:GetMutexByUserId", "no JSON"), WRONG_REQUEST)):
            with express.sdk.refuses(BadRequest, message):
                express.choose(wrong, false_actions=[purse.gains("debt")])
            with express.sdk.refuses(BadRequest, message):
                express.any(wrong, purse.has("ticket"))
            with express.sdk.refuses(BadRequest, message):
                express.all(purse.has("ticket"), wrong)
        assert purse.counts("sword", "debt") == [0, 0]

    def test_nested_dt51(self, express, purse):
        """DT-51: expressions inside expressions: (a or b) and (c or (a and d))."""
        either = express.action("Or", purse.has("a"), purse.has("b"))
        deep = express.action("Or", purse.has("c"), express.action("And", purse.has("a"), purse.has("d")))
        for have, holds in ((["a"], False), (["b"], False), (["b", "c"], True), (["a", "d"], True), (["b", "d"], False)):
            player = purse.of()
            for what in have:
                player.put(what)
            theirs = Expressions(express.sdk, express.namespace, player)
            if holds:
                theirs.all(either, deep)
            else:
                with express.sdk.refuses(NotFound, NO_MUTEX):
                    theirs.all(either, deep)
            ran = theirs.choose(express.action("And", either, deep), true_actions=[player.gains("yes")],
                                false_actions=[player.gains("no")])
            assert (ran.expression_result, player.counts("yes", "no")) == (holds, [1, 0] if holds else [0, 1])

    def test_deep_dt51(self, express, purse):
        """DT-51: as deep as its text fits."""
        purse.put("a")
        made = purse.has("a")
        for number in range(9):
            made = express.action(("And", "Or")[number % 2], made)
        express.all(made)
        purse.drop("a")
        with express.sdk.refuses(NotFound, NO_MUTEX):
            express.all(made)

    def test_choices_inside_choices_dt51(self, express, purse):
        """DT-51: as an action of a choice; what fails inside takes back what was done outside."""
        purse.put("coin")
        inner = action("Gs2Distributor:IfExpressionByUserId", namespaceName=express.namespace, userId="#{userId}",
                       condition=purse.has("gem"), trueActions=[purse.gains("sword")], falseActions=[purse.loses("debt")])
        with express.sdk.refuses(NotFound, NO_MUTEX):
            express.choose(purse.has("coin"), true_actions=[purse.loses("coin"), inner])
        assert purse.count("coin") == 1
        purse.put("gem")
        express.choose(purse.has("coin"), true_actions=[purse.loses("coin"), inner])
        assert purse.counts("coin", "sword") == [0, 1]

    @pytest.mark.parametrize("kind", ["verify", "consume"])
    def test_in_transactions_dt51(self, express, shop, kind):
        """DT-51: as verify and as consume actions, in every mode."""
        purse = shop.purse()
        either = express.action("Or", purse.has("a"), purse.has("b"))
        for have in (None, "b"):
            if have:
                purse.put(have)
            answer = shop.make(purse, **{kind: [either]}, acquire=[purse.gains("sword")])
            codes = shop.outcome(purse, answer)
            ran = codes[0] if kind == "verify" else codes[1]
            assert (ran, codes[2]) == (([200], [200]) if have else ([404], []))
        assert purse.count("sword") == 1

    def test_player_dt03(self, express, purse, market):
        """DT-03: whoever is not named is the player of the expression, also deep inside."""
        for fields in ({}, {"userId": "#{userId}"}):
            made = action("Gs2Lock:GetMutexByUserId", namespaceName=market.lock, propertyId="a", **fields)
            purse.put("a")
            express.all(made)
            express.any(made)
            express.all(express.action("And", made))
            assert express.choose(made).expression_result is True
            purse.drop("a")

    def test_at_most_ten_dt51(self, express, purse):
        purse.put("a", 20)
        ten, eleven = [purse.has("a")] * 10, [purse.has("a")] * 11
        express.all(*ten)
        express.any(*ten)
        express.choose(purse.has("a"), true_actions=[purse.loses("a")] * 10)
        for call, member in (
            (lambda: express.all(*eleven), "actions"), (lambda: express.any(*eleven), "actions"),
            (lambda: express.choose(purse.has("a"), true_actions=[purse.loses("a")] * 11), "trueActions"),
            (lambda: express.choose(purse.has("a"), false_actions=eleven), "falseActions"),
        ):
            with express.sdk.refuses(BadRequest, f"distributor.expression.{member}.error.tooMany"):
                call()
        assert purse.count("a") == 10

    def test_repeated_x02(self, express, purse):
        purse.put("coin", 5)
        call = {"true_actions": [purse.loses("coin")], "duplication_avoider": "x"}
        first = express.choose(purse.has("coin"), **call)
        assert express.choose(purse.has("coin"), **call).to_dict() == first.to_dict()
        assert purse.count("coin") == 4

    def test_missing_namespace_e08(self, sdk, purse):
        absent = Expressions(sdk, unique("absent"), purse)
        for call in (absent.all, absent.any, lambda: absent.choose(purse.has("a"))):
            with sdk.refuses(NotFound, NO_NAMESPACE):
                call()

    def test_assumed_user_dt52(self, sdk, purse, make_distributor, make_user, make_policy, environment):
        """DT-52: a condition that may not be asked is no condition that does not hold."""
        policy = make_policy(document(allow("Gs2Lock:LockByUserId"))).security_policy_id
        where = make_distributor(
            assume_user_id=environment.grn("identifier", "user", make_user(policies=[policy])))
        express = Expressions(sdk, where, purse)
        for call in (lambda: express.all(purse.has("a")), lambda: express.any(purse.has("a")),
                     lambda: express.choose(purse.has("a"), false_actions=[purse.gains("b")])):
            with sdk.refuses(Unauthorized, "lock.mutex.getMutexByUserId.error.notAuthorized"):
                call()
        assert purse.count("b") == 0

    def test_dry_run_t14(self, dry, express, purse):
        purse.put("coin")
        answer = dry(IF, {"namespaceName": express.namespace, "userId": purse.user, "condition": purse.has("coin"),
                          "trueActions": [purse.loses("coin")]}).ok()
        assert answer["expressionResult"] is True and purse.count("coin") == 1


class Expressions:
    """The expressions of one player."""

    def __init__(self, sdk, namespace, purse):
        self.sdk, self.namespace = sdk, namespace
        self.where = {"namespace_name": namespace, "user_id": purse.user}

    def action(self, kind, *actions):
        """An expression as an action."""
        return action(f"Gs2Distributor:{kind}ExpressionByUserId", namespaceName=self.namespace, userId="#{userId}",
                      actions=list(actions))

    def all(self, *actions):
        return self.sdk.distributor.and_expression_by_user_id(
            actions=[verify_action(made) for made in actions], **self.where)

    def any(self, *actions):
        return self.sdk.distributor.or_expression_by_user_id(
            actions=[verify_action(made) for made in actions], **self.where)

    def choose(self, condition, true_actions=None, false_actions=None, **fields):
        for name, actions in (("true_actions", true_actions), ("false_actions", false_actions)):
            if actions is not None:
                fields[name] = [consume_action(made) for made in actions]
        return self.sdk.distributor.if_expression_by_user_id(condition=verify_action(condition), **self.where, **fields)
