//! Tokens: one hour each, and none that the server did not issue for just this use (BEHAVIOUR A-01, A-10, E-16, I-04).

use hiroba_testkit::api::{ACCESS_TOKEN, Api, TIME_OFFSET_TOKEN};
use hiroba_testkit::http::Response;
use hiroba_testkit::secrets::{forge, parts, with_claims};
use hiroba_testkit::{Database, Socket, TestServer, on_both_engines};
use serde_json::{Value, json};

const HOUR_MS: i64 = 3_600_000;

/// E-16: each kind of token lives one hour and is refused under its own name afterwards, on both transports.
async fn every_token_lives_one_hour(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let old = server.api().await;
    old.create_namespace("ns").await;
    let player = old.player_token("alice").await;
    let offset = old.time_offset_token("alice", 0).await;
    let mut socket = Socket::open(server.address()).await;

    server.advance(HOUR_MS - 1);
    let new = server.api().await;
    for (alive, milliseconds) in [(true, 0), (false, 1)] {
        server.advance(milliseconds);
        let kinds = [
            ("projectToken", old.clone(), "bob"),
            ("accessToken", new.with(ACCESS_TOKEN, &player), "me"),
            ("timeOffsetToken", new.with(TIME_OFFSET_TOKEN, &offset), "alice"),
        ];
        for (name, api, user) in kinds {
            let answer = api.mutexes("ns", user).lock("p", "t").await;
            let message = format!("lock.{name}.{name}.error.invalid");
            if alive {
                answer.item();
            } else {
                answer.refused(401, name, &message);
            }
        }
        let answers =
            over_socket(&mut socket, old.project_token(), new.project_token(), &player, &offset).await;
        for (name, answer) in answers {
            if alive {
                answer.item();
            } else {
                answer.refused(401, name, &format!("lock.{name}.{name}.error.invalid"));
            }
        }
    }
    socket.close().await;
    server.stop().await;
}

async fn over_socket(
    socket: &mut Socket,
    old: &str,
    new: &str,
    player: &str,
    offset: &str,
) -> Vec<(&'static str, Response)> {
    let request = |user: &str, project: &str| {
        let mut fields = json!({ "namespaceName": "ns", "propertyId": "p", "transactionId": "t" });
        fields["userId"] = user.into();
        fields["xGs2ProjectToken"] = project.into();
        fields
    };
    let mut answers = Vec::new();
    let by_user = ("lock", "mutex", "lockByUserId");
    answers.push(("projectToken", socket.call(by_user, request("bob", old)).await));
    let mut fields = request("alice", new);
    fields["xGs2AccessToken"] = player.into();
    answers.push(("accessToken", socket.call(("lock", "mutex", "lock"), fields).await));
    let mut fields = request("alice", new);
    fields["timeOffsetToken"] = offset.into();
    answers.push(("timeOffsetToken", socket.call(by_user, fields).await));
    answers
}

/// Texts that look like the token and are not.
fn forgeries(token: &str, stranger: &str) -> Vec<(&'static str, String)> {
    let (header, claims, signature) = parts(token);
    let changed = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        with_claims(token, &claims)
    };
    let none = |alg: &str| forge(&json!({ "alg": alg, "typ": "JWT" }), &claims, None);
    let unsigned = forge(&header, &claims, None);
    vec![
        ("another server's", stranger.to_owned()),
        ("algorithm none", none("none")),
        ("algorithm None", none("None")),
        ("algorithm none with a signature", format!("{}{signature}", none("none"))),
        ("no signature", unsigned.clone()),
        ("another signature", format!("{unsigned}{}", "A".repeat(signature.len()))),
        ("a shorter signature", token[..token.len() - 1].to_owned()),
        ("a longer signature", format!("{token}A")),
        ("an empty key", forge(&header, &claims, Some(b""))),
        ("another key", forge(&header, &claims, Some(b"another key"))),
        ("another algorithm", forge(&json!({ "alg": "HS384", "typ": "JWT" }), &claims, Some(b"k"))),
        ("an asymmetric algorithm", format!("{}{signature}", none("RS256"))),
        (
            "a key in the header",
            forge(&json!({ "alg": "HS256", "jwk": { "kty": "oct", "k": "" } }), &claims, Some(b"")),
        ),
        ("a later expiry", changed("e", json!(i64::MAX))),
        ("an expiry that is no number", changed("e", json!("never"))),
        ("another user", changed("u", json!("administrator2"))),
        ("another owner", changed("o", json!("system"))),
        ("another use", changed("t", json!("p"))),
        ("two parts", token.rsplit_once('.').unwrap().0.to_owned()),
        ("four parts", format!("{token}.{signature}")),
        ("dots", "..".to_owned()),
        ("a word", "token".to_owned()),
        ("U+FFFD", "\u{fffd}".to_owned()),
        ("the text null", "null".to_owned()),
        ("an object", r#"{"o":"hiroba"}"#.to_owned()),
        ("many characters", "a.".repeat(400)),
    ]
}

/// A-10, E-16: nothing but a token of this server, for this use, opens anything.
async fn forged_tokens_open_nothing(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let elsewhere = Database::new(hiroba_testkit::Engine::Sqlite).unwrap();
    let other = TestServer::start(&elsewhere).await;
    let stranger = other.api().await;

    let (project, foreign) = (api.project_token().to_owned(), stranger.project_token().to_owned());
    let mut socket = Socket::open(server.address()).await;
    for (what, token) in forgeries(&project, &foreign) {
        let forger = Api::with_project_token(server.address(), &token);
        check(what, &forger.mutexes("ns", "u").lock("p", "t").await, 401, "projectToken", "invalid");
        let mut fields =
            json!({ "namespaceName": "ns", "userId": "u", "propertyId": "p", "transactionId": "t" });
        fields["xGs2ProjectToken"] = token.as_str().into();
        let answer = socket.call(("lock", "mutex", "lockByUserId"), fields).await;
        check(what, &answer, 401, "projectToken", "invalid");
    }
    socket.close().await;
    let player = api.player_token("alice").await;
    let mut swapped = forgeries(&player, &stranger.player_token("alice").await);
    swapped.push(("the project's token", project.clone()));
    swapped.push(("a time offset token", api.time_offset_token("alice", 0).await));
    for (what, token) in swapped {
        let answer = api.with(ACCESS_TOKEN, &token).mutexes("ns", "me").lock("p", "t").await;
        check(what, &answer, 401, "accessToken", "invalid");
    }
    let offset = api.time_offset_token("alice", 9).await;
    let mut swapped = forgeries(&offset, &stranger.time_offset_token("alice", 9).await);
    swapped.push(("an access token", player.clone()));
    swapped.push(("another player's", api.time_offset_token("bob", 9).await));
    for (what, token) in swapped {
        let answer = api.with(TIME_OFFSET_TOKEN, &token).mutexes("ns", "alice").lock("p", "t").await;
        check(what, &answer, 401, "timeOffsetToken", "invalid");
    }
    for (what, token) in [("an access token", &player), ("a time offset token", &offset)] {
        let answer = Api::with_project_token(server.address(), token).mutexes("ns", "u").lock("p", "t").await;
        check(what, &answer, 401, "projectToken", "invalid");
    }
    assert_eq!(server.count("SELECT COUNT(*) FROM lock_mutex").await, 0);

    // The originals still work.
    let alice = api.with(ACCESS_TOKEN, &player).with(TIME_OFFSET_TOKEN, &offset);
    alice.mutexes("ns", "me").lock("p", "t").await.item();
    alice.mutexes("ns", "alice").get("p").await.item();
    other.stop().await;
    server.stop().await;
}

/// No token at all, or one that is too long to be looked at (BEHAVIOUR N-02, A-10).
async fn missing_and_endless_tokens(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    api.create_namespace("ns").await;
    let anonymous = Api::anonymous(server.address());
    check("none", &anonymous.mutexes("ns", "u").lock("p", "t").await, 401, "projectToken", "require");
    for header in ["", "Bearer", "Bearer ", "Basic YTpi", "Token abc"] {
        let answer = anonymous.with("Authorization", header).mutexes("ns", "u").lock("p", "t").await;
        check(header, &answer, 401, "projectToken", "require");
    }
    check("none", &api.mutexes("ns", "me").lock("p", "t").await, 400, "accessToken", "require");
    for (count, status, problem) in [(1024, 401, "invalid"), (1025, 400, "tooLong"), (9000, 400, "tooLong")] {
        let token = "x".repeat(count);
        let answer = api.with(ACCESS_TOKEN, &token).mutexes("ns", "me").lock("p", "t").await;
        check("long", &answer, status, "accessToken", problem);
        let answer = api.with(TIME_OFFSET_TOKEN, &token).mutexes("ns", "alice").lock("p", "t").await;
        check("long", &answer, status, "timeOffsetToken", problem);
    }
    let endless = Api::with_project_token(server.address(), &"x".repeat(60_000));
    check("long", &endless.mutexes("ns", "u").lock("p", "t").await, 401, "projectToken", "invalid");
    server.stop().await;
}

#[track_caller]
fn check(what: &str, answer: &Response, status: u16, component: &str, problem: &str) {
    let first = &answer.refusals()[0];
    let message = format!("lock.{component}.{component}.error.{problem}");
    let found = (answer.status, first.component.as_str(), first.message.as_str());
    assert_eq!(found, (status, component, message.as_str()), "{what}");
}

on_both_engines! {
    every_token_lives_one_hour
    forged_tokens_open_nothing
    missing_and_endless_tokens
}
