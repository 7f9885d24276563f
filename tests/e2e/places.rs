//! Unicast routers without an interface: adverts are routed, in a VRF too, and come in by whichever interface has the route.

use anyhow::{Result, ensure};
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Program::Vrrpd;
use vrrp_tests::lab::{A, B, Lab, own_address, with_lab};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::vrrpd;

use crate::scenario::{PATIENCE, announced, takes};

/// The address of a router that is on none of its links.
fn loopback(router: usize) -> [u8; 4] {
    [10, 1, 0, 1 + router as u8]
}

/// A virtual router of `lines` and no `interface`.
fn conf(router: usize, priority: u8, lines: &[&str]) -> Conf {
    let conf = Conf { addresses: vec![format!("{VIP}/24 dev eth0")], ..Conf::v3(priority) };
    let conf = conf.unicast(loopback(router), loopback(1 - router));
    lines.iter().fold(conf, |conf, line| conf.line(*line))
}

fn text(conf: &Conf) -> String {
    conf.text().replace("    interface eth0\n", "")
}

/// Routers reach each other's addresses by eth0, in the table of `words`.
fn route(lab: &Lab, device: &str, words: &str) -> Result<()> {
    for router in [A, B] {
        let there = |router| std::net::Ipv4Addr::from(loopback(router));
        lab.routers[router].ip(&format!("address add {}/32 dev {device}", there(router)))?;
        lab.routers[router].ip(&format!("route add {} via {} {words}", there(1 - router), own_address(1 - router)))?;
    }
    Ok(())
}

/// A router of which the other's adverts are heard by eth0 is elected, killed, comes back and stops.
fn routed_round(lab: &Lab, [a, b]: [&Conf; 2], also: &str) -> Result<()> {
    let mut start = Stamp::now();
    let mut a_runs = lab.start(A, Vrrpd, &(text(a) + also))?;
    announced(lab, A, a, start)?;
    let mut b_runs = lab.start(B, Vrrpd, &(text(b) + also))?;
    b_runs.wait_log(Vrrpd.backup_line(), PATIENCE)?;
    std::thread::sleep(2 * b.down_interval());
    let status = vrrpd::status(&b_runs)?;
    ensure!(vrrpd::counter(&status, "advert_rcvd")? > 3, "the backup does not hear the master: {status:#}");
    ensure!(!lab.ip_shows(B, VIP)?, "the backup has become master");

    let killed_at = a_runs.kill()?;
    lab.watch.wait_holder(B, VIP, PATIENCE)?;
    announced(lab, B, b, killed_at)?;
    start = Stamp::now();
    a_runs = lab.start(A, Vrrpd, &(text(a) + also))?;
    lab.watch.wait_holder(A, VIP, PATIENCE)?;
    announced(lab, A, a, start)?;
    let stopped_at = a_runs.stop()?;
    lab.watch.wait_holder(B, VIP, PATIENCE)?;
    let at = |router, priority| {
        let record = lab.watch.record();
        let mut adverts = record.adverts_of(router, stopped_at);
        let found = adverts.find(|advert| advert.priority == priority && advert.vrid == a.vrid);
        found.map(|advert| advert.at).ok_or_else(|| anyhow::anyhow!("no advert of priority {priority}"))
    };
    takes(at(B, b.priority)? - at(A, 0)?, b.skew(), "a takeover after priority 0")?;
    b_runs.stop()?;
    lab.watch.wait_nobody(VIP, PATIENCE)
}

/// Beside a virtual router of the interface itself, whose program sees all adverts first.
#[test]
fn adverts_come_in_by_any_interface() {
    with_lab(|lab| {
        route(lab, "lo", "")?;
        let beside = "vrrp_instance VI_2 {\n    interface eth0\n    virtual_router_id 77\n    priority 10\n    \
                      virtual_ipaddress {\n        192.168.1.77\n    }\n}\n";
        routed_round(lab, [&conf(A, 150, &[]), &conf(B, 100, &[])], beside)
    });
}

/// The source address may be on any interface, and is missed on all of them.
#[test]
fn a_tracked_source_address_may_be_anywhere() {
    with_lab(|lab| {
        let conf = conf(A, 150, &["track_src_ip"]);
        let mut daemon = lab.start(A, Vrrpd, &text(&conf))?;
        daemon.wait_log("Entering FAULT STATE", PATIENCE)?;
        for device in ["lo", "eth0"] {
            let own = std::net::Ipv4Addr::from(loopback(A));
            lab.routers[A].ip(&format!("address add {own}/32 dev {device}"))?;
            lab.watch.wait_holder(A, VIP, PATIENCE)?;
            lab.routers[A].ip(&format!("address del {own}/32 dev {device}"))?;
            lab.watch.wait_nobody(VIP, PATIENCE)?;
        }
        daemon.stop().map(drop)
    });
}

#[test]
#[ignore = "VRFs: cargo xtask kernels runs it"]
fn adverts_stay_in_their_vrf() {
    with_lab(|lab| {
        for host in &lab.routers {
            host.ip("link add red type vrf table 10")?;
            host.ip("link set red up")?;
            host.ip("link set eth0 master red")?;
        }
        route(lab, "red", "vrf red")?;
        // Emulated machines take seconds to load a program, and there is none for a VRF.
        let conf = |router, priority| conf(router, priority, &["vrf red"]).global("xdp_mode off");
        routed_round(lab, [&conf(A, 150), &conf(B, 100)], "")
    });
}
