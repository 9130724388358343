//! Several nodes on one database, linked by a real NATS server: who is where, who gets what, and what is left when a
//! node or NATS is gone.

use std::time::{Duration, Instant};

use hiroba_testkit::api::{Api, text};
use hiroba_testkit::nats::Nats;
use hiroba_testkit::process::Builder;
use hiroba_testkit::socket::Event;
use hiroba_testkit::{Database, Engine, Gateway, Player, Process, Socket, eventually, run};
use serde_json::{Value, json};
use tokio::task::block_in_place;

/// A node that does not hear from another one still answers within this.
const PROMPT: Duration = Duration::from_secs(5);

/// Three nodes, and the Gateway namespace `ns` as a caller of each sees it.
struct Cluster {
    nats: Nats,
    nodes: Vec<Process>,
    gateways: Vec<Gateway>,
}

impl Cluster {
    async fn start(database: &Database) -> Option<Cluster> {
        let nats = block_in_place(Nats::start)?;
        let url = nats.url();
        let node = |folder: &str| {
            let builder = Builder::new(env!("CARGO_BIN_EXE_hiroba"), database, folder);
            block_in_place(|| builder.arg("--nats-url").arg(&url).start())
        };
        let nodes = vec![node("one"), node("two"), node("three")];
        let mut gateways = Vec::new();
        for node in &nodes {
            let api = node.api().await;
            if gateways.is_empty() {
                Gateway::create(&api, "ns").await;
            }
            gateways.push(Gateway::of(&api, "ns"));
        }
        for node in &nodes {
            reaches_nats(node, 1.0).await;
        }
        Some(Cluster { nats, nodes, gateways })
    }

    async fn player(&self, node: usize, user: &str, fields: Value) -> Player {
        self.gateways[node].player_at(self.nodes[node].address(), user, fields).await
    }

    fn stop(self) {
        for node in self.nodes {
            block_in_place(|| node.stop());
        }
    }
}

async fn reaches_nats(node: &Process, wanted: f64) {
    let api = Api::anonymous(node.address());
    let reached = async || (api.clone().metric("hiroba_nats_connected").await == wanted).then_some(());
    eventually("the link to NATS", reached).await;
}

fn ids(sent: &Value) -> Vec<&str> {
    let mut ids: Vec<&str> =
        sent["sendConnectionIds"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    ids.sort_unstable();
    ids
}

async fn closed(socket: &mut Socket) -> u16 {
    match socket.next().await {
        Event::Close(code, _) => code,
        other => panic!("waited for the close frame and got {other:?}"),
    }
}

async fn subject(player: &mut Player) -> String {
    text(&player.socket.notification().await["body"], "subject").to_owned()
}

/// G-14, G-30, G-36, G-38: a notification reaches the player on every node, in order, and the answer names all sockets.
async fn everywhere(database: Database) {
    let Some(cluster) = Cluster::start(&database).await else { return };
    let mut players = Vec::new();
    for node in [0, 1, 2, 2] {
        players.push(cluster.player(node, "alice", json!({})).await);
    }
    let mut bob = cluster.player(0, "bob", json!({})).await;
    let mut expected: Vec<&str> = players.iter().map(|player| player.connection_id.as_str()).collect();
    expected.sort_unstable();
    let sent = cluster.gateways[1].send("alice", "0").await;
    assert_eq!((ids(&sent), &sent["protocol"]), (expected.clone(), &json!("websocket")));
    for number in 1..100 {
        cluster.gateways[1].send("alice", &number.to_string()).await;
    }
    for gateway in &cluster.gateways {
        let sessions = gateway.sessions("alice").await;
        assert_eq!(
            sessions.iter().map(|session| text(session, "connectionId")).collect::<Vec<_>>(),
            expected
        );
    }
    for player in &mut players {
        for number in 0..100 {
            assert_eq!(subject(player).await, number.to_string());
        }
    }

    // Over REST, a socket of one node is bound through another one.
    let path = "/session/user/carol/user";
    cluster.gateways[2].call("POST", path, json!({ "connectionId": bob.connection_id })).await.item();
    let arrived = async || {
        let sent = cluster.gateways[1].send("carol", "hello").await;
        (ids(&sent) == [bob.connection_id.as_str()]).then_some(())
    };
    eventually("the binding on the other node", arrived).await;
    assert_eq!(subject(&mut bob).await, "hello");
    assert!(cluster.gateways[0].sessions("bob").await.is_empty());
    // One that is not there is bound at most for a moment.
    let gone = format!("{}x", bob.connection_id);
    cluster.gateways[2].call("POST", "/session/user/dave/user", json!({ "connectionId": gone })).await;
    let none = async || cluster.gateways[1].sessions("dave").await.is_empty().then_some(());
    eventually("the binding of a socket that is not there to end", none).await;

    let items = cluster.gateways[0].call("DELETE", "/session/user/alice", Value::Null).await.ok();
    assert_eq!(items["items"].as_array().unwrap().len(), 4);
    for player in &mut players {
        assert_eq!(closed(&mut player.socket).await, 4001);
    }
    cluster.gateways[1].call("DELETE", "/session", Value::Null).await.ok();
    assert_eq!(closed(&mut bob.socket).await, 4001);
    cluster.stop();
}

/// G-04 … G-06: who is alone is so on all nodes.
async fn alone(database: Database) {
    let Some(cluster) = Cluster::start(&database).await else { return };
    let alone = json!({ "allowConcurrentAccess": false, "sessionId": "s1" });
    let mut first = cluster.player(0, "alice", alone.clone()).await;
    let mut second = Socket::open(cluster.nodes[1].address()).await;
    let other = json!({ "allowConcurrentAccess": false, "sessionId": "s2" });
    let refused = cluster.gateways[1].bind(&mut second, "alice", other.clone()).await;
    refused.refused(409, "webSocketSession", "gateway.webSocketSession.userId.error.duplicate");
    cluster.gateways[1].bind(&mut second, "alice", alone).await.item();
    assert_eq!(closed(&mut first.socket).await, 4002);
    let mut force = other;
    force["force"] = true.into();
    let mut third = cluster.player(2, "alice", force).await;
    assert_eq!(closed(&mut second).await, 4002);
    assert_eq!(ids(&cluster.gateways[0].send("alice", "x").await), [third.connection_id.as_str()]);
    assert_eq!(subject(&mut third).await, "x");
    drop(third);
    cluster.stop();
}

/// A node that is killed takes its sessions along when its lease has ended; the others go on.
async fn a_killed_node(database: Database) {
    let Some(mut cluster) = Cluster::start(&database).await else { return };
    let lost = cluster.player(0, "alice", json!({})).await;
    let mut stays = cluster.player(1, "alice", json!({})).await;
    let killed = cluster.nodes.remove(0);
    block_in_place(|| killed.kill());
    drop(lost);
    let begun = Instant::now();
    let sent = cluster.gateways[2].send("alice", "at once").await;
    assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
    assert_eq!(ids(&sent), [stays.connection_id.as_str()], "a socket that nobody confirmed was not reached");
    let gone = async || (cluster.gateways[2].sessions("alice").await.len() == 1).then_some(());
    eventually("the lease of the killed node to end", gone).await;
    let mut alone = Socket::open(cluster.nodes[1].address()).await;
    let fields = json!({ "allowConcurrentAccess": false, "force": true });
    cluster.gateways[2].bind(&mut alone, "alice", fields).await.item();
    assert_eq!(subject(&mut stays).await, "at once");
    assert_eq!(closed(&mut stays.socket).await, 4002);
    cluster.stop();
}

/// Without NATS each node serves its own sockets; when it is back, everything is as it should be.
async fn nats_goes_and_comes(database: Database) {
    let Some(mut cluster) = Cluster::start(&database).await else { return };
    let mut here = cluster.player(0, "alice", json!({})).await;
    let mut there = cluster.player(1, "alice", json!({})).await;
    block_in_place(|| cluster.nats.kill());
    for node in &cluster.nodes {
        reaches_nats(node, 0.0).await;
    }
    let begun = Instant::now();
    let sent = cluster.gateways[0].send("alice", "local").await;
    assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
    assert_eq!(ids(&sent), [here.connection_id.as_str()]);
    assert_eq!(subject(&mut here).await, "local");
    // The player comes to another node, which cannot tell the first one.
    let mut new = cluster.player(2, "alice", json!({ "allowConcurrentAccess": false, "force": true })).await;
    assert_eq!(ids(&cluster.gateways[2].send("alice", "new").await), [new.connection_id.as_str()]);

    block_in_place(|| cluster.nats.restart());
    for node in &cluster.nodes {
        reaches_nats(node, 1.0).await;
    }
    for player in [&mut here, &mut there] {
        assert_eq!(closed(&mut player.socket).await, 4002, "nothing that was said meanwhile comes late");
    }
    let mut bob = cluster.player(1, "bob", json!({})).await;
    let healed = async || (ids(&cluster.gateways[0].send("bob", "again").await).len() == 1).then_some(());
    eventually("nodes to reach each other again", healed).await;
    assert_eq!(subject(&mut bob).await, "again");
    assert_eq!(subject(&mut new).await, "new");
    for node in &cluster.nodes {
        assert!(node.log().contains("NATS is not reached"), "a warning says what is wrong");
    }
    drop((new, bob));
    cluster.stop();
}

#[test]
fn players_are_reached_on_every_node() {
    run(Engine::Postgres, everywhere);
}

#[test]
fn a_player_is_alone_on_all_nodes() {
    run(Engine::Postgres, alone);
}

#[test]
fn a_killed_node_leaves_no_session() {
    run(Engine::Postgres, a_killed_node);
}

#[test]
fn nats_may_go_and_come() {
    run(Engine::Postgres, nats_goes_and_comes);
}
