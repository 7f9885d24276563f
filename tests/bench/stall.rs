//! The gap watcher: notes when the machine itself stood still, so that no daemon is blamed for it.
//!
//! One real-time thread for each CPU asks to be woken every half millisecond. Only what takes the CPU from a thread of
//! the highest priority makes it late: the machine's hypervisor, or its kernel.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use vrrp_tests::stamp::Stamp;

const PERIOD: Duration = Duration::from_micros(500);
/// Later than this is a stall.
const LATE: Duration = Duration::from_millis(1);
const PRIORITY: libc::c_int = 98;

#[derive(Clone, Copy, Debug)]
pub struct Stall {
    pub from: Stamp,
    pub until: Stamp,
}

pub struct Stalls {
    found: Arc<Mutex<Vec<Stall>>>,
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<bool>>,
}

impl Stalls {
    pub fn watch() -> Self {
        let (found, end) = (Arc::<Mutex<Vec<Stall>>>::default(), Arc::<AtomicBool>::default());
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = (0..cpus)
            .map(|cpu| {
                let (found, end) = (Arc::clone(&found), Arc::clone(&end));
                std::thread::spawn(move || {
                    let ours = become_first(cpu);
                    while !end.load(Ordering::Relaxed) {
                        let asked = Stamp::now();
                        std::thread::sleep(PERIOD);
                        let until = Stamp::now();
                        if until - asked > PERIOD + LATE && ours {
                            found
                                .lock()
                                .expect("nobody panics with this lock")
                                .push(Stall { from: asked + PERIOD, until });
                        }
                    }
                    ours
                })
            })
            .collect();
        Self { found, end, threads }
    }

    /// How long the machine stood still between these.
    pub fn between(&self, from: Stamp, until: Stamp) -> Duration {
        let list = self.list();
        list.iter().map(|stall| stall.until.min(until) - stall.from.max(from)).sum()
    }

    /// Whether that spoils what was measured meanwhile: more than a hundredth of it.
    pub fn spoil(&self, from: Stamp, until: Stamp) -> bool {
        self.between(from, until) > (until - from) / 100
    }

    pub fn list(&self) -> Vec<Stall> {
        let mut list = self.found.lock().expect("nobody panics with this lock").clone();
        list.sort_by_key(|stall| stall.from);
        list
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Real-time, and on this CPU alone; `false` where that is not allowed: an ordinary thread's lateness says nothing.
fn become_first(cpu: usize) -> bool {
    let parameter = libc::sched_param { sched_priority: PRIORITY };
    // SAFETY: an all-zero set is valid; both calls read what is passed and concern this thread.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set) == 0
            && libc::sched_setscheduler(0, libc::SCHED_FIFO, &parameter) == 0
    }
}
