//! Sends frames that no daemon of ours would send: any octets, at any rate, for a bounded count.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};

use crate::netns::Namespace;

/// The most frames that one flood may have, whatever a test asks for.
const FLOOD_MAX: u32 = 1_000_000;
/// And the longest it may last.
const FLOOD_TIME_MAX: Duration = Duration::from_secs(20);
/// Frames between two looks at the clock.
const BURST: u32 = 16;

/// A packet socket bound to an interface of the current namespace.
pub fn packet_socket(interface: &str, protocol: u16) -> Result<OwnedFd> {
    let protocol = protocol.to_be();
    // SAFETY: no memory is passed; the result is checked before it is owned.
    let socket = unsafe {
        let raw = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, i32::from(protocol));
        OwnedFd::from_raw_fd(Errno::result(raw).context("packet socket")?)
    };
    let index = nix::net::if_::if_nametoindex(interface).with_context(|| format!("interface {interface}"))?;
    // SAFETY: all zero is a valid address, which the next lines fill in.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol;
    address.sll_ifindex = index as i32;
    // SAFETY: the address is of the length given.
    let bound = unsafe {
        libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as libc::socklen_t)
    };
    Errno::result(bound).with_context(|| format!("bind to {interface}"))?;
    Ok(socket)
}

/// What a flood came to.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    pub sent: u32,
    pub took: Duration,
}

/// Sends these frames in turn by the namespace's eth0, `count` in all, `per_second` at most, and waits for the end.
pub fn flood(from: &Namespace, frames: &[Vec<u8>], count: u32, per_second: u32) -> Result<Flood> {
    assert!(count <= FLOOD_MAX && !frames.is_empty() && per_second > 0, "a flood is bounded");
    // Protocol 0: this socket only sends.
    let socket = from.within(|| packet_socket("eth0", 0))?;
    let start = Instant::now();
    for (sent, frame) in (0..count).zip(frames.iter().cycle()) {
        if sent % BURST == 0 {
            let due = Duration::from_secs(1) * sent / per_second;
            std::thread::sleep(due.saturating_sub(start.elapsed()));
            if start.elapsed() > FLOOD_TIME_MAX {
                bail!("a flood took longer than {FLOOD_TIME_MAX:?}: {sent} of {count} frames sent");
            }
        }
        send_one(&socket, frame)?;
    }
    Ok(Flood { sent: count, took: start.elapsed() })
}

/// Sends one frame by an interface of a namespace.
pub fn send_by(from: &Namespace, interface: &str, frame: &[u8]) -> Result<()> {
    send_one(&from.within(|| packet_socket(interface, 0))?, frame)
}

/// A full queue is waited for: the count must be exact.
fn send_one(socket: &OwnedFd, frame: &[u8]) -> Result<()> {
    loop {
        match send(socket.as_raw_fd(), frame, MsgFlags::empty()) {
            Ok(_) => return Ok(()),
            Err(Errno::ENOBUFS | Errno::EAGAIN | Errno::EINTR) => std::thread::sleep(Duration::from_micros(100)),
            Err(error) => return Err(error).context("cannot send a forged frame"),
        }
    }
}
