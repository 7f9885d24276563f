//! One virtual router at 10 ms: how exactly it is taken over, and how steady its adverts are, idle and with busy CPUs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Bench, Pair, adverts_of, millis, millis_between};
use crate::board::{Line, Of, Wanted};
use crate::capture::Capture;
use crate::rig::{A, B, Rig};
use crate::roster::Roster;
use crate::subject::{Running, Subject};

const WHICH: (usize, u8) = (0, 1);
/// Longest that the CPUs are kept busy at a time.
const BUSY_MAX: Duration = Duration::from_secs(120);

pub fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    for load in ["idle", "busy"] {
        let (samples, what) = (format!("takeover.{load}"), format!("takeover beyond the down interval, {load}"));
        lines.push(
            Line::new("takeover", format!("{what}, median"), &samples, Of::Median, "ms")
                .wanted(Wanted::OfKeepalived(1.0)),
        );
        lines.push(Line::new("takeover", format!("{what}, p99"), &samples, Of::P99, "ms").wanted(Wanted::AtMost(1.0)));
    }
    for load in ["idle", "busy"] {
        let (samples, what) = (format!("cadence.{load}"), format!("10 ms, {load}"));
        lines.push(
            Line::new("cadence", format!("{what}: mean off by"), format!("{samples}.mean"), Of::Median, "%")
                .wanted(Wanted::AtMost(0.01)),
        );
        lines.push(
            Line::new("cadence", format!("{what}: p99 off by"), &samples, Of::P99, "ms").wanted(Wanted::AtMost(0.3)),
        );
        lines.push(Line::new("cadence", format!("{what}: most off by"), &samples, Of::Max, "ms"));
    }
    lines
}

pub fn run(bench: &mut Bench) {
    for round in 0..bench.reps {
        for subject in bench.order(round, &Subject::DAEMONS) {
            bench.attempt("takeover, cadence", subject, |bench| measure(bench, subject));
        }
    }
}

fn measure(bench: &mut Bench, subject: Subject) -> Result<()> {
    let (rig, roster) = (Rig::new(1)?, Roster::new(1, 1, 1));
    let capture = Capture::start(&rig, A)?;
    let mut pair = Pair::start(&rig, &capture, subject, &roster)?;
    for load in ["idle", "busy"] {
        let _spinners = (load == "busy").then(Spinners::start);
        if bench.wants("cadence") {
            let mark = capture.mark();
            std::thread::sleep(Duration::from_secs(bench.of(2, 10)));
            let adverts = adverts_of(&capture.since(mark), A, WHICH);
            let due = roster.interval.duration();
            let mean = bench.lateness("cadence", &format!("cadence.{load}"), subject, &adverts, due, true);
            let mean = mean.context("no two adverts without a stall between them")?;
            bench.board.add(&format!("cadence.{load}.mean"), subject, (mean / millis(due) - 1.0).abs() * 100.0);
        }
        if bench.wants("takeover") {
            for _ in 0..bench.of(if load == "idle" { 4 } else { 3 }, 20) {
                take_over(bench, subject, &rig, &capture, &roster, &mut pair.a, load)?;
            }
        }
    }
    capture.check()
}

/// Kills the master, notes when its backup speaks, and lets it return.
fn take_over(
    bench: &mut Bench,
    subject: Subject,
    rig: &Rig,
    capture: &Capture,
    roster: &Roster,
    a: &mut Running,
    load: &str,
) -> Result<()> {
    let mark = capture.mark();
    // A few adverts, and a phase that no daemon can know.
    std::thread::sleep(Duration::from_micros(40_000 + u64::from(std::process::id()) * 997 * mark as u64 % 10_000));
    let killed = a.kill()?;
    let mut first = None;
    capture.wait(mark, Duration::from_secs(3), |sight| {
        let speaks = sight.router == B && sight.at > killed && sight.claims() == Some(WHICH);
        first = first.or(speaks.then_some(sight.at));
        speaks
    });
    let first = first.context("the backup never took over")?;
    let last = adverts_of(&capture.since(mark), A, WHICH)
        .into_iter()
        .rfind(|at| *at < first)
        .context("no advert of the master")?;
    let excess = millis_between(first, last + roster.down(B));
    bench.add("takeover", (last, first), &format!("takeover.{load}"), subject, excess);
    // What cleans up after the daemon has time to.
    std::thread::sleep(Duration::from_millis(100));
    if subject != Subject::Frr {
        rig.reboot(A)?;
    }
    *a = Running::start(rig, A, subject, roster)?;
    let (mark, mut in_a_row) = (capture.mark(), 0);
    capture.wait(mark, Duration::from_secs(5), |sight| {
        in_a_row = if sight.router == A && sight.claims() == Some(WHICH) { in_a_row + 1 } else { 0 };
        in_a_row >= 20
    });
    Ok(())
}

/// An ordinary thread for each CPU that does nothing, fast.
struct Spinners {
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Spinners {
    fn start() -> Self {
        let end = Arc::<AtomicBool>::default();
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let spin = |end: Arc<AtomicBool>| {
            let start = Instant::now();
            while !end.load(Ordering::Relaxed) && start.elapsed() < BUSY_MAX {
                (0..1000).for_each(|_| std::hint::spin_loop());
            }
        };
        let threads = (0..cpus).map(|_| Arc::clone(&end)).map(|end| std::thread::spawn(move || spin(end))).collect();
        Self { end, threads }
    }
}

impl Drop for Spinners {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
