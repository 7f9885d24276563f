//! Messages that set and remove routes.

use std::net::IpAddr;

use rtnetlink::packet_core::{DefaultNla, NLM_F_APPEND, NLM_F_EXCL};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{
    MplsLabel, RouteAttribute, RouteFlags, RouteIp6Tunnel, RouteIp6TunnelFlags, RouteIpTunnel, RouteIpTunnelFlags,
    RouteLwEnCapType, RouteLwTunnelEncap, RouteMessage, RouteMetric, RouteMplsIpTunnel, RouteMplsTtlPropagation,
    RouteNextHop, RouteNextHopFlags, RouteRealm,
};
use vrrp_common::{Family, IfIndex};

use crate::config::setup::{Encap, Hop, Placement, Route, Tunnel};
use crate::engine::plan::InterfaceId;

/// RT_TABLE_COMPAT: the table's number does not fit the header.
const COMPAT: u8 = 252;
/// ILA_ATTR_LOCATOR.
const ILA_LOCATOR: u16 = 1;

/// As `ip route add` would write it. `None` while an interface of it does not exist.
pub fn new_route(route: &Route, index: impl Fn(InterfaceId) -> Option<IfIndex>) -> Option<RouteMessage> {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = family(route.family());
    header.destination_prefix_length = route.destination.length;
    header.source_prefix_length = route.from.map_or(0, |from| from.length);
    header.tos = route.tos;
    header.table = u8::try_from(route.table).unwrap_or(COMPAT);
    header.protocol = route.protocol.into();
    header.scope = route.scope.into();
    header.kind = route.kind.into();
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(route.table));
    if route.destination.length > 0 {
        attributes.push(RouteAttribute::Destination(route.destination.address.into()));
    }
    attributes.extend(route.from.map(|from| RouteAttribute::Source(from.address.into())));
    attributes.extend(route.source.map(|source| RouteAttribute::PrefSource(source.into())));
    if route.metric != 0 {
        attributes.push(RouteAttribute::Priority(route.metric));
    }
    attributes.extend(route.expires.map(RouteAttribute::Expires));
    attributes.extend(route.preference.map(|preference| RouteAttribute::Preference(preference.into())));
    attributes.extend(route.ttl_propagate.map(|enabled| {
        RouteAttribute::TtlPropagate(if enabled {
            RouteMplsTtlPropagation::Enabled
        } else {
            RouteMplsTtlPropagation::Disabled
        })
    }));
    let metrics = metrics(route);
    if !metrics.is_empty() {
        attributes.push(RouteAttribute::Metrics(metrics));
    }
    match &route.hops[..] {
        // It ends here: the kernel takes no way on.
        _ if route.ends() => {}
        [] => {}
        [hop] => {
            if hop.onlink {
                header.flags = RouteFlags::Onlink;
            }
            attributes.extend(way(hop));
            if let Some(interface) = hop.interface {
                attributes.push(RouteAttribute::Oif(index(interface)?.0));
            }
        }
        hops => {
            let several: Option<_> = hops.iter().map(|hop| next_hop(hop, &index)).collect();
            attributes.push(RouteAttribute::MultiPath(several?));
        }
    }
    Some(message)
}

/// How it stands to routes that are there already.
pub const fn flags(route: &Route) -> u16 {
    match route.placement {
        Placement::Prepend => 0,
        Placement::Append => NLM_F_APPEND,
        Placement::Add => NLM_F_EXCL,
    }
}

fn metrics(route: &Route) -> Vec<RouteMetric> {
    let metrics = &route.metrics;
    let raw = |&(number, value): &(u16, u32)| RouteMetric::Other(DefaultNla::new(number, value.to_ne_bytes().into()));
    let locked = (metrics.locked != 0).then_some(RouteMetric::Lock(metrics.locked));
    let congestion = metrics.congestion.clone().map(RouteMetric::CcAlgo);
    metrics.values.iter().map(raw).chain(locked).chain(congestion).collect()
}

fn next_hop(hop: &Hop, index: impl Fn(InterfaceId) -> Option<IfIndex>) -> Option<RouteNextHop> {
    let mut next = RouteNextHop::default();
    if hop.onlink {
        next.flags = RouteNextHopFlags::Onlink;
    }
    // The kernel counts from 0.
    next.hops = hop.weight.saturating_sub(1).min(255) as u8;
    if let Some(interface) = hop.interface {
        next.interface_index = index(interface)?.0;
    }
    next.attributes = way(hop);
    Some(next)
}

/// What a way says beside its interface.
fn way(hop: &Hop) -> Vec<RouteAttribute> {
    let mut attributes = Vec::new();
    attributes.extend(hop.gateway.map(|gateway| RouteAttribute::Gateway(gateway.into())));
    if hop.realms != 0 {
        let realm = RouteRealm { source: (hop.realms >> 16) as u16, destination: hop.realms as u16 };
        attributes.push(RouteAttribute::Realm(realm));
    }
    if let Some(encap) = &hop.encap {
        let (kind, encap) = wrapping(encap);
        attributes.push(RouteAttribute::Encap(encap));
        attributes.push(RouteAttribute::EncapType(kind));
    }
    attributes
}

fn wrapping(encap: &Encap) -> (RouteLwEnCapType, Vec<RouteLwTunnelEncap>) {
    match encap {
        Encap::Ip(Family::V4, tunnel) => {
            (RouteLwEnCapType::Ip, ip(tunnel).into_iter().map(RouteLwTunnelEncap::Ip).collect())
        }
        Encap::Ip(Family::V6, tunnel) => {
            (RouteLwEnCapType::Ip6, ip6(tunnel).into_iter().map(RouteLwTunnelEncap::Ip6).collect())
        }
        Encap::Mpls(labels) => {
            let last = labels.len() - 1;
            let label = |(place, &label)| MplsLabel { label, traffic_class: 0, bottom_of_stack: place == last, ttl: 0 };
            let labels = labels.iter().enumerate().map(label).collect();
            (RouteLwEnCapType::Mpls, vec![RouteLwTunnelEncap::Mpls(RouteMplsIpTunnel::Destination(labels))])
        }
        Encap::Ila(locator) => {
            let locator = DefaultNla::new(ILA_LOCATOR, locator.to_be_bytes().into());
            (RouteLwEnCapType::Ila, vec![RouteLwTunnelEncap::Other(locator)])
        }
    }
}

fn ip(tunnel: &Tunnel) -> Vec<RouteIpTunnel> {
    let Tunnel { id, destination, source, tos, ttl, flags } = *tunnel;
    let four = |address: Option<IpAddr>| match address {
        Some(IpAddr::V4(address)) => Some(address),
        _ => None,
    };
    let parts = [
        id.map(RouteIpTunnel::Id),
        four(destination).map(RouteIpTunnel::Destination),
        four(source).map(RouteIpTunnel::Source),
        tos.map(RouteIpTunnel::Tos),
        ttl.map(RouteIpTunnel::Ttl),
        flags.map(|flags| RouteIpTunnel::Flags(RouteIpTunnelFlags::from_bits_retain(flags))),
    ];
    parts.into_iter().flatten().collect()
}

fn ip6(tunnel: &Tunnel) -> Vec<RouteIp6Tunnel> {
    let Tunnel { id, destination, source, tos, ttl, flags } = *tunnel;
    let six = |address: Option<IpAddr>| match address {
        Some(IpAddr::V6(address)) => Some(address),
        _ => None,
    };
    let parts = [
        id.map(RouteIp6Tunnel::Id),
        six(destination).map(RouteIp6Tunnel::Destination),
        six(source).map(RouteIp6Tunnel::Source),
        tos.map(RouteIp6Tunnel::Tc),
        ttl.map(RouteIp6Tunnel::Hoplimit),
        flags.map(|flags| RouteIp6Tunnel::Flags(RouteIp6TunnelFlags::from_bits_retain(flags))),
    ];
    parts.into_iter().flatten().collect()
}

pub const fn family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}
