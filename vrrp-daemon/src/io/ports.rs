//! The configured interfaces as the protocol sees them: socket, XDP program, rules and source addresses, kept in step
//! with what the kernel reports.

mod growth;
mod inspection;
mod places;
mod refusals;
mod reload;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use nix::net::if_::if_indextoname;
use vrrp_common::abi::{
    CounterRow, DEVICE_OBSERVE, DEVICE_PASS_UNKNOWN, Device, RULE_VLAN_AMBIGUOUS, RecordHead, Rule, RuleKey,
};
use vrrp_common::classify::{Ingress, judge};
use vrrp_common::drop::{Disposition, REASON_SLOTS, Reason};
use vrrp_common::stance::{Bucket, Heed, Stance};
use vrrp_common::wire::advert::{HEADER, Header, MESSAGE_MAX};
use vrrp_common::wire::checksum::ChecksumForm;
use vrrp_common::{Address, Family, IfIndex, Instant};

use super::delivered::{associations, input, is_authentic};
use super::filter::{self, RuleTable};
use super::forms::Forms;
use super::netlink::links::Link;
use super::repairs::Repairs;
use super::rx::Sockets;
use super::slots::Slots;
use super::socket;
use super::xdp::{self, Attached, Sizes, Xdp};
use crate::auth::Association;
use crate::config::setup::{Destination, Setup, XdpMode};
use crate::engine::Input;
use crate::engine::plan::{InstanceId, InterfaceId};

/// How adverts reach us on one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    Xdp(Attached),
    /// The raw socket alone, and why.
    Socket(String),
}

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

/// One configured interface.
struct Port {
    link: Option<Link>,
    path: Path,
    instances: Vec<InstanceId>,
    /// The families and IP protocols that there are sockets of, with their groups.
    groups: Groups,
}

/// The families and IP protocols in use on an interface, each with the groups that its adverts go to; none where they are
/// unicast.
type Groups = BTreeMap<(Family, u8), BTreeSet<IpAddr>>;

/// All of them, by `InterfaceId`.
pub struct Ports {
    setup: Arc<Setup>,
    ports: Vec<Port>,
    pub sockets: Sockets,
    /// Counts changes of what adverts are made of: of interfaces, their addresses, and the form of checksums.
    pub changes: u32,
    xdp: Result<Xdp, String>,
    /// Interfaces with a program whose raw socket received adverts all the same, and the rows of these.
    suspects: BTreeMap<InterfaceId, BTreeSet<u32>>,
    inspections: Repairs<InterfaceId>,
    /// A row of each, and what the program had counted there, when it was last looked at.
    looks: BTreeMap<InterfaceId, (u32, u64)>,
    refusals: refusals::Refusals,
    /// Links of programs that were taken off their devices, until somebody takes note.
    pub detached: Vec<u32>,
    rules: RuleTable,
    /// Numbers in the kernel's tables, and in those here that are like them.
    slots: Slots<InstanceId>,
    devices: Slots<InterfaceId>,
    /// Rows of the instances whose frames the program leaves to the raw sockets, not knowing whose they are.
    ambiguous: BTreeSet<u32>,
    /// Instances that track a source address which is not there.
    without_source: BTreeSet<InstanceId>,
    /// By instance: what it sends from, the key of its rule while it has one, and the rule that the kernel has by it.
    pub sources: Vec<Option<IpAddr>>,
    keys: Vec<Option<RuleKey>>,
    written: Vec<Option<Rule>>,
    by_index: BTreeMap<IfIndex, InterfaceId>,
    /// By an interface: those that stand on it.
    above: BTreeMap<IfIndex, BTreeSet<InterfaceId>>,
    /// By slot: what valid adverts are worth, as in the kernel; and the raw sockets' own limit.
    stances: Vec<Stance>,
    buckets: Vec<Bucket>,
    /// What adverts are signed and verified with, of the instances where they are.
    associations: BTreeMap<InstanceId, Association>,
    forms: Forms,
    /// What the raw sockets' path counted, by rows as in the kernel; none for most.
    counters: BTreeMap<u32, CounterRow>,
}

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
    /// Without a program, until it is loaded.
    pub fn new(setup: Arc<Setup>) -> std::io::Result<Self> {
        let mut ports: Vec<Port> = Vec::new();
        ports.resize_with(setup.interfaces.len(), || Port {
            link: None,
            path: Path::Socket("the interface does not exist".into()),
            instances: Vec::new(),
            groups: Groups::new(),
        });
        for (plan, id) in setup.plan.instances.iter().zip((0..).map(InstanceId)) {
            ports[plan.interface.index()].instances.push(id);
        }
        let sizes = sizes(&setup);
        let mut all = Self {
            slots: Slots::new(setup.instances.len(), sizes.rules),
            devices: Slots::new(setup.interfaces.len(), sizes.devices),
            ports,
            sockets: Sockets::new()?,
            changes: 0,
            xdp: Err("the XDP program is being loaded".into()),
            suspects: BTreeMap::new(),
            inspections: Repairs::default(),
            looks: BTreeMap::new(),
            refusals: Default::default(),
            detached: Vec::new(),
            rules: RuleTable::new(filter::peers(&setup)),
            without_source: BTreeSet::new(),
            ambiguous: BTreeSet::new(),
            sources: vec![None; setup.instances.len()],
            keys: vec![None; setup.instances.len()],
            written: vec![None; setup.instances.len()],
            by_index: BTreeMap::new(),
            above: BTreeMap::new(),
            stances: vec![Stance::default(); sizes.rules as usize],
            buckets: vec![Bucket::default(); sizes.rules as usize],
            associations: associations(&setup),
            forms: Forms::new(setup.instances.len()),
            counters: BTreeMap::new(),
            setup,
        };
        all.open_host();
        Ok(all)
    }

    /// The number of an instance in the kernel's tables.
    pub fn slot(&self, id: InstanceId) -> u32 {
        self.slots.of(id)
    }

    fn ids(&self) -> impl Iterator<Item = InterfaceId> + use<> {
        (0..self.ports.len() as u32).map(InterfaceId)
    }

    pub fn link(&self, id: InterfaceId) -> Option<Link> {
        self.ports[id.index()].link
    }

    pub fn path(&self, id: InterfaceId) -> &Path {
        &self.ports[id.index()].path
    }

    /// The link of the program on an interface.
    pub fn program_link(&self, id: InterfaceId) -> Option<u32> {
        self.xdp.as_ref().ok()?.link(self.link(id)?.index.0)
    }

    /// The interface in use that has no XDP program, if there is one, and why.
    pub fn without_xdp(&self) -> Option<(&str, &str)> {
        let ports = self.ports.iter().zip((0..).map(InterfaceId));
        let mut used = ports.filter(|(port, id)| !port.instances.is_empty() && !self.setup.routed.contains(id));
        used.find_map(|(port, id)| match &port.path {
            Path::Xdp(_) => None,
            Path::Socket(why) => Some((self.setup.interfaces[id.index()].as_str(), why.as_str())),
        })
    }

    /// The address that an instance sends from.
    pub fn source(&self, id: InstanceId) -> Option<IpAddr> {
        self.sources[id.index()]
    }

    /// In which form the peers sum v3 adverts over IPv4, by the last one that was heard.
    pub fn peer_form(&self, id: InstanceId) -> Option<ChecksumForm> {
        self.forms.peer(id)
    }

    /// In which form our own are summed.
    pub fn checksum_form(&self, id: InstanceId) -> ChecksumForm {
        self.forms.ours(id, &self.setup.instances[id.index()])
    }

    pub fn device_counters(&self, id: InterfaceId) -> CounterRow {
        self.counters(self.device_row(id))
    }

    pub fn instance_counters(&self, id: InstanceId) -> CounterRow {
        self.counters(self.slots.of(id))
    }

    /// The row of counters for frames of no instance; an instance's is its slot.
    fn device_row(&self, id: InterfaceId) -> u32 {
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

    /// Takes up the program, or why there is none. Until then the raw sockets hear everything, and after it what is still
    /// in them.
    pub fn load(&mut self, xdp: Result<Xdp, String>) {
        self.xdp = xdp;
        if let Ok(xdp) = &mut self.xdp {
            self.rules.peers().for_each(|(key, peer)| note(xdp.set_peer(key, peer)));
        }
        for id in self.ids() {
            let Some(link) = self.link(id) else { continue };
            self.attach(id, link.index);
            // In this order: on a device that has its entry, what has no rule may be dropped.
            self.set_rules(id);
            self.set_device(id, &link);
        }
    }

    /// Takes in what an interface is now; appends what the engine must know, sources before the interface itself.
    pub fn link_is(&mut self, id: InterfaceId, link: Option<Link>, inputs: &mut Vec<Input>) {
        let is_used = !self.ports[id.index()].instances.is_empty();
        let sender = self.setup.below_ipvlan(id);
        self.changes = self.changes.wrapping_add(u32::from(is_used || sender != id));
        let before = std::mem::replace(&mut self.ports[id.index()].link, link);
        let (old, new) = (before.map(|link| link.index), link.map(|link| link.index));
        if old != new {
            self.close(id, old);
            if let Some(index) = new {
                self.by_index.insert(index, id);
                self.open(id, index);
                self.attach(id, index);
            }
        }
        self.find_sources(sender);
        let instances = &self.ports[sender.index()].instances;
        inputs.extend(instances.iter().map(|&id| Input::Source { id, address: self.source(id) }));
        self.set_rules(sender);
        if let Some(link) = link.filter(|_| is_used) {
            self.set_device(id, &link);
            if link.carries_vlans && before.is_none_or(|before| !before.carries_vlans) {
                let name = &self.setup.interfaces[id.index()];
                tracing::info!(
                    "{name}: VLANs stand on it; its adverts are left to the raw socket, which sees their tags"
                );
            }
        }
        if is_used {
            self.stands_on(id, before.and_then(|link| link.lower), link.and_then(|link| link.lower));
        }
        inputs.push(link.map_or(Input::NoInterface(id), |link| Input::Interface { id, up: link.up }));
    }

    /// An interface stands on another than before: what those two see by their own rules may be its.
    fn stands_on(&mut self, id: InterfaceId, before: Option<IfIndex>, now: Option<IfIndex>) {
        if before == now {
            return;
        }
        if let Some(others) = before.and_then(|index| self.above.get_mut(&index)) {
            others.remove(&id);
        }
        if let Some(index) = now {
            self.above.entry(index).or_default().insert(id);
        }
        for index in [before, now].into_iter().flatten() {
            if let Some(&lower) = self.by_index.get(&index) {
                self.set_rules(lower);
            }
        }
    }

    fn open(&mut self, id: InterfaceId, index: IfIndex) {
        let name = &self.setup.interfaces[id.index()];
        let needed = self.groups(id);
        for (&(family, protocol), groups) in &needed {
            // The new one hears before the old one is deaf.
            if self.ports[id.index()].groups.get(&(family, protocol)) == Some(groups) {
                continue;
            }
            let opened = socket::vrrp(family, protocol, (name, index), groups);
            if let Err(error) = opened.and_then(|socket| self.sockets.insert(id, family, protocol, socket)) {
                tracing::error!("cannot open a VRRP socket of {family:?} on {name}: {error}");
            }
        }
        self.sockets.retain(id, |of| needed.contains_key(&of));
        self.ports[id.index()].groups = needed;
    }

    fn attach(&mut self, id: InterfaceId, index: IfIndex) {
        if self.ports[id.index()].instances.is_empty() {
            return;
        }
        let path = self.path_by(id, index);
        let name = &self.setup.interfaces[id.index()];
        match &path {
            Path::Xdp(attached) => tracing::info!("{name}: XDP program attached, {}", attached.label()),
            // Why there is no program at all was said once, at the start.
            Path::Socket(why) if self.xdp.is_ok() && !self.setup.routed.contains(&id) => {
                tracing::warn!("{name}: {why}; using the raw socket")
            }
            Path::Socket(_) => {}
        }
        self.ports[id.index()].path = path;
    }

    /// Puts the program on a device, if it can be.
    fn path_by(&mut self, id: InterfaceId, index: IfIndex) -> Path {
        // A program there would see nothing: what comes in does so by another device, whose rules are not these.
        if self.setup.routed.contains(&id) {
            return Path::Socket("adverts come in by any interface".into());
        }
        match &mut self.xdp {
            Ok(xdp) => match xdp.attach(index.0, mode(self.setup.daemon.xdp.mode)) {
                Ok(attached) => Path::Xdp(attached),
                Err(refused) => Path::Socket(refused.to_string()),
            },
            Err(why) => Path::Socket(why.clone()),
        }
    }

    /// What is to be heard on an interface. What goes to a group is heard below an ipvlan; what goes to its address is not.
    fn groups(&self, id: InterfaceId) -> Groups {
        let mut groups = Groups::new();
        for &of in &self.ports[self.setup.below_ipvlan(id).index()].instances {
            let (plan, instance) = (&self.setup.plan.instances[of.index()], &self.setup.instances[of.index()]);
            let (group, hears) = match instance.destination {
                Destination::Group(group) => (Some(group), plan.interface),
                Destination::Peers(_) => (None, self.setup.source_interface(of)),
            };
            if hears == id {
                let protocol = instance.authentication.envelope().protocol;
                groups.entry((plan.family, protocol)).or_default().extend(group);
            }
        }
        groups
    }

    fn close(&mut self, id: InterfaceId, index: Option<IfIndex>) {
        self.sockets.retain(id, |_| false);
        self.ports[id.index()].groups.clear();
        self.ports[id.index()].path = Path::Socket("the interface does not exist".into());
        let Some(index) = index else { return };
        self.by_index.remove(&index);
        for instance in self.ports[id.index()].instances.clone() {
            self.set_key(instance, None);
        }
        if let Ok(xdp) = &mut self.xdp {
            note(xdp.remove_device(index.0));
            // One that only has another name now keeps the program: without an entry that passes everything, and the
            // name may come to be one of ours again.
            if if_indextoname(index.0).is_err() {
                self.detached.extend(xdp.link(index.0));
                xdp.detach(index.0);
            }
        }
    }

    fn set_device(&mut self, id: InterfaceId, link: &Link) {
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

    /// Writes the rules of an interface's instances, here and in the kernel.
    fn set_rules(&mut self, id: InterfaceId) {
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
    fn set_key(&mut self, instance: InstanceId, key: Option<RuleKey>) {
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
            let id = setup.below_ipvlan(id);
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

    /// What adverts of an instance are signed with, if they are.
    pub fn association(&mut self, id: InstanceId) -> Option<&mut Association> {
        self.associations.get_mut(&id)
    }

    /// Has the kernel absorb adverts equal to this one for an instance, and limit none of its sender.
    pub fn absorb(&mut self, id: InstanceId, Unchanged { source, header }: Unchanged) {
        self.set_stance(id, |stance| (stance.source, stance.header) = (source, header));
    }

    /// Limits adverts of a lower priority octet than this for an instance.
    pub fn limit(&mut self, id: InstanceId, weaker_than: u8) {
        self.set_stance(id, |stance| stance.weaker_than = weaker_than);
    }

    fn set_stance(&mut self, id: InstanceId, change: impl FnOnce(&mut Stance)) {
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

    /// The ring of the program, once.
    pub fn take_ring(&mut self) -> Option<xdp::Ring> {
        self.xdp.as_mut().ok()?.take_ring()
    }
}

const fn mode(mode: XdpMode) -> xdp::Mode {
    match mode {
        XdpMode::Native => xdp::Mode::Native,
        XdpMode::Generic => xdp::Mode::Generic,
        XdpMode::Auto | XdpMode::Off => xdp::Mode::Auto,
    }
}

/// The maps are sized for the configuration, so this does not happen; if it does, the raw socket goes on.
fn note(result: anyhow::Result<()>) {
    if let Err(error) = result {
        tracing::error!("{error:#}");
    }
}
