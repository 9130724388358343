"""Distributor: distributor models, from the drafts to what counts, over both transports. BEHAVIOUR N-04 to N-14, E-13,
E-14."""

import json
import re
import urllib.error
import urllib.request

import pytest
from gs2.distributor import GitHubCheckoutSetting

from harness import operations
from harness.environment import unique
from harness.sdk import BadRequest, NotFound
from harness.transactions import NO_NAMESPACE

UPDATE = operations.operation("distributor", "updateCurrentDistributorMaster")
CREATE = operations.operation("distributor", "createDistributorModelMaster")
NO_DRAFT = "distributor.distributorModelMaster.distributorModelMaster.error.notFound"
NO_MODEL = "distributor.distributorModel.distributorModel.error.notFound"
NO_CURRENT = "distributor.currentDistributorMaster.currentDistributorMaster.error.notFound"
VERSION = "2019-03-01"
MIXED = "あ𠮷"


def model(name="gifts", **members):
    return {"name": name, **members}


def settings(*models, **members):
    return json.dumps({"version": VERSION, "distributorModels": list(models), **members}, ensure_ascii=False)


def models_of(text):
    """The models of a document, without what is not set."""
    document = json.loads(text)
    assert document["version"] == VERSION
    return [{key: value for key, value in one.items() if value is not None} for one in document["distributorModels"]]


class Models:
    """The distributor models of one namespace and their drafts."""

    def __init__(self, sdk, namespace):
        self.sdk, self.namespace, self.where = sdk, namespace, {"namespace_name": namespace}

    def create(self, name="gifts", **fields):
        return self.sdk.distributor.create_distributor_model_master(name=name, **self.where, **fields).item

    def update(self, name="gifts", **fields):
        return self.sdk.distributor.update_distributor_model_master(distributor_name=name, **self.where, **fields).item

    def draft(self, name="gifts"):
        return self.sdk.distributor.get_distributor_model_master(distributor_name=name, **self.where).item

    def delete(self, name="gifts"):
        return self.sdk.distributor.delete_distributor_model_master(distributor_name=name, **self.where).item

    def drafts(self, **fields):
        return self.sdk.distributor.describe_distributor_model_masters(**self.where, **fields)

    def export(self):
        return self.sdk.distributor.export_master(**self.where).item

    def activate(self, text):
        """As the SDK does it: over REST it uploads the settings, over WebSocket it sends them."""
        return self.sdk.distributor.update_current_distributor_master(settings=text, **self.where).item

    def current(self):
        return self.sdk.distributor.get_current_distributor_master(**self.where).item

    def names(self):
        """Names of the models in force."""
        return [item.name for item in self.sdk.distributor.describe_distributor_models(**self.where).items]

    def model(self, name="gifts"):
        return self.sdk.distributor.get_distributor_model(distributor_name=name, **self.where).item

    def upload(self, body):
        """Puts a document where the server says, without any credentials, and gives its token."""
        told = self.sdk.distributor.pre_update_current_distributor_master(**self.where)
        request = urllib.request.Request(told.upload_url, body, method="PUT")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
        return told.upload_token

    def activate_upload(self, token, **fields):
        return self.sdk.distributor.update_current_distributor_master(
            **{"mode": "preUpload", "upload_token": token, **fields}, **self.where).item


@pytest.fixture
def models(sdk, make_distributor):
    return Models(sdk, make_distributor())


class TestDraft:
    def test_item_n04(self, models, environment):
        item = models.create(
            description=MIXED, metadata=MIXED * 1024, inbox_namespace_id="grn:inbox",
            white_list_target_ids=["grn:b", "grn:a"])
        assert item.distributor_model_id == environment.grn("distributor", models.namespace, "model", "gifts")
        assert (item.name, item.description, item.metadata) == ("gifts", MIXED, MIXED * 1024)
        assert (item.inbox_namespace_id, item.white_list_target_ids) == ("grn:inbox", ["grn:b", "grn:a"])
        assert item.created_at == item.updated_at > 0 and item.revision == 1
        assert models.draft().to_dict() == item.to_dict()
        listed, = models.drafts().items
        assert listed.to_dict() == item.to_dict()

    def test_only_a_name(self, models):
        item = models.create()
        assert not item.description and not item.metadata and not item.inbox_namespace_id
        assert not item.white_list_target_ids

    def test_exists_e13(self, models):
        old = models.create(description="first")
        with models.sdk.refuses(BadRequest, "distributor.distributorModelMaster.name.error.exists"):
            models.create(description="second")
        assert models.draft().to_dict() == old.to_dict()

    def test_update_replaces_n13(self, models):
        old = models.create(
            description="old", metadata="old", inbox_namespace_id="grn:i", white_list_target_ids=["grn:a"])
        new = models.update(metadata="new")
        assert (new.name, new.metadata, new.created_at, new.revision) == ("gifts", "new", old.created_at, 2)
        assert not new.description and not new.inbox_namespace_id and not new.white_list_target_ids
        assert models.draft().to_dict() == new.to_dict()

    def test_delete_n14(self, models):
        item = models.create()
        assert models.delete().to_dict() == item.to_dict()
        for call in (models.draft, models.update, models.delete):
            with models.sdk.refuses(NotFound, NO_DRAFT):
                call()
        assert models.create().revision == 1

    def test_list_n07_n08_n09(self, models):
        """N-07 to N-09: ascending by name, by page and by prefix."""
        for name in ("b", "B", "a-1", "a", "_", "10"):
            models.create(name)
        wanted = sorted(["b", "B", "a-1", "a", "_", "10"])
        assert [item.name for item in models.drafts().items] == wanted
        first = models.drafts(limit=4)
        rest = models.drafts(limit=4, page_token=first.next_page_token)
        assert [item.name for item in first.items + rest.items] == wanted
        assert len(first.items) == 4 and rest.next_page_token is None
        assert [item.name for item in models.drafts(name_prefix="a").items] == ["a", "a-1"]

    def test_long_lists_n07(self, models):
        """N-07: a page may be shorter than its limit, and the pages together have everything."""
        ids = [f"grn:{number}:" + "あ" * 1000 for number in range(200)]
        for number in range(6):
            models.create(f"m{number:02}", white_list_target_ids=ids)
        seen, token = [], None
        while True:
            page = models.drafts(page_token=token)
            seen += page.items
            token = page.next_page_token
            if token is None:
                break
        assert [item.name for item in seen] == [f"m{number:02}" for number in range(6)]
        assert all(item.white_list_target_ids == ids for item in seen)

    def test_everything_wrong_e14(self, models):
        with models.sdk.refuses(
            BadRequest, "distributor.distributorModelMaster.name.error.tooLong",
            "distributor.distributorModelMaster.description.error.tooLong",
            "distributor.distributorModelMaster.metadata.error.tooLong",
            "distributor.distributorModelMaster.inboxNamespaceId.error.tooLong",
            "distributor.distributorModelMaster.whiteListTargetIds.error.tooMany",
        ):
            models.create("n" * 129, description="d" * 1025, metadata="m" * 2049, inbox_namespace_id="i" * 1025,
                          white_list_target_ids=["grn:a"] * 1001)

    def test_white_list_refused_e09(self, models, rest):
        with models.sdk.refuses_with(BadRequest, suffix=".whiteListTargetIds.error.tooLong"):
            models.create(white_list_target_ids=["g" * 1025])
        for wrong in ("text", 5, {"a": "b"}, [5], [None], [["grn"]]):
            items = rest.call(CREATE, {
                "namespaceName": models.namespace, "name": "x", "whiteListTargetIds": wrong}).refused(400)
            assert items[0]["message"].endswith(".whiteListTargetIds.error.invalid")


class TestActivation:
    def test_before_it(self, models):
        """Nothing counts: an empty list, no model, no document."""
        models.create()
        assert models.names() == []
        with models.sdk.refuses(NotFound, NO_MODEL):
            models.model()
        with models.sdk.refuses(NotFound, NO_CURRENT):
            models.current()

    def test_from_draft_to_current(self, models, environment):
        """What was exported counts once it is activated; later drafts do not."""
        models.create("b", description="of the draft only", metadata="m", inbox_namespace_id="grn:i",
                      white_list_target_ids=["grn:1", "grn:2"])
        models.create("a")
        exported = models.export()
        assert exported.namespace_id == environment.grn("distributor", models.namespace)
        wanted = [{"name": "a"}, {"name": "b", "metadata": "m", "inboxNamespaceId": "grn:i",
                                  "whiteListTargetIds": ["grn:1", "grn:2"]}]
        assert models_of(exported.settings) == wanted
        current = models.activate(exported.settings)
        assert current.namespace_id == environment.grn("distributor", models.namespace)
        assert json.loads(current.settings) == json.loads(exported.settings)
        assert models.current().to_dict() == current.to_dict()
        assert models.names() == ["a", "b"]
        found = models.model("b")
        assert found.distributor_model_id == environment.grn("distributor", models.namespace, "model", "b")
        assert (found.name, found.metadata, found.inbox_namespace_id, found.white_list_target_ids) == (
            "b", "m", "grn:i", ["grn:1", "grn:2"])
        models.update("b", metadata="other")
        models.delete("a")
        models.create("c")
        assert models.names() == ["a", "b"] and models.model("b").metadata == "m"
        with models.sdk.refuses(NotFound, NO_MODEL):
            models.model("c")
        assert models_of(models.export().settings) == [{"name": "b", "metadata": "other"}, {"name": "c"}]

    def test_replaces(self, models):
        """The settings are the whole truth, in any order; drafts stay what they are."""
        models.create("draft")
        models.activate(settings(model("b"), model("a")))
        assert models.names() == ["a", "b"]
        models.activate(settings(model("c")))
        assert models.names() == ["c"]
        models.activate(settings())
        assert models.names() == [] and models_of(models.current().settings) == []
        assert [item.name for item in models.drafts().items] == ["draft"]

    def test_other_members_are_ignored_t13(self, models):
        models.activate(settings(model("a", distributorModelId="grn:x", description="d", new=[1]), author="me"))
        assert models.names() == ["a"]
        assert models.model("a").distributor_model_id.endswith(":model:a")

    def test_a_thousand(self, models):
        many = [model(f"m{number:04}") for number in range(1001)]
        models.activate(settings(*many[:1000]))
        assert models.names() == [one["name"] for one in many[:1000]]
        with models.sdk.refuses_with(BadRequest, suffix=".distributorModels.error.tooMany"):
            models.activate(settings(*many))
        assert len(models.names()) == 1000

    def test_namespaces_n15(self, models, make_distributor):
        models.activate(settings(model("a")))
        assert Models(models.sdk, make_distributor()).names() == []


class TestRefused:
    """E-14: settings that make no sense are refused as a whole; what counts stays."""

    @pytest.fixture
    def kept(self, models):
        models.activate(settings(model("a")))
        yield models
        assert models.names() == ["a"]

    def test_documents(self, kept):
        for text in (
            "not JSON", "[]", '"text"', "5", "null", "{}", settings()[:-1], '{"distributorModels":[]}',
            '{"version":"2019-01-01","distributorModels":[]}', '{"version":20190301,"distributorModels":[]}',
            f'{{"version":"{VERSION}"}}', f'{{"version":"{VERSION}","distributorModels":{{}}}}',
            f'{{"version":"{VERSION}","distributorModels":[5]}}', f'{{"version":"{VERSION}","distributorModels":[null]}}',
        ):
            with kept.sdk.refuses_with(BadRequest, "currentDistributorMaster"):
                kept.activate(text)

    def test_models_e10(self, kept):
        for wrong, member, kind in (
            (model("あ"), "name", "invalid"), (model(""), "name", "require"), ({}, "name", "require"),
            (model(5), "name", "invalid"), (model("n" * 129), "name", "tooLong"),
            (model("x", metadata=5), "metadata", "invalid"),
            (model("x", metadata="m" * 2049), "metadata", "tooLong"),
            (model("x", inboxNamespaceId="i" * 1025), "inboxNamespaceId", "tooLong"),
            (model("x", whiteListTargetIds="grn:a"), "whiteListTargetIds", "invalid"),
            (model("x", whiteListTargetIds=[5]), "whiteListTargetIds", "invalid"),
            (model("x", whiteListTargetIds=["grn:a"] * 1001), "whiteListTargetIds", "tooMany"),
        ):
            with kept.sdk.refuses(BadRequest, f"distributor.distributorModel.{member}.error.{kind}"):
                kept.activate(settings(model("b"), wrong))

    def test_twice_the_same(self, kept):
        with kept.sdk.refuses_with(BadRequest, "distributorModel"):
            kept.activate(settings(model("b"), model("c"), model("b", metadata="other")))

    def test_all_at_once_e14(self, kept):
        with kept.sdk.refuses(
            BadRequest, "distributor.distributorModel.name.error.invalid",
            "distributor.distributorModel.metadata.error.invalid", "distributor.distributorModel.name.error.require",
        ):
            kept.activate(settings(model("あ", metadata=5), model("b"), {}))

    def test_both_or_neither(self, kept, socket, rest):
        """Either the settings or a token, and no other mode."""
        token = kept.upload(settings(model("b")).encode())
        where = {"namespaceName": kept.namespace}
        for call in (rest.call, socket.call):
            for given in ({}, {"settings": "", "uploadToken": ""}, {"mode": "direct"},
                          {"mode": "other", "uploadToken": token}, {"mode": "direct", "uploadToken": token},
                          {"settings": settings(model("b")), "uploadToken": token}):
                items = call(UPDATE, {**where, **given}).refused(400)
                assert items[0]["component"] == "currentDistributorMaster"


class TestUpload:
    """Large settings take the way of the SDK: `preUpdateCurrentDistributorMaster`, PUT, `uploadToken`."""

    def test_large(self, models):
        text = settings(*[model(f"m{number:03}", metadata="あ" * 2000) for number in range(300)])
        assert len(text) > 600_000
        assert models.activate(text).settings == text
        assert len(models.names()) == 300

    def test_by_hand(self, models):
        told = models.sdk.distributor.pre_update_current_distributor_master(**models.where)
        assert told.upload_token and re.match("https?://", told.upload_url)
        token = models.upload(settings(model("a")).encode())
        assert models.names() == []
        for mode in ("preUpload", None):
            token = models.upload(settings(model("a", metadata=str(mode))).encode())
            models.activate_upload(token, mode=mode)
            assert models.model("a").metadata == str(mode)

    def test_wrong_content(self, models):
        for body in (b"not JSON", b"\xff\xfe", b"", settings(model("あ")).encode()):
            token = models.upload(body)
            with models.sdk.refuses_with(BadRequest):
                models.activate_upload(token)
        assert models.names() == []

    def test_unknown_token(self, models, make_distributor, make_chat):
        used = models.upload(settings().encode())
        models.activate_upload(used)
        elsewhere = Models(models.sdk, make_distributor()).upload(settings(model("b")).encode())
        of_chat = models.sdk.chat.pre_update_current_model_master(namespace_name=make_chat()).upload_token
        for token in (used, elsewhere, of_chat, "absent", "a" * 1024, "あ", "../../etc"):
            with models.sdk.refuses(BadRequest, "distributor.currentDistributorMaster.uploadToken.error.invalid"):
                models.activate_upload(token)
        told = models.sdk.distributor.pre_update_current_distributor_master(**models.where)
        with models.sdk.refuses(BadRequest, "distributor.currentDistributorMaster.uploadToken.error.require"):
            models.activate_upload(told.upload_token)

    def test_made_up_url(self, models):
        told = models.sdk.distributor.pre_update_current_distributor_master(**models.where)
        url = told.upload_url[:-8] + "00000000"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(url, b"{}", method="PUT"), timeout=10)
        assert refused.value.code in (400, 401, 404)


class TestGitHub:
    def test_refused_e04(self, models):
        """E-04, K-03: the kept key of the setting must exist here."""
        update = models.sdk.distributor.update_current_distributor_master_from_git_hub
        checkout = GitHubCheckoutSetting().with_repository_name("owner/repository").with_source_path("a.json") \
            .with_reference_type("branch").with_branch_name("main")
        for key, kind in (("grn:key", "invalid"), (None, "require"),
                          ("grn:gs2:{region}:{ownerId}:key:absent:github:absent", "notFound")):
            with models.sdk.refuses(BadRequest, f"distributor.gitHubCheckoutSetting.apiKeyId.error.{kind}"):
                update(checkout_setting=checkout.with_api_key_id(key), **models.where)

    def test_fetched(self, hub, hub_sdk):
        """What stands in the repository comes into force, or nothing."""
        models = Models(hub_sdk, unique("ns"))
        hub_sdk.distributor.create_namespace(name=models.namespace)
        update = hub_sdk.distributor.update_current_distributor_master_from_git_hub

        def checkout(content):
            return hub.checkout(GitHubCheckoutSetting(), hub.file(content))

        text = settings(model("a", metadata=MIXED))
        assert update(checkout_setting=checkout(text), **models.where).item.settings == text
        assert models.names() == ["a"]
        with hub_sdk.refuses(BadRequest, "distributor.distributorModel.name.error.invalid"):
            update(checkout_setting=checkout(settings(model("あ"))), **models.where)
        with hub_sdk.refuses(NotFound, "distributor.gitHubCheckoutSetting.sourcePath.error.notFound"):
            update(checkout_setting=hub.checkout(GitHubCheckoutSetting(), "absent.json"), **models.where)
        assert models.names() == ["a"]
        with hub_sdk.refuses(NotFound, NO_NAMESPACE):
            update(checkout_setting=checkout(text), namespace_name=unique("absent"))


class TestMissing:
    def test_namespace_e08(self, sdk):
        absent = Models(sdk, unique("absent"))
        for call in (absent.create, absent.update, absent.draft, absent.delete, absent.drafts, absent.export,
                     absent.current, absent.names, absent.model, lambda: absent.activate_upload("token"),
                     lambda: sdk.distributor.pre_update_current_distributor_master(**absent.where)):
            with sdk.refuses(NotFound, NO_NAMESPACE):
                call()


class TestDryRun:
    def test_t14(self, dry, admin, make_distributor):
        """T-14: the answer is the one that would be, and what counts stays."""
        models = Models(admin, make_distributor())
        where = {"namespaceName": models.namespace}
        item = dry(UPDATE, {**where, "settings": settings(model("a"))}).ok()["item"]
        assert models_of(item["settings"]) == [{"name": "a"}]
        assert models.names() == []
        assert dry(CREATE, {**where, "name": "draft"}).ok()["item"]["name"] == "draft"
        assert models.drafts().items == []
        dry(UPDATE, {**where, "settings": settings(model("あ"))}).refused(
            400, "distributor.distributorModel.name.error.invalid")
