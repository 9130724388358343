"""Key: keys and what they encrypt, over both transports. BEHAVIOUR K-01, K-02, K-04."""

import re

import pytest
from gs2.key import LogSetting

from harness import operations
from harness.environment import unique
from harness.sdk import BadRequest, NotFound

MIXED = "あ𠮷"
NO_NAMESPACE = "key.namespace.namespace.error.notFound"
NO_KEY = "key.key.key.error.notFound"
LONGEST = 524_288


class Keys:
    """The keys of one namespace."""

    def __init__(self, sdk, namespace):
        self.sdk, self.namespace, self.where = sdk, namespace, {"namespace_name": namespace}

    def create(self, name="key", **fields):
        return self.sdk.key.create_key(name=name, **self.where, **fields).item

    def get(self, name="key"):
        return self.sdk.key.get_key(key_name=name, **self.where).item

    def update(self, name="key", **fields):
        return self.sdk.key.update_key(key_name=name, **self.where, **fields).item

    def delete(self, name="key"):
        return self.sdk.key.delete_key(key_name=name, **self.where).item

    def describe(self, **fields):
        return self.sdk.key.describe_keys(**self.where, **fields)

    def encrypt(self, data, name="key"):
        return self.sdk.key.encrypt(key_name=name, data=data, **self.where).data

    def decrypt(self, data, name="key"):
        return self.sdk.key.decrypt(key_name=name, data=data, **self.where).data


@pytest.fixture
def keys(sdk, make_keys):
    return Keys(sdk, make_keys())


class TestNamespace:
    def test_item_n04_n11(self, sdk, environment, discard_keys):
        item = sdk.key.create_namespace(name=discard_keys, description=MIXED).item
        assert item.namespace_id == environment.grn("key", discard_keys)
        assert (item.name, item.description, item.revision) == (discard_keys, MIXED, 1)
        assert item.created_at == item.updated_at > 0
        assert sdk.key.get_namespace(namespace_name=discard_keys).item.to_dict() == item.to_dict()
        assert sdk.key.get_namespace_status(namespace_name=discard_keys).status == "ACTIVE"
        with sdk.refuses(BadRequest, "key.namespace.name.error.exists"):
            sdk.key.create_namespace(name=discard_keys)

    def test_update_n13(self, sdk, make_keys):
        name = make_keys(description="d")
        log = LogSetting().with_logging_namespace_id("grn:log")
        item = sdk.key.update_namespace(namespace_name=name, log_setting=log).item
        assert (item.description, item.log_setting.logging_namespace_id, item.revision) == (None, "grn:log", 2)
        assert sdk.key.update_namespace(namespace_name=name).item.log_setting is None

    def test_describe_n07_n08_n09(self, sdk, make_keys):
        prefix = unique("ns")
        made = sorted(make_keys(prefix + rest) for rest in ("b", "B", "a", "_"))
        page = sdk.key.describe_namespaces(name_prefix=prefix, limit=3)
        rest = sdk.key.describe_namespaces(name_prefix=prefix, limit=3, page_token=page.next_page_token)
        assert [item.name for item in page.items + rest.items] == made
        assert rest.next_page_token is None

    def test_delete_n14(self, sdk, make_keys):
        keys = Keys(sdk, make_keys())
        keys.create()
        assert sdk.key.delete_namespace(**keys.where).item.name == keys.namespace
        sdk.key.create_namespace(name=keys.namespace)
        assert keys.describe().items == []

    def test_version_n16(self, sdk):
        assert re.match(r"\d{4}-\d{2}-\d{2}", sdk.key.get_service_version().item)

    @pytest.mark.parametrize("operation", ["get_namespace", "get_namespace_status", "update_namespace",
                                           "delete_namespace"])
    def test_missing_e07(self, sdk, operation):
        with sdk.refuses(NotFound, NO_NAMESPACE):
            getattr(sdk.key, operation)(namespace_name=unique("absent"))


class TestKey:
    def test_item_n04_k01(self, keys, environment):
        """N-04, N-11, K-01: the GRN, the defaults, and no secret."""
        item = keys.create("key.1", description=MIXED)
        assert item.key_id == environment.grn("key", keys.namespace, "key", "key.1")
        assert (item.name, item.description, item.revision) == ("key.1", MIXED, 1)
        assert item.created_at == item.updated_at > 0
        assert set(keys.sdk.answer["item"]) == {
            "keyId", "name", "description", "createdAt", "updatedAt", "revision"}
        assert keys.get("key.1").to_dict() == item.to_dict()
        listed, = keys.describe().items
        assert listed.to_dict() == item.to_dict()

    def test_update_n13(self, keys):
        """N-13: what is left out is none any more; K-01: the secret stays."""
        keys.create(description="d")
        sealed = keys.encrypt("text")
        item = keys.update()
        assert (item.description, item.revision) == (None, 2)
        assert keys.update(description=MIXED).description == keys.get().description == MIXED
        assert keys.decrypt(sealed) == "text"

    def test_exists_e13(self, keys):
        keys.create()
        with keys.sdk.refuses(BadRequest, "key.key.name.error.exists"):
            keys.create()

    def test_describe_n07_n08_n09(self, keys):
        for name in ("b", "aa", "a", "B", "ab"):
            keys.create(name)
        assert [item.name for item in keys.describe().items] == ["B", "a", "aa", "ab", "b"]
        page = keys.describe(name_prefix="a", limit=2)
        rest = keys.describe(name_prefix="a", limit=2, page_token=page.next_page_token)
        assert [item.name for item in page.items + rest.items] == ["a", "aa", "ab"]
        assert rest.next_page_token is None

    def test_delete_k04(self, keys):
        keys.create()
        sealed = keys.encrypt("text")
        assert keys.delete().name == "key"
        with keys.sdk.refuses(NotFound, NO_KEY):
            keys.decrypt(sealed)
        keys.create()
        with keys.sdk.refuses(BadRequest, "key.key.data.error.invalid"):
            keys.decrypt(sealed)

    def test_missing_e07_e08(self, sdk, keys):
        absent = Keys(sdk, unique("absent"))
        for where, message in ((keys, NO_KEY), (absent, NO_NAMESPACE)):
            for call in (where.get, where.update, where.delete, lambda: where.encrypt("a"), lambda: where.decrypt("a")):
                with sdk.refuses(NotFound, message):
                    call()
        for call in (absent.create, absent.describe):
            with sdk.refuses(NotFound, NO_NAMESPACE):
                call()


class TestEncrypt:
    @pytest.mark.parametrize("text", ["a", MIXED, "null ", " ", "a" * LONGEST, "𠮷" * 100_000],
                             ids=["short", "mixed", "word", "blank", "longest", "bytes"])
    def test_round_k02(self, keys, text):
        """K-02: base64 of something that is another thing each time."""
        keys.create()
        sealed = keys.encrypt(text)
        assert re.fullmatch("[A-Za-z0-9+/]+=*", sealed) and sealed != keys.encrypt(text)
        assert keys.decrypt(sealed) == text

    def test_only_the_same_key_k02(self, keys, sdk, make_keys):
        keys.create()
        keys.create("other")
        elsewhere = Keys(sdk, make_keys())
        elsewhere.create()
        sealed = keys.encrypt("text")
        for call in (lambda: keys.decrypt(sealed, "other"), lambda: elsewhere.decrypt(sealed)):
            with sdk.refuses(BadRequest, "key.key.data.error.invalid"):
                call()

    def test_changed_k02(self, keys):
        keys.create()
        sealed = keys.encrypt("text")
        for wrong in ("text", MIXED, sealed[:-4], sealed + "AAAA", sealed.swapcase(), "A" * len(sealed)):
            with keys.sdk.refuses(BadRequest, "key.key.data.error.invalid"):
                keys.decrypt(wrong)


class TestDryRun:
    def test_t14(self, dry, admin, make_keys):
        """T-14: the answer is the one that would be, and nothing is made."""
        namespace = make_keys()
        create = operations.operation("key", "createKey")
        assert dry(create, {"namespaceName": namespace, "name": "key"}).ok()["item"]["name"] == "key"
        assert Keys(admin, namespace).describe().items == []
