"""Distributor: the namespaces and their settings, over both transports. BEHAVIOUR N-01 to N-16, DT-34, DT-36, DT-52."""

import json
import re
import uuid

import pytest
from gs2.distributor import (
    LogSetting, MobileNotificationMessage, NotificationSetting, TransactionSetting, TransactionSettingV2)

from harness.environment import unique
from harness.sdk import BadRequest, NotFound
from harness.transactions import ATOMIC, NO_NAMESPACE, NO_TRANSACTION_RESULT, setting

MIXED = "あ𠮷"
NOTIFICATIONS = {
    "auto_run_stamp_sheet_notification": "autoRunStampSheetNotification",
    "auto_run_transaction_notification": "autoRunTransactionNotification",
}
VERSION = "2019-03-01"


class TestNamespace:
    def test_item_dt34_n04_n11(self, sdk, environment, discard_distributor):
        """N-04, N-11, DT-52: no rights are assumed unless it is said."""
        item = sdk.distributor.create_namespace(name=discard_distributor, description=MIXED).item
        assert item.namespace_id == environment.grn("distributor", discard_distributor)
        assert (item.name, item.description, item.revision) == (discard_distributor, MIXED, 1)
        assert not item.assume_user_id and item.log_setting is None
        assert [getattr(item, member) for member in NOTIFICATIONS] == [None, None]
        assert item.created_at == item.updated_at > 0
        assert sdk.distributor.get_namespace(namespace_name=discard_distributor).item.to_dict() == item.to_dict()
        assert sdk.distributor.get_namespace_status(namespace_name=discard_distributor).status == "ACTIVE"
        with sdk.refuses(BadRequest, "distributor.namespace.name.error.exists"):
            sdk.distributor.create_namespace(name=discard_distributor)

    def test_version_n16(self, sdk):
        assert re.match(r"\d{4}-\d{2}-\d{2}", sdk.distributor.get_service_version().item)

    @pytest.mark.parametrize("operation", ["get_namespace", "get_namespace_status", "update_namespace",
                                           "delete_namespace"])
    def test_missing_e07(self, sdk, operation):
        with sdk.refuses(NotFound, NO_NAMESPACE):
            getattr(sdk.distributor, operation)(namespace_name=unique("absent"))

    def test_not_of_another_service_n15(self, sdk, make_distributor, make_gateway):
        name = make_gateway()
        with sdk.refuses(NotFound, NO_NAMESPACE):
            sdk.distributor.get_namespace(namespace_name=name)
        make_distributor(name, description="of Distributor")
        assert not sdk.gateway.get_namespace(namespace_name=name).item.description

    def test_describe_n07_n08_n09(self, sdk, make_distributor):
        prefix = unique("ns")
        made = sorted(make_distributor(prefix + rest) for rest in ("b", "B", "a", "_", "10"))
        make_distributor("x" + prefix)
        first = sdk.distributor.describe_namespaces(name_prefix=prefix, limit=3)
        rest = sdk.distributor.describe_namespaces(name_prefix=prefix, limit=3, page_token=first.next_page_token)
        assert [item.name for item in first.items + rest.items] == made and rest.next_page_token is None

    def test_update_replaces_the_settings_n13(self, sdk, environment, make_distributor):
        """N-13, N-11: what is left out goes back to its default; name and createdAt stay; the revision grows."""
        name = make_distributor(
            description="old", assume_user_id=environment.grn("identifier", "user", "somebody"),
            log_setting=LogSetting().with_logging_namespace_id("grn:old"),
            transaction_setting=TransactionSetting().with_enable_auto_run(True),
            transaction_setting_v2=TransactionSettingV2().with_enable_parallel_execution(True),
            **{member: NotificationSetting().with_sound("s") for member in NOTIFICATIONS})
        old = sdk.distributor.get_namespace(namespace_name=name).item
        assert old.assume_user_id.endswith(":user:somebody") and old.transaction_setting.enable_auto_run is True
        assert [getattr(old, member).sound for member in NOTIFICATIONS] == ["s", "s"]
        new = sdk.distributor.update_namespace(namespace_name=name).item
        assert (new.name, new.created_at, new.revision) == (name, old.created_at, 2)
        assert not new.description and not new.assume_user_id
        assert [getattr(new, member) for member in NOTIFICATIONS] == [None, None]
        assert (new.log_setting, new.transaction_setting, new.transaction_setting_v2) == (None, None, None)
        assert sdk.distributor.get_namespace(namespace_name=name).item.to_dict() == new.to_dict()

    def test_deletion_takes_everything_n14(self, sdk, make_shop, make_distributor):
        """N-14: results, drafts and master data are gone, also from a later namespace of this name."""
        name = make_distributor()
        shop = make_shop(distributor=name, **ATOMIC)
        purse, where = shop.purse(), {"namespace_name": name}
        made = shop.make(purse, acquire=[purse.gains("sword")])["transactionId"]
        results = shop.results(purse, sdk=sdk)
        assert results.transaction(made)
        sdk.distributor.create_distributor_model_master(name="draft", **where)
        sdk.distributor.update_current_distributor_master(settings=json.dumps({
            "version": VERSION, "distributorModels": [{"name": "model"}]}), **where)
        assert sdk.distributor.delete_namespace(**where).item.name == name
        transaction = '{"transactionId":"%s"}' % uuid.uuid4()
        calls = (
            lambda: results.transaction(made), lambda: results.sheet(made),
            lambda: sdk.distributor.describe_distributor_models(**where),
            lambda: sdk.distributor.describe_distributor_model_masters(**where),
            lambda: sdk.distributor.get_current_distributor_master(**where),
            lambda: sdk.distributor.run_transaction(
                owner_id=sdk.environment.owner_id, user_id="u", transaction=transaction, **where))
        for call in calls:
            with sdk.refuses(NotFound, NO_NAMESPACE):
                call()
        make_distributor(name)
        assert sdk.distributor.describe_distributor_models(**where).items == []
        assert sdk.distributor.describe_distributor_model_masters(**where).items == []
        with sdk.refuses(NotFound, NO_TRANSACTION_RESULT):
            results.transaction(made)
        with sdk.refuses(NotFound, "distributor.currentDistributorMaster.currentDistributorMaster.error.notFound"):
            sdk.distributor.get_current_distributor_master(**where)


@pytest.fixture(params=["create", "update"])
def save(request, sdk, discard_distributor, make_distributor):
    """Saves these settings and gives the namespace's item as it came."""

    def save_(**settings):
        if request.param == "create":
            sdk.distributor.create_namespace(name=discard_distributor, **settings)
            name = discard_distributor
        else:
            name = make_distributor()
            sdk.distributor.update_namespace(namespace_name=name, **settings)
        answer = sdk.answer["item"]
        sdk.distributor.get_namespace(namespace_name=name)
        assert sdk.answer["item"] == answer
        return answer

    return save_


class TestSettings:
    def test_longest_dt34_dt36_dt52(self, save):
        """DT-34, DT-36, DT-52: every setting comes back as it was given."""
        notification = {
            "gatewayNamespaceId": "𠮷" * 1024, "enableTransferMobileNotification": True, "sound": MIXED * 512,
            "enable": "Disabled", "mobileNotificationMessages": [{"locale": "ja", "title": "題", "message": "文"}]}
        transaction = {
            "enableAutoRun": True, "enableAtomicCommit": True, "transactionUseDistributor": True,
            "commitScriptResultInUseDistributor": True, "acquireActionUseJobQueue": True,
            "enableSequentialExecution": True, "distributorNamespaceId": "𠮷" * 1024, "keyId": "k" * 1024,
            "queueNamespaceId": MIXED * 512}
        newer = {"distributorNamespaceId": "d" * 1024, "enableParallelExecution": True}
        saved = save(
            description=MIXED * 512, assume_user_id="𠮷" * 1024,
            transaction_setting=TransactionSetting.from_dict(transaction),
            transaction_setting_v2=TransactionSettingV2.from_dict(newer),
            log_setting=LogSetting().with_logging_namespace_id("grn:log"),
            **{member: NotificationSetting.from_dict(notification) for member in NOTIFICATIONS})
        assert [saved[wire] for wire in NOTIFICATIONS.values()] == [notification] * 2
        assert (saved["transactionSetting"], saved["transactionSettingV2"]) == (transaction, newer)
        assert (saved["assumeUserId"], saved["description"]) == ("𠮷" * 1024, MIXED * 512)
        assert saved["logSetting"] == {"loggingNamespaceId": "grn:log"}

    def test_empty_dt34_j06(self, save):
        """DT-34, J-06: every member may be left out; the switches are then off."""
        saved = save(transaction_setting=TransactionSetting(), transaction_setting_v2=TransactionSettingV2(),
                     **{member: NotificationSetting() for member in NOTIFICATIONS})
        for wire in NOTIFICATIONS.values():
            assert saved[wire].get("enable", "Enabled") == "Enabled"
        for switch in ("enableAutoRun", "enableAtomicCommit", "transactionUseDistributor",
                       "commitScriptResultInUseDistributor", "acquireActionUseJobQueue"):
            assert saved["transactionSetting"][switch] is False

    def test_switches_t08_e04(self, sdk, save):
        """T-08, E-04."""
        for switch in ("enable_auto_run", "enable_atomic_commit", "transaction_use_distributor",
                       "commit_script_result_in_use_distributor", "acquire_action_use_job_queue",
                       "enable_sequential_execution"):
            wire = re.sub("_([a-z])", lambda letter: letter.group(1).upper(), switch)
            for wrong in ("yes", 1, [True]):
                with sdk.refuses(BadRequest, f"distributor.transactionSetting.{wire}.error.invalid"):
                    save(transaction_setting=setting(TransactionSetting, **{switch: wrong}))
        with sdk.refuses(BadRequest, "distributor.transactionSettingV2.enableParallelExecution.error.invalid"):
            save(transaction_setting_v2=setting(TransactionSettingV2, enable_parallel_execution="maybe"))
        assert save(transaction_setting=setting(
            TransactionSetting, enable_auto_run="True"))["transactionSetting"]["enableAutoRun"] is True

    @pytest.mark.parametrize("member", NOTIFICATIONS)
    @pytest.mark.parametrize("wrong, value, kind", [
        ("gateway_namespace_id", "g" * 1025, "tooLong"), ("sound", "s" * 1025, "tooLong"), ("enable", "Maybe", "invalid"),
        ("enable_transfer_mobile_notification", "yes", "invalid"),
        ("mobile_notification_messages", [MobileNotificationMessage()] * 65, "tooMany")])
    def test_notifications_refused_e09_e10(self, admin, make_distributor, member, wrong, value, kind):
        camel = re.sub("_([a-z])", lambda letter: letter.group(1).upper(), wrong)
        with admin.refuses(BadRequest, f"distributor.notificationSetting.{camel}.error.{kind}"):
            make_distributor(**{member: setting(NotificationSetting, **{wrong: value})})

    def test_everything_wrong_e14(self, sdk):
        """E-14: all wrong fields at once, in field order."""
        with sdk.refuses(
            BadRequest,
            "distributor.namespace.name.error.tooLong",
            "distributor.namespace.description.error.tooLong",
            "distributor.transactionSetting.enableAutoRun.error.invalid",
            "distributor.transactionSetting.distributorNamespaceId.error.tooLong",
            "distributor.transactionSetting.keyId.error.tooLong",
            "distributor.transactionSetting.queueNamespaceId.error.tooLong",
            "distributor.transactionSettingV2.distributorNamespaceId.error.tooLong",
            "distributor.namespace.assumeUserId.error.tooLong",
            "distributor.notificationSetting.gatewayNamespaceId.error.tooLong",
            "distributor.notificationSetting.enable.error.invalid",
            "distributor.logSetting.loggingNamespaceId.error.require",
        ):
            sdk.distributor.create_namespace(
                name="a" * 129, description=MIXED * 513,
                transaction_setting=setting(
                    TransactionSetting, enable_auto_run=2, distributor_namespace_id="g" * 1025, key_id="k" * 1025,
                    queue_namespace_id="q" * 1025),
                transaction_setting_v2=setting(TransactionSettingV2, distributor_namespace_id="g" * 1025),
                assume_user_id="u" * 1025,
                auto_run_stamp_sheet_notification=setting(NotificationSetting, gateway_namespace_id="g" * 1025),
                auto_run_transaction_notification=setting(NotificationSetting, enable="Sometimes"),
                log_setting=LogSetting())


def test_results_n15(make_shop):
    """N-15: what is kept in one namespace is not in another."""
    shop, other = make_shop(**ATOMIC), make_shop(**ATOMIC)
    purse = shop.purse()
    name = shop.make(purse, acquire=[purse.gains("sword")])["transactionId"]
    assert shop.results(purse).transaction(name)["hasError"] is False
    with shop.sdk.refuses(NotFound, NO_TRANSACTION_RESULT):
        other.results(purse).transaction(name)
