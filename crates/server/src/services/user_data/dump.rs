//! Writing a player's data into a file.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use bytes::Bytes;
use hiroba_store::Tx;

use super::archive::Writer;
use super::manifest::{self, FileInfo, Manifest, file_name};
use super::task::{Ended, Step, patiently};
use super::{Chunk, Data, file_failed, namespace_after, read_chunk};
use crate::cx::Cx;
use crate::error::Error;

/// Time between two words on how far the dump is.
const PROGRESS: Duration = Duration::from_secs(2);
/// Bytes of a file in an archive, after which another one is begun.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Packs lines into an archive.
struct Packer {
    service: &'static str,
    archive: Writer,
    files: Vec<FileInfo>,
    open: Option<Open>,
    file_bytes_max: u64,
}

struct Open {
    info: FileInfo,
    part: u32,
    hash: digest::Context,
}

impl Packer {
    fn new(service: &'static str) -> Packer {
        let (archive, file_bytes_max) = (Writer::new(), FILE_BYTES_MAX);
        Packer { service, archive, files: Vec::new(), open: None, file_bytes_max }
    }

    /// Appends lines to the file of a model.
    fn lines(&mut self, namespace: &str, model: &str, chunk: &Chunk) -> Result<(), Error> {
        for line in &chunk.lines {
            let fits = |open: &Open| {
                open.info.namespace_name == namespace
                    && open.info.model == model
                    && self.archive.expanded() < self.file_bytes_max
            };
            if !self.open.as_ref().is_some_and(fits) {
                self.begin(namespace, model)?;
            }
            let Some(open) = &mut self.open else { continue };
            for bytes in [line.text.as_bytes(), b"\n"] {
                self.archive.write(bytes).map_err(|error| Error::internal("packing user data", error))?;
                open.hash.update(bytes);
                open.info.bytes += bytes.len() as u64;
            }
            open.info.entries += 1;
        }
        Ok(())
    }

    fn begin(&mut self, namespace: &str, model: &str) -> Result<(), Error> {
        let same = |open: &Open| open.info.namespace_name == namespace && open.info.model == model;
        let part = self.open.as_ref().filter(|open| same(open)).map_or(1, |open| open.part + 1);
        self.end();
        let info = FileInfo {
            name: file_name(self.service, namespace, model, part),
            namespace_name: namespace.to_owned(),
            model: model.to_owned(),
            entries: 0,
            bytes: 0,
            sha256: String::new(),
        };
        self.archive.begin(&info.name).map_err(|error| Error::internal("packing user data", error))?;
        self.open = Some(Open { info, part, hash: digest::Context::new(&digest::SHA256) });
        Ok(())
    }

    fn end(&mut self) {
        if let Some(Open { mut info, hash, .. }) = self.open.take() {
            info.sha256 = data_encoding::HEXLOWER.encode(hash.finish().as_ref());
            self.files.push(info);
        }
    }

    /// Ends the archive with its manifest: its last bytes.
    fn finish(mut self, mut manifest: Manifest) -> Result<Bytes, Error> {
        self.end();
        manifest.files = self.files;
        let failed = |error| Error::internal("packing user data", error);
        let text = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| Error::internal("writing a manifest", error))?;
        self.archive.begin(manifest::NAME).map_err(failed)?;
        self.archive.write(&text).map_err(failed)?;
        self.archive.finish().map(Bytes::from).map_err(failed)
    }
}

/// Does the packing, which computes much, on a thread for that.
async fn pack<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let packed = tokio::task::spawn_blocking(work).await;
    packed.map_err(|error| Error::internal("packing user data", error))?
}

/// Dumps what a service holds of a player. The file is there whole, or the one of the dump before.
pub(super) async fn run(cx: Arc<Cx>, data: Data, step: Step) -> Result<Ended, Error> {
    let user = step.which.user.clone();
    let mut file = cx.core.files.create(&step.which.file(cx.owner())).await.map_err(file_failed)?;
    let mut packer = Packer::new(data.service.name);
    let (mut namespace, mut told) = (String::new(), Instant::now());
    while let Some(next) = namespace_after(&cx, data.service, &namespace).await? {
        namespace = next;
        for model in data.models {
            let mut after = Some(String::new());
            while let Some(place) = after {
                step.goes_on()?;
                let mut chunk = read_chunk(&cx, model, &namespace, &user, &place).await?;
                after = chunk.next.take();
                step.add(chunk.lines.len() as u64);
                if !chunk.lines.is_empty() {
                    let of = namespace.clone();
                    let work = move || {
                        packer.lines(&of, model.name, &chunk)?;
                        let bytes = packer.archive.take();
                        Ok((packer, bytes))
                    };
                    let (packed, bytes) = pack(work).await?;
                    packer = packed;
                    file = file.write(bytes.into()).await.map_err(file_failed)?;
                }
                if told.elapsed() > PROGRESS {
                    told = Instant::now();
                    let telling = step.clone();
                    patiently(&cx.core.store, move |tx: &mut Tx<'_>| telling.advance(tx)).await?;
                }
            }
        }
    }
    let manifest = Manifest {
        format: manifest::FORMAT.to_owned(),
        version: manifest::VERSION,
        service: data.service.name.to_owned(),
        region: cx.project.region.clone(),
        owner_id: cx.owner().to_owned(),
        user_id: user.to_string(),
        created_at: cx.now.0,
        files: Vec::new(),
    };
    let bytes = pack(move || packer.finish(manifest)).await?;
    file = file.write(bytes).await.map_err(file_failed)?;
    // A node whose lease ended must not replace the file of the one that took over.
    patiently(&cx.core.store, move |tx: &mut Tx<'_>| step.advance(tx)).await?;
    file.finish().await.map_err(file_failed)?;
    Ok(Ended::Done)
}
