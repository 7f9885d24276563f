//! The ADVERTISEMENT of VRRPv2 (RFC 3768 section 5.3) and VRRPv3 (RFC 9568 section 5.2), over both families.

use super::checksum::{ChecksumForm, Sum};
use super::ip::PROTOCOL_VRRP;
use crate::address::Address;
use crate::ids::{Claim, Family, Version, Vrid};
use crate::time::Centis;

/// ADVERTISEMENT, the only type.
pub const TYPE_ADVERTISEMENT: u8 = 1;
/// Octets before the addresses.
pub const HEADER: usize = 8;
/// Octets of v2's authentication data, always there.
pub const AUTH_DATA: usize = 8;
/// Octets of keepalived's HMAC trailer, behind all else (draft-cassen-vrrp-auth-hmac).
pub const HMAC_TRAILER: usize = 28;
/// Addresses that the count octet can name.
pub const ADDRESSES_MAX: usize = 255;
/// Octets of the longest message: over IPv6, with a trailer.
pub const MESSAGE_MAX: usize = HEADER + 16 * ADDRESSES_MAX + HMAC_TRAILER;

/// The first eight octets, as they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header(pub [u8; HEADER]);

impl Header {
    pub const fn version_nibble(self) -> u8 {
        self.0[0] >> 4
    }

    pub const fn type_nibble(self) -> u8 {
        self.0[0] & 0x0f
    }

    pub const fn vrid(self) -> u8 {
        self.0[1]
    }

    pub const fn claim(self) -> Claim {
        Claim::from_octet(self.0[2])
    }

    pub const fn address_count(self) -> u8 {
        self.0[3]
    }

    /// v2 Auth Type.
    pub const fn auth_type(self) -> u8 {
        self.0[4]
    }

    /// The advertised interval in centiseconds, as the version writes it; 0 is possible. v3's four reserved bits are
    /// ignored (RFC 9568 section 5.2.6).
    pub const fn interval(self, version: Version) -> u16 {
        match version {
            Version::V2 => self.0[5] as u16 * 100,
            Version::V3 => u16::from_be_bytes([self.0[4] & 0x0f, self.0[5]]),
        }
    }

    /// Octets that a message of this version, family and address count must have.
    pub const fn length(self, version: Version, family: Family) -> usize {
        let trailer = match version {
            Version::V2 => AUTH_DATA,
            Version::V3 => 0,
        };
        HEADER + family.octets() * self.address_count() as usize + trailer
    }
}

/// An advert that [`classify`](crate::classify::classify) let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advert<'a> {
    pub version: Version,
    pub vrid: Vrid,
    pub claim: Claim,
    pub interval: Centis,
    /// The virtual addresses, four or sixteen octets each.
    pub addresses: &'a [u8],
}

impl<'a> Advert<'a> {
    /// Reads a message that was judged valid; `None` when it was not.
    pub fn parse(message: &'a [u8], family: Family) -> Option<Self> {
        let header = Header(*message.first_chunk()?);
        let version = Version::new(header.version_nibble())?;
        Some(Self {
            version,
            vrid: Vrid::new(header.vrid())?,
            claim: header.claim(),
            interval: Centis::new(header.interval(version))?,
            addresses: message.get(HEADER..HEADER + family.octets() * header.address_count() as usize)?,
        })
    }
}

/// What it takes to write an advert.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    pub version: Version,
    pub family: Family,
    pub vrid: Vrid,
    pub claim: Claim,
    /// v2 writes whole seconds, at least 1.
    pub interval: Centis,
    /// Virtual addresses in configured order, four or sixteen octets each, at most [`ADDRESSES_MAX`]; more are left out.
    pub addresses: &'a [u8],
    /// v2: Auth Type and data; `None` writes type 0 and zeros.
    pub authentication: Option<(u8, [u8; AUTH_DATA])>,
    /// Of v3 over IPv4; all else has one form only.
    pub checksum_form: ChecksumForm,
    /// For the pseudo header.
    pub source: Address,
    pub destination: Address,
}

impl Outgoing<'_> {
    /// Writes the message to the front of `into` and returns its length.
    pub fn write(&self, into: &mut [u8; MESSAGE_MAX]) -> usize {
        let each = self.family.octets();
        let count = (self.addresses.len() / each).min(ADDRESSES_MAX);
        let addresses = &self.addresses[..each * count];
        let (kind, data) = self.authentication.unwrap_or_default();
        let [i0, i1] = match self.version {
            Version::V2 => [kind, self.interval.seconds()],
            Version::V3 => (self.interval.get() & 0x0fff).to_be_bytes(),
        };
        let first = (self.version as u8) << 4 | TYPE_ADVERTISEMENT;
        into[..HEADER].copy_from_slice(&[first, self.vrid.get(), self.claim.octet(), count as u8, i0, i1, 0, 0]);
        let trailer = HEADER + addresses.len();
        into[HEADER..trailer].copy_from_slice(addresses);
        let length = match self.version {
            Version::V2 => {
                into[trailer..trailer + AUTH_DATA].copy_from_slice(&data);
                trailer + AUTH_DATA
            }
            Version::V3 => trailer,
        };
        let mut sum = Sum::default().octets(&into[..length]);
        let form = match (self.version, self.family) {
            (Version::V2, _) => ChecksumForm::Message,
            (Version::V3, Family::V4) => self.checksum_form,
            (Version::V3, Family::V6) => ChecksumForm::PseudoHeader,
        };
        if form == ChecksumForm::PseudoHeader {
            sum = sum.pseudo_header(self.source, self.destination, PROTOCOL_VRRP, length as u16);
        }
        into[6..8].copy_from_slice(&sum.checksum());
        length
    }
}

#[cfg(test)]
mod tests {
    use super::super::ip::vrrp_group;
    use super::*;
    use std::vec::Vec;

    const SOURCE: Address = Address::v4([192, 168, 1, 2]);
    const GROUP: Address = vrrp_group(Family::V4);

    fn outgoing(version: Version, addresses: &[u8]) -> Outgoing<'_> {
        Outgoing {
            version,
            family: Family::V4,
            vrid: Vrid::new(51).unwrap(),
            claim: Claim::from_octet(150),
            interval: Centis::SECOND,
            addresses,
            authentication: None,
            checksum_form: ChecksumForm::PseudoHeader,
            source: SOURCE,
            destination: GROUP,
        }
    }

    fn written(outgoing: Outgoing) -> Vec<u8> {
        let mut message = [0; MESSAGE_MAX];
        let length = outgoing.write(&mut message);
        message[..length].to_vec()
    }

    #[test]
    fn v2_with_password_octet_by_octet() {
        let advert = Outgoing { authentication: Some((1, *b"secret12")), ..outgoing(Version::V2, &[192, 168, 1, 100]) };
        let message = written(advert);
        assert_eq!(message[..6], [0x21, 51, 150, 1, 1, 1]);
        assert_eq!(message[8..], *b"\xc0\xa8\x01\x64secret12");
        assert!(Sum::default().octets(&message).is_intact());
    }

    #[test]
    fn v3_octet_by_octet() {
        let advert = Outgoing { interval: Centis::new(0x123).unwrap(), ..outgoing(Version::V3, &[10, 0, 0, 9]) };
        let message = written(advert);
        assert_eq!(message[..6], [0x31, 51, 150, 1, 0x01, 0x23]);
        assert_eq!(message[8..], [10, 0, 0, 9]);
        let sum = Sum::default().octets(&message);
        assert!(sum.pseudo_header(SOURCE, GROUP, 112, 12).is_intact());
        let alone = written(Outgoing { checksum_form: ChecksumForm::Message, ..advert });
        assert!(Sum::default().octets(&alone).is_intact());
    }

    #[test]
    fn v3_over_ipv6_octet_by_octet() {
        let (router, first) = (
            [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
            [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9],
        );
        let (source, destination) = (Address::v6(router), vrrp_group(Family::V6));
        let advert = Outgoing { family: Family::V6, source, destination, ..outgoing(Version::V3, &first) };
        let message = written(advert);
        assert_eq!(message[..6], [0x31, 51, 150, 1, 0, 100]);
        assert_eq!(message[8..], first);
        assert!(Sum::default().octets(&message).pseudo_header(source, destination, 112, 24).is_intact());
        // There is no other form.
        assert_eq!(message, written(Outgoing { checksum_form: ChecksumForm::Message, ..advert }));
    }

    #[test]
    fn what_is_written_is_read() {
        for (version, family) in [(Version::V2, Family::V4), (Version::V3, Family::V4), (Version::V3, Family::V6)] {
            for count in [1, 2, 20, 255, 300] {
                let octets = count * family.octets();
                let addresses: Vec<u8> = (0..octets).map(|i| (i >> 4) as u8 ^ i as u8).collect();
                let message = written(Outgoing { family, ..outgoing(version, &addresses) });
                let advert = Advert::parse(&message, family).unwrap();
                assert_eq!(advert.version, version);
                assert_eq!(advert.vrid.get(), 51);
                assert_eq!(advert.claim, Claim::from_octet(150));
                assert_eq!(advert.interval, Centis::SECOND);
                assert_eq!(advert.addresses, &addresses[..octets.min(255 * family.octets())]);
            }
        }
    }

    #[test]
    fn reserved_bits_of_v3_are_not_interval() {
        let header = Header([0x31, 1, 100, 1, 0xf0, 0x64, 0, 0]);
        assert_eq!(header.interval(Version::V3), 100);
    }
}
