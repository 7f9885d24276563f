//! The protocol thread: hears, lets the engine decide, and acts. It alone holds the engine.
//!
//! It waits for its inbox, the ring, the raw sockets and one deadline, and for nothing else. Everything received is
//! heard before the engine is told that time has passed.

mod reload;

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use tokio::sync::mpsc;
use vrrp_common::{Instant, Version};

use super::clock::{self, Deadline};
use super::control::Request;
use super::crowd::{Crowd, PAUSE};
use super::hands::Hands;
use super::netlink::links::Link;
use super::netlink::{Found, Report};
use super::next::{Move, Next, Wanted};
use super::observe::{Held, observe};
use super::ports::{Ports, Unchanged};
use super::readiness::Readiness;
use super::telling::Told;
use super::xdp::{RING_RECORDS, Ring, Xdp};
use crate::config::setup::Setup;
use crate::engine::plan::{InstanceId, InterfaceId, TrackerId};
use crate::engine::snapshot::StateName;
use crate::engine::{Action, Engine, Input};
use crate::track::report::Reading;

/// Messages that wait for the protocol thread, at most.
pub const INBOX: usize = 1024;
/// Messages taken in one turn.
const TURN: usize = 4096;
/// What room for is kept from turn to turn: one in which all instances change their state needs many times more.
const KEPT: usize = 1024;
/// Work without a pause, at most.
const UNBROKEN: Duration = Duration::from_millis(100);
/// How long a stopping daemon waits for its last address to go; the guard takes what is left.
const STOP_TIME: Duration = Duration::from_secs(5);
/// How long one that was master stays, at most, after it said that it leaves. Taking its programs off their devices holds
/// the kernel's network lock, and a successor in another namespace of this host would wait for it with its addresses.
const LINGER: Duration = Duration::from_millis(500);

/// What other threads say.
#[derive(Debug)]
pub enum Message {
    Network(Report),
    /// `edition` counts the reloads before it: whose id it is.
    Found {
        edition: u32,
        id: TrackerId,
        reading: Reading,
    },
    Asked(Request),
    Reload(Box<Next>),
    Stop,
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Asked(request)
    }
}

/// An input on its way to the engine.
struct Heard {
    at: Instant,
    input: Input,
    /// Of an advert: what the kernel could absorb the next time.
    advert: Unchanged,
}

pub struct Driver<T> {
    setup: Arc<Setup>,
    engine: Engine,
    ports: Ports,
    hands: Hands<T>,
    ring: Option<(Ring, Readiness)>,
    held: Held,
    deadline: Deadline,
    inbox: mpsc::Receiver<Message>,
    /// What was heard in this turn, in order, until the engine takes it.
    heard: Vec<Heard>,
    actions: Vec<Action>,
    /// By instance: the kernel absorbs adverts that say nothing new; and of how many.
    absorbing: Vec<bool>,
    absorbed: usize,
    /// A turn ended before everything was heard.
    more: bool,
    crowd: Crowd,
    /// There is one: nothing is listened to for a moment.
    crowded: bool,
    rested_at: Instant,
    stop_by: Option<Instant>,
    linger_until: Instant,
    /// Where reloads are prepared.
    reloads: SyncSender<Wanted>,
    /// To be applied when this turn is over.
    next: Option<Box<Next>>,
    /// How many reloads there were.
    edition: u32,
    /// The last reload: until the network's thread has moved, and after that.
    moving: Option<Arc<Move>>,
    moved: Option<Arc<Move>>,
    /// Who waits for it, and for how long it held up the protocol.
    done: Option<(SyncSender<Result<Duration, String>>, Duration)>,
}

impl<T: FnMut(Told)> Driver<T> {
    /// Must be called inside the runtime that will run it.
    pub fn new(
        setup: Arc<Setup>,
        ports: Ports,
        hands: Hands<T>,
        inbox: mpsc::Receiver<Message>,
        reloads: SyncSender<Wanted>,
    ) -> std::io::Result<Self> {
        let engine = Engine::new(&setup.plan, clock::now());
        let (heard, actions) = Default::default();
        let deadline = Deadline::new()?;
        let instances = setup.instances.len();
        let held = Held::new(&setup);
        Ok(Self {
            setup,
            engine,
            ports,
            hands,
            ring: None,
            held,
            deadline,
            inbox,
            heard,
            actions,
            absorbing: vec![false; instances],
            absorbed: 0,
            more: false,
            crowd: Crowd::default(),
            crowded: false,
            rested_at: Instant::default(),
            stop_by: None,
            linger_until: Instant::default(),
            reloads,
            next: None,
            edition: 0,
            moving: None,
            moved: None,
            done: None,
        })
    }

    /// Takes in what there is at the start.
    pub fn begin(&mut self, Found { links, without_source }: Found) {
        without_source.into_iter().for_each(|id| self.source_is(id, false));
        links.into_iter().zip((0..).map(InterfaceId)).for_each(|(link, id)| self.link_is(id, link));
    }

    /// Takes up the XDP program, or why there is none.
    pub fn load(&mut self, xdp: Result<Xdp, String>) -> std::io::Result<()> {
        self.ports.load(xdp);
        if let Some(ring) = self.ports.take_ring() {
            let ready = Readiness::of(&ring)?;
            self.ring = Some((ring, ready));
        }
        let ids = (0..self.setup.interfaces.len() as u32).map(InterfaceId);
        ids.filter_map(|id| self.ports.program_link(id)).for_each(|link| self.hands.keep(link));
        Ok(())
    }

    /// The interface in use that has no XDP program, if there is one, and why.
    pub fn without_xdp(&self) -> Option<(&str, &str)> {
        self.ports.without_xdp()
    }

    /// Runs until stopped.
    pub async fn run(mut self) -> anyhow::Result<()> {
        self.turn()?;
        loop {
            let due = self.next_due();
            let sleeps = self.rest(due);
            self.deadline.set(due)?;
            let message = if self.crowded {
                self.deadline.sleep()?;
                None
            } else {
                tokio::select! {
                    result = self.deadline.reached() => { result?; None }
                    result = readable(&self.ring) => { result?; None }
                    result = self.ports.sockets.readable() => { result?; None }
                    message = self.inbox.recv() => Some(message),
                }
            };
            // Whatever woke it, it should have run by then.
            if let Some(due) = due.filter(|_| sleeps) {
                self.hands.lateness.woke(due, clock::now());
            }
            match message {
                Some(Some(message)) => self.take(message)?,
                // Nobody is left who could stop us.
                Some(None) => self.stop(),
                None => {}
            }
            self.turn()?;
            if self.is_over() {
                return Ok(());
            }
        }
    }

    /// Sleeps for an instant when there was no time to for long: a thread with real-time priority that does not is ended
    /// by the kernel (`privilege.rs`), and on a machine that cannot keep up there is always something due. Whether there is
    /// time to sleep until then.
    fn rest(&mut self, due: Option<Instant>) -> bool {
        let now = clock::now();
        let busy = due.is_some_and(|due| due <= now);
        if busy && now.since(self.rested_at) < UNBROKEN {
            return false;
        }
        if busy {
            std::thread::sleep(Duration::from_micros(1));
        }
        self.rested_at = now;
        !busy
    }

    /// Whether the stop is done.
    fn is_over(&self) -> bool {
        let now = clock::now();
        self.stop_by.is_some_and(|by| by <= now || (self.hands.is_settled() && self.linger_until <= now))
    }

    fn next_due(&self) -> Option<Instant> {
        if self.more {
            return Some(clock::now());
        }
        // Stopped, the engine has no deadline.
        let stop = self.stop_by.map(|by| if self.hands.is_settled() { by.min(self.linger_until) } else { by });
        let pause = self.crowded.then(|| clock::now() + PAUSE);
        let deadline = self.engine.deadline().map(|(due, _)| due);
        [deadline, self.hands.announces_at(), stop, pause].into_iter().flatten().min()
    }

    /// Hears everything received so far, then lets time pass, then acts.
    fn turn(&mut self) -> anyhow::Result<()> {
        for _ in 0..TURN {
            let Ok(message) = self.inbox.try_recv() else { break };
            self.take(message)?;
        }
        // Time is read before listening: what arrives later is later.
        let now = clock::now();
        self.more = false;
        if let Some((ring, _)) = &mut self.ring {
            let (ports, heard) = (&mut self.ports, &mut self.heard);
            // All that it can hold: no deadline may fire before what was received is heard.
            let taken = ring.drain(RING_RECORDS, |head, message| {
                let recorded = ports.recorded(head, message);
                heard.extend(recorded.map(|(at, input, advert)| Heard { at, input, advert }));
            });
            self.more = taken == RING_RECORDS;
        }
        let heard = &mut self.heard;
        let packets = self.ports.drain_sockets(now, |at, input, advert| heard.push(Heard { at, input, advert }))?;
        self.inspect(now);
        for (id, reason, adverts) in self.ports.refused(now) {
            self.hands.tell(Told::Refused { id, reason, adverts });
        }
        self.crowded = self.crowd.is_there(packets, now);
        self.decide_heard();
        self.see_waiting(now);
        self.decide(now, Input::Deadline, Unchanged::default());
        self.hands.perform(&mut self.actions, &mut self.ports)?;
        self.hands.announce(&self.ports);
        self.actions.shrink_to(KEPT);
        self.heard.shrink_to(KEPT);
        match self.next.take() {
            Some(next) => self.reload(*next),
            None => Ok(()),
        }
    }

    fn decide_heard(&mut self) {
        let mut heard = std::mem::take(&mut self.heard);
        for Heard { at, input, advert } in heard.drain(..) {
            if let Input::Advert(id, _) = input {
                self.see(id);
            }
            self.decide(at, input, advert);
        }
        self.heard = heard;
    }

    /// Has programs back that somebody took off.
    fn inspect(&mut self, now: Instant) {
        for id in self.ports.inspect(now) {
            self.tell_guard(None, id);
        }
    }

    /// Has the guard hold the program of an interface, unless it is the one that was there before.
    fn tell_guard(&mut self, before: Option<u32>, id: InterfaceId) {
        self.ports.detached.drain(..).for_each(|program_link| self.hands.let_go(program_link));
        if let Some(now) = self.ports.program_link(id).filter(|&now| before != Some(now)) {
            self.hands.keep(now);
        }
    }

    /// Lets the engine decide, and has the kernel absorb and limit what it says need not be heard.
    fn decide(&mut self, at: Instant, input: Input, advert: Unchanged) {
        let from = self.actions.len();
        self.engine.handle(at, input, &mut self.actions);
        self.absorb(from, advert);
    }

    /// Does what actions from this one on say of absorbing and limiting.
    fn absorb(&mut self, from: usize, advert: Unchanged) {
        for index in from..self.actions.len() {
            match self.actions[index] {
                Action::Absorb { id, on } => {
                    let advert = if on { advert } else { Unchanged::default() };
                    let absorbs = advert.is_absorbed();
                    self.ports.absorb(id, advert);
                    self.see(id);
                    let before = std::mem::replace(&mut self.absorbing[id.index()], absorbs);
                    self.absorbed = self.absorbed + usize::from(absorbs) - usize::from(before);
                }
                Action::Tell { id, .. } => self.ports.limit(id, self.engine.weaker_than(id)),
                _ => {}
            }
        }
    }

    /// Tells the engine when the master of an instance was last seen.
    fn see(&mut self, id: InstanceId) {
        if self.absorbing[id.index()]
            && let Some(at) = self.ports.last_seen(id)
        {
            self.engine.handle(at, Input::Seen(id), &mut self.actions);
        }
    }

    /// Looks whether masters whose time seems to be up were seen meanwhile; and while at it, those who would be next, so
    /// that the backups of one interval wake the daemon together.
    fn see_waiting(&mut self, now: Instant) {
        if self.absorbed == 0 {
            return;
        }
        let mut waiting = Vec::new();
        self.engine.waiting(now, &mut waiting);
        let Some(first) = waiting.first() else { return };
        let interval = self.setup.plan.instances[first.index()].advert_int.duration();
        waiting.clear();
        self.engine.waiting(now + interval, &mut waiting);
        for id in waiting {
            self.see(id);
        }
    }

    fn take(&mut self, message: Message) -> anyhow::Result<()> {
        let now = clock::now();
        let message = match message {
            Message::Network(report) => {
                let Some(report) = self.by_new_ids(report) else { return Ok(()) };
                self.held.hear(&report, &self.engine);
                Message::Network(report)
            }
            other => other,
        };
        match message {
            Message::Network(Report::Link { id, link }) => {
                let was_up = self.is_up(id);
                self.link_is(id, link);
                let up = self.is_up(id);
                if was_up != up {
                    let delay = self.engine.link_delay(id, up).filter(|_| link.is_some());
                    self.hands.tell(Told::Link { id, up, delay });
                }
            }
            Message::Network(Report::Source { id, is_there }) => self.source_is(id, is_there),
            Message::Network(Report::Address { id, tenure, address, installed }) => {
                self.hear(now, Input::Address { id, tenure, address, installed });
            }
            Message::Network(Report::Path { .. }) => {}
            Message::Network(Report::Settled { id }) => self.hands.settled(id)?,
            Message::Network(Report::Reloaded) => self.reloaded(),
            Message::Found { edition, id, reading } => {
                if let Some(id) = self.check_by_new_ids(edition, id) {
                    let input = match reading {
                        Reading::Passed => Input::Check { id, passed: true },
                        Reading::Failed => Input::Check { id, passed: false },
                        Reading::Value(value) => Input::Value { id, value },
                    };
                    self.hear(now, input);
                }
            }
            Message::Reload(next) => self.next = Some(next),
            Message::Asked(request) => self.answer(request),
            Message::Stop => self.stop(),
        }
        Ok(())
    }

    fn is_up(&self, id: InterfaceId) -> bool {
        self.ports.link(id).is_some_and(|link| link.up)
    }

    fn link_is(&mut self, id: InterfaceId, link: Option<Link>) {
        let mut inputs = Vec::new();
        let before = self.ports.program_link(id);
        self.ports.link_is(id, link, &mut inputs);
        self.tell_guard(before, id);
        inputs.into_iter().for_each(|input| self.hear(clock::now(), input));
    }

    fn source_is(&mut self, id: InstanceId, is_there: bool) {
        let input = self.ports.source_is(id, is_there);
        self.hear(clock::now(), input);
    }

    fn hear(&mut self, at: Instant, input: Input) {
        self.heard.push(Heard { at, input, advert: Unchanged::default() });
    }

    fn answer(&mut self, request: Request) {
        // Whoever asked may have gone.
        match request {
            Request::Status { reply } => {
                let _ = reply.send(observe(&self.setup, &self.engine, &self.ports, &self.held, &self.hands.lateness));
            }
            Request::Reload { reply } => {
                if let Err(error) = self.reloads.try_send(Some(reply)) {
                    let (TrySendError::Full(reply) | TrySendError::Disconnected(reply)) = error;
                    let refused = Err("too many reloads are waiting".into());
                    let _ = reply.map(|reply| reply.send(refused));
                }
            }
            Request::Announce { name } => {
                let index = self.setup.instances.iter().position(|instance| instance.name == name);
                if let Some(index) = index {
                    self.hear(clock::now(), Input::Announce(InstanceId(index as u32)));
                }
            }
            Request::Stop { reply } => {
                let _ = reply.send(Ok(()));
                self.stop();
            }
        }
    }

    /// How long it takes until others serve what we serve: their skew, at most one interval, of v2 one second.
    fn succession(&self) -> Duration {
        let ids = (0..self.setup.instances.len() as u32).map(InstanceId);
        let served = ids.filter(|&id| self.engine.snapshot(id).state == StateName::Master);
        let skews = served.map(|id| match &self.setup.plan.instances[id.index()] {
            plan if plan.version == Version::V2 || plan.both_versions => Duration::from_secs(1),
            plan => plan.advert_int.duration(),
        });
        // And as long again for the addresses.
        skews.max().unwrap_or_default() * 2
    }

    fn stop(&mut self) {
        if self.stop_by.is_none() {
            let now = clock::now();
            self.stop_by = Some(now + STOP_TIME);
            self.linger_until = now + self.succession().min(LINGER);
            self.hear(now, Input::Shutdown);
        }
    }
}

async fn readable(ring: &Option<(Ring, Readiness)>) -> std::io::Result<()> {
    match ring {
        Some((_, ready)) => ready.wait().await,
        None => std::future::pending().await,
    }
}
