//! Sync groups: keepalived's `vrrp_sync_group`, as observed of it, with its order of telling.

use std::sync::Arc;

use super::*;
use crate::engine::event::GroupEvent;
use crate::engine::plan::{GroupId, GroupPlan};
use crate::engine::snapshot::Cause;

const GROUP: GroupId = GroupId(0);

/// An engine whose first instances are one group; each has an interface and an address of its own.
struct Group {
    engine: Engine,
    members: u32,
}

impl Group {
    /// All interfaces go up at 10 s.
    fn up(members: Vec<InstancePlan>) -> Self {
        let mut group = Self::new(members, Vec::new());
        group.boot(10 * S);
        group
    }

    fn new(members: Vec<InstancePlan>, trackers: Vec<TrackerPlan>) -> Self {
        let count = members.len() as u32;
        let instances = (0..).map(InterfaceId).zip(members).map(|(interface, member)| {
            let mut watches = member.watches.clone();
            watches[0] = Watch { subject: Subject::Interface(interface), weight: Weight::default() };
            InstancePlan { interface, watches, group: Some(GROUP), ..member }
        });
        let groups = vec![GroupPlan { members: (0..count).map(InstanceId).collect() }];
        let plan =
            Plan { interfaces: count, trackers, instances: Arc::new(instances.collect()), groups, ..Plan::default() };
        Self { engine: Engine::new(&plan, Instant::from_nanos(0)), members: count }
    }

    /// A pair of priority 100 that serves since 13.609375 s.
    fn master() -> Self {
        let mut group = Self::up(vec![instance(), instance()]);
        group.on(14 * S, Input::Deadline);
        assert_eq!(group.state(), StateName::Master);
        group
    }

    fn boot(&mut self, at: u64) -> String {
        let mut words = Vec::new();
        for member in 0..self.members {
            words.push(self.on(at, Input::Source { id: InstanceId(member), address: Some(OURS) }));
        }
        for member in 0..self.members {
            words.push(self.on(at, Input::Interface { id: InterfaceId(member), up: true }));
        }
        words.retain(|words| !words.is_empty());
        words.join(", ")
    }

    /// The actions in words, with states told: `1 install 1`, `1 MASTER`, `group MASTER`.
    fn on(&mut self, at: u64, input: Input) -> String {
        let mut actions = Vec::new();
        self.engine.handle(Instant::from_nanos(at), input, &mut actions);
        let words = actions.into_iter().filter_map(|action| match action {
            Action::Advertise { id, claim, .. } => Some(format!("{} advert {}", id.0, claim.octet())),
            Action::Install { id, tenure } => Some(format!("{} install {}", id.0, tenure.0)),
            Action::Release { id } => Some(format!("{} release", id.0)),
            Action::Announce { id, .. } => Some(format!("{} announce", id.0)),
            Action::Tell { id, event: Event::MasterTimedOut, .. } => Some(format!("{} timeout", id.0)),
            Action::Tell { id, event: Event::BecameMaster, .. } => Some(format!("{} MASTER", id.0)),
            Action::Tell { id, event: Event::BecameBackup | Event::Started, .. } => Some(format!("{} BACKUP", id.0)),
            Action::Tell { id, event: Event::BecameFault, .. } => Some(format!("{} FAULT", id.0)),
            Action::Tell { id, event: Event::Stopped, .. } => Some(format!("{} STOP", id.0)),
            Action::TellGroup { id: GROUP, event: event @ GroupEvent::Syncs(_) } => Some(event.to_string()),
            Action::TellGroup { id: GROUP, event: GroupEvent::Entered(state) } => {
                Some(format!("group {}", state.label()))
            }
            Action::TellGroup { .. } => panic!("a group that is not there"),
            Action::Tell { .. } | Action::Absorb { .. } => None,
        });
        words.collect::<Vec<_>>().join(", ")
    }

    fn hears(&mut self, at: u64, member: u32, source: IpAddr, octet: u8) -> String {
        let heard = Heard { source, claim: Claim::from_octet(octet), interval: centis(100), addresses_match: true };
        self.on(at, Input::Advert(InstanceId(member), heard))
    }

    /// That of all members.
    fn state(&self) -> StateName {
        let states: Vec<_> = (0..self.members).map(|id| self.engine.snapshot(InstanceId(id)).state).collect();
        assert!(states.iter().all(|&state| state == self.engine.group_state(GROUP)), "{states:?}");
        states[0]
    }

    fn due(&self) -> u64 {
        self.engine.deadline().map_or(NEVER, |(due, _)| due.as_nanos())
    }

    fn cause(&self, member: u32) -> Cause {
        self.engine.snapshot(InstanceId(member)).cause
    }
}

fn of(octet: u8) -> InstancePlan {
    InstancePlan { priority: priority(octet), ..instance() }
}

/// The wait of one ends sooner: it is told, and nothing more until the wait of the last ends. Then all serve, at once.
#[test]
fn all_serve_when_the_last_could() {
    let mut group = Group::up(vec![of(200), of(100), of(150)]);
    assert_eq!(group.due(), 13_218_750_000);
    assert_eq!(group.on(13_218_750_000, Input::Deadline), "0 timeout");
    assert_eq!(group.due(), 13_414_062_500);
    assert_eq!(group.on(13_414_062_500, Input::Deadline), "2 timeout");
    assert_eq!(group.due(), 13_609_375_000);
    assert_eq!(
        group.on(13_609_375_000, Input::Deadline),
        "1 timeout, 1 advert 100, 1 install 1, 1 MASTER, Syncing instances to MASTER state, \
         0 advert 200, 0 install 1, 0 MASTER, 2 advert 150, 2 install 1, 2 MASTER, group MASTER"
    );
    assert_eq!(group.state(), StateName::Master);
    assert_eq!([0, 1, 2].map(|member| group.cause(member)), [Cause::MasterTimeout; 3]);
}

/// One that hears a better master holds all back, however long; as in keepalived.
#[test]
fn one_that_follows_holds_all_back() {
    let mut group = Group::up(vec![instance(), instance()]);
    for second in 11..60 {
        group.hears(second * S, 1, ABOVE, 200);
        group.on(second * S, Input::Deadline);
        assert_eq!(group.state(), StateName::Backup);
    }
    // The master of both leaves: the first waits no longer, the second its skew.
    group.hears(60 * S, 1, ABOVE, 0);
    assert_eq!(group.due(), 60_609_375_000);
    group.on(60_609_375_000, Input::Deadline);
    assert_eq!(group.state(), StateName::Master);
}

/// A wait that was over begins anew with a better master's advert; a weaker one's changes nothing.
#[test]
fn a_wait_that_was_over_begins_anew() {
    let mut group = Group::up(vec![instance(), instance()]);
    group.hears(13 * S, 1, ABOVE, 200);
    assert_eq!(group.on(14 * S, Input::Deadline), "0 timeout");
    assert_eq!(group.hears(14_100 * MS, 0, ABOVE, 50), "");
    assert_eq!(group.hears(14_200 * MS, 0, ABOVE, 0), "", "nobody is waited for");
    assert_eq!(group.due(), 16_609_375_000);
    group.hears(14_500 * MS, 0, ABOVE, 200);
    assert_eq!(group.on(16_609_375_000, Input::Deadline), "1 timeout");
    assert_eq!(group.due(), 18_109_375_000);
    group.on(18_109_375_000, Input::Deadline);
    assert_eq!(group.state(), StateName::Master);
}

/// A member that must yield takes the others with it. They heard of no other master: theirs need not wait for long.
#[test]
fn one_that_yields_takes_all_with_it() {
    let mut group = Group::master();
    assert_eq!(
        group.hears(14_500 * MS, 1, ABOVE, 200),
        "1 release, 1 BACKUP, Syncing instances to BACKUP state, 0 advert 0, 0 release, 0 BACKUP, group BACKUP"
    );
    assert_eq!(group.state(), StateName::Backup);
    assert_eq!([group.cause(0), group.cause(1)], [Cause::SyncGroup, Cause::HigherPriorityBackup]);
    assert_eq!(group.due(), 18_109_375_000, "a whole wait for both");
    assert_eq!(group.hears(14_600 * MS, 0, ABOVE, 200), "", "nothing is left to yield");
}

/// Priority 0 and weaker adverts are each member's own affair.
#[test]
fn a_master_answers_for_itself() {
    let mut group = Group::master();
    assert_eq!(group.hears(14_500 * MS, 0, BELOW, 50), "0 advert 100");
    assert_eq!(group.hears(14_500 * MS, 1, BELOW, 0), "1 advert 100");
    assert_eq!(group.state(), StateName::Master);
}

/// A fault of one is a fault of all, and of each kind; the others say what they follow.
#[test]
fn a_fault_of_one_is_a_fault_of_all() {
    let mut group = Group::master();
    assert_eq!(
        group.on(14_500 * MS, Input::Interface { id: InterfaceId(1), up: false }),
        "1 advert 0, 1 release, 1 FAULT, Syncing instances to FAULT state, 0 advert 0, 0 release, 0 FAULT, group FAULT"
    );
    assert_eq!((group.state(), group.due()), (StateName::Fault, NEVER));
    assert_eq!([group.cause(0), group.cause(1)], [Cause::SyncGroup, Cause::InterfaceDown]);
    assert_eq!(group.on(15 * S, Input::Source { id: InstanceId(0), address: None }), "", "one more fault");
    assert_eq!(group.on(16 * S, Input::Interface { id: InterfaceId(1), up: true }), "", "and one less");
    assert_eq!(
        group.on(17 * S, Input::Source { id: InstanceId(0), address: Some(OURS) }),
        "0 BACKUP, Syncing instances to BACKUP state, 1 BACKUP, group BACKUP"
    );
    assert_eq!(group.due(), 20_609_375_000);
}

/// What the group tracks is tracked by all; the group waits for the first outcome.
#[test]
fn what_the_group_tracks() {
    for (weight, outcome, state, effective) in
        [(0, false, StateName::Fault, 100), (-20, false, StateName::Backup, 80), (-20, true, StateName::Backup, 100)]
    {
        let mut watches = instance().watches;
        watches.push(watch(weight, false));
        let member = InstancePlan { watches, ..instance() };
        let once = TrackerPlan { rise: 1, fall: 1, starts_failed: false };
        let mut group = Group::new(vec![member.clone(), member], vec![once]);
        group.boot(10 * S);
        assert_eq!(group.state() == StateName::Init, weight == 0);
        group.on(11 * S, Input::Check { id: TRACKER, passed: outcome });
        assert_eq!(group.state(), state, "{weight} {outcome}");
        for member in 0..2 {
            assert_eq!(group.engine.snapshot(InstanceId(member)).effective.get(), effective, "{weight} {outcome}");
        }
    }
}

/// One member that is not up yet keeps all in INIT, and nothing is told.
#[test]
fn the_last_interface_starts_all() {
    let mut group = Group::new(vec![instance(), instance()], Vec::new());
    for id in 0..2 {
        assert_eq!(group.on(9 * S, Input::Source { id: InstanceId(id), address: Some(OURS) }), "");
    }
    assert_eq!(group.on(10 * S, Input::Interface { id: InterfaceId(0), up: true }), "");
    assert_eq!(group.state(), StateName::Init);
    assert_eq!(group.on(12 * S, Input::Interface { id: InterfaceId(1), up: true }), "0 BACKUP, 1 BACKUP, group BACKUP");
    assert_eq!(group.due(), 15_609_375_000);
}

/// FSM-I1 of a group: at once only if every member is an owner with `state MASTER`.
#[test]
fn owners_serve_at_once_together_or_wait() {
    let owner = InstancePlan { wanted: Wanted::Master, ..of(255) };
    let mut group = Group::new(vec![owner.clone(), owner.clone()], Vec::new());
    assert_eq!(
        group.boot(10 * S),
        "0 advert 255, 0 install 1, 0 MASTER, 1 advert 255, 1 install 1, 1 MASTER, group MASTER"
    );
    let mut group = Group::new(vec![owner, of(100)], Vec::new());
    assert_eq!(group.boot(10 * S), "0 BACKUP, 1 BACKUP, group BACKUP");
    group.on(13_609_375_000, Input::Deadline);
    assert_eq!(group.state(), StateName::Master);
}

/// The end: each instance, then the group, and once.
#[test]
fn a_group_stops_after_its_members() {
    let mut group = Group::master();
    assert_eq!(
        group.on(14_500 * MS, Input::Shutdown),
        "0 advert 0, 0 release, 0 STOP, 1 advert 0, 1 release, 1 STOP, group STOP"
    );
    assert_eq!(group.on(14_600 * MS, Input::Shutdown), "");
}

/// A group of one is told of like any other, and has nobody to sync.
#[test]
fn a_group_of_one() {
    let mut group = Group::up(vec![instance()]);
    assert_eq!(
        group.on(13_609_375_000, Input::Deadline),
        "0 timeout, 0 advert 100, 0 install 1, 0 MASTER, group MASTER"
    );
    assert_eq!(group.hears(14 * S, 0, ABOVE, 200), "0 release, 0 BACKUP, group BACKUP");
    assert_eq!(group.on(15 * S, Input::Interface { id: INTERFACE, up: false }), "0 FAULT, group FAULT");
}

/// `nopreempt` is each member's own: one that lets a weaker master be holds the group back.
#[test]
fn a_patient_member_holds_all_back() {
    let mut group = Group::up(vec![instance(), InstancePlan { preempt: false, ..instance() }]);
    for second in 11..20 {
        group.hears(second * S, 0, BELOW, 50);
        group.hears(second * S, 1, BELOW, 50);
        group.on(second * S, Input::Deadline);
    }
    assert_eq!(group.state(), StateName::Backup);
}

/// Quiet mode: who waits for its group hears every advert, also such as it followed before.
#[test]
fn who_waits_for_its_group_absorbs_nothing() {
    let mut group = Group::up(vec![instance(), instance()]);
    let (mut actions, at) = (Vec::new(), Instant::from_nanos(11 * S));
    let heard =
        Heard { source: ABOVE, claim: Claim::Serving(priority(200)), interval: centis(100), addresses_match: true };
    group.engine.handle(at, Input::Advert(InstanceId(0), heard), &mut actions);
    assert_eq!(actions, [Action::Absorb { id: InstanceId(0), on: true }]);
    group.hears(14 * S, 1, ABOVE, 200);
    actions.clear();
    group.engine.handle(Instant::from_nanos(15 * S), Input::Deadline, &mut actions);
    assert!(actions.contains(&Action::Absorb { id: InstanceId(0), on: false }), "{actions:?}");
    // One that was absorbed meanwhile, and is only now known of.
    group.engine.handle(Instant::from_nanos(15_100 * MS), Input::Seen(InstanceId(0)), &mut actions);
    group.on(17_609_375_000, Input::Deadline);
    assert_eq!(group.state(), StateName::Backup);
    group.on(18_709_375_000, Input::Deadline);
    assert_eq!(group.state(), StateName::Master);
}
