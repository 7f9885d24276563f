//! Going on by another plan: what is gone leaves, what stayed keeps its state, its timers and what it learned, what is new
//! starts as at the start.
//!
//! Priorities, faults and groups are then found anew from what is so now; nothing is added to what was.

use std::net::IpAddr;
use std::time::Duration;

use vrrp_common::{Instant, Version};

use super::agenda::Agenda;
use super::event::Event;
use super::group::Group;
use super::instance::{Instance, Patience, State};
use super::matching::{Common, Matching};
use super::plan::{InstanceId, OfInstance, Plan, TrackerId};
use super::tracking::{Surroundings, Tracker, Verdict};
use super::{Action, Engine, Out, dependents};

impl Engine {
    /// Instances that the next plan does not have leave for good. To be done before [`Self::reload`], while their ids are
    /// still theirs.
    pub fn remove(&mut self, now: Instant, matching: &Matching, out: &mut Vec<Action>) {
        for id in matching.instances.gone() {
            self.with(id, out, |instance, out| instance.remove(now, out));
        }
    }

    /// Goes on by `plan`. `sources` are the addresses that its instances can send from now, by their new ids, as are all
    /// that is done.
    pub fn reload(
        &mut self,
        now: Instant,
        plan: &Plan,
        matching: &Matching,
        sources: &[Option<IpAddr>],
        out: &mut Vec<Action>,
    ) {
        let of = |id: InstanceId| OfInstance::new(plan.instances.clone(), id);
        let fresh = |id| Instance::new(of(id), now);
        self.instances = matching.instances.carry(std::mem::take(&mut self.instances), fresh);
        self.groups = plan.groups.iter().map(|plan| Group::new(plan.members.clone())).collect();
        self.surroundings.carry(plan, matching);
        self.debounce.carry(now, &plan.delays, &matching.interfaces, &self.surroundings.interfaces);
        (self.by_interface, self.by_tracker) = dependents(plan);
        self.agenda = Agenda::new(self.instances.len());
        let alike = Common::default();
        for (index, &source) in sources.iter().enumerate() {
            let id = InstanceId(index as u32);
            let common = matching.common.get(index).unwrap_or(&alike);
            let was_there = matching.instances.from(id).is_some();
            self.with(id, out, |instance, out| {
                instance.set_source(source);
                if was_there {
                    instance.replan(now, of(id), common, out);
                }
            });
        }
        // Without a delay it counts now.
        while let Some(id) = self.debounce.take_due(now) {
            self.surroundings.turn(id);
        }
        self.settle_each(now, out);
    }
}

impl Surroundings {
    fn carry(&mut self, plan: &Plan, matching: &Matching) {
        self.interfaces = matching.interfaces.carry(std::mem::take(&mut self.interfaces), |_| Verdict::Unknown);
        let fresh = |id: TrackerId| Tracker::new(plan.trackers[id.index()]);
        self.trackers = matching.trackers.carry(std::mem::take(&mut self.trackers), fresh);
        self.trackers.iter_mut().zip(&plan.trackers).for_each(|(tracker, &plan)| tracker.replan(plan));
    }
}

impl Instance {
    /// It is in the configuration no longer.
    fn remove(&mut self, now: Instant, out: &mut Out) {
        self.end(now, Event::Deleted, out);
    }

    /// Goes on by another plan. What that makes of its priority, its faults and its group is not seen to here.
    fn replan(&mut self, now: Instant, plan: OfInstance, common: &Common, out: &mut Out) {
        if !common.hears_alike || !self.plan.hears_like(&plan) {
            self.hear_all(out);
        }
        let before = std::mem::replace(&mut self.plan, plan);
        let plan = &self.plan;
        if plan.both_versions != before.both_versions {
            // With one version nobody took note of who speaks the other, so what was known is old.
            self.speakers.clear();
        }
        match &mut self.state {
            State::Init | State::Fault | State::Stopped => {}
            State::Backup(backup) => {
                // What was learned of a master stays, where intervals are learned.
                if backup.master.is_none() || plan.version != before.version || plan.version == Version::V2 {
                    backup.interval = plan.advert_int;
                }
                backup.patience = backup.patience.replan(now, before.preempt_delay, plan.preempt_delay);
            }
            State::Master(master) => {
                // Sooner, if need be, and never later: hearers count on the next one by the interval that they know.
                master.next_advert_at = master.next_advert_at.min(plan.next_advert_at(now));
                if master.garp.replan(now, &before.garp, &plan.garp, common.addresses.as_ref(), plan.addresses) {
                    self.tenure.0 = self.tenure.0.wrapping_add(1);
                    out.install(self.tenure);
                    out.tell(Event::InstallsAddresses, self.effective);
                }
            }
        }
    }
}

impl Patience {
    fn replan(self, now: Instant, before: Duration, delay: Duration) -> Self {
        match self {
            _ if delay == before => self,
            _ if delay.is_zero() => Self::Over,
            Self::Over if before.is_zero() => Self::Unasked,
            Self::Until(until) => Self::Until(until.min(now + delay)),
            Self::Unasked | Self::Over => self,
        }
    }
}
