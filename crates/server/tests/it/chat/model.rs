//! Random calls on rooms whose clock jumps, against a small model (BEHAVIOUR CH-09, CH-30, CH-35 … CH-43).

use std::cell::Cell;

use hiroba_testkit::api::{int, text};
use hiroba_testkit::chat::items;
use hiroba_testkit::{Chat, Database, Engine, TestServer, on_both_engines};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::{NO_MESSAGE, NO_ROOM};

/// Says how many cases are tried.
const CASES: &str = "HIROBA_TEST_CASES";
const ROOMS: usize = 2;
const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// From when on messages are asked for.
#[derive(Debug, Clone, Copy)]
enum From {
    Always,
    /// From the time of a message that once was, or so much later or earlier.
    Message(usize, i64),
}

#[derive(Debug, Clone)]
enum Step {
    Post {
        room: usize,
        user: usize,
        category: i64,
    },
    /// Deletes one of all messages that ever were, as its poster or as somebody else.
    Delete {
        index: usize,
        poster: bool,
    },
    Get(usize),
    List {
        room: usize,
        from: From,
        limit: usize,
        category: Option<i64>,
    },
    Latest {
        room: usize,
        limit: usize,
        category: Option<i64>,
    },
    Advance(i64),
    /// Goes back, but revives nothing that has expired.
    Back(i64),
    LifeTime(i64),
    Sweep,
    /// Changes the room, so that nothing that is remembered of it holds.
    Change(usize),
    DeleteRoom(usize),
    CreateRoom(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let room = || 0..ROOMS;
    let category = || prop_oneof![2 => Just(None), 1 => (0..3_i64).prop_map(Some)];
    let limit = || 1..6_usize;
    let from = prop_oneof![
        1 => Just(From::Always),
        3 => (0..40_usize, -1..=1_i64).prop_map(|(index, later)| From::Message(index, later)),
    ];
    let advance = prop_oneof![
        Just(1),
        Just(SECOND),
        Just(HOUR),
        Just(12 * HOUR),
        Just(DAY - 1),
        Just(DAY),
        Just(2 * DAY),
        Just(3 * DAY)
    ];
    let step = prop_oneof![
        20 => (room(), 0..3_usize, 0..3_i64).prop_map(|(room, user, category)| Step::Post { room, user, category }),
        3 => (0..40_usize, prop::bool::weighted(0.8)).prop_map(|(index, poster)| Step::Delete { index, poster }),
        2 => (0..40_usize).prop_map(Step::Get),
        5 => (room(), from, limit(), category())
            .prop_map(|(room, from, limit, category)| Step::List { room, from, limit, category }),
        4 => (room(), limit(), category()).prop_map(|(room, limit, category)| Step::Latest { room, limit, category }),
        4 => advance.prop_map(Step::Advance),
        2 => (1..5 * SECOND).prop_map(Step::Back),
        2 => (1..=3_i64).prop_map(Step::LifeTime),
        2 => Just(Step::Sweep),
        1 => room().prop_map(Step::Change),
        1 => room().prop_map(Step::DeleteRoom),
        2 => room().prop_map(Step::CreateRoom),
    ];
    prop::collection::vec(step, 1..70)
}

#[derive(Debug, Clone)]
struct Message {
    item: Value,
    created_at: i64,
    expires_at: i64,
    category: i64,
}

/// A room as it must be.
#[derive(Debug, Default)]
struct Room {
    /// What was not deleted, in order.
    messages: Vec<Message>,
    last_at: i64,
}

/// The namespace of a case.
struct Case<'a> {
    server: &'a TestServer,
    name: String,
    chat: Chat,
    rooms: [Option<Room>; ROOMS],
    /// All messages that ever were, with their rooms.
    all: Vec<(usize, Message)>,
    days: i64,
}

fn room_name(room: usize) -> String {
    format!("room-{room}")
}

impl Case<'_> {
    async fn step(&mut self, step: Step) {
        match step {
            Step::Post { room, user, category } => self.post(room, user, category).await,
            Step::Delete { index, poster } => self.delete(index, poster).await,
            Step::Get(index) => self.get(index).await,
            Step::List { room, from, limit, category } => self.list(room, from, limit, category).await,
            Step::Latest { room, limit, category } => self.latest(room, limit, category).await,
            Step::Advance(milliseconds) => {
                self.server.advance(milliseconds);
                // The token may have expired.
                self.chat = Chat::of(&self.server.api().await, &self.name);
            }
            Step::Back(milliseconds) => {
                let now = self.server.now();
                let expired = self.all.iter().map(|(_, message)| message.expires_at).filter(|at| *at <= now);
                let earliest = expired.max().unwrap_or_default();
                self.server.advance((now - milliseconds).max(earliest) - now);
            }
            Step::LifeTime(days) => {
                self.chat.set(json!({ "messageLifeTimeDays": days })).await;
                self.days = days;
            }
            Step::Sweep => self.sweep().await,
            Step::Change(room) => {
                let answer = self.chat.call("PUT", &format!("/room/{}", room_name(room)), json!({})).await;
                match self.rooms[room] {
                    Some(_) => assert_eq!(text(&answer.item(), "name"), room_name(room)),
                    None => answer.refused(404, "room", NO_ROOM),
                }
            }
            Step::DeleteRoom(room) => {
                let answer = self.chat.delete(&room_name(room)).await;
                match self.rooms[room].take() {
                    Some(_) => assert_eq!(text(&answer.item(), "name"), room_name(room)),
                    None => answer.refused(404, "room", NO_ROOM),
                }
            }
            Step::CreateRoom(room) => {
                if self.rooms[room].is_none() {
                    self.chat.room(&room_name(room), json!({})).await;
                    self.rooms[room] = Some(Room::default());
                }
            }
        }
    }

    async fn post(&mut self, room: usize, user: usize, category: i64) {
        let (name, user) = (room_name(room), format!("user-{user}"));
        let said = format!("text {}", self.all.len());
        let fields = json!({ "metadata": said, "category": category });
        let answer = self.chat.post_with(&name, &user, fields).await;
        let Some(known) = &mut self.rooms[room] else { return answer.refused(404, "room", NO_ROOM) };
        let item = answer.item();
        let created_at = int(&item, "createdAt");
        assert_eq!(created_at, self.server.now().max(known.last_at + 1), "CH-36");
        known.last_at = created_at;
        assert_eq!((text(&item, "metadata"), int(&item, "category")), (said.as_str(), category));
        assert_eq!((text(&item, "roomName"), text(&item, "userId")), (name.as_str(), user.as_str()));
        let id = text(&item, "name");
        assert_eq!(id.len(), 36, "CH-30");
        assert!(self.all.iter().all(|(_, message)| text(&message.item, "name") != id));
        let message = Message { created_at, expires_at: created_at + self.days * DAY, category, item };
        known.messages.push(message.clone());
        self.all.push((room, message));
    }

    /// What is there of a room's messages; `None` without the room.
    fn visible(&self, room: usize, category: Option<i64>) -> Option<Vec<&Message>> {
        let now = self.server.now();
        let seen = |message: &&Message| {
            message.expires_at > now && category.is_none_or(|category| message.category == category)
        };
        Some(self.rooms[room].as_ref()?.messages.iter().filter(seen).collect())
    }

    /// A message that once was: whether it is there, or even its room is not.
    fn find(&self, index: usize) -> Option<(usize, Value, Option<bool>)> {
        let (room, message) = self.all.get(index)?;
        let there = self.visible(*room, None).map(|seen| seen.iter().any(|other| other.item == message.item));
        Some((*room, message.item.clone(), there))
    }

    async fn delete(&mut self, index: usize, poster: bool) {
        let Some((room, item, there)) = self.find(index) else { return };
        let user = if poster { text(&item, "userId") } else { "stranger" };
        let answer = self.chat.delete_message(&room_name(room), user, text(&item, "name")).await;
        match there {
            None => answer.refused(404, "room", NO_ROOM),
            Some(true) if poster => {
                assert_eq!(answer.item(), item);
                let known = self.rooms[room].as_mut().unwrap();
                known.messages.retain(|other| other.item != item);
            }
            Some(_) => answer.refused(404, "message", NO_MESSAGE),
        }
    }

    async fn get(&self, index: usize) {
        let Some((room, item, there)) = self.find(index) else { return };
        let answer = self.chat.message(&room_name(room), "reader", text(&item, "name"), "").await;
        match there {
            None => answer.refused(404, "room", NO_ROOM),
            Some(true) => assert_eq!(answer.item(), item),
            Some(false) => answer.refused(404, "message", NO_MESSAGE),
        }
        if self.rooms[1 - room].is_some() {
            let other = self.chat.message(&room_name(1 - room), "reader", text(&item, "name"), "").await;
            other.refused(404, "message", NO_MESSAGE);
        }
    }

    async fn list(&self, room: usize, from: From, limit: usize, category: Option<i64>) {
        let mut query = format!("&limit={limit}");
        let mut from_at = 0;
        if let From::Message(index, later) = from
            && let Some((_, message)) = self.all.get(index)
        {
            from_at = message.created_at + later;
            query += &format!("&startAt={from_at}");
        }
        query += &category.map_or(String::new(), |category| format!("&category={category}"));
        let answer = self.chat.list(&room_name(room), "reader", &query).await;
        let Some(seen) = self.visible(room, category) else { return answer.refused(404, "room", NO_ROOM) };
        let seen = seen.into_iter().filter(|message| message.created_at >= from_at).take(limit);
        let expected: Vec<_> = seen.map(|message| message.item.clone()).collect();
        assert_eq!(items(&answer.ok()), expected, "CH-35, CH-37, CH-39: {query}");
    }

    async fn latest(&self, room: usize, limit: usize, category: Option<i64>) {
        let query = format!("&limit={limit}")
            + &category.map_or(String::new(), |category| format!("&category={category}"));
        let mut answer = self.chat.latest(&room_name(room), "reader", &query).await;
        let Some(seen) = self.visible(room, category) else { return answer.refused(404, "room", NO_ROOM) };
        let mut left: Vec<_> = seen.into_iter().map(|message| message.item.clone()).collect();
        loop {
            let expected = left.split_off(left.len().saturating_sub(limit));
            let page = answer.ok();
            assert_eq!(items(&page), expected, "CH-38: {query}");
            let Some(token) = page["nextPageToken"].as_str() else { break };
            answer =
                self.chat.latest(&room_name(room), "reader", &format!("{query}&pageToken={token}")).await;
        }
        assert_eq!(left, Vec::<Value>::new(), "CH-38: {query}");
    }

    async fn sweep(&self) {
        self.server.sweep().await;
        let seen = (0..ROOMS).filter_map(|room| self.visible(room, None)).map(|seen| seen.len() as i64);
        // Cases leave nothing behind.
        let left = self.server.count("SELECT COUNT(*) FROM chat_message").await;
        assert_eq!(left, seen.sum::<i64>(), "rows after a sweep");
    }

    async fn end(self) {
        for room in 0..ROOMS {
            self.list(room, From::Always, 1000, None).await;
            self.latest(room, 3, None).await;
        }
        self.chat.call("DELETE", "", Value::Null).await.ok();
        self.server.sweep().await;
        let rows = "SELECT (SELECT COUNT(*) FROM chat_message) + (SELECT COUNT(*) FROM chat_room)
            + (SELECT COUNT(*) FROM chat_room_state) + (SELECT COUNT(*) FROM chat_ended_room)";
        assert_eq!(self.server.count(rows).await, 0);
    }
}

async fn rooms_are_as_the_model(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let usual = match database.engine() {
        Engine::Sqlite => 48,
        Engine::Postgres => 16,
    };
    let cases = std::env::var(CASES).map_or(usual, |cases| cases.parse().unwrap());
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases) });
    let number = Cell::new(0);
    let ran = block_in_place(|| {
        runner.run(&steps(), |steps| {
            number.set(number.get() + 1);
            let name = format!("case-{}", number.get());
            Handle::current().block_on(async {
                let chat = Chat::create(&server.api().await, &name).await;
                let rooms = [const { None }; ROOMS];
                let mut case = Case { server: &server, name, chat, rooms, all: Vec::new(), days: 1 };
                for room in 0..ROOMS {
                    case.step(Step::CreateRoom(room)).await;
                }
                for step in steps {
                    case.step(step).await;
                }
                case.end().await;
            });
            Ok(())
        })
    });
    if let Err(error) = ran {
        panic!("{error}");
    }
    server.stop().await;
}

on_both_engines! {
    rooms_are_as_the_model
}
