//! When a script runs, and what is said about it; the wording is keepalived's.

use std::time::Duration;

use tokio::select;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::Script;
use crate::engine::plan::TrackerPlan;
use crate::engine::tracking::{Tracker, Verdict};
use crate::track::run::{Bond, GRACE, Outcome};

/// How long a run has from SIGTERM to SIGKILL when the daemon stops; it must not hold up the stop.
const GRACE_AT_STOP: Duration = Duration::from_millis(500);

/// Runs `script` at once and then every interval, and reports each outcome, until `stop` completes.
///
/// A run that is not done in its time is reported as failed at that moment, and then ended. A run that is due while its
/// predecessor is still there is left out. `number` sets scripts of equal interval apart; `plan` decides what is logged:
/// the change of verdict, not each outcome.
pub async fn watch(
    script: &Script,
    name: &str,
    number: u32,
    plan: TrackerPlan,
    mut report: impl AsyncFnMut(bool),
    stop: impl Future<Output = ()>,
) {
    tokio::pin!(stop);
    // An interval of zero would never let go of the thread.
    let interval = script.interval.max(Duration::from_millis(1));
    let mut log = Log { name, tracker: Tracker::new(plan), last: None };
    let mut due = Instant::now();
    let mut step = script.phase(number).max(Duration::from_millis(1));
    let mut ending: Option<JoinHandle<()>> = None;
    loop {
        select! {
            () = sleep_until(due) => {}
            () = &mut stop => break,
        }
        due = following(due, step, interval, Instant::now());
        step = interval;
        if ending.as_ref().is_some_and(|ending| !ending.is_finished()) {
            info!("Track script {name} is being timed out, expect idle - skipping run");
            continue;
        }
        let limit = Instant::now() + script.timeout;
        let outcome = match script.command.start(&[], Bond::EndsWithUs) {
            Err(error) => Outcome::FailedToStart(error.to_string()),
            Ok(mut run) => {
                let outcome = loop {
                    select! {
                        biased;
                        outcome = run.finish() => break Some(outcome),
                        () = sleep_until(limit) => break Some(Outcome::TimedOut),
                        () = sleep_until(due) => {
                            info!("Track script {name} is already running, expect idle - skipping run");
                            due = following(due, interval, interval, Instant::now());
                        }
                        () = &mut stop => break None,
                    }
                };
                let Some(outcome) = outcome else {
                    run.end(GRACE_AT_STOP).await;
                    break;
                };
                if outcome == Outcome::TimedOut {
                    ending = Some(tokio::spawn(run.end(GRACE)));
                }
                outcome
            }
        };
        log.outcome(&outcome);
        report(outcome.passed()).await;
    }
    if let Some(ending) = ending {
        // A panic of the task would have been told by its hook.
        let _ = ending.await;
    }
}

/// The next start, not before now: what a sleeping machine missed is not made up for.
fn following(due: Instant, step: Duration, interval: Duration, now: Instant) -> Instant {
    let next = due + step;
    let late = now.saturating_duration_since(next);
    let missed = late.as_nanos().div_ceil(interval.as_nanos());
    next + interval.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX))
}

struct Log<'a> {
    name: &'a str,
    /// The engine has one like it: its verdict is what the instances see.
    tracker: Tracker,
    last: Option<Outcome>,
}

impl Log<'_> {
    fn outcome(&mut self, outcome: &Outcome) {
        let name = self.name;
        let before = self.tracker.verdict();
        let changed = self.tracker.hear(outcome.passed()) || (before == Verdict::Failed && self.last.is_none());
        if self.last.as_ref().is_some_and(|last| last != outcome)
            && let Some(status) = returned(outcome)
        {
            info!("Script `{name}` now returning {status}");
        }
        if changed {
            match outcome {
                Outcome::Exited(0) => info!("VRRP_Script({name}) succeeded"),
                Outcome::Exited(status) => warn!("VRRP_Script({name}) failed (exited with status {status})"),
                Outcome::Signaled(signal) => warn!("VRRP_Script({name}) failed (due to signal {signal})"),
                Outcome::TimedOut => warn!("VRRP_Script({name}) timed_out"),
                Outcome::FailedToStart(why) => warn!("VRRP_Script({name}) failed (could not be started: {why})"),
            }
        }
        self.last = Some(outcome.clone());
    }
}

/// The exit status as a shell shows it.
fn returned(outcome: &Outcome) -> Option<i32> {
    match outcome {
        Outcome::Exited(status) => Some(*status),
        Outcome::Signaled(signal) => Some(128 + signal),
        Outcome::TimedOut | Outcome::FailedToStart(_) => None,
    }
}

#[cfg(test)]
mod tests;
