//! What the kernel has of interfaces and their addresses, and what each configured interface comes to.
//!
//! A plain table fed with messages; it asks the kernel for nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use rtnetlink::packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use vrrp_common::IfIndex;

use super::upper::Kind;

/// A configured interface as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub index: IfIndex,
    pub mac: [u8; 6],
    /// Administratively up, and with carrier.
    pub up: bool,
    /// Administratively up.
    pub raised: bool,
    /// What kind of device it is, if it may be one that the daemon makes.
    pub kind: Option<Kind>,
    /// Link group.
    pub group: u32,
    /// It is a port of a bridge or bond, or other interfaces stand on it: frames that are not for us may be for them.
    pub carries_others: bool,
    /// A VLAN stands on it: what it receives without a tag may be that one's, its tag kept beside the frame.
    pub carries_vlans: bool,
    /// The interface that this one stands on (a VLAN's or macvlan's parent).
    pub lower: Option<IfIndex>,
    /// The first address that is not virtual.
    pub primary4: Option<Ipv4Addr>,
    /// The first link-local address that is not virtual and that nobody else on the link has.
    pub link_local6: Option<Ipv6Addr>,
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    mac: [u8; 6],
    up: bool,
    raised: bool,
    kind: Option<Kind>,
    vlan: bool,
    group: u32,
    /// Port of a bridge or bond.
    enslaved: bool,
    /// The interface that this one stands on, or a veth's other end.
    lower: Option<u32>,
}

/// An address as the kernel has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub address: IpAddr,
    pub prefix: u8,
    secondary: bool,
    unproven: Option<Unproven>,
}

/// Why an IPv6 address is not to be sent from (RFC 4862 section 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// Duplicate address detection is under way.
    Tentative,
    /// Another host on the link has it.
    Duplicate,
}

/// The addresses of one interface.
#[derive(Clone, Debug, Default)]
struct Addresses {
    /// Those that may be a source, in the kernel's order: a few.
    own: Vec<Held>,
    /// The others, with their prefix lengths: a thousand perhaps, each of which is looked for again and again.
    virtuals: BTreeSet<(IpAddr, u8)>,
}

/// All interfaces of the network namespace, by ifindex.
#[derive(Clone, Debug, Default)]
pub struct Links {
    entries: BTreeMap<u32, Entry>,
    by_name: BTreeMap<String, u32>,
    /// How many interfaces name one as the one they stand on, or as their other end.
    carried: BTreeMap<u32, u32>,
    /// How many VLANs stand on one.
    vlans: BTreeMap<u32, u32>,
    addresses: BTreeMap<u32, Addresses>,
    /// Addresses that are never a source: the virtual ones of instances that do not own them.
    virtuals: BTreeSet<IpAddr>,
    /// Interfaces that the daemon makes: they carry nobody else's frames.
    own: BTreeSet<String>,
}

impl Links {
    pub fn new(virtuals: BTreeSet<IpAddr>, own: BTreeSet<String>) -> Self {
        Self { virtuals, own, ..Self::default() }
    }

    /// The interface of this name, if there is one.
    pub fn link(&self, name: &str) -> Option<Link> {
        let &index = self.by_name.get(name)?;
        let Entry { name: _, mac, up, raised, kind, vlan: _, group, enslaved, lower } = *self.entries.get(&index)?;
        // Two ends of a veth in one namespace name each other; neither stands on the other.
        let is_pair = lower.is_some_and(|lower| self.names(lower) == Some(index));
        let named = self.carried.get(&index).copied().unwrap_or_default();
        let carries_others = enslaved || named > u32::from(is_pair);
        let carries_vlans = self.vlans.contains_key(&index);
        let lower = lower.filter(|_| !is_pair).map(IfIndex);
        let (primary4, link_local6) = (self.primary4(index), self.link_local6(index));
        let index = IfIndex(index);
        Some(Link { index, mac, up, raised, kind, group, carries_others, carries_vlans, lower, primary4, link_local6 })
    }

    /// The name of the interface of this number, and the number of the one it stands on or is the other end of.
    pub fn place(&self, index: u32) -> (Option<&str>, Option<u32>) {
        (self.entries.get(&index).map(|entry| entry.name.as_str()), self.names(index))
    }

    /// The address that a message is about, and the name of its interface.
    pub fn described(&self, message: &AddressMessage) -> Option<(IpAddr, &str)> {
        Some((held(message)?.address, self.place(message.header.index).0?))
    }

    fn names(&self, index: u32) -> Option<u32> {
        self.entries.get(&index)?.lower
    }

    /// Whether an interface has this address.
    pub fn has(&self, index: IfIndex, address: IpAddr, prefix: u8) -> bool {
        self.addresses.get(&index.0).is_some_and(|Addresses { own, virtuals }| {
            virtuals.contains(&(address, prefix))
                || own.iter().any(|held| (held.address, held.prefix) == (address, prefix))
        })
    }

    fn primary4(&self, index: u32) -> Option<Ipv4Addr> {
        let mut usable = self.addresses.get(&index)?.own.iter().filter_map(|held| match held.address {
            IpAddr::V4(address) => Some((held.secondary, address)),
            IpAddr::V6(_) => None,
        });
        let first = usable.next()?;
        // A primary address before any secondary one.
        let found = std::iter::once(first).chain(usable).find(|(secondary, _)| !secondary).unwrap_or(first);
        Some(found.1)
    }

    fn link_local6(&self, index: u32) -> Option<Ipv6Addr> {
        let mut usable = self.addresses.get(&index)?.own.iter().filter(|held| held.unproven.is_none());
        usable.find_map(|held| match held.address {
            IpAddr::V6(address) if address.is_unicast_link_local() => Some(address),
            _ => None,
        })
    }

    /// The link-local address that will be an interface's source once it is proven, while there is none that is.
    pub fn unproven6(&self, index: u32) -> Option<(IpAddr, Unproven)> {
        let own = &self.addresses.get(&index)?.own;
        let is_link_local = |held: &&Held| matches!(held.address, IpAddr::V6(six) if six.is_unicast_link_local());
        let found = own.iter().find(is_link_local).filter(|_| self.link_local6(index).is_none())?;
        Some((found.address, found.unproven?))
    }

    pub fn link_is(&mut self, message: &LinkMessage) {
        let index = message.header.index;
        let flags = message.header.flags;
        let mut entry = Entry {
            name: String::new(),
            mac: [0; 6],
            up: flags.contains(LinkFlags::Up) && flags.contains(LinkFlags::LowerUp),
            raised: flags.contains(LinkFlags::Up),
            kind: None,
            vlan: false,
            group: 0,
            enslaved: false,
            lower: None,
        };
        let mut foreign_lower = false;
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => entry.name.clone_from(name),
                LinkAttribute::Address(mac) => entry.mac = mac.as_slice().try_into().unwrap_or_default(),
                LinkAttribute::Controller(_) => entry.enslaved = true,
                LinkAttribute::Group(group) => entry.group = *group,
                LinkAttribute::LinkInfo(info) => {
                    entry.kind = Kind::told(info);
                    entry.vlan = info.contains(&LinkInfo::Kind(InfoKind::Vlan));
                }
                LinkAttribute::Link(lower) if *lower != 0 && *lower != index => entry.lower = Some(*lower),
                // A veth's other end, or a macvlan's parent, in another namespace: its number means nothing here.
                LinkAttribute::LinkNetNsId(_) => foreign_lower = true,
                _ => {}
            }
        }
        if foreign_lower {
            entry.lower = None;
        }
        self.link_gone(index);
        if let Some(lower) = self.burdens(&entry) {
            *self.carried.entry(lower).or_default() += 1;
        }
        if let Some(lower) = entry.lower.filter(|_| entry.vlan) {
            *self.vlans.entry(lower).or_default() += 1;
        }
        self.by_name.insert(entry.name.clone(), index);
        self.entries.insert(index, entry);
    }

    /// Whom it makes carry others.
    fn burdens(&self, entry: &Entry) -> Option<u32> {
        entry.lower.filter(|_| !self.own.contains(&entry.name))
    }

    /// Forgets an interface, not its addresses: the kernel tells of those itself.
    pub fn link_gone(&mut self, index: u32) {
        let Some(entry) = self.entries.remove(&index) else { return };
        if self.by_name.get(&entry.name) == Some(&index) {
            self.by_name.remove(&entry.name);
        }
        if let Some(lower) = self.burdens(&entry) {
            one_less(&mut self.carried, lower);
        }
        if let Some(lower) = entry.lower.filter(|_| entry.vlan) {
            one_less(&mut self.vlans, lower);
        }
    }

    /// Whether an address may be sent from: it is on this interface, or on any when none is given.
    pub fn has_source(&self, index: Option<IfIndex>, address: IpAddr) -> bool {
        let is_on = |of: &Addresses| {
            let virtuals = of.virtuals.range((address, 0)..=(address, u8::MAX));
            let own = of.own.iter().filter(|held| held.address == address && held.unproven.is_none());
            virtuals.count() + own.count() > 0
        };
        match index {
            Some(index) => self.addresses.get(&index.0).is_some_and(is_on),
            None => self.addresses.values().any(is_on),
        }
    }

    /// Whether an address is one of those that are never a source.
    pub fn is_virtual(&self, address: IpAddr) -> bool {
        self.virtuals.contains(&address)
    }

    /// An address was set or changed: which, and whether it is a new one that may be a source.
    pub fn address_is(&mut self, message: &AddressMessage) -> Option<(IpAddr, bool)> {
        let held = held(message)?;
        let Addresses { own, virtuals } = self.addresses.entry(message.header.index).or_default();
        if self.virtuals.contains(&held.address) {
            virtuals.insert((held.address, held.prefix));
            return Some((held.address, false));
        }
        let known = own.iter_mut().find(|known| (known.address, known.prefix) == (held.address, held.prefix));
        let is_news = known.is_none();
        match known {
            Some(known) => *known = held,
            None => own.push(held),
        }
        Some((held.address, is_news))
    }

    /// An address was removed; whether it was known.
    pub fn address_gone(&mut self, message: &AddressMessage) -> Option<Held> {
        let held = held(message)?;
        let Addresses { own, virtuals } = self.addresses.get_mut(&message.header.index)?;
        let key = (held.address, held.prefix);
        let place = own.iter().position(|known| (known.address, known.prefix) == key);
        let known = virtuals.remove(&key) || place.map(|place| own.remove(place)).is_some();
        if own.is_empty() && virtuals.is_empty() {
            self.addresses.remove(&message.header.index);
        }
        known.then_some(held)
    }
}

/// Numbers of interfaces are not used again: a count of none would stay for ever.
fn one_less(counts: &mut BTreeMap<u32, u32>, index: u32) {
    if let Some(count) = counts.get_mut(&index) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&index);
        }
    }
}

/// The address of a message: IFA_LOCAL where there is one (a point-to-point link), else IFA_ADDRESS.
pub(super) fn own_end(message: &AddressMessage) -> Option<IpAddr> {
    let attributes = || message.attributes.iter();
    let local = attributes().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    local.or_else(|| {
        attributes().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })
}

fn held(message: &AddressMessage) -> Option<Held> {
    let address = own_end(message)?;
    let flags = message.header.flags;
    Some(Held {
        address,
        prefix: message.header.prefix_len,
        secondary: flags.contains(AddressHeaderFlags::Secondary),
        unproven: if flags.contains(AddressHeaderFlags::Dadfailed) {
            Some(Unproven::Duplicate)
        } else {
            flags.contains(AddressHeaderFlags::Tentative).then_some(Unproven::Tentative)
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str, more: &[LinkAttribute]) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = LinkFlags::Up | LinkFlags::LowerUp;
        message.attributes.push(LinkAttribute::IfName(name.into()));
        message.attributes.extend_from_slice(more);
        message
    }

    fn kind(kind: InfoKind) -> LinkAttribute {
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)])
    }

    fn address(index: u32, address: &str, secondary: bool) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header.index = index;
        message.header.prefix_len = 24;
        if secondary {
            message.header.flags = AddressHeaderFlags::Secondary;
        }
        message.attributes.push(AddressAttribute::Local(address.parse().unwrap()));
        message
    }

    #[test]
    fn a_virtual_address_is_never_the_source() {
        let mut links = Links::new(["10.0.0.9".parse().unwrap()].into(), BTreeSet::new());
        links.link_is(&link(2, "eth0", &[]));
        let primary = |links: &Links| links.link("eth0").unwrap().primary4.map(|address| address.to_string());
        links.address_is(&address(2, "10.0.0.9", false));
        assert_eq!(primary(&links), None);
        links.address_is(&address(2, "10.0.0.2", true));
        links.address_is(&address(2, "10.0.0.1", false));
        assert_eq!(primary(&links).as_deref(), Some("10.0.0.1"));
        links.address_gone(&address(2, "10.0.0.1", false));
        assert_eq!(primary(&links).as_deref(), Some("10.0.0.2"));
    }

    #[test]
    fn a_link_local_address_counts_when_it_is_proven() {
        let mut links = Links::new(["fe80::9".parse().unwrap()].into(), BTreeSet::new());
        links.link_is(&link(2, "eth0", &[]));
        let source = |links: &Links| links.link("eth0").unwrap().link_local6.map(|address| address.to_string());
        for other in ["fe80::9", "2001:db8::1", "169.254.0.1"] {
            links.address_is(&address(2, other, false));
        }
        let mut tentative = address(2, "fe80::1", false);
        tentative.header.flags = AddressHeaderFlags::Tentative;
        links.address_is(&tentative);
        let own = "fe80::1".parse().unwrap();
        assert_eq!((source(&links), links.unproven6(2)), (None, Some((own, Unproven::Tentative))));
        links.address_is(&address(2, "fe80::1", false));
        assert_eq!((source(&links), links.unproven6(2)), (Some(own.to_string()), None));
        tentative.header.flags = AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed;
        links.address_is(&tentative);
        assert_eq!((source(&links), links.unproven6(2)), (None, Some((own, Unproven::Duplicate))));
    }

    #[test]
    fn a_source_address_is_there_when_it_is_proven() {
        let mut links = Links::new(["10.0.0.9".parse().unwrap()].into(), BTreeSet::new());
        let has = |links: &Links, index, text: &str| links.has_source(index, text.parse().unwrap());
        let mut tentative = address(2, "fe80::1", false);
        tentative.header.flags = AddressHeaderFlags::Tentative;
        links.address_is(&tentative);
        assert!(!has(&links, Some(IfIndex(2)), "fe80::1"));
        for other in ["fe80::1", "10.0.0.1", "10.0.0.9"] {
            links.address_is(&address(2, other, false));
            assert!(has(&links, Some(IfIndex(2)), other) && has(&links, None, other), "{other}");
            assert!(!has(&links, Some(IfIndex(3)), other), "{other}");
        }
        links.address_gone(&address(2, "10.0.0.1", false));
        assert!(!has(&links, None, "10.0.0.1"));
    }

    #[test]
    fn who_stands_on_an_interface() {
        let mut links = Links::default();
        links.link_is(&link(2, "eth0", &[]));
        let carries = |links: &Links, name| links.link(name).unwrap().carries_others;
        assert!(!carries(&links, "eth0"));
        links.link_is(&link(3, "eth0.10", &[LinkAttribute::Link(2)]));
        links.link_is(&link(3, "eth0.10", &[LinkAttribute::Link(2)]));
        assert!(carries(&links, "eth0"));
        links.link_gone(3);
        assert!(!carries(&links, "eth0"));
        links.link_is(&link(2, "eth0", &[LinkAttribute::Controller(9)]));
        assert!(carries(&links, "eth0"));
        links.link_is(&link(5, "veth5", &[LinkAttribute::Link(6)]));
        links.link_is(&link(6, "veth6", &[LinkAttribute::Link(5)]));
        links.link_is(&link(7, "veth7", &[LinkAttribute::Link(2), LinkAttribute::LinkNetNsId(0)]));
        assert!(!carries(&links, "veth5") && !carries(&links, "veth6"));
        // Told of once more, as when it goes up or down, a veth is no more than before; and what stands on it counts.
        links.link_is(&link(5, "veth5", &[LinkAttribute::Link(6)]));
        assert!(!carries(&links, "veth5") && !carries(&links, "veth6"));
        assert_eq!(links.link("veth5").unwrap().lower, None);
        links.link_is(&link(8, "veth6.10", &[LinkAttribute::Link(6)]));
        links.link_is(&link(6, "veth6", &[LinkAttribute::Link(5)]));
        assert!(!carries(&links, "veth5") && carries(&links, "veth6"));
    }

    /// Which of the interfaces in use a VLAN stands on, whatever else stands there.
    #[test]
    fn a_vlan_is_no_macvlan() {
        let mut links = Links::new(BTreeSet::new(), ["vrrp.51".to_owned()].into());
        links.link_is(&link(2, "eth0", &[]));
        for (index, name) in [(3, "vrrp.51"), (4, "guest")] {
            links.link_is(&link(index, name, &[LinkAttribute::Link(2), kind(InfoKind::MacVlan)]));
        }
        let carries = |links: &Links, name| links.link(name).unwrap().carries_vlans;
        assert!(!carries(&links, "eth0"));
        let vlan = |index, name| link(index, name, &[LinkAttribute::Link(2), kind(InfoKind::Vlan)]);
        links.link_is(&vlan(5, "eth0.10"));
        links.link_is(&vlan(6, "eth0.20"));
        links.link_is(&vlan(5, "eth0.10"));
        assert!(carries(&links, "eth0") && !carries(&links, "eth0.10") && !carries(&links, "guest"));
        links.link_gone(5);
        assert!(carries(&links, "eth0"));
        links.link_gone(6);
        assert!(!carries(&links, "eth0"));
    }

    #[test]
    fn what_we_made_ourselves_is_nobody_else() {
        let mut links = Links::new(BTreeSet::new(), ["vrrp.51".to_owned()].into());
        links.link_is(&link(2, "eth0", &[]));
        links.link_is(&link(3, "vrrp.51", &[LinkAttribute::Link(2)]));
        assert!(!links.link("eth0").unwrap().carries_others);
        links.link_is(&link(3, "renamed", &[LinkAttribute::Link(2)]));
        assert!(links.link("eth0").unwrap().carries_others);
        links.link_gone(3);
        assert!(!links.link("eth0").unwrap().carries_others && links.carried.is_empty());
    }

    /// Hosts of containers make and delete interfaces for years.
    #[test]
    fn what_came_and_went_leaves_nothing() {
        let mut links = Links::default();
        for index in (10..100).step_by(2) {
            links.link_is(&link(index, "veth", &[]));
            links.link_is(&link(index + 1, "veth.5", &[LinkAttribute::Link(index), kind(InfoKind::Vlan)]));
            links.address_is(&address(index, "10.0.0.1", false));
            links.address_gone(&address(index, "10.0.0.1", false));
            links.link_gone(index + 1);
            links.link_gone(index);
        }
        let Links { entries, by_name, carried, vlans, addresses, virtuals: _, own: _ } = links;
        assert!(entries.is_empty() && by_name.is_empty() && addresses.is_empty());
        assert!(carried.is_empty() && vlans.is_empty());
    }

    #[test]
    fn a_renamed_interface_leaves_its_old_name() {
        let mut links = Links::default();
        links.link_is(&link(2, "eth0", &[]));
        links.link_is(&link(2, "lan", &[]));
        assert_eq!(links.link("eth0"), None);
        assert!(links.link("lan").is_some());
    }
}
