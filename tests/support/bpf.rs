//! Taking a daemon's XDP programs off their devices, as an operator's tool would.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result, ensure};

/// Of bpf(2).
const BPF_LINK_GET_FD_BY_ID: libc::c_long = 30;
const BPF_LINK_DETACH: libc::c_long = 34;

/// The numbers of the links that a process holds.
fn links(pid: u32) -> Result<Vec<u32>> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fdinfo"))?.flatten();
    let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    let ids = texts.filter_map(|text| text.lines().find_map(|line| line.strip_prefix("link_id:")?.trim().parse().ok()));
    Ok(ids.collect())
}

/// Takes every program that a process has on a device off it.
pub fn detach(pid: u32) -> Result<()> {
    let links = links(pid)?;
    ensure!(!links.is_empty(), "process {pid} has no program on a device");
    for id in links {
        let open = bpf(BPF_LINK_GET_FD_BY_ID, id).context("BPF_LINK_GET_FD_BY_ID")?;
        // SAFETY: a new descriptor, ours alone.
        let link = unsafe { OwnedFd::from_raw_fd(open) };
        bpf(BPF_LINK_DETACH, link.as_raw_fd() as u32).context("BPF_LINK_DETACH")?;
    }
    Ok(())
}

/// A command whose attributes begin with one number and are otherwise zero.
fn bpf(command: libc::c_long, number: u32) -> io::Result<i32> {
    let attributes = [number, 0, 0];
    // SAFETY: the kernel reads as many octets of the attributes as it is told there are.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_ptr(), size_of_val(&attributes)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}
