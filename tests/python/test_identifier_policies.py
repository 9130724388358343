"""Identifier: security policies and their attachment, over both transports. BEHAVIOUR I-08, I-12, I-14."""

import time

import pytest

from harness.environment import unique
from harness.policy import EVERYTHING, allow, common, deny, document
from harness.sdk import BadRequest, NotFound

MIXED = "あ𠮷"
NO_POLICY = "identifier.securityPolicy.securityPolicy.error.notFound"
COMMON = ["AdministratorAccess", "ApplicationAccess", "DeliveryAccess", "UnauthenticatedAccess"]
POLICY_CHARACTERS = 524288
CLOCK_SLACK_MS = 1000


def names(result):
    return [item.name for item in result.items]


def long_policy(length):
    """A valid document of exactly so many characters and many more bytes."""
    frame = document(deny("Gs2Lock:Lock", on=["grn:"]))
    start = frame.index("grn:") + len("grn:")
    return frame[:start] + (("a" * 14 + MIXED) * length)[:length - len(frame)] + frame[start:]


class TestPolicy:
    def test_create_get_delete_n03_n04(self, sdk, environment):
        name, before = unique("policy"), time.time_ns() // 1_000_000
        item = sdk.identifier.create_security_policy(name=name, description=MIXED * 512, policy=EVERYTHING).item
        assert item.security_policy_id == environment.grn("identifier", "securityPolicy", name)
        assert (item.name, item.description, item.policy) == (name, MIXED * 512, EVERYTHING)
        assert item.created_at == item.updated_at
        assert before - CLOCK_SLACK_MS <= item.created_at <= time.time_ns() // 1_000_000 + CLOCK_SLACK_MS
        assert sdk.identifier.get_security_policy(security_policy_name=name).item.to_dict() == item.to_dict()
        assert sdk.identifier.delete_security_policy(security_policy_name=name).item.to_dict() == item.to_dict()
        for operation in ("get_security_policy", "delete_security_policy"):
            with sdk.refuses(NotFound, NO_POLICY):
                getattr(sdk.identifier, operation)(security_policy_name=name)

    def test_longest_values_n01_n02(self, sdk, admin):
        """N-01, I-08: names of 128 and documents of 524,288 characters."""
        name, text = (unique("policy") + "n" * 128)[:128], long_policy(POLICY_CHARACTERS)
        assert len(text) == POLICY_CHARACTERS
        assert sdk.identifier.create_security_policy(name=name, policy=text).item.policy == text
        assert admin.identifier.delete_security_policy(security_policy_name=name).item.policy == text

    def test_exists_e13(self, sdk, make_policy):
        policy = make_policy(EVERYTHING)
        with sdk.refuses(BadRequest, "identifier.securityPolicy.name.error.exists"):
            sdk.identifier.create_security_policy(name=policy.name, policy=document(deny("*")))
        assert sdk.identifier.get_security_policy(security_policy_name=policy.name).item.policy == EVERYTHING

    def test_update_i08(self, sdk, make_policy):
        old, text = make_policy(EVERYTHING), document(deny("*"))
        new = sdk.identifier.update_security_policy(
            security_policy_name=old.name, description="new", policy=text).item
        assert (new.name, new.security_policy_id, new.created_at) == (old.name, old.security_policy_id, old.created_at)
        assert (new.description, new.policy) == ("new", text) and new.updated_at >= old.updated_at
        assert sdk.identifier.get_security_policy(security_policy_name=old.name).item.to_dict() == new.to_dict()

    def test_update_missing_e07(self, sdk):
        with sdk.refuses(NotFound, NO_POLICY):
            sdk.identifier.update_security_policy(security_policy_name=unique("absent"), policy=EVERYTHING)

    @pytest.mark.parametrize("text", [
        "not json",
        "[]",
        "{}",
        "null",
        EVERYTHING[:-1],
        '{"Version":"2016-04-01"}',
        '{"Version":"2016-04-01","Statements":{}}',
        '{"Version":"2016-04-01","Statements":["Allow"]}',
        '{"Version":"2016-04-01","Statements":[{"Actions":["*"],"Resources":["*"]}]}',
        '{"Version":"2016-04-01","Statements":[{"Effect":"Perhaps","Actions":["*"],"Resources":["*"]}]}',
        '{"Version":"2016-04-01","Statements":[{"Effect":"Allow","Resources":["*"]}]}',
        '{"Version":"2016-04-01","Statements":[{"Effect":"Allow","Actions":"*","Resources":["*"]}]}',
        '{"Version":"2016-04-01","Statements":[{"Effect":"Allow","Actions":[1],"Resources":["*"]}]}',
        '{"Version":"2016-04-01","Statements":[{"Effect":"Allow","Actions":["*"],"Resources":"*"}]}',
    ])
    def test_invalid_document_i08(self, sdk, make_policy, text):
        with sdk.refuses(BadRequest, "identifier.securityPolicy.policy.error.invalid"):
            sdk.identifier.create_security_policy(name=unique("policy"), policy=text)
        kept = make_policy(EVERYTHING)
        with sdk.refuses(BadRequest, "identifier.securityPolicy.policy.error.invalid"):
            sdk.identifier.update_security_policy(security_policy_name=kept.name, policy=text)
        assert sdk.identifier.get_security_policy(security_policy_name=kept.name).item.policy == EVERYTHING


class TestDescribe:
    def test_own_policies_n07_n09(self, sdk, make_policy):
        """N-07, N-09, I-12: ascending by name, the same under any page size, built-in ones not among them."""
        made = {make_policy(EVERYTHING, unique(prefix)).name for prefix in ("b", "B", "a", "_", "0")}
        every = names(sdk.identifier.describe_security_policies(limit=1000))
        assert made <= set(every) and every == sorted(every) and not set(COMMON) & set(every)
        for limit in (1, 3):
            found, token = [], None
            while True:
                page = sdk.identifier.describe_security_policies(limit=limit, page_token=token)
                assert len(page.items) <= limit
                found += names(page)
                token = page.next_page_token
                if token is None:
                    break
            assert found == every

    def test_default_limit_n07(self, sdk, make_policy):
        for _number in range(31):
            make_policy(EVERYTHING)
        result = sdk.identifier.describe_security_policies()
        assert len(result.items) == 30 and result.next_page_token

    def test_common_policies_i12(self, sdk):
        result = sdk.identifier.describe_common_security_policies()
        assert names(result) == COMMON and result.next_page_token is None
        for item in result.items:
            assert item.security_policy_id == common(item.name)
            assert item.policy and item.policy.startswith("{")

    def test_common_policies_by_page_n07(self, sdk):
        first = sdk.identifier.describe_common_security_policies(limit=1)
        assert names(first) == COMMON[:1]
        rest = sdk.identifier.describe_common_security_policies(limit=3, page_token=first.next_page_token)
        assert names(rest) == COMMON[1:]

    @pytest.mark.parametrize("name", COMMON)
    def test_common_policies_belong_to_the_system_i12(self, sdk, name):
        with sdk.refuses(NotFound, NO_POLICY):
            sdk.identifier.get_security_policy(security_policy_name=name)
        with sdk.refuses(NotFound, NO_POLICY):
            sdk.identifier.update_security_policy(security_policy_name=name, policy=EVERYTHING)
        with sdk.refuses(NotFound, NO_POLICY):
            sdk.identifier.delete_security_policy(security_policy_name=name)


class TestAttach:
    def test_attach_and_detach_i14(self, sdk, user, make_policy):
        """I-14: every call answers the whole list, in the order of attachment; twice is once."""
        own = [make_policy(EVERYTHING, unique(prefix)) for prefix in ("b", "a")]
        grns = [own[0].security_policy_id, common("ApplicationAccess"), own[1].security_policy_id]
        assert sdk.identifier.get_has_security_policy(user_name=user).items == []
        for count, grn in enumerate(grns, 1):
            items = sdk.identifier.attach_security_policy(user_name=user, security_policy_id=grn).items
            assert [item.security_policy_id for item in items] == grns[:count]
        assert items[0].to_dict() == own[0].to_dict()
        again = sdk.identifier.attach_security_policy(user_name=user, security_policy_id=grns[0]).items
        assert [item.security_policy_id for item in again] == grns
        has = sdk.identifier.get_has_security_policy(user_name=user).items
        assert [item.security_policy_id for item in has] == grns
        left = sdk.identifier.detach_security_policy(user_name=user, security_policy_id=grns[1]).items
        assert [item.security_policy_id for item in left] == [grns[0], grns[2]]
        has = sdk.identifier.get_has_security_policy(user_name=user).items
        assert [item.security_policy_id for item in has] == [grns[0], grns[2]]

    @pytest.mark.parametrize("name", COMMON)
    def test_common_policies_i12(self, sdk, user, name):
        items = sdk.identifier.attach_security_policy(user_name=user, security_policy_id=common(name)).items
        assert [item.name for item in items] == [name]

    @pytest.mark.parametrize("which", ["own", "system", "foreign", "no grn", "longest", "kana"])
    def test_unknown_policy_e07(self, sdk, environment, user, which):
        grn = {
            "own": environment.grn("identifier", "securityPolicy", unique("absent")),
            "system": common("Absent"),
            "foreign": "grn:gs2::somebody:identifier:securityPolicy:AdministratorAccess",
            "no grn": "AdministratorAccess",
            "longest": "g" * 1024,
            "kana": MIXED * 512,
        }[which]
        for operation in ("attach_security_policy", "detach_security_policy"):
            with sdk.refuses(NotFound, NO_POLICY):
                getattr(sdk.identifier, operation)(user_name=user, security_policy_id=grn)

    def test_detach_of_one_not_attached_e07(self, sdk, user, make_policy):
        with sdk.refuses(NotFound, NO_POLICY):
            sdk.identifier.detach_security_policy(
                user_name=user, security_policy_id=make_policy(EVERYTHING).security_policy_id)

    def test_ten_at_most_i01(self, sdk, user, make_policy):
        """I-01, E-09: ten policies per user; an eleventh is too many, one of the ten again is not."""
        grns = [make_policy(EVERYTHING).security_policy_id for _number in range(11)]
        for grn in grns[:10]:
            sdk.identifier.attach_security_policy(user_name=user, security_policy_id=grn)
        with sdk.refuses(BadRequest, "identifier.attachSecurityPolicy.securityPolicyIds.error.tooMany"):
            sdk.identifier.attach_security_policy(user_name=user, security_policy_id=grns[10])
        again = sdk.identifier.attach_security_policy(user_name=user, security_policy_id=grns[3]).items
        assert [item.security_policy_id for item in again] == grns[:10]
        sdk.identifier.detach_security_policy(user_name=user, security_policy_id=grns[0])
        items = sdk.identifier.attach_security_policy(user_name=user, security_policy_id=grns[10]).items
        assert [item.security_policy_id for item in items] == grns[1:]

    def test_users_do_not_share_i01(self, sdk, make_user, make_policy):
        first, second, grn = make_user(), make_user(), make_policy(EVERYTHING).security_policy_id
        sdk.identifier.attach_security_policy(user_name=first, security_policy_id=grn)
        assert sdk.identifier.get_has_security_policy(user_name=second).items == []

    def test_deleting_a_policy_detaches_it_i14(self, sdk, make_user, make_policy):
        users, doomed, kept = [make_user(), make_user()], make_policy(EVERYTHING), make_policy(EVERYTHING)
        for name in users:
            for policy in (doomed, kept):
                sdk.identifier.attach_security_policy(user_name=name, security_policy_id=policy.security_policy_id)
        sdk.identifier.delete_security_policy(security_policy_name=doomed.name)
        for name in users:
            assert names(sdk.identifier.get_has_security_policy(user_name=name)) == [kept.name]
        make_policy(EVERYTHING, doomed.name)
        assert names(sdk.identifier.get_has_security_policy(user_name=users[0])) == [kept.name]

    def test_updating_a_policy_keeps_it_attached_i14(self, sdk, make_user, make_policy):
        policy = make_policy(EVERYTHING)
        name = make_user(policies=[policy.security_policy_id])
        text = document(allow("Gs2Lock:*"))
        sdk.identifier.update_security_policy(security_policy_name=policy.name, policy=text)
        assert [item.policy for item in sdk.identifier.get_has_security_policy(user_name=name).items] == [text]
