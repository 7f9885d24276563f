//! The network's part of a reload: what is wanted no longer goes, what stays is not touched, what is new is made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vrrp_common::IfIndex;

use super::holdings::Holdings;
use super::jobs::Job;
use super::links::{Link, Links};
use super::requests::Request;
use super::sources::Sources;
use super::upper::Kind;
use super::uppers::Uppers;
use super::{InterfaceId, Network, Report, own, virtuals};
use crate::config::setup::{Setup, UpperKind};
use crate::engine::plan::InstanceId;
use crate::io::firewall;
use crate::io::guard::trace::Trace;
use crate::io::next::Move;
use crate::io::repairs::Repairs;
use crate::io::sysctl::Needs;

impl<F: AsyncFn(Report)> Network<F> {
    /// Goes on by another configuration. From [`Report::Reloaded`] on its ids are those of the new one.
    pub(super) async fn reload(&mut self, to: &Move) {
        let Move { setup, matching, urgency } = to;
        if let Some(urgency) = urgency {
            urgency.apply(1);
        }
        let stays = |(id, number): (InstanceId, usize)| {
            matching.instances.to(id).and_then(|id| matching.common[id.index()].address(number as u32))
        };
        let gone = self.holdings.everything().filter(|&(_, holder)| stays(holder).is_none());
        let jobs: Vec<_> = gone.map(|(_, (id, number))| Job::Clear { id, number }).collect();
        self.work_all(&jobs).await;

        let before = std::mem::replace(&mut self.setup, Arc::clone(setup));
        let condemned = self.condemn_uppers(&before);
        let holdings = std::mem::replace(&mut self.holdings, Holdings::new(setup));
        for (place, (id, number)) in holdings.everything() {
            if let (Some(id), Some(number)) = (matching.instances.to(id), stays((id, number))) {
                self.holdings.take((id, number as usize), place);
            }
        }
        self.wishes = matching.instances.carry(std::mem::take(&mut self.wishes), |_| None);
        self.shown = matching.interfaces.carry(std::mem::take(&mut self.shown), |_| None);
        self.by_name = setup.interfaces.iter().cloned().zip((0..).map(InterfaceId)).collect();
        let shown = self.shown.iter().zip((0..).map(InterfaceId));
        self.by_index = shown.filter_map(|(link, id)| Some(((*link)?.index, id))).collect();
        self.carry_uppers(&before);
        self.repairs = Repairs::default();
        self.needs = Needs::new(setup);
        self.sources = Sources::new(setup);
        (self.reports)(Report::Reloaded).await;

        let fixtures = std::mem::take(&mut self.fixtures);
        self.carry_paths(&fixtures, |id| matching.instances.to(id)).await;
        self.renew_firewall(&before);
        self.renew_settings();
        // What counts as a source, and as ours, may be something else now: told once more, all of it is right.
        if (virtuals(&before), own(&before)) != (virtuals(setup), own(setup)) {
            self.read_anew().await;
        }
        self.make_uppers(0..setup.uppers.len()).await;
        for (kind, name) in condemned {
            tracing::info!("{} {name} is not configured any more; deleted", kind.text());
        }
        self.sources.look(setup, &self.links, None);
        for (id, is_there) in self.sources.all() {
            (self.reports)(Report::Source { id, is_there }).await;
        }
        for id in matching.interfaces.fresh() {
            let link = self.links.link(&setup.interfaces[id.index()]);
            if link.is_none() {
                (self.reports)(Report::Link { id, link }).await;
            }
        }
        self.show_all().await;
    }

    /// Reads all interfaces and addresses once more, as the present configuration sees them.
    async fn read_anew(&mut self) {
        let virtuals = virtuals(&self.setup).into_iter().chain(self.holdings.all().map(|((_, address, _), _)| address));
        let before = std::mem::replace(&mut self.links, Links::new(virtuals.collect(), own(&self.setup)));
        if let Err(error) = self.read_all().await {
            tracing::error!("{error:#}");
            self.links = before;
        }
    }

    /// Deletes interfaces that are wanted no longer, or not so; returns what they were.
    fn condemn_uppers(&mut self, before: &Setup) -> Vec<(Kind, String)> {
        let wanted = uppers(&self.setup);
        let ours = self.uppers.ours().filter(|&place| !wanted.contains_key(&described(before, place)));
        let ours = ours.map(|place| &before.uppers[place]);
        let names = ours.map(|upper| (Kind::of(&upper.kind), before.interfaces[upper.interface.index()].clone()));
        let names: Vec<_> = names.collect();
        if names.is_empty() {
            return names;
        }
        let mut requests: Vec<_> = names.iter().map(|(kind, name)| Request::Condemn(*kind, name)).collect();
        requests.push(Request::RemoveCondemned);
        for batch in requests.chunks(super::requests::BATCH) {
            self.ask(batch);
        }
        for (kind, name) in &names {
            if let Some(Link { index: IfIndex(index), .. }) = self.links.link(name) {
                self.links.link_gone(index);
            }
            self.guard.undone(&Trace::Link(*kind, name.clone()));
        }
        self.guard.flush();
        names
    }

    fn carry_uppers(&mut self, before: &Setup) {
        let now = uppers(&self.setup);
        let place = |place: usize| now.get(&described(before, place)).copied();
        let ours: BTreeSet<_> = self.uppers.ours().filter_map(place).collect();
        self.uppers = Uppers::new(&self.setup).with(ours);
    }

    fn renew_firewall(&mut self, before: &Setup) {
        if firewall::is_same(before, &self.setup) {
            return;
        }
        for family in firewall::families(&self.setup) {
            self.guard.leaves(&Trace::Table(family.into(), self.setup.daemon.firewall.table.clone()));
        }
        self.guard.flush();
        if let Err(error) = firewall::renew(before, &self.setup) {
            tracing::error!("packets to virtual addresses with no_accept are accepted: {error:#}");
        }
    }

    /// Settings that are needed no longer stay until the end: somebody may rely on them by now.
    fn renew_settings(&mut self) {
        self.change(self.needs.of_all());
        for id in (0..self.setup.interfaces.len() as u32).map(InterfaceId) {
            if let Some(link) = self.links.link(&self.setup.interfaces[id.index()]) {
                self.change(self.needs.of(id, link.index));
            }
        }
    }
}

/// What an interface on another is, in words that outlast a configuration: name, parent, kind, link group, IPv6.
type Described = (String, String, UpperKind, Option<u32>, bool);

fn described(setup: &Setup, place: usize) -> Described {
    let upper = &setup.uppers[place];
    let name = |id: InterfaceId| setup.interfaces[id.index()].clone();
    (name(upper.interface), name(upper.parent), upper.kind, upper.group, upper.ipv6)
}

fn uppers(setup: &Setup) -> BTreeMap<Described, usize> {
    (0..setup.uppers.len()).map(|place| (described(setup, place), place)).collect()
}
