//! Who holds which address, from the kernel's own announcements of addresses set and removed.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;

use crate::stamp::Stamp;

/// An address came to a router or left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub at: Stamp,
    pub router: usize,
    pub address: Ipv4Addr,
    pub set: bool,
}

/// A netlink socket that hears of every IPv4 address of one router.
pub struct Ear {
    pub socket: OwnedFd,
    pub router: usize,
}

impl Ear {
    /// In the current namespace.
    pub fn open(router: usize) -> Result<Self> {
        // SAFETY: no memory is passed; the result is checked before it is owned.
        let socket = unsafe {
            let raw = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE);
            OwnedFd::from_raw_fd(Errno::result(raw).context("netlink socket")?)
        };
        // SAFETY: all zero is a valid address, which the next lines fill in.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as u16;
        address.nl_groups = libc::RTMGRP_IPV4_IFADDR as u32;
        // SAFETY: the address is of the length given.
        let bound = unsafe {
            libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as libc::socklen_t)
        };
        Errno::result(bound).context("netlink group of addresses")?;
        Ok(Self { socket, router })
    }

    /// Every change announced until now.
    pub fn drain(&self, into: &mut Vec<Change>) {
        let mut buffer = [0u8; 16384];
        while let Ok(length) =
            nix::sys::socket::recv(self.socket.as_raw_fd(), &mut buffer, nix::sys::socket::MsgFlags::MSG_DONTWAIT)
        {
            let at = Stamp::now();
            let mut rest = &buffer[..length];
            while let Some((message, next)) = message(rest) {
                if let Some((set, address)) = address(message) {
                    into.push(Change { at, router: self.router, address, set });
                }
                rest = next;
            }
        }
    }
}

/// The first netlink message, and what follows it.
fn message(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u32::from_ne_bytes(*octets.first_chunk()?) as usize;
    let message = octets.get(..length).filter(|message| message.len() >= 16)?;
    Some((message, octets.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// Whether a message says that an address was set or removed, and which.
fn address(message: &[u8]) -> Option<(bool, Ipv4Addr)> {
    let set = match u16::from_ne_bytes(*message[4..].first_chunk()?) {
        libc::RTM_NEWADDR => true,
        libc::RTM_DELADDR => false,
        _ => return None,
    };
    // Behind nlmsghdr (16) and ifaddrmsg (8): attributes of length, type, value.
    let mut rest = message.get(24..)?;
    while let Some(length) = rest.first_chunk().map(|octets| u16::from_ne_bytes(*octets) as usize) {
        if length < 4 {
            return None;
        }
        let kind = u16::from_ne_bytes(*rest.get(2..)?.first_chunk()?);
        if kind == libc::IFA_LOCAL {
            return Some((set, Ipv4Addr::from(*rest.get(4..)?.first_chunk::<4>()?)));
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// The routers that hold `address` after these changes.
pub fn holders(changes: &[Change], address: Ipv4Addr) -> Vec<usize> {
    let mut held = Vec::new();
    for change in changes.iter().filter(|change| change.address == address) {
        held.retain(|router| *router != change.router);
        if change.set {
            held.push(change.router);
        }
    }
    held
}

/// Each time in which more than one router held `address`: when it began and how long it lasted. One that has not ended
/// lasts until now.
pub fn overlaps(changes: &[Change], address: Ipv4Addr) -> Vec<(Stamp, Duration)> {
    let mut changes: Vec<_> = changes.iter().filter(|change| change.address == address).collect();
    changes.sort_by_key(|change| change.at);
    let (mut held, mut since, mut found) = (Vec::new(), None, Vec::new());
    for change in changes {
        held.retain(|router| *router != change.router);
        if change.set {
            held.push(change.router);
        }
        match (held.len() > 1, since) {
            (true, None) => since = Some(change.at),
            (false, Some(start)) => {
                found.push((start, change.at - start));
                since = None;
            }
            _ => {}
        }
    }
    found.extend(since.map(|start| (start, start.elapsed())));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_are_found() {
        let vip = Ipv4Addr::new(192, 0, 2, 9);
        let change = |at, router, set| Change { at: Stamp(at), router, address: vip, set };
        let changes = [change(1, 0, true), change(5, 1, true), change(8, 0, false), change(9, 1, false)];
        assert_eq!(overlaps(&changes, vip), [(Stamp(5), Duration::from_nanos(3))]);
        assert_eq!(holders(&changes[..2], vip), [0, 1]);
        assert_eq!(holders(&changes, vip), [0usize; 0]);
    }
}
