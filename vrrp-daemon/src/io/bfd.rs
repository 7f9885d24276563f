//! The thread of BFD sessions: their packets, their time, and word of them to the protocol thread.
//!
//! The rules are in [`session`](crate::track::bfd::session).

mod port;

use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context;
use futures_util::future::{pending, select_all};
use nix::sys::signal::SigSet;
use tokio::sync::{mpsc, oneshot, watch};
use vrrp_common::Instant;

use super::clock::{self, Deadline};
use super::privilege::Urgency;
use crate::config::setup::{Setup, TrackerKind};
use crate::engine::plan::{Subject, TrackerId};
use crate::track::bfd::Bfd;
use crate::track::bfd::packet::{Packet, State};
use crate::track::bfd::session::{Input, Output, Session};
use crate::track::bfd::word::{self, Word};
use port::{Ear, Mouth, Received};

/// Packets read of one port before time passes; at a millisecond each this is more than all sessions may send.
const TURN: usize = 4096;

/// The running thread.
pub struct Running {
    stop: oneshot::Sender<()>,
    changes: mpsc::UnboundedSender<Change>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Where it is told which sessions there are after a reload. One that was there goes on.
    pub fn changes(&self) -> mpsc::UnboundedSender<Change> {
        self.changes.clone()
    }

    /// Tells the neighbours that the sessions end, and ends.
    pub fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

/// The sessions of a configuration: also those that nobody tracks, since the neighbour may.
pub fn peers(setup: &Setup) -> Vec<Bfd> {
    let mut peers = Vec::new();
    for tracker in &setup.trackers {
        match &tracker.kind {
            TrackerKind::Bfd(peer) if !peers.contains(peer) => peers.push(peer.clone()),
            _ => {}
        }
    }
    peers
}

/// What a reload makes of the thread.
pub struct Change {
    pub peers: Vec<Bfd>,
    /// Where it is not as before.
    pub urgency: Option<Urgency>,
}

/// Takes out of a set-up what depends on sessions: `-B`.
pub fn leave_out(setup: &mut Setup) {
    let is_session = |id: TrackerId| matches!(setup.trackers[id.index()].kind, TrackerKind::Bfd(_));
    let plans = Arc::make_mut(&mut setup.plan.instances);
    for (plan, instance) in plans.iter_mut().zip(&setup.instances) {
        let before = plan.watches.len();
        plan.watches.retain(|watch| !matches!(watch.subject, Subject::Tracker(id) if is_session(id)));
        if plan.watches.len() < before {
            tracing::warn!("({}) tracks no BFD session: -B leaves them all out", instance.name);
        }
    }
}

/// Starts the sessions. A port that another program has is an error.
pub fn start(peers: Vec<Bfd>, urgency: Urgency) -> anyhow::Result<Running> {
    let (ready, started) = std::sync::mpsc::sync_channel(1);
    let (stop, stopping) = oneshot::channel();
    // Bounded by who sends: a reload waits for the one before it.
    let (changes, changed) = mpsc::unbounded_channel();
    let thread = std::thread::Builder::new().name("bfd".into()).spawn(move || {
        let _ = SigSet::all().thread_block();
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(error.into()))),
        };
        let _inside = runtime.enter();
        match Sessions::open(peers) {
            Ok(sessions) => {
                let _ = ready.send(Ok(()));
                // A session that is found late to be lost is lost late.
                urgency.apply(1);
                if let Err(error) = runtime.block_on(sessions.run(stopping, changed)) {
                    tracing::error!("no BFD session is heard any more: {error:#}");
                }
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    })?;
    started.recv().context("the BFD thread died")??;
    Ok(Running { stop, changes, thread })
}

/// A session with what it talks by.
struct Line {
    peer: Bfd,
    session: Session,
    mouth: Mouth,
    word: watch::Sender<Word>,
}

struct Sessions {
    lines: Vec<Line>,
    ears: Vec<Ear>,
    deadline: Deadline,
    /// Sessions so far: the next one's number is another.
    count: u32,
}

impl Sessions {
    fn open(peers: Vec<Bfd>) -> anyhow::Result<Self> {
        let mut sessions = Self { lines: Vec::new(), ears: Vec::new(), deadline: Deadline::new()?, count: 0 };
        for peer in peers {
            sessions.add(peer)?;
        }
        Ok(sessions)
    }

    fn add(&mut self, peer: Bfd) -> anyhow::Result<()> {
        if !self.ears.iter().any(|ear| ear.is_for(&peer)) {
            self.ears.push(Ear::open(&peer)?);
        }
        let now = clock::now();
        self.count += 1;
        // Another one after each start: the neighbour may remember the last.
        let discriminator = (now.as_nanos() as u32 & !0xffff).wrapping_add(self.count).max(1);
        let session = Session::new(peer.timing, discriminator, now);
        let (mouth, word) = (Mouth::new(&peer, discriminator), word::of(&peer));
        self.lines.push(Line { peer, session, mouth, word });
        Ok(())
    }

    /// Goes on with these: those that were there as they are.
    fn change(&mut self, peers: Vec<Bfd>) {
        let now = clock::now();
        for line in self.lines.iter_mut().filter(|line| !peers.contains(&line.peer)) {
            line.handle(now, Input::Shutdown);
        }
        self.lines.retain(|line| line.session.state() != State::AdminDown);
        for peer in peers {
            if !self.lines.iter().any(|line| line.peer == peer)
                && let Err(error) = self.add(peer)
            {
                tracing::error!("a BFD session is not run: {error:#}");
            }
        }
    }

    async fn run(
        mut self,
        mut stopping: oneshot::Receiver<()>,
        mut changed: mpsc::UnboundedReceiver<Change>,
    ) -> anyhow::Result<()> {
        loop {
            self.turn()?;
            self.deadline.set(self.lines.iter().filter_map(|line| line.session.deadline()).min())?;
            let heard = async {
                if self.ears.is_empty() {
                    return pending().await;
                }
                select_all(self.ears.iter().map(|ear| Box::pin(ear.readable()))).await.0
            };
            tokio::select! {
                // An error says that nobody is left who could stop us.
                _ = &mut stopping => break,
                Some(Change { peers, urgency }) = changed.recv() => {
                    if let Some(urgency) = urgency {
                        urgency.apply(1);
                    }
                    self.change(peers);
                }
                result = self.deadline.reached() => result?,
                result = heard => result?,
            }
        }
        let now = clock::now();
        self.lines.iter_mut().for_each(|line| line.handle(now, Input::Shutdown));
        Ok(())
    }

    /// Hears everything received so far, then lets time pass.
    fn turn(&mut self) -> anyhow::Result<()> {
        for ear in &self.ears {
            for _ in 0..TURN {
                let Some(received) = ear.hear()? else { break };
                hear(&mut self.lines, ear, received, clock::now());
            }
        }
        let now = clock::now();
        for line in self.lines.iter_mut().filter(|line| line.session.deadline().is_some_and(|due| due <= now)) {
            line.handle(now, Input::Deadline);
        }
        Ok(())
    }
}

/// Finds the session that a packet is for: by the number that we gave it, or by who speaks (RFC 5880 section 6.8.6).
fn hear(lines: &mut [Line], ear: &Ear, received: Received, now: Instant) {
    let Received { from, ttl, packet } = received;
    let packet = match packet {
        Ok(packet) => packet,
        Err(why) => return tracing::debug!("BFD packet from {from} discarded: {why:?}"),
    };
    let is_for = |line: &&mut Line| {
        let is_known = packet.yours == 0 || packet.yours == line.session.discriminator();
        is_known && ear.is_for(&line.peer) && line.peer.neighbor == from
    };
    let Some(line) = lines.iter_mut().find(is_for) else {
        return tracing::debug!("BFD packet from {from} for no session here: {packet:?}");
    };
    if ttl < line.peer.min_ttl {
        return tracing::debug!("BFD packet from {from} has travelled too far: TTL {ttl}");
    }
    line.handle(now, Input::Heard(packet));
}

impl Line {
    fn handle(&mut self, now: Instant, input: Input) {
        let mut out = Vec::new();
        self.session.handle(now, input, &mut out);
        for output in out {
            match output {
                Output::Send(packet) => self.send(&packet),
                Output::Became(state, why) => drop(self.word.send_replace((state, why))),
            }
        }
    }

    fn send(&mut self, packet: &Packet) {
        match self.mouth.send(&packet.octets()) {
            Ok(()) => {}
            // Said once until it goes again: an interface that is down is down for thousands of packets.
            Err((error, true)) => tracing::warn!("BFD packets to {} cannot be sent: {error}", self.peer.neighbor),
            Err((_, false)) => {}
        }
    }
}
