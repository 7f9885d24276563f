//! The sockets of the protocol: one raw socket per interface and family to hear adverts, and packet sockets to send, one for all.
//!
//! The raw socket holds the group membership and receives what no XDP program took before. Adverts and announcements leave
//! by packet sockets: they skip the routing that a raw socket pays for with each packet, and one system call sends by
//! many interfaces.

use std::collections::BTreeSet;
use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockAddr, Socket, Type};
use vrrp_common::{Family, IfIndex};

use crate::config::setup::HOST;

/// Kernel buffer for received adverts: a few thousand, enough for a starved daemon to hear what came meanwhile.
pub const RECEIVE_BUFFER: usize = 2 << 20;
/// Packets per `sendmmsg`.
const BATCH: usize = 64;

/// A raw socket that hears one IP protocol, VRRP's or that of the authentication header, of one family on one interface, or without one on all: what goes to these groups, and to the host itself. It
/// sees no other interface's adverts and none of our own.
///
/// What comes over IPv4 has its header; over IPv6 it is told in ancillary data.
///
/// Errors: EPERM without CAP_NET_RAW; EAFNOSUPPORT for IPv6 where the kernel has none.
pub fn vrrp(
    family: Family,
    protocol: u8,
    (name, index): (&str, IfIndex),
    groups: &BTreeSet<IpAddr>,
) -> io::Result<Socket> {
    let socket = Socket::new_raw(domain(family), Type::RAW, Some(Protocol::from(i32::from(protocol))))?;
    socket.set_nonblocking(true)?;
    socket.bind_device(Some(name).filter(|name| *name != HOST).map(str::as_bytes))?;
    match family {
        Family::V4 => socket.set_multicast_all_v4(false)?,
        Family::V6 => {
            socket.set_multicast_all_v6(false)?;
            tell_headers6(&socket)?;
        }
    }
    for group in groups {
        match group {
            IpAddr::V4(group) => socket.join_multicast_v4_n(group, &InterfaceIndexOrAddress::Index(index.0))?,
            IpAddr::V6(group) => socket.join_multicast_v6(group, index.0)?,
        }
    }
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    // Beyond the administrator's limit if we may, else up to it.
    if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    }
    Ok(socket)
}

/// Has an IPv6 socket tell of each message what its headers said: destination, hop limit, and extension headers.
fn tell_headers6(socket: &Socket) -> io::Result<()> {
    setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    setsockopt(socket, sockopt::Ipv6RecvHopLimit, &true)?;
    for option in [libc::IPV6_RECVHOPOPTS, libc::IPV6_RECVDSTOPTS, libc::IPV6_RECVRTHDR] {
        let on: libc::c_int = 1;
        // SAFETY: the value is an int that lives until the call returns, and its length is given.
        let result = unsafe {
            let value = std::ptr::from_ref(&on).cast();
            libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IPV6, option, value, size_of_val(&on) as u32)
        };
        Errno::result(result)?;
    }
    Ok(())
}

const fn domain(family: Family) -> Domain {
    match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    }
}

/// A packet socket that only sends: whole frames, or packets in front of which the kernel puts the link's header.
///
/// Errors: EPERM without CAP_NET_RAW.
pub fn packet(content: Content) -> io::Result<OwnedFd> {
    let kind = match content {
        Content::Frames => Type::RAW,
        Content::Packets => Type::DGRAM,
    };
    let socket = Socket::new_raw(Domain::PACKET, kind, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Frames,
    Packets,
}

/// Where a packet socket sends to.
pub type LinkAddress = libc::sockaddr_ll;

/// A device to send a whole frame by.
pub fn device(index: IfIndex) -> LinkAddress {
    // SAFETY: all zeros is a valid sockaddr_ll.
    let mut address: LinkAddress = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_ifindex = index.0 as i32;
    address
}

/// A neighbour to send a packet to.
pub fn neighbour(index: IfIndex, ethertype: u16, mac: [u8; 6]) -> LinkAddress {
    let mut address = device(index);
    address.sll_protocol = ethertype.to_be();
    address.sll_halen = mac.len() as u8;
    address.sll_addr[..mac.len()].copy_from_slice(&mac);
    address
}

/// A socket that sends IP packets to wherever the kernel routes them, by a VRF or another device alone if one is given.
///
/// Errors: EPERM without CAP_NET_RAW; EAFNOSUPPORT for IPv6 where the kernel has none.
pub fn routed(family: Family, device: Option<&str>) -> io::Result<OwnedFd> {
    // This protocol means that the packet has its header, and nothing is received.
    let socket = Socket::new_raw(domain(family), Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
    socket.set_nonblocking(true)?;
    socket.bind_device(device.map(str::as_bytes))?;
    Ok(socket.into())
}

/// A host to route a packet to; a link-local one is on the link of this index.
pub fn host(address: IpAddr, index: IfIndex) -> SockAddr {
    match address {
        IpAddr::V4(address) => SocketAddrV4::new(address, 0).into(),
        IpAddr::V6(address) => {
            let scope = if address.is_unicast_link_local() { index.0 } else { 0 };
            SocketAddrV6::new(address, 0, 0, scope).into()
        }
    }
}

/// A socket address as the kernel wants it.
pub trait KernelAddress {
    fn place(&self) -> (*const libc::c_void, libc::socklen_t);
}

impl KernelAddress for LinkAddress {
    fn place(&self) -> (*const libc::c_void, libc::socklen_t) {
        (std::ptr::from_ref(self).cast(), size_of::<Self>() as libc::socklen_t)
    }
}

impl KernelAddress for SockAddr {
    fn place(&self) -> (*const libc::c_void, libc::socklen_t) {
        (self.as_ptr().cast(), self.len())
    }
}

impl<A: KernelAddress> KernelAddress for &A {
    fn place(&self) -> (*const libc::c_void, libc::socklen_t) {
        (*self).place()
    }
}

/// What was not sent: how many packets, and why the last of them.
#[derive(Debug, Default)]
pub struct Refused {
    pub packets: u64,
    pub error: Option<io::Error>,
}

/// Sends each packet, in order, in as few system calls as there are batches. One that is refused does not hold up the
/// next.
pub fn send_many<A: KernelAddress>(socket: impl AsFd, packets: &[(&[u8], A)]) -> Refused {
    let mut refused = Refused::default();
    for batch in packets.chunks(BATCH) {
        let mut sent = 0;
        while sent < batch.len() {
            match send_batch(&socket, &batch[sent..]) {
                Ok(count) => sent += count,
                Err(failure) if failure.kind() == io::ErrorKind::Interrupted => {}
                Err(failure) => {
                    sent += 1;
                    refused.packets += 1;
                    refused.error = Some(failure);
                }
            }
        }
    }
    refused
}

/// One `sendmmsg`; how many packets left, at least one.
fn send_batch<A: KernelAddress>(socket: impl AsFd, packets: &[(&[u8], A)]) -> io::Result<usize> {
    // SAFETY: iovec and mmsghdr are plain C structs for which all zeros is valid.
    let (mut parts, mut messages): ([libc::iovec; BATCH], [libc::mmsghdr; BATCH]) = unsafe { mem::zeroed() };
    for (((packet, to), part), message) in packets.iter().zip(&mut parts).zip(&mut messages) {
        part.iov_base = packet.as_ptr().cast_mut().cast();
        part.iov_len = packet.len();
        let (address, length) = to.place();
        message.msg_hdr.msg_name = address.cast_mut();
        message.msg_hdr.msg_namelen = length;
        message.msg_hdr.msg_iov = part;
        message.msg_hdr.msg_iovlen = 1;
    }
    let count = packets.len().min(BATCH) as u32;
    // SAFETY: the first `count` messages point at packets, addresses and parts that live until the call returns, and
    // the kernel only reads through them.
    let sent = unsafe { libc::sendmmsg(socket.as_fd().as_raw_fd(), messages.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
    match sent {
        1.. => Ok(sent as usize),
        _ => Err(io::Error::last_os_error()),
    }
}
