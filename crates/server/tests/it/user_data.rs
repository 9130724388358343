//! Dumps, cleans and imports of what services hold of a player (BEHAVIOUR U-01 … U-08).

mod files;
mod s3;
mod tasks;
mod zip;

use hiroba_testkit::api::{Api, int, text};
use hiroba_testkit::jobs::entry;
use hiroba_testkit::{Chat, Database, Gateway, Queue, Stage, TestServer, UserData, on_both_engines};
use serde_json::{Value, json};

use zip::unzip;

const DAY_MS: i64 = 24 * 3_600_000;
const CLEAN_ROOMS: &str = "SELECT COUNT(*) FROM chat_ended_room";

/// Lines of a dump but for its manifest, sorted by file.
fn lines(dump: &[u8]) -> Vec<(String, Value)> {
    let files = unzip(dump).into_iter().filter(|(name, _)| name != "manifest.json");
    let mut lines: Vec<(String, Value)> = files
        .flat_map(|(name, content)| {
            let text = String::from_utf8(content).unwrap();
            text.lines().map(|line| (name.clone(), serde_json::from_str(line).unwrap())).collect::<Vec<_>>()
        })
        .collect();
    lines.sort_by(|(a, _), (b, _)| a.cmp(b));
    lines
}

/// The same with another player's id in every text.
fn renamed(lines: &[(String, Value)], from: &str, to: &str) -> Vec<(String, Value)> {
    let rename = |value: &Value| serde_json::from_str(&value.to_string().replace(from, to)).unwrap();
    lines.iter().map(|(name, value)| (name.clone(), rename(value))).collect()
}

/// Data of a player in two namespaces of Chat, and what others have to do with it.
async fn talk(api: &Api, user: &str) -> [Chat; 2] {
    let chats = [Chat::create(api, "one").await, Chat::create(api, "..").await];
    for chat in &chats {
        chat.room(
            "own",
            json!({ "userId": user, "metadata": "m", "password": "p", "whiteListUserIds": [user, "bob"] }),
        )
        .await;
        chat.room("common", json!({})).await;
        for number in 0..5 {
            let fields = json!({ "metadata": format!("täxt {number}"), "category": number, "password": "p" });
            chat.post_with("own", user, fields.clone()).await.ok();
            chat.post_with("common", user, fields).await.ok();
            chat.post_with("common", "bob", json!({ "metadata": "of bob" })).await.ok();
        }
        chat.post_with("own", "bob", json!({ "metadata": "of bob", "password": "p" })).await.ok();
        chat.subscribe("common", user, &[1, 2]).await;
        chat.subscribe("common", "bob", &[]).await;
    }
    chats
}

async fn chat_goes_round(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    let chats = talk(&api, "alice-1").await;
    let data = UserData::of(&api, "chat");
    let before = chats[0].messages("common", "alice-1", "").await;
    let dump = data.dump("alice-1").await;
    let dumped = lines(&dump);
    // U-08: service, namespace, model; a namespace cannot lead out of a folder.
    let names: Vec<&str> = dumped.iter().map(|(name, _)| name.as_str()).collect();
    for (folder, counts) in [("chat/one/", [1, 1, 10]), ("chat/%2E%2E/", [1, 1, 10])] {
        for (model, count) in ["room", "subscribe", "message"].iter().zip(counts) {
            let name = format!("{folder}{model}.jsonl");
            assert_eq!(names.iter().filter(|given| **given == name).count(), count, "{name}");
        }
    }
    assert!(dumped.iter().any(|(_, line)| line["metadata"] == "täxt 3"));
    let room = &dumped.iter().find(|(name, _)| name.ends_with("one/room.jsonl")).unwrap().1;
    assert!(text(room, "passwordHash").starts_with("$argon2id$") && room.get("password").is_none());

    // Importing what is there changes nothing, and says so.
    let (token, answer) = data.import("alice-1", dump.clone()).await;
    assert_eq!(answer.ok(), json!({}));
    let log = data.log("alice-1", &token).await;
    assert!(
        log.contains("chat/one/message.jsonl: 10 entries: 0 added, 10 there already, 0 left out"),
        "{log}"
    );
    assert_eq!(lines(&data.dump("alice-1").await), dumped);
    // The token is used up.
    data.start("import", "alice-1", json!({ "uploadToken": token })).await.refused(
        400,
        "userData",
        "chat.userData.uploadToken.error.invalid",
    );

    data.clean("alice-1").await;
    assert_eq!(lines(&data.dump("alice-1").await), []);
    assert_eq!(server.count(CLEAN_ROOMS).await, 2, "rooms go as deleteRoom lets them go");
    assert_eq!(chats[0].message("own", "bob", "x", "").await.status, 404);
    let others = chats[0].messages("common", "bob", "").await;
    assert!(others.iter().all(|message| message["userId"] == "bob") && others.len() == 5);
    assert_eq!(chats[0].subscribers("common").await, ["bob"]);
    data.clean("alice-1").await;
    server.sweep().await;

    // U-05: under another id, which is all that differs.
    let (token, answer) = data.import("carol-2", dump.clone()).await;
    assert_eq!(answer.ok(), json!({}), "{}", data.log("carol-2", &token).await);
    let imported = lines(&data.dump("carol-2").await);
    // The white list is the game's own content: ids inside of payloads stay.
    let inside = |mut lines: Vec<(String, Value)>| {
        lines.iter_mut().for_each(|(_, line)| drop(line.as_object_mut().unwrap().remove("whiteListUserIds")));
        lines
    };
    assert_eq!(inside(renamed(&dumped, "alice-1", "carol-2")), inside(imported));
    let after = chats[0].messages("common", "carol-2", "").await;
    let key = |message: &Value| (text(message, "name").to_owned(), text(message, "metadata").to_owned());
    assert_eq!(before.iter().map(key).collect::<Vec<_>>(), after.iter().map(key).collect::<Vec<_>>());
    // The password opens the room again, another one does not.
    assert_eq!(chats[0].list("own", "bob", "&password=p").await.ok()["items"].as_array().unwrap().len(), 5);
    chats[0].list("own", "bob", "&password=q").await.refused(400, "room", "chat.room.password.error.invalid");
    assert_eq!(chats[0].subscribers("common").await, ["bob", "carol-2"]);
    // Times go on growing behind what was imported.
    let posted = chats[0].post("common", "bob", "later").await;
    assert!(after.iter().all(|message| int(message, "createdAt") < int(&posted, "createdAt")));

    // A room of somebody else keeps its owner; what has expired is not taken in.
    data.clean("carol-2").await;
    server.sweep().await;
    chats[0].room("own", json!({ "userId": "bob" })).await;
    server.advance(DAY_MS + 1000);
    // Tokens of callers end sooner than that.
    let api = server.api().await;
    let (data, chat) = (UserData::of(&api, "chat"), Chat::of(&api, "one"));
    let (token, answer) = data.import("alice-1", dump).await;
    assert_eq!(answer.ok(), json!({}));
    let log = data.log("alice-1", &token).await;
    assert!(log.contains("chat/one/room.jsonl line 1: left out: there is a room `own`"), "{log}");
    assert!(
        log.contains("chat/one/message.jsonl: 10 entries: 0 added, 0 there already, 10 left out"),
        "{log}"
    );
    let room = chat.call("GET", "/room/own", Value::Null).await.item();
    assert_eq!(room["userId"], "bob");
    server.stop().await;
}

async fn jobs_go_round(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    let stage = Stage::create(&api).await;
    let fine = stage.script("fine", "trace(args.user, { n = args.n }) result = { n = args.n }").await;
    let bad = stage.script("bad", "fail(400, 'no')").await;
    let queue = Queue::create(&api, "queue", false).await;
    let mut entries = vec![entry(&fine, &json!({ "user": "trace", "n": 0 })), entry(&bad, &json!({}))];
    entries[1]["maxTryCount"] = 1.into();
    queue.push("alice-1", &entries).await;
    queue.push("bob", &[entry(&fine, &json!({ "user": "bobs", "n": 9 }))]).await;
    queue.run("bob").await.ok();
    queue.run("alice-1").await.ok();
    queue.run("alice-1").await.ok();
    let mut last = entry(&bad, &json!({}));
    last["maxTryCount"] = 5.into();
    let waiting = queue.push("alice-1", &[last, entry(&fine, &json!({ "user": "trace", "n": 1 }))]).await;
    queue.run("alice-1").await.ok();
    queue.run("alice-1").await.ok();

    let data = UserData::of(&api, "job-queue");
    let dump = data.dump("alice-1").await;
    let dumped = lines(&dump);
    let count = |model: &str| {
        let name = format!("jobQueue/queue/{model}.jsonl");
        dumped.iter().filter(|(given, _)| *given == name).count()
    };
    // U-07: jobs and results, and dead letters.
    assert_eq!((count("job"), count("jobResult"), count("deadLetterJob")), (2, 4, 1));

    // A copy beside the original takes nothing from it: places in the queue are a player's own.
    let (_, answer) = data.import("carol-2", dump.clone()).await;
    assert_eq!(answer.ok(), json!({}));
    assert_eq!(lines(&data.dump("carol-2").await), renamed(&dumped, "alice-1", "carol-2"));
    assert_eq!(lines(&data.dump("alice-1").await), dumped);
    queue.run("carol-2").await.ok();
    assert_eq!(int(&queue.result("carol-2", &waiting[0], None).await.item(), "tryNumber"), 2);
    assert_eq!(int(&queue.result("alice-1", &waiting[0], None).await.item(), "tryNumber"), 1);

    data.clean("alice-1").await;
    assert_eq!(lines(&data.dump("alice-1").await), []);
    assert_eq!(queue.jobs("alice-1").await, [] as [Value; 0]);
    assert_eq!(queue.jobs("carol-2").await.len(), 2);
    for _ in 0..2 {
        let (_, answer) = data.import("alice-1", dump.clone()).await;
        assert_eq!(answer.ok(), json!({}));
        assert_eq!(lines(&data.dump("alice-1").await), dumped);
    }
    let jobs = queue.jobs("alice-1").await;
    assert_eq!(text(&jobs[0], "name"), waiting[0]);
    assert_eq!((int(&jobs[0], "currentRetryCount"), int(&jobs[0], "maxTryCount")), (2, 5));

    // Results go as they would have gone.
    server.advance(DAY_MS);
    server.sweep().await;
    let api = server.api().await;
    let (data, queue) = (UserData::of(&api, "job-queue"), Queue::of(&api, "queue"));
    let stage = Stage::of(&api);
    let left = lines(&data.dump("alice-1").await);
    assert_eq!(left.iter().filter(|(name, _)| name.ends_with("jobResult.jsonl")).count(), 2);

    // The server runs what was imported into a queue that runs by itself.
    data.clean("alice-1").await;
    queue.set_auto_run(true).await;
    data.clean("carol-2").await;
    let (_, answer) = data.import("dave", dump).await;
    assert_eq!(answer.ok(), json!({}));
    for _ in 0..10 {
        server.advance(60_000);
        if stage.numbers("trace").await.len() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    assert_eq!(stage.traced("trace", 2).await, [0, 1]);
    server.stop().await;
}

async fn devices_go_round(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let gateway = Gateway::create(&api, "ns").await;
    let fields = json!({ "token": "device", "locale": "ja" });
    gateway.call("PUT", "/user/alice-1/firebase/token", fields).await.ok();
    let data = UserData::of(&api, "gateway");
    let dump = data.dump("alice-1").await;
    let dumped = lines(&dump);
    assert_eq!((dumped.len(), dumped[0].0.as_str()), (1, "gateway/ns/firebaseToken.jsonl"));
    data.clean("alice-1").await;
    assert_eq!(gateway.call("GET", "/user/alice-1/firebase/token", Value::Null).await.status, 404);
    let (_, answer) = data.import("carol-2", dump.clone()).await;
    assert_eq!(answer.ok(), json!({}));
    assert_eq!(lines(&data.dump("carol-2").await), renamed(&dumped, "alice-1", "carol-2"));
    // A device that the player has set meanwhile stays.
    gateway.call("PUT", "/user/carol-2/firebase/token", json!({ "token": "newer" })).await.ok();
    let (token, answer) = data.import("carol-2", dump).await;
    assert_eq!(answer.ok(), json!({}));
    assert!(
        data.log("carol-2", &token).await.contains("line 1: left out: the player has set another device")
    );
    // A namespace that is not there is left out.
    gateway.call("DELETE", "", Value::Null).await.ok();
    server.stop().await;
}

async fn large_data_go_round(database: Database) {
    const MESSAGES: usize = 2_500;
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let chat = Chat::create(&api, "ns").await;
    chat.room("room", json!({})).await;
    let posts = (0..10).map(|task| {
        let chat = Chat::of(&api.clone(), "ns");
        async move {
            for number in 0..MESSAGES / 10 {
                let user = if number % 2 == 0 { "alice-1" } else { "bob" };
                chat.post("room", user, &format!("{task} {number}")).await;
            }
        }
    });
    futures_util::future::join_all(posts).await;
    let queue = Queue::create(&api, "ns", false).await;
    for number in 0..60 {
        // Larger than a page together.
        let entries: Vec<Value> =
            (0..10).map(|at| entry("s", &json!({ "n": number * 10 + at, "x": "x".repeat(4000) }))).collect();
        queue.push("alice-1", &entries).await;
    }
    for (service, count) in [("chat", MESSAGES / 2), ("job-queue", 600)] {
        let data = UserData::of(&api, service);
        let dump = data.dump("alice-1").await;
        let dumped = lines(&dump);
        assert_eq!(dumped.len(), count, "{service}");
        data.clean("alice-1").await;
        assert_eq!(lines(&data.dump("alice-1").await), [], "{service}");
        let (token, answer) = data.import("carol-2", dump).await;
        assert_eq!(answer.ok(), json!({}), "{}", data.log("carol-2", &token).await);
        assert_eq!(lines(&data.dump("carol-2").await), renamed(&dumped, "alice-1", "carol-2"), "{service}");
    }
    server.stop().await;
}

/// What Distributor shows of a player: pages of any size are the same list.
async fn entries_of_all_services(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    talk(&api, "alice-1").await;
    let queue = Queue::create(&api, "queue", false).await;
    queue.push("alice-1", &[entry("s", &json!({})), entry("s", &json!({}))]).await;
    let mut retried = entry("grn:gs2:ap-northeast-1:hiroba:script:none:script:none", &json!({}));
    retried["maxTryCount"] = 3.into();
    queue.push("bob", &[retried]).await;
    for _ in 0..3 {
        queue.run("bob").await.ok();
    }
    Gateway::create(&api, "ns")
        .await
        .call("PUT", "/user/alice-1/firebase/token", json!({ "token": "t" }))
        .await
        .ok();
    for (user, count) in [("alice-1", 1 + 2 + 24), ("bob", 3 + 1 + 14), ("nobody", 0)] {
        let mut lists = Vec::new();
        for limit in [1, 2, 5, 1000] {
            let (mut list, mut after) = (Vec::new(), Some(String::new()));
            while let Some(place) = after {
                let (mut page, next) = server.app().user_data(user, &place, limit).await.unwrap();
                assert!(page.len() <= limit && next.as_ref().is_none_or(|next| next.len() <= 1024));
                list.append(&mut page);
                after = next;
            }
            lists.push(list);
        }
        assert_eq!(lists[0].len(), count, "{user}");
        assert!(lists.windows(2).all(|pair| pair[0] == pair[1]), "{user}");
        // What lets somebody try passwords is in files only.
        assert!(lists[0].iter().all(|[.., payload]| !payload.contains("passwordHash")));
        let services: Vec<&str> = lists[0].iter().map(|[service, ..]| service.as_str()).collect();
        let order =
            |service: &&str| ["gateway", "jobQueue", "chat"].iter().position(|other| other == service);
        assert!(services.is_sorted_by_key(order));
    }
    assert!(server.app().user_data("alice-1", "wrong", 1).await.is_err());
    server.stop().await;
}

on_both_engines! {
    entries_of_all_services
    chat_goes_round
    jobs_go_round
    devices_go_round
    large_data_go_round
}
