//! Frames by the names of their fields: one that is right for a virtual router and is then changed, and what is in one
//! that was sent.
//!
//! What is sent is taken apart here by offsets, not by the product's own reader.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vrrp_common::wire::checksum::{ChecksumForm, Sum};
use vrrp_common::wire::ip::{PROTOCOL_VRRP, multicast_mac};
use vrrp_common::{Address, Family, Version};
use vrrp_daemon::auth::Authentication;
use vrrp_daemon::config::setup::{self, Destination};
use vrrp_daemon::engine::plan::InstancePlan;
use vrrp_tests::frames::{AUTHENTICATION, FrameSpec};

use crate::case::Field;
use crate::signature;
use crate::words::{hex, number, octets};

/// Ethernet address of every interface of the router.
pub const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// An advert as a peer with the same configuration would send it to `us`; from a source of the other family, as one would
/// whose addresses are of that.
pub fn of_a_peer(plan: &InstancePlan, router: &setup::Instance, source: IpAddr, us: Option<IpAddr>) -> FrameSpec {
    let vrid = plan.vrid.get();
    let (base, family) = match source {
        IpAddr::V4(_) => (FrameSpec::v3(), Family::V4),
        IpAddr::V6(_) => (FrameSpec::v6(), Family::V6),
    };
    let mac = [0, 0, 0x5e, 0, if family == Family::V4 { 1 } else { 2 }, vrid];
    let mut frame = FrameSpec { vrid, priority: 100, source, source_mac: mac, interval: plan.advert_int.get(), ..base };
    if plan.family == family {
        frame.addresses = router.advertised().collect();
        frame.checksum_form = router.checksum_form.unwrap_or(ChecksumForm::PseudoHeader);
        match &router.destination {
            Destination::Group(group) => {
                frame.destination = *group;
                frame.destination_mac = multicast_mac(Address::from(*group), family);
            }
            Destination::Peers(unicast) => {
                (frame.destination, frame.destination_mac) = (us.unwrap_or(source), MAC);
                frame.ttl = unicast.ttl;
            }
        }
    }
    if plan.version == Version::V2 {
        frame.version = 2;
        frame.interval /= 100;
        let (kind, data) = router.authentication.of_message().unwrap_or_default();
        (frame.auth_type, frame.auth_data) = (kind, Some(data));
        if let Authentication::Ah(_) = router.authentication {
            frame.extensions = vec![AUTHENTICATION];
        }
        frame.checksum_form = ChecksumForm::Message;
    }
    frame
}

type Set = fn(&mut FrameSpec, &str) -> Option<()>;

/// The fields of a frame that is heard, by name; each says whether it could make sense of the value.
const FIELDS: &[(&str, Set)] = &[
    ("mac", |frame, value| put(&mut frame.destination_mac, mac(value))),
    ("from-mac", |frame, value| put(&mut frame.source_mac, mac(value))),
    ("vlan", |frame, value| small(value).map(|tag| frame.tags.push((0x8100, tag)))),
    ("ethertype", |frame, value| put(&mut frame.ethertype, small(value).map(Some))),
    ("header-words", |frame, value| put(&mut frame.ip_header, small(value).map(Some))),
    ("options", |frame, value| put(&mut frame.ip_options, octets(value))),
    ("total-length", |frame, value| put(&mut frame.total_length, small(value).map(Some))),
    ("fragment", |frame, value| put(&mut frame.fragment, small(value))),
    ("ttl", |frame, value| put(&mut frame.ttl, small(value))),
    ("extension", |frame, value| small(value).map(|header| frame.extensions.push(header))),
    ("protocol", |frame, value| put(&mut frame.protocol, small(value))),
    ("to", |frame, value| put(&mut frame.destination, value.parse().ok())),
    ("version", set_version),
    ("type", |frame, value| put(&mut frame.kind, small(value))),
    ("vrid", |frame, value| put(&mut frame.vrid, small(value))),
    ("priority", |frame, value| put(&mut frame.priority, small(value))),
    ("count", |frame, value| put(&mut frame.address_count, small(value).map(Some))),
    ("auth-type", |frame, value| put(&mut frame.auth_type, small(value))),
    ("interval", |frame, value| put(&mut frame.interval, small(value))),
    ("addresses", |frame, value| put(&mut frame.addresses, addresses(value))),
    ("password", |frame, value| put(&mut frame.auth_data, padded(value).map(Some))),
    ("extra", |frame, value| put(&mut frame.extra, octets(value))),
    ("cut", |frame, value| put(&mut frame.cut, small(value).map(Some))),
    ("checksum", set_checksum),
    ("pad", |frame, value| put(&mut frame.pad_to, small(value))),
    ("hmac", signature::add_trailer),
    ("ah", |frame, _| (frame.extensions == [AUTHENTICATION]).then_some(())),
];

/// The frame, with the authentication header filled in if it is told to have one.
pub fn built(frame: &FrameSpec, fields: &[Field]) -> Result<Vec<u8>, String> {
    let mut octets = frame.build();
    if let Some(Field { value, .. }) = fields.iter().find(|field| field.name == "ah") {
        signature::fill_header(&mut octets, value).ok_or_else(|| format!("`{value}` is no value for `ah`"))?;
    }
    Ok(octets)
}

/// Changes one field.
pub fn set(frame: &mut FrameSpec, field: &Field) -> Result<(), String> {
    let Field { name, value } = field;
    let Some((_, set)) = FIELDS.iter().find(|known| known.0 == name) else {
        let names: Vec<_> = FIELDS.iter().map(|known| known.0).collect();
        return Err(format!("a frame that is heard has no field `{name}`; it has {}", names.join(", ")));
    };
    set(frame, value).ok_or_else(|| format!("`{value}` is no value for `{name}`"))
}

fn put<T>(field: &mut T, value: Option<T>) -> Option<()> {
    *field = value?;
    Some(())
}

fn small<T: TryFrom<u64>>(value: &str) -> Option<T> {
    T::try_from(number(value)?).ok()
}

fn mac(value: &str) -> Option<[u8; 6]> {
    octets(value)?.try_into().ok()
}

fn addresses(value: &str) -> Option<Vec<IpAddr>> {
    if value == "none" {
        return Some(Vec::new());
    }
    value.split(',').map(|address| address.parse().ok()).collect()
}

fn padded(value: &str) -> Option<[u8; 8]> {
    let mut data = [0; 8];
    data.get_mut(..value.len())?.copy_from_slice(value.as_bytes());
    Some(data)
}

/// Version 2 has its trailer and one form of the checksum.
fn set_version(frame: &mut FrameSpec, value: &str) -> Option<()> {
    frame.version = small(value)?;
    if frame.version == 2 {
        frame.auth_data.get_or_insert_default();
        frame.checksum_form = ChecksumForm::Message;
    }
    Some(())
}

fn set_checksum(frame: &mut FrameSpec, value: &str) -> Option<()> {
    match value {
        "message" => frame.checksum_form = ChecksumForm::Message,
        "pseudo" => frame.checksum_form = ChecksumForm::PseudoHeader,
        "wrong" => frame.checksum_error = 1,
        _ => return None,
    }
    Some(())
}

type Read = fn(&Sent) -> String;

/// The fields of a packet that was sent.
const SENT: &[(&str, Read)] = &[
    ("mac", |sent| sent.mac.map_or("routed".to_owned(), |mac| mac.map(|octet| format!("{octet:02x}")).join(":"))),
    ("tos", |sent| format!("{:#04x}", sent.tos())),
    ("ttl", |sent| sent.octet(8, 7).to_string()),
    ("protocol", |sent| sent.octet(9, 6).to_string()),
    ("from", |sent| sent.address(12, 8).to_string()),
    ("to", |sent| sent.address(16, 24).to_string()),
    ("version", |sent| (sent.message()[0] >> 4).to_string()),
    ("type", |sent| (sent.message()[0] & 0x0f).to_string()),
    ("vrid", |sent| sent.message()[1].to_string()),
    ("priority", |sent| sent.message()[2].to_string()),
    ("count", |sent| sent.message()[3].to_string()),
    ("auth-type", |sent| sent.message()[4].to_string()),
    ("reserved", |sent| (sent.message()[4] >> 4).to_string()),
    ("interval", |sent| sent.interval().to_string()),
    ("length", |sent| sent.message().len().to_string()),
    ("checksum", |sent| sent.checksum().to_string()),
    ("message", |sent| hex(sent.message())),
    ("packet", |sent| hex(&sent.packet)),
];

/// An IP packet that the router sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub packet: Vec<u8>,
    /// The Ethernet address it is for; to peers the kernel finds the way.
    pub mac: Option<[u8; 6]>,
}

impl Sent {
    fn is_v4(&self) -> bool {
        self.packet[0] >> 4 == 4
    }

    /// What is behind the headers, a trailer too.
    pub fn message(&self) -> &[u8] {
        let header = if self.is_v4() { 20 } else { 40 };
        let authentication = if self.octet(9, 6) == AUTHENTICATION { 24 } else { 0 };
        &self.packet[header + authentication..]
    }

    /// The octet that is here in an IPv4 header, there in an IPv6 one.
    fn octet(&self, here: usize, there: usize) -> u8 {
        self.packet[if self.is_v4() { here } else { there }]
    }

    fn address(&self, here: usize, there: usize) -> IpAddr {
        match self.is_v4() {
            true => Ipv4Addr::from(*self.packet[here..].first_chunk().expect("a whole header")).into(),
            false => Ipv6Addr::from(*self.packet[there..].first_chunk().expect("a whole header")).into(),
        }
    }

    /// Type of service, or traffic class.
    fn tos(&self) -> u8 {
        if self.is_v4() { self.packet[1] } else { self.packet[0] << 4 | self.packet[1] >> 4 }
    }

    /// As the version writes it: seconds, or centiseconds.
    fn interval(&self) -> u16 {
        let message = self.message();
        match message[0] >> 4 {
            2 => u16::from(message[5]),
            _ => u16::from_be_bytes([message[4] & 0x0f, message[5]]),
        }
    }

    fn checksum(&self) -> &'static str {
        let sum = Sum::default().octets(self.message());
        let (from, to) = (Address::from(self.address(12, 8)), Address::from(self.address(16, 24)));
        let pseudo = sum.pseudo_header(from, to, PROTOCOL_VRRP, self.message().len() as u16);
        match (sum.is_intact(), pseudo.is_intact()) {
            (true, _) => "message",
            (_, true) => "pseudo",
            _ => "wrong",
        }
    }
}

/// What a field of a sent packet is, when it is not what `field` says.
pub fn differs(sent: &Sent, field: &Field) -> Result<(), String> {
    let Field { name, value } = field;
    let Some((_, read)) = SENT.iter().find(|known| known.0 == name) else {
        let names: Vec<_> = SENT.iter().map(|known| known.0).collect();
        return Err(format!("an advert that is sent has no field `{name}`; it has {}", names.join(", ")));
    };
    let is = read(sent);
    if is == *value { Ok(()) } else { Err(format!("{name} is {is}, not {value}")) }
}

/// Whether all that is left of a line is the value of this field.
pub fn takes_the_rest(name: &str) -> bool {
    ["message", "packet"].contains(&name)
}
