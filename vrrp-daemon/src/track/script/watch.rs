//! When a script runs, and what is said about it; the wording is keepalived's.

use std::time::Duration;

use tokio::select;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::Script;
use crate::track::report::{Finding, Reading, Reporter};
use crate::track::run::{Bond, GRACE, Outcome};
use crate::track::schedule::following;
use crate::track::watch::{Job, Stop, Watch};

/// How long a run has from SIGTERM to SIGKILL when the daemon stops; it must not hold up the stop.
const GRACE_AT_STOP: Duration = Duration::from_millis(500);

impl Watch for Script {
    const TOGETHER: bool = false;

    fn unusable(&self) -> Option<String> {
        self.command.inspect().err().map(|unusable| unusable.to_string())
    }

    fn say(name: &str, Finding { reading, text }: &Finding) {
        match reading {
            Reading::Passed => info!("VRRP_Script({name}) {text}"),
            _ => warn!("VRRP_Script({name}) {text}"),
        }
    }

    async fn watch(jobs: Vec<Job<Self>>, stop: Stop) {
        for Job { watched, reporter, fresh: _ } in jobs {
            watch(&watched, &reporter, stop.asked()).await;
        }
    }
}

/// Runs `script` at once and then every interval, and reports each outcome, until `stop` completes.
///
/// A run that is not done in its time is reported as failed at that moment, and then ended. A run that is due while its
/// predecessor is still there is left out.
async fn watch(script: &Script, reporter: &Reporter, stop: impl Future<Output = ()>) {
    tokio::pin!(stop);
    // An interval of zero would never let go of the thread.
    let interval = script.schedule.interval.max(Duration::from_millis(1));
    let mut due = Instant::now();
    let mut step = script.schedule.phase(reporter.number()).max(Duration::from_millis(1));
    let mut ending: Option<JoinHandle<()>> = None;
    let mut last = None;
    loop {
        select! {
            () = sleep_until(due) => {}
            () = &mut stop => break,
        }
        due = following(due, step, interval, Instant::now());
        step = interval;
        if ending.as_ref().is_some_and(|ending| !ending.is_finished()) {
            info!("Track script {} is being timed out, expect idle - skipping run", reporter.name());
            continue;
        }
        let limit = Instant::now() + script.schedule.timeout;
        let outcome = match script.command.start(&[], Bond::EndsWithUs) {
            Err(error) => Outcome::FailedToStart(error.to_string()),
            Ok(mut run) => {
                let outcome = loop {
                    select! {
                        biased;
                        outcome = run.finish() => break Some(outcome),
                        () = sleep_until(limit) => break Some(Outcome::TimedOut),
                        () = sleep_until(due) => {
                            info!("Track script {} is already running, expect idle - skipping run", reporter.name());
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
        if last.as_ref().is_some_and(|last| *last != outcome)
            && let Some(status) = returned(&outcome)
        {
            info!("Script `{}` now returning {status}", reporter.name());
        }
        reporter.report(Finding::from(&outcome)).await;
        last = Some(outcome);
    }
    if let Some(ending) = ending {
        // A panic of the task would have been told by its hook.
        let _ = ending.await;
    }
}

impl From<&Outcome> for Finding {
    fn from(outcome: &Outcome) -> Self {
        let text = match outcome {
            Outcome::Exited(0) => return Self { reading: Reading::Passed, text: "succeeded".into() },
            Outcome::Exited(status) => format!("failed (exited with status {status})"),
            Outcome::Signaled(signal) => format!("failed (due to signal {signal})"),
            Outcome::TimedOut => "timed_out".into(),
            Outcome::FailedToStart(why) => format!("failed (could not be started: {why})"),
        };
        Self { reading: Reading::Failed, text }
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
