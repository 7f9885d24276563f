//! Routes and rules as keepalived writes them: in words like those of `ip`, numbers in place of names.

use std::fmt::{self, Write};

use vrrp_common::Family;

use crate::config::route::{kind_name, metrics};
use crate::config::setup::{Action, Encap, Hop, Placement, Prefix, Route, Rule, Setup, Tunnel};
use crate::engine::plan::InterfaceId;

/// `prepend 10.0.0.0/8 via inet 192.0.2.1 dev eth0 proto 18`
pub fn route(setup: &Setup, route: &Route) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_route(setup, route, &mut out);
    out
}

/// `from 10.0.0.0/8 priority 1000 tos 0x0 protocol 18 lookup 100`
pub fn rule(setup: &Setup, rule: &Rule) -> String {
    let mut out = String::new();
    let _ = write_rule(setup, rule, &mut out);
    out
}

fn write_route(setup: &Setup, route: &Route, out: &mut String) -> fmt::Result {
    let Route { placement, kind, destination, from, source, tos, table, protocol, scope, metric, .. } = route;
    let is_unicast = *kind == Route::UNICAST;
    out.push_str(match placement {
        Placement::Prepend if is_unicast => "prepend",
        Placement::Append => "append",
        Placement::Prepend | Placement::Add => "add",
    });
    if !is_unicast {
        write!(out, " {}", kind_name(*kind))?;
    }
    write!(out, " {}", Whole(*destination))?;
    some(out, "from", from.map(Whole))?;
    some(out, "src", *source)?;
    if *tos != 0 {
        write!(out, " tos {tos}")?;
    }
    let (single, several) = match &route.hops[..] {
        [hop] => (Some(hop), &[][..]),
        hops => (None, hops),
    };
    if let Some(hop) = single {
        way(setup, hop, out)?;
    }
    if *table != MAIN {
        write!(out, " table {table}")?;
    }
    write!(out, " proto {protocol}")?;
    for (word, number) in [("scope", u32::from(*scope)), ("metric", *metric)] {
        if number != 0 {
            write!(out, " {word} {number}")?;
        }
    }
    if let Some(hop) = single {
        beside(hop, ["realm", "realms"], out)?;
    }
    if let Some(seconds) = route.expires {
        write!(out, " expires {seconds}sec")?;
    }
    metrics::written(&route.metrics).try_for_each(|metric| write!(out, " {metric}"))?;
    some(out, "pref", route.preference.map(|preference| ["medium", "high", "", "low"][usize::from(preference & 3)]))?;
    some(out, "ttl-propagate", route.ttl_propagate.map(|on| if on { "enabled" } else { "disabled" }))?;
    for hop in several {
        out.push_str(" nexthop");
        way(setup, hop, out)?;
        if hop.weight != 0 {
            write!(out, " weight {}", hop.weight)?;
        }
        beside(hop, ["realm", "realms"], out)?;
    }
    if route.kept { Ok(()) } else { out.write_str(" no_track") }
}

/// Wrapped into what, to which router, over which interface.
fn way(setup: &Setup, hop: &Hop, out: &mut String) -> fmt::Result {
    match &hop.encap {
        None => {}
        Some(Encap::Ip(family, tunnel)) => write_tunnel(*family, tunnel, out)?,
        Some(Encap::Mpls(labels)) => {
            let labels: Vec<_> = labels.iter().map(u32::to_string).collect();
            write!(out, " encap mpls {}", labels.join("/"))?;
        }
        Some(Encap::Ila(locator)) => write!(out, " encap ila {locator}")?,
    }
    if let Some(gateway) = hop.gateway {
        write!(out, " via {} {gateway}", if gateway.is_ipv4() { "inet" } else { "inet6" })?;
    }
    some(out, "dev", name(setup, hop.interface))
}

fn write_tunnel(family: Family, tunnel: &Tunnel, out: &mut String) -> fmt::Result {
    let Tunnel { id, destination, source, tos, ttl, flags } = *tunnel;
    let [kind, tos_word, ttl_word] = match family {
        Family::V4 => ["ip", "tos", "ttl"],
        Family::V6 => ["ip6", "tc", "hoplimit"],
    };
    write!(out, " encap {kind}")?;
    some(out, "id", id)?;
    some(out, "dst", destination)?;
    some(out, "src", source)?;
    some(out, tos_word, tos)?;
    some(out, ttl_word, ttl)?;
    some(out, "flags", flags.map(|flags| format!("{flags:#x}")))
}

fn beside(hop: &Hop, words: [&str; 2], out: &mut String) -> fmt::Result {
    if hop.onlink {
        out.push_str(" onlink");
    }
    match (hop.realms >> 16, hop.realms & 0xffff) {
        (0, 0) => Ok(()),
        (0, to) => write!(out, " {} {to}", words[0]),
        (from, to) => write!(out, " {} {from}/{to}", words[1]),
    }
}

fn write_rule(setup: &Setup, rule: &Rule, out: &mut String) -> fmt::Result {
    let Rule { family: _, inverted, from, to, action, preference, tos, mark, realms, .. } = *rule;
    if inverted {
        out.push_str("not ");
    }
    match from {
        Some(from) => write!(out, "from {}", Whole(from))?,
        None => out.push_str("from all"),
    }
    some(out, "to", to.map(Whole))?;
    write!(out, " priority {preference} tos {tos:#x}")?;
    match mark {
        None => {}
        Some((value, u32::MAX)) => write!(out, " fwmark {value:#x}")?,
        Some((value, mask)) => write!(out, " fwmark {value:#x}/{mask:#x}")?,
    }
    some(out, "iif", name(setup, rule.iif))?;
    some(out, "oif", name(setup, rule.oif))?;
    some(out, "suppress_prefixlen", rule.suppress_prefix_length)?;
    some(out, "suppress_ifgroup", rule.suppress_group)?;
    some(out, "uidrange", rule.uids.map(|(first, last)| format!("{first}-{last}")))?;
    some(out, "tunnel-id", rule.tunnel)?;
    if action == Action::L3mdev {
        out.push_str(" l3mdev");
    }
    write!(out, " protocol {}", rule.protocol)?;
    some(out, "ipproto", rule.ip_protocol)?;
    for (word, ports) in [("sport", rule.source_ports), ("dport", rule.destination_ports)] {
        some(out, word, ports.map(|(first, last)| format!("{first}-{last}")))?;
    }
    if realms != 0 {
        write!(out, " realms {}/{}", realms >> 16, realms & 0xffff)?;
    }
    match action {
        Action::Table(table) => write!(out, " lookup {table}")?,
        Action::L3mdev => out.push_str(" lookup 0"),
        Action::Goto(preference) => write!(out, " goto {preference}")?,
        Action::Nop => out.push_str(" nop"),
        Action::Blackhole => out.push_str(" type blackhole"),
        Action::Unreachable => out.push_str(" type unreachable"),
        Action::Prohibit => out.push_str(" type prohibit"),
    }
    if rule.kept { Ok(()) } else { out.write_str(" no_track") }
}

/// RT_TABLE_MAIN, which is not said.
const MAIN: u32 = 254;

/// Without its length where that is the whole address.
struct Whole(Prefix);

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(prefix @ Prefix { address, length }) = self;
        match *length == if address.is_ipv4() { 32 } else { 128 } {
            true => write!(f, "{address}"),
            false => write!(f, "{prefix}"),
        }
    }
}

fn some(out: &mut String, word: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    match value {
        Some(value) => write!(out, " {word} {value}"),
        None => Ok(()),
    }
}

fn name(setup: &Setup, id: Option<InterfaceId>) -> Option<&str> {
    id.map(|id| setup.interfaces[id.index()].as_str())
}
