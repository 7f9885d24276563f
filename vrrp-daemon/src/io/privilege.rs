//! What the protocol's threads ask of the kernel so that they run when they are due: SCHED_FIFO, a nice value, CPUs of
//! their own, and memory that stays.
//!
//! The network's thread has all of it as well, one step below: the addresses of a takeover are waited for like its adverts.
//! Scripts, control socket and log have none of it, and may not get in the way.

use std::ffi::CString;
use std::io;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

use super::capabilities;
use crate::config::setup::{Scheduling, Setup, TrackerKind};

/// Adverts at least this often make real-time priority and locked memory the default, from the start: when lateness shows,
/// as keepalived's `max_auto_priority` waits for, a down interval of such adverts is over.
const BRISK: Duration = Duration::from_millis(100);
/// SCHED_FIFO priority when the configuration names none: above ordinary work, below the kernel's own threads.
const PRIORITY: u8 = 50;
/// Real-time work without a pause after which the kernel ends the daemon, rather than let it hold a processor for ever.
const RUNAWAY: Duration = Duration::from_secs(1);

/// Open files beside those of interfaces: scripts that run, connections, the program's maps, the guard's pipe.
const FILES: u64 = 512;
/// Of an interface: its sockets, of either family and for authentication headers, and the link of the program on it.
const FILES_OF_INTERFACE: u64 = 4;
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
fn return_memory() {
    // SAFETY: it touches free memory alone.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

unsafe extern "C" {
    /// Where the program's file is mapped, and where its code ends, as the linker has it: nothing between is ever written to.
    static __executable_start: u8;
    static etext: u8;
}

/// Has the kernel forget which of the program's code we used: most of it reads command lines and configurations and loads
/// programs. What is needed comes back from the page cache when it runs, 64 KB at a time, each in about a microsecond.
fn return_code() {
    let (start, end) = (&raw const __executable_start, &raw const etext);
    // SAFETY: these pages are as in the file, which is where the kernel takes them from again. An error leaves them.
    unsafe { libc::madvise(start.cast_mut().cast(), end.addr() - start.addr(), libc::MADV_DONTNEED) };
}

/// Gives the process the name that it is to be known by; it has its program's otherwise.
pub fn name(name: Option<&str>) {
    // Without a zero in it, as the configuration has seen to.
    if let Some(name) = name.and_then(|name| CString::new(name).ok())
        && let Err(error) = prctl::set_name(&name)
    {
        tracing::warn!("the process keeps its name: {error}");
    }
}

/// Allows a core of any size.
pub fn dump_core() {
    let allowed = getrlimit(Resource::RLIMIT_CORE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_CORE, hard, hard))
        .and_then(|()| prctl::set_dumpable(true));
    if let Err(error) = allowed {
        tracing::warn!("no core will be dumped: {error}");
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
    /// Of SCHED_FIFO.
    priority: Option<u8>,
    rt_time: Duration,
    nice: Option<i8>,
    cpus: Option<CpuSet>,
    lock_memory: bool,
}

impl Urgency {
    pub fn of(setup: &Setup) -> Self {
        let Scheduling { rt_priority, rt_time, nice, cpus, no_swap } = &setup.daemon.scheduling;
        let brisk = setup.plan.instances.iter().any(|instance| instance.advert_int.duration() <= BRISK)
            || setup.trackers.iter().any(|tracker| match &tracker.kind {
                TrackerKind::Bfd(peer) => peer.timing.min_rx.min(peer.timing.min_tx) <= BRISK,
                _ => false,
            });
        Self {
            priority: rt_priority.or(brisk.then_some(PRIORITY)),
            rt_time: rt_time.unwrap_or(RUNAWAY),
            nice: *nice,
            cpus: (!cpus.is_empty()).then(|| set(cpus)),
            lock_memory: *no_swap || brisk,
        }
    }

    /// For the whole process, before its threads are served so. What the kernel refuses is logged; the protocol runs all the
    /// same.
    pub fn prepare(&mut self) {
        let micros = self.rt_time.as_micros() as u64;
        if self.priority.is_some()
            && let Err(error) = setrlimit(Resource::RLIMIT_RTTIME, micros, micros)
        {
            tracing::warn!(%error, "cannot limit real-time work; running without real-time priority");
            self.priority = None;
        }
    }

    /// For the whole process, when it has what it needs. What the kernel refuses is logged.
    fn lock(&self) {
        // Only what is in use: pages never touched cost nothing.
        let flags = libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT;
        // SAFETY: it changes no memory that we can see.
        if self.lock_memory && unsafe { libc::mlockall(flags) } != 0 {
            let error = io::Error::last_os_error();
            tracing::warn!(%error, "cannot lock memory; a page fault may delay an advert (CAP_IPC_LOCK)");
        }
    }

    /// For the whole process, after more memory was needed for a while. Locked, it could not be given back; and after a reload
    /// it may not have to be locked any more.
    pub fn shrink(&self) {
        // SAFETY: it changes no memory that we can see.
        unsafe { libc::munlockall() };
        return_memory();
        return_code();
        self.lock();
    }

    /// Gives the calling thread what is asked for, its priority one so much `below`; what is not asked for is as the main thread
    /// has it, which is as the daemon was started. What the kernel refuses is logged.
    pub fn apply(self, below: u8) {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        let cpus = self.cpus.map_or_else(|| sched_getaffinity(Pid::this()), Ok);
        if let Err(error) = cpus.and_then(|cpus| sched_setaffinity(SELF, &cpus)) {
            tracing::warn!("vrrp_cpu_affinity does not hold for thread {name}: {error}");
        }
        if let Err(error) = be_nice(self.nice.map_or_else(nice_of_main, libc::c_int::from)) {
            tracing::warn!("vrrp_priority does not hold for thread {name}: {error} (CAP_SYS_NICE)");
        }
        let Some(priority) = self.priority else {
            return match be_as_main() {
                Ok(true) => tracing::info!("thread {name} runs without real-time priority"),
                Ok(false) => {}
                Err(error) => tracing::warn!("thread {name} keeps its real-time priority: {error}"),
            };
        };
        let priority = priority.saturating_sub(below).max(1);
        match be_scheduled(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, priority.into()) {
            Ok(()) => tracing::info!("thread {name} runs with real-time priority {priority}"),
            Err(error) => tracing::warn!(
                "no real-time priority for thread {name}: {error}; a busy machine may delay it ({})",
                lacking()
            ),
        }
    }
}

/// The calling thread, to the kernel.
const SELF: Pid = Pid::from_raw(0);

fn set(cpus: &[u16]) -> CpuSet {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        // Within the mask: the keyword's range is the mask's.
        let _ = set.set(usize::from(cpu));
    }
    set
}

/// What stands against real-time priority.
fn lacking() -> &'static str {
    match capabilities::missing(&[capabilities::SYS_NICE]) {
        Ok(missing) if missing.is_empty() => "its cgroup has no real-time budget: cpu.rt_runtime_us",
        _ => "CAP_SYS_NICE",
    }
}

/// Of the calling thread.
fn be_nice(nice: libc::c_int) -> io::Result<()> {
    // SAFETY: plain numbers; 0 is the calling thread, on Linux.
    match unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn nice_of_main() -> libc::c_int {
    // SAFETY: plain numbers; the process's own is the main thread, which is there.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, Pid::this().as_raw() as libc::id_t) }
}

/// The calling thread is scheduled like the main thread; whether it was not before.
fn be_as_main() -> io::Result<bool> {
    let mut parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the kernel writes to the parameters alone; both threads are there.
    let (main, own) = unsafe {
        libc::sched_getparam(Pid::this().as_raw(), &raw mut parameters);
        (libc::sched_getscheduler(Pid::this().as_raw()), libc::sched_getscheduler(0))
    };
    if main == own {
        return Ok(false);
    }
    be_scheduled(main, parameters.sched_priority).map(|()| true)
}

/// The calling thread; with SCHED_RESET_ON_FORK what it starts is ordinary again.
fn be_scheduled(policy: libc::c_int, priority: libc::c_int) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: the kernel only reads the parameters; 0 is the calling thread.
    match unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
