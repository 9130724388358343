//! The stream under HTTP and the socket: gives up a peer that does not read, and bounds the memory of half-sent messages.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Sleep;

use super::limits::{BODY_TIME, LARGE_MESSAGES_MAX, SEND_TIME, SMALL_BODY_BYTES};

/// A message that is larger than most holds one of these until it is whole.
static LARGE_MESSAGES: Semaphore = Semaphore::const_new(LARGE_MESSAGES_MAX);

/// Bytes of a control frame from a client besides its payload: head and mask (RFC 6455, 5.2).
const CONTROL_FRAME_BYTES: usize = 6;

type Place = Option<SemaphorePermit<'static>>;

/// Counts the bytes of the socket message that is arriving. A large one needs one of the places for large messages, is
/// not read on until it has it, and gives it up when the rest takes too long.
#[derive(Default)]
pub(super) struct Meter {
    active: AtomicBool,
    bytes: AtomicUsize,
    place: Mutex<Place>,
}

impl Meter {
    /// HTTP has ended and messages begin.
    pub(super) fn start(&self) {
        self.active.store(true, Ordering::Relaxed);
    }

    /// A whole message arrived.
    pub(super) fn message(&self) {
        self.bytes.store(0, Ordering::Relaxed);
        *self.place.lock() = None;
    }

    /// A control frame arrived, perhaps between two parts of a message, which it does not end.
    pub(super) fn control(&self, payload: usize) {
        let frame = payload + CONTROL_FRAME_BYTES;
        // The closure always gives a value, so that the update cannot fail.
        let _ = self
            .bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bytes| Some(bytes.saturating_sub(frame)));
    }

    fn is_large(&self) -> bool {
        self.active.load(Ordering::Relaxed) && self.bytes.load(Ordering::Relaxed) > SMALL_BODY_BYTES
    }
}

/// A connection's stream.
pub(super) struct Stream<T> {
    inner: T,
    meter: Arc<Meter>,
    waiting: Option<Pin<Box<dyn Future<Output = Place> + Send>>>,
    /// When the rest of a large message must have arrived.
    overdue: Option<Pin<Box<Sleep>>>,
    /// When a write that the peer keeps waiting is given up.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<T> Stream<T> {
    pub(super) fn new(inner: T, meter: Arc<Meter>) -> Stream<T> {
        Stream { inner, meter, waiting: None, overdue: None, stalled: None }
    }

    /// Waits for the place of a large message, and bounds the time in which it may keep it.
    fn poll_large(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.meter.place.lock().is_none() {
            // The semaphore is never closed, so that waiting for it cannot fail.
            let waiting =
                self.waiting.get_or_insert_with(|| Box::pin(async { LARGE_MESSAGES.acquire().await.ok() }));
            let place = ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
            *self.meter.place.lock() = place;
            self.overdue = None;
        }
        let overdue = self.overdue.get_or_insert_with(|| Box::pin(tokio::time::sleep(BODY_TIME)));
        if overdue.as_mut().poll(cx).is_ready() {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the rest of a large message did not arrive");
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(()))
    }

    /// Bounds the time of a write that is not taken.
    fn in_time<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(SEND_TIME)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Stream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.meter.is_large() {
            ready!(self.poll_large(cx))?;
        } else {
            self.overdue = None;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.meter.bytes.fetch_add(buffer.filled().len() - before, Ordering::Relaxed);
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Stream<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.in_time(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.in_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.in_time(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.in_time(cx, shut)
    }
}
