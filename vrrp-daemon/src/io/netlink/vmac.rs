//! Virtual MAC interfaces: made at the start, up while their instance is master, made again when they were deleted.
//!
//! In a backup they are down: so it accepts no frame to the virtual MAC address (RFC 9568 section 6.4.2), and no broadcast is
//! copied to interfaces that have no use for it. Up takes the kernel a tenth of a millisecond; down takes it fifteen, and is
//! left for when there is nothing else to do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::TryStreamExt;
use rtnetlink::packet_route::link::LinkFlags;

use super::jobs::Job;
use super::links::Link;
use super::macvlan::Macvlan;
use super::requests::{BATCH, Outcome, Request};
use super::{Network, Report};
use crate::config::setup::{Setup, Vmac};
use crate::engine::plan::{InstanceId, InterfaceId};
use crate::io::guard::trace::Trace;
use crate::io::sysctl;

/// What is known of them, by their places in [`Setup::vmacs`].
pub(super) struct Vmacs {
    by_interface: BTreeMap<InterfaceId, usize>,
    /// Instances with addresses on it.
    users: Vec<BTreeSet<InstanceId>>,
    /// Made by us, or taken over.
    ours: BTreeSet<usize>,
    /// Up, and perhaps needed no more.
    idle: BTreeSet<usize>,
}

impl Vmacs {
    pub fn new(setup: &Setup) -> Self {
        let by_interface: BTreeMap<_, _> =
            setup.vmacs.iter().zip(0..).map(|(vmac, place)| (vmac.interface, place)).collect();
        let mut users = vec![BTreeSet::new(); setup.vmacs.len()];
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
        let places = setup.vmacs.iter().zip(0..);
        places.filter(|(vmac, _)| vmac.parent == parent).map(|(_, place)| place).collect()
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

/// Whether an interface is what this virtual MAC interface would be, left by a daemon that died.
pub fn is_kin(vmac: &Vmac, link: &Link, parent: Option<Link>) -> bool {
    link.macvlan && link.mac == vmac.mac && parent.is_some_and(|parent| link.lower == Some(parent.index))
}

impl<F: AsyncFn(Report)> Network<F> {
    /// Makes those of `places` whose parent exists; takes over what an earlier daemon left.
    pub(super) async fn make_vmacs(&mut self, places: impl IntoIterator<Item = usize>) {
        let setup = Arc::clone(&self.setup);
        let mut macvlans = Vec::new();
        for place in places {
            let vmac = &setup.vmacs[place];
            let name = setup.interfaces[vmac.interface.index()].as_str();
            let Some(parent) = self.links.link(&setup.interfaces[vmac.parent.index()]) else { continue };
            let there = self.links.link(name);
            if let Some(link) = there.filter(|link| !is_kin(vmac, link, Some(parent))) {
                if !self.vmacs.ours.contains(&place) {
                    tracing::error!(
                        "there is another interface {name}; its virtual router cannot have addresses there"
                    );
                    continue;
                }
                // Another interface has the parent's name now, and this one stands on the one that had it.
                self.ask(&[Request::Condemn(name), Request::RemoveCondemned]);
                self.links.link_gone(link.index.0);
            }
            let index = self.links.link(name).map(|link| link.index);
            let group = vmac.group.unwrap_or(parent.group);
            macvlans.push((place, Macvlan { index, name, parent: parent.index, mac: vmac.mac, group }));
            self.guard.leaves(&Trace::Link(name.to_owned()));
        }
        if macvlans.is_empty() {
            return;
        }
        self.guard.flush();
        let mut made = Vec::new();
        for batch in macvlans.chunks(BATCH) {
            let requests: Vec<_> = batch.iter().map(|(_, macvlan)| Request::Make(*macvlan)).collect();
            let outcomes = self.ask(&requests);
            for ((place, Macvlan { name, .. }), outcome) in batch.iter().zip(outcomes) {
                match outcome {
                    // Its parent has gone meanwhile, and will be heard of when it comes again.
                    Outcome::Failed(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
                    Outcome::Failed(error) => tracing::error!("cannot make virtual MAC interface {name}: {error}"),
                    _ => made.push((*place, *name)),
                }
            }
        }
        for &(place, name) in &made {
            self.vmacs.ours.insert(place);
            sysctl::for_vmac(name, setup.vmacs[place].ipv6);
        }
        // Their indices, before they are told of: a master may wish for addresses on them.
        if let Err(error) = self.read_links().await {
            tracing::error!("{error:#}");
        }
    }

    pub(super) fn vmac_link(&self, place: usize) -> Option<Link> {
        self.links.link(&self.setup.interfaces[self.setup.vmacs[place].interface.index()])
    }

    /// One that is gone comes back, unless the interface below is gone, too; one that a master needs is up.
    pub(super) async fn mend_vmac(&mut self, place: usize) {
        let setup = Arc::clone(&self.setup);
        let interface = setup.vmacs[place].interface;
        let name = &setup.interfaces[interface.index()];
        let Some(link) = self.vmac_link(place) else {
            self.make_vmacs([place]).await;
            if self.vmac_link(place).is_some() {
                tracing::warn!("virtual MAC interface {name} was deleted by somebody else; it was made again");
            }
            return;
        };
        // What was told of may be what we did ourselves before the master wished for it.
        let mut now = self.handle.link().get().match_index(link.index.0).execute();
        let Ok(Some(now)) = now.try_next().await else { return };
        if now.header.flags.contains(LinkFlags::Up) || !self.is_wished(place) {
            return;
        }
        tracing::warn!("virtual MAC interface {name} was taken down by somebody else; it is up again");
        let mut jobs = vec![Job::Raise { place }];
        for &holder in &self.vmacs.users[place] {
            let Some(tenure) = self.wishes[holder.index()] else { continue };
            let numbers = setup.instances[holder.index()].addresses.iter().zip(0..);
            let on_it = numbers.filter(|(address, _)| address.interface == interface);
            jobs.extend(on_it.map(|(_, number)| Job::Set { id: holder, number, tenure }));
        }
        self.work_all(&jobs).await;
    }

    /// Whether a master has addresses on it.
    pub(super) fn is_wished(&self, place: usize) -> bool {
        self.vmacs.users[place].iter().any(|id| self.wishes[id.index()].is_some())
    }

    /// Takes one down that was released, if nobody wants it again.
    pub(super) fn lower_idle(&mut self) {
        let Some(place) = self.vmacs.idle.pop_first() else { return };
        let Some(link) = self.vmac_link(place).filter(|_| !self.is_wished(place)) else { return };
        for outcome in self.ask(&[Request::Up(link.index, false)]) {
            if let Outcome::Failed(error) = outcome {
                let name = &self.setup.interfaces[self.setup.vmacs[place].interface.index()];
                tracing::error!("cannot take virtual MAC interface {name} down: {error}");
            }
        }
    }
}
