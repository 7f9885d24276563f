//! What a reload leaves as it was, and what it changes at once.

use std::sync::Arc;

use super::*;
use crate::engine::event::GroupEvent;
use crate::engine::matching::{Common, Matching, Moves};
use crate::engine::plan::{GroupId, GroupPlan};

/// An engine of several instances on one interface, and its plan.
struct Router {
    engine: Engine,
    plan: Plan,
}

/// What an instance of the next plan was before: its old id, and its addresses if they are others.
type Was = Option<(u32, Option<Vec<Option<u32>>>)>;

fn same(id: u32) -> Was {
    Some((id, None))
}

impl Router {
    /// All are up at `at`.
    fn up(at: u64, instances: Vec<InstancePlan>, groups: Vec<Vec<u32>>) -> Self {
        let plan = planned(instances, groups);
        let mut router = Self { engine: Engine::new(&plan, Instant::from_nanos(0)), plan };
        for id in 0..router.plan.instances.len() as u32 {
            router.on(at, Input::Source { id: InstanceId(id), address: Some(OURS) });
        }
        router.on(at, Input::Interface { id: INTERFACE, up: true });
        router
    }

    fn on(&mut self, at: u64, input: Input) -> String {
        let mut actions = Vec::new();
        self.engine.handle(Instant::from_nanos(at), input, &mut actions);
        words(&actions)
    }

    fn hears(&mut self, at: u64, id: u32, source: IpAddr, octet: u8) -> String {
        let version = self.plan.instances[id as usize].version;
        let claim = Claim::from_octet(octet);
        let heard = Heard { source, version, claim, interval: centis(100), addresses_match: true };
        self.on(at, Input::Advert(InstanceId(id), heard))
    }

    /// Goes on by these instances and groups.
    fn reload(&mut self, at: u64, instances: Vec<(InstancePlan, Was)>, groups: Vec<Vec<u32>>) -> String {
        let (instances, was): (Vec<_>, Vec<_>) = instances.into_iter().unzip();
        let next = planned(instances, groups);
        let old = self.plan.instances.len();
        let from = was.iter().map(|was| was.as_ref().map(|(id, _)| InstanceId(*id)));
        let common = was.iter().map(|was| {
            let (before, moved) = was.clone()?;
            let count = self.plan.instances[before as usize].addresses as usize;
            Some(Common { hears_alike: true, addresses: moved.map(|moved| Moves::new(count, moved)) })
        });
        let matching = Matching {
            common: common.map(Option::unwrap_or_default).collect(),
            instances: Moves::new(old, from.collect()),
            interfaces: Moves::new(1, vec![Some(INTERFACE)]),
            trackers: Moves::default(),
        };
        let (now, mut actions) = (Instant::from_nanos(at), Vec::new());
        self.engine.remove(now, &matching, &mut actions);
        let removed = words(&actions);
        actions.clear();
        let sources = vec![Some(OURS); next.instances.len()];
        self.engine.reload(now, &next, &matching, &sources, &mut actions);
        self.plan = next;
        [removed, words(&actions)].into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join(" | ")
    }

    fn states(&self) -> Vec<StateName> {
        (0..self.plan.instances.len() as u32).map(|id| self.engine.snapshot(InstanceId(id)).state).collect()
    }

    fn due(&self) -> u64 {
        self.engine.deadline().map_or(NEVER, |(due, _)| due.as_nanos())
    }
}

fn planned(mut instances: Vec<InstancePlan>, groups: Vec<Vec<u32>>) -> Plan {
    let groups = groups.into_iter().enumerate().map(|(group, members)| {
        members.iter().for_each(|&member| instances[member as usize].group = Some(GroupId(group as u32)));
        GroupPlan { members: members.into_iter().map(InstanceId).collect() }
    });
    let groups = groups.collect();
    Plan { interfaces: 1, instances: Arc::new(instances), groups, ..Plan::default() }
}

fn words(actions: &[Action]) -> String {
    let words = actions.iter().filter_map(|action| match *action {
        Action::Advertise { id, claim, .. } => Some(format!("{} advert {}", id.0, claim.octet())),
        Action::Install { id, tenure } => Some(format!("{} install {}", id.0, tenure.0)),
        Action::Release { id } => Some(format!("{} release", id.0)),
        Action::Announce { id, addresses: Announced::All, rounds } => Some(format!("{} all x{rounds}", id.0)),
        Action::Announce { id, addresses: Announced::One(one), rounds } => Some(format!("{} #{one} x{rounds}", id.0)),
        Action::Absorb { id, on } => Some(format!("{} absorb {on}", id.0)),
        Action::Tell { id, event: Event::BecameMaster, .. } => Some(format!("{} MASTER", id.0)),
        Action::Tell { id, event: Event::BecameBackup | Event::Started, .. } => Some(format!("{} BACKUP", id.0)),
        Action::Tell { id, event: Event::Deleted, .. } => Some(format!("{} gone", id.0)),
        Action::Tell { id, event: Event::PriorityChanged { from, to }, .. } => Some(format!("{} {from}->{to}", id.0)),
        Action::TellGroup { event: GroupEvent::Entered(state), .. } => Some(format!("group {}", state.label())),
        Action::Tell { .. } | Action::TellGroup { .. } => None,
    });
    words.collect::<Vec<_>>().join(", ")
}

fn of(octet: u8) -> InstancePlan {
    InstancePlan { priority: priority(octet), ..instance() }
}

/// A master of two addresses, all set, since 14 s; its next advert is due at 15 s.
fn master() -> Router {
    let mut router = Router::up(10 * S, vec![instance()], Vec::new());
    assert_eq!(router.on(14 * S, Input::Deadline), "0 advert 100, 0 install 1, 0 MASTER");
    router.on(14 * S, set(1, 0));
    router.on(14 * S, set(1, 1));
    router
}

/// A backup of one master and a master beside it, which change places in the file: neither state, learned master, nor
/// deadline moves, and what is absorbed stays absorbed.
#[test]
fn what_did_not_change_keeps_everything() {
    let mut router = Router::up(10 * S, vec![of(100), of(100)], Vec::new());
    assert_eq!(router.hears(13 * S, 0, ABOVE, 150), "0 absorb true");
    router.on(13_609_375_000, Input::Deadline);
    let before = [0, 1].map(|id| router.engine.snapshot(InstanceId(id)));
    let due = router.due();
    assert_eq!(router.reload(14 * S, vec![(of(100), same(1)), (of(100), same(0))], Vec::new()), "");
    let after = [1, 0].map(|id| router.engine.snapshot(InstanceId(id)));
    assert_eq!((after, router.due()), (before, due));
    // Equal adverts were seen meanwhile, and count.
    router.on(16 * S, Input::Seen(InstanceId(1)));
    assert_eq!(router.on(14_609_375_000, Input::Deadline), "0 advert 100");
    assert_eq!(router.on(18_999_999_999, Input::Deadline), "0 advert 100");
    assert_eq!(router.states(), [StateName::Master, StateName::Backup]);
}

#[test]
fn what_is_gone_leaves_and_what_is_new_waits_its_down_interval() {
    let mut router = master();
    assert_eq!(
        router.reload(14_500 * MS, vec![(of(200), None)], Vec::new()),
        "0 advert 0, 0 release, 0 gone | 0 BACKUP"
    );
    // 3 s and 56/256 s after the reload.
    assert_eq!(router.due(), 17_718_750_000);
    assert_eq!(router.on(17_718_750_000, Input::Deadline), "0 advert 200, 0 install 1, 0 MASTER");
}

#[test]
fn a_priority_is_found_anew() {
    let mut router = master();
    assert_eq!(router.reload(14_500 * MS, vec![(of(50), same(0))], Vec::new()), "0 100->50");
    assert_eq!(router.due(), 15 * S, "its adverts go on");
    assert_eq!(router.on(15 * S, Input::Deadline), "0 advert 50");
    // A backup that may not absorb what it would not follow any more.
    let mut router = Router::up(10 * S, vec![of(100)], Vec::new());
    router.hears(13 * S, 0, ABOVE, 150);
    assert_eq!(router.reload(14 * S, vec![(of(200), same(0))], Vec::new()), "0 absorb false, 0 100->200");
}

/// The next advert is never later than it was, and sooner if the new interval is shorter.
#[test]
fn an_interval_changes_from_the_next_advert_on() {
    let longer = InstancePlan { advert_int: centis(300), ..instance() };
    let mut router = master();
    router.reload(14_500 * MS, vec![(longer, same(0))], Vec::new());
    assert_eq!(router.due(), 15 * S);
    assert_eq!(router.on(15 * S, Input::Deadline), "0 advert 100");
    assert_eq!(router.due(), 18 * S);
    let shorter = InstancePlan { advert_int: centis(10), ..instance() };
    router.reload(15_500 * MS, vec![(shorter, same(0))], Vec::new());
    assert_eq!(router.due(), 15_600 * MS);
}

/// Of a master that is followed the learned interval stays (v3); who heard none waits by its own.
#[test]
fn a_learned_interval_stays() {
    let other = || InstancePlan { advert_int: centis(50), ..instance() };
    let mut router = Router::up(10 * S, vec![instance(), instance()], Vec::new());
    router.hears(11 * S, 0, ABOVE, 150);
    router.reload(12 * S, vec![(other(), same(0)), (other(), same(1))], Vec::new());
    // 3 times 0.5 s and 156/256 of it, after 10 s: over already. The other: by 1 s, after 11 s.
    assert_eq!(router.due(), 11_804_687_500);
    router.on(12 * S, Input::Deadline);
    assert_eq!(router.states(), [StateName::Backup, StateName::Master]);
    let of_first = router.engine.instances[0].deadline().map(|(due, _)| due.as_nanos());
    assert_eq!(of_first, Some(14_609_375_000));
}

/// Only what is new is announced; what stayed was there all the time.
#[test]
fn new_addresses_are_set_and_announced_alone() {
    let mut router = master();
    let wider = InstancePlan { addresses: 3, ..instance() };
    // The second is now the first, and the last is new.
    let moved = Some(vec![Some(1), Some(0), None]);
    assert_eq!(router.reload(14_500 * MS, vec![(wider, Some((0, moved)))], Vec::new()), "0 install 2");
    assert_eq!(router.on(14_600 * MS, set(1, 0)), "", "an answer about the time before");
    assert_eq!(router.on(14_600 * MS, set(2, 0)), "");
    assert_eq!(router.on(14_600 * MS, set(2, 1)), "");
    assert_eq!(router.on(14_600 * MS, set(2, 2)), "0 #2 x5");
    let narrow = InstancePlan { addresses: 1, ..instance() };
    assert_eq!(router.reload(14_700 * MS, vec![(narrow, Some((0, Some(vec![Some(2)]))))], Vec::new()), "");
}

/// While addresses are still being set it is not known which; all are asked for and announced.
#[test]
fn addresses_that_are_under_way_are_asked_for_again() {
    let mut router = Router::up(10 * S, vec![instance()], Vec::new());
    router.on(14 * S, Input::Deadline);
    router.on(14 * S, set(1, 0));
    let moved = Some(vec![Some(0), None]);
    assert_eq!(router.reload(14_001 * MS, vec![(instance(), Some((0, moved)))], Vec::new()), "0 install 2");
    assert_eq!(router.on(14_002 * MS, set(2, 0)), "0 #0 x1");
    assert_eq!(router.on(14_002 * MS, set(2, 1)), "0 #1 x1, 0 all x4");
}

#[test]
fn a_new_member_serves_with_its_group() {
    let mut router = Router::up(10 * S, vec![of(100), of(100)], vec![vec![0, 1]]);
    router.on(14 * S, Input::Deadline);
    let instances = vec![(of(100), same(0)), (of(100), None), (of(100), same(1))];
    assert_eq!(
        router.reload(14_500 * MS, instances, vec![vec![0, 1, 2]]),
        "1 BACKUP, 1 advert 100, 1 install 1, 1 MASTER, group MASTER"
    );
    assert_eq!(router.states(), [StateName::Master; 3]);
}

/// One that follows a better master holds the others back, whoever they are now.
#[test]
fn a_member_that_follows_takes_the_others_back() {
    let mut router = Router::up(10 * S, vec![of(100), of(100)], Vec::new());
    router.hears(13 * S, 1, ABOVE, 150);
    router.on(14 * S, Input::Deadline);
    assert_eq!(router.states(), [StateName::Master, StateName::Backup]);
    let instances = vec![(of(100), same(0)), (of(100), same(1))];
    assert_eq!(
        router.reload(14_500 * MS, instances, vec![vec![0, 1]]),
        "1 absorb false, 0 advert 0, 0 release, 0 BACKUP, group BACKUP"
    );
}

/// Its wait was over long ago; only the one that left held it back.
#[test]
fn who_was_held_back_serves() {
    for groups in [vec![vec![0]], Vec::new()] {
        let mut router = Router::up(10 * S, vec![of(100), of(100)], vec![vec![0, 1]]);
        router.hears(13 * S, 1, ABOVE, 150);
        router.on(14 * S, Input::Deadline);
        assert_eq!(router.states(), [StateName::Backup; 2]);
        let done = router.reload(14_500 * MS, vec![(of(100), same(0))], groups);
        assert!(done.starts_with("1 absorb false, 1 gone | 0 advert 100, 0 install 1, 0 MASTER"), "{done}");
    }
}

/// What held it back does so no longer, and it knows of no better master: the group that it joins need not step back.
#[test]
fn who_was_held_back_serves_with_those_it_joins() {
    let mut router = Router::up(10 * S, vec![of(100), of(100), of(100)], vec![vec![1, 2]]);
    router.hears(13 * S, 2, ABOVE, 150);
    router.on(14 * S, Input::Deadline);
    assert_eq!(router.states(), [StateName::Master, StateName::Backup, StateName::Backup]);
    let instances = vec![(of(100), same(0)), (of(100), same(1)), (of(100), same(2))];
    let done = router.reload(14_500 * MS, instances, vec![vec![0, 1]]);
    assert_eq!(router.states(), [StateName::Master, StateName::Master, StateName::Backup], "{done}");
    assert!(!done.contains("0 release") && done.contains("1 advert 100, 1 install 1, 1 MASTER"), "{done}");
}

/// With one version nobody takes note of who speaks the other.
#[test]
fn who_spoke_version_3_is_forgotten_with_version_2() {
    let both = || InstancePlan { both_versions: true, ..of(100) };
    let mut router = Router::up(10 * S, vec![both()], Vec::new());
    router.hears(11 * S, 0, ABOVE, 150);
    assert_eq!(router.engine.instances[0].speakers.len(), 1);
    router.reload(12 * S, vec![(both(), same(0))], Vec::new());
    assert_eq!(router.engine.instances[0].speakers.len(), 1);
    router.reload(12 * S, vec![(of(100), same(0))], Vec::new());
    assert_eq!(router.engine.instances[0].speakers.len(), 0);
}

#[test]
fn a_delay_ends_with_its_keyword() {
    let patient = || InstancePlan { preempt_delay: std::time::Duration::from_secs(60), ..of(100) };
    let mut router = Router::up(10 * S, vec![patient()], Vec::new());
    router.hears(11 * S, 0, BELOW, 50);
    assert_eq!(router.due(), 14_609_375_000, "a weaker master is followed");
    router.reload(12 * S, vec![(of(100), same(0))], Vec::new());
    router.hears(12_500 * MS, 0, BELOW, 50);
    assert_eq!(router.due(), 14_609_375_000, "it is starved now");
}
