//! The configured interfaces as the protocol sees them: socket, XDP program, rules and source addresses, kept in step
//! with what the kernel reports.

mod adverts;
mod growth;
mod inspection;
mod links;
mod places;
mod refusals;
mod reload;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use vrrp_common::abi::{CounterRow, Rule, RuleKey};
use vrrp_common::stance::{Bucket, Stance};
use vrrp_common::{Family, IfIndex};

use super::delivered::associations;
use super::filter::{self, RuleTable};
use super::forms::Forms;
use super::netlink::links::Link;
use super::repairs::Repairs;
use super::rx::Sockets;
use super::slots::Slots;
use super::xdp::{Attached, Xdp};
use crate::auth::Association;
use crate::config::setup::{Setup, Upper, UpperKind};
use crate::engine::plan::{InstanceId, InterfaceId};
pub use adverts::Unchanged;
pub use tables::{peers, sizes};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    Xdp(Attached),
    /// The raw socket alone, and why.
    Socket(String),
}

/// One configured interface.
struct Port {
    link: Option<Link>,
    path: Path,
    instances: Vec<InstanceId>,
    /// Whose virtual routers have their sources here: its own, or on an ipvlan those of the interface below.
    hears_for: InterfaceId,
    /// The families and IP protocols that there are sockets of, with their groups.
    groups: Groups,
}

impl Port {
    /// Of nobody, until it is assigned.
    fn absent() -> Self {
        Self {
            link: None,
            path: Path::Socket("the interface does not exist".into()),
            instances: Vec::new(),
            hears_for: InterfaceId(0),
            groups: Groups::new(),
        }
    }
}

/// Has each interface know whose it is.
fn assign(ports: &mut [Port], setup: &Setup) {
    for (port, id) in ports.iter_mut().zip((0..).map(InterfaceId)) {
        port.instances.clear();
        port.hears_for = id;
    }
    for (plan, id) in setup.plan.instances.iter().zip((0..).map(InstanceId)) {
        ports[plan.interface.index()].instances.push(id);
    }
    for Upper { interface, parent, .. } in
        setup.uppers.iter().filter(|upper| matches!(upper.kind, UpperKind::Ipvlan(..)))
    {
        ports[interface.index()].hears_for = *parent;
    }
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

impl Ports {
    /// Without a program, until it is loaded.
    pub fn new(setup: Arc<Setup>) -> std::io::Result<Self> {
        let mut ports: Vec<Port> = (0..setup.interfaces.len()).map(|_| Port::absent()).collect();
        assign(&mut ports, &setup);
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
}

/// The maps are sized for the configuration, so this does not happen; if it does, the raw socket goes on.
fn note(result: anyhow::Result<()>) {
    if let Err(error) = result {
        tracing::error!("{error:#}");
    }
}
