"""Log: what is recorded of calls and how it is found, over both transports. BEHAVIOUR LG-01 to LG-08, LG-10."""

import pytest
from gs2.log import AggregationConfig

from harness.environment import unique
from harness.errors import error_items
from harness.log import Logged, inner, labels
from harness.sdk import BadRequest, NotFound


@pytest.fixture
def logged(sdk, environment, make_log, make_namespace):
    return Logged(sdk, environment, make_log(), make_namespace)


class TestAccessLog:
    def test_entry_lg02_lg03(self, logged):
        """LG-02, LG-03: a call is found by the call after it, with its request and its answer."""
        name = logged.lock("alice", ttl=60)
        item, = logged.entries()
        assert (item.service, item.method, item.user_id) == ("lock", "lock", "alice")
        assert len(item.request_id) == 36 and item.timestamp > 0
        assert inner(item.request) == {"namespaceName": logged.namespace, "userId": "alice", "propertyId": name,
                                       "transactionId": "t", "ttl": 60}
        assert inner(item.result)["item"]["propertyId"] == name

    def test_refusals_lg01(self, sdk, logged):
        """LG-01: what is refused is a call too."""
        with sdk.refuses(NotFound, "lock.mutex.mutex.error.notFound"):
            sdk.lock.get_mutex_by_user_id(namespace_name=logged.namespace, user_id="bob", property_id="absent")
        item, = logged.entries(user_id="bob")
        assert item.method == "getMutex" and "mutex.error.notFound" in item.result
        with_telemetry = sdk.log.query_access_log_with_telemetry(user_id="bob", **logged.where).items
        assert [one.status for one in with_telemetry] == ["error"]

    def test_choice_lg07(self, logged):
        for user in ("alice", "bob", "alice"):
            logged.lock(user)
        assert len(logged.entries(service="lock", method="lock", user_id="alice")) == 2
        for nothing in ({"service": "chat"}, {"method": "unlock"}, {"user_id": "carol"}):
            assert logged.entries(**nothing) == []

    def test_pages_lg07_lg08(self, sdk, logged):
        """LG-07, LG-08: newest first; every page says how many there are."""
        names = [logged.lock() for _number in range(5)]
        seen, token = [], None
        while True:
            page = sdk.log.query_access_log(limit=2, page_token=token, **logged.where)
            assert page.total_count == 5 and page.scan_size > 0
            seen += [inner(item.request)["propertyId"] for item in page.items]
            token = page.next_page_token
            if token is None:
                break
        assert sorted(seen) == sorted(names)
        times = [item.timestamp for item in logged.entries()]
        assert times == sorted(times, reverse=True)

    def test_period_lg08(self, sdk, logged):
        """LG-08: begin and end are included."""
        logged.lock()
        at = logged.entries()[0].timestamp
        assert len(logged.entries(begin=at, end=at)) == 1
        assert logged.entries(begin=at + 1, end=at + 1) == logged.entries(begin=at - 1, end=at - 1) == []
        with sdk.refuses(BadRequest, "log.accessLog.begin.error.invalid"):
            logged.entries(begin=at, end=at - 1)
        with sdk.refuses(BadRequest, "log.accessLog.pageToken.error.invalid"):
            logged.entries(page_token="wrong")

    def test_count_lg07(self, sdk, logged):
        for user in ("alice", "bob", "alice"):
            logged.lock(user)
        all_ = sdk.log.count_access_log(**logged.where)
        assert [item.count for item in all_.items] == [3] and all_.total_count == 3
        apart = sdk.log.count_access_log(service=True, method=True, user_id=True, **logged.where).items
        found = [(item.service, item.method, item.user_id, item.count) for item in apart]
        assert found == [("lock", "lock", "alice", 2), ("lock", "lock", "bob", 1)]

    def test_scripts_lg04(self, sdk, environment, make_log, make_namespace, make_scripts):
        """LG-04: the calls of a script name the call that set it off, and are its trace."""
        logged = Logged(sdk, environment, make_log(), make_namespace)
        scripts = make_scripts(log_setting=_setting(environment, logged.log))
        source = "gs2('lock').lock_by_user_id({namespaceName = '%s', userId = 'u', propertyId = 'p', " \
                 "transactionId = 't'})\nresult = {}" % logged.namespace
        made = sdk.script.create_script(namespace_name=scripts.namespace, name=unique("script"), script=source).item
        sdk.script.invoke_script(script_id=made.script_id, args="{}")
        items = sdk.log.query_access_log_with_telemetry(**logged.where).items
        lock, = [item for item in items if item.service == "lock"]
        invoke, = [item for item in items if item.method == "invoke"]
        assert lock.source_request_id == invoke.request_id and invoke.source_request_id is None
        assert lock.duration >= 0 and lock.status == "ok"
        answer = sdk.log.get_trace(trace_id=invoke.request_id, **logged.where)
        assert [labels(span)["method"] for span in answer.trace.spans] == ["invoke", "lock"]
        assert answer.trace.truncated is False and answer.parallel_truncated is False

    def test_passwords_lg11(self, sdk, environment, make_log, make_chat, make_namespace):
        """LG-11: secrets are masked in requests and answers."""
        logged = Logged(sdk, environment, make_log(), make_namespace)
        chat = make_chat(log_setting=_chat_setting(environment, logged.log))
        sdk.chat.create_room_from_backend(namespace_name=chat, name="room", password="a-secret-word")
        item, = [one for one in logged.entries() if one.method == "createRoomFromBackend"]
        assert "a-secret-word" not in item.request + item.result
        assert inner(item.request)["password"] == "***"


def _setting(environment, log):
    from gs2.script import LogSetting
    return LogSetting().with_logging_namespace_id(environment.grn("log", log))


def _chat_setting(environment, log):
    from gs2.chat import LogSetting
    return LogSetting().with_logging_namespace_id(environment.grn("log", log))


class TestStampLogs:
    """LG-09: logs of transactions where nobody has made any."""

    @pytest.mark.parametrize("kind", ["issue_stamp_sheet", "execute_stamp_sheet", "execute_stamp_task"])
    def test_none_lg09(self, sdk, make_log, kind):
        where = {"namespace_name": make_log()}
        found = getattr(sdk.log, f"query_{kind}_log")(user_id="alice", action="Gs2Lock:Lock", **where)
        assert (found.items, found.total_count, found.next_page_token) == ([], 0, None)
        counted = getattr(sdk.log, f"count_{kind}_log")(action=True, service=True, **where)
        assert (counted.items, counted.total_count) == ([], 0)


class TestQueries:
    """LG-10: the newer queries over the same entries."""

    def test_language_lg10(self, sdk, logged):
        for user, ttl in (("alice", 60), ("alice", 120), ("bob", 600)):
            logged.lock(user, transaction="Gold coin", ttl=ttl)
        for query, count in (("", 3), ("service:lock AND userId:alice", 2), ("request.ttl:>100", 2),
                             ('request.transactionId:"Gold coin" -userId:bob', 2), ("gold", 3), ("silver", 0),
                             ("method:lo* OR silver", 3), ("NOT status:ok", 0)):
            found = sdk.log.query_log(query=query, **logged.where)
            assert (len(found.items), found.total_entry_count) == (count, count), query
        entry, = logged.find("userId:bob")
        assert (entry.status, labels(entry)["userId"], labels(entry)["service"]) == ("ok", "bob", "lock")
        line = inner(entry.line)
        assert line["request"]["ttl"] == 600 and line["result"]["item"]["userId"] == "bob"
        again = sdk.log.get_log(log_request_id=labels(entry)["requestId"], **logged.where).item
        assert again.to_dict() == entry.to_dict()
        with sdk.refuses(NotFound, "log.logEntry.logEntry.error.notFound"):
            sdk.log.get_log(log_request_id=unique(), **logged.where)

    @pytest.mark.parametrize("query, character", [("service:lock (", 15), ("nothing:x", 1), ("a OR", 5), ('a "b', 3)])
    def test_mistakes_name_their_place(self, sdk, make_log, query, character):
        where = {"namespace_name": make_log()}
        for call, component in ((sdk.log.query_log, "logEntry"), (sdk.log.query_facets, "logEntry"),
                                (sdk.log.query_timeseries, "logEntry"),
                                (sdk.log.query_metrics_timeseries, "metricModel")):
            with sdk.refuses(BadRequest, f"log.{component}.query.error.invalid"):
                call(query=query, **where)
            assert f"character {character}:" in error_items(sdk.answer)[0]["detail"]

    def test_facets_lg10(self, sdk, logged):
        for user, ttl in (("alice", 60), ("alice", 120), ("bob", 600)):
            logged.lock(user, ttl=ttl)
        sdk.log.create_facet_model(field="request.ttl", type="double", **logged.where)
        facets = {facet.field: facet for facet in sdk.log.query_facets(query="userId:alice", **logged.where).items}
        assert [(value.value, value.count) for value in facets["userId"].values] == [("alice", 2)]
        ttl = facets["request.ttl"]
        assert (ttl.range.min, ttl.range.max, ttl.global_range.max) == (60, 120, 600)
        assert facets["duration"].range.min >= 0

    def test_timeseries_lg10(self, sdk, logged):
        for user, ttl in (("alice", 60), ("alice", 120), ("bob", 600)):
            logged.lock(user, ttl=ttl)
        sums = AggregationConfig().with_type("sum").with_field("request.ttl")
        found = sdk.log.query_timeseries(
            group_by=["userId"], aggregation=sums, interval=31536000, query="method:lock", **logged.where)
        point, = found.items
        assert [(value.key, value.value) for value in point.values] == [("alice", 180), ("bob", 600)]
        assert found.timeseries_metadata.keys == ["sum(request.ttl)"]
        assert found.timeseries_metadata.group_by == ["userId"]
        largest = AggregationConfig().with_type("max").with_field("request.ttl")
        metrics = sdk.log.query_metrics_timeseries(
            aggregations=[sums, largest], interval=31536000, order_key="sum(request.ttl)", order_by="desc",
            series_limit=5, **logged.where)
        point, = metrics.items
        assert [(value.key, value.value) for value in point.values] == [("sum(request.ttl)", 780), ("max(request.ttl)", 600)]

    def test_metrics_lg10(self, sdk, logged):
        for user in ("alice", "bob"):
            logged.lock(user)
        metrics = sdk.log.describe_metrics(**logged.where).items
        assert [metric.name for metric in metrics] == ["calls", "duration"]
        assert all("userId" in metric.labels for metric in metrics)
        assert len(sdk.log.describe_metrics(name_prefix="dur", **logged.where).items) == 1
        values = sdk.log.describe_label_values(metric_name="calls", label_name_prefix="userId", **logged.where).items
        assert [(label.key, label.value) for label in values] == [("userId", "alice"), ("userId", "bob")]
        with sdk.refuses(NotFound, "log.metricModel.metricModel.error.notFound"):
            sdk.log.describe_label_values(metric_name="nothing", **logged.where)

    def test_no_trace(self, sdk, make_log):
        with sdk.refuses(NotFound, "log.trace.trace.error.notFound"):
            sdk.log.get_trace(trace_id=unique(), namespace_name=make_log())
