//! The files that signals ask for: keepalived's own of the same configuration is the judge of keys, order and values.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::libc;
use serde_json::Value;
use vrrp_tests::conf::VIP;
use vrrp_tests::daemon::Program::{Keepalived, Vrrpd};
use vrrp_tests::daemon::{Daemon, Program};
use vrrp_tests::keepalived;
use vrrp_tests::lab::{A, Lab, with_lab};

use vrrp_tests::scenario::PATIENCE;

/// keepalived's numbers: SIGUSR1, SIGUSR2, SIGRTMAX-1 and SIGRTMIN+2.
pub const DATA: i32 = 10;
const STATS: i32 = 12;
const STATS_CLEAR: i32 = 63;
const JSON: i32 = 36;

/// What newer releases than 2.2.7 count beside.
const NEWER: &str = "auth_ext_";

const CONF: &str = "\
global_defs {
    script_user root
    enable_script_security
    router_id judge
}
vrrp_script chk {
    script \"/usr/bin/true 'two words'\"
    interval 1
    weight -5
}
vrrp_instance VI_1 {
    state MASTER
    interface eth0
    virtual_router_id 51
    priority 120
    advert_int 1
    strict_mode off
    skip_check_adv_addr
    garp_master_refresh 60
    lower_prio_no_advert
    promote_secondaries
    authentication {
        auth_type PASS
        auth_pass secret12
    }
    virtual_ipaddress {
        192.168.1.100/24 brd 192.168.1.255 label eth0:1
        192.168.1.101/32 scope link
    }
    virtual_ipaddress_excluded {
        192.168.1.110/24
    }
    track_script {
        chk
    }
    notify_stop \"/usr/bin/true x 'y z'\"
    notify_master_rx_lower_pri /usr/bin/true
}
vrrp_instance VI_2 {
    interface eth0
    virtual_router_id 52
    version 3
    priority 90
    advert_int 0.5
    nopreempt
    dont_track_primary
    virtual_ipaddress {
        192.168.1.104/24
    }
}
";

/// The last is the last that VI_1 sets.
const HELD: [Ipv4Addr; 3] = [VIP, Ipv4Addr::new(192, 168, 1, 104), Ipv4Addr::new(192, 168, 1, 110)];

/// Starts a master whose files are in a directory of its own, and waits until it holds these.
pub fn start(lab: &Lab, program: Program, conf: &str, held: &[Ipv4Addr]) -> Result<(Daemon, PathBuf)> {
    let directory = lab.directory.join(format!("files-{program:?}"));
    fs::create_dir(&directory)?;
    let place = format!("TMPDIR={}", directory.display());
    let daemon = lab.start_by(A, program, conf, |words| [vec!["env".to_owned(), place], words].concat())?;
    for &address in held {
        lab.watch.wait_holder(A, address, PATIENCE)?;
    }
    // A moment for the daemon to hear of it itself.
    std::thread::sleep(std::time::Duration::from_millis(200));
    Ok((daemon, directory))
}

/// Asks for a file, and reads it when it is whole.
pub fn ask(daemon: &Daemon, signal: i32, path: &Path, is_whole: impl Fn(&str) -> bool) -> Result<String> {
    let _ = fs::remove_file(path);
    // SAFETY: plain numbers; the process is a child of ours that was not reaped.
    let sent = unsafe { libc::kill(daemon.pid() as i32, signal) };
    ensure!(sent == 0, "signal {signal} could not be sent");
    let start = Instant::now();
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if is_whole(&text) {
            let mode = fs::symlink_metadata(path)?.permissions().mode() & 0o7777;
            ensure!(mode == 0o600, "{} has mode {mode:o}", path.display());
            return Ok(text);
        }
        ensure!(start.elapsed() < PATIENCE, "{} is not written, or not whole: {text:?}", path.display());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn json(daemon: &Daemon, directory: &Path) -> Result<String> {
    let is_whole = |text: &str| serde_json::from_str::<Value>(text).is_ok();
    ask(daemon, JSON, &directory.join("keepalived.json"), is_whole)
}

/// The keys of the objects, in their order.
fn keys(json: &str) -> Vec<&str> {
    let words = json.split('"').skip(1).step_by(2);
    let behind = json.split('"').skip(2).step_by(2);
    let keys = words.zip(behind).filter(|(_, next)| next.starts_with(':')).map(|(word, _)| word);
    keys.filter(|key| !key.starts_with(NEWER)).collect()
}

/// All that does not depend on when it was asked.
fn lasting(json: &str) -> Result<Value> {
    let mut routers: Value = serde_json::from_str(json)?;
    for router in routers.as_array_mut().context("an array")? {
        ensure!(router["data"]["last_transition"].as_f64().is_some_and(|at| at > 1.7e9), "{}", router["data"]);
        ensure!(router["stats"]["advert_sent"].as_u64() > Some(0), "{}", router["stats"]);
        router["data"]["last_transition"] = Value::Null;
        router["stats"]["advert_sent"] = Value::Null;
        if let Some(password) = router["data"].get_mut("auth_data") {
            // 2.2.7 shows it.
            *password = Value::Null;
        }
        router["stats"].as_object_mut().context("an object")?.retain(|key, _| !key.starts_with(NEWER));
    }
    Ok(routers)
}

#[test]
fn json_is_keepalived_s_key_by_key() {
    with_lab(|lab| {
        let (mut daemon, directory) = start(lab, Vrrpd, CONF, &HELD)?;
        let ours = json(&daemon, &directory)?;
        ensure!(!ours.contains("secret12"), "the password is shown: {ours}");
        daemon.stop()?;
        if keepalived::is_missing() {
            return Ok(());
        }
        let (daemon, directory) = start(lab, Keepalived, CONF, &HELD)?;
        let theirs = json(&daemon, &directory)?;
        ensure!(keys(&ours) == keys(&theirs), "ours {:#?}, keepalived's {:#?}", keys(&ours), keys(&theirs));
        let (ours, theirs) = (lasting(&ours)?, lasting(&theirs)?);
        ensure!(ours == theirs, "ours {ours:#}, keepalived's {theirs:#}");
        Ok(())
    });
}

/// The lines of one section of one virtual router, without what counts on.
fn stats_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    // Newer than 2.2.7, with the six lines below it.
    while let Some(at) = lines.iter().position(|line| line.trim() == "Authentication Extension Errors:") {
        lines.drain(at..at + 7);
    }
    lines.iter().map(|line| if line.starts_with("    Sent: ") { "    Sent:".into() } else { line.clone() }).collect()
}

#[test]
fn statistics_are_keepalived_s_and_begin_anew() {
    with_lab(|lab| {
        let is_whole = |text: &str| text.matches("Priority Zero").count() == 2 && text.ends_with('\n');
        let (mut daemon, directory) = start(lab, Vrrpd, CONF, &HELD)?;
        let path = directory.join("keepalived.stats");
        let ours = ask(&daemon, STATS, &path, is_whole)?;
        ensure!(ours.contains("  Became master: 1\n"), "{ours}");
        ask(&daemon, STATS_CLEAR, &path, is_whole)?;
        let cleared = ask(&daemon, STATS, &path, is_whole)?;
        ensure!(!cleared.contains("  Became master: 1\n"), "{cleared}");
        daemon.stop()?;
        if keepalived::is_missing() {
            return Ok(());
        }
        let (daemon, directory) = start(lab, Keepalived, CONF, &HELD)?;
        let theirs = ask(&daemon, STATS, &directory.join("keepalived.stats"), is_whole)?;
        ensure!(stats_lines(&ours) == stats_lines(&theirs), "ours {ours}, keepalived's {theirs}");
        Ok(())
    });
}

/// What exporters read of it, and what stands for itself.
const EXPORTED: &[&str] = &[
    " VRRP Instance = ",
    "   VRRP Version = ",
    "   State = ",
    "   Wantstate = ",
    "   Number of ",
    "   Master down timer = ",
    "   Interface = ",
    "   VRRP interface tracking disabled",
    "   Skip checking",
    "   Using src_ip = ",
    "   Multicast address",
    "   Gratuitous ARP",
    "   Down timer adverts = ",
    "   Send advert",
    "   Virtual Router ID = ",
    "   Priority = ",
    "   Effective priority = ",
    "   Total priority = ",
    "   Advert interval = ",
    "   Accept = ",
    "   Preempt = ",
    "   Promote_secondaries = ",
    "   Authentication type = ",
    "   Virtual IP",
    "     192.168.1.",
    "     chk ",
    "   Tracked scripts",
    "   Using smtp notification = ",
    "   Notify ",
    "   Stop state transition script",
    "   Master rx lower pri state transition script",
];

fn exported(text: &str) -> Vec<&str> {
    let topology = text.split("------< ").find(|section| section.starts_with("VRRP Topology")).unwrap_or_default();
    topology.lines().filter(|line| EXPORTED.iter().any(|begin| line.starts_with(begin))).collect()
}

#[test]
fn data_is_what_exporters_read_of_keepalived_s() {
    with_lab(|lab| {
        let is_whole = |text: &str| text.contains("------< Interfaces >------");
        let (mut daemon, directory) = start(lab, Vrrpd, CONF, &HELD)?;
        let path = directory.join("keepalived.data");
        let kept = directory.join("kept");
        fs::write(&kept, "kept")?;
        let ours = ask(&daemon, DATA, &path, is_whole)?;
        ensure!(!ours.contains("secret12"), "the password is shown: {ours}");
        // A link in its place, as somebody else of the host could make one in /tmp.
        fs::remove_file(&path)?;
        std::os::unix::fs::symlink(&kept, directory.join("keepalived.stats"))?;
        // SAFETY: as above.
        unsafe { libc::kill(daemon.pid() as i32, STATS) };
        daemon.wait_log("Printing VRRP stats", PATIENCE)?;
        ensure!(fs::read_to_string(&kept)? == "kept", "a link was followed");
        daemon.stop()?;
        if keepalived::is_missing() {
            return Ok(());
        }
        let (daemon, directory) = start(lab, Keepalived, CONF, &HELD)?;
        let theirs = ask(&daemon, DATA, &directory.join("keepalived.data"), is_whole)?;
        let (ours, theirs) = (exported(&ours), exported(&theirs));
        ensure!(theirs.len() > 50 && ours == theirs, "ours {ours:#?}, keepalived's {theirs:#?}");
        Ok(())
    });
}
