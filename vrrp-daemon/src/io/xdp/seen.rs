//! When absorbed adverts last came: the kernel's array of times, mapped into our memory, read without a system call.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;

use anyhow::{Context, Result};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use vrrp_common::Instant;

/// The mapped array, by slot.
pub struct LastSeen {
    times: NonNull<u64>,
    slots: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is only read.
unsafe impl Send for LastSeen {}

impl LastSeen {
    /// Maps an array of so many slots, made with BPF_F_MMAPABLE.
    pub fn map(array: impl AsFd, slots: u32) -> Result<Self> {
        let slots = slots as usize;
        let length = NonZeroUsize::new(slots * size_of::<u64>()).context("an array without slots")?;
        // SAFETY: a new mapping, placed by the kernel, of a file that is as long.
        let memory = unsafe { mmap(None, length, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, array, 0) };
        let memory = memory.map_err(io::Error::from).context("mapping the XDP program's times")?;
        Ok(Self { times: memory.cast(), slots })
    }

    /// When an advert for a slot was last absorbed; `None` when none was.
    pub fn get(&self, slot: u32) -> Option<Instant> {
        let slot = slot as usize;
        if slot >= self.slots {
            return None;
        }
        // SAFETY: inside the mapping, aligned. The kernel may write it meanwhile: an aligned word is read whole.
        let nanos = unsafe { self.times.add(slot).read_volatile() };
        (nanos > 0).then(|| Instant::from_nanos(nanos))
    }
}

impl Drop for LastSeen {
    fn drop(&mut self) {
        // SAFETY: mapped by us with this length, and not used after.
        let _ = unsafe { munmap(self.times.cast(), self.slots * size_of::<u64>()) };
    }
}
