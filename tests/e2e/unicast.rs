//! Unicast adverts: no ICMP error answers them, strangers and distant senders are refused where the configuration says so.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use vrrp_common::Family;
use vrrp_common::drop::Reason;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Program::Vrrpd;
use vrrp_tests::forge;
use vrrp_tests::frames::FrameSpec;
use vrrp_tests::lab::{A, B, Lab, own_address, own_global, with_lab};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::vrrpd;

use vrrp_tests::scenario::{self, PATIENCE};

use crate::reload;

fn conf4(router: usize, priority: u8) -> Conf {
    Conf::v3(priority).unicast(own_address(router), own_address(1 - router))
}

fn conf6(router: usize, priority: u8) -> Conf {
    Conf::v6(priority).unicast(own_global(router), own_global(1 - router))
}

/// Without a socket for VRRP a host answers each advert with an ICMP error; beside the daemon it never does, whoever takes
/// the adverts.
fn nobody_objects(lab: &Lab, conf: impl Fn(usize, u8) -> Conf) -> Result<()> {
    let (a, b) = (conf(A, 150), conf(B, 100));
    if a.family() == Family::V6 {
        lab.speak_ipv6()?;
    }
    let mut pair = scenario::elect(lab, [Vrrpd; 2], &a, &b)?;
    // Before B's daemon ran there were some.
    let before = objections(lab, B)?;
    std::thread::sleep(10 * a.advert_int.duration());
    ensure!(vrrpd::counter(&vrrpd::status(&pair.b)?, "advert_rcvd")? > 0, "the backup hears nothing");
    ensure!(objections(lab, B)? == before, "an advert was answered with an ICMP error");
    // The counter can count.
    pair.b.stop()?;
    let start = Stamp::now();
    while objections(lab, B)? == before {
        ensure!(start.elapsed() < PATIENCE, "no ICMP error where no daemon runs");
        std::thread::sleep(a.advert_int.duration());
    }
    Ok(())
}

/// ICMP errors that a router has sent because nobody there knows the protocol.
fn objections(lab: &Lab, router: usize) -> Result<u64> {
    lab.routers[router].within(|| {
        let of = |file: &str| std::fs::read_to_string(format!("/proc/thread-self/net/{file}"));
        let (snmp, snmp6) = (of("snmp")?, of("snmp6")?);
        // Names in one line, values in the next.
        let mut icmp = snmp.lines().filter_map(|line| line.strip_prefix("Icmp: "));
        let (names, values) = (icmp.next().context("ICMP's names")?, icmp.next().context("ICMP's values")?);
        let icmp = names.split(' ').zip(values.split(' '));
        let icmp6 = snmp6.lines().filter_map(|line| line.split_once(char::is_whitespace));
        let errors = ["OutDestUnreachs", "Icmp6OutDestUnreachs", "Icmp6OutParmProblems"];
        let found = icmp.chain(icmp6).filter(|(name, _)| errors.contains(name));
        Ok(found.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum())
    })
}

#[test]
fn no_icmp_error_leaves_for_an_advert() {
    with_lab(|lab| nobody_objects(lab, conf4));
}

#[test]
fn no_icmp_error_leaves_for_an_advert_over_ipv6() {
    with_lab(|lab| nobody_objects(lab, conf6));
}

#[test]
fn no_icmp_error_leaves_without_xdp() {
    with_lab(|lab| nobody_objects(lab, |router, priority| conf4(router, priority).global("xdp_mode off")));
}

#[test]
fn no_icmp_error_leaves_over_ipv6_without_xdp() {
    with_lab(|lab| nobody_objects(lab, |router, priority| conf6(router, priority).global("xdp_mode off")));
}

/// A stronger router's adverts, from an address and a distance.
fn stronger(source: IpAddr, ttl: u8) -> Vec<u8> {
    FrameSpec {
        destination_mac: [2, 0, 0, 0, 0, 0x10],
        source,
        destination: own_address(A).into(),
        ttl,
        priority: 254,
        interval: 20,
        addresses: vec![VIP.into()],
        ..FrameSpec::v3()
    }
    .build()
}

/// Sends a few of them to router A, master of this configuration; returns how many it refused for the reason, and heard.
fn refused(lab: &Lab, conf: &Conf, frame: Vec<u8>, reason: Reason) -> Result<(u64, u64)> {
    let a = lab.start_conf(A, Vrrpd, conf)?;
    lab.watch.wait_holder(A, VIP, PATIENCE)?;
    let sent = forge::flood(&lab.attacker, &[frame], 5, 50)?.sent;
    let start = Stamp::now();
    loop {
        let status = vrrpd::status(&a)?;
        let counted = (vrrpd::drops(&status, reason), vrrpd::counter(&status, "advert_rcvd")?);
        if counted.0 + counted.1 >= u64::from(sent) {
            return Ok(counted);
        }
        ensure!(start.elapsed() < PATIENCE, "of {sent} adverts only {counted:?} were counted: {status:#}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

const STRANGER: [u8; 4] = [192, 168, 1, 77];

#[test]
fn check_unicast_src_refuses_a_stranger() {
    with_lab(|lab| {
        let conf = conf4(A, 150).line("check_unicast_src");
        ensure!(
            refused(lab, &conf, stronger(STRANGER.into(), 255), Reason::SrcNotPeer)? == (5, 0),
            "a stranger was heard"
        );
        Ok(())
    });
}

/// keepalived's default: whoever knows the VRID is heard.
#[test]
fn without_check_unicast_src_a_stranger_is_heard() {
    with_lab(|lab| {
        let (refused, heard) = refused(lab, &conf4(A, 150), stronger(STRANGER.into(), 255), Reason::SrcNotPeer)?;
        ensure!(refused == 0 && heard > 0, "{refused} were refused, {heard} heard");
        Ok(())
    });
}

#[test]
fn a_peer_beyond_its_distance_is_refused() {
    with_lab(|lab| {
        let conf = Conf::v3(150).line(format!("unicast_src_ip {}", own_address(A)));
        let conf = conf.line(format!("unicast_peer {{\n        {} min_ttl 250 max_ttl 254\n    }}", own_address(B)));
        for ttl in [249, 255] {
            let (refused, heard) = refused(lab, &conf, stronger(own_address(B).into(), ttl), Reason::TtlNot255)?;
            ensure!((refused, heard) == (5, 0), "ttl {ttl}: {refused} were refused, {heard} heard");
        }
        let (refused, heard) = refused(lab, &conf, stronger(own_address(B).into(), 250), Reason::TtlNot255)?;
        ensure!(refused == 0 && heard > 0, "{refused} were refused, {heard} heard");
        Ok(())
    });
}

/// `unicast_fault_no_peer`: without a peer it is at fault and sends nothing to anybody; a reload that brings one ends that,
/// and one that takes it away again ends the service.
#[test]
fn without_a_peer_it_is_at_fault() {
    with_lab(|lab| {
        let [own, peer] = [A, B].map(own_address);
        let text = |peer: &str| {
            let conf = Conf::v3(150).line(format!("unicast_src_ip {own}")).line("unicast_fault_no_peer");
            conf.line(format!("unicast_peer {{\n        {peer}\n    }}")).text()
        };
        let mut daemon = lab.start(A, Vrrpd, &text(""))?;
        daemon.wait_log("Entering FAULT STATE", PATIENCE)?;
        let status = vrrpd::vrrpctl(&daemon, &["status"])?;
        ensure!(status.contains("has no unicast peer"), "{status}");
        ensure!(lab.watch.record().adverts_of(A, Stamp::default()).next().is_none(), "it speaks");

        reload::reload(&daemon, &text(&peer.to_string()))?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        reload::reload(&daemon, &text(""))?;
        lab.watch.wait_nobody(VIP, PATIENCE)?;
        daemon.stop()?;
        Ok(())
    });
}
