//! Setting and removing virtual addresses: many requests in one message to the kernel, each answered by itself.
//!
//! It blocks for as long as the kernel works, about 15 µs an address: for the network's own thread, and the guard.

use std::io;
use std::net::IpAddr;

use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage as Route};
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use vrrp_common::IfIndex;

use crate::config::setup::VirtualAddress;

/// Requests in one message. The first of them are answered when all are done, so this is also what a first address
/// may have to wait: half a millisecond.
pub const BATCH: usize = 32;
/// Octets of one answer: without the request (`set_cap_ack`) it is a header and an error number.
const ANSWER: usize = 4096;

/// Where an address is set: interface, address, prefix length.
pub type Place = (IfIndex, IpAddr, u8);

/// One request.
#[derive(Clone, Debug)]
pub enum Request<'a> {
    Add(IfIndex, &'a VirtualAddress),
    Remove(Place),
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    Done,
    /// It is as it should be, but not by us: there already, or gone already.
    Already,
    Failed(io::Error),
}

/// A conversation with the kernel.
pub struct Requests {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Requests {
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.set_cap_ack(true)?;
        Ok(Self { socket, sequence: 0, buffer: Vec::new() })
    }

    /// Makes at most [`BATCH`] requests; their outcomes in the same order.
    ///
    /// The last alone is acknowledged. The kernel does them in order and answers each that failed, so that what was not
    /// answered by then is done.
    pub fn make(&mut self, requests: &[Request]) -> io::Result<Vec<Outcome>> {
        // The kernel refuses a message of nothing.
        let Some(last) = requests.len().checked_sub(1) else { return Ok(Vec::new()) };
        let first = self.sequence;
        self.buffer.clear();
        for (place, request) in requests.iter().enumerate() {
            let mut message = message(request);
            message.header.sequence_number = self.sequence;
            if place == last {
                message.header.flags |= NLM_F_ACK;
            }
            self.sequence = self.sequence.wrapping_add(1);
            message.finalize();
            let start = self.buffer.len();
            self.buffer.resize(start + message.buffer_len(), 0);
            message.serialize(&mut self.buffer[start..]);
        }
        self.socket.send(&self.buffer, 0)?;
        let mut outcomes: Vec<Outcome> = requests.iter().map(|_| Outcome::Done).collect();
        let mut answer = [0; ANSWER];
        loop {
            let length = self.socket.recv(&mut &mut answer[..], 0)?;
            let (sequence, error) = read(&answer[..length])?;
            let place = sequence.wrapping_sub(first) as usize;
            // An answer to an earlier message that was given up is none to this.
            if let (Some(outcome), Some(request)) = (outcomes.get_mut(place), requests.get(place)) {
                *outcome = outcome_of(request, error);
            }
            if place == last {
                return Ok(outcomes);
            }
        }
    }
}

/// Which request an answer is to, and its error number; 0 for none.
fn read(answer: &[u8]) -> io::Result<(u32, i32)> {
    let message = NetlinkMessage::<Route>::deserialize(answer).map_err(io::Error::other)?;
    match message.payload {
        NetlinkPayload::Error(error) => Ok((message.header.sequence_number, error.raw_code().abs())),
        _ => Err(io::Error::other("an unexpected answer from the kernel")),
    }
}

fn outcome_of(request: &Request, error: i32) -> Outcome {
    match (request, error) {
        (_, 0) => Outcome::Done,
        (Request::Add(..), libc::EEXIST) => Outcome::Already,
        (Request::Remove(_), libc::EADDRNOTAVAIL | libc::ENODEV) => Outcome::Already,
        (_, error) => Outcome::Failed(io::Error::from_raw_os_error(error)),
    }
}

fn message(request: &Request) -> NetlinkMessage<Route> {
    match *request {
        Request::Add(index, address) => {
            let mut message = NetlinkMessage::from(Route::NewAddress(new_address(index, address)));
            message.header.flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL;
            message
        }
        Request::Remove((index, address, prefix)) => {
            let mut old = AddressMessage::default();
            old.header.index = index.0;
            old.header.family = family(address);
            old.header.prefix_len = prefix;
            old.attributes.push(AddressAttribute::Local(address));
            let mut message = NetlinkMessage::from(Route::DelAddress(old));
            message.header.flags = NLM_F_REQUEST;
            message
        }
    }
}

/// As `ip address add` would write it; a broadcast address only where the configuration gives one.
fn new_address(index: IfIndex, address: &VirtualAddress) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index.0;
    message.header.family = family(address.address);
    message.header.prefix_len = address.prefix;
    message.header.scope = AddressScope::from(address.scope);
    message.attributes.push(AddressAttribute::Local(address.address));
    message.attributes.push(AddressAttribute::Address(address.address));
    if let Some(broadcast) = address.broadcast {
        message.attributes.push(AddressAttribute::Broadcast(broadcast));
    }
    // VRRP itself sees to it that one router has the address: waiting for the kernel to ask whether another does would
    // cost a second, and while the old master still answers it would lose the address for good.
    if address.address.is_ipv6() {
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    if let Some(label) = &address.label {
        message.attributes.push(AddressAttribute::Label(label.to_string()));
    }
    message
}

const fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_asked_is_nothing_answered() {
        let mut requests = Requests::open().unwrap();
        assert!(requests.make(&[]).unwrap().is_empty());
        let stranger = (IfIndex(i32::MAX as u32), IpAddr::from([192, 0, 2, 1]), 32);
        let outcomes = requests.make(&[Request::Remove(stranger)]).unwrap();
        assert!(matches!(outcomes[..], [Outcome::Already | Outcome::Failed(_)]));
        // Of many each that failed says so, and not the last alone.
        for _ in 0..3 {
            let outcomes = requests.make(&vec![Request::Remove(stranger); BATCH]).unwrap();
            assert_eq!(outcomes.len(), BATCH);
            assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Already | Outcome::Failed(_))));
        }
    }
}
