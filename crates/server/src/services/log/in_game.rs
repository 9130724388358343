//! What games tell (BEHAVIOUR LG-09). It is sent on purpose, so it is on disk when the call is answered, in a chunk of its own.

use std::sync::Arc;

use hiroba_api::contract::{Empty, Item, UnixMillis};
use hiroba_api::error::ApiError;
use hiroba_api::grn::Grn;
use hiroba_api::log::{
    Found, InGameLog, InGameLogTag, Namespaces, PutLog, QueryInGameLog, SERVICE, SendInGameLog,
};
use hiroba_store::Tx;

use super::access::{some, user};
use super::find::{Pages, wanted};
use crate::cx::Cx;
use crate::error::Error;
use crate::logs::{Builder, Entry, Kind, Term, store};
use crate::registry::Registry;
use crate::services::namespaces;

pub(super) fn register(registry: &mut Registry) {
    registry.write(send_in_game_log);
    registry.call(query_in_game_log);
    registry.write(put_log);
}

/// What old SDKs call a log's kind by.
const CATEGORY: &str = "category";

fn add(tx: &mut Tx<'_>, cx: &Cx, namespace: &str, tags: &[InGameLogTag], payload: &str) -> Result<(), Error> {
    let mut builder = Builder::default();
    builder.push(&Entry {
        at: cx.now.0,
        status: 200,
        id: cx.trace.id.as_deref().unwrap_or_default(),
        source: cx.trace.source.as_deref().unwrap_or_default(),
        root: cx.trace.root.as_deref().unwrap_or_default(),
        user: cx.user.as_deref().unwrap_or_default(),
        request: payload,
        list: tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect(),
        ..Entry::default()
    });
    for chunk in builder.finish() {
        if !store::add(tx, (cx.owner(), namespace), Kind::InGame, &chunk)? {
            namespaces::require::<Namespaces>(tx, cx, namespace)?;
        }
    }
    Ok(())
}

fn send_in_game_log(tx: &mut Tx<'_>, cx: &Cx, request: &SendInGameLog) -> Result<Item<InGameLog>, Error> {
    let tags = request.tags.clone().unwrap_or_default();
    let payload = request.payload.clone().unwrap_or_default();
    add(tx, cx, &request.namespace_name, &tags, &payload)?;
    let request_id = cx.trace.id.as_deref().map(str::to_owned);
    let user_id = Some(cx.user()?.clone());
    Ok(Item { item: InGameLog { timestamp: cx.now, request_id, user_id, tags, payload } })
}

fn put_log(tx: &mut Tx<'_>, cx: &Cx, request: &PutLog) -> Result<Empty, Error> {
    let id = cx.project.expand(&request.logging_namespace_id);
    let grn = Grn::parse(&id).filter(|grn| {
        grn.owner == cx.owner()
            && grn.service == SERVICE.grn
            && !grn.rest.is_empty()
            && !grn.rest.contains(':')
    });
    let Some(grn) = grn else {
        let detail =
            "`loggingNamespaceId` must be the GRN of a Log namespace of this owner: `grn:gs2:…:log:{name}`";
        return Err(
            ApiError::bad_request(SERVICE.name, "log", "loggingNamespaceId", "invalid", detail).into()
        );
    };
    let tag = InGameLogTag { key: CATEGORY.to_owned(), value: request.log_category.clone() };
    add(tx, cx, grn.rest, &[tag], request.payload.as_deref().unwrap_or_default())?;
    Ok(Empty)
}

fn in_game_log(entry: &Entry<'_>) -> InGameLog {
    let tag =
        |(key, value): &(&str, &str)| InGameLogTag { key: (*key).to_owned(), value: (*value).to_owned() };
    InGameLog {
        timestamp: UnixMillis(entry.at),
        request_id: some(entry.id),
        user_id: user(entry.user),
        tags: entry.list.iter().map(tag).collect(),
        payload: entry.request.to_owned(),
    }
}

async fn query_in_game_log(cx: Arc<Cx>, request: Arc<QueryInGameLog>) -> Result<Found<InGameLog>, Error> {
    let wanted_user = wanted(request.user_id.as_deref().map(|user: &str| user));
    let tags = request.tags.clone().unwrap_or_default();
    let term = |tag: &InGameLogTag| Term::Tag(&tag.key, &tag.value).hash();
    let of_user = wanted_user.as_deref().map(|user| Term::User(user).hash());
    let terms = tags.iter().map(term).chain(of_user).collect();
    let pages = Pages {
        namespace: &request.namespace_name,
        component: "inGameLog",
        kind: Kind::InGame,
        begin: request.begin,
        end: request.end,
        token: request.page_token.as_ref(),
        limit: request.limit,
        terms,
        filter: Box::new(move |entry| {
            let has = |tag: &InGameLogTag| entry.list.contains(&(tag.key.as_str(), tag.value.as_str()));
            wanted_user.as_ref().is_none_or(|user| user == entry.user) && tags.iter().all(has)
        }),
        make: in_game_log,
    };
    pages.find(&cx).await
}
