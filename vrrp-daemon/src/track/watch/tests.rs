//! What is watched before and after a reload.

use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::timeout;

use super::*;
use crate::engine::plan::{TrackerId, TrackerPlan};
use crate::engine::tracking::Verdict;
use crate::testing::{Dir, shell};
use crate::track::file::{File, InitFile};
use crate::track::report::Reading;
use crate::track::schedule::Schedule;
use crate::track::script::Script;

const PLAN: TrackerPlan = TrackerPlan { rise: 1, fall: 1, starts_failed: false };

fn tracker(id: u32, name: &str) -> InUse {
    InUse { edition: 0, id: TrackerId(id), name: name.into(), plan: PLAN }
}

/// A script that writes its number to a file, each hour.
fn script(dir: &Dir, number: u32) -> Kind {
    let hour = Duration::from_secs(3600);
    let command = shell(dir, &format!("echo {number} >> $0/runs; exit {number}"));
    Kind::Script(Script { command, schedule: Schedule { interval: hour, timeout: hour } })
}

fn file(dir: &Dir, name: &str, value: i16) -> Kind {
    let init = Some(InitFile { value, overwrite: true });
    Kind::File(File { path: dir.join(name).display().to_string(), init })
}

async fn next(reports: &mut mpsc::Receiver<Report>) -> Report {
    timeout(Duration::from_secs(10), reports.recv()).await.unwrap().unwrap()
}

/// As many as there are expected, in the order of their trackers.
async fn next_of<const N: usize>(reports: &mut mpsc::Receiver<Report>) -> [Report; N] {
    let mut heard = Vec::new();
    for _ in 0..N {
        heard.push(next(reports).await);
    }
    heard.sort_by_key(|(_, id, _)| *id);
    heard.try_into().unwrap()
}

#[tokio::test]
async fn equal_ones_are_watched_once_and_go_on_after_a_reload() {
    use Reading::{Failed, Passed};
    let (dir, board) = (Dir::new(), Board::default());
    let (found, mut reports) = mpsc::channel(100);
    LocalSet::new()
        .run_until(async {
            let mut watchers = Watchers::new(board.clone(), found);
            let (well, ill) = (script(&dir, 0), script(&dir, 1));
            let before =
                [(well.clone(), tracker(0, "a")), (ill.clone(), tracker(1, "b")), (well.clone(), tracker(2, "c"))];
            watchers.set(before.into()).await;
            let id = TrackerId;
            assert_eq!(next_of(&mut reports).await, [(0, id(0), Passed), (0, id(1), Failed), (0, id(2), Passed)]);
            let seen = |name: &str| board.borrow().get(&("vrrp_script", name.to_owned())).map(|seen| seen.verdict);
            assert_eq!((seen("a"), seen("b"), seen("d")), (Some(Verdict::Passed), Some(Verdict::Failed), None));
            // The first is gone, the others have other numbers, and there is a new one that is equal to them.
            let after = [(ill, tracker(0, "b")), (well.clone(), tracker(1, "c")), (well, tracker(2, "d"))];
            watchers.set(after.into()).await;
            assert_eq!(
                next(&mut reports).await,
                (0, id(2), Passed),
                "it is told what is known, and the others were told"
            );
            assert_eq!((seen("a"), seen("d")), (None, Some(Verdict::Passed)));
            timeout(Duration::from_secs(10), watchers.end()).await.unwrap();
        })
        .await;
    let mut runs: Vec<_> = dir.read("runs").lines().map(str::to_owned).collect();
    runs.sort();
    assert_eq!(runs, ["0", "1"], "nothing was started anew");
}

#[tokio::test]
async fn a_file_is_initialised_once() {
    let (dir, board) = (Dir::new(), Board::default());
    let (found, mut reports) = mpsc::channel(100);
    LocalSet::new()
        .run_until(async {
            let mut watchers = Watchers::new(board, found);
            watchers.set(vec![(file(&dir, "old", 5), tracker(0, "old"))]).await;
            assert_eq!(next(&mut reports).await, (0, TrackerId(0), Reading::Value(5)));
            std::fs::write(dir.join("old"), "9").unwrap();
            assert_eq!(next(&mut reports).await, (0, TrackerId(0), Reading::Value(9)));
            let both = [(file(&dir, "old", 5), tracker(0, "old")), (file(&dir, "new", 7), tracker(1, "new"))];
            watchers.set(both.into()).await;
            let heard = next_of(&mut reports).await;
            assert_eq!(heard, [(0, TrackerId(0), Reading::Value(9)), (0, TrackerId(1), Reading::Value(7))]);
        })
        .await;
}
