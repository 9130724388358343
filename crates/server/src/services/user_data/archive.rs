//! The zip files of user data: written as a stream, read strictly.
//!
//! Whoever uploads a file may have made it to harm. So the reader takes one kind of archive only, holds no more of it than its
//! directory, whose size it bounds before it reads it, and believes no length that it has not counted.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};

use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

const LOCAL_HEADER: u32 = 0x0403_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;
const DIRECTORY_HEADER: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const LOCAL_HEADER_BYTES: usize = 30;
const DIRECTORY_HEADER_BYTES: usize = 46;
const END_BYTES: u64 = 22;
/// Version 2.0: deflate.
const VERSION: u16 = 20;
/// Sizes follow the data; names are UTF-8.
const FLAGS: u16 = 1 << 3 | 1 << 11;
const ENCRYPTED: u16 = 1;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// 1980-01-01, since the archive itself says when it was made.
const DATE: u16 = 0x0021;
/// Bytes of the directory of an archive that is read: enough for [`ENTRIES_MAX`] names of usual length.
const DIRECTORY_BYTES_MAX: u64 = 8 << 20;
/// Entries of an archive.
pub(super) const ENTRIES_MAX: usize = 30_000;
/// Bytes of an entry's name: service, namespace and model.
const NAME_BYTES_MAX: usize = 512;
/// Sizes and offsets that the format without its extension for larger files can say.
const SIZE_MAX: u64 = u32::MAX as u64 - 1;

/// Why an archive cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The archive is none, or not of this kind: a sentence for whoever made it.
    #[error("{0}")]
    Archive(String),
    /// The file itself failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

fn damaged<T>(detail: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Archive(detail.into()))
}

/// An entry as the directory names it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Its name; never used as a path.
    pub(super) name: String,
    /// Bytes when it is expanded, as the archive says.
    pub(super) expanded: u64,
    method: u16,
    crc: u32,
    compressed: u64,
    offset: u64,
}

/// Writes an archive, whose bytes are taken from it as they come.
#[derive(Debug, Default)]
pub(super) struct Writer {
    out: Vec<u8>,
    /// Bytes before `out`.
    taken: u64,
    entries: Vec<Entry>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    entry: Entry,
    crc: Crc,
    encoder: DeflateEncoder<Vec<u8>>,
}

impl Writer {
    fn offset(&self) -> u64 {
        self.taken + self.out.len() as u64
    }

    /// Begins an entry; ends the one before.
    pub(super) fn begin(&mut self, name: &str) -> Result<(), Fault> {
        self.end()?;
        let offset = self.offset();
        if offset > SIZE_MAX || self.entries.len() >= ENTRIES_MAX {
            return damaged(format!(
                "the data takes more than {SIZE_MAX} bytes or {ENTRIES_MAX} files: too much for one archive"
            ));
        }
        let length = name.len() as u16;
        self.put(&[&LOCAL_HEADER.to_le_bytes(), &head(DEFLATED), &[0; 12], &length.to_le_bytes(), &[0; 2]]);
        self.put(&[name.as_bytes()]);
        let entry =
            Entry { name: name.to_owned(), expanded: 0, method: DEFLATED, crc: 0, compressed: 0, offset };
        let encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        self.open = Some(Open { entry, crc: Crc::new(), encoder });
        Ok(())
    }

    /// Bytes that the entry that was begun has so far.
    pub(super) fn expanded(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.entry.expanded)
    }

    /// Writes to the entry that was begun.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let Some(open) = &mut self.open else { return damaged("nothing was begun") };
        open.crc.update(bytes);
        open.entry.expanded += bytes.len() as u64;
        if open.entry.expanded > SIZE_MAX {
            return damaged(format!("a file has more than {SIZE_MAX} bytes"));
        }
        open.encoder.write_all(bytes)?;
        self.out.append(open.encoder.get_mut());
        Ok(())
    }

    /// Ends the entry that was begun, if one was.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        let Some(Open { mut entry, crc, mut encoder }) = self.open.take() else { return Ok(()) };
        encoder.try_finish()?;
        entry.compressed = encoder.total_out();
        entry.crc = crc.sum();
        self.out.append(encoder.get_mut());
        let sizes = [entry.compressed, entry.expanded].map(|size| (size as u32).to_le_bytes());
        self.put(&[&DESCRIPTOR.to_le_bytes(), &entry.crc.to_le_bytes(), &sizes[0], &sizes[1]]);
        self.entries.push(entry);
        Ok(())
    }

    /// Ends the archive.
    pub(super) fn finish(&mut self) -> Result<(), Fault> {
        self.end()?;
        let start = self.offset();
        if start > SIZE_MAX {
            return damaged(format!("the data takes more than {SIZE_MAX} bytes: too much for one archive"));
        }
        let entries = std::mem::take(&mut self.entries);
        let count = (entries.len() as u16).to_le_bytes();
        for entry in entries {
            let sizes =
                [entry.compressed, entry.expanded, entry.offset].map(|size| (size as u32).to_le_bytes());
            let length = (entry.name.len() as u16).to_le_bytes();
            self.put(&[&DIRECTORY_HEADER.to_le_bytes(), &VERSION.to_le_bytes(), &head(DEFLATED)]);
            self.put(&[&entry.crc.to_le_bytes(), &sizes[0], &sizes[1], &length, &[0; 12], &sizes[2]]);
            self.put(&[entry.name.as_bytes()]);
        }
        let size = (self.offset() - start) as u32;
        self.put(&[&END.to_le_bytes(), &[0; 4], &count, &count]);
        self.put(&[&size.to_le_bytes(), &(start as u32).to_le_bytes(), &[0; 2]]);
        Ok(())
    }

    /// Takes the bytes that were written since the last time.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.taken += self.out.len() as u64;
        std::mem::take(&mut self.out)
    }

    fn put(&mut self, parts: &[&[u8]]) {
        parts.iter().for_each(|part| self.out.extend_from_slice(part));
    }
}

/// Version, flags, method, time and date.
fn head(method: u16) -> [u8; 10] {
    let mut head = [0; 10];
    for (place, word) in head.chunks_exact_mut(2).zip([VERSION, FLAGS, method, 0, DATE]) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    head
}

fn word(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
}

fn double(bytes: &[u8], at: usize) -> u32 {
    u32::from(word(bytes, at)) | u32::from(word(bytes, at + 2)) << 16
}

/// An archive that is read. Its file must not change meanwhile.
#[derive(Debug)]
pub(super) struct Archive {
    file: File,
    entries: Vec<Entry>,
}

impl Archive {
    /// Reads the directory.
    pub(super) fn open(mut file: File) -> Result<Archive, Fault> {
        let length = file.seek(SeekFrom::End(0))?;
        let Some(end_at) = length.checked_sub(END_BYTES) else {
            return damaged("the file is no zip archive: it is too short for one");
        };
        let mut end = [0; END_BYTES as usize];
        file.seek(SeekFrom::Start(end_at))?;
        file.read_exact(&mut end)?;
        if double(&end, 0) != END {
            return damaged(
                "the file is no whole zip archive: its last 22 bytes are not the end of one; it may have been cut off",
            );
        }
        let (count, size, start) = (word(&end, 10), double(&end, 12), double(&end, 16));
        let (size, start) = (u64::from(size), u64::from(start));
        let in_parts = word(&end, 4) != 0 || word(&end, 6) != 0 || word(&end, 8) != count;
        if in_parts || word(&end, 20) != 0 || start + size != end_at {
            return damaged(
                "the zip archive is in parts, has a comment, or uses the extension for large files",
            );
        }
        if usize::from(count) > ENTRIES_MAX || size > DIRECTORY_BYTES_MAX {
            return damaged(format!(
                "the zip archive has more than {ENTRIES_MAX} entries, or a directory of more than \
                 {DIRECTORY_BYTES_MAX} bytes"
            ));
        }
        let mut directory = vec![0; size as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut directory)?;
        let mut archive = Archive { file, entries: Vec::new() };
        let (mut rest, mut names) = (directory.as_slice(), HashSet::new());
        for _ in 0..count {
            let (entry, next) = directory_entry(rest, start)?;
            rest = next;
            if !names.insert(entry.name.clone()) {
                return damaged(format!("the zip archive has two entries named `{}`", entry.name));
            }
            // Folders have no content.
            if !entry.name.ends_with('/') {
                archive.entries.push(entry);
            }
        }
        if !rest.is_empty() {
            return damaged("the directory of the zip archive is longer than its entries");
        }
        Ok(archive)
    }

    /// The entry of this name.
    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// Every entry, in the order of the directory.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The content of an entry.
    pub(super) fn read(&self, entry: &Entry) -> Result<Content, Fault> {
        let mut file = self.file.try_clone()?;
        let mut local = [0; LOCAL_HEADER_BYTES];
        file.seek(SeekFrom::Start(entry.offset))?;
        let read = file.read_exact(&mut local);
        if read.is_err() || double(&local, 0) != LOCAL_HEADER || word(&local, 8) != entry.method {
            return damaged(format!("`{}` is not where the directory of the zip archive says", entry.name));
        }
        let skip = i64::from(word(&local, 26)) + i64::from(word(&local, 28));
        file.seek(SeekFrom::Current(skip))?;
        let data = BufReader::with_capacity(32 << 10, file.take(entry.compressed));
        let source: Box<dyn Read + Send> =
            if entry.method == DEFLATED { Box::new(DeflateDecoder::new(data)) } else { Box::new(data) };
        let checked = Checked { source, crc: Crc::new(), count: 0, entry: entry.clone() };
        Ok(Content { lines: BufReader::with_capacity(64 << 10, checked), number: 0 })
    }
}

/// One entry of a directory whose archive's entries lie before `end`, and the rest of the directory.
fn directory_entry(bytes: &[u8], end: u64) -> Result<(Entry, &[u8]), Fault> {
    let whole = bytes.split_at_checked(DIRECTORY_HEADER_BYTES);
    let Some((header, rest)) = whole.filter(|(header, _)| double(header, 0) == DIRECTORY_HEADER) else {
        return damaged("the directory of the zip archive is damaged");
    };
    let (name, extra, comment) = (word(header, 28), word(header, 30), word(header, 32));
    let split = rest.split_at_checked(usize::from(name));
    let (name, rest) =
        split.ok_or_else(|| Fault::Archive("the directory of the zip archive is cut off".into()))?;
    let Some(rest) = rest.get(usize::from(extra) + usize::from(comment)..) else {
        return damaged("the directory of the zip archive is cut off");
    };
    let name = match std::str::from_utf8(name) {
        Ok(text) if text.len() <= NAME_BYTES_MAX && !text.contains(char::is_control) => text.to_owned(),
        _ => {
            return damaged(format!(
                "the zip archive has a name that is no text of at most {NAME_BYTES_MAX} bytes"
            ));
        }
    };
    let method = word(header, 10);
    if !matches!(method, STORED | DEFLATED) || word(header, 8) & ENCRYPTED != 0 {
        return damaged(format!("`{name}` is encrypted, or compressed in another way than with deflate"));
    }
    let entry = Entry {
        expanded: u64::from(double(header, 24)),
        method,
        crc: double(header, 16),
        compressed: u64::from(double(header, 20)),
        offset: u64::from(double(header, 42)),
        name,
    };
    let fits = entry.offset.saturating_add(LOCAL_HEADER_BYTES as u64).saturating_add(entry.compressed) <= end;
    if !fits || entry.expanded > SIZE_MAX {
        return damaged(format!("`{}` is not where the directory of the zip archive says", entry.name));
    }
    Ok((entry, rest))
}

/// What an entry holds. At its end length and checksum have been compared.
pub(super) struct Content {
    lines: BufReader<Checked>,
    /// Lines that were read.
    number: u64,
}

struct Checked {
    source: Box<dyn Read + Send>,
    crc: Crc,
    count: u64,
    entry: Entry,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let invalid = |detail: String| std::io::Error::new(ErrorKind::InvalidData, detail);
        let name = &self.entry.name;
        let read = self.source.read(buffer).map_err(|error| match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                invalid(format!("`{name}` cannot be expanded: its compressed data are damaged"))
            }
            _ => error,
        })?;
        self.crc.update(&buffer[..read]);
        self.count += read as u64;
        let whole = self.count == self.entry.expanded && self.crc.sum() == self.entry.crc;
        if self.count > self.entry.expanded || (read == 0 && !buffer.is_empty() && !whole) {
            return Err(invalid(format!(
                "`{name}` is damaged: its length or checksum is not what the archive says"
            )));
        }
        Ok(read)
    }
}

impl Content {
    /// The next line, without its end; `None` at the end.
    ///
    /// Fails when it has more than `bytes_max` bytes.
    pub(super) fn line(&mut self, bytes_max: usize) -> Result<Option<Vec<u8>>, Fault> {
        let mut line = Vec::new();
        let read = (&mut self.lines).take(bytes_max as u64 + 1).read_until(b'\n', &mut line);
        match read {
            Ok(0) => return Ok(None),
            Ok(_) => self.number += 1,
            Err(error) if error.kind() == ErrorKind::InvalidData => return damaged(error.to_string()),
            Err(error) => return Err(error.into()),
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() > bytes_max {
            return damaged(format!("line {} has more than {bytes_max} bytes", self.number));
        }
        Ok(Some(line))
    }

    /// Number of the line that was read last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Everything, when it is at most `bytes_max` bytes.
    pub(super) fn whole(mut self, bytes_max: usize) -> Result<Vec<u8>, Fault> {
        let mut whole = Vec::new();
        match (&mut self.lines).take(bytes_max as u64 + 1).read_to_end(&mut whole) {
            Ok(_) if whole.len() > bytes_max => damaged(format!("it has more than {bytes_max} bytes")),
            Ok(_) => Ok(whole),
            Err(error) if error.kind() == ErrorKind::InvalidData => damaged(error.to_string()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// A file of these bytes that has no name.
    fn file(bytes: &[u8]) -> File {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("hiroba-archive-{}-{number}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        file
    }

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut writer, mut bytes) = (Writer::default(), Vec::new());
        for (name, content) in files {
            writer.begin(name).unwrap();
            for part in content.chunks(1000) {
                writer.write(part).unwrap();
                bytes.append(&mut writer.take());
            }
        }
        writer.finish().unwrap();
        bytes.append(&mut writer.take());
        bytes
    }

    fn read_all(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Fault> {
        let archive = Archive::open(file(bytes))?;
        let read = |entry: &Entry| Ok((entry.name.clone(), archive.read(entry)?.whole(1 << 20)?));
        archive.entries().iter().map(read).collect()
    }

    #[test]
    fn what_is_cut_off_or_changed_is_refused() {
        let text = "a line\n".repeat(500);
        let whole = archive(&[("a/b.jsonl", text.as_bytes()), ("c", b"")]);
        assert_eq!(read_all(&whole).unwrap().len(), 2);
        for length in 0..whole.len() {
            assert!(read_all(&whole[..length]).is_err(), "{length} bytes");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x41;
            // What the reader does not look at may change: versions, dates, the descriptors behind the data.
            if let Ok(files) = read_all(&changed) {
                let contents: Vec<&[u8]> = files.iter().map(|(_, content)| content.as_slice()).collect();
                assert_eq!(contents, [text.as_bytes(), b""], "byte {at}");
            }
        }
        assert!(read_all(&[whole.as_slice(), b"x"].concat()).is_err());
    }

    #[test]
    fn a_line_that_is_too_long_is_refused() {
        let bytes = archive(&[("a", b"1234\n\n12345\n1")]);
        let archive = Archive::open(file(&bytes)).unwrap();
        let mut content = archive.read(&archive.entries()[0]).unwrap();
        assert_eq!(content.line(4).unwrap(), Some(b"1234".to_vec()));
        assert_eq!(content.line(4).unwrap(), Some(Vec::new()));
        let problem = content.line(4).unwrap_err().to_string();
        assert!(problem.contains("line 3") && problem.contains("4 bytes"), "{problem}");
        let mut content = archive.read(&archive.entries()[0]).unwrap();
        let lines: Vec<_> = std::iter::from_fn(|| content.line(5).unwrap()).collect();
        assert_eq!(lines, [b"1234".to_vec(), Vec::new(), b"12345".to_vec(), b"1".to_vec()]);
        assert_eq!(content.number(), 4);
    }

    #[test]
    fn an_entry_never_expands_beyond_what_it_says() {
        let bomb = vec![0; 1 << 20];
        let mut bytes = archive(&[("a", &bomb)]);
        // The directory says that it has one byte.
        let at = bytes.len() - 22 - 1 - 46 + 24;
        bytes[at..at + 4].copy_from_slice(&1_u32.to_le_bytes());
        let archive = Archive::open(file(&bytes)).unwrap();
        assert_eq!(archive.entries()[0].expanded, 1);
        let problem = archive.read(&archive.entries()[0]).unwrap().whole(1 << 30).unwrap_err().to_string();
        assert!(problem.contains("is damaged"), "{problem}");
    }

    proptest! {
        #[test]
        fn anything_goes_round(files in vec(("[a-z]{1,5}", vec(any::<u8>(), 0..3000)), 0..5)) {
            let mut names = HashSet::new();
            let files: Vec<_> = files.into_iter().filter(|(name, _)| names.insert(name.clone())).collect();
            let given: Vec<(&str, &[u8])> =
                files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
            prop_assert_eq!(read_all(&archive(&given)).unwrap(), files);
        }

        #[test]
        fn other_bytes_are_harmless(mut bytes in vec(any::<u8>(), 0..200), start in 0..200_u32) {
            let _ = read_all(&bytes);
            // With the end of an archive, so that the directory is looked at.
            let size = bytes.len() as u32;
            bytes.extend_from_slice(&END.to_le_bytes());
            bytes.extend_from_slice(&[0, 0, 0, 0, 1, 0, 1, 0]);
            bytes.extend_from_slice(&size.saturating_sub(start).to_le_bytes());
            bytes.extend_from_slice(&start.min(size).to_le_bytes());
            bytes.extend_from_slice(&[0, 0]);
            let _ = read_all(&bytes);
        }
    }
}
