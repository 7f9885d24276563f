//! Doing what the engine says: adverts and announcements leave here, addresses are asked for, events are told.
//!
//! Nothing here waits. What becomes of an address returns to the engine as an input.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::sync::mpsc;
use vrrp_common::wire::arp::gratuitous;
use vrrp_common::wire::ndisc::unsolicited;
use vrrp_common::{Claim, Family, Instant};

use super::announce::Announcements;
use super::clock;
use super::lateness::Lateness;
use super::netlink::Command;

use super::next::Move;
use super::ports::Ports;
use super::routed::Routed;
use super::socket::{self, Content, Refused, device, send_many};
use super::telling::{Fifos, Told};
use super::tx::{Advert, Packets, Parts};
use crate::config::setup::Setup;
use crate::engine::matching::Matching;
use crate::engine::plan::{InstanceId, InstancePlan};
use crate::engine::{Action, Due, Tenure};

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
    due: Vec<(InstanceId, Due)>,
    /// By instance: whether it is among them.
    is_due: Vec<bool>,
    announcements: Announcements,
    /// Sockets: of packets by a link, of frames, and of packets that are routed.
    packets: OwnedFd,
    frames: OwnedFd,
    routed: Routed,
    commands: mpsc::UnboundedSender<Command>,
    tell: T,
    pub lateness: Lateness,
    /// Sends that the kernel refused since the start.
    pub refused: u64,
}

impl<T: FnMut(Told)> Hands<T> {
    /// `tell` hears of every event.
    pub fn new(setup: Arc<Setup>, commands: mpsc::UnboundedSender<Command>, tell: T) -> io::Result<Self> {
        let instances = setup.instances.len();
        Ok(Self {
            adverts: vec![Advert::unsent(); instances],
            holds: vec![Hold::default(); instances],
            unsettled: 0,
            due: Vec::new(),
            is_due: vec![false; instances],
            announcements: announcements(&setup),
            packets: socket::packet(Content::Packets)?,
            frames: socket::packet(Content::Frames)?,
            routed: Routed::new(&setup)?,
            commands,
            tell,
            lateness: Lateness::new(instances),
            refused: 0,
            setup,
        })
    }

    /// Goes on by another configuration, between two turns.
    pub fn reload(&mut self, setup: Arc<Setup>, fifos: Fifos, matching: &Matching) -> io::Result<()> {
        let moves = &matching.instances;
        let instances = setup.instances.len();
        self.adverts = moves.carry(std::mem::take(&mut self.adverts), |_| Advert::unsent());
        self.holds = moves.carry(std::mem::take(&mut self.holds), |_| Hold::default());
        self.unsettled = self.holds.iter().filter(|hold| hold.is_unsettled()).count();
        self.is_due = vec![false; instances];
        self.lateness.carry(moves);
        let before = std::mem::replace(&mut self.announcements, announcements(&setup));
        let moved = |id: InstanceId, number| matching.common[id.index()].address(number);
        let count = |id: InstanceId| setup.plan.instances[id.index()].addresses;
        self.announcements.take_over(before, moves, moved, count);
        self.routed.reload(&setup)?;
        (self.tell)(Told::Reloaded(Arc::clone(&setup), fifos));
        self.setup = setup;
        Ok(())
    }

    /// Has the network's thread go on by another configuration: what was asked of it before is by the old ids, what comes
    /// later by the new ones.
    pub fn move_network(&self, next: Arc<Move>) -> anyhow::Result<()> {
        self.commands.send(Command::Reload(next)).map_err(|_| anyhow::anyhow!("the netlink thread is gone"))
    }

    /// Does all of `actions`; the adverts first, since others wait for them, and what is told last, since nobody does.
    pub fn perform(&mut self, actions: &mut Vec<Action>, ports: &mut Ports) -> anyhow::Result<()> {
        for action in &*actions {
            if let Action::Advertise { id, claim, due } = *action {
                self.advertise(id, claim, due, ports);
            }
        }
        self.send_adverts();
        for action in &*actions {
            match *action {
                Action::Advertise { .. } | Action::Tell { .. } | Action::TellGroup { .. } => {}
                Action::Install { id, tenure } => self.wish(id, Some(tenure))?,
                Action::Release { id } => {
                    self.announcements.forget(id);
                    self.wish(id, None)?;
                }
                Action::Announce { id, addresses, rounds } => {
                    let count = self.setup.plan.instances[id.index()].addresses;
                    self.announcements.add(id, addresses, count, rounds);
                    if tracing::enabled!(tracing::Level::DEBUG) {
                        (self.tell)(Told::Announces(id, addresses));
                    }
                }
                // The driver has seen to it: it knows the advert.
                Action::Absorb { .. } => {}
            }
        }
        for action in actions.drain(..) {
            match action {
                Action::Tell { id, event, effective } => (self.tell)(Told::Instance(id, event, effective)),
                Action::TellGroup { id, event } => (self.tell)(Told::Group(id, event)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Puts an advert among those that leave together. Most say what they said before: of those nothing else is looked at.
    fn advertise(&mut self, id: InstanceId, claim: Claim, due: Due, ports: &mut Ports) {
        // Two in one turn, a last one and a priority 0 say: the second must not overwrite the first.
        if self.is_due[id.index()] {
            self.send_adverts();
        }
        if !self.adverts[id.index()].stands(claim, ports.changes) && !self.build(id, claim, ports) {
            return;
        }
        if let Some(association) = ports.association(id) {
            self.adverts[id.index()].sign(association, clock::wall(clock::now()));
        }
        self.is_due[id.index()] = true;
        self.due.push((id, due));
    }

    /// Builds the advert of an instance; `false` when there is nothing to send it from, or by.
    fn build(&mut self, id: InstanceId, claim: Claim, ports: &Ports) -> bool {
        let advert = &mut self.adverts[id.index()];
        let plan = &self.setup.plan.instances[id.index()];
        // Who lost its address still says that it leaves, from the one its hearers know: they need not wait then.
        let known = advert.source().filter(|_| claim == Claim::Leaving);
        let bound_to = self.setup.bound_to(id);
        let index = ports.index(bound_to.unwrap_or(plan.interface));
        let (Some(source), Some(index)) = (ports.source(id).or(known), index) else { return false };
        let instance = &self.setup.instances[id.index()];
        let checksum_form = ports.checksum_form(id);
        let parts = Parts { plan, instance, source, index, checksum_form };
        advert.build(claim, ports.changes, &parts);
        if let Some(device) = bound_to
            && let Err(error) = self.routed.open(&self.setup, device, index, plan.family)
        {
            tracing::error!("cannot open a socket bound to {}: {error}", self.setup.interfaces[device.index()]);
        }
        true
    }

    fn send_adverts(&mut self) {
        let (mut by_link, mut framed, mut routed): (Vec<_>, Vec<_>, BTreeMap<_, Vec<_>>) = Default::default();
        let packets = self.due.iter().flat_map(|&(id, _)| self.adverts[id.index()].packets().map(move |one| (id, one)));
        for (id, packets) in packets {
            match packets {
                Packets::ToGroup(packet, to) => by_link.push((&packet[..], to)),
                Packets::Framed(frame, by) => framed.push((&frame[..], by)),
                Packets::ToPeers(packets) => {
                    let by = (self.setup.bound_to(id), self.setup.plan.instances[id.index()].family);
                    let packets = packets.iter().map(|(packet, to)| (&packet[..], to));
                    routed.entry(by).or_default().extend(packets);
                }
            }
        }
        let mut refused = vec![send_many(&self.packets, &by_link), send_many(&self.frames, &framed)];
        for (by, packets) in &routed {
            refused.extend(self.routed.socket(*by).map(|socket| send_many(socket, packets)));
        }
        let (now, all_left) = (clock::now(), refused.iter().all(|refused| refused.packets == 0));
        for Refused { packets, error } in refused {
            self.refused += packets;
            if let Some(error) = error {
                tracing::debug!(refused = packets, %error, "adverts not sent");
            }
        }
        for (id, due) in self.due.drain(..) {
            self.is_due[id.index()] = false;
            if all_left {
                self.lateness.sent(id, due, now);
            }
        }
    }

    /// Tells of what the engine did not say.
    pub fn tell(&mut self, told: Told) {
        (self.tell)(told);
    }

    /// Has the guard hold a program on its device for as long as there may be addresses to remove.
    pub fn keep(&self, program_link: u32) {
        self.mention(Command::Keep { program_link });
    }

    /// Has the guard let go of a program that is off its device.
    pub fn let_go(&self, program_link: u32) {
        self.mention(Command::LetGo { program_link });
    }

    /// A command that nobody waits for; without the thread there is nothing to hold or let go of.
    fn mention(&self, command: Command) {
        let _ = self.commands.send(command);
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
        self.commands.send(command).map_err(|_| anyhow::anyhow!("the netlink thread is gone"))
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
        let mut frames = Vec::new();
        self.announcements.take(clock::now(), |id, number| {
            let address = &self.setup.instances[id.index()].addresses[number as usize];
            if let Some(link) = ports.link(address.interface) {
                frames.push((announcement(address.address, link.mac), device(link.index)));
            }
        });
        let packets: Vec<_> = frames.iter().map(|(frame, by)| (&frame[..], *by)).collect();
        let Refused { packets: refused, error } = send_many(&self.frames, &packets);
        self.refused += refused;
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

/// The frame that tells a link where an address is now: a gratuitous ARP, or an unsolicited neighbour advertisement.
pub fn announcement(address: IpAddr, mac: [u8; 6]) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => gratuitous(mac, address.octets()).to_vec(),
        IpAddr::V6(address) => unsolicited(mac, address.octets()).to_vec(),
    }
}

impl Hold {
    fn is_unsettled(self) -> bool {
        self.busy || self.wish != self.asked
    }
}
