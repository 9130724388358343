//! Many post at once while others page through the room (BEHAVIOUR CH-31, CH-35, CH-36).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use hiroba_testkit::api::int;
use hiroba_testkit::chat::{items, times};
use hiroba_testkit::{Chat, Database, TestServer, on_both_engines, within};
use serde_json::{Value, json};

const POSTERS: usize = 16;
const POSTS: usize = 40;

/// Pages as clients do until everything has been posted and read; answers what it saw.
async fn read(chat: Chat, limit: usize, done: Arc<AtomicBool>) -> Vec<Value> {
    let (mut seen, mut from) = (Vec::new(), 0);
    loop {
        // Asked before the page is: what is on none of the later pages does not come any more.
        let last = done.load(Ordering::SeqCst);
        let answer = chat.list("square", "reader", &format!("&limit={limit}&startAt={from}")).await;
        if answer.status == 503 {
            continue;
        }
        let mut page = items(&answer.ok());
        match page.last() {
            Some(newest) => from = int(newest, "createdAt") + 1,
            None if last => return seen,
            None => {}
        }
        seen.append(&mut page);
    }
}

/// On PostgreSQL posters and readers are at two nodes.
async fn readers_lose_and_repeat_nothing(database: Database) {
    let nodes = TestServer::nodes(&database).await;
    let api = nodes[0].api().await;
    let chat = Chat::create(&api, "ns").await;
    chat.room("square", json!({})).await;
    let at = |number: usize| Chat::of(&api.at(nodes[number % nodes.len()].address()), "ns");
    let done = Arc::new(AtomicBool::new(false));
    let readers = [3, 50].into_iter().enumerate();
    let readers = readers.map(|(number, limit)| tokio::spawn(read(at(number), limit, Arc::clone(&done))));
    let readers: Vec<_> = readers.collect();
    let posters = (0..POSTERS).map(|poster| {
        let chat = at(poster);
        tokio::spawn(async move {
            let mut posted = Vec::new();
            for number in 0..POSTS {
                posted.push(
                    chat.post("square", &format!("user-{poster}"), &format!("{poster}/{number}")).await,
                );
            }
            assert!(times(&posted).is_sorted_by(|one, other| one < other), "a poster's own order");
            posted
        })
    });
    let mut posted: Vec<Value> = join_all(posters).await.into_iter().flat_map(Result::unwrap).collect();
    done.store(true, Ordering::SeqCst);
    posted.sort_by_key(|message| int(message, "createdAt"));
    assert_eq!(posted.len(), POSTERS * POSTS);
    assert!(times(&posted).is_sorted_by(|one, other| one < other), "CH-36");
    for reader in readers {
        let seen = within("a reader to have read all", reader).await.unwrap();
        assert_eq!(times(&seen), times(&posted));
        assert_eq!(seen, posted);
    }
    let latest = chat.latest("square", "reader", "&limit=1000").await.ok();
    assert_eq!(items(&latest), posted);
    for node in nodes {
        node.stop().await;
    }
}

on_both_engines! {
    readers_lose_and_repeat_nothing
}
