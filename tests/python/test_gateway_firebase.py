"""Gateway: the player's mobile device. BEHAVIOUR G-50 to G-53."""

import re
from contextlib import closing

import pytest
from gs2.gateway import MobileNotificationMessage

from harness.environment import unique
from harness.gateway import recorded_pushes
from harness.sdk import BadRequest, NotFound, Sdk, TRANSPORTS
from harness.server import Server

MIXED = "あ𠮷"
MISSING = "gateway.firebaseToken.firebaseToken.error.notFound"


class Devices:
    """The token calls of one user, as the player (`me`) or by user id."""

    def __init__(self, sdk, gateway, who, user=None):
        self.sdk, self.gateway, self.who, self.user = sdk, gateway, who, user or unique("user")
        self.identity = {"access_token": sdk.auth.login(user_id=self.user).token} if who == "me" else {
            "user_id": self.user}

    def _call(self, verb, **fields):
        suffix = "" if self.who == "me" else "_by_user_id"
        operation = getattr(self.sdk.gateway, f"{verb}_firebase_token{suffix}")
        return operation(namespace_name=self.gateway, **self.identity, **fields).item

    def set(self, token="token", **fields):
        return self._call("set", token=token, **fields)

    def get(self):
        return self._call("get")

    def delete(self, **fields):
        return self._call("delete", **fields)

    def of(self, user=None, gateway=None):
        return Devices(self.sdk, gateway or self.gateway, self.who, user or self.user)

    def push(self, **fields):
        return self.sdk.gateway.send_mobile_notification_by_user_id(
            namespace_name=self.gateway, user_id=self.user, **{"subject": "subject", "payload": "payload", **fields})


@pytest.fixture(params=["me", "by_user_id"])
def devices(request, sdk, gateway):
    return Devices(sdk, gateway, request.param)


class TestToken:
    def test_item_g50_n04(self, devices, environment):
        """G-50, N-04, N-11: the exact GRN, which has no token in it, and the first revision."""
        item = devices.set("token-1", locale="ja")
        assert item.firebase_token_id == environment.grn(
            "gateway", devices.gateway, "user", devices.user, "firebase", "token")
        assert (item.user_id, item.token, item.locale, item.revision) == (devices.user, "token-1", "ja", 1)
        assert item.created_at == item.updated_at
        assert devices.get().to_dict() == item.to_dict()

    def test_overwrites_g50_n11(self, devices):
        """G-50, N-11: one token per player; a new one replaces it with its locale, and the revision grows."""
        first = devices.set("token-1", locale="ja")
        second = devices.set("token-2", locale="en-US")
        assert (second.token, second.locale, second.revision) == ("token-2", "en-US", 2)
        assert second.created_at == first.created_at and second.updated_at >= first.updated_at
        assert second.firebase_token_id == first.firebase_token_id
        third = devices.set("token-2")
        assert (third.locale, third.revision) == (None, 3)
        assert devices.get().to_dict() == third.to_dict()

    def test_longest_g50(self, devices):
        item = devices.set(MIXED * 512, locale="𠮷" * 64)
        assert (item.token, item.locale) == (MIXED * 512, "𠮷" * 64)
        assert devices.get().to_dict() == item.to_dict()

    @pytest.mark.parametrize("token", ["dQw4:APA91b-_/+=", " ", "a\nb", '"', "null"])
    def test_tokens_are_exact_g50(self, devices, token):
        devices.set(token)
        assert devices.get().token == token

    def test_missing_g50(self, devices):
        for call in (devices.get, devices.delete):
            with devices.sdk.refuses(NotFound, MISSING):
                call()

    def test_delete_g50(self, devices):
        item = devices.set(locale="ja")
        assert devices.delete().to_dict() == item.to_dict()
        for call in (devices.get, devices.delete):
            with devices.sdk.refuses(NotFound, MISSING):
                call()
        assert devices.set("again").token == "again"

    def test_users_g50(self, devices):
        other = devices.of(user=unique("user"))
        devices.set("mine")
        with devices.sdk.refuses(NotFound, MISSING):
            other.get()
        other.set("theirs")
        other.delete()
        assert devices.get().token == "mine"

    def test_namespaces_n15(self, devices, make_gateway):
        other = devices.of(gateway=make_gateway())
        devices.set("here")
        with devices.sdk.refuses(NotFound, MISSING):
            other.get()
        assert other.set("there").revision == 1
        assert devices.get().token == "here"

    def test_player_and_server_meet_n17(self, sdk, gateway):
        """N-17: `me` is the user of the access token."""
        user = unique("user")
        player, server = (Devices(sdk, gateway, who, user) for who in ("me", "by_user_id"))
        player.set("from the player")
        assert server.set("from the server").revision == 2
        assert player.get().token == "from the server"
        player.delete()
        with sdk.refuses(NotFound, MISSING):
            server.get()

    def test_deleted_namespace_n14(self, devices):
        devices.set()
        devices.sdk.gateway.delete_namespace(namespace_name=devices.gateway)
        with devices.sdk.refuses(NotFound, "gateway.namespace.namespace.error.notFound"):
            devices.get()
        devices.sdk.gateway.create_namespace(name=devices.gateway)
        with devices.sdk.refuses(NotFound, MISSING):
            devices.get()


class TestPush:
    """G-52, G-53: without a service account in the namespace the push is recorded instead of sent."""

    def test_answer_g53(self, devices, environment):
        """G-53: an empty result; one push each."""
        devices.set()
        before = recorded_pushes(environment)
        devices.push()
        assert set(devices.sdk.answer) <= {"metadata"}
        devices.push(sound="bell", subject="𠮷" * 256, payload="𠮷" * 1024)
        assert recorded_pushes(environment) - before == 2

    def test_missing_token_g53(self, devices, environment):
        before = recorded_pushes(environment)
        with devices.sdk.refuses(NotFound, MISSING):
            devices.push()
        devices.set()
        devices.delete()
        with devices.sdk.refuses(NotFound, MISSING):
            devices.push()
        assert recorded_pushes(environment) == before

    def test_with_a_socket_g53(self, devices, environment, listen):
        """G-53: it goes to the device even when a socket is there, and only there."""
        devices.set()
        socket = listen()
        socket.gateway.set_user_id_by_user_id(namespace_name=devices.gateway, user_id=devices.user)
        before = recorded_pushes(environment)
        devices.push()
        assert recorded_pushes(environment) - before == 1
        devices.sdk.gateway.send_notification(
            namespace_name=devices.gateway, user_id=devices.user, subject="last", payload="p")
        assert [body["subject"] for body in socket.notifications(1)] == ["last"]

    def test_longest_sound_g40(self, devices):
        devices.set()
        devices.push(sound=MIXED * 128)
        with devices.sdk.refuses(BadRequest, "gateway.firebaseToken.sound.error.tooLong"):
            devices.push(sound="s" * 257)


@pytest.fixture(scope="module")
def recording(environment, tmp_path_factory):
    """A server whose log is read."""
    server = Server(environment, tmp_path_factory.mktemp("recording"))
    server.start()
    yield server
    server.kill()


class TestText:
    """G-51: which of the texts the device shows."""

    TEXTS = {"en-US": "color", "en-GB": "colour", "ja": "色", "zh-Hant": "顏色"}

    @pytest.fixture
    def shown(self, recording):
        """Title and text of the push that the server records for a device with this locale."""
        with closing(Sdk.login(recording.environment, "rest")) as sdk:
            namespace = unique("ns")
            sdk.gateway.create_namespace(name=namespace)

            def shown_(how, locale, messages):
                user = unique("user")
                sdk.gateway.set_firebase_token_by_user_id(
                    namespace_name=namespace, user_id=user, token="token", locale=locale)
                call = {"namespace_name": namespace, "user_id": user, "subject": "subject", "payload": "payload",
                        "mobile_notification_messages": messages}
                if how == "forwarded":
                    sdk.gateway.send_notification(enable_transfer_mobile_notification=True, **call)
                else:
                    sdk.gateway.send_mobile_notification_by_user_id(**call)
                text = re.sub(r"\x1b\[\d*m", "", recording.log)
                line, = [line for line in text.splitlines() if user in line]
                return re.search(r'title="(.*?)" text="(.*?)"', line).groups()

            yield shown_

    @pytest.mark.parametrize("how", ["forwarded", "direct"])
    @pytest.mark.parametrize("locale, title", [
        ("ja", "色"), ("en-GB", "colour"), ("EN-us", "color"), ("en", "color"), ("ja-JP", "色"), ("zh_Hant", "顏色"),
        ("fr", "color"), (None, "color"),
    ])
    def test_by_locale_g51(self, shown, how, locale, title):
        """G-51: the same locale, else the same language, else the first text."""
        messages = [MobileNotificationMessage().with_locale(known).with_title(text).with_message(f"the {text}")
                    for known, text in self.TEXTS.items()]
        assert shown(how, locale, messages) == (title, f"the {title}")

    @pytest.mark.parametrize("messages", [None, []], ids=["absent", "empty"])
    def test_without_texts_g51(self, shown, messages):
        assert shown("forwarded", "ja", messages) == ("subject", "payload")

    def test_incomplete_text_g51(self, shown):
        only_title = [MobileNotificationMessage().with_locale("ja").with_title("題")]
        assert shown("direct", "ja", only_title) == ("題", "payload")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_restart_g50(environment, tmp_path, transport):
    """G-50: tokens outlive the server."""
    server, who = Server(environment, tmp_path), {"namespace_name": "ns", "user_id": MIXED}
    try:
        server.start()
        with closing(Sdk.login(server.environment, transport)) as sdk:
            sdk.gateway.create_namespace(name="ns")
            item = sdk.gateway.set_firebase_token_by_user_id(token="token", locale="ja", **who).item
        assert server.stop() == 0
        server.start()
        with closing(Sdk.login(server.environment, transport)) as sdk:
            assert sdk.gateway.get_firebase_token_by_user_id(**who).item.to_dict() == item.to_dict()
    finally:
        server.kill()
