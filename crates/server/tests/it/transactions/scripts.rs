//! Scripts in transactions, and transactions of jobs' scripts (BEHAVIOUR SC-07, SC-17, J-61).

use std::time::Instant;

use hiroba_testkit::api::{int, text};
use hiroba_testkit::jobs::entry;
use hiroba_testkit::process::Builder;
use hiroba_testkit::transactions::Mode;
use hiroba_testkit::{Chat, Database, Queue, Shop, TestServer, eventually, on_both_engines};
use serde_json::{Value, json};
use tokio::task::block_in_place;

on_both_engines! {
    a_script_is_a_part_of_the_whole
    a_script_that_lasts_is_given_up
    a_job_makes_its_transaction_once
    a_job_whose_transaction_fails_has_failed
    a_sheet_that_nobody_gets_is_told_of
}

/// Takes from the purse and gives a job by calls of its own, then fails if it is told to.
const PART: &str = "
local of = { namespaceName = 'locks', userId = args.user, propertyId = 'purse', transactionId = 't' }
local taken = gs2('lock').unlock_by_user_id(of)
if taken.isError then fail(taken.statusCode, taken.errorMessage) end
local pushed = gs2('job_queue').push_by_user_id_async({
    namespaceName = 'goods', userId = args.user, jobs = {{ scriptId = 'goods', args = '{}' }},
})()
if args.http then
    local answer = http.get('http://127.0.0.1:1/')
    fail(answer.statusCode, answer.errorMessage)
end
if args.nested then
    local inner = gs2('script').invoke_script({ scriptId = args.nested, args = util.table_to_json({ user = args.user }).result })
    if inner.isError or inner.result.code ~= 200 then fail(500, 'the inner one failed') end
end
-- What it did is there for itself, before anybody else sees it.
local seen = gs2('job_queue').describe_jobs_by_user_id({ namespaceName = 'goods', userId = args.user })
if args.fails then fail(400, 'told to') end
result = { seen = #seen.result.items, name = pushed.result.items[1].name }
";

async fn invoke(shop: &Shop, user: &str, name: u32, script: &str, args: Value) -> Value {
    let request = json!({ "scriptId": script, "userId": user, "args": args.to_string() });
    let unlock =
        json!({ "namespaceName": "locks", "userId": user, "propertyId": "purse", "transactionId": "t" });
    let transaction = json!({
        "transactionId": format!("{name:08}-0000-0000-0000-000000000000"),
        "consumeActions": [{ "action": "Gs2Lock:UnlockByUserId", "request": unlock.to_string() }],
        "acquireActions": [{ "action": "Gs2Script:InvokeScript", "request": request.to_string() }],
    });
    let path = format!("/system/hiroba/default/user/{user}/transaction/run");
    let fields = json!({ "transaction": transaction.to_string() });
    shop.api().call("distributor", "POST", &path, fields).await.item()
}

/// SC-07, DT-31: the calls of a script, and of scripts inside of it, take effect with the whole or not at all.
async fn a_script_is_a_part_of_the_whole(database: Database) {
    let server = TestServer::start(&database).await;
    let shop = Shop::create(&server.api().await).await;
    let script = shop.script(Mode::Manual, "part", PART).await;
    shop.fill("alice", 9).await;
    let failing = [
        json!({ "user": "alice", "fails": true }),
        json!({ "user": "alice", "http": true }),
        json!({ "user": "alice", "nested": "grn:gs2:ap-northeast-1:hiroba:script:manual:script:none" }),
        json!({ "user": "nobody" }),
    ];
    for (number, args) in (1..).zip(failing) {
        let result = invoke(&shop, "alice", number, &script, args).await;
        assert_eq!(result["hasError"], true, "{result}");
        assert_eq!((shop.purse("alice").await, shop.goods("alice").await), (9, 0), "{result}");
    }
    let result = invoke(&shop, "alice", 8, &script, json!({ "user": "alice" })).await;
    assert_eq!(result["hasError"], false, "{result}");
    assert_eq!((shop.purse("alice").await, shop.goods("alice").await), (7, 1));
    let answer: Value = serde_json::from_str(text(&result["acquireResults"][0], "acquireResult")).unwrap();
    let own: Value = serde_json::from_str(text(&answer, "result")).unwrap();
    assert_eq!(own["seen"], 1);
    assert_eq!(own["name"], shop.goods.jobs("alice").await[0]["name"]);
    let result = invoke(&shop, "alice", 9, &script, json!({ "user": "alice", "nested": script })).await;
    assert_eq!(result["hasError"], false, "{result}");
    assert_eq!((shop.purse("alice").await, shop.goods("alice").await), (4, 3));
    server.stop().await;
}

/// A script that keeps others waiting is given up; nothing of it takes effect, and the server goes on.
async fn a_script_that_lasts_is_given_up(database: Database) {
    let server =
        TestServer::builder(&database).config(|config| config.atomic_script_ms_max = 200).start().await;
    let shop = Shop::create(&server.api().await).await;
    let source = format!("{PART} local n = 0 for i = 1, 1e10 do n = n + 1 end");
    let script = shop.script(Mode::Manual, "slow", &source).await;
    shop.fill("alice", 2).await;
    let started = Instant::now();
    let result = invoke(&shop, "alice", 1, &script, json!({ "user": "alice" })).await;
    assert!(started.elapsed().as_secs() < 8, "{:?}", started.elapsed());
    assert_eq!(int(&result["acquireResults"][0], "statusCode"), 504, "{result}");
    assert_eq!((shop.purse("alice").await, shop.goods("alice").await), (2, 0));
    server.stop().await;
}

/// J-61, DT-10: the result of a job whose script made a transaction says so, and the transaction is there once.
async fn a_job_makes_its_transaction_once(database: Database) {
    let server = TestServer::start(&database).await;
    let shop = Shop::create(&server.api().await).await;
    for auto_run in [false, true] {
        let queue = Queue::create(shop.api(), &format!("queue-{auto_run}"), auto_run).await;
        for mode in Mode::ALL {
            let user = format!("{mode:?}-{auto_run}");
            shop.fill(&user, 2).await;
            let job = queue.push_one(&user, &Shop::script_id(mode, "buy"), &json!({})).await;
            if !auto_run {
                queue.run_all(&user).await;
            }
            let tried = queue.tried(&user, &job).await;
            assert_eq!(tried["statusCode"], 200, "{tried}");
            let result: Value = serde_json::from_str(text(&tried, "result")).unwrap();
            assert_eq!(result["bought"], true, "the script's own members stay: {result}");
            assert_eq!(result["autoRunStampSheet"], mode != Mode::Manual);
            assert_eq!(result["atomicCommit"], matches!(mode, Mode::Together | Mode::Later));
            assert_eq!(result["stampSheet"].is_string(), mode == Mode::Manual);
            assert_eq!(result["transactionResult"].is_object(), mode == Mode::Together);
            if mode == Mode::Manual {
                assert_eq!((shop.purse(&user).await, shop.goods(&user).await), (2, 0));
            } else {
                shop.result(mode, &user, text(&result, "transactionId")).await;
                assert_eq!((shop.purse(&user).await, shop.goods(&user).await), (1, 1), "{user}");
            }
        }
    }
    server.stop().await;
}

/// A job whose transaction cannot be carried out is tried again, and becomes a dead letter.
async fn a_job_whose_transaction_fails_has_failed(database: Database) {
    let server = TestServer::start(&database).await;
    let shop = Shop::create(&server.api().await).await;
    let queue = Queue::create(shop.api(), "queue", false).await;
    let mut job = entry(&Shop::script_id(Mode::Together, "buy"), &json!({}));
    job["maxTryCount"] = 2.into();
    let name = queue.push("alice", &[job]).await.remove(0);
    let ran = queue.run("alice").await.ok();
    assert_eq!(ran["result"]["statusCode"], 404, "{ran}");
    assert!(text(&ran["result"], "result").contains("Gs2Lock:GetMutexByUserId"), "{ran}");
    shop.fill("alice", 1).await;
    let ran = queue.run("alice").await.ok();
    assert_eq!(ran["result"]["statusCode"], 200, "{ran}");
    assert_eq!((shop.purse("alice").await, shop.goods("alice").await), (0, 1));
    assert_eq!(queue.tried("alice", &name).await["statusCode"], 200);
    server.stop().await;
}

/// A trigger's transaction that a client is to run: no answer has a place for its sheet, so the log says what to change.
async fn a_sheet_that_nobody_gets_is_told_of(database: Database) {
    let process = block_in_place(|| Builder::new(env!("CARGO_BIN_EXE_hiroba"), &database, "data").start());
    let shop = Shop::create(&process.api().await).await;
    let chat = Chat::create(shop.api(), "ns").await;
    let told = || process.log().matches("no client gets its sheet").count();
    let source = "transaction.execute({ acquire = {} }) result = { permit = true }";
    for (number, when) in (1..).zip(["before", "after"]) {
        let script = shop.script(Mode::Manual, when, source).await;
        let setting = match when {
            "before" => json!({ "triggerScriptId": script }),
            _ => json!({ "doneTriggerTargetType": "gs2_script", "doneTriggerScriptId": script }),
        };
        chat.set(json!({ "createRoomScript": setting })).await;
        for room in ["one", "two"] {
            chat.room(&format!("{room}-{when}"), json!({ "userId": "alice" })).await;
        }
        let seen = async || (told() == number).then_some(());
        eventually("the warning, once for a script", seen).await;
        let log = process.log();
        assert!(log.contains(&script) && log.contains("set `enableAutoRun`"), "{log}");
    }
    block_in_place(|| process.stop());
}
