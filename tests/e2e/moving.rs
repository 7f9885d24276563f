//! The world moves under a running daemon: interfaces go and come back, change names and masters, addresses are taken away.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use vrrp_tests::addresses::Change;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::{Daemon, Program::Vrrpd};
use vrrp_tests::lab::{A, B, Lab, own_address, with_lab};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::vrrpd;
use vrrp_tests::watch::Record;

use vrrp_tests::scenario::{PATIENCE, announced, elect};

/// A second interface of router A that nobody else is on.
fn second_interface(lab: &Lab) -> Result<()> {
    lab.routers[A].ip("link add eth1 type veth peer name peer1")?;
    lab.routers[A].ip("link set peer1 up")?;
    lab.routers[A].ip("link set eth1 up")?;
    Ok(())
}

fn shows(lab: &Lab, interface: &str, text: &str) -> Result<bool> {
    Ok(lab.routers[A].ip(&format!("address show dev {interface}"))?.contains(text))
}

/// Waits until `ip address` shows a text for an interface of router A, or shows it no more.
fn wait_shows(lab: &Lab, interface: &str, text: &str, shown: bool) -> Result<()> {
    let start = std::time::Instant::now();
    while shows(lab, interface, text)? != shown {
        ensure!(start.elapsed() < PATIENCE, "{interface}: waited in vain for {text} (shown: {shown})");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Router A alone, master.
fn alone(lab: &Lab, conf: &Conf) -> Result<Daemon> {
    let daemon = lab.start(A, Vrrpd, &conf.text())?;
    lab.watch.wait_holder(A, VIP, PATIENCE)?;
    Ok(daemon)
}

/// Taken away by an operator, a master's address is set again, and announced: others may have had it meanwhile.
#[test]
fn a_removed_address_comes_back_and_is_announced() {
    with_lab(|lab| {
        let conf = Conf::v3(150).line("garp_master_delay 60");
        let _daemon = alone(lab, &conf)?;
        announced(lab, A, &conf, Stamp::default())?;
        // Past the first round of announcements.
        std::thread::sleep(Duration::from_millis(300));
        let since = Stamp::now();
        lab.routers[A].ip(&format!("address del {VIP}/24 dev eth0"))?;
        lab.watch.wait("the address to come back", PATIENCE, |record| record.changed(A, VIP, true, since))?;
        announced(lab, A, &conf, since)
    });
}

/// With `track_src_ip` a router is at fault while its source address is missing, at the start as later, and says from that
/// address that it leaves.
#[test]
fn a_tracked_source_address_goes_and_comes_back() {
    const SOURCE: &str = "192.168.1.22";
    for conf in [
        Conf::v3(150).line(format!("mcast_src_ip {SOURCE}")),
        Conf::v3(150).unicast(SOURCE.parse::<IpAddr>().unwrap(), own_address(B)),
    ] {
        with_lab(|lab| {
            let conf = conf.line("track_src_ip");
            let mut daemon = lab.start(A, Vrrpd, &conf.text())?;
            daemon.wait_log("Entering FAULT STATE", PATIENCE)?;
            for _ in 0..2 {
                lab.routers[A].ip(&format!("address add {SOURCE}/24 dev eth0"))?;
                lab.watch.wait_holder(A, VIP, PATIENCE)?;
                let since = Stamp::now();
                lab.routers[A].ip(&format!("address del {SOURCE}/24 dev eth0"))?;
                lab.watch.wait_nobody(VIP, PATIENCE)?;
                if conf.unicast.is_none() {
                    let left = |record: &Record| record.adverts_of(A, since).find(|advert| advert.priority == 0);
                    let left = lab.watch.wait("the last advert", PATIENCE, left)?;
                    ensure!(left.source == SOURCE.parse::<IpAddr>()?, "{left:?}");
                }
            }
            daemon.stop().map(drop)
        });
    }
}

/// The interface has another name for a while, and its router was master: a fault, then all as before, by XDP again.
#[test]
fn an_interface_loses_its_name_and_has_it_again() {
    with_lab(|lab| {
        let (a, b) = (Conf::v3(150), Conf::v3(100));
        let mut pair = elect(lab, [Vrrpd; 2], &a, &b)?;
        // Older kernels rename nothing that is up.
        lab.routers[A].ip("link set eth0 down name eth9")?;
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        pair.a.wait_log("Entering FAULT STATE", PATIENCE)?;
        let since = Stamp::now();
        lab.routers[A].ip("link set eth9 name eth0")?;
        lab.routers[A].ip("link set eth0 up")?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        announced(lab, A, &a, since)?;
        let status = vrrpd::status(&pair.a)?;
        ensure!(vrrpd::why_without_xdp(&status).is_none(), "the program did not come back: {status:#}");
        Ok(())
    });
}

/// The interface is deleted and made anew while its router is master; then the same with another of its name.
#[test]
fn an_interface_is_deleted_and_made_anew() {
    with_lab(|lab| {
        let mut daemon = alone(lab, &Conf::v3(150))?;
        let router = &lab.routers[A];
        router.ip("link del eth0")?;
        daemon.wait_log("Entering FAULT STATE", PATIENCE)?;
        for own in ["192.168.1.2/24", "192.168.1.22/24"] {
            second_interface(lab)?;
            router.ip("link set eth1 down name eth0")?;
            router.ip("link set eth0 up")?;
            router.ip(&format!("address add {own} dev eth0"))?;
            wait_shows(lab, "eth0", &VIP.to_string(), true)?;
            let status = vrrpd::status(&daemon)?;
            ensure!(vrrpd::why_without_xdp(&status).is_none(), "no program on the new interface: {status:#}");
            if own.starts_with("192.168.1.2/") {
                router.ip("link set eth0 down name old0")?;
                wait_shows(lab, "old0", &VIP.to_string(), false)?;
                router.ip("link set peer1 name peer0")?;
            }
        }
        daemon.stop()?;
        ensure!(!shows(lab, "eth0", &VIP.to_string())?, "the address stayed");
        Ok(())
    });
}

/// The interface of an address that is not watched is deleted and made anew: the address is on it again.
#[test]
fn an_address_returns_with_its_interface() {
    with_lab(|lab| {
        second_interface(lab)?;
        let mut conf = Conf::v3(150);
        conf.addresses.push("10.9.9.9/24 dev eth1 no_track".into());
        let mut daemon = alone(lab, &conf)?;
        wait_shows(lab, "eth1", "10.9.9.9/24", true)?;
        lab.routers[A].ip("link del eth1")?;
        second_interface(lab)?;
        wait_shows(lab, "eth1", "10.9.9.9/24", true)?;
        daemon.stop()?;
        ensure!(!shows(lab, "eth1", "10.9.9.9")?, "the address stayed on the new interface");
        Ok(())
    });
}

/// A port that leaves its bridge is announced as a deleted link, of the bridge's family: it is not gone.
#[test]
fn leaving_a_bridge_is_no_fault() {
    with_lab(|lab| {
        let daemon = alone(lab, &Conf::v3(150))?;
        let since = Stamp::now();
        lab.routers[A].ip("link add br0 type bridge")?;
        lab.routers[A].ip("link set eth0 master br0")?;
        lab.routers[A].ip("link set eth0 nomaster")?;
        std::thread::sleep(Duration::from_millis(300));
        ensure!(!daemon.log().contains("FAULT"), "a fault");
        let moved = |change: &&Change| change.address == VIP && change.at > since;
        ensure!(lab.watch.record().changes.iter().find(moved).is_none(), "the address moved");
        Ok(())
    });
}

/// An address of two virtual routers stays until the second gives it up, and is not left by a killed daemon.
#[test]
fn a_shared_address_stays_with_the_second() {
    with_lab(|lab| {
        second_interface(lab)?;
        let shared = "192.168.1.101";
        let second =
            |instance: &str| instance.replace("VI_1", "VI_2").replace("virtual_router_id 51", "virtual_router_id 52");
        let conf = Conf::v3(150).global("dynamic_interfaces");
        let first = Conf { addresses: vec![format!("{VIP}/24"), format!("{shared}/24")], ..conf.clone() };
        let other = Conf { addresses: vec![format!("{shared}/24")], ..conf }.text();
        let other = other.split_once("vrrp_instance").map(|(_, rest)| format!("vrrp_instance{rest}"));
        // The first one falls with eth1, the second does not.
        let text = first.line("track_interface {\n        eth1\n    }").text() + &second(&other.unwrap_or_default());
        let mut daemon = lab.start(A, Vrrpd, &text)?;
        for name in ["VI_1", "VI_2"] {
            daemon.wait_log(&format!("({name}) setting VIPs"), PATIENCE)?;
        }
        wait_shows(lab, "eth0", shared, true)?;
        lab.routers[A].ip("link set eth1 down")?;
        wait_shows(lab, "eth0", &VIP.to_string(), false)?;
        ensure!(shows(lab, "eth0", shared)?, "the second virtual router lost its address");
        lab.routers[A].ip("link set eth1 up")?;
        wait_shows(lab, "eth0", &VIP.to_string(), true)?;
        daemon.kill()?;
        wait_shows(lab, "eth0", shared, false)?;
        wait_shows(lab, "eth0", &VIP.to_string(), false)
    });
}

/// Without an address of its own a router says that it leaves, and is in fault; with another one it is master again, and
/// sends from that.
#[test]
fn the_routers_own_address_changes() {
    with_lab(|lab| {
        let conf = Conf::v3(150);
        let mut daemon = alone(lab, &conf)?;
        let since = Stamp::now();
        lab.routers[A].ip(&format!("address del {}/24 dev eth0", own_address(A)))?;
        let left = |record: &Record| record.adverts_of(A, since).find(|advert| advert.priority == 0);
        lab.watch.wait("an advert of priority 0", PATIENCE, left)?;
        daemon.wait_log("Entering FAULT STATE", PATIENCE)?;
        lab.watch.wait_nobody(VIP, PATIENCE)?;
        let since = Stamp::now();
        lab.routers[A].ip("address add 192.168.1.44/24 dev eth0")?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let advert = lab.watch.wait("an advert", PATIENCE, |record| record.adverts_of(A, since).next())?;
        ensure!(advert.source == IpAddr::from([192, 168, 1, 44]), "{advert:?}");
        Ok(())
    });
}
