//! The table against our copy of the protocol facts in `protocol/`: every difference is a mistake, or stands in
//! [`DEVIATIONS`] with its reason.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, also in its helpers")]

use std::collections::BTreeSet;
use std::fmt::Write;

use hiroba_api::contract::{FieldInfo, Kind, Row, Service, Table};
use hiroba_api::reference::{self, Model};
use serde_json::Value;

/// A difference that is meant.
struct Deviation {
    /// Operation or model with its service, `lock.lock`, `lock.Mutex`; `*` is all of them.
    subject: &'static str,
    field: &'static str,
    /// What differs, in the words of the comparison.
    what: &'static str,
}

/// Fields are subject, field, difference and the reason with its number in BEHAVIOUR.
const fn deviation(
    subject: &'static str,
    field: &'static str,
    what: &'static str,
    _reason: &'static str,
) -> Deviation {
    Deviation { subject, field, what }
}

/// Every deliberate deviation. An entry that nothing needs any more fails the test.
const DEVIATIONS: &[Deviation] = &[
    deviation("*", "metadata", "missing", "T-12: all its members are optional, and nothing fills them yet"),
    deviation("*", "progress", "not in the facts", "U-06: how far a task is, which SDKs skip"),
    deviation("gateway.UserDataProgress", "", "not in the facts", "U-06: how far a task is, which SDKs skip"),
    deviation(
        "jobQueue.UserDataProgress",
        "",
        "not in the facts",
        "U-06: how far a task is, which SDKs skip",
    ),
    deviation("chat.UserDataProgress", "", "not in the facts", "U-06: how far a task is, which SDKs skip"),
    deviation("*", "accessToken", "maxLength 1024 instead of 128", "N-02: real tokens have up to 1,024"),
    deviation("lock.lock", "ttl", "required false instead of true", "L-09: one hour when absent"),
    deviation("lock.lockByUserId", "ttl", "required false instead of true", "L-09: one hour when absent"),
    deviation("lock.lock", "ttl", "min 1 instead of 0", "L-09: a mutex for no time is refused"),
    deviation("lock.lockByUserId", "ttl", "min 1 instead of 0", "L-09: a mutex for no time is refused"),
    deviation(
        "lock.lock",
        "ttl",
        "max 9223372036854775807 instead of 9223372036854775805",
        "L-09: the largest number of LK; overflow is capped",
    ),
    deviation(
        "lock.lockByUserId",
        "ttl",
        "max 9223372036854775807 instead of 9223372036854775805",
        "L-09: the largest number of LK; overflow is capped",
    ),
    deviation(
        "lock.Mutex",
        "referenceCount",
        "only old SDKs have it",
        "L-11: returned as in the early model",
    ),
    deviation(
        "distributor.runVerifyTask",
        "contextStack",
        "not in the facts",
        "DT-16: every SDK reads it; the facts leave it out as the common member of requests",
    ),
    deviation(
        "distributor.runStampTask",
        "contextStack",
        "not in the facts",
        "DT-16: every SDK reads it; the facts leave it out as the common member of requests",
    ),
    deviation(
        "distributor.runVerifyTaskWithoutNamespace",
        "contextStack",
        "not in the facts",
        "DT-16: every SDK reads it; the facts leave it out as the common member of requests",
    ),
    deviation(
        "distributor.runStampTaskWithoutNamespace",
        "contextStack",
        "not in the facts",
        "DT-16: every SDK reads it; the facts leave it out as the common member of requests",
    ),
    deviation(
        "distributor.BatchRequestPayload",
        "requestId",
        "not in the facts",
        "DT-50: every SDK reads it; the facts leave it out as the common header",
    ),
    deviation(
        "distributor.BatchResultPayload",
        "requestId",
        "not in the facts",
        "DT-50: every SDK reads it; the facts leave it out as the common header",
    ),
    deviation(
        "script.invokeScript",
        "transactionId",
        "not in the facts",
        "DT-10: what every API that makes a transaction answers, so that a client can run it step by step",
    ),
    deviation(
        "script.invokeScript",
        "autoRunStampSheet",
        "not in the facts",
        "DT-10: what every API that makes a transaction answers, so that a client can run it step by step",
    ),
    deviation(
        "script.invokeScript",
        "stampSheet",
        "not in the facts",
        "DT-10: what every API that makes a transaction answers, so that a client can run it step by step",
    ),
    deviation(
        "script.invokeScript",
        "stampSheetEncryptionKeyId",
        "not in the facts",
        "DT-10: what every API that makes a transaction answers, so that a client can run it step by step",
    ),
    deviation(
        "script.debugInvoke",
        "transactionId",
        "not in the facts",
        "DT-10: what every API that makes a transaction answers, so that a client can run it step by step",
    ),
    deviation(
        "script.debugInvoke",
        "autoRunStampSheet",
        "not in the facts",
        "DT-10: what every API that makes a transaction answers, so that a client can run it step by step",
    ),
    deviation(
        "script.debugInvoke",
        "stampSheet",
        "not in the facts",
        "DT-10: what every API that makes a transaction answers, so that a client can run it step by step",
    ),
    deviation(
        "script.debugInvoke",
        "stampSheetEncryptionKeyId",
        "not in the facts",
        "DT-10: what every API that makes a transaction answers, so that a client can run it step by step",
    ),
    deviation(
        "script.invokeByStampSheet",
        "transactionId",
        "not in the facts",
        "DT-10: what every API that makes a transaction answers, so that a client can run it step by step",
    ),
    deviation(
        "script.invokeByStampSheet",
        "autoRunStampSheet",
        "not in the facts",
        "DT-10: what every API that makes a transaction answers, so that a client can run it step by step",
    ),
    deviation(
        "script.invokeByStampSheet",
        "stampSheet",
        "not in the facts",
        "DT-10: what every API that makes a transaction answers, so that a client can run it step by step",
    ),
    deviation(
        "script.invokeByStampSheet",
        "stampSheetEncryptionKeyId",
        "not in the facts",
        "DT-10: what every API that makes a transaction answers, so that a client can run it step by step",
    ),
    deviation("identifier.Identifier", "clientSecret", "missing", "I-02: returned once, beside the item"),
    deviation(
        "gateway.createNamespace",
        "firebaseSecret",
        "maxLength 8192 instead of 1024",
        "G-52: a service account is longer than a server key",
    ),
    deviation(
        "gateway.updateNamespace",
        "firebaseSecret",
        "maxLength 8192 instead of 1024",
        "G-52: a service account is longer than a server key",
    ),
    deviation(
        "gateway.Namespace",
        "firebaseSecret",
        "maxLength 8192 instead of 1024",
        "G-52: a service account is longer than a server key",
    ),
    deviation(
        "gateway.setUserId",
        "connectionId",
        "not in the facts",
        "G-02: accepted, though no SDK sends it",
    ),
    deviation(
        "gateway.setUserIdByUserId",
        "connectionId",
        "not in the facts",
        "G-02: accepted, though no SDK sends it",
    ),
    deviation(
        "gateway.getWebSocketSession",
        "connectionId",
        "not in the facts",
        "G-02: accepted, though no SDK sends it",
    ),
    deviation(
        "gateway.TransactionSetting",
        "distributorNamespaceId",
        "required false instead of true",
        "N-06: its default is filled in where it is used",
    ),
    deviation(
        "gateway.TransactionSetting",
        "queueNamespaceId",
        "required false instead of true",
        "N-06: its default is filled in where it is used",
    ),
    deviation(
        "jobQueue.createNamespace",
        "runNotification",
        "required false instead of true",
        "J-05: the old edition has it optional",
    ),
    deviation(
        "jobQueue.updateNamespace",
        "runNotification",
        "required false instead of true",
        "J-05: the old edition has it optional",
    ),
    deviation(
        "jobQueue.Namespace",
        "runNotification",
        "required false instead of true",
        "J-05: the old edition has it optional",
    ),
    deviation(
        "chat.createNamespace",
        "postNotification",
        "required false instead of true",
        "CH-54: the Gateway namespace `default` when absent",
    ),
    deviation(
        "chat.updateNamespace",
        "postNotification",
        "required false instead of true",
        "CH-54: the Gateway namespace `default` when absent",
    ),
    deviation(
        "chat.Namespace",
        "postNotification",
        "required false instead of true",
        "CH-54: the Gateway namespace `default` when absent",
    ),
    deviation(
        "chat.NotificationSetting",
        "gatewayNamespaceId",
        "required false instead of true",
        "N-06: its default is filled in where it is used",
    ),
    deviation(
        "chat.ScriptSetting",
        "doneTriggerTargetType",
        "required false instead of true",
        "CH-70: `none` when absent",
    ),
    deviation(
        "chat.createRoom",
        "accessToken",
        "required true instead of false",
        "CH-02, CH-06: the player is the one of the token",
    ),
    deviation(
        "chat.updateRoom",
        "accessToken",
        "required true instead of false",
        "CH-02, CH-06: the player is the one of the token",
    ),
    deviation(
        "chat.deleteRoom",
        "accessToken",
        "required true instead of false",
        "CH-02, CH-06: the player is the one of the token",
    ),
    deviation(
        "script.GitHubCheckoutSetting",
        "gitHubApiKeyId",
        "only old SDKs have it",
        "SC-01: the former name of apiKeyId is still taken",
    ),
    deviation(
        "chat.GitHubCheckoutSetting",
        "gitHubApiKeyId",
        "not in the facts",
        "CH-34: the setting is the one of Script, whose former name of apiKeyId is taken too",
    ),
    deviation(
        "distributor.GitHubCheckoutSetting",
        "gitHubApiKeyId",
        "only old SDKs have it",
        "SC-01: the former name of apiKeyId is still taken",
    ),
    deviation(
        "log.describeNamespaces",
        "namePrefix",
        "not in the facts",
        "N-08: every service's namespaces are listed in one way",
    ),
    deviation("log.Namespace", "status", "missing", "N-12: `getNamespaceStatus` answers it"),
    deviation(
        "log.queryAccessLog",
        "duplicationAvoider",
        "header is false instead of true",
        "X-01: a query changes nothing",
    ),
    deviation(
        "log.queryIssueStampSheetLog",
        "duplicationAvoider",
        "header is false instead of true",
        "X-01: a query changes nothing",
    ),
    deviation(
        "log.queryExecuteStampSheetLog",
        "duplicationAvoider",
        "header is false instead of true",
        "X-01: a query changes nothing",
    ),
    deviation(
        "log.queryExecuteStampTaskLog",
        "duplicationAvoider",
        "header is false instead of true",
        "X-01: a query changes nothing",
    ),
    deviation(
        "log.queryInGameLog",
        "duplicationAvoider",
        "header is false instead of true",
        "X-01: a query changes nothing",
    ),
    deviation(
        "log.queryAccessLogWithTelemetry",
        "duplicationAvoider",
        "header is false instead of true",
        "X-01: a query changes nothing",
    ),
    deviation("log.AccessLog", "requestId", "not in the facts", "LG-02: the facts take it for a header"),
    deviation(
        "log.AccessLogWithTelemetry",
        "requestId",
        "not in the facts",
        "LG-02: the facts take it for a header",
    ),
    deviation("log.InGameLog", "requestId", "not in the facts", "LG-02: the facts take it for a header"),
    deviation(
        "log.getTrace",
        "traceId",
        "maxLength 64 instead of 36",
        "LG-05: a caller's request id has up to 64",
    ),
    deviation(
        "log.Trace",
        "traceId",
        "maxLength 64 instead of 36",
        "LG-05: a caller's request id has up to 64",
    ),
];

/// A difference.
#[derive(Debug)]
struct Finding {
    subject: String,
    field: String,
    what: String,
}

impl Finding {
    fn is_meant_by(&self, deviation: &Deviation) -> bool {
        (deviation.subject == "*" || deviation.subject == self.subject)
            && deviation.field == self.field
            && deviation.what == self.what
    }
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, (subject, field): (&str, &str), what: impl Into<String>) {
        self.0.push(Finding { subject: subject.to_owned(), field: field.to_owned(), what: what.into() });
    }

    /// A finding when ours differs.
    fn differ<T: PartialEq + std::fmt::Display + Copy>(
        &mut self,
        at: (&str, &str),
        what: &str,
        ours: T,
        facts: T,
    ) {
        if ours != facts {
            self.add(at, format!("{what} {ours} instead of {facts}"));
        }
    }
}

#[test]
fn the_table_keeps_to_the_facts() {
    let table = hiroba_api::table();
    let mut findings = Findings::default();
    for service in hiroba_api::SERVICES {
        Comparison::new(&table, service).run(&mut findings);
    }
    let mut report = String::new();
    let unmeant = |finding: &&Finding| !DEVIATIONS.iter().any(|deviation| finding.is_meant_by(deviation));
    for Finding { subject, field, what } in findings.0.iter().filter(unmeant) {
        writeln!(report, "{subject}, {field}: {what}").unwrap();
    }
    let unused = |deviation: &&Deviation| !findings.0.iter().any(|finding| finding.is_meant_by(deviation));
    for Deviation { subject, field, what } in DEVIATIONS.iter().filter(unused) {
        writeln!(report, "{subject}, {field}: nothing differs by `{what}`; take it off the list").unwrap();
    }
    assert!(report.is_empty(), "the table differs from protocol/*.json:\n{report}");
}

#[test]
fn the_comparison_sees_differences() {
    let table = hiroba_api::table();
    let mut comparison = Comparison::new(&table, &hiroba_api::lock::SERVICE);
    let check = |comparison: &Comparison<'_>, expected: &str| {
        let mut findings = Findings::default();
        comparison.run(&mut findings);
        let found = findings.0.iter().any(|finding| format!("{finding:?}").contains(expected));
        assert!(found, "{expected}: {:#?}", findings.0);
    };
    // The facts are bent one by one, as if the declaration were wrong.
    let operation = |facts: &mut Value, name: &str, change: fn(&mut Value)| {
        let operations = facts["operations"].as_array_mut().unwrap();
        change(operations.iter_mut().find(|operation| operation["name"] == name).unwrap());
    };
    operation(&mut comparison.facts, "unlock", |fact| fact["path"] = "/elsewhere".into());
    check(&comparison, "instead of /elsewhere");
    operation(&mut comparison.facts, "unlock", |fact| fact["request"][0]["maxLength"] = 7.into());
    check(&comparison, "maxLength 128 instead of 7");
    operation(&mut comparison.facts, "unlock", |fact| fact["request"][0]["name"] = "other".into());
    check(&comparison, "not in the facts");
    operation(&mut comparison.facts, "lock", |fact| fact["name"] = "grab".into());
    check(&comparison, "no such operation is declared");
    comparison.facts["models"][1]["grn"] = "grn:gs2:x".into();
    check(&comparison, "instead of grn:gs2:x");
    comparison.facts["models"][1]["fields"][0]["type"] = "int".into();
    check(&comparison, "type string instead of int");
}

fn elements<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// Name of a field on the wire.
fn wire_name(fact: &Value) -> &str {
    fact["wireName"].as_str().unwrap_or_else(|| text(fact, "name"))
}

/// Whether current SDKs have the field.
fn is_current(fact: &Value) -> bool {
    fact["notInCurrentSdks"] != Value::Bool(true)
}

/// Whether the field travels as a request field. Headers are compared apart, and some old fields never travelled.
fn travels(fact: &Value) -> bool {
    matches!(text(fact, "in"), "path" | "query" | "body")
}

struct Comparison<'a> {
    service: &'static Service,
    facts: Value,
    rows: Vec<&'a Row>,
}

impl<'a> Comparison<'a> {
    fn new(table: &'a Table, service: &'static Service) -> Comparison<'a> {
        let path = format!("{}/../../protocol/{}.json", env!("CARGO_MANIFEST_DIR"), service.script);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("reading {path}: {error}"));
        let facts = serde_json::from_str(&text).unwrap();
        let rows = table.rows().iter().filter(|row| row.declaration.service.name == service.name).collect();
        Comparison { service, facts, rows }
    }

    fn run(&self, findings: &mut Findings) {
        let service = self.service;
        findings.differ((service.name, "segment"), "is", service.segment, text(&self.facts, "service"));
        findings.differ((service.name, "name"), "is", service.name, text(&self.facts, "webSocketService"));
        // Auth makes no GRNs of its own, so the facts know no segment.
        if let Some(grn) = self.facts["grnService"].as_str() {
            findings.differ((service.name, "grn"), "is", service.grn, grn);
        }
        let operations = elements(&self.facts, "operations");
        for fact in operations {
            let name = text(fact, "name");
            let subject = format!("{}.{name}", service.name);
            match self.rows.iter().find(|row| row.name == name) {
                Some(row) => compare_operation(row, fact, &subject, findings),
                None => findings.add((&subject, ""), "no such operation is declared"),
            }
        }
        for row in &self.rows {
            if !operations.iter().any(|fact| text(fact, "name") == row.name) {
                findings.add((&format!("{}.{}", service.name, row.name), ""), "not in the facts");
            }
        }
        self.compare_models(findings);
    }

    /// Models that requests or answers name, on either side.
    fn compare_models(&self, findings: &mut Findings) {
        let ours = reference::models(self.rows.iter().copied());
        let facts = elements(&self.facts, "models");
        let mut named = BTreeSet::new();
        for operation in elements(&self.facts, "operations") {
            for field in elements(operation, "request").iter().chain(elements(operation, "result")) {
                name_models(text(field, "type"), facts, &mut named);
            }
        }
        for fact in facts.iter().filter(|fact| named.contains(text(fact, "name"))) {
            let name = text(fact, "name");
            let subject = format!("{}.{name}", self.service.name);
            match ours.iter().find(|model| model.name == name) {
                Some(model) => self.compare_model(model, fact, &subject, findings),
                None => findings.add((&subject, ""), "no such model is declared"),
            }
        }
        for model in ours.iter().filter(|model| !named.contains(model.name.as_str())) {
            findings.add((&format!("{}.{}", self.service.name, model.name), ""), "not in the facts");
        }
    }

    fn compare_model(&self, model: &Model, fact: &Value, subject: &str, findings: &mut Findings) {
        let facts: Vec<&Value> = elements(fact, "fields").iter().collect();
        compare_fields(&model.fields, &facts, Direction::Answer, subject, findings);
        let Some(grn) = fact["grn"].as_str() else { return };
        let at = (subject, text(fact, "idField"));
        let component = lower_first(&model.name);
        let region = if self.service.regional { "{region}" } else { "" };
        match self.service.resources.iter().find(|(name, _)| *name == component) {
            Some((_, rest)) => {
                let ours = format!("grn:gs2:{region}:{{ownerId}}:{}:{rest}", self.service.grn);
                findings.differ(at, "GRN is", ours.as_str(), grn);
            }
            None => findings.add(at, format!("`resources` lacks `{component}`: {grn}")),
        }
    }
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

/// Adds the models that a type names, and those that they name.
fn name_models<'f>(kind: &'f str, facts: &'f [Value], named: &mut BTreeSet<&'f str>) {
    let name = kind.strip_prefix("List<").and_then(|rest| rest.strip_suffix('>')).unwrap_or(kind);
    let Some(fact) = facts.iter().find(|fact| text(fact, "name") == name) else { return };
    if named.insert(name) {
        for field in elements(fact, "fields").iter().filter(|field| is_current(field)) {
            name_models(text(field, "type"), facts, named);
        }
    }
}

fn compare_operation(row: &Row, fact: &Value, subject: &str, findings: &mut Findings) {
    let declaration = row.declaration;
    let socket = &fact["websocket"];
    let path = row.path.replace("{*", "{");
    findings.differ((subject, ""), "method is", declaration.method, text(fact, "httpMethod"));
    findings.differ((subject, ""), "path is", path.as_str(), text(fact, "path"));
    findings.differ((subject, ""), "component is", declaration.component, text(socket, "component"));
    findings.differ((subject, ""), "function is", row.name.as_str(), text(socket, "function"));

    let request: Vec<&Value> = elements(fact, "request").iter().filter(|fact| travels(fact)).collect();
    let fields = reference::request_fields(row);
    for field in &fields {
        if let Some(fact) = request.iter().find(|fact| wire_name(fact) == field.info.name) {
            findings.differ((subject, field.info.name), "travels in", field.place.word(), text(fact, "in"));
        }
    }
    let infos: Vec<FieldInfo> = fields.into_iter().map(|field| field.info).collect();
    // What only old SDKs call has nothing but old fields.
    let current = |fields: Vec<&'_ Value>| -> Vec<Value> {
        let retired = text(fact, "status").starts_with("retired");
        let mut fields: Vec<Value> = fields.into_iter().cloned().collect();
        for field in fields.iter_mut().filter(|_| retired) {
            field["notInCurrentSdks"] = false.into();
        }
        fields
    };
    let request = current(request);
    let request: Vec<&Value> = request.iter().collect();
    compare_fields(&infos, &request, Direction::Request, subject, findings);
    compare_headers(row, fact, subject, findings);

    let result = current(elements(fact, "result").iter().collect());
    let result: Vec<&Value> = result.iter().collect();
    compare_fields(&reference::answer_fields(row), &result, Direction::Answer, subject, findings);
}

/// Header fields follow from access level and variant; none is declared.
fn compare_headers(row: &Row, fact: &Value, subject: &str, findings: &mut Findings) {
    let ours = reference::headers(row);
    for header in [reference::ACCESS_TOKEN, reference::DUPLICATION_AVOIDER, reference::TIME_OFFSET_TOKEN] {
        let at = (subject, header.field);
        let ours = ours.iter().find(|ours| ours.name == header.name);
        findings.differ(at, "header is", ours.is_some(), fact["headers"][header.name].is_string());
        let described = elements(fact, "request")
            .iter()
            .find(|fact| text(fact, "in") == "header" && text(fact, "name") == header.field);
        let (Some(ours), Some(fact)) = (ours, described) else { continue };
        if let Some(required) = fact["required"].as_bool() {
            findings.differ(at, "required", ours.required, required);
        }
        if let (Some(ours), Some(max)) = (ours.chars_max, fact["maxLength"].as_u64()) {
            findings.differ(at, "maxLength", ours as u64, max);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Answer,
}

fn compare_fields(
    ours: &[FieldInfo],
    facts: &[&Value],
    direction: Direction,
    subject: &str,
    findings: &mut Findings,
) {
    for fact in facts {
        let name = wire_name(fact);
        match ours.iter().find(|info| info.name == name) {
            Some(info) => compare_field(info, fact, direction, subject, findings),
            None if is_current(fact) => findings.add((subject, name), "missing"),
            None => {}
        }
    }
    for info in ours.iter().filter(|info| !facts.iter().any(|fact| wire_name(fact) == info.name)) {
        findings.add((subject, info.name), "not in the facts");
    }
}

/// Compares what both sides state: a limit that we do not declare or that no source knows is not compared.
fn compare_field(
    info: &FieldInfo,
    fact: &Value,
    direction: Direction,
    subject: &str,
    findings: &mut Findings,
) {
    let at = (subject, info.name);
    let shape = &info.shape;
    if !is_current(fact) {
        findings.add(at, "only old SDKs have it");
    }
    findings.differ(at, "type", shape.kind.notation().as_str(), text(fact, "type"));
    // A required field with a default may be left out: the default stands for it.
    let defaulted = shape.default.is_some() && (fact["default"].is_number() || fact["default"].is_boolean());
    match (fact["required"].as_bool(), direction) {
        (Some(true), _) if !defaulted => findings.differ(at, "required", !shape.optional, true),
        // An answer may hold more than it must.
        (Some(false), Direction::Request) => findings.differ(at, "required", !shape.optional, false),
        _ => {}
    }
    let ours = shape.default.as_deref().and_then(|default| default.parse::<i64>().ok());
    if let (Some(ours), Some(default)) = (ours, fact["default"].as_i64()) {
        findings.differ(at, "default", ours, default);
    }
    let ours = shape.default.as_deref().and_then(|default| default.parse::<bool>().ok());
    if let (Some(ours), Some(default)) = (ours, fact["default"].as_bool()) {
        findings.differ(at, "default", ours, default);
    }
    let (min_word, max_word) = match shape.kind {
        Kind::String => ("minLength", "maxLength"),
        Kind::List(_) => ("minItems", "maxItems"),
        _ => ("min", "max"),
    };
    let Some((min, max)) = shape.range else { return };
    for (word, ours) in [(min_word, min), (max_word, max)] {
        if let Some(limit) = fact[word].as_i64() {
            findings.differ(at, word, ours, limit);
        }
    }
}
