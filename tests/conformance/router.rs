//! The router that a case is tried on: engine, rules and packets of one configuration, without a kernel.
//!
//! What arrives goes the whole way: frame, `classify` by the rules of the configuration, and what it says to the engine.
//! What leaves is the packet that the daemon would send.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use vrrp_common::abi::{DEVICE_PASS_UNKNOWN, Device};
use vrrp_common::classify::{Ingress, classify};
use vrrp_common::drop::{Disposition, Reason};
use vrrp_common::wire::advert::MESSAGE_MAX;
use vrrp_common::{Claim, Family, IfIndex, Instant};
use vrrp_daemon::auth::Association;
use vrrp_daemon::config::setup::Setup;
use vrrp_daemon::engine::event::Level;
use vrrp_daemon::engine::plan::{InstanceId, InterfaceId, TrackerId};
use vrrp_daemon::engine::snapshot::Snapshot;
use vrrp_daemon::engine::{Action, Announced, Engine, Input, Tenure, Why};
use vrrp_daemon::io::delivered;
use vrrp_daemon::io::filter::{self, RuleTable};
use vrrp_daemon::io::forms::Forms;
use vrrp_daemon::io::hands::announcement;
use vrrp_daemon::io::tx::{Advert, Packets, Parts};

use vrrp_tests::quiet::Quiet;

use crate::case::{Field, Happening, Nanos};
use crate::frame::{self, MAC, Sent};
use crate::words::hex;

/// What the router does of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    Advert(Sent),
    Install,
    Release,
    Announce { address: Option<IpAddr>, rounds: u32, frame: Option<Vec<u8>> },
    Absorb(bool),
    Refused(Disposition, Reason),
}

/// A deed of one virtual router; of a refused frame, of none.
pub type Done = (Option<InstanceId>, Deed);

/// A log line.
pub type Told = (InstanceId, Level, String);

pub struct Router<'a> {
    pub setup: &'a Setup,
    engine: Engine,
    /// The same in quiet mode; it must act alike.
    quiet: Quiet,
    /// By instance: what it sends from, its time as master, and its advert.
    sources: Vec<Option<IpAddr>>,
    tenures: Vec<Tenure>,
    adverts: Vec<Advert>,
    forms: Forms,
    /// What those sign and verify with that do. Here it is 1970: the wall clock began with the case.
    associations: BTreeMap<InstanceId, Association>,
    pub done: Vec<Done>,
    pub told: Vec<Told>,
    /// When what happens at present happened.
    now: Nanos,
}

impl<'a> Router<'a> {
    pub fn new(setup: &'a Setup) -> Self {
        let instances = setup.instances.len();
        Self {
            setup,
            engine: Engine::new(&setup.plan, Instant::default()),
            quiet: Quiet::new(&setup.plan, Instant::default()),
            sources: vec![None; instances],
            tenures: vec![Tenure::default(); instances],
            adverts: vec![Advert::unsent(); instances],
            forms: Forms::new(setup.instances.len()),
            associations: delivered::associations(setup),
            now: Nanos(0),
            done: Vec::new(),
            told: Vec::new(),
        }
    }

    pub fn snapshot(&self, id: InstanceId) -> Snapshot {
        self.engine.snapshot(id)
    }

    pub fn deadline(&self) -> Option<(Nanos, &'static str)> {
        self.engine.deadline().map(|(due, why)| {
            let why = match why {
                Why::AdvertDue => "advert-due",
                Why::MasterDown => "master-down",
                Why::AnnounceDue => "announce-due",
                Why::LinkLasts => "link-lasts",
                Why::Held => "held",
            };
            (Nanos(due.as_nanos()), why)
        })
    }

    /// Lets something happen; what comes of it is in `done` and `told` afterwards.
    pub fn meet(&mut self, at: Nanos, happening: &Happening) -> Result<(), String> {
        self.done.clear();
        self.told.clear();
        self.now = at;
        match happening {
            Happening::Interface { name, up, addresses } => self.interface(at, name, *up, addresses),
            Happening::Hear { source, on, fields } => {
                let (id, octets) = self.heard(*source, fields)?;
                let own = self.setup.plan.instances[id.index()].interface;
                let interface = on.as_deref().map_or(Ok(own), |name| self.named(name))?;
                self.frame(at, interface, &octets)
            }
            Happening::Frame { on, octets } => {
                let interface = on.as_deref().map_or(Ok(InterfaceId(0)), |name| self.named(name))?;
                self.frame(at, interface, octets)
            }
            Happening::Deadline => self.handle(at, Input::Deadline),
            Happening::Check { name, passed } => {
                let position = self.setup.trackers.iter().position(|tracker| tracker.name == *name);
                let id = TrackerId(position.ok_or_else(|| format!("no check `{name}` is configured"))? as u32);
                self.handle(at, Input::Check { id, passed: *passed })
            }
            Happening::Address { address, installed } => {
                let (id, number) = self.address(*address)?;
                let tenure = self.tenures[id.index()];
                self.handle(at, Input::Address { id, tenure, address: number, installed: *installed })
            }
            Happening::Shutdown => self.handle(at, Input::Shutdown),
        }
    }

    fn ids(&self) -> impl Iterator<Item = InstanceId> + use<> {
        (0..self.setup.instances.len() as u32).map(InstanceId)
    }

    fn named(&self, name: &str) -> Result<InterfaceId, String> {
        let position = self.setup.interfaces.iter().position(|interface| interface == name);
        position.map(|index| InterfaceId(index as u32)).ok_or_else(|| format!("no interface `{name}` is configured"))
    }

    /// Sources first, then the interface itself, as the driver has it.
    fn interface(&mut self, at: Nanos, name: &str, up: bool, addresses: &[IpAddr]) -> Result<(), String> {
        let interface = self.named(name)?;
        for id in self.ids() {
            if self.setup.plan.instances[id.index()].interface == interface {
                let own =
                    addresses.iter().copied().find(|address| match self.setup.plan.instances[id.index()].family {
                        Family::V4 => address.is_ipv4(),
                        Family::V6 => matches!(address, IpAddr::V6(address) if address.is_unicast_link_local()),
                    });
                let source = self.setup.instances[id.index()].source.or(own);
                self.sources[id.index()] = source;
                self.handle(at, Input::Source { id, address: source })?;
            }
        }
        self.handle(at, Input::Interface { id: interface, up })
    }

    /// The virtual router that has an address, and the address's number.
    fn address(&self, wanted: IpAddr) -> Result<(InstanceId, u32), String> {
        let has = |id: InstanceId| {
            let addresses = &self.setup.instances[id.index()].addresses;
            Some((id, addresses.iter().position(|address| address.address == wanted)? as u32))
        };
        self.ids().find_map(has).ok_or_else(|| format!("no virtual router has {wanted}"))
    }

    /// The frame that a peer sends, right but for these fields, and the virtual router it is right for: that of its VRID,
    /// or the first.
    fn heard(&self, source: IpAddr, fields: &[Field]) -> Result<(InstanceId, Vec<u8>), String> {
        let vrid = fields.iter().find(|field| field.name == "vrid").map(|field| field.value.clone());
        let family = if source.is_ipv4() { Family::V4 } else { Family::V6 };
        let plan = |id: &InstanceId| &self.setup.plan.instances[id.index()];
        let mut same_family = self.ids().filter(|id| plan(id).family == family);
        let is_meant = |id: &InstanceId| vrid.as_ref().is_none_or(|vrid| *vrid == plan(id).vrid.to_string());
        let id = same_family.find(is_meant).or(self.ids().find(|id| plan(id).family == family)).or(self.ids().next());
        let id = id.ok_or("no virtual router could hear it")?;
        let (plan, router) = (plan(&id), &self.setup.instances[id.index()]);
        let mut spec = frame::of_a_peer(plan, router, source, self.sources[id.index()]);
        fields.iter().try_for_each(|field| frame::set(&mut spec, field))?;
        Ok((id, frame::built(&spec, fields)?))
    }

    /// A frame comes in by an interface.
    fn frame(&mut self, at: Nanos, interface: InterfaceId, octets: &[u8]) -> Result<(), String> {
        let setup = self.setup;
        let mut rules = RuleTable::new(filter::peers(setup));
        rules.extend(self.ids().filter_map(|id| {
            let source = self.sources[id.index()];
            let key = filter::key(setup, id, source, index(setup.plan.instances[id.index()].interface))?;
            Some((key, filter::rule(setup, id, 0, source)))
        }));
        let flags = if setup.daemon.xdp.pass_unknown { DEVICE_PASS_UNKNOWN } else { 0 };
        let ingress = Ingress { ifindex: index(interface).0, device: Device { row: 0, flags } };
        let mut message = [0; MESSAGE_MAX];
        let found = classify(octets, ingress, &rules, &mut message);
        if found.disposition != Disposition::Deliver {
            self.done.push((None, Deed::Refused(found.disposition, found.reason)));
            return Ok(());
        }
        let message = &message[..found.length];
        let association = self.associations.get_mut(&InstanceId(found.slot));
        let verdict = association.map(|it| it.verify(found.source, message, Duration::from_nanos(at.0)));
        if let Some(Err(reason)) = verdict {
            self.done.push((None, Deed::Refused(Disposition::Drop, reason)));
            return Ok(());
        }
        self.forms.hear(InstanceId(found.slot), found.family, found.header, found.checksum_form);
        let input = delivered::input(setup, InstanceId(found.slot), found.source, message);
        input.map_or(Ok(()), |input| self.handle(at, input))
    }

    fn handle(&mut self, at: Nanos, input: Input) -> Result<(), String> {
        let (now, mut actions) = (Instant::from_nanos(at.0), Vec::new());
        self.engine.handle(now, input, &mut actions);
        let quietly = self.quiet.handle(now, input);
        let loudly = actions.iter().filter(|action| !matches!(action, Action::Absorb { .. }));
        if !loudly.eq(&quietly) {
            return Err(format!("in quiet mode it does something else: {quietly:?}"));
        }
        actions.into_iter().for_each(|action| self.perform(action));
        Ok(())
    }

    fn perform(&mut self, action: Action) {
        let (id, deed) = match action {
            Action::Advertise { id, claim, .. } => return self.advertise(id, claim),
            Action::Install { id, tenure } => {
                self.tenures[id.index()] = tenure;
                (id, Deed::Install)
            }
            Action::Release { id } => (id, Deed::Release),
            Action::Announce { id, addresses, rounds } => {
                let address = match addresses {
                    Announced::One(number) => Some(self.setup.instances[id.index()].addresses[number as usize].address),
                    Announced::All => None,
                };
                let frame = address.map(|address| announcement(address, MAC));
                (id, Deed::Announce { address, rounds, frame })
            }
            Action::Absorb { id, on } => (id, Deed::Absorb(on)),
            // Groups are keepalived's own: no rule of the RFCs is about them.
            Action::TellGroup { .. } => return,
            Action::Tell { id, event, .. } => return self.told.push((id, event.level(), event.to_string())),
        };
        self.done.push((Some(id), deed));
    }

    /// Builds what leaves, as the daemon does it.
    fn advertise(&mut self, id: InstanceId, claim: Claim) {
        let (plan, router) = (&self.setup.plan.instances[id.index()], &self.setup.instances[id.index()]);
        let advert = &mut self.adverts[id.index()];
        // Who lost its address leaves from the one that its hearers know.
        let known = advert.source().filter(|_| claim == Claim::Leaving);
        let Some(source) = self.sources[id.index()].or(known) else { return };
        let checksum_form = self.forms.ours(id, router);
        let parts = Parts { plan, instance: router, source, index: index(plan.interface), checksum_form };
        advert.build(claim, 0, &parts);
        if let Some(association) = self.associations.get_mut(&id) {
            advert.sign(association, Duration::from_nanos(self.now.0));
        }
        let mut send = |packet: &[u8], mac| {
            self.done.push((Some(id), Deed::Advert(Sent { packet: packet.to_vec(), mac })));
        };
        advert.packets().for_each(|packets| match packets {
            Packets::ToGroup(packet, to) => send(packet, to.sll_addr.first_chunk().copied()),
            Packets::Framed(frame, _) => send(&frame[14..], frame.first_chunk().copied()),
            Packets::ToPeers(packets) => packets.iter().for_each(|(packet, _)| send(packet, None)),
        });
    }
}

/// The kernel's index of an interface.
const fn index(id: InterfaceId) -> IfIndex {
    IfIndex(id.0 + 1)
}

impl fmt::Display for Deed {
    /// As a case would expect it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Advert(sent) => write!(f, "advert priority {} message {}", sent.message()[2], hex(sent.message())),
            Self::Install => f.write_str("install"),
            Self::Release => f.write_str("release"),
            Self::Announce { address: Some(address), rounds, .. } => write!(f, "announce {address} x{rounds}"),
            Self::Announce { address: None, rounds, .. } => write!(f, "announce all x{rounds}"),
            Self::Absorb(on) => write!(f, "absorb {}", if *on { "on" } else { "off" }),
            Self::Refused(Disposition::Pass, reason) => write!(f, "pass {}", reason.label()),
            Self::Refused(_, reason) => write!(f, "drop {}", reason.label()),
        }
    }
}
