//! Who an advert is from is proved, by an Authentication Header or the HMAC trailer (with keepalived: `matrix/`); what is not
//! signed, or signed with another key, or said again, moves nothing.

use std::time::Duration;

use anyhow::{Result, ensure};
use vrrp_common::drop::Reason;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Daemon;
use vrrp_tests::daemon::Program::{self, Keepalived, Vrrpd};
use vrrp_tests::forge;
use vrrp_tests::keepalived;
use vrrp_tests::lab::{A, B, Lab, own_address, with_lab};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::vrrpd;

use vrrp_tests::scenario::{self, PATIENCE};

pub const KEY: &str = "hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
pub const OTHER_KEY: &str = "\"another key, which is long enough\"";

fn enforced(priority: u8) -> Conf {
    Conf::v3_hmac(priority, KEY, "enforce")
}

#[test]
fn header_without_bpf() {
    with_lab(|lab| {
        let conf = |priority| Conf::v2_ah(priority).global("xdp_mode off");
        scenario::round(lab, [Vrrpd; 2], &conf(150), &conf(100)).map(drop)
    });
}

#[test]
fn hmac_enforced() {
    with_lab(|lab| {
        scenario::round(lab, [Vrrpd; 2], &enforced(150), &enforced(100))?;
        lab.nobody_complains()
    });
}

#[test]
fn hmac_without_bpf_and_without_clocks() {
    with_lab(|lab| {
        let monotonic = |priority| {
            let block = format!("auth_hmac {{\n key 1 {KEY}\n active_key 1\n anti_replay monotonic\n }}");
            Conf { password: None, ..Conf::v2(priority) }.global("xdp_mode off").line(block)
        };
        scenario::round(lab, [Vrrpd; 2], &monotonic(150), &monotonic(100)).map(drop)
    });
}

/// A router's kernel sums the trailer, too, over IPv6: one that did not would hear nothing.
#[test]
fn hmac_over_ipv6() {
    with_lab(|lab| {
        lab.speak_ipv6()?;
        let conf = |priority| Conf { addresses: Conf::v6(priority).addresses, ..enforced(priority) };
        scenario::round(lab, [Vrrpd; 2], &conf(150), &conf(100))?;
        lab.nobody_complains()
    });
}

/// To peers the TTL is not signed, and each gets a number of its own.
fn header_to_peers(programs: [Program; 2]) {
    if programs.contains(&Keepalived) && keepalived::is_missing() {
        return;
    }
    with_lab(|lab| {
        let conf =
            |router: usize, priority| Conf::v2_ah(priority).unicast(own_address(router), own_address(1 - router));
        scenario::round(lab, programs, &conf(A, 150), &conf(B, 100))?;
        lab.nobody_complains()
    });
}

#[test]
fn header_to_peers_of_ours() {
    header_to_peers([Vrrpd; 2]);
}

#[test]
fn header_to_peers_with_keepalived_as_backup() {
    header_to_peers([Vrrpd, Keepalived]);
}

#[test]
fn header_to_peers_with_keepalived_as_master() {
    header_to_peers([Keepalived, Vrrpd]);
}

/// First everybody learns to hear, then to sign, then to insist: no step of that makes a second master.
#[test]
fn hmac_is_introduced_step_by_step() {
    let plain = Conf::v3;
    let step = |mode: &'static str| move |priority| Conf::v3_hmac(priority, KEY, mode);
    let (hears, signs, insists) = (step("receive-only"), step("permissive"), step("enforce"));
    let pairs: [(Conf, Conf); 6] = [
        (plain(150), hears(100)),
        (hears(150), plain(100)),
        (signs(150), hears(100)),
        (hears(150), signs(100)),
        (insists(150), signs(100)),
        (signs(150), insists(100)),
    ];
    with_lab(|lab| {
        for (a, b) in &pairs {
            let pair = scenario::elect(lab, [Vrrpd; 2], a, b)?;
            hears_nothing_new(lab, b)?;
            drop(pair);
            lab.watch.wait_nobody(VIP, PATIENCE)?;
        }
        Ok(())
    });
}

/// For two of its down intervals the backup stays one.
fn hears_nothing_new(lab: &Lab, b: &Conf) -> Result<()> {
    let since = Stamp::now();
    std::thread::sleep(2 * b.down_interval());
    ensure!(lab.watch.record().adverts_of(B, since).next().is_none(), "the backup did not accept adverts");
    Ok(())
}

#[test]
fn who_does_not_sign_or_signs_otherwise_is_not_heard() {
    let other_id = Conf::v3(200).line(format!("auth_hmac {{\n key 2 {KEY}\n active_key 2\n }}"));
    let strangers = [
        (Conf::v3(200), Reason::AuthMissing, "auth_hmac refuses an advert: The HMAC trailer is missing."),
        (
            Conf::v3_hmac(200, OTHER_KEY, "enforce"),
            Reason::AuthBadHmac,
            "auth_hmac refuses an advert: The HMAC is wrong.",
        ),
        (other_id, Reason::AuthUnknownKey, "auth_hmac refuses an advert: The HMAC key id is not in the key ring."),
    ];
    with_lab(|lab| {
        for (theirs, reason, said) in &strangers {
            refuses(lab, &enforced(100), theirs, *reason, said)?;
        }
        let wrong = Conf { password: Some("Secret12"), ..Conf::v2_ah(200) };
        refuses(lab, &Conf::v2_ah(100), &wrong, Reason::AuthFailure, "IPSEC-AH : invalid IPSEC HMAC-MD5 value")?;
        refuses(lab, &Conf::v2_ah(100), &Conf::v2(200), Reason::AuthType, "received another auth, expecting 2!")
    });
}

/// The stronger router is no peer, and is counted so; the log says it once.
fn refuses(lab: &Lab, ours: &Conf, theirs: &Conf, reason: Reason, said: &str) -> Result<()> {
    let theirs = lab.start(B, Vrrpd, &theirs.text())?;
    lab.watch.wait_holder(B, VIP, PATIENCE)?;
    let mut a = lab.start(A, Vrrpd, &ours.text())?;
    lab.watch
        .wait("A to take its adverts for none", PATIENCE, |record| record.holders(VIP).contains(&A).then_some(()))?;
    std::thread::sleep(ours.down_interval());
    ensure!(lab.watch.record().holders(VIP).contains(&A), "{reason:?}: mastership was taken away");
    let status = vrrpd::status(&a)?;
    ensure!(vrrpd::drops(&status, reason) > 2, "{reason:?} is not counted: {status:#}");
    a.wait_log(&format!("(VI_1) {said}"), PATIENCE)?;
    ensure!(a.log().matches(said).count() == 1, "it is said again: {}", a.log());
    drop((a, theirs));
    lab.watch.wait_nobody(VIP, PATIENCE)
}

/// What the master said before it left is said again: first while it is fresh, then when it is not.
#[test]
fn what_was_said_is_not_heard_again() {
    with_lab(|lab| {
        let conf = |priority| {
            let block = format!("auth_hmac {{\n key 1 {KEY}\n active_key 1\n time_window 3\n }}");
            Conf::v3(priority).line(block)
        };
        let mut pair = scenario::elect(lab, [Vrrpd; 2], &conf(150), &conf(100))?;
        scenario::hand_over(lab, &mut pair, &conf(100))?;
        let frames = said(lab, A);
        replay(lab, &frames, &pair.b, Reason::AuthReplay)?;
        std::thread::sleep(Duration::from_secs(5));
        replay(lab, &frames, &pair.b, Reason::AuthStale)?;
        Ok(())
    });
}

#[test]
fn a_header_is_not_heard_again() {
    with_lab(|lab| {
        let mut pair = scenario::elect(lab, [Vrrpd; 2], &Conf::v2_ah(150), &Conf::v2_ah(100))?;
        scenario::hand_over(lab, &mut pair, &Conf::v2_ah(100))?;
        replay(lab, &said(lab, A), &pair.b, Reason::AuthReplay)
    });
}

/// The adverts that a router sent last.
pub fn said(lab: &Lab, router: usize) -> Vec<Vec<u8>> {
    let record = lab.watch.record();
    let sent = record.frames.iter().filter(|seen| seen.router == router && seen.advert().is_some());
    let frames: Vec<_> = sent.map(|seen| seen.octets.clone()).collect();
    frames[frames.len().saturating_sub(3)..].to_vec()
}

/// Stronger adverts, and a last one, that the new master had heard: it stays.
pub fn replay(lab: &Lab, frames: &[Vec<u8>], master: &Daemon, reason: Reason) -> Result<()> {
    ensure!(frames.len() == 3, "{} adverts were captured", frames.len());
    let before = vrrpd::drops(&vrrpd::status(master)?, reason);
    forge::flood(&lab.attacker, frames, 30, 100)?;
    std::thread::sleep(Duration::from_millis(500));
    let status = vrrpd::status(master)?;
    let count = vrrpd::drops(&status, reason) - before;
    ensure!(count == 30, "{count} of 30 counted as {reason:?}: {status:#}");
    ensure!(lab.watch.record().holders(VIP) == [B], "a replay moved mastership");
    Ok(())
}
