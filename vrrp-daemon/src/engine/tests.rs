//! The engine's rules as tables: in this state, after this input, these actions, this state and this deadline.
//!
//! Deadlines are written as literal nanoseconds, never computed by what is tested. What takes two routers is not here
//! but in the simulator.

mod announcements;
mod debounce;
mod groups;
mod hearing;
mod lifecycle;
mod options;
mod patience;
mod reload;
mod standing;
mod timers;
mod versions;

use std::net::{IpAddr, Ipv4Addr};

use vrrp_common::{Centis, Claim, Instant, Priority, Version, Vrid};

use super::event::{Event, Level};
use super::plan::{
    ExtraPlan, GarpPlan, InstanceId, InstancePlan, InterfaceId, Plan, Subject, TrackerId, TrackerPlan, Wanted, Watch,
    Weight,
};
use super::snapshot::{Snapshot, StateName};
use super::{Action, Announced, Engine, Heard, Input, Tenure, Why};

const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

/// No deadline; time 0 is no instant that a test uses.
const NEVER: u64 = 0;

const ID: InstanceId = InstanceId(0);
const INTERFACE: InterfaceId = InterfaceId(0);
const TRACKER: TrackerId = TrackerId(0);

/// Our own address; tests use one neighbour below it and one above.
const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
const BELOW: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const ABOVE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 3));

fn priority(octet: u8) -> Priority {
    Priority::new(octet).expect("a priority that serves")
}

fn centis(centis: u16) -> Centis {
    Centis::new(centis).expect("an interval")
}

/// Priority 100, one second, two addresses, one interface to watch; v3.
fn instance() -> InstancePlan {
    InstancePlan {
        addresses: 2,
        watches: vec![Watch { subject: Subject::Interface(INTERFACE), weight: Weight::default() }],
        ..InstancePlan::new(INTERFACE, Vrid::new(51).expect("a VRID"), Version::V3)
    }
}

fn watch(value: i16, reverse: bool) -> Watch {
    Watch { subject: Subject::Tracker(TRACKER), weight: Weight { value, reverse } }
}

fn plan(trackers: Vec<TrackerPlan>, instance: InstancePlan) -> Plan {
    Plan { interfaces: 1, trackers, instances: vec![instance].into(), ..Plan::default() }
}

fn advert(source: IpAddr, octet: u8, interval: u16) -> Input {
    let claim = Claim::from_octet(octet);
    Input::Advert(ID, Heard { source, version: Version::V3, claim, interval: centis(interval), addresses_match: true })
}

fn set(tenure: u32, address: u32) -> Input {
    Input::Address { id: ID, tenure: Tenure(tenure), address, installed: true }
}

/// One engine of one instance, and what it asked for.
struct Bench {
    engine: Engine,
    events: Vec<Event>,
}

impl Bench {
    /// An engine that has heard of nothing.
    fn new(plan: &Plan) -> Self {
        Self { engine: Engine::new(plan, Instant::from_nanos(0)), events: Vec::new() }
    }

    /// An engine with its source address, whose interface went up at `at`.
    fn up(at: u64, instance: InstancePlan) -> Self {
        let mut bench = Self::new(&plan(Vec::new(), instance));
        bench.boot(at);
        bench
    }

    /// An engine that took over at `at` by the timer, with both addresses set 200 ms later.
    fn master(at: u64, instance: InstancePlan) -> Self {
        let mut bench = Self::up(at - 3_609_375_000, instance);
        assert_eq!(bench.on(at, Input::Deadline), "advert 100, install 1");
        bench.on(at + 200 * MS, set(1, 0));
        bench.on(at + 200 * MS, set(1, 1));
        bench
    }

    fn boot(&mut self, at: u64) -> String {
        assert_eq!(self.on(at, Input::Source { id: ID, address: Some(OURS) }), "");
        self.on(at, Input::Interface { id: INTERFACE, up: true })
    }

    /// Hands in one input; the actions in words, events kept apart.
    fn on(&mut self, at: u64, input: Input) -> String {
        let mut actions = Vec::new();
        self.engine.handle(Instant::from_nanos(at), input, &mut actions);
        let mut words = Vec::new();
        for action in actions {
            match action {
                Action::Advertise { id: ID, claim, .. } => words.push(format!("advert {}", claim.octet())),
                Action::Install { id: ID, tenure } => words.push(format!("install {}", tenure.0)),
                Action::Release { id: ID } => words.push("release".to_string()),
                Action::Announce { id: ID, addresses: Announced::All, rounds } => words.push(format!("all x{rounds}")),
                Action::Announce { id: ID, addresses: Announced::One(address), rounds } => {
                    words.push(format!("#{address} x{rounds}"));
                }
                Action::Tell { id: ID, event, .. } => self.events.push(event),
                // A permission, not a deed; `absorbing` and the simulator's shadow look at it.
                Action::Absorb { id: ID, .. } => {}
                other => panic!("an action for an instance that is not there: {other:?}"),
            }
        }
        words.join(", ")
    }

    fn hears(&mut self, at: u64, source: IpAddr, octet: u8, interval: u16) -> String {
        self.on(at, advert(source, octet, interval))
    }

    fn snapshot(&self) -> Snapshot {
        self.engine.snapshot(ID)
    }

    fn state(&self) -> StateName {
        self.snapshot().state
    }

    fn effective(&self) -> u8 {
        self.snapshot().effective.get()
    }

    fn due(&self) -> u64 {
        self.engine.deadline().map_or(NEVER, |(due, _)| due.as_nanos())
    }

    fn why(&self) -> Option<Why> {
        self.engine.deadline().map(|(_, why)| why)
    }

    fn told(&self, event: Event) -> usize {
        self.events.iter().filter(|&&told| told == event).count()
    }
}
