//! Files in a store that speaks S3.

use hiroba_server::config::Config;
use hiroba_testkit::api::text;
use hiroba_testkit::jobs::entry;
use hiroba_testkit::s3::{BUCKET, KEY, REGION, SECRET};
use hiroba_testkit::{Database, Queue, Random, S3, TestServer, UserData, on_both_engines};
use serde_json::{Value, json};

use super::{lines, renamed};

fn use_s3(s3: &S3) -> impl FnOnce(&mut Config) {
    let url = s3.url();
    move |config| {
        config.s3_url = Some(url);
        config.s3_bucket = Some(BUCKET.to_owned());
        config.s3_region = REGION.to_owned();
        config.s3_access_key_id = Some(KEY.to_owned());
        config.s3_secret_access_key = Some(SECRET.to_owned().into());
    }
}

/// Text that hardly compresses.
fn noise(random: &mut Random, bytes: usize) -> String {
    data_encoding::BASE64.encode(&random.bytes(bytes))
}

async fn files_lie_in_s3(database: Database) {
    let s3 = S3::start().await;
    let server = TestServer::builder(&database).config(use_s3(&s3)).start().await;
    let api = server.api().await;
    let queue = Queue::create(&api, "ns", false).await;
    let data = UserData::of(&api, "job-queue");
    // Without data, so one request.
    s3.fail_next(2);
    assert_eq!(lines(&data.dump("alice-1").await), []);
    let mut random = Random::new();
    for number in 0..20 {
        let entries: Vec<Value> =
            (0..10).map(|_| entry("s", &json!({ "n": number, "x": noise(&mut random, 90_000) }))).collect();
        queue.push("alice-1", &entries).await;
    }
    let dump = data.dump("alice-1").await;
    assert!(dump.len() > 16 << 20, "more than two parts: {}", dump.len());
    data.clean("alice-1").await;
    let (token, answer) = data.import("carol-2", dump.clone()).await;
    assert_eq!(answer.ok(), json!({}), "{}", data.log("carol-2", &token).await);
    let again = data.dump("carol-2").await;
    assert_eq!(lines(&again), renamed(&lines(&dump), "alice-1", "carol-2"));
    assert!(s3.largest() <= 8 << 20, "a part at a time: {}", s3.largest());
    assert_eq!((s3.unfinished(), s3.refused()), (0, 0));
    // Two dumps and a log: what was uploaded went when it was taken in.
    assert_eq!(s3.names().len(), 3, "{:?}", s3.names());
    let folder = server.app().data_folder().join("user-data");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);

    // A store that cannot be reached is no fault of the caller's, and shows no secret.
    s3.fail_next(1000);
    let answer = data.start("dump", "alice-1", json!({})).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    data.check("dump", "alice-1").await.refused(409, "userData", "jobQueue.userData.userData.error.failed");
    s3.fail_next(0);
    data.dump("alice-1").await;
    server.stop().await;
}

async fn nodes_need_a_store_that_all_reach(database: Database) {
    let nodes = TestServer::nodes(&database).await;
    let [one, two] = nodes.as_slice() else { return };
    let (here, there) = (one.api().await, two.api().await);
    let (here, there) = (UserData::of(&here, "gateway"), UserData::of(&there, "gateway"));
    here.dump("alice").await;
    let answer = there.check("dump", "alice").await;
    answer.refused(409, "userData", "gateway.userData.file.error.notFound");
    assert!(answer.text().contains("--s3-url"));
    let url = text(&here.check("dump", "alice").await.ok(), "url").to_owned();
    assert_eq!(there.file(&url).await.status, 404);
    let (token, path) = here.prepare("alice").await;
    let dump = here.dump("alice").await;
    assert_eq!(here.upload(&path, dump.clone()).await.status, 200);
    let answer = there.start("import", "alice", json!({ "uploadToken": token })).await;
    answer.refused(400, "userData", "gateway.userData.uploadToken.error.invalid");
    assert!(answer.text().contains("another node"));
    here.start("import", "alice", json!({ "uploadToken": token })).await.ok();
    for node in nodes {
        node.stop().await;
    }

    let s3 = S3::start().await;
    let one = TestServer::builder(&database).config(use_s3(&s3)).start().await;
    let folder = database.data_folder("second");
    let two = TestServer::builder(&database)
        .config(use_s3(&s3))
        .config(|config| config.data_dir = folder)
        .start()
        .await;
    let (here, there) =
        (UserData::of(&one.api().await, "gateway"), UserData::of(&two.api().await, "gateway"));
    here.dump("alice").await;
    let url = text(&there.check("dump", "alice").await.ok(), "url").to_owned();
    let dump = there.file(&url).await;
    assert_eq!(dump.status, 200);
    let (token, path) = here.prepare("alice").await;
    assert_eq!(there.upload(&path, dump.body).await.status, 200);
    here.start("import", "alice", json!({ "uploadToken": token })).await.ok();
    assert!(there.log("alice", &token).await.contains("done"));
    one.stop().await;
    two.stop().await;
}

on_both_engines! {
    files_lie_in_s3
    nodes_need_a_store_that_all_reach
}
