//! A daemon under test: started in a namespace, its output in a file, ended by its process id.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::netns::Namespace;
use crate::stamp::Stamp;
use crate::{frr, keepalived, sweep, vrrpd};

/// Between two looks at what cannot be awaited.
const LOOK: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Vrrpd,
    Keepalived,
    /// FRR's vrrpd, with a zebra of its own.
    Frr,
}

impl Program {
    /// The command that runs it in the foreground with its files in `directory`.
    fn words(self, directory: &Path) -> Result<Vec<String>> {
        match self {
            Self::Vrrpd => vrrpd::words(directory),
            Self::Keepalived => keepalived::words(directory),
            Self::Frr => {
                let file = directory.join("keepalived.conf").display().to_string();
                Ok(frr::words(directory, "vrrpd", &["-f", &file]))
            }
        }
    }

    /// Part of the line that a router logs when it is a backup.
    pub fn backup_line(self) -> &'static str {
        if self == Self::Frr { "-> Backup" } else { "Entering BACKUP STATE" }
    }

    /// What it makes of a time: FRR counts whole centiseconds.
    pub fn counts(self, theory: Duration) -> Duration {
        if self == Self::Frr { Duration::from_millis(theory.as_millis() as u64 / 10 * 10) } else { theory }
    }

    /// Lines of a log that find fault with the peer's adverts.
    pub fn complaints(self, log: &str) -> Vec<String> {
        let is_complaint = match self {
            Self::Vrrpd => vrrpd::is_complaint,
            Self::Keepalived => keepalived::is_complaint,
            Self::Frr => frr::is_complaint,
        };
        log.lines().filter(|line| is_complaint(line)).map(str::to_owned).collect()
    }
}

pub struct Daemon {
    pub program: Program,
    /// Its configuration, log and run directory.
    pub directory: PathBuf,
    pub started_at: Stamp,
    child: Child,
    ended: Option<ExitStatus>,
    /// What it cannot do without, and takes along when it ends: FRR's zebra.
    companion: Option<Child>,
}

impl Daemon {
    pub fn start(
        namespace: &Namespace,
        program: Program,
        directory: &Path,
        configuration: &str,
        change: impl FnOnce(Vec<String>) -> Vec<String>,
    ) -> Result<Self> {
        std::fs::create_dir(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        std::fs::write(directory.join("keepalived.conf"), configuration)?;
        let companion = (program == Program::Frr).then(|| frr::zebra(namespace, directory)).transpose()?;
        let words = change(program.words(directory)?);
        let started_at = Stamp::now();
        let child = spawn(namespace, &words, &directory.join("log"))?;
        Ok(Self { program, directory: directory.to_owned(), started_at, child, ended: None, companion })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// With its companion's.
    pub fn pids(&self) -> impl Iterator<Item = u32> {
        [&self.child].into_iter().chain(&self.companion).map(Child::id)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Waits until a line of the log holds `part`.
    pub fn wait_log(&mut self, part: &str, patience: Duration) -> Result<()> {
        let start = Instant::now();
        loop {
            // The end first: what was written before it is there to be read.
            let ended = self.has_ended();
            if self.log().contains(part) {
                return Ok(());
            }
            if ended {
                bail!("the daemon ended ({}) and never logged {part:?}: {}", self.status_text(), self.log().trim());
            }
            if start.elapsed() > patience {
                bail!("waited {patience:?} in vain for {part:?} in the log: {}", self.log().trim());
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Ends it without warning; returns when.
    pub fn kill(&mut self) -> Result<Stamp> {
        // keepalived's parent starts a dead child anew, and its child stops properly when the parent dies first.
        let children = if self.program == Program::Keepalived { children(self.pid()) } else { Vec::new() };
        if !children.is_empty() {
            self.signal(Signal::SIGSTOP)?;
        }
        let at = Stamp::now();
        for child in children {
            kill(Pid::from_raw(child as i32), Signal::SIGKILL).context("cannot kill keepalived's child")?;
        }
        self.signal(Signal::SIGKILL)?;
        self.wait_exit(Duration::from_secs(10))?;
        Ok(at)
    }

    /// Asks it to stop; returns when.
    pub fn terminate(&mut self) -> Result<Stamp> {
        let at = Stamp::now();
        self.signal(Signal::SIGTERM)?;
        Ok(at)
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.pid() as i32), signal)
            .with_context(|| format!("cannot send {signal} to {}", self.pid()))
    }

    /// Waits for its end.
    pub fn wait_exit(&mut self, patience: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        while !self.has_ended() {
            if start.elapsed() > patience {
                bail!("the daemon did not end in {patience:?}: {}", self.log().trim());
            }
            std::thread::sleep(LOOK);
        }
        self.ended.context("it has ended")
    }

    /// SIGTERM, and a proper end: exit status 0.
    pub fn stop(&mut self) -> Result<Stamp> {
        let at = self.terminate()?;
        let status = self.wait_exit(Duration::from_secs(10))?;
        if !status.success() {
            bail!("the daemon stopped with {status}: {}", self.log().trim());
        }
        Ok(at)
    }

    pub fn has_ended(&mut self) -> bool {
        if self.ended.is_none()
            && let Ok(Some(status)) = self.child.try_wait()
        {
            sweep::process_ended(self.child.id() as i32);
            self.ended = Some(status);
            if let Some(mut companion) = self.companion.take() {
                let _ = companion.kill().and_then(|()| companion.wait());
                sweep::process_ended(companion.id() as i32);
            }
        }
        self.ended.is_some()
    }

    fn status_text(&self) -> String {
        self.ended.map_or_else(|| "running".to_owned(), |status| status.to_string())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !self.has_ended() {
            let _ = self.kill();
        }
    }
}

/// Starts a command in a namespace, what it prints in a file.
pub fn spawn(namespace: &Namespace, words: &[String], log: &Path) -> Result<Child> {
    let log = File::create(log)?;
    let mut command = namespace.command(&words[0]);
    command.args(&words[1..]).stdout(log.try_clone()?).stderr(log);
    let child = command.spawn().with_context(|| format!("cannot start {}", words[0]))?;
    sweep::process_started(child.id() as i32);
    Ok(child)
}

/// The processes that `pid` started.
pub fn children(pid: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}
