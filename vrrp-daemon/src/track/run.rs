//! One run of a command: started as its user, waited for without blocking, ended with everything it started.
//!
//! Not here: when to run it, and what its outcome means.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep};

use super::command::{Command, RunAs};

/// How long a run that is ended has from SIGTERM to SIGKILL.
pub const GRACE: Duration = Duration::from_secs(2);

/// How often the end of a run is looked for where it cannot be waited for: a group that outlives its leader, and kernels
/// before 5.3.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Names that could make a privileged daemon run something else than was configured.
const WITHHELD: [&str; 3] = ["IFS", "LD_PRELOAD", "LD_LIBRARY_PATH"];

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The exit status.
    Exited(i32),
    /// The signal it died of.
    Signaled(i32),
    /// It was not done in its time.
    TimedOut,
    FailedToStart(String),
}

impl Outcome {
    pub fn passed(&self) -> bool {
        *self == Self::Exited(0)
    }
}

impl From<ExitStatus> for Outcome {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, signal) => Self::Signaled(signal.unwrap_or_default()),
        }
    }
}

/// What becomes of a run when the daemon is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bond {
    /// It gets SIGTERM: nobody is left to hear of its outcome. The kernel ties this to the *thread* that starts the run,
    /// which therefore has to live as long as the daemon.
    EndsWithUs,
    /// It goes on: what it was told is true whatever became of us.
    OutlivesUs,
}

/// A command that runs. Dropped before its end, its process group is killed.
#[derive(Debug)]
pub struct Run {
    leader: Leader,
    group: Pid,
}

/// The process that was started, first of its group.
#[derive(Debug, Default)]
struct Leader {
    /// `None` once it is reaped: from then on its number may be somebody else's.
    child: Option<Child>,
    /// Readable when it has exited; `None` where the kernel has no pidfd.
    exit: Option<AsyncFd<OwnedFd>>,
}

impl Command {
    /// Starts the command, with `more` behind its own arguments, in a process group of its own.
    ///
    /// It blocks until the program is loaded, about a millisecond: never to be called on the protocol thread. Needs a
    /// tokio runtime with its I/O driver.
    pub fn start(&self, more: &[&str], bond: Bond) -> io::Result<Run> {
        let (program, arguments) = self.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = std::process::Command::new(program);
        command.args(arguments).args(more).current_dir("/").process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        for name in WITHHELD {
            command.env_remove(name);
        }
        let (run_as, parent) = (self.run_as, nix::unistd::getpid());
        // SAFETY: runs in the child between fork and exec, and makes system calls only: it neither allocates nor locks.
        unsafe { command.pre_exec(move || become_script(run_as, bond, parent)) };
        let child = command.spawn()?;
        let group = Pid::from_raw(child.id() as i32);
        // Without a pidfd (ENOSYS, or no descriptors left) the run is polled.
        let exit = pidfd(group).ok();
        Ok(Run { leader: Leader { child: Some(child), exit }, group })
    }
}

/// Makes the forked child what a script expects to be.
fn become_script(run_as: RunAs, bond: Bond, parent: Pid) -> io::Result<()> {
    let normal = libc::sched_param { sched_priority: 0 };
    // SAFETY: system calls on the calling process; the pointers are to live, initialised values.
    unsafe {
        // A script must not compete with the protocol thread. Without SCHED_RESET_ON_FORK this would be inherited.
        check(libc::sched_setscheduler(0, libc::SCHED_OTHER, &normal))?;
        // Ignored signals stay ignored across exec. SIGKILL, SIGSTOP and libc's own two refuse, which is as well.
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&mut none);
        check(libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut()))?;
        // Ours are all close-on-exec; this is for what we inherited. Linux before 5.11 does not know the flag.
        libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        // Only root may drop groups; as anybody else we can only run scripts as ourselves.
        if libc::geteuid() == 0 {
            check(libc::setgroups(0, std::ptr::null()))?;
        }
        check(libc::setresgid(run_as.gid, run_as.gid, run_as.gid))?;
        check(libc::setresuid(run_as.uid, run_as.uid, run_as.uid))?;
        if bond == Bond::EndsWithUs {
            // After the change of user, which clears it.
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM))?;
            // The parent may have died before.
            if libc::getppid() != parent.as_raw() {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
    }
    Ok(())
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A descriptor that is readable when the process has exited.
fn pidfd(pid: Pid) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: takes two numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), libc::PIDFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor for us, close-on-exec, and nobody else knows it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    // SAFETY: an `OwnedFd` gives the same open descriptor as long as it lives, and is closed by nobody else.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}

impl Run {
    /// Waits for the end, and reaps. May be dropped and called again, but not once it has answered.
    pub async fn finish(&mut self) -> Outcome {
        self.leader.finish().await
    }

    /// Ends the run and whatever it left in its process group: SIGTERM, after `grace` SIGKILL. Returns when the leader is
    /// reaped, which takes longer only when the kernel cannot let go of it (a dead NFS server).
    pub async fn end(mut self, grace: Duration) {
        let deadline = Instant::now() + grace;
        self.signal(Signal::SIGTERM);
        while self.lingers() {
            if Instant::now() >= deadline {
                self.signal(Signal::SIGKILL);
                break;
            }
            sleep(POLL_INTERVAL).await;
        }
        if self.leader.child.is_some() {
            self.finish().await;
        }
    }

    /// Whether anybody of the process group is left. As long as there is, its number cannot be given to another group.
    fn lingers(&mut self) -> bool {
        self.leader.reap();
        killpg(self.group, None) != Err(Errno::ESRCH)
    }

    fn signal(&self, signal: Signal) {
        // Who is gone needs no signal.
        let _ = killpg(self.group, signal);
    }
}

impl Leader {
    async fn finish(&mut self) -> Outcome {
        loop {
            if self.child.is_none() {
                return Outcome::FailedToStart("already waited for".into());
            }
            if let Some(outcome) = self.reap() {
                return outcome;
            }
            match &self.exit {
                // The readiness is not cleared: who has exited stays so.
                Some(exit) if exit.readable().await.is_ok() => {}
                _ => sleep(POLL_INTERVAL).await,
            }
        }
    }

    /// The outcome, when there is one.
    fn reap(&mut self) -> Option<Outcome> {
        let outcome = match self.child.as_mut()?.try_wait() {
            Ok(status) => status?.into(),
            Err(error) => Outcome::FailedToStart(error.to_string()),
        };
        self.child = None;
        Some(outcome)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.leader.reap();
        if self.leader.child.is_none() {
            return;
        }
        self.signal(Signal::SIGKILL);
        // A runtime that stops drops this at once, and init reaps.
        let mut leader = std::mem::take(&mut self.leader);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { leader.finish().await });
        }
    }
}

#[cfg(test)]
mod tests;
