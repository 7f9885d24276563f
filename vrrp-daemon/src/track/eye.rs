//! Files that others write, as inotify sees them from their directories; a user may have few inotifies, so one is for many files.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use tokio::io::unix::AsyncFd;
use tracing::warn;

use super::readable::readable;

/// How often a file is read that inotify cannot follow.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Octets of a file that are looked at: a number or a time, and what stands around it.
const LENGTH: u64 = 64;

/// Which files may have changed.
pub enum Changed {
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
    /// Whether a file may have changed, whose directory is followed as this.
    pub fn concerns(&self, path: &Path, directory: Option<WatchDescriptor>) -> bool {
        match self {
            Self::All => true,
            Self::Unfollowed => directory.is_none() || has_links(path),
            Self::In { directories, gone: _ } => directory.is_none_or(|directory| directories.contains(&directory)),
        }
    }

    /// Whether a directory can be followed no longer.
    pub fn ends(&self, directory: WatchDescriptor) -> bool {
        matches!(self, Self::In { gone, .. } if gone.contains(&directory))
    }
}

/// A path whose links can be turned to something else without its directory changing.
fn has_links(path: &Path) -> bool {
    fs::canonicalize(path).is_ok_and(|real| real != path)
}

/// Sees what happens in directories. Without inotify it sees nothing, and all is read once a second.
pub struct Eye {
    keyword: &'static str,
    opened: Option<(Inotify, AsyncFd<OwnedFd>)>,
}

impl Eye {
    /// For files of this keyword.
    pub fn new(keyword: &'static str) -> Self {
        let opened = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).map_err(io::Error::from);
        let opened = opened.and_then(|inotify| {
            let ready = readable(inotify.as_fd().try_clone_to_owned()?)?;
            Ok((inotify, ready))
        });
        if let Err(error) = &opened {
            warn!("{keyword}: no inotify ({error}); files are read once a second");
        }
        Self { keyword, opened: opened.ok() }
    }

    /// Follows the directory of a file, if it can be.
    pub fn follow(&self, path: &Path) -> Option<WatchDescriptor> {
        let (inotify, _) = self.opened.as_ref()?;
        let directory = path.parent()?;
        let changes = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE;
        let ends = AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_DELETE_SELF;
        inotify.add_watch(directory, changes | ends | AddWatchFlags::IN_ONLYDIR).ok()
    }

    /// Waits until something changed.
    pub async fn changed(&mut self) -> Changed {
        let Some((inotify, ready)) = &self.opened else { return std::future::pending().await };
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
                        warn!("{}: inotify failed ({error}); files are read once a second", self.keyword);
                        self.opened = None;
                        return Changed::All;
                    }
                },
                Err(_) => return std::future::pending().await,
            }
        }
    }
}

/// The beginning of a regular file.
pub fn text(path: &Path) -> io::Result<String> {
    let mut octets = Vec::new();
    // A FIFO would be waited for without the flag.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    file.take(LENGTH).read_to_end(&mut octets)?;
    Ok(String::from_utf8_lossy(&octets).into_owned())
}
