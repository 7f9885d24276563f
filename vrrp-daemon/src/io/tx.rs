//! Adverts on their way out: built once, kept while nothing of them changes, sent together.

use vrrp_common::wire::advert::{MESSAGE_MAX, Outgoing};
use vrrp_common::wire::checksum::ChecksumForm;
use vrrp_common::wire::ip::VRRP_GROUP4;
use vrrp_common::wire::ip4::ipv4_header;
use vrrp_common::{Address, Claim, Family};

use crate::engine::plan::InstancePlan;

/// The advert of one instance, as an IPv4 packet.
#[derive(Clone, Debug, Default)]
pub struct Advert {
    packet: Vec<u8>,
    built_for: Option<(Claim, [u8; 4], ChecksumForm)>,
}

/// What an advert is made of, beside the plan.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    pub plan: &'a InstancePlan,
    pub addresses: &'a [u8],
    pub auth_pass: Option<[u8; 8]>,
    pub checksum_form: ChecksumForm,
}

impl Advert {
    /// Makes the packet say this; built anew only when the claim, the source or the checksum's form changed.
    pub fn prepare(&mut self, claim: Claim, source: [u8; 4], parts: Parts) {
        let wanted = Some((claim, source, parts.checksum_form));
        if self.built_for == wanted {
            return;
        }
        self.built_for = wanted;
        let outgoing = Outgoing {
            version: parts.plan.version,
            family: Family::V4,
            vrid: parts.plan.vrid,
            claim,
            interval: parts.plan.advert_int,
            addresses: parts.addresses,
            auth_pass: parts.auth_pass,
            checksum_form: parts.checksum_form,
            source: Address::v4(source),
            destination: Address::v4(VRRP_GROUP4),
        };
        let mut message = [0; MESSAGE_MAX];
        let length = outgoing.write(&mut message);
        self.packet.clear();
        self.packet.extend_from_slice(&ipv4_header(source, VRRP_GROUP4, 255, length as u16));
        self.packet.extend_from_slice(&message[..length]);
    }

    /// The address it was last sent from.
    pub fn source(&self) -> Option<[u8; 4]> {
        Some(self.built_for?.1)
    }

    pub fn packet(&self) -> &[u8] {
        &self.packet
    }
}
