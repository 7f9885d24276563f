//! The protocol's part of a reload, between two turns: everything that is kept by ids moves, and nothing is waited for.

use std::sync::Arc;

use super::{Driver, Heard, Unchanged, clock};
use crate::engine::Input;
use crate::engine::plan::{GroupId, InstanceId, TrackerId};
use crate::engine::snapshot::Snapshot;
use crate::io::netlink::Report;
use crate::io::next::Next;
use crate::io::readiness::Readiness;
use crate::io::telling::Told;
use crate::io::xdp::{RING_RECORDS, Sizes, Xdp};

impl<T: FnMut(Told)> Driver<T> {
    /// Goes on by another configuration. All that was heard by the one before was decided and done.
    pub(super) fn reload(&mut self, next: Next) -> anyhow::Result<()> {
        let now = clock::now();
        if self.stop_by.is_some() {
            next.refuse();
            return Ok(());
        }
        let Next { to, program, fifos, done } = next;
        if let Some(urgency) = to.urgency {
            urgency.apply(0);
        }
        if let Some((program, sizes)) = program {
            self.grow(program, sizes)?;
        }
        self.engine.remove(now, &to.matching, &mut self.actions);
        self.hands.perform(&mut self.actions, &mut self.ports)?;

        self.ports.reload(Arc::clone(&to.setup), &to.matching)?;
        self.ports.detached.drain(..).for_each(|program_link| self.hands.let_go(program_link));
        self.hands.reload(Arc::clone(&to.setup), fifos, &to.matching)?;
        // Before anything is asked of it by the new ids.
        self.hands.move_network(Arc::clone(&to))?;
        self.held = self.held.carry(&to.setup, &to.matching);
        self.absorbing = to.matching.instances.carry(std::mem::take(&mut self.absorbing), |_| false);
        self.absorbed = self.absorbing.iter().filter(|absorbs| **absorbs).count();
        self.setup = Arc::clone(&to.setup);
        self.engine.reload(now, &to.setup.plan, &to.matching, &self.ports.sources, &mut self.actions);
        self.tell_states();
        self.absorb(0, Unchanged::default());
        for id in (0..self.setup.instances.len() as u32).map(InstanceId) {
            self.ports.limit(id, self.engine.weaker_than(id));
        }
        self.edition = self.edition.wrapping_add(1);
        self.done = Some((done, clock::now().since(now)));
        self.moving = Some(to);
        // What has to be done now is done in a turn of its own.
        self.more = true;
        Ok(())
    }

    /// Ids are others now: of each what it is. What it becomes by the reload is told as an event.
    fn tell_states(&mut self) {
        for id in (0..self.setup.instances.len() as u32).map(InstanceId) {
            let Snapshot { state, effective, .. } = self.engine.snapshot(id);
            self.hands.tell(Told::Is(id, state, effective));
        }
        for id in (0..self.setup.groups.len() as u32).map(GroupId) {
            self.hands.tell(Told::GroupIs(id, self.engine.group_state(id)));
        }
    }

    /// Takes up a program with more room. What the one before it delivered and absorbed last is heard, too.
    fn grow(&mut self, program: Xdp, sizes: Sizes) -> anyhow::Result<()> {
        let now = clock::now();
        let Some(before) = self.ports.grow(program, sizes) else { return Ok(()) };
        let mut seen = Vec::new();
        for (id, _) in self.absorbing.iter().enumerate().filter(|(_, absorbs)| **absorbs) {
            let id = InstanceId(id as u32);
            seen.extend(before.last_seen(self.ports.slot(id)).map(|at| (at, id)));
        }
        for (at, id) in seen {
            self.engine.handle(at, Input::Seen(id), &mut self.actions);
        }
        let ring = self.ports.take_ring().map(|ring| Readiness::of(&ring).map(|ready| (ring, ready))).transpose()?;
        if let Some((mut ring, _)) = std::mem::replace(&mut self.ring, ring) {
            let (ports, heard) = (&mut self.ports, &mut self.heard);
            ring.drain(RING_RECORDS, |head, message| {
                let recorded = ports.recorded(head, message);
                heard.extend(recorded.map(|(at, input, advert)| Heard { at, input, advert }));
            });
        }
        self.decide_heard();
        self.hands.perform(&mut self.actions, &mut self.ports)?;
        tracing::debug!("the XDP program was replaced in {} us", clock::now().since(now).as_micros());
        Ok(())
    }

    /// A report by the ids of now: until the network's thread has moved, too, it is by those of before. `None`: it is about
    /// what is gone.
    pub(super) fn by_new_ids(&self, report: Report) -> Option<Report> {
        let Some(to) = &self.moving else { return Some(report) };
        let (instances, interfaces) = (&to.matching.instances, &to.matching.interfaces);
        Some(match report {
            Report::Link { id, link } => Report::Link { id: interfaces.to(id)?, link },
            Report::Source { id, is_there } => Report::Source { id: instances.to(id)?, is_there },
            Report::Settled { id } => Report::Settled { id: instances.to(id)? },
            Report::Address { id, tenure, address, installed } => {
                let id = instances.to(id)?;
                let address = to.matching.common[id.index()].address(address)?;
                Report::Address { id, tenure, address, installed }
            }
            // Those that stay are told of once more.
            Report::Path { .. } => return None,
            Report::Reloaded => report,
        })
    }

    /// Which check it is now, if that one still is.
    pub(super) fn check_by_new_ids(&self, edition: u32, id: TrackerId) -> Option<TrackerId> {
        match self.edition.wrapping_sub(edition) {
            0 => Some(id),
            1 => self.moving.as_ref().or(self.moved.as_ref())?.matching.trackers.to(id),
            _ => None,
        }
    }

    /// The network's thread has moved: the reload is whole.
    pub(super) fn reloaded(&mut self) {
        self.moved = self.moving.take();
        if let Some((done, took)) = self.done.take() {
            // Whoever waited for it may have gone.
            let _ = done.send(Ok(took));
        }
    }
}
