//! Stories with names: what operators try first.

use vrrp_common::{Instant, Priority, Version};
use vrrp_daemon::engine::plan::{GroupId, GroupPlan, InstanceId, InstancePlan, Plan, TrackerPlan, Wanted, Weight};
use vrrp_daemon::engine::snapshot::StateName;
use vrrp_tests::invariants::settled;
use vrrp_tests::world::{Host, Nanos, Net, Router, World};

use crate::chaos::{CENTI, check, instance, priority};

const SECOND: Nanos = 100 * CENTI;
const MS: Nanos = 1_000_000;

/// One group of v3 at one second, on a network that takes a tenth of a millisecond; addresses in the given order.
fn world(seed: u64, instances: Vec<InstancePlan>) -> World {
    let routers = instances.into_iter().zip(1..).map(|(instance, octet)| {
        let tracked = instance.watches.len() > 1;
        let tracker = TrackerPlan { rise: 2, fall: 2, starts_failed: false };
        let trackers = if tracked { vec![tracker] } else { Vec::new() };
        let host = Host { install_max: MS, late_max: MS / 20, check_interval: SECOND / 2, ..Host::default() };
        Router::new(Plan { interfaces: 1, trackers, instances: vec![instance].into(), ..Plan::default() }, octet, host)
    });
    let net = Net { delay_max: MS / 10, ..Net::default() };
    World::new(seed, net, routers.collect(), false)
}

fn of(octet: u8) -> InstancePlan {
    InstancePlan { priority: priority(octet), ..instance(Version::V3, 100) }
}

fn boot_all(world: &mut World) {
    (0..world.routers.len()).for_each(|router| world.boot(router));
}

/// Who serves, of a world that must be right.
fn serving(world: &World) -> Vec<usize> {
    settled(world).unwrap_or_else(|breach| panic!("{breach}"))
}

/// How long nobody served after `since`, in nanoseconds.
fn gap_until_master(world: &World, since: Instant) -> Nanos {
    let change = world.history.iter().find(|change| change.became_master && change.at > since);
    change.expect("a new master").at.since(since).as_nanos() as Nanos
}

/// Both are configured `state MASTER` with the same priority: one serves in the end, and it is the higher address.
#[test]
fn two_masters_of_equal_priority_settle_by_address() {
    for version in [Version::V2, Version::V3] {
        for seed in 0..50 {
            let both = InstancePlan { wanted: Wanted::Master, ..instance(version, 100) };
            let mut world = world(seed, vec![both.clone(), both]);
            world.routers[1].side = 1;
            world.boot(0);
            world.pass(seed * 40 * MS);
            world.boot(1);
            world.pass(6 * SECOND);
            assert_eq!(world.masters(0), [0, 1], "seed {seed}: cut off, both serve");
            world.routers[1].side = 0;
            world.pass(SECOND + MS);
            assert_eq!(serving(&world), [1], "seed {seed}: 10.0.0.2 is the higher address");
            world.pass(20 * SECOND);
            assert_eq!(serving(&world), [1], "seed {seed}: and it stays so");
        }
    }
}

/// Started together, equals settle on exactly one without ever having been two for longer than an advert travels.
#[test]
fn equals_started_together_settle_on_one() {
    for seed in 0..50 {
        let mut world = world(seed, vec![of(100); 4]);
        boot_all(&mut world);
        world.pass(4 * SECOND);
        assert_eq!(serving(&world).len(), 1, "seed {seed}");
    }
}

/// RFC 9568 erratum 8298: two owners, a mistake, are settled by address.
#[test]
fn two_owners_settle_by_address() {
    let owner = InstancePlan { priority: Priority::OWNER, wanted: Wanted::Master, ..of(100) };
    let mut world = world(1, vec![owner.clone(), owner, of(200)]);
    boot_all(&mut world);
    world.pass(5 * SECOND);
    assert_eq!(serving(&world), [1]);
}

/// The quiz question of every keepalived course: a check of weight -50 fails on the master.
#[test]
fn a_failing_check_moves_mastership_and_back() {
    let checked = |octet| {
        let mut instance = of(octet);
        instance.watches.push(check(Weight { value: -50, reverse: false }));
        instance
    };
    let mut world = world(2, vec![checked(120), checked(100)]);
    boot_all(&mut world);
    world.pass(8 * SECOND);
    assert_eq!(serving(&world), [0]);
    world.routers[0].passing = false;
    // Two failures in a row, an advert of 70, and the other lets it starve.
    world.pass(6 * SECOND);
    assert_eq!(serving(&world), [1]);
    world.routers[0].passing = true;
    world.pass(6 * SECOND);
    assert_eq!(serving(&world), [0]);
}

/// The same with weight 0: a fault, which says so at once.
#[test]
fn a_fault_hands_over_within_skew() {
    let mut checked = of(120);
    checked.watches.push(check(Weight::default()));
    let mut world = world(3, vec![checked, of(100)]);
    boot_all(&mut world);
    world.pass(8 * SECOND);
    world.routers[0].passing = false;
    world.pass(2 * SECOND);
    assert_eq!(serving(&world), [1]);
    let left = world.history.iter().rfind(|change| !change.became_master).expect("it left").at;
    assert!(gap_until_master(&world, left) < 610 * MS, "skew of 100 is 609 ms");
}

#[test]
fn a_killed_master_is_replaced_within_the_down_interval_and_returns() {
    for (preempt, after) in [(true, 0), (false, 1)] {
        let mut world = world(4, vec![InstancePlan { preempt, ..of(200) }, of(100)]);
        world.boot(0);
        world.pass(5 * SECOND);
        world.boot(1);
        world.pass(5 * SECOND);
        assert_eq!(serving(&world), [0]);
        let killed = world.now;
        world.crash(0);
        world.pass(5 * SECOND);
        assert_eq!(serving(&world), [1]);
        let gap = gap_until_master(&world, killed);
        assert!((2_609 * MS..3_610 * MS).contains(&gap), "{gap} ns without a master");
        world.boot(0);
        world.pass(10 * SECOND);
        assert_eq!(serving(&world), [after], "preempt {preempt}");
    }
}

#[test]
fn a_master_that_stops_is_replaced_within_skew() {
    let mut world = world(5, vec![of(200), of(100), of(50)]);
    boot_all(&mut world);
    world.pass(8 * SECOND);
    let stopped = world.now;
    world.stop(0);
    assert_eq!(world.routers[0].snapshot(0).expect("it is there").state, StateName::Stop);
    world.pass(2 * SECOND);
    assert_eq!(serving(&world), [1]);
    assert!((609 * MS..610 * MS).contains(&gap_until_master(&world, stopped)), "skew of 100, not of 50");
}

/// Starved for twenty intervals while the master's adverts waited in its socket: they were in time, so nothing changes.
#[test]
fn a_starved_backup_does_not_take_over() {
    let mut world = world(6, vec![of(200), of(100)]);
    boot_all(&mut world);
    world.pass(8 * SECOND);
    let changes = world.history.len();
    for _ in 0..5 {
        world.pause(1, 20 * SECOND);
        world.pass(23 * SECOND);
    }
    assert_eq!(serving(&world), [0]);
    assert_eq!(world.history.len(), changes, "nobody took over");
}

/// A starved master is replaced, and takes its place again when it hears that it was.
#[test]
fn a_starved_master_is_replaced_and_comes_back() {
    let mut world = world(7, vec![of(200), of(100)]);
    boot_all(&mut world);
    world.pass(8 * SECOND);
    world.pause(0, 10 * SECOND);
    world.pass(9 * SECOND);
    assert!(world.routers[1].is_master(0));
    world.pass(2 * SECOND);
    assert_eq!(serving(&world), [0]);
}

/// A thousand virtual routers lose their master at once: each changes hands when it is due, in the order of the skews.
#[test]
fn a_thousand_instances_take_over_in_order() {
    let instances = |octet: &dyn Fn(usize) -> u8| -> Plan {
        let of = |index| InstancePlan { priority: priority(octet(index)), ..instance(Version::V3, 10) };
        Plan { interfaces: 1, instances: (0..1000).map(of).collect::<Vec<_>>().into(), ..Plan::default() }
    };
    let strong = Router::new(instances(&|_| 254), 9, Host::default());
    let weaker = Router::new(instances(&|index| (index * 7 % 250) as u8 + 1), 1, Host::default());
    let mut world = World::new(8, Net { delay_max: MS / 100, ..Net::default() }, vec![strong, weaker], false);
    boot_all(&mut world);
    world.pass(60 * CENTI);
    assert_eq!(serving(&world), [0; 1000]);
    let (killed, before) = (world.now, world.history.len());
    world.crash(0);
    world.pass(60 * CENTI);
    assert_eq!(serving(&world), [1; 1000]);
    let taken: Vec<_> = world.history[before..].iter().filter(|change| change.became_master).collect();
    assert_eq!(taken.len(), 1000);
    assert!(taken.is_sorted_by_key(|change| change.at));
    let priorities: Vec<u8> =
        taken.iter().map(|change| world.routers[1].plan.instances[change.group].priority.get()).collect();
    assert!(priorities.is_sorted_by(|a, b| a >= b), "adverts were heard together, so skew alone decides");
    assert!(taken.iter().all(|change| change.at.since(killed).as_nanos() < 400 * u128::from(MS)));
}

/// Every centisecond, on hosts that are now and then late by a quarter of it: nothing moves.
#[test]
fn centisecond_adverts_are_stable_on_late_hosts() {
    let quick = |octet| InstancePlan { priority: priority(octet), ..instance(Version::V3, 1) };
    let mut world = world(9, vec![quick(254), quick(253), quick(252)]);
    world.routers.iter_mut().for_each(|router| router.host.late_max = CENTI / 4);
    boot_all(&mut world);
    world.pass(20 * CENTI);
    let changes = world.history.len();
    world.pass(10 * SECOND);
    assert_eq!((serving(&world), world.history.len()), (vec![0], changes));
}

/// Two virtual routers in a sync group on each host, of these priorities.
fn pairs(seed: u64, octets: &[u8]) -> World {
    let routers = octets.iter().zip(1..).map(|(&priority, last)| {
        let member = InstancePlan { group: Some(GroupId(0)), ..of(priority) };
        let groups = vec![GroupPlan { members: vec![InstanceId(0), InstanceId(1)] }];
        let plan = Plan { interfaces: 1, instances: vec![member.clone(), member].into(), groups, ..Plan::default() };
        Router::new(plan, last, Host { install_max: MS, late_max: MS / 20, ..Host::default() })
    });
    World::new(seed, Net { delay_max: MS / 10, ..Net::default() }, routers.collect(), false)
}

/// A firewall's two sides move together, to the stronger and back.
#[test]
fn a_sync_group_fails_over_as_one() {
    let mut world = pairs(10, &[200, 100]);
    boot_all(&mut world);
    world.pass(8 * SECOND);
    assert_eq!(serving(&world), [0, 0]);
    world.crash(0);
    world.pass(5 * SECOND);
    assert_eq!(serving(&world), [1, 1]);
    world.boot(0);
    world.pass(8 * SECOND);
    assert_eq!(serving(&world), [0, 0]);
    let stopped = world.now;
    world.stop(0);
    world.pass(SECOND);
    assert_eq!(serving(&world), [1, 1]);
    assert!(gap_until_master(&world, stopped) < 610 * MS, "the skew of 100");
}

/// One side of the network is cut: the backup of both hears the master on the other side, and stays what it is.
#[test]
fn a_sync_group_that_hears_half_stays_backup() {
    let mut world = pairs(11, &[200, 100]);
    boot_all(&mut world);
    world.pass(8 * SECOND);
    let changes = world.history.len();
    world.net.deaf_to = Some(0);
    world.pass(30 * SECOND);
    assert_eq!((world.masters(0), world.masters(1), world.history.len()), (vec![0], vec![0], changes));
    // Then the master dies: the other waited for one side alone, and serves both.
    world.crash(0);
    world.pass(4 * SECOND);
    assert_eq!(serving(&world), [1, 1]);
}

/// RFC 9568 section 8.4: a pair moves from version 2 to version 3, one router after the other and back to front, and never
/// has two masters.
#[test]
fn a_pair_is_upgraded() {
    let v2 = |octet| InstancePlan { priority: priority(octet), ..instance(Version::V2, 100) };
    let both = |octet| InstancePlan { both_versions: true, ..of(octet) };
    for seed in 0..50 {
        let mut world = world(seed, vec![v2(200), v2(100)]);
        boot_all(&mut world);
        world.pass(8 * SECOND);
        let steps = [(1, both(100)), (0, both(200)), (1, of(100)), (0, of(200))];
        for (router, plan) in steps {
            world.stop(router);
            world.pass(3 * SECOND);
            assert_eq!(world.masters(0), [1 - router], "the other serves");
            world.routers[router].plan.instances = vec![plan].into();
            world.boot(router);
            // But for the moment until who is displaced has heard of it.
            let (mut since, mut overlap) = (None, 0);
            world.run(8 * SECOND, &mut |world| match world.masters(0).len() {
                0 | 1 => since = None,
                _ => overlap = overlap.max(world.now.since(*since.get_or_insert(world.now)).as_nanos() as Nanos),
            });
            assert_eq!(serving(&world), [0], "seed {seed}, after router {router}");
            assert!(overlap < MS, "seed {seed}, after router {router}: two masters for {overlap} ns");
        }
    }
}

/// Version 2 of a router that speaks both makes nobody wait its seconds; of one that speaks it alone it is waited for.
#[test]
fn version_2_is_no_reason_to_wait() {
    let quick = |octet| InstancePlan { both_versions: true, priority: priority(octet), ..instance(Version::V3, 10) };
    let slow = InstancePlan { priority: priority(200), ..instance(Version::V2, 100) };
    for (strong, most) in [(quick(200), 361 * MS), (slow, 3_610 * MS)] {
        let mut world = world(13, vec![strong, quick(100)]);
        boot_all(&mut world);
        world.pass(10 * SECOND);
        assert_eq!(world.masters(0), [0]);
        let killed = world.now;
        world.crash(0);
        world.pass(5 * SECOND);
        let gap = gap_until_master(&world, killed);
        assert!((most / 2..most).contains(&gap), "{gap} ns");
    }
}

/// keepalived `preempt_delay`: who comes back waits, and then takes its place.
#[test]
fn preempt_delay_is_waited_for() {
    let delay = std::time::Duration::from_secs(20);
    let mut world = world(12, vec![InstancePlan { preempt_delay: delay, ..of(200) }, of(100)]);
    boot_all(&mut world);
    world.pass(5 * SECOND);
    assert_eq!(serving(&world), [0], "nobody serves yet: nobody is waited for");
    world.crash(0);
    world.pass(5 * SECOND);
    world.boot(0);
    let back = world.now;
    world.pass(20 * SECOND);
    assert_eq!(world.masters(0), [1]);
    world.pass(6 * SECOND);
    assert_eq!(serving(&world), [0]);
    // 20 s from the first advert heard, then three intervals and the skew from the last that was followed.
    let gap = gap_until_master(&world, back);
    assert!((22_218 * MS..24_219 * MS).contains(&gap), "{gap} ns");
    // And the death of the weaker one is no reason to wait.
    world.crash(0);
    world.pass(5 * SECOND);
    world.boot(0);
    world.pass(3 * SECOND);
    let killed = world.now;
    world.crash(1);
    world.pass(5 * SECOND);
    assert_eq!(serving(&world), [0]);
    assert!(gap_until_master(&world, killed) < 3_219 * MS);
}
