//! Mastership moves when it should, and never has two holders for longer than theory allows.

use std::time::Duration;

use anyhow::{Result, ensure};
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Program::{self, Keepalived, Vrrpd};
use vrrp_tests::keepalived;
use vrrp_tests::lab::{A, B, Lab, with_lab};
use vrrp_tests::stamp::Stamp;

use vrrp_tests::scenario::{self, PATIENCE, announced, elect, one_holder_at_a_time};

/// Both start at once, the weaker one first: the stronger one becomes master, and stays it.
#[test]
fn the_stronger_wins_the_election() {
    with_lab(|lab| {
        let (a, b) = (Conf::v3(150), Conf::v3(100));
        let start = Stamp::now();
        let _b = lab.start(B, Vrrpd, &b.text())?;
        let _a = lab.start(A, Vrrpd, &a.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        announced(lab, A, &a, start)?;
        // B may have been first, for a moment, on a machine that stalls.
        std::thread::sleep(a.advert_int.duration());
        one_holder_at_a_time(lab, start)?;
        stays(lab, A, 4 * a.advert_int.duration())
    });
}

#[test]
fn crash_return_and_stop_v3() {
    with_lab(|lab| scenario::round(lab, [Vrrpd; 2], &Conf::v3(150), &Conf::v3(100)).map(drop));
}

#[test]
fn crash_return_and_stop_v2() {
    with_lab(|lab| scenario::round(lab, [Vrrpd; 2], &Conf::v2(150), &Conf::v2(100)).map(drop));
}

/// The laboratory's own proof: what it asks of us, keepalived does.
#[test]
fn keepalived_does_the_same() {
    if !keepalived::is_missing() {
        with_lab(|lab| {
            scenario::round(lab, [Keepalived; 2], &Conf::v3(150), &Conf::v3(100))?;
            settle_equals(lab, Keepalived)?;
            lost_link(lab, Keepalived)?;
            failing_check(lab, [Keepalived; 2])
        });
    }
}

/// A check of weight -50 that fails makes the master the weaker one; when it passes again, mastership returns.
#[test]
fn a_failing_check_moves_mastership_and_back() {
    with_lab(|lab| failing_check(lab, [Vrrpd; 2]));
}

#[test]
fn a_failing_check_against_keepalived() {
    if !keepalived::is_missing() {
        with_lab(|lab| failing_check(lab, [Vrrpd, Keepalived]));
    }
}

fn failing_check(lab: &Lab, programs: [Program; 2]) -> Result<()> {
    let start = Stamp::now();
    let healthy = lab.directory.join("healthy");
    std::fs::write(&healthy, "")?;
    let (a, b) = (Conf::v3(150).check(&healthy, -50), Conf::v3(120));
    let mut pair = elect(lab, programs, &a, &b)?;

    std::fs::remove_file(&healthy)?;
    let since = Stamp::now();
    lab.watch.wait_holder(B, VIP, PATIENCE)?;
    announced(lab, B, &b, since)?;
    pair.a.wait_log("Changing effective priority from 150 to 100", PATIENCE)?;

    std::fs::write(&healthy, "")?;
    let since = Stamp::now();
    lab.watch.wait_holder(A, VIP, PATIENCE)?;
    announced(lab, A, &a, since)?;
    one_holder_at_a_time(lab, start)
}

/// A check without weight that fails is a fault: the master leaves at once.
#[test]
fn a_failing_check_without_weight_is_a_fault() {
    with_lab(|lab| {
        let healthy = lab.directory.join("healthy");
        std::fs::write(&healthy, "")?;
        let (a, b) = (Conf::v3(150).check(&healthy, 0), Conf::v3(100));
        let mut pair = elect(lab, [Vrrpd; 2], &a, &b)?;
        std::fs::remove_file(&healthy)?;
        lab.watch.wait_holder(B, VIP, PATIENCE)?;
        pair.a.wait_log("Entering FAULT STATE", PATIENCE)?;
        std::fs::write(&healthy, "")?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        one_holder_at_a_time(lab, Stamp::default())
    });
}

/// Both are configured MASTER with one priority, and cannot hear each other at first: when they do, the one with the
/// higher address stays.
#[test]
fn equal_priorities_settle_on_the_higher_address() {
    with_lab(|lab| settle_equals(lab, Vrrpd));
}

fn settle_equals(lab: &Lab, program: Program) -> Result<()> {
    let conf = Conf::v3(150).state("MASTER");
    lab.part(true)?;
    let _a = lab.start(A, program, &conf.text())?;
    let _b = lab.start(B, program, &conf.text())?;
    lab.watch.wait("both to be masters", PATIENCE, |record| (record.holders(VIP).len() == 2).then_some(()))?;
    let healed_at = lab.part(false)?;
    lab.watch.wait_holder(B, VIP, PATIENCE)?;
    announced(lab, B, &conf, healed_at)?;
    stays(lab, B, 8 * conf.advert_int.duration())
}

/// Both start at the same moment, as after a power cut: exactly one becomes master and stays it.
#[test]
fn equal_priorities_started_together_settle_on_one() {
    with_lab(|lab| {
        let conf = Conf::v3(150).state("MASTER");
        let _a = lab.start(A, Vrrpd, &conf.text())?;
        let _b = lab.start(B, Vrrpd, &conf.text())?;
        let find = |record: &vrrp_tests::watch::Record| record.holders(VIP).first().copied();
        lab.watch.wait("a first master", PATIENCE, find)?;
        // Who was a moment late hears the other within one interval.
        std::thread::sleep(2 * conf.advert_int.duration());
        let master = lab.watch.wait("exactly one master", PATIENCE, |record| match record.holders(VIP)[..] {
            [only] => Some(only),
            _ => None,
        })?;
        stays(lab, master, 8 * conf.advert_int.duration())
    });
}

/// Nobody but `router` gets the address for a while.
fn stays(lab: &Lab, router: usize, time: Duration) -> Result<()> {
    let since = Stamp::now();
    std::thread::sleep(time);
    let record = lab.watch.record();
    ensure!(record.holders(VIP) == [router], "held by {:?}", record.holders(VIP));
    ensure!(record.changes.iter().all(|change| change.at < since), "the address moved");
    Ok(())
}

/// The master's cable is pulled: it goes to fault and gives the address up; plugged in again, it is master again.
#[test]
fn a_lost_link_is_a_fault() {
    with_lab(|lab| lost_link(lab, Vrrpd));
}

fn lost_link(lab: &Lab, program: Program) -> Result<()> {
    let start = Stamp::now();
    let (a, b) = (Conf::v3(150), Conf::v3(100));
    let mut pair = elect(lab, [program; 2], &a, &b)?;
    lab.plug(A, false)?;
    lab.watch.wait_holder(B, VIP, PATIENCE)?;
    pair.a.wait_log("Entering FAULT STATE", PATIENCE)?;
    let since = lab.plug(A, true)?;
    lab.watch.wait_holder(A, VIP, PATIENCE)?;
    announced(lab, A, &a, since)?;
    one_holder_at_a_time(lab, start)
}
