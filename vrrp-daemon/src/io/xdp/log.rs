//! What an object built with feature `trace` says of every frame, in our own log. The committed object says nothing.

use std::os::fd::AsFd;

use anyhow::{Context, Result};
use aya::Ebpf;
use aya_log::{EbpfLogger, Error};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;

/// Passes on what the program says, by a thread that ends with the process; none for a program that says nothing.
pub fn follow(ebpf: &mut Ebpf) -> Result<()> {
    let mut lines = match EbpfLogger::init(ebpf) {
        Err(Error::MapNotFound) => return Ok(()),
        lines => lines.context("the XDP program's log")?,
    };
    std::thread::Builder::new().name("xdp-log".into()).spawn(move || {
        // Signals are for the main thread.
        let _ = SigSet::all().thread_block();
        while matches!(
            poll(&mut [PollFd::new(lines.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE),
            Ok(_) | Err(Errno::EINTR)
        ) {
            lines.flush();
        }
    })?;
    Ok(())
}
