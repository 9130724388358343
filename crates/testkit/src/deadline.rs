//! Waiting for events, never for time: every wait has a deadline, and what was waited for is in the message.

use std::future::Future;
use std::time::Duration;

/// No wait for a single event takes longer than this, unless the server itself may take longer.
pub const EVENT: Duration = Duration::from_secs(20);

/// No test takes longer than this, its turn among those that need much of the machine included.
pub const TEST: Duration = Duration::from_secs(400);

/// Time between two looks at what nobody announces, such as the memory of another process.
const LOOK: Duration = Duration::from_millis(5);

/// Waits for the future; fails the test when it takes longer than [`EVENT`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    within_time(EVENT, what, future).await
}

/// Waits for the future; fails the test when it takes longer than `time`.
pub async fn within_time<T>(time: Duration, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(time, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {time:?} in vain for {what}"),
    }
}

/// Looks again and again until there is something to see; fails the test after [`EVENT`].
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let mut looks = tokio::time::interval(LOOK);
    let seen = async {
        loop {
            looks.tick().await;
            if let Some(seen) = look().await {
                return seen;
            }
        }
    };
    within(what, seen).await
}
