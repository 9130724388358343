//! The only place that reads the wall clock. Everything else takes the time from its context, so that tests move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hiroba_api::contract::UnixMillis;

/// Where "now" comes from.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Time that a test set; `None` follows the system.
    manual: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Clock {
        Clock::default()
    }

    /// A clock that stands still until it is moved with the returned handle.
    pub fn manual(start: UnixMillis) -> (Clock, Arc<AtomicI64>) {
        let time = Arc::new(AtomicI64::new(start.0));
        (Clock { manual: Some(Arc::clone(&time)) }, time)
    }

    /// The present moment.
    pub fn now(&self) -> UnixMillis {
        match &self.manual {
            Some(time) => UnixMillis(time.load(Ordering::SeqCst)),
            None => UnixMillis(system_millis()),
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the context that others take the time from")]
fn system_millis() -> i64 {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(UnixMillis::MAX.0)
}
