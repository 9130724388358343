"""Distributor: what signs sheets and tasks, and what is not signed. BEHAVIOUR DT-11 to DT-16, DT-21, K-01, K-04."""

import json
from contextlib import closing
from dataclasses import replace

import pytest

from harness.environment import unique
from harness.jobs import Scripts, errors
from harness.sdk import BadRequest, Sdk
from harness.server import Server
from harness.transactions import (
    NOT_PROVEN, WRONG_ACTION, WRONG_SHEET, WRONG_TASK, WRONG_VERIFY_TASK, Sheet, Shop, changed, fund, read)

NO_SIGNED_TEXTS = ("text", "5", "null", "[]", "{}", '{"body":"{}"}', '{"signature":"ab"}', '{"body":{},"signature":"ab"}',
                   '{"body":5,"signature":"ab"}', '{"body":"{}","signature":""}', '{"body":"{}","signature":"zz"}')


class TestForged:
    """DT-15: what the server did not sign, or did not sign like that, is refused and does nothing."""

    @pytest.fixture
    def kept(self, trade, purse):
        fund(purse, 3)
        purse.put("gem", 3)
        trade.verify()
        trade.task()
        before = purse.counts("coin", "gem", "sword")
        yield trade
        assert purse.counts("coin", "gem", "sword") == before

    def test_sheets_dt15(self, kept, purse):
        """DT-15: no member of a sheet can be changed: the player, the gain, the tasks, the time."""
        other = purse.of()
        args = json.dumps({**json.loads(kept.body["args"]), "userId": other.user})
        cheaper = changed(kept.tasks[0], args="{}")
        for members in ({"userId": other.user}, {"args": args}, {"action": "Gs2Lock:UnlockByUserId"}, {"tasks": []},
                        {"verifyTasks": [], "tasks": []}, {"tasks": [cheaper]}, {"ownerId": "somebody"},
                        {"transactionId": "0" * 36}, {"timestamp": kept.body["timestamp"] + 1}, {"more": 1}):
            for call in (kept.run, kept.express):
                with kept.sdk.refuses(BadRequest, WRONG_SHEET):
                    call(changed(kept.text, **members))
        assert other.count("sword") == 0

    def test_tasks_dt15(self, kept):
        for members in ({"args": "{}"}, {"action": "Gs2Lock:LockByUserId"}, {"taskId": "0" * 36},
                        {"timestamp": read(kept.tasks[0])["timestamp"] + 1}):
            with kept.sdk.refuses(BadRequest, WRONG_TASK):
                kept.task(changed(kept.tasks[0], **members))
            with kept.sdk.refuses(BadRequest, WRONG_VERIFY_TASK):
                kept.verify(changed(kept.verify_tasks[0], **members))

    def test_signatures_dt15(self, kept):
        """DT-15: neither none nor a part, nor that of something else."""
        signed = json.loads(kept.text)
        other = json.loads(kept.tasks[0])["signature"]
        for signature in ("", "0", "00", "0" * 64, signed["signature"][:-2], signed["signature"] + "00", "あ", other):
            with kept.sdk.refuses(BadRequest, WRONG_SHEET):
                kept.run(json.dumps({**signed, "signature": signature}))

    def test_no_signed_texts_dt11(self, kept):
        for text in NO_SIGNED_TEXTS:
            for call, message in ((kept.run, WRONG_SHEET), (kept.express, WRONG_SHEET), (kept.task, WRONG_TASK),
                                  (kept.verify, WRONG_VERIFY_TASK)):
                with kept.sdk.refuses(BadRequest, message):
                    call(text)

    def test_one_for_another_dt12_dt13(self, kept):
        """DT-12, DT-13: a task is no sheet, a sheet is no task, and what takes something verifies nothing."""
        for text in (kept.tasks[0], kept.verify_tasks[0]):
            with kept.sdk.refuses(BadRequest, WRONG_SHEET):
                kept.run(text)
        with kept.sdk.refuses(BadRequest, WRONG_TASK):
            kept.task(kept.text)
        with kept.sdk.refuses(BadRequest, WRONG_VERIFY_TASK):
            kept.verify(kept.text)

    def test_a_consume_task_as_a_verify_task_dt01(self, issue, purse):
        """DT-01: it runs as what it is or not at all."""
        purse.put("coin")
        sheet = issue(purse, [], [purse.loses("coin")], [purse.gains("sword")])
        ran = sheet.verify(sheet.tasks[0])
        assert (ran.status_code, errors(ran.result)[0]["message"]) == (400, WRONG_ACTION)
        assert purse.count("coin") == 1
        with sheet.sdk.refuses(BadRequest, NOT_PROVEN):
            sheet.run()


class TestKeys:
    """DT-15, K-01, K-04: the key that signs, and its GRN."""

    def test_wrong_key_dt15(self, trade, purse):
        """DT-15: what one key signed does not count for another one, nor for one that does not exist."""
        fund(purse)
        environment = trade.sdk.environment
        for key_id in (environment.grn("key", "absent", "key", "absent"), "absent", "grn:x", trade.key_id + "0"):
            for call in (trade.verify, trade.task, trade.run, trade.express):
                with trade.sdk.refuses_with(BadRequest):
                    call(key_id=key_id)
        assert purse.counts("coin", "sword") == [1, 0]

    def test_without_a_key_id_dt15(self, trade, purse):
        """DT-15: then it is the server's own."""
        fund(purse)
        trade.key_id = None
        assert trade.walk().status_code == 200

    def test_of_the_key_service_k01_k04(self, sdk, admin, make_keys, make_shop, environment):
        """K-01, DT-34: the setting names a key of the project; K-04: what it signed is nothing once it is deleted."""
        keys = make_keys()
        key_id, other = [
            admin.key.create_key(namespace_name=keys, name=name).item.key_id for name in ("signer", "other")]
        shop = make_shop(key_id=key_id)
        purse = shop.purse()
        purse.put("coin", 3)

        def make():
            return shop.make(purse, consume=[purse.loses("coin")], acquire=[purse.gains("sword")])

        sheet = Sheet(sdk, make(), shop.distributor)
        assert sheet.key_id == key_id and sheet.walk().status_code == 200
        sheet = Sheet(sdk, make(), shop.distributor)
        for wrong in (None, other):
            with sdk.refuses(BadRequest, WRONG_SHEET):
                sheet.run(key_id=wrong)
            with sdk.refuses(BadRequest, WRONG_TASK):
                sheet.task(key_id=wrong)
        assert sheet.task().status_code == 200
        admin.key.delete_key(namespace_name=keys, key_name="signer")
        with sdk.refuses_with(BadRequest):
            sheet.run()
        assert make()["code"] == 400
        assert purse.counts("coin", "sword") == [1, 1]


@pytest.fixture
def server(environment, tmp_path):
    server = Server(environment, tmp_path)
    server.start()
    yield server
    server.kill()


class TestServers:
    @pytest.fixture
    def sold(self, server):
        """A player and the sheet of a trade on a server of its own."""
        with closing(Sdk.login(server.environment, "rest")) as sdk:
            sdk.lock.create_namespace(name="purses")
            sdk.script.create_namespace(name="shop")
            shop = Shop(Scripts(sdk, "shop"), "purses", None, None)
            purse = shop.purse()
            fund(purse, 3)
            answer = shop.make(purse, [purse.has("ticket")], [purse.loses("coin")], [purse.gains("sword")])
            yield purse, Sheet(sdk, answer)

    def test_restart_dt21(self, server, sold):
        """DT-21: what was done is done after a restart, and what was signed is still signed."""
        purse, sheet = sold
        sheet.verify()
        sheet.task()
        server.kill()
        server.start()
        assert sheet.run().status_code == 200
        assert sheet.by().walk().status_code == 200
        assert purse.counts("coin", "sword") == [2, 1]

    def test_another_owner_dt12(self, server, sold):
        """DT-12: one owner's sheets are not another one's, also where the keys are the same."""
        _purse, sheet = sold
        server.stop()
        server.environment = replace(
            server.environment, owner_id=unique("owner"), client_id=unique("client"), client_secret=unique("secret"))
        server.start()
        with closing(Sdk.login(server.environment, "rest")) as other:
            for call in (sheet.by(other).run, sheet.by(other).express):
                with other.refuses(BadRequest, WRONG_SHEET):
                    call()

    def test_another_server_dt15(self, server, trade, purse):
        """DT-15: each installation has a key of its own."""
        fund(purse)
        with closing(Sdk.login(server.environment, "rest")) as other:
            foreign = trade.by(other)
            for call, message in ((foreign.run, WRONG_SHEET), (foreign.express, WRONG_SHEET),
                                  (foreign.task, WRONG_TASK), (foreign.verify, WRONG_VERIFY_TASK)):
                with other.refuses(BadRequest, message):
                    call()
        assert trade.walk().status_code == 200 and purse.counts("coin", "sword") == [0, 1]
