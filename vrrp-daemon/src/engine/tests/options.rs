//! What keepalived's switches change of the rules; and what is not believed of an advert.

use std::time::Duration;

use super::*;
use crate::engine::plan::Startup;
use crate::engine::snapshot::Cause;

/// `lower_prio_no_advert`: no answer; the addresses are announced all the same. Priority 0 is answered.
#[test]
fn lower_prio_no_advert() {
    let mut bench = Bench::master(10 * S, InstancePlan { answers_lower: false, ..instance() });
    assert_eq!(bench.hears(10_500 * MS, BELOW, 50, 100), "all x5");
    assert_eq!(bench.hears(10_600 * MS, BELOW, 0, 100), "advert 100");
    assert_eq!(bench.snapshot().stats.answers_withheld, 0);
}

/// `higher_prio_send_advert`: one more advert, then it yields.
#[test]
fn higher_prio_send_advert() {
    let mut bench = Bench::master(10 * S, InstancePlan { answers_higher: true, ..instance() });
    assert_eq!(bench.hears(10_500 * MS, BELOW, 200, 100), "advert 100, release");
    assert_eq!(bench.state(), StateName::Backup);
}

/// `skip_check_adv_addr`: the first advert of each master is compared, the rest is taken as it is.
#[test]
fn skip_check_adv_addr() {
    for (trusts_master, counted) in [(false, 4), (true, 2)] {
        let mut bench = Bench::up(10 * S, InstancePlan { trusts_master, ..instance() });
        for (at, source) in [(11, ABOVE), (12, ABOVE), (13, BELOW), (14, BELOW)] {
            let claim = Claim::Serving(priority(200));
            let heard = Heard { source, version: Version::V3, claim, interval: centis(100), addresses_match: false };
            bench.on(at * S, Input::Advert(ID, heard));
        }
        assert_eq!(bench.snapshot().stats.addr_list_err, counted);
    }
}

/// `garp_lower_prio_repeat`, `garp_lower_prio_delay`: rounds of their own; 0 for none, which leaves the others alone.
#[test]
fn garp_lower_prio() {
    #[rustfmt::skip]
    let rows = [
        // repeat, delay in seconds: at once, and when which round follows, in milliseconds
        (2, 3, "advert 100, all x2", Some((13_300, "all x2"))),
        (2, 0, "advert 100, all x2", None),
        (0, 3, "advert 100",         Some((15_200, "all x5"))),
    ];
    for (lower_repeat, delay, at_once, round) in rows {
        let garp = GarpPlan { lower_repeat, lower_delay: Duration::from_secs(delay), ..GarpPlan::default() };
        let mut bench = Bench::master(10 * S, InstancePlan { garp, ..instance() });
        assert_eq!(bench.hears(10_300 * MS, BELOW, 50, 100), at_once);
        let rounds = (10_350..30_000).step_by(50).filter_map(|at| {
            let words = bench.on(at * MS, Input::Deadline);
            words.contains("all").then_some((at, words))
        });
        assert_eq!(rounds.collect::<Vec<_>>(), round.map(|(at, words)| (at, words.to_owned())).as_slice());
    }
}

/// `garp_master_refresh`: a round every so often, on a schedule; what was missed is missed.
#[test]
fn garp_master_refresh() {
    let garp = GarpPlan { refresh: Duration::from_secs(20), refresh_repeat: 2, ..GarpPlan::default() };
    let mut bench = Bench::master(10 * S, InstancePlan { garp, ..instance() });
    let mut rounds = Vec::new();
    for tenth in 103..1000 {
        let words = bench.on(tenth * 100 * MS, Input::Deadline);
        if let Some(round) = words.strip_prefix("all ").map(|rest| rest.split(',').next().unwrap_or(rest).to_owned()) {
            rounds.push((tenth, round));
        }
    }
    let expected = [(152, "x5"), (302, "x2"), (502, "x2"), (702, "x2"), (902, "x2")];
    assert_eq!(rounds, expected.map(|(tenth, round)| (tenth, round.to_owned())));
    // 75 s late: one round, and the next 20 s after the last that was due.
    assert_eq!(bench.on(185 * S, Input::Deadline), "all x2, advert 100");
    bench.hears(186 * S, ABOVE, 200, 4000);
    assert_eq!(bench.on(200 * S, Input::Deadline), "", "a backup announces nothing");
}

/// `garp_extra_if`: the addresses that are meant, once each, on a schedule.
#[test]
fn garp_extra_if() {
    let extra = Some(Box::new(ExtraPlan { every: Duration::from_secs(20), addresses: Box::new([1]) }));
    let garp = GarpPlan { delay: Duration::ZERO, extra, ..GarpPlan::default() };
    let mut bench = Bench::master(10 * S, InstancePlan { garp, ..instance() });
    let mut at = Vec::new();
    for tenth in 103..1000 {
        if bench.on(tenth * 100 * MS, Input::Deadline).starts_with("#1 x1") {
            at.push(tenth);
        }
    }
    assert_eq!(at, [302, 502, 702, 902]);
    assert_eq!(bench.on(185 * S, Input::Deadline), "#1 x1, advert 100", "75 s late, and not four times");
    bench.hears(186 * S, ABOVE, 200, 4000);
    assert_eq!(bench.on(200 * S, Input::Deadline), "", "a backup announces nothing");
}

/// `owner_ignore_adverts`: nothing heard moves the owner.
#[test]
fn owner_ignore_adverts() {
    let owner = InstancePlan { priority: Priority::OWNER, ignores_adverts: true, ..instance() };
    let serving = InstancePlan { wanted: Wanted::Master, ..owner.clone() };
    for (plan, state, due) in [(owner, StateName::Backup, 13_003_906_250), (serving, StateName::Master, 11 * S)] {
        let mut bench = Bench::up(10 * S, plan);
        for octet in [0, 50, 255] {
            assert_eq!(bench.hears(10_500 * MS, ABOVE, octet, 100), "");
        }
        assert_eq!((bench.state(), bench.due()), (state, due));
        let stats = bench.snapshot().stats;
        assert_eq!((stats.adverts_ignored, stats.advert_rcvd), (3, 0));
        assert_eq!(bench.engine.weaker_than(ID), 255);
    }
}

/// RX-15, erratum 8298: an owner that hears another counts it, and takes it for what its address is.
#[test]
fn two_owners_are_counted() {
    let owner = InstancePlan { priority: Priority::OWNER, wanted: Wanted::Master, ..instance() };
    let mut bench = Bench::up(10 * S, owner);
    assert_eq!(bench.hears(10_500 * MS, BELOW, 255, 100), "advert 255");
    assert_eq!(bench.hears(10_600 * MS, ABOVE, 255, 100), "release");
    assert_eq!(bench.snapshot().stats.owner_conflicts, 2);
    assert_eq!(
        (bench.told(Event::OtherOwner { source: BELOW }), bench.told(Event::OtherOwner { source: ABOVE })),
        (1, 0)
    );

    let mut bench = Bench::up(10 * S, instance());
    for (at, source) in [(11, ABOVE), (12, ABOVE), (13, BELOW), (14, ABOVE)] {
        bench.hears(at * S, source, 255, 100);
    }
    let stats = bench.snapshot().stats;
    assert_eq!((stats.several_owners, stats.owner_conflicts), (2, 0), "of two at most one is the owner");
    assert_eq!(bench.told(Event::OtherOwner { source: BELOW }), 1);
}

/// `timer_expired_backup`: a master whose advert comes when a router of that priority has taken over lets it.
#[test]
fn timer_expired_backup() {
    let late = InstancePlan { preempt: false, late_rival: Some(priority(254)), ..instance() };
    // Three intervals and the skew of 254 after the last advert.
    let overdue = 13_007_812_500;
    let mut bench = Bench::master(10 * S, late.clone());
    assert_eq!(bench.on(overdue - 1, Input::Deadline), "advert 100");
    let mut bench = Bench::master(10 * S, late.clone());
    assert_eq!(bench.on(overdue, Input::Deadline), "release");
    assert_eq!((bench.state(), bench.snapshot().cause), (StateName::Backup, Cause::CameTooLate));
    assert_eq!(bench.due(), overdue + 3_609_375_000, "and if there is nobody, it is master again");
    assert_eq!(bench.events[bench.events.len() - 3].to_string(), "A thread timer expired 2.007812 seconds ago");

    // It hears of its successor first: that is not told to yield.
    let mut bench = Bench::master(10 * S, late);
    assert_eq!(bench.hears(overdue + MS, BELOW, 50, 100), "release");
    assert_eq!(bench.snapshot().master.map(|master| master.address), Some(BELOW));
    let mut bench = Bench::master(10 * S, instance());
    assert_eq!(bench.on(60 * S, Input::Deadline), "all x5, advert 100", "without it the master goes on");
}

/// PROTOCOL D1 (4): an interval many times ours is not believed of a master that was heard with a shorter one.
#[test]
fn interval_jumps_are_held() {
    #[rustfmt::skip]
    let rows = [
        // intervals heard of the master, in centiseconds: the last that was believed, and how often one was not
        (&[100, 1001][..],        100,  1),
        (&[100, 1000],            1000, 0),
        (&[100, 4095, 4095],      100,  2),
        (&[100, 4095, 100],       100,  1),
        // The first of a master tells what it is, and a shorter one is always welcome.
        (&[4095],                 4095, 0),
        (&[4095, 4095, 2000, 10], 10,   0),
        (&[10, 1000, 4095],       1000, 1),
        // Nor is it after a priority 0 in its name, which is as easily forged.
        (&[100, 0, 4095],         100,  1),
    ];
    for (heard, believed, jumps) in rows {
        let mut bench = Bench::up(10 * S, instance());
        let mut last = 0;
        for (&interval, at) in heard.iter().zip((10_100..).step_by(100)) {
            last = at * MS;
            match interval {
                0 => bench.hears(last, ABOVE, 0, 100),
                interval => bench.hears(last, ABOVE, 200, interval),
            };
        }
        let wait = believed * 10 * MS * 3 + believed * 10 * MS * 156 / 256;
        assert_eq!(bench.due(), last + wait, "{heard:?}");
        assert_eq!(bench.snapshot().stats.interval_jumps, jumps, "{heard:?}");
    }
    // Another master may be of another kind.
    let mut bench = Bench::up(10 * S, instance());
    bench.hears(10_100 * MS, ABOVE, 200, 100);
    bench.hears(10_200 * MS, BELOW, 200, 4095);
    assert_eq!(bench.due(), 10_200 * MS + 4095 * 10 * MS * 3 + 24_953_906_250);
    // A master that yields has no other interval to keep.
    let mut bench = Bench::master(10 * S, instance());
    bench.hears(10_500 * MS, ABOVE, 200, 4095);
    assert_eq!(bench.due(), 10_500 * MS + 4095 * 10 * MS * 3 + 24_953_906_250);
}

/// `vrrp_startup_delay`, `vrrp_delay_after_boot`: nobody takes part, whatever happens; then all do as it is by then.
#[test]
fn everybody_is_held() {
    let second = Duration::from_secs;
    #[rustfmt::skip]
    let rows = [
        // the daemon starts at 5 s after boot; delay, delay after boot: held until
        (second(20), second(0),  25),
        (second(0),  second(30), 30),
        (second(20), second(24), 25),
        (second(20), second(26), 26),
    ];
    for (delay, after_boot, until) in rows {
        let plan = Plan { startup: Startup { delay, after_boot }, ..plan(Vec::new(), instance()) };
        let mut bench = Bench { engine: Engine::new(&plan, Instant::from_nanos(5 * S)), events: Vec::new() };
        assert_eq!(bench.boot(6 * S), "");
        bench.on(7 * S, Input::Interface { id: INTERFACE, up: false });
        bench.on(8 * S, Input::Interface { id: INTERFACE, up: true });
        assert_eq!(bench.hears(9 * S, ABOVE, 200, 100), "");
        assert_eq!((bench.state(), bench.due(), bench.why()), (StateName::Init, until * S, Some(Why::Held)));
        assert_eq!(bench.on(until * S - 1, Input::Deadline), "");
        assert_eq!(bench.state(), StateName::Init);
        assert_eq!(bench.on(until * S, Input::Deadline), "");
        assert_eq!((bench.state(), bench.due()), (StateName::Backup, until * S + 3_609_375_000));
    }
    // Long after boot there is nothing to wait for.
    let startup = Startup { delay: second(0), after_boot: second(4) };
    let plan = Plan { startup, ..plan(Vec::new(), instance()) };
    let mut bench = Bench { engine: Engine::new(&plan, Instant::from_nanos(5 * S)), events: Vec::new() };
    bench.boot(6 * S);
    assert_eq!(bench.due(), 9_609_375_000);
}

/// A daemon that stops while all are held leaves nothing to wait for.
#[test]
fn a_held_daemon_can_stop() {
    let startup = Startup { delay: Duration::from_secs(20), after_boot: Duration::ZERO };
    let plan = Plan { startup, ..plan(Vec::new(), instance()) };
    let mut bench = Bench::new(&plan);
    bench.boot(6 * S);
    assert_eq!(bench.on(7 * S, Input::Shutdown), "");
    assert_eq!(bench.on(20 * S, Input::Deadline), "");
    assert_eq!((bench.state(), bench.due()), (StateName::Stop, NEVER));
}
