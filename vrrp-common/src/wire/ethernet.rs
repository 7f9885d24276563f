//! Ethernet, with up to two VLAN tags (802.1Q inside 802.1ad).

use super::Frame;
use crate::ids::Family;

pub const ETHERTYPE_IPV4: u16 = 0x0800;
pub const ETHERTYPE_ARP: u16 = 0x0806;
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Octets of a header without tags.
pub const HEADER: usize = 14;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_QINQ: u16 = 0x88a8;

/// The Ethernet address of 224.0.0.18 (RFC 1112 section 6.4).
pub const VRRP_GROUP4_MAC: [u8; 6] = [0x01, 0x00, 0x5e, 0x00, 0x00, 0x12];
/// The Ethernet address of ff02::12 (RFC 2464 section 7).
pub const VRRP_GROUP6_MAC: [u8; 6] = [0x33, 0x33, 0x00, 0x00, 0x00, 0x12];
pub const BROADCAST_MAC: [u8; 6] = [0xff; 6];

/// What the link layer says of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// `None` where the link layer is not seen (a raw IP socket).
    pub destination: Option<[u8; 6]>,
    /// Innermost VLAN id, 0 when untagged.
    pub vlan: u16,
    pub ethertype: u16,
    /// Where the payload starts.
    pub payload: usize,
}

impl Link {
    /// `None` when the frame ends inside its header.
    #[inline(always)]
    pub fn parse(frame: &(impl Frame + ?Sized)) -> Option<Self> {
        let destination = frame.octets::<6>(0)?;
        let outer = ethertype(frame, 12)?;
        let (vlan, ethertype, payload) = match outer {
            ETHERTYPE_VLAN | ETHERTYPE_QINQ => {
                let inner = self::ethertype(frame, 16)?;
                match inner {
                    ETHERTYPE_VLAN => (tag(frame, 18)?, self::ethertype(frame, 20)?, 22),
                    _ => (tag(frame, 14)?, inner, 18),
                }
            }
            _ => (0, outer, 14),
        };
        Some(Self { destination: Some(destination), vlan, ethertype, payload })
    }

    /// What a raw socket reads has no link layer.
    pub const fn none(family: Family) -> Self {
        let ethertype = match family {
            Family::V4 => ETHERTYPE_IPV4,
            Family::V6 => ETHERTYPE_IPV6,
        };
        Self { destination: None, vlan: 0, ethertype, payload: 0 }
    }
}

#[inline(always)]
fn ethertype(frame: &(impl Frame + ?Sized), at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(frame.octets(at)?))
}

/// The VLAN id of a tag: 12 bits; the rest is priority.
#[inline(always)]
fn tag(frame: &(impl Frame + ?Sized), at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(frame.octets(at)?) & 0x0fff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(tags: &[u8], ethertype: [u8; 2]) -> Option<Link> {
        let mut frame = [0u8; 32];
        frame[12..12 + tags.len()].copy_from_slice(tags);
        frame[12 + tags.len()..14 + tags.len()].copy_from_slice(&ethertype);
        Link::parse(&frame[..])
    }

    #[test]
    fn tags_are_peeled() {
        let v4 = [0x08, 0x00];
        let seen = |tags: &[u8]| parse(tags, v4).map(|link| (link.vlan, link.ethertype, link.payload));
        assert_eq!(seen(&[]), Some((0, 0x0800, 14)));
        assert_eq!(seen(&[0x81, 0x00, 0x60, 0x0a]), Some((10, 0x0800, 18)));
        assert_eq!(seen(&[0x88, 0xa8, 0x00, 0x05, 0x81, 0x00, 0x0f, 0xff]), Some((4095, 0x0800, 22)));
        assert_eq!(Link::parse(&[0u8; 13][..]), None);
    }
}
