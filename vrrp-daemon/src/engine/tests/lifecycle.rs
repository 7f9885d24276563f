//! Every input but adverts in every state: PROTOCOL FSM-I1, I2, B1, B2, A1, A2, P2, and keepalived's FAULT.

use super::*;
use crate::engine::snapshot::Cause;

/// The state that an input meets at 10.5 s. Priority 100, and a check of weight 0 that has passed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum From {
    /// It knows its source address and its check; its interface was not heard of.
    Init,
    /// The interface is down since 10 s.
    Fault,
    Stopped,
    /// Since 10 s.
    Backup,
    /// Since 10 s; address 0 is set, address 1 not answered yet.
    Master,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Given {
    InterfaceUp,
    InterfaceDown,
    SourceGone,
    SourceOther,
    CheckPassed,
    CheckFailed,
    AddressSet,
    AddressFailed,
    AddressOfAnEarlierTenure,
    Announce,
    /// Handed in at 10.5 s, when nothing is due yet.
    TooEarly,
    /// Handed in at 60 s, when everything is due.
    Due,
    Shutdown,
}

use Given::*;

const FROM: [From; 5] = [From::Init, From::Fault, From::Stopped, From::Backup, From::Master];
const GIVEN: [Given; 13] = [
    InterfaceUp,
    InterfaceDown,
    SourceGone,
    SourceOther,
    CheckPassed,
    CheckFailed,
    AddressSet,
    AddressFailed,
    AddressOfAnEarlierTenure,
    Announce,
    TooEarly,
    Due,
    Shutdown,
];

struct Row(&'static str, From, &'static [Given], StateName, &'static str, u64);

use StateName::{Backup as B, Fault as F, Init as I, Master as M, Stop as S_};

/// What does not touch an instance that waits or serves.
const INDIFFERENT: &[Given] = &[InterfaceUp, SourceOther, CheckPassed, AddressOfAnEarlierTenure, TooEarly];

/// What means nothing to one that takes no part.
const NOTHING: &[Given] = &[AddressSet, AddressFailed, AddressOfAnEarlierTenure, Announce, TooEarly, Due];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row("FSM-I2", From::Init, &[InterfaceUp], B, "", 14_109_375_000),
    Row("FSM-P2", From::Init, &[InterfaceDown, CheckFailed], F, "", NEVER),
    Row("waits for its interface", From::Init, &[SourceGone, SourceOther, CheckPassed], I, "", NEVER),
    Row("nothing is pending", From::Init, NOTHING, I, "", NEVER),
    Row("FSM-B1", From::Init, &[Shutdown], S_, "", NEVER),

    Row("FSM-I2 again", From::Fault, &[InterfaceUp], B, "", 14_109_375_000),
    Row("still at fault", From::Fault, &[InterfaceDown, CheckFailed, SourceGone, SourceOther, CheckPassed], F, "", NEVER),
    Row("nothing is pending", From::Fault, NOTHING, F, "", NEVER),
    Row("FSM-B1", From::Fault, &[Shutdown], S_, "", NEVER),

    Row("stopped is the end", From::Stopped, &GIVEN, S_, "", NEVER),

    Row("indifferent", From::Backup, INDIFFERENT, B, "", 13_609_375_000),
    Row("indifferent", From::Backup, &[AddressSet, AddressFailed, Announce], B, "", 13_609_375_000),
    Row("FSM-P2", From::Backup, &[InterfaceDown, SourceGone, CheckFailed], F, "", NEVER),
    Row("FSM-B2", From::Backup, &[Due], M, "advert 100, install 1", 61_000_000_000),
    Row("FSM-B1", From::Backup, &[Shutdown], S_, "", NEVER),

    Row("indifferent", From::Master, INDIFFERENT, M, "", 11_000_000_000),
    Row("the last address", From::Master, &[AddressSet], M, "#1 x1, all x4", 11_000_000_000),
    Row("the last address", From::Master, &[AddressFailed], M, "all x4", 11_000_000_000),
    Row("asked for, once", From::Master, &[Announce], M, "all x1", 11_000_000_000),
    Row("FSM-P2", From::Master, &[InterfaceDown, SourceGone, CheckFailed], F, "advert 0, release", NEVER),
    Row("FSM-A2", From::Master, &[Due], M, "advert 100", 61_000_000_000),
    Row("FSM-A1", From::Master, &[Shutdown], S_, "advert 0, release", NEVER),
];

fn bench(from: From) -> Bench {
    let checked = InstancePlan {
        watches: vec![Watch { subject: Subject::Interface(INTERFACE), weight: Weight::default() }, watch(0, false)],
        ..instance()
    };
    let once = TrackerPlan { rise: 1, fall: 1, starts_failed: false };
    let mut bench = Bench::new(&plan(vec![once], checked));
    bench.on(S, Input::Source { id: ID, address: Some(OURS) });
    bench.on(S, Input::Check { id: TRACKER, passed: true });
    let mut interface = |at, up| bench.on(at, Input::Interface { id: INTERFACE, up });
    match from {
        From::Init => {}
        From::Fault => {
            interface(9 * S, true);
            interface(10 * S, false);
        }
        From::Stopped => {
            interface(9 * S, true);
            bench.on(10 * S, Input::Shutdown);
        }
        From::Backup => {
            interface(10 * S, true);
        }
        From::Master => {
            interface(10 * S - 3_609_375_000, true);
            bench.on(10 * S, Input::Deadline);
            bench.on(10_200 * MS, set(1, 0));
        }
    }
    bench
}

fn input(given: Given) -> Input {
    match given {
        InterfaceUp => Input::Interface { id: INTERFACE, up: true },
        InterfaceDown => Input::Interface { id: INTERFACE, up: false },
        SourceGone => Input::Source { id: ID, address: None },
        SourceOther => Input::Source { id: ID, address: Some(ABOVE) },
        CheckPassed => Input::Check { id: TRACKER, passed: true },
        CheckFailed => Input::Check { id: TRACKER, passed: false },
        AddressSet => set(1, 1),
        AddressFailed => Input::Address { id: ID, tenure: Tenure(1), address: 1, installed: false },
        AddressOfAnEarlierTenure => set(0, 1),
        Announce => Input::Announce(ID),
        TooEarly | Due => Input::Deadline,
        Shutdown => Input::Shutdown,
    }
}

#[test]
fn the_table_holds() {
    for &Row(rule, from, givens, next, actions, due) in ROWS {
        for &given in givens {
            let mut bench = bench(from);
            let at = if given == Due { 60 * S } else { 10_500 * MS };
            let case = format!("{rule}: {from:?} is given {given:?}");
            assert_eq!(bench.on(at, input(given)), actions, "actions of {case}");
            assert_eq!(bench.state(), next, "state after {case}");
            assert_eq!(bench.due(), due, "deadline after {case}");
        }
    }
}

#[test]
fn the_table_is_complete() {
    for from in FROM {
        for given in GIVEN {
            let rows = ROWS.iter().filter(|row| row.1 == from && row.2.contains(&given)).count();
            assert_eq!(rows, 1, "{from:?} is given {given:?}");
        }
    }
}

/// FSM-I1, as keepalived reads it: only `state MASTER` and priority 255 together serve at once.
#[test]
fn who_serves_at_once() {
    for (wanted, octet, actions, due) in [
        (Wanted::Master, 255, "advert 255, install 1", 11 * S),
        (Wanted::Backup, 255, "", 13_003_906_250),
        (Wanted::Master, 254, "", 13_007_812_500),
        (Wanted::Backup, 100, "", 13_609_375_000),
    ] {
        let mut bench = Bench::new(&plan(Vec::new(), InstancePlan { wanted, priority: priority(octet), ..instance() }));
        assert_eq!(bench.boot(10 * S), actions, "{wanted:?} {octet}");
        assert_eq!(bench.due(), due, "{wanted:?} {octet}");
    }
}

/// An owner whose link returns serves at once again.
#[test]
fn the_owner_returns_at_once() {
    let owner = InstancePlan { wanted: Wanted::Master, priority: Priority::OWNER, ..instance() };
    let mut bench = Bench::up(10 * S, owner);
    assert_eq!(bench.on(11 * S, Input::Interface { id: INTERFACE, up: false }), "advert 0, release");
    assert_eq!(bench.on(12 * S, Input::Interface { id: INTERFACE, up: true }), "advert 255, install 2");
}

/// An interface without an address to send from is a fault, whichever is heard of first.
#[test]
fn no_source_address() {
    let mut bench = Bench::new(&plan(Vec::new(), instance()));
    assert_eq!(bench.on(10 * S, Input::Source { id: ID, address: None }), "");
    assert_eq!(bench.state(), I, "the interface may yet bring one");
    bench.on(10 * S, Input::Interface { id: INTERFACE, up: true });
    assert_eq!(bench.state(), F);
    assert_eq!(bench.snapshot().cause, Cause::NoPrimaryIpAddress);
    bench.on(11 * S, Input::Source { id: ID, address: Some(OURS) });
    assert_eq!((bench.state(), bench.due()), (B, 14_609_375_000));
    assert_eq!(bench.snapshot().cause, Cause::FaultCleared);
}

/// A new address of ours decides from then on who yields.
#[test]
fn another_source_address() {
    let mut bench = Bench::master(10 * S, instance());
    bench.on(10_300 * MS, Input::Source { id: ID, address: Some("10.0.0.9".parse().expect("an address")) });
    assert_eq!(bench.hears(10_500 * MS, ABOVE, 100, 100), "advert 100, all x5");
    assert_eq!(bench.state(), M);
}

/// A fault ends the memory of a master: the wait after it is a whole one, by our own interval.
#[test]
fn a_fault_forgets_the_master() {
    let mut bench = Bench::up(10 * S, instance());
    bench.hears(11 * S, ABOVE, 200, 10);
    bench.on(11_100 * MS, Input::Interface { id: INTERFACE, up: false });
    bench.on(12 * S, Input::Interface { id: INTERFACE, up: true });
    assert_eq!(bench.due(), 15_609_375_000);
    assert_eq!(bench.snapshot().master, None);
}

/// A link that reports the same state again changes nothing.
#[test]
fn a_repeated_report_is_no_change() {
    let mut bench = Bench::up(10 * S, instance());
    let told = bench.events.len();
    bench.on(11 * S, Input::Interface { id: INTERFACE, up: true });
    bench.on(12 * S, Input::Interface { id: INTERFACE, up: false });
    bench.on(13 * S, Input::Interface { id: INTERFACE, up: false });
    assert_eq!(bench.events[told..], [Event::InterfaceDown, Event::BecameFault]);
}

/// Stopping twice says so once.
#[test]
fn a_second_shutdown_is_nothing() {
    let mut bench = Bench::master(10 * S, instance());
    assert_eq!(bench.on(10_500 * MS, Input::Shutdown), "advert 0, release");
    assert_eq!(bench.on(10_600 * MS, Input::Shutdown), "");
    assert_eq!(bench.told(Event::Stopped), 1);
    let stats = bench.snapshot().stats;
    assert_eq!((stats.become_master, stats.release_master, stats.pri_zero_sent), (1, 1, 1));
}

/// RFC 8347's reasons.
#[test]
fn causes() {
    let mut bench = Bench::up(10 * S, instance());
    assert_eq!(bench.snapshot().cause, Cause::Startup);
    bench.on(14 * S, Input::Deadline);
    assert_eq!(bench.snapshot().cause, Cause::MasterTimeout);
    bench.hears(15 * S, ABOVE, 200, 100);
    assert_eq!(bench.snapshot().cause, Cause::HigherPriorityBackup);
    bench.hears(16 * S, ABOVE, 0, 100);
    bench.on(17 * S, Input::Deadline);
    assert_eq!(bench.snapshot().cause, Cause::MasterLeft);
    bench.hears(18 * S, ABOVE, 200, 100);
    bench.hears(19 * S, ABOVE, 50, 100);
    bench.on(22 * S, Input::Deadline);
    assert_eq!(bench.snapshot().cause, Cause::LowerPriorityMaster);
}

/// keepalived's words, in its order; operators search their logs for them.
#[test]
fn a_tenure_in_log_lines() {
    let mut bench = Bench::up(10 * S, instance());
    bench.on(14 * S, Input::Deadline);
    bench.hears(15 * S, ABOVE, 200, 100);
    let lines: Vec<String> = bench.events.iter().map(Event::to_string).collect();
    assert_eq!(
        lines,
        [
            "Entering BACKUP STATE (init)",
            "Receive advertisement timeout",
            "Entering MASTER STATE",
            "setting VIPs.",
            "Master received advert from 10.0.0.3 with higher priority 200, ours 100",
            "removing VIPs.",
            "Entering BACKUP STATE",
        ]
    );
}

/// Nothing that a packet alone can cause is louder than a warning.
#[test]
fn errors_are_ours() {
    assert_eq!(Event::HeardItself { source: OURS }.level(), Level::Warn);
    assert_eq!(Event::AddressFailed { address: 0 }.level(), Level::Error);
    assert_eq!(Event::BecameMaster.level(), Level::Info);
}
