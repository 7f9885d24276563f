//! One virtual router with 1,000 addresses: when the first of them is announced, when each is, when the last.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Bench, Pair, millis, millis_between};
use crate::board::{Line, Of, Wanted};
use crate::capture::Capture;
use crate::floor;
use crate::rig::{A, B, Rig};
use crate::roster::Roster;
use crate::subject::Subject;

const COUNT: usize = 1000;

pub fn lines() -> Vec<Line> {
    let line =
        |what: &str, samples: &str| Line::new("addresses", what, format!("addresses.{samples}"), Of::Median, "ms");
    vec![
        line("1,000 of one router: first GARP after the advert", "first").wanted(Wanted::AtMost(1.0)),
        line("each announced once", "once").wanted(Wanted::OfFloor(1.1)),
        line("last GARP", "last"),
    ]
}

pub fn run(bench: &mut Bench) {
    for round in 0..bench.reps {
        for subject in bench.order(round, &[Subject::Vrrpd, Subject::rival()]) {
            bench.attempt("addresses", subject, |bench| measure(bench, subject));
        }
        bench.attempt("addresses", Subject::Floor, bare);
    }
}

fn roster() -> Roster {
    Roster { addresses: COUNT, ..Roster::new(1, 1, 10) }
}

fn measure(bench: &mut Bench, subject: Subject) -> Result<()> {
    let (rig, roster) = (Rig::new(1)?, roster());
    let capture = Capture::start(&rig, A)?;
    let mut pair = Pair::start(&rig, &capture, subject, &roster)?;
    // Until its second round of announcements it may be busy with the first.
    std::thread::sleep(Duration::from_millis(500));
    let mark = capture.mark();
    let killed = pair.a.kill()?;
    let mut announced = BTreeMap::new();
    let all = capture.wait(mark, roster.down(B) + Duration::from_secs(5), |sight| {
        if let (B, Some(address)) = (sight.router, sight.announces()) {
            announced.entry(address).or_insert(sight.at);
        }
        announced.len() >= COUNT
    });
    ensure!(all, "{} of {COUNT} addresses were announced", announced.len());
    std::thread::sleep(Duration::from_millis(500));
    capture.check()?;
    let sights = capture.since(mark);
    let ours: Vec<_> = sights.iter().filter(|sight| sight.router == B && sight.at > killed).collect();
    let advert = ours.iter().find(|sight| sight.claims().is_some()).context("no advert of the backup")?.at;
    let announced: Vec<_> = announced.into_values().collect();
    let (first, once) = (announced.iter().min().context("none")?, announced.iter().max().context("none")?);
    let last = ours.iter().filter(|sight| sight.announces().is_some()).map(|sight| sight.at).max().context("none")?;
    for (what, at) in [("first", *first), ("once", *once), ("last", last)] {
        bench.add("addresses", (advert, last), &format!("addresses.{what}"), subject, millis_between(at, advert));
    }
    Ok(())
}

/// The addresses alone, by the calls that set them.
fn bare(bench: &mut Bench) -> Result<()> {
    let rig = Rig::new(1)?;
    let addresses: Vec<_> = roster().addresses_of(0, 1).collect();
    let (from, until) = floor::set_addresses(&rig, A, &addresses)?;
    let shown = rig.routers[A].ip("-4 -o address show dev eth0")?.lines().count();
    ensure!(shown == COUNT + 1, "{shown} addresses are set");
    bench.add("addresses", (from, until), "addresses.once", Subject::Floor, millis(until - from));
    Ok(())
}
