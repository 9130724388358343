//! SIGKILL at every step of transactions of every mode, each step repeated until it is answered: what a player pays is taken once,
//! and what it buys is given once (BEHAVIOUR DT-16, DT-21, DT-31, DT-39).

use futures_util::future::join_all;
use hiroba_testkit::api::{Api, text};
use hiroba_testkit::process::Builder;
use hiroba_testkit::transactions::Mode;
use hiroba_testkit::{Database, Engine, Process, Random, Shop, on_both_engines, within};
use serde_json::{Value, json};
use tokio::task::block_in_place;

const PURSE: i64 = 3;

on_both_engines! { killed_at_every_step }

/// A player on the way through a transaction, and what the last answers said.
#[derive(Debug, Clone)]
struct Buyer {
    user: String,
    mode: Mode,
    made: Option<Value>,
    /// Tasks of the sheet that were answered.
    done: usize,
    context_stack: Option<String>,
    /// Whether everything that a client does is done.
    bought: bool,
    answers: u32,
}

impl Buyer {
    fn new(round: usize, number: usize) -> Buyer {
        Buyer {
            user: format!("user-{round}-{number}"),
            mode: Mode::ALL[number % Mode::ALL.len()],
            made: None,
            done: 0,
            context_stack: None,
            bought: false,
            answers: 0,
        }
    }

    /// Goes on until everything is done or the server is gone.
    async fn buy(mut self, api: Api) -> Buyer {
        while !self.bought {
            let Some(answer) = self.step(&api).await else { return self };
            self.answers += 1;
            self.take(&answer);
        }
        self
    }

    /// Takes a step, again if the last one was not answered.
    async fn step(&self, api: &Api) -> Option<Value> {
        let (service, path, fields) = match &self.made {
            None => {
                let fields = json!({ "scriptId": Shop::script_id(self.mode, "buy"), "userId": self.user });
                ("script", "/invoke", fields)
            }
            Some(made) => {
                let sheet: Value = serde_json::from_str(text(made, "stampSheet")).unwrap();
                let body: Value = serde_json::from_str(text(&sheet, "body")).unwrap();
                let key = &made["stampSheetEncryptionKeyId"];
                let context = &self.context_stack;
                match self.done {
                    0 => {
                        let task = &body["verifyTasks"][0];
                        let fields = json!({ "verifyTask": task, "keyId": key, "contextStack": context });
                        ("distributor", "/default/distribute/stamp/verifyTask/run", fields)
                    }
                    1 => {
                        let task = &body["tasks"][0];
                        let fields = json!({ "stampTask": task, "keyId": key, "contextStack": context });
                        ("distributor", "/default/distribute/stamp/task/run", fields)
                    }
                    _ => {
                        let sheet = &made["stampSheet"];
                        let fields = json!({ "stampSheet": sheet, "keyId": key, "contextStack": context });
                        ("distributor", "/default/distribute/stamp/sheet/run", fields)
                    }
                }
            }
        };
        // The same avoider each time: the script must not make a second transaction.
        let api = api.with("X-GS2-DUPLICATION-AVOIDER", &self.user);
        let request = api.request(service, "POST", path, &fields);
        loop {
            let answer = within("an answer or the end", api.try_send(&request)).await.ok()??;
            // PostgreSQL may refuse one transaction for the sake of others too often.
            if answer.status != 503 && answer.status != 409 {
                return Some(answer.ok());
            }
        }
    }

    fn take(&mut self, answer: &Value) {
        match &self.made {
            None => {
                assert_eq!(answer["code"], 200, "{answer}");
                if self.mode == Mode::Together {
                    assert_eq!(answer["transactionResult"]["hasError"], false, "{answer}");
                }
                self.bought = self.mode != Mode::Manual;
                self.made = Some(answer.clone());
            }
            Some(_) => {
                assert_eq!(answer["statusCode"], 200, "{answer}");
                self.context_stack = answer["contextStack"].as_str().map(str::to_owned);
                self.done += 1;
                self.bought = self.done == 3;
            }
        }
    }
}

async fn killed_at_every_step(database: Database) {
    let (rounds, buyers) = match database.engine() {
        Engine::Sqlite => (12, 24),
        Engine::Postgres => (5, 12),
    };
    let mut random = Random::new();
    let mut process = start(&database);
    let api = process.api().await;
    Shop::create(&api).await;
    let (mut kills, mut halfway) = (0, 0);
    for round in 0..rounds {
        let mut all: Vec<Buyer> = (0..buyers).map(|number| Buyer::new(round, number)).collect();
        let shop = Shop::of(&api.at(process.address()));
        for buyer in &all {
            shop.fill(&buyer.user, PURSE).await;
        }
        while all.iter().any(|buyer| !buyer.bought) {
            let here = api.at(process.address());
            let tasks: Vec<_> = all.into_iter().map(|buyer| tokio::spawn(buyer.buy(here.clone()))).collect();
            if kills < 4 * (round + 1) {
                // Anywhere among the answers that the buyers are waiting for.
                let pause = std::time::Duration::from_micros(random.below(40_000));
                let _ = tokio::time::timeout(pause, std::future::pending::<()>()).await;
                block_in_place(|| process.kill());
                kills += 1;
                process = start(&database);
            }
            all = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
            halfway += all.iter().filter(|buyer| !buyer.bought && buyer.answers > 0).count();
        }
        let shop = Shop::of(&api.at(process.address()));
        for buyer in &all {
            let made = buyer.made.as_ref().unwrap();
            if buyer.mode != Mode::Manual {
                let result = shop.result(buyer.mode, &buyer.user, text(made, "transactionId")).await;
                assert_ne!(result["hasError"], true, "{result}");
            }
            let found = (shop.purse(&buyer.user).await, shop.goods(&buyer.user).await);
            assert_eq!(found, (PURSE - 1, 1), "{buyer:?}");
        }
    }
    println!("{kills} kills, {halfway} times somebody was on the way");
    block_in_place(|| process.stop());
}

fn start(database: &Database) -> Process {
    block_in_place(|| Builder::new(env!("CARGO_BIN_EXE_hiroba"), database, "data").start())
}
