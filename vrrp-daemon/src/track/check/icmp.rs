//! Whether a host answers echo requests (RFC 792, RFC 4443).

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};
use socket2::{Domain, Protocol, Socket, Type};
use vrrp_common::wire::checksum::Sum;

use super::locate::locate;
use super::{Host, Target};
use crate::track::readable::readable;

/// Types of request and reply, by family.
const ECHO4: [u8; 2] = [8, 0];
const ECHO6: [u8; 2] = [128, 129];

/// Tells requests apart: the identifier and the sequence number of one.
static NUMBER: AtomicU32 = AtomicU32::new(0);

pub async fn ask(host: &Host) -> Result<String, String> {
    let address = locate(&Target { host: host.clone(), port: 0 }).await?;
    exchange(address).await.map(|()| "answered".to_owned()).map_err(|error| format!("{}: {error}", address.ip()))
}

async fn exchange(address: SocketAddr) -> io::Result<()> {
    let (domain, protocol, [request, reply]) = match address {
        SocketAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, ECHO4),
        SocketAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, ECHO6),
    };
    let socket = Socket::new(domain, Type::RAW.nonblocking(), Some(protocol))?;
    // The kernel then hands it what that host sends, and nothing else.
    socket.connect(&address.into())?;
    let fd = readable(OwnedFd::from(socket))?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id() << 16).to_be_bytes();
    send(fd.as_raw_fd(), &message(request, number, address.is_ipv4()), MsgFlags::empty())?;
    let mut octets = [0; 512];
    loop {
        let mut ready = fd.readable().await?;
        match recv(fd.as_raw_fd(), &mut octets, MsgFlags::empty()) {
            Ok(length) if answers(&octets[..length], reply, number, address.is_ipv4()) => return Ok(()),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => ready.clear_ready(),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Type, code, checksum, identifier, sequence number. The kernel sums those of IPv6.
fn message(kind: u8, number: [u8; 4], is_summed: bool) -> [u8; 8] {
    let [a, b, c, d] = number;
    let mut message = [kind, 0, 0, 0, a, b, c, d];
    if is_summed {
        let sum = Sum::default().octets(&message).checksum();
        message[2..4].copy_from_slice(&sum);
    }
    message
}

/// Whether it is the reply; of IPv4 the header is before it.
fn answers(octets: &[u8], reply: u8, number: [u8; 4], has_header: bool) -> bool {
    let header = if has_header { usize::from(octets.first().copied().unwrap_or_default() & 0xf) * 4 } else { 0 };
    let message = octets.get(header..).and_then(|message| message.first_chunk::<8>());
    message.is_some_and(|message| message[0] == reply && message[4..] == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_tcpdump_shows_it() {
        assert_eq!(message(8, [0x12, 0x34, 0, 1], true), [8, 0, 0xe5, 0xca, 0x12, 0x34, 0, 1]);
        let mut packet = vec![0x46; 24];
        packet.extend(message(0, [1, 2, 3, 4], true));
        assert!(answers(&packet, 0, [1, 2, 3, 4], true));
        assert!(!answers(&packet, 0, [1, 2, 3, 5], true), "another's");
        assert!(!answers(&packet[..30], 0, [1, 2, 3, 4], true) && !answers(&[], 0, [0; 4], true));
    }
}
