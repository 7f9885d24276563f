//! What a reload keeps beside states and addresses: BFD sessions, keys and what was heard by them, ways of adverts; and rules
//! of the firewall, which follow.

use std::time::{Duration, Instant};

use anyhow::ensure;
use vrrp_common::drop::Reason;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Program::Vrrpd;
use vrrp_tests::lab::{A, B, own_address, with_lab};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::vrrpd;

use crate::accept::tables;
use crate::authentication::{KEY, OTHER_KEY, replay, said};
use crate::bfd::tracking;
use crate::reload::{SECOND, reload};
use vrrp_tests::scenario::{self, PATIENCE, elect};

/// The same with one more address.
fn wider(conf: &Conf) -> Conf {
    let mut conf = conf.clone();
    conf.addresses.push(format!("{SECOND}/24"));
    conf
}

#[test]
fn a_bfd_session_survives_a_reload_that_leaves_it() {
    with_lab(|lab| {
        let [a, b] = [(A, 150), (B, 100)]
            .map(|(router, priority)| tracking(Conf::v3(priority).every(10), own_address(1 - router), 20));
        let mut pair = elect(lab, [Vrrpd; 2], &a, &b)?;
        for daemon in [&mut pair.a, &mut pair.b] {
            daemon.wait_log("Entering Up state", PATIENCE)?;
        }
        for conf in [wider(&a), a.clone(), wider(&a)] {
            reload(&pair.a, &conf.text())?;
        }
        lab.watch.wait_holder(A, SECOND, PATIENCE)?;
        // Three detection times.
        std::thread::sleep(Duration::from_secs(1));
        for daemon in [&pair.a, &pair.b] {
            let log = daemon.log();
            ensure!(!log.contains("Entering Down") && log.matches("Entering Up").count() == 1, "{log}");
        }
        // One that changes begins anew.
        reload(&pair.a, &a.text().replace("multiplier 3", "multiplier 4"))?;
        lab.watch.wait("the session to come back", PATIENCE, |_| {
            (pair.a.log().matches("Entering Up").count() == 2).then_some(())
        })
    });
}

/// The successor reloads: what the master had said before is not heard again, be the keys the same or one more.
#[test]
fn what_was_said_before_a_reload_is_not_heard_again() {
    let hmac = |priority| Conf::v3_hmac(priority, KEY, "enforce");
    let second = format!("key 2 {OTHER_KEY}\n        active_key");
    let rolled = wider(&hmac(100)).text().replace("active_key", &second);
    for (a, b, later) in [
        (hmac(150), hmac(100), wider(&hmac(100)).text()),
        (hmac(150), hmac(100), rolled),
        (Conf::v2_ah(150), Conf::v2_ah(100), wider(&Conf::v2_ah(100)).text()),
    ] {
        with_lab(|lab| {
            let mut pair = elect(lab, [Vrrpd; 2], &a, &b)?;
            let since = Stamp::now();
            reload(&pair.a, &wider(&a).text())?;
            reload(&pair.b, &later)?;
            lab.watch.wait_holder(A, SECOND, PATIENCE)?;
            ensure!(lab.watch.record().adverts_of(B, since).count() == 0, "B does not hear A any more");
            reload(&pair.b, &b.text())?;
            scenario::hand_over(lab, &mut pair, &b)?;
            reload(&pair.b, &later)?;
            lab.watch.wait_holder(B, SECOND, PATIENCE)?;
            replay(lab, &said(lab, A), &pair.b, Reason::AuthReplay)
        });
    }
}

#[test]
fn without_xdp_a_reload_is_the_same() {
    with_lab(|lab| {
        let [a, b] = [150, 100].map(|priority| Conf::v3(priority).every(10).global("xdp_mode off"));
        let pair = elect(lab, [Vrrpd; 2], &a, &b)?;
        let since = Stamp::now();
        for daemon in [&pair.a, &pair.b] {
            let conf = if std::ptr::eq(daemon, &pair.a) { &a } else { &b };
            reload(daemon, &wider(conf).text())?;
        }
        lab.watch.wait_holder(A, SECOND, PATIENCE)?;
        std::thread::sleep(2 * b.down_interval());
        ensure!(lab.watch.record().adverts_of(B, since).count() == 0, "the other router spoke");
        let status = vrrpd::status(&pair.b)?;
        ensure!(status["interfaces"][0]["xdp"] == "off" && status["instances"][0]["state"] == "BACKUP", "{status:#}");
        Ok(())
    });
}

/// What may not be accepted is in the table before the address is there, and no longer than the configuration has it.
#[test]
fn rules_of_the_firewall_follow() {
    with_lab(|lab| {
        let accepts = Conf::v3(150).every(10);
        let refuses = accepts.clone().line("no_accept");
        let mut daemon = lab.start(A, Vrrpd, &accepts.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        ensure!(!tables(lab)?.contains("keepalived"), "a table that nobody asked for: {}", tables(lab)?);
        for (conf, elements) in [
            (&refuses, Some("elements = { 192.168.1.100 }")),
            (&wider(&refuses), Some("elements = { 192.168.1.100, 192.168.1.110 }")),
            (&refuses, Some("elements = { 192.168.1.100 }")),
            (&accepts, None),
        ] {
            reload(&daemon, &conf.text())?;
            let start = Instant::now();
            // Not before the address is gone.
            loop {
                let there = tables(lab)?;
                if elements.map_or(!there.contains("keepalived"), |elements| there.contains(elements)) {
                    break;
                }
                ensure!(start.elapsed() < PATIENCE, "not {elements:?}, but {there}");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        daemon.stop().map(drop)
    });
}
