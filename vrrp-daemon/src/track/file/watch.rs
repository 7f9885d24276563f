//! Reads files when inotify says that they changed; all of them by one inotify, of which a user may have few.
//!
//! A number counts when its writer closes the file: before that it is half written. What inotify cannot follow, a path
//! with links or a directory that is not there yet, is read once a second.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use tokio::io::unix::AsyncFd;
use tokio::select;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::{File, InitFile, VALUE_MAX};
use crate::track::readable::readable;
use crate::track::report::{Finding, Reading};
use crate::track::watch::{Job, Stop, Watch};

/// How often a file is read that inotify cannot follow.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Octets of a file that are looked at: a number and what stands around it.
const LENGTH: u64 = 64;

impl Watch for File {
    const TOGETHER: bool = true;

    fn say(name: &str, Finding { text, .. }: &Finding) {
        info!("track_file {name} {text}");
    }

    async fn watch(jobs: Vec<Job<Self>>, stop: Stop) {
        let mut eye = Eye::new();
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
                let is_concerned = changed.concerns(file);
                file.directory = file.directory.or_else(|| eye.follow(&file.job.watched));
                if is_concerned {
                    file.look().await;
                }
            }
            changed = select! {
                changed = eye.changed() => changed,
                _ = ticks.tick() => Changed::Unfollowed,
                () = stop.asked() => return,
            };
            if let Changed::In { gone, .. } = &changed {
                let is_gone = |directory: WatchDescriptor| gone.contains(&directory);
                files
                    .iter_mut()
                    .for_each(|file| file.directory = file.directory.filter(|&directory| !is_gone(directory)));
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

/// Which files may have changed.
enum Changed {
    All,
    /// Those that are not followed.
    Unfollowed,
    /// Those of some directories; those of some can be followed no longer.
    In {
        directories: BTreeSet<WatchDescriptor>,
        gone: BTreeSet<WatchDescriptor>,
    },
}

impl Changed {
    fn concerns(&self, file: &Tracked) -> bool {
        match self {
            Self::All => true,
            Self::Unfollowed => file.directory.is_none() || has_links(Path::new(&file.job.watched.path)),
            Self::In { directories, gone: _ } => {
                file.directory.is_none_or(|directory| directories.contains(&directory))
            }
        }
    }
}

/// A path whose links can be turned to something else without its directory changing.
fn has_links(path: &Path) -> bool {
    fs::canonicalize(path).is_ok_and(|real| real != path)
}

/// Sees what happens in directories. Without inotify it sees nothing, and all is read once a second.
struct Eye(Option<(Inotify, AsyncFd<OwnedFd>)>);

impl Eye {
    fn new() -> Self {
        let opened = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).map_err(io::Error::from);
        let opened = opened.and_then(|inotify| {
            let ready = readable(inotify.as_fd().try_clone_to_owned()?)?;
            Ok((inotify, ready))
        });
        if let Err(error) = &opened {
            warn!("track_file: no inotify ({error}); files are read once a second");
        }
        Self(opened.ok())
    }

    /// Follows the directory of a file, if it can be.
    fn follow(&self, file: &File) -> Option<WatchDescriptor> {
        let (inotify, _) = self.0.as_ref()?;
        let directory = Path::new(&file.path).parent()?;
        let changes = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE;
        let ends = AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_DELETE_SELF;
        inotify.add_watch(directory, changes | ends | AddWatchFlags::IN_ONLYDIR).ok()
    }

    /// Waits until something changed.
    async fn changed(&mut self) -> Changed {
        let Some((inotify, ready)) = &self.0 else { return std::future::pending().await };
        loop {
            match ready.readable().await {
                Ok(mut guard) => match inotify.read_events() {
                    Ok(events) => {
                        if events.iter().any(|event| event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW)) {
                            return Changed::All;
                        }
                        let lost =
                            AddWatchFlags::IN_IGNORED | AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_DELETE_SELF;
                        let gone = events.iter().filter(|event| event.mask.intersects(lost)).map(|event| event.wd);
                        let directories = events.iter().map(|event| event.wd);
                        return Changed::In { gone: gone.collect(), directories: directories.collect() };
                    }
                    Err(Errno::EAGAIN) => guard.clear_ready(),
                    Err(Errno::EINTR) => {}
                    Err(error) => {
                        warn!("track_file: inotify failed ({error}); files are read once a second");
                        self.0 = None;
                        return Changed::All;
                    }
                },
                Err(_) => return std::future::pending().await,
            }
        }
    }
}

/// What the file says now.
fn read(path: &Path) -> Finding {
    let text = match text(path) {
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

fn text(path: &Path) -> io::Result<String> {
    let mut octets = Vec::new();
    // A FIFO would be waited for without the flag.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    file.take(LENGTH).read_to_end(&mut octets)?;
    Ok(String::from_utf8_lossy(&octets).into_owned())
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
