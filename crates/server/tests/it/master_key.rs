//! The master key: where it comes from, which database it belongs to, what it seals, and how it is replaced.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};

use hiroba_store::params;
use hiroba_testkit::api::{Api, DUPLICATION_AVOIDER, text};
use hiroba_testkit::database::{Found, MASTER_KEY};
use hiroba_testkit::secrets::one_time_password;
use hiroba_testkit::server::Builder;
use hiroba_testkit::{Chat, Database, Engine, TestServer, eventually, on_both_engines, run};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use crate::running::program;
use crate::second_factor::enable;

const OTHER_KEY: &str = "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf";
const PRIVATE_KEY: &str = "the-private-key-of-a-service-account";
const MESSAGE: &str = "a-message-that-only-the-room-can-read";
const ROOM_PASSWORD: &str = "the-password-of-the-room";
const STEP_MS: i64 = 30_000;

/// A server that keeps its key in a file.
fn with_file(database: &Database) -> Builder {
    TestServer::builder(database).manual_clock().config(|config| config.master_key = None)
}

/// A server with the keys of this text.
fn with_keys(database: &Database, keys: &str) -> Builder {
    let keys = keys.to_owned();
    TestServer::builder(database).manual_clock().config(move |config| config.master_key = Some(keys.into()))
}

fn key_file(database: &Database) -> PathBuf {
    database.data_folder("data").join("master.key")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn look(database: &Database) -> Found {
    block_in_place(|| Found::in_database(database))
}

/// Why a server does not start.
async fn refusal(builder: Builder) -> String {
    match builder.try_start().await {
        Err(problem) => problem,
        Ok(server) => {
            server.stop().await;
            panic!("the server started");
        }
    }
}

/// Secrets of every kind in the store of one server.
struct Secrets {
    shared: Vec<u8>,
    project_token: String,
    player_token: String,
    /// When the last one-time password was used: each start has a clock of its own.
    used: AtomicI64,
}

impl Secrets {
    async fn make(server: &TestServer) -> Secrets {
        let api = server.api().await;
        let shared = enable(server, &api, "user", "password").await;
        let account =
            json!({ "project_id": "p", "client_email": "e", "private_key": PRIVATE_KEY }).to_string();
        let namespace = json!({ "name": "ns", "firebaseSecret": account });
        api.call("gateway", "POST", "/", namespace).await.ok();
        let chat = Chat::create(&api, "square").await;
        chat.room("room", json!({ "password": ROOM_PASSWORD })).await;
        // The answers to these calls are kept.
        let post = json!({ "metadata": MESSAGE, "password": ROOM_PASSWORD });
        let once = Chat::of(&api.with(DUPLICATION_AVOIDER, "key"), "square");
        once.post_with("room", "alice", post).await.item();
        let player_token = api.with(DUPLICATION_AVOIDER, "key").player_token("alice").await;
        Secrets {
            shared,
            project_token: api.project_token().to_owned(),
            player_token,
            used: server.now().into(),
        }
    }

    /// Everything that rests on them works as before.
    async fn work(&self, server: &TestServer) {
        let api = Api::with_project_token(server.address(), &self.project_token);
        let namespace = api.call("gateway", "GET", "/ns", Value::Null).await.item();
        assert!(text(&namespace, "firebaseSecret").contains(PRIVATE_KEY), "{namespace}");
        let again = api.with(DUPLICATION_AVOIDER, "key").player_token("alice").await;
        assert_eq!(again, self.player_token);
        let query = format!("&password={ROOM_PASSWORD}");
        let messages = Chat::of(&api, "square").list("room", "alice", &query).await.ok();
        assert_eq!(text(&messages["items"][0], "metadata"), MESSAGE);
        let next = self.used.load(Ordering::Relaxed) + STEP_MS;
        server.advance(next - server.now());
        self.used.store(next, Ordering::Relaxed);
        let otp = one_time_password(&self.shared, server.now());
        let login = json!({ "userName": "user", "password": "password", "otp": otp });
        api.call("identifier", "POST", "/projectToken/login/user", login).await.item();
    }

    /// None of them can be read in the store.
    fn are_sealed(&self, database: &Database) {
        let found = look(database);
        assert!(!found.has(&self.shared));
        for secret in [PRIVATE_KEY, MESSAGE, ROOM_PASSWORD, &self.player_token] {
            assert!(!found.has(secret), "{secret}");
        }
        // The look itself finds what is there.
        assert!(found.has("administrator") && found.has("firebaseSecret"));
    }
}

/// Rows of the settings that are as long as something sealed, and none that is shorter.
async fn token_key_is_sealed(server: &TestServer) {
    let sealed = "SELECT COUNT(*) FROM server_setting WHERE name = 'token_key' AND length(value) = 65";
    assert_eq!(server.count(sealed).await, 1);
}

/// A first start makes the file, later ones use it, and it is for its owner only.
async fn a_first_start_makes_the_file(database: Database) {
    let server = with_file(&database).start().await;
    let secrets = Secrets::make(&server).await;
    let file = key_file(&database);
    let key = read(&file);
    assert!(key.len() == 65 && key.ends_with('\n'), "{} characters", key.len());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    token_key_is_sealed(&server).await;
    let server = server.restart().await;
    assert_eq!(read(&file), key);
    secrets.work(&server).await;
    server.stop().await;
    secrets.are_sealed(&database);
    let bytes = data_encoding::HEXLOWER.decode(key.trim().as_bytes()).unwrap();
    let found = look(&database);
    assert!(!found.has(bytes) && !found.has(key.trim()));
}

/// Only the key that a database was written with opens it; what to do stands in the refusal, and no key.
async fn a_wrong_key_is_refused(database: Database) {
    let server = with_keys(&database, MASTER_KEY).start().await;
    let secrets = Secrets::make(&server).await;
    server.stop().await;
    let setting = refusal(with_keys(&database, OTHER_KEY)).await;
    let file = key_file(&database);
    assert!(!file.exists());
    let missing = refusal(with_file(&database)).await;
    assert!(!file.exists(), "no file is made for a database that has a key");
    assert!(missing.contains("is missing"), "{missing}");
    std::fs::write(&file, OTHER_KEY).unwrap();
    let wrong_file = refusal(with_file(&database)).await;
    assert_eq!(read(&file), OTHER_KEY, "a file that was there stays");
    let elsewhere = database.data_folder("elsewhere.key");
    let named = elsewhere.clone();
    let other_file =
        refusal(with_file(&database).config(move |config| config.master_key_file = Some(named))).await;
    let folder = file.to_str().unwrap();
    for (problem, source) in [
        (&setting, "the setting HIROBA_MASTER_KEY"),
        (&missing, folder),
        (&wrong_file, folder),
        (&other_file, elsewhere.to_str().unwrap()),
    ] {
        for sentence in [source, "copy", "HIROBA_MASTER_KEY", "chat messages and secrets"] {
            assert!(problem.contains(sentence), "{sentence}: {problem}");
        }
        assert!(!problem.contains(MASTER_KEY) && !problem.contains(OTHER_KEY), "{problem}");
    }
    for (keys, sentence) in [("", "holds no master key"), ("12", "line 1"), (&OTHER_KEY[1..], "line 1")] {
        let problem = refusal(with_keys(&database, keys)).await;
        assert!(problem.contains(sentence), "{problem}");
        std::fs::write(&file, keys).unwrap();
        let problem = refusal(with_file(&database)).await;
        assert!(problem.contains(sentence) && problem.contains(folder), "{problem}");
    }
    std::fs::write(&file, MASTER_KEY).unwrap();
    let server = with_file(&database).start().await;
    secrets.work(&server).await;
    // Another folder with a copy of the file.
    std::fs::rename(&file, &elsewhere).unwrap();
    server.stop().await;
    let server =
        with_file(&database).config(move |config| config.master_key_file = Some(elsewhere)).start().await;
    assert!(!file.exists());
    server.stop().await;
}

/// As the program reads it: the environment replaces the file, the arguments name one.
async fn the_program_takes_keys(database: Database) {
    let elsewhere = database.data_folder("keys");
    std::fs::create_dir_all(&elsewhere).unwrap();
    let elsewhere = elsewhere.join("hiroba.key");
    let plain = || program(&database).without_env("HIROBA_MASTER_KEY");
    block_in_place(|| program(&database).start().stop());
    assert!(!key_file(&database).exists());
    let (status, _, logged) = block_in_place(|| plain().run_to_end());
    assert!(!status.success() && logged.contains("is missing"), "{logged}");
    std::fs::write(&elsewhere, MASTER_KEY).unwrap();
    let argument = format!("--master-key-file={}", elsewhere.display());
    let mut server = block_in_place(|| plain().arg(&argument).start());
    server.terminate();
    block_in_place(|| server.ended());
    // Others can read what the test wrote.
    assert!(server.log().contains("others than its owner"), "{}", server.log());
    let (status, _, logged) = block_in_place(|| program(&database).arg(&argument).run_to_end());
    assert!(!status.success() && logged.contains("cannot be used with"), "{logged}");
    let (status, _, logged) =
        block_in_place(|| program(&database).env("HIROBA_MASTER_KEY", "zz").run_to_end());
    assert!(!status.success() && logged.contains("HIROBA_MASTER_KEY"), "{logged}");
    block_in_place(|| plain().arg(&format!("--master-key={MASTER_KEY}")).start().stop());
}

/// A new key in front: everything comes under it, and the old one can go.
async fn a_key_can_be_replaced(database: Database) {
    let server = with_keys(&database, MASTER_KEY).start().await;
    let secrets = Secrets::make(&server).await;
    // More than one batch.
    let api = server.api().await;
    for number in 0..120 {
        let account =
            json!({ "project_id": "p", "client_email": "e", "private_key": PRIVATE_KEY }).to_string();
        let namespace = json!({ "name": format!("more-{number}"), "firebaseSecret": account });
        api.call("gateway", "POST", "/", namespace).await.ok();
    }
    server.stop().await;
    let both = format!("{OTHER_KEY}\n{MASTER_KEY}");
    let server = with_keys(&database, &both).start().await;
    sealed_under_the_first(&server).await;
    secrets.work(&server).await;
    // What comes later is under the first one too.
    enable(&server, &server.api().await, "later", "password").await;
    server.stop().await;
    let problem = refusal(with_keys(&database, MASTER_KEY)).await;
    assert!(problem.contains("another master key"), "{problem}");
    let server = with_keys(&database, OTHER_KEY).start().await;
    secrets.work(&server).await;
    let api = Api::with_project_token(server.address(), &secrets.project_token);
    let namespace = api.call("gateway", "GET", "/more-119", Value::Null).await.item();
    assert!(text(&namespace, "firebaseSecret").contains(PRIVATE_KEY));
    server.stop().await;
    secrets.are_sealed(&database);
}

/// Waits until a pass has been made: it marks its key, whose name is behind the first byte of what is sealed.
async fn sealed_under_the_first(server: &TestServer) {
    let marked = "SELECT COUNT(*) FROM server_setting AS mark JOIN server_setting AS present
        ON substr(mark.value, 2, 4) = substr(present.value, 2, 4)
        WHERE mark.name = 'master_key_sealed' AND present.name = 'master_key_check'";
    let mark = async || (server.count(marked).await == 1).then_some(());
    eventually("everything to be sealed", mark).await;
    let others =
        "SELECT COUNT(*) FROM identifier_password WHERE mfa_secret IS NOT NULL AND substr(mfa_secret, 2, 4)
        <> (SELECT substr(value, 2, 4) FROM server_setting WHERE name = 'master_key_check')";
    assert_eq!(server.count(others).await, 0);
}

/// What is under a key that was taken away too early is a fault of the server, and comes back with the key.
async fn a_key_that_went_too_early_can_come_back(database: Database) {
    let server = with_keys(&database, MASTER_KEY).start().await;
    let secrets = Secrets::make(&server).await;
    server.stop().await;
    let kept = std::sync::Arc::new(std::sync::Mutex::new(None));
    let keep = std::sync::Arc::clone(&kept);
    database
        .change(move |tx| {
            let select = "SELECT mfa_secret FROM identifier_password WHERE user_name = 'user'";
            *keep.lock().unwrap() = tx.query_opt(select, &[], |row| row.blob(0))?;
            Ok(())
        })
        .await;
    let server = with_keys(&database, &format!("{OTHER_KEY},{MASTER_KEY}")).start().await;
    sealed_under_the_first(&server).await;
    server.stop().await;
    // As another node would have left it that had the old key in front.
    database
        .change(move |tx| {
            let kept = kept.lock().unwrap();
            let update = "UPDATE identifier_password SET mfa_secret = $1";
            tx.execute(update, params![kept.as_ref().unwrap()])?;
            Ok(())
        })
        .await;
    let server = with_keys(&database, OTHER_KEY).start().await;
    let api = Api::with_project_token(server.address(), &secrets.project_token);
    let login = json!({ "userName": "user", "password": "password", "otp": "000000" });
    assert_eq!(api.call("identifier", "POST", "/projectToken/login/user", login).await.status, 500);
    server.stop().await;
    let server = with_keys(&database, &format!("{OTHER_KEY},{MASTER_KEY}")).start().await;
    secrets.work(&server).await;
    server.stop().await;
}

/// A database from before there was a master key: it is adopted, and what lay in clear is sealed.
async fn an_old_installation_is_adopted(database: Database) {
    let server = with_file(&database).start().await;
    let secrets = Secrets::make(&server).await;
    server.stop().await;
    let (token_key, shared) = (*b"the-clear-token-key-of-a-former-", secrets.shared.clone());
    let account = json!({ "project_id": "p", "client_email": "e", "private_key": PRIVATE_KEY }).to_string();
    let settings = json!({ "firebaseSecret": account }).to_string();
    let former = move |tx: &mut hiroba_store::Tx<'_>| {
        tx.execute("DELETE FROM server_setting WHERE name LIKE 'master_key%'", &[])?;
        tx.execute(
            "UPDATE server_setting SET value = $1 WHERE name = 'token_key'",
            params![token_key.as_slice()],
        )?;
        tx.execute("UPDATE identifier_password SET mfa_secret = $1", params![&shared])?;
        tx.execute("UPDATE namespace SET settings = $1 WHERE service = 'gateway'", params![&settings])?;
        tx.execute("DELETE FROM duplication_answer", &[])?;
        Ok(())
    };
    database.change(former).await;
    let found = look(&database);
    assert!(found.has(token_key) && found.has(PRIVATE_KEY));

    let server = with_file(&database).start().await;
    sealed_under_the_first(&server).await;
    token_key_is_sealed(&server).await;
    let secrets = Secrets { project_token: server.api().await.project_token().to_owned(), ..secrets };
    let api = Api::with_project_token(server.address(), &secrets.project_token);
    let player_token = api.with(DUPLICATION_AVOIDER, "key").player_token("alice").await;
    let secrets = Secrets { player_token, ..secrets };
    secrets.work(&server).await;
    let clear = "SELECT COUNT(*) FROM identifier_password WHERE length(mfa_secret) = 20";
    assert_eq!(server.count(clear).await, 0);
    let clear = "SELECT COUNT(*) FROM namespace WHERE settings LIKE '%service-account%'";
    assert_eq!(server.count(clear).await, 0);
    server.stop().await;
    // Pages of the embedded store that are free may hold old bytes until they are used again.
    if database.engine() == Engine::Postgres {
        secrets.are_sealed(&database);
        assert!(!look(&database).has(token_key));
    }
    let server = with_file(&database).start().await;
    secrets.work(&server).await;
    server.stop().await;
}

on_both_engines! {
    a_first_start_makes_the_file
    a_wrong_key_is_refused
    the_program_takes_keys
    a_key_can_be_replaced
    a_key_that_went_too_early_can_come_back
    an_old_installation_is_adopted
}

/// Nodes that start at once on an empty database, each about to make a key: one makes it, the others are refused, leave no
/// key behind, and start with a copy of the file.
async fn of_nodes_with_different_keys_one_starts(database: Database) {
    let node = |number: usize| {
        let folder = database.data_folder(&format!("node-{number}"));
        with_file(&database).config(move |config| config.data_dir = folder)
    };
    let starts = (0..4).map(|number| node(number).try_start());
    let nodes = futures_util::future::join_all(starts).await;
    let key_of = |number: usize| database.data_folder(&format!("node-{number}")).join("master.key");
    let mut running = Vec::new();
    for (number, node) in nodes.into_iter().enumerate() {
        match node {
            Ok(server) => running.push((number, server)),
            Err(problem) => {
                assert!(problem.contains("copy"), "{problem}");
                assert!(!key_of(number).exists(), "node {number}");
            }
        }
    }
    assert_eq!(running.len(), 1);
    let (first, server) = running.remove(0);
    let other = (first + 1) % 4;
    std::fs::copy(key_of(first), key_of(other)).unwrap();
    let second = node(other).start().await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    api.at(second.address()).mutexes("ns", "alice").lock("p", "t").await.item();
    second.stop().await;
    server.stop().await;
}

#[test]
fn of_nodes_at_once_one_makes_the_key() {
    run(Engine::Postgres, of_nodes_with_different_keys_one_starts);
}
