//! IPv6, as far as an advert needs it: no extension header may stand before one.

use super::Frame;
use super::ip::{Ip, PROTOCOL_AH, PROTOCOL_VRRP, TOS_CS6};
use crate::address::Address;
use crate::drop::Reason;
use crate::ids::Family;

/// Octets of the header that every packet has.
pub const IPV6_HEADER: usize = 40;

/// Extension headers that are looked behind: more than any sender has a use for. What is behind more is not seen here,
/// and refused where its sender's headers are told (a raw socket's ancillary data).
const EXTENSIONS_MAX: usize = 4;
/// Hop-by-hop options, routing, fragment, destination options.
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

/// Reads the header at `at`; `None` when it is another protocol or the frame ends inside it.
#[inline(always)]
pub fn parse(frame: &(impl Frame + ?Sized), at: usize) -> Option<Ip> {
    let [version, _, _, _, l0, l1, next, ttl] = frame.octets(at)?;
    if version >> 4 != 6 {
        return None;
    }
    let length = u16::from_be_bytes([l0, l1]) as usize;
    let payload = at + IPV6_HEADER;
    let fault = if next != PROTOCOL_VRRP {
        Some(behind_extensions(frame, next, payload)?)
    } else if length < 8 {
        Some(Reason::Truncated)
    } else if payload + length > frame.length() {
        Some(Reason::IpHeaderBad)
    } else {
        None
    };
    Some(Ip {
        family: Family::V6,
        ttl,
        source: Address::v6(frame.octets(at + 8)?),
        destination: Address::v6(frame.octets(at + 24)?),
        start: at,
        has_auth_header: false,
        payload,
        length,
        fault,
    })
}

/// How VRRP is hidden behind extension headers, of which the first is `next` at `at`; `None` when there is none.
#[inline(always)]
fn behind_extensions(frame: &(impl Frame + ?Sized), mut next: u8, mut at: usize) -> Option<Reason> {
    let mut found = Reason::Ip6ExtHeader;
    for _ in 0..EXTENSIONS_MAX {
        let [following, length] = frame.octets(at)?;
        at += match next {
            HOP_BY_HOP | ROUTING | DESTINATION => 8 * (length as usize + 1),
            PROTOCOL_AH => 4 * (length as usize + 2),
            FRAGMENT => {
                found = Reason::IpFragment;
                8
            }
            _ => return None,
        };
        if following == PROTOCOL_VRRP {
            return Some(found);
        }
        next = following;
    }
    None
}

/// What a raw IPv6 socket tells of a message that it delivers without its header.
pub const fn received(source: [u8; 16], destination: [u8; 16], hop_limit: u8, length: usize) -> Ip {
    Ip {
        family: Family::V6,
        ttl: hop_limit,
        source: Address::v6(source),
        destination: Address::v6(destination),
        start: 0,
        has_auth_header: false,
        payload: 0,
        length,
        fault: if length < 8 { Some(Reason::Truncated) } else { None },
    }
}

/// The 40 octets of the header before a `payload` of so many octets.
pub fn ipv6_header(
    source: [u8; 16],
    destination: [u8; 16],
    hop_limit: u8,
    next: u8,
    payload: u16,
) -> [u8; IPV6_HEADER] {
    let mut header = [0; IPV6_HEADER];
    // Version 6, then the eight bits of the traffic class.
    header[..2].copy_from_slice(&[0x60 | TOS_CS6 >> 4, TOS_CS6 << 4]);
    header[4..6].copy_from_slice(&payload.to_be_bytes());
    header[6..8].copy_from_slice(&[next, hop_limit]);
    header[8..24].copy_from_slice(&source);
    header[24..].copy_from_slice(&destination);
    header
}

#[cfg(test)]
mod tests {
    use super::super::ip::VRRP_GROUP6;
    use super::*;
    use std::vec::Vec;

    const SOURCE: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

    fn packet(next: u8, payload: &[u8]) -> Vec<u8> {
        [&ipv6_header(SOURCE, VRRP_GROUP6, 255, next, payload.len() as u16), payload].concat()
    }

    #[test]
    fn the_header_is_read_as_it_is_written() {
        let mut padded = packet(PROTOCOL_VRRP, &[0; 24]);
        assert_eq!(padded[..8], [0x6c, 0, 0, 0, 0, 24, 112, 255]);
        padded.resize(100, 0);
        let ip = parse(&padded[..], 0).unwrap();
        assert_eq!(ip, Ip { payload: 40, ..received(SOURCE, VRRP_GROUP6, 255, 24) });
        assert_eq!(ip.fault, None);
        assert!(ip.is_to_group() && ip.has_plausible_source());
    }

    #[test]
    fn lies_are_told_apart() {
        let changed = |at: usize, octet: u8| {
            let mut changed = packet(PROTOCOL_VRRP, &[0; 24]);
            changed[at] = octet;
            parse(&changed[..], 0)
        };
        assert_eq!(changed(5, 7).unwrap().fault, Some(Reason::Truncated));
        assert_eq!(changed(5, 25).unwrap().fault, Some(Reason::IpHeaderBad));
        assert_eq!(changed(0, 0x4c), None);
        assert_eq!(changed(6, 58), None);
        assert_eq!(parse(&packet(PROTOCOL_VRRP, &[])[..39], 0), None);
        assert_eq!(received(SOURCE, VRRP_GROUP6, 255, 7).fault, Some(Reason::Truncated));
    }

    #[test]
    fn extension_headers_hide_nothing() {
        let fault = |next, payload: &[u8]| parse(&packet(next, payload)[..], 0).map(|ip| ip.fault);
        let options = |following: u8| [following, 0, 0, 0, 0, 0, 0, 0];
        for next in [0, 43, 60] {
            assert_eq!(fault(next, &options(112)), Some(Some(Reason::Ip6ExtHeader)));
        }
        assert_eq!(fault(51, &[112, 4]), Some(Some(Reason::Ip6ExtHeader)));
        assert_eq!(fault(44, &options(112)), Some(Some(Reason::IpFragment)));
        assert_eq!(fault(0, &[options(60), options(44), options(112)].concat()), Some(Some(Reason::IpFragment)));
        // Longer than eight octets, and of each its own unit.
        let long = [&[51, 1][..], &[0; 14], &[60, 4], &[0; 22], &options(112)].concat();
        assert_eq!(fault(0, &long), Some(Some(Reason::Ip6ExtHeader)));
        // Multicast listener reports: no VRRP.
        assert_eq!(fault(0, &options(58)), None);
        assert_eq!(fault(0, &[options(0), options(0), options(0), options(0), options(112)].concat()), None);
        assert_eq!(fault(0, &[112]), None);
    }
}
