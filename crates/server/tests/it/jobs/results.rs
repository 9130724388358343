//! How long results are kept (BEHAVIOUR J-50, J-51).

use hiroba_testkit::api::int;
use hiroba_testkit::jobs::entry;
use hiroba_testkit::{Database, Queue, Stage, TestServer, on_both_engines};
use serde_json::json;

const DAY_MS: i64 = 24 * 3_600_000;
const RESULTS: &str = "SELECT COUNT(*) FROM job_queue_result";

/// J-51: 24 hours after the last attempt and not before; those of a job that waits for its next attempt stay.
async fn results_are_kept_for_a_day(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    let stage = Stage::create(&api).await;
    let queue = Queue::create(&api, "manual", false).await;
    let nothing = stage.script("nothing", "").await;
    let failing = stage.script("failing", "fail(503, 'later')").await;
    let retried = queue.push_one("retried", &failing, &json!({})).await;
    for _ in 0..2 {
        assert_eq!(queue.run("retried").await.ok()["isLastJob"], false);
    }
    let done = queue.push_one("done", &nothing, &json!({})).await;
    queue.run_all("done").await;
    let deleted = queue.push_one("deleted", &failing, &json!({})).await;
    queue.run("deleted").await.ok();
    queue.delete("deleted", &deleted).await.item();
    // More than the sweeper looks at in one transaction.
    let ten = vec![entry(&nothing, &json!({})); 10];
    for _ in 0..60 {
        queue.push("many", &ten).await;
    }
    queue.set_auto_run(true).await;
    queue.drained("many").await;
    queue.set_auto_run(false).await;
    let there = 2 + 1 + 1 + 600;
    assert_eq!(server.count(RESULTS).await, there, "the retried job waited for its time");

    server.advance(DAY_MS - 1);
    server.sweep().await;
    assert_eq!(server.count(RESULTS).await, there);
    let api = server.api().await;
    let queue = Queue::of(&api, "manual");
    queue.result("done", &done, None).await.item();
    server.advance(1);
    let missing = "jobQueue.jobResult.jobResult.error.notFound";
    queue.result("done", &done, None).await.refused(404, "jobResult", missing);
    queue.result("deleted", &deleted, None).await.refused(404, "jobResult", missing);
    assert_eq!(server.count(RESULTS).await, there, "expired and not swept yet");
    server.sweep().await;
    assert_eq!(server.count(RESULTS).await, 2, "those of the job that waits for its next attempt");

    server.advance(DAY_MS);
    let api = server.api().await;
    let queue = Queue::of(&api, "manual");
    server.sweep().await;
    for number in [Some(0), Some(1), None] {
        assert_eq!(int(&queue.result("retried", &retried, number).await.item(), "statusCode"), 503);
    }
    queue.run("retried").await.ok();
    assert_eq!(queue.dead_letters("retried").await.len(), 1);
    server.advance(DAY_MS - 1);
    server.sweep().await;
    assert_eq!(server.count(RESULTS).await, 3);
    server.advance(1);
    server.sweep().await;
    assert_eq!(server.count(RESULTS).await, 0);
    let api = server.api().await;
    let letters = Queue::of(&api, "manual").dead_letters("retried").await;
    assert_eq!(letters[0]["result"].as_array().unwrap().len(), 3, "a dead letter keeps its attempts");
    server.stop().await;
}

/// What outlives its day in front does not keep what lies behind from being swept.
async fn the_sweep_reaches_all(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    let stage = Stage::create(&api).await;
    let queue = Queue::create(&api, "manual", false).await;
    let (nothing, failing) =
        (stage.script("nothing", "").await, stage.script("failing", "fail(503, 'later')").await);
    for player in 0..5 {
        let user = format!("retried-{player}");
        queue.push_one(&user, &failing, &json!({})).await;
        queue.run(&user).await.ok();
    }
    // Pushed early, done late.
    let late = queue.push_one("late", &nothing, &json!({})).await;
    let early = queue.push_one("early", &nothing, &json!({})).await;
    queue.run_all("early").await;
    server.advance(DAY_MS / 2);
    let api = server.api().await;
    let queue = Queue::of(&api, "manual");
    queue.run_all("late").await;
    server.advance(DAY_MS / 2);
    server.sweep().await;
    assert_eq!(server.count(RESULTS).await, 6);
    let api = server.api().await;
    let queue = Queue::of(&api, "manual");
    queue.result("late", &late, None).await.item();
    assert_eq!(queue.result("early", &early, None).await.status, 404);
    server.advance(DAY_MS / 2);
    server.sweep().await;
    assert_eq!(server.count(RESULTS).await, 5);
    server.stop().await;
}

on_both_engines! {
    results_are_kept_for_a_day
    the_sweep_reaches_all
}
