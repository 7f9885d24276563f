//! Messages about interfaces that are made on others.
//!
//! For virtual MAC addresses they are macvlans of mode VEPA. Between macvlans and on the wire that is the same as keepalived's
//! private mode; but a frame from outside that has a macvlan's own address for its source, as the adverts of another master
//! have, reaches the interface below all the same. In private mode it reaches the macvlan alone, which would need a socket and
//! a group membership of its own, and then every advert is copied to every macvlan.

use std::fmt;

use rtnetlink::packet_route::link::{
    InfoData, InfoIpVlan, InfoKind, InfoMacVlan, IpVlanFlags, IpVlanMode, LinkAttribute, LinkFlags, LinkInfo,
    LinkMessage, MacVlanMode,
};
use vrrp_common::IfIndex;

use crate::config::setup::{Isolation, UpperKind};

/// The link group of interfaces that are to be removed: "VRRP".
const CONDEMNED: u32 = 0x5652_5250;

/// What kind of device it is, in the kernel's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Macvlan,
    /// Of mode L2.
    Ipvlan,
}

impl Kind {
    pub const fn of(kind: &UpperKind) -> Self {
        match kind {
            UpperKind::Vmac(_) => Self::Macvlan,
            UpperKind::Ipvlan(..) => Self::Ipvlan,
        }
    }

    /// That of an interface as the kernel describes it, if it is one of these.
    pub fn told(info: &[LinkInfo]) -> Option<Self> {
        info.iter().find_map(|part| match part {
            LinkInfo::Kind(InfoKind::MacVlan) => Some(Self::Macvlan),
            LinkInfo::Data(InfoData::IpVlan(data)) => {
                data.contains(&InfoIpVlan::Mode(IpVlanMode::L2)).then_some(Self::Ipvlan)
            }
            _ => None,
        })
    }

    /// What [`Display`](fmt::Display) wrote.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Macvlan, Self::Ipvlan].into_iter().find(|kind| kind.to_string() == word)
    }

    /// In messages to people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Macvlan => "virtual MAC interface",
            Self::Ipvlan => "ipvlan interface",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
        })
    }
}

/// An interface to be.
#[derive(Clone, Copy, Debug)]
pub struct Device<'a> {
    /// Of one that is there and is taken over.
    pub index: Option<IfIndex>,
    pub name: &'a str,
    pub parent: IfIndex,
    pub kind: UpperKind,
    pub group: u32,
}

impl Device<'_> {
    /// A macvlan is down until it is needed.
    pub fn message(&self) -> LinkMessage {
        let is_up = matches!(self.kind, UpperKind::Ipvlan(..));
        let mut message = up(self.index.unwrap_or(IfIndex(0)), is_up);
        let mut attributes = Vec::new();
        if self.index.is_none() {
            attributes.extend([LinkAttribute::IfName(self.name.to_owned()), LinkAttribute::Link(self.parent.0)]);
            if let UpperKind::Vmac(mac) = self.kind {
                attributes.push(LinkAttribute::Address(mac.to_vec()));
            }
        }
        let flags = match self.kind {
            UpperKind::Ipvlan(Isolation::Private, _) => IpVlanFlags::Private,
            UpperKind::Ipvlan(Isolation::Vepa, _) => IpVlanFlags::Vepa,
            _ => IpVlanFlags::empty(),
        };
        attributes.extend([LinkAttribute::Group(self.group), info(Kind::of(&self.kind), Some(flags))]);
        message.attributes = attributes;
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

/// Refused by the kernel for an interface of another kind.
pub fn condemn(kind: Kind, name: &str) -> LinkMessage {
    let mut message = LinkMessage::default();
    let attributes = [LinkAttribute::IfName(name.to_owned()), LinkAttribute::Group(CONDEMNED), info(kind, None)];
    message.attributes.extend(attributes);
    message
}

pub fn condemned() -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::Group(CONDEMNED));
    message
}

fn info(kind: Kind, flags: Option<IpVlanFlags>) -> LinkAttribute {
    let (kind, data) = match kind {
        Kind::Macvlan => (InfoKind::MacVlan, InfoData::MacVlan(vec![InfoMacVlan::Mode(MacVlanMode::Vepa)])),
        Kind::Ipvlan => {
            let data = [InfoIpVlan::Mode(IpVlanMode::L2)].into_iter().chain(flags.map(InfoIpVlan::Flags));
            (InfoKind::IpVlan, InfoData::IpVlan(data.collect()))
        }
    };
    LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind), LinkInfo::Data(data)])
}
