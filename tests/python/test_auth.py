"""Auth: access tokens, federation, time offset tokens, over both transports. BEHAVIOUR section 4."""

import base64
import hashlib
import hmac
import json
import re
import time
from contextlib import closing

import pytest

from harness.environment import unique
from harness.policy import allow, deny, document
from harness.sdk import BadRequest, NotFound, Sdk, TRANSPORTS, Unauthorized
from harness.server import Server

HOUR_MS = 3_600_000
CLOCK_SLACK_MS = 1000
TEN_YEARS = 315_360_000
TOKEN_CHARACTERS = 1024
NO_MUTEX = "lock.mutex.mutex.error.notFound"


def assert_token(result, user, started_ms):
    """A-01, A-04: the token is opaque text, names its user, and lives one hour of real time."""
    assert 0 < len(result.token) <= TOKEN_CHARACTERS
    assert result.user_id == user
    ended_ms = time.time_ns() // 1_000_000
    assert started_ms + HOUR_MS - CLOCK_SLACK_MS <= result.expire <= ended_ms + HOUR_MS + CLOCK_SLACK_MS


def mutex(namespace, **fields):
    return {"namespace_name": namespace, "property_id": "property-1", **fields}


@pytest.fixture
def started_ms():
    return time.time_ns() // 1_000_000


class TestLogin:
    def test_issues_a_token_a01_a02_a04(self, sdk, started_ms):
        """A-02, A-04: for any user id, without proof; the answer has no `timeOffset`."""
        user = unique("user")
        assert_token(sdk.auth.login(user_id=user), user, started_ms)
        assert set(sdk.answer) - {"metadata"} == {"token", "userId", "expire"}

    @pytest.mark.parametrize("offset", [None, 0, 1, TEN_YEARS])
    def test_time_offsets_a07(self, sdk, started_ms, offset):
        """A-07, A-09: 0 to ten years; the expiry is a stored time and stays real."""
        assert_token(sdk.auth.login(user_id="user-1", time_offset=offset), "user-1", started_ms)

    def test_token_stays_valid_at_its_own_offset_a07(self, sdk, namespace):
        """A-07, A-09: an offset longer than the token's life does not end the token."""
        token = sdk.auth.login(user_id="user-1", time_offset=TEN_YEARS).token
        with sdk.refuses(NotFound, NO_MUTEX):
            sdk.lock.get_mutex(**mutex(namespace, access_token=token))

    @pytest.mark.parametrize("user", ["あ𠮷" * 64, "a b/c?d", "me", "null-user"], ids=["longest", "reserved", "me", "null"])
    def test_any_user_id_a02_n02(self, sdk, started_ms, user):
        assert_token(sdk.auth.login(user_id=user), user, started_ms)

    def test_tokens_are_valid_on_both_transports_a01(self, sdk, admin, namespace):
        token = sdk.auth.login(user_id="user-1").token
        for session in (sdk, admin):
            with session.refuses(NotFound, NO_MUTEX):
                session.lock.get_mutex(**mutex(namespace, access_token=token))


@pytest.fixture(scope="module")
def signer(environment, tmp_path_factory):
    """A server with the default key, whose secret the operator has taken from it (A-03, A-05)."""
    server = Server(environment, tmp_path_factory.mktemp("signer"))
    server.start()
    with closing(Sdk.login(server.environment, "rest")) as admin:
        admin.key.create_namespace(name="default")
        admin.key.create_key(namespace_name="default", name="default")
        named = admin.key.create_key(namespace_name="default", name="named").item.key_id
    yield Signer(server, named)
    server.kill()


class Signer:
    """Signs bodies as an account service does."""

    def __init__(self, server, named):
        self.environment, self.named = server.environment, named
        self.secrets = {None: server.signing_secret(), named: server.signing_secret("--key-id", named)}

    def sign(self, body, key=None):
        return hmac.new(bytes.fromhex(self.secrets[key]), body.encode(), hashlib.sha256).hexdigest()

    def body(self, **members):
        now = int(time.time() * 1000)
        return json.dumps({"userId": "あ-1", "ownerId": self.environment.owner_id, "timestamp": now,
                           "expire": now + HOUR_MS, **members})


@pytest.fixture(params=TRANSPORTS)
def signing_in(request, signer):
    with closing(Sdk.login(signer.environment, request.param)) as sdk:
        yield sdk


class TestLoginBySignature:
    @pytest.mark.parametrize("named", [False, True], ids=["default", "named"])
    def test_signs_in_a03_a04_a05(self, signing_in, signer, started_ms, named):
        """A-03, A-04, A-05: HMAC-SHA256 of the body, which is JSON or base64 of it, with the default key or a named one.
        Over REST the SDK insists on a key."""
        key = signer.named if named else None
        grn = key or signer.environment.grn("key", "default", "key", "default")
        text = signer.body()
        for body in (text, base64.b64encode(text.encode()).decode()):
            result = signing_in.auth.login_by_signature(key_id=grn, body=body, signature=signer.sign(body, key))
            assert_token(result, "あ-1", started_ms)
            assert set(signing_in.answer) - {"metadata"} == {"token", "userId", "expire"}

    def test_without_a_key_a03(self, signer, started_ms):
        body = signer.body()
        with closing(Sdk.login(signer.environment, "websocket")) as sdk:
            assert_token(sdk.auth.login_by_signature(body=body, signature=signer.sign(body)), "あ-1", started_ms)

    def test_wrong_signature_a03(self, signing_in, signer):
        body = signer.body()
        for signature in ("signature", signer.sign(body + " ", signer.named), signer.sign(body), "0" * 64):
            with signing_in.refuses(Unauthorized, "auth.accessToken.signature.error.invalid"):
                signing_in.auth.login_by_signature(key_id=signer.named, body=body, signature=signature)

    @pytest.mark.parametrize("members, member", [
        ({"expire": 1}, "expire"), ({"timestamp": 1}, "expire"), ({"ownerId": "somebody"}, "ownerId"),
        ({"timestamp": 4102444800000, "expire": 4102444800001}, "timestamp")], ids=str)
    def test_does_not_hold_a03(self, signing_in, signer, members, member):
        body = signer.body(**members)
        with signing_in.refuses(Unauthorized, f"auth.accessToken.{member}.error.invalid"):
            signing_in.auth.login_by_signature(
                key_id=signer.named, body=body, signature=signer.sign(body, signer.named))

    def test_all_that_is_wrong_e14(self, signing_in, signer):
        body = json.dumps({"userId": "u" * 129, "timestamp": "soon"})
        with signing_in.refuses(
            BadRequest, "auth.accessToken.userId.error.tooLong", "auth.accessToken.ownerId.error.require",
            "auth.accessToken.timestamp.error.invalid", "auth.accessToken.expire.error.require",
        ):
            signing_in.auth.login_by_signature(
                key_id=signer.named, body=body, signature=signer.sign(body, signer.named))

    @pytest.mark.parametrize("key, kind", [
        ("grn:gs2:ap-northeast-1:owner:key:default:key:default", "invalid"), ("k" * 1024, "invalid"),
        ("grn:gs2:{region}:{ownerId}:key:absent:key:absent", "notFound")], ids=["foreign", "longest", "absent"])
    def test_no_such_key_a03_k04(self, sdk, key, kind):
        with sdk.refuses(BadRequest, f"auth.accessToken.keyId.error.{kind}"):
            sdk.auth.login_by_signature(key_id=key, body="body", signature="signature")


class TestFederation:
    def test_issues_a_token_a06(self, sdk, started_ms):
        user = unique("user")
        assert_token(sdk.auth.federation(original_user_id=unique("from"), user_id=user), user, started_ms)

    def test_longest_values_a06_a07(self, sdk, started_ms):
        user, original = "𠮷" * 128, "あ" * 128
        result = sdk.auth.federation(original_user_id=original, user_id=user, time_offset=TEN_YEARS)
        assert_token(result, user, started_ms)

    def test_time_offset_a06(self, sdk, namespace):
        """A-06, A-07: the offset of the token counts for its calls."""
        sdk.lock.lock_by_user_id(**mutex(namespace, user_id="user-1", transaction_id="t", ttl=60))
        token = sdk.auth.federation(original_user_id="user-2", user_id="user-1", time_offset=61).token
        with sdk.refuses(NotFound, NO_MUTEX):
            sdk.lock.get_mutex(**mutex(namespace, access_token=token))

    def test_policy_limits_the_token_a06(self, sdk, namespace):
        """A-06, E-15: what the document does not allow is refused, whoever sends the token."""
        token = sdk.auth.federation(
            original_user_id="user-2", user_id="user-1", policy_document=document(allow("Gs2Lock:GetMutex"))).token
        with sdk.refuses(NotFound, NO_MUTEX):
            sdk.lock.get_mutex(**mutex(namespace, access_token=token))
        for operation in ("lock", "unlock"):
            with sdk.refuses(Unauthorized, f"lock.mutex.{operation}.error.notAuthorized"):
                getattr(sdk.lock, operation)(**mutex(namespace, access_token=token, transaction_id="t"))

    def test_policy_resources_and_denials_a06_i10_i11(self, sdk, environment, make_namespace):
        """A-06, I-10, I-11: the document is evaluated as any other policy."""
        open_, closed = make_namespace(), make_namespace()
        token = sdk.auth.federation(original_user_id="user-2", user_id="user-1", policy_document=document(
            allow("Gs2Lock:*", on=[environment.grn("lock", open_) + "*"]),
            deny("Gs2Lock:Unlock"),
        )).token
        call = {"access_token": token, "transaction_id": "t"}
        assert sdk.lock.lock(**mutex(open_, **call)).item.user_id == "user-1"
        with sdk.refuses(Unauthorized, "lock.mutex.unlock.error.notAuthorized"):
            sdk.lock.unlock(**mutex(open_, **call))
        with sdk.refuses(Unauthorized, "lock.mutex.lock.error.notAuthorized"):
            sdk.lock.lock(**mutex(closed, **call))

    def test_policy_adds_nothing_to_the_caller_a06(self, sign_in, sdk, namespace):
        """A-06, I-11: the project token must allow the call as well."""
        token = sdk.auth.federation(
            original_user_id="user-2", user_id="user-1", policy_document=document(allow("*"))).token
        caller = sign_in(document(allow("Gs2Lock:GetMutex")))
        with caller.refuses(Unauthorized, "lock.mutex.lock.error.notAuthorized"):
            caller.lock.lock(**mutex(namespace, access_token=token, transaction_id="t"))

    def test_policy_does_not_bind_other_tokens_a06(self, sdk, namespace):
        sdk.auth.federation(original_user_id="user-2", user_id="user-1", policy_document=document(deny("*")))
        token = sdk.auth.login(user_id="user-1").token
        assert sdk.lock.lock(**mutex(namespace, access_token=token, transaction_id="t")).item.user_id == "user-1"

    @pytest.mark.parametrize("text", [
        "not json", "[]", "{}", '{"Statements":[{}]}', '{"Version":"2016-04-01","Statements":[{"Effect":"Perhaps",'
        '"Actions":["*"],"Resources":["*"]}]}',
    ], ids=["text", "list", "empty", "empty statement", "effect"])
    def test_invalid_policy_a06_i08(self, sdk, text):
        with sdk.refuses(BadRequest, "auth.accessToken.policyDocument.error.invalid"):
            sdk.auth.federation(original_user_id="user-2", user_id="user-1", policy_document=text)


class TestTimeOffsetToken:
    def test_issues_a_token_a08(self, sdk, started_ms):
        for offset in (0, 1, TEN_YEARS):
            result = sdk.auth.issue_time_offset_token_by_user_id(user_id="user-1", time_offset=offset)
            assert_token(result, "user-1", started_ms)

    def test_shifts_what_a_call_sees_a08(self, sdk, admin, namespace):
        """A-08, A-09: the call with the token sees later times, on either transport; the call without does not."""
        who = mutex(namespace, user_id="user-1")
        sdk.lock.lock_by_user_id(transaction_id="t", ttl=60, **who)
        token = sdk.auth.issue_time_offset_token_by_user_id(user_id="user-1", time_offset=61).token
        for session in (sdk, admin):
            with session.refuses(NotFound, NO_MUTEX):
                session.lock.get_mutex_by_user_id(time_offset_token=token, **who)
        assert sdk.lock.get_mutex_by_user_id(**who).item.transaction_id == "t"

    def test_is_bound_to_its_user_a09(self, sdk, namespace):
        token = sdk.auth.issue_time_offset_token_by_user_id(user_id="user-1", time_offset=61).token
        with sdk.refuses_with(Unauthorized, "timeOffsetToken", ".error.invalid"):
            sdk.lock.get_mutex_by_user_id(time_offset_token=token, **mutex(namespace, user_id="user-10"))

    def test_altered_a09(self, sdk, namespace):
        """A-09: the token is signed; a changed one is none."""
        token = sdk.auth.issue_time_offset_token_by_user_id(user_id="user-1", time_offset=61).token
        middle = len(token) // 2
        altered = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1:]
        with sdk.refuses_with(Unauthorized, "timeOffsetToken", ".error.invalid"):
            sdk.lock.get_mutex_by_user_id(time_offset_token=altered, **mutex(namespace, user_id="user-1"))


def test_altered_access_token_e16(sdk, namespace):
    """E-16, A-01: a changed access token is unknown."""
    token = sdk.auth.login(user_id="user-1").token
    middle = len(token) // 2
    altered = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1:]
    with sdk.refuses(Unauthorized, "lock.accessToken.accessToken.error.invalid"):
        sdk.lock.get_mutex(**mutex(namespace, access_token=altered))


def test_version_n16(sdk):
    assert re.match(r"\d{4}-\d{2}-\d{2}", sdk.auth.get_service_version().item)
