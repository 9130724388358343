//! What the server keeps of a player: `describeUserData`.

use std::sync::Arc;

use hiroba_api::contract::Page;
use hiroba_api::distributor::{DescribeUserData, UserDataEntry};

use crate::cx::Cx;
use crate::error::Error;
use crate::registry::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.call(describe_user_data);
}

async fn describe_user_data(
    _cx: Arc<Cx>,
    _request: Arc<DescribeUserData>,
) -> Result<Page<UserDataEntry>, Error> {
    Ok(Page { items: Vec::new(), next_page_token: None })
}
