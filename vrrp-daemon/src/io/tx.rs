//! Adverts on their way out: built once, kept while nothing of them changes, sent together.
//!
//! To a group they leave by the link; to unicast peers the kernel routes them. One that goes to a group is one packet,
//! to peers one each: the checksum may cover the destination.

use std::net::IpAddr;
use std::time::Duration;

use socket2::SockAddr;
use vrrp_common::wire::advert::{MESSAGE_MAX, Outgoing};
use vrrp_common::wire::checksum::ChecksumForm;
use vrrp_common::wire::ethernet::{self, ETHERTYPE_IPV4, ETHERTYPE_IPV6};
use vrrp_common::wire::ip::multicast_mac;
use vrrp_common::wire::ip4::ipv4_header;
use vrrp_common::wire::ip6::ipv6_header;
use vrrp_common::{Address, Claim, IfIndex, Version};

use super::socket::{LinkAddress, device, host, neighbour};
use crate::auth::{Association, Envelope};
use crate::config::setup::{Destination, Instance, Peer};
use crate::engine::plan::InstancePlan;

/// The advert of one instance.
#[derive(Clone, Debug)]
pub struct Advert {
    packets: Packets,
    /// The same in version 2, where both are spoken.
    version2: Option<Box<Packets>>,
    source: Option<IpAddr>,
    /// What it says, and [`Ports::changes`](super::ports::Ports) when it was found to be right.
    stands: Option<(Claim, u32)>,
}

/// An IP packet.
pub type Packet = Box<[u8]>;

#[derive(Clone, Debug)]
pub enum Packets {
    ToGroup(Packet, LinkAddress),
    /// The same with the link's header in front, for another source than the link's own address.
    Framed(Packet, LinkAddress),
    ToPeers(Box<[(Packet, SockAddr)]>),
}

/// What an advert is made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    pub plan: &'a InstancePlan,
    pub instance: &'a Instance,
    pub source: IpAddr,
    /// Of the link that it leaves by, unless it is routed.
    pub index: IfIndex,
    pub checksum_form: ChecksumForm,
}

impl Advert {
    /// One that was not sent yet.
    pub fn unsent() -> Self {
        Self { packets: Packets::ToPeers(Box::default()), version2: None, source: None, stands: None }
    }

    /// Whether it says this, and nothing that it is made of changed since it was built.
    pub fn stands(&self, claim: Claim, changes: u32) -> bool {
        self.stands == Some((claim, changes))
    }

    pub fn build(&mut self, claim: Claim, changes: u32, parts: &Parts) {
        (self.source, self.stands) = (Some(parts.source), Some((claim, changes)));
        self.packets = packets(parts.plan.version, claim, parts);
        self.version2 = parts.plan.both_versions.then(|| Box::new(packets(Version::V2, claim, parts)));
    }

    /// Signs what is about to leave, each packet anew. `now` is the time since 1970.
    pub fn sign(&mut self, association: &mut Association, now: Duration) {
        match &mut self.packets {
            Packets::ToGroup(packet, _) => association.sign(packet, now),
            Packets::Framed(frame, _) => association.sign(&mut frame[ethernet::HEADER..], now),
            Packets::ToPeers(packets) => packets.iter_mut().for_each(|(packet, _)| association.sign(packet, now)),
        }
    }

    /// The address it was last sent from.
    pub const fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// In the order in which they leave: version 3 before version 2, which then says nothing new.
    pub fn packets(&self) -> impl Iterator<Item = &Packets> {
        std::iter::once(&self.packets).chain(self.version2.as_deref())
    }
}

/// All packets of an advert in one version.
fn packets(version: Version, claim: Claim, parts: &Parts) -> Packets {
    match &parts.instance.destination {
        Destination::Group(group) => {
            let ethertype = match group {
                IpAddr::V4(_) => ETHERTYPE_IPV4,
                IpAddr::V6(_) => ETHERTYPE_IPV6,
            };
            let mac = multicast_mac((*group).into(), parts.plan.family);
            let packet = packet(version, claim, *group, u8::MAX, parts);
            match parts.instance.source_mac {
                None => Packets::ToGroup(packet, neighbour(parts.index, ethertype, mac)),
                Some(own) => {
                    let frame = [&mac[..], &own, &ethertype.to_be_bytes(), &packet].concat();
                    Packets::Framed(frame.into(), device(parts.index))
                }
            }
        }
        Destination::Peers(unicast) => {
            let to = |peer: &Peer| {
                (packet(version, claim, peer.address, unicast.ttl, parts), host(peer.address, parts.index))
            };
            Packets::ToPeers(unicast.peers.iter().map(to).collect())
        }
    }
}

/// Those of the advertised addresses.
fn octets(instance: &Instance) -> Vec<u8> {
    let octets = instance.advertised().map(|address| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    });
    octets.flatten().collect()
}

/// The packet to one destination; none between two families, which no configuration that was resolved asks for.
fn packet(version: Version, claim: Claim, destination: IpAddr, ttl: u8, parts: &Parts) -> Packet {
    let Parts { plan, instance, source, index: _, checksum_form } = *parts;
    let addresses = octets(instance);
    let outgoing = Outgoing {
        version,
        family: plan.family,
        vrid: plan.vrid,
        claim,
        interval: plan.advert_int,
        addresses: &addresses,
        authentication: instance.authentication.of_message(),
        checksum_form,
        source: Address::from(source),
        destination: Address::from(destination),
    };
    let mut message = [0; MESSAGE_MAX];
    let length = outgoing.write(&mut message);
    let Envelope { protocol, before, behind } = instance.authentication.envelope();
    let payload = [vec![0; before], message[..length].to_vec(), vec![0; behind]].concat();
    let length = payload.len() as u16;
    match (source, destination) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            [&ipv4_header(from.octets(), to.octets(), ttl, protocol, length)[..], &payload].concat().into()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            [&ipv6_header(from.octets(), to.octets(), ttl, protocol, length)[..], &payload].concat().into()
        }
        _ => Packet::default(),
    }
}
