//! Every advert in every state: PROTOCOL FSM-B3 to B5, A3 to A5, P1, P3, R2.

use super::*;

/// The state that an advert meets at 10.5 s.
#[derive(Clone, Copy, Debug, PartialEq)]
enum From {
    Init,
    Fault,
    Stopped,
    /// Since 10 s.
    Backup,
    /// Since 10 s, and the master left at 10.1 s.
    BackupLeft,
    /// Since 10 s, `nopreempt`.
    BackupPatient,
    /// Since 10 s, priority 255 without `state MASTER`.
    BackupOwner,
    /// Since 10 s.
    Master,
    /// Since 10 s, priority 255.
    MasterOwner,
}

/// An advert, by what it is beside ours.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Claimed {
    Leaving,
    Lower,
    EqualBelow,
    EqualAbove,
    Higher,
    Owner,
    /// Sent from our own address, whatever it claims.
    Ours,
}

use Claimed::{EqualAbove, EqualBelow, Higher, Leaving, Lower, Ours, Owner};

const FROM: [From; 9] = [
    From::Init,
    From::Fault,
    From::Stopped,
    From::Backup,
    From::BackupLeft,
    From::BackupPatient,
    From::BackupOwner,
    From::Master,
    From::MasterOwner,
];
const CLAIMED: [Claimed; 7] = [Leaving, Lower, EqualBelow, EqualAbove, Higher, Owner, Ours];

struct Row {
    rule: &'static str,
    from: From,
    claimed: &'static [Claimed],
    next: StateName,
    actions: &'static str,
    /// Deadline in nanoseconds, of v2 (interval heard 1 s) and v3 (interval heard 0.5 s).
    due: [u64; 2],
}

const fn row(
    rule: &'static str,
    from: From,
    claimed: &'static [Claimed],
    next: StateName,
    actions: &'static str,
    due: [u64; 2],
) -> Row {
    Row { rule, from, claimed, next, actions, due }
}

use StateName::{Backup as B, Fault as F, Init as I, Master as M, Stop as S_};

/// A wait of priority 100 from 10 s, untouched; and one begun anew at 10.5 s.
const UNTOUCHED: [u64; 2] = [13_609_375_000, 13_609_375_000];
const ANEW: [u64; 2] = [14_109_375_000, 12_304_687_500];
/// The same of priority 255.
const OWNER_UNTOUCHED: [u64; 2] = [13_003_906_250, 13_003_906_250];
const OWNER_ANEW: [u64; 2] = [13_503_906_250, 12_001_953_125];
/// Skew from 10.1 s, when the master left.
const LEFT: [u64; 2] = [10_709_375_000, 10_709_375_000];
/// A master's schedule from 10 s, untouched; and one begun anew at 10.5 s.
const SCHEDULE: [u64; 2] = [11_000_000_000, 11_000_000_000];
const SCHEDULE_ANEW: [u64; 2] = [11_500_000_000, 11_500_000_000];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("no state to hear in", From::Init, &CLAIMED, I, "", [NEVER, NEVER]),
    row("no state to hear in", From::Fault, &CLAIMED, F, "", [NEVER, NEVER]),
    row("no state to hear in", From::Stopped, &CLAIMED, S_, "", [NEVER, NEVER]),

    // The interval of a leaving master is not learned.
    row("FSM-B3", From::Backup, &[Leaving], B, "", [11_109_375_000, 11_109_375_000]),
    row("FSM-B4", From::Backup, &[EqualBelow, EqualAbove, Higher, Owner], B, "", ANEW),
    row("FSM-B5", From::Backup, &[Lower], B, "", UNTOUCHED),
    row("FSM-R2", From::Backup, &[Ours], B, "", UNTOUCHED),

    row("FSM-B3, only ever sooner", From::BackupLeft, &[Leaving], B, "", LEFT),
    row("FSM-B4", From::BackupLeft, &[EqualBelow, EqualAbove, Higher, Owner], B, "", ANEW),
    row("FSM-B5", From::BackupLeft, &[Lower], B, "", LEFT),
    row("FSM-R2", From::BackupLeft, &[Ours], B, "", LEFT),

    row("FSM-B3", From::BackupPatient, &[Leaving], B, "", [11_109_375_000, 11_109_375_000]),
    row("FSM-B4, nopreempt", From::BackupPatient, &[Lower, EqualBelow, EqualAbove, Higher, Owner], B, "", ANEW),
    row("FSM-R2", From::BackupPatient, &[Ours], B, "", UNTOUCHED),

    row("FSM-B3", From::BackupOwner, &[Leaving], B, "", [10_503_906_250, 10_503_906_250]),
    row("FSM-B4", From::BackupOwner, &[EqualBelow, EqualAbove, Owner], B, "", OWNER_ANEW),
    row("FSM-B5", From::BackupOwner, &[Lower], B, "", OWNER_UNTOUCHED),
    row("FSM-R2", From::BackupOwner, &[Ours], B, "", OWNER_UNTOUCHED),

    row("FSM-A3", From::Master, &[Leaving], M, "advert 100", SCHEDULE_ANEW),
    row("FSM-A4", From::Master, &[EqualAbove, Higher, Owner], B, "release", ANEW),
    row("FSM-A5", From::Master, &[Lower, EqualBelow], M, "advert 100, all x5", SCHEDULE),
    row("FSM-R2", From::Master, &[Ours], M, "", SCHEDULE),

    row("FSM-A3", From::MasterOwner, &[Leaving], M, "advert 255", SCHEDULE_ANEW),
    row("FSM-P3", From::MasterOwner, &[EqualAbove, Owner], B, "release", OWNER_ANEW),
    row("FSM-P3", From::MasterOwner, &[Lower, EqualBelow], M, "advert 255, all x5", SCHEDULE),
    row("FSM-R2", From::MasterOwner, &[Ours], M, "", SCHEDULE),
];

/// Priority 255 has nothing above it.
fn exists(from: From, claimed: Claimed) -> bool {
    !(claimed == Higher && matches!(from, From::BackupOwner | From::MasterOwner))
}

fn bench(from: From, version: Version) -> Bench {
    let ordinary = InstancePlan { version, ..instance() };
    let owner = InstancePlan { priority: Priority::OWNER, ..ordinary.clone() };
    let start = 10 * S;
    match from {
        From::Init => Bench::new(&plan(Vec::new(), ordinary)),
        From::Fault => {
            let mut bench = Bench::up(9 * S, ordinary);
            bench.on(start, Input::Interface { id: INTERFACE, up: false });
            bench
        }
        From::Stopped => {
            let mut bench = Bench::up(9 * S, ordinary);
            bench.on(start, Input::Shutdown);
            bench
        }
        From::Backup => Bench::up(start, ordinary),
        From::BackupLeft => {
            let mut bench = Bench::up(start, ordinary);
            bench.hears(start + 100 * MS, ABOVE, 0, 100);
            bench
        }
        From::BackupPatient => Bench::up(start, InstancePlan { preempt: false, ..ordinary }),
        From::BackupOwner => Bench::up(start, owner),
        From::Master => Bench::master(start, ordinary),
        From::MasterOwner => {
            let mut bench = Bench::up(start, InstancePlan { wanted: Wanted::Master, ..owner });
            bench.on(start, set(1, 0));
            bench.on(start, set(1, 1));
            bench
        }
    }
}

fn heard(bench: &Bench, claimed: Claimed, version: Version) -> Input {
    let interval = if version == Version::V2 { 100 } else { 50 };
    let ours = bench.effective();
    match claimed {
        Leaving => advert(ABOVE, 0, interval),
        Lower => advert(ABOVE, ours - 1, interval),
        EqualBelow => advert(BELOW, ours, interval),
        EqualAbove => advert(ABOVE, ours, interval),
        Higher => advert(BELOW, ours + 1, interval),
        Owner => advert(ABOVE, 255, interval),
        Ours => advert(OURS, ours.saturating_add(1), interval),
    }
}

#[test]
fn the_table_holds() {
    for row in ROWS {
        for &claimed in row.claimed.iter().filter(|&&claimed| exists(row.from, claimed)) {
            for (version, due) in [Version::V2, Version::V3].into_iter().zip(row.due) {
                let case = format!("{}: {:?} hears {claimed:?}, {version:?}", row.rule, row.from);
                let mut bench = bench(row.from, version);
                if row.from == From::Init {
                    bench.engine.handle(
                        Instant::from_nanos(S),
                        Input::Source { id: ID, address: Some(OURS) },
                        &mut Vec::new(),
                    );
                }
                let input = heard(&bench, claimed, version);
                assert_eq!(bench.on(10_500 * MS, input), row.actions, "actions of {case}");
                assert_eq!(bench.state(), row.next, "state after {case}");
                assert_eq!(bench.due(), due, "deadline after {case}");
            }
        }
    }
}

#[test]
fn the_table_is_complete() {
    for from in FROM {
        for claimed in CLAIMED.into_iter().filter(|&claimed| exists(from, claimed)) {
            let rows = ROWS.iter().filter(|row| row.from == from && row.claimed.contains(&claimed)).count();
            assert_eq!(rows, 1, "{from:?} hears {claimed:?}");
        }
    }
}

/// RFC 9568 section 6.4.3 compares addresses as unsigned numbers in network order, not as text.
#[test]
fn addresses_compare_as_numbers() {
    let cases = [
        ("10.0.0.9", "10.0.0.10", true),
        ("10.0.0.10", "10.0.0.9", false),
        ("9.255.255.255", "10.0.0.1", true),
        ("127.0.0.1", "192.168.0.1", true),
        ("192.168.0.1", "127.0.0.1", false),
        ("10.0.1.0", "10.0.0.255", false),
        ("fe80::9", "fe80::10", true),
        ("fe80::ffff", "fe80::1:0", true),
        ("fe80::8000:0:0:1", "fe80::7fff:0:0:1", false),
    ];
    for (ours, theirs, yields) in cases {
        let mut bench = Bench::new(&plan(Vec::new(), instance()));
        bench.on(S, Input::Source { id: ID, address: Some(ours.parse().expect("an address")) });
        bench.on(S, Input::Interface { id: INTERFACE, up: true });
        bench.on(5 * S, Input::Deadline);
        bench.hears(6 * S, theirs.parse().expect("an address"), 100, 100);
        assert_eq!(bench.state() == B, yields, "{ours} hears {theirs}");
    }
}

/// FSM-P1: read only in Backup. A master with `nopreempt` yields like any other.
#[test]
fn nopreempt_does_not_hold_mastership() {
    let mut bench = Bench::master(10 * S, InstancePlan { preempt: false, ..instance() });
    assert_eq!(bench.hears(10_500 * MS, BELOW, 101, 100), "release");
    assert_eq!(bench.state(), B);
}

/// FSM-P1: the owner preempts, whatever the configuration says.
#[test]
fn nopreempt_does_not_bind_the_owner() {
    let owner = InstancePlan { preempt: false, priority: Priority::OWNER, ..instance() };
    let mut bench = Bench::up(10 * S, owner);
    bench.hears(10_500 * MS, ABOVE, 254, 100);
    assert_eq!(bench.due(), 13_003_906_250);
}

/// An advert that says we are to be afraid of ourselves is told of once and counted always.
#[test]
fn our_own_address_is_counted_and_told_once() {
    let mut bench = Bench::master(10 * S, instance());
    for at in [10_300, 10_400, 10_500] {
        assert_eq!(bench.hears(at * MS, OURS, 255, 100), "");
    }
    assert_eq!(bench.snapshot().stats.self_rcvd, 3);
    assert_eq!(bench.snapshot().stats.advert_rcvd, 0);
    assert_eq!(bench.told(Event::HeardItself { source: OURS }), 1);
    // keepalived has a line of its own for one that cannot yield to us, nor we to it.
    let mut bench = Bench::master(10 * S, instance());
    bench.hears(10_300 * MS, OURS, 100, 100);
    assert_eq!(bench.told(Event::HeardTwin), 1);
}

/// FSM-R1: one answer in 10 ms, the rest counted; and they leave the schedule alone.
#[test]
fn answers_are_limited() {
    let mut bench = Bench::master(10 * S, instance());
    assert_eq!(bench.hears(10_500 * MS, BELOW, 1, 100), "advert 100, all x5");
    for at in 10_501..10_510 {
        assert_eq!(bench.hears(at * MS, BELOW, 1, 100), "");
    }
    assert_eq!(bench.hears(10_510 * MS - 1, BELOW, 0, 100), "", "leaving is limited like the others");
    assert_eq!(bench.due(), 11 * S, "and then moves nothing");
    assert_eq!(bench.hears(10_510 * MS, BELOW, 1, 100), "advert 100", "and hosts were told a moment ago");
    assert_eq!(bench.snapshot().stats.answers_withheld, 10);
    assert_eq!(bench.due(), 11 * S);
    assert_eq!(bench.hears(11_500 * MS, BELOW, 1, 100), "advert 100, all x5", "a second later they are told again");
}

/// A new master has just sent an advert: what crossed it on the way needs no answer.
#[test]
fn a_takeover_counts_as_an_answer() {
    let mut bench = Bench::master(10 * S, instance());
    assert_eq!(bench.hears(10 * S + 5 * MS, BELOW, 1, 100), "all x5");
    assert_eq!(bench.snapshot().stats.answers_withheld, 1);
}

/// TM-05, RX-12, RX-14: processed, counted, told once.
#[test]
fn differences_are_counted_and_told_once() {
    let mut bench = Bench::up(10 * S, instance());
    for at in [11, 12] {
        let heard = Heard {
            source: ABOVE,
            version: Version::V3,
            claim: Claim::Serving(priority(200)),
            interval: centis(50),
            addresses_match: false,
        };
        bench.on(at * S, Input::Advert(ID, heard));
    }
    let stats = bench.snapshot().stats;
    assert_eq!((stats.advert_rcvd, stats.addr_list_err, stats.advert_interval_err), (2, 2, 2));
    assert_eq!(bench.told(Event::AddressListDiffers { source: ABOVE }), 1);
    assert_eq!(bench.told(Event::IntervalDiffers { source: ABOVE, theirs: centis(50), ours: centis(100) }), 1);
    assert_eq!(bench.due(), 13_804_687_500, "and heard all the same");
}

/// A weaker master is told of once, not once for each of its adverts.
#[test]
fn a_weaker_master_is_told_of_once() {
    let mut bench = Bench::up(10 * S, instance());
    for at in [11, 12, 13] {
        bench.hears(at * S, ABOVE, 50, 100);
    }
    assert_eq!(bench.told(Event::HeardLower { source: ABOVE, theirs: priority(50) }), 1);
    assert_eq!(bench.snapshot().stats.lower_prio_rcvd, 3);
}
