//! Files in a folder: written under another name, synced, then renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use anyhow::Context;
use bytes::Bytes;

use super::at;
use crate::entropy::random_bytes;

/// Ends the names of files that are not finished.
const UNFINISHED: &str = ".part";
/// Bytes that are read at once.
const CHUNK_BYTES: u64 = 128 << 10;

/// A folder whose files only this server's user can read.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes the folder, and removes what a killed server left unfinished there.
    pub(super) fn new(path: PathBuf) -> anyhow::Result<Folder> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.with_context(|| format!("making the folder {}", path.display()))?;
        let entries = fs::read_dir(&path).with_context(|| format!("reading {}", path.display()))?;
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().ends_with(UNFINISHED)
                && let Err(error) = fs::remove_file(entry.path())
            {
                tracing::warn!(%error, path = %entry.path().display(), "an unfinished file stays");
            }
        }
        Ok(Folder { path })
    }

    pub(super) fn create(&self, name: &str) -> io::Result<Writer> {
        let random = data_encoding::HEXLOWER.encode(&random_bytes()[..8]);
        let (to, from) = (self.path.join(name), self.path.join(format!("{name}.{random}{UNFINISHED}")));
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create_new(true).mode(0o600).open(&from).map_err(at(&from))?;
        Ok(Writer { folder: self.path.clone(), file, from: Some(from), to })
    }

    /// A file and its bytes.
    pub(super) fn open(&self, name: &str) -> io::Result<Option<(File, u64)>> {
        let path = self.path.join(name);
        match File::open(&path) {
            Ok(file) => {
                let bytes = file.metadata().map_err(at(&path))?.len();
                Ok(Some((file, bytes)))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(&path)(error)),
        }
    }

    pub(super) fn delete(&self, name: &str) -> io::Result<()> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(at(&path)(error)),
            _ => Ok(()),
        }
    }
}

/// Reads on in a file.
pub(super) fn next(file: &mut File) -> io::Result<Option<Bytes>> {
    let mut bytes = Vec::new();
    file.take(CHUNK_BYTES).read_to_end(&mut bytes)?;
    Ok(if bytes.is_empty() { None } else { Some(bytes.into()) })
}

/// A file that is being written; removed when it is dropped unfinished.
pub(crate) struct Writer {
    folder: PathBuf,
    file: File,
    /// Where it is until it is finished.
    from: Option<PathBuf>,
    to: PathBuf,
}

impl Writer {
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).map_err(at(&self.to))
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.file.sync_all().map_err(at(&self.to))?;
        if let Some(from) = &self.from {
            fs::rename(from, &self.to).map_err(at(&self.to))?;
        }
        self.from = None;
        // The name, too, must survive a loss of power.
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(at(&self.folder))
    }

    /// The file itself, which has no name any more and vanishes when it is closed.
    pub(super) fn into_nameless(mut self) -> io::Result<(File, u64)> {
        self.file.flush()?;
        let bytes = self.file.seek(SeekFrom::End(0))?;
        self.file.rewind()?;
        let file = self.file.try_clone()?;
        drop(self);
        Ok((file, bytes))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(from) = &self.from
            && let Err(error) = fs::remove_file(from)
        {
            tracing::warn!(%error, path = %from.display(), "an unfinished file stays until the next start");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let path = std::env::temp_dir().join(format!("hiroba-folder-{}", std::process::id()));
        let folder = Folder::new(path.clone()).unwrap();
        let mut writer = folder.create("a").unwrap();
        writer.write(b"first").unwrap();
        assert!(folder.open("a").unwrap().is_none());
        drop(writer);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);

        for content in ["one", "two"] {
            let mut writer = folder.create("a").unwrap();
            writer.write(content.as_bytes()).unwrap();
            writer.finish().unwrap();
            let (mut file, bytes) = folder.open("a").unwrap().unwrap();
            assert_eq!((next(&mut file).unwrap(), bytes), (Some(content.into()), 3));
            assert_eq!(next(&mut file).unwrap(), None);
        }
        fs::write(path.join("b.0.part"), "left by a killed server").unwrap();
        let folder = Folder::new(path.clone()).unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
        folder.delete("a").unwrap();
        folder.delete("a").unwrap();
        fs::remove_dir(path).unwrap();
    }
}
