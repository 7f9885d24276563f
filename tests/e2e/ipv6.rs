//! IPv6: what a client notices of a failover, and addresses that duplicate address detection has not cleared yet.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use vrrp_tests::client::Client;
use vrrp_tests::conf::{Conf, VIP6, VIP6_FIRST};
use vrrp_tests::daemon::Program::{Keepalived, Vrrpd};
use vrrp_tests::keepalived;
use vrrp_tests::lab::{A, B, Lab, own_link_local, with_lab};
use vrrp_tests::stamp::Stamp;

use vrrp_tests::scenario::{self, LATENESS, PATIENCE, announced, holds};

fn with_ipv6_lab(test: impl FnOnce(&Lab) -> Result<()>) {
    with_lab(|lab| {
        lab.speak_ipv6()?;
        test(lab)
    });
}

#[test]
fn crash_return_and_stop() {
    with_ipv6_lab(|lab| scenario::round(lab, [Vrrpd; 2], &Conf::v6(150), &Conf::v6(100)).map(drop));
}

#[test]
fn crash_return_and_stop_with_xdp_mode_off() {
    let conf = |priority| Conf::v6(priority).global("xdp_mode off");
    with_ipv6_lab(|lab| scenario::round(lab, [Vrrpd; 2], &conf(150), &conf(100)).map(drop));
}

/// Another group of the link, whose Ethernet address is that of VRRP's own: joined, and heard by program and socket.
#[test]
fn another_group() {
    for mode in ["xdp_mode native", "xdp_mode off"] {
        let conf = |priority| Conf::v6(priority).global(mode).line("mcast_dst_ip ff12::12");
        with_ipv6_lab(|lab| {
            let pair = scenario::round(lab, [Vrrpd; 2], &conf(150), &conf(100))?;
            drop(pair);
            lab.nobody_complains()
        });
    }
}

#[test]
fn another_group_with_keepalived() {
    if keepalived::is_missing() {
        return;
    }
    let conf = |priority| Conf::v6(priority).line("mcast_dst_ip ff12::12");
    for programs in [[Vrrpd, Keepalived], [Keepalived, Vrrpd]] {
        with_ipv6_lab(|lab| scenario::round(lab, programs, &conf(150), &conf(100)).map(drop));
    }
}

/// The neighbour advertisement moves the client at once; it need not ask again.
#[test]
fn a_client_is_served_again_as_soon_as_theory_says() {
    with_ipv6_lab(|lab| {
        let (a, b) = (Conf::v6(150), Conf::v6(100));
        let mut pair = scenario::elect(lab, [Vrrpd; 2], &a, &b)?;
        let start = Stamp::now();
        let client = Client::start(&lab.client, VIP6)?;
        client.wait_answer(start, PATIENCE)?;
        let killed_at = pair.a.kill()?;
        holds(lab, B, &b)?;
        client.wait_answer(lab.watch.record().changed(B, VIP6, true, killed_at).context("a holder")?, PATIENCE)?;
        let outage = client.longest_outage(killed_at).context("a client notices a crash")?.duration();
        ensure!(outage <= b.down_interval() + LATENESS, "the client was without answer for {outage:?}");
        Ok(())
    });
}

/// A master's addresses can be used when they are set: they are not tentative, not even for a moment.
#[test]
fn virtual_addresses_are_set_without_duplicate_address_detection() {
    with_ipv6_lab(|lab| {
        lab.routers[A].sysctl("net/ipv6/conf/eth0/dad_transmits", "5")?;
        let conf = Conf::v6(150);
        let _daemon = lab.start_conf(A, Vrrpd, &conf)?;
        holds(lab, A, &conf)?;
        let shown = lab.routers[A].ip("-6 -o address show dev eth0")?;
        for address in [VIP6_FIRST, VIP6] {
            let line = shown.lines().find(|line| line.contains(&format!(" {address}/"))).context("the address")?;
            ensure!(line.contains("nodad") && !line.contains("tentative"), "{line}");
        }
        announced(lab, A, &conf, Stamp::default())
    });
}

/// While the interface's own address is tentative no advert may leave: the daemon says what it waits for, and goes on as
/// soon as the address is proven.
#[test]
fn a_tentative_address_is_waited_for_and_named() {
    with_ipv6_lab(|lab| {
        let own = own_link_local(A);
        lab.routers[A].ip(&format!("address del {own}/64 dev eth0"))?;
        for (key, value) in [("conf/eth0/dad_transmits", "3"), ("neigh/eth0/retrans_time_ms", "1000")] {
            lab.routers[A].sysctl(&format!("net/ipv6/{key}"), value)?;
        }
        lab.routers[A].ip(&format!("address add {own}/64 dev eth0"))?;
        let proven_from = Stamp::now();
        let conf = Conf::v6(150);
        let mut daemon = lab.start_conf(A, Vrrpd, &conf)?;
        daemon.wait_log(&format!("{own} is tentative"), PATIENCE)?;
        ensure!(lab.watch.record().adverts_of(A, Stamp::default()).next().is_none(), "an advert left");
        holds(lab, A, &conf)?;
        announced(lab, A, &conf, Stamp::default())?;
        let first = lab.watch.record().adverts_of(A, Stamp::default()).next().context("an advert")?;
        // Three solicitations, a second apart.
        ensure!(first.at - proven_from > Duration::from_secs(2), "an advert came from a tentative address");
        Ok(())
    });
}

/// Another host has the address: no advert may come from it, and the daemon says so until an operator has settled it.
#[test]
fn a_duplicate_address_is_named() {
    with_ipv6_lab(|lab| {
        let own = own_link_local(A);
        lab.routers[A].ip(&format!("address del {own}/64 dev eth0"))?;
        lab.client.ip(&format!("address add {own}/64 dev eth0 nodad"))?;
        lab.routers[A].ip(&format!("address add {own}/64 dev eth0"))?;
        let conf = Conf::v6(150);
        let mut daemon = lab.start_conf(A, Vrrpd, &conf)?;
        daemon.wait_log(&format!("another host on the link has {own}"), PATIENCE)?;
        lab.client.ip(&format!("address del {own}/64 dev eth0"))?;
        lab.routers[A].ip(&format!("address del {own}/64 dev eth0"))?;
        lab.routers[A].ip(&format!("address add {own}/64 dev eth0"))?;
        holds(lab, A, &conf)?;
        announced(lab, A, &conf, Stamp::default())
    });
}
