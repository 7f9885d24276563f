//! The kernel's tables: a rule for each instance, an entry for each device, a row of counters for both. What the raw sockets
//! judge by is written here, too.

use vrrp_common::IfIndex;
use vrrp_common::abi::{CounterRow, DEVICE_OBSERVE, DEVICE_PASS_UNKNOWN, Device, RULE_VLAN_AMBIGUOUS, Rule, RuleKey};
use vrrp_common::drop::REASON_SLOTS;

use super::{Ports, note};
use crate::config::setup::Setup;
use crate::engine::plan::{InstanceId, InterfaceId};
use crate::io::filter;
use crate::io::netlink::links::Link;
use crate::io::xdp::Sizes;

/// Room in the kernel's tables for this configuration, and for most that a reload will make of it.
pub fn sizes(setup: &Setup) -> Sizes {
    let room = |count: usize| (count as u32).next_power_of_two().max(ROOM);
    let (rules, devices) = (room(setup.instances.len()), room(setup.interfaces.len()));
    Sizes { rows: rules + devices, rules, peers: room(peers(setup) as usize), devices }
}

/// How many unicast peers there are.
pub fn peers(setup: &Setup) -> u32 {
    filter::peers(setup).count() as u32
}

/// The least room.
const ROOM: u32 = 64;

impl Ports {
    /// Writes the rules of an interface's instances, here and in the kernel.
    pub(super) fn set_rules(&mut self, id: InterfaceId) {
        let Some(index) = self.index(id) else { return };
        let instances = self.ports[id.index()].instances.clone();
        // All keys first: two may have changed places.
        for &instance in &instances {
            self.set_key(instance, filter::key(&self.setup, instance, self.sources[instance.index()], index));
        }
        for instance in instances {
            let Some(key) = self.keys[instance.index()] else { continue };
            let source = self.sources[instance.index()];
            let slot = self.slots.of(instance);
            let rule = Rule { slot, ..filter::rule(&self.setup, instance, slot, source) };
            let mut in_kernel = rule;
            // The socket of an interface hears no other's adverts.
            if self.is_ambiguous(id, key) {
                in_kernel.flags |= RULE_VLAN_AMBIGUOUS;
                self.ambiguous.insert(slot);
            } else {
                self.ambiguous.remove(&slot);
            }
            if let Ok(xdp) = &mut self.xdp
                && self.written[instance.index()].replace(in_kernel) != Some(in_kernel)
            {
                note(xdp.set_rule(key, &in_kernel));
            }
            self.rules.insert(key, rule);
        }
    }

    /// An instance's rule has another key from now on, or is no more.
    pub(super) fn set_key(&mut self, instance: InstanceId, key: Option<RuleKey>) {
        let before = std::mem::replace(&mut self.keys[instance.index()], key);
        let Some(before) = before.filter(|_| before != key) else { return };
        self.rules.remove(before);
        self.written[instance.index()] = None;
        if let Ok(xdp) = &mut self.xdp {
            note(xdp.remove_rule(before));
        }
    }

    /// Whether frames with this key may be for an interface that stands on this one: for a VLAN, also one that is not ours, or
    /// for one in use that has an instance of the same.
    fn is_ambiguous(&self, id: InterfaceId, key: RuleKey) -> bool {
        if self.link(id).is_some_and(|link| link.carries_vlans) {
            return true;
        }
        let index = IfIndex(key.router.ifindex);
        let above = self.above.get(&index).into_iter().flatten();
        let mut others = above.flat_map(|id| &self.ports[id.index()].instances);
        others.any(|&other| filter::key(&self.setup, other, self.sources[other.index()], index) == Some(key))
    }

    pub(super) fn set_device(&mut self, id: InterfaceId, link: &Link) {
        let device = self.device(id, link);
        if let Ok(xdp) = &mut self.xdp {
            note(xdp.set_device(link.index.0, &device));
        }
    }

    fn device(&self, id: InterfaceId, link: &Link) -> Device {
        let settings = self.setup.daemon.xdp;
        let mut flags = 0;
        if settings.pass_unknown || link.carries_others {
            flags |= DEVICE_PASS_UNKNOWN;
        }
        if settings.observe {
            flags |= DEVICE_OBSERVE;
        }
        Device { row: self.device_row(id), flags }
    }

    /// The number of an instance in the kernel's tables.
    pub fn slot(&self, id: InstanceId) -> u32 {
        self.slots.of(id)
    }

    pub fn instance_counters(&self, id: InstanceId) -> CounterRow {
        self.counters(self.slots.of(id))
    }

    pub fn device_counters(&self, id: InterfaceId) -> CounterRow {
        self.counters(self.device_row(id))
    }

    /// The row of counters for frames of no instance; an instance's is its slot.
    pub(super) fn device_row(&self, id: InterfaceId) -> u32 {
        self.slots.capacity() + self.devices.of(id)
    }

    fn counters(&self, row: u32) -> CounterRow {
        let mut sum = self.counters.get(&row).copied().unwrap_or([0; REASON_SLOTS]);
        if let Ok(xdp) = &self.xdp
            && let Ok(kernel) = xdp.counters(row)
        {
            sum.iter_mut().zip(kernel).for_each(|(sum, count)| *sum += count);
        }
        sum
    }
}
