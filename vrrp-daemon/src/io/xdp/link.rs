//! A program's place on a device, held by a second descriptor: as long as that is open, the program stays.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Of bpf(2).
const BPF_LINK_GET_FD_BY_ID: libc::c_long = 30;

/// The part of `union bpf_attr` that this command reads.
#[repr(C)]
struct Attributes {
    link_id: u32,
    next_id: u32,
    open_flags: u32,
}

/// Opens a link by its number.
///
/// Errors: EPERM without CAP_SYS_ADMIN.
pub fn open(id: u32) -> io::Result<OwnedFd> {
    let attributes = Attributes { link_id: id, next_id: 0, open_flags: 0 };
    // SAFETY: the kernel reads as many octets of the attributes as it is told there are.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, BPF_LINK_GET_FD_BY_ID, &raw const attributes, size_of::<Attributes>()) };
    match result {
        0.. => {
            // SAFETY: a new descriptor, ours alone.
            Ok(unsafe { OwnedFd::from_raw_fd(result as RawFd) })
        }
        _ => Err(io::Error::last_os_error()),
    }
}
