//! Sockets that share memory with this program: their options, and the memory.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result};
use nix::errno::Errno;

/// A socket that nix has no name for.
pub fn socket(family: libc::c_int, protocol: libc::c_int) -> Result<OwnedFd> {
    // SAFETY: no memory is passed; the result is checked before it is owned.
    unsafe {
        let raw = libc::socket(family, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol);
        Ok(OwnedFd::from_raw_fd(Errno::result(raw).context("socket")?))
    }
}

pub fn option<T>(socket: impl AsFd, level: libc::c_int, name: libc::c_int, value: &T) -> Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: the value is of the length given.
    let result = unsafe { libc::setsockopt(socket, level, name, std::ptr::from_ref(value).cast(), length) };
    Errno::result(result)?;
    Ok(())
}

/// Binds to an address of any family.
pub fn bind<T>(socket: impl AsFd, address: &T) -> Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the address is of the length given.
    let result = unsafe { libc::bind(socket.as_fd().as_raw_fd(), std::ptr::from_ref(address).cast(), length) };
    Errno::result(result).context("bind")?;
    Ok(())
}

/// Memory of a socket, mapped as long as this lives.
pub struct Mapped {
    memory: *mut u8,
    length: usize,
}

// SAFETY: the memory belongs to the mapping alone, whichever thread has it.
unsafe impl Send for Mapped {}

impl Mapped {
    pub fn new(socket: impl AsFd, offset: libc::off_t, length: usize) -> Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let socket = socket.as_fd().as_raw_fd();
        // SAFETY: a new mapping; nothing else is there.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), length, access, libc::MAP_SHARED, socket, offset) };
        if memory == libc::MAP_FAILED {
            return Err(Errno::last()).context("mmap of a socket's memory");
        }
        Ok(Self { memory: memory.cast(), length })
    }

    /// What lies at an offset. It may be read and written as the kernel's protocol for that memory allows.
    pub fn at<T>(&self, offset: usize) -> *mut T {
        assert!(offset + size_of::<T>() <= self.length, "{offset} is behind the mapping's end");
        // SAFETY: within the mapping.
        unsafe { self.memory.add(offset).cast() }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nobody refers to it any longer.
        unsafe { libc::munmap(self.memory.cast(), self.length) };
    }
}
