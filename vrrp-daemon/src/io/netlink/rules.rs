//! Messages that set and remove rules.

use rtnetlink::packet_route::IpProtocol;
use rtnetlink::packet_route::route::RouteRealm;
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage, RulePortRange, RuleUidRange};

use super::routes::family;
use crate::config::setup::{Action, Rule};
use crate::engine::plan::InterfaceId;

/// As `ip rule add` would write it; rules have interfaces by name, whether they exist or not.
pub fn new_rule(rule: &Rule, name: impl Fn(InterfaceId) -> String) -> RuleMessage {
    let mut message = RuleMessage::default();
    let header = &mut message.header;
    header.family = family(rule.family);
    header.src_len = rule.from.map_or(0, |from| from.length);
    header.dst_len = rule.to.map_or(0, |to| to.length);
    header.tos = rule.tos;
    if rule.inverted {
        header.flags = RuleFlags::Invert;
    }
    let attributes = &mut message.attributes;
    header.action = match rule.action {
        Action::Table(table) => {
            attributes.push(RuleAttribute::Table(table));
            RuleAction::ToTable
        }
        Action::L3mdev => {
            attributes.push(RuleAttribute::L3MDev(true));
            RuleAction::ToTable
        }
        Action::Goto(target) => {
            attributes.push(RuleAttribute::Goto(target));
            RuleAction::Goto
        }
        Action::Nop => RuleAction::Nop,
        Action::Blackhole => RuleAction::Blackhole,
        Action::Unreachable => RuleAction::Unreachable,
        Action::Prohibit => RuleAction::Prohibit,
    };
    attributes.push(RuleAttribute::Priority(rule.preference));
    attributes.push(RuleAttribute::Protocol(rule.protocol.into()));
    let ports = |(start, end)| RulePortRange { start, end };
    let realm = |realms: u32| RouteRealm { source: (realms >> 16) as u16, destination: realms as u16 };
    let parts = [
        rule.from.map(|from| RuleAttribute::Source(from.address)),
        rule.to.map(|to| RuleAttribute::Destination(to.address)),
        rule.mark.map(|(mark, _)| RuleAttribute::FwMark(mark)),
        rule.mark.map(|(_, mask)| RuleAttribute::FwMask(mask)),
        (rule.realms != 0).then(|| RuleAttribute::Realm(realm(rule.realms))),
        rule.suppress_prefix_length.map(RuleAttribute::SuppressPrefixLen),
        rule.suppress_group.map(RuleAttribute::SuppressIfGroup),
        rule.iif.map(|id| RuleAttribute::Iifname(name(id))),
        rule.oif.map(|id| RuleAttribute::Oifname(name(id))),
        rule.tunnel.map(RuleAttribute::TunId),
        rule.uids.map(|(start, end)| RuleAttribute::UidRange(RuleUidRange { start, end })),
        rule.ip_protocol.map(|number| RuleAttribute::IpProtocol(IpProtocol::from(i32::from(number)))),
        rule.source_ports.map(|range| RuleAttribute::SourcePortRange(ports(range))),
        rule.destination_ports.map(|range| RuleAttribute::DestinationPortRange(ports(range))),
    ];
    attributes.extend(parts.into_iter().flatten());
    message
}
