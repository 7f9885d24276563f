//! Forged adverts as fast as a sender can: who is master meanwhile, how steady, at what cost, and what was counted.

use std::time::Duration;

use anyhow::{Result, ensure};
use vrrp_tests::stamp::Stamp;
use vrrp_tests::vrrpd;

use super::{Bench, Pair, adverts_of};
use crate::account;
use crate::board::{Line, Of, Wanted};
use crate::capture::Capture;
use crate::flood::{self, Flooded, Kind};
use crate::rig::{A, B, Rig};
use crate::roster::Roster;
use crate::subject::Subject;

/// A trickle, which must not do what a flood does.
const TRICKLE: u32 = 20;
/// What comes after a flood is its doing, too.
const AFTER: Duration = Duration::from_millis(100);

/// How a flood is sent, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Full,
    Trickle,
    /// At full rate, the daemon without XDP.
    WithoutXdp,
}

impl Way {
    const ALL: [Self; 3] = [Self::Full, Self::Trickle, Self::WithoutXdp];

    fn key(self, kind: Kind, what: &str) -> String {
        format!("flood.{self:?}.{kind:?}.{what}")
    }

    fn title(self, kind: Kind) -> String {
        match self {
            Self::Full => format!("{}, full rate", kind.name()),
            Self::Trickle => format!("{}, {TRICKLE} a second", kind.name()),
            Self::WithoutXdp => format!("{}, full rate, XDP off", kind.name()),
        }
    }
}

pub fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    for way in Way::ALL {
        for kind in Kind::ALL {
            let title = way.title(kind);
            let line = |what: &str, samples: &str, of, unit| Line {
                private: way == Way::Trickle,
                ..Line::new("floods", format!("{title}: {what}"), way.key(kind, samples), of, unit)
            };
            let strict = way != Way::WithoutXdp;
            let wish = |wanted| if strict { wanted } else { Wanted::Told };
            if way != Way::Trickle {
                lines.push(line("frames a second", "rate", Of::Median, ""));
            }
            lines.push(line("adverts of the backup", "backup", Of::Sum, "").wanted(Wanted::AtMost(0.0)).robust());
            lines.push(line("adverts of the master, of those due", "master", Of::Median, "%"));
            lines.push(line("master late, p99", "late", Of::P99, "ms"));
            lines.push(line("master late, most", "late", Of::Max, "ms").wanted(wish(Wanted::AtMost(1.0))));
            lines.push(line("CPU of the busier daemon", "cpu", Of::Median, "%").wanted(wish(Wanted::AtMost(2.0))));
            if way != Way::Trickle {
                lines.push(
                    line("counted under its reason", "counted", Of::Median, "%").wanted(wish(Wanted::AtLeast(99.9))),
                );
            }
        }
    }
    lines
}

pub fn run(bench: &mut Bench) {
    let (v2, v3): (Vec<_>, Vec<_>) = Kind::ALL.into_iter().partition(|kind| *kind == Kind::Password);
    for round in 0..bench.of(1, bench.reps.min(3)) {
        let both = [Subject::Vrrpd, Subject::rival()];
        let peers = bench.of(&both[..], &Subject::DAEMONS[..]);
        for subject in bench.order(round, peers) {
            bench.attempt("floods", subject, |bench| measure(bench, subject, &v3, &[Way::Full, Way::Trickle]));
        }
        // FRR has no v2 passwords.
        for subject in bench.order(round, &both[..bench.of(1, 2)]) {
            bench.attempt("floods, v2", subject, |bench| measure(bench, subject, &v2, &[Way::Full]));
        }
        let kinds = if bench.quick { &v3[..1] } else { &v3 };
        bench.attempt("floods, XDP off", Subject::Vrrpd, |bench| {
            measure(bench, Subject::Vrrpd, kinds, &[Way::WithoutXdp])
        });
    }
}

fn measure(bench: &mut Bench, subject: Subject, kinds: &[Kind], ways: &[Way]) -> Result<()> {
    let globals = if ways.contains(&Way::WithoutXdp) { vec!["xdp_mode off".to_owned()] } else { Vec::new() };
    let Some(first) = kinds.first() else { return Ok(()) };
    let roster = Roster { globals, ..first.roster() };
    let rig = Rig::new(1)?;
    rig.let_attacker_in()?;
    let capture = Capture::start(&rig, A)?;
    let mut pair = Pair::start(&rig, &capture, subject, &roster)?;
    for &way in ways {
        // Two of them say whether a trickle harms; the rest is for the full run.
        let kinds = if way == Way::Trickle && bench.quick { &kinds[..2] } else { kinds };
        for &kind in kinds {
            one(bench, subject, &rig, &capture, &roster, &mut pair, kind, way)?;
            // Back to peace before the next.
            std::thread::sleep(roster.down(B) + Duration::from_millis(300));
        }
    }
    ensure!(!pair.a.has_ended() && !pair.b.has_ended(), "a daemon ended: {}", pair.a.last_words());
    capture.check()
}

#[allow(clippy::too_many_arguments, reason = "they are the parts of one measurement")]
fn one(
    bench: &mut Bench,
    subject: Subject,
    rig: &Rig,
    capture: &Capture,
    roster: &Roster,
    pair: &mut Pair,
    kind: Kind,
    way: Way,
) -> Result<()> {
    let seconds = match (roster.interval.get(), way) {
        // Longer than a down interval.
        (100, _) => bench.of(5, 10),
        (_, Way::Trickle) => bench.of(1, 5),
        _ => bench.of(1, 5),
    };
    let processes = [pair.a.processes(), pair.b.processes()];
    let look = || -> Result<_> { Ok([account::cpu(&processes[A])?, account::cpu(&processes[B])?]) };
    let counted_before = counted(subject, pair, kind)?;
    let (lost, mark, cpu) = (flood::lost_on_the_cable(rig, A)?, capture.mark(), look()?);
    let flooded = flood::flood(rig, kind, Duration::from_secs(seconds), (way == Way::Trickle).then_some(TRICKLE))?;
    let used = look()?;
    std::thread::sleep(AFTER);
    let lost = flood::lost_on_the_cable(rig, A)? - lost;
    let took = flooded.took().as_secs_f64();
    let key = |what: &str| way.key(kind, what);
    if way != Way::Trickle {
        bench.board.add(&key("rate"), subject, flooded.sent as f64 / took);
    }
    let busier = (used[A] - cpu[A]).max(used[B] - cpu[B]);
    bench.board.add(&key("cpu"), subject, busier as f64 / 1e7 / took);
    let counted = counted(subject, pair, kind)? - counted_before;
    if subject == Subject::Vrrpd && way != Way::Trickle {
        let arrived = flooded.sent.saturating_sub(lost).max(1);
        bench.board.add(&key("counted"), subject, counted as f64 / arrived as f64 * 100.0);
    }
    who_spoke(bench, subject, capture, mark, roster, flooded, &key);
    Ok(())
}

/// What the switch saw of master and backup during a flood.
fn who_spoke(
    bench: &mut Bench,
    subject: Subject,
    capture: &Capture,
    mark: usize,
    roster: &Roster,
    flooded: Flooded,
    key: &impl Fn(&str) -> String,
) {
    let sights = capture.since(mark);
    let during = |at: &Stamp| *at >= flooded.from && *at <= flooded.until + AFTER;
    let backup: Vec<_> = adverts_of(&sights, B, (0, 1)).into_iter().filter(during).collect();
    // A machine that stands still for an interval makes a flap; one advert of a backup is one too many otherwise.
    let (reach, interval) = (roster.down(B).as_nanos() as u64, roster.interval.duration());
    let excused = |at: Stamp| bench.stalls.between(Stamp(at.0 - reach), at) > interval * 3 / 4;
    let inexcusable = backup.iter().filter(|at| !excused(**at)).count();
    bench.board.add(&key("backup"), subject, inexcusable as f64);
    let mut master: Vec<_> = adverts_of(&sights, A, (0, 1)).into_iter().filter(during).collect();
    let due = (flooded.took() + AFTER).as_secs_f64() / interval.as_secs_f64();
    bench.board.add(&key("master"), subject, master.len() as f64 / due * 100.0);
    // Silence until the end is lateness, too.
    if master.last().is_none_or(|last| flooded.until - *last > 2 * interval) {
        master.insert(0, flooded.from);
        master.push(flooded.until);
    }
    master.sort();
    bench.lateness("floods", &key("late"), subject, &master, interval, false);
}

/// Frames of this kind that the master has counted.
fn counted(subject: Subject, pair: &Pair, kind: Kind) -> Result<u64> {
    if subject != Subject::Vrrpd {
        return Ok(0);
    }
    let status = vrrpd::status(&pair.a.daemon)?;
    Ok(kind.reasons().iter().map(|reason| vrrpd::drops(&status, *reason)).sum())
}
