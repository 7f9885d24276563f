//! Routes and rules: what a master has beside its addresses, and the daemon for its whole life.
//!
//! Numbers without a type are the kernel's, as in `ip route` and `ip rule`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vrrp_common::Family;

use crate::engine::plan::InterfaceId;

/// The routes and rules of one owner, set in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    pub routes: Vec<Route>,
    pub rules: Vec<Rule>,
}

impl Paths {
    pub const fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.rules.is_empty()
    }

    /// The interfaces without which they cannot be set.
    pub fn interfaces(&self) -> impl Iterator<Item = InterfaceId> {
        let hops = self.routes.iter().flat_map(|route| &route.hops);
        hops.filter_map(|hop| hop.interface).chain(self.rules.iter().flat_map(|rule| [rule.iif, rule.oif]).flatten())
    }
}

/// An address and how many bits of it count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    pub address: IpAddr,
    pub length: u8,
}

impl Prefix {
    /// The same with no bit set that does not count, as the kernel has it.
    pub fn network(self) -> Self {
        let address = match self.address {
            IpAddr::V4(address) => {
                let host = u32::MAX.checked_shr(self.length.into()).unwrap_or(0);
                IpAddr::from(Ipv4Addr::from_bits(address.to_bits() & !host))
            }
            IpAddr::V6(address) => {
                let host = u128::MAX.checked_shr(self.length.into()).unwrap_or(0);
                IpAddr::from(Ipv6Addr::from_bits(address.to_bits() & !host))
            }
        };
        Self { address, ..self }
    }

    /// All addresses of a family.
    pub const fn all(family: Family) -> Self {
        Self { address: unspecified(family), length: 0 }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

const fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// A line of `virtual_routes` or `static_routes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub placement: Placement,
    /// `unicast`, `blackhole` and the like.
    pub kind: u8,
    pub destination: Prefix,
    /// `from`: of IPv6, the senders that it is for.
    pub from: Option<Prefix>,
    /// `src`: the address to send from.
    pub source: Option<IpAddr>,
    pub tos: u8,
    pub table: u32,
    pub protocol: u8,
    pub scope: u8,
    /// `metric`; the lowest is taken. 0 is the kernel's own choice.
    pub metric: u32,
    pub metrics: Metrics,
    /// `expires`: seconds, of IPv6.
    pub expires: Option<u32>,
    /// `pref` of IPv6 (RFC 4191): 0 medium, 1 high, 3 low.
    pub preference: Option<u8>,
    /// `ttl-propagate`.
    pub ttl_propagate: Option<bool>,
    /// Ways to the next router: with several the traffic is spread. None where it ends here, as in a black hole.
    pub hops: Vec<Hop>,
    /// Without `no_track`: set again when others remove it.
    pub kept: bool,
}

/// To everywhere and over nothing, until more is said.
impl Default for Route {
    fn default() -> Self {
        Self {
            placement: Placement::Prepend,
            kind: Self::UNICAST,
            destination: Prefix::all(Family::V4),
            from: None,
            source: None,
            tos: 0,
            table: MAIN,
            protocol: PROTOCOL,
            scope: 0,
            metric: 0,
            metrics: Metrics::default(),
            expires: None,
            preference: None,
            ttl_propagate: None,
            hops: Vec::new(),
            kept: true,
        }
    }
}

/// Beside a route that is there already for the same destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    #[default]
    Prepend,
    Append,
    /// There must be none.
    Add,
}

/// One way to the next router.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hop {
    pub gateway: Option<IpAddr>,
    pub interface: Option<InterfaceId>,
    /// Its share, 1 to 256; 0 where there is no other.
    pub weight: u16,
    pub onlink: bool,
    /// From and to, 16 bits each; 0 for none.
    pub realms: u32,
    pub encap: Option<Encap>,
}

/// What packets are wrapped into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encap {
    /// `encap ip` or `encap ip6`, by the family.
    Ip(Family, Tunnel),
    /// Labels of 20 bits, the outermost first.
    Mpls(Vec<u32>),
    /// The upper 64 bits of the address (RFC draft of identifier locator addressing).
    Ila(u64),
}

/// The header of `encap ip` and `encap ip6`; what is `None` is the kernel's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tunnel {
    pub id: Option<u64>,
    pub destination: Option<IpAddr>,
    pub source: Option<IpAddr>,
    /// `tos`, or `tc`.
    pub tos: Option<u8>,
    /// `ttl`, or `hoplimit`.
    pub ttl: Option<u8>,
    pub flags: Option<u16>,
}

/// Properties of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// RTAX_MTU and the others, each with its value.
    pub values: Vec<(u16, u32)>,
    /// `lock`: bit n for RTAX n.
    pub locked: u32,
    /// `congctl`.
    pub congestion: Option<String>,
}

impl Route {
    /// RTN_UNICAST: to the next router.
    pub const UNICAST: u8 = 1;

    pub fn family(&self) -> Family {
        Family::of(self.destination.address)
    }

    /// Packets go no further: `blackhole`, `unreachable`, `prohibit`, `throw`.
    pub const fn ends(&self) -> bool {
        matches!(self.kind, 6..=9)
    }
}

/// As it is named in the log.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route {}", self.destination)?;
        if let Some(gateway) = self.hops.first().and_then(|hop| hop.gateway) {
            write!(f, " via {gateway}")?;
        }
        if self.table == MAIN { Ok(()) } else { write!(f, " table {}", self.table) }
    }
}

/// RT_TABLE_MAIN.
const MAIN: u32 = 254;
/// RTPROT_KEEPALIVED: others see by it that a route or a rule is not theirs.
const PROTOCOL: u8 = 18;

/// A line of `virtual_rules` or `static_rules`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub family: Family,
    /// `not`: for all packets but these.
    pub inverted: bool,
    pub from: Option<Prefix>,
    pub to: Option<Prefix>,
    pub action: Action,
    /// `preference`: rules are tried in ascending order.
    pub preference: u32,
    pub tos: u8,
    /// `fwmark`: value and mask.
    pub mark: Option<(u32, u32)>,
    /// From and to, 16 bits each; 0 for none.
    pub realms: u32,
    pub suppress_prefix_length: Option<u32>,
    pub suppress_group: Option<u32>,
    pub iif: Option<InterfaceId>,
    pub oif: Option<InterfaceId>,
    pub tunnel: Option<u64>,
    /// `uidrange`, both included.
    pub uids: Option<(u32, u32)>,
    pub protocol: u8,
    /// `ipproto`.
    pub ip_protocol: Option<u8>,
    /// `sport` and `dport`, both ends included.
    pub source_ports: Option<(u16, u16)>,
    pub destination_ports: Option<(u16, u16)>,
    /// Without `no_track`: set again when others remove it.
    pub kept: bool,
}

impl Rule {
    /// For all packets.
    pub const fn new(preference: u32, action: Action) -> Self {
        Self {
            family: Family::V4,
            inverted: false,
            from: None,
            to: None,
            action,
            preference,
            tos: 0,
            mark: None,
            realms: 0,
            suppress_prefix_length: None,
            suppress_group: None,
            iif: None,
            oif: None,
            tunnel: None,
            uids: None,
            protocol: PROTOCOL,
            ip_protocol: None,
            source_ports: None,
            destination_ports: None,
            kept: true,
        }
    }
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Table(u32),
    /// The table of the VRF that it belongs to.
    L3mdev,
    /// The rule of this preference is next.
    Goto(u32),
    Nop,
    Blackhole,
    Unreachable,
    Prohibit,
}

/// As it is named in the log.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}", self.preference)?;
        for (word, prefix) in [("from", self.from), ("to", self.to)] {
            if let Some(prefix) = prefix {
                write!(f, " {word} {prefix}")?;
            }
        }
        Ok(())
    }
}
