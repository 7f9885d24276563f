//! For every reason the fault that earns it.

use std::net::IpAddr;

use vrrp_common::Family;
use vrrp_common::drop::Reason;

use crate::frames::*;

/// Why no single frame earns a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotByClassify(pub &'static str);

/// Makes of a valid advert a frame that earns `reason`.
///
/// Exhaustive on purpose: a new reason does not compile without a frame that earns it, or a word on who finds it.
pub fn spoil(reason: Reason, frame: &mut FrameSpec) -> Result<(), NotByClassify> {
    let family = frame.family();
    match reason {
        Reason::OkPassed => {}
        Reason::NotVrrp => frame.protocol = 89,
        Reason::Truncated => frame.cut = Some(4),
        Reason::IpHeaderBad if family == Family::V4 => frame.ip_header = Some(4),
        Reason::IpHeaderBad => frame.total_length = Some(2000),
        Reason::IpFragment if family == Family::V4 => frame.fragment = 0x2000,
        Reason::IpFragment => frame.extensions = vec![FRAGMENT],
        Reason::Ip6ExtHeader => {
            over_ipv6(frame);
            frame.extensions = vec![HOP_BY_HOP];
        }
        Reason::TtlNot255 => frame.ttl = 254,
        Reason::DstNotVrrpGroup if family == Family::V4 => frame.destination = IpAddr::from([224, 0, 0, 17]),
        Reason::DstNotVrrpGroup => frame.destination = IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, 0x17]),
        Reason::DstMacMismatch => frame.destination_mac = [2, 0, 0, 0, 0, 1],
        Reason::SrcInvalid if family == Family::V4 => frame.source = IpAddr::from([127, 0, 0, 1]),
        Reason::SrcInvalid if frame.destination.is_multicast() => frame.source = PEER6_GLOBAL,
        Reason::SrcInvalid => frame.source = IpAddr::from([0; 16]),
        Reason::SrcIsSelf if family == Family::V4 => frame.source = OWN,
        Reason::SrcIsSelf if frame.destination.is_multicast() => frame.source = OWN6,
        Reason::SrcIsSelf => frame.source = OWN6_GLOBAL,
        Reason::SrcNotPeer if family == Family::V4 => *frame = FrameSpec { source: STRANGER, ..FrameSpec::unicast() },
        Reason::SrcNotPeer => *frame = FrameSpec { source: STRANGER6, ..FrameSpec::unicast6() },
        Reason::VersionUnsupported => frame.version = 4,
        Reason::VersionMismatch if family == Family::V4 => frame.version = if frame.version == 2 { 3 } else { 2 },
        Reason::VersionMismatch => *frame = FrameSpec { version: 2, ..FrameSpec::v3() },
        Reason::TypeUnknown => frame.kind = 2,
        Reason::CarpLookalike => {
            *frame = FrameSpec {
                address_count: Some(7),
                addresses: Vec::new(),
                extra: vec![0xca; 28],
                auth_data: None,
                ..FrameSpec { tags: frame.tags.clone(), ..FrameSpec::v2() }
            }
        }
        Reason::VridZero => frame.vrid = 0,
        Reason::VridUnknown => frame.vrid = UNKNOWN_VRID,
        Reason::VlanAmbiguous => *frame = FrameSpec { vrid: AMBIGUOUS_VRID, ..FrameSpec::v3() },
        Reason::AddrCountZero => frame.addresses.clear(),
        Reason::LengthShort => frame.address_count = Some(frame.addresses.len() as u8 + 1),
        Reason::LengthLong => frame.extra = vec![0; 4],
        Reason::AddrCountOverBudget => frame.addresses = addresses(family, if family == Family::V4 { 63 } else { 16 }),
        Reason::Checksum => frame.checksum_error = 1,
        Reason::AuthType => *frame = FrameSpec { auth_type: 0, ..FrameSpec::v2_password() },
        Reason::AuthFailure => *frame = FrameSpec { auth_data: Some(*b"Secret\0\0"), ..FrameSpec::v2_password() },
        Reason::IntervalZero => {
            if frame.version == 2 {
                *frame = FrameSpec::v3();
            }
            // The reserved bits are not part of it.
            frame.interval = 0xf000;
        }
        Reason::IntervalMismatch => *frame = FrameSpec { interval: 2, ..FrameSpec::v2() },
        Reason::V6FirstNotLinkLocal => {
            over_ipv6(frame);
            frame.addresses.reverse();
        }
        Reason::AuthMissing if family == Family::V4 => *frame = FrameSpec { vrid: HMAC_VRID, ..FrameSpec::v3() },
        Reason::AuthMissing => *frame = FrameSpec { vrid: HMAC_VRID, ..FrameSpec::v6() },
        Reason::OkAbsorbed => return Err(NotByClassify("depends on the advert before it")),
        Reason::SrcMacUnexpected => return Err(NotByClassify("the MAC addresses seen before are not in the rule yet")),
        Reason::RateLimited => return Err(NotByClassify("depends on how many came before it")),
        Reason::RingFull => return Err(NotByClassify("the kernel's ring decides, behind classify")),
        Reason::Internal => return Err(NotByClassify("only a frame whose header is cut by the driver earns it")),
        Reason::IntervalJump
        | Reason::AddrListMismatch
        | Reason::OwnerConflict
        | Reason::Prio255FromNonOwner
        | Reason::LowerPrioDiscarded
        | Reason::StateInit
        | Reason::AuthMalformed
        | Reason::AuthUnknownKey
        | Reason::AuthBadHmac
        | Reason::AuthStale
        | Reason::AuthReplay
        | Reason::IfaceMismatch => return Err(NotByClassify("the daemon decides")),
    }
    Ok(())
}

fn over_ipv6(frame: &mut FrameSpec) {
    if frame.family() == Family::V4 {
        *frame = FrameSpec::v6();
    }
}

/// Reasons that a frame alone earns.
pub fn earned_by_frames() -> impl Iterator<Item = Reason> {
    Reason::ALL.iter().copied().filter(|&reason| spoil(reason, &mut FrameSpec::v3()).is_ok())
}
