//! The network's thread: watches interfaces, and sets and removes addresses as the protocol thread wishes.
//!
//! The protocol thread never waits for it. Of each instance at most one command is under way.

pub mod addresses;
pub mod links;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage as Route;
use rtnetlink::sys::AsyncSocket;
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::mpsc;
use vrrp_common::IfIndex;

use super::guard::Guard;
use crate::config::setup::{Setup, VirtualAddress};
use crate::engine::Tenure;
use crate::engine::plan::{InstanceId, InterfaceId};
use addresses::Outcome;
use links::{Link, Links};

/// Kernel buffer for link and address events: tens of thousands of them.
const RECEIVE_BUFFER: usize = 4 << 20;

/// What the protocol thread wishes.
#[derive(Clone, Copy, Debug)]
pub enum Command {
    /// Remove what an earlier daemon left behind.
    Tidy,
    Install {
        id: InstanceId,
        tenure: Tenure,
    },
    Release {
        id: InstanceId,
    },
}

/// What became of it, and what happened on its own.
#[derive(Clone, Copy, Debug)]
pub enum Report {
    Link {
        id: InterfaceId,
        link: Option<Link>,
    },
    Address {
        id: InstanceId,
        tenure: Tenure,
        address: u32,
        installed: bool,
    },
    /// The command for this instance is done; the next may come.
    Settled {
        id: InstanceId,
    },
}

/// The running thread. It ends when `commands` is dropped.
pub struct Netlink {
    pub commands: mpsc::Sender<Command>,
    pub thread: JoinHandle<()>,
}

/// Reads the present state and starts the thread.
///
/// Returns beside it each configured interface as it is now, by `InterfaceId`.
pub fn start(
    setup: Arc<Setup>,
    guard: Guard,
    reports: impl AsyncFn(Report) + Send + 'static,
) -> anyhow::Result<(Netlink, Vec<Option<Link>>)> {
    let (commands, inbox) = mpsc::channel(setup.instances.len() + 1);
    let (ready, started) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("netlink".into()).spawn(move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(error.into()))),
        };
        runtime.block_on(async {
            match Network::open(setup, guard, reports).await {
                Ok((network, events)) => {
                    let _ = ready.send(Ok(network.shown.clone()));
                    network.run(events, inbox).await;
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        });
    })?;
    let links = started.recv().context("the netlink thread died")??;
    Ok((Netlink { commands, thread }, links))
}

type Events = futures_util::stream::BoxStream<'static, NetlinkMessage<Route>>;

struct Network<F> {
    handle: Handle,
    setup: Arc<Setup>,
    links: Links,
    guard: Guard,
    reports: F,
    /// By `InterfaceId`: as last reported.
    shown: Vec<Option<Link>>,
    /// The configured interfaces by name, and by the index they had when last reported.
    by_name: BTreeMap<String, InterfaceId>,
    by_index: BTreeMap<IfIndex, InterfaceId>,
    /// By instance and address: where we set it, so that we remove only what is ours.
    held: Vec<Vec<Option<IfIndex>>>,
    /// The same, to be found by what the kernel says was removed.
    ours: BTreeMap<Place, (InstanceId, usize)>,
}

/// Where an address is set: interface, address, prefix length.
type Place = (IfIndex, IpAddr, u8);

impl<F: AsyncFn(Report)> Network<F> {
    async fn open(setup: Arc<Setup>, guard: Guard, reports: F) -> anyhow::Result<(Self, Events)> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        let (mut connection, handle, events) =
            rtnetlink::new_multicast_connection(&groups).context("cannot open a netlink socket")?;
        let socket = connection.socket_mut().socket_mut();
        if let Err(error) = socket.set_rx_buf_sz(RECEIVE_BUFFER) {
            tracing::warn!(%error, "cannot enlarge the netlink socket's buffer");
        }
        tokio::spawn(connection);
        let held = setup.instances.iter().map(|instance| vec![None; instance.addresses.len()]).collect();
        let links = Links::new(virtuals(&setup));
        let (shown, by_index, ours) = Default::default();
        let ids = (0..).map(InterfaceId);
        let by_name = setup.interfaces.iter().cloned().zip(ids).collect();
        let mut network = Self { handle, links, guard, reports, shown, by_name, by_index, held, ours, setup };
        network.read_all().await?;
        network.shown = network.setup.interfaces.iter().map(|name| network.links.link(name)).collect();
        let found = network.shown.iter().zip((0..).map(InterfaceId));
        network.by_index = found.filter_map(|(link, id)| Some(((*link)?.index, id))).collect();
        Ok((network, events.map(|(message, _)| message).boxed()))
    }

    async fn read_all(&mut self) -> anyhow::Result<()> {
        let mut links = self.handle.link().get().execute();
        while let Some(message) = links.try_next().await.context("cannot list the interfaces")? {
            self.links.link_is(&message);
        }
        let mut addresses = self.handle.address().get().execute();
        while let Some(message) = addresses.try_next().await.context("cannot list the addresses")? {
            self.links.address_is(&message);
        }
        Ok(())
    }

    /// Configured addresses that are set already were left by a daemon that died. An owner's are its own.
    async fn remove_leftovers(&mut self) {
        let setup = Arc::clone(&self.setup);
        for (instance, plan) in setup.instances.iter().zip(&setup.plan.instances) {
            if plan.priority.is_owner() {
                continue;
            }
            for virtual_address in &instance.addresses {
                let VirtualAddress { address, prefix, interface, .. } = *virtual_address;
                let Some(link) = self.links.link(&setup.interfaces[interface.index()]) else { continue };
                let there = self.links.addresses(link.index).iter();
                if there.clone().any(|held| (held.address, held.prefix) == (address, prefix)) {
                    match addresses::remove(&self.handle, link.index, address, prefix).await {
                        Ok(()) => tracing::info!("({}) removed left-over address {address}/{prefix}", instance.name),
                        Err(error) => {
                            tracing::error!(
                                "({}) cannot remove left-over address {address}/{prefix}: {error}",
                                instance.name
                            );
                        }
                    }
                }
            }
        }
    }

    async fn run(mut self, mut events: Events, mut inbox: mpsc::Receiver<Command>) {
        loop {
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(Command::Tidy) => self.remove_leftovers().await,
                    Some(Command::Install { id, tenure }) => self.install(id, tenure).await,
                    Some(Command::Release { id }) => self.release(id).await,
                    None => return,
                },
                Some(event) = events.next() => self.event(event).await,
            }
        }
    }

    async fn install(&mut self, id: InstanceId, tenure: Tenure) {
        let setup = Arc::clone(&self.setup);
        let instance = &setup.instances[id.index()];
        for (number, address) in instance.addresses.iter().enumerate() {
            let installed = self.set(id, number, address).await;
            (self.reports)(Report::Address { id, tenure, address: number as u32, installed }).await;
        }
        (self.reports)(Report::Settled { id }).await;
    }

    /// Sets one address; whether it is there afterwards.
    async fn set(&mut self, id: InstanceId, number: usize, address: &VirtualAddress) -> bool {
        let name = &self.setup.instances[id.index()].name;
        let interface = &self.setup.interfaces[address.interface.index()];
        let VirtualAddress { address: ip, prefix, .. } = *address;
        let Some(link) = self.links.link(interface) else {
            tracing::error!("({name}) cannot set {ip}/{prefix}: interface {interface} does not exist");
            return false;
        };
        self.guard.holds(link.index, ip, prefix);
        match addresses::add(&self.handle, link.index, address).await {
            Outcome::Set => {
                self.held[id.index()][number] = Some(link.index);
                self.ours.insert((link.index, ip, prefix), (id, number));
                true
            }
            Outcome::Present => {
                if self.held[id.index()][number] != Some(link.index) {
                    self.guard.released(link.index, ip, prefix);
                    tracing::info!("({name}) {ip}/{prefix} was on {interface} already, and stays there");
                }
                true
            }
            Outcome::Failed(error) => {
                self.guard.released(link.index, ip, prefix);
                tracing::error!("({name}) cannot set {ip}/{prefix} on {interface}: {error}");
                false
            }
        }
    }

    async fn release(&mut self, id: InstanceId) {
        let setup = Arc::clone(&self.setup);
        let instance = &setup.instances[id.index()];
        for (number, address) in instance.addresses.iter().enumerate() {
            let Some(index) = self.forget(id, number) else { continue };
            let VirtualAddress { address: ip, prefix, .. } = *address;
            match addresses::remove(&self.handle, index, ip, prefix).await {
                Ok(()) => self.guard.released(index, ip, prefix),
                // The guard still knows of it, and tries once more at the end.
                Err(error) => tracing::error!("({}) cannot remove {ip}/{prefix}: {error}", instance.name),
            }
        }
        (self.reports)(Report::Settled { id }).await;
    }

    /// Where an address of ours was set; from now on it is not.
    fn forget(&mut self, id: InstanceId, number: usize) -> Option<IfIndex> {
        let index = self.held[id.index()][number].take()?;
        let VirtualAddress { address, prefix, .. } = self.setup.instances[id.index()].addresses[number];
        self.ours.remove(&(index, address, prefix));
        Some(index)
    }

    async fn event(&mut self, event: NetlinkMessage<Route>) {
        let NetlinkPayload::InnerMessage(message) = event.payload else { return };
        let index = match &message {
            Route::NewLink(message) | Route::DelLink(message) => message.header.index,
            Route::NewAddress(message) | Route::DelAddress(message) => message.header.index,
            _ => return,
        };
        let before = self.links.place(index).1;
        match message {
            Route::NewLink(message) => self.links.link_is(&message),
            Route::DelLink(message) => self.links.link_gone(message.header.index),
            Route::NewAddress(message) => self.links.address_is(&message),
            Route::DelAddress(message) => {
                if let Some(gone) = self.links.address_gone(&message) {
                    self.restore((IfIndex(index), gone.address, gone.prefix)).await;
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

    /// Sets an address again that somebody else removed while its instance is master.
    async fn restore(&mut self, place: Place) {
        let Some(&(id, number)) = self.ours.get(&place) else { return };
        self.forget(id, number);
        let setup = Arc::clone(&self.setup);
        let instance = &setup.instances[id.index()];
        if self.set(id, number, &instance.addresses[number]).await {
            tracing::warn!("({}) {}/{} was removed by somebody else; set again", instance.name, place.1, place.2);
        }
    }

    /// Reports the configured interface of this index, or that had it, if it changed.
    async fn show(&mut self, index: u32) {
        let named = self.links.place(index).0.and_then(|name| self.by_name.get(name)).copied();
        let known = self.by_index.get(&IfIndex(index)).copied();
        for id in [named, known.filter(|_| known != named)].into_iter().flatten() {
            let link = self.links.link(&self.setup.interfaces[id.index()]);
            let before = std::mem::replace(&mut self.shown[id.index()], link);
            if before == link {
                continue;
            }
            if let Some(before) = before {
                self.by_index.remove(&before.index);
            }
            if let Some(link) = link {
                self.by_index.insert(link.index, id);
            }
            (self.reports)(Report::Link { id, link }).await;
        }
    }
}

/// Addresses that are never a source.
fn virtuals(setup: &Setup) -> BTreeSet<IpAddr> {
    let instances = setup.instances.iter().zip(&setup.plan.instances);
    let foreign = instances.filter(|(_, plan)| !plan.priority.is_owner());
    foreign.flat_map(|(instance, _)| &instance.addresses).map(|address| address.address).collect()
}
