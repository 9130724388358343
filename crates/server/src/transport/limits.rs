//! Every limit of the transports, with its value.

use std::time::Duration;

/// Bytes of a request body on the wire, and of a socket message (BEHAVIOUR T-28).
pub(super) const BODY_BYTES_MAX: usize = 8 << 20;
/// Bytes of an upload, also after decompression: 5,242,880 characters, of which some may have several bytes.
pub(super) const UPLOAD_BYTES_MAX: usize = 8 << 20;
/// Bytes of a request body after decompression: the largest field has 5,242,880 characters of up to four bytes.
pub(super) const DECOMPRESSED_BYTES_MAX: usize = 24 << 20;
/// Files of user data that are uploaded at once.
pub(super) const DATA_UPLOADS_MAX: usize = 16;
/// Time without a byte of such a file after which it is given up.
pub(super) const DATA_PART_TIME: Duration = Duration::from_secs(30);
/// Time for such a file as a whole.
pub(super) const DATA_TIME: Duration = Duration::from_secs(3600);
/// Above this size a body needs one of [`LARGE_BODIES_MAX`] places, so that memory stays bounded.
pub(super) const SMALL_BODY_BYTES: usize = 256 << 10;
/// Large bodies in memory at once.
pub(super) const LARGE_BODIES_MAX: usize = 8;
/// Large socket messages that arrive at once; those who send half of one keep no body waiting.
pub(super) const LARGE_MESSAGES_MAX: usize = 8;
/// JSON values in one request: a parsed value takes many times the bytes of its text.
pub(super) const JSON_VALUES_MAX: usize = 100_000;
/// Time for a whole request head, and of an idle kept-alive connection.
pub(super) const HEADER_TIME: Duration = Duration::from_secs(15);
/// Time for a whole request body, and for the rest of a large socket message; waiting for a place is not counted.
pub(super) const BODY_TIME: Duration = Duration::from_secs(30);
/// Time for the TLS handshake.
pub(super) const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Bytes of a request's URL; the HTTP library refuses 65,535 and more with a bare 414.
pub(super) const URL_BYTES_MAX: usize = 60_000;
/// Bytes from which an answer is worth compressing.
pub(super) const GZIP_BYTES_MIN: usize = 1024;
/// Read buffer of a socket: most of what an idle one costs.
pub(super) const READ_BUFFER_BYTES: usize = 4 << 10;
/// Calls in flight on one socket; further messages wait unread.
pub(super) const SOCKET_CALLS_MAX: usize = 256;
/// Time that a peer may take to read what is sent to it.
pub(super) const SEND_TIME: Duration = Duration::from_secs(30);
/// Bytes of frames that are written to a socket at once.
pub(super) const WRITE_BUFFER_BYTES: usize = 16 << 10;
/// Time that the close frame gets when the peer did not read what came before it.
pub(super) const LAST_WORD_TIME: Duration = Duration::from_millis(500);
/// Time that calls get to be answered on a socket that is closed.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(2);
/// Time that running calls get when the server stops.
pub(super) const STOP_TIME: Duration = Duration::from_secs(20);
