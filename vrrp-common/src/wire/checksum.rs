//! The Internet checksum (RFC 1071) and the two forms in which VRRPv3 over IPv4 carries it.

use super::ip::PROTOCOL_VRRP;

/// What a VRRP checksum covers.
///
/// v2 covers the message. v3 over IPv4 covers the message alone by RFC 9568 section 5.2.8, and a pseudo header before
/// it in the deployed reading of RFC 5798; routers differ, so both are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ChecksumForm {
    /// The message alone.
    Message = 0,
    /// Pseudo header and message.
    PseudoHeader = 1,
}

/// A running one's complement sum, not folded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u32);

impl Sum {
    /// Adds one 16-bit word. 65,536 words fit before the sum could wrap.
    #[inline(always)]
    pub const fn word(self, high: u8, low: u8) -> Self {
        Self(self.0 + u16::from_be_bytes([high, low]) as u32)
    }

    /// Adds octets; an odd last one is padded with zero.
    pub fn octets(self, octets: &[u8]) -> Self {
        octets.chunks(2).fold(self, |sum, pair| sum.word(pair[0], pair.get(1).copied().unwrap_or(0)))
    }

    /// Adds the IPv4 pseudo header (RFC 793's: addresses, protocol, length).
    #[inline(always)]
    pub const fn pseudo_header4(self, source: [u8; 4], destination: [u8; 4], length: u16) -> Self {
        let [l0, l1] = length.to_be_bytes();
        self.word(source[0], source[1])
            .word(source[2], source[3])
            .word(destination[0], destination[1])
            .word(destination[2], destination[3])
            .word(0, PROTOCOL_VRRP)
            .word(l0, l1)
    }

    /// The sum in 16 bits.
    #[inline(always)]
    pub const fn fold(self) -> u16 {
        let once = (self.0 & 0xffff) + (self.0 >> 16);
        ((once & 0xffff) + (once >> 16)) as u16
    }

    /// Whether data that contains its checksum is intact.
    #[inline(always)]
    pub const fn is_intact(self) -> bool {
        self.fold() == 0xffff
    }

    /// The checksum of data whose checksum field is zero.
    pub const fn checksum(self) -> [u8; 2] {
        (!self.fold()).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_1071_example() {
        let sum = Sum::default().octets(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.fold(), 0xddf2);
        assert_eq!(sum.checksum(), [0x22, 0x0d]);
    }

    #[test]
    fn a_message_with_its_checksum_is_intact() {
        let mut message = [0x31, 51, 100, 1, 0, 100, 0, 0, 10, 0, 0, 9];
        let pseudo = |sum: Sum| sum.pseudo_header4([10, 0, 0, 1], [224, 0, 0, 18], 12);
        let checksum = pseudo(Sum::default()).octets(&message).checksum();
        message[6..8].copy_from_slice(&checksum);
        assert!(pseudo(Sum::default().octets(&message)).is_intact());
        assert!(!Sum::default().octets(&message).is_intact());
    }
}
