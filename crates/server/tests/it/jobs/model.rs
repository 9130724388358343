//! Random calls on queues that somebody runs, against a small model (BEHAVIOUR J-20 … J-23, J-30 … J-33, J-50, J-52, J-53).

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};

use hiroba_testkit::api::{int, text};
use hiroba_testkit::jobs::{entry, names};
use hiroba_testkit::{Database, Engine, Queue, Stage, TestServer, on_both_engines};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

/// Says how many cases are tried.
const CASES: &str = "HIROBA_TEST_CASES";
const PLAYERS: usize = 2;

/// What a job's script does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Succeeds,
    Fails,
    /// Fails with the status that `Step::Mend` turns into success, and back.
    Depends,
    Missing,
}

#[derive(Debug, Clone)]
enum Step {
    Push(usize, Vec<(Kind, i64)>),
    Run(usize),
    /// Deletes one of all jobs that ever were, or one that never was.
    Delete(usize),
    DeleteLetter(usize),
    Look(usize),
    Mend,
}

#[derive(Debug, Clone)]
struct Job {
    name: String,
    number: usize,
    kind: Kind,
    tries_max: i64,
    failed: i64,
}

/// What must be there.
#[derive(Debug, Default)]
struct Model {
    waiting: [VecDeque<Job>; PLAYERS],
    dead: [Vec<Job>; PLAYERS],
    /// All jobs, with their players and the statuses of their attempts.
    all: Vec<(String, usize)>,
    attempts: BTreeMap<String, Vec<i64>>,
    mended: bool,
}

impl Model {
    fn status(&self, kind: Kind) -> i64 {
        match kind {
            Kind::Succeeds => 200,
            Kind::Fails => 503,
            Kind::Depends if self.mended => 200,
            Kind::Depends => 409,
            Kind::Missing => 404,
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![
        3 => Just(Kind::Succeeds), 2 => Just(Kind::Fails), 2 => Just(Kind::Depends), 1 => Just(Kind::Missing)
    ];
    let player = || 0..PLAYERS;
    let step = prop_oneof![
        4 => (player(), prop::collection::vec((kind, 0..4_i64), 0..5)).prop_map(|(player, jobs)| Step::Push(player, jobs)),
        10 => player().prop_map(Step::Run),
        2 => (0..20_usize).prop_map(Step::Delete),
        1 => (0..20_usize).prop_map(Step::DeleteLetter),
        2 => player().prop_map(Step::Look),
        1 => Just(Step::Mend),
    ];
    prop::collection::vec(step, 1..40)
}

/// The namespace of a case, and its scripts.
struct Case {
    queue: Queue,
    stage: Stage,
    succeeding: String,
    failing: String,
    depending: String,
    model: Model,
}

fn user(player: usize) -> String {
    format!("user-{player}")
}

impl Case {
    async fn step(&mut self, step: Step) {
        match step {
            Step::Push(player, jobs) => self.push(player, jobs).await,
            Step::Run(player) => self.run(player).await,
            Step::Delete(index) => self.delete(index).await,
            Step::DeleteLetter(index) => self.delete_letter(index).await,
            Step::Look(player) => self.look(player).await,
            Step::Mend => self.mend(!self.model.mended).await,
        }
    }

    async fn mend(&mut self, mended: bool) {
        let source = if mended { "result = { n = args.n }" } else { "fail(409, 'not yet')" };
        self.stage.change("depending", source).await;
        self.model.mended = mended;
    }

    async fn push(&mut self, player: usize, jobs: Vec<(Kind, i64)>) {
        let first = self.model.all.len();
        let script = |kind| match kind {
            Kind::Succeeds => self.succeeding.clone(),
            Kind::Fails => self.failing.clone(),
            Kind::Depends => self.depending.clone(),
            Kind::Missing => format!("{}-not", self.failing),
        };
        let entries = jobs.iter().zip(first..).map(|(&(kind, tries_max), number)| {
            let mut entry = entry(&script(kind), &json!({ "n": number }));
            entry["maxTryCount"] = tries_max.into();
            entry
        });
        let entries: Vec<_> = entries.collect();
        let path = format!("/user/{}/job", user(player));
        let pushed = self.queue.call("POST", &path, json!({ "jobs": entries })).await.ok();
        assert_eq!(pushed["autoRun"], false);
        let names = names(&pushed);
        assert_eq!(names.len(), jobs.len());
        for ((name, (kind, tries_max)), number) in names.into_iter().zip(jobs).zip(first..) {
            self.model.all.push((name.clone(), player));
            // None at all counts as one (J-11).
            let job = Job { name, number, kind, tries_max: tries_max.max(1), failed: 0 };
            self.model.waiting[player].push_back(job);
        }
    }

    async fn run(&mut self, player: usize) {
        let ran = self.queue.run(&user(player)).await.ok();
        let Some(mut job) = self.model.waiting[player].pop_front() else {
            assert_eq!(ran, json!({ "isLastJob": true }), "J-22");
            return;
        };
        let status = self.model.status(job.kind);
        assert_eq!(text(&ran["item"], "name"), job.name, "J-02");
        assert_eq!(int(&ran["item"], "maxTryCount"), job.tries_max);
        let result = &ran["result"];
        assert_eq!((int(result, "tryNumber"), int(result, "statusCode")), (job.failed + 1, status), "J-31");
        let body: Value = serde_json::from_str(text(result, "result")).unwrap();
        if status == 200 {
            assert_eq!(body, json!({ "n": job.number }), "J-61");
        } else {
            assert!(body[0]["message"].is_string(), "J-62: {body}");
        }
        self.model.attempts.entry(job.name.clone()).or_default().push(status);
        if status != 200 {
            job.failed += 1;
            if job.failed == job.tries_max {
                self.model.dead[player].push(job);
            } else {
                self.model.waiting[player].push_front(job);
            }
        }
        assert_eq!(ran["isLastJob"], self.model.waiting[player].is_empty(), "J-23");
    }

    async fn delete(&mut self, index: usize) {
        let Some((name, player)) = self.model.all.get(index).cloned() else {
            let never = self.queue.delete("user-0", "12345678-1234-4234-8234-123456789012").await;
            return never.refused(404, "job", "jobQueue.job.job.error.notFound");
        };
        let answer = self.queue.delete(&user(player), &name).await;
        let waiting = &mut self.model.waiting[player];
        match waiting.iter().position(|job| job.name == name) {
            Some(place) => {
                let job = waiting.remove(place).unwrap();
                assert_eq!(int(&answer.item(), "currentRetryCount"), job.failed);
            }
            None => answer.refused(404, "job", "jobQueue.job.job.error.notFound"),
        }
        // It is nobody else's.
        let other = self.queue.delete(&user(1 - player), &name).await;
        other.refused(404, "job", "jobQueue.job.job.error.notFound");
    }

    async fn delete_letter(&mut self, index: usize) {
        let Some((name, player)) = self.model.all.get(index).cloned() else { return };
        let path = format!("/user/{}/dead/{name}", user(player));
        let answer = self.queue.call("DELETE", &path, Value::Null).await;
        let dead = &mut self.model.dead[player];
        match dead.iter().position(|job| job.name == name) {
            Some(place) => {
                dead.remove(place);
                assert_eq!(text(&answer.item(), "name"), name);
            }
            None => {
                answer.refused(404, "deadLetterJob", "jobQueue.deadLetterJob.deadLetterJob.error.notFound");
            }
        }
    }

    async fn look(&self, player: usize) {
        let seen = self.queue.jobs(&user(player)).await;
        let seen: Vec<_> =
            seen.iter().map(|job| (text(job, "name"), int(job, "currentRetryCount"))).collect();
        let expected: Vec<_> =
            self.model.waiting[player].iter().map(|job| (job.name.as_str(), job.failed)).collect();
        assert_eq!(seen, expected, "J-53");
        let mut dead: Vec<_> = self.model.dead[player].iter().collect();
        // They are listed in the order of their pushes.
        dead.sort_by_key(|job| job.number);
        let letters = self.queue.dead_letters(&user(player)).await;
        assert_eq!(letters.len(), dead.len());
        for (letter, job) in letters.iter().zip(dead) {
            assert_eq!(text(letter, "name"), job.name);
            let attempts = letter["result"].as_array().unwrap().iter().enumerate();
            let statuses = attempts.map(|(number, attempt)| {
                assert_eq!(int(attempt, "tryNumber"), number as i64 + 1, "J-31");
                int(attempt, "statusCode")
            });
            assert_eq!(statuses.collect::<Vec<_>>(), self.model.attempts[&job.name], "J-37");
        }
        for (name, _) in self.model.all.iter().filter(|(_, of)| *of == player) {
            let latest = self.queue.result(&user(player), name, None).await;
            let Some(attempts) = self.model.attempts.get(name) else {
                latest.refused(404, "jobResult", "jobQueue.jobResult.jobResult.error.notFound");
                continue;
            };
            let latest = latest.item();
            assert_eq!(int(&latest, "tryNumber"), attempts.len() as i64 - 1, "J-50");
            for (number, status) in attempts.iter().enumerate() {
                let result = self.queue.result(&user(player), name, Some(number as i64)).await.item();
                assert_eq!(int(&result, "statusCode"), *status);
            }
        }
    }
}

async fn queues_are_as_the_model(database: Database) {
    let server = TestServer::start(&database).await;
    let api = server.api().await;
    let stage = Stage::create(&api).await;
    let succeeding = stage.script("succeeding", "result = { n = args.n }").await;
    let failing = stage.script("failing", "fail(503, 'no')").await;
    let depending = stage.script("depending", "fail(409, 'not yet')").await;
    let usual = match database.engine() {
        Engine::Sqlite => 32,
        Engine::Postgres => 16,
    };
    let cases = std::env::var(CASES).map_or(usual, |cases| cases.parse().unwrap());
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases) });
    let number = Cell::new(0);
    let ran = block_in_place(|| {
        runner.run(&steps(), |steps| {
            number.set(number.get() + 1);
            let namespace = format!("case-{}", number.get());
            Handle::current().block_on(async {
                let queue = Queue::create(&api, &namespace, false).await;
                let (stage, model) = (stage.clone(), Model::default());
                let scripts = (succeeding.clone(), failing.clone(), depending.clone());
                let (succeeding, failing, depending) = scripts;
                let mut case = Case { queue, stage, succeeding, failing, depending, model };
                case.mend(false).await;
                for step in steps {
                    case.step(step).await;
                }
                for player in 0..PLAYERS {
                    case.look(player).await;
                }
            });
            Ok(())
        })
    });
    if let Err(error) = ran {
        panic!("{error}");
    }
    server.stop().await;
}

on_both_engines! {
    queues_are_as_the_model
}
