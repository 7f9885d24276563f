//! The rows of the benchmark, a file for each kind of world that they need, and what these have in common.

pub mod addresses;
pub mod floods;
pub mod pair;
pub mod scale;
pub mod sending;
pub mod steady;

use std::time::Duration;

use anyhow::{Result, bail};
use vrrp_tests::stamp::Stamp;

use crate::board::Board;
use crate::capture::{Capture, Sight};
use crate::rig::{A, B, Rig};
use crate::roster::Roster;
use crate::stall::Stalls;
use crate::subject::{Running, Subject};

/// When a new master announces its addresses again (`garp_master_delay`, 5 s), and that done.
const SECOND_ROUND: Duration = Duration::from_millis(5500);
/// The same where it was told to do so after one.
const SECOND_ROUND_SOON: (&str, Duration) = ("vrrp_garp_master_delay 1", Duration::from_millis(1700));
/// How long a daemon may take to be master of everything, beyond its down interval.
const PATIENCE: Duration = Duration::from_secs(20);

/// One run of the benchmark.
pub struct Bench {
    pub quick: bool,
    pub reps: usize,
    /// Rows asked for by name; all when empty.
    pub rows: Vec<String>,
    pub stalls: Stalls,
    pub board: Board,
}

impl Bench {
    pub fn wants(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|wanted| wanted == row)
    }

    /// Adds what was measured in a window of a row; what the machine's standing still may have spoilt counts only if
    /// there is nothing else.
    pub fn add(&mut self, row: &'static str, window: (Stamp, Stamp), samples: &str, subject: Subject, value: f64) {
        let kept = !self.stalls.spoil(window.0, window.1);
        self.board.window(row, kept);
        if kept {
            self.board.add(samples, subject, value);
        } else {
            self.board.add_spoilt(samples, subject, value);
        }
    }

    /// `quick` in a quick run, else `full`.
    pub fn of<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }

    /// A quick run does not wait for the second round of announcements that a default configuration has.
    fn hurry(&self, roster: Roster) -> Roster {
        let shared = self.of(vec![SECOND_ROUND_SOON.0.to_owned()], Vec::new());
        Roster { shared, ..roster }
    }

    /// Waits until nothing but adverts is sent.
    fn calm(&self, pair: &Pair) {
        std::thread::sleep(self.of(SECOND_ROUND_SOON.1, SECOND_ROUND).saturating_sub(pair.until.elapsed()));
    }

    /// These daemons, as far as they are installed, in another order each round: who is first has the cold caches.
    pub fn order(&self, round: usize, of: &[Subject]) -> Vec<Subject> {
        let mut subjects: Vec<_> = of.iter().copied().filter(|subject| subject.is_installed()).collect();
        let count = subjects.len().max(1);
        subjects.rotate_left(round % count);
        subjects
    }

    /// Measures one daemon; that it cannot is a remark and not the end.
    pub fn attempt(&mut self, row: &str, subject: Subject, work: impl FnOnce(&mut Self) -> Result<()>) {
        eprintln!("  {row}: {}", subject.name());
        if let Err(error) = work(self) {
            let remark = format!("{row}: {}: {error:#}", subject.name());
            eprintln!("  {remark}");
            self.board.remarks.push(remark);
        }
    }

    /// Adds how late each advert came after the one before it, and returns the mean interval of those kept, in
    /// milliseconds. The interval that a stall lengthens and the one that makes up for it are left out.
    pub fn lateness(
        &mut self,
        row: &'static str,
        samples: &str,
        subject: Subject,
        adverts: &[Stamp],
        due: Duration,
        both_ways: bool,
    ) -> Option<f64> {
        let (mut sum, mut count, mut after_stall) = (0.0, 0, false);
        let due = millis(due);
        for pair in adverts.windows(2) {
            let kept = !self.stalls.spoil(pair[0], pair[1]);
            self.board.window(row, kept);
            if kept && !after_stall {
                let interval = millis(pair[1] - pair[0]);
                let off = interval - due;
                self.board.add(samples, subject, if both_ways { off.abs() } else { off.max(0.0) });
                sum += interval;
                count += 1;
            }
            after_stall = !kept;
        }
        (count > 0).then(|| sum / f64::from(count))
    }
}

/// Router A is master of everything, B its backup.
pub struct Pair {
    pub a: Running,
    pub b: Running,
    /// From A's start until it was master of everything.
    pub took: Duration,
    pub until: Stamp,
}

impl Pair {
    pub fn start(rig: &Rig, capture: &Capture, subject: Subject, roster: &Roster) -> Result<Self> {
        let mark = capture.mark();
        let mut a = Running::start(rig, A, subject, roster)?;
        let until = all_masters(capture, mark, A, &mut a, roster)?;
        let took = until - a.started_at();
        let b = Running::start(rig, B, subject, roster)?;
        std::thread::sleep(roster.down(B) + Duration::from_millis(700 + roster.count as u64 / 2));
        Ok(Self { a, b, took, until })
    }
}

/// Waits until a router has sent an advert for every virtual router; returns when it sent the last of them.
pub fn all_masters(
    capture: &Capture,
    mark: usize,
    router: usize,
    running: &mut Running,
    roster: &Roster,
) -> Result<Stamp> {
    let mut waiting: std::collections::BTreeSet<_> = roster.routers().collect();
    let mut last = Stamp::default();
    let done = capture.wait(mark, roster.down(router) + PATIENCE, |sight| {
        if sight.router == router && sight.claims().is_some_and(|which| waiting.remove(&which)) {
            last = sight.at;
        }
        waiting.is_empty()
    });
    match (done, running.has_ended()) {
        (true, _) => Ok(last),
        (_, true) => bail!("the daemon ended: {}", running.last_words()),
        _ => bail!("{} of {} never became master: {}", waiting.len(), roster.count, running.last_words()),
    }
}

/// When a router's adverts for one virtual router were seen.
pub fn adverts_of(sights: &[Sight], router: usize, which: (usize, u8)) -> Vec<Stamp> {
    sights
        .iter()
        .filter(|sight| sight.router == router && sight.claims() == Some(which))
        .map(|sight| sight.at)
        .collect()
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// `a - b`, in milliseconds, which may be negative.
pub fn millis_between(a: Stamp, b: Stamp) -> f64 {
    (a.0 as f64 - b.0 as f64) / 1e6
}
