//! Requests to the kernel that change addresses and links: many in one message, each answered by itself.
//!
//! It blocks for as long as the kernel works, about 15 µs an address: for the network's own thread, and the guard.

use std::io;

use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage as Route;
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use vrrp_common::IfIndex;

use super::addresses::{Place, new_address, old_address};
use super::upper::{self, Device, Kind};
use crate::config::setup::VirtualAddress;

/// Requests in one message. The first of them are answered when all are done, so this is also what a first address
/// may have to wait: half a millisecond.
pub const BATCH: usize = 32;
/// Octets of one answer: without the request (`set_cap_ack`) it is a header and an error number.
const ANSWER: usize = 4096;

/// One request.
#[derive(Clone, Debug)]
pub enum Request<'a> {
    Add(IfIndex, &'a VirtualAddress),
    Remove(Place),
    /// Set a route, a rule or a static address, with flags beside the usual ones.
    Lay(Route, u16),
    /// Remove one, by the message that says so.
    Lift(Route),
    /// Make an interface, or take over one that is there.
    Make(Device<'a>),
    /// Take an interface up, or down: down takes the kernel some 15 ms.
    Up(IfIndex, bool),
    /// Mark an interface for removal, by its name.
    Condemn(Kind, &'a str),
    /// Remove all that are marked: together they take the kernel as long as one.
    RemoveCondemned,
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
        (Request::Lay(..), libc::EEXIST) => Outcome::Already,
        // What a route leads over may be gone with it.
        (
            Request::Lift(_),
            libc::ESRCH | libc::ENOENT | libc::ENODEV | libc::EADDRNOTAVAIL | libc::ENETUNREACH | libc::EHOSTUNREACH,
        ) => Outcome::Already,
        (Request::Condemn(..) | Request::RemoveCondemned, libc::ENODEV) => Outcome::Already,
        (_, error) => Outcome::Failed(io::Error::from_raw_os_error(error)),
    }
}

fn message(request: &Request) -> NetlinkMessage<Route> {
    let (message, flags) = match *request {
        Request::Lay(ref message, flags) => (message.clone(), flags),
        Request::Lift(ref message) => (message.clone(), 0),
        Request::Add(index, address) => (Route::NewAddress(new_address(index, address)), NLM_F_CREATE | NLM_F_EXCL),
        Request::Remove(place) => (Route::DelAddress(old_address(place)), 0),
        Request::Make(device) if device.index.is_some() => (Route::NewLink(device.message()), 0),
        Request::Make(device) => (Route::NewLink(device.message()), NLM_F_CREATE | NLM_F_EXCL),
        Request::Up(index, up) => (Route::SetLink(upper::up(index, up)), 0),
        Request::Condemn(kind, name) => (Route::NewLink(upper::condemn(kind, name)), 0),
        Request::RemoveCondemned => (Route::DelLink(upper::condemned()), 0),
    };
    let mut message = NetlinkMessage::from(message);
    message.header.flags = NLM_F_REQUEST | flags;
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

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
