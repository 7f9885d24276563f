//! The rules of VRRP for many instances at once (RFC 9568 section 6.4), and nothing else: no clock, no sockets, no names.
//!
//! [`Engine::handle`] takes what happened and when, and says in order what to do about it. [`Engine::deadline`] says when
//! it wants to be called without anything having happened. What became of an action returns as another input.

pub mod agenda;
mod debounce;
pub mod event;
mod garp;
mod group;
mod instance;
pub mod matching;
pub mod plan;
mod reload;
pub mod snapshot;
pub mod stats;
#[cfg(test)]
mod tests;
pub mod tracking;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vrrp_common::{Centis, Claim, Instant, Version};

use agenda::Agenda;
use debounce::Debounce;
use event::{Event, GroupEvent};
use group::Group;
use instance::Instance;
use plan::{GroupId, InstanceId, InterfaceId, OfInstance, Plan, Subject, TrackerId};
use snapshot::{Snapshot, StateName};
use tracking::{Surroundings, Verdict};

/// What happened. The instant beside it is when it happened, not when it was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A valid advert for an instance; the instant is its arrival.
    Advert(InstanceId, Heard),
    /// The advert that an [`Action::Absorb`] was about came again, unchanged; the instant is its last arrival. Due before a
    /// deadline of the instance, before another advert for it, and after absorbing was switched off.
    Seen(InstanceId),
    /// Nothing: time passed. Everything received before must have been handed in first.
    Deadline,
    /// An interface went up (and running) or down.
    Interface { id: InterfaceId, up: bool },
    /// An interface does not exist, or no more.
    NoInterface(InterfaceId),
    /// The address that an instance can send from. At the start it comes before its interface's state.
    Source { id: InstanceId, address: Option<IpAddr> },
    /// One outcome of a check.
    Check { id: TrackerId, passed: bool },
    /// A number that was read in place of an outcome.
    Value { id: TrackerId, value: i16 },
    /// An address of an [`Action::Install`] is set, or cannot be.
    Address { id: InstanceId, tenure: Tenure, address: u32, installed: bool },
    /// Somebody wants the addresses announced once more, if they are here (keepalived's SendGarp).
    Announce(InstanceId),
    /// The daemon stops: leave everything.
    Shutdown,
}

/// What an advert says, of the parts that decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    pub source: IpAddr,
    /// The instance's, or the other one where it hears both.
    pub version: Version,
    pub claim: Claim,
    pub interval: Centis,
    /// Whether the advertised addresses are the configured ones.
    pub addresses_match: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send one advert.
    Advertise { id: InstanceId, claim: Claim, due: Due },
    /// Set all addresses of an instance; each is answered with [`Input::Address`].
    Install { id: InstanceId, tenure: Tenure },
    /// Remove all addresses of an instance.
    Release { id: InstanceId },
    /// Send `rounds` gratuitous ARPs (or unsolicited neighbour advertisements) of each address meant.
    Announce { id: InstanceId, addresses: Announced, rounds: u32 },
    /// Adverts equal to the one just handed in say nothing new: `on`, they need not be handed in, their last arrival is
    /// enough ([`Input::Seen`]). Off, all are wanted again. To ignore this is correct, and slow.
    Absorb { id: InstanceId, on: bool },
    /// Log, count, run notify scripts.
    Tell { id: InstanceId, event: Event, effective: vrrp_common::Priority },
    /// The same, of a sync group.
    TellGroup { id: GroupId, event: GroupEvent },
}

/// Since when an advert is due: what its lateness is measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// It answers what just happened.
    Now,
    /// A master's, by its schedule.
    Advert(Instant),
    /// The first of a new master: the old one counted as dead then.
    Takeover(Instant),
}

/// Which addresses an announcement is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// Every address that is set; one that could not be is left out.
    All,
    /// The address of this number, in the same way.
    One(u32),
}

/// Counts an instance's times as master, so that a late answer about an earlier one is known for what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tenure(pub u32);

/// Why a deadline is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    AdvertDue,
    MasterDown,
    AnnounceDue,
    /// keepalived `interface_up_down_delays`: a link has been so for long enough.
    LinkLasts,
    /// keepalived `vrrp_startup_delay` ends.
    Held,
}

/// All instances of one daemon.
#[derive(Clone, Debug)]
pub struct Engine {
    instances: Vec<Instance>,
    groups: Vec<Group>,
    surroundings: Surroundings,
    debounce: Debounce,
    agenda: Agenda,
    /// By interface and by tracker: who depends on it.
    by_interface: Vec<Vec<Party>>,
    by_tracker: Vec<Vec<Party>>,
    /// keepalived `vrrp_startup_delay`: until when nobody takes part.
    held_until: Option<Instant>,
}

/// Who moves as one: an instance of no group, or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Party {
    One(InstanceId),
    Group(GroupId),
}

impl Engine {
    /// An engine whose instances wait to hear of their source addresses, then of their interfaces, then of their checks.
    pub fn new(plan: &Plan, now: Instant) -> Self {
        let (by_interface, by_tracker) = dependents(plan);
        let held_until = (now + plan.startup.delay).max(Instant::from_nanos(0) + plan.startup.after_boot);
        Self {
            instances: (0..plan.instances.len() as u32)
                .map(|id| Instance::new(OfInstance::new(Arc::clone(&plan.instances), InstanceId(id)), now))
                .collect(),
            groups: plan.groups.iter().map(|plan| Group::new(plan.members.clone())).collect(),
            surroundings: Surroundings::new(plan),
            debounce: Debounce::new(plan.delays.clone()),
            agenda: Agenda::new(plan.instances.len()),
            by_interface,
            by_tracker,
            held_until: Some(held_until).filter(|&until| until > now),
        }
    }

    /// Takes one input and appends what to do to `out`, in the order in which to do it.
    pub fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Action>) {
        match input {
            Input::Advert(id, heard) => {
                let before = self.instances[id.index()].state();
                self.with(id, out, |instance, out| instance.hear(now, heard, out));
                self.follow(now, id, before, out);
            }
            Input::Seen(id) => self.with(id, out, |instance, _| instance.seen(now)),
            Input::Deadline => self.expire(now, out),
            Input::Interface { id, up } => {
                let (counted, is) = (self.surroundings.interfaces[id.index()], Verdict::of_link(up));
                if self.debounce.hear(now, id, counted, is) {
                    self.link_counts(now, id, is, out);
                }
            }
            Input::NoInterface(id) => {
                self.debounce.lose(id);
                self.link_counts(now, id, Verdict::Failed, out);
            }
            Input::Source { id, address } => {
                let instance = &mut self.instances[id.index()];
                let before = instance.standing(&self.surroundings);
                instance.set_source(address);
                // Most often at the start: an interface that is yet to come up brings all its instances at once.
                if instance.standing(&self.surroundings) != before {
                    let party = instance.group().map_or(Party::One(id), Party::Group);
                    self.settle(now, party, out);
                }
            }
            Input::Check { id, passed } => {
                if self.surroundings.trackers[id.index()].hear(passed) {
                    self.settle_all(now, |engine| &engine.by_tracker[id.index()], out);
                }
            }
            Input::Value { id, value } => {
                if self.surroundings.trackers[id.index()].read(value) {
                    self.settle_all(now, |engine| &engine.by_tracker[id.index()], out);
                }
            }
            Input::Address { id, tenure, address, installed } => {
                self.with(id, out, |instance, out| instance.address_settled(now, tenure, address, installed, out));
            }
            Input::Announce(id) => self.with(id, out, |instance, out| instance.announce(out)),
            Input::Shutdown => self.stop(now, out),
        }
    }

    /// When [`Input::Deadline`] is next due, and why; `None` while nothing is pending.
    pub fn deadline(&self) -> Option<(Instant, Why)> {
        if let Some(until) = self.held_until {
            return Some((until, Why::Held));
        }
        let link = self.debounce.due().map(|due| (due, Why::LinkLasts));
        let instance = self.agenda.first().and_then(|(_, id)| self.instances[id.index()].deadline());
        [link, instance].into_iter().flatten().min_by_key(|(due, _)| *due)
    }

    /// How long an interface that is this now must stay so until it counts; `None`: it does at once, or already.
    pub fn link_delay(&self, id: InterfaceId, up: bool) -> Option<Duration> {
        self.debounce.delay(id, self.surroundings.interfaces[id.index()], Verdict::of_link(up))
    }

    /// Appends the backups whose wait ends by `until`: those of whom it matters when their master was last seen.
    pub fn waiting(&self, until: Instant, ids: &mut Vec<InstanceId>) {
        self.agenda.by(until, |id| {
            if self.instances[id.index()].state() == StateName::Backup {
                ids.push(id);
            }
        });
    }

    /// Adverts of a lower priority octet than this change nothing for an instance; they may be limited. It changes only
    /// with something that is told.
    pub fn weaker_than(&self, id: InstanceId) -> u8 {
        self.instances[id.index()].weaker_than()
    }

    pub fn snapshot(&self, id: InstanceId) -> Snapshot {
        self.instances[id.index()].snapshot()
    }

    /// The state that the members of a group are in.
    pub fn group_state(&self, id: GroupId) -> StateName {
        self.groups[id.index()].state(&self.instances)
    }

    /// Fires what is due. Each instance moves its deadline past `now` or has none, so this ends.
    fn expire(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.held_until.is_some_and(|until| until <= now) {
            self.held_until = None;
            self.settle_each(now, out);
        }
        loop {
            let next = self.agenda.first().filter(|&(due, _)| due <= now);
            // In the order in which they were due.
            if let Some(id) = self.debounce.take_due(next.map_or(now, |(due, _)| due)) {
                let is = self.surroundings.interfaces[id.index()].opposite();
                self.link_counts(now, id, is, out);
                continue;
            }
            let Some((_, id)) = next else { return };
            let before = self.instances[id.index()].state();
            self.with(id, out, |instance, out| instance.expire(now, out));
            self.follow(now, id, before, out);
        }
    }

    /// An interface is this for those who depend on it.
    fn link_counts(&mut self, now: Instant, id: InterfaceId, is: Verdict, out: &mut Vec<Action>) {
        if std::mem::replace(&mut self.surroundings.interfaces[id.index()], is) != is {
            self.settle_all(now, |engine| &engine.by_interface[id.index()], out);
        }
    }

    /// Lets those who depend on something see that it changed.
    fn settle_all(&mut self, now: Instant, dependents: impl Fn(&Self) -> &[Party], out: &mut Vec<Action>) {
        for index in 0..dependents(self).len() {
            self.settle(now, dependents(self)[index], out);
        }
    }

    /// Lets everybody see what happened while all were held, or what a new plan makes of it.
    fn settle_each(&mut self, now: Instant, out: &mut Vec<Action>) {
        let alone = self.instances.iter().zip(0..).filter(|(instance, _)| instance.group().is_none());
        let alone = alone.map(|(_, id)| Party::One(InstanceId(id)));
        let groups = (0..self.groups.len() as u32).map(|id| Party::Group(GroupId(id)));
        let parties: Vec<_> = alone.chain(groups).collect();
        parties.into_iter().for_each(|party| self.settle(now, party, out));
    }

    fn settle(&mut self, now: Instant, party: Party, out: &mut Vec<Action>) {
        if self.held_until.is_some() {
            return;
        }
        match party {
            Party::One(id) => {
                let standing = self.instances[id.index()].standing(&self.surroundings);
                self.with(id, out, |instance, out| {
                    instance.settle(now, standing, out);
                    // What its group held back, and it has none any more.
                    if instance.ready_at().is_some() {
                        instance.take_over(now, Due::Now, out);
                    }
                });
            }
            Party::Group(id) => self.settle_group(now, id, out),
        }
    }

    fn with(&mut self, id: InstanceId, out: &mut Vec<Action>, work: impl FnOnce(&mut Instance, &mut Out)) {
        let instance = &mut self.instances[id.index()];
        work(instance, &mut Out { id, actions: out });
        self.agenda.set(id, instance.deadline().map(|(due, _)| due));
    }
}

/// By interface and by tracker: who depends on it.
fn dependents(plan: &Plan) -> (Vec<Vec<Party>>, Vec<Vec<Party>>) {
    let mut by_interface = vec![Vec::new(); plan.interfaces as usize];
    let mut by_tracker = vec![Vec::new(); plan.trackers.len()];
    for (index, instance) in plan.instances.iter().enumerate() {
        for watch in &instance.watches {
            let watchers = match watch.subject {
                Subject::Interface(id) => &mut by_interface[id.index()],
                Subject::Tracker(id) => &mut by_tracker[id.index()],
            };
            watchers.push(instance.group.map_or(Party::One(InstanceId(index as u32)), Party::Group));
        }
    }
    for watchers in by_interface.iter_mut().chain(&mut by_tracker) {
        watchers.sort_unstable();
        watchers.dedup();
    }
    (by_interface, by_tracker)
}

/// The actions of one instance, so that it need not know its own id.
pub(crate) struct Out<'a> {
    id: InstanceId,
    actions: &'a mut Vec<Action>,
}

impl Out<'_> {
    fn advertise(&mut self, claim: Claim, due: Due) {
        self.actions.push(Action::Advertise { id: self.id, claim, due });
    }

    fn install(&mut self, tenure: Tenure) {
        self.actions.push(Action::Install { id: self.id, tenure });
    }

    fn release(&mut self) {
        self.actions.push(Action::Release { id: self.id });
    }

    fn announce(&mut self, addresses: Announced, rounds: u32) {
        if rounds > 0 {
            self.actions.push(Action::Announce { id: self.id, addresses, rounds });
        }
    }

    fn absorb(&mut self, on: bool) {
        self.actions.push(Action::Absorb { id: self.id, on });
    }

    fn tell(&mut self, event: Event, effective: vrrp_common::Priority) {
        self.actions.push(Action::Tell { id: self.id, event, effective });
    }
}
