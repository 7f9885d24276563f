//! The types that cross between kernel and daemon: map keys, map values and the ring buffer's records.
//!
//! Plain integers in fixed places, no padding; sizes are asserted, because both sides are compiled apart.

use bytemuck::{Pod, Zeroable};

use crate::address::Address;
use crate::drop::REASON_SLOTS;

/// Octets of a VRRP message that the kernel's program reads: 20 IPv4 addresses with every trailer, 15 IPv6 addresses.
/// A longer one passes to the raw socket ([`Reason::AddrCountOverBudget`](crate::drop::Reason)).
pub const MESSAGE_BUDGET: usize = 256;

/// Which virtual router a frame is for. One interface, family and VRID may have several: one of each group, and one of
/// each address of ours that unicast adverts come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct RuleKey {
    pub router: RouterKey,
    /// The frame's; none for VRRP's own group. Of those the kernel has a map of their own, which is faster.
    pub destination: Address,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct RouterKey {
    pub ifindex: u32,
    /// 802.1Q VLAN id found in the frame; 0 for an untagged one.
    pub vlan: u16,
    /// 4 or 6.
    pub family: u8,
    pub vrid: u8,
}

/// What an advert for one virtual router must be like. Map value; also the daemon's own filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Rule {
    /// Index of the instance, repeated in every record about it.
    pub slot: u32,
    /// Row of `COUNTERS` for frames of this instance.
    pub row: u32,
    /// The address we send from; none while unknown.
    pub source: Address,
    /// v2 password, padded with zeros.
    pub auth_pass: [u8; 8],
    /// Our advertisement interval, centiseconds.
    pub interval: u16,
    /// 2 or 3.
    pub version: u8,
    /// v2 authentication type: [`AUTH_NONE`], [`AUTH_PASS`] or [`AUTH_HEADER`].
    pub auth_type: u8,
    /// Sum of `RULE_*`.
    pub flags: u32,
}

/// v2 Auth Type 0, the only one of RFC 3768.
pub const AUTH_NONE: u8 = 0;
/// v2 Auth Type 1, the simple text password of RFC 2338, which keepalived kept.
pub const AUTH_PASS: u8 = 1;
/// v2 Auth Type 2: the packet has an IP authentication header (RFC 2338 section 5.3.6.3).
pub const AUTH_HEADER: u8 = 2;

/// Our own first IPv6 address is not link-local, which keepalived allows; then no other router's need be.
pub const RULE_ANY_FIRST_ADDRESS: u32 = 2;
/// A frame for this rule may be for an interface that stands on the device, as for a VLAN whose tag is kept beside it: the
/// program leaves all of them to the raw sockets.
pub const RULE_VLAN_AMBIGUOUS: u32 = 1;

/// Unicast: adverts of others than the peers are refused.
pub const RULE_PEERS_ONLY: u32 = 4;

/// An advert may have keepalived's HMAC trailer.
pub const RULE_HMAC: u32 = 8;
/// With [`RULE_HMAC`]: and must.
pub const RULE_HMAC_ENFORCED: u32 = 16;

/// Of version 3 over IPv4: adverts of version 2 are heard, too, whatever their interval (RFC 9568 section 8.4).
pub const RULE_BOTH_VERSIONS: u32 = 32;

/// A router that unicast adverts may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct PeerKey {
    /// Of the rule.
    pub slot: u32,
    pub unused: u32,
    pub address: Address,
}

/// How far away it may be: the TTL or hop limit that its adverts still have, both ends included. Map value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Peer {
    pub min_ttl: u8,
    pub max_ttl: u8,
}

/// What to do on one device with frames that match no rule. Map value, by ifindex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Device {
    /// Row of `COUNTERS` for frames of no configured instance.
    pub row: u32,
    /// Sum of `DEVICE_*`.
    pub flags: u32,
}

/// Frames for a VRID that is not ours pass: others live behind this device, or the operator wants it so.
pub const DEVICE_PASS_UNKNOWN: u32 = 1;
/// Valid adverts pass up the stack to the raw socket instead of the ring (`xdp_deliver observe`).
pub const DEVICE_OBSERVE: u32 = 2;

/// Frames by reason; one row per instance and per device, each per CPU.
pub type CounterRow = [u64; REASON_SLOTS];

/// Head of a ring buffer record; `length` octets follow: the VRRP message with its trailer, or the whole IP packet where it
/// has an authentication header, which covers that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct RecordHead {
    /// CLOCK_MONOTONIC nanoseconds when the kernel had the frame.
    pub arrival: u64,
    pub slot: u32,
    pub length: u16,
    /// [`ChecksumForm`](crate::wire::checksum::ChecksumForm) as a number.
    pub checksum_form: u8,
    /// 4 or 6.
    pub family: u8,
    /// Source address of the frame.
    pub source: Address,
}

/// A ring buffer record of full length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Record {
    pub head: RecordHead,
    pub message: [u8; MESSAGE_BUDGET],
}

impl Record {
    /// The octets of a record whose message is `length` octets long; `None` when it cannot be.
    #[inline(always)]
    pub fn octets(&self, length: usize) -> Option<&[u8]> {
        bytemuck::bytes_of(self).get(..size_of::<RecordHead>() + length)
    }
}

const _: () = {
    assert!(size_of::<RouterKey>() == 8);
    assert!(size_of::<RuleKey>() == 24);
    assert!(size_of::<PeerKey>() == 24);
    assert!(size_of::<Peer>() == 2);
    assert!(size_of::<Rule>() == 40);
    assert!(size_of::<Device>() == 8);
    assert!(size_of::<RecordHead>() == 32);
    assert!(size_of::<Record>() == 288);
    assert!(size_of::<CounterRow>() == 512);
};
