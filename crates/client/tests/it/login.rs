//! Logging in: by itself, once for many, again after the token expired, and never for another 401.

use hiroba_api::identifier::{
    AttachSecurityPolicy, CreateIdentifier, CreatePassword, CreateUser, LoginByUser,
};
use hiroba_api::lock::{DescribeNamespaces, GetNamespace};
use hiroba_api::names::{EntityName, GrnText, PageLimit, UserId};
use hiroba_client::{Client, ClientError};

use crate::harness::{TestServer, get, lock, messages, namespace};

/// Seconds after which every token has expired.
const LIFETIME: i64 = 3600;

fn list() -> DescribeNamespaces {
    DescribeNamespaces { name_prefix: None, page_token: None, limit: PageLimit::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_project_token_is_replaced_once() {
    let server = TestServer::start().await;
    let socket = server.client.socket().await.unwrap();
    let over_socket = socket.for_user(UserId::trusted("alice"));
    let over_rest = server.client.for_user(UserId::trusted("alice"));
    over_rest.call(&lock("p", "t")).await.unwrap();
    server.advance(LIFETIME);
    over_rest.call(&lock("p", "t")).await.unwrap();
    server.advance(LIFETIME);
    over_socket.call(&lock("p", "t")).await.unwrap();
    // Many calls that find the token expired log in one after the other's back only once.
    server.advance(LIFETIME);
    let calls = (0..32).map(|_| tokio::spawn(server.client.call(&list()).into_future()));
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_401_is_the_callers() {
    let server = TestServer::start().await;
    let token = server.access_token("alice").await;
    server.advance(LIFETIME);
    let (status, items) = messages(server.client.as_player(token).call(&get("p")).await);
    assert_eq!((status, items[0].as_str()), (401, "lock.accessToken.accessToken.error.invalid"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_credential_is_refused() {
    let server = TestServer::start().await;
    let client = Client::builder(server.app().url()).credential("nobody", "wrong").build().unwrap();
    let (status, _) = messages(client.call(&list()).await);
    assert_eq!(status, 401);
    let (status, _) = messages(client.login().await);
    assert_eq!(status, 401);
    let socket = client.socket().await.unwrap();
    let (status, _) = messages(socket.call(&list()).await);
    assert_eq!(status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_a_policy_may_nothing() {
    let server = TestServer::start().await;
    let user_name = EntityName::trusted("clerk");
    server.client.call(&CreateUser { name: user_name.clone(), description: None }).await.unwrap();
    let created = server.client.call(&CreateIdentifier { user_name: user_name.clone() }).await.unwrap();
    let clerk = Client::builder(server.app().url())
        .credential(created.item.client_id.as_str(), created.client_secret)
        .build()
        .unwrap();
    clerk.login().await.unwrap();
    let request = GetNamespace { namespace_name: namespace() };
    let (status, items) = messages(clerk.call(&request).await);
    assert_eq!((status, items[0].as_str()), (401, "lock.namespace.getNamespace.error.notAuthorized"));
    let policy = "grn:gs2::system:identifier:securityPolicy:AdministratorAccess";
    let attach = AttachSecurityPolicy { user_name, security_policy_id: GrnText::trusted(policy) };
    server.client.call(&attach).await.unwrap();
    clerk.call(&request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_token_of_somebody_else() {
    let server = TestServer::start().await;
    let user_name = EntityName::trusted("boss");
    server.client.call(&CreateUser { name: user_name.clone(), description: None }).await.unwrap();
    let password = "correct horse".to_owned();
    let create = CreatePassword { user_name: user_name.clone(), password: password.clone() };
    server.client.call(&create).await.unwrap();
    let policy = "grn:gs2::system:identifier:securityPolicy:AdministratorAccess";
    let attach =
        AttachSecurityPolicy { user_name: user_name.clone(), security_policy_id: GrnText::trusted(policy) };
    server.client.call(&attach).await.unwrap();

    // Logging in with a password needs no credential.
    let nobody = Client::builder(server.app().url()).build().unwrap();
    let token = nobody.call(&LoginByUser { user_name, password, otp: None }).await.unwrap().item.token;
    assert!(matches!(nobody.call(&list()).await, Err(ClientError::Setup(_))));
    let boss = Client::builder(server.app().url()).project_token(token).build().unwrap();
    boss.call(&list()).await.unwrap();
    server.advance(LIFETIME);
    let (status, items) = messages(boss.call(&list()).await);
    assert_eq!((status, items[0].as_str()), (401, "lock.projectToken.projectToken.error.invalid"));
}
