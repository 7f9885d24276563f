//! Lines of the log that a forger can cause at will: told sparingly, of each virtual router and of all together. What is not
//! told is counted, and said now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::info;
use vrrp_common::Instant;

use crate::engine::plan::InstanceId;

/// Of one virtual router: as many at once,
const EACH_BURST: u32 = 5;
/// and then one in this time.
const EACH_REFILL: Duration = Duration::from_secs(1);
/// Of all: enough at once for one of each of thousands,
const ALL_BURST: u32 = 4096;
/// and then a hundred a second.
const ALL_REFILL: Duration = Duration::from_millis(10);

/// How much may be told at once; time fills it again.
#[derive(Clone, Copy, Debug, Default)]
struct Allowance {
    full_at: Instant,
}

impl Allowance {
    fn has(self, now: Instant, burst: u32, refill: Duration) -> bool {
        self.full_at.max(now) + refill <= now + refill * burst
    }

    fn take(&mut self, now: Instant, refill: Duration) {
        self.full_at = self.full_at.max(now) + refill;
    }
}

/// What may still be told.
#[derive(Clone, Debug)]
pub struct Sparing {
    /// By instance.
    each: Vec<Allowance>,
    all: Allowance,
    withheld: Arc<Withheld>,
}

impl Sparing {
    pub fn new(instances: usize, withheld: Arc<Withheld>) -> Self {
        Self { each: vec![Allowance::default(); instances], all: Allowance::default(), withheld }
    }

    pub const fn withheld(&self) -> &Arc<Withheld> {
        &self.withheld
    }

    /// Whether a line about an instance may be written; if not, it is counted.
    pub fn allows(&mut self, id: InstanceId, now: Instant) -> bool {
        let each = &mut self.each[id.index()];
        let allows = each.has(now, EACH_BURST, EACH_REFILL) && self.all.has(now, ALL_BURST, ALL_REFILL);
        if allows {
            each.take(now, EACH_REFILL);
            self.all.take(now, ALL_REFILL);
        } else {
            self.withheld.0.fetch_add(1, Ordering::Relaxed);
        }
        allows
    }
}

/// Lines that were not written since the last time it was said.
#[derive(Debug, Default)]
pub struct Withheld(AtomicU64);

impl Withheld {
    /// Says how many there were; to be called now and then.
    pub fn tell(&self) {
        let lines = self.0.swap(0, Ordering::Relaxed);
        if lines > 0 {
            info!("{lines} more lines about adverts were withheld; `vrrpctl status` counts them");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines written of ten seconds in which each instance has a hundred a second.
    fn told(instances: u32) -> (u64, u64) {
        let mut sparing = Sparing::new(instances as usize, Arc::default());
        let mut told = 0;
        for turn in 0..1000 {
            let now = Instant::from_nanos(50_000_000_000 + turn * 10_000_000);
            told += (0..instances).filter(|&id| sparing.allows(InstanceId(id), now)).count() as u64;
        }
        (told, sparing.withheld().0.load(Ordering::Relaxed))
    }

    #[test]
    fn one_virtual_router_has_a_burst_and_then_one_line_a_second() {
        assert_eq!(told(1), (14, 986));
    }

    #[test]
    fn thousands_have_no_more_than_all_may() {
        let (told, withheld) = told(2000);
        assert_eq!(told, 4096 + 999);
        assert_eq!(told + withheld, 2_000_000);
    }
}
