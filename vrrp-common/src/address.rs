//! An IP address of either family in one place of fixed size, as maps and ring carry it.

use core::fmt;
use core::net::IpAddr;

use bytemuck::{Pod, Zeroable};

use crate::ids::Family;

/// Sixteen octets; of an IPv4 address the first four, and zeros. All zero is no address.
///
/// Two words, so that the compiler for the kernel, which takes what is not aligned octet by octet, compares and copies
/// them as such. Their order is no order of addresses.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(transparent)]
pub struct Address([u64; 2]);

impl Address {
    pub const NONE: Self = Self([0; 2]);

    #[inline(always)]
    pub const fn v4(octets: [u8; 4]) -> Self {
        let [a, b, c, d] = octets;
        Self([u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0]), 0])
    }

    #[inline(always)]
    pub const fn v6(octets: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = octets;
        Self([u64::from_ne_bytes([a, b, c, d, e, f, g, h]), u64::from_ne_bytes([i, j, k, l, m, n, o, p])])
    }

    #[inline(always)]
    pub const fn octets(self) -> [u8; 16] {
        let ([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]) = (self.0[0].to_ne_bytes(), self.0[1].to_ne_bytes());
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }

    /// The four groups of four octets, as numbers.
    #[inline(always)]
    pub const fn words(self) -> [u32; 4] {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = self.octets();
        [
            u32::from_be_bytes([a, b, c, d]),
            u32::from_be_bytes([e, f, g, h]),
            u32::from_be_bytes([i, j, k, l]),
            u32::from_be_bytes([m, n, o, p]),
        ]
    }

    pub fn ip(self, family: Family) -> IpAddr {
        let octets = self.octets();
        match family {
            Family::V4 => IpAddr::from([octets[0], octets[1], octets[2], octets[3]]),
            Family::V6 => IpAddr::from(octets),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::v4(address.octets()),
            IpAddr::V6(address) => Self::v6(address.octets()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?}", self.octets())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_in_the_order_of_the_wire() {
        let v4 = Address::from(IpAddr::from([192, 0, 2, 1]));
        assert_eq!(bytemuck::bytes_of(&v4), [192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(v4.words(), [0xc000_0201, 0, 0, 0]);
        assert_eq!(v4.ip(Family::V4), IpAddr::from([192, 0, 2, 1]));
        let octets = core::array::from_fn(|index| index as u8);
        let v6 = Address::from(IpAddr::from(octets));
        assert_eq!((v6.octets(), bytemuck::bytes_of(&v6)), (octets, &octets[..]));
        assert_eq!(v6.words()[3], 0x0c0d_0e0f);
        assert_eq!(v6.ip(Family::V6), IpAddr::from(octets));
    }
}
