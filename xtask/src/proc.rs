//! What the kernel says about a process: its parent, the CPU time it used, its memory, from `/proc`.

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::Duration;

/// One line of `/proc/PID/stat`, reduced to what we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: i32,
    /// Ticks of the process itself, all its threads together, ended threads included.
    own_ticks: u64,
    /// Ticks of children that ended and were waited for.
    reaped_ticks: u64,
}

/// CPU time of the process, without its children.
pub(crate) fn cpu(pid: i32) -> Result<Duration> {
    Ok(ticks(stat(pid)?.own_ticks))
}

/// CPU time of the process and of all processes below it, running or ended.
pub(crate) fn cpu_of_tree(pid: i32) -> Result<Duration> {
    let root = stat(pid)?;
    let mut sum = root.own_ticks + root.reaped_ticks;
    // A process that ends meanwhile is missing here and counted in its parent's next reading.
    for child in descendants(pid) {
        sum += stat(child).map_or(0, |child| child.own_ticks + child.reaped_ticks);
    }
    Ok(ticks(sum))
}

/// CPU time of this process.
pub(crate) fn cpu_of_self() -> Result<Duration> {
    cpu(rustix::process::getpid().as_raw_nonzero().get())
}

/// Bytes of memory that a process has, resident.
pub(crate) fn resident(pid: i32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("reading the state of process {pid}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<u64> = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    Ok(kib.context("the kernel does not say how much memory a process has")? * 1024)
}

/// Raises the number of open files of this process, and of those that it starts, to the most that is allowed.
pub(crate) fn raise_open_files(needed: u64) -> Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let most = maximum.unwrap_or(needed);
    ensure!(most >= needed, "{needed} open files are needed and {most} are allowed: raise the hard limit");
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum })
        .context("raising the number of open files")
}

/// Whether a process of that number exists.
pub(crate) fn is_alive(pid: i32) -> bool {
    stat(pid).is_ok()
}

/// All processes below the given one, parents before their children.
pub(crate) fn descendants(pid: i32) -> Vec<i32> {
    let Ok(folder) = std::fs::read_dir("/proc") else { return Vec::new() };
    let parents: Vec<(i32, i32)> = folder
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid).ok()?.parent)))
        .collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        next += 1;
    }
    found.remove(0);
    found
}

fn ticks(count: u64) -> Duration {
    Duration::from_secs(count) / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100)
}

fn stat(pid: i32) -> Result<Stat> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("reading the state of process {pid}"))?;
    parse(&line).with_context(|| format!("state of process {pid} has an unknown form"))
}

/// Parses the line; the command in parentheses may itself hold spaces and parentheses.
fn parse(line: &str) -> Option<Stat> {
    let fields: Vec<&str> = line.get(line.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own_ticks: number(11)? + number(12)?,
        reaped_ticks: number(13)? + number(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_may_hold_anything() {
        let line = "42 (a) b (c)) S 7 42 42 0 -1 4194560 9 9 9 9 100 20 3 4 20 0 1 0 12345 1 1";
        assert_eq!(parse(line), Some(Stat { parent: 7, own_ticks: 120, reaped_ticks: 7 }));
        assert_eq!(parse("42 (short) S 7"), None);
    }

    #[test]
    fn this_process_is_alive_and_below_its_parent() {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        assert!(is_alive(own));
        assert!(descendants(stat(own).unwrap().parent).contains(&own));
        let before = cpu(own).unwrap();
        assert!(cpu_of_tree(own).unwrap() >= before);
        assert!(resident(own).unwrap() > 1 << 18);
    }
}
