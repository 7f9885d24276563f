//! `interface_up_down_delays`: what does not last has not happened.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::engine::matching::{Common, Matching, Moves};
use crate::engine::plan::LinkDelay;

/// Down counts after two seconds, up after one.
fn delays(down: u64, up: u64) -> BTreeMap<InterfaceId, LinkDelay> {
    let delay = LinkDelay { down: Duration::from_secs(down), up: Duration::from_secs(up) };
    [(INTERFACE, delay)].into()
}

const fn link(up: bool) -> Input {
    Input::Interface { id: INTERFACE, up }
}

/// Master from 10 s on; its adverts are due each second.
fn master() -> Bench {
    let mut bench = Bench::new(&Plan { delays: delays(2, 1), ..plan(Vec::new(), instance()) });
    bench.boot(10 * S - 3_609_375_000);
    assert_eq!(bench.on(10 * S, Input::Deadline), "advert 100, install 1");
    bench.on(10 * S, set(1, 0));
    bench.on(10 * S, set(1, 1));
    bench
}

#[test]
fn the_first_word_counts() {
    let mut bench = Bench::new(&Plan { delays: delays(2, 1), ..plan(Vec::new(), instance()) });
    bench.boot(S);
    assert_eq!((bench.state(), bench.why()), (StateName::Backup, Some(Why::MasterDown)));
}

#[test]
fn what_is_taken_back_has_not_happened() {
    let mut bench = master();
    assert_eq!(bench.on(10_100 * MS, link(false)), "");
    assert_eq!(bench.engine.link_delay(INTERFACE, false), Some(Duration::from_secs(2)));
    assert_eq!(bench.on(11 * S, Input::Deadline), "advert 100");
    assert_eq!(bench.on(11_500 * MS, link(true)), "");
    assert_eq!(bench.engine.link_delay(INTERFACE, true), None);
    assert_eq!(bench.on(12 * S, Input::Deadline), "advert 100");
    assert_eq!(bench.on(12_100 * MS, Input::Deadline), "", "its two seconds would be over");
    assert_eq!((bench.state(), bench.due()), (StateName::Master, 13 * S));
}

#[test]
fn what_lasts_counts_when_its_time_is_over() {
    let mut bench = master();
    bench.on(10_100 * MS, link(false));
    bench.on(11 * S, Input::Deadline);
    assert_eq!(bench.on(11_500 * MS, link(false)), "", "the time goes on");
    bench.on(12 * S, Input::Deadline);
    assert_eq!((bench.due(), bench.why()), (12_100 * MS, Some(Why::LinkLasts)));
    assert_eq!(bench.on(12_100 * MS, Input::Deadline), "advert 0, release");
    assert_eq!((bench.state(), bench.due()), (StateName::Fault, NEVER));

    bench.on(20 * S, link(true));
    assert_eq!((bench.state(), bench.due(), bench.why()), (StateName::Fault, 21 * S, Some(Why::LinkLasts)));
    bench.on(21 * S, Input::Deadline);
    assert_eq!((bench.state(), bench.due()), (StateName::Backup, 24_609_375_000));
}

/// Late, it acts in the order in which things were due.
#[test]
fn an_advert_that_was_due_before_leaves_before() {
    let mut bench = master();
    bench.on(10_100 * MS, link(false));
    assert_eq!(bench.on(12_500 * MS, Input::Deadline), "advert 100, advert 0, release");
}

/// keepalived 2.2.7 was observed to have it so, although the address that goes with an interface is a fault of its own.
#[test]
fn an_interface_that_is_gone_is_down_at_once_and_another_of_its_name_is_up_at_once() {
    let mut bench = master();
    bench.on(10_100 * MS, link(false));
    assert_eq!(bench.on(10_200 * MS, Input::NoInterface(INTERFACE)), "advert 0, release");
    assert_eq!((bench.state(), bench.due()), (StateName::Fault, NEVER));
    assert_eq!(bench.engine.link_delay(INTERFACE, true), None);
    bench.on(11 * S, link(true));
    assert_eq!((bench.state(), bench.due()), (StateName::Backup, 14_609_375_000));
    bench.on(12 * S, link(false));
    assert_eq!((bench.state(), bench.due(), bench.why()), (StateName::Backup, 14 * S, Some(Why::LinkLasts)));
}

/// Goes on by other delays, at this time.
fn reload(bench: &mut Bench, at: u64, delays: BTreeMap<InterfaceId, LinkDelay>) {
    let next = Plan { delays, ..plan(Vec::new(), instance()) };
    let matching = Matching {
        common: vec![Common { hears_alike: true, addresses: None }],
        instances: Moves::new(1, vec![Some(ID)]),
        interfaces: Moves::new(1, vec![Some(INTERFACE)]),
        trackers: Moves::default(),
    };
    let mut actions = Vec::new();
    bench.engine.reload(Instant::from_nanos(at), &next, &matching, &[Some(OURS)], &mut actions);
}

#[test]
fn a_reload_changes_what_is_waited_for() {
    for (next, state, due) in [
        (delays(2, 1), StateName::Master, 12_100 * MS),
        (delays(9, 9), StateName::Master, 12_100 * MS),
        (delays(1, 1), StateName::Master, 11_500 * MS),
        (BTreeMap::new(), StateName::Fault, NEVER),
    ] {
        let mut bench = master();
        bench.on(10_100 * MS, link(false));
        reload(&mut bench, 10_500 * MS, next);
        assert_eq!(bench.state(), state);
        bench.on(11 * S, Input::Deadline);
        if due == 12_100 * MS {
            bench.on(12 * S, Input::Deadline);
        }
        assert_eq!(bench.due(), due);
    }
}

#[test]
fn while_all_are_held_it_counts_like_anything_else() {
    let startup = crate::engine::plan::Startup { delay: Duration::from_secs(5), ..Default::default() };
    let mut bench = Bench::new(&Plan { delays: delays(2, 1), startup, ..plan(Vec::new(), instance()) });
    bench.boot(S);
    bench.on(2 * S, link(false));
    assert_eq!((bench.due(), bench.why()), (5 * S, Some(Why::Held)));
    bench.on(5 * S, Input::Deadline);
    assert_eq!((bench.state(), bench.due()), (StateName::Fault, NEVER));
}
