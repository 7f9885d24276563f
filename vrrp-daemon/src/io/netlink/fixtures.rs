//! Routes, rules and static addresses: which are ours, and whose. One that two instances share goes with the last of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL, NetlinkMessage};
use rtnetlink::packet_route::RouteNetlinkMessage as Message;
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use rtnetlink::packet_route::rule::{RuleAttribute, RuleMessage};
use vrrp_common::{Family, IfIndex};

use super::Report;
use super::addresses::new_address;
use super::links::own_end;
use super::routes::{self, new_route};
use super::rules::new_rule;
use crate::config::setup::{Paths, Prefix, Route, Rule, Setup, VirtualAddress};
use crate::engine::plan::{InstanceId, InterfaceId};
use crate::io::guard::trace::Trace;

/// Who has a thing: a virtual router while it is master, or the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    Daemon,
    Instance(InstanceId),
}

/// A thing by its number among those of its owner: static addresses, then routes, then rules.
pub type Fixture = (Owner, usize);

/// What a fixture is.
#[derive(Clone, Copy)]
pub enum Item<'a> {
    Address(&'a VirtualAddress),
    Route(&'a Route),
    Rule(&'a Rule),
}

impl Owner {
    fn parts(self, setup: &Setup) -> (&[VirtualAddress], &Paths) {
        match self {
            Self::Daemon => (&setup.statics.addresses, &setup.statics.paths),
            Self::Instance(id) => (&[], &setup.instances[id.index()].paths),
        }
    }

    /// In the order in which they are set.
    pub fn fixtures(self, setup: &Setup) -> impl DoubleEndedIterator<Item = Fixture> + use<> {
        let (addresses, Paths { routes, rules }) = self.parts(setup);
        (0..addresses.len() + routes.len() + rules.len()).map(move |number| (self, number))
    }

    /// Before its name in the log.
    pub fn prefix(self, setup: &Setup) -> String {
        match self {
            Self::Daemon => "static ".into(),
            Self::Instance(id) => format!("({}) ", setup.instances[id.index()].name),
        }
    }
}

/// What is to be reported of a fixture; nothing of those that are the daemon's.
pub const fn report((owner, number): Fixture, is_set: bool) -> Option<Report> {
    match owner {
        Owner::Daemon => None,
        Owner::Instance(id) => Some(Report::Path { id, number: number as u32, is_set }),
    }
}

impl<'a> Item<'a> {
    pub fn of(setup: &'a Setup, (owner, number): Fixture) -> Self {
        let (addresses, Paths { routes, rules }) = owner.parts(setup);
        let of_routes = number.wrapping_sub(addresses.len());
        match (addresses.get(number), routes.get(of_routes)) {
            (Some(address), _) => Self::Address(address),
            (None, Some(route)) => Self::Route(route),
            (None, None) => Self::Rule(&rules[of_routes - routes.len()]),
        }
    }

    /// Set again when others remove it.
    pub const fn is_kept(self) -> bool {
        match self {
            Self::Address(address) => address.kept,
            Self::Route(route) => route.kept,
            Self::Rule(rule) => rule.kept,
        }
    }

    /// The message that sets it, with its flags. `None` while an interface of it does not exist.
    pub fn message(self, setup: &Setup, index: impl Fn(InterfaceId) -> Option<IfIndex>) -> Option<(Message, u16)> {
        match self {
            Self::Address(address) => {
                let message = new_address(index(address.interface)?, address);
                Some((Message::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL))
            }
            Self::Route(route) => {
                Some((Message::NewRoute(new_route(route, index)?), NLM_F_CREATE | routes::flags(route)))
            }
            Self::Rule(rule) => {
                let name = |id: InterfaceId| setup.interfaces[id.index()].clone();
                Some((Message::NewRule(new_rule(rule, name)), NLM_F_CREATE | NLM_F_EXCL))
            }
        }
    }

    /// What no two jobs of one batch may be about.
    pub const fn subject(self) -> Subject {
        match self {
            Self::Address(VirtualAddress { interface, address, prefix, .. }) => {
                Subject::Address(*interface, *address, *prefix)
            }
            Self::Route(route) => Subject::Route(route.destination),
            Self::Rule(rule) => Subject::Rule(rule.preference),
        }
    }
}

impl fmt::Display for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(VirtualAddress { address, prefix, .. }) => write!(f, "address {address}/{prefix}"),
            Self::Route(route) => route.fmt(f),
            Self::Rule(rule) => rule.fmt(f),
        }
    }
}

/// What a job is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Address(InterfaceId, IpAddr, u8),
    Route(Prefix),
    Rule(u32),
}

/// The message that removes what another one sets.
pub fn undoing(message: Message) -> Message {
    match message {
        Message::NewAddress(message) => Message::DelAddress(message),
        Message::NewRoute(message) => Message::DelRoute(message),
        Message::NewRule(message) => Message::DelRule(message),
        other => other,
    }
}

/// What the guard needs to know of what a message sets.
pub fn trace(message: &Message) -> Trace {
    let mut removal = NetlinkMessage::from(undoing(message.clone()));
    removal.finalize();
    let mut octets = vec![0; removal.buffer_len()];
    removal.serialize(&mut octets);
    Trace::Path(octets)
}

/// What the kernel's word of a removal tells for sure. It leaves some of the rest out, and writes some otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    Address(IfIndex, IpAddr, u8),
    Route(Family, u32, Prefix),
    Rule(Family, u32),
}

impl Name {
    pub fn of(message: &Message) -> Option<Self> {
        match message {
            Message::NewAddress(message) | Message::DelAddress(message) => Self::of_address(message),
            Message::NewRoute(message) | Message::DelRoute(message) => Self::of_route(message),
            Message::NewRule(message) | Message::DelRule(message) => Self::of_rule(message),
            _ => None,
        }
    }

    fn of_address(message: &AddressMessage) -> Option<Self> {
        let address = own_end(message)?;
        Some(Self::Address(IfIndex(message.header.index), address, message.header.prefix_len))
    }

    fn of_route(message: &RouteMessage) -> Option<Self> {
        let family = family(message.header.address_family)?;
        let mut table = u32::from(message.header.table);
        let mut destination = Prefix::all(family);
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Table(number) => table = *number,
                RouteAttribute::Destination(RouteAddress::Inet(address)) => destination.address = (*address).into(),
                RouteAttribute::Destination(RouteAddress::Inet6(address)) => destination.address = (*address).into(),
                _ => {}
            }
        }
        destination.length = message.header.destination_prefix_length;
        Some(Self::Route(family, table, destination.network()))
    }

    fn of_rule(message: &RuleMessage) -> Option<Self> {
        let preference = message.attributes.iter().find_map(|attribute| match attribute {
            RuleAttribute::Priority(preference) => Some(*preference),
            _ => None,
        });
        Some(Self::Rule(family(message.header.family)?, preference.unwrap_or_default()))
    }
}

fn family(family: rtnetlink::packet_route::AddressFamily) -> Option<Family> {
    [Family::V4, Family::V6].into_iter().find(|&ours| routes::family(ours) == family)
}

/// What was set by this daemon and not removed since.
#[derive(Debug, Default)]
pub struct Fixtures {
    /// Owners that have any.
    pub owners: Vec<Owner>,
    held: BTreeMap<Fixture, (Name, Message)>,
    named: BTreeSet<(Name, Fixture)>,
}

impl Fixtures {
    pub fn new(setup: &Setup) -> Self {
        let instances = (0..setup.instances.len() as u32).map(|id| Owner::Instance(InstanceId(id)));
        let owners = std::iter::once(Owner::Daemon).chain(instances);
        let owners = owners.filter(|owner| owner.fixtures(setup).next().is_some()).collect();
        Self { owners, ..Self::default() }
    }

    /// The message by which it was set.
    pub fn held(&self, fixture: Fixture) -> Option<&Message> {
        self.held.get(&fixture).map(|(_, message)| message)
    }

    /// All that is held, with each of those who hold it.
    pub fn all(&self) -> impl Iterator<Item = (Owner, &Message)> {
        self.held.iter().map(|(&(owner, _), (_, message))| (owner, message))
    }

    /// Those of ours that a message may be about.
    pub fn named(&self, message: &Message) -> Vec<Fixture> {
        Name::of(message).map(|name| self.of_name(name).collect()).unwrap_or_default()
    }

    fn of_name(&self, name: Name) -> impl Iterator<Item = Fixture> {
        let all = (name, (Owner::Daemon, 0))..=(name, (Owner::Instance(InstanceId(u32::MAX)), usize::MAX));
        self.named.range(all).map(|&(_, fixture)| fixture)
    }

    /// Whether others than this one have what this message sets.
    pub fn is_shared(&self, fixture: Fixture, message: &Message) -> bool {
        let others = self.named(message);
        others.into_iter().any(|other| other != fixture && self.held(other) == Some(message))
    }

    pub fn take(&mut self, fixture: Fixture, message: Message) {
        let Some(name) = Name::of(&message) else { return };
        self.leave(fixture);
        self.held.insert(fixture, (name, message));
        self.named.insert((name, fixture));
    }

    pub fn leave(&mut self, fixture: Fixture) {
        if let Some((name, _)) = self.held.remove(&fixture) {
            self.named.remove(&(name, fixture));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::setup::Action;

    fn rule(preference: u32, tos: u8) -> Message {
        let mut message = RuleMessage::default();
        message.header.family = rtnetlink::packet_route::AddressFamily::Inet;
        message.header.tos = tos;
        message.attributes.push(RuleAttribute::Priority(preference));
        Message::NewRule(message)
    }

    #[test]
    fn a_shared_rule_goes_with_its_last_owner() {
        let (a, b) = ((Owner::Instance(InstanceId(0)), 0), (Owner::Instance(InstanceId(1)), 0));
        let mut fixtures = Fixtures::default();
        fixtures.take(a, rule(5, 0));
        assert!(!fixtures.is_shared(a, &rule(5, 0)));
        fixtures.take(b, rule(5, 0));
        assert!(fixtures.is_shared(a, &rule(5, 0)) && fixtures.is_shared(b, &rule(5, 0)));
        assert_eq!(fixtures.named(&undoing(rule(5, 0))), [a, b]);
        fixtures.leave(a);
        assert!(!fixtures.is_shared(b, &rule(5, 0)) && fixtures.held(a).is_none());
        // Of the same name is not the same.
        fixtures.take(a, rule(5, 8));
        assert!(!fixtures.is_shared(b, &rule(5, 0)));
        assert!(fixtures.named(&rule(6, 0)).is_empty());
    }

    #[test]
    fn fixtures_are_numbered_through() {
        let mut setup = Setup::default();
        let address = VirtualAddress::new(IpAddr::from([10, 0, 0, 1]), 24, InterfaceId(0));
        setup.statics.addresses.push(address);
        setup.statics.paths.rules.push(Rule::new(7, Action::Nop));
        let shown: Vec<_> =
            Owner::Daemon.fixtures(&setup).map(|fixture| Item::of(&setup, fixture).to_string()).collect();
        assert_eq!(shown, ["address 10.0.0.1/24", "rule 7"]);
        assert_eq!(Fixtures::new(&setup).owners, [Owner::Daemon]);
    }
}
