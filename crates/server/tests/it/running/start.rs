//! The start: what a first one makes, what a second one finds, and how long it takes.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use hiroba_testkit::api::Api;
use hiroba_testkit::http::Request;
use hiroba_testkit::{Database, on_both_engines};
use serde_json::Value;
use tokio::task::block_in_place;

use super::{program, start};

/// Start to ready with an existing data folder. The aim is 100 ms for the program as it is shipped; this one is not
/// optimised and shares its machine.
const START_MAX: Duration = Duration::from_secs(2);

/// The credential is made once, printed once and readable by its owner only; everything is still there afterwards.
async fn a_second_start_finds_everything(database: Database) {
    let first = start(&database);
    let credential = first.credential();
    let file = database.data_folder("data").join("credentials.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = std::fs::read(&file).unwrap();
    let api = first.api().await;
    api.create_namespace("ns").await;
    api.mutexes("ns", "alice").lock("p", "t").await.item();
    let printed = block_in_place(|| first.stop());
    let secret = format!("client secret: {}", credential.1);
    assert!(printed.contains(&format!("client id: {}", credential.0)), "{printed:?}");
    assert!(printed.iter().any(|line| line.starts_with(&secret)), "{printed:?}");

    let mut times = Vec::new();
    for _ in 0..5 {
        let again = start(&database);
        times.push(again.start_time());
        assert_eq!(again.credential(), credential);
        let api = api.at(again.address());
        api.mutexes("ns", "alice").get("p").await.item();
        Api::login(again.address(), &credential.0, &credential.1).await;
        let printed = block_in_place(|| again.stop());
        assert!(!printed.concat().contains(&credential.1), "{printed:?}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), kept);
    times.sort_unstable();
    println!("start to ready, existing data folder: {times:?}");
    assert!(times[times.len() / 2] < START_MAX, "{times:?}");
    let data = std::fs::read_dir(database.data_folder("data")).unwrap();
    for file in data {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o077;
        assert_eq!(mode, 0, "{} is readable by others", file.path().display());
    }
}

/// A credential from the settings is used as it is, replaces its secret at the next start, and is written nowhere.
async fn a_given_credential_is_used(database: Database) {
    for secret in ["first-secret", "second-secret"] {
        let builder = program(&database).env("HIROBA_CLIENT_ID", "given").env("HIROBA_CLIENT_SECRET", secret);
        let server = block_in_place(|| builder.start());
        Api::login(server.address(), "given", secret).await;
        for wrong in ["first-secret", "second-secret", "", "x"].into_iter().filter(|wrong| *wrong != secret) {
            let answer = Api::anonymous(server.address()).try_login("given", wrong).await;
            assert!([400, 401].contains(&answer.status), "{}", answer.text());
        }
        assert!(!database.data_folder("data").join("credentials.json").exists());
        let printed = block_in_place(|| server.stop());
        assert!(!printed.concat().contains(secret), "{printed:?}");
    }
}

/// `GET /healthz` answers when the server takes calls; nothing else is at these paths.
async fn health(database: Database) {
    let server = start(&database);
    let api = Api::anonymous(server.address());
    let answer = api.send(&Request::new("GET", "/healthz")).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok\n"));
    for method in ["POST", "PUT", "DELETE"] {
        let answer = api.send(&Request::new(method, "/healthz")).await;
        answer.refused(404, "operation", "server.operation.operation.error.notFound");
    }
    api.call("healthz", "GET", "/more", Value::Null).await.refused(
        404,
        "operation",
        "server.operation.operation.error.notFound",
    );
    block_in_place(|| server.stop());
}

/// Settings that contradict each other, or that cannot be used, end the program with a sentence.
async fn wrong_settings_are_told(database: Database) {
    let file = database.data_folder("file");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap().to_owned();
    let cases = [
        (program(&database).env("HIROBA_CLIENT_ID", "alone"), "client-secret"),
        (program(&database).env("HIROBA_OWNER_ID", "system"), "built in"),
        (program(&database).env("HIROBA_OWNER_ID", "a:b"), "letters, digits"),
        (program(&database).env("HIROBA_LISTEN", "nowhere"), "listen"),
        (program(&database).env("HIROBA_LISTEN", "192.0.2.1:80"), "listening on 192.0.2.1:80"),
        (program(&database).env("HIROBA_DATA_DIR", &file), "data folder"),
        (program(&database).env("HIROBA_TLS_CERT", &file), "tls-key"),
        (program(&database).env("HIROBA_TLS_CERT", &file).env("HIROBA_TLS_KEY", &file), "reading the key"),
        (program(&database).arg("--nothing"), "--nothing"),
    ];
    for (builder, sentence) in cases {
        let (status, printed, logged) = block_in_place(|| builder.run_to_end());
        assert!(!status.success(), "{sentence}: {printed}");
        assert!(logged.contains(sentence), "{sentence}: {logged}");
        assert!(!logged.contains("panicked"), "{logged}");
    }
}

on_both_engines! {
    a_second_start_finds_everything
    a_given_credential_is_used
    health
    wrong_settings_are_told
}
