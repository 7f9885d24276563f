//! The kernel's word of interfaces and addresses: what each message changes, and what to do when some were lost.

use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage as Route};
use vrrp_common::IfIndex;

use super::addresses::Place;
use super::holdings::Holder;
use super::jobs::Job;
use super::links::Links;
use super::watch::Event;
use super::{Network, Report, own, virtuals};

impl<F: AsyncFn(Report)> Network<F> {
    pub(super) async fn event(&mut self, event: Event) {
        let message = match event {
            Event::Changed(message) => message,
            Event::Lost => return self.start_over().await,
        };
        let index = match &message {
            // What a bridge says of its ports: one that leaves it is not gone.
            Route::NewLink(message) | Route::DelLink(message)
                if message.header.interface_family == AddressFamily::Bridge =>
            {
                return;
            }
            Route::NewLink(message) | Route::DelLink(message) => message.header.index,
            Route::NewAddress(message) | Route::DelAddress(message) => message.header.index,
            _ => return,
        };
        if let Route::DelAddress(_) = &message {
            self.miss(&message).await;
        }
        let before = self.links.place(index).1;
        match message {
            Route::NewLink(message) => self.links.link_is(&message),
            Route::DelLink(message) => self.links.link_gone(message.header.index),
            Route::NewAddress(message) => {
                self.monitor(&message, "set on");
                let set = self.links.address_is(&message);
                self.tell_unproven(index);
                if let Some((address, is_news)) = set {
                    self.look_for_sources(Some(address)).await;
                    if is_news {
                        self.miss_all().await;
                    }
                }
            }
            Route::DelAddress(message) => {
                self.monitor(&message, "removed from");
                if let Some(gone) = self.links.address_gone(&message) {
                    self.look_for_sources(Some(gone.address)).await;
                    let is_ours = self.restore((IfIndex(index), gone.address, gone.prefix)).await;
                    if is_ours || !self.links.is_virtual(gone.address) {
                        self.miss_all().await;
                    }
                }
            }
            _ => {}
        }
        // What stands on an interface, or stood there until now, changes that one too.
        let after = self.links.place(index).1;
        for index in [Some(index), before, after.filter(|_| after != before)].into_iter().flatten() {
            self.show(index).await;
        }
    }

    /// Logs what became of an address, if asked to.
    fn monitor(&self, message: &AddressMessage, what: &str) {
        if self.setup.service.address_monitoring
            && let Some((address, interface)) = self.links.described(message)
        {
            tracing::info!("Netlink reports {address}/{} {what} {interface}", message.header.prefix_len);
        }
    }

    /// Events were lost, more than the socket could hold: what is so now is read anew.
    async fn start_over(&mut self) {
        tracing::warn!("too many changes of interfaces and addresses at once; reading all of them again");
        let before = std::mem::replace(&mut self.links, Links::new(virtuals(&self.setup), own(&self.setup)));
        if let Err(error) = self.read_all().await {
            tracing::error!("{error:#}");
            self.links = before;
            return;
        }
        let is_there = |&((index, address, prefix), _): &(Place, Holder)| self.links.has(index, address, prefix);
        let missing = self.holdings.all().filter(|held| !is_there(held) && self.is_kept(held.1));
        let jobs: Vec<_> = missing.map(|(_, (id, number))| Job::Restore { id, number }).collect();
        self.work_all(&jobs).await;
        self.show_all().await;
    }
}
