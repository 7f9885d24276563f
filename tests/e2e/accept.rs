//! `no_accept`: who does not own the addresses answers ARP and neighbour solicitations for them, and takes no packet to them
//! (DP-04).

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use vrrp_common::Family;
use vrrp_tests::client::Client;
use vrrp_tests::conf::{Conf, VIP, VIP6};
use vrrp_tests::daemon::Daemon;
use vrrp_tests::daemon::Program::{self, Keepalived, Vrrpd};
use vrrp_tests::keepalived;
use vrrp_tests::lab::{A, Lab, with_lab};
use vrrp_tests::stamp::Stamp;

use vrrp_tests::scenario::PATIENCE;

pub fn tables(lab: &Lab) -> Result<String> {
    let output = lab.routers[A].command("nft").args(["list", "ruleset"]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether the client that a master of this configuration has learns its MAC address, and whether it has answers.
fn reaches(program: Program, conf: &Conf) -> Result<(bool, bool)> {
    let mut reached = (false, false);
    with_lab(|lab| {
        let address: IpAddr = match conf.family() {
            Family::V4 => VIP.into(),
            Family::V6 => VIP6.into(),
        };
        if conf.family() == Family::V6 {
            lab.speak_ipv6()?;
        }
        let _daemon = lab.start(A, program, &conf.text())?;
        lab.watch.wait_holder(A, address, PATIENCE)?;
        // Not from the announcement.
        lab.client.ip("neigh flush all")?;
        let client = Client::start(&lab.client, address)?;
        let start = std::time::Instant::now();
        while !reached.0 && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(50));
            let shown = lab.client.ip(&format!("neigh show to {address}"))?;
            reached.0 = shown.contains("lladdr") && (!conf.use_vmac || shown.contains("00:00:5e:00:"));
        }
        // What will be answered at all is answered at once.
        reached.1 = client.wait_answer(Stamp::now(), Duration::from_millis(500)).is_ok();
        Ok(())
    });
    Ok(reached)
}

#[test]
fn no_accept_answers_arp_alone() -> Result<()> {
    let conf = Conf::v3(150).line("no_accept");
    ensure!(reaches(Vrrpd, &conf)? == (true, false));
    ensure!(reaches(Vrrpd, &conf.clone().vmac())? == (true, false));
    if !keepalived::is_missing() {
        ensure!(reaches(Keepalived, &conf.global("nftables"))? == (true, false), "keepalived accepts");
    }
    Ok(())
}

/// Neighbour solicitations are always answered (RFC 9568 section 6.4.3), with the virtual MAC address where there is one (DP-02).
#[test]
fn no_accept_answers_neighbour_solicitations_alone() -> Result<()> {
    let conf = Conf::v6(150).line("no_accept");
    ensure!(reaches(Vrrpd, &conf)? == (true, false));
    ensure!(reaches(Vrrpd, &conf.clone().vmac())? == (true, false));
    if !keepalived::is_missing() {
        ensure!(reaches(Keepalived, &conf.global("nftables"))? == (true, false), "keepalived accepts");
    }
    ensure!(reaches(Vrrpd, &Conf::v6(150).vmac())? == (true, true));
    Ok(())
}

#[test]
fn accept_and_the_owner_answer() -> Result<()> {
    ensure!(reaches(Vrrpd, &Conf::v3(150).line("no_accept").line("accept"))? == (true, true));
    ensure!(reaches(Vrrpd, &Conf::v3(255).line("no_accept"))? == (true, true));
    Ok(())
}

/// The table goes with the daemon, however it ends, and with it what a dead one left; other tables stay.
#[test]
fn the_table_goes_with_the_daemon() {
    with_lab(|lab| {
        let nft = |words: &str| lab.routers[A].command("nft").args(words.split(' ')).status();
        nft("add table ip strangers")?;
        nft("add table ip keepalived")?;
        nft("add chain ip keepalived left_over")?;
        let conf = Conf::v3(150).line("no_accept").global("nftables_counters");
        for end in [Daemon::kill, Daemon::stop] {
            let mut daemon = lab.start(A, Vrrpd, &conf.text())?;
            lab.watch.wait_holder(A, VIP, PATIENCE)?;
            let during = tables(lab)?;
            ensure!(during.contains("elements = { 192.168.1.100 }") && !during.contains("left_over"), "{during}");
            ensure!(during.contains("priority filter - 1") && during.contains("counter packets"), "{during}");
            end(&mut daemon)?;
            let start = std::time::Instant::now();
            while tables(lab)?.contains("keepalived") {
                ensure!(start.elapsed() < PATIENCE, "left: {}", tables(lab)?);
                std::thread::sleep(Duration::from_millis(10));
            }
            ensure!(tables(lab)?.contains("table ip strangers"), "the stranger's table is gone");
        }
        Ok(())
    });
}

/// Without `nft` the daemon says so and does not start: it would take what it must not.
#[test]
fn without_nft_it_does_not_start() {
    with_lab(|lab| {
        lab.announce_error("no_accept needs nftables");
        let conf = Conf::v3(150).line("no_accept").text();
        let by = |words: Vec<String>| [vec!["/usr/bin/env".into(), "PATH=/nowhere".into()], words].concat();
        let mut daemon = lab.start_by(A, Vrrpd, &conf, by)?;
        let status = daemon.wait_exit(PATIENCE)?;
        ensure!(status.code() == Some(2), "it ended with {status}");
        ensure!(daemon.log().contains("no_accept needs nftables: there is no program `nft`"), "{}", daemon.log());
        Ok(())
    });
}
