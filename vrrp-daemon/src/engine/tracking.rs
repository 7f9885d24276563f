//! How checks and interfaces bear on an instance: rise and fall, weights, faults, and the effective priority.
//!
//! Standing is a pure function of what is so now; nothing is added to and later taken away again.

use vrrp_common::Priority;

use super::plan::{InstancePlan, InterfaceId, Plan, Subject, TrackerPlan, Weight};

/// Where a check or an interface stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was heard yet.
    Unknown,
    Passed,
    Failed,
    /// A number that bears on the priority, times its weight.
    Reads(i16),
}

impl Verdict {
    /// Of an interface.
    pub const fn of_link(up: bool) -> Self {
        if up { Self::Passed } else { Self::Failed }
    }

    /// What an interface is that is not what counts.
    pub const fn opposite(self) -> Self {
        Self::of_link(!matches!(self, Self::Passed))
    }
}

/// One check: its verdict, and the outcomes in a row that speak against it.
#[derive(Clone, Debug)]
pub struct Tracker {
    plan: TrackerPlan,
    verdict: Verdict,
    against: u32,
}

impl Tracker {
    pub fn new(plan: TrackerPlan) -> Self {
        let verdict = if plan.starts_failed { Verdict::Failed } else { Verdict::Unknown };
        Self { plan, verdict, against: 0 }
    }

    /// Counts by another plan from now on; what was found stays found.
    pub const fn replan(&mut self, plan: TrackerPlan) {
        self.plan = plan;
    }

    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Takes one outcome; whether the verdict changed. The first outcome of all counts at once.
    pub fn hear(&mut self, passed: bool) -> bool {
        let (heard, needed) = match passed {
            true => (Verdict::Passed, self.plan.rise),
            false => (Verdict::Failed, self.plan.fall),
        };
        if heard == self.verdict {
            self.against = 0;
            return false;
        }
        self.against += 1;
        if self.verdict != Verdict::Unknown && self.against < needed {
            return false;
        }
        self.verdict = heard;
        self.against = 0;
        true
    }

    /// Takes a number in place of an outcome; whether it is another one than before.
    pub fn read(&mut self, value: i16) -> bool {
        std::mem::replace(&mut self.verdict, Verdict::Reads(value)) != Verdict::Reads(value)
    }
}

/// Whether an instance can take part in the protocol, and how strongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Something that could be a fault was not heard of yet.
    Waiting,
    Faulty(Fault),
    Ready(Priority),
}

/// Why an instance cannot take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    InterfaceDown,
    NoAddress,
    NoPeer,
    CheckFailed,
    /// Another member of its sync group is at fault.
    Member,
}

/// The present state of everything that instances depend on.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// By `InterfaceId`: up and running, or not.
    pub interfaces: Vec<Verdict>,
    /// By `TrackerId`.
    pub trackers: Vec<Tracker>,
}

impl Surroundings {
    pub fn new(plan: &Plan) -> Self {
        Self {
            interfaces: vec![Verdict::Unknown; plan.interfaces as usize],
            trackers: plan.trackers.iter().map(|&plan| Tracker::new(plan)).collect(),
        }
    }

    /// An interface is from now on what it was not.
    pub fn turn(&mut self, id: InterfaceId) {
        let verdict = &mut self.interfaces[id.index()];
        *verdict = verdict.opposite();
    }

    /// How an instance stands.
    pub fn standing(&self, plan: &InstancePlan, has_source: bool) -> Standing {
        let mut waiting = false;
        let mut priority = i32::from(plan.priority.get());
        for watch in &plan.watches {
            let (verdict, fault) = match watch.subject {
                Subject::Interface(id) => (self.interfaces[id.index()], Fault::InterfaceDown),
                Subject::Tracker(id) => (self.trackers[id.index()].verdict(), Fault::CheckFailed),
            };
            match bearing(watch.weight, verdict) {
                Bearing::Fault => return Standing::Faulty(fault),
                Bearing::Wait => waiting = true,
                Bearing::Add(points) => priority += i32::from(points),
            }
        }
        if waiting {
            return Standing::Waiting;
        }
        if plan.lacks_peers {
            return Standing::Faulty(Fault::NoPeer);
        }
        if !has_source {
            return Standing::Faulty(Fault::NoAddress);
        }
        if plan.priority.is_owner() {
            return Standing::Ready(Priority::OWNER);
        }
        let clamped = priority.clamp(1, 254) as u8;
        Standing::Ready(Priority::new(clamped).unwrap_or(plan.priority))
    }
}

/// What one watched thing does to its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearing {
    Add(i16),
    Fault,
    Wait,
}

pub fn bearing(weight: Weight, verdict: Verdict) -> Bearing {
    let passed = match verdict {
        // A weighted check adds nothing until it was heard of; one that could be a fault is waited for.
        Verdict::Unknown if weight.value == 0 => return Bearing::Wait,
        Verdict::Unknown => return Bearing::Add(0),
        Verdict::Passed => true,
        Verdict::Failed => false,
        Verdict::Reads(value) if weight.value == 0 => value == 0,
        Verdict::Reads(value) => return weighed(weight, value),
    };
    let sign = if weight.reverse { -1 } else { 1 };
    match (weight.value, passed) {
        (0, passed) if passed == weight.reverse => Bearing::Fault,
        (value, true) => Bearing::Add(sign * value.max(0)),
        (value, false) => Bearing::Add(sign * value.min(0)),
    }
}

/// keepalived `track_file`: what takes away all that a priority can be is a fault.
fn weighed(weight: Weight, value: i16) -> Bearing {
    let sign = if weight.reverse { -1 } else { 1 };
    match sign * i32::from(weight.value) * i32::from(value) {
        ..=-254 => Bearing::Fault,
        points => Bearing::Add(points.min(i32::from(i16::MAX)) as i16),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(rise: u32, fall: u32, starts_failed: bool, outcomes: &str) -> Vec<Verdict> {
        let mut tracker = Tracker::new(TrackerPlan { rise, fall, starts_failed });
        outcomes
            .chars()
            .map(|outcome| {
                let before = tracker.verdict();
                let changed = tracker.hear(outcome == '+');
                assert_eq!(changed, before != tracker.verdict());
                tracker.verdict()
            })
            .collect()
    }

    #[test]
    fn rise_and_fall() {
        use Verdict::{Failed as F, Passed as P};
        assert_eq!(heard(3, 2, false, "+-+--+++"), [P, P, P, P, F, F, F, P]);
        assert_eq!(heard(3, 2, false, "-"), [F], "one failure counts at once at the start");
        assert_eq!(heard(2, 1, true, "+-++"), [F, F, F, P], "init_fail has to rise");
    }

    #[test]
    fn weights() {
        let add = |value, reverse, verdict| match bearing(Weight { value, reverse }, verdict) {
            Bearing::Add(points) => points,
            Bearing::Fault => 999,
            Bearing::Wait => 888,
        };
        use Verdict::{Failed, Passed, Unknown};
        assert_eq!([Passed, Failed, Unknown].map(|v| add(-50, false, v)), [0, -50, 0]);
        assert_eq!([Passed, Failed, Unknown].map(|v| add(20, false, v)), [20, 0, 0]);
        assert_eq!([Passed, Failed, Unknown].map(|v| add(0, false, v)), [0, 999, 888]);
        assert_eq!([Passed, Failed, Unknown].map(|v| add(-50, true, v)), [0, 50, 0]);
        assert_eq!([Passed, Failed, Unknown].map(|v| add(20, true, v)), [-20, 0, 0]);
        assert_eq!([Passed, Failed].map(|v| add(0, true, v)), [999, 0]);
    }

    #[test]
    fn numbers_are_weighed() {
        let bearing = |value, reverse, read| match bearing(Weight { value, reverse }, Verdict::Reads(read)) {
            Bearing::Add(points) => Some(points),
            Bearing::Fault => None,
            Bearing::Wait => panic!("it was read"),
        };
        assert_eq!([5, 0, -253, -254].map(|read| bearing(1, false, read)), [Some(5), Some(0), Some(-253), None]);
        assert_eq!([100, -126, -127].map(|read| bearing(2, false, read)), [Some(200), Some(-252), None]);
        assert_eq!([10, 254].map(|read| bearing(1, true, read)), [Some(-10), None]);
        assert_eq!([0, 1, -1].map(|read| bearing(0, false, read)), [Some(0), None, None]);
        assert_eq!([0, 1].map(|read| bearing(0, true, read)), [None, Some(0)]);
        assert_eq!(bearing(-254, false, -254), Some(32767), "more than any priority is");
    }
}
