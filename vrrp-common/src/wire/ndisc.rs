//! The unsolicited neighbour advertisement that moves an IPv6 address to us (RFC 9568 section 6.4.2; RFC 4861 section 4.4).

use super::checksum::Sum;
use super::ethernet::ETHERTYPE_IPV6;
use super::ip6::{IPV6_HEADER, ipv6_header};
use crate::address::Address;

/// Octets of the frame.
pub const UNSOLICITED_LENGTH: usize = MESSAGE + 32;

const MESSAGE: usize = 14 + IPV6_HEADER;
const PROTOCOL_ICMPV6: u8 = 58;
/// ff02::1, all nodes.
const ALL_NODES: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// From a router, not solicited, overrides what its hearers knew.
const ROUTER_OVERRIDE: u8 = 0x80 | 0x20;
/// Target link-layer address; one unit of eight octets.
const TARGET_LINK_LAYER_ADDRESS: [u8; 2] = [2, 1];

/// Tells all nodes that `address` is at `mac`, from that address itself.
pub fn unsolicited(mac: [u8; 6], address: [u8; 16]) -> [u8; UNSOLICITED_LENGTH] {
    let mut frame = [0; UNSOLICITED_LENGTH];
    frame[..6].copy_from_slice(&ALL_NODES_MAC);
    frame[6..12].copy_from_slice(&mac);
    frame[12..14].copy_from_slice(&ETHERTYPE_IPV6.to_be_bytes());
    let length = (UNSOLICITED_LENGTH - MESSAGE) as u16;
    frame[14..MESSAGE].copy_from_slice(&ipv6_header(address, ALL_NODES, 255, PROTOCOL_ICMPV6, length));
    let message = &mut frame[MESSAGE..];
    message[0] = NEIGHBOUR_ADVERTISEMENT;
    message[4] = ROUTER_OVERRIDE;
    message[8..24].copy_from_slice(&address);
    message[24..26].copy_from_slice(&TARGET_LINK_LAYER_ADDRESS);
    message[26..].copy_from_slice(&mac);
    let (from, to) = (Address::v6(address), Address::v6(ALL_NODES));
    let checksum = Sum::default().octets(message).pseudo_header(from, to, PROTOCOL_ICMPV6, length).checksum();
    message[2..4].copy_from_slice(&checksum);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NA-01, octet by octet.
    #[test]
    fn all_nodes_are_told() {
        let address = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];
        let frame = unsolicited([0, 0, 0x5e, 0, 2, 51], address);
        assert_eq!(frame[..14], [0x33, 0x33, 0, 0, 0, 1, 0, 0, 0x5e, 0, 2, 51, 0x86, 0xdd]);
        assert_eq!(frame[14..22], [0x6c, 0, 0, 0, 0, 32, 58, 255]);
        assert_eq!(frame[22..38], address);
        assert_eq!(frame[38..54], [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(frame[54..62], [136, 0, 0x18, 0xfa, 0xa0, 0, 0, 0]);
        assert_eq!(frame[62..78], address);
        assert_eq!(frame[78..], [2, 1, 0, 0, 0x5e, 0, 2, 51]);
    }
}
