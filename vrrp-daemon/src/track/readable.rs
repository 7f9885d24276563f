//! Waiting until a descriptor has something to be read.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Needs a tokio runtime with its I/O driver.
pub fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` gives the same open descriptor as long as it lives, and is closed by nobody else.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}
