//! One call with its options, and the handles that say which player it is about.

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;

use hiroba_api::Operation;
use hiroba_api::auth::TokenAnswer;
use hiroba_api::contract::Variant;
use hiroba_api::names::UserId;
use serde_json::Value;

use crate::client::Client;
use crate::error::ClientError;
use crate::outgoing::{self, Outgoing};
use crate::socket::Socket;

/// Where a call goes.
#[derive(Debug, Clone)]
pub(crate) enum Carrier {
    Rest(Client),
    Socket(Socket),
}

impl Carrier {
    /// Makes the call; logs in before it when nobody has, and once more when the project token has expired.
    async fn send(&self, outgoing: &Outgoing) -> Result<Value, ClientError> {
        let client = match self {
            Carrier::Rest(client) => client,
            Carrier::Socket(socket) => socket.client(),
        };
        if outgoing.is_anonymous() {
            return self.exchange(outgoing, client.known_token().as_deref()).await;
        }
        let token = client.token().await?;
        match self.exchange(outgoing, Some(&token)).await {
            Err(error) if error.is_stale_project_token() && client.can_log_in() => {
                let token = client.renew(Some(&token)).await?;
                self.exchange(outgoing, Some(&token)).await
            }
            outcome => outcome,
        }
    }

    async fn exchange(&self, outgoing: &Outgoing, token: Option<&str>) -> Result<Value, ClientError> {
        match self {
            Carrier::Rest(client) => client.exchange(outgoing, token).await,
            Carrier::Socket(socket) => socket.exchange(outgoing, token).await,
        }
    }
}

/// A call that is made when it is awaited.
#[derive(Debug, Clone)]
#[must_use = "the call is made when it is awaited"]
pub struct Call<O> {
    carrier: Carrier,
    outgoing: Outgoing,
    operation: PhantomData<fn() -> O>,
}

impl<O: Operation> Call<O> {
    pub(crate) fn new(carrier: Carrier, request: &O, variant: Variant) -> Call<O> {
        Call { carrier, outgoing: Outgoing::new(request, variant), operation: PhantomData }
    }

    /// Makes the call at most once in 24 hours: when it comes again with the same key, the first answer is answered
    /// again. Only calls that change a player's data heed it; at most 128 characters (BEHAVIOUR X-01 … X-03).
    pub fn duplication_avoider(mut self, key: impl Into<String>) -> Self {
        self.outgoing.beside.duplication_avoider = Some(key.into());
        self
    }

    /// Lets the call see a later time, with a token that `auth.issueTimeOffsetTokenByUserId` issued for its player. Calls
    /// with an access token have the time of that token instead (BEHAVIOUR A-08).
    pub fn time_offset_token(mut self, token: impl Into<String>) -> Self {
        self.outgoing.beside.time_offset_token = Some(token.into());
        self
    }

    /// Answers what the call would answer, and changes nothing (BEHAVIOUR T-14).
    pub fn dry_run(mut self) -> Self {
        self.outgoing.beside.dry_run = true;
        self
    }

    /// Id under which the server's log knows the call, at most 64 printable ASCII characters.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.outgoing.beside.request_id = Some(id.into());
        self
    }
}

impl<O: Operation> IntoFuture for Call<O> {
    type Output = Result<O::Answer, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let value = self.carrier.send(&self.outgoing).await?;
            outgoing::answer::<O>(value)
        })
    }
}

/// The access token of a player, which `auth.login` answers.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(String);

impl AccessToken {
    /// A token that came as text.
    pub fn new(token: impl Into<String>) -> AccessToken {
        AccessToken(token.into())
    }
}

impl From<TokenAnswer> for AccessToken {
    fn from(answer: TokenAnswer) -> AccessToken {
        AccessToken(answer.token)
    }
}

impl std::fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Whoever reads it in a log could act for the player.
        formatter.write_str("AccessToken(…)")
    }
}

/// Calls that act for the player of an access token: `lock`, `getMutex`.
#[derive(Debug, Clone)]
pub struct Player {
    carrier: Carrier,
    access_token: AccessToken,
}

impl Player {
    pub(crate) fn new(carrier: Carrier, access_token: AccessToken) -> Player {
        Player { carrier, access_token }
    }

    /// Calls the variant of the operation that acts for the player of the token. An operation that has none does not
    /// compile.
    pub fn call<O: Operation>(&self, request: &O) -> Call<O> {
        const {
            assert!(
                O::DECLARATION.player
                    || O::DECLARATION.maybe_player
                    || names_user(O::DECLARATION.path) && !is_by_user_only(O::DECLARATION.name),
                "the operation does not act for the player of an access token: use `for_user(…).call` or `call`"
            );
        }
        let variant = if O::DECLARATION.maybe_player { Variant::Plain } else { Variant::Me };
        let mut call = Call::new(self.carrier.clone(), request, variant);
        call.outgoing.beside.access_token = Some(self.access_token.0.clone());
        call
    }
}

/// Calls about one player without the player's access token: `lockByUserId`, `getMutexByUserId`.
#[derive(Debug, Clone)]
pub struct ForUser {
    carrier: Carrier,
    user_id: UserId,
}

impl ForUser {
    pub(crate) fn new(carrier: Carrier, user_id: UserId) -> ForUser {
        ForUser { carrier, user_id }
    }

    /// Calls the `…ByUserId` variant of the operation. An operation that has none does not compile.
    pub fn call<O: Operation>(&self, request: &O) -> Call<O> {
        const {
            assert!(names_user(O::DECLARATION.path), "the operation is not about one player: use `call`");
        }
        let mut call = Call::new(self.carrier.clone(), request, Variant::ByUser);
        call.outgoing.fields.insert("userId".to_owned(), self.user_id.as_str().into());
        call
    }
}

/// Whether a declared path holds `{userId}`, which makes two operations of one declaration.
pub(crate) const fn names_user(path: &str) -> bool {
    const NAME: &[u8] = b"{userId}";
    let path = path.as_bytes();
    let mut at = 0;
    while at + NAME.len() <= path.len() {
        if equal_at(path, at, NAME) {
            return true;
        }
        at += 1;
    }
    false
}

/// Whether the declaration makes only the variant with the player in the path.
const fn is_by_user_only(name: &str) -> bool {
    const SUFFIX: &[u8] = b"ByUserId";
    let name = name.as_bytes();
    name.len() >= SUFFIX.len() && equal_at(name, name.len() - SUFFIX.len(), SUFFIX)
}

const fn equal_at(text: &[u8], at: usize, part: &[u8]) -> bool {
    let mut index = 0;
    while index < part.len() {
        if text[at + index] != part[index] {
            return false;
        }
        index += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variants_of_a_declaration() {
        for row in hiroba_api::table().rows() {
            let declaration = row.declaration;
            let about_player = names_user(declaration.path) || declaration.player;
            assert_eq!(about_player, row.variant != Variant::Plain, "{}", row.name);
            if row.variant == Variant::Me {
                assert!(!is_by_user_only(declaration.name), "{}", row.name);
            }
        }
        assert!(is_by_user_only("deleteMutexByUserId"));
    }

    #[test]
    fn an_access_token_stays_out_of_logs() {
        assert!(!format!("{:?}", AccessToken::new("secret")).contains("secret"));
    }
}
