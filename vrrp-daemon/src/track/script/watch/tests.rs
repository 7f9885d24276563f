//! Scripts of real processes, at millisecond intervals.

use tokio::sync::mpsc;

use super::*;
use crate::engine::plan::{TrackerId, TrackerPlan};
use crate::testing::{Dir, lives, shell};
use crate::track::report::InUse;
use crate::track::schedule::Schedule;

const PLAN: TrackerPlan = TrackerPlan { rise: 1, fall: 1, starts_failed: false };

fn script(dir: &Dir, text: &str, interval: u64, timeout: u64) -> Script {
    let [interval, timeout] = [interval, timeout].map(Duration::from_millis);
    Script { command: shell(dir, text), schedule: Schedule { interval, timeout } }
}

/// The outcomes of the first `span` milliseconds, with their times.
async fn outcomes(script: &Script, span: u64) -> Vec<(bool, u64)> {
    let (reports, mut reported) = mpsc::channel(100);
    let chk = InUse { edition: 0, id: TrackerId(0), name: "chk".into(), plan: PLAN };
    let reporter = Reporter::new("vrrp_script", Script::say, vec![chk], Default::default(), reports);
    let (start, mut seen) = (Instant::now(), Vec::new());
    let watching = async {
        watch(script, &reporter, tokio::time::sleep(Duration::from_millis(span))).await;
        drop(reporter);
    };
    let hearing = async {
        while let Some((_, _, reading)) = reported.recv().await {
            seen.push((reading == Reading::Passed, start.elapsed().as_millis() as u64));
        }
    };
    tokio::join!(watching, hearing);
    seen
}

#[tokio::test]
async fn runs_from_start_to_start() {
    let dir = Dir::new();
    let seen = outcomes(&script(&dir, "sleep 0.2", 400, 5000), 2300).await;
    assert!(seen.iter().all(|&(passed, _)| passed), "{seen:?}");
    assert!((5..=6).contains(&seen.len()), "each 400 ms, not each 600 ms: {seen:?}");
}

#[tokio::test]
async fn exit_status_decides() {
    let dir = Dir::new();
    let text = "test -e $0/down && exit 1; touch $0/down";
    let seen: Vec<_> = outcomes(&script(&dir, text, 100, 5000), 1000).await.into_iter().map(|(ok, _)| ok).collect();
    assert!(seen.starts_with(&[true, false]), "{seen:?}");
}

#[tokio::test]
async fn failure_is_reported_at_the_timeout_not_at_the_end_of_the_process() {
    let dir = Dir::new();
    let text = "trap '' TERM; echo $$ >> $0/pids; while :; do sleep 1; done";
    let seen = outcomes(&script(&dir, text, 100, 300), 1000).await;
    assert_eq!(seen.len(), 1, "runs are left out while the first is being ended: {seen:?}");
    let (passed, at) = seen[0];
    assert!(!passed && (300..700).contains(&at), "{seen:?}");
    let pids = dir.read("pids");
    assert_eq!(pids.lines().count(), 1);
    assert!(!lives(&pids), "ended by SIGKILL before watch() returned");
}

#[tokio::test]
async fn a_long_run_is_not_overlapped() {
    let dir = Dir::new();
    let text = "mkdir $0/busy || touch $0/overlap; sleep 0.25; rmdir $0/busy";
    let seen = outcomes(&script(&dir, text, 100, 1000), 1000).await;
    assert!(!dir.join("overlap").exists());
    assert!((2..=4).contains(&seen.len()), "{seen:?}");
}

#[tokio::test]
async fn stop_ends_the_run() {
    let dir = Dir::new();
    let start = Instant::now();
    assert_eq!(outcomes(&script(&dir, "echo $$ > $0/pid; exec sleep 100", 1000, 200_000), 300).await, []);
    assert!(start.elapsed() < Duration::from_millis(1500));
    assert!(!lives(&dir.read("pid")));
}

#[tokio::test]
async fn what_cannot_be_started_fails() {
    let dir = Dir::new();
    let mut script = script(&dir, "", 50, 50);
    script.command.argv[0] = "/nonexistent/chk".into();
    assert_eq!(outcomes(&script, 20).await.first().map(|&(passed, _)| passed), Some(false));
}
