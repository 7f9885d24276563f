//! An advert that reached the daemon: whose it is, what it says to the engine, and what the kernel may do without the
//! daemon from then on.

use vrrp_common::abi::{Device, RecordHead};
use vrrp_common::classify::{Ingress, judge};
use vrrp_common::drop::{Disposition, REASON_SLOTS, Reason};
use vrrp_common::stance::{Heed, Stance};
use vrrp_common::wire::advert::{HEADER, Header, MESSAGE_MAX};
use vrrp_common::wire::checksum::ChecksumForm;
use vrrp_common::{Address, Instant};

use super::{Path, Ports, note, places};
use crate::auth::Association;
use crate::engine::Input;
use crate::engine::plan::InstanceId;
use crate::io::delivered::{input, is_authentic};
use crate::io::xdp;

/// Who is followed, and what its advert must be like to say nothing new: a header of zeros is no advert's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unchanged {
    source: Address,
    header: [u8; HEADER],
}

impl Unchanged {
    pub fn is_absorbed(&self) -> bool {
        self.header != [0; HEADER]
    }
}

impl Ports {
    /// The ring of the program, once.
    pub fn take_ring(&mut self) -> Option<xdp::Ring> {
        self.xdp.as_mut().ok()?.take_ring()
    }

    /// What a record of the ring says to the engine, and what the kernel may absorb if the engine says so.
    pub fn recorded(&mut self, head: &RecordHead, octets: &[u8]) -> Option<(Instant, Input, Unchanged)> {
        let (id, arrival) = (self.slots.owner(head.slot)?, Instant::from_nanos(head.arrival));
        let mut count = |reason| self.counters.entry(head.slot).or_insert([0; REASON_SLOTS])[reason as usize] += 1;
        let association = self.associations.get_mut(&id);
        let is_signed = association.is_some();
        if !is_authentic(association, (arrival, head.source), octets, &mut count) {
            return None;
        }
        let input = input(&self.setup, id, head.source, octets)?;
        let header = *octets.first_chunk()?;
        let family = self.setup.plan.instances[id.index()].family;
        if let Some(form) = ChecksumForm::from_number(head.checksum_form)
            && self.forms.hear(id, family, Header(header), form)
        {
            self.changes = self.changes.wrapping_add(1);
        }
        // None that is signed goes unread.
        let header = if is_signed { [0; HEADER] } else { header };
        Some((arrival, input, Unchanged { source: head.source, header }))
    }

    /// Hands every advert that the raw sockets received before `now` to `each`; returns how many packets they had.
    pub fn drain_sockets(
        &mut self,
        now: Instant,
        mut each: impl FnMut(Instant, Input, Unchanged),
    ) -> std::io::Result<usize> {
        let device_rows = self.slots.capacity();
        let Self { setup, ports, sockets, rules, slots, devices, stances, buckets, forms, associations, .. } = self;
        let Self { counters, changes, suspects, ambiguous, .. } = self;
        let mut message = [0; MESSAGE_MAX];
        sockets.drain(now, |id, received| {
            let id = ports[id.index()].hears_for;
            let port = &ports[id.index()];
            let arrival = received.arrival;
            let Some(index) = places::index(setup, id, port.link) else { return };
            let device = Device { row: device_rows + devices.of(id), flags: 0 };
            let ingress = Ingress { ifindex: index.0, device };
            let Some(packet) = received.packet() else { return };
            let found = judge(received.octets, packet, ingress, rules, &mut message);
            let message = &message[..found.length.min(MESSAGE_MAX)];
            let slot = found.slot as usize;
            let mut reason = found.reason;
            let mut count = |reason| counters.entry(found.row).or_insert([0; REASON_SLOTS])[reason as usize] += 1;
            if found.disposition == Disposition::Deliver
                && let Some(instance) = slots.owner(found.slot)
            {
                let heed = stances[slot].heed(found.source, found.header, &mut buckets[slot], arrival.as_nanos());
                if heed == Heed::Limit {
                    reason = Reason::RateLimited;
                } else if is_authentic(associations.get_mut(&instance), (arrival, found.source), message, &mut count)
                    && let Some(input) = input(setup, instance, found.source, message)
                {
                    let is_new = forms.hear(instance, found.family, found.header, found.checksum_form);
                    *changes = changes.wrapping_add(u32::from(is_new));
                    each(arrival, input, Unchanged { source: found.source, ..Unchanged::default() });
                }
                if matches!(port.path, Path::Xdp(_)) {
                    suspects.entry(id).or_default().insert(found.row);
                }
            }
            // Where a program is attached it has counted this frame, and passed it on: for what it found, or not knowing whose
            // it is.
            if matches!(port.path, Path::Socket(_)) || ambiguous.contains(&found.row) {
                count(reason);
            }
        })
    }

    /// Has the kernel absorb adverts equal to this one for an instance, and limit none of its sender.
    pub fn absorb(&mut self, id: InstanceId, Unchanged { source, header }: Unchanged) {
        self.set_stance(id, |stance| (stance.source, stance.header) = (source, header));
    }

    /// Limits adverts of a lower priority octet than this for an instance.
    pub fn limit(&mut self, id: InstanceId, weaker_than: u8) {
        self.set_stance(id, |stance| stance.weaker_than = weaker_than);
    }

    pub(super) fn set_stance(&mut self, id: InstanceId, change: impl FnOnce(&mut Stance)) {
        let slot = self.slots.of(id);
        let stance = &mut self.stances[slot as usize];
        let before = *stance;
        change(stance);
        if *stance != before
            && let Ok(xdp) = &mut self.xdp
        {
            note(xdp.set_stance(slot, stance));
        }
    }

    /// When an advert for an instance was last absorbed.
    pub fn last_seen(&self, id: InstanceId) -> Option<Instant> {
        self.xdp.as_ref().ok()?.last_seen(self.slots.of(id))
    }

    /// What adverts of an instance are signed with, if they are.
    pub fn association(&mut self, id: InstanceId) -> Option<&mut Association> {
        self.associations.get_mut(&id)
    }

    /// In which form the peers sum v3 adverts over IPv4, by the last one that was heard.
    pub fn peer_form(&self, id: InstanceId) -> Option<ChecksumForm> {
        self.forms.peer(id)
    }

    /// In which form our own are summed.
    pub fn checksum_form(&self, id: InstanceId) -> ChecksumForm {
        self.forms.ours(id, &self.setup.instances[id.index()])
    }
}
