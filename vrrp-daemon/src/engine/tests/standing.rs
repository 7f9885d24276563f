//! Checks and weights as they bear on an instance: keepalived's rise, fall, weight, reverse and init_fail.

use super::*;
use crate::engine::snapshot::Cause;

/// One check with this weight, and an instance of priority 100 that started at 10 s.
fn watching(value: i16, reverse: bool, tracker: TrackerPlan) -> Bench {
    let mut watches = instance().watches;
    watches.push(watch(value, reverse));
    let mut bench = Bench::new(&plan(vec![tracker], InstancePlan { watches, ..instance() }));
    bench.boot(10 * S);
    bench
}

const ONCE: TrackerPlan = TrackerPlan { rise: 1, fall: 1, starts_failed: false };

fn check(bench: &mut Bench, at: u64, outcomes: &str) -> String {
    let outcomes = outcomes.chars().map(|outcome| Input::Check { id: TRACKER, passed: outcome == '+' });
    outcomes.map(|input| bench.on(at, input)).collect()
}

/// A failing check of weight -50 takes 50 away; the wait of a backup is that of its new priority at once.
#[test]
fn a_negative_weight_is_taken_away_while_it_fails() {
    let mut bench = watching(-50, false, ONCE);
    assert_eq!((bench.state(), bench.effective(), bench.due()), (StateName::Backup, 100, 13_609_375_000));
    check(&mut bench, 11 * S, "+");
    assert_eq!(bench.effective(), 100);
    check(&mut bench, 11 * S, "-");
    assert_eq!((bench.effective(), bench.due()), (50, 13_804_687_500));
    check(&mut bench, 11 * S, "+");
    assert_eq!((bench.effective(), bench.due()), (100, 13_609_375_000));
}

/// A master says its new priority with its next advert, on the same schedule, and yields to one between.
#[test]
fn a_master_that_weighs_less_yields() {
    let mut bench = watching(-50, false, ONCE);
    bench.on(13_609_375_000, Input::Deadline);
    assert_eq!(check(&mut bench, 14 * S, "-"), "");
    assert_eq!(bench.due(), 14_609_375_000);
    assert_eq!(bench.on(14_609_375_000, Input::Deadline), "advert 50");
    assert_eq!(bench.hears(15 * S, BELOW, 80, 100), "release");
    assert_eq!(bench.due(), 18_804_687_500);
    check(&mut bench, 16 * S, "+");
    assert_eq!(bench.hears(17 * S, BELOW, 80, 100), "", "now weaker than ours");
    assert_eq!(bench.due(), 18_609_375_000);
    assert_eq!(bench.on(18_609_375_000, Input::Deadline), "advert 100, install 2");
    let changed = |from, to| Event::PriorityChanged { from: priority(from), to: priority(to) };
    assert_eq!((bench.told(changed(100, 50)), bench.told(changed(50, 100))), (1, 1));
}

/// Sums stay between 1 and 254: neither the octet of leaving nor that of the owner.
#[test]
fn effective_priority_is_clamped() {
    #[rustfmt::skip]
    let rows = [
        // weight, reverse, outcome: effective
        (20,   false, "+", 120), (20,   false, "-", 100),
        (20,   true,  "+", 80),  (20,   true,  "-", 100),
        (-50,  false, "+", 100), (-50,  false, "-", 50),
        (-50,  true,  "+", 100), (-50,  true,  "-", 150),
        (154,  false, "+", 254), (155,  false, "+", 254), (253, false, "+", 254),
        (-99,  false, "-", 1),   (-100, false, "-", 1),   (-253, false, "-", 1),
    ];
    for (weight, reverse, outcome, effective) in rows {
        let mut bench = watching(weight, reverse, ONCE);
        check(&mut bench, 11 * S, outcome);
        assert_eq!(bench.effective(), effective, "{weight} {reverse} {outcome}");
    }
}

/// The owner ignores weights, but not faults.
#[test]
fn the_owner_ignores_weights() {
    for (weight, effective, state) in [(-50, 255, StateName::Backup), (0, 255, StateName::Fault)] {
        let owner = InstancePlan {
            priority: Priority::OWNER,
            watches: vec![
                Watch { subject: Subject::Interface(INTERFACE), weight: Weight::default() },
                watch(weight, false),
            ],
            ..instance()
        };
        let mut bench = Bench::new(&plan(vec![ONCE], owner));
        check(&mut bench, 9 * S, "+");
        bench.boot(10 * S);
        check(&mut bench, 11 * S, "-");
        assert_eq!((bench.effective(), bench.state()), (effective, state), "weight {weight}");
    }
}

/// Weight 0: wait for the first outcome, leave while it fails, come back by the whole wait.
#[test]
fn weight_zero_is_a_fault() {
    let mut bench = watching(0, false, ONCE);
    assert_eq!((bench.state(), bench.due()), (StateName::Init, NEVER));
    check(&mut bench, 11 * S, "+");
    assert_eq!((bench.state(), bench.due()), (StateName::Backup, 14_609_375_000));
    bench.on(14_609_375_000, Input::Deadline);
    assert_eq!(check(&mut bench, 15 * S, "-"), "advert 0, release");
    assert_eq!((bench.state(), bench.snapshot().cause), (StateName::Fault, Cause::CheckFailed));
    assert_eq!(check(&mut bench, 16 * S, "+"), "");
    assert_eq!((bench.state(), bench.due()), (StateName::Backup, 19_609_375_000));
}

/// A first failure counts at once, whatever `fall` says; `reverse` turns it round.
#[test]
fn the_first_outcome_decides() {
    let slow = TrackerPlan { rise: 5, fall: 5, starts_failed: false };
    for (reverse, outcome, state) in [
        (false, "+", StateName::Backup),
        (false, "-", StateName::Fault),
        (true, "+", StateName::Fault),
        (true, "-", StateName::Backup),
    ] {
        let mut bench = watching(0, reverse, slow);
        check(&mut bench, 11 * S, outcome);
        assert_eq!(bench.state(), state, "{reverse} {outcome}");
    }
}

#[test]
fn rise_and_fall_are_counted_in_a_row() {
    let mut bench = watching(-50, false, TrackerPlan { rise: 2, fall: 3, starts_failed: false });
    #[rustfmt::skip]
    let steps = [
        ("+", 100), ("-", 100), ("-", 100), ("+", 100), ("-", 100), ("-", 100), ("-", 50),
        ("+", 50), ("-", 50), ("+", 50), ("+", 100),
    ];
    for (step, (outcome, effective)) in steps.into_iter().enumerate() {
        check(&mut bench, 11 * S, outcome);
        assert_eq!(bench.effective(), effective, "outcome number {step}");
    }
}

/// keepalived `init_fail`: failed from the start, and has to rise like any other.
#[test]
fn init_fail_starts_failed() {
    let failed = TrackerPlan { rise: 2, fall: 1, starts_failed: true };
    let mut bench = watching(0, false, failed);
    assert_eq!(bench.state(), StateName::Fault);
    check(&mut bench, 11 * S, "+");
    assert_eq!(bench.state(), StateName::Fault);
    check(&mut bench, 11 * S, "+");
    assert_eq!(bench.state(), StateName::Backup);

    let mut bench = watching(-50, false, failed);
    assert_eq!(bench.effective(), 50);
    check(&mut bench, 11 * S, "++");
    assert_eq!(bench.effective(), 100);
}

/// `track_interface` with a weight: a link that is down weighs, and is no fault.
#[test]
fn a_weighted_interface_is_no_fault() {
    let other = InterfaceId(1);
    let mut watches = instance().watches;
    watches.push(Watch { subject: Subject::Interface(other), weight: Weight { value: -30, reverse: false } });
    let plan = Plan { interfaces: 2, ..plan(Vec::new(), InstancePlan { watches, ..instance() }) };
    let mut bench = Bench::new(&plan);
    bench.boot(10 * S);
    bench.on(11 * S, Input::Interface { id: other, up: false });
    assert_eq!((bench.state(), bench.effective()), (StateName::Backup, 70));
    bench.on(12 * S, Input::Interface { id: other, up: true });
    assert_eq!(bench.effective(), 100);
}

/// Several weights add up, and a fault among them outweighs all.
#[test]
fn weights_add_up() {
    let trackers = vec![ONCE; 3];
    let weigh =
        |id, value| Watch { subject: Subject::Tracker(TrackerId(id)), weight: Weight { value, reverse: false } };
    let mut watches = instance().watches;
    watches.extend([weigh(0, 20), weigh(1, -60), weigh(2, 0)]);
    let mut bench = Bench::new(&plan(trackers, InstancePlan { watches, ..instance() }));
    bench.boot(10 * S);
    let mut outcome = |id, passed| {
        bench.on(11 * S, Input::Check { id: TrackerId(id), passed });
        (bench.state(), bench.effective())
    };
    outcome(2, true);
    assert_eq!(outcome(0, true), (StateName::Backup, 120));
    assert_eq!(outcome(1, false), (StateName::Backup, 60));
    assert_eq!(outcome(0, false), (StateName::Backup, 40));
    assert_eq!(outcome(2, false).0, StateName::Fault);
    outcome(1, true);
    assert_eq!(outcome(2, true), (StateName::Backup, 100), "recomputed, not adjusted");
}

/// keepalived `track_file`: the number times the weight is added; what takes away all is a fault, as is any but 0 of weight 0.
#[test]
fn a_number_is_weighed_or_a_fault() {
    #[rustfmt::skip]
    let rows = [
        // weight, reverse, number: effective
        (1, false, 20, Some(120)), (1, false, -50, Some(50)), (1, true, 20, Some(80)),
        (2, false, 90, Some(254)), (1, false, -253, Some(1)), (1, false, -254, None), (2, false, -127, None),
        (0, false, 0, Some(100)),  (0, false, 1, None),       (0, true, 0, None),
    ];
    for (weight, reverse, value, effective) in rows {
        let mut bench = watching(weight, reverse, ONCE);
        bench.on(11 * S, Input::Value { id: TRACKER, value });
        let is = (bench.state() != StateName::Fault).then(|| bench.effective());
        assert_eq!(is, effective, "{weight} {reverse} {value}");
        let well = if weight == 0 && reverse { 1 } else { 0 };
        bench.on(12 * S, Input::Value { id: TRACKER, value: well });
        assert_eq!((bench.state(), bench.effective()), (StateName::Backup, 100), "{weight} {reverse} {value}");
    }
}

/// A check that several instances watch moves them all, each by its own weight.
#[test]
fn one_check_many_instances() {
    let instances = [-10, -20, 0].map(|value| {
        let mut watches = instance().watches;
        watches.push(watch(value, false));
        InstancePlan { watches, ..instance() }
    });
    let plan = Plan { interfaces: 1, trackers: vec![ONCE], instances: instances.to_vec().into(), ..Plan::default() };
    let mut engine = Engine::new(&plan, Instant::from_nanos(0));
    let mut actions = Vec::new();
    let mut on = |input| engine.handle(Instant::from_nanos(10 * S), input, &mut actions);
    for id in 0..3 {
        on(Input::Source { id: InstanceId(id), address: Some(OURS) });
    }
    on(Input::Interface { id: INTERFACE, up: true });
    on(Input::Check { id: TRACKER, passed: true });
    on(Input::Check { id: TRACKER, passed: false });
    let after = |id| {
        let snapshot = engine.snapshot(InstanceId(id));
        (snapshot.state, snapshot.effective.get())
    };
    assert_eq!(
        [after(0), after(1), after(2)],
        [(StateName::Backup, 90), (StateName::Backup, 80), (StateName::Fault, 100)]
    );
}
