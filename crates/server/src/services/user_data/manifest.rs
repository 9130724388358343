//! What stands in an archive of user data, and what its files are called (BEHAVIOUR U-08). `docs/user-data.md` describes it.

use serde::{Deserialize, Serialize};

/// What the manifest of every archive says.
pub(super) const FORMAT: &str = "hiroba-user-data";
/// Version of the format that this program writes and reads.
pub(super) const VERSION: u32 = 1;
/// Name of the manifest.
pub(super) const NAME: &str = "manifest.json";
/// Bytes of a manifest: enough for as many files as an archive may have.
pub(super) const BYTES_MAX: usize = 16 << 20;

/// What an archive holds, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    pub(super) format: String,
    pub(super) version: u32,
    pub(super) service: String,
    pub(super) region: String,
    pub(super) owner_id: String,
    pub(super) user_id: String,
    /// When the dump began, in milliseconds since 1970.
    pub(super) created_at: i64,
    pub(super) files: Vec<FileInfo>,
}

/// A file of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileInfo {
    pub(super) name: String,
    pub(super) namespace_name: String,
    pub(super) model: String,
    /// Lines.
    pub(super) entries: u64,
    pub(super) bytes: u64,
    /// SHA-256 in hexadecimal digits.
    pub(super) sha256: String,
}

/// Name of a file. A model's data have a further file when they are more than one can hold.
pub(super) fn file_name(service: &str, namespace: &str, model: &str, part: u32) -> String {
    // A namespace may have a name that leads out of a folder: whoever unpacks the archive must not be led.
    let namespace = match namespace {
        "." => "%2E",
        ".." => "%2E%2E",
        other => other,
    };
    match part {
        1 => format!("{service}/{namespace}/{model}.jsonl"),
        _ => format!("{service}/{namespace}/{model}-{part}.jsonl"),
    }
}
