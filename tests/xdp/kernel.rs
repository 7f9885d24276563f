//! The loaded program against `classify` on the host: same action, same counters, same records.

use std::env;
use std::io::{self, Write};

use vrrp_common::abi::{DEVICE_OBSERVE, DEVICE_PASS_UNKNOWN, RecordHead};
use vrrp_common::drop::{Disposition, Reason};
use vrrp_daemon::io::xdp::Sizes;
use vrrp_tests::frames::{FrameSpec, earned_by_frames, spoil};

use crate::mutate::{self, Rng};
use vrrp_tests::judges::*;

const FRAMES: usize = 24_000;

/// What the host expects of the kernel for one frame.
struct Expected {
    action: u32,
    counted: Option<(u32, Reason)>,
    /// Without the time of arrival.
    record: Option<(RecordHead, Vec<u8>)>,
}

fn expected(frame: &[u8], flags: u32) -> Expected {
    let (judgement, message) = host(frame, flags);
    let deliver = judgement.disposition == Disposition::Deliver && flags & DEVICE_OBSERVE == 0;
    Expected {
        action: if deliver || judgement.disposition == Disposition::Drop { DROP } else { PASS },
        counted: (judgement.reason != Reason::NotVrrp).then_some((judgement.row, judgement.reason)),
        record: deliver.then(|| {
            let head = RecordHead {
                arrival: 0,
                slot: judgement.slot,
                length: judgement.length as u16,
                checksum_form: judgement.checksum_form as u8,
                family: judgement.family as u8,
                source: judgement.source,
            };
            (head, message)
        }),
    }
}

fn agree(flags: u32) {
    let Some(mut kernel) = Kernel::load(flags) else { return };
    let seed = env::var("VRRP_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1 + u64::from(flags));
    let mut rng = Rng::new(seed);
    let mut counts = Counts::new();
    let mut delivered = 0;
    for number in 0..FRAMES {
        let frame = mutate::frame(&mut rng);
        let context = || format!("VRRP_SEED={seed}, frame {number}, device flags {flags}:\n{frame:02x?}");
        let expected = expected(&frame, flags);
        let action = kernel.run(&frame);
        assert_eq!(action, expected.action, "host: {:?}; {}", expected.counted, context());
        let records = kernel.records();
        assert_eq!(records.len(), usize::from(expected.record.is_some()), "records; {}", context());
        if let (Some((head, message)), Some((got, octets))) = (&expected.record, records.first()) {
            assert_ne!(got.arrival, 0);
            assert_eq!((RecordHead { arrival: 0, ..*got }, octets), (*head, message), "{}", context());
            delivered += 1;
        }
        if let Some(counted) = expected.counted {
            *counts.entry(counted).or_default() += 1;
        }
        // Reading every counter for every frame would take most of the time; a difference is found near where it began.
        if number % 64 == 63 {
            assert_eq!(kernel.counts(), counts, "counters, in the 64 frames before {}", context());
        }
    }
    assert_eq!(kernel.counts(), counts, "VRRP_SEED={seed}");
    for reason in earned_by_frames().filter(|&reason| reason != Reason::NotVrrp) {
        assert!(counts.keys().any(|&(_, counted)| counted == reason), "no frame earned {reason:?}");
    }
    for row in 0..ROWS {
        assert!(counts.keys().any(|&(counted, _)| counted == row), "no frame for row {row}");
    }
    println!("{FRAMES} frames, {delivered} delivered");
}

/// What the verifier walks before it refuses (BPF_COMPLEXITY_LIMIT_INSNS).
const VERIFIER_LIMIT: u32 = 1_000_000;

/// Kernels differ in how often they walk a path; a tenth of the limit leaves room for those that nobody tried.
#[test]
fn the_verifier_is_far_from_its_limit() {
    let Some(xdp) = loaded(Sizes::default()) else { return };
    let info = xdp.info().unwrap();
    let (size, walked) = (info.size_translated().unwrap() / 8, info.verified_instruction_count().unwrap());
    // Past the test harness, for the command that compares kernels.
    let said = format!("verifier: {size} instructions, {walked} walked of {VERIFIER_LIMIT}\n");
    io::stderr().write_all(said.as_bytes()).unwrap();
    assert!(walked < VERIFIER_LIMIT / 10, "{walked}");
}

#[test]
fn kernel_and_host_agree() {
    agree(0);
}

#[test]
fn kernel_and_host_agree_where_the_unknown_passes() {
    agree(DEVICE_PASS_UNKNOWN);
}

#[test]
fn kernel_and_host_agree_where_we_observe() {
    agree(DEVICE_OBSERVE);
}

#[test]
fn every_reason_is_counted_once_in_its_row() {
    for reason in earned_by_frames() {
        let Some(kernel) = Kernel::load(0) else { return };
        let mut frame = FrameSpec::v3();
        spoil(reason, &mut frame).unwrap();
        let frame = frame.build();
        let expected = expected(&frame, 0);
        assert_eq!(kernel.run(&frame), expected.action, "{reason:?}");
        assert_eq!(kernel.counts(), expected.counted.into_iter().map(|counted| (counted, 1)).collect(), "{reason:?}");
    }
}

#[test]
fn a_full_ring_leaves_the_advert_to_the_socket() {
    let Some(mut kernel) = Kernel::load(0) else { return };
    let frame = FrameSpec::v3().build();
    // 64 KiB of ring; no record is shorter than 50 octets.
    let delivered = (0..2000).take_while(|_| kernel.run(&frame) == DROP).count();
    assert!((500..2000).contains(&delivered), "{delivered}");
    assert_eq!(kernel.run(&frame), PASS);
    assert_eq!(
        kernel.counts(),
        [((V3_ROW, Reason::OkPassed), delivered as u64), ((V3_ROW, Reason::RingFull), 2)].into()
    );
    assert_eq!(kernel.records().len(), delivered);
    assert_eq!(kernel.run(&frame), DROP, "there is room again");
}

#[test]
fn a_frame_of_several_buffers_is_judged() {
    let Some(mut kernel) = Kernel::load(0) else { return };
    for length in [3000, 3520, 3521, 4096, 9014, 60_000] {
        let frame = FrameSpec { pad_to: length, ..FrameSpec::v3() };
        assert_eq!(kernel.run(&frame.build()), DROP, "{length}");
        assert_eq!(kernel.records().pop().map(|(_, message)| message), Some(frame.message()), "{length}");
        // A message as long as the frame: too long, and passed.
        let long = FrameSpec { extra: vec![0; length - 100], pad_to: 0, ..FrameSpec::v3() };
        assert_eq!(kernel.run(&long.build()), DROP, "{length}");
        assert_eq!(host(&long.build(), 0).0.reason, Reason::LengthLong);
    }
    assert_eq!(kernel.counts(), [((V3_ROW, Reason::OkPassed), 6), ((V3_ROW, Reason::LengthLong), 6)].into());
}

#[test]
fn a_device_without_an_entry_passes_everything() {
    let Some(mut kernel) = Kernel::load(0) else { return };
    kernel.xdp.remove_device(vrrp_daemon::io::xdp::TEST_IFINDEX).unwrap();
    assert_eq!(kernel.run(&FrameSpec::v3().build()), PASS);
    assert_eq!(kernel.run(&FrameSpec { ttl: 1, ..FrameSpec::v3() }.build()), PASS);
    assert_eq!(kernel.counts(), Counts::new());
    assert!(kernel.records().is_empty());
}

#[test]
fn rules_come_and_go() {
    let Some(mut kernel) = Kernel::load(0) else { return };
    let frame = FrameSpec::v3().build();
    let (key, rule) = rules().iter().map(|(key, rule)| (key, *rule)).find(|(_, rule)| rule.row == V3_ROW).unwrap();
    kernel.xdp.remove_rule(key).unwrap();
    kernel.xdp.remove_rule(key).unwrap();
    kernel.run(&frame);
    kernel.xdp.set_rule(key, &rule).unwrap();
    kernel.run(&frame);
    assert_eq!(kernel.counts(), [((DEVICE_ROW, Reason::VridUnknown), 1), ((V3_ROW, Reason::OkPassed), 1)].into());
    kernel.xdp.clear_counters(V3_ROW).unwrap();
    assert_eq!(kernel.counts(), [((DEVICE_ROW, Reason::VridUnknown), 1)].into());
}
