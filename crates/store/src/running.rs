//! The threads of an open store.

use std::{sync::Arc, thread::JoinHandle};

use crate::{error::StoreError, queue::Queue};

/// What either engine's `open` has started.
pub(crate) struct Running {
    pub(crate) write: Arc<Queue>,
    pub(crate) read: Arc<Queue>,
    /// Threads that end by themselves when their queue is closed and empty.
    pub(crate) threads: Vec<JoinHandle<()>>,
    /// What is left to do after they have ended.
    pub(crate) finish: Option<Box<dyn FnOnce() + Send>>,
}

impl Running {
    pub(crate) fn new() -> Self {
        Self {
            write: Arc::new(Queue::new()),
            read: Arc::new(Queue::new()),
            threads: Vec::new(),
            finish: None,
        }
    }

    /// Refuses further jobs.
    fn close_queues(&self) {
        self.write.close();
        self.read.close();
    }

    /// Waits for the threads and finishes.
    pub(crate) fn end(&mut self) {
        self.close_queues();
        end(self.threads.drain(..), self.finish.take());
    }
}

fn end(threads: impl IntoIterator<Item = JoinHandle<()>>, finish: Option<Box<dyn FnOnce() + Send>>) {
    for thread in threads {
        let _ = thread.join();
    }
    if let Some(finish) = finish {
        finish();
    }
}

/// A store that is dropped without having been closed, or whose opening failed half way, still ends its threads;
/// nobody waits for them.
impl Drop for Running {
    fn drop(&mut self) {
        self.close_queues();
        let (threads, finish) = (std::mem::take(&mut self.threads), self.finish.take());
        if !threads.is_empty() || finish.is_some() {
            // Without a thread to wait on them, the closed queues still end the others.
            let _ = std::thread::Builder::new().name("store-end".to_owned()).spawn(|| end(threads, finish));
        }
    }
}

/// Stack of a thread that runs transactions: what runs inside of one may nest deeply. Only what is used takes memory.
const STACK_BYTES: usize = 16 << 20;

/// Starts a thread; when it ends, for whatever reason, nobody is left waiting in its queue.
pub(crate) fn spawn(
    name: String,
    queue: &Arc<Queue>,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StoreError> {
    struct Guard(Arc<Queue>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.abandon();
        }
    }
    let guard = Guard(Arc::clone(queue));
    std::thread::Builder::new()
        .name(name)
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let _guard = guard;
            body();
        })
        .map_err(|error| StoreError::Config(format!("starting a thread: {error}")))
}
