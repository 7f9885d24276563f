//! The sockets that unicast adverts leave by: the kernel routes what they send, some of it by a VRF or an ipvlan alone.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use vrrp_common::{Family, IfIndex};

use super::socket;
use crate::config::setup::{Destination, Setup};
use crate::engine::plan::InterfaceId;

pub struct Routed {
    /// By family and what it is bound to, and that one's number when it was opened.
    sockets: BTreeMap<(Option<InterfaceId>, Family), (IfIndex, OwnedFd)>,
}

impl Routed {
    /// Those bound to nothing, of the families that have peers.
    pub fn new(setup: &Setup) -> io::Result<Self> {
        let mut all = Self { sockets: BTreeMap::new() };
        all.reload(setup)?;
        Ok(all)
    }

    /// Goes on by another configuration. Those that are bound are opened anew: what they are bound to has another id.
    pub fn reload(&mut self, setup: &Setup) -> io::Result<()> {
        self.sockets.retain(|(device, _), _| device.is_none());
        for (plan, instance) in setup.plan.instances.iter().zip(&setup.instances) {
            let key = (None, plan.family);
            if matches!(instance.destination, Destination::Peers(_)) && !self.sockets.contains_key(&key) {
                self.sockets.insert(key, (IfIndex(0), socket::routed(plan.family, None)?));
            }
        }
        Ok(())
    }

    /// Has a socket bound to a device, which has this number now.
    pub fn open(&mut self, setup: &Setup, device: InterfaceId, index: IfIndex, family: Family) -> io::Result<()> {
        let key = (Some(device), family);
        if self.sockets.get(&key).is_none_or(|(of, _)| *of != index) {
            let socket = socket::routed(family, Some(&setup.interfaces[device.index()]))?;
            self.sockets.insert(key, (index, socket));
        }
        Ok(())
    }

    pub fn socket(&self, by: (Option<InterfaceId>, Family)) -> Option<&OwnedFd> {
        self.sockets.get(&by).map(|(_, socket)| socket)
    }
}
