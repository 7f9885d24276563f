//! The daemon takes over what its own crash left, touches nobody else's addresses, and leaves nothing behind.

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::{Daemon, Program::Vrrpd, children};
use vrrp_tests::lab::{A, B, Lab, own_address, with_lab};
use vrrp_tests::vrrpd;

use vrrp_tests::scenario::{self, PATIENCE};

/// What only a stranger can have set.
const STRANGERS: &str = "192.168.1.77";

#[test]
fn leftovers_go_at_start_and_strangers_stay() {
    with_lab(|lab| {
        lab.routers[B].ip(&format!("address add {VIP}/24 dev eth0"))?;
        lab.routers[B].ip(&format!("address add {STRANGERS}/24 dev eth0"))?;
        let (a, b) = (Conf::v3(150), Conf::v3(100));
        let mut pair = scenario::elect(lab, [Vrrpd; 2], &a, &b)?;
        ensure!(!lab.ip_shows(B, VIP)?, "the address that a crash left is still there");
        for router in [A, B] {
            ensure!(lab.ip_shows(router, own_address(router))?, "a router's own address is gone");
        }
        scenario::hand_over(lab, &mut pair, &b)?;
        pair.b.stop()?;
        ensure!(lab.ip_shows(B, STRANGERS.parse::<IpAddr>()?)?, "a stranger's address is gone");
        ensure!(lab.ip_shows(B, own_address(B))?, "the router's own address is gone");
        Ok(())
    });
}

#[test]
fn sigterm_leaves_nothing() {
    with_lab(|lab| leaves_nothing(lab, Signal::SIGTERM));
}

#[test]
fn sigint_leaves_nothing() {
    with_lab(|lab| leaves_nothing(lab, Signal::SIGINT));
}

fn leaves_nothing(lab: &Lab, signal: Signal) -> Result<()> {
    // With a check that is at work when the signal comes.
    let mut conf = Conf::v3(100);
    conf.before =
        "vrrp_script slow {\n    script \"/bin/sleep 3\"\n    interval 5\n    weight -1\n    init_fail\n}\n".into();
    let conf = conf.line("track_script {\n        slow\n    }");
    let before = host(lab)?;
    let mut daemon = lab.start(A, Vrrpd, &conf.text())?;
    lab.watch.wait_holder(A, VIP, PATIENCE)?;
    let family = descendants(daemon.pid());
    ensure!(!family.is_empty(), "no guard process");
    daemon.signal(signal)?;
    let status = daemon.wait_exit(PATIENCE)?;
    ensure!(status.success(), "{signal} ended it with {status}: {}", daemon.log());
    ensure!(daemon.log().contains("Stopped"), "no word of its end: {}", daemon.log());
    ensure!(host(lab)? == before, "addresses, programs or groups are left behind");
    left_files(&daemon)?;
    let alive: Vec<_> = family.into_iter().filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).collect();
    ensure!(alive.is_empty(), "processes {alive:?} outlive the daemon");
    Ok(())
}

/// Addresses, XDP programs, groups.
pub fn host(lab: &Lab) -> Result<String> {
    let words = ["address show", "link show", "maddress show"];
    Ok(words.iter().map(|words| lab.routers[A].ip(words)).collect::<Result<Vec<_>>>()?.concat())
}

fn left_files(daemon: &Daemon) -> Result<()> {
    let run = daemon.directory.join("run");
    let left: Vec<_> = std::fs::read_dir(&run).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
    ensure!(left.is_empty(), "{left:?} are left in the run directory");
    Ok(())
}

fn descendants(pid: u32) -> Vec<u32> {
    children(pid).into_iter().flat_map(|child| std::iter::once(child).chain(descendants(child))).collect()
}

/// SIGKILL, and what it leaves: no address (the guard), no program, and no obstacle to the next start.
#[test]
fn sigkill_leaves_no_address_and_no_program() {
    with_lab(|lab| {
        let before = host(lab)?;
        let conf = Conf::v3(100).text();
        let mut daemon = lab.start(A, Vrrpd, &conf)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let family = descendants(daemon.pid());
        daemon.kill()?;
        lab.watch.wait_nobody(VIP, PATIENCE)?;
        for pid in family {
            wait_gone(pid)?;
        }
        ensure!(host(lab)? == before, "the killed daemon left more than files");
        // In the same run directory, where its socket and pid file still are.
        let run = daemon.directory.join("run").display().to_string();
        let mut again = lab.start_by(A, Vrrpd, &conf, |mut words| {
            if let Some(last) = words.last_mut() {
                *last = run.clone();
            }
            words
        })?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        again.stop()?;
        Ok(())
    });
}

fn wait_gone(pid: u32) -> Result<()> {
    let start = std::time::Instant::now();
    while Path::new(&format!("/proc/{pid}")).exists() {
        ensure!(start.elapsed() < PATIENCE, "process {pid} outlives the daemon by {PATIENCE:?}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Ok(())
}

/// vrrpctl says so when there is no daemon.
#[test]
fn vrrpctl_without_a_daemon_says_so() {
    with_lab(|lab| {
        let output = std::process::Command::new(vrrpd::built("vrrpctl")?)
            .args(["--run-dir", &lab.directory.display().to_string(), "status", "--json"])
            .output()
            .context("vrrpctl")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success() && said.lines().count() == 1, "{said}");
        Ok(())
    });
}
