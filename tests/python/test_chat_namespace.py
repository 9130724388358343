"""Chat: the namespaces and their settings, over both transports. BEHAVIOUR N-01 to N-16, CH-02, CH-40, CH-54, CH-70."""

import re

import pytest
from gs2.chat import (
    LogSetting, MobileNotificationMessage, NotificationSetting, TransactionSetting, TransactionSettingV2)

from harness.chat import NO_MESSAGE, NO_NAMESPACE, NO_ROOM, NO_SUBSCRIPTION, Member, hook, tells
from harness.environment import unique
from harness.sdk import BadRequest, NotFound

MIXED = "あ𠮷"
HOOKS = {
    "post_message_script": "postMessageScript", "create_room_script": "createRoomScript",
    "delete_room_script": "deleteRoomScript", "subscribe_room_script": "subscribeRoomScript",
    "unsubscribe_room_script": "unsubscribeRoomScript",
}


class TestNamespace:
    def test_item_ch02_ch40_n04_n11(self, sdk, environment, discard_chat):
        """CH-02, CH-40, N-04, N-11: players may create rooms, and messages live for a day, unless it is said."""
        item = sdk.chat.create_namespace(name=discard_chat, description=MIXED).item
        assert item.namespace_id == environment.grn("chat", discard_chat)
        assert (item.name, item.description, item.revision) == (discard_chat, MIXED, 1)
        assert (item.allow_create_room, item.message_life_time_days) == (True, 1)
        assert [getattr(item, member) for member in HOOKS] == [None] * 5
        assert item.log_setting is None and item.created_at == item.updated_at > 0
        assert sdk.chat.get_namespace(namespace_name=discard_chat).item.to_dict() == item.to_dict()
        assert sdk.chat.get_namespace_status(namespace_name=discard_chat).status == "ACTIVE"
        with sdk.refuses(BadRequest, "chat.namespace.name.error.exists"):
            sdk.chat.create_namespace(name=discard_chat)

    def test_version_n16(self, sdk):
        assert re.match(r"\d{4}-\d{2}-\d{2}", sdk.chat.get_service_version().item)

    @pytest.mark.parametrize("operation", ["get_namespace", "get_namespace_status", "update_namespace",
                                           "delete_namespace"])
    def test_missing_e07(self, sdk, operation):
        with sdk.refuses(NotFound, NO_NAMESPACE):
            getattr(sdk.chat, operation)(namespace_name=unique("absent"))

    def test_not_of_another_service_n15(self, sdk, make_chat, make_gateway):
        name = make_gateway()
        with sdk.refuses(NotFound, NO_NAMESPACE):
            sdk.chat.get_namespace(namespace_name=name)
        make_chat(name, description="of Chat")
        assert not sdk.gateway.get_namespace(namespace_name=name).item.description

    def test_describe_n07_n08_n09(self, sdk, make_chat):
        prefix = unique("ns")
        made = sorted(make_chat(prefix + rest) for rest in ("b", "B", "a", "_", "10"))
        make_chat("x" + prefix)
        first = sdk.chat.describe_namespaces(name_prefix=prefix, limit=3)
        rest = sdk.chat.describe_namespaces(name_prefix=prefix, limit=3, page_token=first.next_page_token)
        assert [item.name for item in first.items + rest.items] == made and rest.next_page_token is None

    def test_update_replaces_the_settings_n13(self, sdk, environment, make_chat):
        """N-13, N-11: what is left out goes back to its default; name and createdAt stay; the revision grows."""
        name = make_chat(
            description="old", allow_create_room=False, message_life_time_days=30,
            post_notification=tells(environment, "some"), log_setting=LogSetting().with_logging_namespace_id("grn:old"),
            transaction_setting=TransactionSetting().with_enable_auto_run(True),
            transaction_setting_v2=TransactionSettingV2().with_enable_parallel_execution(True),
            **{member: hook(trigger_script_id="grn:s") for member in HOOKS})
        old = sdk.chat.get_namespace(namespace_name=name).item
        assert (old.allow_create_room, old.message_life_time_days) == (False, 30)
        assert [getattr(old, member).trigger_script_id for member in HOOKS] == ["grn:s"] * 5
        new = sdk.chat.update_namespace(namespace_name=name).item
        assert (new.name, new.created_at, new.revision) == (name, old.created_at, 2)
        assert (new.allow_create_room, new.message_life_time_days) == (True, 1)
        assert not new.description
        assert [getattr(new, member) for member in HOOKS] == [None] * 5
        assert (new.log_setting, new.transaction_setting, new.transaction_setting_v2) == (None, None, None)
        assert sdk.chat.get_namespace(namespace_name=name).item.to_dict() == new.to_dict()

    def test_deletion_takes_everything_n14(self, member, make_chat):
        """N-14: rooms, messages, subscriptions and master data are gone, also from a later namespace of this name."""
        sdk, where = member.sdk, member.where
        room = member.create_room("lobby", password="p").name
        name = member.post(room, password="p").name
        member.subscribe(room)
        sdk.chat.create_category_model_master(category=1, **where)
        sdk.chat.update_current_model_master(settings='{"version":"2020-04-30","categoryModels":[]}', **where)
        assert sdk.chat.delete_namespace(**where).item.name == member.namespace
        for call in (lambda: member.get_room(room), member.rooms, lambda: member.post(room),
                     lambda: member.messages(room), lambda: member.latest(room), lambda: member.message(room, name),
                     lambda: member.delete_message(room, name), lambda: member.subscribe(room), member.subscriptions,
                     lambda: member.subscribers(room), lambda: member.create_room("lobby"),
                     lambda: member.delete_room(room), lambda: member.unsubscribe(room),
                     lambda: sdk.chat.describe_category_models(**where),
                     lambda: sdk.chat.get_current_model_master(**where)):
            with sdk.refuses(NotFound, NO_NAMESPACE):
                call()
        make_chat(member.namespace)
        assert member.rooms() == [] and member.subscribed() == []
        assert sdk.chat.describe_category_model_masters(**where).items == []
        with sdk.refuses(NotFound, "chat.currentModelMaster.currentModelMaster.error.notFound"):
            sdk.chat.get_current_model_master(**where)
        with sdk.refuses(NotFound, NO_ROOM):
            member.messages(room)
        assert member.create_room("lobby").revision == 1
        assert member.messages(room) == [] and member.subscribers(room).items == []
        with sdk.refuses(NotFound, NO_MESSAGE):
            member.message(room, name)
        with sdk.refuses(NotFound, NO_SUBSCRIPTION):
            member.subscription(room)


@pytest.fixture(params=["create", "update"])
def save(request, sdk, discard_chat, make_chat):
    """Saves these settings and gives the namespace's item as it came."""

    def save_(**settings):
        if request.param == "create":
            sdk.chat.create_namespace(name=discard_chat, **settings)
            name = discard_chat
        else:
            name = make_chat()
            sdk.chat.update_namespace(namespace_name=name, **settings)
        answer = sdk.answer["item"]
        sdk.chat.get_namespace(namespace_name=name)
        assert sdk.answer["item"] == answer
        return answer

    return save_


class TestSettings:
    def test_longest_ch70_ch54(self, save):
        """CH-70, CH-54, J-06: every setting comes back as it was given."""
        script = {"triggerScriptId": "𠮷" * 1024, "doneTriggerTargetType": "gs2_script",
                  "doneTriggerScriptId": MIXED * 512, "doneTriggerQueueNamespaceId": "grn:gs2:{region}:{ownerId}:queue:q"}
        notification = NotificationSetting().with_gateway_namespace_id("𠮷" * 1024) \
            .with_enable_transfer_mobile_notification(True).with_sound(MIXED * 512).with_enable("Disabled") \
            .with_mobile_notification_messages([
                MobileNotificationMessage().with_locale("ja").with_title("題").with_message("文")])
        saved = save(
            description="d" * 1024, allow_create_room=False, message_life_time_days=30, post_notification=notification,
            log_setting=LogSetting().with_logging_namespace_id("grn:log"),
            transaction_setting=TransactionSetting().with_queue_namespace_id("q" * 1024),
            transaction_setting_v2=TransactionSettingV2().with_distributor_namespace_id("d" * 1024),
            **{member: hook(
                trigger_script_id=script["triggerScriptId"], done_trigger_target_type="gs2_script",
                done_trigger_script_id=script["doneTriggerScriptId"],
                done_trigger_queue_namespace_id=script["doneTriggerQueueNamespaceId"]) for member in HOOKS})
        assert [saved[wire] for wire in HOOKS.values()] == [script] * 5
        assert saved["postNotification"] == {
            "gatewayNamespaceId": "𠮷" * 1024, "enableTransferMobileNotification": True, "sound": MIXED * 512,
            "enable": "Disabled", "mobileNotificationMessages": [{"locale": "ja", "title": "題", "message": "文"}]}
        assert saved["logSetting"] == {"loggingNamespaceId": "grn:log"}
        assert saved["transactionSetting"]["queueNamespaceId"] == "q" * 1024
        assert saved["transactionSettingV2"]["distributorNamespaceId"] == "d" * 1024
        assert (saved["allowCreateRoom"], saved["messageLifeTimeDays"]) == (False, 30)

    def test_empty_ch70_j06(self, save):
        """CH-70, J-06: every member of a setting may be left out."""
        saved = save(post_notification=NotificationSetting(), **{member: hook() for member in HOOKS})
        assert [saved[wire].get("doneTriggerTargetType", "none") for wire in HOOKS.values()] == ["none"] * 5
        assert saved["postNotification"].get("enable", "Enabled") == "Enabled"

    @pytest.mark.parametrize("target", ["none", "gs2_script", "aws"])
    def test_target_types_ch70(self, save, target):
        saved = save(create_room_script=hook(done_trigger_target_type=target, done_trigger_script_id="grn:s"))
        assert saved["createRoomScript"]["doneTriggerTargetType"] == target

    @pytest.mark.parametrize("days", [1, 30])
    def test_life_time_ch40(self, save, days):
        assert save(message_life_time_days=days)["messageLifeTimeDays"] == days

    def test_life_time_out_of_range_ch40_e10(self, sdk, save):
        for days in (0, 31, -1, 1.5, "many", True, [1]):
            with sdk.refuses(BadRequest, "chat.namespace.messageLifeTimeDays.error.invalid"):
                save(message_life_time_days=days)

    def test_switch_e04(self, sdk, save):
        for flag in ("yes", "", 1, 0, [True]):
            with sdk.refuses(BadRequest, "chat.namespace.allowCreateRoom.error.invalid"):
                save(allow_create_room=flag)

    @pytest.mark.parametrize("member", HOOKS)
    def test_hooks_refused_e09(self, admin, make_chat, member):
        for wrong, wire, value, kind in (
            ("trigger_script_id", "triggerScriptId", "s" * 1025, "tooLong"),
            ("trigger_script_id", "triggerScriptId", 5, "invalid"),
            ("done_trigger_target_type", "doneTriggerTargetType", "gcp", "invalid"),
            ("done_trigger_script_id", "doneTriggerScriptId", "s" * 1025, "tooLong"),
            ("done_trigger_queue_namespace_id", "doneTriggerQueueNamespaceId", "s" * 1025, "tooLong"),
        ):
            with admin.refuses(BadRequest, f"chat.scriptSetting.{wire}.error.{kind}"):
                make_chat(**{member: hook(**{wrong: value})})

    def test_everything_wrong_e14(self, sdk):
        """E-14: all wrong fields at once, in field order."""
        with sdk.refuses(
            BadRequest,
            "chat.namespace.name.error.tooLong",
            "chat.namespace.description.error.tooLong",
            "chat.transactionSetting.queueNamespaceId.error.tooLong",
            "chat.transactionSettingV2.distributorNamespaceId.error.tooLong",
            "chat.namespace.allowCreateRoom.error.invalid",
            "chat.namespace.messageLifeTimeDays.error.invalid",
            "chat.scriptSetting.triggerScriptId.error.tooLong",
            "chat.scriptSetting.doneTriggerTargetType.error.invalid",
            "chat.scriptSetting.doneTriggerScriptId.error.tooLong",
            "chat.notificationSetting.gatewayNamespaceId.error.tooLong",
            "chat.notificationSetting.enable.error.invalid",
            "chat.logSetting.loggingNamespaceId.error.require",
        ):
            sdk.chat.create_namespace(
                name="a" * 129, description=MIXED * 513,
                transaction_setting=TransactionSetting().with_queue_namespace_id("g" * 1025),
                transaction_setting_v2=TransactionSettingV2().with_distributor_namespace_id("g" * 1025),
                allow_create_room=2, message_life_time_days=31,
                post_message_script=hook(trigger_script_id="s" * 1025),
                create_room_script=hook(done_trigger_target_type="other"),
                unsubscribe_room_script=hook(done_trigger_script_id="s" * 1025),
                post_notification=NotificationSetting().with_gateway_namespace_id("g" * 1025).with_enable("Sometimes"),
                log_setting=LogSetting())


def test_namespaces_n15(member, make_chat):
    """N-15: a room of the same name in another namespace is another room."""
    elsewhere = member.of(namespace=make_chat())
    member.create_room("lobby")
    with member.sdk.refuses(NotFound, NO_ROOM):
        elsewhere.messages("lobby")
    elsewhere.create_room("lobby")
    mine = member.post("lobby", "mine")
    elsewhere.post("lobby", "theirs")
    member.subscribe("lobby")
    assert (member.texts("lobby"), elsewhere.texts("lobby")) == (["mine"], ["theirs"])
    assert elsewhere.subscribed() == []
    with member.sdk.refuses(NotFound, NO_MESSAGE):
        elsewhere.message("lobby", mine.name)
    elsewhere.delete_room("lobby")
    assert member.texts("lobby") == ["mine"]


def test_missing_namespace_e08(sdk):
    """E-08: every call in a missing namespace names the namespace; those of master data have tests of their own."""
    for who in ("me", "by_user_id"):
        absent = Member(sdk, unique("absent"), who)
        for call in (absent.create_room, lambda: absent.update_room("r"), lambda: absent.delete_room("r"),
                     lambda: absent.get_room("r"), absent.rooms, lambda: absent.post("r"),
                     lambda: absent.messages("r"), lambda: absent.latest("r"), lambda: absent.message("r", "m"),
                     lambda: absent.delete_message("r", "m"), lambda: absent.subscribe("r"),
                     lambda: absent.update_types("r"), lambda: absent.unsubscribe("r"), lambda: absent.subscription("r"),
                     absent.subscriptions, lambda: absent.subscribers("r")):
            with sdk.refuses(NotFound, NO_NAMESPACE):
                call()
