//! Durations and schedules to the nanosecond: PROTOCOL TM-01 to TM-06.

use super::*;

/// TM-01, TM-02: the first wait of an instance that starts at 10 s, by its own interval.
#[test]
fn the_first_wait() {
    #[rustfmt::skip]
    let rows = [
        // version, priority, advert_int, down_timer_adverts: due
        (Version::V3, 100, 100, 3, 13_609_375_000),
        (Version::V3, 254, 100, 3, 13_007_812_500),
        (Version::V3, 1,   100, 3, 13_996_093_750),
        (Version::V3, 255, 100, 3, 13_003_906_250),
        // At a centisecond a step of priority is 39 us: whole centiseconds would lose the order.
        (Version::V3, 254, 1,   3, 10_030_078_125),
        (Version::V3, 101, 1,   3, 10_036_054_687),
        (Version::V3, 100, 1,   3, 10_036_093_750),
        (Version::V3, 1,   1,   3, 10_039_960_937),
        (Version::V3, 100, 25,  3, 10_902_343_750),
        (Version::V3, 100, 100, 1, 11_609_375_000),
        (Version::V3, 100, 4095, 100, 4_129_953_906_250),
        // v2's skew is a part of a second, whatever the interval.
        (Version::V2, 100, 100, 3, 13_609_375_000),
        (Version::V2, 100, 300, 3, 19_609_375_000),
        (Version::V2, 255, 100, 3, 13_003_906_250),
    ];
    for (version, octet, interval, down_adverts, due) in rows {
        let bench = Bench::up(
            10 * S,
            InstancePlan {
                version,
                priority: priority(octet),
                advert_int: centis(interval),
                down_adverts,
                ..instance()
            },
        );
        assert_eq!(bench.due(), due, "{version:?} {octet} {interval} {down_adverts}");
        assert_eq!(bench.why(), Some(Why::MasterDown));
    }
}

/// FSM-B2 fires at the deadline, not a nanosecond before.
#[test]
fn the_down_timer_fires_when_due() {
    let mut bench = Bench::up(10 * S, instance());
    assert_eq!(bench.on(13_609_374_999, Input::Deadline), "");
    assert_eq!(bench.state(), StateName::Backup);
    assert_eq!(bench.on(13_609_375_000, Input::Deadline), "advert 100, install 1");
    assert_eq!(bench.state(), StateName::Master);
    assert_eq!(bench.due(), 14_609_375_000);
    assert_eq!(bench.why(), Some(Why::AdvertDue));
}

/// TM-03, TM-04: v3 waits by the interval it heard, and sends by its own.
#[test]
fn v3_learns_the_interval_and_sends_by_its_own() {
    let mut bench = Bench::up(10 * S, instance());
    bench.hears(11 * S, ABOVE, 200, 10);
    assert_eq!(bench.due(), 11_360_937_500);
    bench.hears(11_100 * MS, ABOVE, 200, 400);
    assert_eq!(bench.due(), 25_537_500_000);
    bench.on(25_537_500_000, Input::Deadline);
    assert_eq!(bench.due(), 26_537_500_000, "our own second, not their four");
}

/// TM-03: skew is of the interval that was learned before, also when the master leaves.
#[test]
fn skew_is_of_the_learned_interval() {
    let mut bench = Bench::up(10 * S, instance());
    bench.hears(11 * S, ABOVE, 200, 10);
    bench.hears(11_050 * MS, ABOVE, 0, 400);
    assert_eq!(bench.due(), 11_110_937_500);
    bench.on(11_110_937_500, Input::Deadline);
    assert_eq!(bench.state(), StateName::Master);
}

/// TM-03: a discarded advert teaches nothing.
#[test]
fn a_discarded_advert_teaches_nothing() {
    let mut bench = Bench::up(10 * S, instance());
    bench.hears(11 * S, ABOVE, 99, 10);
    assert_eq!(bench.due(), 13_609_375_000);
    bench.hears(12 * S, ABOVE, 0, 10);
    assert_eq!(bench.due(), 12_609_375_000, "skew of the second that was known");
}

/// v2 keeps its own interval even if another should ever get here.
#[test]
fn v2_learns_nothing() {
    let mut bench = Bench::up(10 * S, InstancePlan { version: Version::V2, ..instance() });
    bench.hears(11 * S, ABOVE, 200, 300);
    assert_eq!(bench.due(), 14_609_375_000);
}

/// TM-06: the wait is measured from the arrival, and an older arrival cannot shorten it.
#[test]
fn the_wait_is_from_the_arrival() {
    let mut bench = Bench::up(10 * S, instance());
    bench.hears(12 * S, ABOVE, 200, 100);
    assert_eq!(bench.due(), 15_609_375_000);
    bench.hears(11 * S, ABOVE, 200, 100);
    assert_eq!(bench.due(), 15_609_375_000, "heard out of order");
    bench.hears(11_500 * MS, ABOVE, 0, 100);
    assert_eq!(bench.due(), 15_609_375_000, "it left before it was heard serving: it serves");
}

/// FSM-B3: the remaining wait is never made longer, however often masters leave.
#[test]
fn leaving_only_shortens() {
    let mut bench = Bench::up(10 * S, instance());
    bench.hears(13_500 * MS, ABOVE, 0, 100);
    assert_eq!(bench.due(), 13_609_375_000, "less than the skew was left");
    let mut bench = Bench::up(10 * S, instance());
    for at in (10_100..10_700).step_by(100) {
        bench.hears(at * MS, ABOVE, 0, 100);
        assert_eq!(bench.due(), 10_709_375_000);
    }
}

/// FSM-A2 on an absolute schedule: late wake-ups do not add up.
#[test]
fn adverts_do_not_drift() {
    let mut bench = Bench::master(10 * S, instance());
    for (second, late) in [(11, 0), (12, 300), (13, 999), (14, 1)] {
        assert_eq!(bench.due(), second * S);
        assert_eq!(bench.on(second * S + late * MS, Input::Deadline).matches("advert 100").count(), 1);
        assert_eq!(bench.due(), (second + 1) * S);
    }
    assert_eq!(bench.snapshot().stats.advert_missed, 0);
}

/// Intervals that passed are skipped and counted: no burst makes up for them.
#[test]
fn missed_intervals_are_skipped_and_counted() {
    let quick = InstancePlan { advert_int: centis(1), addresses: 0, ..instance() };
    let mut bench = Bench::up(10 * S, quick);
    bench.on(10_040 * MS, Input::Deadline);
    assert_eq!(bench.due(), 10_050 * MS);
    assert_eq!(bench.on(10_085 * MS, Input::Deadline), "advert 100");
    assert_eq!(bench.due(), 10_090 * MS);
    assert_eq!(bench.snapshot().stats.advert_missed, 3);
    assert_eq!(bench.on(10_100 * MS, Input::Deadline), "advert 100", "due at .090 and at .100");
    assert_eq!(bench.due(), 10_110 * MS);
    assert_eq!(bench.snapshot().stats.advert_missed, 4);
    assert_eq!(bench.on(10_105 * MS, Input::Deadline), "");
}

/// With a phase adverts leave on the grid of the clock, the first of a tenure within one interval, late or not.
#[test]
fn a_phase_is_kept() {
    let phase = Some(std::time::Duration::from_micros(2500));
    let quick = InstancePlan { advert_int: centis(1), phase, addresses: 0, ..instance() };
    #[rustfmt::skip]
    let rows = [
        // becomes master at: next advert, in microseconds after 10 s
        (2_499, 2_500), (2_500, 12_500), (2_501, 12_500), (12_499, 12_500), (0, 2_500),
    ];
    for (at, due) in rows {
        let mut bench = Bench::up(9 * S, quick.clone());
        bench.on(10 * S + at * 1000, Input::Deadline);
        assert_eq!(bench.due(), 10 * S + due * 1000, "master at {at}");
    }
    let mut bench = Bench::up(9 * S, quick);
    bench.on(10 * S, Input::Deadline);
    for (at, due) in [(2_500, 12_500), (12_900, 22_500), (52_499, 52_500), (52_500, 62_500)] {
        assert_eq!(bench.on(10 * S + at * 1000, Input::Deadline), "advert 100");
        assert_eq!(bench.due(), 10 * S + due * 1000, "sent at {at}");
    }
    assert_eq!(bench.snapshot().stats.advert_missed, 2);
    // FSM-A3: the answer to one that leaves is an advert like any other.
    assert_eq!(bench.hears(10 * S + 63 * MS, BELOW, 0, 1), "advert 100");
    assert_eq!(bench.due(), 10 * S + 72_500_000);
}

/// Many instances: due ones in the order of their instants, equal ones in the order of the plan.
#[test]
fn instances_come_in_the_order_of_their_deadlines() {
    let octets = [100, 200, 150, 200];
    let instances = octets.map(|octet| InstancePlan { priority: priority(octet), ..instance() }).to_vec();
    let mut engine =
        Engine::new(&Plan { interfaces: 1, instances: instances.into(), ..Plan::default() }, Instant::from_nanos(0));
    let mut actions = Vec::new();
    let start = Instant::from_nanos(10 * S);
    for id in 0..4 {
        engine.handle(start, Input::Source { id: InstanceId(id), address: Some(OURS) }, &mut actions);
    }
    engine.handle(start, Input::Interface { id: INTERFACE, up: true }, &mut actions);
    actions.clear();
    engine.handle(Instant::from_nanos(14 * S), Input::Deadline, &mut actions);
    let order: Vec<u32> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Install { id, .. } => Some(id.0),
            _ => None,
        })
        .collect();
    assert_eq!(order, [1, 3, 2, 0]);
}
