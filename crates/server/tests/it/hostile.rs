//! Input that no client sends. Each piece gets the protocol's error shape or a clean close, and the server goes on
//! (BEHAVIOUR E-01, E-05, T-10, T-28, T-29).

mod bodies;
mod heads;
mod idle;
mod memory;
mod sockets;
mod texts;

use hiroba_testkit::TestServer;
use hiroba_testkit::api::Api;
use hiroba_testkit::http::Response;

/// Fails the test unless this is the protocol's refusal, or the bare 4xx of a connection that is then closed, or no
/// answer because the connection was closed.
#[track_caller]
pub(crate) fn refused_or_closed(what: &str, answer: Option<&Response>) {
    let Some(answer) = answer else { return };
    let bare = answer.body.is_empty() && (400..500).contains(&answer.status);
    if bare && answer.header("connection") == Some("close") {
        return;
    }
    if let Err(wrong) = hiroba_testkit::shape::refusals(answer.status, &answer.body) {
        panic!("{what}: {wrong}: {} {:?} {}", answer.status, answer.headers, answer.text());
    }
    assert_ne!(answer.status, 500, "{what}: {}", answer.text());
}

/// Fails the test unless the server does what it always does.
pub(crate) async fn still_answers(server: &TestServer) {
    let api = server.api().await;
    let health = api.send(&hiroba_testkit::http::Request::new("GET", "/healthz")).await;
    assert_eq!((health.status, health.text().as_str()), (200, "ok\n"));
    let mutexes = api.mutexes("ns", "alive");
    mutexes.lock("alive", "t").await.item();
    mutexes.unlock("alive", "t").await.item();
}

/// A server with the namespace `ns`, and its administrator.
pub(crate) async fn server(database: &hiroba_testkit::Database) -> (TestServer, Api) {
    let server = TestServer::start(database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    (server, api)
}
