//! IPv4, as far as an advert needs it: options are skipped, fragments are told.

use super::Frame;
use super::checksum::Sum;
use super::ip::{Ip, PROTOCOL_AH, PROTOCOL_VRRP, TOS_CS6};
use crate::address::Address;
use crate::drop::Reason;
use crate::ids::Family;

/// Octets of a header without options.
pub const IPV4_HEADER: usize = 20;

/// Octets of an authentication header with 96 bits of digest, and what it begins with: the next protocol, and its own
/// length in words less two. One of another length is not VRRPv2's.
pub const AUTH_HEADER: usize = 24;
const AUTH_HEADER_FRONT: [u8; 2] = [PROTOCOL_VRRP, 4];

/// Reads the header at `at`; `None` when it is another protocol or the frame ends inside it.
///
/// Addresses and all are told of a faulty header, too: a `Result` would leave them undefined in the error's case,
/// which the compiler may copy nevertheless and the kernel's verifier refuses.
#[inline(always)]
pub fn parse(frame: &(impl Frame + ?Sized), at: usize) -> Option<Ip> {
    let fixed: [u8; IPV4_HEADER] = frame.octets(at)?;
    if fixed[0] >> 4 != 4 {
        return None;
    }
    let own = (fixed[0] & 0x0f) as usize * 4;
    let header = match fixed[9] {
        PROTOCOL_VRRP => own,
        PROTOCOL_AH if frame.octets(at + own) == Some(AUTH_HEADER_FRONT) => own + AUTH_HEADER,
        _ => return None,
    };
    let total = u16::from_be_bytes([fixed[2], fixed[3]]) as usize;
    let fault = if own < IPV4_HEADER || total < header {
        Some(Reason::IpHeaderBad)
    } else if total - header < 8 {
        Some(Reason::Truncated)
    } else if at + total > frame.length() {
        Some(Reason::IpHeaderBad)
    } else if u16::from_be_bytes([fixed[6], fixed[7]]) & 0x3fff != 0 {
        // More fragments, or an offset.
        Some(Reason::IpFragment)
    } else {
        None
    };
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = fixed;
    Some(Ip {
        family: Family::V4,
        ttl: fixed[8],
        source: Address::v4([s0, s1, s2, s3]),
        destination: Address::v4([d0, d1, d2, d3]),
        start: at,
        has_auth_header: header != own,
        payload: at + header,
        length: total.saturating_sub(header),
        fault,
    })
}

/// The 20 octets of a header without options, of a datagram that is whole (RFC 6864: its identification means nothing).
pub fn ipv4_header(source: [u8; 4], destination: [u8; 4], ttl: u8, protocol: u8, payload: u16) -> [u8; IPV4_HEADER] {
    let [t0, t1] = (IPV4_HEADER as u16 + payload).to_be_bytes();
    let [s0, s1, s2, s3] = source;
    let [d0, d1, d2, d3] = destination;
    let mut header = [0x45, TOS_CS6, t0, t1, 0, 0, 0, 0, ttl, protocol, 0, 0, s0, s1, s2, s3, d0, d1, d2, d3];
    let [c0, c1] = Sum::default().octets(&header).checksum();
    (header[10], header[11]) = (c0, c1);
    header
}

#[cfg(test)]
mod tests {
    use super::super::ip::VRRP_GROUP4;
    use super::*;
    use std::vec::Vec;

    fn packet() -> Vec<u8> {
        let mut packet = ipv4_header([10, 0, 0, 1], VRRP_GROUP4, 255, PROTOCOL_VRRP, 12).to_vec();
        packet.resize(46, 0); // 12 octets of message, 14 of padding
        packet
    }

    #[test]
    fn padding_is_not_message() {
        let ip = parse(&packet()[..], 0).unwrap();
        assert_eq!((ip.payload, ip.length, ip.ttl, ip.source), (20, 12, 255, Address::v4([10, 0, 0, 1])));
        assert!(ip.is_to_group());
    }

    #[test]
    fn a_header_that_we_write_is_intact() {
        assert!(Sum::default().octets(&packet()[..20]).is_intact());
    }

    #[test]
    fn options_are_skipped() {
        let mut with_options = packet();
        with_options[0] = 0x46;
        let ip = parse(&with_options[..], 0).unwrap();
        assert_eq!((ip.payload, ip.length), (24, 8));
    }

    #[test]
    fn vrrp_is_found_behind_an_authentication_header() {
        let mut packet = ipv4_header([10, 0, 0, 1], VRRP_GROUP4, 255, PROTOCOL_AH, 24 + 12).to_vec();
        packet.extend([112, 4]);
        packet.resize(20 + 24 + 12, 0);
        let ip = parse(&packet[..], 0).unwrap();
        assert_eq!((ip.start, ip.payload, ip.length, ip.has_auth_header, ip.fault), (0, 44, 12, true, None));
        let changed = |at: usize, octet: u8| {
            let mut changed = packet.clone();
            changed[at] = octet;
            parse(&changed[..], 0)
        };
        assert_eq!(changed(20, 50), None, "something else is authenticated");
        assert_eq!(changed(21, 5), None, "by a longer digest");
        assert_eq!(changed(3, 20 + 23).unwrap().fault, Some(Reason::IpHeaderBad));
        assert_eq!(changed(3, 20 + 24 + 7).unwrap().fault, Some(Reason::Truncated));
        assert_eq!(parse(&packet[..21], 0), None);
    }

    #[test]
    fn lies_are_told_apart() {
        let changed = |at: usize, octet: u8| {
            let mut changed = packet();
            changed[at] = octet;
            parse(&changed[..], 0)
        };
        let change = |at, octet| changed(at, octet).unwrap().fault;
        assert_eq!(change(0, 0x44), Some(Reason::IpHeaderBad));
        assert_eq!(change(3, 19), Some(Reason::IpHeaderBad));
        assert_eq!(change(3, 27), Some(Reason::Truncated));
        assert_eq!(change(3, 47), Some(Reason::IpHeaderBad));
        assert_eq!(change(6, 0x20), Some(Reason::IpFragment));
        assert_eq!(change(7, 1), Some(Reason::IpFragment));
        assert_eq!(change(6, 0x40), None, "don't-fragment is no fragment");
        assert_eq!(changed(9, 89), None);
        assert_eq!(parse(&packet()[..19], 0), None);
    }
}
