"""Gateway: the namespaces and their settings, over both transports. BEHAVIOUR N-01 to N-16, G-52."""

import re

import pytest
from gs2.gateway import LogSetting, TransactionSetting, TransactionSettingV2

from harness.environment import unique
from harness.firebase import service_account
from harness.sdk import BadRequest, NotFound

MIXED = "あ𠮷"
MISSING = "gateway.namespace.namespace.error.notFound"
FLAGS = ("enableAutoRun", "enableAtomicCommit", "transactionUseDistributor", "commitScriptResultInUseDistributor",
         "acquireActionUseJobQueue")


def transaction_setting(**members):
    setting = TransactionSetting()
    for name, value in members.items():
        getattr(setting, f"with_{name}")(value)
    return setting


def names(result):
    return [item.name for item in result.items]


class TestNamespace:
    def test_item_n04_n11(self, sdk, environment, discard_gateway):
        item = sdk.gateway.create_namespace(name=discard_gateway, description=MIXED).item
        assert item.namespace_id == environment.grn("gateway", discard_gateway)
        assert (item.name, item.description, item.revision) == (discard_gateway, MIXED, 1)
        assert item.created_at == item.updated_at
        assert (item.transaction_setting, item.transaction_setting_v2, item.log_setting) == (None, None, None)
        assert not item.firebase_secret and not item.firebase_project_id
        assert sdk.gateway.get_namespace(namespace_name=discard_gateway).item.to_dict() == item.to_dict()
        assert sdk.gateway.get_namespace_status(namespace_name=discard_gateway).status == "ACTIVE"

    def test_version_n16(self, sdk):
        assert re.match(r"\d{4}-\d{2}-\d{2}", sdk.gateway.get_service_version().item)

    def test_exists_e13(self, sdk, gateway):
        with sdk.refuses(BadRequest, "gateway.namespace.name.error.exists"):
            sdk.gateway.create_namespace(name=gateway)

    @pytest.mark.parametrize("operation", ["get_namespace", "get_namespace_status", "update_namespace",
                                           "delete_namespace"])
    def test_missing_e07(self, sdk, operation):
        with sdk.refuses(NotFound, MISSING):
            getattr(sdk.gateway, operation)(namespace_name=unique("absent"))

    def test_not_of_another_service_n15(self, sdk, gateway, namespace):
        """N-15: a Lock namespace is none of Gateway, and the other way round; both may have one name."""
        with sdk.refuses(NotFound, MISSING):
            sdk.gateway.get_namespace(namespace_name=namespace)
        with sdk.refuses(NotFound, "lock.namespace.namespace.error.notFound"):
            sdk.lock.get_namespace(namespace_name=gateway)

    def test_one_name_in_two_services_n15(self, sdk, make_gateway, make_namespace):
        name = make_namespace()
        make_gateway(name, description="of Gateway")
        assert not sdk.lock.get_namespace(namespace_name=name).item.description
        sdk.gateway.delete_namespace(namespace_name=name)
        assert sdk.lock.get_namespace(namespace_name=name).item.name == name

    def test_describe_n07_n08_n09(self, sdk, make_gateway):
        prefix = unique("ns")
        made = sorted(make_gateway(prefix + rest) for rest in ("b", "B", "a", "_", "10"))
        make_gateway("x" + prefix)
        assert names(sdk.gateway.describe_namespaces(name_prefix=prefix)) == made
        first = sdk.gateway.describe_namespaces(name_prefix=prefix, limit=3)
        assert names(first) == made[:3]
        rest = sdk.gateway.describe_namespaces(name_prefix=prefix, limit=3, page_token=first.next_page_token)
        assert names(rest) == made[3:] and rest.next_page_token is None

    def test_delete_n14(self, sdk, make_gateway):
        name = make_gateway(description="text")
        assert sdk.gateway.delete_namespace(namespace_name=name).item.description == "text"
        with sdk.refuses(NotFound, MISSING):
            sdk.gateway.get_namespace(namespace_name=name)

    def test_update_replaces_the_settings_n13(self, sdk, make_gateway):
        """N-13, N-11: absent members go back to their default; name and createdAt stay; the revision grows."""
        name = make_gateway(
            description="old", firebase_secret=service_account(), firebase_project_id="project-2",
            transaction_setting=transaction_setting(enable_auto_run=True),
            transaction_setting_v2=TransactionSettingV2().with_enable_parallel_execution(True),
            log_setting=LogSetting().with_logging_namespace_id("grn:old"))
        old = sdk.gateway.get_namespace(namespace_name=name).item
        new = sdk.gateway.update_namespace(namespace_name=name).item
        assert (new.name, new.created_at, new.revision) == (name, old.created_at, 2)
        assert not new.description and not new.firebase_secret and not new.firebase_project_id
        assert (new.transaction_setting, new.transaction_setting_v2, new.log_setting) == (None, None, None)
        again = sdk.gateway.update_namespace(
            namespace_name=name, log_setting=LogSetting().with_logging_namespace_id("grn:new")).item
        assert (again.log_setting.logging_namespace_id, again.revision) == ("grn:new", 3)
        assert sdk.gateway.get_namespace(namespace_name=name).item.to_dict() == again.to_dict()


@pytest.fixture(params=["create", "update"])
def save(request, sdk, discard_gateway, make_gateway):
    """Saves these settings and gives the namespace's item as it came."""

    def save_(**settings):
        if request.param == "create":
            sdk.gateway.create_namespace(name=discard_gateway, **settings)
            name = discard_gateway
        else:
            name = make_gateway()
            sdk.gateway.update_namespace(namespace_name=name, **settings)
        answer = sdk.answer["item"]
        sdk.gateway.get_namespace(namespace_name=name)
        assert sdk.answer["item"] == answer
        return answer

    return save_


class TestSettings:
    def test_log_setting_e02(self, sdk, save):
        for log, kind in ((None, "require"), ("", "require"), (MIXED * 513, "tooLong"), (5, "invalid")):
            with sdk.refuses(BadRequest, f"gateway.logSetting.loggingNamespaceId.error.{kind}"):
                save(log_setting=LogSetting().with_logging_namespace_id(log))
        log = MIXED * 512
        assert save(log_setting=LogSetting().with_logging_namespace_id(log))["logSetting"] == {"loggingNamespaceId": log}

    def test_transaction_setting(self, save):
        grn = "grn:gs2:{region}:{ownerId}:queue:" + MIXED
        saved = save(transaction_setting=transaction_setting(
            enable_auto_run=True, enable_atomic_commit=True, transaction_use_distributor=True,
            commit_script_result_in_use_distributor=True, acquire_action_use_job_queue=True,
            enable_sequential_execution=True, distributor_namespace_id="d" * 1024, key_id="k" * 1024,
            queue_namespace_id=grn))["transactionSetting"]
        assert {name for name, value in saved.items() if value is True} == {*FLAGS, "enableSequentialExecution"}
        assert (saved["distributorNamespaceId"], saved["keyId"], saved["queueNamespaceId"]) == (
            "d" * 1024, "k" * 1024, grn)

    def test_transaction_setting_defaults(self, save):
        """Models, TransactionSetting: each switch is false unless it is set."""
        saved = save(transaction_setting=TransactionSetting())["transactionSetting"]
        assert {name: saved[name] for name in FLAGS} == dict.fromkeys(FLAGS, False)
        assert not saved.get("enableSequentialExecution")

    @pytest.mark.parametrize("member", ["distributor_namespace_id", "key_id", "queue_namespace_id"])
    def test_transaction_setting_grns_e09(self, sdk, save, member):
        wire = {"distributor_namespace_id": "distributorNamespaceId", "key_id": "keyId",
                "queue_namespace_id": "queueNamespaceId"}[member]
        with sdk.refuses(BadRequest, f"gateway.transactionSetting.{wire}.error.tooLong"):
            save(transaction_setting=transaction_setting(**{member: "𠮷" * 1025}))

    @pytest.mark.parametrize("wrong", ["yes", 1, [True]], ids=repr)
    def test_transaction_setting_switches_e04(self, sdk, save, wrong):
        with sdk.refuses(BadRequest, "gateway.transactionSetting.enableAutoRun.error.invalid"):
            save(transaction_setting=transaction_setting(enable_auto_run=wrong))

    def test_transaction_setting_v2(self, sdk, save):
        setting = TransactionSettingV2().with_distributor_namespace_id("d" * 1024).with_enable_parallel_execution(True)
        assert save(transaction_setting_v2=setting)["transactionSettingV2"] == {
            "distributorNamespaceId": "d" * 1024, "enableParallelExecution": True}
        with sdk.refuses(BadRequest, "gateway.transactionSettingV2.distributorNamespaceId.error.tooLong"):
            save(transaction_setting_v2=TransactionSettingV2().with_distributor_namespace_id("d" * 1025))

    def test_firebase_g52(self, save):
        """G-52: the service account's file comes back as it was given, also the longest, and with a project of its own."""
        secret = service_account(8192)
        saved = save(firebase_secret=secret, firebase_project_id="𠮷" * 128)
        assert len(secret) == 8192
        assert (saved["firebaseSecret"], saved["firebaseProjectId"]) == (secret, "𠮷" * 128)

    def test_no_secret_g52(self, save):
        """G-52: an empty secret is none."""
        assert not save(firebase_secret="", firebase_project_id="").get("firebaseSecret")

    @pytest.mark.parametrize("secret", [
        "AAAAbCdEfGh:APA91bF-a-legacy-server-key", "{}", "[]", "null", '"text"', " ", "{", service_account()[:-1],
        service_account(project_id=None), service_account(client_email=None), service_account(private_key=None),
        service_account(project_id=""), service_account(client_email=5), service_account(private_key=["key"]),
    ])
    def test_refused_secrets_g52(self, sdk, save, secret):
        """G-52: Google's older API with its server keys is gone; only a service account can send."""
        with sdk.refuses(BadRequest, "gateway.namespace.firebaseSecret.error.invalid"):
            save(firebase_secret=secret)

    def test_too_long_secret_g52(self, sdk, save):
        with sdk.refuses(BadRequest, "gateway.namespace.firebaseSecret.error.tooLong"):
            save(firebase_secret=service_account(8193))

    def test_a_refusal_names_no_secret_g52(self, sdk, save):
        """G-52: what was refused stays out of the answer."""
        with sdk.refuses(BadRequest, "gateway.namespace.firebaseSecret.error.invalid"):
            save(firebase_secret="AAAA-legacy-server-key")
        assert "legacy-server-key" not in sdk.answer["message"]
