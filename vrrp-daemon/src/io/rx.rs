//! The raw sockets' receiving side: packets that no XDP program took, each judged by `classify` like in the kernel.

use std::collections::BTreeMap;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, recvmmsg};
use socket2::Socket;
use vrrp_common::Instant;
use vrrp_common::wire::advert::MESSAGE_MAX;

use super::clock::{self, Stamps};
use super::readiness::Readiness;
use super::socket::RECEIVE_BUFFER;
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
    by_interface: BTreeMap<InterfaceId, Socket>,
    /// Room for all of them.
    events: Vec<EpollEvent>,
    batch: Batch,
    stamps: Stamps,
}

/// Where packets are read to.
struct Batch {
    headers: MultiHeaders<()>,
    packets: Box<[[u8; PACKET_MAX]; BATCH]>,
}

impl Sockets {
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let ready = Readiness::of(&epoll.0)?;
        let control = nix::cmsg_space!(nix::sys::time::TimeSpec);
        let headers = MultiHeaders::preallocate(BATCH, Some(control));
        Ok(Self {
            epoll,
            ready,
            by_interface: BTreeMap::new(),
            events: Vec::new(),
            batch: Batch { headers, packets: Box::new([[0; PACKET_MAX]; BATCH]) },
            stamps: Stamps::begin(),
        })
    }

    pub fn get(&self, id: InterfaceId) -> Option<&Socket> {
        self.by_interface.get(&id)
    }

    /// Puts the socket of an interface in place of an earlier one.
    pub fn insert(&mut self, id: InterfaceId, socket: Socket) -> io::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, u64::from(id.0));
        self.epoll.add(&socket, event)?;
        self.by_interface.insert(id, socket);
        self.events.resize(self.by_interface.len(), EpollEvent::empty());
        Ok(())
    }

    /// Closes the socket of an interface; the epoll set forgets it by itself.
    pub fn remove(&mut self, id: InterfaceId) {
        self.by_interface.remove(&id);
    }

    /// Waits until some socket has a packet.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready.wait().await
    }

    /// Hands every packet received before `now`, which is not long ago, to `each` with its arrival time; returns how many
    /// there were, with a few that came later. Of each socket that is at most what its buffer holds: a flood cannot move
    /// the end.
    pub fn drain(&mut self, now: Instant, mut each: impl FnMut(InterfaceId, Instant, &[u8])) -> io::Result<usize> {
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
            let id = InterfaceId(event.data() as u32);
            if let Some(socket) = self.by_interface.get(&id) {
                packets += self.batch.read(socket, now, &self.stamps, |arrival, packet| each(id, arrival, packet));
            }
        }
        Ok(packets)
    }
}

impl Batch {
    /// Reads until the socket is empty, or has come to packets that arrived after `now`; how many.
    fn read(&mut self, socket: &Socket, now: Instant, stamps: &Stamps, mut each: impl FnMut(Instant, &[u8])) -> usize {
        let Self { headers, packets } = self;
        let mut read = 0;
        while read < QUEUE {
            let mut parts = packets.each_mut().map(|packet| [IoSliceMut::new(packet)]);
            let results =
                match recvmmsg(socket.as_fd().as_raw_fd(), headers, parts.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
                    Ok(results) => results,
                    Err(Errno::EAGAIN) => break,
                    // What befell the link (ENETDOWN) comes as an event of the interface; what it had received is still there.
                    Err(_) => {
                        read += 1;
                        continue;
                    }
                };
            let reading = stamps.reading();
            let mut is_later = false;
            for message in results {
                let stamp = message.cmsgs().ok().and_then(|mut all| all.find_map(stamp));
                let arrival = reading.arrival(stamp);
                is_later |= arrival > now;
                let packet = message.iovs().next().unwrap_or_default();
                each(arrival, packet);
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

/// The kernel's stamp of a packet, CLOCK_REALTIME nanoseconds.
fn stamp(message: ControlMessageOwned) -> Option<u64> {
    match message {
        ControlMessageOwned::ScmTimestampns(time) => Some(clock::nanos(time)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use nix::sys::socket::{setsockopt, sockopt};
    use socket2::{Domain, Type};

    use super::*;

    /// Datagrams that fit into the buffer of an ordinary socket.
    const FEW: u32 = 100;

    /// Sockets that receive with stamps, like the raw ones, and their other ends.
    fn pairs(count: u32) -> (Sockets, Vec<Socket>) {
        let mut sockets = Sockets::new().unwrap();
        let ends = (0..count).map(|id| {
            let (ours, theirs) = Socket::pair(Domain::UNIX, Type::DGRAM, None).unwrap();
            setsockopt(&ours, sockopt::ReceiveTimestampns, &true).unwrap();
            sockets.insert(InterfaceId(id), ours).unwrap();
            theirs
        });
        let ends = ends.collect();
        (sockets, ends)
    }

    #[tokio::test]
    async fn without_sockets_nothing_is_heard() {
        let mut sockets = Sockets::new().unwrap();
        assert_eq!(sockets.drain(clock::now(), |_, _, _| panic!("heard")).unwrap(), 0);
    }

    #[tokio::test]
    async fn all_that_was_received_is_heard_in_one_turn() {
        let (mut sockets, ends) = pairs(100);
        let start = clock::now();
        (0..FEW).for_each(|number| ends.iter().for_each(|end| assert_eq!(end.send(&number.to_be_bytes()).unwrap(), 4)));
        let now = clock::now();
        let mut heard: BTreeMap<InterfaceId, Vec<u32>> = BTreeMap::new();
        let packets = sockets.drain(now, |id, arrival, packet| {
            assert!(start <= arrival + std::time::Duration::from_millis(1) && arrival <= clock::now(), "{arrival:?}");
            heard.entry(id).or_default().push(u32::from_be_bytes(packet.try_into().unwrap()));
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
        let heard = sockets.drain(now, |id, arrival, packet| {
            let counter = if packet == b"before" { &mut before } else { &mut later };
            counter[id.index()] += 1;
            assert_eq!(packet == b"before", arrival <= now, "{packet:?}");
            ends[id.index()].send(b"flood").unwrap();
        });
        assert_eq!(before, [FEW; 3]);
        assert!(later.iter().all(|&later| later <= BATCH as u32), "{later:?}");
        assert_eq!(heard.unwrap() as u32, before.iter().chain(&later).sum::<u32>());
    }
}
