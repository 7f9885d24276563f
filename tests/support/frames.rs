//! Frames by their fields, right unless told otherwise.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vrrp_common::wire::advert::HMAC_TRAILER;
use vrrp_common::wire::checksum::{ChecksumForm, Sum};
use vrrp_common::wire::ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, VRRP_GROUP4_MAC, VRRP_GROUP6_MAC};
use vrrp_common::wire::ip::{PROTOCOL_VRRP, TOS_CS6, VRRP_GROUP4, VRRP_GROUP6};
use vrrp_common::{Address, Family};

pub use crate::spoil::{earned_by_frames, spoil};

/// The virtual routers that the frames are for; the tests' rules must name them. IPv6 has [`V3_VRID`], too.
pub const V3_VRID: u8 = 51;
pub const V2_VRID: u8 = 52;
pub const V2_PASSWORD_VRID: u8 = 53;
/// One whose VLAN cannot be told.
pub const AMBIGUOUS_VRID: u8 = 54;
/// One of IPv6 whose own first address is not link-local.
pub const ANY_FIRST_VRID: u8 = 55;
/// One of unicast that hears others than its peers, too.
pub const OPEN_VRID: u8 = 56;
/// Those whose adverts are authenticated: by a header, by a trailer that must be there, by one that may be.
pub const AUTH_HEADER_VRID: u8 = 57;
pub const HMAC_VRID: u8 = 58;
pub const HMAC_OPTIONAL_VRID: u8 = 59;
/// One of version 3 that hears version 2, too.
pub const BOTH_VERSIONS_VRID: u8 = 60;
/// One that nobody has here.
pub const UNKNOWN_VRID: u8 = 99;
pub const PASSWORD: [u8; 8] = *b"secret\0\0";
/// The addresses that the tests' routers send from.
pub const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
pub const OWN6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));
pub const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
pub const PEER6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2));

/// Unicast crosses links.
pub const OWN6_GLOBAL: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
pub const PEER6_GLOBAL: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 2));
pub const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 3));
pub const STRANGER6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 3));
/// A group that a rule names in place of VRRP's.
pub const OTHER_GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 99));
/// Of the same Ethernet address as VRRP's own.
pub const OTHER_GROUP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0, 0x12));

/// Numbers of IPv6's extension headers.
pub const HOP_BY_HOP: u8 = 0;
pub const FRAGMENT: u8 = 44;
pub const AUTHENTICATION: u8 = 51;

/// An advert in its frame. What is `None` is calculated.
#[derive(Clone, Debug)]
pub struct FrameSpec {
    pub destination_mac: [u8; 6],
    pub source_mac: [u8; 6],
    /// VLAN tags from the outside: TPID and TCI.
    pub tags: Vec<(u16, u16)>,
    pub ethertype: Option<u16>,

    pub ip_version: Option<u8>,
    /// IHL, in words of four octets.
    pub ip_header: Option<u8>,
    pub ip_options: Vec<u8>,
    /// The header's own length field: IPv4's counts the header, IPv6's does not.
    pub total_length: Option<u16>,
    /// IPv4's flags and fragment offset.
    pub fragment: u16,
    pub ttl: u8,
    /// Headers before the message, by their numbers.
    pub extensions: Vec<u8>,
    pub protocol: u8,
    /// Its family is the frame's.
    pub source: IpAddr,
    pub destination: IpAddr,

    pub version: u8,
    pub kind: u8,
    pub vrid: u8,
    pub priority: u8,
    pub address_count: Option<u8>,
    /// v2.
    pub auth_type: u8,
    /// As the version writes it: seconds, or centiseconds and the four reserved bits.
    pub interval: u16,
    pub addresses: Vec<IpAddr>,
    /// v2's trailer.
    pub auth_data: Option<[u8; 8]>,
    /// Behind the message, and part of it.
    pub extra: Vec<u8>,
    /// Behind that, and not covered by the checksum.
    pub trailer: Vec<u8>,
    /// Octets of the message that are left.
    pub cut: Option<usize>,
    pub checksum_form: ChecksumForm,
    /// What is added to the right checksum.
    pub checksum_error: u16,
    /// Shortest frame; Ethernet pads to 60 octets.
    pub pad_to: usize,
}

impl FrameSpec {
    /// A valid VRRPv3 advert of [`PEER`] for [`V3_VRID`].
    pub fn v3() -> Self {
        Self {
            destination_mac: VRRP_GROUP4_MAC,
            source_mac: [0, 0, 0x5e, 0, 1, V3_VRID],
            tags: Vec::new(),
            ethertype: None,
            ip_version: None,
            ip_header: None,
            ip_options: Vec::new(),
            total_length: None,
            fragment: 0,
            ttl: 255,
            extensions: Vec::new(),
            protocol: PROTOCOL_VRRP,
            source: PEER,
            destination: VRRP_GROUP4.into(),
            version: 3,
            kind: 1,
            vrid: V3_VRID,
            priority: 150,
            address_count: None,
            auth_type: 0,
            interval: 100,
            addresses: addresses(Family::V4, 2),
            auth_data: None,
            extra: Vec::new(),
            trailer: Vec::new(),
            cut: None,
            checksum_form: ChecksumForm::PseudoHeader,
            checksum_error: 0,
            pad_to: 60,
        }
    }

    /// The same over IPv6, of [`PEER6`].
    pub fn v6() -> Self {
        Self {
            destination_mac: VRRP_GROUP6_MAC,
            source_mac: [0, 0, 0x5e, 0, 2, V3_VRID],
            source: PEER6,
            destination: VRRP_GROUP6.into(),
            addresses: addresses(Family::V6, 2),
            ..Self::v3()
        }
    }

    /// A valid VRRPv2 advert without a password, for [`V2_VRID`].
    pub fn v2() -> Self {
        Self {
            version: 2,
            vrid: V2_VRID,
            interval: 1,
            auth_data: Some([0; 8]),
            checksum_form: ChecksumForm::Message,
            ..Self::v3()
        }
    }

    /// A valid VRRPv2 advert with [`PASSWORD`], for [`V2_PASSWORD_VRID`].
    pub fn v2_password() -> Self {
        Self { vrid: V2_PASSWORD_VRID, auth_type: 1, auth_data: Some(PASSWORD), ..Self::v2() }
    }

    /// A valid VRRPv3 advert for [`V3_VRID`] to our own address, from afar.
    pub fn unicast() -> Self {
        Self { destination_mac: [2, 0, 0, 0, 0, 1], destination: OWN, ttl: 64, ..Self::v3() }
    }

    /// The same over IPv6.
    pub fn unicast6() -> Self {
        Self {
            destination_mac: [2, 0, 0, 0, 0, 1],
            source: PEER6_GLOBAL,
            destination: OWN6_GLOBAL,
            ttl: 64,
            ..Self::v6()
        }
    }

    /// A valid VRRPv2 advert with an authentication header, for [`AUTH_HEADER_VRID`].
    pub fn v2_auth_header() -> Self {
        Self { vrid: AUTH_HEADER_VRID, auth_type: 2, extensions: vec![AUTHENTICATION], ..Self::v2() }
    }

    /// Any of them with a trailer as keepalived's `auth_hmac` has it, for [`HMAC_VRID`].
    pub fn with_trailer(self) -> Self {
        Self { vrid: HMAC_VRID, trailer: vec![0x5a; HMAC_TRAILER], ..self }
    }

    pub const fn family(&self) -> Family {
        match self.source {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    /// What the daemon gets of it: the message, or the whole packet where that is authenticated.
    pub fn delivered(&self) -> Vec<u8> {
        match self.extensions.is_empty() {
            true => self.message(),
            false => Self { tags: Vec::new(), pad_to: 0, ..self.clone() }.build().split_off(14),
        }
    }

    /// The VRRP message, with its trailer.
    pub fn message(&self) -> Vec<u8> {
        let count = self.address_count.unwrap_or(self.addresses.len() as u8);
        let [i0, i1] = match self.version {
            2 => [self.auth_type, self.interval as u8],
            _ => self.interval.to_be_bytes(),
        };
        let mut message = vec![self.version << 4 | self.kind, self.vrid, self.priority, count, i0, i1, 0, 0];
        message.extend(self.addresses.iter().flat_map(octets));
        message.extend(self.auth_data.iter().flatten());
        message.extend(&self.extra);
        message.truncate(self.cut.unwrap_or(usize::MAX));
        let mut sum = Sum::default().octets(&message);
        if self.checksum_form == ChecksumForm::PseudoHeader {
            let (from, to) = (Address::from(self.source), Address::from(self.destination));
            sum = sum.pseudo_header(from, to, PROTOCOL_VRRP, message.len() as u16);
        }
        let checksum = u16::from_be_bytes(sum.checksum()).wrapping_add(self.checksum_error);
        if let Some(field) = message.get_mut(6..8) {
            field.copy_from_slice(&checksum.to_be_bytes());
        }
        message.extend(&self.trailer);
        message
    }

    /// The frame.
    pub fn build(&self) -> Vec<u8> {
        let mut frame = [self.destination_mac, self.source_mac].concat();
        for (tpid, tci) in &self.tags {
            frame.extend(tpid.to_be_bytes());
            frame.extend(tci.to_be_bytes());
        }
        let ethertype = match self.family() {
            Family::V4 => ETHERTYPE_IPV4,
            Family::V6 => ETHERTYPE_IPV6,
        };
        frame.extend(self.ethertype.unwrap_or(ethertype).to_be_bytes());
        let payload = [self.extension_headers(), self.message()].concat();
        match self.family() {
            Family::V4 => frame.extend(self.ipv4_header(payload.len())),
            Family::V6 => frame.extend(self.ipv6_header(payload.len())),
        }
        frame.extend(payload);
        frame.resize(frame.len().max(self.pad_to), 0);
        frame
    }

    /// The number of the header after IP's.
    fn first_protocol(&self) -> u8 {
        self.extensions.first().copied().unwrap_or(self.protocol)
    }

    /// Each of them as short as it can be, with nothing in it.
    fn extension_headers(&self) -> Vec<u8> {
        let following = self.extensions.iter().skip(1).chain([&self.protocol]);
        let headers = self.extensions.iter().zip(following).map(|(&this, &next)| {
            // The authentication header of RFC 2402: security parameters index, sequence number, 96 bits of digest.
            let (length, octets) = if this == AUTHENTICATION { (4, 24) } else { (0, 8) };
            let mut header = vec![next, length];
            header.resize(octets, 0);
            header
        });
        headers.flatten().collect()
    }

    fn ipv4_header(&self, payload: usize) -> Vec<u8> {
        let header = 20 + self.ip_options.len();
        let words = self.ip_header.unwrap_or((header / 4) as u8);
        let first = self.ip_version.unwrap_or(4) << 4 | words & 0x0f;
        let [t0, t1] = self.total_length.unwrap_or((header + payload) as u16).to_be_bytes();
        let [f0, f1] = self.fragment.to_be_bytes();
        let mut ip = vec![first, TOS_CS6, t0, t1, 0, 0, f0, f1, self.ttl, self.first_protocol(), 0, 0];
        ip.extend([octets(&self.source), octets(&self.destination), self.ip_options.clone()].concat());
        let checksum = Sum::default().octets(&ip).checksum();
        ip[10..12].copy_from_slice(&checksum);
        ip
    }

    fn ipv6_header(&self, payload: usize) -> Vec<u8> {
        let first = self.ip_version.unwrap_or(6) << 4 | TOS_CS6 >> 4;
        let [l0, l1] = self.total_length.unwrap_or(payload as u16).to_be_bytes();
        let mut ip = vec![first, TOS_CS6 << 4, 0, 0, l0, l1, self.first_protocol(), self.ttl];
        ip.extend([octets(&self.source), octets(&self.destination)].concat());
        ip
    }
}

/// Virtual addresses of a family; the first of IPv6 is link-local.
pub fn addresses(family: Family, count: usize) -> Vec<IpAddr> {
    let numbered = (0..count).map(|number| match (family, number) {
        (Family::V4, _) => IpAddr::from([192, 0, 2, 100 + number as u8]),
        (Family::V6, 0) => IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 0x100]),
        (Family::V6, _) => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100 + number as u16]),
    });
    numbered.collect()
}

fn octets(address: &IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
