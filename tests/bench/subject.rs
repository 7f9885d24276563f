//! The daemons that are measured, each started as it is at its best.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use vrrp_tests::daemon::{Daemon, Program};
use vrrp_tests::stamp::Stamp;

use crate::account;
use crate::rig::Rig;
use crate::roster::Roster;

const FRR: &str = "/usr/lib/frr";
/// How long zebra takes until vrrpd can talk to it.
const ZEBRA: Duration = Duration::from_millis(700);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Vrrpd,
    Keepalived,
    Frr,
    /// The smallest program that does the same work: what the kernel itself costs.
    Floor,
}

impl Subject {
    pub const ALL: [Self; 4] = [Self::Vrrpd, Self::Keepalived, Self::Frr, Self::Floor];
    pub const DAEMONS: [Self; 3] = [Self::Vrrpd, Self::Keepalived, Self::Frr];

    pub fn name(self) -> &'static str {
        match self {
            Self::Vrrpd => "vrrpd",
            Self::Keepalived => "keepalived",
            Self::Frr => "FRR",
            Self::Floor => "floor",
        }
    }

    pub fn is_installed(self) -> bool {
        match self {
            Self::Vrrpd | Self::Floor => true,
            Self::Keepalived => Path::new("/usr/sbin/keepalived").exists(),
            Self::Frr => Path::new(FRR).join("vrrpd").exists(),
        }
    }

    /// Its version, in its own words.
    pub fn version(self) -> Option<String> {
        let (program, word): (PathBuf, _) = match self {
            Self::Vrrpd => (vrrp_tests::vrrpd::built("vrrpd").ok()?, "--version"),
            Self::Keepalived => ("/usr/sbin/keepalived".into(), "--version"),
            Self::Frr => (Path::new(FRR).join("vrrpd"), "--version"),
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
    pub daemons: Vec<Daemon>,
    pub started_at: Stamp,
}

impl Running {
    pub fn start(rig: &Rig, router: usize, subject: Subject, roster: &Roster) -> Result<Self> {
        let directory = |part: &str| {
            let number = std::fs::read_dir(&rig.directory).map_or(0, Iterator::count);
            rig.directory.join(format!("{}{number}{part}", ["a", "b"][router]))
        };
        let namespace = &rig.routers[router];
        let start = |program, part: &str, text: &str, change: &dyn Fn(Vec<String>) -> Vec<String>| {
            Daemon::start(namespace, program, &directory(part), text, change)
        };
        let mut started_at = Stamp::now();
        let daemons = match subject {
            Subject::Vrrpd => {
                vec![start(Program::Vrrpd, "", &roster.keepalived(router, true), &|words| words)?]
            }
            Subject::Keepalived => {
                // Without -D: it logs what it would in service.
                let quiet = |words: Vec<String>| words.into_iter().filter(|word| word != "-D").collect();
                vec![start(Program::Keepalived, "", &roster.keepalived(router, false), &quiet)?]
            }
            Subject::Frr => {
                namespace.sysctl("net/ipv4/conf/all/arp_ignore", "1")?;
                if !namespace.ip("-o link")?.contains("vr0-1@") {
                    rig.batch(namespace, &roster.macvlans())?;
                }
                let common = directory("");
                let words = |program: &str, more: &[&str]| frr(&common, program, more);
                let zebra = start(Program::Vrrpd, "z", "log stdout warnings\n", &|given| {
                    words("zebra", &["-s", "90000000", "-f", &given[4]])
                })?;
                std::thread::sleep(ZEBRA);
                started_at = Stamp::now();
                let vrrpd =
                    start(Program::Vrrpd, "", &roster.frr(router), &|given| words("vrrpd", &["-f", &given[4]]))?;
                vec![vrrpd, zebra]
            }
            Subject::Floor => anyhow::bail!("the floor is no daemon"),
        };
        Ok(Self { daemons, started_at })
    }

    pub fn processes(&self) -> Vec<u32> {
        self.daemons.iter().flat_map(|daemon| account::family(daemon.pid())).collect()
    }

    /// The power fails.
    pub fn kill(&mut self) -> Result<Stamp> {
        let mut at = None;
        for daemon in &mut self.daemons {
            at = at.or(Some(daemon.kill()?));
        }
        at.context("a daemon")
    }

    pub fn has_ended(&mut self) -> bool {
        self.daemons.iter_mut().any(Daemon::has_ended)
    }

    /// How it ended, if it did, and what it said last.
    pub fn last_words(&mut self) -> String {
        let ended = self.daemons[0].wait_exit(Duration::ZERO);
        let ended = ended.map_or_else(|_| "it runs".to_owned(), |status| status.to_string());
        format!("{ended}; {}", self.log_tail())
    }

    fn log_tail(&self) -> String {
        let log = self.daemons[0].log();
        let lines: Vec<_> = log.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

/// FRR's own words: its daemons give up root, so their directory must be theirs.
fn frr(common: &Path, program: &str, more: &[&str]) -> Vec<String> {
    let _ = std::fs::create_dir_all(common);
    let user = nix::unistd::User::from_name("frr").ok().flatten();
    if let Some(user) = user {
        let _ = chown(common, Some(user.uid.as_raw()), Some(user.gid.as_raw()));
    }
    let file = |name: &str| common.join(name).display().to_string();
    let (socket, pid) = (file("zebra.sock"), file(&format!("{program}.pid")));
    let vty = common.display().to_string();
    let path = format!("{FRR}/{program}");
    let words = [&path, "-u", "frr", "-g", "frr", "-z", &socket, "--vty_socket", &vty, "-P", "0", "-i", &pid];
    words.iter().copied().chain(["--limit-fds", "16384"]).chain(more.iter().copied()).map(str::to_owned).collect()
}
