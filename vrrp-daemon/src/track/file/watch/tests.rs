//! Real files, and what is heard of them.

use std::fs;
use std::time::Duration;

use tokio::sync::mpsc;

use super::*;
use crate::engine::plan::{TrackerId, TrackerPlan};
use crate::testing::Dir;
use crate::track::report::{InUse, Report, Reporter};

const PLAN: TrackerPlan = TrackerPlan { rise: 1, fall: 1, starts_failed: false };

fn job(path: &Path, init: Option<InitFile>) -> (Job<File>, mpsc::Receiver<Report>) {
    let (reports, reported) = mpsc::channel(100);
    let user = InUse { edition: 0, id: TrackerId(7), name: "load".into(), plan: PLAN };
    let reporter = Reporter::new("track_file", File::say, vec![user], Default::default(), reports).into();
    let watched = File { path: path.display().to_string(), init };
    (Job { watched, reporter, fresh: true }, reported)
}

/// Runs `steps` while the file is watched.
async fn while_watched(job: Job<File>, steps: impl Future<Output = ()>) {
    let (ask, stop) = Stop::new();
    tokio::join!(File::watch(vec![job], stop), async {
        tokio::time::timeout(Duration::from_secs(10), steps).await.unwrap();
        ask.send(true).unwrap();
    });
}

async fn next(reported: &mut mpsc::Receiver<Report>) -> i16 {
    match reported.recv().await {
        Some((0, TrackerId(7), Reading::Value(value))) => value,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn numbers_are_heard_as_they_are_written() {
    let dir = Dir::new();
    let path = dir.join("load");
    let (job, mut reported) = job(&path, None);
    while_watched(job, async {
        assert_eq!(next(&mut reported).await, 0, "missing reads as 0");
        for (text, value) in [("5\n", 5), (" -17 \n", -17), ("99999", 254), ("none", 0), ("12", 12)] {
            fs::write(&path, text).unwrap();
            assert_eq!(next(&mut reported).await, value, "{text:?}");
        }
        fs::write(dir.join("new"), "77").unwrap();
        fs::rename(dir.join("new"), &path).unwrap();
        assert_eq!(next(&mut reported).await, 77, "put in place by a rename");
        fs::remove_file(&path).unwrap();
        assert_eq!(next(&mut reported).await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_directory_that_comes_later_and_a_link_are_followed() {
    let dir = Dir::new();
    let (late, mut reported) = job(&dir.join("late/load"), None);
    while_watched(late, async {
        assert_eq!(next(&mut reported).await, 0);
        fs::create_dir(dir.join("late")).unwrap();
        fs::write(dir.join("late/load"), "3").unwrap();
        assert_eq!(next(&mut reported).await, 3);
        fs::write(dir.join("late/load"), "4").unwrap();
        assert_eq!(next(&mut reported).await, 4);
    })
    .await;
    fs::write(dir.join("real"), "8").unwrap();
    fs::create_dir(dir.join("links")).unwrap();
    std::os::unix::fs::symlink(dir.join("real"), dir.join("links/load")).unwrap();
    let (linked, mut reported) = job(&dir.join("links/load"), None);
    while_watched(linked, async {
        assert_eq!(next(&mut reported).await, 8);
        fs::write(dir.join("real"), "9").unwrap();
        assert_eq!(next(&mut reported).await, 9);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_file_reads_as_0_and_is_not_waited_for() {
    let dir = Dir::new();
    nix::unistd::mkfifo(&dir.join("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    assert_eq!(read(&dir.join("fifo")), finding(0, "cannot be read (not a regular file) and reads as 0".into()));
    assert_eq!(read(dir.path()), finding(0, "cannot be read (not a regular file) and reads as 0".into()));
}

#[tokio::test]
async fn init_file_writes_what_it_may() {
    let dir = Dir::new();
    let path = dir.join("load");
    let (five, seven) = (InitFile { value: 5, overwrite: false }, InitFile { value: 7, overwrite: true });
    let (job, mut reported) = job(&path, Some(five));
    while_watched(job, async { assert_eq!(next(&mut reported).await, 5) }).await;
    write(&path, InitFile { value: 6, overwrite: false }).unwrap();
    assert_eq!(dir.read("load"), "5\n", "it is there");
    write(&path, seven).unwrap();
    assert_eq!(dir.read("load"), "7\n");

    fs::write(dir.join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(dir.join("secret"), dir.join("link")).unwrap();
    fs::hard_link(dir.join("secret"), dir.join("second-name")).unwrap();
    for name in ["link", "second-name"] {
        assert!(write(&dir.join(name), seven).is_err(), "{name}");
    }
    std::os::unix::fs::symlink(dir.join("nowhere"), dir.join("dangling")).unwrap();
    assert!(write(&dir.join("dangling"), seven).is_err());
    assert_eq!(dir.read("secret"), "secret");
    assert!(!dir.join("nowhere").exists());
}
