//! Debian's FRR as a peer: its vrrpd, and the zebra that tells it of interfaces.
//!
//! FRR sets no addresses: they are on a macvlan with the virtual MAC address that somebody made, and that zebra holds
//! down (`protodown`) unless its router is master.

use std::fmt::Write;
use std::net::IpAddr;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use vrrp_common::{Family, Version};

use crate::conf::{Conf, Preempt};
use crate::daemon::{self, Daemon};
use crate::lab::own_link_local;
use crate::netns::Namespace;
use crate::skip::skip;

/// Where Debian puts its daemons.
pub const DIRECTORY: &str = "/usr/lib/frr";
/// How long zebra takes until vrrpd can talk to it.
const ZEBRA: Duration = Duration::from_millis(700);

/// Whether it is installed; skips the test otherwise.
pub fn is_missing() -> bool {
    let missing = !Path::new(DIRECTORY).join("vrrpd").exists();
    if missing {
        skip("FRR is not installed");
    }
    missing
}

/// The command of one of its daemons. They give up root, so the directory that they share must be theirs.
pub fn words(common: &Path, program: &str, more: &[&str]) -> Vec<String> {
    let _ = std::fs::create_dir_all(common);
    if let Ok(Some(user)) = nix::unistd::User::from_name("frr") {
        let _ = chown(common, Some(user.uid.as_raw()), Some(user.gid.as_raw()));
    }
    let file = |name: &str| common.join(name).display().to_string();
    let (socket, pid) = (file("zebra.sock"), file(&format!("{program}.pid")));
    let vty = common.display().to_string();
    let path = format!("{DIRECTORY}/{program}");
    let words = [&path, "-u", "frr", "-g", "frr", "-z", &socket, "--vty_socket", &vty, "-P", "0", "-i", &pid];
    words.iter().copied().chain(["--limit-fds", "16384"]).chain(more.iter().copied()).map(str::to_owned).collect()
}

/// Starts zebra, and waits until vrrpd can talk to it.
pub fn zebra(namespace: &Namespace, common: &Path) -> Result<Child> {
    let file = common.join("zebra.conf");
    std::fs::write(&file, "log stdout warnings\n")?;
    let words = words(common, "zebra", &["-s", "90000000", "-f", &file.display().to_string()]);
    let child = daemon::spawn(namespace, &words, &common.join("zebra.log"))?;
    std::thread::sleep(ZEBRA);
    Ok(child)
}

/// The lines of vrrpd's configuration for one virtual router, within its interface.
pub fn router(
    vrid: u8,
    version: Version,
    priority: u8,
    interval: Duration,
    addresses: impl IntoIterator<Item = IpAddr>,
) -> String {
    let mut text = format!(" vrrp {vrid} version {}\n vrrp {vrid} priority {priority}\n", version as u8);
    let _ = writeln!(text, " vrrp {vrid} advertisement-interval {}", interval.as_millis());
    for address in addresses {
        let word = if address.is_ipv4() { "ip" } else { "ipv6" };
        let _ = writeln!(text, " vrrp {vrid} {word} {address}");
    }
    text
}

/// The words for `ip` that make one virtual router's macvlan.
pub fn macvlan(name: &str, parent: &str, family: Family, vrid: u8) -> String {
    let family = if family == Family::V4 { 1 } else { 2 };
    format!("link add {name} link {parent} address 00:00:5e:00:{family:02x}:{vrid:02x} type macvlan mode bridge")
}

/// The name of the one macvlan in a laboratory.
const MACVLAN: &str = "vrrp1";

/// What FRR's own tools write of a configuration.
pub fn text(conf: &Conf) -> Result<String> {
    ensure!(conf.password.is_none(), "FRR has no authentication");
    ensure!(conf.unicast.is_none() && !conf.has_twin, "FRR has no unicast adverts, and no sync groups");
    let mut text = String::from("log stdout debugging\ndebug vrrp protocol\ndebug vrrp packets\ninterface eth0\n");
    text += &router(conf.vrid, conf.version, conf.priority, conf.advert_int.duration(), conf.advertised());
    match conf.preempt {
        Preempt::AtOnce => {}
        Preempt::After(_) => bail!("FRR has no preempt_delay"),
        Preempt::Never => text += &format!(" no vrrp {} preempt\n", conf.vrid),
    }
    Ok(text + "exit\n")
}

/// Makes the router of a laboratory ready for FRR: the macvlan, held down, with the addresses.
pub fn prepare(host: &Namespace, place: usize, conf: &Conf) -> Result<()> {
    if host.ip("-o link")?.contains(MACVLAN) {
        return Ok(());
    }
    // The parent shall not answer for the macvlan's addresses.
    host.sysctl("net/ipv4/conf/all/arp_ignore", "1")?;
    host.ip(&macvlan(MACVLAN, "eth0", conf.family(), conf.vrid))?;
    power(host, false)?;
    // Of the virtual MAC address all routers would make the same link-local one.
    host.ip(&format!("link set {MACVLAN} addrgenmode none up"))?;
    for address in &conf.addresses {
        let nodad = if conf.family() == Family::V6 { "nodad" } else { "" };
        host.ip(&format!("address add {address} dev {MACVLAN} {nodad}"))?;
    }
    if conf.family() == Family::V6 {
        host.ip(&format!("address add {}/64 dev {MACVLAN} nodad", own_link_local(place)))?;
    }
    Ok(())
}

/// Whether the macvlan may carry anything: to take it from a daemon that was killed.
pub fn power(host: &Namespace, on: bool) -> Result<()> {
    host.ip(&format!("link set {MACVLAN} protodown {}", if on { "off" } else { "on" })).map(drop)
}

/// Gives a running vrrpd another priority.
pub fn set_priority(daemon: &Daemon, conf: &Conf, priority: u8) -> Result<()> {
    let output = std::process::Command::new("vtysh")
        .args(["--vty_socket".as_ref(), daemon.directory.as_os_str(), "-d".as_ref(), "vrrpd".as_ref()])
        .args(["-c", "configure terminal", "-c", "interface eth0"])
        .args(["-c", &format!("vrrp {} priority {priority}", conf.vrid)])
        .output()
        .context("cannot run vtysh")?;
    if !output.status.success() || !output.stdout.is_empty() {
        bail!("vtysh: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Words of its log, with packets' debugging on, that find fault with an advert.
const FAULTS: &[&str] = &["invalid", "mismatch", "bad ", "malformed", "unexpected", "incorrect", "drop", "differ"];

pub fn is_complaint(line: &str) -> bool {
    let line = line.to_lowercase();
    FAULTS.iter().any(|fault| line.contains(fault))
}

/// FRR's bfdd with a zebra of its own; both end with it.
pub struct Bfdd {
    directory: std::path::PathBuf,
    processes: [Child; 2],
}

impl Bfdd {
    /// Starts it with a configuration in a directory of its own.
    pub fn start(namespace: &Namespace, directory: &Path, configuration: &str) -> Result<Self> {
        std::fs::create_dir(directory)?;
        let zebra = zebra(namespace, directory)?;
        let (file, control) = (directory.join("bfdd.conf"), directory.join("bfdd.sock"));
        std::fs::write(&file, configuration)?;
        let more = ["-f", &file.display().to_string(), "--bfdctl", &control.display().to_string()];
        let bfdd = daemon::spawn(namespace, &words(directory, "bfdd", &more), &directory.join("bfdd.log"))?;
        Ok(Self { directory: directory.to_owned(), processes: [bfdd, zebra] })
    }

    /// Has it do what vtysh is told, and returns what is printed.
    pub fn vtysh(&self, commands: &[&str]) -> Result<String> {
        let mut vtysh = std::process::Command::new("vtysh");
        vtysh.args(["--vty_socket".as_ref(), self.directory.as_os_str(), "-d".as_ref(), "bfdd".as_ref()]);
        for command in commands {
            vtysh.args(["-c", command]);
        }
        let output = vtysh.output().context("cannot run vtysh")?;
        Ok(String::from_utf8(output.stdout)?)
    }

    /// What it makes of its session with a neighbour: `up`, `down`, or nothing.
    pub fn status(&self, neighbor: IpAddr) -> Result<String> {
        let peers: serde_json::Value = serde_json::from_str(&self.vtysh(&["show bfd peers json"])?)?;
        let of = |peer: &&serde_json::Value| peer["peer"] == neighbor.to_string();
        let peer = peers.as_array().and_then(|peers| peers.iter().find(of));
        Ok(peer.and_then(|peer| peer["status"].as_str()).unwrap_or_default().to_owned())
    }
}

impl Drop for Bfdd {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill().and_then(|()| process.wait());
            crate::sweep::process_ended(process.id() as i32);
        }
    }
}
