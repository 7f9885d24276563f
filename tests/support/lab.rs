//! The laboratory: routers, a client and an attacker on one switch, each in a network namespace of its own.
//!
//! ```text
//!   router A  eth0 192.168.1.2/24 --- port0 \
//!   router B  eth0 192.168.1.3/24 --- port1  |
//!   ...                                      | br0 of the switch, where frames are captured
//!   client    eth0 192.168.1.10/24 -- client |
//!   attacker  eth0, no address ------ attack/
//! ```
//!
//! IPv6 is off until [`Lab::speak_ipv6`]: then they have fe80::2, fe80::3, ... and 2001:db8:1::2, ..., too.
//!
//! Closing it fails when a daemon of ours logged an error that the test did not announce.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex};

use anyhow::{Context, Result, bail, ensure};

use crate::addresses::Ear;
use crate::capture::Tap;
use crate::conf::Conf;
use crate::daemon::{Daemon, Program};
use crate::frr;
use crate::netns::Namespace;
use crate::skip::skip;
use crate::stamp::Stamp;
use crate::sweep;
use crate::watch::{Watch, letter};

/// Not /tmp: scripts must lie where only root may write (`enable_script_security`).
pub(crate) const BASE: &str = "/run";
/// Before the process id and a number.
pub(crate) const PREFIX: &str = "vrrp-lab-";

/// Laboratories at a time: more of them make each other late.
const TURNS: usize = 3;

/// The first two routers, by their place.
pub const A: usize = 0;
pub const B: usize = 1;

pub struct Lab {
    pub directory: PathBuf,
    pub switch: Namespace,
    pub routers: Vec<Namespace>,
    pub client: Namespace,
    pub attacker: Namespace,
    pub watch: Watch,
    started: AtomicU32,
    /// Parts of error lines that the test provokes.
    announced: RefCell<Vec<String>>,
    _turn: Turn,
}

impl Lab {
    pub fn new(routers: usize) -> Result<Self> {
        Self::with_turns(routers, 1)
    }

    fn with_turns(routers: usize, turns: usize) -> Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let turn = Turn::take(turns);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let directory = Path::new(BASE).join(format!("{PREFIX}{}-{number}", std::process::id()));
        std::fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        sweep::directory_made(directory.clone());

        let switch = Namespace::new()?;
        switch.ip("link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0")?;
        switch.ip("link set br0 up")?;
        let hosts: Vec<_> = (0..routers).map(|_| Namespace::new()).collect::<Result<_>>()?;
        for (place, host) in hosts.iter().enumerate() {
            cable(&switch, &port(place), host, 0x10 + place as u8)?;
            host.ip(&format!("addr add {}/24 dev eth0", own_address(place)))?;
        }
        let (client, attacker) = (Namespace::new()?, Namespace::new()?);
        cable(&switch, "client", &client, 0xc0)?;
        client.ip("addr add 192.168.1.10/24 dev eth0")?;
        cable(&switch, "attack", &attacker, 0xa0)?;

        let taps = switch.within(|| (0..routers).map(|place| Tap::open(&port(place), place)).collect::<Result<_>>())?;
        let ears = hosts.iter().enumerate().map(|(place, host)| host.within(|| Ear::open(place)));
        let watch = Watch::start(taps, ears.collect::<Result<_>>()?);
        Ok(Self {
            directory,
            switch,
            routers: hosts,
            client,
            attacker,
            watch,
            started: AtomicU32::new(0),
            announced: RefCell::default(),
            _turn: turn,
        })
    }

    /// Gives everybody IPv6 addresses, which are proven to be theirs without being asked for. No router is asked for one.
    pub fn speak_ipv6(&self) -> Result<()> {
        let routers = self.routers.iter().enumerate().map(|(place, host)| (host, 2 + place));
        for (host, number) in routers.chain([(&self.client, 0x10)]) {
            host.ip("link set eth0 addrgenmode none")?;
            for key in ["accept_ra", "disable_ipv6"] {
                host.sysctl(&format!("net/ipv6/conf/default/{key}"), "0")?;
                host.sysctl(&format!("net/ipv6/conf/eth0/{key}"), "0")?;
            }
            for network in ["fe80", "2001:db8:1"] {
                host.ip(&format!("address add {network}::{number:x}/64 dev eth0 nodad"))?;
            }
        }
        Ok(())
    }

    /// Starts a daemon on a router with this configuration, in its language.
    pub fn start_conf(&self, router: usize, program: Program, conf: &Conf) -> Result<Daemon> {
        if program == Program::Frr {
            frr::prepare(&self.routers[router], router, conf)?;
            return self.start(router, program, &frr::text(conf)?);
        }
        self.start(router, program, &conf.text())
    }

    /// Takes what a killed daemon left on its router, as the power's failure would have.
    pub fn switch_off(&self, router: usize, program: Program, conf: &Conf) -> Result<()> {
        let host = &self.routers[router];
        match program {
            // Its guard does.
            Program::Vrrpd => Ok(()),
            Program::Keepalived if conf.use_vmac => host.ip(&format!("link del vrrp.{}", conf.vrid)).map(drop),
            Program::Keepalived => {
                let mut lengths =
                    conf.held().into_iter().map(|address| (address, if address.is_ipv4() { 24 } else { 64 }));
                lengths.try_for_each(|(address, length)| {
                    host.ip(&format!("address del {address}/{length} dev eth0")).map(drop)
                })
            }
            Program::Frr => frr::power(host, false),
        }
    }

    /// Starts a daemon on a router with this configuration.
    pub fn start(&self, router: usize, program: Program, configuration: &str) -> Result<Daemon> {
        self.start_by(router, program, configuration, |command| command)
    }

    /// The same, by a command that the test makes of the daemon's own: to take capabilities away, or add words.
    pub fn start_by(
        &self,
        router: usize,
        program: Program,
        configuration: &str,
        change: impl FnOnce(Vec<String>) -> Vec<String>,
    ) -> Result<Daemon> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{number}-{program:?}", letter(router));
        Daemon::start(&self.routers[router], program, &self.directory.join(name), configuration, change)
    }

    /// An error line of ours that holds this is expected.
    pub fn announce_error(&self, part: &str) {
        self.announced.borrow_mut().push(part.to_owned());
    }

    /// Takes a router's cable out, or plugs it in again; returns when.
    pub fn plug(&self, router: usize, plugged: bool) -> Result<Stamp> {
        let at = Stamp::now();
        self.switch.ip(&format!("link set {} {}", port(router), if plugged { "up" } else { "down" }))?;
        Ok(at)
    }

    /// Keeps the routers from hearing each other, their links up and the client reachable; returns when.
    pub fn part(&self, parted: bool) -> Result<Stamp> {
        let at = Stamp::now();
        for place in 0..self.routers.len() {
            let state = if parted { "on" } else { "off" };
            self.switch.ip(&format!("link set {} type bridge_slave isolated {state}", port(place)))?;
        }
        Ok(at)
    }

    /// Whether a router has `address`, on eth0 or on an interface of the daemon's own, by `ip address`.
    pub fn ip_shows(&self, router: usize, address: impl Into<IpAddr>) -> Result<bool> {
        Ok(self.routers[router].ip("-o address show up")?.contains(&format!(" {}/", address.into())))
    }

    /// The logs of all daemons that were started, with their names.
    pub fn logs(&self) -> Vec<(String, String)> {
        let entries = std::fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let mut logs: Vec<_> = entries
            .filter_map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                Some((name, std::fs::read_to_string(entry.path().join("log")).ok()?))
            })
            .collect();
        logs.sort();
        logs
    }

    /// Fails when a daemon found fault with an advert, in its own words.
    pub fn nobody_complains(&self) -> Result<()> {
        for (name, log) in self.logs() {
            let of = [Program::Vrrpd, Program::Keepalived, Program::Frr];
            let program = of.into_iter().find(|program| name.ends_with(&format!("-{program:?}")));
            let complaints = program.with_context(|| format!("whose log is {name}?"))?.complaints(&log);
            ensure!(complaints.is_empty(), "{name} complains: {complaints:#?}");
        }
        Ok(())
    }

    fn check_logs(&self) -> Result<()> {
        let announced = self.announced.borrow();
        for (name, log) in self.logs() {
            let unexpected = log
                .lines()
                .find(|line| line.contains(" ERROR ") && !announced.iter().any(|part| line.contains(part.as_str())));
            if let Some(line) = unexpected {
                bail!("{name} logged an error that nobody announced: {line}");
            }
        }
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::env::var_os("VRRP_KEEP").is_some() {
            println!("kept: {}", self.directory.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
        sweep::directory_removed(&self.directory);
    }
}

/// Runs a test in a laboratory with two routers; shows the daemons' logs when it fails.
pub fn with_lab(test: impl FnOnce(&Lab) -> Result<()>) {
    with_routers(2, test);
}

/// The same while there is no other laboratory, for what others would make late.
pub fn with_lab_alone(test: impl FnOnce(&Lab) -> Result<()>) {
    with(2, TURNS, test);
}

/// The same with more of them.
pub fn with_routers(routers: usize, test: impl FnOnce(&Lab) -> Result<()>) {
    with(routers, 1, test);
}

fn with(routers: usize, turns: usize, test: impl FnOnce(&Lab) -> Result<()>) {
    if !nix::unistd::geteuid().is_root() {
        return skip("network namespaces need root");
    }
    let lab = match Lab::with_turns(routers, turns) {
        Ok(lab) => lab,
        Err(error) => return skip(format!("no laboratory here: {error:#}")),
    };
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&lab).and_then(|()| lab.check_logs())));
    if !matches!(outcome, Ok(Ok(()))) {
        for (name, log) in lab.logs() {
            let tail: Vec<_> = log.lines().rev().take(60).collect();
            eprintln!("--- log of {name}");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => panic!("{error:#}"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// A router's own address.
pub fn own_address(router: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 1, 2 + router as u8)
}

/// Its IPv6 addresses.
pub fn own_link_local(router: usize) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2 + router as u16)
}

pub fn own_global(router: usize) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2 + router as u16)
}

fn port(router: usize) -> String {
    format!("port{router}")
}

/// A cable from a port of the switch to `host`'s eth0, whose MAC ends in `mac`.
fn cable(switch: &Namespace, port: &str, host: &Namespace, mac: u8) -> Result<()> {
    switch.ip(&format!("link add {port} type veth peer name eth0 netns {}", host.path()))?;
    switch.ip(&format!("link set {port} master br0"))?;
    switch.ip(&format!("link set {port} up"))?;
    host.ip(&format!("link set eth0 address 02:00:00:00:00:{mac:02x}"))?;
    host.ip("link set eth0 up")?;
    Ok(())
}

/// The right to have a laboratory, as so many of [`TURNS`]. Who comes first gets it first.
struct Turn(usize);

struct Queue {
    /// How many came, and how many of them had their turn.
    came: usize,
    served: usize,
    taken: usize,
}

static QUEUE: (Mutex<Queue>, Condvar) = (Mutex::new(Queue { came: 0, served: 0, taken: 0 }), Condvar::new());

impl Turn {
    fn take(turns: usize) -> Self {
        let (queue, moved) = &QUEUE;
        let mut queue = queue.lock().expect("nothing panics with this lock");
        let mine = queue.came;
        queue.came += 1;
        let waits = |queue: &mut Queue| queue.served != mine || queue.taken + turns > TURNS;
        let mut queue = moved.wait_while(queue, waits).expect("nothing panics with this lock");
        queue.served += 1;
        queue.taken += turns;
        moved.notify_all();
        Self(turns)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        QUEUE.0.lock().expect("nothing panics with this lock").taken -= self.0;
        QUEUE.1.notify_all();
    }
}
