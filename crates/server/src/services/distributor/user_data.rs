//! What the server keeps of a player: `describeUserData`.

use std::sync::Arc;

use hiroba_api::contract::Page;
use hiroba_api::distributor::{DescribeUserData, UserDataEntry};
use hiroba_api::names::PageToken;

use crate::cx::Cx;
use crate::error::Error;
use crate::registry::Registry;
use crate::services::page;
use crate::services::user_data::{Entry, entries};

pub(super) fn register(registry: &mut Registry) {
    registry.call(describe_user_data);
}

async fn describe_user_data(
    cx: Arc<Cx>,
    request: Arc<DescribeUserData>,
) -> Result<Page<UserDataEntry>, Error> {
    let after = page::after(request.page_token.as_ref());
    let (found, next) = entries(&cx, cx.user()?, after, request.limit.get()).await?;
    let entry = |Entry { service, namespace_name, kind, payload }: Entry| UserDataEntry {
        service: service.to_owned(),
        namespace_name,
        kind: kind.to_owned(),
        payload,
    };
    Ok(Page {
        items: found.into_iter().map(entry).collect(),
        next_page_token: next.as_deref().map(PageToken::after),
    })
}
