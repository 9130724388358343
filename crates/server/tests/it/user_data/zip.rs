//! Zip archives for tests, read and written without the server's own code.

use std::io::{Read, Write};

use flate2::Crc;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

fn number(bytes: &[u8], at: usize, length: usize) -> usize {
    bytes[at..at + length].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// The files of an archive, in the order of its directory.
pub(super) fn unzip(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let end = bytes.len() - 22;
    assert_eq!(&bytes[end..end + 4], b"PK\x05\x06");
    let (count, mut at) = (number(bytes, end + 10, 2), number(bytes, end + 16, 4));
    let mut files = Vec::new();
    for _ in 0..count {
        assert_eq!(&bytes[at..at + 4], b"PK\x01\x02");
        let (method, length) = (number(bytes, at + 10, 2), number(bytes, at + 28, 2));
        let (compressed, local) = (number(bytes, at + 20, 4), number(bytes, at + 42, 4));
        let name = String::from_utf8(bytes[at + 46..at + 46 + length].to_vec()).unwrap();
        let data = local + 30 + number(bytes, local + 26, 2) + number(bytes, local + 28, 2);
        let data = &bytes[data..data + compressed];
        let mut content = Vec::new();
        match method {
            0 => content.extend_from_slice(data),
            _ => drop(DeflateDecoder::new(data).read_to_end(&mut content).unwrap()),
        }
        assert_eq!(content.len(), number(bytes, at + 24, 4));
        files.push((name, content));
        at += 46 + length + number(bytes, at + 30, 2) + number(bytes, at + 32, 2);
    }
    files
}

/// An archive of these files, compressed or not.
pub(super) fn zip(files: &[(String, Vec<u8>)], compressed: bool) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let mut crc = Crc::new();
        crc.update(content);
        let data = if compressed {
            let mut encoder = DeflateEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        } else {
            content.clone()
        };
        let word = |number: usize| (number as u16).to_le_bytes();
        let double = |number: usize| (number as u32).to_le_bytes();
        let offset = bytes.len();
        let head = [
            &word(20)[..],
            &word(0),
            &word(if compressed { 8 } else { 0 }),
            &double(0),
            &crc.sum().to_le_bytes(),
            &double(data.len()),
            &double(content.len()),
            &word(name.len()),
            &word(0),
        ]
        .concat();
        bytes.extend([&b"PK\x03\x04"[..], &head, name.as_bytes(), &data].concat());
        let tail = [&word(0)[..], &word(0), &word(0), &double(0), &double(offset), name.as_bytes()].concat();
        directory.extend([&b"PK\x01\x02"[..], &word(20), &head, &tail].concat());
    }
    let start = bytes.len();
    bytes.append(&mut directory);
    let size = bytes.len() - start;
    let (count, size, start) =
        ((files.len() as u16).to_le_bytes(), (size as u32).to_le_bytes(), (start as u32).to_le_bytes());
    bytes.extend([&b"PK\x05\x06"[..], &[0; 4], &count, &count, &size, &start, &[0; 2]].concat());
    bytes
}
