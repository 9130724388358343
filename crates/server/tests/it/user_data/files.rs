//! The files: who may read and put them, for how long, and which ones an import refuses.

use hiroba_testkit::api::{DRY_RUN, text};
use hiroba_testkit::http::{Connection, Request};
use hiroba_testkit::user_data::target;
use hiroba_testkit::{Chat, Database, TestServer, UserData, on_both_engines, within};
use serde_json::{Value, json};

use super::zip::{unzip, zip};
use super::{DAY_MS, lines};

const HOUR_MS: i64 = 3_600_000;
const NO_DATA: &str = "chat.userData.userData.error.notFound";
const BAD_TOKEN: &str = "chat.userData.uploadToken.error.invalid";
const TASKS: &str = "SELECT COUNT(*) FROM user_data_task";

async fn urls_are_signed_and_expire(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let api = server.api().await;
    Chat::create(&api, "ns").await.room("own", json!({ "userId": "alice" })).await;
    let data = UserData::of(&api, "chat");
    data.dump("alice").await;
    let url = text(&data.check("dump", "alice").await.ok(), "url").to_owned();
    let path = target(&url);
    let parts: Vec<&str> = path.rsplitn(3, '/').collect();
    let (tag, expires_at, name) = (parts[0], parts[1], parts[2]);
    let later = (expires_at.parse::<i64>().unwrap() + 1).to_string();
    let flipped = if tag.starts_with('0') { "1" } else { "0" };
    for forged in [
        format!("{name}/{later}/{tag}"),
        format!("{name}/{expires_at}/{flipped}{}", &tag[1..]),
        format!("{name}x/{expires_at}/{tag}"),
        format!("{name}/{expires_at}"),
        "/~data/../hiroba.db".to_owned(),
        "/~data/".to_owned(),
    ] {
        assert_eq!(data.file(&format!("http://x{forged}")).await.status, 403, "{forged}");
    }
    let mut connection = Connection::open(server.address()).await;
    let post = connection.request(&Request::new("POST", &path).body("x")).await.unwrap().unwrap();
    assert_eq!(post.status, 400);
    server.advance(HOUR_MS - 1);
    assert_eq!(data.file(&url).await.status, 200);
    server.advance(1);
    assert_eq!(data.file(&url).await.status, 410);
    // Tokens of callers end as soon.
    let data = UserData::of(&server.api().await, "chat");
    // Another check answers another URL, for a day.
    let fresh = text(&data.check("dump", "alice").await.ok(), "url").to_owned();
    assert_eq!(data.file(&fresh).await.status, 200);
    server.advance(DAY_MS - HOUR_MS);
    let data = UserData::of(&server.api().await, "chat");
    data.check("dump", "alice").await.refused(404, "userData", NO_DATA);
    data.dump("bob").await;
    let fresh = text(&data.check("dump", "bob").await.ok(), "url").to_owned();
    server.sweep().await;
    assert_eq!((server.count(TASKS).await, data.file(&fresh).await.status), (1, 200));
    server.stop().await;
}

async fn uploads_are_for_an_hour(database: Database) {
    let server = TestServer::builder(&database)
        .config(|config| config.user_data_upload_bytes_max = 100_000)
        .manual_clock()
        .start()
        .await;
    let api = server.api().await;
    let data = UserData::of(&api, "chat");
    let (token, path) = data.prepare("alice").await;
    // Prepared is not started (U-06).
    data.check_import("alice", &token).await.refused(404, "userData", NO_DATA);
    let answer = data.start("import", "alice", json!({ "uploadToken": token })).await;
    answer.refused(400, "userData", BAD_TOKEN);
    assert!(data.log("alice", &token).await.contains("nothing has been uploaded"));
    assert_eq!(data.upload(&path, vec![0; 100_001]).await.status, 413);
    let dump = data.dump("alice").await;
    assert_eq!(data.upload(&path, "replaced by the next").await.status, 200);
    assert_eq!(data.upload(&path, dump.clone()).await.status, 200);
    assert_eq!(data.upload("/~data/unknown", dump.clone()).await.status, 404);
    // The token is the player's own, and the service's.
    let others = UserData::of(&api, "gateway");
    for (data, user, service) in [(&data, "bob", "chat"), (&others, "alice", "gateway")] {
        let answer = data.start("import", user, json!({ "uploadToken": token })).await;
        answer.refused(400, "userData", &format!("{service}.userData.uploadToken.error.invalid"));
    }
    assert_eq!(data.start("import", "alice", json!({ "uploadToken": token })).await.status, 200);
    assert_eq!(data.upload(&path, dump.clone()).await.status, 404);
    let (token, path) = data.prepare("alice").await;
    assert_eq!(data.upload(&path, dump.clone()).await.status, 200);
    server.advance(HOUR_MS);
    let api = server.api().await;
    let data = UserData::of(&api, "chat");
    assert_eq!(data.upload(&path, dump).await.status, 404);
    data.start("import", "alice", json!({ "uploadToken": token })).await.refused(400, "userData", BAD_TOKEN);
    for kind in ["dump", "clean"] {
        data.check(kind, "nobody").await.refused(404, "userData", NO_DATA);
    }
    data.check_import("alice", "unknown").await.refused(404, "userData", NO_DATA);
    // A dry run leaves nothing behind.
    let dry = UserData::of(&api.with(DRY_RUN, "true"), "chat");
    assert_eq!(dry.start("dump", "dry", json!({})).await.ok(), json!({}));
    data.check("dump", "dry").await.refused(404, "userData", NO_DATA);
    server.advance(DAY_MS);
    server.sweep().await;
    assert_eq!(server.count(TASKS).await, 0);
    let folder = server.app().data_folder().join("user-data");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
    server.stop().await;
}

/// A dump of one room, changed.
fn changed(dump: &[u8], change: impl Fn(&mut Vec<(String, Vec<u8>)>)) -> Vec<u8> {
    let mut files = unzip(dump);
    change(&mut files);
    zip(&files, false)
}

/// A dump whose file has this content, and a manifest that agrees.
fn with_content(dump: &[u8], content: &str) -> Vec<u8> {
    changed(dump, |files| {
        files[0].1 = content.as_bytes().to_vec();
        let mut manifest: Value = serde_json::from_slice(&files[1].1).unwrap();
        let file = &mut manifest["files"][0];
        file["bytes"] = content.len().into();
        file["entries"] = content.lines().count().into();
        file["sha256"] = sha256(content.as_bytes()).into();
        files[1].1 = manifest.to_string().into_bytes();
    })
}

fn sha256(bytes: &[u8]) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn manifest(dump: &[u8], name: &str, value: &Value) -> Vec<u8> {
    changed(dump, |files| {
        let mut manifest: Value = serde_json::from_slice(&files[1].1).unwrap();
        manifest[name] = value.clone();
        files[1].1 = manifest.to_string().into_bytes();
    })
}

async fn damaged_files_are_refused_whole(database: Database) {
    let server = TestServer::builder(&database)
        .config(|config| config.user_data_upload_bytes_max = 1 << 20)
        .start()
        .await;
    let api = server.api().await;
    let chat = Chat::create(&api, "ns").await;
    for number in 0..3 {
        chat.room(&format!("room-{number}"), json!({ "userId": "alice", "password": "p" })).await;
    }
    let data = UserData::of(&api, "chat");
    let dump = data.dump("alice").await;
    let rooms: Vec<String> = lines(&dump).iter().map(|(_, line)| line.to_string()).collect();
    data.clean("alice").await;
    let text = |change: &dyn Fn(&mut Value)| {
        let mut third: Value = serde_json::from_str(&rooms[2]).unwrap();
        change(&mut third);
        with_content(&dump, &format!("{}\n{}\n{third}\n", rooms[0], rooms[1]))
    };
    let expensive =
        "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
    let bomb = zip(&[("manifest.json".to_owned(), vec![b' '; 20 << 20])], true);
    let bloated = zip(&[("a".to_owned(), vec![0; 40 << 20]), unzip(&dump).remove(1)], true);
    let directory = zip(&vec![("a".to_owned(), Vec::new()); 2], false);
    for (file, reason) in [
        (b"no archive".to_vec(), "too short"),
        (vec![0; 5000], "no whole zip archive"),
        (dump[..dump.len() - 1].to_vec(), "cut off"),
        (dump[..dump.len() / 2].to_vec(), "cut off"),
        (zip(&[], false), "no `manifest.json`"),
        (directory, "two entries"),
        (bomb, "manifest.json"),
        (bloated, "when it is expanded; at most 16777216"),
        (manifest(&dump, "service", &"gateway".into()), "service `gateway`"),
        (manifest(&dump, "format", &"other".into()), "format `other`"),
        (manifest(&dump, "version", &2.into()), "version 2"),
        (manifest(&dump, "files", &json!([])), "does not name"),
        (manifest(&dump, "files", &"x".into()), "not what a dump has there"),
        (changed(&dump, |files| files.push(("../../x".to_owned(), Vec::new()))), "does not name"),
        (changed(&dump, |files| files[0].1[10] ^= 1), "chat/ns/room.jsonl"),
        (changed(&dump, |files| files[0].1.truncate(300)), "chat/ns/room.jsonl"),
        (
            with_content(&dump, &format!("{}\nnot json\n", rooms[0])),
            "chat/ns/room.jsonl line 2: is no JSON object",
        ),
        (with_content(&dump, "{}\n[]\n"), "chat/ns/room.jsonl line 2"),
        (
            with_content(&dump, &format!("{{\"x\":[{}]}}\n", vec!["0"; 150_000].join(","))),
            "line 1: holds more than",
        ),
        (
            text(&|room| room["name"] = "a/b".into()),
            "chat/ns/room.jsonl line 3: `name` may hold only letters",
        ),
        (
            text(&|room| room["metadata"] = "x".repeat(1025).into()),
            "line 3: `metadata` must have at most 1024",
        ),
        (text(&|room| room["passwordHash"] = expensive.into()), "line 3: `passwordHash` is no hash"),
        (text(&|room| room["password"] = "p".into()), "line 3: `password` must be absent"),
        (text(&|room| room["revision"] = 0.into()), "line 3: `revision` must be at least 1"),
    ] {
        let (token, answer) = data.import("alice", file).await;
        answer.refused(400, "userData", BAD_TOKEN);
        assert!(answer.text().contains("nothing was changed"), "{}", answer.text());
        let log = data.log("alice", &token).await;
        assert!(log.contains(reason) && log.contains("refused; nothing was changed"), "{reason}: {log}");
        assert_eq!(chat.call("GET", "/room", Value::Null).await.ok()["items"], json!([]), "{reason}");
    }
    // All that is wrong is told at once, and a mended file goes under the same token.
    let (token, path) = data.prepare("alice").await;
    data.upload(&path, with_content(&dump, "{}\n{}\n")).await;
    data.start("import", "alice", json!({ "uploadToken": token })).await.refused(400, "userData", BAD_TOKEN);
    let log = data.log("alice", &token).await;
    assert!(log.contains("room.jsonl line 1") && log.contains("room.jsonl line 2"), "{log}");
    // An archive that somebody has packed anew is as good.
    for compressed in [false, true] {
        data.clean("alice").await;
        server.sweep().await;
        let (_, answer) = data.import("alice", zip(&unzip(&dump), compressed)).await;
        assert_eq!(answer.ok(), json!({}));
        assert_eq!(lines(&data.dump("alice").await), lines(&dump));
    }
    within("the stop", server.stop()).await;
}

on_both_engines! {
    urls_are_signed_and_expire
    uploads_are_for_an_hour
    damaged_files_are_refused_whole
}
