//! Reads files when inotify says that they changed; all of them by one inotify.
//!
//! A number counts when its writer closes the file: before that it is half written. What inotify cannot follow, a path
//! with links or a directory that is not there yet, is read once a second.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::sys::inotify::WatchDescriptor;
use tokio::select;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::{File, InitFile, VALUE_MAX};
use crate::track::eye::{self, Changed, Eye, POLL_INTERVAL};
use crate::track::report::{Finding, Reading};
use crate::track::watch::{Job, Stop, Watch};

impl Watch for File {
    const TOGETHER: bool = true;

    fn say(name: &str, Finding { text, .. }: &Finding) {
        info!("track_file {name} {text}");
    }

    async fn watch(jobs: Vec<Job<Self>>, stop: Stop) {
        let mut eye = Eye::new("track_file");
        let mut files: Vec<_> = jobs.into_iter().map(|job| Tracked { job, directory: None, last: None }).collect();
        for Job { watched, fresh, .. } in files.iter().map(|file| &file.job) {
            if let Some(init) = watched.init.filter(|_| *fresh)
                && let Err(error) = write(Path::new(&watched.path), init)
            {
                warn!("track_file: {} cannot be written as init_file says: {error}", watched.path);
            }
        }
        let mut ticks = interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut changed = Changed::All;
        loop {
            for file in &mut files {
                // First the watch, then the look: what changes between the two is looked at twice and not missed.
                let path = Path::new(&file.job.watched.path);
                let is_concerned = changed.concerns(path, file.directory);
                file.directory = file.directory.or_else(|| eye.follow(path));
                if is_concerned {
                    file.look().await;
                }
            }
            changed = select! {
                changed = eye.changed() => changed,
                _ = ticks.tick() => Changed::Unfollowed,
                () = stop.asked() => return,
            };
            for file in &mut files {
                file.directory = file.directory.filter(|&directory| !changed.ends(directory));
            }
        }
    }
}

/// A file, and what is known of it.
struct Tracked {
    job: Job<File>,
    /// That of its directory, if that is followed.
    directory: Option<WatchDescriptor>,
    last: Option<Finding>,
}

impl Tracked {
    /// Reads, and reports what is new.
    async fn look(&mut self) {
        let path = PathBuf::from(&self.job.watched.path);
        // Elsewhere: the server of a network's file system may be dead.
        let Ok(finding) = spawn_blocking(move || read(&path)).await else { return };
        if self.last.as_ref() != Some(&finding) {
            self.job.reporter.report(finding.clone()).await;
            self.last = Some(finding);
        }
    }
}

/// What the file says now.
fn read(path: &Path) -> Finding {
    let text = match eye::text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return finding(0, "is not there and reads as 0".into());
        }
        Err(error) => return finding(0, format!("cannot be read ({error}) and reads as 0")),
    };
    let word = text.trim();
    match word.parse::<i64>() {
        Ok(value) => {
            let value = value.clamp(-i64::from(VALUE_MAX), i64::from(VALUE_MAX)) as i16;
            finding(value, format!("reads {value}"))
        }
        Err(_) if word.is_empty() => finding(0, "is empty and reads as 0".into()),
        Err(_) => finding(0, format!("has no number ({word:?}) and reads as 0")),
    }
}

fn finding(value: i16, text: String) -> Finding {
    Finding { reading: Reading::Value(value), text }
}

/// Writes the number that the file is to begin with. What is no file of its own, a link to one say, is left alone: who can
/// put it there could have us write anywhere.
fn write(path: &Path, InitFile { value, overwrite }: InitFile) -> io::Result<()> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let made = OpenOptions::new().write(true).create_new(true).mode(0o644).custom_flags(flags).open(path);
    let mut file = match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && overwrite => {
            let file = OpenOptions::new().write(true).custom_flags(flags).open(path)?;
            let there = file.metadata()?;
            if !there.is_file() || there.nlink() != 1 {
                return Err(io::Error::other("it is not a regular file of one name - remove it"));
            }
            file.set_len(0)?;
            file
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    };
    writeln!(file, "{value}")
}

#[cfg(test)]
mod tests;
