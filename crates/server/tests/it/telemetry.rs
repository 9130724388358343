//! Spans of calls at a collector of OpenTelemetry, under the ids of the calls (BEHAVIOUR LG-04, LG-05).

use data_encoding::HEXLOWER;
use hiroba_testkit::{Database, StandIn, TestServer, on_both_engines};

const ROOT: &str = "01234567-89ab-4cde-8f01-23456789abcd";

async fn spans_reach_the_collector(database: Database) {
    let collector = StandIn::start(200, "").await;
    let url = format!("{}/", collector.url());
    let server =
        TestServer::builder(&database).config(|config| config.otlp_endpoint = Some(url)).start().await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let traced = api.with("X-GS2-REQUEST-ID", ROOT);
    traced.mutexes("ns", "alice").lock("p", "t").await.item();
    api.mutexes("ns", "alice").get("missing").await;
    // A stop sends what waits.
    server.stop().await;
    let received = collector.received();
    assert!(received.iter().all(|request| request.target == "/v1/traces"), "{received:?}");
    let bytes: Vec<u8> = received.into_iter().flat_map(|request| request.body).collect();
    let has = |wanted: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
    for text in ["lock.lock", "lock.getMutex", "service.name", "hiroba", ROOT] {
        assert!(has(text.as_bytes()), "{text} in {} bytes", bytes.len());
    }
    assert!(has(&HEXLOWER.decode(ROOT.replace('-', "").as_bytes()).unwrap()), "the trace is the request");
}

on_both_engines! {
    spans_reach_the_collector
}
