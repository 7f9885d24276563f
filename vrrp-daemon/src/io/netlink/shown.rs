//! The configured interfaces: each change of one is reported to the protocol thread, and is the occasion for what waits for it.

use vrrp_common::IfIndex;

use super::jobs::Job;
use super::links::Link;
use super::mend::Thing;
use super::{InstanceId, InterfaceId, Network, Report};

impl<F: AsyncFn(Report)> Network<F> {
    /// Reports each configured interface that is something else than before.
    pub(super) async fn show_all(&mut self) {
        let ids = || (0..).map(InterfaceId).take(self.setup.interfaces.len());
        // Those that have their name no more, before others have it.
        let is_other = |id: &InterfaceId| {
            let index = |link: Option<Link>| link.map(|link| link.index);
            let now = self.links.link(&self.setup.interfaces[id.index()]);
            self.shown[id.index()].is_some() && index(self.shown[id.index()]) != index(now)
        };
        let gone: Vec<_> = ids().filter(is_other).collect();
        let all: Vec<_> = ids().collect();
        for id in gone {
            self.report(id, None).await;
        }
        self.look_for_sources(None).await;
        for id in all {
            self.report(id, self.links.link(&self.setup.interfaces[id.index()])).await;
        }
        self.miss_all().await;
    }

    /// Reports the configured interface of this index, or that had it, if it changed.
    pub(super) async fn show(&mut self, index: u32) {
        let named = self.links.place(index).0.and_then(|name| self.by_name.get(name)).copied();
        let known = self.by_index.get(&IfIndex(index)).copied();
        // Who had it lets go of it before another takes it up, as when interfaces are renamed in a circle.
        for id in [known.filter(|_| known != named), named].into_iter().flatten() {
            self.report(id, self.links.link(&self.setup.interfaces[id.index()])).await;
        }
    }

    /// Reports what a configured interface is now, if it is something else than before.
    async fn report(&mut self, id: InterfaceId, link: Option<Link>) {
        let before = std::mem::replace(&mut self.shown[id.index()], link);
        if before == link {
            return;
        }
        if let Some(before) = before {
            self.by_index.remove(&before.index);
        }
        if let Some(link) = link {
            self.by_index.insert(link.index, id);
        }
        // Sources before the interface itself, as at the start.
        if before.map(|before| before.index) != link.map(|link| link.index) {
            self.look_for_sources(None).await;
        }
        (self.reports)(Report::Link { id, link }).await;
        let is_back =
            link.is_some_and(|now| now.up && before.is_none_or(|before| !before.up || before.index != now.index));
        match link {
            Some(link) if before.is_none_or(|before| before.index != link.index) => {
                self.change(self.needs.of(id, link.index));
                self.make_uppers(self.uppers.on(&self.setup, id)).await;
                self.furnish(id, link.index).await;
            }
            Some(link) => {
                if let Some(place) = self.uppers.of(id).filter(|&place| !link.raised && self.is_wished(place)) {
                    self.repair(Thing::Upper(place)).await;
                }
            }
            None => {
                if let Some(place) = self.uppers.of(id) {
                    self.repair(Thing::Upper(place)).await;
                }
            }
        }
        if is_back {
            self.miss_all().await;
        }
    }

    /// An interface came while masters wish for addresses on it, or came again without them.
    async fn furnish(&mut self, interface: InterfaceId, index: IfIndex) {
        let mut jobs = Vec::new();
        let upper = self.uppers.of(interface).filter(|&place| self.is_wished(place));
        jobs.extend(upper.map(|place| Job::Raise { place }));
        for ((&wish, instance), id) in self.wishes.iter().zip(&self.setup.instances).zip((0..).map(InstanceId)) {
            let Some(tenure) = wish else { continue };
            for (number, _) in instance.addresses.iter().enumerate().filter(|(_, a)| a.interface == interface) {
                match self.holdings.index((id, number)) {
                    Some(held) if held == index => continue,
                    Some(_) => jobs.push(Job::Clear { id, number }),
                    None => {}
                }
                jobs.push(Job::Set { id, number, tenure });
            }
        }
        self.work_all(&jobs).await;
    }
}
