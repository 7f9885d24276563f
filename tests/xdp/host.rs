//! `classify` alone: every reason is earned by its frame, in the order of the list, in the right row.

use vrrp_common::Family;
use vrrp_common::abi::{DEVICE_OBSERVE, DEVICE_PASS_UNKNOWN};
use vrrp_common::drop::{Decider, Disposition, Reason};
use vrrp_common::wire::checksum::ChecksumForm;
use vrrp_tests::frames::*;

use vrrp_tests::judges::*;

fn judged(frame: &FrameSpec, flags: u32) -> (Reason, Disposition, u32) {
    let judgement = host(&frame.build(), flags).0;
    (judgement.reason, judgement.disposition, judgement.row)
}

#[test]
fn every_reason_is_earned_by_its_frame() {
    for reason in earned_by_frames() {
        assert_eq!(reason.decider(), Decider::Frame);
        for mut frame in [FrameSpec::v3(), FrameSpec::v6(), FrameSpec::v2(), FrameSpec::v2_password()] {
            spoil(reason, &mut frame).unwrap();
            let (found, disposition, _) = judged(&frame, 0);
            assert_eq!((found, disposition), (reason, reason.disposition()), "{frame:?}");
        }
        for mut frame in [FrameSpec::unicast(), FrameSpec::unicast6()] {
            spoil(reason, &mut frame).unwrap();
            let (found, disposition, row) = judged(&frame, 0);
            match reason {
                // Of a group alone; and from how far they may come each peer says for itself.
                Reason::DstMacMismatch | Reason::DstNotVrrpGroup | Reason::TtlNot255 => continue,
                // It may be for another host.
                Reason::VridZero | Reason::VridUnknown => assert_eq!(found, Reason::DstNotVrrpGroup),
                _ => assert_eq!(found, reason, "{frame:?}"),
            }
            if row == DEVICE_ROW && !frame.destination.is_multicast() {
                assert_eq!(disposition, Disposition::Pass, "{frame:?}");
            } else {
                assert_eq!(disposition, reason.disposition(), "{frame:?}");
            }
        }
    }
}

/// Faults that can stand together in one frame, as the list orders them.
const FAULTS: [Reason; 20] = [
    Reason::Truncated,
    Reason::IpFragment,
    Reason::TtlNot255,
    Reason::DstNotVrrpGroup,
    Reason::DstMacMismatch,
    Reason::SrcInvalid,
    Reason::VersionUnsupported,
    Reason::VersionMismatch,
    Reason::TypeUnknown,
    Reason::VridZero,
    Reason::VridUnknown,
    Reason::AddrCountZero,
    Reason::LengthShort,
    Reason::LengthLong,
    Reason::AddrCountOverBudget,
    Reason::Checksum,
    Reason::IntervalZero,
    Reason::V6FirstNotLinkLocal,
    Reason::AuthMissing,
    Reason::OkPassed,
];

#[test]
fn the_earlier_of_two_faults_is_found() {
    for (index, &earlier) in FAULTS.iter().enumerate() {
        for &later in &FAULTS[index + 1..] {
            let exclusive = match (earlier, later) {
                // These two say different things of one field.
                (Reason::VersionUnsupported, Reason::VersionMismatch) | (Reason::VridZero, Reason::VridUnknown) => true,
                // Which version a router unknown here has, is not known.
                (Reason::VersionMismatch, Reason::VridZero | Reason::VridUnknown) => true,
                (Reason::AddrCountZero, Reason::LengthShort | Reason::AddrCountOverBudget) => true,
                (Reason::LengthShort, Reason::LengthLong | Reason::AddrCountOverBudget) => true,
                // Nor is there a first address then.
                (Reason::AddrCountZero, Reason::V6FirstNotLinkLocal) => true,
                _ => false,
            };
            if exclusive {
                continue;
            }
            for mut frame in [FrameSpec::v3(), FrameSpec::v6()] {
                let family = frame.family();
                // How long the message behind an extension header is, nobody looks.
                if family == Family::V6 && (earlier, later) == (Reason::Truncated, Reason::IpFragment) {
                    continue;
                }
                spoil(later, &mut frame).unwrap();
                spoil(earlier, &mut frame).unwrap();
                assert_eq!(judged(&frame, 0).0, earlier, "{family:?}, with {later:?}");
            }
        }
    }
}

/// Also one that would be refused here: where it belongs it may be right.
#[test]
fn of_what_may_be_anothers_nothing_is_found() {
    for fault in [Reason::OkPassed, Reason::TtlNot255, Reason::SrcIsSelf, Reason::VersionMismatch, Reason::Checksum] {
        let mut frame = FrameSpec { vrid: AMBIGUOUS_VRID, ..FrameSpec::v3() };
        spoil(fault, &mut frame).unwrap();
        let found = (Reason::VlanAmbiguous, Disposition::Pass, AMBIGUOUS_ROW);
        assert_eq!(judged(&frame, 0), found, "{fault:?}");
    }
}

#[test]
fn an_advert_is_delivered_with_what_the_daemon_needs() {
    for (frame, row, form) in [
        (FrameSpec::v3(), V3_ROW, ChecksumForm::PseudoHeader),
        (FrameSpec::v6(), V6_ROW, ChecksumForm::PseudoHeader),
        (FrameSpec { checksum_form: ChecksumForm::Message, ..FrameSpec::v3() }, V3_ROW, ChecksumForm::Message),
        (FrameSpec::v2(), V2_ROW, ChecksumForm::Message),
        (FrameSpec::v2_password(), V2_PASSWORD_ROW, ChecksumForm::Message),
        (FrameSpec { tags: vec![(0x8100, 0xe000 | VLAN)], ..FrameSpec::v3() }, VLAN_ROW, ChecksumForm::PseudoHeader),
        (FrameSpec::v2_auth_header(), AUTH_HEADER_ROW, ChecksumForm::Message),
        (FrameSpec { ip_options: vec![1; 40], ..FrameSpec::v2_auth_header() }, AUTH_HEADER_ROW, ChecksumForm::Message),
        (FrameSpec::v3().with_trailer(), HMAC_ROW, ChecksumForm::PseudoHeader),
        (FrameSpec::v6().with_trailer(), HMAC6_ROW, ChecksumForm::PseudoHeader),
    ] {
        let (judgement, message) = host(&frame.build(), 0);
        assert_eq!((judgement.reason, judgement.disposition), (Reason::OkPassed, Disposition::Deliver));
        assert_eq!((judgement.row, judgement.slot, judgement.family), (row, 100 + row, frame.family()));
        assert_eq!(judgement.source, frame.source.into());
        assert_eq!(judgement.checksum_form, form);
        assert_eq!(judgement.header.0, frame.message()[..8]);
        assert_eq!(message, frame.delivered());
    }
}

/// CK-01 and CK-02; v3 over IPv4 has both (CK-05), above.
#[test]
fn v2_and_ipv6_have_one_checksum_form() {
    let v2 = FrameSpec { checksum_form: ChecksumForm::PseudoHeader, ..FrameSpec::v2() };
    let v6 = FrameSpec { checksum_form: ChecksumForm::Message, ..FrameSpec::v6() };
    assert_eq!([judged(&v2, 0).0, judged(&v6, 0).0], [Reason::Checksum; 2]);
}

/// FMT-06: whatever its own rule says of versions.
#[test]
fn v2_inside_ipv6_is_no_version() {
    assert_eq!(judged(&FrameSpec { version: 2, ..FrameSpec::v6() }, 0).0, Reason::VersionUnsupported);
}

/// IV-01 and IV-03: an interval that version 2 cannot say is none that it must say.
#[test]
fn one_that_upgrades_hears_both_versions() {
    let found = |frame: FrameSpec| judged(&FrameSpec { vrid: BOTH_VERSIONS_VRID, ..frame }, 0);
    let heard = (Reason::OkPassed, Disposition::Deliver, BOTH_VERSIONS_ROW);
    assert_eq!([found(FrameSpec::v3()), found(FrameSpec::v2())], [heard; 2]);
    assert_eq!(found(FrameSpec { interval: 3, ..FrameSpec::v2() }), heard);
    assert_eq!(found(FrameSpec { interval: 0, ..FrameSpec::v2() }).0, Reason::IntervalZero);
    assert_eq!(found(FrameSpec::v2_password()).0, Reason::AuthType);
}

/// FMT-07 and erratum 8300, unless the configuration itself does not keep to it.
#[test]
fn the_first_ipv6_address_is_link_local() {
    let global_first = |vrid| FrameSpec { vrid, addresses: addresses(Family::V6, 3).split_off(1), ..FrameSpec::v6() };
    let dropped = (Reason::V6FirstNotLinkLocal, Disposition::Drop, V6_ROW);
    assert_eq!(judged(&global_first(V3_VRID), 0), dropped);
    assert_eq!(judged(&global_first(ANY_FIRST_VRID), 0), (Reason::OkPassed, Disposition::Deliver, ANY_FIRST_ROW));
    assert_eq!(judged(&FrameSpec { vrid: ANY_FIRST_VRID, ..FrameSpec::v6() }, 0).0, Reason::OkPassed);
}

#[test]
fn ipv6_extension_headers_and_fragments_are_told_apart() {
    let behind = |extensions: &[u8]| judged(&FrameSpec { extensions: extensions.to_vec(), ..FrameSpec::v6() }, 0).0;
    assert_eq!(behind(&[HOP_BY_HOP]), Reason::Ip6ExtHeader);
    assert_eq!(behind(&[HOP_BY_HOP, 43, 60]), Reason::Ip6ExtHeader);
    assert_eq!(behind(&[AUTHENTICATION]), Reason::Ip6ExtHeader);
    assert_eq!(behind(&[HOP_BY_HOP, FRAGMENT]), Reason::IpFragment);
    assert_eq!(behind(&[0, 0, 0, 0, 0]), Reason::NotVrrp, "so many are nobody's");
    assert_eq!(behind(&[50]), Reason::NotVrrp, "encrypted");
}

/// As many addresses as the kernel's program reads, and one more.
#[test]
fn the_budget_is_used_up() {
    let (header, trailer) = (FrameSpec::v2_auth_header(), FrameSpec::v3().with_trailer());
    let all = [(FrameSpec::v3(), 62), (FrameSpec::v2(), 60), (FrameSpec::v6(), 15), (header, 49), (trailer, 55)];
    for (frame, most) in all {
        for count in 1..=most {
            let frame = FrameSpec { addresses: addresses(frame.family(), count), ..frame.clone() };
            let (judgement, message) = host(&frame.build(), 0);
            assert_eq!((judgement.reason, message), (Reason::OkPassed, frame.delivered()), "{count}");
        }
        let over = FrameSpec { addresses: addresses(frame.family(), most + 1), ..frame };
        assert_eq!(judged(&over, 0).0, Reason::AddrCountOverBudget);
    }
}

#[test]
fn ip_options_and_padding_are_not_message() {
    let options = FrameSpec { ip_options: vec![0x94, 4, 0, 0, 1, 1, 1, 1], ..FrameSpec::v3() };
    assert_eq!(judged(&options, 0).0, Reason::OkPassed);
    assert_eq!(judged(&FrameSpec { ip_options: vec![1; 40], ..FrameSpec::v2() }, 0).0, Reason::OkPassed);
    assert_eq!(judged(&FrameSpec { pad_to: 1500, ..FrameSpec::v3() }, 0).0, Reason::OkPassed);
}

#[test]
fn another_vlan_is_not_ours() {
    let tagged = |tags: &[(u16, u16)], frame: FrameSpec| FrameSpec { tags: tags.to_vec(), ..frame };
    let spoilt = |reason| {
        let mut frame = FrameSpec::v3();
        spoil(reason, &mut frame).unwrap();
        frame
    };
    // A VLAN without a rule: whatever it is, it passes; here even what cannot be attributed to a VRID.
    for reason in [Reason::TtlNot255, Reason::VridZero, Reason::Checksum, Reason::IpFragment, Reason::Truncated] {
        let (_, disposition, row) = judged(&tagged(&[(0x8100, 11)], spoilt(reason)), 0);
        assert_eq!((disposition, row), (Disposition::Pass, DEVICE_ROW), "{reason:?}");
    }
    // The VLAN of a rule: as without a tag.
    assert_eq!(
        judged(&tagged(&[(0x8100, VLAN)], spoilt(Reason::Checksum)), 0),
        (Reason::Checksum, Disposition::Drop, VLAN_ROW)
    );
    // A priority tag is no VLAN; the inner of two tags counts; three are too many.
    assert_eq!(judged(&tagged(&[(0x8100, 0xe000)], FrameSpec::v3()), 0).2, V3_ROW);
    assert_eq!(judged(&tagged(&[(0x88a8, 7), (0x8100, VLAN)], FrameSpec::v3()), 0).2, VLAN_ROW);
    assert_eq!(judged(&tagged(&[(0x88a8, 7), (0x8100, 7), (0x8100, VLAN)], FrameSpec::v3()), 0).0, Reason::NotVrrp);
}

/// Each VRID has as many instances as addresses that its adverts come to.
#[test]
fn the_destination_tells_instances_apart() {
    let other = FrameSpec { destination: OTHER_GROUP, ..FrameSpec::v3() };
    assert_eq!(judged(&other, 0), (Reason::DstMacMismatch, Disposition::Pass, OTHER_GROUP_ROW));
    let other = FrameSpec { destination_mac: [1, 0, 0x5e, 0, 0, 99], ..other };
    for (frame, row) in [
        (FrameSpec::v3(), V3_ROW),
        (FrameSpec::v6(), V6_ROW),
        (other, OTHER_GROUP_ROW),
        (FrameSpec { destination: OTHER_GROUP6, ..FrameSpec::v6() }, OTHER_GROUP6_ROW),
        (FrameSpec::unicast(), UNICAST_ROW),
        (FrameSpec::unicast6(), UNICAST6_ROW),
        (FrameSpec { vrid: OPEN_VRID, ..FrameSpec::unicast() }, OPEN_ROW),
    ] {
        assert_eq!(judged(&frame, 0), (Reason::OkPassed, Disposition::Deliver, row));
    }
    // A VRID that has a rule for another address only: somebody's traffic.
    let elsewhere = FrameSpec { destination: [192, 0, 2, 9].into(), ..FrameSpec::unicast() };
    assert_eq!(judged(&elsewhere, 0), (Reason::DstNotVrrpGroup, Disposition::Pass, DEVICE_ROW));
    let no_group = FrameSpec { vrid: OPEN_VRID, ..FrameSpec::v3() };
    assert_eq!(judged(&no_group, 0), (Reason::VridUnknown, Disposition::Drop, DEVICE_ROW));
}

/// keepalived's unicast: TTL as the peer's range says, and `check_unicast_src`.
#[test]
fn unicast_comes_from_peers() {
    let found = |frame: FrameSpec| judged(&frame, 0).0;
    let ttl = |ttl| found(FrameSpec { ttl, ..FrameSpec::unicast() });
    assert_eq!([59, 60, 254, 255].map(ttl), [Reason::TtlNot255, Reason::OkPassed, Reason::OkPassed, Reason::TtlNot255]);
    assert_eq!(found(FrameSpec { ttl: 0, ..FrameSpec::unicast6() }), Reason::OkPassed);
    let dropped = |row| (Reason::SrcNotPeer, Disposition::Drop, row);
    assert_eq!(judged(&FrameSpec { source: STRANGER, ..FrameSpec::unicast() }, 0), dropped(UNICAST_ROW));
    assert_eq!(judged(&FrameSpec { source: STRANGER6, ..FrameSpec::unicast6() }, 0), dropped(UNICAST6_ROW));
    assert_eq!(found(FrameSpec { source: OWN, ..FrameSpec::unicast() }), Reason::SrcIsSelf);
    // Where others are heard, too, their TTL says nothing.
    let open = |source, ttl| found(FrameSpec { vrid: OPEN_VRID, source, ttl, ..FrameSpec::unicast() });
    assert_eq!(open(STRANGER, 3), Reason::OkPassed);
    assert_eq!([open(PEER, 64), open(PEER, 63)], [Reason::OkPassed, Reason::TtlNot255]);
    for source in ["::", "::1", "ff02::12"] {
        assert_eq!(found(FrameSpec { source: source.parse().unwrap(), ..FrameSpec::unicast6() }), Reason::SrcInvalid);
    }
}

/// What stands where proof of a sender is expected, and where none is.
#[test]
fn authentication_is_there_as_configured() {
    let found = |frame: FrameSpec| judged(&frame, 0).0;
    let no_header = FrameSpec { extensions: Vec::new(), ..FrameSpec::v2_auth_header() };
    assert_eq!(found(no_header), Reason::AuthType);
    assert_eq!(found(FrameSpec { auth_type: 0, ..FrameSpec::v2_auth_header() }), Reason::AuthType);
    for unasked in [FrameSpec::v3(), FrameSpec::v2(), FrameSpec::v2_password(), FrameSpec::unicast()] {
        assert_eq!(found(FrameSpec { extensions: vec![AUTHENTICATION], ..unasked }), Reason::AuthType);
    }
    // A trailer covered by the checksum, as a kernel that sums all it sends does it, or not.
    for frame in [FrameSpec::v3(), FrameSpec::v6()] {
        let outside = frame.clone().with_trailer();
        let inside = FrameSpec { extra: outside.trailer.clone(), trailer: Vec::new(), ..outside.clone() };
        assert_eq!([found(outside.clone()), found(inside.clone())], [Reason::OkPassed; 2]);
        assert_eq!(found(FrameSpec { checksum_error: 1, ..outside.clone() }), Reason::Checksum);
        assert_eq!(found(FrameSpec { vrid: V3_VRID, ..inside }), Reason::LengthLong, "nobody asked for it");
        assert_eq!(found(FrameSpec { trailer: vec![0x5a; 27], ..outside }), Reason::LengthLong);
        assert_eq!(found(FrameSpec { vrid: HMAC_VRID, ..frame }), Reason::AuthMissing);
    }
    let optional = FrameSpec { vrid: HMAC_OPTIONAL_VRID, ..FrameSpec::v2_password() };
    let with_trailer = FrameSpec { vrid: HMAC_OPTIONAL_VRID, ..optional.clone().with_trailer() };
    assert_eq!([found(optional), found(with_trailer.clone())], [Reason::OkPassed; 2]);
    assert_eq!(found(FrameSpec { auth_data: Some([0; 8]), ..with_trailer }), Reason::AuthFailure);
}

#[test]
fn what_is_not_to_the_group_passes() {
    // Unicast VRRP between two others, seen on its way through a router.
    let transit =
        FrameSpec { destination: [198, 51, 100, 1].into(), destination_mac: [2, 0, 0, 0, 0, 1], ..FrameSpec::v3() };
    let passes = |frame: FrameSpec| judged(&frame, 0).1 == Disposition::Pass;
    assert!(passes(transit.clone()));
    assert!(passes(FrameSpec { ttl: 63, ..transit.clone() }));
    assert!(passes(FrameSpec { fragment: 0x2000, ..transit.clone() }));
    assert!(passes(FrameSpec { cut: Some(4), ..transit.clone() }));
    assert!(passes(FrameSpec { ttl: 63, vrid: UNKNOWN_VRID, ..transit }));
}

#[test]
fn a_device_with_guests_passes_what_is_unknown() {
    for reason in earned_by_frames() {
        let mut frame = FrameSpec { vrid: UNKNOWN_VRID, ..FrameSpec::v3() };
        spoil(reason, &mut frame).unwrap();
        let (_, disposition, row) = judged(&frame, DEVICE_PASS_UNKNOWN);
        if row == DEVICE_ROW {
            assert_eq!(disposition, Disposition::Pass, "{reason:?}");
        }
    }
    // What is for a rule of ours is judged as ever.
    let wrong = FrameSpec { checksum_error: 1, vrid: V2_VRID, ..FrameSpec::v2() };
    assert_eq!(judged(&wrong, DEVICE_PASS_UNKNOWN | DEVICE_OBSERVE), (Reason::Checksum, Disposition::Drop, V2_ROW));
}

#[test]
fn short_frames_are_not_vrrp() {
    let whole = FrameSpec { pad_to: 0, ..FrameSpec::v3() }.build();
    for length in 0..34 {
        assert_eq!(host(&whole[..length], 0).0.reason, Reason::NotVrrp);
    }
    for length in 34..whole.len() {
        assert_eq!(host(&whole[..length], 0).0.reason, Reason::IpHeaderBad);
    }
    let whole = FrameSpec { pad_to: 0, ..FrameSpec::v6() }.build();
    for length in 0..54 {
        assert_eq!(host(&whole[..length], 0).0.reason, Reason::NotVrrp);
    }
    for length in 54..whole.len() {
        assert_eq!(host(&whole[..length], 0).0.reason, Reason::IpHeaderBad);
    }
}
