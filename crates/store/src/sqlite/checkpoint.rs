//! Copies the write-ahead log back into the database, away from the writer.
//!
//! A passive checkpoint runs beside the writer, but under constant load it never catches up with it, and only a log
//! that was copied to its end can be begun anew. When the log has grown past a limit the writer is held between two
//! batches while the rest, which is little after the passive checkpoint, is copied. A writer that outruns even that
//! waits for the checkpoint thread.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use rusqlite::Connection;

/// New pages in the log that make a passive checkpoint worth its syncs: 4 MiB.
const CHECKPOINT_PAGES: u32 = 1_000;
/// Pages in the log past which the writer is held for a moment: 64 MiB.
const LOG_PAGES_MAX: u32 = 16_000;
/// Pages in the log past which the writer waits for each checkpoint: 96 MiB. The log stays below this and one batch,
/// unless a reader keeps an old snapshot.
const LOG_PAGES_HELD: u32 = LOG_PAGES_MAX + LOG_PAGES_MAX / 2;
/// Pages past which the log's file is also cut: 128 MiB.
const LOG_FILE_PAGES_MAX: u32 = 2 * LOG_PAGES_MAX;
/// The writer waits for one checkpoint at most so long: a disk that hangs is for the commit to notice.
const CHECKPOINT_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long a held writer waits for readers that still use the log; then the log grows on, and it is tried again
/// after the next `CHECKPOINT_PAGES`.
const READERS_WAIT: Duration = Duration::from_millis(50);

/// What the writer and the checkpoint thread share.
pub(crate) struct Checkpoints {
    /// Held by the writer during a batch, and by the checkpoint thread while it holds the writer.
    gate: Mutex<()>,
    state: Mutex<State>,
    changed: Condvar,
    done: Condvar,
}

#[derive(Default)]
struct State {
    wanted: bool,
    stopped: bool,
    /// Pages in the log when the last checkpoint ended.
    seen: u32,
    /// Checkpoints that have ended.
    count: u64,
}

/// How far a checkpoint came.
#[derive(Debug, PartialEq, Eq)]
struct Progress {
    log: u32,
    copied: u32,
}

impl Checkpoints {
    pub(crate) fn new() -> Self {
        Self {
            gate: Mutex::new(()),
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
            done: Condvar::new(),
        }
    }

    /// Runs one batch of the writer, before or after a checkpoint that must not overlap with it.
    pub(crate) fn while_writing(&self, batch: impl FnOnce()) {
        let gate = self.gate.lock();
        batch();
        // Fair: the checkpoint thread gets its turn though the writer asks again at once.
        MutexGuard::unlock_fair(gate);
    }

    /// Tells of a commit after which the log has this many pages. Waits when they are far too many.
    pub(crate) fn written(&self, log_pages: u32) {
        if log_pages < CHECKPOINT_PAGES {
            return;
        }
        let mut state = self.state.lock();
        // Fewer than were there: the log was begun anew.
        let grown = log_pages.checked_sub(state.seen).unwrap_or(log_pages);
        if grown < CHECKPOINT_PAGES {
            return;
        }
        state.wanted = true;
        self.changed.notify_one();
        let (count, until) = (state.count, Instant::now() + CHECKPOINT_WAIT_MAX);
        while log_pages >= LOG_PAGES_HELD && state.count == count && !state.stopped {
            if self.done.wait_until(&mut state, until).timed_out() {
                return;
            }
        }
    }

    /// Ends `run` after a last checkpoint. The writer and the readers have ended before.
    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_one();
    }

    /// The checkpoint thread.
    pub(crate) fn run(&self, conn: &Connection) {
        // A failure is met again, and answered, by the writer; the log merely grows meanwhile.
        let _ = conn.busy_timeout(READERS_WAIT);
        while self.wait() {
            let progress = self.checkpoint(conn);
            let mut state = self.state.lock();
            state.seen = progress.map_or(0, |progress| progress.log);
            state.count += 1;
            self.done.notify_one();
        }
        let _ = checkpoint(conn, "TRUNCATE");
    }

    /// Waits for work; false when there will be no more.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while !state.wanted && !state.stopped {
            self.changed.wait(&mut state);
        }
        state.wanted = false;
        !state.stopped
    }

    fn checkpoint(&self, conn: &Connection) -> rusqlite::Result<Progress> {
        let progress = checkpoint(conn, "PASSIVE")?;
        if progress.log < LOG_PAGES_MAX || progress.copied == progress.log {
            return Ok(progress);
        }
        let _gate = self.gate.lock();
        checkpoint(conn, if progress.log < LOG_FILE_PAGES_MAX { "RESTART" } else { "TRUNCATE" })
    }
}

fn checkpoint(conn: &Connection, mode: &str) -> rusqlite::Result<Progress> {
    conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        // -1 when there is no log.
        let pages = |i| row.get::<_, i64>(i).map(|pages| u32::try_from(pages).unwrap_or(0));
        Ok(Progress { log: pages(1)?, copied: pages(2)? })
    })
}
