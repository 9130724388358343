"""Key: the keys of GitHub, over both transports. BEHAVIOUR K-03, K-04."""

import pytest
from gs2.script import GitHubCheckoutSetting

from harness.environment import unique
from harness.github import TOKEN
from harness.sdk import BadRequest, NotFound

MIXED = "あ𠮷"
MASK = "********"
NO_NAMESPACE = "key.namespace.namespace.error.notFound"
NO_KEY = "key.key.key.error.notFound"
NO_API_KEY = "key.gitHubApiKey.gitHubApiKey.error.notFound"


class ApiKeys:
    """The kept keys of one namespace, which has the key `sealer`."""

    def __init__(self, sdk, namespace):
        self.sdk, self.namespace, self.where = sdk, namespace, {"namespace_name": namespace}

    def create(self, name="hub", **fields):
        fields = {"api_key": "token-1", "encryption_key_name": "sealer", **fields}
        return self.sdk.key.create_git_hub_api_key(name=name, **self.where, **fields).item

    def get(self, name="hub"):
        return self.sdk.key.get_git_hub_api_key(api_key_name=name, **self.where).item

    def update(self, name="hub", **fields):
        fields = {"api_key": "token-2", "encryption_key_name": "sealer", **fields}
        return self.sdk.key.update_git_hub_api_key(api_key_name=name, **self.where, **fields).item

    def delete(self, name="hub"):
        return self.sdk.key.delete_git_hub_api_key(api_key_name=name, **self.where).item

    def describe(self, **fields):
        return self.sdk.key.describe_git_hub_api_keys(**self.where, **fields)


@pytest.fixture
def api_keys(sdk, make_keys):
    namespace = make_keys()
    sdk.key.create_key(namespace_name=namespace, name="sealer")
    return ApiKeys(sdk, namespace)


class TestApiKey:
    def test_item_n04_k03(self, api_keys, environment):
        """N-04, N-11, K-03: the GRN, and a mask in place of the key."""
        item = api_keys.create(description=MIXED)
        assert item.api_key_id == environment.grn("key", api_keys.namespace, "github", "hub")
        assert (item.name, item.description, item.encryption_key_name, item.revision) == ("hub", MIXED, "sealer", 1)
        assert item.api_key == MASK and "token-1" not in str(api_keys.sdk.answer)
        assert item.created_at == item.updated_at > 0
        assert api_keys.get().to_dict() == item.to_dict()
        listed, = api_keys.describe().items
        assert listed.to_dict() == item.to_dict()

    def test_update_n13_k03(self, api_keys):
        api_keys.create(description="d")
        api_keys.sdk.key.create_key(name="other", **api_keys.where)
        item = api_keys.update(encryption_key_name="other")
        assert (item.description, item.encryption_key_name, item.api_key, item.revision) == (None, "other", MASK, 2)
        assert "token-2" not in str(api_keys.sdk.answer)

    def test_exists_e13(self, api_keys):
        api_keys.create()
        with api_keys.sdk.refuses(BadRequest, "key.gitHubApiKey.name.error.exists"):
            api_keys.create()

    def test_describe_n07_n09(self, api_keys):
        for name in ("b", "a", "B"):
            api_keys.create(name)
        page = api_keys.describe(limit=2)
        rest = api_keys.describe(limit=2, page_token=page.next_page_token)
        assert [item.name for item in page.items + rest.items] == ["B", "a", "b"]
        assert rest.next_page_token is None

    def test_delete(self, api_keys):
        api_keys.create()
        assert api_keys.delete().api_key == MASK
        with api_keys.sdk.refuses(NotFound, NO_API_KEY):
            api_keys.get()

    def test_missing_e07_e08(self, sdk, api_keys):
        absent = ApiKeys(sdk, unique("absent"))
        for where, message in ((api_keys, NO_API_KEY), (absent, NO_NAMESPACE)):
            for call in (where.get, where.update, where.delete):
                with sdk.refuses(NotFound, message):
                    call()
        for call in (absent.create, absent.describe):
            with sdk.refuses(NotFound, NO_NAMESPACE):
                call()

    def test_no_encryption_key_k03(self, api_keys):
        with api_keys.sdk.refuses(NotFound, NO_KEY):
            api_keys.create(encryption_key_name="absent")
        api_keys.create()
        with api_keys.sdk.refuses(NotFound, NO_KEY):
            api_keys.update(encryption_key_name="absent")
        assert api_keys.get().revision == 1

    @pytest.mark.parametrize("key", [MASK, "a b", "あ", "a\nb"], ids=["mask", "blank", "kana", "line"])
    def test_what_is_no_key_k03(self, api_keys, key):
        """K-03: it travels in a header; and the mask of an answer is no key."""
        for call in (api_keys.create, api_keys.update):
            with api_keys.sdk.refuses(BadRequest, "key.gitHubApiKey.apiKey.error.invalid"):
                call(api_key=key)


class TestAsked:
    def test_with_the_key_k03_k04(self, hub, hub_sdk):
        """K-03: GitHub is asked with what was kept; K-04: not any more when the key is gone that encrypted it."""
        keys, admin = ApiKeys(hub_sdk, unique("ns")), hub_sdk
        admin.key.create_namespace(name=keys.namespace)
        admin.key.create_key(name="sealer", **keys.where)
        admin.script.create_namespace(name=keys.namespace)

        def fetch(api_key_id):
            setting = hub.checkout(GitHubCheckoutSetting(), hub.file("-- text"), api_key_id=api_key_id)
            admin.script.create_script_from_git_hub(name=unique(), checkout_setting=setting, **keys.where)
            return hub.github.requests[-1].headers["Authorization"]

        grn = keys.create(api_key="token-1").api_key_id
        assert fetch(grn) == "Bearer token-1"
        keys.update(api_key="token-2")
        assert fetch(grn) == "Bearer token-2"
        assert fetch(hub.api_key_id) == f"Bearer {TOKEN}"
        admin.key.delete_key(key_name="sealer", **keys.where)
        with admin.refuses(BadRequest, "script.gitHubCheckoutSetting.apiKeyId.error.failed"):
            fetch(grn)
