//! The maps, whose sizes the daemon sets when it loads the program, and their accesses.

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, PerCpuArray, RingBuf};
use vrrp_common::Address;
use vrrp_common::abi::{CounterRow, Device, Peer, PeerKey, Record, RouterKey, Rule, RuleKey};
use vrrp_common::classify::Rules;
use vrrp_common::drop::{REASON_SLOTS, Reason};
use vrrp_common::stance::{Bucket, Heed, Stance};
use vrrp_common::wire::advert::Header;

#[map]
static DEVICES: HashMap<u32, Device> = HashMap::with_max_entries(1, 0);

/// Of those who are addressed by VRRP's own group,
#[map]
static RULES: HashMap<RouterKey, Rule> = HashMap::with_max_entries(1, 0);

/// and by any other address.
#[map]
static ADDRESSED: HashMap<RuleKey, Rule> = HashMap::with_max_entries(1, 0);

/// Routers that unicast adverts may come from.
#[map]
static PEERS: HashMap<PeerKey, Peer> = HashMap::with_max_entries(1, 0);

#[map]
static COUNTERS: PerCpuArray<CounterRow> = PerCpuArray::with_max_entries(1, 0);

/// Where a record is put together: it does not fit on the stack.
#[map]
static SCRATCH: PerCpuArray<Record> = PerCpuArray::with_max_entries(1, 0);

/// By slot: what the instance's state makes of valid adverts.
#[map]
static STANCES: Array<Stance> = Array::with_max_entries(1, 0);

/// By slot: the limit on adverts that change nothing.
#[map]
static BUCKETS: Array<Bucket> = Array::with_max_entries(1, 0);

/// By slot: when an advert was last absorbed. The daemon has it in its memory.
#[map]
static LAST_SEEN: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
pub static RECORDS: RingBuf = RingBuf::with_byte_size(4096, 0);

/// The device's entry; `None` when the daemon does not use it.
#[inline(always)]
pub fn device(ifindex: u32) -> Option<Device> {
    // SAFETY: entries are plain integers, copied here. One replaced meanwhile shows its old or its new value.
    unsafe { DEVICES.get(ifindex) }.copied()
}

/// The map of rules as `classify` wants it.
pub struct RuleMap;

impl Rules for RuleMap {
    #[inline(always)]
    fn rule(&self, key: RuleKey) -> Option<&Rule> {
        // SAFETY: entries are plain integers. A removed one's memory may be given to another key while we read it: the
        // frame is then judged by rules that the daemon did write, and the daemon finds the VRID of another instance.
        unsafe {
            match key.destination == Address::NONE {
                true => RULES.get(key.router),
                false => ADDRESSED.get(key),
            }
        }
    }

    #[inline(always)]
    fn peer(&self, key: PeerKey) -> Option<&Peer> {
        // SAFETY: as above.
        unsafe { PEERS.get(key) }
    }
}

/// What the state of a slot's instance makes of an advert.
#[inline(always)]
pub fn heed(slot: u32, source: Address, header: Header, now: u64) -> Heed {
    let (Some(stance), Some(bucket)) = (STANCES.get(slot), BUCKETS.get_ptr_mut(slot)) else { return Heed::Hear };
    // SAFETY: a word of a map. Another CPU may take a token at the same time, and one of them be lost or given twice.
    stance.heed(source, header, unsafe { &mut *bucket }, now)
}

/// Keeps when an advert was absorbed.
#[inline(always)]
pub fn saw(slot: u32, at: u64) {
    if let Some(last) = LAST_SEEN.get_ptr_mut(slot) {
        // SAFETY: an aligned word of a map, which others only read; two CPUs may both write, either time is true.
        unsafe { last.write_volatile(at) }
    }
}

/// This CPU's scratch record.
#[inline(always)]
pub fn scratch() -> Option<&'static mut Record> {
    // SAFETY: one per CPU, and a run is not interrupted by another on its CPU: no second reference exists.
    SCRATCH.get_ptr_mut(0).map(|record| unsafe { &mut *record })
}

/// Counts one frame.
#[inline(always)]
pub fn count(row: u32, reason: Reason) {
    if let Some(counters) = COUNTERS.get_ptr_mut(row) {
        // SAFETY: as for the scratch record; the index is below the length because of the mask.
        unsafe { (*counters)[reason as usize & (REASON_SLOTS - 1)] += 1 }
    }
}
