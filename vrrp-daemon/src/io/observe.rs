//! What the protocol thread knows, copied for whoever asks: no text is made here.

use std::sync::Arc;

use vrrp_common::abi::CounterRow;
use vrrp_common::drop::Reason;

use super::clock;
use super::lateness::Lateness;
use super::netlink::Report;
use super::ports::{Path, Ports};
use super::status::{Observed, ObservedInstance, ObservedInterface, ObservedXdp};
use super::xdp::Attached;
use crate::config::setup::{self, Setup};
use crate::engine::Engine;
use crate::engine::matching::Matching;
use crate::engine::plan::{GroupId, InstanceId, InterfaceId};
use crate::engine::snapshot::StateName;

/// Which addresses, routes and rules are set.
#[derive(Debug)]
pub struct Held {
    /// By instance: where its addresses begin in `set`; and the end of all.
    starts: Vec<usize>,
    /// By instance: how many of these are addresses. Its routes and rules come behind.
    addresses: Vec<u32>,
    set: Vec<bool>,
}

impl Held {
    pub fn new(setup: &Setup) -> Self {
        let (mut starts, mut end) = (vec![0], 0);
        for setup::Instance { addresses, paths, .. } in &setup.instances {
            end += addresses.len() + paths.routes.len() + paths.rules.len();
            starts.push(end);
        }
        let addresses = setup.instances.iter().map(|instance| instance.addresses.len() as u32).collect();
        Self { starts, addresses, set: vec![false; end] }
    }

    /// The same of another configuration. Of routes and rules the network's thread will say which stay.
    pub fn carry(&self, setup: &Setup, matching: &Matching) -> Self {
        let mut carried = Self::new(setup);
        for (common, id) in matching.common.iter().zip((0..).map(InstanceId)) {
            let Some(before) = matching.instances.from(id) else { continue };
            let addresses = self.addresses[before.index()];
            for number in self.numbers(before).into_iter().take_while(|&number| number < addresses) {
                if let Some(now) = common.address(number) {
                    carried.of(id)[now as usize] = true;
                }
            }
        }
        carried
    }

    /// Follows what the network's thread says.
    pub fn hear(&mut self, report: &Report, engine: &Engine) {
        match *report {
            Report::Address { id, address, installed, .. } => self.of(id)[address as usize] = installed,
            Report::Path { id, number, is_set } => {
                let number = self.addresses[id.index()] + number;
                self.of(id)[number as usize] = is_set;
            }
            // What was done for one that is not master is that all were removed.
            Report::Settled { id } if engine.snapshot(id).state != StateName::Master => self.of(id).fill(false),
            Report::Settled { .. } | Report::Link { .. } | Report::Source { .. } | Report::Reloaded => {}
        }
    }

    fn of(&mut self, id: InstanceId) -> &mut [bool] {
        &mut self.set[self.starts[id.index()]..self.starts[id.index() + 1]]
    }

    /// The numbers of those of an instance.
    fn numbers(&self, id: InstanceId) -> Vec<u32> {
        let set = &self.set[self.starts[id.index()]..self.starts[id.index() + 1]];
        (0..).zip(set).filter(|&(_, &set)| set).map(|(number, _)| number).collect()
    }
}

pub fn observe(setup: &Arc<Setup>, engine: &Engine, ports: &Ports, held: &Held, lateness: &Lateness) -> Observed {
    let interfaces = (0..setup.interfaces.len() as u32).map(InterfaceId).map(|id| {
        let link = ports.link(id);
        ObservedInterface {
            link,
            xdp: match ports.path(id) {
                Path::Xdp(Attached::Native) => ObservedXdp::Native,
                Path::Xdp(Attached::Generic) => ObservedXdp::Generic,
                Path::Socket(why) => ObservedXdp::Off { why: why.clone() },
            },
            drops: drops(&ports.device_counters(id)),
        }
    });
    let instances = (0..setup.instances.len() as u32).map(InstanceId).map(|id| {
        let (mut snapshot, counters) = (engine.snapshot(id), ports.instance_counters(id));
        // The engine does not hear of those that the kernel absorbed; they were received all the same.
        snapshot.stats.advert_rcvd += counters[Reason::OkAbsorbed as usize];
        let (held, latest) = (held.numbers(id), lateness.worst(id));
        let checksum = (ports.checksum_form(id), ports.peer_form(id));
        let found = snapshot.stats.by_reason().into_iter().filter(|&(_, count)| count > 0);
        let drops = drops(&counters).into_iter().chain(found).collect();
        ObservedInstance { snapshot, source: ports.source(id), held, checksum, drops, latest }
    });
    Observed {
        setup: Arc::clone(setup),
        now: clock::now(),
        lateness: lateness.measured(),
        interfaces: interfaces.collect(),
        instances: instances.collect(),
        groups: (0..setup.groups.len() as u32).map(|id| engine.group_state(GroupId(id))).collect(),
    }
}

fn drops(row: &CounterRow) -> Vec<(Reason, u64)> {
    let all = Reason::ALL.iter().filter(|reason| !matches!(reason, Reason::OkPassed | Reason::OkAbsorbed));
    all.map(|&reason| (reason, row[reason as usize])).filter(|&(_, count)| count > 0).collect()
}
