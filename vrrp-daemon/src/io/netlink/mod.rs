//! The network's thread: watches interfaces, and sets and removes addresses as the protocol thread wishes.
//!
//! The protocol thread never waits for it. Of each instance at most one command is under way.

pub mod addresses;
mod holdings;
pub mod links;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt};
use nix::sys::socket::{setsockopt, sockopt};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage as Route};
use rtnetlink::sys::AsyncSocket;
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::mpsc;
use vrrp_common::IfIndex;

use super::guard::Guard;
use super::privilege::Urgency;
use super::run::EndsDaemon;
use crate::config::setup::{Setup, VirtualAddress};
use crate::engine::Tenure;
use crate::engine::plan::{InstanceId, InterfaceId};
use addresses::{BATCH, Outcome, Place, Request, Requests};
use holdings::{Holder, Holdings};
use links::{Link, Links};

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
                    // Without this thread a master would speak for addresses that the guard has removed.
                    let _ends = EndsDaemon;
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
    /// By instance: its time as master, whose addresses are to be there.
    wishes: Vec<Option<Tenure>>,
    /// What we set, so that we remove only what is ours.
    holdings: Holdings,
    /// To read everything anew when events were lost.
    handle: Handle,
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
        // Beyond the administrator's limit if we may, else up to it.
        if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err()
            && let Err(error) = socket.set_rx_buf_sz(RECEIVE_BUFFER)
        {
            tracing::warn!(%error, "cannot enlarge the netlink socket's buffer");
        }
        tokio::spawn(connection);
        let holdings = Holdings::new(&setup);
        let wishes = vec![None; setup.instances.len()];
        let links = Links::new(virtuals(&setup));
        let (shown, by_index) = Default::default();
        let ids = (0..).map(InterfaceId);
        let by_name = setup.interfaces.iter().cloned().zip(ids).collect();
        let requests = Requests::open().context("cannot open a netlink socket")?;
        let mut network =
            Self { requests, links, guard, reports, shown, by_name, by_index, wishes, holdings, handle, setup };
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

    async fn run(mut self, mut events: Events, mut inbox: mpsc::Receiver<Command>) {
        let mut commands = Vec::new();
        loop {
            tokio::select! {
                received = inbox.recv_many(&mut commands, COMMANDS) => match received {
                    0 => return,
                    _ => self.obey(commands.drain(..)).await,
                },
                event = events.next() => match event {
                    Some(event) => self.event(event).await,
                    None => return tracing::error!("the kernel's word of interfaces and addresses broke off"),
                },
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
                    self.wishes[id.index()] = Some(tenure);
                    let numbers = 0..self.setup.instances[id.index()].addresses.len();
                    jobs.extend(numbers.map(|number| Job::Set { id, number, tenure }));
                    jobs.push(Job::Settle { id });
                }
                Command::Release { id } => {
                    self.wishes[id.index()] = None;
                    let numbers = 0..self.setup.instances[id.index()].addresses.len();
                    let ours = numbers.filter(|&number| self.holdings.index((id, number)).is_some());
                    jobs.extend(ours.map(|number| Job::Clear { id, number }));
                    jobs.push(Job::Settle { id });
                }
            }
        }
        self.guard.flush();
        self.work_all(&jobs).await;
    }

    /// Does these jobs, many at a time; but of one address one at a time, since what came of the first decides what is to
    /// be done for the next.
    async fn work_all(&mut self, mut jobs: &[Job]) {
        while !jobs.is_empty() {
            let mut addresses = BTreeSet::new();
            let is_new = |&&job: &&Job| addressed(&self.setup, job).is_none_or(|address| addresses.insert(address));
            let count = jobs.iter().take(BATCH).take_while(is_new).count();
            let (batch, rest) = jobs.split_at(count);
            self.work(batch).await;
            jobs = rest;
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
            Job::Restore { id, number } => Some(Request::Add(self.holdings.index((id, number))?, address(id, number))),
            Job::Clear { id, number } => {
                let place = place(address(id, number), self.holdings.index((id, number))?);
                (!self.holdings.is_shared((id, number), place)).then_some(Request::Remove(place))
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
                    // Others may have had it meanwhile.
                    let tenure = self.wishes[id.index()]?;
                    return Some(Report::Address { id, tenure, address: number as u32, installed: true });
                }
            }
            Job::Clear { id, number } => {
                self.holdings.leave((id, number), |index| place(&setup.instances[id.index()].addresses[number], index));
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
        let place = (index, ip, prefix);
        match outcome {
            Outcome::Done => {
                self.holdings.take((id, number), place);
                true
            }
            Outcome::Already => {
                if self.holdings.has(place) {
                    self.holdings.take((id, number), place);
                } else {
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

    async fn event(&mut self, event: NetlinkMessage<Route>) {
        let message = match event.payload {
            NetlinkPayload::InnerMessage(message) => message,
            NetlinkPayload::Overrun(_) => return self.start_over().await,
            _ => return,
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
        if let Some((id, number)) = self.holdings.holder(place) {
            self.work(&[Job::Restore { id, number }]).await;
        }
    }

    /// Events were lost, more than the socket could hold: what is so now is read anew.
    async fn start_over(&mut self) {
        tracing::warn!("too many changes of interfaces and addresses at once; reading all of them again");
        let before = std::mem::replace(&mut self.links, Links::new(virtuals(&self.setup)));
        if let Err(error) = self.read_all().await {
            tracing::error!("{error:#}");
            self.links = before;
            return;
        }
        let is_there = |&((index, address, prefix), _): &(Place, Holder)| {
            self.links.addresses(index).iter().any(|held| (held.address, held.prefix) == (address, prefix))
        };
        let missing = self.holdings.all().filter(|held| !is_there(held));
        let jobs: Vec<_> = missing.map(|(_, (id, number))| Job::Restore { id, number }).collect();
        self.work_all(&jobs).await;
        let ids = || (0..).map(InterfaceId).take(self.setup.interfaces.len());
        // Those that have their name no more, before others have it.
        let is_other = |id: &InterfaceId| {
            let index = |link: Option<Link>| link.map(|link| link.index);
            let now = self.links.link(&self.setup.interfaces[id.index()]);
            self.shown[id.index()].is_some() && index(self.shown[id.index()]) != index(now)
        };
        let gone: Vec<_> = ids().filter(is_other).collect();
        let all: Vec<_> = ids().collect();
        for id in gone {
            self.report(id, None).await;
        }
        for id in all {
            self.report(id, self.links.link(&self.setup.interfaces[id.index()])).await;
        }
    }

    /// Reports the configured interface of this index, or that had it, if it changed.
    async fn show(&mut self, index: u32) {
        let named = self.links.place(index).0.and_then(|name| self.by_name.get(name)).copied();
        let known = self.by_index.get(&IfIndex(index)).copied();
        // Who had it lets go of it before another takes it up, as when interfaces are renamed in a circle.
        for id in [known.filter(|_| known != named), named].into_iter().flatten() {
            self.report(id, self.links.link(&self.setup.interfaces[id.index()])).await;
        }
    }

    /// Reports what a configured interface is now, if it is something else than before.
    async fn report(&mut self, id: InterfaceId, link: Option<Link>) {
        let before = std::mem::replace(&mut self.shown[id.index()], link);
        if before == link {
            return;
        }
        if let Some(before) = before {
            self.by_index.remove(&before.index);
        }
        if let Some(link) = link {
            self.by_index.insert(link.index, id);
        }
        (self.reports)(Report::Link { id, link }).await;
        if let Some(link) = link
            && before.is_none_or(|before| before.index != link.index)
        {
            self.furnish(id, link.index).await;
        }
    }

    /// An interface came while masters wish for addresses on it, or came again without them.
    async fn furnish(&mut self, interface: InterfaceId, index: IfIndex) {
        let mut jobs = Vec::new();
        for ((&wish, instance), id) in self.wishes.iter().zip(&self.setup.instances).zip((0..).map(InstanceId)) {
            let Some(tenure) = wish else { continue };
            for (number, _) in instance.addresses.iter().enumerate().filter(|(_, a)| a.interface == interface) {
                match self.holdings.index((id, number)) {
                    Some(held) if held == index => continue,
                    Some(_) => jobs.push(Job::Clear { id, number }),
                    None => {}
                }
                jobs.push(Job::Set { id, number, tenure });
            }
        }
        self.work_all(&jobs).await;
    }
}

/// Where an address of the configuration is on an interface of this number.
const fn place(address: &VirtualAddress, index: IfIndex) -> Place {
    (index, address.address, address.prefix)
}

/// What a job is about, if it is about an address.
fn addressed(setup: &Setup, job: Job) -> Option<(InterfaceId, IpAddr, u8)> {
    let (Job::Set { id, number, .. }
    | Job::Clear { id, number }
    | Job::Restore { id, number }
    | Job::Tidy { id, number, .. }) = job
    else {
        return None;
    };
    let VirtualAddress { interface, address, prefix, .. } = setup.instances[id.index()].addresses[number];
    Some((interface, address, prefix))
}

/// Addresses that are never a source.
fn virtuals(setup: &Setup) -> BTreeSet<IpAddr> {
    let instances = setup.instances.iter().zip(&setup.plan.instances);
    let foreign = instances.filter(|(_, plan)| !plan.priority.is_owner());
    foreign.flat_map(|(instance, _)| &instance.addresses).map(|address| address.address).collect()
}
