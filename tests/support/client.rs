//! What a client notices of a failover: one echo request a millisecond to the virtual address, and which were answered.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, connect, recv, send, setsockopt,
    socket, sockopt,
};
use nix::sys::time::TimeVal;
use vrrp_common::wire::checksum::Sum;

use crate::netns::Namespace;
use crate::stamp::Stamp;

/// Between two probes.
const PACE: Duration = Duration::from_millis(1);
/// How long the receiving thread may overlook that it is to end.
const ATTENTION: TimeVal = TimeVal::new(0, 50_000);
/// Where the number of a probe starts in an echo message.
const NUMBER_AT: usize = 8;

/// The types of request and reply, and whether the IP header stands before what is received.
#[derive(Clone, Copy)]
struct Echo {
    request: u8,
    reply: u8,
    has_header: bool,
}

const ECHO4: Echo = Echo { request: 8, reply: 0, has_header: true };
const ECHO6: Echo = Echo { request: 128, reply: 129, has_header: false };

#[derive(Clone, Copy, Debug)]
struct Probe {
    sent_at: Stamp,
    answered: bool,
}

/// A span in which no probe was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// When the first probe was sent that got no answer.
    pub from: Stamp,
    /// When the first was sent that got one again.
    pub until: Stamp,
}

impl Outage {
    pub fn duration(self) -> Duration {
        self.until - self.from
    }
}

/// A client that probes until it is dropped.
pub struct Client {
    probes: Arc<Mutex<Vec<Probe>>>,
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Client {
    pub fn start(namespace: &Namespace, address: impl Into<IpAddr>) -> Result<Self> {
        let address = address.into();
        let (family, protocol) = match address {
            IpAddr::V4(_) => (AddressFamily::Inet, SockProtocol::Icmp),
            IpAddr::V6(_) => (AddressFamily::Inet6, SockProtocol::IcmpV6),
        };
        let echo = if address.is_ipv4() { ECHO4 } else { ECHO6 };
        let socket = namespace.within(|| {
            let socket =
                socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).context("socket for echo requests")?;
            connect(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(address, 0)))?;
            setsockopt(&socket, sockopt::ReceiveTimeout, &ATTENTION)?;
            setsockopt(&socket, sockopt::RcvBufForce, &(1 << 20))?;
            Ok(Arc::new(socket))
        })?;
        let (probes, end) = (Arc::<Mutex<Vec<Probe>>>::default(), Arc::<AtomicBool>::default());
        let run = |work: fn(&OwnedFd, Echo, &Mutex<Vec<Probe>>, &AtomicBool)| {
            let (socket, probes, end) = (Arc::clone(&socket), Arc::clone(&probes), Arc::clone(&end));
            std::thread::spawn(move || work(&socket, echo, &probes, &end))
        };
        let threads = vec![run(ask), run(hear)];
        Ok(Self { probes, end, threads })
    }

    /// Outages that began after `since` and are over.
    pub fn outages(&self, since: Stamp) -> Vec<Outage> {
        let probes = self.probes.lock().expect("the probing threads do not panic");
        outages(&probes, since)
    }

    /// The longest of them; `None` when every probe was answered.
    pub fn longest_outage(&self, since: Stamp) -> Option<Outage> {
        self.outages(since).into_iter().max_by_key(|outage| outage.duration())
    }

    /// Waits until a probe is answered that was sent after `since`.
    pub fn wait_answer(&self, since: Stamp, patience: Duration) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < patience {
            let probes = self.probes.lock().expect("the probing threads do not panic");
            if probes.iter().rev().take_while(|probe| probe.sent_at >= since).any(|probe| probe.answered) {
                return Ok(());
            }
            drop(probes);
            std::thread::sleep(Duration::from_millis(2));
        }
        bail!("the client had no answer for {patience:?}")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn outages(probes: &[Probe], since: Stamp) -> Vec<Outage> {
    let (mut found, mut from) = (Vec::new(), None);
    for probe in probes.iter().filter(|probe| probe.sent_at >= since) {
        match (probe.answered, from) {
            (false, None) => from = Some(probe.sent_at),
            (true, Some(start)) => {
                found.push(Outage { from: start, until: probe.sent_at });
                from = None;
            }
            _ => {}
        }
    }
    found
}

/// Sends a probe each millisecond. One that the host was late for is not made up for.
fn ask(socket: &OwnedFd, echo: Echo, probes: &Mutex<Vec<Probe>>, end: &AtomicBool) {
    let mut due = Instant::now();
    while !end.load(Ordering::Relaxed) {
        let number = {
            let Ok(mut probes) = probes.lock() else { return };
            probes.push(Probe { sent_at: Stamp::now(), answered: false });
            probes.len() as u32 - 1
        };
        // "No route to host" while nobody answers for the address: that is an unanswered probe.
        let _ = send(socket.as_raw_fd(), &echo_request(echo, number), MsgFlags::MSG_DONTWAIT);
        due = (due + PACE).max(Instant::now());
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

fn hear(socket: &OwnedFd, echo: Echo, probes: &Mutex<Vec<Probe>>, end: &AtomicBool) {
    let mut packet = [0; 256];
    while !end.load(Ordering::Relaxed) {
        let Ok(length) = recv(socket.as_raw_fd(), &mut packet, MsgFlags::empty()) else { continue };
        let Some(number) = echo_reply(echo, &packet[..length]) else { continue };
        let Ok(mut probes) = probes.lock() else { return };
        if let Some(probe) = probes.get_mut(number as usize) {
            probe.answered = true;
        }
    }
}

/// Of ICMPv6 the kernel writes the checksum itself.
fn echo_request(echo: Echo, number: u32) -> [u8; 12] {
    let mut message = [echo.request, 0, 0, 0, 0x56, 0x52, 0, 0, 0, 0, 0, 0];
    message[NUMBER_AT..].copy_from_slice(&number.to_be_bytes());
    let checksum = Sum::default().octets(&message).checksum();
    message[2..4].copy_from_slice(&checksum);
    message
}

/// The number in an echo reply.
fn echo_reply(echo: Echo, packet: &[u8]) -> Option<u32> {
    let header = if echo.has_header { (packet.first()? & 0x0f) as usize * 4 } else { 0 };
    let message = packet.get(header..)?;
    let is_ours = message.starts_with(&[echo.reply, 0]) && message.get(4..6)? == [0x56, 0x52];
    is_ours.then(|| message.get(NUMBER_AT..)?.first_chunk().map(|octets| u32::from_be_bytes(*octets)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_lasts_from_the_first_loss_to_the_next_answer() {
        let probes: Vec<_> = [(1, true), (2, false), (3, false), (7, true), (8, false)]
            .map(|(at, answered)| Probe { sent_at: Stamp(at), answered })
            .into();
        assert_eq!(outages(&probes, Stamp(0)), [Outage { from: Stamp(2), until: Stamp(7) }]);
        assert_eq!(outages(&probes, Stamp(4)), []);
    }
}
