//! Two nodes on one database, linked by a real NATS server: who is told, and whom a changed room lets in (BEHAVIOUR CH-21,
//! CH-22, CH-54).

use hiroba_testkit::api::{Api, int};
use hiroba_testkit::chat::{notice, told};
use hiroba_testkit::http::Response;
use hiroba_testkit::nats::Nats;
use hiroba_testkit::process::Builder;
use hiroba_testkit::{Chat, Database, Engine, Gateway, Player, Process, eventually, run};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::{NO_ROOM, NOT_INCLUDED, PASSWORD_INVALID, PASSWORD_REQUIRED, refused_with};

const NODES: usize = 2;

/// The nodes, and the namespaces `gateway` and `ns` as a caller of each sees them.
struct Cluster {
    _nats: Nats,
    nodes: Vec<Process>,
    gateways: Vec<Gateway>,
    chats: Vec<Chat>,
}

impl Cluster {
    async fn start(database: &Database) -> Option<Cluster> {
        let nats = block_in_place(Nats::start)?;
        let url = nats.url();
        let mut cluster = Cluster { _nats: nats, nodes: Vec::new(), gateways: Vec::new(), chats: Vec::new() };
        for folder in ["one", "two"] {
            let builder = Builder::new(env!("CARGO_BIN_EXE_hiroba"), database, folder);
            let node = block_in_place(|| builder.arg("--nats-url").arg(&url).start());
            let api = node.api().await;
            if cluster.nodes.is_empty() {
                Gateway::create(&api, "gateway").await;
                Chat::create_with(&api, "ns", Chat::tells("gateway")).await;
            }
            cluster.gateways.push(Gateway::of(&api, "gateway"));
            cluster.chats.push(Chat::of(&api, "ns"));
            cluster.nodes.push(node);
        }
        for node in &cluster.nodes {
            let api = Api::anonymous(node.address());
            let reached = async || (api.clone().metric("hiroba_nats_connected").await == 1.0).then_some(());
            eventually("the link to NATS", reached).await;
        }
        Some(cluster)
    }

    async fn player(&self, node: usize, user: &str) -> Player {
        self.gateways[node].player_at(self.nodes[node].address(), user, json!({})).await
    }

    fn stop(self) {
        for node in self.nodes {
            block_in_place(|| node.stop());
        }
    }
}

/// CH-54, CH-56: subscribers are told wherever their sockets are and wherever it was posted; the posts of one node in order.
async fn told_everywhere(database: Database) {
    let Some(cluster) = Cluster::start(&database).await else { return };
    cluster.chats[0].room("square", json!({})).await;
    let mut players = Vec::new();
    for (node, user) in
        [(0, "alice"), (1, "bob"), (0, "carol"), (1, "carol"), (1, "poster"), (1, "z-last"), (0, "z-last")]
    {
        cluster.chats[node].subscribe("square", user, &[0]).await;
        players.push(cluster.player(node, user).await);
    }
    // A subscription of another category on each node, and none.
    cluster.chats[0].subscribe("square", "mallory", &[1]).await;
    let mut others = Vec::new();
    for (node, user) in [(0, "mallory"), (1, "mallory"), (1, "nobody")] {
        others.push(cluster.player(node, user).await);
    }
    // A node hears of a binding elsewhere from the database: nothing is to be waited for.
    let mut posted = Vec::new();
    for number in 0..50 {
        let node = number % NODES;
        let message = cluster.chats[node].post("square", "poster", &number.to_string()).await;
        posted.push((node, notice("ns", &message)));
    }
    for player in &mut players {
        let mut seen = Vec::new();
        for _ in 0..posted.len() {
            seen.push(told(player).await);
        }
        for node in 0..NODES {
            let of_node: Vec<&Value> =
                posted.iter().filter(|(of, _)| *of == node).map(|(_, notice)| notice).collect();
            let seen: Vec<&Value> = seen.iter().filter(|payload| of_node.contains(payload)).collect();
            assert_eq!(seen, of_node, "posts of node {node}");
        }
    }

    // Who unsubscribes on one node is told by neither; their last post is behind it for everybody else.
    cluster.chats[0].unsubscribe("square", "bob").await.item();
    for node in [1, 0] {
        cluster.chats[node].post("square", "poster", "end").await;
        for (number, player) in players.iter_mut().enumerate() {
            if number != 1 {
                told(player).await;
            }
        }
    }
    let token = cluster.chats[0].api().project_token();
    for player in players.iter_mut().chain(&mut others) {
        assert_eq!(player.socket.subjects(token).await, Vec::<String>::new());
    }
    drop((players, others));
    cluster.stop();
}

/// CH-20 … CH-22, CH-36: what one node changes of a room counts on the other at the very next call, whatever is remembered
/// there; no time of creation is given twice.
async fn changes_count_everywhere(database: Database) {
    let Some(cluster) = Cluster::start(&database).await else { return };
    let [one, two] = [&cluster.chats[0], &cluster.chats[1]];
    one.room("square", json!({ "password": "p0" })).await;
    let post = async |chat: &Chat, user: &str, password: &str| -> Response {
        chat.post_with("square", user, json!({ "metadata": "x", "password": password })).await
    };
    let mut last = 0;
    let mut posts = async |password: &str| {
        for chat in [one, two, one] {
            let item = post(chat, "alice", password).await.item();
            assert!(int(&item, "createdAt") > last, "CH-36");
            last = int(&item, "createdAt");
            let query = format!("&password={password}");
            assert_eq!(chat.messages("square", "alice", &query).await.last(), Some(&item));
        }
    };
    posts("p0").await;
    for round in 1..6 {
        let (old, new) = (format!("p{}", round - 1), format!("p{round}"));
        let (here, there) = if round % 2 == 0 { (one, two) } else { (two, one) };
        here.update("square", json!({ "password": new })).await;
        refused_with(&post(there, "alice", &old).await, PASSWORD_INVALID);
        refused_with(&there.list("square", "alice", &format!("&password={old}")).await, PASSWORD_INVALID);
        refused_with(&post(here, "alice", &old).await, PASSWORD_INVALID);
        posts(&new).await;
    }
    for round in 0..5 {
        let (here, there) = if round % 2 == 0 { (one, two) } else { (two, one) };
        here.update("square", json!({ "whiteListUserIds": ["bob"] })).await;
        refused_with(&post(there, "alice", "").await, NOT_INCLUDED);
        post(there, "bob", "").await.item();
        here.update("square", json!({ "whiteListUserIds": ["alice"] })).await;
        refused_with(&there.list("square", "bob", "").await, NOT_INCLUDED);
        posts("").await;
        here.update("square", json!({ "password": "p" })).await;
        refused_with(&post(there, "alice", "").await, PASSWORD_REQUIRED);
        here.update("square", json!({})).await;
        posts("").await;
    }
    // Another room of this name is another room.
    one.delete("square").await.item();
    post(two, "alice", "").await.refused(404, "room", NO_ROOM);
    one.room("square", json!({})).await;
    assert_eq!(two.messages("square", "alice", "").await, Vec::<Value>::new());
    posts("").await;
    assert_eq!(two.messages("square", "alice", "").await.len(), 3);
    cluster.stop();
}

#[test]
fn subscribers_are_told_on_every_node() {
    run(Engine::Postgres, told_everywhere);
}

#[test]
fn a_changed_room_is_changed_on_every_node() {
    run(Engine::Postgres, changes_count_everywhere);
}
