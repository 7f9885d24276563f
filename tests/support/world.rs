//! A virtual network of engines with one virtual clock: what the driver and the kernel do to an engine, without either.
//!
//! Each input is judged by [`Watcher`] as it is handled. Faults are chosen by whoever runs the world; only how they fall
//! (which advert is lost, how late a router wakes) is drawn from the seed.

mod regroup;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use vrrp_common::{Centis, Instant, Priority, Version};
use vrrp_daemon::engine::event::Event;
use vrrp_daemon::engine::matching::{Common, Matching, Moves};
use vrrp_daemon::engine::plan::{InstanceId, InterfaceId, Plan, TrackerId};
use vrrp_daemon::engine::snapshot::{Snapshot, StateName};
use vrrp_daemon::engine::{Action, Engine, Heard, Input};

use crate::invariants::Watcher;
use crate::quiet::Quiet;
use crate::rng::Rng;

/// Nanoseconds.
pub type Nanos = u64;

/// All routers have one interface and at most one check.
pub const INTERFACE: InterfaceId = InterfaceId(0);
pub const CHECK: TrackerId = TrackerId(0);

/// What the network does to adverts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Net {
    pub loss_percent: u64,
    /// The virtual router of which no advert arrives.
    pub deaf_to: Option<usize>,
    pub duplicate_percent: u64,
    pub delay_max: Nanos,
    /// Whether a later advert may arrive before an earlier one.
    pub reorders: bool,
}

/// What a host does to its daemon.
#[derive(Clone, Copy, Debug, Default)]
pub struct Host {
    /// How much later than its deadline the driver may wake.
    pub late_max: Nanos,
    /// How long setting an address may take.
    pub install_max: Nanos,
    pub install_fails_percent: u64,
    /// From one run of the check to the next.
    pub check_interval: Nanos,
    /// Adverts come by two ways (ring buffer and raw socket), so those that wait are handed in out of order.
    pub shuffles: bool,
}

/// One host.
pub struct Router {
    pub plan: Plan,
    pub address: IpAddr,
    pub host: Host,
    pub link_up: bool,
    /// What the check finds.
    pub passing: bool,
    /// Hosts on different sides do not hear each other.
    pub side: u8,
    pub paused: bool,
    /// `None` after a crash.
    machine: Option<Machine>,
    boots: u32,
}

/// A running daemon.
struct Machine {
    engine: Engine,
    /// The same in quiet mode; it must act alike.
    quiet: Quiet,
    watcher: Watcher,
    /// What happened and was not handled yet, in its order.
    inbox: VecDeque<(Instant, Input)>,
    /// The deadline that the timer is set to, and when it will really wake.
    timer: Option<(Instant, Instant)>,
    stopped: bool,
}

impl Router {
    pub fn new(plan: Plan, last_octet: u8, host: Host) -> Self {
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, last_octet));
        Self { plan, address, host, link_up: true, passing: true, side: 0, paused: false, machine: None, boots: 0 }
    }

    pub fn is_running(&self) -> bool {
        self.machine.as_ref().is_some_and(|machine| !machine.stopped)
    }

    pub fn snapshot(&self, group: usize) -> Option<Snapshot> {
        let machine = self.machine.as_ref().filter(|machine| group < machine.watcher.groups());
        machine.map(|machine| machine.engine.snapshot(InstanceId(group as u32)))
    }

    pub fn is_master(&self, group: usize) -> bool {
        self.snapshot(group).is_some_and(|snapshot| snapshot.state == StateName::Master)
    }
}

/// What will happen of itself.
enum Pending {
    Arrive { to: usize, group: usize, heard: Heard },
    Settled { router: usize, boot: u32, input: Input },
    Check { router: usize, boot: u32 },
    Resume { router: usize },
}

/// A change of mastership, for scenarios to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub at: Instant,
    pub router: usize,
    pub group: usize,
    pub became_master: bool,
}

pub struct World {
    pub now: Instant,
    pub rng: Rng,
    pub net: Net,
    pub routers: Vec<Router>,
    pub history: Vec<Change>,
    pending: BTreeMap<(Instant, u64), Pending>,
    sequence: u64,
    /// Last arrival from one router at another, so that a network that does not reorder keeps the order.
    arrivals: BTreeMap<(usize, usize), Instant>,
    tracing: bool,
}

impl World {
    pub fn new(seed: u64, net: Net, routers: Vec<Router>, tracing: bool) -> Self {
        Self {
            now: Instant::from_nanos(1_000_000_000),
            rng: Rng::new(seed),
            net,
            routers,
            history: Vec::new(),
            pending: BTreeMap::new(),
            sequence: 0,
            arrivals: BTreeMap::new(),
            tracing,
        }
    }

    pub fn groups(&self) -> usize {
        self.routers.iter().map(|router| router.plan.instances.len()).max().unwrap_or_default()
    }

    pub fn masters(&self, group: usize) -> Vec<usize> {
        (0..self.routers.len()).filter(|&router| self.routers[router].is_master(group)).collect()
    }

    // What can be done to a world.

    /// Starts a router that does not run; what its host has still to do for an earlier daemon is forgotten.
    pub fn boot(&mut self, router: usize) {
        self.trace(router, "boots");
        let host = &mut self.routers[router];
        host.boots += 1;
        host.paused = false;
        host.machine = Some(Machine {
            engine: Engine::new(&host.plan, self.now),
            quiet: Quiet::new(&host.plan, self.now),
            watcher: Watcher::new(&host.plan, host.address),
            inbox: VecDeque::new(),
            timer: None,
            stopped: false,
        });
        let (boot, address, up) = (host.boots, host.address, host.link_up);
        let (instances, checked) = (host.plan.instances.len() as u32, !host.plan.trackers.is_empty());
        for id in 0..instances {
            self.happen(router, Input::Source { id: InstanceId(id), address: Some(address) });
        }
        self.happen(router, Input::Interface { id: INTERFACE, up });
        if checked {
            self.later(0, Pending::Check { router, boot });
        }
        self.turn(router);
    }

    /// The daemon reads its configuration anew: the same, but for its priority if one is given. What did not change keeps
    /// everything, so without one nothing is done.
    pub fn reload(&mut self, router: usize, priority: Option<Priority>) {
        self.trace(router, &format!("reloads, with {priority:?}"));
        let Router { plan, address, machine, .. } = &mut self.routers[router];
        for instance in Arc::make_mut(&mut plan.instances) {
            instance.priority = priority.unwrap_or(instance.priority);
        }
        let Some(machine) = machine else { return };
        let count = plan.instances.len();
        let matching = Matching {
            common: vec![Common { hears_alike: true, addresses: None }; count],
            instances: Moves::new(count, (0..count as u32).map(|id| Some(InstanceId(id))).collect()),
            interfaces: Moves::new(1, vec![Some(INTERFACE)]),
            trackers: Moves::new(plan.trackers.len(), plan.trackers.iter().map(|_| Some(CHECK)).collect()),
        };
        let sources = vec![Some(*address); count];
        let mut actions = Vec::new();
        machine.engine.remove(self.now, &matching, &mut actions);
        machine.engine.reload(self.now, plan, &matching, &sources, &mut actions);
        actions.retain(|action| !matches!(action, Action::Absorb { .. }));
        let quiet = machine.quiet.reload(self.now, plan, &matching, &sources);
        assert_eq!(quiet, actions, "at {} router {router}: quiet mode reloads otherwise", seconds(self.now));
        assert!(priority.is_some() || actions.is_empty(), "a reload that changes nothing did {actions:?}");
        let tells = |action: &Action| matches!(action, Action::Tell { event: Event::PriorityChanged { .. }, .. });
        assert!(actions.iter().all(tells), "a reload of the priority did {actions:?}");
        machine.watcher.reloaded(plan, &machine.engine);
        self.turn(router);
    }

    /// The host loses power: its addresses and everything it was about to do are gone.
    pub fn crash(&mut self, router: usize) {
        self.trace(router, "crashes");
        if let Some(machine) = self.routers[router].machine.take() {
            for (group, _) in machine.watcher.masters() {
                self.record(router, group, false);
            }
        }
    }

    /// The daemon is told to stop.
    pub fn stop(&mut self, router: usize) {
        self.happen(router, Input::Shutdown);
        self.turn(router);
    }

    /// The daemon gets no processor for a while; what arrives waits in its sockets.
    pub fn pause(&mut self, router: usize, span: Nanos) {
        self.trace(router, "is starved");
        self.routers[router].paused = true;
        self.later(span, Pending::Resume { router });
    }

    pub fn resume(&mut self, router: usize) {
        self.trace(router, "runs again");
        self.routers[router].paused = false;
        if let Some(machine) = &mut self.routers[router].machine {
            machine.watcher.was_paused();
        }
        self.turn(router);
    }

    pub fn set_link(&mut self, router: usize, up: bool) {
        self.routers[router].link_up = up;
        self.happen(router, Input::Interface { id: INTERFACE, up });
        self.turn(router);
    }

    /// Lets time pass, and calls `after` when something was handled.
    pub fn run(&mut self, span: Nanos, after: &mut dyn FnMut(&Self)) {
        let end = Instant::from_nanos(self.now.as_nanos() + span);
        while self.step(end) {
            after(self);
        }
        self.now = end;
    }

    pub fn pass(&mut self, span: Nanos) {
        self.run(span, &mut |_| {});
    }

    /// The next thing that happens until `end`, if any.
    fn step(&mut self, end: Instant) -> bool {
        let due = self.pending.first_key_value().map(|(&(at, _), _)| at);
        let woken = (0..self.routers.len())
            .filter(|&router| !self.routers[router].paused)
            .filter_map(|router| Some((self.routers[router].machine.as_ref()?.timer?.1, router)))
            .min();
        match (due, woken) {
            (Some(at), woken) if at <= end && woken.is_none_or(|(wakes, _)| at <= wakes) => {
                self.now = self.now.max(at);
                if let Some((_, pending)) = self.pending.pop_first() {
                    self.befall(pending);
                }
                true
            }
            (_, Some((wakes, router))) if wakes <= end => {
                self.now = self.now.max(wakes);
                self.turn(router);
                true
            }
            _ => false,
        }
    }

    fn befall(&mut self, pending: Pending) {
        match pending {
            Pending::Arrive { to, group, heard } => {
                let plan = self.routers[to].plan.instances.get(group);
                let is_understood = plan.is_some_and(|plan| heard.version == plan.version || plan.both_versions);
                if self.routers[to].link_up && is_understood {
                    self.happen(to, Input::Advert(InstanceId(group as u32), heard));
                    self.turn(to);
                }
            }
            Pending::Settled { router, boot, input } => {
                if self.routers[router].boots == boot {
                    self.happen(router, input);
                    self.turn(router);
                }
            }
            Pending::Check { router, boot } => {
                let Router { boots, passing, host, .. } = self.routers[router];
                if boots == boot {
                    self.happen(router, Input::Check { id: CHECK, passed: passing });
                    self.turn(router);
                    self.later(host.check_interval, Pending::Check { router, boot });
                }
            }
            Pending::Resume { router } => {
                if self.routers[router].paused {
                    self.resume(router);
                }
            }
        }
    }

    fn later(&mut self, span: Nanos, pending: Pending) {
        self.sequence += 1;
        self.pending.insert((Instant::from_nanos(self.now.as_nanos() + span), self.sequence), pending);
    }

    /// Puts an input where the daemon will find it.
    fn happen(&mut self, router: usize, input: Input) {
        if let Some(machine) = &mut self.routers[router].machine {
            machine.inbox.push_back((self.now, input));
        }
    }

    /// One turn of the driver: all that happened, then the deadline; and then the timer is set anew.
    fn turn(&mut self, router: usize) {
        if self.routers[router].paused {
            return;
        }
        let shuffles = self.routers[router].host.shuffles;
        while let Some(machine) = &mut self.routers[router].machine {
            // Adverts overtake adverts, and nothing else.
            let adverts = machine.inbox.iter().take_while(|(_, input)| matches!(input, Input::Advert(..))).count();
            if shuffles && adverts > 1 {
                machine.inbox.swap(0, self.rng.below(adverts as u64) as usize);
            }
            let Some((at, input)) = machine.inbox.pop_front() else { break };
            self.handle(router, at, input);
        }
        self.handle(router, self.now, Input::Deadline);
        let late = self.rng.below(self.routers[router].host.late_max + 1);
        if let Some(machine) = &mut self.routers[router].machine {
            let due = machine.engine.deadline().map(|(due, _)| due);
            if due != machine.timer.map(|(due, _)| due) {
                machine.timer = due.map(|due| (due, Instant::from_nanos(due.as_nanos() + late)));
            }
        }
    }

    fn handle(&mut self, router: usize, at: Instant, input: Input) {
        let Some(machine) = &mut self.routers[router].machine else { return };
        let mut actions = Vec::new();
        machine.engine.handle(at, input, &mut actions);
        actions.retain(|action| !matches!(action, Action::Absorb { .. }));
        let quiet = machine.quiet.handle(at, input);
        assert_eq!(quiet, actions, "at {} router {router}: quiet mode acts otherwise", seconds(self.now));
        machine.stopped |= input == Input::Shutdown;
        let verdict = machine.watcher.judge(self.now, at, input, &actions, &machine.engine);
        if self.tracing && (input != Input::Deadline || !actions.is_empty()) {
            self.trace(router, &format!("{} ->{}", describe(at, input), describe_all(&actions)));
        }
        if let Err(breach) = verdict {
            panic!("at {} router {router}, {}: {breach}", seconds(self.now), describe(at, input));
        }
        for action in actions {
            self.perform(router, action);
        }
    }

    fn perform(&mut self, router: usize, action: Action) {
        match action {
            Action::Advertise { id, claim, .. } => {
                let plan = &self.routers[router].plan.instances[id.index()];
                let (version, interval, both) = (plan.version, plan.advert_int, plan.both_versions);
                let source = self.routers[router].address;
                let heard = Heard { source, version, claim, interval, addresses_match: true };
                self.send(router, id.index(), heard);
                if both {
                    let seconds = Centis::new(100 * (interval.get() / 100).max(1)).expect("whole seconds");
                    self.send(router, id.index(), Heard { version: Version::V2, interval: seconds, ..heard });
                }
            }
            Action::Install { id, tenure } => {
                self.record(router, id.index(), true);
                let Router { host, boots: boot, .. } = self.routers[router];
                for address in 0..self.routers[router].plan.instances[id.index()].addresses {
                    let installed = !self.rng.chance(host.install_fails_percent);
                    let span = self.rng.below(host.install_max + 1);
                    let input = Input::Address { id, tenure, address, installed };
                    self.later(span, Pending::Settled { router, boot, input });
                }
            }
            Action::Release { id } => self.record(router, id.index(), false),
            // Who may announce and tell what is for the watcher to judge.
            Action::Announce { .. } | Action::Absorb { .. } | Action::Tell { .. } | Action::TellGroup { .. } => {}
        }
    }

    fn record(&mut self, router: usize, group: usize, became_master: bool) {
        self.history.push(Change { at: self.now, router, group, became_master });
    }

    fn send(&mut self, from: usize, group: usize, heard: Heard) {
        if !self.routers[from].link_up || self.net.deaf_to == Some(group) {
            return;
        }
        for to in (0..self.routers.len()).filter(|&to| to != from) {
            if self.routers[to].side != self.routers[from].side {
                continue;
            }
            let copies = 1 + u32::from(self.rng.chance(self.net.duplicate_percent));
            for _ in 0..copies {
                if self.rng.chance(self.net.loss_percent) {
                    continue;
                }
                let mut span = self.rng.below(self.net.delay_max + 1);
                if !self.net.reorders {
                    let last = self.arrivals.entry((from, to)).or_default();
                    span = span.max(last.since(self.now).as_nanos() as Nanos);
                    *last = Instant::from_nanos(self.now.as_nanos() + span);
                }
                self.later(span, Pending::Arrive { to, group, heard });
            }
        }
    }

    fn trace(&self, router: usize, what: &str) {
        if self.tracing {
            println!("{} router {router} {what}", seconds(self.now));
        }
    }
}

fn seconds(at: Instant) -> String {
    format!("{:13.6}", at.as_nanos() as f64 / 1e9)
}

fn describe(at: Instant, input: Input) -> String {
    match input {
        Input::Advert(id, heard) => {
            let Heard { source, claim, interval, .. } = heard;
            format!("#{} hears {source} prio {} int {interval} of{}", id.0, claim.octet(), seconds(at))
        }
        other => format!("{other:?}"),
    }
}

fn describe_all(actions: &[Action]) -> String {
    let mut words = String::new();
    for action in actions {
        match action {
            Action::Advertise { id, claim, .. } => words += &format!(" #{} advert {};", id.0, claim.octet()),
            Action::Install { id, .. } => words += &format!(" #{} MASTER;", id.0),
            Action::Release { id } => words += &format!(" #{} releases;", id.0),
            Action::Announce { id, addresses, rounds } => words += &format!(" #{} {addresses:?} x{rounds};", id.0),
            Action::Absorb { .. } => {}
            Action::Tell { id, event, .. } => words += &format!(" #{} \"{event}\";", id.0),
            Action::TellGroup { event, .. } => words += &format!(" {event:?};"),
        }
    }
    words
}
