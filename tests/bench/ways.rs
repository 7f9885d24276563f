//! The ways in which adverts can leave a Linux host, each as short as it can be. What lies beside the system calls is
//! done beforehand.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use io_uring::{IoUring, opcode, types};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use vrrp_common::wire::ethernet::{ETHERTYPE_IPV4, VRRP_GROUP4_MAC};
use vrrp_common::wire::ip::VRRP_GROUP4;
use vrrp_common::{Family, IfIndex};
use vrrp_daemon::io::socket::{self, Content, KernelAddress, LinkAddress};

use crate::floor;
use crate::mapped::{self, Mapped, bind, option};
use crate::roster::Roster;

/// Adverts that leave together.
pub const BATCH: usize = 64;

/// Sends [`BATCH`] adverts.
type Send = Box<dyn FnMut() -> Result<()>>;

pub struct Way {
    pub name: &'static str,
    pub title: &'static str,
    /// In the namespace that it leads out of.
    pub open: fn(Advert) -> Result<Send>,
}

pub const WAYS: [Way; 6] = [
    Way { name: "raw", title: "raw socket, sendmmsg of 64", open: raw },
    Way { name: "packet", title: "packet socket, sendmmsg of 64 (vrrpd)", open: packet },
    Way { name: "each", title: "packet socket, sendto for each", open: each },
    Way { name: "uring", title: "packet socket, io_uring of 64", open: uring },
    Way { name: "ring", title: "PACKET_TX_RING, send for 64", open: ring },
    Way { name: "xdp", title: "AF_XDP, copy mode, 64", open: xdp },
];

/// One advert as the ways take it.
pub struct Advert {
    index: IfIndex,
    packet: Vec<u8>,
    /// The packet behind an Ethernet header.
    frame: Vec<u8>,
}

impl Advert {
    /// Of the first virtual router, for `eth0` of this namespace.
    pub fn new(roster: &Roster) -> Result<Self> {
        let index = IfIndex(nix::net::if_::if_nametoindex("eth0")?);
        let packet = floor::advert(roster, 0, 1);
        let own = [2, 0, 0, 0, 0, 0];
        let frame = [&VRRP_GROUP4_MAC[..], &own, &ETHERTYPE_IPV4.to_be_bytes(), &packet].concat();
        Ok(Self { index, packet, frame })
    }

    fn neighbour(&self) -> LinkAddress {
        socket::neighbour(self.index, ETHERTYPE_IPV4, VRRP_GROUP4_MAC)
    }
}

/// The kernel routes each packet, and finds the neighbour.
fn raw(advert: Advert) -> Result<Send> {
    let socket = socket::routed(Family::V4, None)?;
    setsockopt(&socket, sockopt::BindToDevice, &"eth0".into())?;
    let to = socket::host(Ipv4Addr::from(VRRP_GROUP4).into(), advert.index);
    many(socket, advert, to)
}

/// The kernel puts the link's header in front.
fn packet(advert: Advert) -> Result<Send> {
    let to = advert.neighbour();
    many(socket::packet(Content::Packets)?, advert, to)
}

/// As the daemon sends.
fn many<A: KernelAddress + 'static>(socket: OwnedFd, advert: Advert, to: A) -> Result<Send> {
    Ok(Box::new(move || {
        let refused = socket::send_many(&socket, &[(&advert.packet[..], &to); BATCH]);
        ensure!(refused.packets == 0, "{} were refused: {:?}", refused.packets, refused.error);
        Ok(())
    }))
}

fn each(advert: Advert) -> Result<Send> {
    let socket = socket::packet(Content::Packets)?;
    let (to, length) = (advert.neighbour(), size_of::<LinkAddress>() as libc::socklen_t);
    Ok(Box::new(move || {
        for _ in 0..BATCH {
            let packet = &advert.packet;
            // SAFETY: packet and address live until the call returns, and are of the lengths given.
            let sent = unsafe {
                let to = (&raw const to).cast();
                libc::sendto(socket.as_raw_fd(), packet.as_ptr().cast(), packet.len(), 0, to, length)
            };
            Errno::result(sent)?;
        }
        Ok(())
    }))
}

/// A queue of calls in shared memory, and one call that has them done.
fn uring(advert: Advert) -> Result<Send> {
    let socket = socket::packet(Content::Packets)?;
    let to = advert.neighbour();
    let mut ring = IoUring::new(BATCH as u32).context("io_uring")?;
    Ok(Box::new(move || {
        let mut part = libc::iovec { iov_base: advert.packet.as_ptr().cast_mut().cast(), iov_len: advert.packet.len() };
        // SAFETY: all zero is a valid message, which the next lines fill in.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_name = (&raw const to).cast_mut().cast();
        message.msg_namelen = size_of::<LinkAddress>() as libc::socklen_t;
        (message.msg_iov, message.msg_iovlen) = (&mut part, 1);
        let call = opcode::SendMsg::new(types::Fd(socket.as_raw_fd()), &message).build();
        for _ in 0..BATCH {
            // SAFETY: what the calls refer to lives until all of them are done, below.
            unsafe { ring.submission().push(&call)? };
        }
        ring.submit_and_wait(BATCH)?;
        for done in ring.completion() {
            ensure!(done.result() == advert.packet.len() as i32, "sendmsg: {}", done.result());
        }
        Ok(())
    }))
}

/// Sends what lies in a socket's rings.
fn kick(socket: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: no memory is passed.
    let sent =
        unsafe { libc::sendto(socket.as_raw_fd(), std::ptr::null(), 0, libc::MSG_DONTWAIT, std::ptr::null(), 0) };
    Errno::result(sent).map(drop)
}

/// Frames lie in memory that the kernel reads, each behind a header that says whose it is.
fn ring(advert: Advert) -> Result<Send> {
    const BLOCK: usize = 1 << 14;
    const SLOT: usize = BLOCK / BATCH;
    /// Where the kernel looks for the frame.
    const FRAME: usize = size_of::<libc::tpacket2_hdr>().next_multiple_of(libc::TPACKET_ALIGNMENT);
    let socket = mapped::socket(libc::AF_PACKET, 0)?;
    let version = libc::tpacket_versions::TPACKET_V2 as libc::c_int;
    option(&socket, libc::SOL_PACKET, libc::PACKET_VERSION, &version)?;
    let request = libc::tpacket_req {
        tp_block_size: BLOCK as u32,
        tp_block_nr: 1,
        tp_frame_size: SLOT as u32,
        tp_frame_nr: BATCH as u32,
    };
    option(&socket, libc::SOL_PACKET, libc::PACKET_TX_RING, &request).context("PACKET_TX_RING")?;
    let memory = Mapped::new(&socket, 0, BLOCK)?;
    bind(&socket, &LinkAddress { sll_protocol: ETHERTYPE_IPV4.to_be(), ..socket::device(advert.index) })?;
    Ok(Box::new(move || {
        for slot in 0..BATCH {
            let header = memory.at::<libc::tpacket2_hdr>(slot * SLOT);
            let frame = memory.at::<[u8; SLOT - FRAME]>(slot * SLOT + FRAME);
            // SAFETY: both lie in the slot, which is ours until its status says that it is to be sent.
            unsafe {
                let status = AtomicU32::from_ptr(&raw mut (*header).tp_status);
                ensure!(status.load(Ordering::Acquire) == libc::TP_STATUS_AVAILABLE, "a slot was not sent");
                (&mut *frame)[..advert.frame.len()].copy_from_slice(&advert.frame);
                (*header).tp_len = advert.frame.len() as u32;
                status.store(libc::TP_STATUS_SEND_REQUEST, Ordering::Release);
            }
        }
        Ok(kick(&socket)?)
    }))
}

/// Frames lie in memory of ours; two rings of descriptors say which are to be sent, and which were.
fn xdp(advert: Advert) -> Result<Send> {
    const SLOT: usize = 2048;
    let socket = mapped::socket(libc::AF_XDP, 0)?;
    let mut memory = vec![0u8; SLOT * (BATCH + 2)];
    // On a page's boundary.
    let start = memory.as_ptr().align_offset(4096);
    for slot in memory[start..].chunks_exact_mut(SLOT).take(BATCH) {
        slot[..advert.frame.len()].copy_from_slice(&advert.frame);
    }
    // SAFETY: all zero is a valid registration, which the next lines fill in.
    let mut umem: libc::xdp_umem_reg = unsafe { std::mem::zeroed() };
    umem.addr = memory[start..].as_ptr() as u64;
    (umem.len, umem.chunk_size) = ((SLOT * BATCH) as u64, SLOT as u32);
    option(&socket, libc::SOL_XDP, libc::XDP_UMEM_REG, &umem).context("XDP_UMEM_REG")?;
    for ring in [libc::XDP_UMEM_FILL_RING, libc::XDP_UMEM_COMPLETION_RING, libc::XDP_TX_RING] {
        option(&socket, libc::SOL_XDP, ring, &(BATCH as libc::c_int)).context("a ring of AF_XDP")?;
    }
    let offsets = offsets(&socket)?;
    let map = |page: libc::off_t, descriptors: u64, size: usize| {
        Mapped::new(&socket, page, descriptors as usize + BATCH * size)
    };
    let sending = map(libc::XDP_PGOFF_TX_RING, offsets.tx.desc, size_of::<libc::xdp_desc>())?;
    let sent = map(libc::XDP_UMEM_PGOFF_COMPLETION_RING as libc::off_t, offsets.cr.desc, size_of::<u64>())?;
    let address = libc::sockaddr_xdp {
        sxdp_family: libc::AF_XDP as u16,
        sxdp_flags: libc::XDP_COPY,
        sxdp_ifindex: advert.index.0,
        sxdp_queue_id: 0,
        sxdp_shared_umem_fd: 0,
    };
    bind(&socket, &address)?;
    // As many slots as descriptors: after each batch both rings are as they were, and so is every descriptor.
    for slot in 0..BATCH {
        let place = offsets.tx.desc as usize + slot * size_of::<libc::xdp_desc>();
        let descriptor = libc::xdp_desc { addr: (slot * SLOT) as u64, len: advert.frame.len() as u32, options: 0 };
        // SAFETY: the ring is as long, and the kernel reads it only up to the producer.
        unsafe { sending.at::<libc::xdp_desc>(place).write(descriptor) };
    }
    Ok(Box::new(move || {
        // The kernel reads the frames there as long as the socket is open.
        let _frames = &memory;
        // SAFETY: the kernel and we read and write these counters as such.
        let (to_send, done, taken) = unsafe {
            (
                AtomicU32::from_ptr(sending.at(offsets.tx.producer as usize)),
                AtomicU32::from_ptr(sent.at(offsets.cr.producer as usize)),
                AtomicU32::from_ptr(sent.at(offsets.cr.consumer as usize)),
            )
        };
        let goal = to_send.load(Ordering::Relaxed).wrapping_add(BATCH as u32);
        to_send.store(goal, Ordering::Release);
        while done.load(Ordering::Acquire) != goal {
            match kick(&socket) {
                // It sends a part of them each time.
                Ok(()) | Err(Errno::EAGAIN | Errno::EBUSY) => {}
                Err(error) => return Err(error.into()),
            }
        }
        taken.store(goal, Ordering::Release);
        Ok(())
    }))
}

/// Where counters and descriptors lie in each ring.
fn offsets(socket: &OwnedFd) -> Result<libc::xdp_mmap_offsets> {
    // SAFETY: all zero is a valid value, and the kernel writes no more than it is told there is room for.
    unsafe {
        let mut offsets: libc::xdp_mmap_offsets = std::mem::zeroed();
        let mut length = size_of_val(&offsets) as libc::socklen_t;
        let place = (&raw mut offsets).cast();
        let found = libc::getsockopt(socket.as_raw_fd(), libc::SOL_XDP, libc::XDP_MMAP_OFFSETS, place, &mut length);
        Errno::result(found).context("XDP_MMAP_OFFSETS")?;
        Ok(offsets)
    }
}
