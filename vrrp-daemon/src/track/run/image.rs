//! Starting a program without copying ours: what happens between the call and the program's first instruction.
//!
//! fork(2) would write-protect every page of the daemon, and the protocol thread would pay with a page fault for each
//! page it next writes: milliseconds, with as many scripts as checks. So the new process borrows our memory until it
//! execs, as posix_spawn(3) does, which cannot change the user.

use std::ffi::{CString, c_char, c_int, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::signal::{SigSet, SigmaskHow};
use nix::unistd::{Pid, getpid};
use tokio::io::unix::AsyncFd;

use super::Bond;
use super::limits::Limit;
use crate::track::command::RunAs;
use crate::track::readable::readable;

/// Octets of stack for the few calls before the exec.
const STACK: usize = 64 << 10;

// Elsewhere the numbers of setresuid(2) and its like take ids of 16 bits.
const _: () = assert!(usize::BITS == 64, "the system calls below are those of 64-bit Linux");

/// What is to run, in the kernel's form.
pub struct Image {
    pub program: CString,
    pub argv: Vec<CString>,
    pub environment: Vec<CString>,
    pub run_as: RunAs,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    pub bond: Bond,
}

/// What the new process needs, made beforehand: it may not allocate.
struct Birth {
    program: *const c_char,
    argv: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    run_as: RunAs,
    groups: *const libc::gid_t,
    groups_count: usize,
    bond: Bond,
    limits: &'static [Limit],
    parent: Pid,
    null: RawFd,
    /// The errno of what failed. Written by the new process, in the memory that both share.
    error: c_int,
}

impl Image {
    /// Starts it; the answer is the process, which leads a group of its own.
    pub fn spawn(&self) -> io::Result<Pid> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let list = |strings: &[CString]| {
            strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>()
        };
        let mut birth = Birth {
            program: self.program.as_ptr(),
            argv: list(&self.argv),
            environment: list(&self.environment),
            run_as: self.run_as,
            groups: self.groups.as_ptr(),
            groups_count: self.groups.len(),
            limits: super::limits::inherited(),
            bond: self.bond,
            parent: getpid(),
            null: null.as_raw_fd(),
            error: 0,
        };
        let mut stack = vec![0u128; STACK / size_of::<u128>()];
        // No handler of ours may run in the new process: it would be on our memory.
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        // SAFETY: takes one number. See below for the use.
        let dumpable = unsafe { libc::prctl(libc::PR_GET_DUMPABLE) };
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        // SAFETY: CLONE_VFORK suspends this thread until the new process has left our memory by exec or exit, so `birth`
        // and `stack` outlive its use of them; the stack's end is aligned for any ABI. `be_born` keeps to system calls.
        let pid = unsafe {
            libc::clone(be_born, stack.as_mut_ptr_range().end.cast(), flags, (&raw mut birth).cast::<c_void>())
        };
        let outcome = if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(Pid::from_raw(pid)) };
        if dumpable == 1 {
            // A change of user closes the borrowed memory to debuggers and core dumps, and leaves it so; that was right
            // while both had it.
            // SAFETY: takes two numbers.
            unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) };
        }
        before.thread_set_mask()?;
        let pid = outcome?;
        if birth.error != 0 {
            let _ = nix::sys::wait::waitpid(pid, None);
            return Err(io::Error::from_raw_os_error(birth.error));
        }
        Ok(pid)
    }
}

/// The life of the new process until it is another program.
extern "C" fn be_born(birth: *mut c_void) -> c_int {
    // SAFETY: it is the parent's, which waits, and nobody else knows it.
    let birth = unsafe { &mut *birth.cast::<Birth>() };
    birth.error = match become_script(birth) {
        // SAFETY: the pointers are to strings and lists of the waiting parent, each list with a null at its end.
        Ok(()) => unsafe {
            libc::execve(birth.program, birth.argv.as_ptr(), birth.environment.as_ptr());
            *libc::__errno_location()
        },
        Err(errno) => errno,
    };
    127
}

/// Makes the new process what a script expects to be. System calls only, and for ids those of the kernel: libc's would
/// change them in every thread of the parent.
fn become_script(birth: &Birth) -> Result<(), c_int> {
    let RunAs { uid, gid } = birth.run_as;
    // SAFETY: system calls on the calling process; the pointers are to live, initialised values.
    unsafe {
        check(libc::setpgid(0, 0).into())?;
        for fd in 0..=2 {
            check(libc::dup2(birth.null, fd).into())?;
        }
        check(libc::chdir(c"/".as_ptr()).into())?;
        // A script must not compete with the protocol thread. Without SCHED_RESET_ON_FORK this would be inherited.
        let normal = libc::sched_param { sched_priority: 0 };
        check(libc::sched_setscheduler(0, libc::SCHED_OTHER, &normal).into())?;
        // Ignored signals stay ignored across exec. SIGKILL, SIGSTOP and libc's own two refuse, which is as well.
        let default = std::mem::zeroed::<libc::sigaction>();
        for signal in 1..=64 {
            libc::sigaction(signal, &default, std::ptr::null_mut());
        }
        // Ours are raised for thousands of sockets and lowered for real time. A daemon that may not undo that has scripts
        // run all the same.
        for Limit { resource, limit } in birth.limits {
            libc::setrlimit(*resource, limit);
        }
        // Ours are all close-on-exec; this is for what we inherited. Linux before 5.11 does not know the flag.
        libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        // Only root may drop groups; as anybody else we can only run scripts as ourselves.
        if libc::geteuid() == 0 {
            check(libc::syscall(libc::SYS_setgroups, birth.groups_count, birth.groups))?;
        }
        check(libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
        check(libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
        if birth.bond == Bond::EndsWithUs {
            // After the change of user, which clears it.
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM).into())?;
            // The parent may have died before.
            if libc::getppid() != birth.parent.as_raw() {
                return Err(libc::ESRCH);
            }
        }
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&mut none);
        check(libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut()).into())
    }
}

fn check(result: i64) -> Result<(), c_int> {
    if result >= 0 {
        return Ok(());
    }
    // SAFETY: the calling thread's own; the new process has the waiting parent's.
    Err(unsafe { *libc::__errno_location() })
}

/// A descriptor that is readable when the process has exited.
pub fn pidfd(pid: Pid) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: takes two numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), libc::PIDFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor for us, close-on-exec, and nobody else knows it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    readable(fd)
}
