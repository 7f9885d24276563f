//! Real processes, which are counted in either way.

use std::cmp::Ordering;
use std::rc::Rc;

use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::*;
use crate::engine::plan::{TrackerId, TrackerPlan};
use crate::testing::skip;
use crate::track::report::{Board, InUse, Report, Reporter};

const PLAN: TrackerPlan = TrackerPlan { rise: 1, fall: 1, starts_failed: false };

/// A process that no other test has: its parameter is our process id and a number.
fn sleeper(number: u32) -> (Process, impl Fn() -> Child) {
    let parameter = format!("{}{number:04}", std::process::id());
    let pattern = Pattern::Command { program: "sleep".into(), parameters: vec![parameter.clone()], matching: None };
    let (fork_delay, terminate_delay) = Default::default();
    let process = Process { pattern, quorum: 1, quorum_max: None, fork_delay, terminate_delay };
    (process, move || Command::new("sleep").arg(&parameter).kill_on_drop(true).spawn().unwrap())
}

fn job(watched: Process) -> (Job<Process>, mpsc::Receiver<Report>) {
    let (reports, reported) = mpsc::channel(100);
    let user = InUse { edition: 0, id: TrackerId(3), name: "db".into(), plan: PLAN };
    let reporter = Reporter::new("vrrp_track_process", Process::say, vec![user], Default::default(), reports).into();
    (Job { watched, reporter, fresh: true }, reported)
}

async fn next(reported: &mut mpsc::Receiver<Report>) -> bool {
    tokio::time::timeout(Duration::from_secs(10), reported.recv()).await.unwrap().unwrap().2 == Reading::Passed
}

#[tokio::test]
async fn a_process_comes_and_goes() {
    let (process, start) = sleeper(1);
    let (job, mut reported) = job(process);
    let (ask, stop) = Stop::new();
    tokio::join!(Process::watch(vec![job], stop), async {
        assert!(!next(&mut reported).await);
        let mut first = start();
        assert!(next(&mut reported).await);
        let second = start();
        first.kill().await.unwrap();
        // The other one is enough: the next report is of its end.
        drop(second);
        assert!(!next(&mut reported).await);
        ask.send(true).unwrap();
    });
}

/// Those that change no verdict are counted as well; what waits for its delay is seen to wait.
#[tokio::test]
async fn whoever_asks_hears_how_many_there_are() {
    let (process, start) = sleeper(4);
    let process = Process { quorum: 2, fork_delay: Duration::from_secs(1000), ..process };
    let board = Board::default();
    let (reports, mut reported) = mpsc::channel(100);
    let user = InUse { edition: 0, id: TrackerId(3), name: "db".into(), plan: PLAN };
    let reporter = Reporter::new("vrrp_track_process", Process::say, vec![user], Rc::clone(&board), reports).into();
    let (ask, stop) = Stop::new();
    let until = async |tally: Tally| {
        let seen = || board.borrow().values().next().map(|seen| seen.tally);
        let wait = async {
            while seen() != Some(tally) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap_or_else(|_| panic!("{:?}", seen()));
    };
    tokio::join!(Process::watch(vec![Job { watched: process, reporter, fresh: true }], stop), async {
        assert!(!next(&mut reported).await);
        let _first = start();
        until(Tally { number: 1, waits: None }).await;
        let second = start();
        until(Tally { number: 2, waits: Some(Ordering::Greater) }).await;
        drop(second);
        until(Tally { number: 1, waits: None }).await;
        ask.send(true).unwrap();
    });
}

/// The events themselves, where the kernel tells us; the forks of a shell are told apart from what they become.
#[tokio::test]
async fn the_kernel_tells() {
    let events = match Events::listen().await {
        Ok(events) => Ok(events),
        Err(why) => return skip("the_kernel_tells", &why),
    };
    let (process, start) = sleeper(2);
    let (job, _reported) = job(process);
    let mut census = Census::new(vec![job]);
    census.look().await;
    assert_eq!(census.counts[0].pids.len(), 0);
    let mut child = start();
    let pid = child.id().unwrap();
    let mut hear_until = async |count: usize| {
        while census.counts[0].pids.len() != count {
            let event = tokio::time::timeout(Duration::from_secs(10), super::next(&events)).await.unwrap().unwrap();
            census.hear(event).await;
        }
        census.counts[0].pids.clone()
    };
    assert_eq!(hear_until(1).await, BTreeSet::from([pid]));
    child.kill().await.unwrap();
    hear_until(0).await;
}

#[tokio::test]
async fn delays_are_waited_for_and_what_passes_meanwhile_is_not_told() {
    let (mut process, _) = sleeper(3);
    process.quorum_max = Some(1);
    process.fork_delay = Duration::from_secs(2);
    process.terminate_delay = Duration::from_secs(5);
    let (job, mut reported) = job(process);
    let mut census = Census::new(vec![job]);
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    census.report(at(0)).await;
    assert_eq!(reported.try_recv().unwrap().2, Reading::Failed, "at the start nothing is waited for");
    census.counts[0].pids = [7].into();
    census.report(at(0)).await;
    assert_eq!((census.due(), reported.try_recv().is_err()), (Some(at(2)), true));
    census.report(at(2)).await;
    assert_eq!(reported.try_recv().unwrap().2, Reading::Passed);
    // A second one is one too many; it is gone again in time.
    census.hear(Event::Forked { parent: 7, child: 8 }).await;
    census.report(at(3)).await;
    assert_eq!(census.due(), Some(at(5)));
    census.hear(Event::Ended(8)).await;
    census.report(at(4)).await;
    assert_eq!(census.due(), None);
    census.hear(Event::Ended(7)).await;
    census.report(at(6)).await;
    assert_eq!(census.due(), Some(at(11)));
    assert!(reported.try_recv().is_err());
    census.report(at(11)).await;
    assert_eq!(reported.try_recv().unwrap().2, Reading::Failed);
}
