//! Another configuration: interfaces that stay keep socket and program, instances that stay keep slot, rule and what was
//! learned; of the kernel's tables only what differs is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use vrrp_common::abi::PeerKey;
use vrrp_common::stance::{Bucket, Stance};

use super::{Port, Ports, assign, filter, note};
use crate::config::setup::Setup;
use crate::engine::matching::Matching;
use crate::engine::plan::{InstanceId, InterfaceId};
use crate::io::delivered::associations;
use crate::io::repairs::Repairs;

impl Ports {
    /// Goes on by another configuration. For what is new there is room ([`Self::has_room`]).
    pub fn reload(&mut self, setup: Arc<Setup>, matching: &Matching) -> std::io::Result<()> {
        for id in matching.instances.gone() {
            self.set_key(id, None);
            self.set_stance(id, |stance| *stance = Stance::default());
        }
        for id in matching.interfaces.gone() {
            self.abandon(id);
        }
        let before = std::mem::replace(&mut self.setup, setup);
        self.changes = self.changes.wrapping_add(1);
        self.suspects.clear();
        self.inspections = Repairs::default();
        self.carry_instances(&before, matching);
        self.carry_interfaces(matching)?;
        self.write_peers();
        for id in self.ids() {
            self.renew(id);
        }
        Ok(())
    }

    fn carry_instances(&mut self, before: &Setup, matching: &Matching) {
        let moves = &matching.instances;
        for slot in self.slots.carry(moves) {
            self.buckets[slot as usize] = Bucket::default();
            self.clear_row(slot);
        }
        // Of what is tracked since now the network's thread will say whether it is there.
        let without = std::mem::take(&mut self.without_source).into_iter().filter_map(|id| moves.to(id));
        self.without_source = without.filter(|id| self.setup.instances[id.index()].tracks_source).collect();
        self.sources = moves.carry(std::mem::take(&mut self.sources), |_| None);
        self.keys = moves.carry(std::mem::take(&mut self.keys), |_| None);
        self.written = moves.carry(std::mem::take(&mut self.written), |_| None);
        self.forms.carry(moves);
        self.refusals.carry(moves);
        let mut associations = associations(&self.setup);
        for (id, association) in std::mem::take(&mut self.associations) {
            if let Some(now) = moves.to(id)
                && let Some(fresh) = associations.get_mut(&now)
            {
                // By the same keys the sequences go on.
                let is_same =
                    before.instances[id.index()].authentication == self.setup.instances[now.index()].authentication;
                match is_same {
                    true => *fresh = association,
                    false => fresh.go_on_from(&association),
                }
            }
        }
        self.associations = associations;
    }

    fn carry_interfaces(&mut self, matching: &Matching) -> std::io::Result<()> {
        let moves = &matching.interfaces;
        let device_rows = self.slots.capacity();
        for device in self.devices.carry(moves) {
            self.clear_row(device_rows + device);
        }
        self.sockets.carry(moves)?;
        self.ports = moves.carry(std::mem::take(&mut self.ports), |_| Port::absent());
        assign(&mut self.ports, &self.setup);
        self.by_index.clear();
        self.above.clear();
        for (port, id) in self.ports.iter().zip((0..).map(InterfaceId)) {
            let Some(link) = port.link else { continue };
            self.by_index.insert(link.index, id);
            if let Some(lower) = link.lower.filter(|_| !port.instances.is_empty()) {
                self.above.entry(lower).or_default().insert(id);
            }
        }
        Ok(())
    }

    /// Peers of instances that are gone, or that are no peers any more, are heard no longer.
    fn write_peers(&mut self) {
        let slots = &self.slots;
        let by_slot = |(key, peer): (PeerKey, _)| (PeerKey { slot: slots.of(InstanceId(key.slot)), ..key }, peer);
        let before = self.rules.set_peers(filter::peers(&self.setup).map(by_slot));
        let Ok(xdp) = &mut self.xdp else { return };
        let now: BTreeMap<_, _> = self.rules.peers().collect();
        for (&key, _) in before.iter().filter(|(key, _)| !now.contains_key(key)) {
            note(xdp.remove_peer(key));
        }
        for (&key, &peer) in now.iter().filter(|(key, peer)| before.get(key) != Some(peer)) {
            note(xdp.set_peer(key, peer));
        }
    }

    /// Has for an interface what its instances of now need.
    fn renew(&mut self, id: InterfaceId) {
        let Some(index) = self.index(id) else { return };
        if self.ports[id.index()].instances.is_empty() {
            return if self.groups(id).is_empty() { self.abandon(id) } else { self.open(id, index) };
        }
        let had_sockets = !self.ports[id.index()].groups.is_empty();
        self.open(id, index);
        if !had_sockets {
            self.attach(id, index);
        }
        self.find_sources(id);
        self.set_rules(id);
        if let Some(link) = self.link(id) {
            self.set_device(id, &link);
        }
    }

    /// No instance uses an interface any more: what was ours there goes. What is known of it stays.
    fn abandon(&mut self, id: InterfaceId) {
        if self.ports[id.index()].groups.is_empty() {
            return;
        }
        let index = self.link(id).map(|link| link.index);
        self.close(id, index);
        let Some(index) = index else { return };
        self.by_index.insert(index, id);
        if let Ok(xdp) = &mut self.xdp {
            self.detached.extend(xdp.link(index.0));
            xdp.detach(index.0);
        }
    }

    /// Nothing was counted yet for the next who has this row.
    fn clear_row(&mut self, row: u32) {
        self.counters.remove(&row);
        self.ambiguous.remove(&row);
        if let Ok(xdp) = &mut self.xdp {
            note(xdp.clear_counters(row));
        }
    }
}
