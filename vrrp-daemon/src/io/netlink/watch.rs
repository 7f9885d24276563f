//! Sockets over which the kernel tells of changes.
//!
//! What is not read yet waits in the kernel, whose buffer has a bound: of thousands of changes at once none is kept here.
//! What finds that buffer full is lost, and said to be.

use std::io;

use anyhow::Context;
use nix::sys::socket::{setsockopt, sockopt};
use rtnetlink::MulticastGroup;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage as Route;
use rtnetlink::sys::{Socket, protocols::NETLINK_ROUTE};

use crate::io::readiness::Readiness;

/// Kernel buffer for events: tens of thousands of them.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Octets of one datagram: what the kernel says of an interface with many virtual functions is tens of thousands.
const DATAGRAM: usize = 64 << 10;

/// Octets of the header of a message.
const HEADER: usize = 16;

/// What the kernel tells.
#[derive(Debug)]
pub enum Event {
    Changed(Route),
    /// More changed than the buffer could hold.
    Lost,
}

/// Everything in some groups.
pub struct Events {
    socket: Socket,
    readiness: Readiness,
    /// The datagram that came last, and up to where it was read.
    datagram: Vec<u8>,
    read: usize,
}

impl Events {
    pub fn of(groups: &[MulticastGroup]) -> anyhow::Result<Self> {
        let socket = listen(groups).context("cannot open a netlink socket")?;
        // Beyond the administrator's limit if we may, else up to it.
        if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err()
            && let Err(error) = socket.set_rx_buf_sz(RECEIVE_BUFFER)
        {
            tracing::warn!(%error, "cannot enlarge the netlink socket's buffer");
        }
        let readiness = Readiness::of(&socket)?;
        Ok(Self { socket, readiness, datagram: Vec::with_capacity(DATAGRAM), read: 0 })
    }

    /// The next; one that is given up before it came takes nothing with it.
    pub async fn next(&mut self) -> io::Result<Event> {
        loop {
            if let Some(change) = self.next_change() {
                return Ok(Event::Changed(change));
            }
            self.datagram.clear();
            self.read = 0;
            match self.socket.recv(&mut self.datagram, 0) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readiness.wait().await?,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return self.drain().map(|()| Event::Lost),
                Err(error) => return Err(error),
            }
        }
    }

    /// Throws away what waits. Until that is gone the kernel loses all that comes, and does not say so again: what is read
    /// anew before would be old at once.
    fn drain(&mut self) -> io::Result<()> {
        loop {
            self.datagram.clear();
            match self.socket.recv(&mut self.datagram, 0) {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// The next of the datagram.
    fn next_change(&mut self) -> Option<Route> {
        while let Some(rest) = self.datagram.get(self.read..).filter(|rest| !rest.is_empty()) {
            let message = NetlinkMessage::<Route>::deserialize(rest);
            self.read += length(rest);
            match message {
                Ok(NetlinkMessage { payload: NetlinkPayload::InnerMessage(change), .. }) => return Some(change),
                Ok(_) => {}
                Err(error) => tracing::debug!("cannot read what the kernel tells of a change: {error}"),
            }
        }
        None
    }
}

/// Octets up to the next message, which begins at a multiple of four. One that says less than its header has ends it all.
fn length(messages: &[u8]) -> usize {
    let says = messages.first_chunk().map_or(0, |says| u32::from_ne_bytes(*says) as usize);
    if says < HEADER { messages.len() } else { says.next_multiple_of(4) }
}

fn listen(groups: &[MulticastGroup]) -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.set_non_blocking(true)?;
    socket.bind_auto()?;
    groups.iter().try_for_each(|&group| socket.add_membership(group as u32))?;
    Ok(socket)
}

/// The next event; none ever while nothing is watched.
pub async fn next(events: &mut Option<Events>) -> io::Result<Event> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_route::link::LinkMessage;

    use super::*;

    fn link(index: u32) -> Vec<u8> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        let mut message = NetlinkMessage::from(Route::NewLink(link));
        message.finalize();
        let mut octets = vec![0; message.buffer_len()];
        message.serialize(&mut octets);
        octets
    }

    /// All changes that a datagram tells of, by the index of their interface.
    fn read(datagram: Vec<u8>) -> Vec<u32> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let _inside = runtime.enter();
        let mut events = Events { datagram, ..Events::of(&[]).unwrap() };
        let index = |change| match change {
            Route::NewLink(link) => link.header.index,
            other => panic!("{other:?}"),
        };
        std::iter::from_fn(|| events.next_change()).map(index).collect()
    }

    #[test]
    fn a_datagram_may_tell_of_several() {
        assert_eq!(read([link(7), link(8)].concat()), [7, 8]);
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        let unknown = [[20, 0, 0, 0].as_slice(), &[0xff; 16]].concat();
        assert_eq!(read([unknown, link(8)].concat()), [8]);
    }

    #[test]
    fn lengths_that_cannot_be_end_the_datagram() {
        for length in [0_u32, 15, 4096, u32::MAX] {
            let broken = [length.to_ne_bytes().as_slice(), &[0; 12]].concat();
            assert_eq!(read([link(7), broken, link(8)].concat()), [7], "{length}");
        }
        assert_eq!(read(vec![1]), [0_u32; 0]);
    }
}
