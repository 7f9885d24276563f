//! Messages about virtual MAC interfaces.
//!
//! They are macvlans of mode VEPA. Between macvlans and on the wire that is the same as keepalived's private mode; but a
//! frame from outside that has a macvlan's own address for its source, as the adverts of another master have, reaches
//! the interface below all the same. In private mode it reaches the macvlan alone, which would need a socket and a
//! group membership of its own, and then every advert is copied to every macvlan.

use rtnetlink::packet_route::link::{
    InfoData, InfoKind, InfoMacVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, MacVlanMode,
};
use vrrp_common::IfIndex;

/// The link group of interfaces that are to be removed: "VRRP".
const CONDEMNED: u32 = 0x5652_5250;

/// A virtual MAC interface to be.
#[derive(Clone, Copy, Debug)]
pub struct Macvlan<'a> {
    /// Of one that is there and is taken over.
    pub index: Option<IfIndex>,
    pub name: &'a str,
    pub parent: IfIndex,
    pub mac: [u8; 6],
    pub group: u32,
}

impl Macvlan<'_> {
    /// It is down until it is needed.
    pub fn message(&self) -> LinkMessage {
        let mut message = match self.index {
            Some(index) => up(index, false),
            None => LinkMessage::default(),
        };
        let identity = [
            LinkAttribute::IfName(self.name.to_owned()),
            LinkAttribute::Link(self.parent.0),
            LinkAttribute::Address(self.mac.to_vec()),
        ];
        message.attributes.extend(identity.into_iter().filter(|_| self.index.is_none()));
        message.attributes.extend([LinkAttribute::Group(self.group), kind()]);
        message
    }
}

/// Takes an interface up or down.
pub fn up(index: IfIndex, up: bool) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index.0;
    message.header.change_mask = LinkFlags::Up;
    message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
    message
}

/// Refused by the kernel for an interface that is no macvlan.
pub fn condemn(name: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    let attributes = [LinkAttribute::IfName(name.to_owned()), LinkAttribute::Group(CONDEMNED), kind()];
    message.attributes.extend(attributes);
    message
}

pub fn condemned() -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::Group(CONDEMNED));
    message
}

fn kind() -> LinkAttribute {
    let data = InfoData::MacVlan(vec![InfoMacVlan::Mode(MacVlanMode::Vepa)]);
    LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::MacVlan), LinkInfo::Data(data)])
}
