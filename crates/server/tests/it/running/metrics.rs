//! `GET /metrics`: calls by operation and status, latencies, batch sizes, sockets.

use hiroba_testkit::{Database, Socket, TestServer, eventually, on_both_engines};
use serde_json::{Value, json};

async fn calls_are_counted(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let mutexes = api.mutexes("ns", "alice");
    for _ in 0..3 {
        mutexes.lock("p", "t").await.item();
    }
    mutexes.lock("p", "other").await.refused(409, "mutex", "lock.mutex.transactionId.error.notMatch");
    mutexes.lock_for("p", "t", 0).await.refused(400, "mutex", "lock.mutex.ttl.error.invalid");
    mutexes.get("none").await.refused(404, "mutex", "lock.mutex.mutex.error.notFound");
    api.call("lock", "PATCH", "/ns", Value::Null).await.refusals();
    let mut socket = Socket::open(server.address()).await;
    let fields = json!({ "xGs2ProjectToken": api.project_token(), "namespaceName": "ns", "userId": "alice", "propertyId": "p" });
    socket.call(("lock", "mutex", "getMutexByUserId"), fields).await.item();

    let count = |method: &str, status: u16| {
        let line = format!("hiroba_calls_total{{service=\"lock\",method=\"{method}\",status=\"{status}\"}}");
        let api = api.clone();
        async move { api.metric(&line).await }
    };
    assert_eq!(count("lockByUserId", 200).await, 3.0);
    assert_eq!(count("lockByUserId", 409).await, 1.0);
    assert_eq!(count("lockByUserId", 400).await, 1.0);
    assert_eq!(count("getMutexByUserId", 404).await, 1.0);
    assert_eq!(count("getMutexByUserId", 200).await, 1.0, "a call over the socket is one like others");
    assert_eq!(count("lock", 200).await, 0.0);
    assert_eq!(api.metric("hiroba_refused_total{status=\"404\"}").await, 1.0);
    let latency = "hiroba_call_seconds_count{service=\"lock\",method=\"lockByUserId\"}";
    assert_eq!(api.metric(latency).await, 5.0);
    let first = "hiroba_call_seconds_bucket{le=\"+Inf\",service=\"lock\",method=\"lockByUserId\"}";
    assert_eq!(api.metric(first).await, 5.0);
    assert!(api.metric("hiroba_call_seconds_sum{service=\"lock\",method=\"lockByUserId\"}").await > 0.0);
    assert!(api.metric("hiroba_commit_batch_size_count").await >= 4.0);
    assert!(api.metric("hiroba_commit_batch_size_sum").await >= 4.0);
    assert!(api.metric("hiroba_commit_seconds_count").await >= 4.0);

    assert_eq!(api.metric("hiroba_sockets").await, 1.0);
    assert!(api.metric("hiroba_connections").await >= 2.0);
    socket.close().await;
    let none = async || (api.metric("hiroba_sockets").await == 0.0).then_some(());
    eventually("the gauge of sockets to fall", none).await;
    server.stop().await;
}

/// The text is one that Prometheus reads: every line is a comment or a sample of a metric that was described before.
async fn the_text_is_well_formed(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let response = api.send(&hiroba_testkit::http::Request::new("GET", "/metrics")).await;
    let content_type = response.header("content-type").unwrap();
    assert!(content_type.starts_with("application/openmetrics-text"), "{content_type}");
    let text = response.text();
    let mut described: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            described.extend(comment.strip_prefix("TYPE ").and_then(|rest| rest.split(' ').next()));
            continue;
        }
        let name = line.split(['{', ' ']).next().unwrap();
        assert!(described.iter().any(|known| name.starts_with(known)), "{line}");
        let value = line.rsplit_once(' ').unwrap().1;
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    assert!(text.ends_with("# EOF\n"));
    server.stop().await;
}

on_both_engines! {
    calls_are_counted
    the_text_is_well_formed
}
