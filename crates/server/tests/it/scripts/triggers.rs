//! Scripts before and after a change (BEHAVIOUR SC-08, SC-30, SC-31, CH-70 … CH-74).

use hiroba_api::ApiError;
use hiroba_api::names::GrnText;
use hiroba_api::namespace::ScriptSetting;
use hiroba_testkit::api::{int, text};
use hiroba_testkit::{Database, Queue, Stage, TestServer, eventually, on_both_engines, within};
use serde_json::{Value, json};

use super::{done_script, no_setting};

async fn prepare(database: &Database) -> (TestServer, Stage) {
    let server = TestServer::start(database).await;
    let stage = Stage::create(&server.api().await).await;
    (server, stage)
}

/// A change of nothing by a player.
async fn change(server: &TestServer, setting: &ScriptSetting, user: Option<&str>, n: i64) {
    let args = json!({ "user": user.unwrap_or("nobody"), "n": n });
    server.app().trigger(setting.clone(), user, args, true).await.unwrap();
}

fn before(script: &str) -> ScriptSetting {
    ScriptSetting { trigger_script_id: Some(GrnText::trusted(script)), ..no_setting() }
}

fn refusal(error: &anyhow::Error) -> &ApiError {
    let refused = error.chain().find_map(|cause| cause.downcast_ref::<ApiError>());
    refused.unwrap_or_else(|| panic!("no refusal: {error:#}"))
}

/// CH-71, CH-72, SC-10, SC-22: the script before a change sees what is being done and answers; when it fails, nothing is
/// done, and the caller reads the status that it gave to `fail`, or 500.
async fn scripts_before_a_change(database: Database) {
    let (server, stage) = prepare(&database).await;
    let permit = "result = { permit = args.message == 'hello', again = args.room }";
    let permit = before(&stage.script("permit", permit).await);
    let after = stage.script("after", "trace('after', { n = args.n })").await;
    for (message, expected) in [("hello", true), ("no", false)] {
        let args = json!({ "room": { "name": "a", "list": [1, 2] }, "message": message });
        let answer = server.app().trigger(permit.clone(), Some("alice"), args, true).await.unwrap();
        assert_eq!(answer.unwrap(), json!({ "permit": expected, "again": { "name": "a", "list": [1, 2] } }));
    }
    let nothing = server.app().trigger(no_setting(), None, json!({}), true).await.unwrap();
    assert_eq!(nothing, None);
    let unset = before(&stage.script("unset", "").await);
    assert_eq!(server.app().trigger(unset, None, json!({}), true).await.unwrap(), Some(json!({})));
    // It acts for the player.
    let source = "
        local me = gs2('lock').lock({ namespaceName = 'locks', propertyId = 'own', transactionId = 't' })
        result = { status = me.statusCode }
    ";
    let own = before(&stage.script("own", source).await);
    let answer = server.app().trigger(own, Some("alice"), json!({}), true).await.unwrap();
    assert_eq!((answer, stage.held("alice", "own").await), (Some(json!({ "status": 200 })), 1));

    for (name, source, status) in [
        ("fail-400", "fail(400, 'no')", 400),
        ("fail-404", "fail(404, 'no')", 404),
        ("fail-409", "fail(409, 'no')", 409),
        ("fail-418", "fail(418, 'no')", 400),
        ("fail-503", "fail(503, 'no')", 503),
        ("fail-599", "fail(599, 'no')", 500),
        ("error", "error('no')", 500),
        ("list", "result = { 1, 2 }", 500),
        ("missing", "", 500),
    ] {
        let script = match name {
            "missing" => "grn:gs2:ap-northeast-1:hiroba:script:scripts:script:missing".to_owned(),
            _ => stage.script(name, source).await,
        };
        let setting =
            ScriptSetting { trigger_script_id: Some(GrnText::trusted(script)), ..done_script(&after, None) };
        let error = server.app().trigger(setting, Some("alice"), json!({ "n": 0 }), true).await.unwrap_err();
        let refused = refusal(&error);
        assert_eq!(refused.status.code(), status, "{name}: {error:#}");
        assert_eq!(refused.items[0].component, "change");
        assert_eq!(refused.items[0].message, "server.change.script.error.failed", "{name}");
    }
    change(&server, &done_script(&after, None), None, 1).await;
    assert_eq!(stage.traced("after", 1).await, [1], "nothing followed the changes that were refused");
    server.stop().await;
}

/// SC-30, CH-74: the script after a change is a job of the player, in the queue's own way of running.
async fn scripts_in_a_queue(database: Database) {
    let (server, stage) = prepare(&database).await;
    let api = server.api().await;
    let script = stage.script("after", "trace(args.user, { n = args.n })").await;
    let (auto, manual) =
        (Queue::create(&api, "auto", true).await, Queue::create(&api, "manual", false).await);
    let setting = done_script(&script, Some(auto.id()));
    for n in 0..20 {
        for user in ["alice", "bob"] {
            change(&server, &setting, Some(user), n).await;
        }
    }
    for user in ["alice", "bob"] {
        assert_eq!(stage.traced(user, 20).await, (0..20).collect::<Vec<_>>());
    }

    let setting = done_script(&script, Some(manual.id()));
    for n in 20..23 {
        change(&server, &setting, Some("alice"), n).await;
    }
    // What was taken back is followed by nothing.
    let args = json!({ "user": "alice", "n": 99 });
    server.app().trigger(setting.clone(), Some("alice"), args, false).await.unwrap();
    let jobs = manual.jobs("alice").await;
    assert_eq!(jobs.len(), 3);
    assert_eq!(text(&jobs[0], "scriptId"), script);
    let args: Value = serde_json::from_str(text(&jobs[0], "args")).unwrap();
    assert_eq!(args, json!({ "user": "alice", "n": 20 }));
    assert_eq!(stage.traces("alice").await.len(), 20);
    let server = server.restart().await;
    let api = server.api().await;
    let (stage, manual) = (Stage::of(&api), Queue::of(&api, "manual"));
    manual.run_all("alice").await;
    assert_eq!(stage.numbers("alice").await, (0..23).collect::<Vec<_>>());

    // Without a player, or without that queue, it runs once.
    change(&server, &setting, None, 0).await;
    assert_eq!(stage.traced("nobody", 1).await, [0]);
    let gone = done_script(&script, Some("grn:gs2:ap-northeast-1:hiroba:queue:gone".to_owned()));
    change(&server, &gone, Some("alice"), 23).await;
    assert_eq!(stage.traced("alice", 24).await.last(), Some(&23));
    server.stop().await;
}

/// SC-31: without a queue the script runs once, in the order of the player's changes; nothing follows a change that was
/// taken back; a failure is no reason for another attempt, nor for the next one to wait.
async fn scripts_without_a_queue(database: Database) {
    let (server, stage) = prepare(&database).await;
    let source = "trace(args.user, { n = args.n }) if args.n % 3 == 0 then fail(503, 'no') end";
    let setting = done_script(&stage.script("after", source).await, None);
    for n in 0..20 {
        for user in ["alice", "bob"] {
            change(&server, &setting, Some(user), n).await;
            let args = json!({ "user": user, "n": 99 });
            server.app().trigger(setting.clone(), Some(user), args, false).await.unwrap();
        }
    }
    for user in ["alice", "bob"] {
        assert_eq!(stage.traced(user, 20).await, (0..20).collect::<Vec<_>>());
    }
    let none = async || {
        (server.count("SELECT COUNT(*) FROM job_queue_job WHERE namespace_name LIKE ':%'").await == 0)
            .then_some(())
    };
    eventually("nothing to be left", none).await;
    assert_eq!(stage.traces("alice").await.len() + stage.traces("bob").await.len(), 40);
    assert_eq!(server.count("SELECT COUNT(*) FROM job_queue_result").await, 0);
    assert_eq!(server.count("SELECT COUNT(*) FROM job_queue_dead_letter").await, 0);
    server.stop().await;
}

/// What was committed before a stop and did not run runs after the start, once.
async fn a_stop_between_change_and_script(database: Database) {
    // The region in what a script is answered tells the one server from the other.
    let second = {
        let server =
            TestServer::builder(&database).config(|config| config.script_seconds_max = 2).start().await;
        let stage = Stage::create(&server.api().await).await;
        let slow = stage.script("slow", "trace('alice', { n = args.n, where = '' }) gate('never')").await;
        let source = "
            local namespace = gs2('lock').get_namespace({ namespaceName = 'locks' })
            trace('alice', { n = args.n, where = namespace.result.item.namespaceId })
        ";
        let after = stage.script("after", source).await;
        change(&server, &done_script(&slow, None), Some("alice"), 0).await;
        stage.traced("alice", 1).await;
        for n in 1..4 {
            change(&server, &done_script(&after, None), Some("alice"), n).await;
        }
        server.stop().await;
        TestServer::builder(&database).config(|config| config.region = "another-1".to_owned()).start().await
    };
    let stage = Stage::of(&second.api().await);
    assert_eq!(stage.traced("alice", 4).await, [0, 1, 2, 3]);
    for trace in &stage.traces("alice").await[1..] {
        assert!(text(trace, "where").contains("another-1"), "{trace}");
    }
    second.stop().await;
}

/// A script that sets off its own trigger comes to an end, and one that never ends delays nothing but its own call.
async fn triggers_have_limits(database: Database) {
    let server = TestServer::builder(&database).config(|config| config.script_seconds_max = 1).start().await;
    let stage = Stage::create(&server.api().await).await;
    let endless = before(&stage.script("endless", "while true do end").await);
    let quick = before(&stage.script("quick", "result = { n = args.n }").await);
    let app = server.app();
    let slow = app.trigger(endless, Some("alice"), json!({}), true);
    let fast = async {
        for n in 0..20 {
            let answer = app.trigger(quick.clone(), Some("alice"), json!({ "n": n }), true).await.unwrap();
            assert_eq!(int(&answer.unwrap(), "n"), n);
        }
    };
    let (slow, ()) = within("both", Box::pin(async { tokio::join!(slow, fast) })).await;
    assert_eq!(refusal(&slow.unwrap_err()).status.code(), 504);
    server.stop().await;
}

on_both_engines! {
    scripts_before_a_change
    scripts_in_a_queue
    scripts_without_a_queue
    a_stop_between_change_and_script
    triggers_have_limits
}
