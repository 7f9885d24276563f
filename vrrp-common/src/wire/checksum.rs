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
pub struct Sum(u64);

impl Sum {
    /// Adds two 16-bit words at once, which comes to the same (RFC 1071 section 2). Billions fit before it could wrap.
    #[inline(always)]
    pub const fn words(self, octets: [u8; 4]) -> Self {
        Self(self.0 + u32::from_be_bytes(octets) as u64)
    }

    /// Adds octets; what is missing of the last word is zero.
    pub fn octets(self, octets: &[u8]) -> Self {
        let (words, rest) = octets.as_chunks::<4>();
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        words.iter().chain([&last]).fold(self, |sum, words| sum.words(*words))
    }

    /// Adds the IPv4 pseudo header (RFC 793's: addresses, protocol, length).
    #[inline(always)]
    pub const fn pseudo_header4(self, source: [u8; 4], destination: [u8; 4], length: u16) -> Self {
        let [l0, l1] = length.to_be_bytes();
        self.words(source).words(destination).words([0, PROTOCOL_VRRP, l0, l1])
    }

    /// The sum in 16 bits.
    #[inline(always)]
    pub const fn fold(self) -> u16 {
        let sum = (self.0 & 0xffff_ffff) + (self.0 >> 32);
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        ((sum & 0xffff) + (sum >> 16)) as u16
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
        for cut in 0..8 {
            let octets = [0xff, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
            let mut padded = octets;
            padded[cut..].fill(0);
            assert_eq!(Sum::default().octets(&octets[..cut]).fold(), Sum::default().octets(&padded).fold());
        }
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
