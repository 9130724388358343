"""Identifier: passwords, the second factor and login by user, over both transports. BEHAVIOUR I-01, I-07."""

import base64
import hashlib
import hmac
import struct
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from harness import operations
from harness.policy import EVERYTHING
from harness.sdk import BadRequest, NotFound, Unauthorized

NO_PASSWORD = "identifier.password.password.error.notFound"
WRONG_PASSWORD = "identifier.password.password.error.invalid"
WRONG_OTP = "identifier.password.otp.error.invalid"
STEP_SECONDS = 30


class Authenticator:
    """The user's phone: RFC 6238 with SHA-1, six digits and steps of 30 seconds."""

    def __init__(self, challenge_token):
        uri = urlsplit(challenge_token)
        assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
        query = parse_qs(uri.query)
        assert query.get("algorithm", ["SHA1"]) == ["SHA1"]
        assert query.get("digits", ["6"]) == ["6"] and query.get("period", ["30"]) == ["30"]
        secret = query["secret"][0]
        self.key = base64.b32decode(secret + "=" * (-len(secret) % 8))

    def code(self, steps=0):
        counter = struct.pack(">Q", int(time.time()) // STEP_SECONDS + steps)
        digest = hmac.new(self.key, counter, hashlib.sha1).digest()
        start = digest[-1] & 15
        return f"{(struct.unpack('>I', digest[start:start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"

    def wrong(self):
        near = {self.code(steps) for steps in range(-2, 3)}
        return next(code for code in ("000000", "000001", "000002", "000003", "000004", "000005") if code not in near)


@pytest.fixture
def secured(admin, user):
    """A user with the password `secret`."""
    admin.identifier.create_password(user_name=user, password="secret")
    return user


def enable(sdk, user):
    """Switches the second factor on and gives the authenticator."""
    authenticator = Authenticator(sdk.identifier.enable_mfa(user_name=user).challenge_token)
    sdk.identifier.challenge_mfa(user_name=user, passcode=authenticator.code())
    return authenticator


def log_in_once(sdk, user, authenticator):
    """Logs in and gives the passcode used: the present one, or the next where the challenge has used that up."""
    for otp in (authenticator.code(), authenticator.code(1)):
        try:
            assert sdk.identifier.login_by_user(user_name=user, password="secret", otp=otp).item.token
            return otp
        except Unauthorized:
            continue
    pytest.fail("neither the present nor the next passcode is good")


class TestPassword:
    def test_create_get_delete_i01_n04(self, sdk, environment, user):
        item = sdk.identifier.create_password(user_name=user, password="open sesame").item
        assert item.password_id == environment.grn("identifier", "user", user)
        assert (item.user_id, item.user_name) == (item.password_id, user)
        assert item.enable_two_factor_authentication == "Disable"
        assert item.two_factor_authentication_setting is None
        assert item.revision in (0, 1) and item.created_at > 0
        assert "open sesame" not in str(sdk.answer)
        assert sdk.identifier.get_password(user_name=user).item.to_dict() == item.to_dict()
        assert "open sesame" not in str(sdk.answer)
        assert sdk.identifier.delete_password(user_name=user).item.to_dict() == item.to_dict()
        for operation in ("get_password", "delete_password"):
            with sdk.refuses(NotFound, NO_PASSWORD):
                getattr(sdk.identifier, operation)(user_name=user)

    def test_list_n07_i01(self, sdk, user):
        """N-07, I-01: the list that newer SDKs have dropped holds the one password or none, never its text."""
        describe = operations.operation("identifier", "describePasswords")
        assert sdk.call(describe, {"userName": user})["items"] == []
        item = sdk.identifier.create_password(user_name=user, password="open sesame").item
        page = sdk.call(describe, {"userName": user})
        assert [listed["passwordId"] for listed in page["items"]] == [item.password_id]
        assert page.get("nextPageToken") is None and "open sesame" not in str(page)

    def test_one_per_user_e13_i01(self, sdk, secured):
        with sdk.refuses(BadRequest, "identifier.password.password.error.exists"):
            sdk.identifier.create_password(user_name=secured, password="another")
        assert sdk.identifier.login_by_user(user_name=secured, password="secret").item.token

    def test_a_new_one_after_deletion_i01(self, sdk, secured):
        sdk.identifier.delete_password(user_name=secured)
        with sdk.refuses(Unauthorized, WRONG_PASSWORD):
            sdk.identifier.login_by_user(user_name=secured, password="secret")
        sdk.identifier.create_password(user_name=secured, password="another")
        assert sdk.identifier.login_by_user(user_name=secured, password="another").item.token

    @pytest.mark.parametrize("password", ["x", "あ𠮷" * 512, " lead and trail "], ids=["shortest", "longest", "spaces"])
    def test_any_text_i01(self, sdk, user, password):
        """I-01: 1 to 1,024 characters, all of which count."""
        sdk.identifier.create_password(user_name=user, password=password)
        assert sdk.identifier.login_by_user(user_name=user, password=password).item.token
        for wrong in (password[:-1] + "y", password + "x" if len(password) < 1024 else password[:-1]):
            with sdk.refuses(Unauthorized, WRONG_PASSWORD):
                sdk.identifier.login_by_user(user_name=user, password=wrong)


class TestLoginByUser:
    def test_gives_a_project_token_i07(self, sdk, admin, make_user, make_policy, open_sdk):
        name = make_user(policies=[make_policy(EVERYTHING).security_policy_id])
        admin.identifier.create_password(user_name=name, password="secret")
        token = sdk.identifier.login_by_user(user_name=name, password="secret").item.token
        assert 0 < len(token) <= 1024
        theirs = open_sdk(sdk.transport, token=token)
        theirs.lock.describe_namespaces(limit=1)
        admin.identifier.delete_user(user_name=name)
        with theirs.refuses(Unauthorized, "lock.projectToken.projectToken.error.invalid"):
            theirs.lock.describe_namespaces(limit=1)

    def test_gives_no_more_than_the_user_may_i11(self, sdk, secured, open_sdk):
        token = sdk.identifier.login_by_user(user_name=secured, password="secret").item.token
        theirs = open_sdk(sdk.transport, token=token)
        with theirs.refuses(Unauthorized, "lock.namespace.describeNamespaces.error.notAuthorized"):
            theirs.lock.describe_namespaces()

    @pytest.mark.parametrize("which", ["wrong password", "user without password", "unknown user"])
    def test_refusals_tell_nothing_apart_i07(self, sdk, secured, make_user, which):
        """I-07, E-05: a wrong password and an unknown user look the same."""
        name, password = {
            "wrong password": (secured, "wrong"),
            "user without password": (make_user(), "secret"),
            "unknown user": ("absent", "secret"),
        }[which]
        with sdk.refuses(Unauthorized, WRONG_PASSWORD):
            sdk.identifier.login_by_user(user_name=name, password=password)

    def test_needs_no_project_token_i07(self, sdk, secured, open_sdk):
        stale = open_sdk(sdk.transport, token="stale")
        assert stale.identifier.login_by_user(user_name=secured, password="secret").item.token


class TestSecondFactor:
    def test_enable_then_challenge_i01(self, sdk, secured):
        """I-01: `Verifying` until the first right passcode, `Enable` from then on."""
        result = sdk.identifier.enable_mfa(user_name=secured)
        assert result.item.enable_two_factor_authentication == "RFC6238"
        assert result.item.two_factor_authentication_setting.status == "Verifying"
        authenticator = Authenticator(result.challenge_token)
        assert sdk.identifier.login_by_user(user_name=secured, password="secret").item.token, "not needed yet"
        with sdk.refuses(BadRequest, "identifier.password.passcode.error.invalid"):
            sdk.identifier.challenge_mfa(user_name=secured, passcode=authenticator.wrong())
        assert sdk.identifier.get_password(user_name=secured).item.two_factor_authentication_setting.status == "Verifying"
        item = sdk.identifier.challenge_mfa(user_name=secured, passcode=authenticator.code()).item
        assert item.enable_two_factor_authentication == "RFC6238"
        assert item.two_factor_authentication_setting.status == "Enable"
        assert item.revision > result.item.revision
        assert sdk.identifier.get_password(user_name=secured).item.to_dict() == item.to_dict()

    def test_secret_is_shown_once_i01(self, sdk, secured):
        token = sdk.identifier.enable_mfa(user_name=secured).challenge_token
        secret = parse_qs(urlsplit(token).query)["secret"][0]
        for call in (
            lambda: sdk.identifier.get_password(user_name=secured),
            lambda: sdk.identifier.challenge_mfa(user_name=secured, passcode=Authenticator(token).code()),
            lambda: sdk.identifier.delete_password(user_name=secured),
        ):
            call()
            assert secret not in str(sdk.answer)

    def test_login_i07(self, sdk, secured):
        """I-07: with the factor on, a passcode is needed, must be right, and is good for one login."""
        authenticator = enable(sdk, secured)
        with sdk.refuses(Unauthorized, "identifier.password.otp.error.require"):
            sdk.identifier.login_by_user(user_name=secured, password="secret")
        for wrong in (authenticator.wrong(), "12345", "あいうえおか"):
            with sdk.refuses(Unauthorized, WRONG_OTP):
                sdk.identifier.login_by_user(user_name=secured, password="secret", otp=wrong)
        with sdk.refuses(Unauthorized, WRONG_PASSWORD):
            sdk.identifier.login_by_user(user_name=secured, password="wrong")
        otp = log_in_once(sdk, secured, authenticator)
        with sdk.refuses(Unauthorized, WRONG_OTP):
            sdk.identifier.login_by_user(user_name=secured, password="secret", otp=otp)

    def test_far_passcodes_i07(self, sdk, secured):
        """I-07: passcodes of minutes ago or ahead are wrong (RFC 6238, 5.2)."""
        authenticator = enable(sdk, secured)
        for steps in (-10, 10):
            with sdk.refuses(Unauthorized, WRONG_OTP):
                sdk.identifier.login_by_user(user_name=secured, password="secret", otp=authenticator.code(steps))

    def test_disable_i01(self, sdk, secured):
        enable(sdk, secured)
        item = sdk.identifier.disable_mfa(user_name=secured).item
        assert item.enable_two_factor_authentication == "Disable"
        assert item.two_factor_authentication_setting is None
        assert sdk.identifier.get_password(user_name=secured).item.to_dict() == item.to_dict()
        assert sdk.identifier.login_by_user(user_name=secured, password="secret").item.token

    def test_disable_while_verifying_i01(self, sdk, secured):
        sdk.identifier.enable_mfa(user_name=secured)
        assert sdk.identifier.disable_mfa(user_name=secured).item.two_factor_authentication_setting is None
        with sdk.refuses(BadRequest, "identifier.password.twoFactorAuthenticationSetting.error.require"):
            sdk.identifier.challenge_mfa(user_name=secured, passcode="000000")

    def test_enable_when_enabled_e13(self, sdk, secured):
        enable(sdk, secured)
        with sdk.refuses(BadRequest, "identifier.password.enableTwoFactorAuthentication.error.exists"):
            sdk.identifier.enable_mfa(user_name=secured)
        assert sdk.identifier.get_password(user_name=secured).item.two_factor_authentication_setting.status == "Enable"

    def test_challenge_before_enable_i01(self, sdk, secured):
        with sdk.refuses(BadRequest, "identifier.password.twoFactorAuthenticationSetting.error.require"):
            sdk.identifier.challenge_mfa(user_name=secured, passcode="000000")

    def test_goes_with_the_password_i01(self, sdk, secured):
        enable(sdk, secured)
        sdk.identifier.delete_password(user_name=secured)
        item = sdk.identifier.create_password(user_name=secured, password="secret").item
        assert item.enable_two_factor_authentication == "Disable"
        assert sdk.identifier.login_by_user(user_name=secured, password="secret").item.token

    @pytest.mark.parametrize("operation, fields", [
        ("enable_mfa", {}), ("challenge_mfa", {"passcode": "000000"}), ("disable_mfa", {}),
    ])
    def test_without_a_password_e07(self, sdk, user, operation, fields):
        with sdk.refuses(NotFound, NO_PASSWORD):
            getattr(sdk.identifier, operation)(user_name=user, **fields)
