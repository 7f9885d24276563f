//! A world drawn from a seed, and what befalls it.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use vrrp_common::{Centis, Priority, Version, Vrid};
use vrrp_daemon::engine::plan::{
    ExtraPlan, GarpPlan, GroupId, GroupPlan, InstanceId, InstancePlan, Plan, Startup, Subject, TrackerPlan, Wanted,
    Watch, Weight,
};
use vrrp_tests::invariants::settled;
use vrrp_tests::rng::Rng;
use vrrp_tests::world::{CHECK, Host, INTERFACE, Nanos, Net, Router, World};

/// Nanoseconds in a centisecond.
pub const CENTI: Nanos = 10_000_000;

/// What happened in a world, to know that it was not a dull one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub tenures: u64,
    /// Times that a world came to rest and was judged whole.
    pub rests: u64,
    pub disturbances: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.tenures += other.tenures;
        self.rests += other.rests;
        self.disturbances += other.disturbances;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} disturbances, {} tenures, {} rests", self.disturbances, self.tenures, self.rests)
    }
}

/// Lives one world from its seed to its end; panics with what is broken.
pub fn live(seed: u64, tracing: bool) -> Tally {
    let mut rng = Rng::new(seed);
    let (mut world, longest) = draw(&mut rng, tracing);
    for router in 0..world.routers.len() {
        if rng.chance(80) {
            world.boot(router);
            world.pass(rng.below(longest));
        }
    }
    let mut tally = Tally::default();
    for _ in 0..3 {
        for _ in 0..rng.between(4, 12) {
            tally.disturbances += 1;
            disturb(&mut world, &mut rng, longest);
            world.pass(rng.below(5 * longest));
        }
        rest(&mut world, &mut rng, longest);
        tally.rests += 1;
    }
    tally.tenures = world.history.iter().filter(|change| change.became_master).count() as u64;
    tally
}

/// A world, and the longest advertisement interval in it.
fn draw(rng: &mut Rng, tracing: bool) -> (World, Nanos) {
    let version = if rng.chance(30) { Version::V2 } else { Version::V3 };
    let interval = match version {
        Version::V2 => rng.pick(&[100, 100, 200]),
        Version::V3 => rng.pick(&[1, 2, 10, 25, 100]),
    };
    let synced = rng.chance(25);
    let (routers, groups) = (rng.between(2, 5), if synced { rng.between(2, 3) } else { rng.between(1, 2) });
    let mixed_intervals = version == Version::V3 && rng.chance(20);
    let (checked, patient) = (rng.chance(50), if rng.chance(30) { 60 } else { 0 });
    let delayed = if rng.chance(30) { 60 } else { 0 };
    // Not of the shortest intervals: whoever hears version 2 alone may wait its seconds.
    let upgraded = if version == Version::V3 && !mixed_intervals && interval >= 25 && rng.chance(40) { 50 } else { 0 };
    let mut octets: Vec<u8> = (1..=routers as u8).collect();
    rng.shuffle(&mut octets);

    let mut built = Vec::new();
    let (mut longest, mut shortest) = (if upgraded > 0 { 100 * CENTI } else { 0 }, Nanos::MAX);
    for octet in octets {
        let mut instances = Vec::new();
        for _ in 0..groups {
            let interval = if mixed_intervals { rng.pick(&[1, 3, 10, 20]) } else { interval };
            longest = longest.max(u64::from(interval) * CENTI);
            shortest = shortest.min(u64::from(interval) * CENTI);
            let mut instance = instance(version, interval);
            instance.priority = priority(rng.pick(&[1, 50, 99, 100, 100, 100, 150, 200, 253, 254]));
            instance.preempt = !rng.chance(patient);
            instance.addresses = rng.between(0, 3) as u32;
            instance.down_adverts = rng.pick(&[2, 3, 3, 3, 4]);
            if rng.chance(15) {
                instance.phase = Some(instance.advert_int.duration() * rng.below(16) as u32 / 16);
            }
            if rng.chance(delayed) {
                instance.preempt_delay = instance.advert_int.duration() * rng.between(1, 3) as u32;
            }
            instance.both_versions = rng.chance(upgraded);
            if !instance.preempt && rng.chance(30) {
                instance.late_rival = Some(priority(rng.pick(&[100, 254])));
            }
            instance.answers_lower = !rng.chance(10);
            instance.answers_higher = rng.chance(10);
            if rng.chance(8) {
                instance.priority = Priority::OWNER;
                instance.wanted = rng.pick(&[Wanted::Master, Wanted::Backup]);
            }
            if checked {
                let value = rng.pick(&[-50, -50, -253, 20, 100, 0]);
                instance.watches.push(check(Weight { value, reverse: rng.chance(15) }));
            }
            instances.push(instance);
        }
        let mut sync = Vec::new();
        if synced {
            sync.push(GroupPlan { members: (0..groups as u32).map(InstanceId).collect() });
            synchronise(&mut instances, GroupId(0));
        }
        let tracker = TrackerPlan {
            rise: rng.between(1, 3) as u32,
            fall: rng.between(1, 3) as u32,
            starts_failed: rng.chance(20),
        };
        let trackers = if checked { vec![tracker] } else { Vec::new() };
        let delay = if rng.chance(10) { Duration::from_nanos(rng.below(3 * longest)) } else { Duration::ZERO };
        let startup = Startup { delay, ..Startup::default() };
        built.push((
            Plan { interfaces: 1, trackers, instances: instances.into(), groups: sync, startup, ..Plan::default() },
            octet,
        ));
    }
    let routers = built.into_iter().map(|(plan, octet)| {
        let host = Host {
            late_max: rng.pick(&[0, shortest / 100, shortest / 4]),
            install_max: rng.pick(&[0, longest / 10, longest * 2]),
            install_fails_percent: rng.pick(&[0, 0, 0, 20]),
            check_interval: longest / 2,
            shuffles: rng.chance(30),
        };
        Router::new(plan, octet, host)
    });
    let routers = routers.collect();
    let net = Net { delay_max: shortest / 5, ..Net::default() };
    (World::new(rng.next(), net, routers, tracing), longest)
}

/// Members of one sync group: as strong as each other, as keepalived's manual has it, or the group could never agree with
/// another.
pub fn synchronise(instances: &mut [InstancePlan], group: GroupId) {
    let first = instances[0].clone();
    for instance in instances {
        instance.group = Some(group);
        (instance.priority, instance.wanted, instance.preempt) = (first.priority, first.wanted, first.preempt);
        instance.late_rival = first.late_rival;
        // What weighs is the group's; what could be a fault may concern one of them alone.
        instance.watches.retain(|watch| watch.weight.value == 0);
        instance.watches.extend(first.watches.iter().filter(|watch| watch.weight.value != 0));
    }
}

/// Priority 100, no address to set, nothing watched but its interface.
pub fn instance(version: Version, interval: u16) -> InstancePlan {
    let extra = ExtraPlan { every: Duration::from_millis(700), addresses: Box::new([0]) };
    InstancePlan {
        advert_int: Centis::new(interval).expect("an interval"),
        addresses: 1,
        garp: GarpPlan { delay: Duration::from_millis(500), extra: Some(Box::new(extra)), ..GarpPlan::default() },
        watches: vec![Watch { subject: Subject::Interface(INTERFACE), weight: Weight::default() }],
        ..InstancePlan::new(INTERFACE, Vrid::new(51).expect("a VRID"), version)
    }
}

pub fn check(weight: Weight) -> Watch {
    Watch { subject: Subject::Tracker(CHECK), weight }
}

pub fn priority(octet: u8) -> Priority {
    Priority::new(octet).expect("a priority that serves")
}

/// One thing goes wrong, or right again.
pub fn disturb(world: &mut World, rng: &mut Rng, longest: Nanos) {
    let router = rng.below(world.routers.len() as u64) as usize;
    match rng.below(15) {
        0 => world.net.loss_percent = rng.pick(&[0, 5, 30, 70, 100]),
        1 => world.net.duplicate_percent = rng.pick(&[0, 20, 100]),
        2 => world.net.reorders = !world.net.reorders,
        3 => partition(world, rng, 2),
        4 => partition(world, rng, 1),
        5 | 6 => world.pause(router, rng.below(10 * longest)),
        7 => world.crash(router),
        8 if world.routers[router].is_running() => world.stop(router),
        9 => world.set_link(router, !world.routers[router].link_up),
        10 => world.routers[router].passing = !world.routers[router].passing,
        11 => world.reload(router, None),
        12 => world.reload(router, Some(priority(rng.pick(&[1, 99, 100, 150, 254])))),
        13 => world.net.deaf_to = rng.pick(&[None, Some(0), Some(1)]),
        _ if world.routers[router].is_running() => {}
        _ => world.boot(router),
    }
}

/// Puts routers on sides, numbered from 0 without a gap.
fn partition(world: &mut World, rng: &mut Rng, sides: u64) {
    for router in &mut world.routers {
        router.side = rng.below(sides) as u8;
    }
    if world.routers.iter().all(|router| router.side != 0) {
        world.routers.iter_mut().for_each(|router| router.side = 0);
    }
}

/// Adverts get through and hosts keep up again; what is down, cut off or failing may stay so. After a while everything
/// must be right, and stay as it is.
pub fn rest(world: &mut World, rng: &mut Rng, longest: Nanos) {
    let all = 0..world.routers.len();
    let heals = rng.chance(60);
    world.net.loss_percent = 0;
    world.net.deaf_to = None;
    world.net.reorders = false;
    if heals {
        partition(world, rng, 1);
    }
    for router in all {
        if world.routers[router].paused {
            world.resume(router);
        }
        if heals || rng.chance(50) {
            if !world.routers[router].link_up {
                world.set_link(router, true);
            }
            world.routers[router].passing = true;
            if !world.routers[router].is_running() {
                world.boot(router);
            }
        }
    }
    // Checks rise; the strongest lets the others starve, after a delay; and once more, by intervals that were learned
    // meanwhile.
    world.pass(20 * longest);
    let masters = settled(world).unwrap_or_else(|breach| panic!("after a rest: {breach}"));
    world.run(6 * longest, &mut |world| match settled(world) {
        Ok(now) => assert_eq!(now, masters, "mastership moved without a reason"),
        Err(breach) => panic!("at rest: {breach}"),
    });
}
