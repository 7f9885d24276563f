//! Source addresses: which of those that instances track (`track_src_ip`) are there, and why one is not used yet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use vrrp_common::{Family, IfIndex};

use super::links::{Links, Unproven};
use super::{Network, Report};
use crate::config::setup::{Instance, Setup};
use crate::engine::plan::{InstanceId, InstancePlan};

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
                let place = setup.source_interface(id);
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

impl<F: AsyncFn(Report)> Network<F> {
    /// Reports which tracked source addresses came or went: of all, or of those that are this one.
    pub(super) async fn look_for_sources(&mut self, address: Option<IpAddr>) {
        for (id, is_there) in self.sources.look(&self.setup, &self.links, address) {
            (self.reports)(Report::Source { id, is_there }).await;
        }
    }

    /// Says why the IPv6 instances of an interface stay in fault that has an address.
    pub(super) fn tell_unproven(&self, index: u32) {
        let Some(&id) = self.by_index.get(&IfIndex(index)) else { return };
        let waits = |(instance, plan): (&Instance, &InstancePlan)| {
            let place = instance.ipvlan.unwrap_or(plan.interface);
            place == id && plan.family == Family::V6 && instance.source.is_none()
        };
        if !self.setup.instances.iter().zip(self.setup.plan.instances.iter()).any(waits) {
            return;
        }
        let name = &self.setup.interfaces[id.index()];
        match self.links.unproven6(index) {
            Some((address, Unproven::Tentative)) => {
                tracing::info!(
                    "{name}: {address} is tentative; adverts wait for the end of duplicate address detection"
                );
            }
            Some((address, Unproven::Duplicate)) => {
                tracing::warn!(
                    "{name}: another host on the link has {address}; no advert can leave until it is changed"
                );
            }
            None => {}
        }
    }
}
