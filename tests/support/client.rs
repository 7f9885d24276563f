//! What a client notices of a failover: one echo request a millisecond to the virtual address, and which were answered.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, connect, recv, send, setsockopt, socket,
    sockopt,
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
    pub fn start(namespace: &Namespace, address: Ipv4Addr) -> Result<Self> {
        let socket = namespace.within(|| {
            let socket = socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Icmp)
                .context("socket for echo requests")?;
            connect(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(address, 0)))?;
            setsockopt(&socket, sockopt::ReceiveTimeout, &ATTENTION)?;
            setsockopt(&socket, sockopt::RcvBufForce, &(1 << 20))?;
            Ok(Arc::new(socket))
        })?;
        let (probes, end) = (Arc::<Mutex<Vec<Probe>>>::default(), Arc::<AtomicBool>::default());
        let run = |work: fn(&OwnedFd, &Mutex<Vec<Probe>>, &AtomicBool)| {
            let (socket, probes, end) = (Arc::clone(&socket), Arc::clone(&probes), Arc::clone(&end));
            std::thread::spawn(move || work(&socket, &probes, &end))
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
fn ask(socket: &OwnedFd, probes: &Mutex<Vec<Probe>>, end: &AtomicBool) {
    let mut due = Instant::now();
    while !end.load(Ordering::Relaxed) {
        let number = {
            let Ok(mut probes) = probes.lock() else { return };
            probes.push(Probe { sent_at: Stamp::now(), answered: false });
            probes.len() as u32 - 1
        };
        // "No route to host" while nobody answers ARP: that is an unanswered probe.
        let _ = send(socket.as_raw_fd(), &echo_request(number), MsgFlags::MSG_DONTWAIT);
        due = (due + PACE).max(Instant::now());
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

fn hear(socket: &OwnedFd, probes: &Mutex<Vec<Probe>>, end: &AtomicBool) {
    let mut packet = [0; 256];
    while !end.load(Ordering::Relaxed) {
        let Ok(length) = recv(socket.as_raw_fd(), &mut packet, MsgFlags::empty()) else { continue };
        let Some(number) = echo_reply(&packet[..length]) else { continue };
        let Ok(mut probes) = probes.lock() else { return };
        if let Some(probe) = probes.get_mut(number as usize) {
            probe.answered = true;
        }
    }
}

fn echo_request(number: u32) -> [u8; 12] {
    let mut message = [8, 0, 0, 0, 0x56, 0x52, 0, 0, 0, 0, 0, 0];
    message[NUMBER_AT..].copy_from_slice(&number.to_be_bytes());
    let checksum = Sum::default().octets(&message).checksum();
    message[2..4].copy_from_slice(&checksum);
    message
}

/// The number in an echo reply, from the IP header on.
fn echo_reply(packet: &[u8]) -> Option<u32> {
    let message = packet.get((packet.first()? & 0x0f) as usize * 4..)?;
    let is_ours = message.starts_with(&[0, 0]) && message.get(4..6)? == [0x56, 0x52];
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
