//! The raw sockets' receiving side: packets that no XDP program took, each judged by `classify` like in the kernel.

use std::collections::BTreeMap;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use socket2::Socket;
use vrrp_common::Instant;
use vrrp_common::wire::advert::MESSAGE_MAX;

use super::clock;
use super::readiness::Readiness;
use crate::engine::plan::InterfaceId;

/// Octets of the longest packet with VRRP: 60 of IPv4 header and the message.
const PACKET_MAX: usize = 60 + MESSAGE_MAX;
/// Packets read from one socket before the others have their turn.
const TURN: usize = 64;
/// Packets read before the deadlines have theirs: more than one socket's buffer holds.
pub const PACKETS: usize = 4096;

/// All raw sockets behind one descriptor, so that waiting for thousands costs what waiting for one does.
pub struct Sockets {
    epoll: Epoll,
    /// The same, to be waited for.
    ready: Readiness,
    by_interface: BTreeMap<InterfaceId, Socket>,
    control: Vec<u8>,
}

impl Sockets {
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let ready = Readiness::of(&epoll.0)?;
        Ok(Self { epoll, ready, by_interface: BTreeMap::new(), control: nix::cmsg_space!(nix::sys::time::TimeSpec) })
    }

    /// Puts the socket of an interface in place of an earlier one.
    pub fn insert(&mut self, id: InterfaceId, socket: Socket) -> io::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, u64::from(id.0));
        self.epoll.add(&socket, event)?;
        self.by_interface.insert(id, socket);
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

    /// Hands every packet received so far to `each`, with its arrival time; returns how many there were. From
    /// [`PACKETS`] on there may be more.
    pub fn drain(&mut self, mut each: impl FnMut(InterfaceId, Instant, &[u8])) -> io::Result<usize> {
        let mut events = [EpollEvent::empty(); 64];
        let mut packets = 0;
        // Level triggered: a socket that is not empty after its turn comes again, up to a bound that a flood cannot move.
        while packets < PACKETS {
            let count = match self.epoll.wait(&mut events, EpollTimeout::ZERO) {
                Ok(0) => break,
                Ok(count) => count,
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            for event in &events[..count] {
                let id = InterfaceId(event.data() as u32);
                if let Some(socket) = self.by_interface.get(&id) {
                    packets += read(socket, &mut self.control, |arrival, packet| each(id, arrival, packet));
                }
            }
        }
        Ok(packets)
    }
}

/// Reads up to [`TURN`] packets; how many. Errors of the link (ENETDOWN) come back as interface events; here they end the turn.
fn read(socket: &Socket, control: &mut Vec<u8>, mut each: impl FnMut(Instant, &[u8])) -> usize {
    let offset = clock::realtime_offset();
    let mut packet = [0; PACKET_MAX];
    for read in 0..TURN {
        control.clear();
        let (length, stamp) = {
            let mut parts = [IoSliceMut::new(&mut packet)];
            let received = recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut parts, Some(control), MsgFlags::MSG_DONTWAIT);
            match received {
                Ok(message) => (message.bytes, message.cmsgs().ok().and_then(|mut all| all.find_map(stamp))),
                Err(Errno::EINTR) => continue,
                Err(_) => return read,
            }
        };
        let arrival = match stamp {
            Some(real) => Instant::from_nanos((i128::from(real) - offset).max(0) as u64),
            None => clock::now(),
        };
        each(arrival.min(clock::now()), &packet[..length]);
    }
    TURN
}

/// The kernel's time stamp, CLOCK_REALTIME nanoseconds.
fn stamp(message: ControlMessageOwned) -> Option<u64> {
    match message {
        ControlMessageOwned::ScmTimestampns(time) => Some(clock::nanos(time)),
        _ => None,
    }
}
