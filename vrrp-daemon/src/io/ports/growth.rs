//! A reload for which the kernel's tables are too small: the same program with larger ones takes its place on each device.

use vrrp_common::IfIndex;

use super::{Path, Ports, note};
use crate::engine::plan::InstanceId;
use crate::io::xdp::{Sizes, Xdp};

impl Ports {
    /// Puts this program, which has `sizes`, in the place of the one before, with all that its tables say. Returns that one,
    /// which may hold adverts that it delivered or absorbed last.
    pub fn grow(&mut self, mut next: Xdp, sizes: Sizes) -> Option<Xdp> {
        let of_devices: Vec<_> = self.ids().map(|id| self.device_counters(id)).collect();
        self.counters = (0..self.keys.len() as u32)
            .map(InstanceId)
            .map(|id| (self.slots.of(id), self.instance_counters(id)))
            .collect();
        self.slots.grow(sizes.rules);
        self.devices.grow(sizes.devices);
        // Counts do not go with the program; their rows have other numbers now.
        self.counters.extend(self.ids().map(|id| self.device_row(id)).zip(of_devices).collect::<Vec<_>>());
        self.stances.resize(self.slots.capacity() as usize, Default::default());
        self.buckets.resize(self.slots.capacity() as usize, Default::default());
        let Ok(before) = &mut self.xdp else { return None };
        self.rules.peers().for_each(|(key, peer)| note(next.set_peer(key, peer)));
        for (slot, stance) in (0..).zip(&self.stances) {
            note(next.set_stance(slot, stance));
        }
        for (key, rule) in self.keys.iter().zip(&self.written) {
            if let (Some(key), Some(rule)) = (key, rule) {
                note(next.set_rule(*key, rule));
            }
        }
        for (index, refused) in next.replace(before) {
            tracing::warn!("ifindex {index}: {refused}; using the raw socket");
            if let Some(id) = self.by_index.get(&IfIndex(index)) {
                self.ports[id.index()].path = Path::Socket(refused.to_string());
            }
        }
        let before = std::mem::replace(&mut self.xdp, Ok(next)).ok();
        // A device without an entry passes everything: until here the raw sockets heard.
        for id in self.ids() {
            if let Some(link) = self.link(id).filter(|_| !self.ports[id.index()].instances.is_empty()) {
                self.set_device(id, &link);
            }
        }
        before
    }
}
