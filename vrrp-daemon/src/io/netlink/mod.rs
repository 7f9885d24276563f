//! The network's thread: watches interfaces, and sets and removes addresses as the protocol thread wishes.
//!
//! The protocol thread never waits for it. Of each instance at most one command is under way.

pub mod addresses;
mod events;
mod fixtures;
mod holdings;
mod jobs;
pub mod links;
mod mend;
mod paths;
mod reload;
pub mod requests;
mod routes;
mod rules;
mod settings;
mod shown;
mod sources;
pub mod upper;
pub mod uppers;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context;
use futures_util::TryStreamExt;
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::mpsc;
use vrrp_common::{IfIndex, Instant};

use super::clock;
use super::guard::Guard;
use super::next::Move;
use super::privilege::Urgency;
use super::repairs::Repairs;
use super::signals::EndsDaemon;
use super::sysctl::Needs;
use crate::config::setup::{Setup, VirtualAddress};
use crate::engine::Tenure;
use crate::engine::plan::{InstanceId, InterfaceId};
use fixtures::Fixtures;
use holdings::Holdings;
use jobs::Job;
use links::{Link, Links};
use mend::Thing;
use requests::Requests;
use sources::Sources;
use uppers::Uppers;
use watch::Events;

/// Commands taken together.
const COMMANDS: usize = 256;

/// What the protocol thread wishes.
#[derive(Clone, Debug)]
pub enum Command {
    /// Go on by another configuration, and its ids.
    Reload(Arc<Move>),
    /// Remove what an earlier daemon left behind.
    Tidy,
    /// Have the guard hold an XDP program on its device.
    Keep {
        program_link: u32,
    },
    /// Have the guard let go of one.
    LetGo {
        program_link: u32,
    },
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
    /// A route or a rule of an instance is there, or is not; by its number among them, routes first.
    Path {
        id: InstanceId,
        number: u32,
        is_set: bool,
    },
    /// The source address that an instance tracks came, or went.
    Source {
        id: InstanceId,
        is_there: bool,
    },
    /// The command for this instance is done; the next may come.
    Settled {
        id: InstanceId,
    },
    /// What comes now is by the ids of the new configuration.
    Reloaded,
}

/// The running thread. It ends when `commands` is dropped.
pub struct Netlink {
    pub commands: mpsc::UnboundedSender<Command>,
    pub thread: JoinHandle<()>,
}

/// What there is at the start.
pub struct Found {
    /// By `InterfaceId`: each configured interface.
    pub links: Vec<Option<Link>>,
    /// Instances that track a source address which is not there.
    pub without_source: Vec<InstanceId>,
}

/// Reads the present state and starts the thread; returns both.
pub fn start(
    setup: Arc<Setup>,
    guard: Guard,
    urgency: Urgency,
    reports: impl AsyncFn(Report) + Send + 'static,
) -> anyhow::Result<(Netlink, Found)> {
    // Bounded by those who send: of each instance and program one command is under way, and one reload.
    let (commands, inbox) = mpsc::unbounded_channel();
    let (ready, started) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("netlink".into()).spawn(move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(error.into()))),
        };
        runtime.block_on(async {
            match Network::open(setup, guard, reports).await {
                Ok((network, events)) => {
                    let _ = ready.send(Ok(network.found()));
                    // An address that comes late is as bad as an advert; but the advert goes first.
                    urgency.apply(1);
                    // Without this thread a master would speak for addresses that the guard has removed.
                    let _ends = EndsDaemon;
                    network.run(events, inbox).await;
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        });
    })?;
    let found = started.recv().context("the netlink thread died")??;
    Ok((Netlink { commands, thread }, found))
}

struct Network<F> {
    /// For what changes addresses.
    requests: Requests,
    setup: Arc<Setup>,
    links: Links,
    guard: Guard,
    reports: F,
    /// By `InterfaceId`: as last reported.
    shown: Vec<Option<Link>>,
    /// The configured interfaces by name, and by the index they had when last reported.
    by_name: BTreeMap<String, InterfaceId>,
    by_index: BTreeMap<IfIndex, InterfaceId>,
    /// By instance: its time as master, whose addresses are to be there.
    wishes: Vec<Option<Tenure>>,
    /// What we set, so that we remove only what is ours.
    holdings: Holdings,
    fixtures: Fixtures,
    /// Changes of routes and rules, while there are any of ours.
    path_events: Option<Events>,
    /// What is static was set once.
    has_statics: bool,
    uppers: Uppers,
    needs: Needs,
    sources: Sources,
    repairs: Repairs<Thing>,
    /// To read everything anew.
    handle: Handle,
}

impl<F: AsyncFn(Report)> Network<F> {
    async fn open(setup: Arc<Setup>, guard: Guard, reports: F) -> anyhow::Result<(Self, Events)> {
        let events = Events::of(&[MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr])?;
        let (asking, handle, _) = rtnetlink::new_connection().context("cannot open a netlink socket")?;
        tokio::spawn(asking);
        let holdings = Holdings::new(&setup);
        let wishes = vec![None; setup.instances.len()];
        let links = Links::new(virtuals(&setup), own(&setup));
        let (uppers, needs, sources) = (Uppers::new(&setup), Needs::new(&setup), Sources::new(&setup));
        let (shown, by_index) = Default::default();
        let ids = (0..).map(InterfaceId);
        let by_name = setup.interfaces.iter().cloned().zip(ids).collect();
        let requests = Requests::open().context("cannot open a netlink socket")?;
        let mut network = Self {
            requests,
            links,
            guard,
            reports,
            shown,
            by_name,
            by_index,
            wishes,
            holdings,
            fixtures: Fixtures::default(),
            path_events: None,
            has_statics: false,
            uppers,
            needs,
            sources,
            repairs: Repairs::default(),
            handle,
            setup,
        };
        network.read_all().await?;
        network.shown = network.setup.interfaces.iter().map(|name| network.links.link(name)).collect();
        let found = network.shown.iter().zip((0..).map(InterfaceId));
        network.by_index = found.filter_map(|(link, id)| Some(((*link)?.index, id))).collect();
        network.by_index.keys().for_each(|index| network.tell_unproven(index.0));
        network.fixtures = Fixtures::new(&network.setup);
        network.watch_paths()?;
        network.sources.look(&network.setup, &network.links, None);
        Ok((network, events))
    }

    fn found(&self) -> Found {
        Found { links: self.shown.clone(), without_source: self.sources.missing().collect() }
    }

    async fn read_all(&mut self) -> anyhow::Result<()> {
        self.read_links().await?;
        let mut addresses = self.handle.address().get().execute();
        while let Some(message) = addresses.try_next().await.context("cannot list the addresses")? {
            self.links.address_is(&message);
        }
        Ok(())
    }

    async fn read_links(&mut self) -> anyhow::Result<()> {
        let mut links = self.handle.link().get().execute();
        while let Some(message) = links.try_next().await.context("cannot list the interfaces")? {
            self.links.link_is(&message);
        }
        Ok(())
    }

    async fn run(mut self, mut events: Events, mut inbox: mpsc::UnboundedReceiver<Command>) {
        let mut commands = Vec::new();
        loop {
            tokio::select! {
                biased;
                received = inbox.recv_many(&mut commands, COMMANDS) => match received {
                    0 => return,
                    _ => self.obey(commands.drain(..)).await,
                },
                event = events.next() => match event {
                    Ok(event) => self.event(event).await,
                    Err(error) => return tracing::error!("the kernel's word of interfaces and addresses broke off: {error}"),
                },
                event = watch::next(&mut self.path_events) => self.path_event(event).await,
                () = until(self.repairs.due()), if self.repairs.due().is_some() => {
                    for thing in self.repairs.take_due(clock::now()) {
                        self.mend(thing).await;
                    }
                }
                () = std::future::ready(()), if self.uppers.has_idle() => self.lower_idle(),
            }
        }
    }

    /// Does what was commanded, in order, together.
    async fn obey(&mut self, commands: impl Iterator<Item = Command>) {
        let mut jobs = Vec::new();
        for command in commands {
            match command {
                Command::Reload(to) => {
                    self.work_all(&std::mem::take(&mut jobs)).await;
                    self.reload(&to).await;
                }
                Command::Tidy => {
                    self.prepare();
                    self.make_uppers(0..self.setup.uppers.len()).await;
                    self.find_leftovers(&mut jobs);
                    self.start_paths(&mut jobs);
                }
                Command::Keep { program_link } => self.guard.keeps(program_link),
                Command::LetGo { program_link } => self.guard.lets_go(program_link),
                Command::Install { id, tenure } => {
                    self.wishes[id.index()] = Some(tenure);
                    jobs.extend(self.uppers.used_by(&self.setup, id).into_iter().map(|place| Job::Raise { place }));
                    let numbers = 0..self.setup.instances[id.index()].addresses.len();
                    jobs.extend(numbers.map(|number| Job::Set { id, number, tenure }));
                    self.lay_all(id, &mut jobs);
                    jobs.push(Job::Settle { id });
                }
                Command::Release { id } => {
                    self.wishes[id.index()] = None;
                    self.lift_all(id, &mut jobs);
                    let numbers = 0..self.setup.instances[id.index()].addresses.len();
                    let ours = numbers.filter(|&number| self.holdings.index((id, number)).is_some());
                    jobs.extend(ours.map(|number| Job::Clear { id, number }));
                    jobs.push(Job::Settle { id });
                    self.uppers.release(self.uppers.used_by(&self.setup, id));
                }
            }
        }
        self.guard.flush();
        self.work_all(&jobs).await;
    }

    /// Configured addresses that are set already were left by a daemon that died. An owner's are its own.
    fn find_leftovers(&self, jobs: &mut Vec<Job>) {
        for ((id, instance), plan) in self.setup.instances.iter().enumerate().zip(self.setup.plan.instances.iter()) {
            if plan.priority.is_owner() {
                continue;
            }
            for (number, virtual_address) in instance.addresses.iter().enumerate() {
                let VirtualAddress { address, prefix, interface, .. } = *virtual_address;
                // On the interface below a virtual MAC interface: by one that was configured without.
                let below = self.uppers.of(interface).map(|place| self.setup.uppers[place].parent);
                for interface in [Some(interface), below].into_iter().flatten() {
                    let Some(link) = self.links.link(&self.setup.interfaces[interface.index()]) else { continue };
                    if self.links.has(link.index, address, prefix) {
                        jobs.push(Job::Tidy { id: InstanceId(id as u32), number, index: link.index });
                    }
                }
            }
        }
    }
}

/// To the millisecond, as tokio's timers go.
async fn until(due: Option<Instant>) {
    if let Some(due) = due {
        tokio::time::sleep(due.since(clock::now())).await;
    }
}

/// The names of the interfaces that the daemon makes.
fn own(setup: &Setup) -> BTreeSet<String> {
    setup.uppers.iter().map(|upper| setup.interfaces[upper.interface.index()].clone()).collect()
}

/// Addresses that are never a source.
fn virtuals(setup: &Setup) -> BTreeSet<IpAddr> {
    let instances = setup.instances.iter().zip(setup.plan.instances.iter());
    let foreign = instances.filter(|(_, plan)| !plan.priority.is_owner());
    foreign.flat_map(|(instance, _)| &instance.addresses).map(|address| address.address).collect()
}
