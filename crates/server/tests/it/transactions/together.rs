//! Transactions whose actions take effect together (BEHAVIOUR DT-31, DT-37, DT-51).

use futures_util::future::join_all;
use hiroba_testkit::api::{int, text};
use hiroba_testkit::transactions::Mode;
use hiroba_testkit::{Database, Shop, TestServer, on_both_engines};
use serde_json::{Value, json};

on_both_engines! {
    a_failure_takes_everything_back
    one_name_runs_once
    many_players_pay_once
    expressions_take_their_parts_back
}

fn lock(action: &str, user: &str, property: &str) -> Value {
    let request =
        json!({ "namespaceName": "locks", "userId": user, "propertyId": property, "transactionId": "t" });
    json!({ "action": format!("Gs2Lock:{action}"), "request": request.to_string() })
}

fn transaction(name: u32, verify: &[Value], consume: &[Value], acquire: &[Value]) -> Value {
    json!({
        "transactionId": format!("{name:08}-0000-0000-0000-000000000000"),
        "verifyActions": verify,
        "consumeActions": consume,
        "acquireActions": acquire,
    })
}

async fn run(shop: &Shop, user: &str, transaction: &Value) -> Value {
    let path = format!("/system/hiroba/default/user/{user}/transaction/run");
    let fields = json!({ "transaction": transaction.to_string() });
    shop.api().call("distributor", "POST", &path, fields).await.item()
}

/// DT-31, DT-37: whichever action fails, none has taken effect, and the result says which.
async fn a_failure_takes_everything_back(database: Database) {
    let server = TestServer::start(&database).await;
    let shop = Shop::create(&server.api().await).await;
    shop.fill("alice", 2).await;
    let (good, bad) = (lock("UnlockByUserId", "alice", "purse"), lock("UnlockByUserId", "alice", "nothing"));
    let give = lock("LockByUserId", "alice", "bag");
    let fails = lock("GetMutexByUserId", "alice", "nothing");
    let cases = [
        (
            transaction(
                1,
                std::slice::from_ref(&fails),
                std::slice::from_ref(&good),
                std::slice::from_ref(&give),
            ),
            [1, 0, 0],
        ),
        (transaction(2, &[], &[good.clone(), bad.clone()], std::slice::from_ref(&give)), [0, 2, 0]),
        (transaction(3, &[], std::slice::from_ref(&good), &[give.clone(), bad.clone()]), [0, 1, 2]),
        (
            transaction(
                4,
                &[],
                std::slice::from_ref(&good),
                &[json!({ "action": "Gs2No:Thing", "request": "{}" })],
            ),
            [0, 1, 1],
        ),
        (
            transaction(
                5,
                &[],
                std::slice::from_ref(&good),
                &[json!({ "action": "Gs2Lock:LockByUserId", "request": "[" })],
            ),
            [0, 1, 1],
        ),
    ];
    for (given, ran) in &cases {
        let result = run(&shop, "alice", given).await;
        assert_eq!(result["hasError"], true, "{result}");
        let lists = ["verifyResults", "consumeResults", "acquireResults"];
        let counts = lists.map(|name| result[name].as_array().unwrap().len());
        assert_eq!(counts, *ran, "{result}");
        let last = lists.iter().rev().find_map(|name| result[*name].as_array().unwrap().last()).unwrap();
        assert!(int(last, "statusCode") >= 400, "{result}");
        assert_eq!(shop.purse("alice").await, 2, "{result}");
        assert_eq!(shop.api().mutexes("locks", "alice").get("bag").await.status, 404);
    }
    // What failed may run again, and says how often it did.
    assert_eq!(int(&run(&shop, "alice", &cases[0].0).await, "revision"), 2);
    shop.api().mutexes("locks", "alice").lock("nothing", "t").await.item();
    let result = run(&shop, "alice", &cases[0].0).await;
    assert_eq!((&result["hasError"], int(&result, "revision")), (&json!(false), 3));
    assert_eq!(shop.purse("alice").await, 1);
    server.stop().await;
}

/// DT-21: a transaction that succeeded is not run again, however many ask for it at once.
async fn one_name_runs_once(database: Database) {
    let server = TestServer::start(&database).await;
    let shop = Shop::create(&server.api().await).await;
    shop.fill("alice", 9).await;
    let given = transaction(
        7,
        &[],
        &[lock("UnlockByUserId", "alice", "purse")],
        &[lock("LockByUserId", "alice", "bag")],
    );
    let mut apis = Vec::new();
    for _ in 0..8 {
        apis.push(server.api().await);
    }
    let path = "/system/hiroba/default/user/alice/transaction/run";
    let calls = apis.iter().map(|api| async {
        loop {
            let fields = json!({ "transaction": given.to_string() });
            let answer = api.call("distributor", "POST", path, fields).await;
            if answer.status != 503 {
                return answer.item();
            }
        }
    });
    let results = join_all(calls).await;
    assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
    assert_eq!(results[0]["hasError"], false);
    assert_eq!(shop.purse("alice").await, 8);
    let bag = shop.api().mutexes("locks", "alice").get("bag").await.item();
    assert_eq!(int(&bag, "referenceCount"), 1);
    // Another player's transaction of this name is another one.
    shop.fill("bob", 1).await;
    let given = transaction(7, &[], &[lock("UnlockByUserId", "bob", "purse")], &[]);
    assert_eq!(run(&shop, "bob", &given).await["hasError"], false);
    assert_eq!(shop.purse("bob").await, 0);
    server.stop().await;
}

/// Players at once, each with less money than purchases: exactly what was paid for is there.
async fn many_players_pay_once(database: Database) {
    let server = TestServer::start(&database).await;
    let shop = Shop::create(&server.api().await).await;
    let users: Vec<String> = (0..10).map(|number| format!("user-{number}")).collect();
    for user in &users {
        shop.fill(user, 3).await;
    }
    let mut apis = Vec::new();
    for _ in 0..users.len() {
        apis.push(server.api().await);
    }
    let purchases = users.iter().zip(apis).map(|(user, api)| async move {
        let shop = Shop::of(&api);
        let mut bought = 0;
        for _ in 0..5 {
            let answer = shop.invoke(Mode::Together, "buy", user).await.ok();
            bought += i64::from(answer["transactionResult"]["hasError"] == false);
        }
        bought
    });
    let bought = join_all(purchases).await;
    for (user, bought) in users.iter().zip(bought) {
        assert_eq!((bought, shop.purse(user).await, shop.goods(user).await), (3, 0, 3), "{user}");
    }
    server.stop().await;
}

/// DT-51: a condition that fails leaves nothing, and what is chosen takes effect whole or not at all.
async fn expressions_take_their_parts_back(database: Database) {
    let server = TestServer::start(&database).await;
    let shop = Shop::create(&server.api().await).await;
    shop.fill("alice", 3).await;
    let (good, bad) = (lock("UnlockByUserId", "alice", "purse"), lock("UnlockByUserId", "alice", "nothing"));
    let holds = lock("GetMutexByUserId", "alice", "purse");
    let fails = lock("GetMutexByUserId", "alice", "nothing");
    let expression = |name: &str, mut fields: Value| {
        fields["namespaceName"] = "default".into();
        fields["userId"] = "alice".into();
        json!({ "action": format!("Gs2Distributor:{name}ExpressionByUserId"), "request": fields.to_string() })
    };
    let call = async |name: &str, mut fields: Value| {
        fields["userId"] = "alice".into();
        shop.call("POST", &format!("/expression/{name}"), fields).await
    };
    // A choice as a condition pays when it holds, and leaves nothing when a part of it fails.
    let pays = expression("If", json!({ "condition": holds, "trueActions": [good] }));
    let breaks = expression("If", json!({ "condition": holds, "trueActions": [good, bad] }));
    let chosen =
        call("if", json!({ "condition": pays, "trueActions": [good], "falseActions": [bad] })).await.ok();
    assert_eq!(chosen["expressionResult"], true);
    assert_eq!(shop.purse("alice").await, 1);
    let give = lock("LockByUserId", "alice", "bag");
    let chosen =
        call("if", json!({ "condition": breaks, "trueActions": [bad], "falseActions": [give] })).await.ok();
    assert_eq!(chosen["expressionResult"], false);
    assert_eq!(shop.purse("alice").await, 1);
    assert_eq!(call("or", json!({ "actions": [fails, holds] })).await.ok(), json!({}));
    call("or", json!({ "actions": [fails, fails] })).await.refused(
        404,
        "mutex",
        "lock.mutex.mutex.error.notFound",
    );
    call("and", json!({ "actions": [holds, fails] })).await.refused(
        404,
        "mutex",
        "lock.mutex.mutex.error.notFound",
    );
    assert_eq!(
        call("and", json!({ "actions": [holds, expression("Or", json!({ "actions": [fails, holds] }))] }))
            .await
            .ok(),
        json!({})
    );
    let refused = call("if", json!({ "condition": holds, "trueActions": [good, bad] })).await;
    assert_ne!(refused.status, 200);
    assert_eq!(shop.purse("alice").await, 1);
    assert_eq!(text(&chosen["item"], "userId"), "alice");
    server.stop().await;
}
