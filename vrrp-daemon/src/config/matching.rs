//! What of a new configuration was in the old one: virtual routers as keepalived matches them, interfaces by name, trackers
//! by what they do.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use vrrp_common::{Family, Vrid};

use super::setup::{Destination, Instance, Setup, VirtualAddress};
use crate::engine::matching::{Common, Matching, Moves};
use crate::engine::plan::{Id, InstanceId, TrackerId};

/// Finds what stays. Of a virtual router that does, all else may have changed, its name and version, too.
pub fn matching(old: &Setup, new: &Setup) -> Matching {
    let instances = moves(keys(old), keys(new));
    let common = (0..new.instances.len()).map(|index| {
        let id = InstanceId::nth(index);
        instances.from(id).map(|before| common((old, before), (new, id))).unwrap_or_default()
    });
    Matching {
        common: common.collect(),
        interfaces: moves(old.interfaces.iter(), new.interfaces.iter()),
        trackers: trackers(old, new),
        instances,
    }
}

/// Ids of what has the same key. Where several have, the first is matched with the first.
fn moves<K: Ord, I: Id>(old: impl Iterator<Item = K>, new: impl Iterator<Item = K>) -> Moves<I> {
    let mut known: BTreeMap<K, Vec<I>> = BTreeMap::new();
    let mut count = 0;
    for (index, key) in old.enumerate() {
        known.entry(key).or_default().push(I::nth(index));
        count += 1;
    }
    known.values_mut().for_each(|ids| ids.reverse());
    let from = new.map(|key| known.get_mut(&key).and_then(Vec::pop)).collect();
    Moves::new(count, from)
}

/// What a virtual router is known by: interface, family, VRID, where adverts come to, and how it uses virtual MAC addresses.
type Key<'a> = (&'a str, Family, Vrid, Option<IpAddr>, bool, bool);

fn keys(setup: &Setup) -> impl Iterator<Item = Key<'_>> {
    let made: BTreeSet<_> = setup.uppers.iter().map(|upper| upper.interface).collect();
    setup.plan.instances.iter().zip(&setup.instances).map(move |(plan, instance)| {
        let to = match instance.destination {
            Destination::Group(group) => Some(group),
            Destination::Peers(_) => instance.source,
        };
        let interface = setup.interfaces[plan.interface.index()].as_str();
        let has_vmac = instance.addresses.iter().any(|address| made.contains(&address.interface));
        (interface, plan.family, plan.vrid, to, instance.source_mac.is_some(), has_vmac)
    })
}

fn common((old, before): (&Setup, InstanceId), (new, id): (&Setup, InstanceId)) -> Common {
    let (before, after) = (&old.instances[before.index()], &new.instances[id.index()]);
    let addresses = moves(places(old, before), places(new, after));
    let addresses = Some(addresses).filter(|moved| !moved.is_nothing());
    let judged = |instance: &Instance| {
        let Instance { source, destination, authentication, addresses, .. } = instance;
        let named = addresses.iter().filter(|address| address.advertised).map(|address| address.address);
        (*source, destination.clone(), authentication.clone(), named.collect::<Vec<_>>())
    };
    Common { hears_alike: judged(before) == judged(after), addresses }
}

/// The addresses of a virtual router, each with all that the kernel is told of it.
fn places<'a>(setup: &'a Setup, instance: &'a Instance) -> impl Iterator<Item = impl Ord + 'a> {
    instance.addresses.iter().map(|address| {
        let VirtualAddress { address, prefix, interface, broadcast, label, scope, peer, flags, preferred, .. } =
            address;
        let interface = setup.interfaces[interface.index()].as_str();
        (*address, *prefix, interface, *broadcast, label.as_deref(), *scope, *peer, *flags, *preferred)
    })
}

/// A check that does the same goes on, whatever it is called and however often it runs.
fn trackers(old: &Setup, new: &Setup) -> Moves<TrackerId> {
    let mut taken = vec![false; old.trackers.len()];
    let from = new.trackers.iter().map(|tracker| {
        let is_same = |place: &usize| !taken[*place] && old.trackers[*place].kind.does_the_same(&tracker.kind);
        let mut places = (0..old.trackers.len()).filter(is_same);
        let named = places.clone().find(|place| old.trackers[*place].name == tracker.name);
        let found = named.or_else(|| places.next())?;
        taken[found] = true;
        Some(TrackerId::nth(found))
    });
    let from = from.collect();
    Moves::new(old.trackers.len(), from)
}
