//! The judgement of a frame: one function, called by the XDP program and by the raw socket's path.
//!
//! The order of the tests is the order of [`Reason`]; the first that applies is the answer. One comes early: whether a frame
//! with a rule is for that rule at all ([`Reason::VlanAmbiguous`]). Nothing here is stateful: what depends on earlier frames
//! is judged by the daemon.

use crate::abi::{
    AUTH_HEADER, AUTH_PASS, DEVICE_PASS_UNKNOWN, Device, Peer, PeerKey, RULE_ANY_FIRST_ADDRESS, RULE_BOTH_VERSIONS,
    RULE_HMAC, RULE_HMAC_ENFORCED, RULE_PEERS_ONLY, RULE_VLAN_AMBIGUOUS, RouterKey, Rule, RuleKey,
};
use crate::address::Address;
use crate::drop::{Disposition, Reason};
use crate::ids::{Family, Version};
use crate::wire::Frame;
use crate::wire::advert::{AUTH_DATA, HEADER, HMAC_TRAILER, Header, TYPE_ADVERTISEMENT};
use crate::wire::checksum::{ChecksumForm, Sum};
use crate::wire::ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Link};
use crate::wire::ip::{Ip, PROTOCOL_VRRP, is_link_local6};
use crate::wire::{ip4, ip6};

/// Where the rules are: maps in the kernel, tables on the host.
pub trait Rules {
    fn rule(&self, key: RuleKey) -> Option<&Rule>;
    fn peer(&self, key: PeerKey) -> Option<&Peer>;
}

/// The device that a frame came in by.
#[derive(Clone, Copy, Debug)]
pub struct Ingress {
    pub ifindex: u32,
    pub device: Device,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub reason: Reason,
    pub disposition: Disposition,
    /// The row of counters that this frame belongs to.
    pub row: u32,
    /// Of a delivered advert: its instance, family, source, header, how many octets of it are delivered, and in which form
    /// its checksum is right.
    pub slot: u32,
    pub family: Family,
    pub source: Address,
    pub header: Header,
    pub length: usize,
    pub checksum_form: ChecksumForm,
}

/// A packet that claims to carry VRRP.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    pub link: Link,
    pub ip: Ip,
}

impl Packet {
    /// Finds the packet in an Ethernet frame; `None` when it is not VRRP.
    ///
    /// This is all that other traffic pays for, so it needs no look-up.
    #[inline(always)]
    pub fn find(frame: &(impl Frame + ?Sized)) -> Option<Self> {
        let link = Link::parse(frame)?;
        let ip = match link.ethertype {
            ETHERTYPE_IPV4 => ip4::parse(frame, link.payload)?,
            ETHERTYPE_IPV6 => ip6::parse(frame, link.payload)?,
            _ => return None,
        };
        Some(Self { link, ip })
    }

    /// The packet that a raw IPv4 socket read, or a capture without a link layer has.
    pub fn without_link(packet: &(impl Frame + ?Sized)) -> Option<Self> {
        ip4::parse(packet, 0).or_else(|| ip6::parse(packet, 0)).map(Self::without_frame)
    }

    /// What a raw socket told of a packet, be its header before the message or not.
    pub const fn without_frame(ip: Ip) -> Self {
        Self { link: Link::none(ip.family), ip }
    }
}

/// Judges an Ethernet frame. What is delivered of an advert is in `message` afterwards: the VRRP message with its trailer, or
/// the whole IP packet where it has an authentication header, which covers that.
///
/// More than `N` octets are passed on as [`Reason::AddrCountOverBudget`].
pub fn classify<const N: usize>(
    frame: &(impl Frame + ?Sized),
    ingress: Ingress,
    rules: &impl Rules,
    message: &mut [u8; N],
) -> Judgement {
    match Packet::find(frame) {
        Some(packet) => judge(frame, packet, ingress, rules, message),
        None => Found::on(ingress).judged(Reason::NotVrrp),
    }
}

/// Judges the packet found in `frame`.
#[inline(always)]
pub fn judge<const N: usize>(
    frame: &(impl Frame + ?Sized),
    packet: Packet,
    ingress: Ingress,
    rules: &impl Rules,
    message: &mut [u8; N],
) -> Judgement {
    let Packet { link, ip } = packet;
    let mut found = Found::on(ingress);
    // A VLAN without a rule of ours is another host's link.
    found.pass_all |= link.vlan != 0;
    let to_group = ip.is_to_group();
    found.pass_always = !to_group;
    found.family = ip.family;
    if let Some(fault) = ip.fault {
        return found.judged(fault);
    }
    let Some(octets) = frame.octets::<HEADER>(ip.payload) else {
        return found.judged(Reason::Internal);
    };
    let header = Header(octets);
    let router = RouterKey { ifindex: ingress.ifindex, vlan: link.vlan, family: ip.family as u8, vrid: header.vrid() };
    let key = RuleKey { router, destination: if to_group { Address::NONE } else { ip.destination } };
    let rule = if header.vrid() == 0 { None } else { rules.rule(key) };
    found.belongs_to(rule);
    found.source = ip.source;
    found.header = header;
    // Before all else: what is a fault here may be right where the frame belongs.
    if rule.is_some_and(|rule| rule.flags & RULE_VLAN_AMBIGUOUS != 0) {
        return found.judged(Reason::VlanAmbiguous);
    }

    let reason = match judge_packet(&link, &ip, rule, rules).and_then(|()| judge_header(header, &ip, rule)).and_then(
        |(version, rule)| {
            copy(frame, ip.payload, ip.length, message)?;
            let form = judge_message(frame, header, version, &ip, rule, message)?;
            let length = match ip.has_auth_header {
                true => copy(frame, ip.start, ip.payload - ip.start + ip.length, message)?,
                false => ip.length,
            };
            Ok((form, length))
        },
    ) {
        Ok((form, length)) => {
            (found.checksum_form, found.length) = (form, length);
            Reason::OkPassed
        }
        Err(reason) => reason,
    };
    found.judged(reason)
}

/// Copies `length` octets at `at` to the front of `into`, and returns how many.
#[inline(always)]
fn copy<const N: usize>(
    frame: &(impl Frame + ?Sized),
    at: usize,
    length: usize,
    into: &mut [u8; N],
) -> Result<usize, Reason> {
    if length > N {
        return Err(Reason::AddrCountOverBudget);
    }
    frame.copy(at, length, into).ok_or(Reason::Internal)?;
    Ok(length)
}

/// The packet that carries the message: RFC 9568 section 5.1. Unicast is keepalived's: it may come from afar, unless the
/// configuration says of the peer how far away it is.
#[inline(always)]
fn judge_packet(link: &Link, ip: &Ip, rule: Option<&Rule>, rules: &impl Rules) -> Result<(), Reason> {
    let unicast = ip.is_unicast();
    let peer = match rule {
        Some(rule) if unicast => rules.peer(PeerKey { slot: rule.slot, unused: 0, address: ip.source }),
        _ => None,
    };
    let from_afar = match peer {
        Some(peer) => ip.ttl < peer.min_ttl || ip.ttl > peer.max_ttl,
        None => !unicast && ip.ttl != 255,
    };
    if from_afar {
        return Err(Reason::TtlNot255);
    }
    if rule.is_none() && !ip.is_to_group() {
        return Err(Reason::DstNotVrrpGroup);
    }
    if !unicast && link.destination.is_some_and(|mac| mac != ip.group_mac()) {
        return Err(Reason::DstMacMismatch);
    }
    if !ip.has_plausible_source() {
        return Err(Reason::SrcInvalid);
    }
    let Some(rule) = rule else { return Ok(()) };
    if rule.source == ip.source {
        return Err(Reason::SrcIsSelf);
    }
    if unicast && peer.is_none() && rule.flags & RULE_PEERS_ONLY != 0 {
        return Err(Reason::SrcNotPeer);
    }
    Ok(())
}

/// The fixed header: what it is, whose it is, how long it must be.
#[inline(always)]
fn judge_header<'a>(header: Header, ip: &Ip, rule: Option<&'a Rule>) -> Result<(Version, &'a Rule), Reason> {
    let version = Version::new(header.version_nibble()).ok_or(Reason::VersionUnsupported)?;
    if version == Version::V2 && ip.family == Family::V6 {
        return Err(Reason::VersionUnsupported);
    }
    if rule.is_some_and(|rule| rule.version != version as u8 && !hears_both(rule)) {
        return Err(Reason::VersionMismatch);
    }
    if header.type_nibble() != TYPE_ADVERTISEMENT {
        return Err(Reason::TypeUnknown);
    }
    // CARP's third octet is the length of its authentication in words, always 7.
    if version == Version::V2 && header.address_count() == 7 && ip.length == 36 {
        return Err(Reason::CarpLookalike);
    }
    if header.vrid() == 0 {
        return Err(Reason::VridZero);
    }
    let rule = rule.ok_or(Reason::VridUnknown)?;
    if header.address_count() == 0 {
        return Err(Reason::AddrCountZero);
    }
    let needed = header.length(version, ip.family);
    if ip.length < needed {
        return Err(Reason::LengthShort);
    }
    let has_trailer = rule.flags & RULE_HMAC != 0 && ip.length == needed + HMAC_TRAILER;
    if ip.length > needed && !has_trailer {
        return Err(Reason::LengthLong);
    }
    Ok((version, rule))
}

/// The whole message, whose length is right.
#[inline(always)]
fn judge_message<const N: usize>(
    frame: &(impl Frame + ?Sized),
    header: Header,
    version: Version,
    ip: &Ip,
    rule: &Rule,
    message: &[u8; N],
) -> Result<ChecksumForm, Reason> {
    let needed = header.length(version, ip.family);
    let form = checksum_form(frame, version, ip, needed, message).ok_or(Reason::Checksum)?;
    if ip.has_auth_header != (rule.auth_type == AUTH_HEADER) {
        return Err(Reason::AuthType);
    }
    match version {
        Version::V2 => {
            if header.auth_type() != rule.auth_type {
                return Err(Reason::AuthType);
            }
            if rule.auth_type == AUTH_PASS && !password_matches(header, rule, message) {
                return Err(Reason::AuthFailure);
            }
            match header.interval(version) {
                0 if hears_both(rule) => return Err(Reason::IntervalZero),
                interval if interval != rule.interval && !hears_both(rule) => return Err(Reason::IntervalMismatch),
                _ => {}
            }
        }
        Version::V3 => {
            if header.interval(version) == 0 {
                return Err(Reason::IntervalZero);
            }
            let any_first = ip.family == Family::V4 || rule.flags & RULE_ANY_FIRST_ADDRESS != 0;
            if !any_first && !is_link_local6([message[HEADER], message[HEADER + 1]]) {
                return Err(Reason::V6FirstNotLinkLocal);
            }
        }
    }
    if rule.flags & RULE_HMAC_ENFORCED != 0 && ip.length == needed {
        return Err(Reason::AuthMissing);
    }
    Ok(form)
}

#[inline(always)]
const fn hears_both(rule: &Rule) -> bool {
    rule.flags & RULE_BOTH_VERSIONS != 0
}

/// In which form the checksum of a message of `needed` octets is right: v3 over IPv4 has either (CK-05). A trailer may be
/// covered or not: over IPv6 the sender's kernel sums all there is.
#[inline(always)]
fn checksum_form<const N: usize>(
    frame: &(impl Frame + ?Sized),
    version: Version,
    ip: &Ip,
    needed: usize,
    message: &[u8; N],
) -> Option<ChecksumForm> {
    let form = form_of(version, ip, frame.sum(message, needed), needed);
    if form.is_some() || ip.length == needed {
        return form;
    }
    form_of(version, ip, frame.sum(message, ip.length), ip.length)
}

/// Both are tried from one sum.
#[inline(always)]
fn form_of(version: Version, ip: &Ip, sum: Sum, length: usize) -> Option<ChecksumForm> {
    if ip.family == Family::V4 && sum.is_intact() {
        return Some(ChecksumForm::Message);
    }
    let pseudo = sum.pseudo_header(ip.source, ip.destination, PROTOCOL_VRRP, length as u16);
    (version == Version::V3 && pseudo.is_intact()).then_some(ChecksumForm::PseudoHeader)
}

/// Whether v2's password, behind the addresses, is ours. It crosses the link in clear text: how long the comparison
/// takes tells nobody anything.
#[inline(always)]
fn password_matches<const N: usize>(header: Header, rule: &Rule, message: &[u8; N]) -> bool {
    let at = HEADER + 4 * header.address_count() as usize;
    let data = message.get(at..).and_then(|rest| rest.first_chunk::<AUTH_DATA>());
    data.is_some_and(|data| u64::from_ne_bytes(*data) == u64::from_ne_bytes(rule.auth_pass))
}

/// What is known of a frame while it is being judged.
struct Found {
    row: u32,
    slot: u32,
    family: Family,
    source: Address,
    header: Header,
    length: usize,
    checksum_form: ChecksumForm,
    /// Frames that match no rule of ours pass, whatever is wrong with them.
    pass_all: bool,
    /// Neither to the VRRP group nor for a rule of ours: on a router it may be traffic between others, which is not ours
    /// to drop.
    pass_always: bool,
}

impl Found {
    #[inline(always)]
    fn on(ingress: Ingress) -> Self {
        Self {
            row: ingress.device.row,
            slot: 0,
            family: Family::V4,
            source: Address::NONE,
            header: Header([0; HEADER]),
            length: 0,
            checksum_form: ChecksumForm::Message,
            pass_all: ingress.device.flags & DEVICE_PASS_UNKNOWN != 0,
            pass_always: false,
        }
    }

    #[inline(always)]
    fn belongs_to(&mut self, rule: Option<&Rule>) {
        if let Some(rule) = rule {
            self.row = rule.row;
            self.slot = rule.slot;
            self.pass_all = false;
            self.pass_always = false;
        }
    }

    #[inline(always)]
    fn judged(self, reason: Reason) -> Judgement {
        let disposition = match reason.disposition() {
            Disposition::Drop if self.pass_all || self.pass_always => Disposition::Pass,
            disposition => disposition,
        };
        let Self { row, slot, family, source, header, length, checksum_form, pass_all: _, pass_always: _ } = self;
        Judgement { reason, disposition, row, slot, family, source, header, length, checksum_form }
    }
}
