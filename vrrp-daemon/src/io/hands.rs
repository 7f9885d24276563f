//! Doing what the engine says: adverts and announcements leave here, addresses are asked for, events are told.
//!
//! Nothing here waits. What becomes of an address returns to the engine as an input.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::sync::mpsc;
use vrrp_common::wire::arp::{GARP_LENGTH, gratuitous};
use vrrp_common::wire::ip::VRRP_GROUP4;
use vrrp_common::{Claim, Family, IfIndex, Instant};

use super::announce::Announcements;
use super::clock;
use super::netlink::Command;
use super::notify::Told;
use super::ports::Ports;
use super::socket::{self, ipv4_address, link_address, send_many};
use super::tx::{Advert, Parts};
use crate::config::setup::Setup;
use crate::engine::plan::{InstanceId, InstancePlan, InterfaceId};
use crate::engine::{Action, Tenure};

/// What the addresses of one instance should be, and what was last asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Hold {
    wish: Option<Tenure>,
    asked: Option<Tenure>,
    /// A command is under way; the next waits for it.
    busy: bool,
}

pub struct Hands<T> {
    setup: Arc<Setup>,
    /// By instance.
    adverts: Vec<Advert>,
    holds: Vec<Hold>,
    /// Instances whose wish is not fulfilled yet.
    unsettled: usize,
    /// Adverts to send, in this turn.
    due: Vec<(InterfaceId, InstanceId)>,
    /// By instance: whether it is among them.
    is_due: Vec<bool>,
    announcements: Announcements,
    packet: OwnedFd,
    commands: mpsc::Sender<Command>,
    tell: T,
    /// Sends that the kernel refused since the start.
    pub refused: u64,
}

impl<T: FnMut(Told)> Hands<T> {
    /// `tell` hears of every event.
    pub fn new(setup: Arc<Setup>, commands: mpsc::Sender<Command>, tell: T) -> io::Result<Self> {
        let instances = setup.instances.len();
        Ok(Self {
            adverts: vec![Advert::default(); instances],
            holds: vec![Hold::default(); instances],
            unsettled: 0,
            due: Vec::new(),
            is_due: vec![false; instances],
            announcements: announcements(&setup),
            packet: socket::packet()?,
            commands,
            tell,
            refused: 0,
            setup,
        })
    }

    /// Does all of `actions`; the adverts first, since others wait for them.
    pub fn perform(&mut self, actions: &mut Vec<Action>, ports: &Ports) -> anyhow::Result<()> {
        for action in &*actions {
            if let Action::Advertise { id, claim } = *action {
                self.advertise(id, claim, ports);
            }
        }
        self.send_adverts(ports);
        for action in actions.drain(..) {
            match action {
                Action::Advertise { .. } => {}
                Action::Install { id, tenure } => self.wish(id, Some(tenure))?,
                Action::Release { id } => {
                    self.announcements.forget(id);
                    self.wish(id, None)?;
                }
                Action::Announce { id, addresses, rounds } => {
                    let count = self.setup.plan.instances[id.index()].addresses;
                    self.announcements.add(id, addresses, count, rounds);
                }
                // The driver has seen to it: it knows the advert.
                Action::Absorb { .. } => {}
                Action::Tell { id, event, effective } => (self.tell)(Told::Instance(id, event, effective)),
                Action::TellGroup { id, event } => (self.tell)(Told::Group(id, event)),
            }
        }
        Ok(())
    }

    /// Puts an advert among those that leave together.
    fn advertise(&mut self, id: InstanceId, claim: Claim, ports: &Ports) {
        // Who lost its address still says that it leaves, from the one its hearers know: they need not wait then.
        let known = || self.adverts[id.index()].source().filter(|_| claim == Claim::Leaving);
        let Some(source) = ports.source4(id).or_else(known) else { return };
        // Two in one turn, a last one and a priority 0 say: the second must not overwrite the first.
        if self.is_due[id.index()] {
            self.send_adverts(ports);
        }
        let plan = &self.setup.plan.instances[id.index()];
        let instance = &self.setup.instances[id.index()];
        let addresses = &ports.advertised[id.index()];
        let parts = Parts { plan, addresses, auth_pass: instance.auth_pass, checksum_form: instance.checksum_form };
        self.adverts[id.index()].prepare(claim, source, parts);
        self.is_due[id.index()] = true;
        self.due.push((plan.interface, id));
    }

    fn send_adverts(&mut self, ports: &Ports) {
        self.due.sort_by_key(|&(interface, _)| interface);
        for group in self.due.chunk_by(|a, b| a.0 == b.0) {
            let Some(socket) = ports.sockets.get(group[0].0) else { continue };
            let to = ipv4_address(VRRP_GROUP4);
            let packets: Vec<_> = group.iter().map(|(_, id)| (self.adverts[id.index()].packet(), to)).collect();
            let (refused, error) = send_many(socket, &packets);
            self.refused += refused as u64;
            if let Some(error) = error {
                tracing::debug!(refused, %error, interface = %self.setup.interfaces[group[0].0.index()], "adverts not sent");
            }
        }
        for (_, id) in self.due.drain(..) {
            self.is_due[id.index()] = false;
        }
    }

    /// Has the guard hold a program on its device for as long as there may be addresses to remove.
    pub fn keep(&self, program_link: u32) {
        // No room: the program leaves a little sooner when we are killed.
        self.mention(Command::Keep { program_link });
    }

    /// Has the guard let go of a program that is off its device.
    pub fn let_go(&self, program_link: u32) {
        // No room: it holds a program that runs nowhere.
        self.mention(Command::LetGo { program_link });
    }

    /// A command that nobody waits for; it leaves the instances their room.
    fn mention(&self, command: Command) {
        if self.commands.capacity() > self.holds.len() {
            let _ = self.commands.try_send(command);
        }
    }

    fn wish(&mut self, id: InstanceId, wish: Option<Tenure>) -> anyhow::Result<()> {
        let hold = &mut self.holds[id.index()];
        let before = hold.is_unsettled();
        hold.wish = wish;
        self.unsettled = self.unsettled + usize::from(hold.is_unsettled()) - usize::from(before);
        self.ask(id)
    }

    /// The command for an instance is done.
    pub fn settled(&mut self, id: InstanceId) -> anyhow::Result<()> {
        let hold = &mut self.holds[id.index()];
        hold.busy = false;
        self.unsettled -= usize::from(!hold.is_unsettled());
        self.ask(id)
    }

    fn ask(&mut self, id: InstanceId) -> anyhow::Result<()> {
        let hold = &mut self.holds[id.index()];
        if hold.busy || hold.wish == hold.asked {
            return Ok(());
        }
        hold.asked = hold.wish;
        hold.busy = true;
        let command = match hold.wish {
            Some(tenure) => Command::Install { id, tenure },
            None => Command::Release { id },
        };
        // There is room for one command of each instance.
        self.commands.try_send(command).map_err(|_| anyhow::anyhow!("the netlink thread is gone"))
    }

    /// Whether all addresses are as they should be.
    pub const fn is_settled(&self) -> bool {
        self.unsettled == 0
    }

    /// When there is something to announce; an instant that has passed is now.
    pub fn announces_at(&self) -> Option<Instant> {
        self.announcements.due()
    }

    /// Sends the next batch of announcements.
    pub fn announce(&mut self, ports: &Ports) {
        let mut frames: Vec<([u8; GARP_LENGTH], IfIndex)> = Vec::new();
        self.announcements.take(clock::now(), |id, number| {
            let address = &self.setup.instances[id.index()].addresses[number as usize];
            if let std::net::IpAddr::V4(ip) = address.address
                && let Some(link) = ports.link(address.interface)
            {
                frames.push((gratuitous(link.mac, ip.octets()), link.index));
            }
        });
        let packets: Vec<_> = frames.iter().map(|(frame, index)| (&frame[..], link_address(*index))).collect();
        let (refused, error) = send_many(&self.packet, &packets);
        self.refused += refused as u64;
        if let Some(error) = error {
            tracing::debug!(refused, %error, "announcements not sent");
        }
    }
}

/// Two queues for each pace, one of each family; an instance is of those of its interface.
fn announcements(setup: &Setup) -> Announcements {
    let pauses: Vec<_> = setup.paces.iter().flat_map(|pace| [pace.garp, pace.gna]).collect();
    let queue = |plan: &InstancePlan| 2 * setup.pace_of[plan.interface.index()] + u32::from(plan.family == Family::V6);
    Announcements::new(&pauses, setup.plan.instances.iter().map(queue))
}

impl Hold {
    fn is_unsettled(self) -> bool {
        self.busy || self.wish != self.asked
    }
}
