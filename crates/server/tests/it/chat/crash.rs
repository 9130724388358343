//! SIGKILL while many post: every acknowledged message is there once, readable, in order; a repeated post is one message
//! (BEHAVIOUR CH-31, CH-36, N-11, X-01).

use std::net::SocketAddr;
use std::time::Duration;

use hiroba_testkit::api::{DUPLICATION_AVOIDER, int, text};
use hiroba_testkit::chat::times;
use hiroba_testkit::process::Builder;
use hiroba_testkit::{Chat, Database, Engine, Process, Random, on_both_engines, within};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::block_in_place;

use super::{PASSWORD_INVALID, refused_with};

/// Says how often the server is killed; 80 and more make a full minute.
const KILLS: &str = "HIROBA_TEST_KILLS";
const ROOMS: usize = 4;
const POSTERS: usize = 12;

/// Where the server is, and whether posters shall go on.
#[derive(Debug, Clone, Copy)]
struct Life {
    address: SocketAddr,
    last: bool,
}

fn start(database: &Database) -> Process {
    block_in_place(|| Builder::new(env!("CARGO_BIN_EXE_hiroba"), database, "data").start())
}

fn room(poster: usize) -> String {
    format!("room-{}", poster % ROOMS)
}

fn password(poster: usize) -> String {
    format!("password-{}", poster % ROOMS)
}

/// Posts the numbers from 0 on, each exactly once: the acknowledged messages, in order.
async fn produce(chat: Chat, poster: usize, mut life: watch::Receiver<Life>) -> Vec<Value> {
    let user = format!("user-{poster}");
    let mut acknowledged: Vec<Value> = Vec::new();
    while !life.borrow().last {
        let number = acknowledged.len();
        let fields = json!({ "metadata": format!("{poster}/{number}"), "password": password(poster) });
        // The same post again until it is answered, with the same avoider.
        loop {
            let now = *life.borrow_and_update();
            let api = chat.api().at(now.address).with(DUPLICATION_AVOIDER, &format!("post-{number}"));
            let request = Chat::of(&api, "ns").post_request(&room(poster), &user, &fields);
            match within("an answer or the end", api.try_send(&request)).await {
                Ok(Some(answer)) if answer.status == 503 => {}
                Ok(Some(answer)) => {
                    acknowledged.push(answer.item());
                    break;
                }
                _ => within("the next life of the server", life.changed()).await.unwrap(),
            }
        }
    }
    acknowledged
}

async fn killed_again_and_again(database: Database) {
    let usual = match database.engine() {
        Engine::Sqlite => 15,
        Engine::Postgres => 8,
    };
    let kills: u64 = std::env::var(KILLS).map_or(usual, |kills| kills.parse().unwrap());
    let mut random = Random::new();
    let mut process = start(&database);
    // Tokens outlive the server: the key that signs them is in the database.
    let chat = Chat::create(&process.api().await, "ns").await;
    for number in 0..ROOMS {
        chat.room(&room(number), json!({ "password": password(number) })).await;
    }
    let (tell, told) = watch::channel(Life { address: process.address(), last: false });
    let posters = (0..POSTERS).map(|poster| tokio::spawn(produce(chat.clone(), poster, told.clone())));
    let posters: Vec<_> = posters.collect();
    for kill in 0..kills {
        // Time is what the kill is drawn from here, not what is waited for.
        tokio::time::sleep(Duration::from_millis(200 + random.below(601))).await;
        block_in_place(|| process.kill());
        process = start(&database);
        tell.send(Life { address: process.address(), last: kill + 1 == kills }).unwrap();
    }
    let mut acknowledged = Vec::new();
    for poster in posters {
        acknowledged.push(within("a poster to end", poster).await.unwrap());
    }
    let chat = Chat::of(&chat.api().at(process.address()), "ns");
    println!("{} messages through {kills} kills", acknowledged.iter().map(Vec::len).sum::<usize>());
    for number in 0..ROOMS {
        let query = format!("&password={}", password(number));
        let listed = chat.messages(&room(number), "reader", &query).await;
        assert!(times(&listed).is_sorted_by(|one, other| one < other), "CH-36");
        let of_room = acknowledged.iter().enumerate().filter(|(poster, _)| poster % ROOMS == number);
        let mut expected: Vec<Value> = of_room.flat_map(|(_, messages)| messages.clone()).collect();
        expected.sort_by_key(|message| int(message, "createdAt"));
        assert_eq!(listed.len(), expected.len(), "nothing is lost and nothing is there twice");
        assert_eq!(listed, expected);
        let wrong = chat.list(&room(number), "reader", "&password=wrong").await;
        refused_with(&wrong, PASSWORD_INVALID);
    }
    for (poster, messages) in acknowledged.iter().enumerate() {
        for (number, message) in messages.iter().enumerate() {
            assert_eq!(text(message, "metadata"), format!("{poster}/{number}"));
        }
        assert!(times(messages).is_sorted_by(|one, other| one < other), "a poster's own order");
    }
    block_in_place(|| process.stop());
}

/// a post whose answer was lost is one message when it is repeated after a crash, and gets that answer.
async fn a_repeated_post_is_one_message(database: Database) {
    let mut process = start(&database);
    let chat = Chat::create(&process.api().await, "ns").await;
    chat.room("square", json!({ "password": "p" })).await;
    let fields = json!({ "metadata": "x", "password": "p" });
    let mut first: Option<Value> = None;
    for _ in 0..3 {
        let api = chat.api().at(process.address()).with(DUPLICATION_AVOIDER, "once");
        let here = Chat::of(&api, "ns");
        let item = here.post_with("square", "alice", fields.clone()).await.item();
        assert_eq!(first.get_or_insert_with(|| item.clone()), &item);
        let twice = here.post_with("square", "alice", fields.clone()).await.item();
        assert_eq!(twice, item);
        assert_eq!(here.messages("square", "alice", "&password=p").await, [item]);
        block_in_place(|| process.kill());
        process = start(&database);
    }
    block_in_place(|| process.stop());
}

on_both_engines! {
    killed_again_and_again
    a_repeated_post_is_one_message
}
