//! keepalived `preempt_delay`: a weaker master is let be for a while.

use std::time::Duration;

use super::*;
use crate::engine::event::Seconds;
use crate::engine::snapshot::Cause;

const DELAY: Duration = Duration::from_secs(3);

/// Priority 100, three seconds of patience, since 10 s.
fn patient() -> Bench {
    Bench::up(10 * S, InstancePlan { preempt_delay: DELAY, ..instance() })
}

fn told(bench: &Bench) -> [usize; 2] {
    [
        bench.told(Event::PreemptDelayStarts { delay: Seconds(DELAY) }),
        bench.told(Event::HeardLower { source: BELOW, theirs: priority(50) }),
    ]
}

/// From the first weaker advert on the weaker master is followed; when the time is over it is starved, as without.
#[test]
fn a_weaker_master_is_followed_then_starved() {
    let mut bench = patient();
    for at in (10_500..13_500).step_by(1000) {
        assert_eq!(bench.hears(at * MS, BELOW, 50, 100), "");
        assert_eq!(bench.due(), at * MS + 3_609_375_000, "the wait begins anew");
    }
    assert_eq!(told(&bench), [1, 0]);
    assert_eq!(bench.engine.weaker_than(ID), 0, "all of its adverts count");
    // The time is over 3 s after the first of them, at 13.5 s and not a nanosecond before.
    bench.hears(13_500 * MS - 1, BELOW, 50, 100);
    assert_eq!(bench.due(), 17_109_374_999);
    for at in [13_500, 14_500, 15_500, 16_500] {
        bench.hears(at * MS, BELOW, 50, 100);
        assert_eq!(bench.due(), 17_109_374_999, "discarded");
    }
    assert_eq!(told(&bench), [1, 1]);
    assert_eq!(bench.engine.weaker_than(ID), 100);
    assert_eq!(bench.on(17_109_374_999, Input::Deadline), "advert 100, install 1");
    assert_eq!(bench.snapshot().cause, Cause::LowerPriorityMaster);
    assert_eq!(bench.snapshot().stats.lower_prio_rcvd, 8);
}

/// One that dies meanwhile is replaced like any other, without the delay.
#[test]
fn a_weaker_master_that_dies_is_replaced_at_once() {
    let mut bench = patient();
    bench.hears(10_500 * MS, BELOW, 50, 10);
    assert_eq!(bench.due(), 10_860_937_500, "its interval is learned");
    bench.on(10_860_937_500, Input::Deadline);
    assert_eq!((bench.state(), bench.snapshot().cause), (StateName::Master, Cause::MasterTimeout));
}

/// A better master ends the delay; the next weaker one has the whole of it again.
#[test]
fn a_better_master_ends_the_delay() {
    let mut bench = patient();
    bench.hears(11 * S, BELOW, 50, 100);
    bench.hears(13 * S, ABOVE, 200, 100);
    assert_eq!(bench.told(Event::PreemptDelayEnds), 1);
    bench.hears(14 * S, BELOW, 50, 100);
    assert_eq!(bench.due(), 17_609_375_000, "let be again, though 3 s have passed since 11 s");
    bench.hears(17_100 * MS, BELOW, 50, 100);
    bench.hears(17_200 * MS, ABOVE, 200, 100);
    bench.hears(17_300 * MS, BELOW, 50, 100);
    assert_eq!(told(&bench), [3, 1]);
    assert_eq!(bench.due(), 20_909_375_000);
}

/// Each tenure forgets the patience of the backup before it.
#[test]
fn a_master_that_yielded_is_patient_anew() {
    let mut bench = patient();
    bench.on(14 * S, Input::Deadline);
    bench.hears(15 * S, ABOVE, 200, 100);
    bench.hears(16 * S, BELOW, 50, 100);
    assert_eq!(bench.due(), 19_609_375_000);
}

/// A weaker master that is let be is not absorbed: one of its adverts will be the first to be discarded.
#[test]
fn a_weaker_master_is_not_absorbed() {
    let mut bench = patient();
    let mut absorbs = |at, source, octet| {
        let mut actions = Vec::new();
        bench.engine.handle(Instant::from_nanos(at), advert(source, octet, 100), &mut actions);
        actions.retain(|action| matches!(action, Action::Absorb { .. }));
        actions
    };
    assert_eq!(absorbs(11 * S, ABOVE, 200), [Action::Absorb { id: ID, on: true }]);
    assert_eq!(absorbs(12 * S, BELOW, 50), [Action::Absorb { id: ID, on: false }]);
    assert_eq!(absorbs(13 * S, BELOW, 50), []);
}
