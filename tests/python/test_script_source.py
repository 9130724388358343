"""Script: namespaces and stored scripts, over both transports. BEHAVIOUR N-01 to N-16, SC-01, SC-02."""

import re

import pytest
from gs2 import core
from gs2.script import GitHubCheckoutSetting, LogSetting, TransactionSetting, TransactionSettingV2

from harness.environment import unique
from harness.github import TOKEN
from harness.jobs import ECHO, NO_SCRIPT
from harness.sdk import BadRequest, NotFound, QuotaExceeded

MIXED = "あ𠮷"
NO_NAMESPACE = "script.namespace.namespace.error.notFound"
LONGEST = 5_242_880
EVERY_OPERATION = ("create", "create_from_git_hub", "get", "update", "update_from_git_hub", "delete", "describe")


class TestNamespace:
    def test_item_n04_n11(self, sdk, environment, discard_scripts):
        item = sdk.script.create_namespace(name=discard_scripts, description=MIXED).item
        assert item.namespace_id == environment.grn("script", discard_scripts)
        assert (item.name, item.description, item.revision) == (discard_scripts, MIXED, 1)
        assert item.created_at == item.updated_at
        assert sdk.script.get_namespace(namespace_name=discard_scripts).item.to_dict() == item.to_dict()
        assert sdk.script.get_namespace_status(namespace_name=discard_scripts).status == "ACTIVE"
        with sdk.refuses(BadRequest, "script.namespace.name.error.exists"):
            sdk.script.create_namespace(name=discard_scripts)

    def test_version_n16(self, sdk):
        assert re.match(r"\d{4}-\d{2}-\d{2}", sdk.script.get_service_version().item)

    @pytest.mark.parametrize("operation", ["get_namespace", "get_namespace_status", "update_namespace",
                                           "delete_namespace"])
    def test_missing_e07(self, sdk, operation):
        with sdk.refuses(NotFound, NO_NAMESPACE):
            getattr(sdk.script, operation)(namespace_name=unique("absent"))

    def test_describe_n07_n08_n09(self, sdk, make_scripts):
        prefix = unique("ns")
        made = sorted(make_scripts(prefix + rest).namespace for rest in ("b", "B", "a", "_", "10"))
        make_scripts("x" + prefix)
        first = sdk.script.describe_namespaces(name_prefix=prefix, limit=3)
        rest = sdk.script.describe_namespaces(name_prefix=prefix, limit=3, page_token=first.next_page_token)
        assert [item.name for item in first.items + rest.items] == made and rest.next_page_token is None

    def test_update_replaces_the_settings_n13(self, sdk, make_scripts):
        name = make_scripts(
            description="old", transaction_setting=TransactionSetting().with_enable_auto_run(True),
            transaction_setting_v2=TransactionSettingV2().with_enable_parallel_execution(True),
            log_setting=LogSetting().with_logging_namespace_id("grn:old")).namespace
        old = sdk.script.get_namespace(namespace_name=name).item
        assert old.transaction_setting.enable_auto_run and old.transaction_setting_v2.enable_parallel_execution
        new = sdk.script.update_namespace(namespace_name=name).item
        assert (new.name, new.created_at, new.revision) == (name, old.created_at, 2)
        assert not new.description
        assert (new.transaction_setting, new.transaction_setting_v2, new.log_setting) == (None, None, None)

    def test_deletion_takes_the_scripts_n14(self, sdk, make_scripts):
        scripts = make_scripts()
        script_id = scripts.store(ECHO, "hello")
        assert sdk.script.invoke_script(script_id=script_id).code == 200
        assert sdk.script.delete_namespace(namespace_name=scripts.namespace).item.name == scripts.namespace
        for _time in range(2):
            with sdk.refuses(NotFound, NO_SCRIPT):
                sdk.script.invoke_script(script_id=script_id)
        make_scripts(scripts.namespace)
        assert sdk.script.describe_scripts(namespace_name=scripts.namespace).items == []
        with sdk.refuses(NotFound, NO_SCRIPT):
            sdk.script.get_script(namespace_name=scripts.namespace, script_name="hello")


class Stored:
    """The script calls of one namespace over the transport under test."""

    def __init__(self, sdk, namespace):
        self.sdk, self.namespace = sdk, namespace

    def create(self, name="hello", script=ECHO, **fields):
        return self.sdk.script.create_script(
            namespace_name=self.namespace, name=name, script=script, **fields).item

    def update(self, name="hello", script=ECHO, **fields):
        return self.sdk.script.update_script(
            namespace_name=self.namespace, script_name=name, script=script, **fields).item

    def create_from_git_hub(self, name="hello", setting=None, **fields):
        return self.sdk.script.create_script_from_git_hub(
            namespace_name=self.namespace, name=name, checkout_setting=setting or checkout(), **fields)

    def update_from_git_hub(self, name="hello", setting=None, **fields):
        return self.sdk.script.update_script_from_git_hub(
            namespace_name=self.namespace, script_name=name, checkout_setting=setting or checkout(), **fields)

    def get(self, name="hello"):
        return self.sdk.script.get_script(namespace_name=self.namespace, script_name=name).item

    def delete(self, name="hello"):
        return self.sdk.script.delete_script(namespace_name=self.namespace, script_name=name).item

    def describe(self, **fields):
        return self.sdk.script.describe_scripts(namespace_name=self.namespace, **fields)

    def names(self, **fields):
        return [item.name for item in self.describe(**fields).items]


def checkout(**members):
    setting = GitHubCheckoutSetting()
    members = {"api_key_id": "grn:gs2:{region}:{ownerId}:key:absent:github:absent",
               "repository_name": "owner/repository", "source_path": "a.lua",
               "reference_type": "branch", "branch_name": "main", **members}
    for name, value in members.items():
        getattr(setting, f"with_{name}")(value)
    return setting


@pytest.fixture
def stored(sdk, scripts):
    return Stored(sdk, scripts.namespace)


class TestScript:
    def test_item_n04_sc01_sc02(self, stored, environment):
        """N-04, N-11, SC-01, SC-02: the GRN, the source as it was given, and the defaults."""
        source = "-- あ𠮷\r\nresult = {text = \"\\n\"}\n"
        item = stored.create(script=source, description=MIXED)
        assert item.script_id == environment.grn("script", stored.namespace, "script", "hello")
        assert (item.name, item.script, item.description) == ("hello", source, MIXED)
        assert item.disable_string_number_to_number is False
        assert item.revision == 1 and item.created_at == item.updated_at > 0
        assert stored.get().to_dict() == item.to_dict()
        listed, = stored.describe().items
        assert listed.to_dict() == item.to_dict()

    def test_what_is_no_lua_is_stored_sc01(self, stored):
        """SC-01, J-35: whether a script makes sense shows when it runs."""
        assert stored.create(script="if").script == "if"

    def test_exists_e13(self, stored):
        stored.create(script="result = {first = true}")
        with stored.sdk.refuses(BadRequest, "script.script.name.error.exists"):
            stored.create()
        assert stored.get().script == "result = {first = true}"

    def test_update_replaces_n13(self, stored):
        old = stored.create(description="old", disable_string_number_to_number=True)
        assert old.disable_string_number_to_number is True
        new = stored.update(script="result = {}")
        assert (new.script_id, new.name, new.created_at, new.revision) == (
            old.script_id, old.name, old.created_at, 2)
        assert (new.script, new.description or None, new.disable_string_number_to_number) == ("result = {}", None, False)
        assert stored.get().to_dict() == new.to_dict()

    def test_delete_n14(self, stored):
        item = stored.create()
        assert stored.delete().to_dict() == item.to_dict()
        for call in (stored.get, stored.update, stored.delete):
            with stored.sdk.refuses(NotFound, NO_SCRIPT):
                call()
        assert stored.create().revision == 1

    def test_missing_namespace_e08(self, sdk):
        absent = Stored(sdk, unique("absent"))
        for operation in EVERY_OPERATION:
            with sdk.refuses(NotFound, NO_NAMESPACE):
                getattr(absent, operation)()

    def test_namespaces_n15(self, stored, make_scripts):
        other = Stored(stored.sdk, make_scripts().namespace)
        stored.create(script="result = {mine = true}")
        with stored.sdk.refuses(NotFound, NO_SCRIPT):
            other.get()
        other.create(script="result = {theirs = true}")
        assert stored.get().script == "result = {mine = true}"

    def test_longest_source_sc01(self, stored, admin):
        source = "result = {} -- " + "x" * (LONGEST - 15)
        assert len(stored.create(script=source).script) == LONGEST
        assert Stored(admin, stored.namespace).get().script == source
        assert stored.sdk.script.invoke_script(
            script_id=stored.sdk.environment.grn("script", stored.namespace, "script", "hello")).code == 200
        with stored.sdk.refuses(BadRequest, "script.script.script.error.tooLong"):
            stored.update(script=source + "x")


class TestList:
    def test_prefix_order_and_pages_n07_n08_n09(self, stored):
        for name in ("b", "B", "a1", "a-2", "a_3", "a", "10", "c"):
            stored.create(name)
        names = ["10", "B", "a", "a-2", "a1", "a_3", "b", "c"]
        assert stored.names() == names
        assert stored.names(name_prefix="a") == names[2:6]
        assert stored.names(name_prefix="a-") == ["a-2"] and stored.names(name_prefix="x") == []
        first = stored.describe(name_prefix="a", limit=3)
        assert [item.name for item in first.items] == names[2:5]
        rest = stored.describe(name_prefix="a", limit=3, page_token=first.next_page_token)
        assert [item.name for item in rest.items] == names[5:6] and rest.next_page_token is None

    def test_thirty_by_default_n07(self, stored, scripts):
        for number in range(31):
            scripts.store(ECHO, f"s-{number:02}")
        page = stored.describe()
        assert len(page.items) == 30
        assert stored.names(page_token=page.next_page_token) == ["s-30"]

    def test_large_ones_by_page_n07(self, admin, scripts):
        """N-07: a page may be shorter than its limit; together the pages have everything. The SDK's socket would take
        seconds to check so much text."""
        stored = Stored(admin, scripts.namespace)
        for name in ("a", "b", "c", "d"):
            scripts.store("-- " + name * 3_000_000, name)
        seen, token = [], None
        while True:
            page = stored.describe(page_token=token)
            seen += [(item.name, len(item.script)) for item in page.items]
            token = page.next_page_token
            if token is None:
                break
        assert seen == [(name, 3_000_003) for name in ("a", "b", "c", "d")]


class TestChange:
    """What was changed counts from the next call on."""

    def test_update_and_delete(self, stored):
        script_id = stored.create(script="result = {n = 0}").script_id
        invoke = stored.sdk.script.invoke_script
        for number in range(5):
            assert invoke(script_id=script_id).result == '{"n":%d}' % number
            stored.update(script="result = {n = %d}" % (number + 1))
        stored.delete()
        with stored.sdk.refuses(NotFound, NO_SCRIPT):
            invoke(script_id=script_id)
        stored.create(script="result = {again = true}")
        assert invoke(script_id=script_id).result == '{"again":true}'

    def test_digit_texts_sc02(self, stored):
        script_id = stored.create(script="result = {kind = type(args.a)}").script_id
        invoke = stored.sdk.script.invoke_script
        for keep, kind in ((False, "number"), (True, "string"), (False, "number")):
            stored.update(script="result = {kind = type(args.a)}", disable_string_number_to_number=keep)
            assert invoke(script_id=script_id, args='{"a":"12"}').result == '{"kind":"%s"}' % kind


class TestGitHub:
    """SC-01: what is wrong with the setting is said before what is missing on the server, and GitHub is not asked."""

    @pytest.fixture(params=["create", "update"])
    def fetch(self, request, stored):
        return getattr(stored, f"{request.param}_from_git_hub")

    @pytest.mark.parametrize("member, wire", [
        ("api_key_id", "apiKeyId"), ("repository_name", "repositoryName"), ("source_path", "sourcePath"),
        ("reference_type", "referenceType")])
    def test_required_e04(self, stored, fetch, member, wire):
        for value in (None, ""):
            with stored.sdk.refuses(BadRequest, f"script.gitHubCheckoutSetting.{wire}.error.require"):
                fetch(setting=checkout(**{member: value}))

    @pytest.mark.parametrize("member, wire", [
        ("api_key_id", "apiKeyId"), ("repository_name", "repositoryName"), ("source_path", "sourcePath"),
        ("commit_hash", "commitHash"), ("branch_name", "branchName"), ("tag_name", "tagName")])
    def test_too_long_e09(self, stored, fetch, member, wire):
        with stored.sdk.refuses(BadRequest, f"script.gitHubCheckoutSetting.{wire}.error.tooLong"):
            fetch(setting=checkout(**{member: "あ" * 1025}))

    def test_reference_type_e09(self, stored, fetch):
        with stored.sdk.refuses(BadRequest, "script.gitHubCheckoutSetting.referenceType.error.invalid"):
            fetch(setting=checkout(reference_type="head"))

    def test_a_key_that_is_none_k03(self, stored, fetch):
        """K-03: what GitHub would be asked with must be a kept key of this project."""
        stored.create()
        for grn, kind in (("grn:key", "invalid"), ("grn:gs2:ap-northeast-1:nobody:key:keys:github:hub", "invalid"),
                          ("grn:gs2:{region}:{ownerId}:key:absent:github:absent", "notFound")):
            name = "hello" if fetch == stored.update_from_git_hub else "other"
            with stored.sdk.refuses(BadRequest, f"script.gitHubCheckoutSetting.apiKeyId.error.{kind}"):
                fetch(name, setting=checkout(api_key_id=grn))
        assert stored.names() == ["hello"]
        assert stored.get().revision == 1

    def test_all_that_is_wrong_e14(self, stored, fetch):
        with stored.sdk.refuses(
            BadRequest, "script.gitHubCheckoutSetting.apiKeyId.error.invalid",
            "script.gitHubCheckoutSetting.repositoryName.error.invalid",
            "script.gitHubCheckoutSetting.sourcePath.error.invalid",
            "script.gitHubCheckoutSetting.commitHash.error.invalid",
        ):
            fetch(setting=checkout(api_key_id="grn:key", repository_name="repository", source_path="../a.lua",
                                   reference_type="commit_hash", commit_hash="main"))


class TestFetched:
    """SC-01: scripts that stand in a repository."""

    @pytest.fixture
    def fetched(self, hub_sdk):
        name = unique("ns")
        hub_sdk.script.create_namespace(name=name)
        yield Stored(hub_sdk, name)
        hub_sdk.script.delete_namespace(namespace_name=name)

    def test_create_and_update_sc01(self, fetched, hub):
        setting = hub.checkout(GitHubCheckoutSetting(), hub.file('result = {text = "あ𠮷"}\n'))
        item = fetched.create_from_git_hub(setting=setting, description=MIXED,
                                           disable_string_number_to_number=True).item
        assert (item.script, item.description, item.revision) == ('result = {text = "あ𠮷"}\n', MIXED, 1)
        assert item.disable_string_number_to_number is True
        assert hub.github.requests[-1].headers["Authorization"] == f"Bearer {TOKEN}"
        assert fetched.sdk.script.invoke_script(script_id=item.script_id).result == '{"text":"あ𠮷"}'
        setting = hub.checkout(GitHubCheckoutSetting(), hub.file("result = {number = 2}"))
        item = fetched.update_from_git_hub(setting=setting).item
        assert (item.script, item.description, item.revision) == ("result = {number = 2}", None, 2)
        assert item.disable_string_number_to_number is False
        assert fetched.sdk.script.invoke_script(script_id=item.script_id).result == '{"number":2}'
        with fetched.sdk.refuses(BadRequest, "script.script.name.error.exists"):
            fetched.create_from_git_hub(setting=setting)

    def test_references_sc01(self, fetched, hub):
        path, commit = f"{unique()}/あ b.lua", "0123456789abcdef0123456789abcdef01234567"
        for number, (reference, members) in enumerate((
            ("refs/heads/feature/x", {"reference_type": "branch", "branch_name": "feature/x"}),
            ("refs/tags/v1.0", {"reference_type": "tag", "tag_name": "v1.0", "branch_name": "feature/x"}),
            (commit, {"reference_type": "commit_hash", "commit_hash": commit}),
        )):
            hub.github.put(path, f"-- {number}", reference)
            setting = hub.checkout(GitHubCheckoutSetting(), path, **members)
            assert fetched.create_from_git_hub(f"script-{number}", setting).item.script == f"-- {number}"

    def test_what_github_refuses_sc01(self, fetched, hub):
        for content, exception, member, kind in (
            (404, NotFound, "sourcePath", "notFound"), (401, BadRequest, "apiKeyId", "notAuthorized"),
            (403, BadRequest, "apiKeyId", "notAuthorized"), (429, QuotaExceeded, "apiKeyId", "failed"),
            (500, core.BadGatewayException, "sourcePath", "failed"), (b"", BadRequest, "sourcePath", "invalid"),
            (b"\xff", BadRequest, "sourcePath", "invalid"), (b"a\0", BadRequest, "sourcePath", "invalid"),
            (b"-" * (LONGEST + 1), BadRequest, "sourcePath", "tooLong"),
        ):
            path = hub.file("")
            hub.github.files[(path, "refs/heads/main")] = content
            with fetched.sdk.refuses(exception, f"script.gitHubCheckoutSetting.{member}.error.{kind}"):
                fetched.create_from_git_hub(setting=hub.checkout(GitHubCheckoutSetting(), path))
            assert TOKEN not in str(fetched.sdk.answer)
        assert fetched.names() == []
