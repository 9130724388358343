//! Lock through both variants, both transports, with every option and with properties that are hard to send.

use hiroba_api::auth::IssueTimeOffsetTokenByUserId;
use hiroba_api::lock::{DeleteMutexByUserId, DescribeMutexes, DescribeNamespaces, GetNamespace, Lock};
use hiroba_api::names::{NamePrefix, NamespaceName, PageLimit, UserId};
use hiroba_client::{AccessToken, ClientError, ForUser, Player};

use crate::harness::{TestServer, get, lock, messages, namespace, unlock};

/// Handles of both transports: the player of the token and the player by name.
async fn handles(server: &TestServer, user: &str) -> [(&'static str, Player, ForUser); 2] {
    let token = server.access_token(user).await;
    let user = UserId::trusted(user);
    let socket = server.client.socket().await.unwrap();
    [
        ("rest", server.client.as_player(token.clone()), server.client.for_user(user.clone())),
        ("socket", socket.as_player(token), socket.for_user(user)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn both_variants_over_both_transports() {
    let server = TestServer::start().await;
    for (transport, player, for_user) in handles(&server, "alice").await {
        let taken = player.call(&lock("p", "t")).await.unwrap().item;
        assert_eq!(taken.user_id.as_str(), "alice", "{transport}");
        assert_eq!(taken.reference_count, Some(1));
        let deepened = for_user.call(&lock("p", "t")).await.unwrap().item;
        assert_eq!(deepened.reference_count, Some(2));
        assert!(deepened.revision > taken.revision);

        let list =
            DescribeMutexes { namespace_name: namespace(), page_token: None, limit: PageLimit::default() };
        let page = player.call(&list).await.unwrap();
        assert_eq!((page.items.len(), page.next_page_token), (1, None));
        assert_eq!(for_user.call(&list).await.unwrap().items, page.items);

        assert_eq!(player.call(&unlock("p", "t")).await.unwrap().item.reference_count, Some(1));
        assert_eq!(for_user.call(&unlock("p", "t")).await.unwrap().item.reference_count, Some(0));
        assert!(player.call(&get("p")).await.unwrap_err().is_not_found("mutex"));
        assert!(for_user.call(&get("p")).await.unwrap_err().is_not_found("mutex"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_come_with_every_item() {
    let server = TestServer::start().await;
    for (transport, player, for_user) in handles(&server, "alice").await {
        player.call(&lock("held", "t")).await.unwrap();
        let (status, items) = messages(player.call(&lock("held", "other")).await);
        assert_eq!((status, items), (409, vec!["lock.mutex.transactionId.error.notMatch".to_owned()]));
        let (status, _) = messages(player.call(&unlock("held", "other")).await);
        assert_eq!(status, 400, "{transport}");

        let wrong = Lock {
            namespace_name: NamespaceName::trusted("no name"),
            property_id: "p".to_owned(),
            transaction_id: String::new(),
            ttl: Some(0),
        };
        let (status, items) = messages(for_user.call(&wrong).await);
        assert_eq!(status, 400);
        assert_eq!(
            items,
            [
                "lock.mutex.namespaceName.error.invalid",
                "lock.mutex.transactionId.error.require",
                "lock.mutex.ttl.error.invalid",
            ],
            "{transport}"
        );
        player.call(&unlock("held", "t")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_properties_arrive_as_they_are() {
    let server = TestServer::start().await;
    let longest = "あ".repeat(1024);
    let properties = [
        "a b",
        "a/b//c/",
        "/",
        "a/lock",
        "lock",
        "unlock",
        "null",
        "me",
        "a/../b",
        "a/./b",
        "...",
        "在庫/剣 🗡",
        "?",
        "a?b=c&d",
        "#",
        "a#b",
        "%",
        "100%",
        "%2F",
        "%2e%2e",
        "+",
        "\\",
        ";=,:@",
        "\n\t",
        &longest,
    ];
    for (transport, player, for_user) in handles(&server, "alice").await {
        for property in properties {
            let context = format!("{transport}: {property:?}");
            let taken = player.call(&lock(property, "t")).await.expect(&context).item;
            assert_eq!(taken.property_id, property, "{context}");
            assert_eq!(player.call(&get(property)).await.expect(&context).item, taken, "{context}");
            assert_eq!(for_user.call(&get(property)).await.expect(&context).item, taken, "{context}");
            for_user.call(&unlock(property, "t")).await.expect(&context);
            player.call(&lock(property, "t")).await.expect(&context);
            let delete =
                DeleteMutexByUserId { namespace_name: namespace(), property_id: property.to_owned() };
            for_user.call(&delete).await.expect(&context);
            assert!(player.call(&get(property)).await.unwrap_err().is_not_found("mutex"), "{context}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_url_cannot_hold_is_not_sent() {
    let server = TestServer::start().await;
    let [(_, rest, _), (_, socket, _)] = handles(&server, "alice").await;
    for property in [".", ".."] {
        let refused = rest.call(&lock(property, "t")).await.unwrap_err();
        assert!(
            matches!(&refused, ClientError::Unsendable { field, .. } if field == "propertyId"),
            "{refused}"
        );
        assert_eq!(socket.call(&lock(property, "t")).await.unwrap().item.property_id, property);
    }
    let list = DescribeNamespaces {
        name_prefix: Some(NamePrefix::trusted("null")),
        page_token: None,
        limit: PageLimit::default(),
    };
    assert!(matches!(server.client.call(&list).await, Err(ClientError::Unsendable { .. })));
    let socket = server.client.socket().await.unwrap();
    assert!(socket.call(&list).await.unwrap().items.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_may_be_called_like_a_word_of_the_paths() {
    let server = TestServer::start().await;
    for user in ["me", "null", "user", "プレイヤー/1"] {
        for (transport, player, for_user) in handles(&server, user).await {
            let taken = for_user.call(&lock("p", "t")).await.unwrap().item;
            assert_eq!(taken.user_id.as_str(), user, "{transport}");
            assert_eq!(player.call(&unlock("p", "t")).await.unwrap().item.user_id.as_str(), user);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn options_reach_the_server() {
    let server = TestServer::start().await;
    for (transport, player, for_user) in handles(&server, "alice").await {
        let request = lock("p", "t");
        // Dry run: nothing is there afterwards.
        assert_eq!(player.call(&request).dry_run().await.unwrap().item.reference_count, Some(1));
        assert!(player.call(&get("p")).await.unwrap_err().is_not_found("mutex"), "{transport}");

        player.call(&request).request_id("chosen").await.unwrap();

        // Time offset token: two minutes later the mutex has expired.
        let issue =
            IssueTimeOffsetTokenByUserId { user_id: UserId::trusted("alice"), time_offset: Some(120) };
        let later = server.client.call(&issue).await.unwrap().token;
        assert!(for_user.call(&get("p")).await.is_ok());
        let gone = for_user.call(&get("p")).time_offset_token(&later).await.unwrap_err();
        assert!(gone.is_not_found("mutex"), "{transport}");
        player.call(&unlock("p", "t")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplication_avoider_makes_a_call_once() {
    let server = TestServer::start().await;
    for (transport, player, for_user) in handles(&server, "alice").await {
        let request = lock(transport, "t");
        let key = format!("{transport}-key");
        let first = player.call(&request).duplication_avoider(&key).await.unwrap();
        let again = player.call(&request).duplication_avoider(&key).await.unwrap();
        assert_eq!(first, again, "{transport}");
        assert_eq!(for_user.call(&get(transport)).await.unwrap().item.reference_count, Some(1));
        let other = lock(transport, "other");
        let (status, _) = messages(player.call(&other).duplication_avoider(&key).await);
        assert_eq!(status, 409, "{transport}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_option_that_no_header_can_hold_is_not_sent() {
    let server = TestServer::start().await;
    let player = server.client.as_player(AccessToken::new("line\nbreak"));
    let refused = player.call(&get("p")).await.unwrap_err();
    assert!(matches!(refused, ClientError::Unsendable { .. }), "{refused}");
    let (status, items) =
        messages(server.client.as_player(AccessToken::new("foreign")).call(&get("p")).await);
    assert_eq!((status, items[0].as_str()), (401, "lock.accessToken.accessToken.error.invalid"));
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_without_a_player() {
    let server = TestServer::start().await;
    let socket = server.client.socket().await.unwrap();
    let request = GetNamespace { namespace_name: namespace() };
    let over_rest = server.client.call(&request).await.unwrap().item;
    assert_eq!(over_rest.name, namespace());
    assert_eq!(socket.call(&request).await.unwrap().item, over_rest);
    let missing = GetNamespace { namespace_name: NamespaceName::trusted("missing") };
    assert!(server.client.call(&missing).await.unwrap_err().is_not_found("namespace"));
    assert!(socket.call(&missing).await.unwrap_err().is_not_found("namespace"));
}
