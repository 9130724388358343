//! Jobs that fail: when they are tried again, and what becomes of them in the end (BEHAVIOUR J-30 … J-37, J-42).

use hiroba_testkit::api::{int, text};
use hiroba_testkit::jobs::entry;
use hiroba_testkit::{Database, Gateway, Queue, Stage, TestServer, eventually, on_both_engines};
use serde_json::{Value, json};

/// Fails until the gate `mended` is open.
const FAILING: &str = "
if not is_open('mended') then fail(503, 'later') end
trace(args.user, { n = args.n })
result = { n = args.n }
";

async fn tries(queue: &Queue, user: &str, job: &str, count: i64) {
    let look = async || {
        let answer = queue.result(user, job, None).await;
        (answer.status == 200 && int(&answer.item(), "tryNumber") == count - 1).then_some(())
    };
    eventually(&format!("attempt {count}"), look).await;
}

/// J-33, J-36, J-37, J-42: after 1 s, 2 s, 4 s … and not before, up to a minute; then a dead letter with all attempts, which
/// the player is told of, and the next job.
async fn waits_double(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    let stage = Stage::create(&api).await;
    let gateway = Gateway::create(&api, "sockets").await;
    let queue = Queue::create(&api, "auto", true).await;
    let setting = json!({ "gatewayNamespaceId": "grn:gs2:ap-northeast-1:hiroba:gateway:sockets" });
    let settings = json!({ "enableAutoRun": true, "runNotification": setting });
    queue.call("PUT", "", settings).await.ok();
    let mut player = gateway.player(&server, "alice").await;
    let failing = stage.script("failing", FAILING).await;
    let tracing = stage.script("tracing", "trace(args.user, { n = args.n })").await;
    let mut first = entry(&failing, &json!({ "user": "alice", "n": 0 }));
    first["maxTryCount"] = 9.into();
    let second = entry(&tracing, &json!({ "user": "alice", "n": 1 }));
    let jobs = queue.push("alice", &[first, second]).await;
    let mut expected = Vec::new();
    for (number, wait) in [0, 1, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
        if wait > 0 {
            server.advance(wait * 1000 - 1);
            // Each of these makes a worker look at what is due.
            for bystander in ["bob", "carol"] {
                let args = json!({ "user": bystander, "n": number });
                queue.push_one(bystander, &tracing, &args).await;
                stage.traced(bystander, number).await;
                queue.drained(bystander).await;
            }
            let waiting = queue.jobs("alice").await;
            assert_eq!(waiting.len(), 2);
            assert_eq!(int(&waiting[0], "currentRetryCount"), number as i64);
            server.advance(1);
        }
        tries(&queue, "alice", &jobs[0], number as i64 + 1).await;
        let result = queue.result("alice", &jobs[0], Some(number as i64)).await.item();
        assert_eq!((int(&result, "statusCode"), int(&result, "tryAt")), (503, server.now()), "{number}");
        assert_eq!(serde_json::from_str::<Value>(text(&result, "result")).unwrap()[0]["message"], "later");
        let body = json!({
            "tryNumber": number + 1, "statusCode": 503, "result": result["result"], "tryAt": result["tryAt"],
        });
        expected.push(body);
    }
    stage.traced("alice", 1).await;
    queue.drained("alice").await;
    assert_eq!(stage.numbers("alice").await, [1], "the next job runs");
    let letters = queue.dead_letters("alice").await;
    assert_eq!((letters.len(), text(&letters[0], "name")), (1, &*jobs[0]));
    assert_eq!(letters[0]["result"], Value::from(expected));
    assert_eq!(int(&letters[0], "createdAt"), server.now());
    for job in &jobs {
        let told = player.socket.notification().await["body"].take();
        assert_eq!(told["subject"], "Gs2JobQueue:RunNotification");
        let payload: Value = serde_json::from_str(text(&told, "payload")).unwrap();
        assert_eq!((text(&payload, "jobName"), text(&payload, "userId")), (&**job, "alice"));
    }
    server.stop().await;
}

/// J-03, J-32: a failed job keeps those behind it waiting; when its cause is gone, all run, in order, also after a restart.
async fn a_failed_job_keeps_its_place(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    let stage = Stage::create(&api).await;
    let queue = Queue::create(&api, "auto", true).await;
    let failing = stage.script("failing", FAILING).await;
    let entries: Vec<_> = (0..5)
        .map(|n| {
            let mut entry = entry(&failing, &json!({ "user": "alice", "n": n }));
            entry["maxTryCount"] = 100.into();
            entry
        })
        .collect();
    let jobs = queue.push("alice", &entries).await;
    tries(&queue, "alice", &jobs[0], 1).await;
    server.advance(1000);
    tries(&queue, "alice", &jobs[0], 2).await;
    // A restart neither forgets the attempts nor makes one too early.
    let server = server.restart().await;
    let api = server.api().await;
    let (stage, queue) = (Stage::of(&api), Queue::of(&api, "auto"));
    let waiting = queue.jobs("alice").await;
    assert_eq!(waiting.iter().map(|job| text(job, "name")).collect::<Vec<_>>(), jobs);
    assert_eq!(int(&waiting[0], "currentRetryCount"), 2);
    server.advance(1999);
    queue.push_one("bob", "grn:gs2:ap-northeast-1:hiroba:script:scripts:script:none", &json!({})).await;
    let bob = async || {
        let waiting = queue.jobs("bob").await;
        (int(&waiting[0], "currentRetryCount") == 1).then_some(())
    };
    eventually("another player's attempt", bob).await;
    assert_eq!(int(&queue.jobs("alice").await[0], "currentRetryCount"), 2);
    stage.open("mended").await;
    server.advance(1);
    assert_eq!(stage.traced("alice", 5).await, [0, 1, 2, 3, 4]);
    queue.drained("alice").await;
    let result = queue.result("alice", &jobs[0], None).await.item();
    assert_eq!((int(&result, "tryNumber"), int(&result, "statusCode")), (2, 200));
    assert_eq!(int(&result, "tryAt"), server.now());
    for number in 0..2 {
        let earlier = queue.result("alice", &jobs[0], Some(number)).await.item();
        assert_eq!(int(&earlier, "statusCode"), 503);
    }
    server.stop().await;
}

/// J-35, J-61: a script that is not there, is no Lua, breaks a rule or answers a list fails with its own status; what it did
/// before it failed is done once, however often it is tried.
async fn ways_to_fail(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    let stage = Stage::create(&api).await;
    let queue = Queue::create(&api, "auto", true).await;
    let none = "grn:gs2:ap-northeast-1:hiroba:script:scripts:script:none".to_owned();
    let mut scripts = vec![(none, 404)];
    for (name, source, status) in [
        ("syntax", "trace(", 400),
        ("error", "error('no')", 500),
        ("list", "trace('list', { n = 1 }) result = { 1, 2 }", 400),
        ("fail", "trace('fail', { n = 1 }) trace('fail', { n = 1 }) fail(418, 'teapot')", 418),
    ] {
        scripts.push((stage.script(name, source).await, status));
    }
    for (player, (script, status)) in scripts.iter().enumerate() {
        let user = format!("user-{player}");
        let mut entry = entry(script, &json!({}));
        entry["maxTryCount"] = 2.into();
        let job = queue.push(&user, &[entry]).await.remove(0);
        tries(&queue, &user, &job, 1).await;
        server.advance(1000);
        queue.drained(&user).await;
        let letters = queue.dead_letters(&user).await;
        let attempts = letters[0]["result"].as_array().unwrap();
        let statuses: Vec<_> = attempts.iter().map(|attempt| int(attempt, "statusCode")).collect();
        assert_eq!(statuses, [*status, *status], "{script}");
        for attempt in attempts {
            let errors: Value = serde_json::from_str(text(attempt, "result")).unwrap();
            assert!(errors[0]["message"].is_string(), "{errors}");
        }
    }
    assert_eq!(stage.numbers("list").await, [1]);
    assert_eq!(stage.numbers("fail").await, [1, 1], "two equal calls are two");
    server.stop().await;
}

on_both_engines! {
    waits_double
    a_failed_job_keeps_its_place
    ways_to_fail
}
