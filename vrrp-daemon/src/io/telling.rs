//! Telling what happened: the log's lines, the FIFOs, and whose scripts are to run. It has a thread of its own.
//!
//! The protocol thread leaves numbers in a bounded queue; names and text are put to them here. Nothing here waits: a slow
//! reader loses lines, which are counted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::SigSet;
use tokio::sync::mpsc::{self, Receiver, Sender};
use vrrp_common::drop::Reason;
use vrrp_common::{Instant, Priority};

use super::fifo::Fifo;
use super::mail::Letter;
use super::notify::{Moment, Notice, Who};
use super::sparing::{Sparing, Withheld};
use super::{clock, log};
use crate::config::setup::Setup;
use crate::engine::Announced;
use crate::engine::event::{Event, GroupEvent};
use crate::engine::plan::{GroupId, InstanceId, InterfaceId};
use crate::engine::snapshot::StateName;

/// Events that may wait: of a thousand virtual routers all that a takeover tells, twice.
const QUEUE: usize = 8192;
/// Of more of them, as many for each.
const OF_EACH: usize = 8;

/// Something to tell of.
#[derive(Clone, Debug)]
pub enum Told {
    /// With the effective priority.
    Instance(InstanceId, Event, Priority),
    Group(GroupId, GroupEvent),
    /// Its addresses are announced: for the log with `-D` alone.
    Announces(InstanceId, Announced),
    /// So many adverts were refused: for the log alone.
    Refused {
        id: InstanceId,
        reason: Reason,
        adverts: u64,
    },
    /// An interface went up or down, which counts when it has lasted for so long.
    Link {
        id: InterfaceId,
        up: bool,
        delay: Option<Duration>,
    },
    /// What is told from now on is by the ids of this configuration, and goes to its FIFOs.
    Reloaded(Arc<Setup>, Fifos),
    /// What it is after a reload, which is no change: for the FIFOs alone, with `fifo_write_vrrp_states_on_reload`.
    Is(InstanceId, StateName, Priority),
    GroupIs(GroupId, StateName),
}

/// The FIFOs of a configuration; each is closed, and gone, when nothing more can be told that it should have.
pub type Fifos = Arc<[Arc<Fifo>]>;

struct Message {
    /// The configuration that ids are indices of; it may be another after a reload.
    setup: Arc<Setup>,
    fifos: Fifos,
    at: Instant,
    told: Told,
}

/// What came to nothing, since the start.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    /// Events that found the queue full: neither logged nor told to anybody.
    pub events: Arc<AtomicU64>,
    /// Changes of state whose scripts were not run.
    pub notices: Arc<AtomicU64>,
    /// Lines that a FIFO's reader did not take.
    pub fifo_lines: Arc<AtomicU64>,
    /// Letters that no mail server took.
    pub letters: Arc<AtomicU64>,
    /// Changes of state that were not told on the message bus.
    pub signals: Arc<AtomicU64>,
}

/// The protocol thread's end.
#[derive(Clone)]
pub struct Teller {
    setup: Arc<Setup>,
    fifos: Fifos,
    queue: Sender<Message>,
    lost: Arc<AtomicU64>,
    sparing: Sparing,
}

impl Teller {
    /// Lines that came too often.
    pub fn withheld(&self) -> Arc<Withheld> {
        Arc::clone(self.sparing.withheld())
    }

    /// The same queue for another configuration, as after a reload: `instance` is from now on an index of that.
    fn with(&self, setup: Arc<Setup>, fifos: Fifos) -> Self {
        let sparing = Sparing::new(setup.instances.len(), Arc::clone(self.sparing.withheld()));
        Self { setup, fifos, sparing, ..self.clone() }
    }

    /// Never waits: what does not fit into the queue is counted and gone, and so are events that come too often.
    pub fn tell(&mut self, told: Told) {
        if let Told::Reloaded(setup, fifos) = told {
            return *self = self.with(setup, fifos);
        }
        let at = clock::now();
        if let Told::Instance(id, event, _) = told
            && event.is_cheap()
            && !self.sparing.allows(id, at)
        {
            return;
        }
        let (setup, fifos) = (Arc::clone(&self.setup), Arc::clone(&self.fifos));
        if self.queue.try_send(Message { setup, fifos, at, told }).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The thread's handle.
pub struct Telling(JoinHandle<()>);

/// Starts the thread. Changes of state that have scripts go on to `notices`, what is mailed of them to `letters`, and with
/// `enable_dbus` all to `signals`.
pub fn start(
    setup: Arc<Setup>,
    fifos: Fifos,
    (notices, letters, signals): (Sender<Notice>, Sender<Letter>, Sender<Notice>),
    losses: &Losses,
) -> io::Result<(Telling, Teller)> {
    let (teller, messages) = queue(setup, fifos, losses, QUEUE);
    let mut voice = Voice { notices, letters, signals, losses: losses.clone(), states: Vec::new() };
    let thread = std::thread::Builder::new().name("telling".into()).spawn(move || {
        // Signals are for the main thread.
        let _ = SigSet::all().thread_block();
        voice.run(messages);
    })?;
    Ok((Telling(thread), teller))
}

fn queue(setup: Arc<Setup>, fifos: Fifos, losses: &Losses, least: usize) -> (Teller, Receiver<Message>) {
    let (queue, messages) = mpsc::channel(least.max(setup.instances.len() * OF_EACH));
    let sparing = Sparing::new(setup.instances.len(), Arc::default());
    (Teller { setup, fifos, queue, lost: Arc::clone(&losses.events), sparing }, messages)
}

impl Telling {
    /// Tells what still waits, and closes and removes the FIFOs. The teller must be gone, or it waits for it.
    pub fn stop(self) {
        let _ = self.0.join();
    }
}

/// Who speaks.
struct Voice {
    notices: Sender<Notice>,
    letters: Sender<Letter>,
    signals: Sender<Notice>,
    losses: Losses,
    /// By instance: the state last told of.
    states: Vec<StateName>,
}

impl Voice {
    fn run(&mut self, mut messages: Receiver<Message>) {
        while let Some(message) = messages.blocking_recv() {
            self.say(&message);
        }
    }

    fn say(&mut self, Message { setup, fifos, at, told }: &Message) {
        if self.states.len() != setup.instances.len() {
            self.states = vec![StateName::Init; setup.instances.len()];
        }
        let (who, moment) = match *told {
            // The sender's own.
            Told::Reloaded(..) => return,
            Told::Instance(id, event, effective) => {
                log::at(*at, || log::event(&setup.instances[id.index()].name, &event, effective));
                (Who::Instance(id, effective), self.moment(setup, id, &event))
            }
            Told::Group(id, event @ GroupEvent::Syncs(_)) => {
                return log::at(*at, || log::group(&setup.groups[id.index()].name, &event));
            }
            Told::Group(id, GroupEvent::Entered(state)) => (Who::Group(id), Moment::entering(state)),
            Told::Announces(id, which) => return log::at(*at, || log::announces(setup, id, which)),
            Told::Refused { id, reason, adverts } => {
                return log::at(*at, || log::refused(&setup.instances[id.index()], reason, adverts));
            }
            Told::Link { id, up, delay } => {
                return log::at(*at, || log::link(&setup.interfaces[id.index()], up, delay));
            }
            Told::Is(id, state, effective) => {
                self.states[id.index()] = state;
                return self.write_state(setup, fifos, Who::Instance(id, effective), state);
            }
            Told::GroupIs(id, state) => return self.write_state(setup, fifos, Who::Group(id), state),
        };
        let Some(moment) = moment else { return };
        let notice = Notice { setup: Arc::clone(setup), who, moment };
        self.write(fifos, &notice);
        if let Some(letter) = Letter::of(&notice)
            && self.letters.try_send(letter).is_err()
        {
            self.losses.letters.fetch_add(1, Ordering::Relaxed);
        }
        self.signal(&notice);
        // Most have no script: nothing to queue.
        if notice.scripts().next().is_some() && self.notices.try_send(notice).is_err() {
            self.losses.notices.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What an event is to others than the log.
    fn moment(&mut self, setup: &Setup, id: InstanceId, event: &Event) -> Option<Moment> {
        if let Some(state) = event.entered() {
            self.states[id.index()] = state;
            return Moment::entering(state);
        }
        match (event, self.states[id.index()]) {
            // As keepalived: FAULT, unless `notify_deleted` is there.
            (Event::Deleted, _) => {
                let notify = setup.instances[id.index()].notify.as_deref();
                let says_so = notify.is_some_and(|notify| notify.says_deleted);
                Some(if says_so { Moment::Deleted } else { Moment::Fault })
            }
            (Event::MasterHeardLower { .. }, _) => Some(Moment::RxLower),
            (Event::PriorityChanged { .. }, StateName::Master) => Some(Moment::MasterPriority),
            (Event::PriorityChanged { .. }, StateName::Backup) => Some(Moment::BackupPriority),
            _ => None,
        }
    }

    fn write_state(&mut self, setup: &Arc<Setup>, fifos: &Fifos, who: Who, state: StateName) {
        if setup.telling.states_on_reload
            && let Some(moment) = Moment::entering(state)
        {
            self.write(fifos, &Notice { setup: Arc::clone(setup), who, moment });
        }
    }

    fn signal(&mut self, notice: &Notice) {
        let wanted = notice.setup.telling.dbus.is_some() && notice.state().is_some();
        if wanted && self.signals.try_send(notice.clone()).is_err() {
            self.losses.signals.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn write(&mut self, fifos: &Fifos, notice: &Notice) {
        if fifos.is_empty() || !notice.is_for_fifos() {
            return;
        }
        let line = notice.line();
        for fifo in fifos.iter() {
            if !fifo.write(&line) {
                self.losses.fifo_lines.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests;
