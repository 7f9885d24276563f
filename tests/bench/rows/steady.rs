//! 1,020 virtual routers at 10 ms, both routers on the same CPUs: nothing may move, and every advert must leave.

use std::time::Duration;

use anyhow::{Result, ensure};
use vrrp_tests::stamp::Stamp;

use super::{Bench, Pair};
use crate::board::{Line, Of, Wanted};
use crate::capture::Capture;
use crate::rig::{A, B, Rig};
use crate::roster::Roster;
use crate::subject::Subject;

const WINDOW: Duration = Duration::from_secs(1);
/// A stall so long before a flap may be its cause.
const EXCUSE: Duration = Duration::from_millis(100);
/// With keepalived's default, and with the priority that kills keepalived.
const KINDS: [(&str, &str, Option<&str>); 2] =
    [("default", "1,020/4 at 10 ms", None), ("rt", "the same with vrrp_rt_priority 50", Some("vrrp_rt_priority 50"))];

pub fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    for (kind, title, _) in KINDS {
        lines.push(
            Line::new(
                "steadiness",
                format!("{title}: adverts of the backup"),
                format!("steady.{kind}.flaps"),
                Of::Sum,
                "",
            )
            .wanted(Wanted::AtMost(0.0))
            .robust(),
        );
        lines.push(
            Line::new(
                "steadiness",
                format!("{title}: adverts sent of those due"),
                format!("steady.{kind}.sent"),
                Of::Mean,
                "%",
            )
            .wanted(Wanted::AtLeast(99.9)),
        );
    }
    lines
}

pub fn run(bench: &mut Bench) {
    for (kind, title, global) in KINDS {
        // Its own limit on real-time processes ends keepalived there.
        let subjects: &[_] = if global.is_some() { &[Subject::Vrrpd] } else { &[Subject::Vrrpd, Subject::rival()] };
        for subject in bench.order(0, subjects) {
            bench.attempt(title, subject, |bench| measure(bench, subject, kind, global));
        }
    }
}

fn measure(bench: &mut Bench, subject: Subject, kind: &str, global: Option<&str>) -> Result<()> {
    let globals = global.into_iter().map(str::to_owned).collect();
    let (rig, roster) = (Rig::new(4)?, Roster { globals, ..bench.hurry(Roster::new(1020, 4, 1)) });
    let capture = Capture::start(&rig, A)?;
    let mut pair = Pair::start(&rig, &capture, subject, &roster)?;
    drop(capture);
    bench.calm(&pair);
    let capture = Capture::start(&rig, B)?;
    for _ in 0..bench.of(5, 60) {
        let (from, mark, sent) = (Stamp::now(), capture.mark(), rig.sent(A)?);
        std::thread::sleep(WINDOW);
        let (until, sent) = (Stamp::now(), rig.sent(A)? - sent);
        let spoke = capture.since(mark).iter().filter(|sight| sight.claims().is_some()).count();
        let before = Stamp(from.0 - EXCUSE.as_nanos() as u64);
        let due = roster.rate() * (until - from).as_secs_f64();
        let mut add = |what: &str, value| {
            bench.add("steadiness", (before, until), &format!("steady.{kind}.{what}"), subject, value);
        };
        add("flaps", spoke as f64);
        add("sent", sent as f64 / due * 100.0);
    }
    ensure!(!pair.a.has_ended() && !pair.b.has_ended(), "a daemon ended: {}", pair.a.last_words());
    capture.check()
}
