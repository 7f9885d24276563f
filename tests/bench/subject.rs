//! The daemons that are measured, each started as it is at its best.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Result;
use vrrp_tests::daemon::{Daemon, Program};
use vrrp_tests::frr;
use vrrp_tests::stamp::Stamp;

use crate::account;
use crate::rig::Rig;
use crate::roster::Roster;

/// The other build, if there is one.
pub static BEFORE: OnceLock<PathBuf> = OnceLock::new();

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Vrrpd,
    Keepalived,
    Frr,
    /// Another build of vrrpd, in the peers' place: what a change did.
    Before,
    /// The smallest program that does the same work: what the kernel itself costs.
    Floor,
}

impl Subject {
    pub const ALL: [Self; 5] = [Self::Vrrpd, Self::Keepalived, Self::Frr, Self::Before, Self::Floor];
    pub const DAEMONS: [Self; 4] = [Self::Vrrpd, Self::Keepalived, Self::Frr, Self::Before];

    /// Whom ours is compared with: keepalived, or another build.
    pub fn rival() -> Self {
        if BEFORE.get().is_some() { Self::Before } else { Self::Keepalived }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Vrrpd => "vrrpd",
            Self::Keepalived => "keepalived",
            Self::Frr => "FRR",
            Self::Before => "before",
            Self::Floor => "floor",
        }
    }

    pub fn is_installed(self) -> bool {
        match self {
            Self::Vrrpd | Self::Floor => true,
            Self::Before => BEFORE.get().is_some(),
            _ if BEFORE.get().is_some() => false,
            Self::Keepalived => Path::new("/usr/sbin/keepalived").exists(),
            Self::Frr => Path::new(frr::DIRECTORY).join("vrrpd").exists(),
        }
    }

    /// Its version, in its own words.
    pub fn version(self) -> Option<String> {
        let (program, word): (PathBuf, _) = match self {
            Self::Vrrpd => (vrrp_tests::vrrpd::built("vrrpd").ok()?, "--version"),
            Self::Keepalived => ("/usr/sbin/keepalived".into(), "--version"),
            Self::Frr => (Path::new(frr::DIRECTORY).join("vrrpd"), "--version"),
            Self::Before => (BEFORE.get()?.clone(), "--version"),
            Self::Floor => return None,
        };
        let output = std::process::Command::new(program).arg(word).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let line = text.lines().next()?;
        // keepalived adds a date and a commit.
        Some(line.split(" (").next()?.to_owned())
    }
}

/// A daemon of a router, with all its processes.
pub struct Running {
    pub daemon: Daemon,
}

impl Running {
    pub fn start(rig: &Rig, router: usize, subject: Subject, roster: &Roster) -> Result<Self> {
        let number = std::fs::read_dir(&rig.directory).map_or(0, Iterator::count);
        let directory = rig.directory.join(format!("{}{number}", ["a", "b"][router]));
        let namespace = &rig.routers[router];
        let (program, text) = match subject {
            Subject::Vrrpd | Subject::Before => (Program::Vrrpd, roster.keepalived(router, true)),
            Subject::Keepalived => (Program::Keepalived, roster.keepalived(router, false)),
            Subject::Frr => {
                namespace.sysctl("net/ipv4/conf/all/arp_ignore", "1")?;
                if !namespace.ip("-o link")?.contains("vr0-1@") {
                    rig.batch(namespace, &roster.macvlans())?;
                }
                (Program::Frr, roster.frr(router))
            }
            Subject::Floor => anyhow::bail!("the floor is no daemon"),
        };
        // keepalived without -D: it logs what it would in service.
        let quiet = |mut words: Vec<String>| {
            words.retain(|word| word != "-D");
            if let (Subject::Before, Some(program)) = (subject, BEFORE.get()) {
                words[0] = program.display().to_string();
            }
            words
        };
        Ok(Self { daemon: Daemon::start(namespace, program, &directory, &text, quiet)? })
    }

    /// When it was started; FRR's zebra, which is no part of what is measured, runs by then.
    pub fn started_at(&self) -> Stamp {
        self.daemon.started_at
    }

    pub fn processes(&self) -> Vec<u32> {
        self.daemon.pids().flat_map(account::family).collect()
    }

    /// The power fails.
    pub fn kill(&mut self) -> Result<Stamp> {
        self.daemon.kill()
    }

    pub fn has_ended(&mut self) -> bool {
        self.daemon.has_ended()
    }

    /// How it ended, if it did, and what it said last.
    pub fn last_words(&mut self) -> String {
        let ended = self.daemon.wait_exit(Duration::ZERO);
        let ended = ended.map_or_else(|_| "it runs".to_owned(), |status| status.to_string());
        format!("{ended}; {}", self.log_tail())
    }

    fn log_tail(&self) -> String {
        let log = self.daemon.log();
        let lines: Vec<_> = log.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}
