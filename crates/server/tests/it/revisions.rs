//! The revision of a mutex is a fencing number: it grows with every grant and never goes back (BEHAVIOUR N-11).

use hiroba_testkit::api::int;
use hiroba_testkit::{Database, TestServer, on_both_engines};

/// Over unlock, deletion, expiry, sweep, the end of the namespace and a restart.
async fn it_grows_over_everything(database: Database) {
    let mut server = TestServer::start_manual(&database).await;
    let mut api = server.api().await;
    let mut last = 0;
    for round in 0..3 {
        api.create_namespace("ns").await;
        let mutexes = api.mutexes("ns", "alice");
        let mut granted = Vec::new();
        for step in ["unlock", "delete", "expiry", "sweep", "reentry", "held"] {
            granted.push(int(&mutexes.lock_for("p", "t", 60).await.item(), "revision"));
            match step {
                "unlock" => drop(mutexes.unlock("p", "t").await.item()),
                "delete" => drop(mutexes.delete("p").await.item()),
                "expiry" => server.advance(60_000),
                "sweep" => {
                    server.advance(60_000);
                    server.sweep().await;
                }
                _ => {}
            }
        }
        assert!(granted.is_sorted_by(|one, other| one < other), "{granted:?}");
        assert!(granted[0] > last, "round {round}: {} after {last}", granted[0]);
        last = *granted.last().unwrap();
        // The last grants are still held: a restart must not forget them either.
        server = server.restart().await;
        api = server.api().await;
        let mutexes = api.mutexes("ns", "alice");
        assert_eq!(int(&mutexes.get("p").await.item(), "revision"), last);
        let deeper = int(&mutexes.lock("p", "t").await.item(), "revision");
        assert!(deeper > last, "{deeper} after {last}");
        last = deeper;
        api.call("lock", "DELETE", "/ns", serde_json::Value::Null).await.ok();
    }
    server.stop().await;
}

/// An unlock that leaves references changes the revision as well; reading does not.
async fn it_tells_states_apart(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let mutexes = api.mutexes("ns", "alice");
    let first = int(&mutexes.lock("p", "t").await.item(), "revision");
    let second = int(&mutexes.lock("p", "t").await.item(), "revision");
    let third = int(&mutexes.unlock("p", "t").await.item(), "revision");
    assert!(first < second && second < third, "{first} {second} {third}");
    for _ in 0..3 {
        assert_eq!(int(&mutexes.get("p").await.item(), "revision"), third);
    }
    server.stop().await;
}

on_both_engines! {
    it_grows_over_everything
    it_tells_states_apart
}
