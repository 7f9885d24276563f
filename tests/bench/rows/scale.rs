//! Hundreds and thousands of virtual routers: what they cost when nothing happens, what starting takes, and how long the
//! last one is without a master when the master of all is killed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use vrrp_tests::addresses::Ear;
use vrrp_tests::stamp::Stamp;
use vrrp_tests::watch::Watch;

use super::{Bench, Pair, millis, millis_between};
use crate::account;
use crate::board::{Line, Of, Wanted};
use crate::capture::{Capture, Sight};
use crate::floor;
use crate::rig::{A, B, Rig};
use crate::roster::Roster;
use crate::subject::Subject;

/// Instances, interfaces, centiseconds.
const SPECS: [(usize, usize, u16); 3] = [(255, 1, 1), (1000, 4, 10), (4000, 16, 10)];
/// Further than this FRR cannot be taken: 1,000 of its macvlans take it 18 s to start, and then it flaps.
const FRR_MAX: usize = 255;
const WINDOW: Duration = Duration::from_secs(1);

fn title((count, interfaces, centiseconds): (usize, usize, u16)) -> String {
    format!("{count}/{interfaces} at {} ms", centiseconds * 10)
}

pub fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    for spec in SPECS {
        let (count, title) = (spec.0, title(spec));
        lines.push(
            Line::new("cpu", format!("{title}: CPU of the master"), format!("cpu.{count}.master"), Of::Median, "%")
                .wanted(Wanted::OfKeepalived(0.2)),
        );
        lines.push(
            Line::new("cpu", format!("{title}: CPU of the backup"), format!("cpu.{count}.backup"), Of::Median, "%")
                .wanted(Wanted::OfKeepalived(0.05)),
        );
        lines.push(Line::new(
            "cpu",
            format!("{title}: adverts sent of those due"),
            format!("cpu.{count}.sent"),
            Of::Median,
            "%",
        ));
        lines.push(Line::new(
            "cpu",
            format!("{title}: CPU per advert sent"),
            format!("cpu.{count}.each"),
            Of::Median,
            "µs",
        ));
    }
    for spec in &SPECS[1..] {
        let (count, title) = (spec.0, title(*spec));
        for (what, samples) in [
            ("last advert beyond theory", "advert"),
            ("last VIP beyond theory", "vip"),
            ("last first GARP beyond theory", "garp"),
            ("start until all are master, beyond theory", "start"),
        ] {
            let line =
                Line::new("mass", format!("{title}: {what}"), format!("mass.{count}.{samples}"), Of::Median, "ms");
            // Which part of the others it is.
            let wanted = if samples == "advert" { Wanted::Told } else { Wanted::OfKeepalived(0.5) };
            lines.push(line.wanted(wanted));
        }
    }
    for spec in &SPECS[1..] {
        let count = spec.0;
        lines.push(
            Line::new("rss", format!("{count} instances"), format!("rss.{count}"), Of::Median, "MB")
                .wanted(Wanted::OfKeepalived(1.0)),
        );
    }
    lines.push(Line::new("rss", "growth per instance", "rss.growth", Of::Median, "KB").wanted(Wanted::AtMost(4.0)));
    lines
}

pub fn run(bench: &mut Bench) {
    for spec in SPECS {
        // Only the CPU row is of the densest.
        if spec.0 == SPECS[0].0 && !bench.wants("cpu") {
            continue;
        }
        for round in 0..bench.reps {
            for subject in bench.order(round, &Subject::DAEMONS) {
                // Making its macvlans is slow.
                if subject != Subject::Frr || (spec.0 <= FRR_MAX && !bench.quick) {
                    bench.attempt(&title(spec), subject, |bench| measure(bench, subject, spec));
                }
            }
            if bench.wants("cpu") {
                bench.attempt(&title(spec), Subject::Floor, |bench| bare(bench, spec));
            }
        }
    }
    for subject in Subject::DAEMONS {
        let rss =
            |count: usize| crate::board::summary(bench.board.samples(&format!("rss.{count}"), subject), Of::Median);
        if let (Some(less), Some(more)) = (rss(SPECS[1].0), rss(SPECS[2].0)) {
            let instances = (SPECS[2].0 - SPECS[1].0) as f64;
            bench.board.add("rss.growth", subject, (more - less) * 1024.0 / instances);
        }
    }
}

fn measure(bench: &mut Bench, subject: Subject, spec: (usize, usize, u16)) -> Result<()> {
    let (count, interfaces, centiseconds) = spec;
    let (rig, roster) = (Rig::new(interfaces)?, bench.hurry(Roster::new(count, interfaces, centiseconds)));
    let capture = Capture::start(&rig, A)?;
    let mut pair = Pair::start(&rig, &capture, subject, &roster)?;
    let is_mass = SPECS[1..].contains(&spec);
    if is_mass {
        let excess = millis(pair.took) - millis(roster.down(A));
        bench.add("mass", (pair.a.started_at(), pair.until), &format!("mass.{count}.start"), subject, excess);
        bench.board.add(&format!("rss.{count}"), subject, account::rss(&pair.a.processes()) as f64 / 1024.0);
    }
    // A capture is paid by whoever sends: the kernel's own counters must do for this row.
    drop(capture);
    bench.calm(&pair);
    if bench.wants("cpu") {
        steady(bench, subject, count, &rig, &roster, &pair)?;
    }
    if is_mass && bench.wants("mass") {
        fail_over(bench, subject, count, &rig, &roster, &mut pair)?;
    }
    ensure!(!pair.b.has_ended(), "the backup ended: {}", pair.b.last_words());
    Ok(())
}

fn steady(bench: &mut Bench, subject: Subject, count: usize, rig: &Rig, roster: &Roster, pair: &Pair) -> Result<()> {
    let processes = [pair.a.processes(), pair.b.processes()];
    for _ in 0..bench.of(2, 10) {
        let look = || -> Result<_> {
            Ok((Stamp::now(), account::cpu(&processes[A])?, account::cpu(&processes[B])?, rig.sent(A)?))
        };
        let before = look()?;
        std::thread::sleep(WINDOW);
        let after = look()?;
        let (took, sent) = ((after.0 - before.0).as_secs_f64(), (after.3 - before.3) as f64);
        let share = |nanos: u64| nanos as f64 / 1e7 / took;
        let window = (before.0, after.0);
        let mut add = |what: &str, value| bench.add("cpu", window, &format!("cpu.{count}.{what}"), subject, value);
        add("master", share(after.1 - before.1));
        add("backup", share(after.2 - before.2));
        add("sent", sent / took / roster.rate() * 100.0);
        add("each", (after.1 - before.1) as f64 / 1e3 / sent.max(1.0));
    }
    Ok(())
}

/// The same packets by the smallest program that sends them, to the same switch.
fn bare(bench: &mut Bench, spec: (usize, usize, u16)) -> Result<()> {
    let (count, interfaces, centiseconds) = spec;
    let (rig, roster) = (Rig::new(interfaces)?, Roster::new(count, interfaces, centiseconds));
    let sent = floor::send(&rig, &roster, WINDOW)?;
    let (window, took) = ((sent.from, sent.until), (sent.until - sent.from).as_secs_f64());
    let mut add = |what: &str, value| bench.add("cpu", window, &format!("cpu.{count}.{what}"), Subject::Floor, value);
    add("master", sent.cpu as f64 / 1e7 / took);
    add("each", sent.cpu as f64 / 1e3 / sent.count as f64);
    Ok(())
}

/// Kills the master of all.
fn fail_over(
    bench: &mut Bench,
    subject: Subject,
    count: usize,
    rig: &Rig,
    roster: &Roster,
    pair: &mut Pair,
) -> Result<()> {
    let ear = rig.routers[B].within(|| Ear::open(B))?;
    let (watch, capture) = (Watch::start(Vec::new(), vec![ear]), Capture::start(rig, A)?);
    std::thread::sleep(3 * roster.interval.duration());
    pair.a.kill()?;
    let mut announced = BTreeMap::new();
    let all = capture.wait(0, roster.down(B) + Duration::from_secs(10), |sight| {
        if let (B, Some(address)) = (sight.router, sight.announces()) {
            announced.entry(IpAddr::V4(address)).or_insert(sight.at);
        }
        announced.len() >= count
    });
    ensure!(all, "{} of {count} addresses were announced", announced.len());
    std::thread::sleep(Duration::from_millis(200));
    capture.check()?;
    // Whoever was heard last is due last.
    let mut heard = BTreeMap::new();
    for sight in capture.since(0).iter().filter(|sight| sight.router == A) {
        sight.claims().map(|which| heard.insert(which, sight.at));
    }
    let heard = *heard.values().max().context("the master was never heard")?;
    let due = heard + roster.down(B);
    let speaks = |sight: &Sight| (sight.router == B).then(|| sight.claims()).flatten().map(|which| (which, sight.at));
    let mut spoke = BTreeMap::new();
    for (which, at) in capture.since(0).iter().filter_map(speaks) {
        spoke.entry(which).or_insert(at);
    }
    let advert = *spoke.values().max().context("the backup never spoke")?;
    let record = watch.record();
    let set = record
        .changes
        .iter()
        .filter(|change| change.set)
        // Netlink's news have no time of the kernel's, and a busy host reads them late. What is announced was set by then.
        .map(|change| announced.get(&change.address).map_or(change.at, |&told| change.at.min(told)))
        .max()
        .context("no address was set")?;
    let last = *announced.values().max().context("nothing was announced")?;
    let mut add = |what: &str, at| {
        bench.add("mass", (heard, last), &format!("mass.{count}.{what}"), subject, millis_between(at, due));
    };
    add("advert", advert);
    add("vip", set);
    add("garp", last);
    Ok(())
}
