//! The Identifier service.

pub(crate) mod attachment;
pub(crate) mod credential;
pub(crate) mod login;
pub(crate) mod password;
mod secrets;
pub(crate) mod security_policy;
pub(crate) mod user;

use hiroba_api::identifier::{GetServiceVersion, SERVICE, Version};
use hiroba_store::Tx;

use super::SERVICE_VERSION;
use crate::cx::Cx;
use crate::error::Error;
use crate::pipeline::Core;
use crate::registry::Registry;

pub(crate) use secrets::{is_password_hash, password_hash, password_matches, secret_hash};

pub(crate) fn register(registry: &mut Registry) {
    user::register(registry);
    security_policy::register(registry);
    credential::register(registry);
    password::register(registry);
    attachment::register(registry);
    login::register(registry);
    registry.read(get_service_version);
}

fn get_service_version(_: &mut Tx<'_>, _: &Cx, _: &GetServiceVersion) -> Result<Version, Error> {
    Ok(Version { item: SERVICE_VERSION.to_owned(), status: SERVICE_VERSION.to_owned() })
}

/// Seals the shared secrets of second factors under the current master key.
pub(crate) async fn reseal(core: &Core) -> Result<u64, Error> {
    password::reseal(core).await
}

/// GRN of a user.
fn user_grn(cx: &Cx, name: &str) -> String {
    cx.grn(&SERVICE, &format!("user:{name}"))
}
