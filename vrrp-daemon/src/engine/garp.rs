//! When a master announces its addresses: each as soon as it is set, the rest of the round when all are, one more round
//! later (keepalived `garp_master_repeat`, `garp_master_delay`), and others now and then (`garp_master_refresh`,
//! `garp_extra_if`).

use std::time::Duration;

use vrrp_common::Instant;

use super::matching::Moves;
use super::plan::GarpPlan;
use super::{Announced, Out};

/// A stronger master may be provoked by weaker adverts to announce again, but not more often than this.
const PROVOKED_INTERVAL: Duration = Duration::from_secs(1);

/// The announcements of one tenure.
#[derive(Clone, Debug)]
pub struct Garp {
    /// Addresses whose installation was not answered yet.
    outstanding: u32,
    /// By address, after a reload: it was there before, and is announced no more than it was.
    stays: Option<Box<[bool]>>,
    again: Option<Again>,
    refresh_at: Option<Instant>,
    extra_at: Option<Instant>,
    provoked_at: Option<Instant>,
}

/// A second round.
#[derive(Clone, Copy, Debug)]
struct Again {
    at: Instant,
    rounds: u32,
}

impl Garp {
    pub const fn new(addresses: u32) -> Self {
        Self { outstanding: addresses, stays: None, again: None, refresh_at: None, extra_at: None, provoked_at: None }
    }

    /// When the next round is due.
    pub fn due(&self) -> Option<Instant> {
        [self.again.map(|again| again.at), self.refresh_at, self.extra_at].into_iter().flatten().min()
    }

    /// One address was set, or could not be. One that is set again later was in doubt alone, and is announced alone.
    pub fn settled(&mut self, now: Instant, plan: &GarpPlan, address: u32, installed: bool, out: &mut Out) {
        let stays = self.stays.as_ref().is_some_and(|stays| stays[address as usize]);
        if installed && !stays {
            // Those that come to others make up their round alone.
            let rounds = if self.stays.is_some() { plan.repeat } else { plan.repeat.min(1) };
            out.announce(Announced::One(address), rounds);
        }
        if self.outstanding == 0 {
            return;
        }
        self.outstanding -= 1;
        if self.outstanding == 0 {
            if self.stays.take().is_none() {
                out.announce(Announced::All, plan.repeat.saturating_sub(1));
            }
            self.again = again(now, plan.delay, plan.repeat);
            self.refresh_at = again(now, plan.refresh, plan.refresh_repeat).map(|refresh| refresh.at);
            self.extra_at = plan.extra.as_ref().map(|extra| now + extra.every);
        }
    }

    /// The rounds that are due. Refreshing keeps its schedule, and makes up for nothing.
    pub fn expire(&mut self, now: Instant, plan: &GarpPlan, out: &mut Out) {
        if let Some(again) = self.again.filter(|again| again.at <= now) {
            self.again = None;
            out.announce(Announced::All, again.rounds);
        }
        if let Some(at) = self.refresh_at.filter(|&at| at <= now) {
            self.refresh_at = Some(next(now, at, plan.refresh));
            out.announce(Announced::All, plan.refresh_repeat);
        }
        if let Some((at, extra)) = self.extra_at.filter(|&at| at <= now).zip(plan.extra.as_ref()) {
            self.extra_at = Some(next(now, at, extra.every));
            if self.outstanding == 0 {
                extra.addresses.iter().for_each(|&address| out.announce(Announced::One(address), 1));
            }
        }
    }

    /// A weaker master was heard: hosts may have learned its address. While addresses are outstanding, the round to come
    /// will tell them.
    pub fn provoked(&mut self, now: Instant, plan: &GarpPlan, out: &mut Out) {
        if self.outstanding > 0 || plan.lower_repeat == 0 {
            return;
        }
        if self.provoked_at.is_some_and(|at| now.since(at) < PROVOKED_INTERVAL) {
            return;
        }
        self.provoked_at = Some(now);
        out.announce(Announced::All, plan.lower_repeat);
        self.again = again(now, plan.lower_delay, plan.lower_repeat);
    }

    /// Goes on by another plan, with other addresses if they `moved`: the new ones are announced when they are set. Whether
    /// all have to be asked for again.
    pub fn replan(
        &mut self,
        now: Instant,
        before: &GarpPlan,
        plan: &GarpPlan,
        moved: Option<&Moves<u32>>,
        addresses: u32,
    ) -> bool {
        if (before.refresh, before.refresh_repeat) != (plan.refresh, plan.refresh_repeat) {
            self.refresh_at = again(now, plan.refresh, plan.refresh_repeat).map(|refresh| refresh.at);
        }
        let every = |plan: &GarpPlan| plan.extra.as_ref().map(|extra| extra.every);
        if every(before) != every(plan) {
            self.extra_at = every(plan).map(|every| now + every);
        }
        let Some(moved) = moved else { return false };
        let stays: Box<[bool]> = (0..addresses).map(|number| moved.from(number).is_some()).collect();
        // Of a round that is under way it is not known which are missing.
        self.stays = (self.outstanding == 0).then_some(stays);
        let is_complete = self.stays.as_ref().is_some_and(|stays| stays.iter().all(|stays| *stays));
        self.outstanding = if is_complete { 0 } else { addresses };
        if self.outstanding == 0 {
            self.stays = None;
        }
        self.outstanding > 0
    }
}

/// The first one after `now` on a schedule on which one was due `at`.
fn next(now: Instant, at: Instant, every: Duration) -> Instant {
    let missed = (now.since(at).as_nanos() / every.as_nanos()) as u32;
    at + every * missed + every
}

/// So many rounds after a while, if there is one.
fn again(now: Instant, delay: Duration, rounds: u32) -> Option<Again> {
    (delay > Duration::ZERO && rounds > 0).then(|| Again { at: now + delay, rounds })
}
