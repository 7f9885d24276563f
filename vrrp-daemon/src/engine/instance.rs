//! One virtual router: the state machine of RFC 9568 section 6.4, with keepalived's FAULT.
//!
//! A state owns its timers, so a master without an advert timer cannot be written. Rules are cited by the ids of the
//! conformance table (FSM-..).

mod hearing;
mod versions;

use std::net::IpAddr;
use std::time::Duration;

use vrrp_common::time::{down, skew};
use vrrp_common::{Centis, Claim, Instant, Priority, Version};

use super::event::{Event, Seconds};
use super::garp::Garp;
use super::plan::{GroupId, InstancePlan, OfInstance, Wanted};
use super::snapshot::{Cause, Rival, Snapshot, StateName};
use super::stats::Stats;
use super::tracking::{Fault, Standing, Surroundings};
use super::{Announced, Due, Out, Tenure, Why};
use versions::Speaker;

#[derive(Clone, Debug)]
pub struct Instance {
    pub(super) plan: OfInstance,
    source: Option<IpAddr>,
    pub(super) effective: Priority,
    pub(super) state: State,
    since: Instant,
    cause: Cause,
    pub(super) tenure: Tenure,
    stats: Stats,
    /// Where both versions are heard: who speaks version 3.
    pub(super) speakers: Vec<Speaker>,
}

#[derive(Clone, Debug)]
pub(super) enum State {
    Init,
    Fault,
    Stopped,
    Backup(Backup),
    Master(Master),
}

#[derive(Clone, Debug)]
pub(super) struct Backup {
    /// When the wait began: the last accepted advert, or the start.
    heard_at: Instant,
    wait: Wait,
    /// Active_Adver_Interval: the master's, as it was last learned (v3).
    pub(super) interval: Centis,
    pub(super) master: Option<Rival>,
    /// What the last accepted advert was of.
    version: Version,
    /// The weaker master last told of, so that each is told of once.
    told: Option<Rival>,
    /// Adverts equal to the last one are not handed in, only their time is.
    absorbing: bool,
    pub(super) patience: Patience,
    cause: Cause,
}

/// keepalived `preempt_delay`: how long a weaker master is let be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// None was heard yet.
    Unasked,
    /// It is followed like any other.
    Until(Instant),
    /// Its time is over, or there is no delay.
    Over,
}

/// What a backup waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// The master's next adverts: Active_Down_Interval.
    Down,
    /// Nobody: the master left, only the order of election is kept.
    Skew,
    /// Nobody any more since then, but the other members of its sync group.
    Over(Instant),
}

#[derive(Clone, Debug)]
pub(super) struct Master {
    pub(super) next_advert_at: Instant,
    answered_at: Option<Instant>,
    told: Option<Rival>,
    pub(super) garp: Garp,
}

impl Instance {
    pub fn new(plan: OfInstance, now: Instant) -> Self {
        Self {
            effective: plan.priority,
            source: None,
            state: State::Init,
            since: now,
            cause: Cause::None,
            tenure: Tenure::default(),
            stats: Stats::default(),
            speakers: Vec::new(),
            plan,
        }
    }

    pub fn set_source(&mut self, address: Option<IpAddr>) {
        self.source = address;
    }

    pub fn group(&self) -> Option<GroupId> {
        self.plan.group
    }

    pub const fn state(&self) -> StateName {
        match self.state {
            State::Init => StateName::Init,
            State::Fault => StateName::Fault,
            State::Stopped => StateName::Stop,
            State::Backup(_) => StateName::Backup,
            State::Master(_) => StateName::Master,
        }
    }

    /// Since when its wait is over, and only its group keeps it from serving.
    pub const fn ready_at(&self) -> Option<Instant> {
        match self.state {
            State::Backup(Backup { wait: Wait::Over(at), .. }) => Some(at),
            _ => None,
        }
    }

    pub fn standing(&self, surroundings: &Surroundings) -> Standing {
        surroundings.standing(&self.plan, self.source.is_some())
    }

    /// When time alone changes something, and what.
    pub fn deadline(&self) -> Option<(Instant, Why)> {
        let advert = self.advert_due()?;
        match &self.state {
            State::Master(master) => match master.garp.due() {
                Some(at) if at < advert.0 => Some((at, Why::AnnounceDue)),
                _ => Some(advert),
            },
            _ => Some(advert),
        }
    }

    /// When the next advert is due: a master's own, or that of a backup that takes over.
    fn advert_due(&self) -> Option<(Instant, Why)> {
        match &self.state {
            State::Init | State::Fault | State::Stopped => None,
            State::Backup(backup) => Some((self.down_at(backup)?, Why::MasterDown)),
            State::Master(master) => Some((master.next_advert_at, Why::AdvertDue)),
        }
    }

    /// The surroundings changed: take part, leave, or weigh differently.
    pub fn settle(&mut self, now: Instant, standing: Standing, out: &mut Out) {
        match (&self.state, standing) {
            (State::Stopped, _) | (State::Fault, Standing::Faulty(_)) | (_, Standing::Waiting) => {}
            (_, Standing::Faulty(fault)) => self.fail(now, fault, out),
            (State::Init | State::Fault, Standing::Ready(priority)) => self.start(now, priority, self.is_owner(), out),
            (State::Backup(_) | State::Master(_), Standing::Ready(priority)) => {
                if priority != self.effective {
                    // What was good enough to follow may be too weak now: it must be heard again.
                    self.hear_all(out);
                    let event = Event::PriorityChanged { from: self.effective, to: priority };
                    self.effective = priority;
                    out.tell(event, self.effective);
                }
            }
        }
    }

    /// Whether it serves at once, if it were for it alone. keepalived's `state MASTER` without priority 255 waits like any
    /// other.
    pub fn is_owner(&self) -> bool {
        self.plan.priority.is_owner() && self.plan.wanted == Wanted::Master
    }

    /// FSM-I1, FSM-I2.
    pub fn start(&mut self, now: Instant, priority: Priority, serves: bool, out: &mut Out) {
        self.effective = priority;
        let (event, cause) = match self.state {
            State::Fault => (Event::BecameBackup, Cause::FaultCleared),
            _ => (Event::Started, Cause::Startup),
        };
        if serves {
            return self.become_master(now, Due::Now, Cause::OwnerPreempt, out);
        }
        self.become_backup(now, self.plan.advert_int, None, cause, out);
        out.tell(event, self.effective);
    }

    /// Adverts of a lower priority octet than this change nothing here, and need not all be heard.
    pub fn weaker_than(&self) -> u8 {
        match &self.state {
            State::Init | State::Fault | State::Stopped => u8::MAX,
            _ if self.plan.ignores_adverts => u8::MAX,
            // Whoever serves is followed.
            State::Backup(_) if !self.plan.preempt && !self.effective.is_owner() => 0,
            State::Backup(backup) if backup.patience != Patience::Over => 0,
            State::Backup(_) | State::Master(_) => self.effective.get(),
        }
    }

    /// The master's advert, unchanged, was last seen at `at` and not handed in.
    pub fn seen(&mut self, at: Instant) {
        if let State::Backup(backup) = &mut self.state
            && let Some(master) = backup.master
        {
            if backup.version == Version::V3 {
                versions::speaks(&mut self.speakers, master.address, at);
            }
            if at > backup.heard_at {
                backup.heard_at = at;
                backup.wait = Wait::Down;
                backup.cause = Cause::MasterTimeout;
            }
        }
    }

    /// From now on every advert must be handed in.
    pub(super) fn hear_all(&mut self, out: &mut Out) {
        if let State::Backup(backup) = &mut self.state
            && std::mem::take(&mut backup.absorbing)
        {
            out.absorb(false);
        }
    }

    /// Time passed. Everything received before was heard.
    pub fn expire(&mut self, now: Instant, out: &mut Out) {
        if self.is_overdue(now) {
            return self.step_down(now, out);
        }
        let due = self.advert_due().map(|(at, _)| at);
        match (&mut self.state, due) {
            // FSM-B2. A member of a group is only ready now: all of them serve, or none.
            (State::Backup(backup), Some(due)) => {
                let cause = backup.cause;
                backup.wait = Wait::Over(due);
                out.tell(Event::MasterTimedOut, self.effective);
                match self.plan.group {
                    None => self.become_master(now, Due::Takeover(due), cause, out),
                    Some(_) => self.hear_all(out),
                }
            }
            // FSM-A2, on an absolute schedule: lateness does not add up.
            (State::Master(master), _) => {
                master.garp.expire(now, &self.plan.garp, out);
                let due = master.next_advert_at;
                if due <= now {
                    let interval = self.plan.advert_int.duration();
                    let missed = (now.since(due).as_nanos() / interval.as_nanos()) as u32;
                    master.next_advert_at = self.plan.next_advert_at(due + interval * missed);
                    self.stats.advert_missed += u64::from(missed);
                    self.advertise(Claim::Serving(self.effective), Due::Advert(due), out);
                }
            }
            _ => {}
        }
    }

    /// An address of an earlier [`Out::install`] is set, or cannot be.
    pub fn address_settled(&mut self, now: Instant, tenure: Tenure, address: u32, installed: bool, out: &mut Out) {
        if tenure != self.tenure {
            return;
        }
        let plan = &self.plan.garp;
        let State::Master(master) = &mut self.state else { return };
        master.garp.settled(now, plan, address, installed, out);
        if !installed {
            out.tell(Event::AddressFailed { address }, self.effective);
        }
    }

    /// A round that was asked for; nobody else's addresses are announced.
    pub fn announce(&self, out: &mut Out) {
        if matches!(self.state, State::Master(_)) {
            out.announce(Announced::All, 1);
        }
    }

    /// keepalived `timer_expired_backup`: whether our advert is so late that a router of that priority, which heard the last
    /// one, has taken over.
    fn is_overdue(&self, now: Instant) -> bool {
        let (State::Master(master), Some(rival)) = (&self.state, self.plan.late_rival) else { return false };
        let InstancePlan { version, advert_int, down_adverts, .. } = *self.plan;
        let sent_at = (master.next_advert_at - advert_int.duration()).max(self.since);
        now >= sent_at + down(version, rival, advert_int, down_adverts)
    }

    /// A master that came too late lets another serve. It says nothing: who took over would have to answer.
    fn step_down(&mut self, now: Instant, out: &mut Out) {
        if let State::Master(master) = &self.state {
            let late = Seconds(now.since(master.next_advert_at));
            out.tell(Event::CameTooLate { late }, self.effective);
            self.release(out);
            self.become_backup(now, self.plan.advert_int, None, Cause::CameTooLate, out);
            out.tell(Event::BecameBackup, self.effective);
        }
    }

    /// Its group serves, and it with it.
    pub fn take_over(&mut self, now: Instant, due: Due, out: &mut Out) {
        if let State::Backup(backup) = &self.state {
            let cause = backup.cause;
            self.become_master(now, due, cause, out);
        }
    }

    /// Its group serves no longer. Of this virtual router no other master was heard, so it says that it leaves.
    pub fn step_back(&mut self, now: Instant, out: &mut Out) {
        if matches!(self.state, State::Master(_)) {
            self.leave(out);
            self.become_backup(now, self.plan.advert_int, None, Cause::SyncGroup, out);
            out.tell(Event::BecameBackup, self.effective);
        }
    }

    /// FSM-A1, FSM-B1.
    pub fn stop(&mut self, now: Instant, out: &mut Out) {
        self.end(now, Event::Stopped, out);
    }

    /// Leaves for good.
    pub fn end(&mut self, now: Instant, event: Event, out: &mut Out) {
        if matches!(self.state, State::Stopped) {
            return;
        }
        self.leave(out);
        self.enter(now, State::Stopped, Cause::Shutdown, out);
        out.tell(event, self.effective);
    }

    /// FSM-P2: a master says that it leaves, if it still can.
    fn fail(&mut self, now: Instant, fault: Fault, out: &mut Out) {
        let (event, cause) = match fault {
            Fault::InterfaceDown => (Some(Event::InterfaceDown), Cause::InterfaceDown),
            Fault::NoAddress => (Some(Event::NoAddress), Cause::NoPrimaryIpAddress),
            Fault::NoPeer => (Some(Event::NoPeer), Cause::NoPeer),
            Fault::CheckFailed => (Some(Event::CheckFailed), Cause::CheckFailed),
            Fault::Member => (None, Cause::SyncGroup),
        };
        if let Some(event) = event {
            out.tell(event, self.effective);
        }
        self.leave(out);
        self.enter(now, State::Fault, cause, out);
        out.tell(Event::BecameFault, self.effective);
    }

    /// A master resigns; for others there is nothing to leave.
    fn leave(&mut self, out: &mut Out) {
        if matches!(self.state, State::Master(_)) {
            self.advertise(Claim::Leaving, Due::Now, out);
            out.tell(Event::SentPriorityZero, self.effective);
            self.release(out);
        }
    }

    /// The order is advert, addresses, announcements: a switch must not learn of an address that is not there.
    fn become_master(&mut self, now: Instant, due: Due, cause: Cause, out: &mut Out) {
        self.advertise(Claim::Serving(self.effective), due, out);
        self.tenure.0 = self.tenure.0.wrapping_add(1);
        out.install(self.tenure);
        let master = Master {
            next_advert_at: self.plan.next_advert_at(now),
            answered_at: Some(now),
            told: None,
            garp: Garp::new(self.plan.addresses),
        };
        self.enter(now, State::Master(master), cause, out);
        self.stats.become_master += 1;
        out.tell(Event::BecameMaster, self.effective);
        out.tell(Event::InstallsAddresses, self.effective);
    }

    fn become_backup(&mut self, now: Instant, interval: Centis, master: Option<Rival>, cause: Cause, out: &mut Out) {
        let backup = Backup {
            heard_at: now,
            wait: Wait::Down,
            interval,
            master,
            version: self.plan.version,
            told: None,
            absorbing: master.is_some(),
            patience: if self.plan.preempt_delay > Duration::ZERO { Patience::Unasked } else { Patience::Over },
            cause: Cause::MasterTimeout,
        };
        self.enter(now, State::Backup(backup), cause, out);
    }

    fn release(&mut self, out: &mut Out) {
        self.stats.release_master += 1;
        out.release();
        out.tell(Event::ReleasesAddresses, self.effective);
    }

    fn advertise(&mut self, claim: Claim, due: Due, out: &mut Out) {
        self.stats.advert_sent += 1;
        self.stats.pri_zero_sent += u64::from(claim == Claim::Leaving);
        out.advertise(claim, due);
    }

    fn enter(&mut self, now: Instant, state: State, cause: Cause, out: &mut Out) {
        self.hear_all(out);
        self.state = state;
        self.since = now;
        self.cause = cause;
    }

    /// When the wait ends; `None` when it has.
    fn down_at(&self, backup: &Backup) -> Option<Instant> {
        let (version, adverts) = (self.plan.version, self.plan.down_adverts);
        let wait = match backup.wait {
            Wait::Down => down(version, self.effective, backup.interval, adverts),
            Wait::Skew => skew(version, self.effective, backup.interval),
            Wait::Over(_) => return None,
        };
        Some(backup.heard_at + wait)
    }

    pub fn snapshot(&self) -> Snapshot {
        let master = match &self.state {
            State::Init | State::Fault | State::Stopped => None,
            State::Backup(backup) => backup.master,
            State::Master(_) => self.source.map(|address| Rival { address, priority: self.effective }),
        };
        let interval = match &self.state {
            State::Backup(backup) => backup.interval,
            _ => self.plan.advert_int,
        };
        let Self { plan, effective, since, cause, stats, .. } = self;
        Snapshot {
            state: self.state(),
            since: *since,
            cause: *cause,
            base: plan.priority,
            effective: *effective,
            master,
            interval,
            stats: *stats,
        }
    }
}
