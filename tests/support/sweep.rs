//! What must go when the laboratory ends before its time: by Ctrl-C, or by a time limit's SIGTERM.
//!
//! Namespaces are not here: they go with this process. When this process is killed, the kernel kills its children.

use std::collections::BTreeSet;
use std::os::fd::{IntoRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, Once};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::unistd::Pid;

static LEFT: Mutex<Left> = Mutex::new(Left { processes: BTreeSet::new(), directories: BTreeSet::new() });
static PIPE: AtomicI32 = AtomicI32::new(-1);

struct Left {
    processes: BTreeSet<i32>,
    directories: BTreeSet<PathBuf>,
}

/// A process that runs, by its id.
pub fn process_started(pid: i32) {
    watch_signals();
    change(|left| left.processes.insert(pid));
}

/// It has ended and was waited for.
pub fn process_ended(pid: i32) {
    change(|left| left.processes.remove(&pid));
}

pub fn directory_made(path: PathBuf) {
    watch_signals();
    change(|left| left.directories.insert(path));
}

pub fn directory_removed(path: &PathBuf) {
    change(|left| left.directories.remove(path));
}

fn change(how: impl FnOnce(&mut Left) -> bool) {
    // A poisoned list is still a list.
    how(&mut LEFT.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
}

/// Handles SIGINT, SIGTERM and SIGHUP from the first call on: the handler only writes the number to a pipe, a thread
/// does the work.
fn watch_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        remove_stale();
        let Ok((reader, writer)) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC) else { return };
        PIPE.store(writer.into_raw_fd(), Ordering::Relaxed);
        std::thread::spawn(move || {
            let mut signal = [0];
            if nix::unistd::read(&reader, &mut signal) == Ok(1) {
                sweep();
                std::process::exit(128 + i32::from(signal[0]));
            }
        });
        let action = SigAction::new(SigHandler::Handler(tell), SaFlags::SA_RESTART, SigSet::empty());
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            // SAFETY: the handler makes one system call that may be made in a handler.
            let _ = unsafe { sigaction(signal, &action) };
        }
    });
}

/// Directories of laboratories whose process was killed.
fn remove_stale() {
    for entry in std::fs::read_dir(crate::lab::BASE).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(crate::lab::PREFIX)?.split('-').next());
        if maker.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

extern "C" fn tell(signal: libc::c_int) {
    let (pipe, octet): (RawFd, u8) = (PIPE.load(Ordering::Relaxed), signal as u8);
    // SAFETY: one octet is read from where one octet is.
    unsafe { libc::write(pipe, (&raw const octet).cast(), 1) };
}

fn sweep() {
    let left = LEFT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for pid in &left.processes {
        let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
    }
    for directory in &left.directories {
        let _ = std::fs::remove_dir_all(directory);
    }
}
