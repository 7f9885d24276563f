//! The guard: a process beside the daemon that removes its traces when it dies, however it dies.
//!
//! It reads from a pipe which addresses the daemon holds, and what else it changed. When the pipe ends, what is left of
//! that goes, the addresses first. It is a fork and not a program of its own: what it never needs is never loaded for it.
//!
//! It also holds the XDP programs on their devices until then: taking one off may keep the kernel's network lock for long,
//! with some drivers for seconds, and the addresses would wait for it.

pub mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write as _};
use std::net::IpAddr;
use std::os::fd::{FromRawFd, OwnedFd};

use anyhow::{Context, ensure};
use nix::fcntl::FcntlArg;
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, fork, setpgid};
use vrrp_common::IfIndex;

use super::namespace;
use super::xdp::link;
use trace::Trace;

/// The least number of the pipe's descriptor. Of a dead process the kernel releases the files in descending order, and
/// takes tens of milliseconds for those with sockets and programs: longer than a backup waits at 10 ms.
const LAST: i32 = 1000;

/// The daemon's end.
pub struct Guard {
    process: Pid,
    pipe: Option<PipeWriter>,
    /// Lines to write.
    untold: String,
}

impl Guard {
    /// Starts the guard. To be called before any thread is started. `is_mute`: nobody reads its stderr.
    pub fn start(is_mute: bool) -> anyhow::Result<Self> {
        let threads = fs::read_dir("/proc/self/task").context("cannot see this process in /proc")?.count();
        ensure!(threads == 1, "the guard process must be started before {} threads are", threads - 1);
        // While nobody shares the table of descriptors, too: else enlarging it costs a pause of the kernel's, some 10 ms.
        let (pipe, end) = std::io::pipe().context("cannot open a pipe")?;
        let end = released_first(end, LAST);
        // SAFETY: this thread is the only one, as was seen above: there is no lock that the child could find held.
        match unsafe { fork() }.context("cannot start the guard process")? {
            ForkResult::Parent { child } => Ok(Self { process: child, pipe: Some(end), untold: String::new() }),
            ForkResult::Child => {
                drop(end);
                std::process::exit(live(pipe, is_mute));
            }
        }
    }

    /// Says that the daemon may have so many open files: the pipe is the last of them then, too.
    pub fn outnumber(&mut self, files: u64) {
        let last = i32::try_from(files).unwrap_or(i32::MAX).saturating_sub(1);
        // Not without need: now that there are threads, it costs the kernel's pause.
        if last > LAST {
            self.pipe = self.pipe.take().map(|pipe| released_first(pipe, last));
        }
    }

    /// Has it go to the network namespace that everything told from now on is in.
    pub fn goes_to(&mut self, net_namespace: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.untold, "n {net_namespace}");
        self.flush();
    }

    /// Tells that an address is about to be set.
    pub fn holds(&mut self, index: IfIndex, address: IpAddr, prefix: u8) {
        self.tell('+', &Trace::Address(index, address, prefix));
    }

    /// Tells that an address was removed.
    pub fn released(&mut self, index: IfIndex, address: IpAddr, prefix: u8) {
        self.tell('-', &Trace::Address(index, address, prefix));
    }

    /// Tells that something is about to be changed.
    pub fn leaves(&mut self, trace: &Trace) {
        self.tell('+', trace);
    }

    /// Tells that something is as it was.
    pub fn undone(&mut self, trace: &Trace) {
        self.tell('-', trace);
    }

    /// Has it hold a program on its device, by the number of its link.
    pub fn keeps(&mut self, program_link: u32) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.untold, "x {program_link}");
    }

    /// Has it let go of a program that is off its device.
    pub fn lets_go(&mut self, program_link: u32) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.untold, "y {program_link}");
    }

    fn tell(&mut self, sign: char, trace: &Trace) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.untold, "{sign} {trace}");
    }

    /// Hands over what was told: before the first of it is done.
    pub fn flush(&mut self) {
        let Some(pipe) = self.pipe.as_mut().filter(|_| !self.untold.is_empty()) else { return };
        if let Err(error) = pipe.write_all(self.untold.as_bytes()) {
            tracing::error!(%error, "the guard process is gone: addresses would stay if this daemon were killed");
            self.pipe = None;
        }
        self.untold.clear();
    }
}

/// The same pipe by a descriptor of a high number; by its own where so many are not allowed.
fn released_first(pipe: PipeWriter, last: i32) -> PipeWriter {
    match nix::fcntl::fcntl(&pipe, FcntlArg::F_DUPFD_CLOEXEC(last)) {
        // SAFETY: the descriptor was made a line above, and nobody else knows of it.
        Ok(raw) => PipeWriter::from(unsafe { OwnedFd::from_raw_fd(raw) }),
        Err(_) => pipe,
    }
}

impl Drop for Guard {
    /// Ends the pipe, and with it the guard, and waits until it has tidied up.
    fn drop(&mut self) {
        self.pipe = None;
        if let Err(error) = waitpid(self.process, None) {
            tracing::warn!(%error, "cannot wait for the guard process");
        }
    }
}

/// The guard's own life: until the pipe ends. Returns its exit status.
fn live(pipe: PipeReader, is_mute: bool) -> i32 {
    match run(pipe, is_mute) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("vrrpd: the guard could not tidy up: {error:#}");
            1
        }
    }
}

fn run(pipe: PipeReader, is_mute: bool) -> anyhow::Result<()> {
    for ignored in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        // SAFETY: ignoring a signal installs no handler.
        unsafe { signal(ignored, SigHandler::SigIgn) }.context("cannot ignore signals")?;
    }
    // A process group of its own: what is sent to the daemon's group, Ctrl-C above all, is not for it.
    setpgid(Pid::from_raw(0), Pid::from_raw(0)).context("cannot leave the daemon's process group")?;
    // And a name of its own: who kills the daemon by name does not mean its guard.
    prctl::set_name(c"vrrp-guard").context("cannot take a name")?;
    // Whoever reads what the daemon writes to a pipe does not wait for the guard as well.
    let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null").context("/dev/null")?;
    dup2_stdin(&null).and_then(|()| dup2_stdout(&null)).context("/dev/null")?;
    if is_mute {
        dup2_stderr(&null).context("/dev/null")?;
    }
    drop(null);
    let mut programs = BTreeMap::new();
    // Without CAP_SYS_ADMIN they cannot be held, and leave first.
    let held = read(BufReader::new(pipe), |id, keep| {
        programs.remove(&id);
        programs.extend(keep.then(|| link::open(id).ok()).flatten().map(|program| (id, program)));
    });
    if held.is_empty() {
        return Ok(());
    }
    trace::remove(&held)
}

/// Without it what is left of the daemon could not be removed, and would not be noticed until then.
fn visit(net_namespace: &str) {
    if let Err(error) = namespace::visit(net_namespace) {
        eprintln!("vrrpd: the guard could not follow the daemon: {error:#}");
    }
}

/// What is left when the input ends. A line cut short by the daemon's death counts for nothing.
/// `program` hears of each program to be held, or no longer.
fn read(input: impl BufRead, mut program: impl FnMut(u32, bool)) -> BTreeSet<Trace> {
    let mut held = BTreeSet::new();
    for line in input.lines().map_while(Result::ok) {
        let Some((sign, rest)) = line.split_once(' ') else { continue };
        match (sign, Trace::parse(rest)) {
            ("n", _) => visit(rest),
            ("x" | "y", _) => rest.parse().into_iter().for_each(|id| program(id, sign == "x")),
            ("+", Some(trace)) => drop(held.insert(trace)),
            ("-", Some(trace)) => drop(held.remove(&trace)),
            _ => {}
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::netlink::upper::Kind;

    #[test]
    fn what_was_not_released_is_held() {
        let mut kept = Vec::new();
        let held = read(
            "+ address 2 10.0.0.1 32\n+ address 2 10.0.0.2 32\n- address 2 10.0.0.1 32\nx 77\ny 77\n+ link macvlan vrrp.51\n+ addr"
                .as_bytes(),
            |id, keep| kept.push((id, keep)),
        );
        assert_eq!(kept, [(77, true), (77, false)]);
        let expected = [
            Trace::Address(IfIndex(2), "10.0.0.2".parse().unwrap(), 32),
            Trace::Link(Kind::Macvlan, "vrrp.51".to_owned()),
        ];
        assert_eq!(held, expected.into());
    }
}
