//! Files that the server keeps for its callers: in the data folder, or in a store that speaks S3. A file appears whole under
//! its name or not at all.
//!
//! Errors name no secret; a caller never reads them.

mod folder;
mod s3;

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::Bytes;

use crate::clock::Clock;
use crate::config::Config;
use folder::Folder;
use s3::S3;

/// Where files are kept.
#[derive(Debug)]
pub(crate) struct Files {
    folder: Folder,
    /// In place of the folder, which then holds copies for reading only.
    s3: Option<S3>,
}

impl Files {
    /// Files of a server with these settings. Touches nothing but the data folder yet.
    ///
    /// Fails when the folder cannot be made, or the settings of S3 name no store.
    pub(crate) fn new(config: &Config, clock: Clock) -> anyhow::Result<Files> {
        let folder = Folder::new(config.data_dir.join("user-data"))?;
        Ok(Files { folder, s3: S3::new(config, clock)? })
    }

    /// Whether all nodes see the same files.
    pub(crate) fn is_shared(&self) -> bool {
        self.s3.is_some()
    }

    /// Begins a file, which replaces the one of this name when it is finished, and leaves nothing when it is dropped before.
    pub(crate) async fn create(&self, name: &str) -> io::Result<Writer> {
        match &self.s3 {
            Some(s3) => Ok(Writer::S3(Box::new(s3.create(name)))),
            None => {
                let (folder, name) = (self.folder.clone(), name.to_owned());
                Ok(Writer::Folder(blocking(move || folder.create(&name)).await?))
            }
        }
    }

    /// Opens a file; `None` when there is none of this name.
    pub(crate) async fn open(&self, name: &str) -> io::Result<Option<Reader>> {
        match &self.s3 {
            Some(s3) => Ok(s3.open(name).await?.map(Reader::S3)),
            None => Ok(self.local(name).await?.map(|(file, bytes)| Reader::Folder { file, bytes })),
        }
    }

    /// A file on this machine, to seek in, and its bytes; `None` when there is none of this name.
    pub(crate) async fn local(&self, name: &str) -> io::Result<Option<(File, u64)>> {
        let (folder, named) = (self.folder.clone(), name.to_owned());
        let Some(s3) = &self.s3 else { return blocking(move || folder.open(&named)).await };
        let Some(mut reader) = s3.open(name).await? else { return Ok(None) };
        let mut copy = blocking(move || folder.create(&named)).await?;
        while let Some(bytes) = reader.next().await? {
            copy = blocking(move || copy.write(&bytes).map(|()| copy)).await?;
        }
        blocking(move || copy.into_nameless().map(Some)).await
    }

    /// Removes a file, if there is one of this name.
    pub(crate) async fn delete(&self, name: &str) -> io::Result<()> {
        match &self.s3 {
            Some(s3) => s3.delete(name).await,
            None => {
                let (folder, name) = (self.folder.clone(), name.to_owned());
                blocking(move || folder.delete(&name)).await
            }
        }
    }
}

/// A file that is being written.
pub(crate) enum Writer {
    Folder(folder::Writer),
    S3(Box<s3::Writer>),
}

impl Writer {
    /// Appends to the file.
    pub(crate) async fn write(self, bytes: Bytes) -> io::Result<Writer> {
        if bytes.is_empty() {
            return Ok(self);
        }
        match self {
            Writer::Folder(mut writer) => {
                let write = move || writer.write(&bytes).map(|()| writer);
                Ok(Writer::Folder(blocking(write).await?))
            }
            Writer::S3(mut writer) => {
                writer.write(&bytes).await?;
                Ok(Writer::S3(writer))
            }
        }
    }

    /// Puts the file under its name; it is on disk when this returns.
    pub(crate) async fn finish(self) -> io::Result<()> {
        match self {
            Writer::Folder(writer) => blocking(move || writer.finish()).await,
            Writer::S3(writer) => writer.finish().await,
        }
    }
}

/// A file that is being read.
pub(crate) enum Reader {
    Folder { file: File, bytes: u64 },
    S3(s3::Reader),
}

impl Reader {
    /// Bytes of the whole file.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Reader::Folder { bytes, .. } => *bytes,
            Reader::S3(reader) => reader.bytes(),
        }
    }

    /// The next part; `None` at the end.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match self {
            Reader::Folder { file, .. } => {
                let mut file = file.try_clone()?;
                blocking(move || folder::next(&mut file)).await
            }
            Reader::S3(reader) => reader.next().await,
        }
    }
}

/// Does what waits for a disk on a thread that may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// With the path that failed, which says more to an operator than the system does.
fn at(path: &Path) -> impl Fn(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
