//! Interfaces on others: made at the start, made again when they were deleted. Virtual MAC interfaces are up while their
//! instance is master, ipvlans always.
//!
//! In a backup a virtual MAC interface is down: so it accepts no frame to the virtual MAC address (RFC 9568 section 6.4.2), and no broadcast is
//! copied to interfaces that have no use for it. Up takes the kernel a tenth of a millisecond; down takes it fifteen, and is
//! left for when there is nothing else to do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::TryStreamExt;
use rtnetlink::packet_route::link::LinkFlags;

use super::jobs::Job;
use super::links::Link;
use super::requests::{BATCH, Outcome, Request};
use super::upper::{Device, Kind};
use super::{Network, Report};
use crate::config::setup::{Prefix, Setup, Upper, UpperKind, VirtualAddress};
use crate::engine::plan::{InstanceId, InterfaceId};
use crate::io::guard::trace::Trace;
use crate::io::sysctl;

/// What is known of them, by their places in [`Setup::uppers`].
pub(super) struct Uppers {
    by_interface: BTreeMap<InterfaceId, usize>,
    /// Instances with addresses on it.
    users: Vec<BTreeSet<InstanceId>>,
    /// Made by us, or taken over.
    ours: BTreeSet<usize>,
    /// Up, and perhaps needed no more.
    idle: BTreeSet<usize>,
}

impl Uppers {
    pub fn new(setup: &Setup) -> Self {
        let by_interface: BTreeMap<_, _> =
            setup.uppers.iter().zip(0..).map(|(upper, place)| (upper.interface, place)).collect();
        let mut users = vec![BTreeSet::new(); setup.uppers.len()];
        for (instance, id) in setup.instances.iter().zip((0..).map(InstanceId)) {
            for place in instance.addresses.iter().filter_map(|address| by_interface.get(&address.interface)) {
                users[*place].insert(id);
            }
        }
        Self { by_interface, users, ours: BTreeSet::new(), idle: BTreeSet::new() }
    }

    /// These were made before.
    pub fn with(self, ours: BTreeSet<usize>) -> Self {
        Self { ours, ..self }
    }

    pub fn ours(&self) -> impl Iterator<Item = usize> {
        self.ours.iter().copied()
    }

    /// The place of the one that an interface is.
    pub fn of(&self, interface: InterfaceId) -> Option<usize> {
        self.by_interface.get(&interface).copied()
    }

    /// Those that stand on an interface.
    pub fn on(&self, setup: &Setup, parent: InterfaceId) -> Vec<usize> {
        let places = setup.uppers.iter().zip(0..);
        places.filter(|(upper, _)| upper.parent == parent).map(|(_, place)| place).collect()
    }

    /// Those that an instance has addresses on.
    pub fn used_by(&self, setup: &Setup, id: InstanceId) -> BTreeSet<usize> {
        setup.instances[id.index()].addresses.iter().filter_map(|address| self.of(address.interface)).collect()
    }

    pub fn release(&mut self, places: impl IntoIterator<Item = usize>) {
        self.idle.extend(places);
    }

    pub fn has_idle(&self) -> bool {
        !self.idle.is_empty()
    }
}

/// Whether an interface is what this one would be, left by a daemon that died.
pub fn is_kin(upper: &Upper, link: &Link, parent: Option<Link>) -> bool {
    let is_alike = match upper.kind {
        UpperKind::Vmac(mac) => link.mac == mac,
        UpperKind::Ipvlan(..) => true,
    };
    is_alike
        && link.kind == Some(Kind::of(&upper.kind))
        && parent.is_some_and(|parent| link.lower == Some(parent.index))
}

impl<F: AsyncFn(Report)> Network<F> {
    /// Makes those of `places` whose parent exists; takes over what an earlier daemon left.
    pub(super) async fn make_uppers(&mut self, places: impl IntoIterator<Item = usize>) {
        let setup = Arc::clone(&self.setup);
        let mut devices = Vec::new();
        for place in places {
            let upper = &setup.uppers[place];
            let kind = Kind::of(&upper.kind);
            let name = setup.interfaces[upper.interface.index()].as_str();
            let Some(parent) = self.links.link(&setup.interfaces[upper.parent.index()]) else { continue };
            let there = self.links.link(name);
            if let Some(link) = there.filter(|link| !is_kin(upper, link, Some(parent))) {
                if !self.uppers.ours.contains(&place) {
                    tracing::error!(
                        "there is another interface {name}; its virtual router cannot have addresses there"
                    );
                    continue;
                }
                // Another interface has the parent's name now, and this one stands on the one that had it.
                self.ask(&[Request::Condemn(kind, name), Request::RemoveCondemned]);
                self.links.link_gone(link.index.0);
            }
            let index = self.links.link(name).map(|link| link.index);
            let group = upper.group.unwrap_or(parent.group);
            devices.push((place, Device { index, name, parent: parent.index, kind: upper.kind, group }));
            self.guard.leaves(&Trace::Link(kind, name.to_owned()));
        }
        if devices.is_empty() {
            return;
        }
        self.guard.flush();
        let mut made = Vec::new();
        for batch in devices.chunks(BATCH) {
            let requests: Vec<_> = batch.iter().map(|(_, device)| Request::Make(*device)).collect();
            let outcomes = self.ask(&requests);
            for ((place, Device { name, kind, .. }), outcome) in batch.iter().zip(outcomes) {
                match outcome {
                    // Its parent has gone meanwhile, and will be heard of when it comes again.
                    Outcome::Failed(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
                    Outcome::Failed(error) => tracing::error!("cannot make {} {name}: {error}", Kind::of(kind).text()),
                    _ => made.push((*place, *name)),
                }
            }
        }
        for &(place, name) in &made {
            self.uppers.ours.insert(place);
            sysctl::for_upper(name, &setup.uppers[place]);
        }
        // Their indices, before they are told of: a master may wish for addresses on them.
        if let Err(error) = self.read_links().await {
            tracing::error!("{error:#}");
        }
        made.iter().for_each(|&(place, _)| self.address_ipvlan(place));
    }

    /// Sets the address that adverts come from; it goes with the interface.
    fn address_ipvlan(&mut self, place: usize) {
        let setup = Arc::clone(&self.setup);
        let upper = &setup.uppers[place];
        let UpperKind::Ipvlan(_, Some(Prefix { address, length })) = upper.kind else { return };
        let Some(Link { index, .. }) = self.upper_link(place) else { return };
        // Nobody else has it: without detection of duplicates it can be sent from at once, as in keepalived.
        let flags = if address.is_ipv6() { libc::IFA_F_NODAD } else { 0 };
        let address = VirtualAddress { flags, ..VirtualAddress::new(address, length, upper.interface) };
        for outcome in self.ask(&[Request::Add(index, &address)]) {
            if let Outcome::Failed(error) = outcome {
                let name = &setup.interfaces[upper.interface.index()];
                tracing::error!("cannot set {}/{length} on {name}: {error}", address.address);
            }
        }
    }

    pub(super) fn upper_link(&self, place: usize) -> Option<Link> {
        self.links.link(&self.setup.interfaces[self.setup.uppers[place].interface.index()])
    }

    /// One that is gone comes back, unless the interface below is gone, too; one that is needed is up.
    pub(super) async fn mend_upper(&mut self, place: usize) {
        let setup = Arc::clone(&self.setup);
        let interface = setup.uppers[place].interface;
        let name = &setup.interfaces[interface.index()];
        let kind = Kind::of(&setup.uppers[place].kind);
        let what = kind.text();
        let Some(link) = self.upper_link(place) else {
            self.make_uppers([place]).await;
            if self.upper_link(place).is_some() {
                tracing::warn!("{what} {name} was deleted by somebody else; it was made again");
            }
            return;
        };
        // What was told of may be what we did ourselves before the master wished for it.
        let mut now = self.handle.link().get().match_index(link.index.0).execute();
        let Ok(Some(now)) = now.try_next().await else { return };
        if now.header.flags.contains(LinkFlags::Up) || !self.is_wished(place) {
            return;
        }
        tracing::warn!("{what} {name} was taken down by somebody else; it is up again");
        if kind == Kind::Ipvlan {
            return self.make_uppers([place]).await;
        }
        let mut jobs = vec![Job::Raise { place }];
        for &holder in &self.uppers.users[place] {
            let Some(tenure) = self.wishes[holder.index()] else { continue };
            let numbers = setup.instances[holder.index()].addresses.iter().zip(0..);
            let on_it = numbers.filter(|(address, _)| address.interface == interface);
            jobs.extend(on_it.map(|(_, number)| Job::Set { id: holder, number, tenure }));
        }
        self.work_all(&jobs).await;
    }

    /// Whether a master has addresses on it, or adverts come from it.
    pub(super) fn is_wished(&self, place: usize) -> bool {
        let is_ipvlan = matches!(self.setup.uppers[place].kind, UpperKind::Ipvlan(..));
        is_ipvlan || self.uppers.users[place].iter().any(|id| self.wishes[id.index()].is_some())
    }

    /// Takes one down that was released, if nobody wants it again.
    pub(super) fn lower_idle(&mut self) {
        let Some(place) = self.uppers.idle.pop_first() else { return };
        let Some(link) = self.upper_link(place).filter(|_| !self.is_wished(place)) else { return };
        for outcome in self.ask(&[Request::Up(link.index, false)]) {
            if let Outcome::Failed(error) = outcome {
                let name = &self.setup.interfaces[self.setup.uppers[place].interface.index()];
                tracing::error!("cannot take virtual MAC interface {name} down: {error}");
            }
        }
    }
}
