//! An interface as it comes, changes and goes: its sockets and the program on it.

use nix::net::if_::if_indextoname;
use vrrp_common::IfIndex;

use super::{Groups, Path, Ports, note};
use crate::config::setup::{Destination, XdpMode};
use crate::engine::Input;
use crate::engine::plan::InterfaceId;
use crate::io::netlink::links::Link;
use crate::io::socket;
use crate::io::xdp::{self, Xdp};

impl Ports {
    /// Takes up the program, or why there is none. Until then the raw sockets hear everything, and after it what is still
    /// in them.
    pub fn load(&mut self, xdp: Result<Xdp, String>) {
        self.xdp = xdp;
        if let Ok(xdp) = &mut self.xdp {
            self.rules.peers().for_each(|(key, peer)| note(xdp.set_peer(key, peer)));
        }
        for id in self.ids() {
            let Some(link) = self.link(id) else { continue };
            self.attach(id, link.index);
            // In this order: on a device that has its entry, what has no rule may be dropped.
            self.set_rules(id);
            self.set_device(id, &link);
        }
    }

    /// Takes in what an interface is now; appends what the engine must know, sources before the interface itself.
    pub fn link_is(&mut self, id: InterfaceId, link: Option<Link>, inputs: &mut Vec<Input>) {
        let is_used = !self.ports[id.index()].instances.is_empty();
        let sender = self.ports[id.index()].hears_for;
        self.changes = self.changes.wrapping_add(u32::from(is_used || sender != id));
        let before = std::mem::replace(&mut self.ports[id.index()].link, link);
        let (old, new) = (before.map(|link| link.index), link.map(|link| link.index));
        if old != new {
            self.close(id, old);
            if let Some(index) = new {
                self.by_index.insert(index, id);
                self.open(id, index);
                self.attach(id, index);
            }
        }
        self.find_sources(sender);
        let instances = &self.ports[sender.index()].instances;
        inputs.extend(instances.iter().map(|&id| Input::Source { id, address: self.source(id) }));
        self.set_rules(sender);
        if let Some(link) = link.filter(|_| is_used) {
            self.set_device(id, &link);
            if link.carries_vlans && before.is_none_or(|before| !before.carries_vlans) {
                let name = &self.setup.interfaces[id.index()];
                tracing::info!(
                    "{name}: VLANs stand on it; its adverts are left to the raw socket, which sees their tags"
                );
            }
        }
        if is_used {
            self.stands_on(id, before.and_then(|link| link.lower), link.and_then(|link| link.lower));
        }
        inputs.push(link.map_or(Input::NoInterface(id), |link| Input::Interface { id, up: link.up }));
    }

    /// An interface stands on another than before: what those two see by their own rules may be its.
    fn stands_on(&mut self, id: InterfaceId, before: Option<IfIndex>, now: Option<IfIndex>) {
        if before == now {
            return;
        }
        if let Some(others) = before.and_then(|index| self.above.get_mut(&index)) {
            others.remove(&id);
        }
        if let Some(index) = now {
            self.above.entry(index).or_default().insert(id);
        }
        for index in [before, now].into_iter().flatten() {
            if let Some(&lower) = self.by_index.get(&index) {
                self.set_rules(lower);
            }
        }
    }

    pub(super) fn open(&mut self, id: InterfaceId, index: IfIndex) {
        let name = &self.setup.interfaces[id.index()];
        let needed = self.groups(id);
        for (&(family, protocol), groups) in &needed {
            // The new one hears before the old one is deaf.
            if self.ports[id.index()].groups.get(&(family, protocol)) == Some(groups) {
                continue;
            }
            let opened = socket::vrrp(family, protocol, (name, index), groups);
            if let Err(error) = opened.and_then(|socket| self.sockets.insert(id, family, protocol, socket)) {
                tracing::error!("cannot open a VRRP socket of {family:?} on {name}: {error}");
            }
        }
        self.sockets.retain(id, |of| needed.contains_key(&of));
        self.ports[id.index()].groups = needed;
    }

    /// What is to be heard on an interface. What goes to a group is heard below an ipvlan; what goes to its address is not.
    pub(super) fn groups(&self, id: InterfaceId) -> Groups {
        let mut groups = Groups::new();
        for &of in &self.ports[self.ports[id.index()].hears_for.index()].instances {
            let (plan, instance) = (&self.setup.plan.instances[of.index()], &self.setup.instances[of.index()]);
            let (group, hears) = match instance.destination {
                Destination::Group(group) => (Some(group), plan.interface),
                Destination::Peers(_) => (None, self.setup.source_interface(of)),
            };
            if hears == id {
                let protocol = instance.authentication.envelope().protocol;
                groups.entry((plan.family, protocol)).or_default().extend(group);
            }
        }
        groups
    }

    pub(super) fn attach(&mut self, id: InterfaceId, index: IfIndex) {
        if self.ports[id.index()].instances.is_empty() {
            return;
        }
        let path = self.path_by(id, index);
        let name = &self.setup.interfaces[id.index()];
        match &path {
            Path::Xdp(attached) => tracing::info!("{name}: XDP program attached, {}", attached.label()),
            // Why there is no program at all was said once, at the start.
            Path::Socket(why) if self.xdp.is_ok() && !self.setup.routed.contains(&id) => {
                tracing::warn!("{name}: {why}; using the raw socket")
            }
            Path::Socket(_) => {}
        }
        self.ports[id.index()].path = path;
    }

    /// Puts the program on a device, if it can be.
    pub(super) fn path_by(&mut self, id: InterfaceId, index: IfIndex) -> Path {
        // A program there would see nothing: what comes in does so by another device, whose rules are not these.
        if self.setup.routed.contains(&id) {
            return Path::Socket("adverts come in by any interface".into());
        }
        match &mut self.xdp {
            Ok(xdp) => match xdp.attach(index.0, mode(self.setup.daemon.xdp.mode)) {
                Ok(attached) => Path::Xdp(attached),
                Err(refused) => Path::Socket(refused.to_string()),
            },
            Err(why) => Path::Socket(why.clone()),
        }
    }

    pub(super) fn close(&mut self, id: InterfaceId, index: Option<IfIndex>) {
        self.sockets.retain(id, |_| false);
        self.ports[id.index()].groups.clear();
        self.ports[id.index()].path = Path::Socket("the interface does not exist".into());
        let Some(index) = index else { return };
        self.by_index.remove(&index);
        for instance in self.ports[id.index()].instances.clone() {
            self.set_key(instance, None);
        }
        if let Ok(xdp) = &mut self.xdp {
            note(xdp.remove_device(index.0));
            // One that only has another name now keeps the program: without an entry that passes everything, and the
            // name may come to be one of ours again.
            if if_indextoname(index.0).is_err() {
                self.detached.extend(xdp.link(index.0));
                xdp.detach(index.0);
            }
        }
    }
}

const fn mode(mode: XdpMode) -> xdp::Mode {
    match mode {
        XdpMode::Native => xdp::Mode::Native,
        XdpMode::Generic => xdp::Mode::Generic,
        XdpMode::Auto | XdpMode::Off => xdp::Mode::Auto,
    }
}
