//! The Internet checksum (RFC 1071) and the two forms in which VRRPv3 over IPv4 carries it.

use crate::address::Address;

/// What a VRRP checksum covers.
///
/// v2 covers the message, v3 over IPv6 a pseudo header before it, too. v3 over IPv4 covers the message alone by RFC 9568
/// section 5.2.8, and a pseudo header in the deployed reading of RFC 5798; routers differ, so both are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ChecksumForm {
    /// The message alone.
    Message = 0,
    /// Pseudo header and message; what keepalived and FRR send unless told otherwise.
    PseudoHeader = 1,
}

impl ChecksumForm {
    /// The form with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Message),
            1 => Some(Self::PseudoHeader),
            _ => None,
        }
    }

    /// The name in JSON: the RFC that has it over IPv4.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Message => "rfc9568",
            Self::PseudoHeader => "rfc5798",
        }
    }
}

/// A running one's complement sum, not folded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// A sum of 16-bit words taken as this machine has them, not folded: the same with its octets the other way round
    /// (RFC 1071 section 2).
    #[inline(always)]
    pub const fn of_machine_words(sum: u32) -> Self {
        Self(u16::from_be(Self(sum as u64).fold()) as u64)
    }

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

    /// Adds the pseudo header: addresses, protocol, length of what is behind it. IPv4 (RFC 793) and IPv6 (RFC 8200
    /// section 8.1) place the last two differently, which comes to the same; so do the zeros behind an IPv4 address.
    #[inline(always)]
    pub const fn pseudo_header(self, source: Address, destination: Address, protocol: u8, length: u16) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (source.words(), destination.words());
        let addresses = a as u64 + b as u64 + c as u64 + d as u64 + e as u64 + f as u64 + g as u64 + h as u64;
        Self(self.0 + addresses + protocol as u64 + length as u64)
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
    fn a_machine_may_sum_in_its_own_order() {
        let octets: [u8; 64] = core::array::from_fn(|index| (index * 37) as u8);
        let words = octets.as_chunks::<2>().0.iter().map(|word| u32::from(u16::from_ne_bytes(*word)));
        assert_eq!(Sum::of_machine_words(words.sum()).fold(), Sum::default().octets(&octets).fold());
    }

    #[test]
    fn a_message_with_its_checksum_is_intact() {
        let mut message = [0x31, 51, 100, 1, 0, 100, 0, 0, 10, 0, 0, 9];
        let pseudo = |sum: Sum| sum.pseudo_header(Address::v4([10, 0, 0, 1]), Address::v4([224, 0, 0, 18]), 112, 12);
        let checksum = pseudo(Sum::default()).octets(&message).checksum();
        message[6..8].copy_from_slice(&checksum);
        assert!(pseudo(Sum::default().octets(&message)).is_intact());
        assert!(!Sum::default().octets(&message).is_intact());
    }

    #[test]
    fn pseudo_headers_octet_by_octet() {
        let summed = |source, destination, octets: &[u8]| {
            let written = Sum::default().octets(octets);
            assert_eq!(Sum::default().pseudo_header(source, destination, 112, 300).fold(), written.fold());
        };
        let (from, to) = ([192, 0, 2, 7], [224, 0, 0, 18]);
        summed(Address::v4(from), Address::v4(to), &[&from[..], &to, &[0, 112, 1, 44]].concat());
        let from = core::array::from_fn(|index| 0xf0 + index as u8);
        let to = core::array::from_fn(|index| index as u8);
        summed(Address::v6(from), Address::v6(to), &[&from[..], &to, &[0, 0, 1, 44], &[0, 0, 0, 112]].concat());
    }
}
