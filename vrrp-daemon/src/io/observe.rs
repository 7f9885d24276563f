//! What the protocol thread knows, copied for whoever asks: no text is made here.

use std::collections::BTreeSet;
use std::sync::Arc;

use vrrp_common::abi::CounterRow;
use vrrp_common::drop::Reason;

use super::clock;
use super::netlink::Report;
use super::ports::{Path, Ports};
use super::status::{Observed, ObservedInstance, ObservedInterface, ObservedXdp};
use super::xdp::Attached;
use crate::config::setup::Setup;
use crate::engine::Engine;
use crate::engine::plan::{GroupId, InstanceId, InterfaceId};
use crate::engine::snapshot::StateName;

/// By instance: the numbers of the addresses that are set.
#[derive(Debug)]
pub struct Held(Vec<BTreeSet<u32>>);

impl Held {
    pub fn new(instances: usize) -> Self {
        Self(vec![BTreeSet::new(); instances])
    }

    /// Follows what the network's thread says.
    pub fn hear(&mut self, report: &Report, engine: &Engine) {
        match *report {
            Report::Address { id, address, installed: true, .. } => drop(self.0[id.index()].insert(address)),
            Report::Address { id, address, installed: false, .. } => drop(self.0[id.index()].remove(&address)),
            // What was done for one that is not master is that all were removed.
            Report::Settled { id } if engine.snapshot(id).state != StateName::Master => self.0[id.index()].clear(),
            Report::Settled { .. } | Report::Link { .. } => {}
        }
    }
}

pub fn observe(setup: &Arc<Setup>, engine: &Engine, ports: &Ports, held: &Held) -> Observed {
    let interfaces = (0..setup.interfaces.len() as u32).map(InterfaceId).map(|id| {
        let link = ports.link(id);
        ObservedInterface {
            index: link.map(|link| link.index),
            up: link.is_some_and(|link| link.up),
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
        let held = held.0[id.index()].iter().copied().collect();
        let found = snapshot.stats.by_reason().into_iter().filter(|&(_, count)| count > 0);
        ObservedInstance { snapshot, held, drops: drops(&counters).into_iter().chain(found).collect() }
    });
    Observed {
        setup: Arc::clone(setup),
        now: clock::now(),
        interfaces: interfaces.collect(),
        instances: instances.collect(),
        groups: (0..setup.groups.len() as u32).map(|id| engine.group_state(GroupId(id))).collect(),
    }
}

fn drops(row: &CounterRow) -> Vec<(Reason, u64)> {
    let all = Reason::ALL.iter().filter(|reason| !matches!(reason, Reason::OkPassed | Reason::OkAbsorbed));
    all.map(|&reason| (reason, row[reason as usize])).filter(|&(_, count)| count > 0).collect()
}
