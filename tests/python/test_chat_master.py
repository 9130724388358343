"""Chat: categories, from the drafts to what counts, over both transports. BEHAVIOUR CH-32 to CH-34."""

import json
import re
import urllib.error
import urllib.request

import pytest
from gs2.chat import GitHubCheckoutSetting

from harness import operations
from harness.chat import CATEGORY_MAX, NO_NAMESPACE, Member
from harness.environment import unique
from harness.sdk import BadRequest, NotFound

UPDATE = operations.operation("chat", "updateCurrentModelMaster")
CREATE = operations.operation("chat", "createCategoryModelMaster")
NO_DRAFT = "chat.categoryModelMaster.categoryModelMaster.error.notFound"
NO_MODEL = "chat.categoryModel.categoryModel.error.notFound"
NO_CURRENT = "chat.currentModelMaster.currentModelMaster.error.notFound"
REJECTED = "chat.message.category.error.invalid"
VERSION = "2020-04-30"
SETTINGS_MAX = 5_242_880


def model(category, reject="Enabled", **members):
    return {"category": category, "rejectAccessTokenPost": reject, **members}


def settings(*models, **members):
    return json.dumps({"version": VERSION, "categoryModels": list(models), **members}, ensure_ascii=False)


def models_of(text):
    """Category and switch of each model of the settings."""
    document = json.loads(text)
    assert document["version"] == VERSION
    return [(one["category"], one["rejectAccessTokenPost"]) for one in document["categoryModels"]]


class Categories:
    """The category models of one namespace and their drafts."""

    def __init__(self, sdk, namespace):
        self.sdk, self.namespace, self.where = sdk, namespace, {"namespace_name": namespace}

    def create(self, category=1, **fields):
        return self.sdk.chat.create_category_model_master(category=category, **self.where, **fields).item

    def update(self, category=1, **fields):
        return self.sdk.chat.update_category_model_master(category=category, **self.where, **fields).item

    def draft(self, category=1):
        return self.sdk.chat.get_category_model_master(category=category, **self.where).item

    def delete(self, category=1):
        return self.sdk.chat.delete_category_model_master(category=category, **self.where).item

    def drafts(self, **fields):
        return self.sdk.chat.describe_category_model_masters(**self.where, **fields)

    def export(self):
        return self.sdk.chat.export_master(**self.where).item

    def activate(self, text):
        """As the SDK does it: over REST it uploads the settings, over WebSocket it sends them."""
        return self.sdk.chat.update_current_model_master(settings=text, **self.where).item

    def current(self):
        return self.sdk.chat.get_current_model_master(**self.where).item

    def models(self):
        items = self.sdk.chat.describe_category_models(**self.where).items
        return [(item.category, item.reject_access_token_post) for item in items]

    def model(self, category=1):
        return self.sdk.chat.get_category_model(category=category, **self.where).item

    def upload(self, body, **headers):
        """Puts a document where `preUpdateCurrentModelMaster` says, without any credentials, and gives its token."""
        told = self.sdk.chat.pre_update_current_model_master(**self.where)
        request = urllib.request.Request(told.upload_url, body, headers, method="PUT")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
        return told.upload_token

    def activate_upload(self, token, **fields):
        return self.sdk.chat.update_current_model_master(
            **{"mode": "preUpload", "upload_token": token, **fields}, **self.where).item


@pytest.fixture
def categories(sdk, make_chat):
    return Categories(sdk, make_chat())


class TestDraft:
    def test_item_ch33_n04(self, categories, environment):
        item = categories.create(7, description="あ𠮷", reject_access_token_post="Enabled")
        assert item.category_model_id == environment.grn("chat", categories.namespace, "model", "7")
        assert (item.category, item.description, item.reject_access_token_post) == (7, "あ𠮷", "Enabled")
        assert item.created_at == item.updated_at > 0 and item.revision == 1
        assert categories.draft(7).to_dict() == item.to_dict()
        listed, = categories.drafts().items
        assert listed.to_dict() == item.to_dict()

    def test_defaults_ch33(self, categories):
        """CH-33: a category rejects nothing unless it is said."""
        item = categories.create(0)
        assert item.reject_access_token_post in (None, "Disabled") and not item.description
        categories.activate(categories.export().settings)
        player = Member(categories.sdk, categories.namespace, "me")
        assert player.post(player.room(), category=0).category == 0

    def test_exists_e13(self, categories):
        old = categories.create(1, description="first")
        with categories.sdk.refuses(BadRequest, "chat.categoryModelMaster.name.error.exists"):
            categories.create(1, description="second")
        assert categories.draft().to_dict() == old.to_dict()

    def test_update_replaces_n13(self, categories):
        old = categories.create(1, description="old", reject_access_token_post="Enabled")
        new = categories.update(1, reject_access_token_post="Disabled")
        assert (new.category_model_id, new.category, new.created_at) == (old.category_model_id, 1, old.created_at)
        assert (new.description or None, new.reject_access_token_post, new.revision) == (None, "Disabled", 2)
        assert categories.draft().to_dict() == new.to_dict()

    def test_delete_n14(self, categories):
        item = categories.create(1)
        assert categories.delete().to_dict() == item.to_dict()
        for call in (categories.draft, categories.update, categories.delete):
            with categories.sdk.refuses(NotFound, NO_DRAFT):
                call()
        assert categories.create(1).revision == 1

    def test_list_n07_n09(self, categories):
        """N-07, N-09: ascending by number, by page."""
        for category in (10, 2, CATEGORY_MAX, 0, 100):
            categories.create(category)
        wanted = [0, 2, 10, 100, CATEGORY_MAX]
        assert [item.category for item in categories.drafts().items] == wanted
        first = categories.drafts(limit=3)
        rest = categories.drafts(limit=3, page_token=first.next_page_token)
        assert [item.category for item in first.items + rest.items] == wanted
        assert len(first.items) == 3 and rest.next_page_token is None

    def test_category_refused_e09(self, categories):
        for call in (categories.create, categories.update, categories.draft, categories.delete):
            for category in (-1, CATEGORY_MAX + 1, "many", 1.5):
                with categories.sdk.refuses(BadRequest, "chat.categoryModelMaster.category.error.invalid"):
                    call(category)

    def test_everything_wrong_e14_e10(self, categories):
        with categories.sdk.refuses(
            BadRequest, "chat.categoryModelMaster.category.error.invalid",
            "chat.categoryModelMaster.description.error.tooLong",
            "chat.categoryModelMaster.rejectAccessTokenPost.error.invalid",
        ):
            categories.create(-1, description="d" * 1025, reject_access_token_post="Perhaps")


class TestActivation:
    def test_before_it_ch33(self, categories):
        """CH-33: nothing counts: an empty list, no model, no current master."""
        categories.create(1, reject_access_token_post="Enabled")
        assert categories.models() == []
        with categories.sdk.refuses(NotFound, NO_MODEL):
            categories.model(1)
        with categories.sdk.refuses(NotFound, NO_CURRENT):
            categories.current()
        player = Member(categories.sdk, categories.namespace, "me")
        assert player.post(player.room(), category=1).category == 1

    def test_from_draft_to_current_ch33_ch34(self, categories, environment):
        """CH-33, CH-34: what was exported counts once it is activated; later drafts do not."""
        categories.create(10, reject_access_token_post="Enabled", description="of the draft only")
        categories.create(2, reject_access_token_post="Disabled")
        exported = categories.export()
        assert exported.namespace_id == environment.grn("chat", categories.namespace)
        assert models_of(exported.settings) == [(2, "Disabled"), (10, "Enabled")]
        current = categories.activate(exported.settings)
        assert current.namespace_id == environment.grn("chat", categories.namespace)
        assert json.loads(current.settings) == json.loads(exported.settings)
        assert categories.current().to_dict() == current.to_dict()
        assert categories.models() == [(2, "Disabled"), (10, "Enabled")]
        found = categories.model(10)
        assert found.category_model_id == environment.grn("chat", categories.namespace, "model", "10")
        assert (found.category, found.reject_access_token_post) == (10, "Enabled")
        categories.update(10, reject_access_token_post="Disabled")
        categories.delete(2)
        categories.create(3, reject_access_token_post="Disabled")
        assert categories.models() == [(2, "Disabled"), (10, "Enabled")]
        with categories.sdk.refuses(NotFound, NO_MODEL):
            categories.model(3)
        assert models_of(categories.export().settings) == [(3, "Disabled"), (10, "Disabled")]

    def test_replaces_ch33(self, categories):
        """CH-33: the settings are the whole truth; drafts stay what they are."""
        categories.create(9)
        categories.activate(settings(model(2), model(1, "Disabled")))
        assert categories.models() == [(1, "Disabled"), (2, "Enabled")]
        categories.activate(settings(model(CATEGORY_MAX), model(0, "Disabled")))
        assert categories.models() == [(0, "Disabled"), (CATEGORY_MAX, "Enabled")]
        categories.activate(settings())
        assert categories.models() == []
        assert [item.category for item in categories.drafts().items] == [9]
        assert models_of(categories.current().settings) == []

    def test_export_of_nothing_ch33(self, categories):
        assert models_of(categories.export().settings) == []

    def test_other_members_are_ignored_t13(self, categories):
        categories.activate(settings(model(1, categoryModelId="grn:x", description="d", new=[1]), author="me"))
        assert categories.models() == [(1, "Enabled")]

    def test_a_thousand_ch33(self, categories):
        """CH-33: a thousand models, and no more."""
        many = [model(number, ("Enabled", "Disabled")[number % 2]) for number in range(1001)]
        categories.activate(settings(*many[:1000]))
        assert categories.models() == [(one["category"], one["rejectAccessTokenPost"]) for one in many[:1000]]
        with categories.sdk.refuses_with(BadRequest, suffix=".categoryModels.error.tooMany"):
            categories.activate(settings(*many))
        assert len(categories.models()) == 1000


class TestRejectedPost:
    def test_ch32(self, categories):
        """CH-32: what players may not post, the server may; other categories are nobody's business."""
        player = Member(categories.sdk, categories.namespace, "me")
        server, room = player.of(who="by_user_id"), player.room()
        categories.activate(settings(model(1), model(2, "Disabled")))
        with categories.sdk.refuses(BadRequest, REJECTED):
            player.post(room, "player 1", category=1)
        server.post(room, "server 1", category=1)
        for category in (0, 2, 3):
            player.post(room, f"player {category}", category=category)
        assert server.texts(room) == ["server 1", "player 0", "player 2", "player 3"]
        assert player.texts(room, category=1) == ["server 1"]
        categories.activate(settings(model(0), model(1, "Disabled")))
        player.post(room, "player 1", category=1)
        for fields in ({}, {"category": 0}):
            with categories.sdk.refuses(BadRequest, REJECTED):
                player.post(room, "player 0", **fields)
        categories.activate(settings())
        player.post(room, "player 0")

    def test_namespaces_n15(self, categories, make_chat):
        categories.activate(settings(model(1)))
        elsewhere = Member(categories.sdk, make_chat(), "me")
        assert elsewhere.post(elsewhere.room(), category=1).category == 1


class TestRefused:
    """CH-34, E-14: settings that make no sense are refused as a whole; what counts stays."""

    @pytest.fixture
    def kept(self, categories):
        categories.activate(settings(model(1)))
        yield categories
        assert categories.models() == [(1, "Enabled")]

    def test_documents_ch33(self, kept):
        for text in (
            "not JSON", "[]", '"text"', "5", "null", "{}", settings()[:-1], '{"categoryModels":[]}',
            '{"version":"2019-01-01","categoryModels":[]}', '{"version":20200430,"categoryModels":[]}',
            f'{{"version":"{VERSION}"}}', f'{{"version":"{VERSION}","categoryModels":{{}}}}',
            f'{{"version":"{VERSION}","categoryModels":[5]}}', f'{{"version":"{VERSION}","categoryModels":[null]}}',
        ):
            with kept.sdk.refuses_with(BadRequest, "currentModelMaster"):
                kept.activate(text)

    def test_models_ch33_e10(self, kept):
        for wrong, member, kind in (
            (model(-1), "category", "invalid"), (model(CATEGORY_MAX + 1), "category", "invalid"),
            (model("many"), "category", "invalid"), (model(1.5), "category", "invalid"),
            ({"rejectAccessTokenPost": "Enabled"}, "category", "require"),
            (model(2, "Perhaps"), "rejectAccessTokenPost", "invalid"),
            (model(2, True), "rejectAccessTokenPost", "invalid"),
        ):
            with kept.sdk.refuses(BadRequest, f"chat.categoryModel.{member}.error.{kind}"):
                kept.activate(settings(model(5), wrong))

    def test_twice_the_same_ch33(self, kept):
        with kept.sdk.refuses_with(BadRequest, "categoryModel"):
            kept.activate(settings(model(2), model(3), model(2, "Disabled")))

    def test_all_at_once_e14(self, kept):
        with kept.sdk.refuses(
            BadRequest, "chat.categoryModel.category.error.invalid",
            "chat.categoryModel.rejectAccessTokenPost.error.invalid", "chat.categoryModel.category.error.require",
            "chat.categoryModel.rejectAccessTokenPost.error.invalid",
        ):
            kept.activate(settings(
                model(-1, "Perhaps"), model(2), {"rejectAccessTokenPost": "Enabled"}, model(3, 5)))

    def test_both_or_neither_ch34(self, kept, socket, rest):
        """CH-34: either the settings or a token."""
        token = kept.upload(settings(model(2)).encode())
        where = {"namespaceName": kept.namespace}
        for call in (rest.call, socket.call):
            for given in ({}, {"settings": "", "uploadToken": ""}, {"mode": "direct"},
                          {"settings": settings(model(2)), "uploadToken": token}):
                items = call(UPDATE, {**where, **given}).refused(400)
                assert items[0]["component"] == "currentModelMaster"

    def test_mode_ch34(self, kept):
        """CH-34: `direct` with settings, `preUpload` with a token, and nothing else."""
        token = kept.upload(settings(model(2)).encode())
        with kept.sdk.refuses(BadRequest, "chat.currentModelMaster.mode.error.invalid"):
            kept.activate_upload(token, mode="other")
        with kept.sdk.refuses(BadRequest, "chat.currentModelMaster.settings.error.require"):
            kept.activate_upload(token, mode="direct")

    def test_too_long_ch34(self, admin, rest, make_chat):
        """CH-34: 5,242,880 characters, uploaded or sent. The SDK's socket would take seconds to send so much."""
        categories, text = Categories(admin, make_chat()), settings(model(1))
        padded = text + " " * (SETTINGS_MAX - len(text))
        where = {"namespaceName": categories.namespace}
        assert categories.activate(padded).settings == padded
        assert rest.call(UPDATE, {**where, "settings": padded}).ok()["item"]["settings"] == padded
        with admin.refuses(BadRequest, "chat.currentModelMaster.settings.error.tooLong"):
            categories.activate(padded + " ")
        rest.call(UPDATE, {**where, "settings": padded + " "}).refused(
            400, "chat.currentModelMaster.settings.error.tooLong")
        assert categories.models() == [(1, "Enabled")]


class TestUpload:
    """CH-34: large settings take the way of the SDK: `preUpdateCurrentModelMaster`, PUT, `uploadToken`."""

    def test_large_ch34(self, categories):
        """CH-34: what the SDK over REST does with all settings; over WebSocket it sends them, which is large too."""
        text = settings(*[model(number, note="あ" + "a" * 1200) for number in range(900)])
        assert len(text) > 1_000_000
        current = categories.activate(text)
        assert json.loads(current.settings) == json.loads(text)
        assert len(categories.models()) == 900
        assert categories.current().settings == current.settings

    def test_by_hand_ch34(self, categories):
        """CH-34: over either transport; the upload needs no credentials, and nothing counts before the token is given."""
        told = categories.sdk.chat.pre_update_current_model_master(**categories.where)
        assert told.upload_token and re.match("https?://", told.upload_url)
        token = categories.upload(settings(model(4)).encode(), **{"Content-Type": "application/json"})
        assert categories.models() == []
        assert models_of(categories.activate_upload(token).settings) == [(4, "Enabled")]
        assert categories.models() == [(4, "Enabled")]

    def test_without_a_mode_ch34(self, categories):
        token = categories.upload(settings(model(4)).encode())
        categories.activate_upload(token, mode=None)
        assert categories.models() == [(4, "Enabled")]

    def test_wrong_content_ch34_e14(self, categories):
        """CH-34: what was uploaded is checked as what is sent."""
        for body in (b"not JSON", b"\xff\xfe", b"", settings(model(-1)).encode()):
            token = categories.upload(body)
            with categories.sdk.refuses_with(BadRequest):
                categories.activate_upload(token)
        assert categories.models() == []

    def test_nothing_uploaded_ch34(self, categories):
        told = categories.sdk.chat.pre_update_current_model_master(**categories.where)
        with categories.sdk.refuses(BadRequest, "chat.currentModelMaster.uploadToken.error.require"):
            categories.activate_upload(told.upload_token)

    def test_unknown_token_ch34(self, categories):
        used = categories.upload(settings().encode())
        categories.activate_upload(used)
        for token in (used, "absent", "a" * 1024, "あ", "../../etc", "null-1"):
            with categories.sdk.refuses(BadRequest, "chat.currentModelMaster.uploadToken.error.invalid"):
                categories.activate_upload(token)

    def test_token_of_another_namespace_n15(self, categories, make_chat):
        token = categories.upload(settings(model(4)).encode())
        other = Categories(categories.sdk, make_chat())
        with categories.sdk.refuses(BadRequest, "chat.currentModelMaster.uploadToken.error.invalid"):
            other.activate_upload(token)
        assert other.models() == []

    def test_last_upload_counts_ch34(self, categories):
        told = categories.sdk.chat.pre_update_current_model_master(**categories.where)
        for category in (1, 2):
            request = urllib.request.Request(
                told.upload_url, settings(model(category)).encode(), method="PUT")
            urllib.request.urlopen(request, timeout=10).close()
        categories.activate_upload(told.upload_token)
        assert categories.models() == [(2, "Enabled")]

    def test_made_up_url_ch34(self, categories):
        told = categories.sdk.chat.pre_update_current_model_master(**categories.where)
        url = told.upload_url[:-8] + "00000000"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(url, b"{}", method="PUT"), timeout=10)
        assert refused.value.code in (400, 401, 404)
        with categories.sdk.refuses_with(BadRequest, "currentModelMaster"):
            categories.activate_upload(told.upload_token)


class TestGitHub:
    def test_refused_e04(self, categories):
        """E-04, K-03: the kept key of the setting must exist here."""
        update = categories.sdk.chat.update_current_model_master_from_git_hub
        checkout = GitHubCheckoutSetting().with_api_key_id("grn:key").with_repository_name("owner/repository") \
            .with_source_path("a.json").with_reference_type("branch").with_branch_name("main")
        for key, kind in (("grn:key", "invalid"), (None, "require"),
                          ("grn:gs2:{region}:{ownerId}:key:absent:github:absent", "notFound")):
            with categories.sdk.refuses(BadRequest, f"chat.gitHubCheckoutSetting.apiKeyId.error.{kind}"):
                update(checkout_setting=checkout.with_api_key_id(key), **categories.where)

    def test_fetched_ch34(self, hub, hub_sdk):
        """CH-34, SC-01: what stands in the repository comes into force, or nothing."""
        categories = Categories(hub_sdk, unique("ns"))
        hub_sdk.chat.create_namespace(name=categories.namespace)
        update = hub_sdk.chat.update_current_model_master_from_git_hub

        def checkout(content):
            return hub.checkout(GitHubCheckoutSetting(), hub.file(content))

        text = settings(model(4, note="あ"))
        assert update(checkout_setting=checkout(text), **categories.where).item.settings == text
        assert categories.models() == [(4, "Enabled")]
        with hub_sdk.refuses(BadRequest, "chat.categoryModel.category.error.invalid"):
            update(checkout_setting=checkout(settings(model(-1))), **categories.where)
        with hub_sdk.refuses(NotFound, "chat.gitHubCheckoutSetting.sourcePath.error.notFound"):
            update(checkout_setting=hub.checkout(GitHubCheckoutSetting(), "absent.json"), **categories.where)
        assert categories.models() == [(4, "Enabled")]
        with hub_sdk.refuses(NotFound, NO_NAMESPACE):
            update(checkout_setting=checkout(text), namespace_name=unique("absent"))


class TestMissing:
    def test_namespace_e08(self, sdk):
        absent = Categories(sdk, unique("absent"))
        for call in (absent.create, absent.update, absent.draft, absent.delete, absent.drafts, absent.export,
                     absent.current, absent.models, absent.model, lambda: absent.activate_upload("token"),
                     lambda: sdk.chat.pre_update_current_model_master(**absent.where)):
            with sdk.refuses(NotFound, NO_NAMESPACE):
                call()

    def test_category_refused_e09(self, categories):
        for category in (-1, CATEGORY_MAX + 1, "many", 1.5):
            with categories.sdk.refuses(BadRequest, "chat.categoryModel.category.error.invalid"):
                categories.model(category)


class TestDryRun:
    def test_t14(self, dry, admin, make_chat):
        """T-14: the answer is the one that would be, and what counts stays."""
        categories = Categories(admin, make_chat())
        where = {"namespaceName": categories.namespace}
        assert models_of(dry(UPDATE, {**where, "settings": settings(model(1))}).ok()["item"]["settings"]) == [
            (1, "Enabled")]
        assert categories.models() == []
        assert dry(CREATE, {**where, "category": 3}).ok()["item"]["category"] == 3
        assert categories.drafts().items == []
        dry(UPDATE, {**where, "settings": settings(model(-1))}).refused(400, "chat.categoryModel.category.error.invalid")
