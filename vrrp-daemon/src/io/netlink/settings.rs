//! Settings of the host that the configuration needs: made, and put back by the guard.

use super::{InterfaceId, Network, Report};
use crate::io::firewall;
use crate::io::guard::trace::Trace;
use crate::io::sysctl::Change;

impl<F: AsyncFn(Report)> Network<F> {
    /// Settings of the host that the configuration needs.
    pub(super) fn prepare(&mut self) {
        for family in firewall::families(&self.setup) {
            self.guard.leaves(&Trace::Table(family.into(), self.setup.daemon.firewall.table.clone()));
        }
        self.guard.flush();
        if let Err(error) = firewall::set_up(&self.setup) {
            tracing::error!("packets to virtual addresses with no_accept are accepted: {error:#}");
        }
        self.change(self.needs.of_all());
        for id in (0..self.setup.interfaces.len() as u32).map(InterfaceId) {
            if let Some(link) = self.links.link(&self.setup.interfaces[id.index()]) {
                self.change(self.needs.of(id, link.index));
            }
        }
    }

    /// The guard puts them back.
    pub(super) fn change(&mut self, changes: std::io::Result<Vec<Change>>) {
        let changes = changes.unwrap_or_else(|error| {
            tracing::error!("cannot read the settings of the network: {error}");
            Vec::new()
        });
        for change in changes {
            self.guard.leaves(&Trace::Setting(change.clone()));
            self.guard.flush();
            match change.make() {
                Ok(()) => tracing::info!("set {change}, until the daemon ends"),
                Err(error) => tracing::error!("cannot set {change}: {error}"),
            }
        }
    }
}
