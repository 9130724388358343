"""Distributor: a player's context stack with values of placeholders and frozen master data, and what is kept of a player.
BEHAVIOUR DT-03, DT-16, T-07, U-07."""

import json
import time

import pytest
from gs2.distributor import Config, DistributeResource

from harness import operations
from harness.chat import Member, hook
from harness.environment import unique
from harness.jobs import ECHO, Queue
from harness.sdk import BadRequest, NotFound
from harness.transactions import (
    ATOMIC, NO_NAMESPACE, NOT_PROVEN, Sheet, action, changed, config, consume_action, fund, invoke, statuses,
    verify_action)

WRONG_STACKS = ("", "null", "garbage", "{}", '{"body":"{}","signature":""}')
REJECTED = "chat.message.category.error.invalid"
WRONG_TIME = "distributor.distribute.timestamp.error.invalid"
WRONG_SIGNATURE = "distributor.distribute.signature.error.invalid"


class Desk:
    """Sets what goes with a player's calls, as the player (`me`) or by user id."""

    def __init__(self, sdk, user, who="by_user_id"):
        self.sdk, self.suffix = sdk, "" if who == "me" else "_by_user_id"
        self.identity = {"access_token": sdk.auth.login(user_id=user).token} if who == "me" else {"user_id": user}

    def set(self, values=None, stack=None, **named):
        """The context stack with these values."""
        values = config(**named) if values is None else values
        operation = getattr(self.sdk.distributor, "set_transaction_default_config" + self.suffix)
        return operation(config=values, context_stack=stack, **self.identity).new_context_stack

    def freeze(self, namespace, stack=None):
        operation = getattr(self.sdk.distributor, "freeze_master_data" + self.suffix)
        return operation(namespace_name=namespace, context_stack=stack, **self.identity).new_context_stack


@pytest.fixture(params=["me", "by_user_id"])
def desk(request, sdk, purse):
    return Desk(sdk, purse.user, request.param)


@pytest.fixture
def market(make_shop):
    return make_shop(**ATOMIC)


@pytest.fixture
def purse(market):
    return market.purse()


def called(answer, role="acquire"):
    """The requests of an atomic transaction's actions as they were called."""
    return [json.loads(ran[f"{role}Request"]) for ran in answer["transactionResult"][f"{role}Results"]]


class TestValues:
    """DT-03: placeholders and their values."""

    def named(self, market, desk, purse, request, stack=None, **values):
        """The request of an action with these values, without the acting player, for whom it is."""
        stack = desk.set(**values) if stack is None else stack
        text = request if isinstance(request, str) else json.dumps(request, ensure_ascii=False)
        made = action("Gs2Lock:LockByUserId", text)
        answer = market.make(purse, acquire=[made], context_stack=stack)
        assert answer["code"] == 200
        request = called(answer)[0]
        assert request.pop("userId") == purse.user
        return request

    def test_replaced_dt03(self, market, desk, purse):
        request = {"propertyId": "#{what}-#{number}-#{what}", "x": "#{userId}", "n": [{"a": "#{number}"}]}
        assert self.named(market, desk, purse, request, what="sword", number="7") == {
            "propertyId": "sword-7-sword", "x": purse.user, "n": [{"a": "7"}]}

    def test_unknown_ones_stay_dt03(self, market, desk, purse):
        request = {"a": "#{nothing}", "b": "#{", "c": "#", "d": "#{}", "e": "{what}", "f": "$#{what}}", "g": "#{ what }"}
        assert self.named(market, desk, purse, request, what="x") == {**request, "f": "$x}"}

    def test_without_a_stack_dt03(self, market, purse):
        answer = market.make(purse, acquire=[purse.gains("#{what}")])
        assert called(answer)[0]["propertyId"] == "#{what}"

    @pytest.mark.parametrize("value", [
        'a"b', "a\\b", '\\"', '","userId":"somebody', "\n\t\u0001", "あ𠮷", "", "#{what", "}", "\\u0022", "{}"])
    def test_a_value_is_a_text_dt03(self, market, desk, purse, value):
        """DT-03: whatever it is, it is never more than the value."""
        assert self.named(market, desk, purse, {"propertyId": "<#{what}>"}, what=value) == {"propertyId": f"<{value}>"}

    @pytest.mark.parametrize("value, seen", [
        ("5", 5), ("-1.5", -1.5), ("true", True), ("false", False)])
    def test_numbers_dt03_dt04(self, market, desk, purse, value, seen):
        """DT-03, DT-04: without quotes a number or a truth value takes the place."""
        assert self.named(market, desk, purse, '{"n":#{what}}', what=value) == {"n": seen}

    @pytest.mark.parametrize("value", ['1,"userId":"somebody"', '"text"', "null", "{}", "[1]", "", "1 2", "x", "1}"])
    def test_nothing_else_breaks_out_dt03(self, market, desk, purse, value):
        """DT-03: no value adds members to a request; what takes no place makes the request none."""
        stack = desk.set(what=value)
        answer = market.make(purse, acquire=[action("Gs2Lock:LockByUserId", '{"n":#{what}}')], context_stack=stack)
        assert answer["code"] == 400 or statuses(answer["transactionResult"]) == ([], [], [400])

    @pytest.mark.parametrize("value, seen", [
        ("5", {"n": 5}), ("true", {"n": True}), ('1,"admin":true', None), ('"text"', None), ("x", None), ("", None)])
    def test_numbers_in_nested_json_dt03(self, market, sdk, purse, value, seen):
        """DT-03: also there only a number or a truth value takes a place without quotes."""
        stack = Desk(sdk, purse.user).set(what=value)
        given = action("Gs2Script:InvokeScript", scriptId=market.scripts.store(ECHO), userId="#{userId}",
                       args='{"n":#{what}}')
        answer = market.make(purse, acquire=[given], context_stack=stack)
        if seen is None:
            assert answer["code"] == 400 or statuses(answer["transactionResult"]) == ([], [], [400])
        else:
            invoked = json.loads(answer["transactionResult"]["acquireResults"][0]["acquireResult"])
            assert json.loads(invoked["result"]) == seen

    def test_names_of_members_dt03(self, market, desk, purse):
        """DT-03: a value is a value; nobody names members with it."""
        request = {"#{what}": "x"}
        assert self.named(market, desk, purse, request, what="ttl") == request

    @pytest.mark.parametrize("value", ['x","admin":true,"y":"', 'a"b', "a\\", "\\\"", "あ\n", "plain"])
    def test_nested_json_dt03(self, shop, sdk, value):
        """DT-03: a request may hold a text that is JSON itself, such as a script's arguments."""
        purse = shop.purse()
        source = """
            local seen = gs2('job_queue').push_by_user_id({namespaceName = '%s', userId = '%s', jobs = {
                {scriptId = 'grn:seen', args = util.table_to_json(args).result}}})
            if seen.isError then fail(seen.statusCode, seen.errorMessage) end
        """ % (shop.queue, purse.user)
        stack = Desk(sdk, purse.user).set(what=value)
        given = invoke(shop.scripts.store(source), {"what": "#{what}", "more": {"n": ["<#{what}>"]}}, userId="#{userId}")
        answer = shop.make(purse, acquire=[given], context_stack=stack)
        assert shop.outcome(purse, answer) == ([], [], [200])
        queue = Queue(shop.sdk, shop.queue, user=purse.user)
        seen, = [json.loads(queue.get(name).args) for name in queue.names()]
        assert seen == {"what": value, "more": {"n": [f"<{value}>"]}}

    @pytest.mark.parametrize("depth", [0, 1, 2])
    def test_user_ids_dt03(self, market, sdk, depth):
        """DT-03: a player's name is a value like any other, also inside: nobody acts for somebody else."""
        victim = unique("user")
        purse = market.purse(victim + '","x":"')
        made = purse.gains("sword")
        for _level in range(depth):
            made = action("Gs2Distributor:IfExpressionByUserId", namespaceName=market.distributor, userId="#{userId}",
                          condition=purse.has("ticket"), falseActions=[made])
        ran = sdk.distributor.if_expression_by_user_id(
            namespace_name=market.distributor, user_id=purse.user, condition=verify_action(purse.has("ticket")),
            false_actions=[consume_action(made)])
        result = json.loads(ran.item.consume_results[0].consume_result)
        for _level in range(depth):
            result = json.loads(result["item"]["consumeResults"][0]["consumeResult"])
        assert result["item"]["userId"] == purse.user
        assert market.purse(victim).count("sword") == 0

    def test_once_dt03(self, shop, sdk):
        """DT-03: a value that looks like a placeholder is a value, in every mode."""
        purse = shop.purse()
        stack = Desk(sdk, purse.user).set(a="#{b}", b="#{userId}", c="last")
        wanted = f"<#{{b}}-#{{userId}}-last-{purse.user}>"
        fields = {"namespaceName": purse.lock, "transactionId": "t", "userId": "#{userId}"}
        answer = shop.make(purse, acquire=[
            action("Gs2Lock:LockByUserId", propertyId="<#{a}-#{b}-#{c}-#{userId}>", **fields)], context_stack=stack)
        assert shop.outcome(purse, answer) == ([], [], [200])
        sdk.call(operations.operation("lock", "describeMutexesByUserId"), {
            "namespaceName": purse.lock, "userId": purse.user})
        assert [item["propertyId"] for item in sdk.answer["items"]] == [wanted]

    def test_later_calls_add_dt03(self, market, desk, purse):
        """DT-03: a call that carries a stack keeps its values; those of the same name are replaced."""
        stack = desk.set(a="1", b="2")
        stack = desk.set(stack=stack, b="3", c="4")
        request = {"propertyId": "#{a}#{b}#{c}"}
        assert self.named(market, desk, purse, request, stack) == {"propertyId": "134"}
        assert self.named(market, desk, purse, request, desk.set(stack=stack, values=[])) == {"propertyId": "134"}

    def test_of_the_player_only_dt03(self, market, desk, purse):
        """DT-03: one player's values are not another one's."""
        stack, other = desk.set(what="mine"), purse.of()
        answer = market.make(other, acquire=[other.gains("#{what}")], context_stack=stack)
        assert called(answer)[0]["propertyId"] == "#{what}"
        theirs = Desk(desk.sdk, other.user).set(stack=stack, mine="x")
        answer = market.make(other, acquire=[other.gains("#{what}-#{mine}")], context_stack=theirs)
        assert called(answer)[0]["propertyId"] == "#{what}-x"

    def test_user_id_is_no_name_dt03(self, market, desk, purse):
        """DT-03: `#{userId}` is the acting player, whatever value has that name."""
        assert self.named(market, desk, purse, {"a": "#{userId}"}, userId="somebody")["a"] == purse.user

    @pytest.mark.parametrize("stack", WRONG_STACKS)
    def test_wrong_stacks_t07(self, market, desk, purse, stack):
        """T-07: what is no stack of this server says nothing."""
        assert self.named(market, desk, purse, {"a": "#{what}"}, stack) == {"a": "#{what}"}
        fresh = desk.set(stack=stack, what="x")
        assert self.named(market, desk, purse, {"a": "#{what}"}, fresh) == {"a": "x"}

    def test_forged_stack_dt16(self, market, desk, purse):
        stack = desk.set(what="x")
        for forged in (changed(stack, config={"what": "y"}), changed(stack, userId="somebody"), stack[:-3] + '00"}'):
            assert self.named(market, desk, purse, {"a": "#{what}"}, forged) == {"a": "#{what}"}
        other = purse.of()
        answer = market.make(other, acquire=[other.gains("#{what}")], context_stack=changed(stack, userId=other.user))
        assert called(answer)[0]["propertyId"] == "#{what}"

    def test_limits_dt03(self, desk):
        """DT-03: names of 64, values of 51,200 characters, a thousand of them."""
        longest = Config().with_key("あ" * 64).with_value("𠮷" * 51_200)
        assert desk.set([longest])
        assert desk.set([Config().with_key(str(number)).with_value("v") for number in range(1000)])
        with desk.sdk.refuses(BadRequest, "distributor.config.key.error.tooLong"):
            desk.set([Config().with_key("k" * 65).with_value("v")])
        with desk.sdk.refuses(BadRequest, "distributor.config.value.error.tooLong"):
            desk.set([Config().with_key("k").with_value("v" * 51_201)])
        with desk.sdk.refuses(BadRequest, "distributor.distribute.config.error.tooMany"):
            desk.set([Config().with_key(str(number)).with_value("v") for number in range(1001)])

    def test_too_much_together_dt03(self, desk):
        """DT-03: a stack travels with every call, so that it does not grow for ever."""

        def values(prefix):
            return [Config().with_key(f"{prefix}{number}").with_value("v" * 51_200) for number in range(12)]

        stack = desk.set(values("a"))
        assert desk.set(values("a"), stack)
        with desk.sdk.refuses(BadRequest, "distributor.distribute.config.error.tooLong"):
            desk.set(values("b"), stack)

    def test_calls_that_replace_dt03(self, sdk, market, purse, make_distributor):
        """DT-03: also gifts, expressions and transactions of a backend."""
        stack = Desk(sdk, purse.user).set(what="sword")
        gain = purse.gains("#{what}")
        sdk.distributor.distribute_without_overflow_process(
            user_id=purse.user, distribute_resource=DistributeResource.from_dict(gain), context_stack=stack)
        sdk.distributor.and_expression_by_user_id(
            namespace_name=market.distributor, user_id=purse.user, actions=[verify_action(purse.has("#{what}"))],
            context_stack=stack)
        sdk.distributor.run_transaction(
            owner_id=sdk.environment.owner_id, namespace_name=market.distributor, user_id=purse.user, context_stack=stack,
            transaction=json.dumps({"transactionId": "0" * 36, "acquireActions": [gain]}))
        assert purse.count("sword") == 2

    def test_modes_dt03(self, shop, sdk):
        """DT-03: what is called later is what the call said, whoever runs it."""
        purse = shop.purse()
        stack = Desk(sdk, purse.user).set(what="sword", price="coin", need="ticket")
        fund(purse)
        answer = shop.make(purse, [purse.has("#{need}")], [purse.loses("#{price}")], [purse.gains("#{what}")],
                           context_stack=stack)
        assert shop.outcome(purse, answer) == ([200], [200], [200])
        assert purse.counts("coin", "sword") == [0, 1]

    def test_stack_of_a_sheet_dt16(self, sdk, make_shop):
        """DT-16: a stack with values takes the proofs of tasks on, and keeps both."""
        shop = make_shop()
        purse = shop.purse()
        fund(purse, 2)
        stack = Desk(sdk, purse.user).set(what="sword")
        answer = shop.make(
            purse, [purse.has("ticket")], [purse.loses("coin")], [purse.gains("#{what}")], context_stack=stack)
        sheet = Sheet(sdk, answer, shop.distributor, stack)
        sheet.verify()
        sheet.task()
        assert sheet.run().status_code == 200 and purse.counts("coin", "sword") == [1, 1]
        other = shop.make(purse, acquire=[purse.gains("#{what}")], context_stack=sheet.stack)
        assert Sheet(sdk, other).run().status_code == 200 and purse.count("sword") == 2
        with sdk.refuses(BadRequest, NOT_PROVEN):
            sheet.run(context_stack=stack)

    def test_triggers_t12(self, sdk, market, make_chat):
        """T-12, DT-03: a call's stack counts for the transaction of the script before its change."""
        source = """
            transaction.execute({acquire = {transaction.service('lock').acquire.lock_by_user_id({
                namespaceName = '%s', userId = '#{userId}', propertyId = '#{what}', transactionId = 't'})}})
            result = {permit = true}
        """ % market.lock
        member = Member(sdk, make_chat(post_message_script=hook(
            trigger_script_id=market.scripts.store(source))), maker=market.sdk)
        member.room(name="lobby")
        member.post("lobby", context_stack=Desk(sdk, member.user).set(what="sword"))
        assert market.purse(member.user).count("sword") == 1

    def test_scripts_inside_dt03(self, market, sdk, purse):
        """DT-03: what a script of the call has run carries the call's stack."""
        stack = Desk(sdk, purse.user).set(what="sword")
        source = "local ran = gs2('script').invoke_script({scriptId = args.record, userId = args.user, " \
                 "args = util.table_to_json(args.inner).result}) if ran.isError then fail(500, ran.errorMessage) end"
        market.run(market.scripts.store(source), purse, {
            "record": market.record, "user": purse.user,
            "inner": {"acquire": [purse.gains("#{what}")], "verify": [], "consume": []}}, context_stack=stack)
        assert market.sdk.answer["code"] == 200 and purse.count("sword") == 1


class TestFreeze:
    """Master data as it was."""

    @pytest.fixture
    def hall(self, sdk, make_chat, make_distributor):
        return Hall(sdk, make_chat(), make_distributor())

    @pytest.fixture(params=["me", "by_user_id"])
    def player(self, request, sdk):
        user = unique("user")
        return Desk(sdk, user, request.param), user

    def test_as_it_is_now(self, hall, player):
        """Calls with the stack see what was in force then, calls without see what is in force now."""
        desk, user = player
        hall.reject(1)
        stack = desk.freeze(hall.distributor)
        hall.reject(2)
        assert hall.rejected(user) == [2] and hall.rejected(user, stack) == [1]
        hall.reject()
        assert hall.rejected(user) == [] and hall.rejected(user, stack) == [1]

    def test_before_the_first_document(self, hall, player):
        desk, user = player
        stack = desk.freeze(hall.distributor)
        hall.reject(1)
        assert hall.rejected(user) == [1] and hall.rejected(user, stack) == []

    def test_of_the_player_only(self, hall, player):
        desk, user = player
        hall.reject(1)
        stack = desk.freeze(hall.distributor)
        hall.reject(2)
        assert hall.rejected(unique("other"), stack) == [2]
        forged = changed(stack, frozenAt=0)
        assert hall.rejected(user, forged) == [2]

    def test_with_values(self, hall, player, market):
        """Both go in one stack; a later freezing replaces an earlier one."""
        desk, user = player
        hall.reject(1)
        stack = desk.set(stack=desk.freeze(hall.distributor, desk.set(what="sword")), more="x")
        hall.reject(2)
        assert hall.rejected(user, stack) == [1]
        purse = market.purse(user)
        answer = market.make(purse, acquire=[purse.gains("#{what}-#{more}")], context_stack=stack)
        assert called(answer)[0]["propertyId"] == "sword-x"
        again = desk.freeze(hall.distributor, stack)
        hall.reject(3)
        assert hall.rejected(user, again) == [2]

    def test_gifts(self, sdk, hall, player):
        """A gift is a call for the player who gets it."""
        desk, user = player
        hall.models("gifts")
        stack = desk.freeze(hall.distributor)
        hall.models("others")
        gift = DistributeResource.from_dict(action("Gs2Distributor:SetTransactionDefaultConfigByUserId", userId=user))
        call = {"namespace_name": hall.distributor, "distributor_name": "gifts", "user_id": user,
                "distribute_resource": gift}
        with sdk.refuses(NotFound, "distributor.distributorModel.distributorModel.error.notFound"):
            sdk.distributor.distribute(**call)
        assert sdk.distributor.distribute(context_stack=stack, **call).result

    def test_at_a_moment(self, hall, sdk):
        """A moment of the last day, also signed."""
        user = unique("user")
        token = sdk.auth.login(user_id=user).token
        call = {"namespace_name": hall.distributor, "access_token": token}
        hall.reject(1)
        moment = hall.moment()
        hall.reject(2)
        raw = sdk.distributor.freeze_master_data_by_timestamp(timestamp=moment, **call).new_context_stack
        signed = sdk.distributor.sign_freeze_master_data_timestamp(namespace_name=hall.distributor, timestamp=moment)
        by_signature = sdk.distributor.freeze_master_data_by_signed_timestamp(
            body=signed.body, signature=signed.signature, **call).new_context_stack
        assert hall.rejected(user) == [2]
        assert hall.rejected(user, raw) == hall.rejected(user, by_signature) == [1]

    def test_wrong_moments(self, sdk, hall):
        """The future is not known, and the past is kept for a day."""
        token = sdk.auth.login(user_id="user-1").token
        now = int(time.time() * 1000)
        for moment in (now + 60_000, 32_503_680_000_000, now - 86_400_000 - 60_000, 0):
            with sdk.refuses(BadRequest, WRONG_TIME):
                sdk.distributor.freeze_master_data_by_timestamp(
                    namespace_name=hall.distributor, access_token=token, timestamp=moment)
            signed = sdk.distributor.sign_freeze_master_data_timestamp(namespace_name=hall.distributor, timestamp=moment)
            with sdk.refuses(BadRequest, WRONG_TIME):
                sdk.distributor.freeze_master_data_by_signed_timestamp(
                    namespace_name=hall.distributor, access_token=token, body=signed.body, signature=signed.signature)
        for moment in (-1, 32_503_680_000_001):
            with sdk.refuses(BadRequest, WRONG_TIME):
                sdk.distributor.sign_freeze_master_data_timestamp(namespace_name=hall.distributor, timestamp=moment)

    def test_wrong_signatures(self, sdk, hall, make_distributor, make_keys, admin):
        """DT-15: of this namespace, and of the key that is named."""
        token = sdk.auth.login(user_id="user-1").token
        now = int(time.time() * 1000)
        keys = make_keys()
        first, second = [admin.key.create_key(namespace_name=keys, name=name).item.key_id for name in ("a", "b")]

        def freeze(body, signature, namespace=hall.distributor, key_id=None):
            return sdk.distributor.freeze_master_data_by_signed_timestamp(
                namespace_name=namespace, access_token=token, body=body, signature=signature, key_id=key_id)

        def sign(key_id=None):
            return sdk.distributor.sign_freeze_master_data_timestamp(
                namespace_name=hall.distributor, timestamp=now, key_id=key_id)

        own, keyed = sign(), sign(first)
        freeze(own.body, own.signature)
        freeze(keyed.body, keyed.signature, key_id=first)
        elsewhere = make_distributor()
        later = json.dumps({**json.loads(own.body), "timestamp": now - 1})
        for call in (lambda: freeze(later, own.signature), lambda: freeze(own.body, "00"), lambda: freeze(own.body, "x"),
                     lambda: freeze("text", own.signature), lambda: freeze("{}", own.signature),
                     lambda: freeze(own.body, own.signature, elsewhere), lambda: freeze(keyed.body, keyed.signature),
                     lambda: freeze(keyed.body, keyed.signature, key_id=second),
                     lambda: freeze(own.body, own.signature, key_id=first)):
            with sdk.refuses(BadRequest, WRONG_SIGNATURE):
                call()

    def test_a_sheet_is_no_moment(self, sdk, hall, make_shop):
        """DT-15: what was signed for one thing is not signed for another."""
        shop = make_shop(distributor=hall.distributor)
        purse = shop.purse()
        signed = json.loads(shop.make(purse, acquire=[purse.gains("sword")])["stampSheet"])
        token = sdk.auth.login(user_id=purse.user).token
        stack = json.loads(Desk(sdk, purse.user).set(what="x"))
        for one in (signed, stack):
            with sdk.refuses(BadRequest, WRONG_SIGNATURE):
                sdk.distributor.freeze_master_data_by_signed_timestamp(
                    namespace_name=hall.distributor, access_token=token, **one)
        moment = sdk.distributor.sign_freeze_master_data_timestamp(
            namespace_name=hall.distributor, timestamp=int(time.time() * 1000))
        as_text = json.dumps({"body": moment.body, "signature": moment.signature})
        with sdk.refuses_with(BadRequest):
            sdk.distributor.run_stamp_sheet_without_namespace(stamp_sheet=as_text)
        with sdk.refuses_with(BadRequest):
            sdk.distributor.run_stamp_task_without_namespace(stamp_task=as_text)

    def test_missing_namespace_e08(self, sdk, player):
        desk, user = player
        absent, token = unique("absent"), sdk.auth.login(user_id=user).token
        for call in (
            lambda: desk.freeze(absent),
            lambda: sdk.distributor.sign_freeze_master_data_timestamp(namespace_name=absent, timestamp=1),
            lambda: sdk.distributor.freeze_master_data_by_timestamp(
                namespace_name=absent, access_token=token, timestamp=1),
            lambda: sdk.distributor.freeze_master_data_by_signed_timestamp(
                namespace_name=absent, access_token=token, body="{}", signature="00"),
        ):
            with sdk.refuses(NotFound, NO_NAMESPACE):
                call()


class Hall:
    """Master data of a Chat and a Distributor namespace."""

    def __init__(self, sdk, chat, distributor):
        self.sdk, self.chat, self.distributor = sdk, chat, distributor
        self.room = Member(sdk, chat).room()

    def reject(self, *categories):
        """Puts a document into force by which players may not post in these categories."""
        self.moment()
        self.sdk.chat.update_current_model_master(namespace_name=self.chat, settings=json.dumps({
            "version": "2020-04-30", "categoryModels": [
                {"category": category, "rejectAccessTokenPost": "Enabled"} for category in categories]}))

    def rejected(self, user, stack=None):
        """The categories that a player may not post in."""
        member, found = Member(self.sdk, self.chat, "me", user), []
        for category in (1, 2, 3):
            try:
                member.post(self.room, category=category, context_stack=stack)
            except BadRequest as refusal:
                assert [error.message for error in refusal.errors] == [REJECTED]
                found.append(category)
        return found

    def moment(self):
        """A millisecond of the server's time that is over and in which nothing was changed."""
        clock = Member(self.sdk, self.chat)
        while True:
            first = clock.post(self.room).created_at
            if clock.post(self.room).created_at > first + 1:
                return first + 1

    def models(self, *names):
        self.moment()
        self.sdk.distributor.update_current_distributor_master(namespace_name=self.distributor, settings=json.dumps({
            "version": "2019-03-01", "distributorModels": [{"name": name} for name in names]}))


class TestUserData:
    """U-07: what is kept of a player."""

    @pytest.mark.parametrize("who", ["me", "by_user_id"])
    def test_of_a_new_player_u07(self, sdk, who):
        user = unique("user")
        if who == "me":
            page = sdk.distributor.describe_user_data(access_token=sdk.auth.login(user_id=user).token)
        else:
            page = sdk.distributor.describe_user_data_by_user_id(user_id=user)
        assert (page.items, page.next_page_token) == ([], None)
