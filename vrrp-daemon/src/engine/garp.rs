//! When a master announces its addresses: each as soon as it is set, the rest of the round when all are, and one more
//! round later (keepalived `garp_master_repeat`, `garp_master_delay`).

use std::time::Duration;

use vrrp_common::Instant;

use super::plan::GarpPlan;
use super::{Announced, Out};

/// A stronger master may be provoked by weaker adverts to announce again, but not more often than this.
const PROVOKED_INTERVAL: Duration = Duration::from_secs(1);

/// The announcements of one tenure.
#[derive(Clone, Debug)]
pub struct Garp {
    /// Addresses whose installation was not answered yet.
    outstanding: u32,
    again_at: Option<Instant>,
    provoked_at: Option<Instant>,
}

impl Garp {
    pub const fn new(addresses: u32) -> Self {
        Self { outstanding: addresses, again_at: None, provoked_at: None }
    }

    /// When the next round is due.
    pub const fn due(&self) -> Option<Instant> {
        self.again_at
    }

    /// One address was set, or could not be. One that is set again later was in doubt alone, and is announced alone.
    pub fn settled(&mut self, now: Instant, plan: GarpPlan, address: u32, installed: bool, out: &mut Out) {
        if installed {
            out.announce(Announced::One(address), plan.repeat.min(1));
        }
        if self.outstanding == 0 {
            return;
        }
        self.outstanding -= 1;
        if self.outstanding == 0 {
            out.announce(Announced::All, plan.repeat.saturating_sub(1));
            self.schedule(now, plan);
        }
    }

    /// The second round, when it is due.
    pub fn expire(&mut self, now: Instant, plan: GarpPlan, out: &mut Out) {
        if self.again_at.is_some_and(|at| at <= now) {
            self.again_at = None;
            out.announce(Announced::All, plan.repeat);
        }
    }

    /// A weaker master was heard: hosts may have learned its address. While addresses are outstanding, the round to come
    /// will tell them.
    pub fn provoked(&mut self, now: Instant, plan: GarpPlan, out: &mut Out) {
        if self.outstanding > 0 {
            return;
        }
        if self.provoked_at.is_some_and(|at| now.since(at) < PROVOKED_INTERVAL) {
            return;
        }
        self.provoked_at = Some(now);
        out.announce(Announced::All, plan.repeat);
        self.schedule(now, plan);
    }

    fn schedule(&mut self, now: Instant, plan: GarpPlan) {
        self.again_at = (plan.delay > Duration::ZERO && plan.repeat > 0).then(|| now + plan.delay);
    }
}
