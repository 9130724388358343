//! Queries over entries: their language, facets, time series, metrics, traces (BEHAVIOUR LG-07, LG-10).

use hiroba_testkit::api::{int, text};
use hiroba_testkit::{Database, TestServer, on_both_engines};
use serde_json::{Value, json};

use super::{Log, items};

/// A log with 12 calls in three minutes: of each minute two by alice, one by bob and one that fails.
async fn filled(database: &Database) -> (TestServer, Log, i64) {
    let server = TestServer::start_manual(database).await;
    let api = server.api().await;
    let log = Log::create(&api, "logs").await;
    log.logged("lock", "ns").await;
    let start = server.now();
    for minute in 0..3 {
        for (user, seconds) in [("alice", 60), ("alice", 120), ("bob", 600)] {
            api.mutexes("ns", user)
                .lock_for(&format!("p{minute}"), &format!("Gold {minute}"), seconds)
                .await
                .item();
        }
        api.mutexes("ns", "carol").get("nothing").await;
        server.advance(60_000);
    }
    (server, log, start)
}

/// LG-10: terms of the language over labels and members of requests; a mistake names its place.
async fn the_language_finds_entries(database: Database) {
    let (server, log, start) = filled(&database).await;
    for (query, count) in [
        ("", 12),
        ("service:lock", 12),
        ("service:lock method:lock", 9),
        ("method:get*", 3),
        ("status:error", 3),
        ("-status:error userId:alice", 6),
        ("request.ttl:>100", 6),
        ("request.ttl:60 OR request.ttl:600", 6),
        ("request.transactionId:\"Gold 1\"", 3),
        ("\"gold 1\" bob", 1),
        ("result.item.propertyId:p2", 3),
        ("statusCode:404", 3),
        ("NOT (userId:alice OR userId:bob)", 3),
        ("service:chat", 0),
        ("nowhere", 0),
    ] {
        assert_eq!(log.find(query).await.len(), count, "{query}");
    }
    let entry = log.find("userId:bob \"gold 2\"").await.remove(0);
    assert_eq!((int(&entry, "timestamp"), text(&entry, "status")), (start + 120_000, "ok"));
    let line: Value = serde_json::from_str(text(&entry, "line")).unwrap();
    assert_eq!((&line["request"]["ttl"], &line["result"]["item"]["userId"]), (&json!(600), &json!("bob")));
    let labels = entry["labels"].as_array().unwrap();
    let label = |key: &str| {
        let label =
            labels.iter().find(|label| label["key"] == key).unwrap_or_else(|| panic!("{key} in {entry}"));
        text(label, "value").to_owned()
    };
    for (key, value) in [("service", "lock"), ("method", "lock"), ("userId", "bob"), ("namespaceName", "ns")]
    {
        assert_eq!(label(key), value);
    }
    let id = label("requestId");
    assert_eq!(id, label("traceId"));
    // One entry is found whenever it was, by its id.
    server.advance(5 * 3_600_000);
    let api = server.api().await;
    let log = Log { api, ..log };
    assert!(log.find("").await.is_empty());
    let one = log.call("GET", &format!("/log/v2/query/{id}"), Value::Null).await.item();
    assert_eq!(one, entry);
    let missing = "log.logEntry.logEntry.error.notFound";
    log.call("GET", "/log/v2/query/nothing", Value::Null).await.refused(404, "logEntry", missing);
    let late = format!("/log/v2/query/{id}?begin={}", start + 120_001);
    log.call("GET", &late, Value::Null).await.refused(404, "logEntry", missing);
    let wrong = log.call("POST", "/log/v2/query", json!({ "query": "service:lock (" })).await;
    wrong.refused(400, "logEntry", "log.logEntry.query.error.invalid");
    assert!(wrong.text().contains("character 15"), "{}", wrong.text());
    server.stop().await;
}

/// LG-07: numbers of calls, apart by what is asked for.
async fn calls_are_counted(database: Database) {
    let (server, log, _) = filled(&database).await;
    let count =
        async |query: &str| log.call("GET", &format!("/log/access/count{query}"), Value::Null).await.ok();
    let all = count("").await;
    assert_eq!(items(&all), [json!({ "count": 12 })]);
    assert_eq!(int(&all, "totalCount"), 12);
    assert!(int(&all, "scanSize") > 1000, "{all}");
    let apart = count("?service=true&userId=true").await;
    let expected = [
        json!({ "service": "lock", "userId": "alice", "count": 6 }),
        json!({ "service": "lock", "userId": "bob", "count": 3 }),
        json!({ "service": "lock", "userId": "carol", "count": 3 }),
    ];
    assert_eq!(items(&apart), expected);
    let first = count("?userId=true&limit=2").await;
    let next = count(&format!("?userId=true&limit=2&pageToken={}", text(&first, "nextPageToken"))).await;
    assert_eq!((items(&first).len(), items(&next).len(), next.get("nextPageToken")), (2, 1, None));
    assert_eq!(items(&count("?method=true&begin=1&end=2").await), [] as [Value; 0]);
    server.stop().await;
}

/// Facets: frequent values, ranges of what the query finds and of everything.
async fn facets_count_values(database: Database) {
    let (server, log, _) = filled(&database).await;
    for facet in [
        json!({ "field": "request.ttl", "type": "double", "order": 2 }),
        json!({ "field": "request.propertyId", "order": 1, "displayName": "Property" }),
    ] {
        log.call("POST", "/model/facet", facet).await.item();
    }
    let wrong = log.call("POST", "/model/facet", json!({ "field": "nothing" })).await;
    wrong.refused(400, "facetModel", "log.facetModel.field.error.invalid");
    let facets = log.call("POST", "/log/v2/query/facet", json!({ "query": "userId:alice" })).await.ok();
    let facets = items(&facets);
    let names: Vec<&str> = facets.iter().map(|facet| text(facet, "field")).collect();
    let expected = [
        "service",
        "method",
        "status",
        "namespaceName",
        "userId",
        "duration",
        "request.propertyId",
        "request.ttl",
    ];
    assert_eq!(names, expected);
    let facet = |name: &str| facets.iter().find(|facet| text(facet, "field") == name).unwrap();
    assert_eq!(facet("userId")["values"], json!([{ "value": "alice", "count": 6 }]));
    let properties = json!([
        { "value": "p0", "count": 2 }, { "value": "p1", "count": 2 }, { "value": "p2", "count": 2 },
    ]);
    assert_eq!(facet("request.propertyId")["values"], properties);
    let ttl = facet("request.ttl");
    assert_eq!((&ttl["range"]["min"], &ttl["range"]["max"]), (&json!(60.0), &json!(120.0)));
    assert_eq!((&ttl["globalRange"]["min"], &ttl["globalRange"]["max"]), (&json!(60.0), &json!(600.0)));
    assert_eq!(facet("service").get("range"), None);
    server.stop().await;
}

/// Time series: spans, groups, aggregations, their order and their bounds.
async fn series_of_numbers(database: Database) {
    let (server, log, start) = filled(&database).await;
    let series = async |fields: Value| log.call("POST", "/log/v2/timeseries", fields).await.ok();
    let period = json!({ "begin": start, "end": start + 179_999, "interval": 60 });
    let with = |fields: Value| {
        let mut all = period.clone();
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        all
    };
    let counted = series(period.clone()).await;
    let point = |at: i64, values: Value| json!({ "timestamp": start + at, "values": values });
    let four = json!([{ "key": "count", "value": 4.0 }]);
    let expected = [point(0, four.clone()), point(60_000, four.clone()), point(120_000, four.clone())];
    assert_eq!(items(&counted), expected);
    assert_eq!(counted["timeseriesMetadata"], json!({ "keys": ["count"], "groupBy": [] }));
    let page = series(with(json!({ "limit": 2 }))).await;
    assert_eq!(items(&page).len(), 2);
    let rest = series(with(json!({ "limit": 2, "pageToken": page["nextPageToken"] }))).await;
    assert_eq!((items(&rest).len(), rest.get("nextPageToken")), (1, None));

    let grouped = with(json!({
        "groupBy": ["userId"], "aggregation": { "type": "max", "field": "request.ttl" }, "query": "method:lock",
    }));
    let grouped = series(grouped).await;
    let values = json!([{ "key": "alice", "value": 120.0 }, { "key": "bob", "value": 600.0 }]);
    assert_eq!(items(&grouped)[2], point(120_000, values));
    assert_eq!(grouped["timeseriesMetadata"]["keys"], json!(["max(request.ttl)"]));
    let one = series(with(json!({ "groupBy": ["userId"], "seriesLimit": 1 }))).await;
    assert_eq!(items(&one)[0]["values"], json!([{ "key": "alice", "value": 2.0 }]));

    let metrics = async |fields: Value| log.call("POST", "/metrics/timeseries", fields).await.ok();
    let several = with(json!({
        "groupBy": ["userId"], "orderKey": "sum(request.ttl)", "orderBy": "asc", "seriesLimit": 1, "interval": 3600,
        "aggregations": [{ "type": "sum", "field": "request.ttl" }, { "type": "unique", "field": "request.propertyId" }],
        "query": "method:lock",
    }));
    let several = metrics(several).await;
    let values = json!([
        { "key": "sum(request.ttl):alice", "value": 540.0 }, { "key": "unique(request.propertyId):alice", "value": 3.0 },
    ]);
    assert_eq!(items(&several)[0]["values"], values);
    for (fields, member) in [
        (json!({ "begin": 0, "end": start, "interval": 1 }), "interval"),
        (json!({ "groupBy": ["nothing"] }), "groupBy"),
        (json!({ "aggregation": { "type": "sum", "field": "nothing" } }), "aggregation"),
        (json!({ "query": "(" }), "query"),
    ] {
        let wrong = log.call("POST", "/log/v2/timeseries", fields).await;
        assert_eq!(wrong.status, 400, "{member}");
        assert!(wrong.text().contains(&format!("log.logEntry.{member}.error.")), "{}", wrong.text());
    }
    let wrong = log.call("POST", "/metrics/timeseries", json!({ "orderKey": "x" })).await;
    wrong.refused(400, "metricModel", "log.metricModel.orderKey.error.invalid");
    server.stop().await;
}

/// Metrics and the values of their labels.
async fn metrics_and_labels(database: Database) {
    let (server, log, _) = filled(&database).await;
    log.call("POST", "/model/facet", json!({ "field": "request.ttl", "type": "measure" })).await.item();
    log.call("POST", "/model/facet", json!({ "field": "request.propertyId" })).await.item();
    let metrics = items(&log.call("GET", "/model/metrics", Value::Null).await.ok());
    let names: Vec<&str> = metrics.iter().map(|metric| text(metric, "name")).collect();
    assert_eq!(names, ["calls", "duration", "request.ttl"]);
    let some = items(&log.call("GET", "/model/metrics?namePrefix=d", Value::Null).await.ok());
    assert_eq!(some.len(), 1);
    let values = async |query: &str| {
        items(&log.call("GET", &format!("/model/metrics/{query}"), Value::Null).await.ok())
    };
    let users = values("calls/label?labelNamePrefix=user").await;
    let label = |value: &str| json!({ "key": "userId", "value": value });
    assert_eq!(users, [label("alice"), label("bob"), label("carol")]);
    assert_eq!(values("request.ttl/label?limit=2").await.len(), 2);
    let missing = log.call("GET", "/model/metrics/nothing/label", Value::Null).await;
    missing.refused(404, "metricModel", "log.metricModel.metricModel.error.notFound");
    server.stop().await;
}

/// Traces that ran beside a trace of the same player.
async fn traces_and_their_parallels(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    let log = Log::create(&api, "logs").await;
    log.logged("lock", "ns").await;
    for (id, user) in [("one", "alice"), ("two", "alice"), ("three", "bob")] {
        api.with("X-GS2-REQUEST-ID", id).mutexes("ns", user).get("p").await;
    }
    server.advance(60_000);
    api.with("X-GS2-REQUEST-ID", "late").mutexes("ns", "alice").get("p").await;
    let trace = log.call("GET", "/log/v2/trace/one", Value::Null).await.ok();
    assert_eq!(
        (text(&trace["trace"], "traceId"), trace["trace"]["spans"].as_array().unwrap().len()),
        ("one", 1)
    );
    let parallels: Vec<&str> =
        trace["parallels"].as_array().unwrap().iter().map(|trace| text(trace, "traceId")).collect();
    assert_eq!((parallels, &trace["parallelTruncated"]), (vec!["two"], &json!(false)));
    let missing = log.call("GET", "/log/v2/trace/nothing", Value::Null).await;
    missing.refused(404, "trace", "log.trace.trace.error.notFound");
    server.stop().await;
}

on_both_engines! {
    the_language_finds_entries
    calls_are_counted
    facets_count_values
    series_of_numbers
    metrics_and_labels
    traces_and_their_parallels
}
