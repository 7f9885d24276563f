//! What becomes of a valid advert: absorbed, limited, or delivered to the daemon through the ring buffer.

use aya_ebpf::bindings::BPF_RB_FORCE_WAKEUP;
use aya_ebpf::bindings::xdp_action::{self, XDP_DROP, XDP_PASS};
use aya_ebpf::helpers::bpf_ktime_get_ns;
#[cfg(feature = "trace")]
use aya_ebpf::programs::XdpContext;
use vrrp_common::abi::{MESSAGE_BUDGET, Record};
use vrrp_common::classify::Judgement;
use vrrp_common::drop::Reason;
use vrrp_common::stance::Heed;

use crate::maps::{self, RECORDS};

/// Absorbs, limits or delivers a valid advert; what is to be counted, and done with the frame.
#[inline(always)]
pub fn hand_over(record: &mut Record, judgement: &Judgement) -> (Reason, xdp_action::Type) {
    // SAFETY: reads a clock.
    let now = unsafe { bpf_ktime_get_ns() };
    match maps::heed(judgement.slot, judgement.source, judgement.header, now) {
        Heed::Absorb => {
            maps::saw(judgement.slot, now);
            (Reason::OkAbsorbed, XDP_DROP)
        }
        Heed::Limit => (Reason::RateLimited, XDP_DROP),
        Heed::Hear if deliver(record, judgement, now) => (judgement.reason, XDP_DROP),
        // The raw socket hears it instead.
        Heed::Hear => (Reason::RingFull, XDP_PASS),
    }
}

/// Writes head and message to the ring; `false` when it is full.
///
/// The wake-up is forced: every record here matters at once, and the adaptive one may be late after a discard.
#[inline(always)]
fn deliver(record: &mut Record, judgement: &Judgement, now: u64) -> bool {
    let head = &mut record.head;
    head.arrival = now;
    head.slot = judgement.slot;
    head.length = judgement.length as u16;
    head.checksum_form = judgement.checksum_form as u8;
    head.family = judgement.family as u8;
    head.source = judgement.source;
    // `classify` delivers no other lengths; this shows the verifier the bound.
    let length = ((judgement.length - 1) & (MESSAGE_BUDGET - 1)) + 1;
    let Some(octets) = record.octets(length) else { return false };
    RECORDS.output::<[u8]>(octets, BPF_RB_FORCE_WAKEUP.into()).is_ok()
}

/// One line for every frame that claims to be VRRP; reasons by their numbers in `vrrp_common::drop`.
#[cfg(feature = "trace")]
#[inline(always)]
pub fn trace(context: &XdpContext, judgement: &Judgement, reason: Reason, action: u32) {
    let Judgement { row, slot, family, source, length, .. } = judgement;
    aya_log_ebpf::info!(
        context,
        "source IPv{} {:i} length {} row {} slot {}: reason {}, XDP action {}",
        *family as u8,
        // Of an IPv4 address the first four octets.
        source.octets(),
        *length,
        *row,
        *slot,
        reason as u8,
        action
    );
}
