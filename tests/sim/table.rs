//! The engine against PROTOCOL A5 as a table: for any configuration and any sequence of events, whatever row applies says
//! what is done, what comes next, and when.
//!
//! Only time and adverts happen here; worlds have the rest. No advert comes when its answer would be withheld (FSM-R1), and no
//! interval is too long to be believed. `VRRP_SIM_SEED` chooses other sequences.

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use vrrp_common::{Centis, Claim, Instant, Priority, Version, Vrid};
use vrrp_daemon::engine::plan::{
    GarpPlan, InstanceId, InstancePlan, InterfaceId, Plan, Subject, Wanted, Watch, Weight,
};
use vrrp_daemon::engine::snapshot::StateName;
use vrrp_daemon::engine::{Action, Engine, Heard, Input};

const ID: InstanceId = InstanceId(0);
const INTERFACE: InterfaceId = InterfaceId(0);
const OURS: u8 = 10;
const CENTI: u64 = 10_000_000;

/// A router as the table sees it. Times are nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Model {
    v3: bool,
    priority: u64,
    preempt: bool,
    /// Advertisement_Interval, and Active_Adver_Interval.
    own: u64,
    learned: u64,
    adverts: u64,
    state: StateName,
    due: u64,
    /// When it last asserted itself.
    answered_at: u64,
}

/// An advert: its priority octet, the last octet of its source, its interval in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Advert {
    octet: u64,
    from: u8,
    interval: u64,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Startup,
    Shutdown,
    Timer,
    Advert(Advert),
}

#[derive(Clone, Copy, Debug)]
enum Then {
    /// The timer is left as it is.
    Untouched,
    /// Down_Timer := Active_Down_Interval, of our own interval or of the one just heard.
    OwnDown,
    LearnedDown,
    Skew,
    Adver,
    Cancelled,
}

struct Row {
    id: &'static str,
    state: StateName,
    applies: fn(&Model, Event, u64) -> bool,
    actions: &'static str,
    next: StateName,
    then: Then,
}

const fn row(
    id: &'static str,
    state: StateName,
    applies: fn(&Model, Event, u64) -> bool,
    actions: &'static str,
    next: StateName,
    then: Then,
) -> Row {
    Row { id, state, applies, actions, next, then }
}

use StateName::{Backup, Init, Master, Stop};
use Then::{Adver, Cancelled, LearnedDown, OwnDown, Skew, Untouched};

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row("FSM-I1", Init,   |it, event, _| matches!(event, Event::Startup) && it.priority == 255, "advert, install", Master, Adver),
    row("FSM-I2", Init,   |it, event, _| matches!(event, Event::Startup) && it.priority < 255, "", Backup, OwnDown),
    row("-",      Init,   |_, event, _| matches!(event, Event::Timer | Event::Advert(_)), "", Init, Untouched),
    row("-",      Init,   |_, event, _| matches!(event, Event::Shutdown), "", Stop, Cancelled),
    row("FSM-B1", Backup, |_, event, _| matches!(event, Event::Shutdown), "", Stop, Cancelled),
    row("FSM-B2", Backup, |_, event, _| matches!(event, Event::Timer), "advert, install", Master, Adver),
    // Ours: never later than it would have been.
    row("FSM-B3", Backup, |it, event, now| left(event) && now + it.skew(it.learned) < it.due, "", Backup, Skew),
    row("FSM-B3", Backup, |it, event, now| left(event) && now + it.skew(it.learned) >= it.due, "", Backup, Untouched),
    row("FSM-B4", Backup, |it, event, _| served(event).is_some_and(|octet| !it.preempts() || octet >= it.priority), "", Backup, LearnedDown),
    row("FSM-B5", Backup, |it, event, _| served(event).is_some_and(|octet| it.preempts() && octet < it.priority), "", Backup, Untouched),
    row("FSM-A1", Master, |_, event, _| matches!(event, Event::Shutdown), "leave, release", Stop, Cancelled),
    row("FSM-A2", Master, |_, event, _| matches!(event, Event::Timer), "advert", Master, Adver),
    row("FSM-A3", Master, |_, event, _| left(event), "advert", Master, Adver),
    row("FSM-A4", Master, |it, event, _| served(event).is_some_and(|_| it.yields(event)), "release", Backup, LearnedDown),
    row("FSM-A5", Master, |it, event, _| served(event).is_some_and(|_| !it.yields(event)), "advert", Master, Untouched),
    row("-",      Stop,   |_, _, _| true, "", Stop, Untouched),
];

fn left(event: Event) -> bool {
    matches!(event, Event::Advert(Advert { octet: 0, .. }))
}

fn served(event: Event) -> Option<u64> {
    match event {
        Event::Advert(Advert { octet: 0, .. }) => None,
        Event::Advert(Advert { octet, .. }) => Some(octet),
        _ => None,
    }
}

impl Model {
    fn preempts(&self) -> bool {
        self.preempt || self.priority == 255
    }

    fn yields(&self, event: Event) -> bool {
        let Event::Advert(Advert { octet, from, .. }) = event else { return false };
        octet > self.priority || octet == self.priority && from > OURS
    }

    fn skew(&self, interval: u64) -> u64 {
        let whole = if self.v3 { interval } else { 100 * CENTI };
        (256 - self.priority) * whole / 256
    }

    /// Applies the one row that says what happens.
    fn step(&mut self, event: Event, now: u64) -> &'static Row {
        let mut rows = TABLE.iter().filter(|row| row.state == self.state && (row.applies)(self, event, now));
        let row = rows.next().expect("a row applies");
        assert!(rows.next().is_none(), "two rows apply to {event:?} in {self:?}");
        let down = |model: &Self| now + model.adverts * model.learned + model.skew(model.learned);
        if matches!(row.id, "FSM-I1" | "FSM-B2" | "FSM-A3" | "FSM-A5") {
            self.answered_at = now;
        }
        self.state = row.next;
        match (row.then, event) {
            (Untouched, _) => {}
            (OwnDown, _) => {
                self.learned = self.own;
                self.due = down(self);
            }
            (LearnedDown, Event::Advert(advert)) => {
                self.learned = if self.v3 { advert.interval } else { self.own };
                self.due = down(self);
            }
            (LearnedDown, _) => panic!("only adverts teach"),
            (Skew, _) => self.due = now + self.skew(self.learned),
            (Adver, _) => self.due = now + self.own,
            (Cancelled, _) => self.due = u64::MAX,
        }
        row
    }
}

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

fn input(event: Event) -> Input {
    match event {
        Event::Startup => Input::Interface { id: INTERFACE, up: true },
        Event::Shutdown => Input::Shutdown,
        Event::Timer => Input::Deadline,
        Event::Advert(Advert { octet, from, interval }) => {
            let interval = Centis::new((interval / CENTI) as u16).expect("an interval");
            let claim = Claim::from_octet(octet as u8);
            Input::Advert(
                ID,
                Heard { source: address(from), version: Version::V3, claim, interval, addresses_match: true },
            )
        }
    }
}

/// What an engine of one router does about an event.
fn done(engine: &mut Engine, event: Event, now: u64) -> String {
    let mut actions = Vec::new();
    engine.handle(Instant::from_nanos(now), input(event), &mut actions);
    let words = actions.iter().filter_map(|action| match action {
        Action::Advertise { claim: Claim::Leaving, .. } => Some("leave"),
        Action::Advertise { .. } => Some("advert"),
        Action::Install { .. } => Some("install"),
        Action::Release { .. } => Some("release"),
        Action::Announce { .. } | Action::Absorb { .. } | Action::Tell { .. } | Action::TellGroup { .. } => None,
    });
    words.collect::<Vec<_>>().join(", ")
}

fn routers() -> impl Strategy<Value = Model> {
    let intervals = prop_oneof![(1..=40u64).prop_map(|it| (true, it)), (1..=3u64).prop_map(|it| (false, it * 100))];
    let priorities = prop_oneof![4 => 1..=254u64, 1 => Just(255)];
    (intervals, priorities, any::<bool>(), 1..=5u64).prop_map(|((v3, interval), priority, preempt, adverts)| {
        let own = interval * CENTI;
        Model { v3, priority, preempt, own, learned: own, adverts, state: Init, due: u64::MAX, answered_at: 0 }
    })
}

/// Events, and how long after the last each happens: up to a few intervals. Priorities are near ours, sources around us.
fn events() -> impl Strategy<Value = Vec<(u64, (u8, i64, u8, u64))>> {
    let event = (0..100u8, prop_oneof![-1..=1i64, -255..=255i64], prop_oneof![Just(9u8), Just(11)], 1..=10u64);
    prop::collection::vec((10..=500u64, event), 1..80)
}

fn event(model: &Model, (kind, difference, from, times): (u8, i64, u8, u64)) -> Event {
    match kind {
        0 => Event::Shutdown,
        1..=20 => Event::Timer,
        21..=35 => Event::Advert(Advert { octet: 0, from, interval: model.own }),
        _ => {
            let octet = (model.priority as i64 + difference).clamp(1, 255) as u64;
            Event::Advert(Advert { octet, from, interval: model.own * if model.v3 { times } else { 1 } })
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(crate::number("VRRP_SIM_SEED", 0)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_row_of_the_state_machine_holds(router in routers(), events in events()) {
        let mut model = router;
        let version = if model.v3 { Version::V3 } else { Version::V2 };
        let instance = InstancePlan {
            priority: Priority::new(model.priority as u8).expect("a priority"),
            wanted: if model.priority == 255 { Wanted::Master } else { Wanted::Backup },
            advert_int: Centis::new((model.own / CENTI) as u16).expect("an interval"),
            preempt: model.preempt,
            down_adverts: model.adverts as u8,
            // Announcing again would be a deadline of another kind.
            garp: GarpPlan { lower_repeat: 0, ..GarpPlan::default() },
            watches: vec![Watch { subject: Subject::Interface(INTERFACE), weight: Weight::default() }],
            ..InstancePlan::new(INTERFACE, Vrid::new(1).expect("a VRID"), version)
        };
        let plan = Plan { interfaces: 1, instances: vec![instance].into(), ..Plan::default() };
        let mut engine = Engine::new(&plan, Instant::from_nanos(0));
        let mut now = 1_000_000_000;
        engine.handle(Instant::from_nanos(now), Input::Source { id: ID, address: Some(address(OURS)) }, &mut Vec::new());
        let mut happen = |model: &mut Model, event: Event, now: u64| {
            let before = *model;
            let row = model.step(event, now);
            prop_assert_eq!(done(&mut engine, event, now), row.actions, "{}: {:?} {:?}", row.id, before, event);
            prop_assert_eq!(engine.snapshot(ID).state, model.state, "{}: {:?} {:?}", row.id, before, event);
            let due = engine.deadline().map_or(u64::MAX, |(due, _)| due.as_nanos());
            prop_assert_eq!(due, model.due, "{}: {:?} {:?}", row.id, before, event);
            Ok(())
        };
        happen(&mut model, Event::Startup, now)?;
        for (gap, drawn) in events {
            let next = now + gap * CENTI / 10 * (model.own / CENTI).clamp(1, 30);
            // What is due before fires when it is.
            while model.due <= next {
                now = model.due;
                happen(&mut model, Event::Timer, now)?;
            }
            now = next;
            let event = event(&model, drawn);
            let withheld = model.state == Master && now < model.answered_at + CENTI && matches!(event, Event::Advert(_));
            if !withheld && !matches!(event, Event::Timer) {
                happen(&mut model, event, now)?;
            }
        }
    }
}
