//! Whether programs are still on their devices. The kernel does not tell of one that somebody took off; but then the raw
//! socket hears adverts that the program would have taken, or at least counted.

use std::collections::BTreeSet;

use vrrp_common::Instant;

use super::{Path, Ports};
use crate::engine::plan::InterfaceId;
use crate::io::netlink::links::Link;

impl Ports {
    /// Looks after the programs of suspects, and puts those that are gone back; returns the interfaces of these.
    pub fn inspect(&mut self, now: Instant) -> Vec<InterfaceId> {
        let mut repaired = Vec::new();
        for id in self.suspects.keys().copied().collect::<Vec<_>>() {
            if !self.inspections.may(id, now) {
                continue;
            }
            let rows = self.suspects.remove(&id).unwrap_or_default();
            let has_counted = self.leaves_adverts(&rows) && self.has_counted(id, &rows);
            let (Some(Link { index, .. }), Ok(xdp)) = (self.ports[id.index()].link, &mut self.xdp) else { continue };
            if has_counted || xdp.is_in_place(index.0) {
                continue;
            }
            self.detached.extend(xdp.link(index.0));
            xdp.detach(index.0);
            let path = self.path_by(index);
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

    /// Whether the program has valid adverts of these rows pass.
    pub(super) fn leaves_adverts(&self, rows: &BTreeSet<u32>) -> bool {
        self.setup.daemon.xdp.observe || rows.iter().any(|row| self.ambiguous.contains(row))
    }

    /// Whether the program of an interface has counted an advert since the last look, or there was none to go by. To ask the
    /// kernel each time would be to wait for its network lock.
    fn has_counted(&mut self, id: InterfaceId, rows: &BTreeSet<u32>) -> bool {
        let Ok(xdp) = &self.xdp else { return true };
        let count = |row| xdp.counters(row).ok().map(|counters| counters.iter().sum::<u64>());
        let before = self.looks.get(&id).copied().filter(|(row, _)| rows.contains(row));
        let row = before.map(|(row, _)| row).or(rows.first().copied());
        let now = row.and_then(|row| Some((row, count(row)?)));
        self.looks.extend(now.map(|now| (id, now)));
        before.is_none() || before != now
    }
}
