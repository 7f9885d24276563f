//! One run of a command: started as its user, waited for without blocking, ended with everything it started.
//!
//! Not here: when to run it, and what its outcome means.

mod image;
pub mod limits;

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep};

use super::command::Command;
use image::{Image, pidfd};

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
    pid: Option<Pid>,
    /// Readable when it has exited; `None` where the kernel has no pidfd.
    exit: Option<AsyncFd<OwnedFd>>,
}

impl Command {
    /// Starts the command, with `more` behind its own arguments, in a process group of its own.
    ///
    /// It blocks until the program is loaded, about a millisecond: never to be called on the protocol thread. Needs a
    /// tokio runtime with its I/O driver.
    pub fn start(&self, more: &[&str], bond: Bond) -> io::Result<Run> {
        let program =
            self.program().map_err(|unusable| io::Error::new(io::ErrorKind::NotFound, unusable.to_string()))?;
        let arguments = self.argv.iter().map(String::as_str).chain(more.iter().copied()).map(str::as_bytes);
        let image = Image {
            program: CString::new(program.into_os_string().into_vec())?,
            argv: arguments.map(CString::new).collect::<Result<_, _>>()?,
            environment: environment(),
            run_as: self.run_as,
            groups: self.groups.clone(),
            bond,
        };
        let group = image.spawn()?;
        // Without a pidfd (ENOSYS, or no descriptors left) the run is polled.
        let exit = pidfd(group).ok();
        Ok(Run { leader: Leader { pid: Some(group), exit }, group })
    }
}

/// Ours, without what is withheld.
fn environment() -> Vec<CString> {
    let inherited = std::env::vars_os().filter(|(name, _)| !WITHHELD.iter().any(|withheld| name == withheld));
    let lines = inherited.map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    lines.filter_map(|line| CString::new(line).ok()).collect()
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
        if self.leader.pid.is_some() {
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
            if self.pid.is_none() {
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
        let outcome = match waitpid(self.pid?, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, status)) => Outcome::Exited(status),
            Ok(WaitStatus::Signaled(_, signal, _)) => Outcome::Signaled(signal as i32),
            Ok(_) | Err(Errno::EINTR) => return None,
            Err(error) => Outcome::FailedToStart(error.to_string()),
        };
        self.pid = None;
        Some(outcome)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.leader.reap();
        if self.leader.pid.is_none() {
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
