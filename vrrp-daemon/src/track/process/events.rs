//! What the kernel tells of processes: its process events connector (linux/cn_proc.h).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, NetlinkAddr, bind, recv, send, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use crate::track::readable::readable;

/// CN_IDX_PROC, and CN_VAL_PROC.
const PROC: u32 = 1;
/// PROC_CN_MCAST_LISTEN.
const LISTEN: u32 = 1;
/// Where a message of the connector begins, and the event in it.
const CONNECTOR_AT: usize = 16;
const EVENT_AT: usize = CONNECTOR_AT + 20;
/// Where an event says what it is of.
const DATA_AT: usize = EVENT_AT + 16;
/// Room for the events of a burst of processes.
const BUFFER: usize = 1 << 20;
/// How long the kernel's answer is waited for: outside the first PID namespace there is none.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// Something that happened to a process; threads are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The answer to our asking; an errno, or 0.
    Answer(u32),
    Forked {
        parent: u32,
        child: u32,
    },
    /// It is another program now, or has another name.
    Changed(u32),
    Ended(u32),
    /// There were more events than room for them.
    Lost,
}

/// Events that are told.
#[derive(Debug)]
pub struct Events(AsyncFd<OwnedFd>);

impl Events {
    /// Asks the kernel to tell; the error says why it does not.
    pub async fn listen() -> Result<Self, String> {
        let events = Self::open().map_err(|error| match error.raw_os_error() {
            Some(libc::EPROTONOSUPPORT) => "the kernel has no connector (CONFIG_PROC_EVENTS)".to_owned(),
            Some(libc::ECONNREFUSED) => "the kernel tells in the first network namespace alone".to_owned(),
            Some(libc::EPERM | libc::EACCES) => "CAP_NET_ADMIN is missing".to_owned(),
            _ => error.to_string(),
        })?;
        match timeout(ANSWER_TIME, events.next()).await {
            Ok(Ok(Event::Answer(0) | Event::Forked { .. } | Event::Changed(_) | Event::Ended(_) | Event::Lost)) => {
                Ok(events)
            }
            Ok(Ok(Event::Answer(errno))) => Err(io::Error::from_raw_os_error(errno as i32).to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the kernel tells in the first PID and user namespace alone".to_owned()),
        }
    }

    fn open() -> io::Result<Self> {
        let protocol = Some(Protocol::from(libc::NETLINK_CONNECTOR));
        let fd: OwnedFd = Socket::new(Domain::from(libc::AF_NETLINK), Type::DGRAM.nonblocking(), protocol)?.into();
        // Beyond the system's limit where we may; what is missed is made up for by looking at /proc.
        let _ = setsockopt(&fd, sockopt::RcvBufForce, &BUFFER);
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, PROC))?;
        send(fd.as_raw_fd(), &question(), MsgFlags::empty())?;
        Ok(Self(readable(fd)?))
    }

    /// The next one.
    pub async fn next(&self) -> io::Result<Event> {
        let mut octets = [0; 4096];
        loop {
            let mut ready = self.0.readable().await?;
            match recv(self.0.as_raw_fd(), &mut octets, MsgFlags::empty()) {
                Ok(length) => {
                    if let Some(event) = event(&octets[..length]) {
                        return Ok(event);
                    }
                }
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(Errno::EINTR) => {}
                Err(Errno::ENOBUFS) => return Ok(Event::Lost),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A netlink message with a connector's message that asks for events.
fn question() -> Vec<u8> {
    let length = (EVENT_AT + 4) as u32;
    let header = [length, libc::NLMSG_DONE as u32, 0, 0].map(u32::to_ne_bytes);
    let connector = [PROC, PROC, 0, 0, 4, LISTEN].map(u32::to_ne_bytes);
    header.iter().chain(&connector).flatten().copied().collect()
}

/// `None`: nothing that matters.
fn event(octets: &[u8]) -> Option<Event> {
    let word = |at: usize| Some(u32::from_ne_bytes(*octets.get(at..)?.first_chunk()?));
    if (word(CONNECTOR_AT)?, word(CONNECTOR_AT + 4)?) != (PROC, PROC) {
        return None;
    }
    let data = |number: usize| word(DATA_AT + 4 * number);
    // Of a thread that is not its process's first one, the two numbers differ.
    let is_first = |at: usize| Some(data(at)? == data(at + 1)?);
    match word(EVENT_AT)? {
        0 => Some(Event::Answer(data(0)?)),
        0x1 if is_first(2)? => Some(Event::Forked { parent: data(1)?, child: data(3)? }),
        0x2 | 0x200 if is_first(0)? => Some(Event::Changed(data(1)?)),
        0x8000_0000 if is_first(0)? => Some(Event::Ended(data(1)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_as_the_header_says() {
        let octets = question();
        assert_eq!(octets.len(), 40);
        assert_eq!(octets[..6], [40, 0, 0, 0, 3, 0]);
    }

    #[test]
    fn events_of_threads_are_left_out() {
        let message = |what: u32, data: [u32; 4]| {
            let head = [76, 3, 0, 0, PROC, PROC, 0, 0, 40, what, 0, 0, 0];
            let octets: Vec<u8> = head.iter().chain(&data).flat_map(|word| word.to_ne_bytes()).collect();
            event(&octets)
        };
        assert_eq!(message(0x1, [4, 4, 9, 9]), Some(Event::Forked { parent: 4, child: 9 }));
        assert_eq!(message(0x1, [4, 4, 9, 4]), None, "a thread");
        assert_eq!(message(0x2, [9, 9, 0, 0]), Some(Event::Changed(9)));
        assert_eq!(message(0x200, [10, 9, 0, 0]), None, "a thread has named itself");
        assert_eq!(message(0x8000_0000, [9, 9, 0, 0]), Some(Event::Ended(9)));
        assert_eq!(message(0, [1, 0, 0, 0]), Some(Event::Answer(1)));
        assert_eq!(event(&[0; 20]), None);
    }
}
