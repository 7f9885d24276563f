//! Waiting until a descriptor is readable.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use tokio::io::unix::AsyncFd;

/// A second descriptor of the same file, watched by the runtime.
pub struct Readiness(AsyncFd<OwnedFd>);

impl Readiness {
    /// Must be called inside a runtime.
    pub fn of(file: impl AsFd) -> io::Result<Self> {
        let watched = file.as_fd().try_clone_to_owned()?;
        // SAFETY: the descriptor is owned by the AsyncFd, so it stays open and the same for as long as that lives.
        Ok(Self(unsafe { AsyncFd::register(watched) }?))
    }

    /// Returns when the file has something to read that came since the last return. Read it empty before waiting again.
    pub async fn wait(&self) -> io::Result<()> {
        self.0.readable().await?.clear_ready();
        Ok(())
    }
}
