"""Log: insights, facet models and dashboards, over both transports."""

import re

import pytest

from harness.chat import UUID
from harness.environment import unique
from harness.log import NO_NAMESPACE
from harness.sdk import BadRequest, NotFound


@pytest.fixture
def where(make_log):
    return {"namespace_name": make_log()}


def test_insights(sdk, environment, where):
    made = sorted((sdk.log.create_insight(**where).item for _number in range(3)), key=lambda item: item.name)
    one = made[0]
    assert UUID.fullmatch(one.name) and one.status == "ACTIVE" and one.password is None
    assert one.insight_id == environment.grn("log", where["namespace_name"], "insight", one.name)
    assert re.match(r"https?://", one.host)
    assert sdk.log.get_insight(insight_name=one.name, **where).item.to_dict() == one.to_dict()
    first = sdk.log.describe_insights(limit=2, **where)
    rest = sdk.log.describe_insights(limit=2, page_token=first.next_page_token, **where)
    assert [item.name for item in first.items + rest.items] == [item.name for item in made]
    assert sdk.log.delete_insight(insight_name=one.name, **where).item.name == one.name
    for call in (sdk.log.get_insight, sdk.log.delete_insight):
        with sdk.refuses(NotFound, "log.insight.insight.error.notFound"):
            call(insight_name=one.name, **where)
        with sdk.refuses(NotFound, NO_NAMESPACE):
            call(insight_name=one.name, namespace_name=unique("absent"))


def test_facet_models(sdk, environment, where):
    item = sdk.log.create_facet_model(
        field="request.itemName", type="string", display_name="あ", order=5, **where).item
    assert item.facet_model_id == environment.grn(
        "log", where["namespace_name"], "model", "facet", "request.itemName")
    assert (item.field, item.type, item.display_name, item.order) == ("request.itemName", "string", "あ", 5)
    default = sdk.log.create_facet_model(field="duration", **where).item
    assert (default.type, default.display_name, default.order) == ("string", None, 0)
    assert sdk.log.get_facet_model(field="request.itemName", **where).item.to_dict() == item.to_dict()
    with sdk.refuses(BadRequest, "log.facetModel.name.error.exists"):
        sdk.log.create_facet_model(field="duration", **where)
    with sdk.refuses(BadRequest, "log.facetModel.field.error.invalid"):
        sdk.log.create_facet_model(field="nothing", **where)
    with sdk.refuses(BadRequest, "log.facetModel.type.error.invalid", "log.facetModel.order.error.invalid"):
        sdk.log.create_facet_model(field="method", type="number", order=100001, **where)
    assert [item.field for item in sdk.log.describe_facet_models(**where).items] == ["duration", "request.itemName"]
    assert [item.field for item in sdk.log.describe_facet_models(name_prefix="req", **where).items] == [
        "request.itemName"]
    new = sdk.log.update_facet_model(field="duration", type="measure", **where).item
    assert (new.type, new.order) == ("measure", 0)
    assert sdk.log.delete_facet_model(field="duration", **where).item.to_dict() == new.to_dict()
    for call in (sdk.log.get_facet_model, sdk.log.update_facet_model, sdk.log.delete_facet_model):
        with sdk.refuses(NotFound, "log.facetModel.facetModel.error.notFound"):
            call(field="duration", **where)


def test_dashboards(sdk, environment, where):
    item = sdk.log.create_dashboard(display_name="First", description="あ", **where).item
    assert UUID.fullmatch(item.name) and not item.payload
    assert item.dashboard_id == environment.grn("log", where["namespace_name"], "dashboard", item.name)
    named = {"dashboard_name": item.name, **where}
    new = sdk.log.update_dashboard(display_name="New", payload='{"a": 1}', **named).item
    assert (new.display_name, new.description, new.payload) == ("New", None, '{"a": 1}')
    assert new.created_at == item.created_at and new.updated_at >= item.updated_at
    assert sdk.log.get_dashboard(**named).item.to_dict() == new.to_dict()
    copy = sdk.log.duplicate_dashboard(**named).item
    assert copy.name != item.name and (copy.display_name, copy.payload) == ("New", '{"a": 1}')
    listed = sdk.log.describe_dashboards(**where).items
    assert [one.name for one in listed] == sorted([item.name, copy.name])
    assert [one.name for one in sdk.log.describe_dashboards(name_prefix=copy.name, **where).items] == [copy.name]
    assert sdk.log.delete_dashboard(**named).item.name == item.name
    for call in (sdk.log.get_dashboard, sdk.log.update_dashboard, sdk.log.duplicate_dashboard,
                 sdk.log.delete_dashboard):
        with sdk.refuses(NotFound, "log.dashboard.dashboard.error.notFound"):
            call(**named)
        with sdk.refuses(NotFound, NO_NAMESPACE):
            call(dashboard_name=item.name, namespace_name=unique("absent"))
