//! What two routers must show whatever daemons they run: the steps that several tests take.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::addresses;
use crate::capture::SeenAdvert;
use crate::conf::Conf;
use crate::daemon::{Daemon, Program};
use crate::lab::{A, B, Lab, own_address, own_link_local};
use crate::stamp::Stamp;
use crate::watch::Record;
use anyhow::{Result, ensure};
use vrrp_common::{Family, Version};

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
    let a_runs = lab.start_conf(A, programs[A], a)?;
    announced(lab, A, a, start)?;
    let mut b_runs = lab.start_conf(B, programs[B], b)?;
    b_runs.wait_log(programs[B].backup_line(), PATIENCE)?;
    // Alone: what an earlier life of B left on its interface is gone now.
    holds(lab, A, a)?;
    // The first one may come before B listens; with the second, B counts from A's adverts and not from its own start.
    let since = Stamp::now();
    lab.watch.wait("two adverts of A", PATIENCE, |record| adverts(record, A, a, since).nth(1))?;
    Ok(Pair { a: a_runs, b: b_runs })
}

/// Waits until a router holds all addresses of a configuration, and nobody else does.
pub fn holds(lab: &Lab, router: usize, conf: &Conf) -> Result<()> {
    conf.held().into_iter().try_for_each(|address| lab.watch.wait_holder(router, address, PATIENCE))
}

/// The adverts of a configuration's own virtual router.
fn adverts(record: &Record, router: usize, conf: &Conf, since: Stamp) -> impl Iterator<Item = SeenAdvert> {
    record.adverts_of(router, since).filter(|advert| advert.vrid == conf.vrid)
}

/// The new master has sent an advert as configured, and gratuitous ARP or neighbour advertisements for all its addresses.
pub fn announced(lab: &Lab, router: usize, conf: &Conf, since: Stamp) -> Result<()> {
    let what = format!("an advert of priority {} and announcements", conf.priority);
    let advert = lab.watch.wait(what, PATIENCE, |record| {
        for address in conf.held() {
            record.announcements(router, address, since).next()?;
        }
        adverts(record, router, conf, since).find(|advert| advert.priority == conf.priority)
    })?;
    let own = match conf.family() {
        Family::V4 => own_address(router).into(),
        Family::V6 => own_link_local(router).into(),
    };
    let (source, destination) = conf.unicast.unwrap_or((own, conf.group()));
    ensure!((advert.source, advert.destination) == (source, destination), "{advert:?}");
    ensure!(advert.ttl == 255 && advert.version == conf.version, "{advert:?}");
    ensure!(advert.interval == conf.advert_int.get() && advert.addresses == conf.advertised(), "{advert:?}");
    if conf.use_vmac && !conf.lines.iter().any(|line| line == "vmac_xmit_base") {
        let family = if conf.family() == Family::V4 { 1 } else { 2 };
        ensure!(advert.mac == [0, 0, 0x5e, 0, family, conf.vrid], "{advert:?}");
    }
    if conf.version == Version::V2 {
        ensure!(advert.authentication == Some(conf.shown_authentication()), "{advert:?}");
    }
    for address in conf.held() {
        ensure!(lab.ip_shows(router, address)?, "`ip address` does not show {address}");
    }
    Ok(())
}

/// Kills the master: its addresses go (others' than ours do not: the router is "switched off"), and the backup takes over
/// when theory says.
pub fn crash(lab: &Lab, pair: &mut Pair, a: &Conf, b: &Conf) -> Result<()> {
    let killed_at = pair.a.kill()?;
    lab.switch_off(A, pair.a.program, a)?;
    let mut gone_at = Vec::new();
    for address in a.held() {
        let what = format!("{address} to leave the killed daemon's router");
        gone_at.push(lab.watch.wait(what, PATIENCE, |record| record.changed(A, address, false, killed_at))?);
    }
    holds(lab, B, b)?;
    announced(lab, B, b, killed_at)?;
    let record = lab.watch.record();
    let last = adverts(&record, A, a, Stamp::default()).last().map(|advert| advert.at).unwrap_or_default();
    let first = adverts(&record, B, b, killed_at).next().map(|advert| advert.at).unwrap_or_default();
    takes(first - last, pair.b.program.counts(b.down_interval()), "a takeover after a crash")?;
    let taken_at = b.held().iter().filter_map(|address| record.changed(B, *address, true, killed_at)).min();
    ensure!(gone_at.into_iter().max() < taken_at, "the killed daemon's address was there when its peer took over");
    Ok(())
}

/// Starts the master again: it preempts.
pub fn come_back(lab: &Lab, pair: &mut Pair, a: &Conf) -> Result<()> {
    let since = Stamp::now();
    pair.a = lab.start_conf(A, pair.a.program, a)?;
    holds(lab, A, a)?;
    announced(lab, A, a, since)
}

/// Stops the master: it says so with priority 0, its address goes, and the backup need not wait.
pub fn hand_over(lab: &Lab, pair: &mut Pair, b: &Conf) -> Result<()> {
    leaves(lab, &mut pair.a, A, &pair.b, b)
}

/// Stops a router's daemon, which is master; the other router's, which has this configuration, succeeds it.
pub fn leaves(lab: &Lab, daemon: &mut Daemon, from: usize, successor: &Daemon, conf: &Conf) -> Result<()> {
    let to = 1 - from;
    let since = daemon.stop()?;
    holds(lab, to, conf)?;
    announced(lab, to, conf, since)?;
    let record = lab.watch.record();
    let left = adverts(&record, from, conf, since).find(|advert| advert.priority == 0);
    ensure!(left.is_some(), "the master stopped without an advert of priority 0");
    let left_at = left.map(|advert| advert.at).unwrap_or_default();
    let first = adverts(&record, to, conf, since).next().map(|advert| advert.at).unwrap_or_default();
    takes(first - left_at, successor.program.counts(conf.skew()), "a takeover after priority 0")
}

/// Neither earlier than theory says, nor much later.
pub fn takes(time: Duration, theory: Duration, what: &str) -> Result<()> {
    ensure!(time + TOLERANCE >= theory, "{what} took {time:?}, theory says {theory:?}: it was too early");
    ensure!(time <= theory + LATENESS, "{what} took {time:?}, theory says {theory:?}");
    Ok(())
}

/// At no time after `since` did two routers hold an address, but for the moment of a handover.
pub fn one_holder_at_a_time(lab: &Lab, since: Stamp) -> Result<()> {
    let changes = lab.watch.record().changes.clone();
    let addresses: BTreeSet<_> = changes.iter().map(|change| change.address).collect();
    for address in addresses {
        for (at, duration) in addresses::overlaps(&changes, address).into_iter().filter(|overlap| overlap.0 >= since) {
            let ago = at.elapsed();
            ensure!(duration <= OVERLAP, "two routers held {address} for {duration:?}, {ago:?} ago");
        }
    }
    Ok(())
}

/// The whole round: election, crash, return, graceful stop, and the end of the other.
pub fn round(lab: &Lab, programs: [Program; 2], a: &Conf, b: &Conf) -> Result<Pair> {
    let mut pair = elect(lab, programs, a, b)?;
    crash(lab, &mut pair, a, b)?;
    come_back(lab, &mut pair, a)?;
    hand_over(lab, &mut pair, b)?;
    pair.b.stop()?;
    for address in b.held() {
        lab.watch.wait_nobody(address, PATIENCE)?;
    }
    one_holder_at_a_time(lab, Stamp::default())?;
    Ok(pair)
}
