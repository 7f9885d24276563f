//! One line of `virtual_routes` or `static_routes`, in the words of `ip route`:
//! `[add|prepend|append] [KIND] [to] DESTINATION [OPTION ..] [nexthop HOP ..] ..`.

pub mod encap;
pub mod metrics;

use std::net::IpAddr;

use vrrp_common::Family;

use super::setup::{Hop, Placement, Prefix, Route};
use super::words::{Words, names, options, prefix};
use super::written::{Naming, Set, Written};
use crate::engine::plan::InterfaceId;
use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::lexer::Word;
use crate::syntax::schema::{At, Foreign, FromItem, Keyword, Outcome};
use crate::syntax::tree::Entry;
use crate::syntax::value::{Whole, choice};

/// Kinds of routes: RTN_UNICAST and the others.
const KINDS: &[(&str, u8)] = &[
    ("unicast", 1),
    ("local", 2),
    ("broadcast", 3),
    ("anycast", 4),
    ("multicast", 5),
    ("blackhole", 6),
    ("unreachable", 7),
    ("prohibit", 8),
    ("throw", 9),
    ("nat", 10),
];
/// The word for a kind.
pub fn kind_name(kind: u8) -> &'static str {
    KINDS.iter().find(|(_, number)| *number == kind).map_or("", |(name, _)| name)
}

const UNICAST: u8 = Route::UNICAST;
const LOCAL: u8 = 2;
const BROADCAST: u8 = 3;
const ANYCAST: u8 = 4;
const NAT: u8 = 10;

type Whole32 = Whole<0, { u32::MAX as i64 }>;

options! {
    /// What a route is made of beside its metrics, for suggestions and documentation.
    OPTIONS {
        "add" | "prepend" | "append" "Its place among those of the same destination.";
        "unicast" | "local" | "broadcast" | "anycast" | "multicast" | "blackhole" | "unreachable" | "prohibit" | "throw"
            "The kind of route; default unicast.";
        "to" "Before the destination, which may stand without it.";
        "inet" | "inet6" "The family, also before an address; default that of the addresses, or IPv4.";
        "src" "Address that is preferred as the source.";
        "via" | "gw" "Gateway, also of the other family; `gw` is out of date.";
        "or" "Out of date: a second gateway.";
        "from" "IPv6: source that the route is for.";
        "dev" | "oif" "Interface that it leads to.";
        "onlink" "The gateway is reached without a route to it.";
        "tos" | "dsfield" "Type of service, by name or number.";
        "table" "Table of the route, by name or number.";
        "protocol" "Who set the route; default keepalived.";
        "scope" "Scope, by name or number.";
        "metric" | "priority" | "preference" "The lowest is used.";
        "realms" "Realms: FROM/TO, or TO.";
        "encap" "What packets are wrapped in: `ip`, `ip6`, `mpls` or `ila`, and its own words.";
        "expires" "IPv6: seconds until it goes.";
        "pref" "IPv6: `low`, `medium` or `high`.";
        "ttl-propagate" "MPLS: whether the TTL goes with the packet.";
        "nexthop" "One of several ways: `via`, `dev`, `weight`, `onlink`, `realms`, `encap`.";
        "weight" "How often this `nexthop` is taken.";
        "no_track" "It is not put back when somebody removes it, and its interfaces are not watched.";
        "track_group" "Static routes: the `track_group` that cannot serve without it.";
    }
}

/// What keepalived has and we have not.
pub const FOREIGN: &[Foreign] = &[
    Foreign { name: "vrf", outcome: Outcome::Refused, why: "name the table of the VRF: `table N`" },
    Foreign { name: "nat", outcome: Outcome::Refused, why: "the line is skipped: the kernel has no such routes" },
];

choice! {
    /// RFC 4191.
    pub enum Preference {
        "low" => Low,
        "medium" => Medium,
        "high" => High,
    }
}

choice! {
    pub enum Propagate {
        "enabled" => Enabled,
        "disabled" => Disabled,
    }
}

impl FromItem for Written<Route> {
    fn from_item(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        let words = Words::new("route", entry.words());
        let mut reading =
            Reading { words, route: Self::of(Route::default()), destination: None, family: None, or: None };
        reading.options(found)?;
        reading.finish(found)
    }
}

struct Reading<'a> {
    words: Words<'a>,
    route: Written<Route>,
    /// The inner `None` is `default`, of either family.
    destination: Option<Option<Prefix>>,
    /// `inet` or `inet6`.
    family: Option<Family>,
    /// The second gateway of `or`.
    or: Option<IpAddr>,
}

impl Reading<'_> {
    /// `None`: the route is skipped, reported.
    fn options(&mut self, found: &mut Diagnostics) -> Option<()> {
        while let Some(word) = self.words.pull() {
            let kind = KINDS.iter().find(|(name, _)| *name == word.text);
            let route = &mut self.route;
            match (word.text.as_str(), kind) {
                (_, Some(&(_, kind))) => route.value.kind = kind,
                ("add", _) => route.value.placement = Placement::Add,
                ("prepend", _) => route.value.placement = Placement::Prepend,
                ("append", _) => route.value.placement = Placement::Append,
                ("inet", _) => self.family = Some(Family::V4),
                ("inet6", _) => self.family = Some(Family::V6),
                ("to", _) => {
                    self.family_word();
                    let word = self.words.parameter(word, found)?;
                    self.destination(word, found)?;
                }
                ("src", _) => self.route.value.source = Some(self.address(word, found)?),
                ("from", _) => {
                    self.family_word();
                    let given = self.words.parameter(word, found)?;
                    let read =
                        self.words.read(word, given, prefix(&given.text), "an address, perhaps with /LENGTH", found);
                    self.route.value.from = Some(read?);
                }
                ("via" | "gw", _) => {
                    if word.text == "gw" {
                        found.warning(Class::Value, word.span, "`gw` of a route is out of date").done("it is `via`");
                    }
                    let gateway = self.address(word, found)?;
                    self.own_hop().gateway = Some(gateway);
                }
                ("or", _) => {
                    self.or = Some(self.address(word, found)?);
                    let diagnostic = found.warning(Class::Value, word.span, "`or` of a route is out of date");
                    diagnostic
                        .done("it is a second `nexthop`")
                        .hint("write `nexthop via A dev IF nexthop via B dev IF`");
                }
                ("dev" | "oif", _) => {
                    let name = self.words.interface(word, found)?;
                    self.own_hop();
                    self.route.interfaces.push((name, on(0)));
                }
                ("onlink", _) => self.own_hop().onlink = true,
                ("realms", _) => {
                    let word = self.words.parameter(word, found)?;
                    self.own_hop();
                    self.route.realms(
                        word,
                        0,
                        |route, _, n| route.hops[0].realms |= n & 0xffff,
                        |route, _, n| {
                            route.hops[0].realms |= n << 16;
                        },
                    );
                }
                ("encap", _) => self.own_hop().encap = Some(encap::read(&mut self.words, word, found)?),
                ("nexthop", _) => self.hop(found)?,
                ("tos" | "dsfield", _) => {
                    let word = self.words.parameter(word, found)?;
                    route.name(Naming::Tos, word, |route, _, number| route.tos = number as u8);
                }
                ("table", _) => {
                    let word = self.words.parameter(word, found)?;
                    route.name(Naming::Table, word, |route, _, number| route.table = number);
                }
                ("protocol", _) => {
                    let word = self.words.parameter(word, found)?;
                    route.name(Naming::Protocol, word, |route, _, number| route.protocol = number as u8);
                }
                ("scope", _) => {
                    let word = self.words.parameter(word, found)?;
                    route.name(Naming::Scope, word, |route, _, number| route.scope = number as u8);
                }
                ("metric" | "priority" | "preference", _) => {
                    route.value.metric = self.words.value::<Whole32>(word, found)?.get() as u32;
                }
                ("expires", _) => route.value.expires = Some(self.words.value::<Whole32>(word, found)?.get() as u32),
                ("pref", _) => {
                    route.value.preference = Some(match self.words.value(word, found)? {
                        Preference::Medium => 0,
                        Preference::High => 1,
                        Preference::Low => 3,
                    });
                }
                ("ttl-propagate", _) => {
                    route.value.ttl_propagate = Some(self.words.value::<Propagate>(word, found)? == Propagate::Enabled);
                }
                ("no_track", _) => route.value.kept = false,
                ("track_group", _) => {
                    let group = self.words.parameter(word, found)?;
                    route.group = Some(At { value: group.text.clone(), at: group.span });
                }
                ("vrf", _) => {
                    self.words.parameter(word, found)?;
                    route.refused.get_or_insert(At { value: "vrf", at: word.span });
                }
                _ if metrics::read(&mut self.words, word, &mut route.value.metrics, found)? => {}
                _ if self.destination.is_none() => self.destination(word, found)?,
                _ => return self.unknown(word, found),
            }
        }
        Some(())
    }

    /// `None`, reported.
    fn unknown(&self, word: &Word, found: &mut Diagnostics) -> Option<()> {
        self.words.unknown(word, names(OPTIONS).chain(names(metrics::OPTIONS)), found);
        None
    }

    /// The one way that the route itself names.
    fn own_hop(&mut self) -> &mut Hop {
        let hops = &mut self.route.value.hops;
        if hops.is_empty() {
            hops.push(Hop::default());
        }
        &mut hops[0]
    }

    fn family_word(&mut self) {
        if self.words.take("inet") {
            self.family = Some(Family::V4);
        } else if self.words.take("inet6") {
            self.family = Some(Family::V6);
        }
    }

    fn address(&mut self, option: &Word, found: &mut Diagnostics) -> Option<IpAddr> {
        self.family_word();
        self.words.value(option, found)
    }

    fn destination(&mut self, word: &Word, found: &mut Diagnostics) -> Option<()> {
        self.destination = Some(match word.text.as_str() {
            "default" | "any" | "all" => None,
            text => match prefix(text) {
                Some(prefix) => Some(prefix),
                // Not even the beginning of an address: an option with a slip.
                None if !text.starts_with(|c: char| c.is_ascii_hexdigit() || c == ':') => {
                    return self.unknown(word, found);
                }
                None => {
                    let message = format!("`{text}` is no destination; expected an IP address, perhaps with /LENGTH");
                    self.words.wrong(Class::Value, word, message, found);
                    return None;
                }
            },
        });
        Some(())
    }

    /// `nexthop via A [dev IF] [weight N] [onlink] [realms R] [encap ..]`.
    fn hop(&mut self, found: &mut Diagnostics) -> Option<()> {
        let place = self.route.value.hops.len();
        let mut hop = Hop { weight: 1, ..Hop::default() };
        while let Some(text) = self.words.peek() {
            if !matches!(text, "via" | "gw" | "dev" | "oif" | "weight" | "onlink" | "realms" | "encap") {
                break;
            }
            let word = self.words.pull()?;
            match text {
                "via" | "gw" => hop.gateway = Some(self.address(word, found)?),
                "dev" | "oif" => {
                    let name = self.words.interface(word, found)?;
                    self.route.interfaces.push((name, on(place)));
                }
                "weight" => hop.weight = self.words.value::<Whole<1, 256>>(word, found)?.get() as u16,
                "onlink" => hop.onlink = true,
                "realms" => {
                    let word = self.words.parameter(word, found)?;
                    let to = |route: &mut Route, at: usize, n| route.hops[at].realms |= n & 0xffff;
                    self.route.realms(word, place, to, |route, at, n| route.hops[at].realms |= n << 16);
                }
                _ => hop.encap = Some(encap::read(&mut self.words, word, found)?),
            }
        }
        self.route.value.hops.push(hop);
        Some(())
    }

    /// Settles what depends on all of the line.
    fn finish(mut self, found: &mut Diagnostics) -> Option<Written<Route>> {
        let first = self.words.first;
        let Some(destination) = self.destination else {
            self.words.wrong(Class::Incomplete, first, "the route has no destination".into(), found);
            return None;
        };
        if let Some(or) = self.or {
            let mut second = self.own_hop().clone();
            second.gateway = Some(or);
            self.route.value.hops.push(second);
            if let Some((name, _)) = self.route.interfaces.first().cloned() {
                self.route.interfaces.push((name, on(1)));
            }
            self.route.value.hops.iter_mut().for_each(|hop| hop.weight = 1);
        }
        let Written { value: route, interfaces, .. } = &mut self.route;
        let gateways = route.hops.iter().filter_map(|hop| hop.gateway);
        let given = [destination.map(|prefix| prefix.address), route.from.map(|prefix| prefix.address), route.source];
        let mut families: Vec<_> =
            given.into_iter().flatten().chain(gateways).map(Family::of).chain(self.family).collect();
        families.dedup();
        let family = match families[..] {
            [] => Family::V4,
            [family] => family,
            _ => {
                self.words.wrong(Class::Conflict, first, "the route mixes IPv4 and IPv6".into(), found);
                return None;
            }
        };
        let written = destination.unwrap_or(Prefix::all(family));
        route.destination = written.network();
        if route.destination != written {
            let message = format!("{written} has bits beyond its length, which the kernel refuses");
            found.warning(Class::Value, first.span, message).done(format!("{} is used", route.destination));
        }
        let only_six = [("from", route.from.is_some()), ("expires", route.expires.is_some())];
        let mut only_six = only_six.into_iter().chain([("pref", route.preference.is_some())]);
        if let Some((option, _)) = only_six.find(|(_, given)| *given && family == Family::V4) {
            self.words.wrong(Class::Conflict, first, format!("`{option}` is for IPv6 routes alone"), found);
            return None;
        }
        let wrong = match route.kind {
            NAT => Some("the kernel has no routes of the kind `nat`"),
            UNICAST if route.hops.is_empty() => Some("the route has neither `via` nor `dev`"),
            _ if route.hops.first().is_some_and(|hop| hop.weight == 0) && route.hops.len() > 1 => {
                Some("the route has a `via` or `dev` of its own, and a `nexthop`, too")
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            self.words.wrong(Class::Conflict, first, wrong.into(), found);
            return None;
        }
        // The kernel's least; a `scope` that is written comes over it.
        route.scope = match route.kind {
            LOCAL => 254,
            BROADCAST | ANYCAST => 253,
            _ => 0,
        };
        if route.kept && interfaces.is_empty() && !route.hops.is_empty() {
            let message = "the route names no interface (`dev`)".to_owned();
            let diagnostic = found.warning(Class::Incomplete, first.span, message);
            diagnostic.done("no interface is watched for it").hint("`no_track` says that none need be");
        }
        Some(self.route)
    }
}

/// Puts the interface of a way.
const fn on(place: usize) -> Set<Route, InterfaceId> {
    Set { place, put: |route, place, interface| route.hops[place].interface = Some(interface) }
}
