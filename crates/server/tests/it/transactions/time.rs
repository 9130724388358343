//! What expires: sheets, proofs, results, moments of master data (BEHAVIOUR DT-39, and our own limits).

use hiroba_testkit::api::text;
use hiroba_testkit::transactions::Mode;
use hiroba_testkit::{Database, Shop, TestServer, on_both_engines};
use serde_json::{Value, json};

const DAY: i64 = 24 * 3_600_000;

on_both_engines! {
    a_sheet_counts_for_a_day
    a_result_is_kept_for_a_day
    master_data_is_seen_as_it_was
}

async fn a_sheet_counts_for_a_day(database: Database) {
    let server = TestServer::start_manual(&database).await;
    let shop = Shop::create(&server.api().await).await;
    shop.fill("alice", 2).await;
    let made = shop.invoke(Mode::Manual, "buy", "alice").await.ok();
    let sheet = json!({ "stampSheet": made["stampSheet"], "keyId": made["stampSheetEncryptionKeyId"] });
    server.advance(DAY - 1);
    // Mutexes last for an hour, and tokens too.
    let shop = Shop::of(&server.api().await);
    shop.fill("alice", 2).await;
    let ran = shop.call("POST", "/distribute/stamp/run", sheet.clone()).await.ok();
    assert_eq!(ran["sheetResultCode"], 200, "{ran}");
    server.advance(1);
    let refused = shop.call("POST", "/distribute/stamp/run", sheet).await;
    refused.refused(400, "distribute", "distributor.distribute.stampSheet.error.invalid");
    assert_eq!((shop.purse("alice").await, shop.goods("alice").await), (1, 1));
    server.stop().await;
}

/// DT-39: a result is there for a day, and its row is removed then.
async fn a_result_is_kept_for_a_day(database: Database) {
    const ROWS: &str = "SELECT COUNT(*) FROM distributor_result";
    let server = TestServer::start_manual(&database).await;
    let shop = Shop::create(&server.api().await).await;
    shop.fill("alice", 1).await;
    let made = shop.invoke(Mode::Together, "buy", "alice").await.ok();
    let path = format!("/user/alice/transaction/{}/result", text(&made, "transactionId"));
    server.advance(DAY - 1);
    let shop = Shop::of(&server.api().await);
    let result = shop.call("GET", &path, Value::Null).await.item();
    assert_eq!(result["hasError"], false);
    server.sweep().await;
    assert_eq!(server.count(ROWS).await, 1);
    server.advance(1);
    let missing = shop.call("GET", &path, Value::Null).await;
    missing.refused(
        404,
        "transactionResult",
        "distributor.transactionResult.transactionResult.error.notFound",
    );
    server.sweep().await;
    assert_eq!(server.count(ROWS).await, 0);
    server.stop().await;
}

/// A frozen moment shows the documents that were in force then, for a day.
async fn master_data_is_seen_as_it_was(database: Database) {
    const FORMER: &str = "SELECT COUNT(*) FROM former_master";
    let server = TestServer::start_manual(&database).await;
    let shop = Shop::create(&server.api().await).await;
    let token = shop.api().player_token("alice").await;
    let player = shop.api().with("X-GS2-ACCESS-TOKEN", &token);
    let put = async |name: &str| {
        let document = json!({ "version": "2019-03-01", "distributorModels": [{ "name": name }] });
        shop.call("PUT", "/master", json!({ "settings": document.to_string() })).await.ok();
    };
    let before = server.now();
    server.advance(1000);
    put("first").await;
    server.advance(1000);
    let fields = json!({ "contextStack": Value::Null });
    let frozen = player.call("distributor", "POST", "/default/user/me/masterdata/freeze", fields).await.ok();
    let first = text(&frozen, "newContextStack").to_owned();
    server.advance(1000);
    put("second").await;
    put("third").await;

    let distribute = async |context: &str, name: &str| {
        let resource = json!({
            "action": "Gs2Lock:LockByUserId",
            "request": json!({ "namespaceName": "locks", "propertyId": "p", "transactionId": "t" }).to_string(),
        });
        let fields = json!({ "userId": "alice", "distributeResource": resource, "contextStack": context });
        player.call("distributor", "POST", &format!("/default/distribute/{name}"), fields).await.status
    };
    assert_eq!((distribute("", "third").await, distribute("", "first").await), (200, 404));
    assert_eq!((distribute(&first, "first").await, distribute(&first, "third").await), (200, 404));
    // The same moment by its time, and one before there was anything.
    let raw = "/default/user/me/masterdata/freeze/timestamp/raw";
    for (moment, status) in [(before + 2000, 200), (before, 404)] {
        let frozen = player.call("distributor", "POST", raw, json!({ "timestamp": moment })).await.ok();
        assert_eq!(distribute(text(&frozen, "newContextStack"), "first").await, status);
    }
    assert_eq!(
        player.call("distributor", "POST", raw, json!({ "timestamp": server.now() + 1 })).await.status,
        400
    );
    server.sweep().await;
    assert_eq!(server.count(FORMER).await, 2);
    server.advance(DAY + 3000);
    server.sweep().await;
    assert_eq!(server.count(FORMER).await, 0);
    server.stop().await;
}
