//! The one list of what may be found of a frame, and what each finding means: enum, labels, help and counters come from it.
//!
//! The numbers are stable: they index the kernel's counters and appear in captures of the ring buffer.

/// Declares [`Reason`]: `number Name "label" decider disposition` behind the help text of each.
macro_rules! reasons {
    ($($(#[doc = $help:literal])+ $number:literal $name:ident $label:literal $by:ident $does:ident;)+) => {
        /// What was found of a frame that looked like VRRP. The first that applies, in this order, is counted, but for
        /// `VlanAmbiguous`: that goes before what is found by a rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[doc = $help])+ $name = $number,)+
        }

        impl Reason {
            /// Every reason, in the order of evaluation.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The name in logs, JSON and metrics.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)+ }
            }

            /// One sentence for the operator.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => concat!($($help),+).trim_ascii(),)+ }
            }

            /// Who finds it.
            pub const fn decider(self) -> Decider {
                match self { $(Self::$name => Decider::$by,)+ }
            }

            /// What becomes of the frame.
            pub const fn disposition(self) -> Disposition {
                match self { $(Self::$name => Disposition::$does,)+ }
            }

            /// The reason with this number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

/// Who finds a [`Reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decider {
    /// [`classify`](crate::classify::classify): in the kernel, or on the raw socket's path.
    Frame,
    /// The daemon, which knows what happened before this frame.
    Daemon,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Up the stack, untouched: not ours, or odd but plausible.
    Pass,
    /// A valid advert of a configured virtual router: to the engine.
    Deliver,
    /// Refused.
    Drop,
}

reasons! {
    /// Equal to the master's last advert: only its time was stored.
    0 OkAbsorbed "ok_absorbed" Frame Deliver;
    /// A valid advert, delivered to the daemon.
    1 OkPassed "ok_passed" Frame Deliver;
    /// Not VRRP; passed on untouched and not counted.
    2 NotVrrp "not_vrrp" Frame Pass;
    /// Shorter than the 8 octets every advert has.
    3 Truncated "truncated" Frame Drop;
    /// The IP header's own length, or the length it tells, cannot be true.
    4 IpHeaderBad "ip_header_bad" Frame Drop;
    /// An IP fragment; adverts are never fragmented.
    5 IpFragment "ip_fragment" Frame Drop;
    /// VRRP behind an IPv6 extension header.
    6 Ip6ExtHeader "ip6_ext_header" Frame Drop;
    /// TTL or hop limit is not 255 (RFC 9568 section 5.1.1.3), or not what the unicast peer's must be: the sender is elsewhere.
    7 TtlNot255 "ttl_not_255" Frame Drop;
    /// VRRP to an address that is neither the VRRP group nor one we listen on; passed on, it may be somebody else's.
    8 DstNotVrrpGroup "dst_not_vrrp_group" Frame Pass;
    /// To the VRRP group, but not to its Ethernet address; passed on.
    9 DstMacMismatch "dst_mac_mismatch" Frame Pass;
    /// A source address that no router can have: 0/8, 127/8, multicast or broadcast; of IPv6 all that is not link-local.
    10 SrcInvalid "src_invalid" Frame Drop;
    /// The source is our own address, and we did not send it: a loop, a forgery, or an address used twice.
    11 SrcIsSelf "src_is_self" Frame Drop;
    /// The source is none of the unicast peers.
    12 SrcNotPeer "src_not_peer" Frame Drop;
    /// The source MAC is neither the virtual router's nor one seen before; only counted.
    13 SrcMacUnexpected "src_mac_unexpected" Frame Pass;
    /// Neither VRRPv2 nor VRRPv3, or version 2 inside IPv6.
    14 VersionUnsupported "version_unsupported" Frame Drop;
    /// The other version than this virtual router is configured for.
    15 VersionMismatch "version_mismatch" Frame Drop;
    /// Not an ADVERTISEMENT, the only type there is.
    16 TypeUnknown "type_unknown" Frame Drop;
    /// CARP, which shares VRRP's protocol number, with our VRID as its virtual host.
    17 CarpLookalike "carp_lookalike" Frame Drop;
    /// VRID 0, which does not exist.
    18 VridZero "vrid_zero" Frame Drop;
    /// No virtual router of this VRID is configured on this interface.
    19 VridUnknown "vrid_unknown" Frame Drop;
    /// It may be for a VLAN of this interface, whose tag the program cannot see; left to the raw socket, which knows.
    20 VlanAmbiguous "vlan_ambiguous" Frame Pass;
    /// The advert names no address (erratum 8299).
    21 AddrCountZero "addr_count_zero" Frame Drop;
    /// Shorter than its address count and version need.
    22 LengthShort "length_short" Frame Drop;
    /// Longer than its address count and version allow.
    23 LengthLong "length_long" Frame Drop;
    /// More addresses than the kernel's program reads; passed on to the raw socket.
    24 AddrCountOverBudget "addr_count_over_budget" Frame Pass;
    /// The checksum is wrong in every form its version knows.
    25 Checksum "checksum" Frame Drop;
    /// The v2 authentication type is not the configured one, or there is an authentication header where none belongs.
    26 AuthType "auth_type" Frame Drop;
    /// An interval of 0, which would make every backup take over (erratum 8301).
    27 IntervalZero "interval_zero" Frame Drop;
    /// The v2 interval is not the configured one (RFC 3768 section 7.1).
    28 IntervalMismatch "interval_mismatch" Frame Drop;
    /// The v3 interval is implausibly longer than ours; the last good one is kept.
    29 IntervalJump "interval_jump" Daemon Deliver;
    /// The advertised addresses are not the configured ones; only counted.
    30 AddrListMismatch "addr_list_mismatch" Daemon Deliver;
    /// The first IPv6 address is not link-local (erratum 8300).
    31 V6FirstNotLinkLocal "v6_first_not_link_local" Frame Drop;
    /// Another router claims to own the address we own.
    32 OwnerConflict "owner_conflict" Daemon Deliver;
    /// Priority 255 from a router that is not the owner.
    33 Prio255FromNonOwner "prio_255_from_non_owner" Daemon Deliver;
    /// A lower priority than ours: discarded by the state machine (RFC 9568 section 6.4).
    34 LowerPrioDiscarded "lower_prio_discarded" Daemon Deliver;
    /// One of too many adverts that can change nothing, being of lower priority than this router.
    35 RateLimited "rate_limited" Frame Drop;
    /// Valid, but the ring buffer was full; left to the raw socket.
    36 RingFull "ring_full" Frame Pass;
    /// The virtual router takes no part in the protocol at present.
    37 StateInit "state_init" Daemon Drop;
    /// The HMAC trailer is missing.
    38 AuthMissing "auth_missing" Frame Drop;
    /// The HMAC trailer is malformed.
    39 AuthMalformed "auth_malformed" Daemon Drop;
    /// The HMAC key id is not in the key ring.
    40 AuthUnknownKey "auth_unknown_key" Daemon Drop;
    /// The HMAC is wrong.
    41 AuthBadHmac "auth_bad_hmac" Daemon Drop;
    /// The HMAC's time is outside the window.
    42 AuthStale "auth_stale" Daemon Drop;
    /// The HMAC's counter was seen before.
    43 AuthReplay "auth_replay" Daemon Drop;
    /// Received on another interface than the virtual router's.
    44 IfaceMismatch "iface_mismatch" Daemon Drop;
    /// A path that only the kernel's verifier asks for; passed on.
    45 Internal "internal" Frame Pass;
    /// The v2 password is wrong.
    46 AuthFailure "auth_failure" Frame Drop;
}

/// Width of a row of counters: a power of two above the last reason's number, so that the verifier sees the bound.
pub const REASON_SLOTS: usize = 64;

const _: () = assert!(Reason::ALL[Reason::ALL.len() - 1] as usize <= REASON_SLOTS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_labels_are_unique_and_ordered() {
        for (index, &reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason as usize, index);
            assert_eq!(Reason::from_number(index as u8), Some(reason));
            assert!(!reason.help().is_empty());
            assert_eq!(Reason::ALL.iter().filter(|other| other.label() == reason.label()).count(), 1);
        }
        assert_eq!(Reason::from_number(Reason::ALL.len() as u8), None);
    }
}
