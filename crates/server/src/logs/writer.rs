//! The task that writes what was recorded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Builder, Chunk, Entry, Kind, Logs, Place, Queued, TEXT_BYTES_MAX, store};
use crate::error::Error;
use crate::pipeline::Core;

/// How long an entry waits for others to be written with.
const PAUSE: Duration = Duration::from_millis(250);
/// Chunks that one transaction adds.
const CHUNKS_MAX: usize = 4;
/// How often a write is tried, and how long it waits in between.
const ATTEMPTS: u32 = 3;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(300);
/// Time for what waits when the server stops.
const STOP_TIME: Duration = Duration::from_secs(10);

/// Writes until `stop` says so, then what still waits.
pub(crate) async fn run(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    let logs = &core.logs;
    loop {
        tokio::select! {
            () = logs.filled.notified() => {}
            _ = stop.changed() => break,
        }
        tokio::select! {
            () = logs.urgent.notified() => {}
            () = tokio::time::sleep(PAUSE) => {}
            _ = stop.changed() => break,
        }
        write(&core).await;
    }
    if tokio::time::timeout(STOP_TIME, write(&core)).await.is_err() {
        tracing::warn!("the last logs could not be written before the server stopped");
    }
}

/// Writes all that waits.
async fn write(core: &Arc<Core>) {
    let (waiting, total) = {
        let mut queue = core.logs.queue.lock();
        queue.bytes = 0;
        (std::mem::take(&mut queue.waiting), queue.total)
    };
    if !waiting.is_empty() {
        let building = Arc::clone(core);
        // Compression takes milliseconds, which other tasks should not wait for.
        match tokio::task::spawn_blocking(move || build(&building.logs, waiting)).await {
            Ok(chunks) => keep(core, chunks).await,
            Err(error) => tracing::error!(%error, "making chunks of logs failed"),
        }
    }
    core.logs.settled.send_replace(total);
}

/// A chunk and where it belongs.
type Built = (Place, Kind, Chunk);

/// Makes chunks of entries, each Log namespace's and kind's apart.
fn build(logs: &Logs, mut waiting: Vec<Queued>) -> Vec<Built> {
    waiting.sort_by_key(|queued| queued.at);
    let mut builders: BTreeMap<(Place, Kind), Builder> = BTreeMap::new();
    for queued in waiting {
        let Queued { place, kind, service, request, result, list, action, .. } = queued;
        let request = kept(logs, service, request);
        let result = kept(logs, service, result);
        let list: Vec<String> = list.into_iter().map(|text| kept(logs, service, text)).collect();
        let entry = Entry {
            at: queued.at,
            duration: queued.duration,
            status: queued.status,
            id: queued.trace.id.as_deref().unwrap_or_default(),
            source: queued.trace.source.as_deref().unwrap_or_default(),
            root: queued.trace.root.as_deref().unwrap_or_default(),
            service,
            method: &queued.method,
            namespace: &queued.namespace,
            user: queued.user.as_deref().unwrap_or_default(),
            action: &action,
            request: &request,
            result: &result,
            list: list.iter().map(|text| (text.as_str(), "")).collect(),
        };
        builders.entry((place, kind)).or_default().push(&entry);
    }
    let chunks = |((place, kind), builder): ((Place, Kind), Builder)| {
        builder.finish().into_iter().map(move |chunk| (place.clone(), kind, chunk))
    };
    builders.into_iter().flat_map(chunks).collect()
}

/// What is kept of a text: no secrets, and not more than [`TEXT_BYTES_MAX`].
fn kept(logs: &Logs, service: &str, text: String) -> String {
    let mut text = logs.mask.text(service, text);
    if text.len() > TEXT_BYTES_MAX {
        let end = (0..=TEXT_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}

async fn keep(core: &Arc<Core>, chunks: Vec<Built>) {
    let mut chunks = chunks.into_iter().peekable();
    while chunks.peek().is_some() {
        let batch: Arc<Vec<Built>> = Arc::new(chunks.by_ref().take(CHUNKS_MAX).collect());
        let mut attempt = 1;
        loop {
            let adding = Arc::clone(&batch);
            let add = move |tx: &mut hiroba_store::Tx<'_>| {
                let mut there = Vec::with_capacity(adding.len());
                for ((owner, namespace), kind, chunk) in adding.iter() {
                    there.push(store::add(tx, (owner, namespace), *kind, chunk)?);
                }
                Ok::<_, Error>(there)
            };
            match core.store.write(add).await {
                Ok(there) => {
                    count(&core.logs, &batch, &there);
                    break;
                }
                Err(_) if attempt < ATTEMPTS => {
                    attempt += 1;
                    tokio::time::sleep(ATTEMPT_PAUSE).await;
                }
                Err(error) => {
                    let entries: usize = batch.iter().map(|(_, _, chunk)| chunk.entries).sum();
                    tracing::warn!(entries, %error, "logs could not be written and are lost");
                    core.logs.metrics.drop("store", entries as u64);
                    break;
                }
            }
        }
    }
}

fn count(logs: &Logs, batch: &[Built], there: &[bool]) {
    for ((_, _, chunk), there) in batch.iter().zip(there) {
        if *there {
            logs.metrics.chunks.inc();
            logs.metrics.written.inc_by(chunk.entries as u64);
            logs.metrics.bytes.inc_by(chunk.body.len() as u64);
        } else {
            logs.metrics.drop("namespace", chunk.entries as u64);
        }
    }
}
