//! What a daemon costs: processor time and memory of all its processes.
//!
//! Time is the kernel's clock of each process (`clock_getcpuclockid`), in nanoseconds, with what ended threads used and
//! with the softirq work that its own system calls caused; the memory is VmRSS.

use anyhow::{Context, Result};
use nix::errno::Errno;

/// A process and all that descend from it.
pub fn family(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        next += 1;
        let threads = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        for thread in threads {
            let listed = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            found.extend(listed.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
        }
    }
    found
}

/// Nanoseconds of processor time that these processes have used.
pub fn cpu(pids: &[u32]) -> Result<u64> {
    pids.iter().map(|&pid| cpu_of(pid)).sum()
}

fn cpu_of(pid: u32) -> Result<u64> {
    let mut clock: libc::clockid_t = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both calls write to what is passed.
    unsafe {
        match libc::clock_getcpuclockid(pid as i32, &mut clock) {
            0 => {}
            error => return Err(Errno::from_raw(error)).with_context(|| format!("the clock of process {pid}")),
        }
        Errno::result(libc::clock_gettime(clock, &mut time)).with_context(|| format!("the clock of process {pid}"))?;
    }
    Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Kilobytes of resident memory of these processes. Pages that they share count for each.
pub fn rss(pids: &[u32]) -> u64 {
    let of = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    pids.iter().filter_map(of).sum()
}
