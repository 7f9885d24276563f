//! IPv6: what a client notices of a failover, and addresses that duplicate address detection has not cleared yet.

use anyhow::{Context, Result, ensure};
use vrrp_tests::client::Client;
use vrrp_tests::conf::{Conf, VIP6, VIP6_FIRST};
use vrrp_tests::daemon::Program::Vrrpd;
use vrrp_tests::lab::{A, B, Lab, with_lab};
use vrrp_tests::stamp::Stamp;

use crate::scenario::{self, LATENESS, PATIENCE, announced, holds};

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
