//! When a mutex frees itself, and what becomes of it then (BEHAVIOUR L-03, L-09, L-10, L-12).

use hiroba_testkit::api::{int, text};
use hiroba_testkit::{Database, TestServer, on_both_engines};

const COUNT: &str = "SELECT COUNT(*) FROM lock_mutex";

/// L-09, L-12: one millisecond before `ttlAt` the mutex is held, at `ttlAt` it is free, whatever the count.
async fn at_its_time_a_mutex_is_free(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let mutexes = api.mutexes("ns", "alice");

    let first = mutexes.lock_for("p", "t1", 60).await.item();
    assert_eq!(int(&first, "ttlAt"), server.now() + 60_000);
    let deeper = mutexes.lock_for("p", "t1", 60).await.item();
    assert_eq!(int(&deeper, "referenceCount"), 2);

    server.advance(59_999);
    assert_eq!(int(&mutexes.get("p").await.item(), "referenceCount"), 2);
    let conflict = mutexes.lock("p", "t2").await;
    conflict.refused(409, "mutex", "lock.mutex.transactionId.error.notMatch");

    server.advance(1);
    mutexes.get("p").await.refused(404, "mutex", "lock.mutex.mutex.error.notFound");
    mutexes.unlock("p", "t1").await.refused(404, "mutex", "lock.mutex.mutex.error.notFound");
    mutexes.delete("p").await.refused(404, "mutex", "lock.mutex.mutex.error.notFound");
    assert!(mutexes.list().await.is_empty());

    let taken = mutexes.lock_for("p", "t2", 60).await.item();
    assert_eq!(text(&taken, "transactionId"), "t2");
    assert_eq!(int(&taken, "referenceCount"), 1);
    assert_eq!(int(&taken, "createdAt"), server.now());
    assert_eq!(int(&taken, "ttlAt"), server.now() + 60_000);
    assert!(int(&taken, "revision") > int(&deeper, "revision"));
    mutexes.unlock("p", "t1").await.refused(400, "mutex", "lock.mutex.transactionId.error.notMatch");
    server.stop().await;
}

/// L-09: the same transaction finds the mutex free as well, and counts from one again.
async fn an_expired_mutex_does_not_know_its_holder(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let mutexes = api.mutexes("ns", "alice");
    for _ in 0..3 {
        mutexes.lock_for("p", "t1", 10).await.item();
    }
    server.advance(10_000);
    let again = mutexes.lock_for("p", "t1", 10).await.item();
    assert_eq!(int(&again, "referenceCount"), 1);
    assert_eq!(int(&again, "createdAt"), server.now());
    assert_eq!(int(&mutexes.unlock("p", "t1").await.item(), "referenceCount"), 0);
    server.stop().await;
}

/// L-10: a re-entrant call lengthens the time and never shortens it. L-05: as many unlocks as locks.
async fn a_reentrant_call_never_shortens_the_time(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let mutexes = api.mutexes("ns", "alice");
    let first = mutexes.lock_for("p", "t1", 100).await.item();
    let until = int(&first, "ttlAt");

    for (ttl, expected) in [(10, until), (100, until), (101, until + 1000), (50, until + 1000)] {
        let deeper = mutexes.lock_for("p", "t1", ttl).await.item();
        assert_eq!(int(&deeper, "ttlAt"), expected, "after {ttl} s");
        assert_eq!(int(&deeper, "createdAt"), int(&first, "createdAt"));
    }
    server.advance(60_000);
    let later = mutexes.lock_for("p", "t1", 100).await.item();
    assert_eq!(int(&later, "ttlAt"), server.now() + 100_000);
    assert_eq!(int(&later, "referenceCount"), 6);

    for left in (0..6).rev() {
        let unlocked = mutexes.unlock("p", "t1").await.item();
        assert_eq!(int(&unlocked, "referenceCount"), left);
        assert_eq!(text(&unlocked, "propertyId"), "p");
        // An unlock does not touch the time.
        assert_eq!(int(&unlocked, "ttlAt"), int(&later, "ttlAt"));
    }
    mutexes.unlock("p", "t1").await.refused(404, "mutex", "lock.mutex.mutex.error.notFound");
    server.stop().await;
}

/// L-09: one hour when the caller says nothing, and a time that the protocol can name when the caller says too much.
async fn the_time_has_a_default_and_an_end(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let mutexes = api.mutexes("ns", "alice");
    assert_eq!(int(&mutexes.lock("a", "t").await.item(), "ttlAt"), server.now() + 3_600_000);
    for (property, ttl) in [("b", i64::MAX), ("c", i64::MAX / 1000 + 1), ("d", 32_503_680_000)] {
        let item = mutexes.lock_for(property, "t", ttl).await.item();
        assert_eq!(int(&item, "ttlAt"), 32_503_680_000_000, "{ttl}");
        assert_eq!(int(&mutexes.get(property).await.item(), "referenceCount"), 1);
    }
    for ttl in [0, -1, i64::MIN] {
        let refused = mutexes.lock_for("e", "t", ttl).await;
        refused.refused(400, "mutex", "lock.mutex.ttl.error.invalid");
    }
    server.stop().await;
}

/// The background sweep removes what has expired, and only that; nobody sees a difference.
async fn the_sweep_removes_only_what_has_expired(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    // More than the sweeper looks at in one transaction, in two namespaces.
    for namespace in ["ns", "other"] {
        api.create_namespace(namespace).await;
        let calls = (0..20).map(|user| {
            let mutexes = api.mutexes(namespace, &format!("user-{user}"));
            async move {
                for number in 0..15 {
                    mutexes.lock_for(&format!("short/{number}"), "t", 10).await.item();
                    mutexes.lock_for(&format!("long/{number}"), "t", 20).await.item();
                }
            }
        });
        futures_util::future::join_all(calls).await;
    }
    assert_eq!(server.count(COUNT).await, 1200);
    server.advance(9_999);
    server.sweep().await;
    assert_eq!(server.count(COUNT).await, 1200);

    server.advance(1);
    assert_eq!(server.count(COUNT).await, 1200, "expired and not swept yet");
    let mutexes = api.mutexes("ns", "user-7");
    assert_eq!(mutexes.list().await.len(), 15);
    mutexes.get("short/3").await.refused(404, "mutex", "lock.mutex.mutex.error.notFound");
    server.sweep().await;
    assert_eq!(server.count(COUNT).await, 600);
    assert_eq!(mutexes.list().await.len(), 15);
    mutexes.get("short/3").await.refused(404, "mutex", "lock.mutex.mutex.error.notFound");
    assert_eq!(int(&mutexes.get("long/3").await.item(), "referenceCount"), 1);
    assert_eq!(api.metric("hiroba_swept_mutexes_total").await, 600.0);

    // A mutex that was taken again between two sweeps stays.
    server.advance(9_999);
    mutexes.lock_for("long/3", "t", 60).await.item();
    server.advance(1);
    server.sweep().await;
    assert_eq!(server.count(COUNT).await, 1);
    assert_eq!(int(&mutexes.get("long/3").await.item(), "referenceCount"), 2);
    server.stop().await;
}

on_both_engines! {
    at_its_time_a_mutex_is_free
    an_expired_mutex_does_not_know_its_holder
    a_reentrant_call_never_shortens_the_time
    the_time_has_a_default_and_an_end
    the_sweep_removes_only_what_has_expired
}
