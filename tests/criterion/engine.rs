//! The engine alone: what one input costs among 1 to 100,000 instances. The growth should be a logarithm's.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use vrrp_common::{Centis, Claim, Instant, Version, Vrid};
use vrrp_daemon::engine::plan::{GarpPlan, InstanceId, InstancePlan, InterfaceId, Plan, Subject, Watch, Weight};
use vrrp_daemon::engine::{Action, Engine, Heard, Input};

const COUNTS: [u32; 6] = [1, 10, 100, 1_000, 10_000, 100_000];
const INTERVAL: Duration = Duration::from_millis(100);
/// Enough engines at a time that reading the clock does not count.
const TAKEOVERS_MIN: u32 = 64;

fn plan(count: u32) -> Plan {
    let instance = |number: u32| InstancePlan {
        advert_int: Centis::new(10).expect("an interval is not 0"),
        addresses: 1,
        // Its second round would be a deadline of another kind.
        garp: GarpPlan { delay: Duration::ZERO, ..GarpPlan::default() },
        watches: vec![Watch { subject: Subject::Interface(InterfaceId(number)), weight: Weight::default() }],
        ..InstancePlan::new(InterfaceId(number), Vrid::new((number % 255) as u8 + 1).expect("not 0"), Version::V3)
    };
    Plan { interfaces: count, instances: (0..count).map(instance).collect::<Vec<_>>().into(), ..Plan::default() }
}

/// Backups whose deadlines are spread over one interval.
fn backups(count: u32) -> Engine {
    let mut engine = Engine::new(&plan(count), Instant::from_nanos(0));
    let mut actions = Vec::new();
    for number in 0..count {
        let at = Instant::from_nanos(0) + INTERVAL * number / count;
        let source = Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)));
        engine.handle(at, Input::Source { id: InstanceId(number), address: source }, &mut actions);
        engine.handle(at, Input::Interface { id: InterfaceId(number), up: true }, &mut actions);
        actions.clear();
    }
    engine
}

/// The same as masters, their addresses set.
fn masters(count: u32) -> Engine {
    let mut engine = backups(count);
    let mut actions = Vec::new();
    let mut left = count;
    while let (Some((due, _)), true) = (engine.deadline(), left > 0) {
        engine.handle(due, Input::Deadline, &mut actions);
        for action in std::mem::take(&mut actions) {
            if let Action::Install { id, tenure } = action {
                left -= 1;
                engine.handle(due, Input::Address { id, tenure, address: 0, installed: true }, &mut actions);
            }
        }
        actions.clear();
    }
    engine
}

fn adverts_heard(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine: an advert heard by a backup, among");
    for count in COUNTS {
        let mut engine = backups(count);
        let (mut actions, mut number, mut now) = (Vec::new(), 0u32, Instant::from_nanos(0) + INTERVAL);
        let heard = Heard {
            source: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
            version: Version::V3,
            claim: Claim::from_octet(200),
            interval: Centis::new(10).expect("an interval is not 0"),
            addresses_match: true,
        };
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                // A stride that visits all of them in no order that a cache could learn.
                number = (number + 61_803) % count;
                now = now + INTERVAL / count;
                engine.handle(now, Input::Advert(InstanceId(number), heard), &mut actions);
                black_box(&actions);
                actions.clear();
            });
        });
    }
    group.finish();
}

fn adverts_due(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine: an advert due of a master, among");
    for count in COUNTS {
        let mut engine = masters(count);
        let mut actions = Vec::new();
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                let (due, _) = engine.deadline().expect("a master has a deadline");
                engine.handle(due, Input::Deadline, &mut actions);
                black_box(&actions);
                actions.clear();
            });
        });
    }
    group.finish();
}

fn takeovers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine: a takeover by a backup, among");
    for count in COUNTS {
        let engine = backups(count);
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_custom(|wanted| {
                let (mut took, mut done) = (Duration::ZERO, 0);
                let mut actions = Vec::new();
                while done < wanted {
                    let mut copies = vec![engine.clone(); TAKEOVERS_MIN.div_ceil(count) as usize];
                    let each = (wanted - done).div_ceil(copies.len() as u64).min(u64::from(count));
                    let start = std::time::Instant::now();
                    for engine in &mut copies {
                        for _ in 0..each {
                            let (due, _) = engine.deadline().expect("a backup has a deadline");
                            engine.handle(due, Input::Deadline, &mut actions);
                            black_box(&actions);
                            actions.clear();
                        }
                    }
                    // The last round may do more than was wanted: what counts is the time of each.
                    let did = each * copies.len() as u64;
                    let counted = did.min(wanted - done);
                    took += start.elapsed().mul_f64(counted as f64 / did as f64);
                    done += counted;
                }
                took
            });
        });
    }
    group.finish();
}

fn quick() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
}

criterion_group! { name = engine; config = quick(); targets = adverts_heard, adverts_due, takeovers }
criterion_main!(engine);
