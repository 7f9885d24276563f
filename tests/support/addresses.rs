//! Who holds which address, from the kernel's own announcements of addresses set and removed.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt};

use crate::stamp::Stamp;

/// An address came to a router or left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub at: Stamp,
    pub router: usize,
    pub address: IpAddr,
    pub set: bool,
}

/// So much that tens of thousands of changes wait in it; nothing is taken of it in advance.
const BUFFER: usize = 256 << 20;

/// A netlink socket that hears of every address of one router.
pub struct Ear {
    pub socket: OwnedFd,
    pub router: usize,
    host: RefCell<Host>,
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
        address.nl_groups = (libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR) as u32;
        // SAFETY: the address is of the length given.
        let bound = unsafe {
            libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as libc::socklen_t)
        };
        Errno::result(bound).context("netlink groups of links and addresses")?;
        setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).context("a netlink buffer that loses nothing")?;
        Ok(Self { socket, router, host: RefCell::default() })
    }

    /// Every change announced until now.
    pub fn drain(&self, into: &mut Vec<Change>) {
        let mut buffer = [0u8; 16384];
        let mut host = self.host.borrow_mut();
        loop {
            let length = match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => length,
                Err(Errno::EAGAIN) => break,
                Err(error) => panic!("the watch of router {} lost changes of addresses: {error}", self.router),
            };
            let at = Stamp::now();
            let mut rest = &buffer[..length];
            while let Some((message, next)) = message(rest) {
                let changed = host.hear(message).unwrap_or_default().into_iter();
                into.extend(changed.map(|(address, set)| Change { at, router: self.router, address, set }));
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

/// What is known of one router.
#[derive(Default)]
struct Host {
    /// By interface.
    addresses: BTreeSet<(u32, IpAddr)>,
    /// Interfaces that carry nothing (`protodown`): so FRR takes addresses away, which are set for ever.
    held_down: BTreeSet<u32>,
}

impl Host {
    /// The addresses that came or went by a message; `None` when it is of no interest.
    fn hear(&mut self, message: &[u8]) -> Option<Vec<(IpAddr, bool)>> {
        let index = u32::from_ne_bytes(*message.get(20..)?.first_chunk()?);
        match u16::from_ne_bytes(*message[4..].first_chunk()?) {
            libc::RTM_NEWADDR => {
                let address = address(message)?;
                let is_new = self.addresses.insert((index, address));
                (is_new && !self.held_down.contains(&index)).then(|| vec![(address, true)])
            }
            libc::RTM_DELADDR => {
                let address = address(message)?;
                self.addresses.remove(&(index, address));
                (!self.held_down.contains(&index)).then(|| vec![(address, false)])
            }
            libc::RTM_NEWLINK => {
                let down = attribute(message.get(32..)?, libc::IFLA_PROTO_DOWN)?.first() == Some(&1);
                let changed = if down { self.held_down.insert(index) } else { self.held_down.remove(&index) };
                let of = self.addresses.iter().filter(|address| address.0 == index);
                changed.then(|| of.map(|address| (address.1, !down)).collect())
            }
            _ => None,
        }
    }
}

/// The address of a message behind nlmsghdr (16) and ifaddrmsg (8).
fn address(message: &[u8]) -> Option<IpAddr> {
    let attributes = message.get(24..)?;
    // IFA_ADDRESS is the peer's where there is one.
    let octets = attribute(attributes, libc::IFA_LOCAL).or_else(|| attribute(attributes, libc::IFA_ADDRESS))?;
    let v4 = || <[u8; 4]>::try_from(octets).ok().map(IpAddr::from);
    v4().or_else(|| <[u8; 16]>::try_from(octets).ok().map(IpAddr::from))
}

/// The value of an attribute: length, type, value, aligned to four octets.
fn attribute(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    while let Some(length) = rest.first_chunk().map(|octets| u16::from_ne_bytes(*octets) as usize) {
        let kind = u16::from_ne_bytes(*rest.get(2..)?.first_chunk()?);
        if kind == wanted {
            return rest.get(4..length);
        }
        rest = rest.get(length.max(4).next_multiple_of(4)..)?;
    }
    None
}

/// The routers that hold `address` after these changes.
pub fn holders(changes: &[Change], address: IpAddr) -> Vec<usize> {
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
pub fn overlaps(changes: &[Change], address: IpAddr) -> Vec<(Stamp, Duration)> {
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
        let vip = IpAddr::from([192, 0, 2, 9]);
        let change = |at, router, set| Change { at: Stamp(at), router, address: vip, set };
        let changes = [change(1, 0, true), change(5, 1, true), change(8, 0, false), change(9, 1, false)];
        assert_eq!(overlaps(&changes, vip), [(Stamp(5), Duration::from_nanos(3))]);
        assert_eq!(holders(&changes[..2], vip), [0, 1]);
        assert_eq!(holders(&changes, vip), [0usize; 0]);
    }
}
