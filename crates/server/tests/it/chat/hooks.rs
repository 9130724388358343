//! Scripts before and after what is done in a namespace (BEHAVIOUR CH-70 … CH-74).

use hiroba_testkit::api::{DRY_RUN, DUPLICATION_AVOIDER, text};
use hiroba_testkit::chat::texts;
use hiroba_testkit::http::Response;
use hiroba_testkit::{
    Chat, Database, Queue, Stage, StandIn, TestServer, eventually, on_both_engines, within,
};
use serde_json::{Value, json};

use super::{NO_ROOM, NOT_INCLUDED, PASSWORD_REQUIRED, refused_with};

/// A hook of a namespace: its setting and the model that its refusals name.
type Hook = (&'static str, &'static str);

const POST: Hook = ("postMessageScript", "message");
const CREATE: Hook = ("createRoomScript", "room");
const DELETE: Hook = ("deleteRoomScript", "room");
const SUBSCRIBE: Hook = ("subscribeRoomScript", "subscribe");
const UNSUBSCRIBE: Hook = ("unsubscribeRoomScript", "subscribe");
const HOOKS: [Hook; 5] = [POST, CREATE, DELETE, SUBSCRIBE, UNSUBSCRIBE];

/// Does as alice what the hook is around: she has subscribed to the room `old`, and not to `new`; there is no room `made`.
async fn change(alice: &Chat, hook: Hook) -> Response {
    match hook {
        POST => {
            let fields = json!({ "metadata": "said", "category": 3 });
            alice.call("POST", "/room/new/message", fields).await
        }
        CREATE => {
            let fields = json!({ "name": "made", "metadata": "m", "password": "marmalade" });
            alice.call("POST", "/room/user", fields).await
        }
        DELETE => alice.call("DELETE", "/room/old/user", Value::Null).await,
        SUBSCRIBE => {
            let fields = json!({ "notificationTypes": [{ "category": 7 }] });
            alice.call("POST", "/user/me/room/new/subscribe", fields).await
        }
        _ => alice.call("DELETE", "/user/me/room/old/subscribe", Value::Null).await,
    }
}

/// Everything that changes could have changed.
async fn seen(chat: &Chat) -> Value {
    json!({
        "rooms": chat.call("GET", "/room", Value::Null).await.ok(),
        "subscriptions": chat.subscriptions("alice").await,
        "messages": chat.messages("new", "alice", "").await,
    })
}

async fn prepare(api: &hiroba_testkit::Api) -> Chat {
    let chat = Chat::create(api, "ns").await;
    for room in ["old", "new"] {
        chat.room(room, json!({ "userId": "alice" })).await;
    }
    chat.subscribe("old", "alice", &[]).await;
    chat
}

fn before(script: &str) -> Value {
    json!({ "triggerScriptId": script })
}

/// The setting with a script after the change, as a job of this queue.
fn with_done(mut setting: Value, script: &str, queue: &Queue) -> Value {
    setting["doneTriggerTargetType"] = "gs2_script".into();
    setting["doneTriggerScriptId"] = script.into();
    setting["doneTriggerQueueNamespaceId"] = queue.id().into();
    setting
}

/// The members of an object.
fn members(value: &Value) -> Vec<&str> {
    let mut members: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    members
}

/// What a script left out because it was null.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect())
        }
        _ => value.clone(),
    }
}

/// CH-71, CH-72, CH-74: a script that does not permit, says nothing, fails or never ends makes the call fail with its
/// status; then nothing is stored, and nothing follows.
async fn refusals(database: Database) {
    let server = TestServer::builder(&database).config(|config| config.script_seconds_max = 1).start().await;
    let api = server.api().await;
    let stage = Stage::create(&api).await;
    let done = Queue::create(&api, "done", false).await;
    let after = stage.script("after", "").await;
    let chat = prepare(&api).await;
    let alice = chat.player("alice").await;
    let unchanged = seen(&chat).await;
    let scripts = [
        ("no", "result = { permit = false }", 400),
        ("silent", "result = { allowed = true }", 500),
        ("nothing", "", 500),
        ("text", "result = { permit = 'true' }", 500),
        ("conflict", "fail(409, 'not now')", 409),
        ("error", "error('broken')", 500),
        ("missing", "", 500),
        ("endless", "while true do end", 504),
    ];
    for (name, source, status) in scripts {
        let script = match name {
            "missing" => "grn:gs2:ap-northeast-1:hiroba:script:scripts:script:missing".to_owned(),
            _ => stage.script(name, source).await,
        };
        let settings =
            HOOKS.map(|(setting, _)| (setting.to_owned(), with_done(before(&script), &after, &done)));
        chat.set(Value::Object(settings.into_iter().collect())).await;
        let changes = HOOKS.map(|hook| {
            let alice = alice.clone();
            async move { (hook, change(&alice, hook).await) }
        });
        for ((setting, model), answer) in within("all answers", futures_util::future::join_all(changes)).await
        {
            println!("{name} as {setting}");
            answer.refused(status, model, &format!("chat.{model}.script.error.failed"));
        }
        assert_eq!(seen(&chat).await, unchanged, "{name}");
    }
    assert!(done.jobs("alice").await.is_empty(), "CH-74");
    server.stop().await;
}

/// CH-71, CH-74: what permits lets the change happen; both scripts get the same members, the one after it what was stored;
/// a dry run and a refusal that comes later leave no job.
async fn arguments(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let stage = Stage::create(&api).await;
    let done = Queue::create(&api, "done", false).await;
    let after = stage.script("after", "trace('after', args)").await;
    let permit = stage.script("permit", "trace('before', args) result = { permit = true }").await;
    let chat = prepare(&api).await;
    let settings = HOOKS.map(|(setting, _)| (setting.to_owned(), with_done(before(&permit), &after, &done)));
    chat.set(Value::Object(settings.into_iter().collect())).await;
    let namespace = chat.call("GET", "", Value::Null).await.item();

    let alice = chat.player("alice").await;
    let dry = Chat::of(&alice.api().with(DRY_RUN, "true"), "ns");
    let unchanged = seen(&chat).await;
    for hook in HOOKS {
        change(&dry, hook).await.ok();
    }
    assert_eq!(seen(&chat).await, unchanged);
    assert!(done.jobs("alice").await.is_empty(), "a dry run leaves no job");
    let asked = stage.traces("before").await.len();

    let mut stored = Vec::new();
    for hook in [POST, CREATE, SUBSCRIBE, UNSUBSCRIBE, DELETE] {
        stored.push((hook, change(&alice, hook).await.item()));
    }
    let before = stage.traces("before").await.split_off(asked);
    let jobs = done.jobs("alice").await;
    assert_eq!((before.len(), jobs.len()), (stored.len(), stored.len()));
    let jobs: Vec<Value> = jobs.iter().map(|job| serde_json::from_str(text(job, "args")).unwrap()).collect();
    for (((hook, item), before), done) in stored.iter().zip(&before).zip(&jobs) {
        let (setting, model) = *hook;
        let expected: &[&str] = match *hook {
            POST => &["message", "namespace", "room"],
            CREATE | DELETE => &["namespace", "room"],
            _ => &["namespace", "room", "subscribe"],
        };
        assert_eq!((members(before), members(done)), (expected.to_vec(), expected.to_vec()), "{setting}");
        assert_eq!(without_nulls(&done["namespace"]), without_nulls(&namespace), "{setting}");
        assert_eq!(without_nulls(&done[model]), without_nulls(item), "{setting}: what was stored");
        assert_eq!(before["namespace"]["name"], "ns");
        let room = match *hook {
            POST | SUBSCRIBE => "new",
            CREATE => "made",
            _ => "old",
        };
        for args in [before, done] {
            assert_eq!(
                (&args["room"]["name"], &args["room"]["userId"]),
                (&json!(room), &json!("alice")),
                "{setting}"
            );
            assert!(!args.to_string().contains("marmalade"), "{setting}: a password in {args}");
        }
        match *hook {
            POST => {
                for name in ["roomName", "userId", "category", "metadata"] {
                    assert_eq!(before["message"][name], item[name], "{name}");
                }
            }
            SUBSCRIBE | UNSUBSCRIBE => {
                for name in ["roomName", "userId"] {
                    assert_eq!(before["subscribe"][name], item[name], "{name}");
                }
                if *hook == SUBSCRIBE {
                    assert_eq!(before["subscribe"]["notificationTypes"][0]["category"], 7);
                }
            }
            _ => {}
        }
    }
    done.run_all("alice").await;
    let traces = stage.traces("after").await;
    assert_eq!(
        traces.iter().map(without_nulls).collect::<Vec<_>>(),
        jobs.iter().map(without_nulls).collect::<Vec<_>>()
    );

    // Refused before or behind the script: no job.
    chat.call("POST", "/room", json!({ "name": "made", "userId": "alice" })).await.refusals();
    chat.call("DELETE", "/room/new?userId=bob", Value::Null).await.refusals();
    chat.unsubscribe("new", "bob").await.refused(404, "subscribe", super::NO_SUBSCRIPTION);
    chat.post_with("missing", "alice", json!({ "metadata": "x" })).await.refused(404, "room", NO_ROOM);
    chat.post_with("made", "alice", json!({ "metadata": "x" })).await.refusals();
    // Repeated: one job.
    let once = Chat::of(&alice.api().with(DUPLICATION_AVOIDER, "once"), "ns");
    let asked = stage.traces("before").await.len();
    let first = change(&once, POST).await.item();
    assert_eq!(change(&once, POST).await.item(), first);
    assert_eq!(stage.traces("before").await.len(), asked + 1, "asked once");
    let jobs = done.jobs("alice").await;
    assert_eq!(jobs.len(), 1);
    assert!(done.jobs("bob").await.is_empty());
    server.stop().await;
}

/// CH-74, SC-30, SC-31: what the server does in a player's name is followed by a job of that player; what it does in nobody's
/// name by one run without the queue.
async fn jobs_of_whom(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let stage = Stage::create(&api).await;
    let done = Queue::create(&api, "done", false).await;
    let after = stage.script("after", "trace('after', { room = args.room.name })").await;
    let hooks =
        [CREATE, DELETE].map(|(setting, _)| (setting.to_owned(), with_done(json!({}), &after, &done)));
    let chat = Chat::create_with(&api, "ns", Value::Object(hooks.into_iter().collect())).await;
    for user in ["alice", "bob"] {
        chat.room(user, json!({ "userId": user })).await;
        chat.call("DELETE", &format!("/room/{user}?userId={user}"), Value::Null).await.item();
        let jobs = done.jobs(user).await;
        let rooms = jobs.iter().map(|job| {
            let args: Value = serde_json::from_str(text(job, "args")).unwrap();
            text(&args["room"], "name").to_owned()
        });
        assert_eq!(rooms.collect::<Vec<_>>(), [user, user]);
    }
    chat.room("nobody", json!({})).await;
    chat.delete("nobody").await.item();
    let ran = async || {
        let traces = stage.traces("after").await;
        (traces.len() == 2).then_some(traces)
    };
    let traces = eventually("both runs", ran).await;
    assert!(traces.iter().all(|trace| trace["room"] == "nobody"), "{traces:?}");
    server.stop().await;
}

/// CH-71: who may not post is refused before a script runs, and a script runs once however often the room changes
/// meanwhile; what the room is then counts.
async fn once_while_the_room_changes(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let stage = Stage::create(&api).await;
    let source =
        "trace(args.message.metadata, { n = 1 }) gate(args.message.metadata) result = { permit = true }";
    let script = stage.script("slow", source).await;
    let chat = Chat::create_with(&api, "ns", json!({ "postMessageScript": before(&script) })).await;
    chat.room("square", json!({ "whiteListUserIds": ["alice"] })).await;
    let stranger = chat.post_with("square", "bob", json!({ "metadata": "never" })).await;
    refused_with(&stranger, NOT_INCLUDED);

    // Its script stands at the gate once it has left a trace.
    let begin = |said: &'static str| {
        let chat = chat.clone();
        tokio::spawn(async move { chat.post_with("square", "alice", json!({ "metadata": said })).await })
    };
    let post = begin("changed");
    stage.traced("changed", 1).await;
    for metadata in ["one", "two", "three"] {
        chat.update("square", json!({ "metadata": metadata })).await;
    }
    stage.open("changed").await;
    let said = within("the post", post).await.unwrap().item();
    assert_eq!(text(&said, "metadata"), "changed");

    let post = begin("shut");
    stage.traced("shut", 1).await;
    chat.update("square", json!({ "password": "p" })).await;
    stage.open("shut").await;
    refused_with(&within("the post", post).await.unwrap(), PASSWORD_REQUIRED);
    chat.update("square", json!({})).await;

    let post = begin("listed");
    stage.traced("listed", 1).await;
    chat.update("square", json!({ "whiteListUserIds": ["bob"] })).await;
    stage.open("listed").await;
    refused_with(&within("the post", post).await.unwrap(), NOT_INCLUDED);
    chat.update("square", json!({})).await;

    let post = begin("deleted");
    stage.traced("deleted", 1).await;
    chat.delete("square").await.item();
    stage.open("deleted").await;
    within("the post", post).await.unwrap().refused(404, "room", NO_ROOM);

    // Into another room of the same name.
    chat.room("square", json!({})).await;
    let post = begin("again");
    stage.traced("again", 1).await;
    chat.delete("square").await.item();
    chat.room("square", json!({})).await;
    stage.open("again").await;
    within("the post", post).await.unwrap().item();
    assert_eq!(texts(&chat.messages("square", "alice", "").await), ["again"]);
    for said in ["changed", "shut", "listed", "deleted", "again"] {
        assert_eq!(stage.numbers(said).await, [1], "{said}: once");
    }
    assert!(stage.traces("never").await.is_empty());
    server.stop().await;
}

/// CH-73: whatever a script says, it does not change the message.
async fn scripts_change_nothing(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let stage = Stage::create(&api).await;
    let source = "
        args.message.metadata = 'changed'
        result = { permit = true, metadata = 'changed', overrideMetadata = 'changed', message = args.message }
    ";
    let script = stage.script("changing", source).await;
    let chat = Chat::create_with(&api, "ns", json!({ "postMessageScript": before(&script) })).await;
    chat.room("square", json!({})).await;
    let item = chat.post_with("square", "alice", json!({ "metadata": "said" })).await.item();
    assert_eq!(text(&item, "metadata"), "said");
    assert_eq!(chat.messages("square", "alice", "").await, [item]);
    server.stop().await;
}

/// CH-74: `aws` tells Amazon EventBridge of each change once.
async fn events(database: Database) {
    let aws = StandIn::start(200, r#"{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}"#).await;
    let endpoint = aws.url();
    let builder = TestServer::builder(&database).config(|config| {
        config.eventbridge_endpoint = Some(endpoint);
        config.aws_access_key_id = Some("id".to_owned());
        config.aws_secret_access_key = Some("secret".to_owned());
    });
    let server = builder.start().await;
    let api = server.api().await;
    let setting = json!({ "postMessageScript": { "doneTriggerTargetType": "aws" } });
    let chat = Chat::create_with(&api, "ns", setting).await;
    chat.room("square", json!({})).await;
    Chat::of(&api.with(DRY_RUN, "true"), "ns").post("square", "alice", "dry").await;
    let posted = chat.post("square", "alice", "said").await;
    let request = aws.requests(1).await.remove(0);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let entry = &body["Entries"][0];
    assert_eq!((&entry["Source"], &entry["DetailType"]), (&json!("gs2.chat"), &json!("post")));
    let detail: Value = serde_json::from_str(text(entry, "Detail")).unwrap();
    assert_eq!(members(&detail), ["message", "namespace", "room"]);
    assert_eq!(detail["message"], posted);
    let waiting = "SELECT COUNT(*) FROM job_queue_job WHERE namespace_name LIKE ':%'";
    eventually("nothing to wait", async || (server.count(waiting).await == 0).then_some(())).await;
    assert_eq!(aws.received().len(), 1);
    server.stop().await;
}

on_both_engines! {
    refusals
    arguments
    jobs_of_whom
    once_while_the_room_changes
    scripts_change_nothing
    events
}
