//! Delivery of an advert to the daemon, through the ring buffer.

use aya_ebpf::bindings::BPF_RB_FORCE_WAKEUP;
use aya_ebpf::helpers::bpf_ktime_get_ns;
use vrrp_common::abi::{MESSAGE_BUDGET, Record, RecordHead};
use vrrp_common::classify::Judgement;
use vrrp_common::ids::Family;

use crate::maps::RECORDS;

/// Writes head and message to the ring; `false` when it is full.
///
/// The wake-up is forced: every record here matters at once, and the adaptive one may be late after a discard.
#[inline(always)]
pub fn deliver(record: &mut Record, judgement: &Judgement) -> bool {
    let [a, b, c, d] = judgement.source;
    record.head = RecordHead {
        // SAFETY: reads a clock.
        arrival: unsafe { bpf_ktime_get_ns() },
        slot: judgement.slot,
        length: judgement.length as u16,
        checksum_form: judgement.checksum_form as u8,
        family: Family::V4 as u8,
        source: [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    };
    // `classify` delivers no other lengths; this shows the verifier the bound.
    let length = ((judgement.length - 1) & (MESSAGE_BUDGET - 1)) + 1;
    let Some(octets) = record.octets(length) else { return false };
    RECORDS.output::<[u8]>(octets, BPF_RB_FORCE_WAKEUP.into()).is_ok()
}
