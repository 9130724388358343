//! Scripts that make transactions, and what becomes of them.

use serde_json::{Value, json};

use crate::api::{Api, int, text};
use crate::deadline::eventually;
use crate::http::Response;
use crate::jobs::Queue;

/// How the transactions of a script run: the namespace of the script has this setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The client gets a sheet.
    Manual,
    /// The actions take effect one after the other, after the call.
    Steps,
    /// They take effect together, within the call.
    Together,
    /// They take effect together, after the call.
    Later,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Mode; 4] = [Mode::Manual, Mode::Steps, Mode::Together, Mode::Later];

    /// Name of the namespace of such scripts.
    pub fn namespace(self) -> &'static str {
        match self {
            Mode::Manual => "manual",
            Mode::Steps => "steps",
            Mode::Together => "together",
            Mode::Later => "later",
        }
    }

    /// Its setting.
    pub fn setting(self) -> Value {
        let (auto_run, atomic, later) = match self {
            Mode::Manual => (false, false, false),
            Mode::Steps => (true, false, false),
            Mode::Together => (true, true, false),
            Mode::Later => (true, true, true),
        };
        json!({ "enableAutoRun": auto_run, "enableAtomicCommit": atomic, "transactionUseDistributor": later })
    }
}

/// Namespaces for scripts of each mode, for results, and for what the actions do: mutexes and jobs.
#[derive(Debug, Clone)]
pub struct Shop {
    api: Api,
    /// Jobs that were bought.
    pub goods: Queue,
}

/// Takes a reference of the mutex `purse`, and gives a job and a reference of the mutex `bag`.
const BUY: &str = "
local lock, queue = transaction.service('lock'), transaction.service('jobQueue')
local function of(property)
    return { namespaceName = 'locks', userId = '#{userId}', propertyId = property, transactionId = 't' }
end
transaction.execute({
    verify = { lock.verify.get_mutex_by_user_id(of('purse')) },
    consume = { lock.consume.unlock_by_user_id(of('purse')) },
    acquire = { queue.acquire.push_by_user_id({
        namespaceName = 'goods', userId = '#{userId}', jobs = {{ scriptId = 'goods', args = '{}' }},
    }) },
})
result = { bought = true }
";

impl Shop {
    /// A new one; one for each database.
    pub async fn create(api: &Api) -> Shop {
        api.call("distributor", "POST", "/", json!({ "name": "default" })).await.ok();
        api.create_namespace("locks").await;
        let goods = Queue::create(api, "goods", false).await;
        let shop = Shop { api: api.clone(), goods };
        for mode in Mode::ALL {
            let fields = json!({ "name": mode.namespace(), "transactionSetting": mode.setting() });
            api.call("script", "POST", "/", fields).await.ok();
            shop.script(mode, "buy", BUY).await;
        }
        shop
    }

    /// One that exists.
    pub fn of(api: &Api) -> Shop {
        Shop { api: api.clone(), goods: Queue::of(api, "goods") }
    }

    /// The caller.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Stores a script: its GRN.
    pub async fn script(&self, mode: Mode, name: &str, source: &str) -> String {
        let fields = json!({ "name": name, "script": source });
        let path = format!("/{}/script", mode.namespace());
        text(&self.api.call("script", "POST", &path, fields).await.item(), "scriptId").to_owned()
    }

    /// GRN of a stored script.
    pub fn script_id(mode: Mode, name: &str) -> String {
        format!("grn:gs2:ap-northeast-1:hiroba:script:{}:script:{name}", mode.namespace())
    }

    /// Fills a player's purse.
    pub async fn fill(&self, user: &str, count: i64) {
        for _ in 0..count {
            self.api.mutexes("locks", user).lock("purse", "t").await.item();
        }
    }

    /// How much is in a player's purse.
    pub async fn purse(&self, user: &str) -> i64 {
        let answer = self.api.mutexes("locks", user).get("purse").await;
        if answer.status == 404 { 0 } else { int(&answer.item(), "referenceCount") }
    }

    /// How many goods a player has.
    pub async fn goods(&self, user: &str) -> usize {
        self.goods.jobs(user).await.len()
    }

    /// `invokeScript`.
    pub async fn invoke(&self, mode: Mode, name: &str, user: &str) -> Response {
        let fields = json!({ "scriptId": Shop::script_id(mode, name), "userId": user });
        self.api.call("script", "POST", "/invoke", fields).await
    }

    /// A call of Distributor's namespace `default`.
    pub async fn call(&self, method: &str, path: &str, fields: Value) -> Response {
        self.api.call("distributor", method, &format!("/default{path}"), fields).await
    }

    /// Waits for what became of a transaction of this mode.
    pub async fn result(&self, mode: Mode, user: &str, transaction_id: &str) -> Value {
        let kind = if mode == Mode::Steps { "stampSheet" } else { "transaction" };
        let path = format!("/user/{user}/{kind}/{transaction_id}/result");
        let look = async || {
            let answer = self.call("GET", &path, Value::Null).await;
            (answer.status == 200).then(|| answer.item())
        };
        eventually("the result of a transaction", look).await
    }
}
