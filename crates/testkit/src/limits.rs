//! What the operating system allows this process, and how much another one uses.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{Mutex, MutexGuard};

/// Raises the number of open files to the most that is allowed, also for processes started later; answers it.
pub fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(1 << 20);
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum }).unwrap();
    most
}

static MANY_FILES: Mutex<()> = Mutex::const_new(());

/// Waits until no other test of this process has thousands of files open.
pub async fn many_files() -> MutexGuard<'static, ()> {
    MANY_FILES.lock().await
}

/// A number from `/proc/{pid}/status` in KiB: `VmRSS` is resident memory, `VmHWM` the most it ever was.
pub fn memory_kib(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.unwrap_or_else(|| panic!("no {name} in\n{status}"))
}
