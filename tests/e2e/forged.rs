//! Forged adverts, many and fast, from a third host: nothing moves, each is counted under its reason, none is heard.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use vrrp_common::Version;
use vrrp_common::drop::Reason;
use vrrp_common::wire::advert::HMAC_TRAILER;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::{Daemon, Program::Vrrpd};
use vrrp_tests::forge::{self, Flood};
use vrrp_tests::frames::FrameSpec;
use vrrp_tests::lab::{A, B, Lab, own_address, with_lab};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::vrrpd;
use vrrp_tests::watch::letter;

use vrrp_tests::scenario::{self, LATENESS, PATIENCE};

/// Of each forgery.
const COUNT: u32 = 3000;
const PER_SECOND: u32 = 15_000;

/// An advert that would win any election, as the virtual router's peers would send it.
pub fn convincing(conf: &Conf) -> FrameSpec {
    let mut frame = FrameSpec {
        source: [192, 168, 1, 66].into(),
        source_mac: [2, 0, 0, 0, 0, 0x66],
        vrid: conf.vrid,
        priority: 254,
        addresses: vec![VIP.into()],
        ..match conf.version {
            Version::V2 => FrameSpec::v2(),
            Version::V3 => FrameSpec::v3(),
        }
    };
    frame.interval = conf.advert_int.get();
    if conf.version == Version::V2 {
        frame.interval /= 100;
        frame.auth_type = 1;
        frame.auth_data = Some(conf.password.unwrap_or_default().as_bytes().try_into().expect("eight characters"));
    }
    frame
}

/// What an attacker may try, and what it is to be counted as.
fn forgeries(conf: &Conf) -> Vec<(Reason, FrameSpec)> {
    let real = convincing(conf);
    let change = |how: fn(&mut FrameSpec)| {
        let mut frame = real.clone();
        how(&mut frame);
        frame
    };
    let other_version = FrameSpec { priority: 254, addresses: vec![VIP.into()], ..FrameSpec::v3() };
    let mut all = vec![
        (Reason::VridUnknown, change(|frame| frame.vrid = 99)),
        (Reason::TtlNot255, change(|frame| frame.ttl = 254)),
        (Reason::Checksum, change(|frame| frame.checksum_error = 1)),
        (Reason::VersionUnsupported, change(|frame| frame.version = 4)),
        (Reason::Truncated, change(|frame| frame.cut = Some(4))),
        (Reason::LengthShort, change(|frame| frame.address_count = Some(9))),
    ];
    match conf.version {
        Version::V2 => {
            all.push((Reason::VersionMismatch, FrameSpec { vrid: conf.vrid, ..other_version }));
            all.push((Reason::AuthFailure, change(|frame| frame.auth_data = Some(*b"Secret12"))));
        }
        Version::V3 => {
            all.push((Reason::VersionMismatch, FrameSpec { vrid: conf.vrid, ..FrameSpec::v2() }));
            all.push((Reason::IntervalZero, change(|frame| frame.interval = 0)));
        }
    }
    all
}

/// A flood of everything at once leaves master and backup where they are.
///
/// Raw sockets never see a frame from the host's own address: the kernel drops it before them (a martian source), so
/// only XDP can count it.
fn withstand(lab: &Lab, conf: fn(u8) -> Conf, counts_own_source: bool) -> Result<()> {
    let (a, b) = (conf(150), conf(100));
    let pair = scenario::elect(lab, [Vrrpd; 2], &a, &b)?;
    let forgeries = forgeries(&a);
    let frames: Vec<_> = forgeries.iter().map(|(_, frame)| frame.build()).collect();
    let before = Witness::look(lab, &pair)?;
    let flood = forge::flood(&lab.attacker, &frames, COUNT * frames.len() as u32, PER_SECOND)?;
    let reasons: Vec<_> = forgeries.iter().map(|forgery| forgery.0).collect();
    before.compare(lab, &pair, &a, &reasons, flood)?;

    // As if the master itself had sent it, wrong by nothing but its origin: only the master can know better.
    let before = Witness::look(lab, &pair)?;
    let own = FrameSpec { source: own_address(A).into(), priority: a.priority, ..convincing(&a) }.build();
    let flood = forge::flood(&lab.attacker, &[own], COUNT, PER_SECOND)?;
    before.unmoved(lab, &a, flood)?;
    let reasons = if counts_own_source { &[Reason::SrcIsSelf][..] } else { &[] };
    before.counted(lab, &pair, A, reasons)
}

/// How things stood before a flood.
struct Witness {
    at: Stamp,
    status: Vec<Value>,
    lost: Vec<u64>,
}

impl Witness {
    fn look(lab: &Lab, pair: &scenario::Pair) -> Result<Self> {
        let status = [&pair.a, &pair.b].map(vrrpd::status).into_iter().collect::<Result<_>>()?;
        let lost = [A, B].map(|router| lost_on_the_cable(lab, router)).into_iter().collect::<Result<_>>()?;
        Ok(Self { at: Stamp::now(), status, lost })
    }

    fn compare(&self, lab: &Lab, pair: &scenario::Pair, a: &Conf, reasons: &[Reason], flood: Flood) -> Result<()> {
        self.unmoved(lab, a, flood)?;
        for router in [A, B] {
            self.counted(lab, pair, router, reasons)?;
        }
        Ok(())
    }

    /// Every forgery that arrived is under its reason, and the daemon heard none.
    fn counted(&self, lab: &Lab, pair: &scenario::Pair, router: usize, reasons: &[Reason]) -> Result<()> {
        let daemon: &Daemon = [&pair.a, &pair.b][router];
        let now = vrrpd::status(daemon)?;
        let mut missing = 0;
        for reason in reasons {
            let counted = vrrpd::drops(&now, *reason) - vrrpd::drops(&self.status[router], *reason);
            ensure!(
                counted <= u64::from(COUNT) && counted > 0,
                "{} counted {counted} {}, {COUNT} were sent: {:#}",
                letter(router),
                reason.label(),
                now
            );
            missing += u64::from(COUNT) - counted;
        }
        let lost = lost_on_the_cable(lab, router)? - self.lost[router];
        ensure!(missing <= lost, "{} lacks {missing} forgeries, the cable lost {lost}: {now:#}", letter(router));
        let heard = |status: &Value| vrrpd::counter(status, "advert_rcvd");
        let heard = heard(&now)? - heard(&self.status[router])?;
        let sent = lab.watch.record().adverts_of(1 - router, self.at).count() as u64;
        ensure!(heard <= sent + 1, "{} heard {heard} adverts, its peer sent {sent}", letter(router));
        Ok(())
    }

    /// No address moved, the backup kept silent, the master's adverts came as ever.
    fn unmoved(&self, lab: &Lab, a: &Conf, flood: Flood) -> Result<()> {
        let interval = a.advert_int.duration();
        // What was still on its way may yet do harm.
        std::thread::sleep(interval);
        let record = lab.watch.record();
        ensure!(record.holders(VIP) == [A], "the flood moved the address: {:?}", record.holders(VIP));
        ensure!(record.changes.iter().all(|change| change.at < self.at), "the address moved and came back");
        ensure!(record.adverts_of(B, self.at).next().is_none(), "the backup was provoked to an advert");
        let adverts: Vec<_> = record.adverts_of(A, self.at).map(|advert| (advert.at, advert.priority)).collect();
        ensure!(adverts.iter().all(|advert| advert.1 == a.priority), "the master changed its priority: {adverts:?}");
        let most = ((flood.took + 2 * interval).as_nanos() / interval.as_nanos()) as usize + 2;
        ensure!(adverts.len() <= most, "{} adverts, {most} were due: the master was provoked", adverts.len());
        let longest = adverts.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap_or_default();
        ensure!(longest < interval + LATENESS, "the master was silent for {longest:?}");
        Ok(())
    }
}

/// Frames that found a router's queue full before anybody could look at them.
fn lost_on_the_cable(lab: &Lab, router: usize) -> Result<u64> {
    let inside = lab.routers[router].ip("-j -s link show dev eth0")?;
    let outside = lab.switch.ip(&format!("-j -s link show dev port{router}"))?;
    let dropped = |text: &str, side: &str| -> Result<u64> {
        let value: Value = serde_json::from_str(text)?;
        Ok(value[0]["stats64"][side]["dropped"].as_u64().unwrap_or_default())
    };
    Ok(dropped(&inside, "rx")? + dropped(&outside, "tx")?)
}

#[test]
fn a_flood_moves_nothing_v2() {
    with_lab(|lab| withstand(lab, Conf::v2, true));
}

#[test]
fn a_flood_moves_nothing_v3() {
    with_lab(|lab| withstand(lab, Conf::v3, true));
}

/// The raw sockets' path gives the same verdicts.
#[test]
fn a_flood_moves_nothing_without_bpf() {
    with_lab(|lab| withstand(lab, |priority| Conf::v3(priority).global("xdp_mode off"), false));
}

/// However many weaker adverts come, that the master leaves is heard: the limit is not for who is followed. Without it the backup
/// would wait for thirteen seconds.
fn hears_that_the_master_leaves(conf: fn(u8) -> Conf, trailer: usize) {
    with_lab(|lab| {
        let (a, b) = (conf(255).state("MASTER").every(400), conf(200).every(400));
        let mut pair = scenario::elect(lab, [Vrrpd; 2], &a, &b)?;
        let weaker = FrameSpec { priority: 50, trailer: vec![0; trailer], ..convincing(&a) }.build();
        let attacker = &lab.attacker;
        std::thread::scope(|scope| {
            let flood = scope.spawn(|| forge::flood(attacker, &[weaker], 12_000, 4000));
            std::thread::sleep(Duration::from_millis(500));
            scenario::hand_over(lab, &mut pair, &b)?;
            flood.join().expect("the flood ends").map(drop)
        })?;
        let status = vrrpd::status(&pair.b)?;
        ensure!(vrrpd::drops(&status, Reason::RateLimited) > 0, "nothing was limited: {status:#}");
        Ok(())
    });
}

#[test]
fn a_flood_does_not_hide_that_the_master_leaves() {
    hears_that_the_master_leaves(Conf::v3, 0);
}

#[test]
fn a_flood_does_not_hide_that_the_master_leaves_without_bpf() {
    hears_that_the_master_leaves(|priority| Conf::v3(priority).global("xdp_mode off"), 0);
}

/// Adverts that are signed are never absorbed, but their sender is known.
#[test]
fn a_flood_does_not_hide_that_a_signing_master_leaves() {
    const KEY: &str = "hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    hears_that_the_master_leaves(|priority| Conf::v3_hmac(priority, KEY, "enforce"), HMAC_TRAILER);
}

/// A stronger router with the wrong password is no router, however long it tries.
#[test]
fn a_wrong_password_never_moves_mastership() {
    with_lab(|lab| {
        let conf = Conf::v2(100);
        let mut a = lab.start(A, Vrrpd, &conf.text())?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        let since = Stamp::now();
        let wrong = FrameSpec { auth_data: Some(*b"guessed!"), ..convincing(&conf) }.build();
        let leaving = FrameSpec { priority: 0, auth_data: Some(*b"guessed!"), ..convincing(&conf) }.build();
        let sent = forge::flood(&lab.attacker, &[wrong, leaving], 20, 10)?.sent;
        std::thread::sleep(Duration::from_millis(100));
        let status = vrrpd::status(&a)?;
        ensure!(vrrpd::drops(&status, Reason::AuthFailure) == u64::from(sent), "{status:#}");
        ensure!(vrrpd::counter(&status, "advert_rcvd")? == 0, "{status:#}");
        ensure!(lab.watch.record().changes.iter().all(|change| change.at < since), "the address moved");
        a.wait_log("(VI_1) received an invalid passwd!", PATIENCE)?;
        ensure!(a.log().matches("invalid passwd").count() == 1, "it is said again: {}", a.log());
        Ok(())
    });
}
