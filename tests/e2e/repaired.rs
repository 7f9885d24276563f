//! What others undo is put right: programs, addresses, the kernel's word that was lost; and not more often than once a second.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use vrrp_tests::bpf;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Program::Vrrpd;
use vrrp_tests::lab::{A, B, Lab, with_lab};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::vrrpd;

use vrrp_tests::scenario::{PATIENCE, announced, elect};

/// A backup whose program is taken off hears its master by the raw socket, notices, and has the program again; the guard
/// holds the new one.
#[test]
fn a_program_that_was_taken_off() {
    with_lab(|lab| {
        let (a, b) = (Conf::v3(150), Conf::v3(100));
        let mut pair = elect(lab, [Vrrpd; 2], &a, &b)?;
        for times in 1..=2 {
            bpf::detach(pair.b.pid())?;
            let start = std::time::Instant::now();
            while pair.b.log().matches("somebody took the XDP program off; it is attached again").count() < times {
                ensure!(start.elapsed() < PATIENCE, "it does not notice: {}", pair.b.log());
                std::thread::sleep(Duration::from_millis(10));
            }
            ensure!(vrrpd::why_without_xdp(&vrrpd::status(&pair.b)?).is_none());
        }
        ensure!(lab.watch.record().adverts_of(B, Stamp::default()).next().is_none(), "the backup took over");
        pair.b.kill()?;
        let start = std::time::Instant::now();
        while lab.routers[B].ip("link show dev eth0")?.contains("xdp") {
            ensure!(start.elapsed() < PATIENCE, "the program stays");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    });
}

/// So many changes that the kernel drops word of some, among them that the address was removed: what is so is read anew.
#[test]
fn events_that_were_lost() {
    with_lab(|lab| {
        let conf = Conf::v3(150);
        let mut daemon = lab.start(A, Vrrpd, &conf.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let router = &lab.routers[A];
        daemon.signal(Signal::SIGSTOP)?;
        let mut batch = String::new();
        for number in 0..20_000 {
            batch += &format!("link set dev lo alias {number}\n");
        }
        batch += &format!("address del {VIP}/24 dev eth0\n");
        ip_batch(lab, &batch)?;
        ensure!(!lab.ip_shows(A, VIP)?, "the address is still there");
        let since = Stamp::now();
        daemon.signal(Signal::SIGCONT)?;
        daemon.wait_log("too many changes of interfaces and addresses at once", PATIENCE)?;
        lab.watch.wait("the address to come back", PATIENCE, |record| record.changed(A, VIP, true, since))?;
        // And it goes on to hear.
        router.ip("link set eth0 down")?;
        daemon.wait_log("Entering FAULT STATE", PATIENCE)
    });
}

fn ip_batch(lab: &Lab, commands: &str) -> Result<()> {
    let mut ip = lab.routers[A].command("ip").args(["-batch", "-"]).stdin(std::process::Stdio::piped()).spawn()?;
    ip.stdin.take().context("a pipe")?.write_all(commands.as_bytes())?;
    ensure!(ip.wait()?.success(), "ip -batch fails");
    Ok(())
}

/// Somebody removes the address again and again: the first time it comes back at once, then once a second.
#[test]
fn a_quarrel_over_an_address() {
    with_lab(|lab| {
        let mut daemon = lab.start(A, Vrrpd, &Conf::v3(150).line("garp_master_delay 60").text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let start = std::time::Instant::now();
        let mut removed = 0;
        while start.elapsed() < Duration::from_secs(3) {
            removed += usize::from(lab.routers[A].ip(&format!("address del {VIP}/24 dev eth0")).is_ok());
        }
        let times = daemon.log().matches("was removed by somebody else").count();
        ensure!((2..=5).contains(&times) && removed <= times + 1, "removed {removed} times, set {times} times");
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        daemon.stop()?;
        ensure!(!lab.ip_shows(A, VIP)?, "the address stayed");
        Ok(())
    });
}

/// An interface that does not exist at the start is taken up when it comes.
#[test]
fn an_interface_that_comes_later() {
    with_lab(|lab| {
        let router = &lab.routers[A];
        router.ip("link set eth0 down name later0")?;
        let conf = Conf::v3(150).vmac().global("dynamic_interfaces allow_if_changes");
        let daemon = lab.start(A, Vrrpd, &conf.text())?;
        std::thread::sleep(Duration::from_millis(300));
        ensure!(!daemon.log().contains("MASTER"), "it serves without an interface");
        let since = Stamp::now();
        router.ip("link set later0 name eth0")?;
        router.ip("link set eth0 up")?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        announced(lab, A, &conf, since)
    });
}

/// Another MTU is no fault, and the macvlan on the interface has it, too.
#[test]
fn another_mtu() {
    with_lab(|lab| {
        let conf = Conf::v3(150).vmac();
        let daemon = lab.start(A, Vrrpd, &conf.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        lab.routers[A].ip("link set eth0 mtu 1400")?;
        let since = Stamp::now();
        lab.watch.wait("an advert", PATIENCE, |record| record.adverts_of(A, since).next())?;
        ensure!(lab.routers[A].ip("link show dev vrrp.51")?.contains("mtu 1400"));
        ensure!(!daemon.log().contains("FAULT"), "{}", daemon.log());
        Ok(())
    });
}
