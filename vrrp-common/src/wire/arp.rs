//! The gratuitous ARP that moves an address to us (RFC 9568 section 6.4.2, errata 7947 and 7949; RFC 5227 section 3).

use super::ethernet::{BROADCAST_MAC, ETHERTYPE_ARP};

/// Octets of the frame, without padding.
pub const GARP_LENGTH: usize = 42;

/// A broadcast ARP request for `address` from `mac`, sender and target address the same.
pub fn gratuitous(mac: [u8; 6], address: [u8; 4]) -> [u8; GARP_LENGTH] {
    let mut frame = [0; GARP_LENGTH];
    frame[..6].copy_from_slice(&BROADCAST_MAC);
    frame[6..12].copy_from_slice(&mac);
    frame[12..14].copy_from_slice(&ETHERTYPE_ARP.to_be_bytes());
    // Ethernet, IPv4, address lengths 6 and 4, operation 1 (request).
    frame[14..22].copy_from_slice(&[0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame[22..28].copy_from_slice(&mac);
    frame[28..32].copy_from_slice(&address);
    frame[32..38].copy_from_slice(&BROADCAST_MAC);
    frame[38..42].copy_from_slice(&address);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sender_and_target_are_the_address() {
        let frame = gratuitous([2, 0, 0, 0, 0, 7], [192, 168, 1, 100]);
        assert_eq!(frame[28..32], [192, 168, 1, 100]);
        assert_eq!(frame[38..42], [192, 168, 1, 100]);
        assert_eq!(frame[6..12], frame[22..28]);
    }
}
