//! Taking a dump into a player's data: the whole file is checked before anything changes (BEHAVIOUR U-04, U-05).

use std::fs::File;
use std::sync::Arc;

use aws_lc_rs::digest;
use hiroba_api::contract::Fields;
use hiroba_api::error::ApiError;
use hiroba_store::{Tx, params};
use serde_json::Value;
use tokio::sync::mpsc::{self, Sender};

use super::archive::{Archive, Content, Entry, Fault};
use super::log::Log;
use super::manifest::{self, FileInfo, Manifest};
use super::task::{Ended, Step, patiently, upload_file};
use super::{Data, MODEL, Model, Place, Taken, file_failed};
use crate::cx::Cx;
use crate::error::Error;
use crate::json::values_at_most;
use crate::services::namespaces;

/// Bytes of a line: the longest texts of the protocol fit, also when every character of theirs is escaped.
const LINE_BYTES_MAX: usize = 64 << 20;
/// JSON values of a line; each takes many times the bytes of its text.
const LINE_VALUES_MAX: usize = 100_000;
/// How many times the bytes of the largest upload an archive may have when it is expanded.
const EXPANSION_MAX: u64 = 16;
/// Mistakes that are told of one file.
const PROBLEMS_MAX: usize = 100;
/// Lines that one transaction takes in, and their bytes.
const BATCH_LINES: usize = 200;
const BATCH_BYTES: usize = 1 << 20;
/// Lines between two looks at whether the server stops.
const LOOK_LINES: u64 = 256;

/// An archive that was checked.
struct Checked {
    archive: Archive,
    files: Vec<(FileInfo, Entry, &'static Model)>,
}

/// Why an archive is not taken in.
enum Refusal {
    /// Sentences for whoever sent it.
    Problems(Vec<String>),
    Failed(Error),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        match fault {
            Fault::Archive(problem) => Refusal::Problems(vec![problem]),
            Fault::Io(error) => Refusal::Failed(file_failed(error)),
        }
    }
}

fn refuse<T>(problem: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Problems(vec![problem.into()]))
}

/// Does what reads and computes much on a thread that may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::internal("reading user data", error))
}

/// Takes the file in that was uploaded; keeps a log of it in any case.
pub(super) async fn run(cx: Arc<Cx>, data: Data, step: Step) -> Result<Ended, Error> {
    let which = &step.which;
    let mut log = Log::default();
    log.line(&format!("import into service {} for player `{}`", data.service.name, which.user));
    let upload = upload_file(&which.token_hash);
    let outcome = match cx.core.files.local(&upload).await.map_err(file_failed)? {
        Some((file, bytes)) => take(&cx, data, &step, (file, bytes), &mut log).await,
        None => {
            let elsewhere = if cx.core.files.is_shared() {
                ""
            } else {
                ", or was uploaded to another node: several nodes need a store that all reach (`--s3-url`)"
            };
            Err(Refusal::Problems(vec![format!(
                "nothing has been uploaded under `uploadToken`{elsewhere}; PUT the file to the `uploadUrl` first"
            )]))
        }
    };
    let refused = match outcome {
        Ok(()) => None,
        Err(Refusal::Failed(error)) => return Err(error),
        Err(Refusal::Problems(problems)) => {
            log.line("refused; nothing was changed");
            problems.iter().for_each(|problem| log.line(problem));
            let more = problems.len().saturating_sub(1);
            let rest = if more > 0 { format!(" (and {more} more: see the log)") } else { String::new() };
            let problem = problems.into_iter().next().unwrap_or_default();
            let problem: String = problem.chars().take(1000).collect();
            let detail = format!("the file is not taken in, and nothing was changed: {problem}{rest}");
            let service = data.service.name;
            Some(ApiError::bad_request(service, MODEL, "uploadToken", "invalid", detail))
        }
    };
    let file = cx.core.files.create(&which.file(cx.owner())).await.map_err(file_failed)?;
    let file = file.write(log.finish().into()).await.map_err(file_failed)?;
    file.finish().await.map_err(file_failed)?;
    match refused {
        Some(error) => Err(error.into()),
        None => Ok(Ended::Done),
    }
}

async fn take(
    cx: &Arc<Cx>,
    data: Data,
    step: &Step,
    (file, bytes): (File, u64),
    log: &mut Log,
) -> Result<(), Refusal> {
    let (checking, looking) = (Arc::clone(cx), step.clone());
    let check = move || check(&checking, data, &looking, file);
    let (manifest, checked) = blocking(check).await.map_err(Refusal::Failed)??;
    log.line(&format!(
        "file of {bytes} bytes: dump of player `{}` of owner `{}` in region `{}`, made at {}",
        manifest.user_id, manifest.owner_id, manifest.region, manifest.created_at
    ));
    let Checked { mut archive, files } = checked;
    for (info, entry, model) in files {
        let applied = apply(cx, data, step, (archive, entry), (&info, model), log).await;
        let (taken, rest) = applied.map_err(Refusal::Failed)?;
        archive = rest;
        log.line(&format!("{}: {} entries: {taken}", info.name, info.entries));
    }
    log.line("done");
    Ok(())
}

/// Reads the archive from its beginning to its end, and changes nothing.
fn check(cx: &Cx, data: Data, step: &Step, file: File) -> Result<(Manifest, Checked), Refusal> {
    let mut archive = Archive::open(file)?;
    let Some(entry) = archive.entry(manifest::NAME).cloned() else {
        return refuse(format!("the archive has no `{}`: it is no dump of this server", manifest::NAME));
    };
    let text = match archive.read(&entry)?.whole(manifest::BYTES_MAX) {
        Err(Fault::Archive(problem)) => return refuse(format!("`{}`: {problem}", manifest::NAME)),
        read => read?,
    };
    let manifest: Manifest = match serde_json::from_slice(&text) {
        Ok(manifest) => manifest,
        Err(error) => {
            let place = format!("line {} column {}", error.line(), error.column());
            return refuse(format!("`{}` is not what a dump has there: {place}", manifest::NAME));
        }
    };
    if manifest.format != manifest::FORMAT || manifest.version != manifest::VERSION {
        let (format, version) = (&manifest.format, manifest.version);
        return refuse(format!(
            "the dump has format `{format:.40}` version {version}; this server takes `{}` version {}",
            manifest::FORMAT,
            manifest::VERSION
        ));
    }
    if manifest.service != data.service.name {
        let (theirs, ours) = (&manifest.service, data.service.name);
        return refuse(format!("the dump is of service `{theirs:.40}`; this call takes those of `{ours}`"));
    }
    let expanded: u64 = archive.entries().iter().map(|entry| entry.expanded).sum();
    let expanded_max = cx.core.user_data.upload_bytes_max.saturating_mul(EXPANSION_MAX);
    if expanded > expanded_max {
        return refuse(format!(
            "the archive has {expanded} bytes when it is expanded; at most {expanded_max} are taken"
        ));
    }
    if archive.entries().len() != manifest.files.len() + 1 {
        return refuse(format!(
            "the archive has files that `{}` does not name, or lacks some",
            manifest::NAME
        ));
    }
    step.total(manifest.files.iter().fold(0_u64, |total, file| total.saturating_add(file.entries)));
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    for info in &manifest.files {
        let Some(entry) = archive.entry(&info.name).cloned() else {
            problems.push(format!("`{:.200}` is named by `{}` but not there", info.name, manifest::NAME));
            continue;
        };
        let Some(model) = data.models.iter().find(|model| model.name == info.model) else {
            problems.push(format!("{}: this service has no model `{:.40}`", info.name, info.model));
            continue;
        };
        match check_file(cx, step, &mut archive, (info, &entry, model)) {
            Ok(()) => files.push((info.clone(), entry, model)),
            Err(Refusal::Problems(more)) => problems.extend(more),
            Err(failed) => return Err(failed),
        }
        if problems.len() >= PROBLEMS_MAX {
            break;
        }
    }
    if !problems.is_empty() {
        return Err(Refusal::Problems(problems));
    }
    // Models in the order in which each finds what it belongs to, whatever the archive's is.
    let order = |model: &Model| data.models.iter().position(|other| other.name == model.name);
    files.sort_by(|(a, _, of_a), (b, _, of_b)| {
        (&a.namespace_name, order(of_a)).cmp(&(&b.namespace_name, order(of_b)))
    });
    Ok((manifest, Checked { archive, files }))
}

/// Reads a file of the archive line by line, and says what is wrong with it.
fn check_file(
    cx: &Cx,
    step: &Step,
    archive: &mut Archive,
    (info, entry, model): (&FileInfo, &Entry, &Model),
) -> Result<(), Refusal> {
    let (mut problems, mut hash, mut bytes) = (Vec::new(), digest::Context::new(&digest::SHA256), 0);
    let mut content = archive.read(entry)?;
    loop {
        let line = match content.line(LINE_BYTES_MAX) {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(Fault::Archive(problem)) => {
                problems.push(format!("{} behind line {}: {problem}", info.name, content.number()));
                return Err(Refusal::Problems(problems));
            }
            Err(fault) => return Err(fault.into()),
        };
        if content.number() % LOOK_LINES == 0 {
            step.goes_on().map_err(Refusal::Failed)?;
        }
        bytes += line.len() as u64 + 1;
        hash.update(&line);
        hash.update(b"\n");
        if let Err(problem) = parse(&line).and_then(|line| (model.check)(cx, &line)) {
            problems.push(format!("{} line {}: {problem}", info.name, content.number()));
            if problems.len() >= PROBLEMS_MAX {
                return Err(Refusal::Problems(problems));
            }
        }
    }
    let sum = data_encoding::HEXLOWER.encode(hash.finish().as_ref());
    if (content.number(), bytes, &sum) != (info.entries, info.bytes, &info.sha256) {
        problems.push(format!(
            "{}: has {} lines, {bytes} bytes and SHA-256 {sum}, but `{}` says {} lines, {} bytes and {:.64}",
            info.name,
            content.number(),
            manifest::NAME,
            info.entries,
            info.bytes,
            info.sha256
        ));
    }
    if problems.is_empty() { Ok(()) } else { Err(Refusal::Problems(problems)) }
}

/// A line as an object.
fn parse(line: &[u8]) -> Result<Fields, String> {
    if values_at_most(line, LINE_VALUES_MAX) > LINE_VALUES_MAX {
        return Err(format!("holds more than {LINE_VALUES_MAX} JSON values"));
    }
    match serde_json::from_slice::<Value>(line) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("is no JSON object".to_owned()),
        // The error's own text may quote the line.
        Err(error) => Err(format!("is no JSON object (error at column {})", error.column())),
    }
}

/// Some lines of a file, and the number of the first.
struct Batch {
    first: u64,
    lines: Vec<Fields>,
}

/// Reads a file of an archive, until nobody takes more of it.
fn read(archive: &mut Archive, entry: &Entry, batches: &Sender<Batch>) -> Result<(), Error> {
    let failed = |fault| Error::internal("reading user data", fault);
    let mut content = archive.read(entry).map_err(failed)?;
    loop {
        let batch = batch(&mut content)?;
        if batch.lines.is_empty() || batches.blocking_send(batch).is_err() {
            return Ok(());
        }
    }
}

fn batch(content: &mut Content<'_>) -> Result<Batch, Error> {
    let (first, mut lines, mut bytes) = (content.number() + 1, Vec::new(), 0);
    while lines.len() < BATCH_LINES && bytes < BATCH_BYTES {
        let line =
            content.line(LINE_BYTES_MAX).map_err(|error| Error::internal("reading user data", error))?;
        let Some(line) = line else { break };
        bytes += line.len();
        // It was checked before, and the file is this task's own.
        lines.push(parse(&line).map_err(|problem| Error::internal("reading user data", problem))?);
    }
    Ok(Batch { first, lines })
}

/// How many entries of a file were taken in.
#[derive(Debug, Default)]
struct Counts {
    added: u64,
    there: u64,
    left: u64,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Counts { added, there, left } = self;
        write!(formatter, "{added} added, {there} there already, {left} left out")
    }
}

/// Takes a file's lines in, some in one transaction; gives the archive back.
async fn apply(
    cx: &Arc<Cx>,
    data: Data,
    step: &Step,
    (mut archive, entry): (Archive, Entry),
    (info, model): (&FileInfo, &'static Model),
    log: &mut Log,
) -> Result<(Counts, Archive), Error> {
    let mut counts = Counts::default();
    // A file is read on one thread from its beginning to its end, which waits for the transactions.
    let (sender, mut batches) = mpsc::channel(1);
    let reading = tokio::task::spawn_blocking(move || read(&mut archive, &entry, &sender).map(|()| archive));
    while let Some(Batch { first, lines }) = batches.recv().await {
        step.goes_on()?;
        let (taking, advancing, namespace) = (Arc::clone(cx), step.clone(), info.namespace_name.clone());
        let count = lines.len() as u64;
        let take = move |tx: &mut Tx<'_>| {
            taking.entropy.restart();
            advancing.advance(tx)?;
            let params = params![taking.owner(), data.service.name, &namespace];
            let there = tx.query_opt(namespaces::sql::SELECT_NAMESPACE, params, |row| row.text(0))?;
            if there.is_none() {
                return Ok(None);
            }
            let place = Place { namespace: &namespace, user: &advancing.which.user };
            (model.import)(tx, &taking, place, &lines).map(Some)
        };
        let Some(taken) = patiently(&cx.core.store, take).await? else {
            log.line(&format!(
                "{}: left out, since there is no namespace `{}`",
                info.name, info.namespace_name
            ));
            let left = info.entries.saturating_sub(first - 1);
            step.add(left);
            counts.left += left;
            break;
        };
        for (number, taken) in (first..).zip(taken) {
            match taken {
                Taken::Added => counts.added += 1,
                Taken::There => counts.there += 1,
                Taken::Left(reason) => {
                    counts.left += 1;
                    log.detail(&info.name, number, &format!("left out: {reason}"));
                }
            }
        }
        step.add(count);
    }
    drop(batches);
    let archive = reading.await.map_err(|error| Error::internal("reading user data", error))??;
    Ok((counts, archive))
}
