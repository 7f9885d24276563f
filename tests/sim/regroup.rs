//! Worlds whose daemons reload again and again: instances change their sync groups, are others, come and go, and speak one
//! version or both.

use vrrp_common::Version;
use vrrp_daemon::engine::plan::{GroupId, GroupPlan, InstanceId, InstancePlan, Plan, TrackerPlan, Weight};
use vrrp_tests::rng::Rng;
use vrrp_tests::world::{Host, Nanos, Net, Router, World};

use crate::chaos::{CENTI, Tally, check, disturb, instance, priority, rest, synchronise};

/// What a configuration says of all routers: how many instances, which of them are together, and whether both versions are
/// spoken.
struct Order {
    count: usize,
    /// By instance.
    parties: Vec<Option<usize>>,
    both_versions: bool,
}

/// Lives one world from its seed to its end; panics with what is broken.
pub fn live(seed: u64, tracing: bool) -> Tally {
    let mut rng = Rng::new(seed);
    let (mut world, bases, longest) = draw(&mut rng, tracing);
    for router in 0..world.routers.len() {
        world.boot(router);
        world.pass(rng.below(longest));
    }
    let mut tally = Tally::default();
    for _ in 0..3 {
        for _ in 0..rng.between(6, 16) {
            tally.disturbances += 1;
            if rng.chance(60) {
                let router = rng.below(bases.len() as u64) as usize;
                let order = Order::draw(&mut rng, &bases);
                reload(&mut world, &mut rng, router, &bases[router], &order);
            } else {
                disturb(&mut world, &mut rng, longest);
            }
            world.pass(rng.below(4 * longest));
        }
        // Routers that do not agree on their groups may never agree on a master.
        let order = Order::draw(&mut rng, &bases);
        for (router, base) in bases.iter().enumerate() {
            if world.routers[router].paused {
                world.resume(router);
            }
            reload(&mut world, &mut rng, router, base, &order);
            world.pass(rng.below(longest));
        }
        rest(&mut world, &mut rng, longest);
        tally.rests += 1;
    }
    tally.tenures = world.history.iter().filter(|change| change.became_master).count() as u64;
    tally
}

fn reload(world: &mut World, rng: &mut Rng, router: usize, base: &[InstancePlan], order: &Order) {
    let others: Vec<_> = (0..base.len()).map(|_| rng.chance(10)).collect();
    let plan = order.plan(base, &world.routers[router].plan);
    world.regroup(router, plan, |id| !others[id]);
}

impl Order {
    fn draw(rng: &mut Rng, bases: &[Vec<InstancePlan>]) -> Self {
        let first = &bases[0][0];
        let count = rng.between(2, bases[0].len() as u64) as usize;
        let parties = (0..count).map(|_| rng.pick(&[None, Some(0), Some(0), Some(1)])).collect();
        let can = first.version == Version::V3 && first.advert_int.get() >= 25;
        Self { count, parties, both_versions: can && rng.chance(40) }
    }

    /// The plan of a router whose instances are these, alone. All else is as it was.
    fn plan(&self, base: &[InstancePlan], before: &Plan) -> Plan {
        let mut instances = base[..self.count].to_vec();
        instances.iter_mut().for_each(|instance| instance.both_versions = self.both_versions);
        let mut groups = Vec::new();
        for party in [0, 1] {
            let members: Vec<_> = (0..self.count).filter(|&id| self.parties[id] == Some(party)).collect();
            if members.is_empty() {
                continue;
            }
            let mut together: Vec<_> = members.iter().map(|&id| instances[id].clone()).collect();
            synchronise(&mut together, GroupId(groups.len() as u32));
            members.iter().zip(together).for_each(|(&id, member)| instances[id] = member);
            groups.push(GroupPlan { members: members.into_iter().map(|id| InstanceId(id as u32)).collect() });
        }
        Plan { instances: instances.into(), groups, ..before.clone() }
    }
}

/// A world, the instances of each of its routers, and the longest advertisement interval.
fn draw(rng: &mut Rng, tracing: bool) -> (World, Vec<Vec<InstancePlan>>, Nanos) {
    let version = if rng.chance(20) { Version::V2 } else { Version::V3 };
    let interval = if version == Version::V2 { 100 } else { rng.pick(&[2, 10, 25, 100]) };
    // Who hears version 2 alone may wait its seconds.
    let longest = if interval >= 25 { 100 * CENTI } else { u64::from(interval) * CENTI };
    let shortest = u64::from(interval) * CENTI;
    let (routers, count, checked) = (rng.between(2, 4), rng.between(3, 5), rng.chance(50));
    let mut octets: Vec<u8> = (1..=routers as u8).collect();
    rng.shuffle(&mut octets);
    let mut bases = Vec::new();
    let mut built = Vec::new();
    for octet in octets {
        let mut base = Vec::new();
        for _ in 0..count {
            let mut instance = instance(version, interval);
            instance.priority = priority(rng.pick(&[1, 50, 100, 100, 150, 254]));
            instance.preempt = !rng.chance(20);
            instance.addresses = rng.between(0, 2) as u32;
            if rng.chance(20) {
                instance.preempt_delay = instance.advert_int.duration();
            }
            if checked {
                let value = rng.pick(&[-50, 20, 0]);
                instance.watches.push(check(Weight { value, reverse: false }));
            }
            base.push(instance);
        }
        let tracker = TrackerPlan { rise: 1, fall: 1, starts_failed: false };
        let trackers = if checked { vec![tracker] } else { Vec::new() };
        let plan = Plan { interfaces: 1, trackers, instances: base.clone().into(), ..Plan::default() };
        let host = Host {
            late_max: rng.pick(&[0, shortest / 100, shortest / 4]),
            install_max: rng.pick(&[0, longest / 10]),
            install_fails_percent: 0,
            check_interval: longest / 2,
            shuffles: rng.chance(30),
        };
        built.push(Router::new(plan, octet, host));
        bases.push(base);
    }
    let net = Net { delay_max: shortest / 5, ..Net::default() };
    (World::new(rng.next(), net, built, tracing), bases, longest)
}
