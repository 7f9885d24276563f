//! Whether programs are still on their devices. The kernel does not tell of one that somebody took off; but then the raw
//! socket hears adverts that the program would have taken.

use vrrp_common::Instant;

use super::{Path, Ports};
use crate::engine::plan::InterfaceId;
use crate::io::netlink::links::Link;

impl Ports {
    /// Looks after the programs of suspects, and puts those that are gone back; returns the interfaces of these.
    pub fn inspect(&mut self, now: Instant) -> Vec<InterfaceId> {
        let mut repaired = Vec::new();
        for id in std::mem::take(&mut self.suspects) {
            let (Some(Link { index, .. }), Ok(xdp)) = (self.ports[id.index()].link, &mut self.xdp) else { continue };
            if !self.inspections.may(id, now) || xdp.is_in_place(index.0) {
                continue;
            }
            self.detached.extend(xdp.link(index.0));
            xdp.detach(index.0);
            let path = self.path_by(id, index);
            let name = &self.setup.interfaces[id.index()];
            match &path {
                Path::Xdp(_) => tracing::warn!("{name}: somebody took the XDP program off; it is attached again"),
                Path::Socket(why) => {
                    tracing::warn!("{name}: somebody took the XDP program off; using the raw socket: {why}");
                }
            }
            self.ports[id.index()].path = path;
            repaired.push(id);
        }
        repaired
    }
}
