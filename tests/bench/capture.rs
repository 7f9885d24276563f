//! Frames at the switch, for rates that a system call per frame would not bear: one memory-mapped ring (TPACKET_V3).
//!
//! A kernel filter lets in adverts and ARP that came from the routers; what is kept of each is a few octets.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vrrp_tests::stamp::Stamp;

use crate::mapped::{self, Mapped, option};
use crate::rig::{PORTS, Rig};

const BLOCK: usize = 1 << 18;
/// 16 MB in all, two seconds of the densest row.
const BLOCKS: usize = 64;
/// Milliseconds after which the kernel hands over a block that is not full.
const RETIRE: u32 = 20;
/// Octets kept of a frame: past the fixed part of an advert, past the whole of an ARP.
const SNAP: u32 = 64;

/// A frame of a router, as the switch saw it.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    pub at: Stamp,
    pub router: usize,
    pub interface: usize,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Advert {
        vrid: u8,
        priority: u8,
    },
    /// A gratuitous ARP.
    Announcement(Ipv4Addr),
}

impl Sight {
    /// The virtual router that an advert is of: interface and VRID. Adverts that say "I leave" are not meant.
    pub fn claims(&self) -> Option<(usize, u8)> {
        match self.what {
            What::Advert { vrid, priority: 1.. } => Some((self.interface, vrid)),
            _ => None,
        }
    }

    pub fn announces(&self) -> Option<Ipv4Addr> {
        match self.what {
            What::Announcement(address) => Some(address),
            What::Advert { .. } => None,
        }
    }
}

#[derive(Default)]
struct Shared {
    sights: Mutex<Vec<Sight>>,
    lost: AtomicU32,
    end: AtomicBool,
}

/// A capture that runs until it is dropped.
pub struct Capture {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Capture {
    /// Of the routers from this one on; what the others send costs next to nothing.
    pub fn start(rig: &Rig, first_router: usize) -> Result<Self> {
        let ring = rig.switch.within(|| Ring::open(first_router))?;
        let shared = Arc::<Shared>::default();
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || ring.run(&shared)
        });
        Ok(Self { shared, thread: Some(thread) })
    }

    /// How much was seen until now.
    pub fn mark(&self) -> usize {
        self.sights().len()
    }

    /// What was seen since a mark.
    pub fn since(&self, mark: usize) -> Vec<Sight> {
        self.sights()[mark..].to_vec()
    }

    /// Waits until what is seen after `mark` answers; `None` when it does not in time.
    pub fn wait(&self, mut mark: usize, patience: Duration, mut enough: impl FnMut(&Sight) -> bool) -> bool {
        let start = Instant::now();
        loop {
            for sight in self.since(mark) {
                mark += 1;
                if enough(&sight) {
                    return true;
                }
            }
            if start.elapsed() > patience {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Fails when frames were lost: what was counted would be wrong.
    pub fn check(&self) -> Result<()> {
        match self.shared.lost.load(Ordering::Relaxed) {
            0 => Ok(()),
            lost => bail!("the capture lost {lost} frames"),
        }
    }

    fn sights(&self) -> std::sync::MutexGuard<'_, Vec<Sight>> {
        self.shared.sights.lock().expect("the capturing thread does not panic")
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.shared.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The memory that the kernel and this program share.
struct Ring {
    socket: OwnedFd,
    memory: Mapped,
}

impl Ring {
    /// In the current namespace, of all interfaces.
    fn open(first_router: usize) -> Result<Self> {
        // Protocol 0: it hears nothing yet.
        let socket = mapped::socket(libc::AF_PACKET, 0)?;
        let mut filter = filter(first_router);
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        option(&socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program).context("SO_ATTACH_FILTER")?;
        let packet = libc::SOL_PACKET;
        option(&socket, packet, libc::PACKET_VERSION, &(libc::tpacket_versions::TPACKET_V3 as libc::c_int))?;
        option(&socket, packet, libc::PACKET_IGNORE_OUTGOING, &1i32).context("PACKET_IGNORE_OUTGOING")?;
        // SAFETY: all zero is a valid request, which the next lines fill in.
        let mut request: libc::tpacket_req3 = unsafe { std::mem::zeroed() };
        request.tp_block_size = BLOCK as u32;
        request.tp_block_nr = BLOCKS as u32;
        request.tp_frame_size = 2048;
        request.tp_frame_nr = (BLOCK * BLOCKS / 2048) as u32;
        request.tp_retire_blk_tov = RETIRE;
        option(&socket, packet, libc::PACKET_RX_RING, &request).context("PACKET_RX_RING")?;
        let ring = Self { memory: Mapped::new(&socket, 0, BLOCK * BLOCKS)?, socket };
        // SAFETY: all zero is a valid address: any interface.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        mapped::bind(&ring.socket, &address)?;
        Ok(ring)
    }

    fn run(&self, shared: &Shared) {
        let (mut block, mut found) = (0, Vec::new());
        let mut polled = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        while !shared.end.load(Ordering::Relaxed) {
            let _ = poll(&mut polled, PollTimeout::from(50u16));
            while self.take(block, &mut found) {
                block = (block + 1) % BLOCKS;
            }
            shared.sights.lock().expect("nobody panics with this lock").append(&mut found);
            shared.lost.fetch_add(self.lost(), Ordering::Relaxed);
        }
    }

    /// Reads a block and gives it back; `false` while it is the kernel's.
    fn take(&self, block: usize, into: &mut Vec<Sight>) -> bool {
        // SAFETY: the mapping is BLOCKS times BLOCK octets; a block begins with its header, whose status the kernel
        // writes last and we write last, so each side has the block to itself. Frames lie in it by the kernel's offsets.
        unsafe {
            let base = self.memory.at::<u8>(block * BLOCK);
            let header = &raw mut (*base.cast::<libc::tpacket_block_desc>()).hdr.bh1;
            let status = AtomicU32::from_ptr(&raw mut (*header).block_status);
            if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
                return false;
            }
            let mut frame = base.add((*header).offset_to_first_pkt as usize);
            for _ in 0..(*header).num_pkts {
                let head = &*frame.cast::<libc::tpacket3_hdr>();
                let link =
                    &*frame.add(size_of::<libc::tpacket3_hdr>().next_multiple_of(16)).cast::<libc::sockaddr_ll>();
                let octets = std::slice::from_raw_parts(frame.add(head.tp_mac as usize), head.tp_snaplen as usize);
                let at = Stamp(u64::from(head.tp_sec) * 1_000_000_000 + u64::from(head.tp_nsec));
                into.extend(sight(at, link.sll_ifindex as u32, octets));
                frame = frame.add(head.tp_next_offset as usize);
            }
            status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        }
        true
    }

    /// Frames that found the ring full since the last call.
    fn lost(&self) -> u32 {
        // Packets, drops, freezes of the queue.
        let mut counts = [0u32; 3];
        let mut length = size_of_val(&counts) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` octets.
        unsafe {
            let socket = self.socket.as_raw_fd();
            libc::getsockopt(
                socket,
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                counts.as_mut_ptr().cast(),
                &mut length,
            );
        }
        counts[1]
    }
}

/// From a router's port, and ARP or VRRP.
fn filter(first_router: usize) -> [libc::sock_filter; 10] {
    let step = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let (load_word, load_half, load_octet) = (
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        libc::BPF_LD | libc::BPF_H | libc::BPF_ABS,
        libc::BPF_LD | libc::BPF_B | libc::BPF_ABS,
    );
    let (equal, at_least) = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K);
    let interface = (libc::SKF_AD_OFF + libc::SKF_AD_IFINDEX) as u32;
    [
        step(load_word, interface, 0, 0),
        step(at_least, PORTS * (1 + first_router as u32), 0, 7),
        step(at_least, 3 * PORTS, 6, 0),
        step(load_half, 12, 0, 0),
        step(equal, 0x0806, 3, 0),
        step(equal, 0x0800, 0, 3),
        step(load_octet, 23, 0, 0),
        step(equal, 112, 0, 1),
        step(libc::BPF_RET, SNAP, 0, 0),
        step(libc::BPF_RET, 0, 0, 0),
    ]
}

fn sight(at: Stamp, index: u32, octets: &[u8]) -> Option<Sight> {
    let router = (index / PORTS).checked_sub(1)? as usize;
    let what = match octets.get(12..14)? {
        [8, 6] => {
            let (sender, target): ([u8; 4], [u8; 4]) =
                (*octets.get(28..)?.first_chunk()?, *octets.get(38..)?.first_chunk()?);
            (sender == target).then(|| What::Announcement(sender.into()))?
        }
        _ => What::Advert { vrid: *octets.get(35)?, priority: *octets.get(36)? },
    };
    Some(Sight { at, router, interface: (index % PORTS) as usize, what })
}
