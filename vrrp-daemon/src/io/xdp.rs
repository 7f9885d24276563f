//! The host side of the XDP program: load it, fill its maps, read its counters and its ring.
//!
//! Where it is attached, and why not, is in [`attach`]. What a frame is found to be is decided in
//! [`vrrp_common::classify`], on both sides.

mod attach;
pub mod link;
mod log;
mod seen;

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use anyhow::{Context, Result, anyhow, bail};
use aya::maps::{Array, HashMap, Map, MapData, PerCpuArray, PerCpuValues, RingBuf};
use aya::programs::{self, ProgramInfo};
use aya::util::{KernelVersion, nr_cpus};
use aya::{Ebpf, EbpfError, EbpfLoader, TestRun, TestRunOptions, include_bytes_aligned};
use vrrp_common::abi::{CounterRow, Device, Peer, PeerKey, RecordHead, RouterKey, Rule, RuleKey};
use vrrp_common::drop::REASON_SLOTS;
use vrrp_common::stance::Stance;
use vrrp_common::{Address, Instant};

pub use attach::{Attached, Mode, Refused};
use seen::LastSeen;

/// The committed object; `VRRP_BPF_OBJECT=path` replaces it at run time.
static OBJECT: &[u8] = include_bytes_aligned!("../../../vrrp-ebpf/vrrp.bpf.o");

/// The object's one program.
const PROGRAM: &str = "vrrp";

/// The first kernel with `bpf_xdp_load_bytes`.
const KERNEL_FLOOR: KernelVersion = KernelVersion::new(5, 18, 0);

/// Bounds of the ring, powers of two and multiples of every page size. Between them it holds a record of one or two
/// addresses for each rule: an advert of every virtual router at once. What finds it full goes to the raw socket, so it
/// need not hold the worst. It is mapped twice, so each octet counts double.
const RING_BYTES: (u32, u32) = (64 << 10, 1 << 20);
const RING_BYTES_PER_RULE: u32 = 64;
/// More records than a ring can hold: the kernel's eight octets, a head, and an advert of one address are 52.
pub const RING_RECORDS: usize = RING_BYTES.1 as usize / 52;

/// Ifindex of every namespace's loopback device, on which the kernel runs a test frame.
pub const TEST_IFINDEX: u32 = 1;

/// Lengths of a frame that the kernel runs as a test: an Ethernet header, and what certainly fits its fragments.
pub const TEST_LENGTHS: std::ops::RangeInclusive<usize> = 14..=60_000;

/// The loaded program with its maps. Dropped, or with the process gone, it leaves every device.
pub struct Xdp {
    ebpf: Ebpf,
    devices: HashMap<MapData, u32, [u8; size_of::<Device>()]>,
    rules: HashMap<MapData, [u8; size_of::<RouterKey>()], [u8; size_of::<Rule>()]>,
    addressed: HashMap<MapData, [u8; size_of::<RuleKey>()], [u8; size_of::<Rule>()]>,
    peers: HashMap<MapData, [u8; size_of::<PeerKey>()], [u8; size_of::<Peer>()]>,
    counters: PerCpuArray<MapData, CounterRow>,
    stances: Array<MapData, [u8; size_of::<Stance>()]>,
    last_seen: LastSeen,
    ring: Option<Ring>,
    attached: BTreeMap<u32, attach::Attachment>,
}

/// How many entries the maps have; none has less than one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Of counters.
    pub rows: u32,
    pub rules: u32,
    /// Of all rules.
    pub peers: u32,
    pub devices: u32,
}

impl Xdp {
    /// Loads the program. On a host that cannot run it the error is [`Unavailable`].
    pub fn load(sizes: Sizes) -> Result<Self> {
        if KernelVersion::current().is_ok_and(|kernel| kernel < KERNEL_FLOOR) {
            return Err(Unavailable(format!("the XDP program needs Linux {KERNEL_FLOOR} or later")).into());
        }
        match env::var_os("VRRP_BPF_OBJECT") {
            Some(path) => {
                let object = fs::read(&path).with_context(|| format!("VRRP_BPF_OBJECT: {}", path.display()))?;
                Self::load_object(&object, sizes)
            }
            None => Self::load_object(OBJECT, sizes),
        }
    }

    fn load_object(object: &[u8], sizes: Sizes) -> Result<Self> {
        let Sizes { rows, rules, peers, devices } = sizes;
        let mut ebpf = EbpfLoader::new()
            .map_max_entries("DEVICES", devices.max(1))
            .map_max_entries("RULES", rules.max(1))
            .map_max_entries("ADDRESSED", rules.max(1))
            .map_max_entries("PEERS", peers.max(1))
            .map_max_entries("COUNTERS", rows.max(1))
            .map_max_entries("STANCES", rules.max(1))
            .map_max_entries("BUCKETS", rules.max(1))
            .map_max_entries("LAST_SEEN", rules.max(1))
            .map_max_entries("RECORDS", ring_bytes(rules))
            .load(object)
            .map_err(load_error)?;
        program(&mut ebpf)?.load().map_err(|error| load_error(error.into()))?;
        log::follow(&mut ebpf)?;
        let mut map = |name: &str| ebpf.take_map(name).with_context(|| format!("the XDP object has no map {name}"));
        Ok(Self {
            devices: map("DEVICES")?.try_into()?,
            rules: map("RULES")?.try_into()?,
            addressed: map("ADDRESSED")?.try_into()?,
            peers: map("PEERS")?.try_into()?,
            counters: map("COUNTERS")?.try_into()?,
            stances: map("STANCES")?.try_into()?,
            last_seen: LastSeen::map(data(&map("LAST_SEEN")?)?.fd(), rules.max(1))?,
            ring: Some(Ring(map("RECORDS")?.try_into()?)),
            attached: BTreeMap::new(),
            ebpf,
        })
    }

    /// What to do on a device with frames that match no rule. A device without an entry passes everything.
    pub fn set_device(&mut self, ifindex: u32, device: &Device) -> Result<()> {
        self.devices.insert(ifindex, bytemuck::cast::<_, [u8; _]>(*device), 0).context("XDP map of devices")
    }

    pub fn remove_device(&mut self, ifindex: u32) -> Result<()> {
        absent_is_fine(self.devices.remove(&ifindex)).context("XDP map of devices")
    }

    pub fn set_rule(&mut self, key: RuleKey, rule: &Rule) -> Result<()> {
        let rule: [u8; _] = bytemuck::cast(*rule);
        let set = match key.destination == Address::NONE {
            true => self.rules.insert(bytemuck::cast::<_, [u8; _]>(key.router), rule, 0),
            false => self.addressed.insert(bytemuck::cast::<_, [u8; _]>(key), rule, 0),
        };
        set.context("XDP map of rules")
    }

    pub fn remove_rule(&mut self, key: RuleKey) -> Result<()> {
        let removed = match key.destination == Address::NONE {
            true => self.rules.remove(&bytemuck::cast::<_, [u8; _]>(key.router)),
            false => self.addressed.remove(&bytemuck::cast::<_, [u8; _]>(key)),
        };
        absent_is_fine(removed).context("XDP map of rules")
    }

    pub fn set_peer(&mut self, key: PeerKey, peer: &Peer) -> Result<()> {
        let (key, peer): ([u8; _], [u8; _]) = (bytemuck::cast(key), bytemuck::cast(*peer));
        self.peers.insert(key, peer, 0).context("XDP map of peers")
    }

    pub fn remove_peer(&mut self, key: PeerKey) -> Result<()> {
        absent_is_fine(self.peers.remove(&bytemuck::cast::<_, [u8; _]>(key))).context("XDP map of peers")
    }

    /// A row of counters, summed over all CPUs.
    pub fn counters(&self, row: u32) -> Result<CounterRow> {
        let mut sum = [0; REASON_SLOTS];
        for cpu in self.counters.get(&row, 0).with_context(|| format!("XDP counters, row {row}"))?.iter() {
            for (sum, count) in sum.iter_mut().zip(cpu) {
                *sum += count;
            }
        }
        Ok(sum)
    }

    /// Sets a row of counters to zero, for its next user. Frames counted meanwhile may be lost.
    pub fn clear_counters(&mut self, row: u32) -> Result<()> {
        let cpus = nr_cpus().map_err(|(file, error)| anyhow!("{file}: {error}"))?;
        let zero = PerCpuValues::try_from(vec![[0; REASON_SLOTS]; cpus])?;
        self.counters.set(row, zero, 0).with_context(|| format!("XDP counters, row {row}"))
    }

    /// What valid adverts for a slot are worth from now on.
    pub fn set_stance(&mut self, slot: u32, stance: &Stance) -> Result<()> {
        self.stances.set(slot, bytemuck::cast::<_, [u8; _]>(*stance), 0).context("XDP map of stances")
    }

    /// When an advert for a slot was last absorbed.
    pub fn last_seen(&self, slot: u32) -> Option<Instant> {
        self.last_seen.get(slot)
    }

    /// The ring of delivered adverts; `None` when it was taken before.
    pub fn take_ring(&mut self) -> Option<Ring> {
        self.ring.take()
    }

    /// Empties a ring that nobody took.
    pub fn drain_ring(&mut self) {
        if let Some(ring) = &mut self.ring {
            ring.drain(usize::MAX, |_, _| {});
        }
    }

    /// Runs a frame through the program as if [`TEST_IFINDEX`] had received it; returns what becomes of it, `XDP_PASS`
    /// or `XDP_DROP`. Counters and ring are those of any frame.
    pub fn test_run(&self, frame: &[u8]) -> Result<u32> {
        self.test_run_on(None, frame)
    }

    /// As [`Self::test_run`], on a device of the current network namespace.
    pub fn test_run_on(&self, ifindex: Option<u32>, frame: &[u8]) -> Result<u32> {
        if !TEST_LENGTHS.contains(&frame.len()) {
            let (least, most) = (TEST_LENGTHS.start(), TEST_LENGTHS.end());
            bail!("a frame of {} octets cannot be run in the kernel, only {least} to {most}", frame.len());
        }
        // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let context = ifindex.map(|ifindex| [0, frame.len() as u32, 0, ifindex, 0, 0]);
        let program: &programs::Xdp = self.ebpf.program(PROGRAM).context("no XDP program")?.try_into()?;
        let run = program
            .test_run(TestRunOptions {
                data_in: Some(frame),
                ctx_in: context.as_ref().map(bytemuck::bytes_of),
                ..Default::default()
            })
            .with_context(|| format!("running a frame of {} octets in the kernel", frame.len()))?;
        Ok(run.return_value)
    }

    /// The kernel's facts about the program: id, size, instructions verified.
    pub fn info(&self) -> Result<ProgramInfo> {
        let program: &programs::Xdp = self.ebpf.program(PROGRAM).context("no XDP program")?.try_into()?;
        Ok(program.info()?)
    }
}

/// The data behind an array map.
fn data(map: &Map) -> Result<&MapData> {
    match map {
        Map::Array(data) => Ok(data),
        _ => bail!("the XDP object's map is no array"),
    }
}

fn program(ebpf: &mut Ebpf) -> Result<&mut programs::Xdp> {
    let program = ebpf.program_mut(PROGRAM).with_context(|| format!("the XDP object has no program {PROGRAM}"))?;
    Ok(program.try_into()?)
}

/// Size of the ring for so many rules.
fn ring_bytes(rules: u32) -> u32 {
    let (least, most) = RING_BYTES;
    rules.saturating_mul(RING_BYTES_PER_RULE).clamp(least, most).next_power_of_two()
}

/// What the host does not have for XDP, in one line; the daemon does without. Any other error of
/// [`Xdp::load`] is a fault of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Unavailable {}

fn load_error(error: EbpfError) -> anyhow::Error {
    match attach::errno(&error) {
        // Without CAP_PERFMON it is the verifier that refuses, and only pointer arithmetic.
        Some(libc::EACCES) if attach::lacks_capabilities() => {
            Unavailable(format!("the XDP program: {}", attach::missing_capabilities())).into()
        }
        Some(libc::EPERM) => Unavailable(format!("the XDP program: {}", attach::missing_capabilities())).into(),
        Some(libc::ENOSYS) => Unavailable("this kernel is built without BPF".into()).into(),
        _ => anyhow::Error::new(error).context("loading the XDP program"),
    }
}

fn absent_is_fine(removed: Result<(), aya::maps::MapError>) -> Result<(), aya::maps::MapError> {
    match removed {
        Err(aya::maps::MapError::KeyNotFound) => Ok(()),
        Err(aya::maps::MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        other => other,
    }
}

/// The ring of delivered adverts. Its descriptor is readable when there is one.
pub struct Ring(RingBuf<MapData>);

impl Ring {
    /// Takes up to `limit` records; returns how many there were.
    pub fn drain(&mut self, limit: usize, mut each: impl FnMut(&RecordHead, &[u8])) -> usize {
        let mut taken = 0;
        while taken < limit
            && let Some(item) = self.0.next()
        {
            if let Some((head, message)) = parse_record(&item) {
                each(&head, message);
            }
            taken += 1;
        }
        taken
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Splits a record into its head and the VRRP message; `None` when it is shorter than it says.
pub fn parse_record(record: &[u8]) -> Option<(RecordHead, &[u8])> {
    let (head, message) = record.split_at_checked(size_of::<RecordHead>())?;
    let head: RecordHead = bytemuck::pod_read_unaligned(head);
    Some((head, message.get(..head.length as usize)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_thread_may_have_them() {
        fn moves<T: Send>() {}
        moves::<Xdp>();
        moves::<Ring>();
    }

    #[test]
    fn the_ring_is_bounded() {
        assert_eq!(ring_bytes(0), 64 << 10);
        assert_eq!(ring_bytes(4000), 256 << 10);
        assert_eq!(ring_bytes(u32::MAX), 1 << 20);
    }

    #[test]
    fn a_record_is_its_head_and_its_message() {
        let head =
            RecordHead { arrival: 1, slot: 2, length: 8, checksum_form: 0, family: 6, source: Address::v6([7; 16]) };
        let mut record = bytemuck::bytes_of(&head).to_vec();
        record.extend(*b"messagepadding");
        assert_eq!(parse_record(&record), Some((head, &b"messagep"[..])));
        assert_eq!(parse_record(&record[..39]), None);
        assert_eq!(parse_record(&record[..31]), None);
    }
}
