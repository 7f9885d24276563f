//! The sockets of BFD: a port where neighbours are heard, and of each session one to speak by (RFC 5881, RFC 5883).

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use anyhow::Context;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use crate::io::readiness::Readiness;
use crate::track::bfd::Bfd;
use crate::track::bfd::packet::{Discard, Packet};

/// Where sessions with neighbours on the link are heard, and those of several hops.
const SINGLE_HOP: u16 = 3784;
const MULTIHOP: u16 = 4784;
/// Source ports: RFC 5881 section 4.
const SOURCE_PORTS: std::ops::RangeInclusive<u16> = 49152..=65535;
/// How many of them are tried.
const TRIES: u16 = 64;
/// Octets of a datagram that are looked at: more than any packet has.
const DATAGRAM: usize = 256;
/// Internetwork control (RFC 5881 leaves it open; others send so).
const TOS: u32 = 0xc0;

/// A packet as it came.
pub struct Received {
    pub from: IpAddr,
    pub ttl: u8,
    pub packet: Result<Packet, Discard>,
}

/// A port, of one family.
pub struct Ear {
    socket: UdpSocket,
    ready: Readiness,
    is_v4: bool,
    is_multihop: bool,
}

impl Ear {
    /// The one that a neighbour is heard by. Inside a runtime.
    pub fn open(peer: &Bfd) -> anyhow::Result<Self> {
        let (is_v4, is_multihop) = (peer.neighbor.is_ipv4(), peer.is_multihop);
        let port = port(is_multihop);
        let hint = "is another BFD daemon running? without BFD: -B";
        let socket = listen(is_v4, port).with_context(|| format!("UDP port {port} of BFD: {hint}"))?;
        let ready = Readiness::of(&socket)?;
        Ok(Self { socket, ready, is_v4, is_multihop })
    }

    pub fn is_for(&self, peer: &Bfd) -> bool {
        (self.is_v4, self.is_multihop) == (peer.neighbor.is_ipv4(), peer.is_multihop)
    }

    pub async fn readable(&self) -> io::Result<()> {
        self.ready.wait().await
    }

    /// The next packet, when there is one.
    pub fn hear(&self) -> io::Result<Option<Received>> {
        let mut octets = [0; DATAGRAM];
        let mut space = cmsg_space!(libc::c_int);
        let mut parts = [IoSliceMut::new(&mut octets)];
        let fd = self.socket.as_raw_fd();
        let message = match recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut space), MsgFlags::MSG_DONTWAIT) {
            Ok(message) => message,
            Err(Errno::EAGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut ttl = 0;
        for told in message.cmsgs()? {
            match told {
                ControlMessageOwned::Ipv4Ttl(limit) | ControlMessageOwned::Ipv6HopLimit(limit) => ttl = limit as u8,
                _ => {}
            }
        }
        let address = message.address.as_ref();
        let v4 = address.and_then(SockaddrStorage::as_sockaddr_in).map(|from| IpAddr::V4(from.ip()));
        let v6 = address.and_then(SockaddrStorage::as_sockaddr_in6).map(|from| IpAddr::V6(from.ip()));
        let (from, length) = (v4.or(v6).unwrap_or(Ipv4Addr::UNSPECIFIED.into()), message.bytes);
        Ok(Some(Received { from, ttl, packet: Packet::parse(&octets[..length.min(DATAGRAM)]) }))
    }
}

const fn port(is_multihop: bool) -> u16 {
    if is_multihop { MULTIHOP } else { SINGLE_HOP }
}

fn any(is_v4: bool) -> IpAddr {
    if is_v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

fn listen(is_v4: bool, port: u16) -> anyhow::Result<UdpSocket> {
    let socket = socket(is_v4)?;
    if is_v4 {
        setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
    } else {
        setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
    }
    socket.bind(&SocketAddr::new(any(is_v4), port).into())?;
    Ok(socket.into())
}

fn socket(is_v4: bool) -> io::Result<Socket> {
    let domain = if is_v4 { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if !is_v4 {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// What a session speaks by. Opened when it is needed: its address may come later.
pub struct Mouth {
    to: SocketAddr,
    source: IpAddr,
    ttl: u8,
    /// Where the search for a source port begins.
    chance: u32,
    socket: Option<UdpSocket>,
    failing: bool,
}

impl Mouth {
    pub fn new(peer: &Bfd, chance: u32) -> Self {
        let is_v4 = peer.neighbor.is_ipv4();
        Self {
            to: SocketAddr::new(peer.neighbor, port(peer.is_multihop)),
            source: peer.source.unwrap_or(any(is_v4)),
            ttl: peer.ttl,
            chance,
            socket: None,
            failing: false,
        }
    }

    /// Sends a packet, or says why it could not, and whether that is new.
    pub fn send(&mut self, octets: &[u8]) -> Result<(), (io::Error, bool)> {
        match self.try_send(octets) {
            Ok(()) => {
                self.failing = false;
                Ok(())
            }
            Err(error) => {
                self.socket = None;
                Err((error, !std::mem::replace(&mut self.failing, true)))
            }
        }
    }

    fn try_send(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.socket.is_none() {
            self.socket = Some(self.open()?);
        }
        self.socket.as_ref().map_or(Ok(0), |socket| socket.send_to(octets, self.to)).map(drop)
    }

    fn open(&self) -> io::Result<UdpSocket> {
        let is_v4 = self.to.is_ipv4();
        let socket = socket(is_v4)?;
        if is_v4 {
            socket.set_ttl_v4(self.ttl.into())?;
            socket.set_tos_v4(TOS)?;
        } else {
            socket.set_unicast_hops_v6(self.ttl.into())?;
            socket.set_tclass_v6(TOS)?;
        }
        let count = SOURCE_PORTS.end() - SOURCE_PORTS.start();
        let mut last = Err(io::ErrorKind::AddrInUse.into());
        for offset in 0..TRIES {
            let port = SOURCE_PORTS.start() + (self.chance as u16).wrapping_mul(97).wrapping_add(offset) % count;
            last = socket.bind(&SocketAddr::new(self.source, port).into());
            match &last {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                _ => break,
            }
        }
        last.map(|()| socket.into())
    }
}
