//! What an advert makes of a backup and of a master: RFC 9568 sections 6.4.2 and 6.4.3.

use std::net::IpAddr;
use std::time::Duration;

use vrrp_common::time::skew;
use vrrp_common::{Centis, Claim, Instant, Priority, Version};

use super::{Due, Instance, Patience, State, Wait};
use crate::engine::event::{Event, Seconds};
use crate::engine::snapshot::{Cause, Rival};
use crate::engine::{Heard, Out};

/// A master answers weaker adverts, but not more often than this: a flood of them would make a reflector of it (FSM-R1).
const ANSWER_INTERVAL: Duration = Duration::from_millis(10);
/// When the master that is followed suddenly has an interval of this many times ours, it is not believed: who forges one
/// advert of 40 s in its name could keep all backups from noticing that it dies.
const JUMP: u16 = 10;

impl Instance {
    /// One advert, already judged valid; `now` is when it arrived.
    pub fn hear(&mut self, now: Instant, heard: Heard, out: &mut Out) {
        // FSM-R2: our own address is nobody to yield to, and nobody to wait for.
        if Some(heard.source) == self.source {
            self.stats.self_rcvd += 1;
            if self.stats.self_rcvd == 1 {
                let event = match heard.claim == Claim::Serving(self.effective) {
                    true => Event::HeardTwin,
                    false => Event::HeardItself { source: heard.source },
                };
                out.tell(event, self.effective);
            }
            return;
        }
        if matches!(self.state, State::Init | State::Fault | State::Stopped) {
            return;
        }
        if self.plan.ignores_adverts {
            self.stats.adverts_ignored += 1;
            return;
        }
        if self.is_repetition(now, heard, out) {
            return;
        }
        self.count(heard, out);
        if self.is_overdue(now) {
            self.step_down(now, out);
        }
        match self.state {
            State::Init | State::Fault | State::Stopped => {}
            State::Backup(_) => self.backup_hears(now, heard, out),
            State::Master(_) => self.master_hears(now, heard, out),
        }
    }

    fn backup_hears(&mut self, now: Instant, heard: Heard, out: &mut Out) {
        let (effective, version) = (self.effective, self.plan.version);
        let preempt = self.plan.preempt || effective.is_owner();
        let due = self.deadline();
        let State::Backup(backup) = &mut self.state else { return };
        match heard.claim {
            // FSM-B3. Only ever sooner: repeated, it could hold the election up for ever. And not by one that arrived
            // before the advert last accepted: who served after it has not left.
            Claim::Leaving => {
                let sooner = due.is_some_and(|(due, _)| now + skew(version, effective, backup.interval) < due);
                if backup.wait == Wait::Down && sooner && now >= backup.heard_at {
                    backup.wait = Wait::Skew;
                    backup.heard_at = now;
                    backup.cause = Cause::MasterLeft;
                    out.tell(Event::HeardPriorityZero, effective);
                    self.hear_all(out);
                }
            }
            // FSM-B4. The address does not matter here.
            Claim::Serving(theirs) if !preempt || theirs >= effective => {
                self.follow(now, heard, theirs, out);
                self.end_patience(out);
                let State::Backup(backup) = &mut self.state else { return };
                backup.absorbing = true;
                out.absorb(true);
            }
            // keepalived `preempt_delay`. It may come to be starved, so each advert of it must be heard.
            Claim::Serving(theirs) if self.is_patient(now, out) => {
                self.stats.lower_prio_rcvd += 1;
                self.follow(now, heard, theirs, out);
                self.hear_all(out);
            }
            // FSM-B5.
            Claim::Serving(theirs) => {
                self.stats.lower_prio_rcvd += 1;
                let State::Backup(backup) = &mut self.state else { return };
                let weaker = Rival { address: heard.source, priority: theirs };
                backup.cause = Cause::LowerPriorityMaster;
                if backup.told.replace(weaker) != Some(weaker) {
                    out.tell(Event::HeardLower { source: heard.source, theirs }, effective);
                }
            }
        }
    }

    /// The advert of a master that serves: the wait begins anew.
    fn follow(&mut self, now: Instant, heard: Heard, theirs: Priority, out: &mut Out) {
        let (own, version, effective) = (self.plan.advert_int, self.plan.version, self.effective);
        let State::Backup(backup) = &mut self.state else { return };
        // Of it, and not of any master: where intervals differ, two would be held apart by it for ever. Also when it has said
        // that it leaves: whoever forges the one can forge the other.
        let is_awaited = matches!(backup.wait, Wait::Down | Wait::Skew);
        let is_followed = is_awaited && backup.master.is_some_and(|it| it.address == heard.source);
        let interval = learned(version, own, heard.interval);
        if is_followed && interval > backup.interval && interval.get() > own.get().saturating_mul(JUMP) {
            self.stats.interval_jumps += 1;
            if self.stats.interval_jumps == 1 {
                let (theirs, kept) = (heard.interval, backup.interval);
                out.tell(Event::IntervalJumps { source: heard.source, theirs, kept }, effective);
            }
        } else {
            backup.interval = interval;
        }
        backup.heard_at = backup.heard_at.max(now);
        backup.wait = Wait::Down;
        backup.master = Some(Rival { address: heard.source, priority: theirs });
        backup.version = heard.version;
        backup.cause = Cause::MasterTimeout;
    }

    /// Whether a weaker master is let be a while.
    fn is_patient(&mut self, now: Instant, out: &mut Out) -> bool {
        let (delay, effective) = (self.plan.preempt_delay, self.effective);
        let State::Backup(backup) = &mut self.state else { return false };
        match backup.patience {
            Patience::Unasked => {
                backup.patience = Patience::Until(now + delay);
                out.tell(Event::PreemptDelayStarts { delay: Seconds(delay) }, effective);
                true
            }
            Patience::Until(until) if now < until => true,
            Patience::Until(_) => {
                backup.patience = Patience::Over;
                // Whoever is weaker is told of from here on.
                backup.told = None;
                false
            }
            Patience::Over => false,
        }
    }

    /// A better master is heard: the next weaker one is let be anew.
    fn end_patience(&mut self, out: &mut Out) {
        let (delay, effective) = (self.plan.preempt_delay, self.effective);
        let State::Backup(backup) = &mut self.state else { return };
        if delay > Duration::ZERO && backup.patience != Patience::Unasked {
            backup.patience = Patience::Unasked;
            out.tell(Event::PreemptDelayEnds, effective);
        }
    }

    fn master_hears(&mut self, now: Instant, heard: Heard, out: &mut Out) {
        let effective = self.effective;
        let theirs = match heard.claim {
            // FSM-A3.
            Claim::Leaving => {
                if self.answer(now, out)
                    && let State::Master(master) = &mut self.state
                {
                    master.next_advert_at = self.plan.next_advert_at(now);
                }
                return;
            }
            Claim::Serving(theirs) => theirs,
        };
        let source = heard.source;
        // FSM-A4: priority first, then the address, as unsigned numbers in network order.
        if theirs > effective || (theirs == effective && self.source.is_some_and(|ours| source > ours)) {
            let event = match theirs > effective {
                true => Event::MasterHeardHigher { source, theirs, ours: effective },
                false => Event::MasterHeardEqual { source, theirs },
            };
            out.tell(event, effective);
            let interval = learned(self.plan.version, self.plan.advert_int, heard.interval);
            let rival = Rival { address: source, priority: theirs };
            if self.plan.answers_higher {
                self.advertise(Claim::Serving(effective), Due::Now, out);
            }
            self.release(out);
            self.become_backup(now, interval, Some(rival), Cause::HigherPriorityBackup, out);
            if let State::Backup(backup) = &mut self.state {
                backup.version = heard.version;
            }
            out.absorb(true);
            out.tell(Event::BecameBackup, effective);
            return;
        }
        // FSM-A5.
        self.stats.lower_prio_rcvd += 1;
        if self.plan.answers_lower {
            self.answer(now, out);
        }
        let plan = &self.plan.garp;
        let State::Master(master) = &mut self.state else { return };
        let weaker = Rival { address: source, priority: theirs };
        if master.told.replace(weaker) != Some(weaker) {
            out.tell(Event::MasterHeardLower { source, theirs, ours: effective }, effective);
        }
        master.garp.provoked(now, plan, out);
    }

    /// Asserts that we are master, at most once in [`ANSWER_INTERVAL`]; whether it did.
    fn answer(&mut self, now: Instant, out: &mut Out) -> bool {
        let State::Master(master) = &mut self.state else { return false };
        if master.answered_at.is_some_and(|at| now.since(at) < ANSWER_INTERVAL) {
            self.stats.answers_withheld += 1;
            return false;
        }
        master.answered_at = Some(now);
        self.advertise(Claim::Serving(self.effective), Due::Now, out);
        true
    }

    /// What is counted, and told of, in every state that hears.
    fn count(&mut self, heard: Heard, out: &mut Out) {
        self.stats.advert_rcvd += 1;
        self.stats.pri_zero_rcvd += u64::from(heard.claim == Claim::Leaving);
        let master = match &self.state {
            State::Backup(backup) => backup.master,
            _ => None,
        };
        let is_trusted = self.plan.trusts_master && master.is_some_and(|master| master.address == heard.source);
        if !heard.addresses_match && !is_trusted {
            self.stats.addr_list_err += 1;
            if self.stats.addr_list_err == 1 {
                out.tell(Event::AddressListDiffers { source: heard.source }, self.effective);
            }
        }
        if heard.interval != self.interval_of(heard.version) {
            self.stats.advert_interval_err += 1;
            if self.stats.advert_interval_err == 1 {
                let (theirs, ours) = (heard.interval, self.interval_of(heard.version));
                out.tell(Event::IntervalDiffers { source: heard.source, theirs, ours }, self.effective);
            }
        }
        if heard.claim == Claim::Serving(Priority::OWNER) {
            self.count_owner(heard.source, master, out);
        }
    }

    /// RX-15: at most one router owns the addresses.
    fn count_owner(&mut self, source: IpAddr, master: Option<Rival>, out: &mut Out) {
        let conflict = self.effective.is_owner();
        if conflict || master.is_some_and(|master| master.priority.is_owner() && master.address != source) {
            let count = if conflict { &mut self.stats.owner_conflicts } else { &mut self.stats.several_owners };
            *count += 1;
            if *count == 1 {
                out.tell(Event::OtherOwner { source }, self.effective);
            }
        }
    }
}

/// TM-03: v3 takes over the master's interval; in v2 an advert with another one was refused before.
const fn learned(version: Version, own: Centis, theirs: Centis) -> Centis {
    match version {
        Version::V2 => own,
        Version::V3 => theirs,
    }
}
