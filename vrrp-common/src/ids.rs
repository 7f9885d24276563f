//! The protocol's identifiers as types, so that a VRID cannot stand where a priority belongs.

use core::fmt;
use core::net::IpAddr;
use core::num::NonZeroU8;

/// Virtual Router Identifier, 1 to 255 (RFC 9568 section 5.2.3); unique per interface and address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vrid(NonZeroU8);

impl Vrid {
    /// `None` for 0, which is not a VRID.
    pub const fn new(id: u8) -> Option<Self> {
        match NonZeroU8::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Priority of a router that serves, 1 to 255 (RFC 9568 section 5.2.4). 0 is no priority: see [`Claim::Leaving`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(NonZeroU8);

impl Priority {
    /// The router whose own address the virtual address is.
    pub const OWNER: Self = Self(NonZeroU8::MAX);
    /// keepalived's and the RFC's default, 100.
    pub const DEFAULT: Self = match Self::new(100) {
        Some(default) => default,
        None => unreachable!(),
    };

    /// `None` for 0.
    pub const fn new(priority: u8) -> Option<Self> {
        match NonZeroU8::new(priority) {
            Some(priority) => Some(Self(priority)),
            None => None,
        }
    }

    pub const fn get(self) -> u8 {
        self.0.get()
    }

    pub const fn is_owner(self) -> bool {
        self.get() == u8::MAX
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an advert says of its sender: the priority octet, with 0 told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Priority 0: the master stops serving (RFC 9568 section 5.2.4).
    Leaving,
    Serving(Priority),
}

impl Claim {
    pub const fn from_octet(octet: u8) -> Self {
        match Priority::new(octet) {
            Some(priority) => Self::Serving(priority),
            None => Self::Leaving,
        }
    }

    pub const fn octet(self) -> u8 {
        match self {
            Self::Leaving => 0,
            Self::Serving(priority) => priority.get(),
        }
    }
}

/// Address family of a virtual router. The two VRID spaces are independent (RFC 9568 section 5.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Family {
    V4 = 4,
    V6 = 6,
}

impl Family {
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Octets of an address.
    pub const fn octets(self) -> usize {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }
}

/// Protocol version: 2 is RFC 3768, 3 is RFC 9568 (and 5798).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Version {
    V2 = 2,
    V3 = 3,
}

impl Version {
    pub const fn new(nibble: u8) -> Option<Self> {
        match nibble {
            2 => Some(Self::V2),
            3 => Some(Self::V3),
            _ => None,
        }
    }
}

/// The kernel's interface index (`ifi_index`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfIndex(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_neither_vrid_nor_priority() {
        assert_eq!(Vrid::new(0), None);
        assert_eq!(Priority::new(0), None);
        assert_eq!(Claim::from_octet(0), Claim::Leaving);
    }

    #[test]
    fn claim_keeps_its_octet() {
        for octet in 0..=255 {
            assert_eq!(Claim::from_octet(octet).octet(), octet);
        }
    }
}
