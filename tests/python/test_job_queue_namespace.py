"""JobQueue: the namespaces and their settings, over both transports. BEHAVIOUR N-01 to N-16, J-05, J-06."""

import re

import pytest
from gs2.job_queue import LogSetting, MobileNotificationMessage, NotificationSetting, TransactionSetting

from harness.environment import unique
from harness.jobs import ECHO, FAIL, NO_NAMESPACE, NO_RESULT, Queue, entry
from harness.sdk import BadRequest, NotFound

MIXED = "あ𠮷"


def setting(**members):
    made = NotificationSetting()
    for name, value in members.items():
        getattr(made, f"with_{name}")(value)
    return made


class TestNamespace:
    def test_item_j05_n04(self, sdk, environment, discard_queue):
        """J-05, N-04, N-11: the GRN says `queue`; nothing runs by itself and nothing is told unless it is asked for."""
        item = sdk.job_queue.create_namespace(name=discard_queue, description=MIXED).item
        assert item.namespace_id == environment.grn("queue", discard_queue)
        assert (item.name, item.description, item.revision) == (discard_queue, MIXED, 1)
        assert item.enable_auto_run is False
        assert item.push_notification is None and item.run_notification is None
        assert sdk.job_queue.get_namespace(namespace_name=discard_queue).item.to_dict() == item.to_dict()
        assert sdk.job_queue.get_namespace_status(namespace_name=discard_queue).status == "ACTIVE"
        with sdk.refuses(BadRequest, "jobQueue.namespace.name.error.exists"):
            sdk.job_queue.create_namespace(name=discard_queue)

    def test_version_n16(self, sdk):
        assert re.match(r"\d{4}-\d{2}-\d{2}", sdk.job_queue.get_service_version().item)

    @pytest.mark.parametrize("operation", ["get_namespace", "get_namespace_status", "update_namespace",
                                           "delete_namespace"])
    def test_missing_e07(self, sdk, operation):
        with sdk.refuses(NotFound, NO_NAMESPACE):
            getattr(sdk.job_queue, operation)(namespace_name=unique("absent"))

    def test_describe_n07_n08_n09(self, sdk, make_queue):
        prefix = unique("ns")
        made = sorted(make_queue(prefix + rest) for rest in ("b", "B", "a", "_", "10"))
        make_queue("x" + prefix)
        describe = sdk.job_queue.describe_namespaces
        first = describe(name_prefix=prefix, limit=3)
        rest = describe(name_prefix=prefix, limit=3, page_token=first.next_page_token)
        assert [item.name for item in first.items + rest.items] == made and rest.next_page_token is None

    def test_update_replaces_the_settings_n13(self, sdk, make_queue):
        name = make_queue(
            description="old", enable_auto_run=True, push_notification=setting(sound="s"),
            run_notification=setting(sound="s"), log_setting=LogSetting().with_logging_namespace_id("grn:old"),
            transaction_setting=TransactionSetting().with_enable_auto_run(True))
        old = sdk.job_queue.get_namespace(namespace_name=name).item
        assert old.enable_auto_run is True and old.push_notification.sound == old.run_notification.sound == "s"
        new = sdk.job_queue.update_namespace(namespace_name=name).item
        assert (new.created_at, new.revision, new.enable_auto_run) == (old.created_at, 2, False)
        assert not new.description
        assert (new.push_notification, new.run_notification, new.log_setting, new.transaction_setting) == (None,) * 4

    def test_deletion_takes_everything_n14(self, sdk, make_queue, scripts):
        """N-14: jobs, dead letters and results are gone with the namespace, also from a later one of its name."""
        queue = Queue(sdk, make_queue())
        echo, fail = scripts.store(ECHO), scripts.store(FAIL)
        done, dead, waits = [item.name for item in queue.push(
            entry(echo), entry(fail, {"status": 400}, 1), entry(echo)).items]
        queue.run()
        queue.run()
        assert queue.result(done).status_code == 200 and queue.letter(dead) and queue.names() == [waits]
        assert sdk.job_queue.delete_namespace(namespace_name=queue.namespace).item.name == queue.namespace
        for call in (queue.names, queue.run, queue.letters, lambda: queue.push(), lambda: queue.get(waits),
                     lambda: queue.result(done), lambda: queue.delete(waits), lambda: queue.letter(dead),
                     lambda: queue.delete_letter(dead)):
            with sdk.refuses(NotFound, NO_NAMESPACE):
                call()
        make_queue(queue.namespace)
        assert queue.names() == [] and queue.letters()["items"] == []
        assert queue.run().item is None
        with sdk.refuses(NotFound, NO_RESULT):
            queue.result(done)


@pytest.fixture(params=["create", "update"])
def save(request, sdk, discard_queue, make_queue):
    """Saves these settings and gives the namespace's item as it came."""

    def save_(**settings):
        if request.param == "create":
            sdk.job_queue.create_namespace(name=discard_queue, **settings)
            name = discard_queue
        else:
            name = make_queue()
            sdk.job_queue.update_namespace(namespace_name=name, **settings)
        answer = sdk.answer["item"]
        sdk.job_queue.get_namespace(namespace_name=name)
        assert sdk.answer["item"] == answer
        return answer

    return save_


@pytest.mark.parametrize("member, wire", [
    ("push_notification", "pushNotification"), ("run_notification", "runNotification")])
class TestNotificationSetting:
    """J-05, J-06: also `runNotification` may be left out, which the other tests do."""

    def test_longest_j06(self, save, member, wire):
        saved = save(**{member: setting(
            gateway_namespace_id="𠮷" * 1024, enable_transfer_mobile_notification=True, sound=MIXED * 512,
            enable="Disabled", mobile_notification_messages=[
                MobileNotificationMessage().with_locale("ja").with_title("題").with_message("文")])})[wire]
        assert saved == {
            "gatewayNamespaceId": "𠮷" * 1024, "enableTransferMobileNotification": True, "sound": MIXED * 512,
            "enable": "Disabled", "mobileNotificationMessages": [{"locale": "ja", "title": "題", "message": "文"}]}

    def test_empty_j06(self, save, member, wire):
        """J-06: every member may be left out."""
        saved = save(**{member: setting()})[wire]
        assert saved.get("enable", "Enabled") == "Enabled"
        assert not saved.get("enableTransferMobileNotification")

    @pytest.mark.parametrize("wrong, value, kind", [
        ("gateway_namespace_id", "g" * 1025, "tooLong"), ("sound", "s" * 1025, "tooLong"),
        ("enable", "Maybe", "invalid"), ("enable_transfer_mobile_notification", "yes", "invalid")])
    def test_refused_e09_e10(self, sdk, save, member, wire, wrong, value, kind):
        camel = re.sub("_([a-z])", lambda letter: letter.group(1).upper(), wrong)
        with sdk.refuses(BadRequest, f"jobQueue.notificationSetting.{camel}.error.{kind}"):
            save(**{member: setting(**{wrong: value})})
