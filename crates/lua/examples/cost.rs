//! Prints what a run costs: `cargo run --release -p hiroba-lua --example cost`.

use std::{hint::black_box, rc::Rc, sync::Arc, time::Instant};

use hiroba_lua::{Compiled, Host, HttpRequest, Limits, Outcome, Pending, Reply, Run, Sandbox};

struct Nothing;

impl Host for Nothing {
    fn has_service(&self, _: &str) -> bool {
        true
    }

    fn begin(
        &self,
        _: &str,
        _: &str,
        _: serde_json::Map<String, serde_json::Value>,
    ) -> Result<Box<dyn Pending>, String> {
        Ok(Box::new(Nothing))
    }

    fn http(&self, _: HttpRequest) -> Reply {
        Reply { status: 200, body: String::new() }
    }
}

impl Pending for Nothing {
    fn wait(self: Box<Self>) -> Reply {
        Reply { status: 200, body: r#"{"item":{"name":"a","count":5}}"#.to_owned() }
    }
}

fn run(sandbox: &mut Sandbox, script: &Compiled, args: &Arc<str>, host: &Rc<dyn Host>) -> Outcome {
    sandbox.run(Run {
        script: script.clone(),
        args: args.clone(),
        keep_digit_texts: false,
        now_seconds: 0,
        random: None,
        seed: 0,
        host: host.clone(),
    })
}

/// Prints the time of one turn of `work`, in microseconds.
fn measure(what: &str, turns: u32, mut work: impl FnMut()) {
    work();
    let start = Instant::now();
    (0..turns).for_each(|_| work());
    println!("{what:<44} {:>10.2} us", start.elapsed().as_secs_f64() * 1e6 / f64::from(turns));
}

fn main() {
    let host: Rc<dyn Host> = Rc::new(Nothing);
    let small: Arc<str> = Arc::from(r#"{"userId":"user-0001","count":3}"#);
    let business = "
        local client = gs2('inventory')
        local answer = client.get_item_by_user_id{namespaceName = 'a', userId = args.userId, itemName = 'b'}
        if answer.isError then fail(answer.statusCode, answer.errorMessage) end
        local names = {}
        for i = 1, args.count do names[i] = string.format('%s-%d', answer.result.item.name, i) end
        result = {names = names, count = answer.result.item.count + args.count}";
    let sources = [
        ("nothing", ""),
        ("a result", "result = {userId = args.userId, n = args.count + 1}"),
        ("a call and a loop", business),
        ("a loop of 1,000,000", "local n = 0 for i = 1, 1000000 do n = n + i end result = {n}"),
        ("100,000 calls of a function", "local function f(i) return i end for i = 1, 100000 do f(i) end"),
        ("10,000 finds", "for i = 1, 10000 do local x = ('hello world'):find('wor', 1, true) end"),
    ];
    let mut sandbox = Sandbox::new(Limits::default());
    for (name, source) in sources {
        let turns = if name.contains("000") { 20 } else { 20_000 };
        measure(&format!("compile: {name}"), 2_000, || {
            let _ = black_box(Compiled::new("a:b", source));
        });
        let Ok(script) = Compiled::new("a:b", source) else { continue };
        let outcome = run(&mut sandbox, &script, &small, &host);
        println!("    {} {}", outcome.status, outcome.result);
        measure(&format!("machine used again: {name}"), turns, || {
            black_box(run(&mut sandbox, &script, &small, &host));
        });
    }
    let Ok(script) = Compiled::new("a:b", "") else { return };
    measure("new machine for each run: nothing", 500, || {
        black_box(run(&mut Sandbox::new(Limits::default()), &script, &small, &host));
    });
}
