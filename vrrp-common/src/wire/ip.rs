//! The IP header before an advert, of either family: what the judgement needs to know of it.

use crate::address::Address;
use crate::drop::Reason;
use crate::ids::Family;

pub const PROTOCOL_VRRP: u8 = 112;
/// The authentication header of RFC 2402.
pub const PROTOCOL_AH: u8 = 51;
/// 224.0.0.18 (RFC 9568 section 5.1.1.2).
pub const VRRP_GROUP4: [u8; 4] = [224, 0, 0, 18];
/// ff02::12 (RFC 9568 section 5.1.2.2).
pub const VRRP_GROUP6: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12];
/// CS6, "network control", what routers mark their protocols with: IPv4's type of service, IPv6's traffic class.
pub const TOS_CS6: u8 = 0xc0;

const LOOPBACK6: Address = Address::v6([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

/// The group that routers of a family send adverts to.
#[inline(always)]
pub const fn vrrp_group(family: Family) -> Address {
    match family {
        Family::V4 => Address::v4(VRRP_GROUP4),
        Family::V6 => Address::v6(VRRP_GROUP6),
    }
}

/// An IP header that carries VRRP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    pub family: Family,
    /// TTL or hop limit.
    pub ttl: u8,
    pub source: Address,
    pub destination: Address,
    /// Where the header itself starts.
    pub start: usize,
    /// An authentication header is between it and the message.
    pub has_auth_header: bool,
    /// Where the message starts, and its length by the IP header: pad octets of the frame are not part of it.
    pub payload: usize,
    pub length: usize,
    /// Why the message cannot be read there.
    pub fault: Option<Reason>,
}

impl Ip {
    /// Whether it came to the group of its family.
    #[inline(always)]
    pub fn is_to_group(&self) -> bool {
        self.destination == vrrp_group(self.family)
    }

    #[inline(always)]
    pub const fn is_unicast(&self) -> bool {
        let first = self.destination.octets()[0];
        match self.family {
            Family::V4 => first < 224,
            Family::V6 => first != 0xff,
        }
    }

    /// The Ethernet address of the group it came to.
    #[inline(always)]
    pub const fn group_mac(&self) -> [u8; 6] {
        multicast_mac(self.destination, self.family)
    }

    /// Whether a router can have its source address. What is sent to a group over IPv6 comes from a link-local one
    /// (RFC 9568 section 5.1.2.1).
    #[inline(always)]
    pub fn has_plausible_source(&self) -> bool {
        let from = self.source.octets();
        match self.family {
            Family::V4 => from[0] != 0 && from[0] != 127 && from[0] < 224,
            Family::V6 if self.is_unicast() => {
                from[0] != 0xff && self.source != Address::NONE && self.source != LOOPBACK6
            }
            Family::V6 => is_link_local6([from[0], from[1]]),
        }
    }
}

/// The Ethernet address of a multicast group (RFC 1112 section 6.4, RFC 2464 section 7).
#[inline(always)]
pub const fn multicast_mac(group: Address, family: Family) -> [u8; 6] {
    let to = group.octets();
    match family {
        Family::V4 => [0x01, 0x00, 0x5e, to[1] & 0x7f, to[2], to[3]],
        Family::V6 => [0x33, 0x33, to[12], to[13], to[14], to[15]],
    }
}

/// Whether an IPv6 address that begins so is link-local: fe80::/10.
#[inline(always)]
pub const fn is_link_local6(first: [u8; 2]) -> bool {
    first[0] == 0xfe && first[1] & 0xc0 == 0x80
}
