//! The thread of BFD sessions: their packets, their time, and word of them to the protocol thread.
//!
//! The rules are in [`session`](crate::track::bfd::session).

mod port;

use std::net::IpAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::select_all;
use nix::sys::signal::SigSet;
use tokio::sync::{mpsc, oneshot};
use vrrp_common::Instant;

use super::clock::{self, Deadline};
use super::driver::Message;
use super::privilege::Urgency;
use crate::config::setup::{BfdPeer, Setup, TrackerKind};
use crate::engine::plan::{Subject, TrackerId};
use crate::track::bfd::packet::{Packet, State};
use crate::track::bfd::session::{Input, Output, Session};
use port::{Ear, Mouth, Received};

/// Packets read of one port before time passes; at a millisecond each this is more than all sessions may send.
const TURN: usize = 4096;
/// When the protocol thread had no room for word of a session, it is told again after this.
const AGAIN: Duration = Duration::from_millis(1);

/// The running thread.
pub struct Bfd {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Bfd {
    /// Tells the neighbours that the sessions end, and ends.
    pub fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

/// Takes the sessions out of a set-up, and what depends on them: `-B`.
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
    // Numbers stay: those of other trackers are behind them.
    for tracker in &mut setup.trackers {
        if let TrackerKind::Bfd(peer) = &mut tracker.kind {
            peer.is_left_out = true;
        }
    }
}

/// Starts the sessions; `None` when there are none. A port that another program has is an error.
pub fn start(setup: &Setup, urgency: Urgency, inbox: mpsc::Sender<Message>) -> anyhow::Result<Option<Bfd>> {
    let ids = (0..).map(TrackerId);
    let peers: Vec<_> = (setup.trackers.iter().zip(ids))
        .filter_map(|(tracker, id)| match &tracker.kind {
            TrackerKind::Bfd(peer) if !peer.is_left_out => Some((id, tracker.name.clone(), peer.clone())),
            _ => None,
        })
        .collect();
    if peers.is_empty() {
        return Ok(None);
    }
    let (ready, started) = std::sync::mpsc::sync_channel(1);
    let (stop, stopping) = oneshot::channel();
    let thread = std::thread::Builder::new().name("bfd".into()).spawn(move || {
        let _ = SigSet::all().thread_block();
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(error.into()))),
        };
        let _inside = runtime.enter();
        match Sessions::open(peers, inbox) {
            Ok(sessions) => {
                let _ = ready.send(Ok(()));
                // A session that is found late to be lost is lost late.
                urgency.apply(1);
                if let Err(error) = runtime.block_on(sessions.run(stopping)) {
                    tracing::error!("no BFD session is heard any more: {error:#}");
                }
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    })?;
    started.recv().context("the BFD thread died")??;
    Ok(Some(Bfd { stop, thread }))
}

/// A session with what it talks by.
struct Line {
    id: TrackerId,
    name: String,
    peer: BfdPeer,
    session: Session,
    mouth: Mouth,
    /// What the protocol thread knows.
    told: bool,
}

struct Sessions {
    lines: Vec<Line>,
    ears: Vec<Ear>,
    deadline: Deadline,
    inbox: mpsc::Sender<Message>,
    /// Word of a session waits for room.
    is_untold: bool,
}

impl Sessions {
    fn open(peers: Vec<(TrackerId, String, BfdPeer)>, inbox: mpsc::Sender<Message>) -> anyhow::Result<Self> {
        let mut ears: Vec<Ear> = Vec::new();
        for (_, _, peer) in &peers {
            if !ears.iter().any(|ear| ear.is_for(peer)) {
                ears.push(Ear::open(peer)?);
            }
        }
        let now = clock::now();
        let line = |(place, (id, name, peer)): (u32, (TrackerId, String, BfdPeer))| {
            // Another one after each start: the neighbour may remember the last.
            let discriminator = (now.as_nanos() as u32 & !0xfff).wrapping_add(place + 1).max(1);
            let session = Session::new(peer.timing, discriminator, now);
            Line { id, name, mouth: Mouth::new(&peer, discriminator), peer, session, told: false }
        };
        let lines = (0..).zip(peers).map(line).collect();
        Ok(Self { lines, ears, deadline: Deadline::new()?, inbox, is_untold: false })
    }

    async fn run(mut self, mut stopping: oneshot::Receiver<()>) -> anyhow::Result<()> {
        loop {
            self.turn()?;
            let again = self.is_untold.then(|| clock::now() + AGAIN);
            let due = self.lines.iter().filter_map(|line| line.session.deadline()).chain(again).min();
            self.deadline.set(due)?;
            let heard = select_all(self.ears.iter().map(|ear| Box::pin(ear.readable())));
            tokio::select! {
                // An error says that nobody is left who could stop us.
                _ = &mut stopping => break,
                result = self.deadline.reached() => result?,
                (result, ..) = heard => result?,
            }
        }
        let now = clock::now();
        self.lines.iter_mut().for_each(|line| line.handle(now, Input::Shutdown));
        Ok(())
    }

    /// Hears everything received so far, then lets time pass, then tells.
    fn turn(&mut self) -> anyhow::Result<()> {
        for ear in &self.ears {
            for _ in 0..TURN {
                let Some(received) = ear.hear()? else { break };
                hear(&mut self.lines, ear, received, clock::now());
            }
        }
        let now = clock::now();
        self.is_untold = false;
        for line in &mut self.lines {
            if line.session.deadline().is_some_and(|due| due <= now) {
                line.handle(now, Input::Deadline);
            }
            let passed = line.session.state() == State::Up;
            if passed != line.told {
                match self.inbox.try_send(Message::Check { id: line.id, passed }) {
                    Ok(()) => line.told = passed,
                    Err(_) => self.is_untold = true,
                }
            }
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
        return tracing::debug!("BFD_Instance({}) packet from {from} has travelled too far: TTL {ttl}", line.name);
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
                Output::Became(State::Down, why) => {
                    tracing::warn!("BFD_Instance({}) Entering Down state, {why:?}", self.name);
                }
                Output::Became(state, _) => tracing::info!("BFD_Instance({}) Entering {state:?} state", self.name),
            }
        }
    }

    fn send(&mut self, packet: &Packet) {
        let neighbor: IpAddr = self.peer.neighbor;
        match self.mouth.send(&packet.octets()) {
            Ok(()) => {}
            // Said once until it goes again: an interface that is down is down for thousands of packets.
            Err((error, true)) => tracing::warn!("BFD_Instance({}) cannot send to {neighbor}: {error}", self.name),
            Err((_, false)) => {}
        }
    }
}
