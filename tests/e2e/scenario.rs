//! What two routers must show whatever daemons they run: the steps that several tests take.

use std::time::Duration;

use anyhow::{Result, ensure};
use vrrp_common::Version;
use vrrp_tests::addresses;
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::{Daemon, Program};
use vrrp_tests::lab::{A, B, Lab, own_address};
use vrrp_tests::stamp::Stamp;

/// For what should come soon, on a machine that may stall.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How late a machine under load may make a takeover.
pub const LATENESS: Duration = Duration::from_millis(1500);
/// What clocks and captures may differ by.
pub const TOLERANCE: Duration = Duration::from_millis(2);
/// How long two routers may hold the address while one hands it to the other: the time of one advert on the wire, and of
/// one address removed. Theory says a millisecond; machines stall.
pub const OVERLAP: Duration = Duration::from_millis(500);

/// Router A is the master, router B its backup.
pub struct Pair {
    pub a: Daemon,
    pub b: Daemon,
}

/// Starts the master, and its backup when there is one to hear: no stall of the machine makes the backup master first.
pub fn elect(lab: &Lab, programs: [Program; 2], a: &Conf, b: &Conf) -> Result<Pair> {
    let start = Stamp::now();
    let a_runs = lab.start(A, programs[A], &a.text())?;
    announced(lab, A, a, start)?;
    let mut b_runs = lab.start(B, programs[B], &b.text())?;
    b_runs.wait_log("Entering BACKUP STATE", PATIENCE)?;
    // Alone: what an earlier life of B left on its interface is gone now.
    lab.watch.wait_holder(A, VIP, PATIENCE)?;
    // The first one may come before B listens; with the second, B counts from A's adverts and not from its own start.
    let since = Stamp::now();
    lab.watch.wait("two adverts of A", PATIENCE, |record| record.adverts_of(A, since).nth(1))?;
    Ok(Pair { a: a_runs, b: b_runs })
}

/// The new master has sent an advert as configured, and gratuitous ARP.
pub fn announced(lab: &Lab, router: usize, conf: &Conf, since: Stamp) -> Result<()> {
    let what = format!("an advert of priority {} and gratuitous ARP", conf.priority);
    let advert = lab.watch.wait(what, PATIENCE, |record| {
        record.announcements(router, VIP, since).next()?;
        record.adverts_of(router, since).find(|advert| advert.priority == conf.priority)
    })?;
    ensure!(advert.source == own_address(router), "the advert comes from {}", advert.source);
    ensure!(advert.ttl == 255 && advert.vrid == conf.vrid && advert.version == conf.version, "{advert:?}");
    ensure!(advert.interval == conf.advert_int.get() && advert.addresses == [VIP], "{advert:?}");
    if conf.version == Version::V2 {
        ensure!(advert.authentication == Some(conf.shown_authentication()), "{advert:?}");
    }
    ensure!(lab.ip_shows_on(router, &conf.device(), VIP)?, "`ip address` does not show the virtual address");
    Ok(())
}

/// Kills the master: its addresses go (keepalived's do not: the router is "switched off"), and the backup takes over
/// when theory says.
pub fn crash(lab: &Lab, pair: &mut Pair, b: &Conf) -> Result<()> {
    let killed_at = pair.a.kill()?;
    if pair.a.program == Program::Keepalived {
        match b.device().as_str() {
            "eth0" => lab.routers[A].ip(&format!("address del {VIP}/24 dev eth0"))?,
            own => lab.routers[A].ip(&format!("link del {own}"))?,
        };
    }
    let what = format!("{VIP} to leave the killed daemon's router");
    let gone_at = lab.watch.wait(what, PATIENCE, |record| record.changed(A, VIP, false, killed_at))?;
    lab.watch.wait_holder(B, VIP, PATIENCE)?;
    announced(lab, B, b, killed_at)?;
    let record = lab.watch.record();
    let last = record.adverts_of(A, Stamp::default()).last().map(|advert| advert.at).unwrap_or_default();
    let first = record.adverts_of(B, killed_at).next().map(|advert| advert.at).unwrap_or_default();
    takes(first - last, b.down_interval(), "a takeover after a crash")?;
    let taken_at = record.changed(B, VIP, true, killed_at).unwrap_or_default();
    ensure!(gone_at < taken_at, "the killed daemon's address was there when its peer took over");
    Ok(())
}

/// Starts the master again: it preempts.
pub fn come_back(lab: &Lab, pair: &mut Pair, a: &Conf) -> Result<()> {
    let since = Stamp::now();
    pair.a = lab.start(A, pair.a.program, &a.text())?;
    lab.watch.wait_holder(A, VIP, PATIENCE)?;
    announced(lab, A, a, since)
}

/// Stops the master: it says so with priority 0, its address goes, and the backup need not wait.
pub fn hand_over(lab: &Lab, pair: &mut Pair, b: &Conf) -> Result<()> {
    let since = pair.a.stop()?;
    lab.watch.wait_holder(B, VIP, PATIENCE)?;
    announced(lab, B, b, since)?;
    let record = lab.watch.record();
    let left = record.adverts_of(A, since).find(|advert| advert.priority == 0);
    ensure!(left.is_some(), "the master stopped without an advert of priority 0");
    let left_at = left.map(|advert| advert.at).unwrap_or_default();
    let first = record.adverts_of(B, since).next().map(|advert| advert.at).unwrap_or_default();
    takes(first - left_at, b.skew(), "a takeover after priority 0")
}

/// Neither earlier than theory says, nor much later.
pub fn takes(time: Duration, theory: Duration, what: &str) -> Result<()> {
    ensure!(time + TOLERANCE >= theory, "{what} took {time:?}, theory says {theory:?}: it was too early");
    ensure!(time <= theory + LATENESS, "{what} took {time:?}, theory says {theory:?}");
    Ok(())
}

/// At no time after `since` did two routers hold the address, but for the moment of a handover.
pub fn one_holder_at_a_time(lab: &Lab, since: Stamp) -> Result<()> {
    let overlaps = addresses::overlaps(&lab.watch.record().changes, VIP);
    for (at, duration) in overlaps.into_iter().filter(|overlap| overlap.0 >= since) {
        let ago = at.elapsed();
        ensure!(duration <= OVERLAP, "two routers held {VIP} for {duration:?}, {ago:?} ago");
    }
    Ok(())
}

/// The whole round: election, crash, return, graceful stop, and the end of the other.
pub fn round(lab: &Lab, programs: [Program; 2], a: &Conf, b: &Conf) -> Result<Pair> {
    let mut pair = elect(lab, programs, a, b)?;
    crash(lab, &mut pair, b)?;
    come_back(lab, &mut pair, a)?;
    hand_over(lab, &mut pair, b)?;
    pair.b.stop()?;
    lab.watch.wait_nobody(VIP, PATIENCE)?;
    one_holder_at_a_time(lab, Stamp::default())?;
    Ok(pair)
}
