//! What the protocol thread asks of the kernel so that it runs when it is due: SCHED_FIFO, and memory that stays.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::capabilities;
use crate::config::setup::Setup;

/// Adverts at least this often make real-time priority and locked memory the default.
const BRISK: Duration = Duration::from_millis(100);
/// SCHED_FIFO priority when the configuration names none: above ordinary work, below the kernel's own threads.
const PRIORITY: u8 = 50;
/// Real-time work without a pause after which the kernel ends the daemon, rather than let it hold a processor for ever.
const RUNAWAY: Duration = Duration::from_secs(1);

/// Open files beside those of interfaces: scripts that run, connections, the program's maps, the guard's pipe.
const FILES: u64 = 512;
/// Of an interface: its socket, and the link of the program on it.
const FILES_OF_INTERFACE: u64 = 2;
/// Octets from which on memory comes from the kernel, and is given back to it, piece by piece.
const LARGE: i32 = 128 << 10;

/// In one line what the daemon cannot do without and does not have.
pub fn check() -> Result<(), String> {
    match capabilities::missing(&[capabilities::NET_ADMIN, capabilities::NET_RAW]) {
        Ok(missing) if missing.is_empty() => Ok(()),
        Ok(missing) => Err(format!("not permitted: {} missing; start vrrpd as root", missing.join(" and "))),
        Err(error) => Err(format!("cannot tell which capabilities there are: {error:#}")),
    }
}

/// Has the allocator keep little of what is free. By itself it learns from the largest piece that was ever freed, which
/// is the kernel's BTF, how much to keep; and what it keeps is locked.
pub fn keep_little() {
    // SAFETY: it changes no memory that we can see.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}

/// Has the allocator give back what is free.
pub fn return_memory() {
    // SAFETY: it touches free memory alone.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Allows as many open files as so many interfaces may need, and returns that number. What the kernel refuses is logged;
/// the first interfaces work all the same.
pub fn allow_files(interfaces: usize) -> u64 {
    let needed = FILES + FILES_OF_INTERFACE * interfaces as u64;
    // An error says that there is no limit to be known.
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((needed, needed));
    if soft < needed && setrlimit(Resource::RLIMIT_NOFILE, needed, hard.max(needed)).is_err() {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
        tracing::warn!(
            "only {hard} open files are allowed, and {needed} may be needed; raise LimitNOFILE or `ulimit -n`"
        );
    }
    needed
}

/// What this configuration asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Urgency {
    pub priority: Option<u8>,
    pub lock_memory: bool,
}

impl Urgency {
    pub fn of(setup: &Setup) -> Self {
        let brisk = setup.plan.instances.iter().any(|instance| instance.advert_int.duration() <= BRISK);
        Self {
            priority: setup.daemon.rt_priority.or(brisk.then_some(PRIORITY)),
            lock_memory: setup.daemon.no_swap || brisk,
        }
    }

    /// For the whole process, before its threads start. What the kernel refuses is logged; the protocol runs all the same.
    pub fn prepare(&mut self) {
        let micros = RUNAWAY.as_micros() as u64;
        if self.priority.is_some()
            && let Err(error) = setrlimit(Resource::RLIMIT_RTTIME, micros, micros)
        {
            tracing::warn!(%error, "cannot limit real-time work; running without real-time priority");
            self.priority = None;
        }
    }

    /// For the whole process, when it has what it needs. What the kernel refuses is logged.
    pub fn lock(self) {
        // Only what is in use: pages never touched cost nothing.
        let flags = libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT;
        // SAFETY: it changes no memory that we can see.
        if self.lock_memory && unsafe { libc::mlockall(flags) } != 0 {
            let error = std::io::Error::last_os_error();
            tracing::warn!(%error, "cannot lock memory; a page fault may delay an advert (CAP_IPC_LOCK)");
        }
    }

    /// Gives the calling thread its priority, or one so much `below` it.
    pub fn apply(self, below: u8) {
        let Some(priority) = self.priority else { return };
        let priority = priority.saturating_sub(below).max(1);
        let parameters = libc::sched_param { sched_priority: i32::from(priority) };
        // SAFETY: the kernel only reads the parameters; 0 is the calling thread.
        let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &parameters) };
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        match result {
            0 => tracing::info!("thread {name} runs with real-time priority {priority}"),
            _ => {
                let error = std::io::Error::last_os_error();
                tracing::warn!(
                    "no real-time priority for thread {name}: {error}; a busy machine may delay it (CAP_SYS_NICE)"
                );
            }
        }
    }
}
