"""Identifier: users, credentials, guards and login, over both transports. BEHAVIOUR section 3."""

import re
import time

import pytest
from gs2 import core

from harness.environment import unique
from harness.policy import EVERYTHING, common
from harness.sdk import BadRequest, NotFound, Unauthorized

MIXED = "あ𠮷"
NO_USER = "identifier.user.user.error.notFound"
NO_IDENTIFIER = "identifier.identifier.identifier.error.notFound"
WRONG_SECRET = "identifier.identifier.clientSecret.error.invalid"
DEAD_TOKEN = "lock.projectToken.projectToken.error.invalid"
CLOCK_SLACK_MS = 1000


def collect(describe, key, limit, **fields):
    """All pages of a list: the keys in order, and the sizes of the pages."""
    keys, sizes, token = [], [], None
    while True:
        result = describe(limit=limit, page_token=token, **fields)
        keys += [getattr(item, key) for item in result.items]
        sizes.append(len(result.items))
        token = result.next_page_token
        if token is None:
            return keys, sizes


class TestUser:
    def test_create_and_get_n03_n04_n11(self, sdk, admin, environment):
        name, before = unique("user"), time.time_ns() // 1_000_000
        item = sdk.identifier.create_user(name=name, description=MIXED * 512).item
        assert item.user_id == environment.grn("identifier", "user", name)
        assert item.user_id.startswith("grn:gs2::"), "no region in Identifier's GRNs"
        assert (item.name, item.description) == (name, MIXED * 512)
        assert item.created_at == item.updated_at
        assert before - CLOCK_SLACK_MS <= item.created_at <= time.time_ns() // 1_000_000 + CLOCK_SLACK_MS
        assert item.revision in (0, 1)
        assert sdk.identifier.get_user(user_name=name).item.to_dict() == item.to_dict()
        assert admin.identifier.delete_user(user_name=name).item.to_dict() == item.to_dict()

    def test_without_description_i01(self, sdk, admin):
        name = unique("user")
        assert not sdk.identifier.create_user(name=name).item.description
        admin.identifier.delete_user(user_name=name)

    def test_longest_name_n01(self, sdk, admin):
        name = (unique("aZ0._-") + "n" * 128)[:128]
        assert sdk.identifier.create_user(name=name).item.name == name
        assert admin.identifier.get_user(user_name=name).item.name == name
        admin.identifier.delete_user(user_name=name)

    def test_exists_e13(self, sdk, user):
        with sdk.refuses(BadRequest, "identifier.user.name.error.exists"):
            sdk.identifier.create_user(name=user)

    def test_update_n11(self, sdk, user):
        old = sdk.identifier.get_user(user_name=user).item
        new = sdk.identifier.update_user(user_name=user, description="new").item
        assert (new.name, new.user_id, new.created_at) == (old.name, old.user_id, old.created_at)
        assert new.description == "new" and new.revision > old.revision and new.updated_at >= old.updated_at
        assert sdk.identifier.get_user(user_name=user).item.to_dict() == new.to_dict()

    @pytest.mark.parametrize("operation, fields", [
        ("get_user", {}), ("update_user", {"description": "x"}), ("delete_user", {}),
        ("describe_identifiers", {}), ("create_identifier", {}),
        ("get_identifier", {"client_id": "absent"}), ("delete_identifier", {"client_id": "absent"}),
        ("describe_attached_guards", {"client_id": "absent"}),
        ("attach_guard", {"client_id": "absent", "guard_namespace_id": "grn:absent"}),
        ("detach_guard", {"client_id": "absent", "guard_namespace_id": "grn:absent"}),
        ("create_password", {"password": "x"}), ("get_password", {}), ("enable_mfa", {}),
        ("challenge_mfa", {"passcode": "000000"}), ("disable_mfa", {}), ("delete_password", {}),
        ("get_has_security_policy", {}),
        ("attach_security_policy", {"security_policy_id": common("AdministratorAccess")}),
        ("detach_security_policy", {"security_policy_id": common("AdministratorAccess")}),
    ])
    def test_missing_e07(self, sdk, operation, fields):
        """E-07: a missing user is named as `user`, whatever else is missing."""
        with sdk.refuses(NotFound, NO_USER):
            getattr(sdk.identifier, operation)(user_name=unique("absent"), **fields)

    def test_describe_n07_n09(self, sdk, make_user):
        """N-07, N-09: ascending by name, the same under any page size."""
        made = {make_user(unique(prefix)) for prefix in ("b", "B", "a", "_", "0")}
        every, _sizes = collect(sdk.identifier.describe_users, "name", 1000)
        assert made <= set(every) and every == sorted(every)
        for limit in (1, 3):
            names, sizes = collect(sdk.identifier.describe_users, "name", limit)
            assert names == every and max(sizes) <= limit

    def test_describe_default_limit_n07(self, sdk, make_user):
        for _number in range(31):
            make_user()
        result = sdk.identifier.describe_users()
        assert len(result.items) == 30 and result.next_page_token

    def test_delete_takes_everything_along_i01(self, sdk, admin, make_user, open_sdk):
        """I-01, E-16: credentials, tokens, password and policies end with the user, at once."""
        name = make_user(policies=[common("AdministratorAccess")])
        admin.identifier.create_password(user_name=name, password="secret")
        made = admin.identifier.create_identifier(user_name=name)
        theirs = open_sdk(sdk.transport, made.item.client_id, made.client_secret)
        theirs.lock.describe_namespaces(limit=1)
        assert sdk.identifier.delete_user(user_name=name).item.name == name
        with theirs.refuses(Unauthorized, DEAD_TOKEN):
            theirs.lock.describe_namespaces(limit=1)
        with sdk.refuses(Unauthorized, WRONG_SECRET):
            sdk.identifier.login(client_id=made.item.client_id, client_secret=made.client_secret)
        with sdk.refuses(Unauthorized, "identifier.password.password.error.invalid"):
            sdk.identifier.login_by_user(user_name=name, password="secret")
        with sdk.refuses(NotFound, NO_USER):
            sdk.identifier.get_user(user_name=name)
        make_user(name)
        assert sdk.identifier.describe_identifiers(user_name=name).items == []
        assert sdk.identifier.get_has_security_policy(user_name=name).items == []
        with sdk.refuses(NotFound, "identifier.password.password.error.notFound"):
            sdk.identifier.get_password(user_name=name)
        with theirs.refuses(Unauthorized, DEAD_TOKEN):
            theirs.lock.describe_namespaces(limit=1)


class TestIdentifier:
    def test_create_and_get_i02(self, sdk, user):
        """I-02: the secret is given once, with the new credential."""
        before = time.time_ns() // 1_000_000
        result = sdk.identifier.create_identifier(user_name=user)
        item, secret = result.item, result.client_secret
        assert 0 < len(item.client_id) <= 256 and 0 < len(secret) <= 100
        assert item.user_name == user and item.revision in (0, 1)
        assert before - CLOCK_SLACK_MS <= item.created_at <= time.time_ns() // 1_000_000 + CLOCK_SLACK_MS
        read = sdk.identifier.get_identifier(user_name=user, client_id=item.client_id).item
        assert (read.client_id, read.user_name, read.created_at) == (item.client_id, user, item.created_at)
        assert secret not in str(sdk.answer)
        sdk.identifier.describe_identifiers(user_name=user)
        assert secret not in str(sdk.answer)
        sdk.identifier.delete_identifier(user_name=user, client_id=item.client_id)
        assert secret not in str(sdk.answer)

    def test_many_of_one_user_n07_n09(self, sdk, user):
        """I-01, N-07, N-09: ascending by client id, page by page."""
        made = sorted(sdk.identifier.create_identifier(user_name=user).item.client_id for _ in range(4))
        assert len(set(made)) == 4
        for limit in (1, 3, 4, 1000):
            keys, sizes = collect(sdk.identifier.describe_identifiers, "client_id", limit, user_name=user)
            assert keys == made and max(sizes) <= limit
        assert [i.client_id for i in sdk.identifier.describe_identifiers(user_name=user).items] == made

    def test_belongs_to_one_user_i01(self, sdk, make_user):
        owner, other = make_user(), make_user()
        client_id = sdk.identifier.create_identifier(user_name=owner).item.client_id
        assert sdk.identifier.describe_identifiers(user_name=other).items == []
        for operation in ("get_identifier", "delete_identifier"):
            with sdk.refuses(NotFound, NO_IDENTIFIER):
                getattr(sdk.identifier, operation)(user_name=other, client_id=client_id)
        assert sdk.identifier.get_identifier(user_name=owner, client_id=client_id).item.user_name == owner

    @pytest.mark.parametrize("operation, fields", [
        ("get_identifier", {}), ("delete_identifier", {}), ("describe_attached_guards", {}),
        ("attach_guard", {"guard_namespace_id": "grn:absent"}), ("detach_guard", {"guard_namespace_id": "grn:absent"}),
    ])
    def test_missing_e07(self, sdk, user, operation, fields):
        with sdk.refuses(NotFound, NO_IDENTIFIER):
            getattr(sdk.identifier, operation)(user_name=user, client_id="absent", **fields)

    def test_delete_ends_its_tokens_e16(self, sdk, admin, make_user, open_sdk):
        """E-16: login and the tokens of this credential end at once; the user's other credential goes on."""
        name = make_user(policies=[common("AdministratorAccess")])
        doomed, kept = (admin.identifier.create_identifier(user_name=name) for _ in range(2))
        first, second = (open_sdk(sdk.transport, made.item.client_id, made.client_secret) for made in (doomed, kept))
        first.lock.describe_namespaces(limit=1)
        gone = sdk.identifier.delete_identifier(user_name=name, client_id=doomed.item.client_id).item
        assert gone.client_id == doomed.item.client_id
        with first.refuses(Unauthorized, DEAD_TOKEN):
            first.lock.describe_namespaces(limit=1)
        with sdk.refuses(Unauthorized, WRONG_SECRET):
            sdk.identifier.login(client_id=doomed.item.client_id, client_secret=doomed.client_secret)
        second.lock.describe_namespaces(limit=1)
        with sdk.refuses(NotFound, NO_IDENTIFIER):
            sdk.identifier.delete_identifier(user_name=name, client_id=doomed.item.client_id)


class TestGuard:
    """I-15: guard namespaces of a credential."""

    @pytest.fixture
    def credential(self, admin, user):
        return {"user_name": user, "client_id": admin.identifier.create_identifier(user_name=user).item.client_id}

    def test_attach_and_detach_i15(self, sdk, environment, credential):
        first, second = (environment.grn("guard", name) for name in ("b", "a"))
        assert sdk.identifier.describe_attached_guards(**credential).items == []
        assert sdk.identifier.attach_guard(guard_namespace_id=first, **credential).items == [first]
        assert sdk.identifier.attach_guard(guard_namespace_id=second, **credential).items == [first, second]
        assert sdk.identifier.attach_guard(guard_namespace_id=first, **credential).items == [first, second]
        assert sdk.identifier.describe_attached_guards(**credential).items == [first, second]
        assert sdk.identifier.detach_guard(guard_namespace_id=first, **credential).items == [second]
        assert sdk.identifier.describe_attached_guards(**credential).items == [second]
        assert sdk.identifier.detach_guard(guard_namespace_id=second, **credential).items == []

    def test_detach_of_one_not_attached_i15(self, sdk, environment, credential):
        with sdk.refuses(NotFound, "identifier.guard.guard.error.notFound"):
            sdk.identifier.detach_guard(guard_namespace_id=environment.grn("guard", "absent"), **credential)

    def test_longest_i15_n02(self, sdk, credential):
        guard = "grn:gs2:" + "g" * 1016
        assert sdk.identifier.attach_guard(guard_namespace_id=guard, **credential).items == [guard]
        assert sdk.identifier.detach_guard(guard_namespace_id=guard, **credential).items == []

    def test_belongs_to_one_credential_i15(self, sdk, environment, user, credential):
        other = sdk.identifier.create_identifier(user_name=user).item.client_id
        sdk.identifier.attach_guard(guard_namespace_id=environment.grn("guard", "a"), **credential)
        assert sdk.identifier.describe_attached_guards(user_name=user, client_id=other).items == []


class TestLogin:
    def test_by_client_id_i03_i04(self, sdk, environment, open_sdk):
        """I-03, I-04: the answer in snake case; its token works as a bearer."""
        result = sdk.identifier.login(client_id=environment.client_id, client_secret=environment.client_secret)
        assert (result.token_type, result.expires_in, result.owner_id) == ("Bearer", 3600, environment.owner_id)
        assert {"access_token", "token_type", "expires_in", "owner_id"} <= set(sdk.answer)
        session = open_sdk(sdk.transport, token=result.access_token)
        session.lock.describe_namespaces(limit=1)

    @pytest.mark.parametrize("client_id, secret", [("known", "wrong"), ("absent", "known"), ("known", "あ")])
    def test_wrong_pair_i05(self, sdk, environment, client_id, secret):
        with sdk.refuses(Unauthorized, WRONG_SECRET):
            sdk.identifier.login(
                client_id=environment.client_id if client_id == "known" else client_id,
                client_secret=environment.client_secret if secret == "known" else secret)

    def test_of_another_credential_i05(self, sdk, user):
        """I-01, I-05: a secret fits its own client id only."""
        first, second = (sdk.identifier.create_identifier(user_name=user) for _ in range(2))
        with sdk.refuses(Unauthorized, WRONG_SECRET):
            sdk.identifier.login(client_id=first.item.client_id, client_secret=second.client_secret)

    def test_nothing_given_i05_e14(self, sdk):
        with sdk.refuses(BadRequest, "identifier.projectToken.clientId.error.require",
                         "identifier.projectToken.clientSecret.error.require"):
            sdk.identifier.login()

    def test_session_of_the_sdk_i05(self, sdk, environment, open_sdk):
        """I-05, T-25: the SDK's own login gets the same refusal."""
        with pytest.raises(core.UnauthorizedException) as caught:
            open_sdk(sdk.transport, environment.client_id, "wrong")
        assert caught.value.errors[0].message == WRONG_SECRET

    def test_with_a_stale_token_i03(self, sdk, environment, open_sdk):
        """I-03: login needs no project token and minds none."""
        stale = open_sdk(sdk.transport, token="stale")
        result = stale.identifier.login(client_id=environment.client_id, client_secret=environment.client_secret)
        assert result.access_token


def test_version_n16(sdk):
    """N-16: Identifier gives the version as `status` and as `item`."""
    version = sdk.identifier.get_service_version().status
    assert re.match(r"\d{4}-\d{2}-\d{2}", version)
    assert sdk.answer["item"] == version


def test_a_new_user_can_be_given_everything_i16(sign_in):
    """I-01, I-16: a user with a full policy administers as the bootstrap user does."""
    theirs = sign_in(EVERYTHING)
    name = unique("user")
    assert theirs.identifier.create_user(name=name).item.name == name
    assert theirs.identifier.delete_user(user_name=name).item.name == name
