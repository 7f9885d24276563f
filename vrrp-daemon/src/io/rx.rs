//! The raw sockets' receiving side: packets that no XDP program took, each judged by `classify` like in the kernel.

use std::collections::BTreeMap;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};
use socket2::Socket;
use vrrp_common::classify::Packet;
use vrrp_common::drop::Reason;
use vrrp_common::wire::advert::MESSAGE_MAX;
use vrrp_common::wire::ethernet::Link;
use vrrp_common::wire::ip::Ip;
use vrrp_common::wire::ip6;
use vrrp_common::{Family, Instant};

use super::clock::{self, Stamps};
use super::readiness::Readiness;
use super::socket::RECEIVE_BUFFER;
use crate::engine::matching::Moves;
use crate::engine::plan::InterfaceId;

/// Octets of the longest packet with VRRP: 60 of IPv4 header and the message.
const PACKET_MAX: usize = 60 + MESSAGE_MAX;
/// Packets for one system call.
const BATCH: usize = 32;
/// More packets than one socket's buffer holds: the kernel doubles what was asked for, and charges each with more than
/// this.
const QUEUE: usize = 2 * RECEIVE_BUFFER / 512;

/// All raw sockets behind one descriptor, so that waiting for thousands costs what waiting for one does.
pub struct Sockets {
    epoll: Epoll,
    /// The same, to be waited for.
    ready: Readiness,
    /// By interface, family and IP protocol.
    sockets: BTreeMap<(InterfaceId, Family, u8), Socket>,
    /// Room for all of them.
    events: Vec<EpollEvent>,
    batch: Batch,
    stamps: Stamps,
}

/// A packet as a raw socket has it.
pub struct Received<'a> {
    pub arrival: Instant,
    /// Over IPv4 with its header, over IPv6 the message alone.
    pub octets: &'a [u8],
    /// The header, where the octets do not have it.
    pub ip: Option<Ip>,
}

impl Received<'_> {
    /// What claims to carry VRRP; `None` when nothing does.
    pub fn packet(&self) -> Option<Packet> {
        match self.ip {
            Some(ip) => Some(Packet { link: Link::none(ip.family), ip }),
            None => Packet::without_link(self.octets),
        }
    }
}

/// Where packets are read to.
struct Batch {
    /// Room for what the kernel tells beside each: a stamp and, of IPv6, what was in the headers; of an extension header
    /// that it is there is enough.
    control: Vec<u8>,
    /// Headers that the kernel has not written to.
    unused: Option<MultiHeaders<SockaddrStorage>>,
    packets: Box<[[u8; PACKET_MAX]; BATCH]>,
}

impl Sockets {
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let ready = Readiness::of(&epoll.0)?;
        let control = nix::cmsg_space!(nix::sys::time::TimeSpec, libc::in6_pktinfo, libc::c_int, [u8; 64]);
        Ok(Self {
            epoll,
            ready,
            sockets: BTreeMap::new(),
            events: Vec::new(),
            batch: Batch { control, unused: None, packets: Box::new([[0; PACKET_MAX]; BATCH]) },
            stamps: Stamps::begin(),
        })
    }

    /// Puts the socket of an interface, family and protocol in place of an earlier one.
    pub fn insert(&mut self, id: InterfaceId, family: Family, protocol: u8, socket: Socket) -> io::Result<()> {
        self.epoll.add(&socket, event(id, family, protocol))?;
        self.sockets.insert((id, family, protocol), socket);
        self.events.resize(self.sockets.len(), EpollEvent::empty());
        Ok(())
    }

    /// Closes those sockets of an interface that are to be kept no longer; the epoll set forgets them by itself.
    pub fn retain(&mut self, id: InterfaceId, keeps: impl Fn((Family, u8)) -> bool) {
        self.sockets.retain(|&(interface, family, protocol), _| interface != id || keeps((family, protocol)));
    }

    /// Interfaces move; sockets of those that are gone are closed.
    pub fn carry(&mut self, moves: &Moves<InterfaceId>) -> io::Result<()> {
        for ((before, family, protocol), socket) in std::mem::take(&mut self.sockets) {
            let Some(id) = moves.to(before) else { continue };
            if id != before {
                self.epoll.modify(&socket, &mut event(id, family, protocol))?;
            }
            self.sockets.insert((id, family, protocol), socket);
        }
        Ok(())
    }

    /// Waits until some socket has a packet.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready.wait().await
    }

    /// Hands every packet received before `now`, which is not long ago, to `each` with its arrival time; returns how many
    /// there were, with a few that came later. Of each socket that is at most what its buffer holds: a flood cannot move
    /// the end.
    pub fn drain(&mut self, now: Instant, mut each: impl FnMut(InterfaceId, &Received)) -> io::Result<usize> {
        self.stamps.turn();
        // One look: whose first packet comes after it has none that came before `now`.
        let count = match self.epoll.wait(&mut self.events, EpollTimeout::ZERO) {
            Ok(count) => count,
            // With no socket there is no room for an event.
            Err(Errno::EINVAL) if self.events.is_empty() => 0,
            Err(error) => return Err(error.into()),
        };
        let mut packets = 0;
        for event in &self.events[..count] {
            let id = InterfaceId((event.data() >> 16) as u32);
            let [.., family, protocol] = event.data().to_be_bytes();
            let family = if family == Family::V6 as u8 { Family::V6 } else { Family::V4 };
            if let Some(socket) = self.sockets.get(&(id, family, protocol)) {
                packets += self.batch.read((socket, family), now, &self.stamps, |received| each(id, received));
            }
        }
        Ok(packets)
    }
}

impl Batch {
    /// Reads until the socket is empty, or has come to packets that arrived after `now`; how many.
    fn read(
        &mut self,
        (socket, family): (&Socket, Family),
        now: Instant,
        stamps: &Stamps,
        mut each: impl FnMut(&Received),
    ) -> usize {
        let Self { control, unused, packets } = self;
        let mut read = 0;
        while read < QUEUE {
            // Not used ones: there the kernel has left what it wrote as how much it may write.
            let mut headers = unused.take().unwrap_or_else(|| MultiHeaders::preallocate(BATCH, Some(control.clone())));
            let mut parts = packets.each_mut().map(|packet| [IoSliceMut::new(packet)]);
            let results = match recvmmsg(
                socket.as_fd().as_raw_fd(),
                &mut headers,
                parts.iter_mut(),
                MsgFlags::MSG_DONTWAIT,
                None,
            ) {
                Ok(results) => results,
                Err(Errno::EAGAIN) => {
                    *unused = Some(headers);
                    break;
                }
                // What befell the link (ENETDOWN) comes as an event of the interface; what it had received is still there.
                Err(_) => {
                    read += 1;
                    continue;
                }
            };
            let reading = stamps.reading();
            let mut is_later = false;
            for message in results {
                let ancillary = Ancillary::read(message.cmsgs().into_iter().flatten());
                let arrival = reading.arrival(ancillary.stamp);
                is_later |= arrival > now;
                let octets = message.iovs().next().unwrap_or_default();
                let ip = match family {
                    Family::V4 => None,
                    Family::V6 => Some(ancillary.ip6(message.address, octets.len())),
                };
                each(&Received { arrival, octets, ip });
                read += 1;
            }
            // While the wall clock steps, stamps say nothing of the order; the buffer has an end all the same.
            if is_later && !reading.is_stepping() {
                break;
            }
        }
        read
    }
}

/// What the kernel tells of a socket that has something.
fn event(id: InterfaceId, family: Family, protocol: u8) -> EpollEvent {
    let token = u64::from(id.0) << 16 | (family as u64) << 8 | u64::from(protocol);
    EpollEvent::new(EpollFlags::EPOLLIN, token)
}

/// What the kernel tells beside a packet.
#[derive(Default)]
struct Ancillary {
    /// When it came, CLOCK_REALTIME nanoseconds.
    stamp: Option<u64>,
    destination6: [u8; 16],
    hop_limit: u8,
    has_extensions: bool,
}

impl Ancillary {
    fn read(messages: impl Iterator<Item = ControlMessageOwned>) -> Self {
        let mut told = Self::default();
        for message in messages {
            match message {
                ControlMessageOwned::ScmTimestampns(time) => told.stamp = Some(clock::nanos(time)),
                ControlMessageOwned::Ipv6PacketInfo(info) => told.destination6 = info.ipi6_addr.s6_addr,
                ControlMessageOwned::Ipv6HopLimit(limit) => told.hop_limit = limit as u8,
                // Nothing else was asked for but extension headers.
                _ => told.has_extensions = true,
            }
        }
        told
    }

    /// The header that was before a message.
    fn ip6(&self, source: Option<SockaddrStorage>, length: usize) -> Ip {
        let source = source.and_then(|source| source.as_sockaddr_in6().map(|source| source.ip().octets()));
        let ip = ip6::received(source.unwrap_or_default(), self.destination6, self.hop_limit, length);
        Ip { fault: self.has_extensions.then_some(Reason::Ip6ExtHeader).or(ip.fault), ..ip }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use nix::sys::socket::{setsockopt, sockopt};
    use socket2::{Domain, Type};

    use vrrp_common::wire::ip::PROTOCOL_VRRP;

    use super::*;

    /// Datagrams that fit into the buffer of an ordinary socket.
    const FEW: u32 = 100;

    /// Sockets that receive with stamps, like the raw ones, and their other ends.
    fn pairs(count: u32) -> (Sockets, Vec<Socket>) {
        let mut sockets = Sockets::new().unwrap();
        let ends = (0..count).map(|id| {
            let (ours, theirs) = Socket::pair(Domain::UNIX, Type::DGRAM, None).unwrap();
            setsockopt(&ours, sockopt::ReceiveTimestampns, &true).unwrap();
            sockets.insert(InterfaceId(id), Family::V4, PROTOCOL_VRRP, ours).unwrap();
            theirs
        });
        let ends = ends.collect();
        (sockets, ends)
    }

    #[tokio::test]
    async fn without_sockets_nothing_is_heard() {
        let mut sockets = Sockets::new().unwrap();
        assert_eq!(sockets.drain(clock::now(), |_, _| panic!("heard")).unwrap(), 0);
    }

    #[tokio::test]
    async fn all_that_was_received_is_heard_in_one_turn() {
        let (mut sockets, ends) = pairs(100);
        let start = clock::now();
        (0..FEW).for_each(|number| ends.iter().for_each(|end| assert_eq!(end.send(&number.to_be_bytes()).unwrap(), 4)));
        let now = clock::now();
        let mut heard: BTreeMap<InterfaceId, Vec<u32>> = BTreeMap::new();
        let packets = sockets.drain(now, |id, &Received { arrival, octets, ip: _ }| {
            assert!(start <= arrival + std::time::Duration::from_millis(1) && arrival <= clock::now(), "{arrival:?}");
            heard.entry(id).or_default().push(u32::from_be_bytes(octets.try_into().unwrap()));
        });
        assert_eq!(packets.unwrap(), 10_000);
        assert!(heard.len() == 100 && heard.values().all(|numbers| numbers.iter().copied().eq(0..FEW)), "{heard:?}");
    }

    /// A sender that has the next packet ready whenever one is read, for ever.
    #[tokio::test]
    async fn a_flood_does_not_move_the_end() {
        let (mut sockets, ends) = pairs(3);
        (0..FEW).for_each(|_| ends.iter().for_each(|end| assert_eq!(end.send(b"before").unwrap(), 6)));
        std::thread::sleep(std::time::Duration::from_millis(2));
        let now = clock::now();
        let mut later = [0; 3];
        let mut before = [0; 3];
        let heard = sockets.drain(now, |id, &Received { arrival, octets, ip: _ }| {
            let counter = if octets == b"before" { &mut before } else { &mut later };
            counter[id.index()] += 1;
            assert_eq!(octets == b"before", arrival <= now, "{octets:?}");
            ends[id.index()].send(b"flood").unwrap();
        });
        assert_eq!(before, [FEW; 3]);
        assert!(later.iter().all(|&later| later <= BATCH as u32), "{later:?}");
        assert_eq!(heard.unwrap() as u32, before.iter().chain(&later).sum::<u32>());
    }
}
