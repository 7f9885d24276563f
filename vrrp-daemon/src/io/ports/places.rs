//! Where instances are: what they send from there, and the place of those that have no interface.

use std::net::IpAddr;

use vrrp_common::{Family, IfIndex};

use super::{Port, Ports};
use crate::config::setup::{HOST, Setup};
use crate::engine::Input;
use crate::engine::plan::{InstanceId, InterfaceId};
use crate::io::netlink::links::Link;

/// Stands for an interface's number in the rules of adverts that come in by any. No interface has it.
const EVERYWHERE: IfIndex = IfIndex(0);

/// The number of an interface as rules have it; `None` while it does not exist.
pub(super) fn index(setup: &Setup, id: InterfaceId, link: Option<Link>) -> Option<IfIndex> {
    let is_host = setup.interfaces[id.index()] == HOST;
    if is_host { Some(EVERYWHERE) } else { link.map(|link| link.index) }
}

impl Ports {
    /// Opens the sockets that hear what comes in by any interface, where there is somebody for it.
    pub(super) fn open_host(&mut self) {
        let host = self.setup.interfaces.iter().position(|name| name == HOST);
        if let Some(id) = host.map(|position| InterfaceId(position as u32)) {
            self.open(id, EVERYWHERE);
            self.attach(id, EVERYWHERE);
        }
    }

    /// The number of an interface as rules have it; `None` while it does not exist.
    pub fn index(&self, id: InterfaceId) -> Option<IfIndex> {
        index(&self.setup, id, self.link(id))
    }

    /// The source address that an instance tracks came or went; what the engine must know of it.
    pub fn source_is(&mut self, id: InstanceId, is_there: bool) -> Input {
        let is_news = if is_there { self.without_source.remove(&id) } else { self.without_source.insert(id) };
        if is_news {
            self.changes = self.changes.wrapping_add(1);
            let place = self.setup.plan.instances[id.index()].interface;
            self.find_sources(place);
            self.set_rules(place);
        }
        Input::Source { id, address: self.source(id) }
    }

    /// What the instances of an interface send from.
    pub(super) fn find_sources(&mut self, id: InterfaceId) {
        for instance in &self.ports[id.index()].instances {
            let Port { link, .. } = &self.ports[self.setup.source_interface(*instance).index()];
            let own = || match self.setup.plan.instances[instance.index()].family {
                Family::V4 => link.as_ref()?.primary4.map(IpAddr::V4),
                Family::V6 => link.as_ref()?.link_local6.map(IpAddr::V6),
            };
            self.sources[instance.index()] = match self.setup.instances[instance.index()].source {
                Some(_) if self.without_source.contains(instance) => None,
                given => given.or_else(own),
            };
        }
    }
}
