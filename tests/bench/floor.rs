//! The floors: the least that the kernel itself takes for the same packets and the same addresses.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use vrrp_common::wire::advert::{MESSAGE_MAX, Outgoing};
use vrrp_common::wire::checksum::ChecksumForm;
use vrrp_common::wire::ethernet::{ETHERTYPE_IPV4, VRRP_GROUP4_MAC};
use vrrp_common::wire::ip::{PROTOCOL_VRRP, VRRP_GROUP4};
use vrrp_common::wire::ip4::ipv4_header;
use vrrp_common::{Address, Claim, Family, Vrid};
use vrrp_daemon::io::socket::{Content, neighbour, packet, send_many};
use vrrp_tests::effort;
use vrrp_tests::stamp::Stamp;

use crate::rig::{A, Rig, own_address};
use crate::roster::{PRIORITY, Roster};

/// What sending alone took.
pub struct Sent {
    pub from: Stamp,
    pub until: Stamp,
    pub count: u64,
    /// Nanoseconds.
    pub cpu: u64,
}

/// Sends every advert of a roster from router A, all at once each interval, and does nothing else.
pub fn send(rig: &Rig, roster: &Roster, time: Duration) -> Result<Sent> {
    let adverts: Vec<_> =
        roster.routers().map(|(interface, vrid)| (interface, advert(roster, interface, vrid))).collect();
    rig.routers[A].within(|| {
        let socket = packet(Content::Packets).context("packet socket")?;
        let mut batch = Vec::new();
        for (interface, advert) in &adverts {
            let index = nix::net::if_::if_nametoindex(format!("eth{interface}").as_str())?;
            batch.push((&advert[..], neighbour(vrrp_common::IfIndex(index), ETHERTYPE_IPV4, VRRP_GROUP4_MAC)));
        }
        let (from, start, cpu, mut count) = (Stamp::now(), Instant::now(), effort::of_this_thread(), 0);
        let mut due = start;
        while start.elapsed() < time {
            send_many(&socket, &batch);
            count += batch.len() as u64;
            due += roster.interval.duration();
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        Ok(Sent { from, until: Stamp::now(), count, cpu: (effort::of_this_thread() - cpu).as_nanos() as u64 })
    })
}

/// The packet that the daemon of router A sends for a virtual router.
pub fn advert(roster: &Roster, interface: usize, vrid: u8) -> Vec<u8> {
    let source = own_address(A, interface).octets();
    let addresses: Vec<_> = roster.addresses_of(interface, vrid).flat_map(|address| address.octets()).collect();
    let outgoing = Outgoing {
        version: roster.version(),
        family: Family::V4,
        vrid: Vrid::new(vrid).expect("a VRID is not 0"),
        claim: Claim::from_octet(PRIORITY[A]),
        interval: roster.interval,
        addresses: &addresses,
        authentication: None,
        checksum_form: ChecksumForm::PseudoHeader,
        source: Address::v4(source),
        destination: Address::v4(VRRP_GROUP4),
    };
    let mut message = [0; MESSAGE_MAX];
    let length = outgoing.write(&mut message);
    [&ipv4_header(source, VRRP_GROUP4, 255, PROTOCOL_VRRP, length as u16)[..], &message[..length]].concat()
}

/// Sets these addresses on a router's eth0, one netlink message after the other, and returns how long that took.
pub fn set_addresses(rig: &Rig, router: usize, addresses: &[Ipv4Addr]) -> Result<(Stamp, Stamp)> {
    rig.routers[router].within(|| {
        let index = nix::net::if_::if_nametoindex("eth0")?;
        // SAFETY: no memory is passed; the result is checked before it is owned.
        let socket = unsafe {
            let raw = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE);
            OwnedFd::from_raw_fd(Errno::result(raw).context("netlink socket")?)
        };
        let from = Stamp::now();
        for address in addresses {
            let message = new_address(index, *address);
            nix::sys::socket::send(socket.as_raw_fd(), &message, nix::sys::socket::MsgFlags::empty())?;
        }
        Ok((from, Stamp::now()))
    })
}

/// RTM_NEWADDR of a /32 that brings no route but its own.
fn new_address(index: u32, address: Ipv4Addr) -> Vec<u8> {
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
    let mut message = Vec::with_capacity(40);
    message.extend(40u32.to_ne_bytes());
    message.extend(libc::RTM_NEWADDR.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]);
    // ifaddrmsg: family, prefix length, flags, scope, index.
    message.extend([libc::AF_INET as u8, 32, 0, 0]);
    message.extend(index.to_ne_bytes());
    for kind in [libc::IFA_LOCAL, libc::IFA_ADDRESS] {
        message.extend(8u16.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(address.octets());
    }
    message
}
