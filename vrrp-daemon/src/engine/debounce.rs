//! keepalived `interface_up_down_delays`: a change of link state counts when it has lasted.
//!
//! It happens for the instances when its delay is over. What was taken back before has not happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vrrp_common::Instant;

use super::matching::Moves;
use super::plan::{InterfaceId, LinkDelay};
use super::tracking::Verdict;

/// Of the interfaces that have delays, what does not count yet.
#[derive(Clone, Debug)]
pub struct Debounce {
    delays: BTreeMap<InterfaceId, LinkDelay>,
    /// The other state than the one that counts: when it will have lasted.
    pending: BTreeMap<InterfaceId, Instant>,
    /// Those that do not exist: what comes to have the name is another one, and its first state counts.
    gone: BTreeSet<InterfaceId>,
}

impl Debounce {
    pub const fn new(delays: BTreeMap<InterfaceId, LinkDelay>) -> Self {
        Self { delays, pending: BTreeMap::new(), gone: BTreeSet::new() }
    }

    /// How long a state must last until it counts in place of `counted`; `None`: it does at once, or already.
    pub fn delay(&self, id: InterfaceId, counted: Verdict, is: Verdict) -> Option<Duration> {
        let is_first = counted == Verdict::Unknown || self.gone.contains(&id);
        let delay = self.delays.get(&id).filter(|_| !is_first && is != counted)?;
        Some(delay.until(is)).filter(|wait| !wait.is_zero())
    }

    /// Takes in what an interface is now, where `counted` is what counts of it; whether this does from now on.
    pub fn hear(&mut self, now: Instant, id: InterfaceId, counted: Verdict, is: Verdict) -> bool {
        let delay = self.delay(id, counted, is);
        self.gone.remove(&id);
        match delay {
            Some(delay) => {
                self.pending.entry(id).or_insert(now + delay);
            }
            None => {
                self.pending.remove(&id);
            }
        }
        delay.is_none()
    }

    /// An interface does not exist any more, which counts at once.
    pub fn lose(&mut self, id: InterfaceId) {
        self.pending.remove(&id);
        if self.delays.contains_key(&id) {
            self.gone.insert(id);
        }
    }

    /// When a change will have lasted.
    pub fn due(&self) -> Option<Instant> {
        self.pending.values().min().copied()
    }

    /// One interface whose state has lasted long enough by now.
    pub fn take_due(&mut self, now: Instant) -> Option<InterfaceId> {
        let (&id, _) = self.pending.iter().filter(|(_, at)| **at <= now).min_by_key(|(_, at)| **at)?;
        self.pending.remove(&id);
        Some(id)
    }

    /// Goes on by other delays, and the ids of their plan; what is waited for lasts as long as the shorter one.
    /// `counted` is what counts, by those ids.
    pub fn carry(
        &mut self,
        now: Instant,
        delays: &BTreeMap<InterfaceId, LinkDelay>,
        moves: &Moves<InterfaceId>,
        counted: &[Verdict],
    ) {
        let pending = std::mem::take(&mut self.pending).into_iter().filter_map(|(id, at)| {
            let id = moves.to(id)?;
            let wait = delays.get(&id).copied().unwrap_or_default().until(counted[id.index()].opposite());
            Some((id, at.min(now + wait)))
        });
        self.pending = pending.collect();
        let gone = std::mem::take(&mut self.gone).into_iter().filter_map(|id| moves.to(id));
        self.gone = gone.filter(|id| delays.contains_key(id)).collect();
        self.delays.clone_from(delays);
    }
}

impl LinkDelay {
    /// How long this must last.
    const fn until(self, is: Verdict) -> Duration {
        if matches!(is, Verdict::Passed) { self.up } else { self.down }
    }
}
