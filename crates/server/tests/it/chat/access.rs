//! Who may read and post in a room, on the wire (BEHAVIOUR CH-01, CH-10, CH-20 … CH-24).

use hiroba_testkit::api::{ACCESS_TOKEN, int};
use hiroba_testkit::chat::texts;
use hiroba_testkit::http::Response;
use hiroba_testkit::{Chat, Database, TestServer, on_both_engines};
use serde_json::{Value, json};

use super::{NO_MESSAGE, NO_ROOM, NOT_INCLUDED, PASSWORD_INVALID, PASSWORD_REQUIRED, refused_with};

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

/// Who makes a call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Who<'a> {
    /// The server for a player.
    Server(&'a str),
    /// A player with an access token.
    Player(&'a str),
    /// Somebody with a project token only.
    Nobody,
}

/// The calls that look at a room's rules.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Call {
    Describe,
    Latest,
    Get,
    Post,
}

const CALLS: [Call; 4] = [Call::Describe, Call::Latest, Call::Get, Call::Post];

/// Calls with a password, if any. What is read is asked for with a query, as SDKs do.
async fn call(chat: &Chat, call: Call, who: Who<'_>, room: &str, password: Option<&str>) -> Response {
    let mut query = vec![password.map(|password| format!("password={password}"))];
    let (caller, behind) = match who {
        Who::Server(user) => {
            query.push(Some(format!("userId={user}")));
            (chat.clone(), "/get")
        }
        Who::Player(user) => (chat.player(user).await, ""),
        Who::Nobody => (chat.clone(), ""),
    };
    let query = format!("?{}", query.into_iter().flatten().collect::<Vec<_>>().join("&"));
    let path = format!("/room/{room}/message");
    match call {
        Call::Describe => caller.call("GET", &format!("{path}{behind}{query}"), Value::Null).await,
        Call::Latest => caller.call("GET", &format!("{path}/latest{behind}{query}"), Value::Null).await,
        Call::Get => caller.call("GET", &format!("{path}/{NOBODY}{behind}{query}"), Value::Null).await,
        Call::Post => {
            let path = match who {
                Who::Server(user) => format!("{path}/user/{user}"),
                _ => path,
            };
            caller.call("POST", &path, json!({ "metadata": "x", "password": password })).await
        }
    }
}

/// Fails the test unless the caller was let in: only the message that it asks for may be missing.
#[track_caller]
fn let_in(answer: &Response, call: Call) {
    match call {
        Call::Get => answer.refused(404, "message", NO_MESSAGE),
        _ => drop(answer.ok()),
    }
}

async fn start(database: &Database) -> (TestServer, Chat) {
    let server = TestServer::start(database).await;
    let chat = Chat::create(&server.api().await, "ns").await;
    (server, chat)
}

/// CH-01, CH-10, CH-20 … CH-23: the room, then the list, then the password, for each call, whoever makes it.
async fn the_order_of_checks(database: Database) {
    let (server, chat) = start(&database).await;
    chat.room("open", json!({ "userId": "owner" })).await;
    chat.room("list", json!({ "userId": "owner", "whiteListUserIds": ["alice"] })).await;
    chat.room("shut", json!({ "userId": "owner", "password": "right" })).await;
    let both = json!({ "userId": "owner", "password": "right", "whiteListUserIds": ["alice"] });
    chat.room("both", both).await;
    let passwords = [None, Some("wrong"), Some("right")];
    let callers = [
        Who::Server("alice"),
        Who::Player("alice"),
        Who::Server("bob"),
        Who::Player("bob"),
        Who::Server("owner"),
        Who::Player("owner"),
        Who::Nobody,
    ];
    for kind in CALLS {
        for who in callers {
            // To post, one has to be somebody.
            if kind == Call::Post && who == Who::Nobody {
                continue;
            }
            for password in passwords {
                let what = format!("{kind:?} by {who:?} with {password:?}");
                let missing = call(&chat, kind, who, "missing", password).await;
                missing.refused(404, "room", NO_ROOM);
                for room in ["open", "list", "shut", "both"] {
                    println!("{what} in {room}");
                    let answer = call(&chat, kind, who, room, password).await;
                    let listed = matches!(who, Who::Server("alice") | Who::Player("alice"));
                    let has_list = matches!(room, "list" | "both");
                    let has_password = matches!(room, "shut" | "both");
                    match password {
                        _ if has_list && !listed => refused_with(&answer, NOT_INCLUDED),
                        None if has_password => refused_with(&answer, PASSWORD_REQUIRED),
                        Some("wrong") if has_password => refused_with(&answer, PASSWORD_INVALID),
                        _ => let_in(&answer, kind),
                    }
                }
            }
        }
    }
    let elsewhere = Chat::of(chat.api(), "elsewhere");
    for kind in CALLS {
        let answer = call(&elsewhere, kind, Who::Server("alice"), "open", None).await;
        answer.refused(404, "namespace", "chat.namespace.namespace.error.notFound");
    }
    server.stop().await;
}

/// CH-23, E-16: posting needs an access token, reading does not; one that is no good is refused before the room is looked at.
async fn without_an_access_token(database: Database) {
    let (server, chat) = start(&database).await;
    chat.room("open", json!({})).await;
    chat.post("open", "alice", "x").await;
    let nobody = call(&chat, Call::Post, Who::Nobody, "open", None).await;
    let missing = call(&chat, Call::Post, Who::Nobody, "missing", None).await;
    for refused in [nobody, missing] {
        let refusal = &refused.refusals()[0];
        println!("{} {refusal:?}", refused.status);
        assert!(refusal.message.starts_with("chat.accessToken."), "{refusal:?}");
    }
    let forged = Chat::of(&chat.api().with(ACCESS_TOKEN, "nonsense"), "ns");
    for kind in CALLS {
        for room in ["open", "missing"] {
            let refused = call(&forged, kind, Who::Nobody, room, None).await;
            refused.refused(401, "accessToken", "chat.accessToken.accessToken.error.invalid");
        }
    }
    assert_eq!(texts(&chat.messages("open", "alice", "").await), ["x"]);
    server.stop().await;
}

/// CH-22: a wrong password stays wrong and a right one right, however often and in whatever order they are tried, by many at
/// once; a changed one is refused at once.
async fn passwords(database: Database) {
    let (server, chat) = start(&database).await;
    chat.room("one", json!({ "password": "p0" })).await;
    // The same password elsewhere.
    chat.room("two", json!({ "password": "other" })).await;
    let post = async |room: &str, password: &str| -> Response {
        chat.post_with(room, "alice", json!({ "metadata": "x", "password": password })).await
    };
    for _ in 0..2 {
        for wrong in ["wrong", "P0", "p0 ", "p", "p00", "other", "p\n0"] {
            refused_with(&post("one", wrong).await, PASSWORD_INVALID);
        }
        refused_with(&post("one", "").await, PASSWORD_REQUIRED);
        post("one", "p0").await.item();
        refused_with(&post("two", "p0").await, PASSWORD_INVALID);
    }
    assert_eq!(chat.messages("one", "alice", "&password=p0").await.len(), 2);

    // CH-07: an update without a password takes it away; one that is like the old one is as good as another.
    for (round, (old, new)) in
        [("p0", Some("p1")), ("p1", Some("p1")), ("p1", None), ("", Some("p0")), ("p0", Some("p2"))]
            .into_iter()
            .enumerate()
    {
        post("one", old).await.item();
        chat.update("one", json!({ "password": new })).await;
        let answer = post("one", old).await;
        match new {
            Some(new) if new == old => drop(answer.item()),
            Some(_) if old.is_empty() => refused_with(&answer, PASSWORD_REQUIRED),
            Some(_) => refused_with(&answer, PASSWORD_INVALID),
            None => drop(answer.item()),
        }
        post("one", new.unwrap_or_default()).await.item();
        assert_eq!(
            int(&chat.call("GET", "/room/one", Value::Null).await.item(), "revision"),
            round as i64 + 2
        );
    }

    // While others post all the time; who is refused waits for the old password to be the right one again.
    let (tell, told) = tokio::sync::watch::channel(Some(0));
    let posters = (0..3).map(|poster| {
        let (chat, mut told) = (chat.clone(), told.clone());
        tokio::spawn(async move {
            let (mut posted, mut refused) = (0, 0);
            while told.borrow_and_update().is_some() {
                let fields = json!({ "metadata": "y", "password": "p2" });
                let answer = chat.post_with("one", &format!("user-{poster}"), fields).await;
                match answer.status {
                    200 => posted += 1,
                    503 => {}
                    _ => {
                        refused_with(&answer, PASSWORD_INVALID);
                        refused += 1;
                        told.changed().await.unwrap();
                    }
                }
            }
            (posted, refused)
        })
    });
    let posters: Vec<_> = posters.collect();
    for round in 1..5 {
        post("one", "p2").await.item();
        chat.update("one", json!({ "password": "p3" })).await;
        let count = async |password: &str| {
            chat.messages("one", "alice", &format!("&password={password}")).await.len()
        };
        let before = count("p3").await;
        refused_with(&post("one", "p2").await, PASSWORD_INVALID);
        assert_eq!(count("p3").await, before, "nothing under the old password comes in");
        chat.update("one", json!({ "password": "p2" })).await;
        tell.send(Some(round)).unwrap();
    }
    tell.send(None).unwrap();
    for poster in posters {
        let (posted, refused) = poster.await.unwrap();
        println!("{posted} posted, {refused} refused");
    }
    server.stop().await;
}

/// CH-03, CH-21: a thousand players may be on the list.
async fn a_long_list(database: Database) {
    let (server, chat) = start(&database).await;
    let players: Vec<String> = (0..1000).map(|number| format!("player-{number}")).collect();
    let item = chat.room("square", json!({ "whiteListUserIds": players })).await;
    assert_eq!(item["whiteListUserIds"], json!(players));
    for player in ["player-0", "player-499", "player-999"] {
        chat.post("square", player, player).await;
    }
    for stranger in ["player-1000", "player-", "player-1000000", "Player-0", "owner"] {
        refused_with(&chat.post_with("square", stranger, json!({ "metadata": "x" })).await, NOT_INCLUDED);
        refused_with(&chat.list("square", stranger, "").await, NOT_INCLUDED);
    }
    let page = chat.call("GET", "/room?limit=1000", Value::Null).await.ok();
    assert_eq!(page["items"][0]["whiteListUserIds"], json!(players));
    chat.update("square", json!({ "whiteListUserIds": players[1..] })).await;
    refused_with(&chat.post_with("square", "player-0", json!({ "metadata": "x" })).await, NOT_INCLUDED);
    let texts = texts(&chat.messages("square", "player-1", "").await);
    assert_eq!(texts, ["player-0", "player-499", "player-999"]);
    let mut more = players.clone();
    more.push("player-1000".to_owned());
    let refused = chat.call("POST", "/room", json!({ "name": "more", "whiteListUserIds": more })).await;
    refused.refused(400, "room", "chat.room.whiteListUserIds.error.tooMany");
    server.stop().await;
}

on_both_engines! {
    the_order_of_checks
    without_an_access_token
    passwords
    a_long_list
}
