//! What is recorded of calls (BEHAVIOUR LG-01 … LG-05, LG-11, LG-12).

use hiroba_testkit::api::{ACCESS_TOKEN, Api, DRY_RUN, int, text};
use hiroba_testkit::database::Found;
use hiroba_testkit::transactions::Mode;
use hiroba_testkit::{Database, Engine, Queue, Shop, Socket, Stage, TestServer, eventually, on_both_engines};
use serde_json::{Value, json};

use super::{Log, inner, items, methods};

/// LG-01, LG-02, LG-03, LG-05: REST calls and socket calls, of players and of others, in order; other namespaces are not.
async fn calls_are_recorded(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    let log = Log::create(&api, "logs").await;
    log.logged("lock", "ns").await;
    api.create_namespace("quiet").await;

    let mutexes = api.mutexes("ns", "alice");
    let locked = api
        .with("X-GS2-REQUEST-ID", "my-request")
        .mutexes("ns", "alice")
        .lock_for("gold%20%22mine%22", "t", 60)
        .await
        .item();
    server.advance(10);
    api.mutexes("quiet", "alice").lock("p", "t").await.item();
    let player = api.with(ACCESS_TOKEN, &api.player_token("bob").await);
    player.mutexes("ns", "me").lock("p", "t").await.item();
    server.advance(10);
    mutexes.get("nothing").await.refused(404, "mutex", "lock.mutex.mutex.error.notFound");
    server.advance(10);
    let mut socket = Socket::open(server.address()).await;
    let fields = json!({ "namespaceName": "ns", "userId": "carol", "propertyId": "p" });
    let mut with_token = fields.clone();
    with_token["xGs2ProjectToken"] = api.project_token().into();
    assert_eq!(socket.call(("lock", "mutex", "getMutexByUserId"), with_token).await.status, 404);
    server.advance(10);
    mutexes.lock_for("p", "t", -5).await.refused(400, "mutex", "lock.mutex.ttl.error.invalid");

    let entries = log.entries("").await;
    let verbs = ["lock.lock", "lock.getMutex", "lock.getMutex", "lock.lock", "lock.lock"];
    assert_eq!(methods(&entries), verbs);
    let users: Vec<&str> = entries.iter().map(|entry| entry["userId"].as_str().unwrap_or("-")).collect();
    // What was wrong was refused before anybody asked whom it is about.
    assert_eq!(users, ["-", "carol", "alice", "bob", "alice"]);
    let times: Vec<i64> = entries.iter().map(|entry| int(entry, "timestamp")).collect();
    let start = server.now() - 40;
    assert_eq!(times, [start + 40, start + 30, start + 20, start + 10, start]);

    let first = entries.last().unwrap();
    assert_eq!(text(first, "requestId"), "my-request");
    let request = json!({
        "namespaceName": "ns", "userId": "alice", "propertyId": "gold \"mine\"", "transactionId": "t", "ttl": 60,
    });
    assert_eq!(inner(first, "request"), request);
    assert_eq!(inner(first, "result"), json!({ "item": locked }));
    assert_eq!(inner(&entries[1], "request"), fields);
    assert!(text(&entries[1], "requestId").len() == 36, "{}", entries[1]);
    for (entry, problem) in [(&entries[1], "mutex.error.notFound"), (&entries[0], "ttl.error.invalid")] {
        assert!(text(entry, "result").contains(problem), "{entry}");
    }
    server.stop().await;
}

/// A setting counts from the commit on, and may be taken back; a Log namespace that comes later gets what comes then.
async fn settings_count_at_once(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let log = Log { api: api.clone(), namespace: "logs".to_owned() };
    log.logged("lock", "ns").await;
    api.mutexes("ns", "a").lock("p", "t").await.item();
    log.call("GET", "/log/access", Value::Null).await.refused(
        404,
        "namespace",
        "log.namespace.namespace.error.notFound",
    );
    Log::create(&api, "logs").await;
    api.mutexes("ns", "a").lock("p", "t").await.item();
    let count = log.entries("").await.len();
    assert!((1..=2).contains(&count), "{count}");

    let dry = api.with(DRY_RUN, "true");
    dry.call("lock", "PUT", "/ns", json!({})).await.item();
    api.mutexes("ns", "a").lock("p", "t").await.item();
    assert_eq!(log.entries("method=lock").await.len(), count + 1);
    api.call("lock", "PUT", "/ns", json!({})).await.item();
    api.mutexes("ns", "a").lock("p", "t").await.item();
    assert_eq!(log.entries("method=lock").await.len(), count + 1);
    // A Log namespace of somebody else, or of no log, takes nothing.
    for id in ["grn:gs2:ap-northeast-1:other:log:logs", "grn:gs2:ap-northeast-1:hiroba:lock:logs", "logs"] {
        let setting = json!({ "logSetting": { "loggingNamespaceId": id } });
        api.call("lock", "PUT", "/ns", setting).await.item();
        api.mutexes("ns", "a").lock("p", "t").await.item();
    }
    assert_eq!(log.entries("method=lock").await.len(), count + 1);

    api.call("lock", "PUT", "/ns", json!({ "logSetting": log.setting() })).await.item();
    let server = server.restart().await;
    let log = Log { api: server.api().await, ..log };
    log.api.mutexes("ns", "a").lock("p", "t").await.item();
    assert_eq!(log.entries("method=lock").await.len(), count + 2);
    // What deletes a namespace is a call on it; another one of this name is another one.
    log.api.call("lock", "DELETE", "/ns", Value::Null).await.item();
    log.api.create_namespace("ns").await;
    log.api.mutexes("ns", "a").lock("p", "t").await.item();
    assert_eq!(log.entries("method=lock").await.len(), count + 2);
    assert_eq!(log.entries("method=deleteNamespace").await.len(), 1);
    server.stop().await;
}

/// LG-01: strangers and callers without a valid token write nothing.
async fn strangers_write_nothing(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let log = Log::create(&api, "logs").await;
    log.logged("lock", "ns").await;
    for stranger in
        [Api::anonymous(server.address()), Api::with_project_token(server.address(), "not-a-token")]
    {
        assert_eq!(stranger.mutexes("ns", "a").get("p").await.status, 401);
    }
    assert!(log.entries("").await.is_empty());
    server.stop().await;
}

/// LG-04: what a script calls names the call that set it off, however deep; the calls of a job belong together.
async fn calls_of_scripts_name_their_source(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let stage = Stage::create(&api).await;
    let log = Log::create(&api, "logs").await;
    for (service, name) in [("script", "scripts"), ("lock", "locks"), ("job-queue", "traces")] {
        let fields = json!({ "logSetting": log.setting() });
        api.call(service, "PUT", &format!("/{name}"), fields).await.item();
    }
    let inner_script = stage.script("inner", "hold('alice', 'deep')").await;
    let outer = format!(
        "hold('alice', 'shallow')\n\
         gs2('script').invoke_script({{ scriptId = '{inner_script}', args = '{{}}' }})"
    );
    let outer = stage.script("outer", &outer).await;
    let fields = json!({ "scriptId": outer, "args": "{}" });
    let root = api.with("X-GS2-REQUEST-ID", "root");
    root.call("script", "POST", "/invoke", fields).await.ok();

    let spans = log.spans().await;
    let of = |property: &str| {
        let found = spans
            .iter()
            .find(|span| text(span, "service") == "lock" && inner(span, "request")["propertyId"] == property);
        found.unwrap_or_else(|| panic!("no {property} in {spans:#?}")).clone()
    };
    let invokes: Vec<&Value> = spans.iter().filter(|span| text(span, "method") == "invoke").collect();
    assert_eq!(invokes.len(), 2, "{spans:#?}");
    let nested = invokes.iter().find(|span| text(span, "requestId") != "root").unwrap();
    assert_eq!(text(nested, "sourceRequestId"), "root");
    assert_eq!(text(&of("shallow"), "sourceRequestId"), "root");
    assert_eq!(of("deep")["sourceRequestId"], nested["requestId"]);
    assert_eq!(text(&of("deep"), "status"), "ok");

    let trace = log.call("GET", "/log/v2/trace/root", Value::Null).await.ok();
    let spans = trace["trace"]["spans"].as_array().unwrap();
    assert_eq!((spans.len(), &trace["trace"]["truncated"]), (4, &json!(false)), "{trace:#}");
    assert!(spans.is_sorted_by_key(|span| int(span, "timestamp")));

    // A job has no call that is still there: its calls belong together under an id of their own.
    let queue = Queue::create(&api, "auto", true).await;
    let job = stage.script("job", "hold('bob', 'one')\nhold('bob', 'two')").await;
    queue.push_one("bob", &job, &json!({})).await;
    stage.holds("bob", "two", 1).await;
    let spans = log.find("userId:bob method:lock").await;
    let label = |span: &Value, key: &str| {
        let labels = span["labels"].as_array().unwrap();
        labels.iter().find(|label| label["key"] == key).map(|label| label["value"].clone())
    };
    assert_eq!(spans.len(), 2, "{spans:#?}");
    assert_eq!(label(&spans[0], "traceId"), label(&spans[1], "traceId"));
    assert_ne!(label(&spans[0], "traceId"), label(&spans[0], "requestId"));
    server.stop().await;
}

/// LG-11: secrets stand neither in answers nor in the database.
async fn secrets_are_masked(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let log = Log::create(&api, "logs").await;
    log.logged("chat", "chat").await;
    log.logged("gateway", "gateway").await;
    log.logged("script", "scripts").await;
    const SECRETS: [&str; 5] =
        ["room-secret-4711", "firebase-secret-4712", "device-4713", "nested-secret-4714", "gcp-secret-4715"];
    let room = json!({ "name": "room", "password": SECRETS[0] });
    api.call("chat", "POST", "/chat/room", room).await.item();
    let post = json!({ "metadata": "hello", "password": SECRETS[0] });
    api.call("chat", "POST", "/chat/room/room/message/user/alice", post).await.item();
    let listed = format!("/chat/room/room/message/get?userId=alice&password={}", SECRETS[0]);
    api.call("chat", "GET", &listed, Value::Null).await.ok();
    let account = json!({ "project_id": "p", "client_email": "e", "private_key": SECRETS[1] }).to_string();
    api.call("gateway", "PUT", "/gateway", json!({ "firebaseSecret": account, "logSetting": log.setting() }))
        .await
        .item();
    api.call("gateway", "PUT", "/gateway/user/alice/firebase/token", json!({ "token": SECRETS[2] }))
        .await
        .item();
    let script = json!({ "name": "script", "script": "result = {}" });
    let script_id = api.call("script", "POST", "/scripts/script", script).await.item();
    let args = json!({ "inner": json!({ "password": SECRETS[3] }).to_string() }).to_string();
    let invoke = json!({ "scriptId": text(&script_id, "scriptId"), "args": args });
    api.call("script", "POST", "/invoke", invoke).await.ok();
    let credential = json!({ "gcpCredentialJson": SECRETS[4], "awsSecretAccessKey": SECRETS[4] });
    let item = log.call("PUT", "", credential).await.item();
    assert_eq!((text(&item, "gcpCredentialJson"), text(&item, "awsSecretAccessKey")), ("***", "***"));

    let entries = log.entries("").await;
    assert_eq!(entries.len(), 7, "{entries:#?}");
    let all = serde_json::to_string(&entries).unwrap() + &format!("{:?}", log.find("").await);
    for secret in SECRETS {
        assert!(!all.contains(secret), "{secret}");
    }
    assert!(all.contains("hello"));
    let updated = entries.iter().find(|entry| text(entry, "method") == "updateNamespace").unwrap();
    assert_eq!(inner(updated, "request")["firebaseSecret"], "***");
    assert_eq!(inner(updated, "result")["item"]["firebaseSecret"], "***");
    let invoked = entries.iter().find(|entry| text(entry, "method") == "invoke").unwrap();
    let args = inner(&inner(invoked, "request"), "args");
    assert_eq!(inner(&args, "inner"), json!({ "password": "***" }));
    server.stop().await;

    // Firebase tokens lie in the store in clear where they belong; everything else is nowhere.
    let reading = database.clone();
    let found = tokio::task::spawn_blocking(move || Found::in_database(&reading)).await.unwrap();
    for secret in [SECRETS[0], SECRETS[1], SECRETS[3], SECRETS[4]] {
        assert!(!found.has(secret), "{secret} is in the database");
    }
    assert!(found.has("alice"), "the hunt sees the database");
}

/// A server that stops writes what waits.
async fn a_stop_loses_nothing(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let log = Log::create(&api, "logs").await;
    log.logged("lock", "ns").await;
    for number in 0..50 {
        api.mutexes("ns", "a").lock(&format!("p{number}"), "t").await.item();
    }
    let server = server.restart().await;
    let log = Log { api: server.api().await, ..log };
    assert_eq!(log.entries("method=lock").await.len(), 50);
    server.stop().await;
}

/// With two nodes each records its calls, a setting that one changes counts on the other, and each finds all entries.
async fn nodes_share_logs(database: Database) {
    let nodes = TestServer::nodes(&database).await;
    let [first, second] = nodes.as_slice() else {
        assert_eq!(database.engine(), Engine::Sqlite);
        for node in nodes {
            node.stop().await;
        }
        return;
    };
    let api = first.api().await;
    let log = Log::create(&api, "logs").await;
    log.logged("lock", "ns").await;
    let there = api.at(second.address());
    let calls = std::sync::atomic::AtomicUsize::new(0);
    eventually("the second node to record", async || {
        calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        there.mutexes("ns", "b").get("p").await;
        let at_second = Log { api: there.clone(), ..log.clone() };
        (!at_second.entries("userId=b").await.is_empty()).then_some(())
    })
    .await;
    api.mutexes("ns", "a").get("p").await;
    let known = Log { api: there.clone(), ..log.clone() }.entries("userId=b").await.len();
    assert!((1..=calls.into_inner()).contains(&known));
    eventually("each node to find the calls of both", async || {
        let here = log.entries("").await.len() == known + 1;
        let other = Log { api: there.clone(), ..log.clone() }.entries("").await.len() == known + 1;
        (here && other).then_some(())
    })
    .await;
    // Deleted on one node, nothing is recorded on the other within a second.
    api.call("lock", "PUT", "/ns", json!({})).await.item();
    eventually("the second node to stop recording", async || {
        there.mutexes("ns", "c").get("p").await;
        let at_second = Log { api: there.clone(), ..log.clone() };
        let before = at_second.entries("userId=c").await.len();
        there.mutexes("ns", "c").get("p").await;
        (at_second.entries("userId=c").await.len() == before).then_some(())
    })
    .await;
    for node in nodes {
        node.stop().await;
    }
}

/// Buys with a secret among what is asked for.
const BUY: &str = "
local lock, queue = transaction.service('lock'), transaction.service('jobQueue')
transaction.execute({
    consume = { lock.consume.unlock_by_user_id({
        namespaceName = 'locks', userId = '#{userId}', propertyId = 'purse', transactionId = 't',
    }) },
    acquire = { queue.acquire.push_by_user_id({
        namespaceName = 'goods', userId = '#{userId}',
        jobs = {{ scriptId = 'goods', args = util.table_to_json({ password = 'secret' }).result }},
    }) },
})
";

/// LG-09: transactions of every mode are in the log of the script's namespace when they are made, and in that of the Distributor
/// namespace when they run; masked like calls, and nowhere when they fail.
async fn transactions_are_recorded(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let shop = Shop::create(&api).await;
    let log = Log::create(&api, "logs").await;
    let setting = json!({ "loggingNamespaceId": log.id() });
    api.call("distributor", "PUT", "/default", json!({ "logSetting": setting })).await.item();
    for mode in Mode::ALL {
        let fields = json!({ "logSetting": setting, "transactionSetting": mode.setting() });
        api.call("script", "PUT", &format!("/{}", mode.namespace()), fields).await.item();
        shop.script(mode, "secret", BUY).await;
        let user = mode.namespace();
        shop.fill(user, 1).await;
        let made = shop.invoke(mode, "secret", user).await.ok();
        if mode == Mode::Manual {
            let sheet =
                json!({ "stampSheet": made["stampSheet"], "keyId": made["stampSheetEncryptionKeyId"] });
            // A second run does nothing, and is no second line.
            for _ in 0..2 {
                let ran = shop.call("POST", "/distribute/stamp/run", sheet.clone()).await.ok();
                assert_eq!(ran["sheetResultCode"], 200, "{ran}");
            }
        } else {
            shop.result(mode, user, text(&made, "transactionId")).await;
        }
        assert_eq!((shop.purse(user).await, shop.goods(user).await), (0, 1), "{mode:?}");
    }
    // One that fails was made, and did nothing.
    let made = shop.invoke(Mode::Together, "secret", "poor").await.ok();
    assert_eq!(made["transactionResult"]["hasError"], true, "{made}");

    let (push, unlock) = ("Gs2JobQueue:PushByUserId", "Gs2Lock:UnlockByUserId");
    for (path, id, service, action, count) in [
        ("issue/stamp/sheet", "transactionId", "script", push, 5),
        ("execute/stamp/sheet", "transactionId", "distributor", push, 4),
        ("execute/stamp/task", "taskId", "distributor", unlock, 4),
    ] {
        let query =
            async |query: &str| log.call("GET", &format!("/log/{path}{query}"), Value::Null).await.ok();
        let all = query("").await;
        assert_eq!((items(&all).len(), int(&all, "totalCount")), (count, count as i64), "{path}: {all}");
        for item in items(&all) {
            assert_eq!((text(&item, "service"), text(&item, "action")), (service, action));
            assert_eq!(text(&item, id).len(), 36);
            if action == push {
                let args = inner(&inner(&item, "args")["jobs"][0], "args");
                assert_eq!(args["password"], "***", "{item}");
            }
            if path.starts_with("issue") {
                let task: Value = serde_json::from_str(item["tasks"][0].as_str().unwrap()).unwrap();
                assert_eq!(task["action"], unlock);
            }
        }
        assert_eq!(items(&query("?userId=steps").await).len(), 1);
        assert_eq!(items(&query(&format!("?action={action}")).await).len(), count);
        assert!(items(&query("?action=Gs2Other:Do").await).is_empty());
        let counted = query("/count?userId=true&action=true").await;
        assert_eq!(int(&counted, "totalCount"), count as i64);
        let groups = items(&counted);
        assert_eq!(groups.len(), count);
        assert!(groups.iter().all(|group| int(group, "count") == 1 && group.get("service").is_none()));
    }
    server.stop().await;
}

on_both_engines! {
    calls_are_recorded
    settings_count_at_once
    strangers_write_nothing
    calls_of_scripts_name_their_source
    secrets_are_masked
    a_stop_loses_nothing
    nodes_share_logs
    transactions_are_recorded
}
