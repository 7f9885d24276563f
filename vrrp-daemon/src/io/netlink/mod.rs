//! The network's thread: watches interfaces, and sets and removes addresses as the protocol thread wishes.
//!
//! The protocol thread never waits for it. Of each instance at most one command is under way.

pub mod addresses;
pub mod links;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage as Route};
use rtnetlink::sys::AsyncSocket;
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::mpsc;
use vrrp_common::IfIndex;

use super::guard::Guard;
use super::privilege::Urgency;
use crate::config::setup::{Setup, VirtualAddress};
use crate::engine::Tenure;
use crate::engine::plan::{InstanceId, InterfaceId};
use addresses::{BATCH, Outcome, Place, Request, Requests};
use links::{Link, Links};

/// Batches between two moments of sleep: a tenth of a second of the kernel's work.
const UNBROKEN: usize = 64;
/// Commands taken together.
const COMMANDS: usize = 256;
/// Kernel buffer for link and address events: tens of thousands of them.
const RECEIVE_BUFFER: usize = 4 << 20;

/// What the protocol thread wishes.
#[derive(Clone, Copy, Debug)]
pub enum Command {
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
    urgency: Urgency,
    reports: impl AsyncFn(Report) + Send + 'static,
) -> anyhow::Result<(Netlink, Vec<Option<Link>>)> {
    let (commands, inbox) = mpsc::channel(1 + setup.instances.len() + setup.interfaces.len());
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
                    // An address that comes late is as bad as an advert; but the advert goes first.
                    urgency.apply(1);
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
    /// By instance and address: where we set it, so that we remove only what is ours.
    held: Vec<Vec<Option<IfIndex>>>,
    /// The same, to be found by what the kernel says was removed.
    ours: BTreeMap<Place, (InstanceId, usize)>,
}

/// A step of a command.
#[derive(Clone, Copy, Debug)]
enum Job {
    Set {
        id: InstanceId,
        number: usize,
        tenure: Tenure,
    },
    Clear {
        id: InstanceId,
        number: usize,
    },
    Settle {
        id: InstanceId,
    },
    /// Set what somebody else removed.
    Restore {
        id: InstanceId,
        number: usize,
    },
    /// Remove what an earlier daemon left.
    Tidy {
        id: InstanceId,
        number: usize,
        index: IfIndex,
    },
}

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
        let requests = Requests::open().context("cannot open a netlink socket")?;
        let mut network = Self { requests, links, guard, reports, shown, by_name, by_index, held, ours, setup };
        network.read_all(&handle).await?;
        network.shown = network.setup.interfaces.iter().map(|name| network.links.link(name)).collect();
        let found = network.shown.iter().zip((0..).map(InterfaceId));
        network.by_index = found.filter_map(|(link, id)| Some(((*link)?.index, id))).collect();
        Ok((network, events.map(|(message, _)| message).boxed()))
    }

    async fn read_all(&mut self, handle: &Handle) -> anyhow::Result<()> {
        let mut links = handle.link().get().execute();
        while let Some(message) = links.try_next().await.context("cannot list the interfaces")? {
            self.links.link_is(&message);
        }
        let mut addresses = handle.address().get().execute();
        while let Some(message) = addresses.try_next().await.context("cannot list the addresses")? {
            self.links.address_is(&message);
        }
        Ok(())
    }

    async fn run(mut self, mut events: Events, mut inbox: mpsc::Receiver<Command>) {
        let mut commands = Vec::new();
        loop {
            tokio::select! {
                received = inbox.recv_many(&mut commands, COMMANDS) => match received {
                    0 => return,
                    _ => self.obey(commands.drain(..)).await,
                },
                Some(event) = events.next() => self.event(event).await,
            }
        }
    }

    /// Does what was commanded, in order, together.
    async fn obey(&mut self, commands: impl Iterator<Item = Command>) {
        let mut jobs = Vec::new();
        for command in commands {
            match command {
                Command::Tidy => self.find_leftovers(&mut jobs),
                Command::Keep { program_link } => self.guard.keeps(program_link),
                Command::LetGo { program_link } => self.guard.lets_go(program_link),
                Command::Install { id, tenure } => {
                    let numbers = 0..self.setup.instances[id.index()].addresses.len();
                    jobs.extend(numbers.map(|number| Job::Set { id, number, tenure }));
                    jobs.push(Job::Settle { id });
                }
                Command::Release { id } => {
                    let numbers = 0..self.setup.instances[id.index()].addresses.len();
                    let ours = numbers.filter(|&number| self.held[id.index()][number].is_some());
                    jobs.extend(ours.map(|number| Job::Clear { id, number }));
                    jobs.push(Job::Settle { id });
                }
            }
        }
        self.guard.flush();
        for (number, batch) in jobs.chunks(BATCH).enumerate() {
            // A thread with real-time priority must sleep now and then, or the kernel ends it (`privilege.rs`).
            if number % UNBROKEN == UNBROKEN - 1 {
                std::thread::sleep(Duration::from_micros(1));
            }
            self.work(batch).await;
        }
    }

    /// Configured addresses that are set already were left by a daemon that died. An owner's are its own.
    fn find_leftovers(&self, jobs: &mut Vec<Job>) {
        for ((id, instance), plan) in self.setup.instances.iter().enumerate().zip(&self.setup.plan.instances) {
            if plan.priority.is_owner() {
                continue;
            }
            for (number, virtual_address) in instance.addresses.iter().enumerate() {
                let VirtualAddress { address, prefix, interface, .. } = *virtual_address;
                let Some(link) = self.links.link(&self.setup.interfaces[interface.index()]) else { continue };
                let mut there = self.links.addresses(link.index).iter();
                if there.any(|held| (held.address, held.prefix) == (address, prefix)) {
                    jobs.push(Job::Tidy { id: InstanceId(id as u32), number, index: link.index });
                }
            }
        }
    }

    /// One batch: the guard hears of what will be set, the kernel does it all, then each job learns what came of its part.
    async fn work(&mut self, jobs: &[Job]) {
        let setup = Arc::clone(&self.setup);
        let mut requests = Vec::new();
        let mut asked = Vec::new();
        for &job in jobs {
            match self.request(&setup, job) {
                Some(request) => {
                    if let Request::Add(index, address) = &request {
                        self.guard.holds(*index, address.address, address.prefix);
                    }
                    requests.push(request);
                    asked.push(true);
                }
                None => asked.push(false),
            }
        }
        self.guard.flush();
        let mut outcomes = match self.requests.make(&requests) {
            Ok(outcomes) => outcomes.into_iter(),
            Err(error) => {
                tracing::error!("the kernel does not take netlink requests: {error}");
                Vec::new().into_iter()
            }
        };
        let mut requests = requests.into_iter();
        for (&job, asked) in jobs.iter().zip(asked) {
            let answered = if asked { requests.next().zip(outcomes.next()) } else { None };
            let report = self.conclude(&setup, job, answered);
            if let Some(report) = report {
                (self.reports)(report).await;
            }
        }
        self.guard.flush();
    }

    /// What to ask of the kernel for a job; `None` when nothing can or must be.
    fn request<'a>(&self, setup: &'a Setup, job: Job) -> Option<Request<'a>> {
        let address = |id: InstanceId, number: usize| &setup.instances[id.index()].addresses[number];
        match job {
            Job::Set { id, number, .. } => {
                let address = address(id, number);
                let interface = &setup.interfaces[address.interface.index()];
                Some(Request::Add(self.links.link(interface)?.index, address))
            }
            Job::Restore { id, number } => Some(Request::Add(self.held[id.index()][number]?, address(id, number))),
            Job::Clear { id, number } => {
                let VirtualAddress { address, prefix, .. } = *address(id, number);
                Some(Request::Remove((self.held[id.index()][number]?, address, prefix)))
            }
            Job::Tidy { id, number, index } => {
                let VirtualAddress { address, prefix, .. } = *address(id, number);
                Some(Request::Remove((index, address, prefix)))
            }
            Job::Settle { .. } => None,
        }
    }

    /// Takes in what came of a job, and says what to report of it.
    fn conclude(&mut self, setup: &Setup, job: Job, answered: Option<(Request, Outcome)>) -> Option<Report> {
        match job {
            Job::Set { id, number, tenure } => {
                let installed = self.was_set(setup, id, number, answered);
                return Some(Report::Address { id, tenure, address: number as u32, installed });
            }
            Job::Settle { id } => return Some(Report::Settled { id }),
            Job::Restore { id, number } => {
                // There already: what was told of is the removal of an earlier tenure's.
                if let Some((Request::Add(_, address), Outcome::Done)) = answered {
                    let VirtualAddress { address, prefix, .. } = address;
                    let name = &setup.instances[id.index()].name;
                    tracing::warn!("({name}) {address}/{prefix} was removed by somebody else; set again");
                    debug_assert!(self.held[id.index()][number].is_some());
                }
            }
            Job::Clear { id, number } => {
                self.forget(id, number);
                match answered {
                    Some((Request::Remove((index, address, prefix)), Outcome::Done | Outcome::Already)) => {
                        self.guard.released(index, address, prefix);
                    }
                    // The guard still knows of it, and tries once more at the end.
                    Some((Request::Remove((_, address, prefix)), Outcome::Failed(error))) => {
                        tracing::error!(
                            "({}) cannot remove {address}/{prefix}: {error}",
                            setup.instances[id.index()].name
                        );
                    }
                    _ => {}
                }
            }
            Job::Tidy { id, .. } => {
                let name = &setup.instances[id.index()].name;
                match answered {
                    Some((Request::Remove((_, address, prefix)), Outcome::Done)) => {
                        tracing::info!("({name}) removed left-over address {address}/{prefix}");
                    }
                    Some((Request::Remove((_, address, prefix)), Outcome::Failed(error))) => {
                        tracing::error!("({name}) cannot remove left-over address {address}/{prefix}: {error}");
                    }
                    _ => {}
                }
            }
        }
        None
    }

    /// Whether an address is there after it was asked for.
    fn was_set(&mut self, setup: &Setup, id: InstanceId, number: usize, answered: Option<(Request, Outcome)>) -> bool {
        let instance = &setup.instances[id.index()];
        let name = &instance.name;
        let VirtualAddress { address: ip, prefix, interface, .. } = instance.addresses[number];
        let interface = &setup.interfaces[interface.index()];
        let Some((Request::Add(index, _), outcome)) = answered else {
            tracing::error!("({name}) cannot set {ip}/{prefix}: interface {interface} does not exist");
            return false;
        };
        match outcome {
            Outcome::Done => {
                self.held[id.index()][number] = Some(index);
                self.ours.insert((index, ip, prefix), (id, number));
                true
            }
            Outcome::Already => {
                if self.held[id.index()][number] != Some(index) {
                    self.guard.released(index, ip, prefix);
                    tracing::info!("({name}) {ip}/{prefix} was on {interface} already, and stays there");
                }
                true
            }
            Outcome::Failed(error) => {
                self.guard.released(index, ip, prefix);
                tracing::error!("({name}) cannot set {ip}/{prefix} on {interface}: {error}");
                false
            }
        }
    }

    /// From now on this address is not ours.
    fn forget(&mut self, id: InstanceId, number: usize) {
        if let Some(index) = self.held[id.index()][number].take() {
            let VirtualAddress { address, prefix, .. } = self.setup.instances[id.index()].addresses[number];
            self.ours.remove(&(index, address, prefix));
        }
    }

    async fn event(&mut self, event: NetlinkMessage<Route>) {
        let NetlinkPayload::InnerMessage(message) = event.payload else { return };
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
        if let Some(&(id, number)) = self.ours.get(&place) {
            self.work(&[Job::Restore { id, number }]).await;
        }
    }

    /// Reports the configured interface of this index, or that had it, if it changed.
    async fn show(&mut self, index: u32) {
        let named = self.links.place(index).0.and_then(|name| self.by_name.get(name)).copied();
        let known = self.by_index.get(&IfIndex(index)).copied();
        // Who had it lets go of it before another takes it up, as when interfaces are renamed in a circle.
        for id in [known.filter(|_| known != named), named].into_iter().flatten() {
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
