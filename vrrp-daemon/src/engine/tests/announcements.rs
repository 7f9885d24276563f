//! When addresses are announced: keepalived `garp_master_repeat`, `garp_master_delay`; the order advert, address, ARP.

use std::time::Duration;

use super::*;

/// A master since 10 s with no answer about its addresses yet.
fn installing(instance: InstancePlan) -> Bench {
    let mut bench = Bench::up(10 * S - 3_609_375_000, instance);
    assert_eq!(bench.on(10 * S, Input::Deadline), "advert 100, install 1");
    bench
}

fn failed(tenure: u32, address: u32) -> Input {
    Input::Address { id: ID, tenure: Tenure(tenure), address, installed: false }
}

#[test]
fn first_each_then_all_then_all_again() {
    let mut bench = installing(instance());
    assert_eq!(bench.on(10_010 * MS, set(1, 1)), "#1 x1");
    assert_eq!(bench.on(10_020 * MS, set(1, 0)), "#0 x1, all x4");
    for second in 11..=15 {
        assert_eq!(bench.on(second * S, Input::Deadline), "advert 100");
    }
    assert_eq!(bench.due(), 15_020 * MS);
    assert_eq!(bench.why(), Some(Why::AnnounceDue));
    assert_eq!(bench.on(15_020 * MS, Input::Deadline), "all x5");
    assert_eq!(bench.due(), 16 * S);
    for second in 16..30 {
        assert_eq!(bench.on(second * S, Input::Deadline), "advert 100", "no third round");
    }
}

#[test]
fn rounds_and_delay_are_configured() {
    #[rustfmt::skip]
    let rows = [
        // repeat, delay in ms: at the first address, at the last, and when the second round is due
        (5, 5000, "#0 x1", "#1 x1, all x4", Some("all x5")),
        (1, 5000, "#0 x1", "#1 x1",         Some("all x1")),
        (2, 0,    "#0 x1", "#1 x1, all x1", None),
        (0, 5000, "",      "",              None),
    ];
    for (repeat, delay, first, last, again) in rows {
        let garp = GarpPlan { repeat, delay: Duration::from_millis(delay), ..GarpPlan::default() };
        let slow = InstancePlan { garp, advert_int: centis(4000), ..instance() };
        let mut bench = Bench::up(10 * S, slow);
        bench.on(200 * S, Input::Deadline);
        assert_eq!(bench.on(200 * S, set(1, 0)), first);
        assert_eq!(bench.on(200 * S, set(1, 1)), last);
        match again {
            Some(again) => {
                assert_eq!(bench.due(), 205 * S);
                assert_eq!(bench.on(205 * S, Input::Deadline), again);
            }
            None => assert_eq!(bench.on(205 * S, Input::Deadline), ""),
        }
        assert_eq!(bench.due(), 240 * S);
    }
}

#[test]
fn an_answer_of_an_earlier_tenure_is_known_for_what_it_is() {
    let mut bench = installing(instance());
    assert_eq!(bench.hears(10_005 * MS, ABOVE, 200, 100), "release");
    assert_eq!(bench.on(10_010 * MS, set(1, 0)), "", "a backup announces nothing");
    assert_eq!(bench.due(), 13_614_375_000);
    assert_eq!(bench.on(14 * S, Input::Deadline), "advert 100, install 2");
    assert_eq!(bench.on(14_001 * MS, set(1, 1)), "");
    assert_eq!(bench.on(14_002 * MS, set(2, 0)), "#0 x1");
    assert_eq!(bench.on(14_003 * MS, set(2, 1)), "#1 x1, all x4");
}

#[test]
fn an_address_that_fails_is_told_of_and_not_waited_for() {
    let mut bench = installing(instance());
    assert_eq!(bench.on(10_010 * MS, failed(1, 0)), "");
    assert_eq!(bench.told(Event::AddressFailed { address: 0 }), 1);
    assert_eq!(bench.on(10_020 * MS, set(1, 1)), "#1 x1, all x4");
    assert_eq!(bench.state(), StateName::Master);
}

/// One that is set again (somebody removed it) is announced; the others were not in doubt.
#[test]
fn an_address_set_again_is_announced_alone() {
    let mut bench = Bench::master(10 * S, instance());
    assert_eq!(bench.on(10_500 * MS, set(1, 1)), "#1 x1");
    assert_eq!(bench.due(), 11 * S);
}

/// Weaker masters make us announce again, but not before there is something to announce.
#[test]
fn nothing_is_announced_before_it_is_set() {
    let mut bench = installing(instance());
    assert_eq!(bench.hears(10_050 * MS, BELOW, 50, 100), "advert 100");
    assert_eq!(bench.on(10_060 * MS, set(1, 0)), "#0 x1");
    assert_eq!(bench.on(10_070 * MS, set(1, 1)), "#1 x1, all x4");
    assert_eq!(bench.hears(10_080 * MS, BELOW, 50, 100), "advert 100, all x5");
}

/// keepalived `garp_lower_prio_*`: a round at once, another five seconds later, at most one in a second.
#[test]
fn a_weaker_master_provokes_two_rounds() {
    let mut bench = Bench::master(10 * S, InstancePlan { ..instance() });
    assert_eq!(bench.hears(12_500 * MS, BELOW, 50, 100), "advert 100, all x5");
    assert_eq!(bench.hears(13_400 * MS, BELOW, 50, 100), "advert 100");
    assert_eq!(bench.on(17_499 * MS, Input::Deadline), "advert 100", "the round of 15.2 s moved");
    assert_eq!(bench.on(17_500 * MS, Input::Deadline), "all x5");
}

#[test]
fn a_master_without_addresses_announces_nothing() {
    let mut bench = installing(InstancePlan { addresses: 0, ..instance() });
    for second in 11..20 {
        assert_eq!(bench.on(second * S, Input::Deadline), "advert 100");
    }
}

/// Every tenure announces anew; what was pending of the last one is forgotten.
#[test]
fn pending_rounds_end_with_the_tenure() {
    let mut bench = Bench::master(10 * S, instance());
    bench.hears(10_500 * MS, ABOVE, 200, 400);
    assert_eq!(bench.on(15_200 * MS, Input::Deadline), "");
    assert_eq!(bench.state(), StateName::Backup);
}
