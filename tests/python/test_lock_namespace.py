"""Lock: the namespaces, over both transports. BEHAVIOUR N-01 to N-16."""

import re
import time

import pytest
from gs2.lock import LogSetting

from harness.environment import unique
from harness.sdk import BadRequest, NotFound

MIXED = "あ𠮷"
MISSING = "lock.namespace.namespace.error.notFound"
CLOCK_SLACK_MS = 1000


def now_ms():
    return time.time_ns() // 1_000_000


def names(result):
    return [item.name for item in result.items]


def pages(sdk, prefix, limit):
    """Walks a list to its end and gives the names of each page."""
    token = None
    while True:
        result = sdk.lock.describe_namespaces(name_prefix=prefix, limit=limit, page_token=token)
        yield names(result)
        token = result.next_page_token
        if token is None:
            return


class TestCreate:
    def test_item_n03_n04_n11(self, sdk, environment, discard_namespace):
        """N-03, N-04, N-10, N-11: exact GRN, times in milliseconds, first revision 0 or 1."""
        log = f"grn:gs2:{environment.region}:{environment.owner_id}:log:{'あ'}"
        before = now_ms()
        item = sdk.lock.create_namespace(
            name=discard_namespace, description="text", log_setting=LogSetting().with_logging_namespace_id(log)).item
        assert item.namespace_id == environment.grn("lock", discard_namespace)
        assert (item.name, item.description, item.log_setting.logging_namespace_id) == (discard_namespace, "text", log)
        assert before - CLOCK_SLACK_MS <= item.created_at <= now_ms() + CLOCK_SLACK_MS
        assert item.updated_at == item.created_at
        assert item.revision in (0, 1)
        assert sdk.lock.get_namespace(namespace_name=discard_namespace).item.to_dict() == item.to_dict()

    def test_optional_fields_absent_n13(self, sdk, discard_namespace):
        item = sdk.lock.create_namespace(name=discard_namespace).item
        assert not item.description
        assert item.log_setting is None

    def test_values_at_their_limits_n02(self, sdk, admin):
        """N-01, N-02: the longest values come back as they were, counted in characters."""
        name = (unique("aZ0._-") + "n" * 128)[:128]
        description, log = MIXED * 512, "grn:gs2:" + ("𠮷あ" * 512)[:1016]
        item = sdk.lock.create_namespace(
            name=name, description=description, log_setting=LogSetting().with_logging_namespace_id(log)).item
        assert (item.name, item.description, item.log_setting.logging_namespace_id) == (name, description, log)
        assert admin.lock.delete_namespace(namespace_name=name).item.name == name

    @pytest.mark.parametrize("name", ["a", "9", "default.v1_x-y", "UPPER"])
    def test_names_n01(self, sdk, admin, name):
        name = unique(name)
        assert sdk.lock.create_namespace(name=name).item.name == name
        admin.lock.delete_namespace(namespace_name=name)

    def test_exists_e13(self, sdk, namespace):
        with sdk.refuses(BadRequest, "lock.namespace.name.error.exists"):
            sdk.lock.create_namespace(name=namespace, description="another")
        assert not sdk.lock.get_namespace(namespace_name=namespace).item.description

    def test_names_differ_by_case_n01(self, sdk, make_namespace):
        lower = unique("case")
        make_namespace(lower)
        make_namespace(lower.upper(), description="upper")
        assert not sdk.lock.get_namespace(namespace_name=lower).item.description
        assert sdk.lock.get_namespace(namespace_name=lower.upper()).item.description == "upper"

    @pytest.mark.parametrize("log, kind", [
        (None, "require"), ("", "require"), ("g" * 1025, "tooLong"), (MIXED * 513, "tooLong"), ("a\0b", "invalid"),
        (5, "invalid"),
    ], ids=["absent", "empty", "long", "long kana", "nul", "number"])
    @pytest.mark.parametrize("operation", ["create", "update"])
    def test_log_setting_e02_e09(self, sdk, namespace, operation, log, kind):
        """E-02, E-09: a nested member is reported under the nested model's name."""
        setting = LogSetting().with_logging_namespace_id(log)
        with sdk.refuses(BadRequest, f"lock.logSetting.loggingNamespaceId.error.{kind}"):
            if operation == "create":
                sdk.lock.create_namespace(name=unique(), log_setting=setting)
            else:
                sdk.lock.update_namespace(namespace_name=namespace, log_setting=setting)


class TestGet:
    def test_status_n12(self, sdk, namespace):
        assert sdk.lock.get_namespace_status(namespace_name=namespace).status == "ACTIVE"

    def test_version_n16(self, sdk):
        assert re.match(r"\d{4}-\d{2}-\d{2}", sdk.lock.get_service_version().item)

    @pytest.mark.parametrize("operation", ["get_namespace", "get_namespace_status", "update_namespace",
                                           "delete_namespace"])
    def test_missing_e07(self, sdk, operation):
        with sdk.refuses(NotFound, MISSING):
            getattr(sdk.lock, operation)(namespace_name=unique("absent"))


class TestUpdate:
    def test_replaces_the_settings_n13(self, sdk, environment, make_namespace):
        """N-13, N-11: absent members go back to their default; name and createdAt stay; the revision grows."""
        name = make_namespace(description="old", log_setting=LogSetting().with_logging_namespace_id("grn:old"))
        old = sdk.lock.get_namespace(namespace_name=name).item
        new = sdk.lock.update_namespace(namespace_name=name, description=MIXED).item
        assert (new.name, new.description, new.log_setting) == (name, MIXED, None)
        assert new.namespace_id == environment.grn("lock", name)
        assert new.created_at == old.created_at and new.updated_at >= old.updated_at
        assert new.revision > old.revision
        cleared = sdk.lock.update_namespace(
            namespace_name=name, log_setting=LogSetting().with_logging_namespace_id("grn:new")).item
        assert not cleared.description and cleared.log_setting.logging_namespace_id == "grn:new"
        assert cleared.revision > new.revision
        assert sdk.lock.get_namespace(namespace_name=name).item.to_dict() == cleared.to_dict()

    def test_longest_description_n02(self, sdk, namespace):
        description = "𠮷" * 1024
        item = sdk.lock.update_namespace(namespace_name=namespace, description=description).item
        assert item.description == description


class TestDelete:
    def test_removes_everything_n14(self, sdk, make_namespace):
        """N-14: the item comes back once more, the data is gone, also for a namespace of the same name."""
        name = make_namespace(description="text")
        mutex = {"namespace_name": name, "user_id": "user-1", "property_id": "property-1"}
        sdk.lock.lock_by_user_id(transaction_id="transaction-1", **mutex)
        assert sdk.lock.delete_namespace(namespace_name=name).item.description == "text"
        for operation in ("get_namespace", "get_namespace_status", "delete_namespace"):
            with sdk.refuses(NotFound, MISSING):
                getattr(sdk.lock, operation)(namespace_name=name)
        with sdk.refuses(NotFound, MISSING):
            sdk.lock.get_mutex_by_user_id(**mutex)
        assert not sdk.lock.create_namespace(name=name).item.description
        with sdk.refuses(NotFound, "lock.mutex.mutex.error.notFound"):
            sdk.lock.get_mutex_by_user_id(**mutex)
        assert sdk.lock.lock_by_user_id(transaction_id="transaction-2", **mutex).item.transaction_id == "transaction-2"

    def test_leaves_others_alone_n15(self, sdk, make_namespace):
        prefix = unique("ns")
        doomed, kept = make_namespace(prefix), make_namespace(prefix + "-x")
        sdk.lock.lock_by_user_id(namespace_name=kept, user_id="u", property_id="p", transaction_id="t")
        sdk.lock.delete_namespace(namespace_name=doomed)
        assert sdk.lock.get_mutex_by_user_id(namespace_name=kept, user_id="u", property_id="p").item.user_id == "u"


class TestDescribe:
    def test_order_and_paging_n07_n09(self, sdk, make_namespace):
        """N-07, N-09: ascending by name (byte order), the same under any page size, no token after the last page."""
        prefix = unique("ns")
        made = sorted(make_namespace(prefix + rest) for rest in ("b", "B", "a", "-", "_", ".", "10", "9", "ab", "Z"))
        assert names(sdk.lock.describe_namespaces(name_prefix=prefix)) == made
        assert list(pages(sdk, prefix, 1000)) == [made]
        assert [page for page in pages(sdk, prefix, 1) if page] == [[name] for name in made]
        threes = list(pages(sdk, prefix, 3))
        assert sum(threes, []) == made and all(len(page) <= 3 for page in threes)

    def test_default_limit_n07(self, sdk, make_namespace):
        """N-07: 30 items a page when no limit is given."""
        prefix = unique("ns")
        made = [make_namespace(f"{prefix}{number:02}") for number in range(31)]
        first = sdk.lock.describe_namespaces(name_prefix=prefix)
        assert names(first) == made[:30]
        second = sdk.lock.describe_namespaces(name_prefix=prefix, page_token=first.next_page_token)
        assert names(second) == made[30:] and second.next_page_token is None

    def test_changes_between_pages_n09(self, sdk, admin, make_namespace):
        """N-09: what comes or goes before the next page neither repeats nor hides anything else."""
        prefix = unique("ns")
        b, c, d = (make_namespace(prefix + letter) for letter in "bcd")
        first = sdk.lock.describe_namespaces(name_prefix=prefix, limit=2)
        assert names(first) == [b, c]
        make_namespace(prefix + "a")
        admin.lock.delete_namespace(namespace_name=c)
        e = make_namespace(prefix + "e")
        assert names(sdk.lock.describe_namespaces(
            name_prefix=prefix, limit=2, page_token=first.next_page_token)) == [d, e]

    @pytest.mark.parametrize("marker, other", [("_", "x"), ("A", "a"), (".", "x"), ("-", "x")])
    def test_prefix_is_literal_n08(self, sdk, make_namespace, marker, other):
        """N-08: no character of the prefix stands for others, and case matters."""
        stem = unique("ns")
        wanted = make_namespace(stem + marker + "1")
        make_namespace(stem + other + "1")
        make_namespace("x" + stem + marker + "1")
        assert names(sdk.lock.describe_namespaces(name_prefix=stem + marker)) == [wanted]

    def test_prefix_without_match_n08(self, sdk):
        result = sdk.lock.describe_namespaces(name_prefix=unique("nothing"))
        assert names(result) == [] and result.next_page_token is None

    def test_longest_prefix_n08(self, sdk, make_namespace):
        stem = (unique("ns") + "p" * 64)[:64]
        wanted = make_namespace(stem + "-1")
        assert names(sdk.lock.describe_namespaces(name_prefix=stem)) == [wanted]

    def test_without_prefix_n07(self, sdk, namespace):
        """N-07: the list of all namespaces holds the new one; a null token and prefix count as absent."""
        token, found = None, []
        while True:
            result = sdk.lock.describe_namespaces(name_prefix=None, page_token=token, limit=1000)
            found += names(result)
            token = result.next_page_token
            if token is None:
                break
        assert namespace in found and found == sorted(found)
