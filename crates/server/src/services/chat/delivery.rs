//! Tells the subscribers of a room of what was posted, after the answer to the post (BEHAVIOUR CH-54 … CH-58).
//!
//! One task a room at a time tells of all that was posted meanwhile, page by page of the subscribers, so that the cost of a
//! page is shared and everybody gets the posts in their order. A subscriber without a socket costs a look into a map.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use hiroba_api::chat::{Message, Namespace, RoomName, SERVICE};
use hiroba_api::contract::UnixMillis;
use hiroba_api::grn::Project;
use hiroba_api::names::UserId;
use hiroba_api::namespace::NotificationSetting;
use hiroba_store::{StoreError, Tx, params};
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use quick_cache::sync::Cache;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::cx::Cx;
use crate::error::Error;
use crate::hub::Player;
use crate::pipeline::Core;
use crate::services::gateway::{Channel, Notice, Prepared};

/// Rooms whose subscribers are being told at the same time.
const ROOMS_MAX: usize = 16;
/// Posts of a room that may wait; of more the oldest are told to nobody.
const WAITING_MAX: usize = 10_000;
/// Posts that are told of together.
const POSTS_MAX: usize = 256;
/// Subscribers that are read at once.
const PAGE: i64 = 500;
/// Subscribers of a room that are remembered.
const LIST_MAX: usize = 2000;
/// Subscribers that are remembered of all rooms together.
const REMEMBERED_MAX: u64 = 100_000;

pub(crate) mod sql {
    hiroba_store::statements! {
        /// How often the subscriptions of a room have changed.
        SELECT_SUBSCRIPTIONS = "SELECT subscriptions FROM chat_room_state WHERE room_id = $1";
        /// Some subscribers of a room.
        SELECT_SUBSCRIBERS = "SELECT user_id, notification_types FROM chat_subscribe
            WHERE room_id = $1 AND user_id > $2 ORDER BY user_id LIMIT $3";
        /// The other nodes on which some subscribers of a room have sockets.
        SELECT_NODES = "SELECT DISTINCT s.user_id, g.node_id FROM chat_subscribe s
            JOIN gateway_session g ON g.owner_id = s.owner_id AND g.namespace_name = $4 AND g.user_id = s.user_id
            WHERE s.room_id = $1 AND s.user_id >= $2 AND s.user_id <= $3 AND g.node_id <> $5
              AND EXISTS (SELECT 1 FROM gateway_node n WHERE n.node_id = g.node_id AND n.expires_at > $6)";
    }
}

/// What is counted of chat.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChatMetrics {
    /// Posts whose subscribers were not told.
    pub(crate) untold: Counter,
    /// Expired messages that were removed.
    pub(crate) swept: Counter,
}

/// A post that subscribers are to be told of.
#[derive(Debug)]
struct Posted {
    project: Arc<Project>,
    namespace: Arc<Namespace>,
    room_name: RoomName,
    user_id: UserId,
    category: i32,
    created_at: UnixMillis,
    /// How often the subscriptions of the room had changed.
    subscriptions: i64,
}

/// What is to be told, and to whom.
#[derive(Debug)]
pub(crate) struct Deliveries {
    /// By room. There is an entry as long as a task tells of the room.
    waiting: Mutex<HashMap<i64, VecDeque<Posted>>>,
    lists: Cache<i64, Arc<List>, Weight>,
    rooms: Semaphore,
    runtime: Handle,
    metrics: ChatMetrics,
}

/// The subscribers of a room that has not too many.
#[derive(Debug)]
struct List {
    subscriptions: i64,
    /// Name of the Gateway namespace that the players are of.
    gateway: String,
    subscribers: Vec<Subscriber>,
}

#[derive(Debug)]
struct Subscriber {
    user: UserId,
    player: Player,
    /// Categories, and whether their posts go to the player's device; all when empty (BEHAVIOUR CH-51).
    types: Vec<(i32, bool)>,
}

impl Subscriber {
    /// Whether a category is subscribed to, and whether its posts go to the player's device.
    fn wants(&self, category: i32) -> Option<bool> {
        if self.types.is_empty() {
            return Some(false);
        }
        self.types.iter().find(|(subscribed, _)| *subscribed == category).map(|(_, mobile)| *mobile)
    }
}

#[derive(Debug, Clone)]
struct Weight;

impl quick_cache::Weighter<i64, Arc<List>> for Weight {
    fn weight(&self, _: &i64, list: &Arc<List>) -> u64 {
        let entries: usize = list.subscribers.iter().map(|subscriber| 1 + subscriber.types.len() / 8).sum();
        1 + entries as u64
    }
}

/// Has the subscribers of a room told of a message when this transaction commits.
pub(super) fn posted(
    tx: &mut Tx<'_>,
    cx: &Cx,
    namespace: &Arc<Namespace>,
    room_id: i64,
    message: &Message,
    subscriptions: i64,
) {
    let core = Arc::clone(&cx.core);
    let posted = Posted {
        project: Arc::clone(&cx.project),
        namespace: Arc::clone(namespace),
        room_name: message.room_name.clone(),
        user_id: message.user_id.clone(),
        category: message.category,
        created_at: message.created_at,
        subscriptions,
    };
    tx.on_commit(move || Deliveries::push(&core, room_id, posted));
}

impl Deliveries {
    /// Nothing is waiting.
    pub(crate) fn new(runtime: Handle, metrics: ChatMetrics) -> Deliveries {
        let lists_max = usize::try_from(REMEMBERED_MAX).unwrap_or(usize::MAX) / 8;
        Deliveries {
            waiting: Mutex::default(),
            lists: Cache::with_weighter(lists_max, REMEMBERED_MAX, Weight),
            rooms: Semaphore::new(ROOMS_MAX),
            runtime,
            metrics,
        }
    }

    fn push(core: &Arc<Core>, room_id: i64, posted: Posted) {
        let deliveries = &core.chat.deliveries;
        let mut waiting = deliveries.waiting.lock();
        let queue = waiting.get_mut(&room_id);
        let idle = queue.is_none();
        match queue {
            Some(queue) => {
                // Where transactions run side by side their effects may overtake each other.
                let later = queue.iter().rev().take_while(|other| other.created_at.0 > posted.created_at.0);
                let place = queue.len() - later.count();
                queue.insert(place, posted);
                if queue.len() > WAITING_MAX {
                    queue.pop_front();
                    deliveries.metrics.untold.inc();
                }
            }
            None => {
                waiting.insert(room_id, VecDeque::from([posted]));
            }
        }
        drop(waiting);
        if idle {
            deliveries.runtime.spawn(run(Arc::clone(core), room_id));
        }
    }

    /// What waits for a room; when nothing does, the room's task ends.
    fn take(&self, room_id: i64) -> Vec<Posted> {
        let mut waiting = self.waiting.lock();
        let Some(queue) = waiting.get_mut(&room_id) else { return Vec::new() };
        let count = queue.len().min(POSTS_MAX);
        let posts: Vec<Posted> = queue.drain(..count).collect();
        if posts.is_empty() {
            waiting.remove(&room_id);
        }
        posts
    }
}

/// The task of a room. One that is given up half-way leaves no entry behind, so that the next post begins another.
struct Telling<'a> {
    deliveries: &'a Deliveries,
    room_id: i64,
    is_done: bool,
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            let left = self.deliveries.waiting.lock().remove(&self.room_id);
            self.deliveries.metrics.untold.inc_by(left.map_or(0, |left| left.len() as u64));
        }
    }
}

/// Tells the subscribers of a room until nothing waits.
async fn run(core: Arc<Core>, room_id: i64) {
    let deliveries = &core.chat.deliveries;
    let mut telling = Telling { deliveries, room_id, is_done: false };
    loop {
        // The semaphore is never closed.
        let Ok(_place) = deliveries.rooms.acquire().await else { return };
        let posts = deliveries.take(room_id);
        if posts.is_empty() {
            telling.is_done = true;
            return;
        }
        // Not by a newer list than theirs: whoever has unsubscribed since a post is told of it where the list is remembered.
        let together = |one: &Posted, other: &Posted| {
            one.subscriptions == other.subscriptions && Arc::ptr_eq(&one.namespace, &other.namespace)
        };
        for posts in posts.chunk_by(together) {
            match tell(&core, room_id, posts).await {
                Ok(()) => {}
                // The server stops, and its sockets are closed.
                Err(Error::Store(StoreError::Closed)) => return,
                Err(error) => {
                    deliveries.metrics.untold.inc_by(posts.len() as u64);
                    tracing::warn!(%error, room_id, "subscribers were not told of posts");
                }
            }
        }
    }
}

/// Tells the subscribers of a room of these posts, which are of one namespace and found the same subscriptions.
async fn tell(core: &Arc<Core>, room_id: i64, posts: &[Posted]) -> Result<(), Error> {
    let Some(first) = posts.first() else { return Ok(()) };
    let mut cx = Cx::internal(core);
    cx.project = Arc::clone(&first.project);
    let cx = Arc::new(cx);
    let default;
    let setting = match &first.namespace.post_notification {
        Some(setting) => setting,
        None => {
            default = NotificationSetting::default();
            &default
        }
    };
    let Some(channel) = Channel::open(&cx, (SERVICE.name, setting)).await? else { return Ok(()) };
    let issuer = cx.grn(&SERVICE, &first.namespace.name);
    let prepare = |post: &Posted| {
        let payload = json!({
            "namespaceName": first.namespace.name,
            "roomName": post.room_name,
            "userId": post.user_id,
            "category": post.category,
            "createdAt": post.created_at,
        });
        let notice = Notice::new(issuer.clone(), "Gs2Chat:Post", &payload);
        Ok((post.category, channel.prepare(notice)?))
    };
    let notices = posts.iter().map(prepare).collect::<Result<Vec<_>, Error>>()?;
    let remembered = core.chat.deliveries.lists.get(&room_id);
    if let Some(list) = remembered
        && list.subscriptions >= first.subscriptions
        && list.gateway == channel.name()
    {
        return tell_page(&cx, &channel, room_id, &list.subscribers, &notices).await;
    }
    let (mut after, mut list) = (String::new(), None);
    loop {
        let place = after.clone();
        let read = cx.read(move |tx| {
            let params = params![room_id];
            let subscriptions = tx.query_opt(sql::SELECT_SUBSCRIPTIONS, params, |row| row.int(0))?;
            let params = params![room_id, &place, PAGE];
            let rows = tx.query(sql::SELECT_SUBSCRIBERS, params, |row| Ok((row.text(0)?, row.text(1)?)))?;
            Ok((subscriptions, rows))
        });
        // A room that is gone has no subscribers any more.
        let (Some(subscriptions), rows) = read.await? else { return Ok(()) };
        let is_last = rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        let subscriber = |(user, types): (String, String)| {
            let types = super::notification_types(&types);
            let types =
                types.iter().map(|kind| (kind.category, kind.enable_transfer_mobile_push_notification));
            let user = UserId::trusted(user);
            Subscriber { player: channel.player(&user), types: types.collect(), user }
        };
        let subscribers: Vec<Subscriber> = rows.into_iter().map(subscriber).collect();
        if let Some(last) = subscribers.last() {
            after = last.user.to_string();
        }
        tell_page(&cx, &channel, room_id, &subscribers, &notices).await?;
        let (counted, known) = list.get_or_insert_with(|| (Some(subscriptions), Vec::new()));
        if *counted == Some(subscriptions) && known.len() + subscribers.len() <= LIST_MAX {
            known.extend(subscribers);
        } else {
            // They changed meanwhile, or are too many to remember.
            (*counted, *known) = (None, Vec::new());
        }
        if is_last {
            if let Some((Some(subscriptions), subscribers)) = list {
                let list = List { subscriptions, gateway: channel.name().to_owned(), subscribers };
                core.chat.deliveries.lists.insert(room_id, Arc::new(list));
            }
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

/// Tells some subscribers, in the order of their ids.
async fn tell_page(
    cx: &Arc<Cx>,
    channel: &Channel,
    room_id: i64,
    subscribers: &[Subscriber],
    notices: &[(i32, Prepared)],
) -> Result<(), Error> {
    let wanted = |subscriber: &Subscriber| -> Vec<(&Prepared, bool)> {
        let wanted =
            notices.iter().filter_map(|(category, notice)| Some((notice, subscriber.wants(*category)?)));
        wanted.collect()
    };
    let mut away = Vec::new();
    for subscriber in subscribers {
        let mut wanted = wanted(subscriber);
        if wanted.is_empty() {
            continue;
        }
        if !channel.deliver(&subscriber.player, wanted.iter().map(|(notice, _)| *notice)) {
            wanted.retain(|(_, mobile)| *mobile);
            if !wanted.is_empty() {
                away.push((&subscriber.user, wanted));
            }
        }
    }
    if let (Some(first), Some(last), true) =
        (subscribers.first(), subscribers.last(), cx.core.cluster.is_some())
    {
        let (first, last, gateway) = (first.user.clone(), last.user.clone(), channel.name().to_owned());
        let reading = Arc::clone(cx);
        let nodes = cx.read(move |tx| {
            let params = params![
                room_id,
                first.as_str(),
                last.as_str(),
                &gateway,
                reading.core.hub.node(),
                reading.now.0
            ];
            Ok(tx.query(sql::SELECT_NODES, params, |row| Ok((row.text(0)?, row.text(1)?)))?)
        });
        let mut players: HashMap<String, Vec<String>> = HashMap::new();
        for (user, node) in nodes.await? {
            away.retain(|(other, _)| other.as_str() != user);
            players.entry(node).or_default().push(user);
        }
        for (node, users) in &players {
            for (category, notice) in notices {
                let wants = |user: &&String| {
                    let place = subscribers.binary_search_by(|other| other.user.as_str().cmp(user.as_str()));
                    place.is_ok_and(|place| subscribers[place].wants(*category).is_some())
                };
                let players: Vec<Player> =
                    users.iter().filter(wants).map(|user| channel.player(user)).collect();
                if !players.is_empty() {
                    channel.deliver_there(node, players, notice);
                }
            }
        }
    }
    channel.deliver_mobile(cx, away).await
}
