//! Adverts on their way out: built once, kept while nothing of them changes, sent together.

use vrrp_common::wire::advert::{MESSAGE_MAX, Outgoing};
use vrrp_common::wire::checksum::ChecksumForm;
use vrrp_common::wire::ethernet::{ETHERTYPE_IPV4, VRRP_GROUP4_MAC};
use vrrp_common::wire::ip::{VRRP_GROUP4, ipv4_header};
use vrrp_common::{Claim, IfIndex};

use super::socket::{LinkAddress, neighbour};
use crate::engine::plan::InstancePlan;

/// The advert of one instance, as an IP packet.
#[derive(Clone, Debug)]
pub struct Advert {
    packet: Box<[u8]>,
    source: [u8; 4],
    index: IfIndex,
    /// What it says, and [`Ports::changes`](super::ports::Ports) when it was found to be right.
    stands: Option<(Claim, u32)>,
}

/// What an advert is made of, beside the plan.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    pub plan: &'a InstancePlan,
    pub addresses: &'a [[u8; 4]],
    pub auth_pass: Option<[u8; 8]>,
    pub checksum_form: ChecksumForm,
}

impl Advert {
    /// One that was not sent yet.
    pub fn unsent() -> Self {
        Self { packet: Box::default(), source: [0; 4], index: IfIndex(0), stands: None }
    }

    /// Whether the packet says this, and nothing changed on any interface since it was built.
    pub fn stands(&self, claim: Claim, changes: u32) -> bool {
        self.stands == Some((claim, changes))
    }

    /// Builds the packet.
    pub fn build(&mut self, claim: Claim, changes: u32, index: IfIndex, source: [u8; 4], parts: Parts) {
        (self.source, self.index, self.stands) = (source, index, Some((claim, changes)));
        let outgoing = Outgoing {
            version: parts.plan.version,
            vrid: parts.plan.vrid,
            claim,
            interval: parts.plan.advert_int,
            addresses: parts.addresses,
            auth_pass: parts.auth_pass,
            checksum_form: parts.checksum_form,
            source,
            destination: VRRP_GROUP4,
        };
        let mut message = [0; MESSAGE_MAX];
        let length = outgoing.write(&mut message);
        let header = ipv4_header(source, VRRP_GROUP4, 255, length as u16);
        self.packet = [&header[..], &message[..length]].concat().into();
    }

    /// The address it was last sent from.
    pub fn source(&self) -> Option<[u8; 4]> {
        self.stands.map(|_| self.source)
    }

    /// The packet, and where it goes.
    pub fn leaves(&self) -> (&[u8], LinkAddress) {
        (&self.packet, neighbour(self.index, ETHERTYPE_IPV4, VRRP_GROUP4_MAC))
    }
}
