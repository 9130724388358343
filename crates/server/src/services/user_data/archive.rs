//! The zip files of user data: written as a stream, read strictly.
//!
//! Whoever uploads a file may have made it to harm. The crate reads an archive's directory whole, so its size is bounded before
//! that; then one kind of archive only is taken, and no length believed that was not counted.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use zip::read::{ArchiveOffset, Config, ZipFile};
use zip::result::ZipError;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipArchive, ZipReadOptions, ZipWriter};

const DIRECTORY_HEADER: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const DIRECTORY_HEADER_BYTES: usize = 46;
const END_BYTES: u64 = 22;
/// Bytes of the directory of an archive that is read: enough for [`ENTRIES_MAX`] names of usual length.
const DIRECTORY_BYTES_MAX: u64 = 8 << 20;
/// Entries of an archive.
pub(super) const ENTRIES_MAX: usize = 30_000;
/// Bytes of an entry's name: service, namespace and model.
const NAME_BYTES_MAX: usize = 512;
/// Bytes of an entry's extra fields, such as times and users; the crate keeps many times their bytes.
const EXTRA_BYTES_MAX: usize = 128;
/// Sizes and offsets that the format without its extension for larger files can say.
const SIZE_MAX: u64 = u32::MAX as u64 - 1;
/// The fastest: a caller waits for the dump.
const LEVEL: i64 = 1;

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

/// What went wrong with this part of an archive.
fn fault(what: &str, error: ZipError) -> Fault {
    match error {
        ZipError::Io(error) => match error.kind() {
            // What the crate and the decoder say of bytes that they cannot read; a file fails with other kinds.
            ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                Fault::Archive(format!("{what} is damaged: {error}"))
            }
            _ => Fault::Io(error),
        },
        error => Fault::Archive(format!("{what} is damaged: {error}")),
    }
}

/// An entry as the directory names it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Its name; never used as a path.
    pub(super) name: String,
    /// Bytes when it is expanded, as the archive says.
    pub(super) expanded: u64,
    index: usize,
}

/// What was written of an archive.
#[derive(Debug, Default)]
struct Out {
    bytes: Vec<u8>,
    /// Bytes before them.
    taken: u64,
}

/// Where the crate writes to, and we take from.
#[derive(Debug, Clone, Default)]
struct Sink(Arc<Mutex<Out>>);

impl Sink {
    fn offset(&self) -> u64 {
        let out = self.0.lock();
        out.taken + out.bytes.len() as u64
    }

    fn take(&self) -> Vec<u8> {
        let mut out = self.0.lock();
        out.taken += out.bytes.len() as u64;
        std::mem::take(&mut out.bytes)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Without the extension for larger files, which the reader does not take.
fn fits(sink: &Sink, entries: usize) -> Result<(), Fault> {
    if sink.offset() > SIZE_MAX || entries > ENTRIES_MAX {
        return damaged(format!(
            "the data takes more than {SIZE_MAX} bytes or {ENTRIES_MAX} files: too much for one archive"
        ));
    }
    Ok(())
}

/// Writes an archive, whose bytes are taken from it as they come.
#[derive(Debug)]
pub(super) struct Writer {
    zip: ZipWriter<StreamWriter<Sink>>,
    sink: Sink,
    entries: usize,
    expanded: u64,
}

impl Writer {
    pub(super) fn new() -> Writer {
        let sink = Sink::default();
        Writer { zip: ZipWriter::new_stream(sink.clone()), sink, entries: 0, expanded: 0 }
    }

    /// Begins an entry; ends the one before.
    pub(super) fn begin(&mut self, name: &str) -> Result<(), Fault> {
        fits(&self.sink, self.entries + 1)?;
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(LEVEL));
        self.zip.start_file(name, options).map_err(|error| fault(name, error))?;
        (self.entries, self.expanded) = (self.entries + 1, 0);
        Ok(())
    }

    /// Bytes that the entry that was begun has so far.
    pub(super) fn expanded(&self) -> u64 {
        self.expanded
    }

    /// Writes to the entry that was begun.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.zip.write_all(bytes)?;
        self.expanded += bytes.len() as u64;
        Ok(())
    }

    /// Takes the bytes that were written since the last time.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.sink.take()
    }

    /// Ends the archive: its last bytes.
    pub(super) fn finish(self) -> Result<Vec<u8>, Fault> {
        let Writer { zip, sink, .. } = self;
        zip.finish().map_err(|error| fault("the archive", error))?;
        fits(&sink, 0)?;
        Ok(sink.take())
    }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
}

fn double(bytes: &[u8], at: usize) -> u32 {
    u32::from(word(bytes, at)) | u32::from(word(bytes, at + 2)) << 16
}

/// Refuses a file whose directory is no plain one of bounded size, right before the end of the file.
///
/// <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>, 4.3.12 and 4.3.16.
fn check_directory(file: &mut File) -> Result<(), Fault> {
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
    if in_parts || word(&end, 20) != 0 || start + size != end_at || start > SIZE_MAX {
        return damaged("the zip archive is in parts, has a comment, or uses the extension for large files");
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
    let mut rest = directory.as_slice();
    for _ in 0..count {
        let header =
            rest.get(..DIRECTORY_HEADER_BYTES).filter(|header| double(header, 0) == DIRECTORY_HEADER);
        let Some(header) = header else { return damaged("the directory of the zip archive is damaged") };
        let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(word(header, at)));
        if name > NAME_BYTES_MAX || extra > EXTRA_BYTES_MAX {
            return damaged(format!(
                "the zip archive has a name of more than {NAME_BYTES_MAX} bytes, or more than \
                 {EXTRA_BYTES_MAX} bytes of extra fields of one entry"
            ));
        }
        let Some(next) = rest.get(DIRECTORY_HEADER_BYTES + name + extra + comment..) else {
            return damaged("the directory of the zip archive is cut off");
        };
        rest = next;
    }
    if !rest.is_empty() {
        return damaged("the directory of the zip archive is longer than its entries");
    }
    Ok(())
}

/// An archive that is read. Its file must not change meanwhile.
#[derive(Debug)]
pub(super) struct Archive {
    zip: ZipArchive<BufReader<File>>,
    /// In the order of their indices.
    entries: Vec<Entry>,
}

impl Archive {
    /// Reads the directory.
    pub(super) fn open(mut file: File) -> Result<Archive, Fault> {
        check_directory(&mut file)?;
        let whole = |error| fault("the zip archive", error);
        // The directory is where its end says, and nowhere else.
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let mut zip = ZipArchive::with_config(config, BufReader::new(file)).map_err(whole)?;
        if zip.has_duplicate_names() {
            return damaged("the zip archive has two entries of one name");
        }
        if zip.has_overlapping_entries().map_err(whole)? {
            return damaged(
                "the zip archive has entries that share bytes with others, or with its directory",
            );
        }
        let (metadata, mut entries) = (zip.metadata(), Vec::new());
        for index in 0..metadata.len() {
            let entry = metadata.entry(index).map_err(whole)?;
            let name = match std::str::from_utf8(entry.name_raw()) {
                Ok(text) if text.len() <= NAME_BYTES_MAX && !text.contains(char::is_control) => {
                    text.to_owned()
                }
                _ => {
                    return damaged(format!(
                        "the zip archive has a name that is no text of at most {NAME_BYTES_MAX} bytes"
                    ));
                }
            };
            let method = entry.compression();
            let known = matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated);
            if !known || entry.encrypted() {
                return damaged(format!(
                    "`{name}` is encrypted, or compressed in another way than with deflate"
                ));
            }
            if entry.size() > SIZE_MAX {
                return damaged(format!("`{name}` uses the extension for large files"));
            }
            // Folders have no content.
            if !name.ends_with('/') {
                entries.push(Entry { name, expanded: entry.size(), index });
            }
        }
        Ok(Archive { zip, entries })
    }

    /// The entry of this name.
    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        let index = self.zip.index_for_name_raw(name.as_bytes())?;
        let place = self.entries.binary_search_by_key(&index, |entry| entry.index).ok()?;
        self.entries.get(place)
    }

    /// Every entry, in the order of the directory.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The content of an entry.
    pub(super) fn read(&mut self, entry: &Entry) -> Result<Content<'_>, Fault> {
        let what = format!("`{}`", entry.name);
        // Both headers of an entry must agree, so that no two programs read two archives out of one file.
        let options = ZipReadOptions::new().enforce_header_consistency(true);
        let file =
            self.zip.by_index_with_options(entry.index, options).map_err(|error| fault(&what, error))?;
        let lines = BufReader::with_capacity(64 << 10, file);
        Ok(Content { lines, what, number: 0, left: entry.expanded })
    }
}

/// What an entry holds. At its end length and checksum have been compared.
pub(super) struct Content<'a> {
    lines: BufReader<ZipFile<'a, BufReader<File>>>,
    /// The entry, in a sentence.
    what: String,
    /// Lines that were read.
    number: u64,
    /// Bytes that are to come, as the archive says; the crate lets no more pass.
    left: u64,
}

impl Content<'_> {
    /// Takes account of what was read, and of the end when that was nothing.
    fn count(&mut self, read: std::io::Result<usize>) -> Result<usize, Fault> {
        let read = read.map_err(|error| fault(&self.what, ZipError::Io(error)))?;
        self.left = self.left.saturating_sub(read as u64);
        if read == 0 && self.left > 0 {
            return damaged(format!("{} is damaged: it is shorter than the archive says", self.what));
        }
        Ok(read)
    }

    /// The next line, without its end; `None` at the end.
    ///
    /// Fails when it has more than `bytes_max` bytes.
    pub(super) fn line(&mut self, bytes_max: usize) -> Result<Option<Vec<u8>>, Fault> {
        let mut line = Vec::new();
        let read = (&mut self.lines).take(bytes_max as u64 + 1).read_until(b'\n', &mut line);
        if self.count(read)? == 0 {
            return Ok(None);
        }
        self.number += 1;
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
        let read = (&mut self.lines).take(bytes_max as u64 + 1).read_to_end(&mut whole);
        if self.count(read)? > bytes_max {
            return damaged(format!("it has more than {bytes_max} bytes"));
        }
        self.count(Ok(0))?;
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

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
        let (mut writer, mut bytes) = (Writer::new(), Vec::new());
        for (name, content) in files {
            writer.begin(name).unwrap();
            for part in content.chunks(1000) {
                writer.write(part).unwrap();
                bytes.append(&mut writer.take());
            }
        }
        bytes.append(&mut writer.finish().unwrap());
        bytes
    }

    fn read_all(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Fault> {
        let mut archive = Archive::open(file(bytes))?;
        let entries = archive.entries().to_vec();
        let read = |entry: Entry| {
            let content = archive.read(&entry)?.whole(1 << 20)?;
            Ok((entry.name, content))
        };
        entries.into_iter().map(read).collect()
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
        let mut archive = Archive::open(file(&bytes)).unwrap();
        let entry = archive.entries()[0].clone();
        let mut content = archive.read(&entry).unwrap();
        assert_eq!(content.line(4).unwrap(), Some(b"1234".to_vec()));
        assert_eq!(content.line(4).unwrap(), Some(Vec::new()));
        let problem = content.line(4).unwrap_err().to_string();
        assert!(problem.contains("line 3") && problem.contains("4 bytes"), "{problem}");
        drop(content);
        let mut content = archive.read(&entry).unwrap();
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
        let mut archive = Archive::open(file(&bytes)).unwrap();
        let entry = archive.entries()[0].clone();
        assert_eq!(entry.expanded, 1);
        let problem =
            archive.read(&entry).and_then(|content| content.whole(1 << 30)).unwrap_err().to_string();
        assert!(problem.contains("is damaged"), "{problem}");
    }

    #[test]
    fn one_kind_of_archive_is_taken() {
        let whole = archive(&[("a", b"first"), ("b", b"second")]);
        let end = whole.len() - 22;
        // The headers of the directory, whose names have one byte.
        let (first, second) = (end - 2 * 47, end - 47);
        #[track_caller]
        fn check(whole: &[u8], changes: &[(usize, &[u8])], expected: &str) {
            let mut changed = whole.to_vec();
            for (at, bytes) in changes {
                changed[*at..*at + bytes.len()].copy_from_slice(bytes);
            }
            let problem = read_all(&changed).unwrap_err().to_string();
            assert!(problem.contains(expected), "{problem}");
        }
        assert_eq!(read_all(&whole).unwrap().len(), 2);
        let encrypted = [whole[first + 8] | 1];
        check(&whole, &[(first + 8, &encrypted), (6, &encrypted)], "`a` is encrypted");
        check(&whole, &[(first + 10, &[12]), (8, &[12])], "compressed in another way");
        check(&whole, &[(first + 46, b"b")], "two entries");
        check(&whole, &[(first + 46, b"\n")], "no text");
        check(&whole, &[(first + 46, b"c")], "`c` is damaged");
        check(&whole, &[(second + 42, &[0; 4])], "share bytes");
        check(&whole, &[(second + 20, &[200])], "share bytes");
        check(&whole, &[(first + 30, &[200])], "extra fields");
        check(&whole, &[(first + 29, &[3])], "a name of more than 512 bytes");
        check(&whole, &[(first + 32, &[47])], "is damaged");
        check(&whole, &[(end + 8, &[1, 0, 1, 0])], "longer than its entries");
        check(&whole, &[(end + 8, &[3, 0, 3, 0])], "is damaged");
        check(&whole, &[(end + 8, &[0xff; 4])], "more than 30000 entries");
        check(&whole, &[(end + 16, &[0xff; 4])], "extension for large files");
        check(&whole, &[(end + 4, &[1])], "in parts");
        check(&whole, &[(end + 20, &[1])], "has a comment");
        // An end that is no longer the last one counts for nothing.
        check(&[&whole, &whole[end..]].concat(), &[], "extension for large files");
    }

    #[test]
    fn an_entry_is_no_shorter_than_it_says() {
        let mut bytes = archive(&[("a", b"text\n")]);
        let size = bytes.len() - 22 - 47 + 24;
        bytes[size] += 1;
        // The descriptor behind the data agrees.
        let descriptor = bytes.len() - 22 - 47 - 4;
        bytes[descriptor] += 1;
        let problem = read_all(&bytes).unwrap_err().to_string();
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
