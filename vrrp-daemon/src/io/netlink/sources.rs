//! Source addresses that instances track (`track_src_ip`): which of them are there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::links::Links;
use crate::config::setup::Setup;
use crate::engine::plan::InstanceId;

pub(super) struct Sources {
    /// Who tracks an address.
    trackers: BTreeMap<IpAddr, Vec<InstanceId>>,
    missing: BTreeSet<InstanceId>,
}

impl Sources {
    /// All of them are taken to be there until they are looked for.
    pub fn new(setup: &Setup) -> Self {
        let mut trackers: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (instance, id) in setup.instances.iter().zip((0..).map(InstanceId)) {
            if let Some(source) = instance.source.filter(|_| instance.tracks_source) {
                trackers.entry(source).or_default().push(id);
            }
        }
        Self { trackers, missing: BTreeSet::new() }
    }

    pub fn missing(&self) -> impl Iterator<Item = InstanceId> {
        self.missing.iter().copied()
    }

    /// Who tracks one, and whether it was there when it was last looked for.
    pub fn all(&self) -> Vec<(InstanceId, bool)> {
        self.trackers.values().flatten().map(|&id| (id, !self.missing.contains(&id))).collect()
    }

    /// Looks for all of them, or for this one; whose came or went since, and whether it is there.
    pub fn look(&mut self, setup: &Setup, links: &Links, only: Option<IpAddr>) -> Vec<(InstanceId, bool)> {
        let Self { trackers, missing } = self;
        let mut changes = Vec::new();
        for (&address, ids) in trackers.iter().filter(|(address, _)| only.is_none_or(|only| only == **address)) {
            for &id in ids {
                let place = setup.plan.instances[id.index()].interface;
                let is_there = match links.link(&setup.interfaces[place.index()]) {
                    _ if setup.routed.contains(&place) => links.has_source(None, address),
                    Some(link) => links.has_source(Some(link.index), address),
                    None => false,
                };
                let changed = if is_there { missing.remove(&id) } else { missing.insert(id) };
                changes.extend(changed.then_some((id, is_there)));
            }
        }
        changes
    }
}
