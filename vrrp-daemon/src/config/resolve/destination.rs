//! Where a virtual router's adverts go: to a group, or to unicast peers.

use std::collections::BTreeSet;
use std::net::IpAddr;

use vrrp_common::Family;
use vrrp_common::wire::ip::vrrp_group;

use super::{LEFT_OUT, Resolver};
use crate::config::setup::{Destination, Peer, Unicast};
use crate::config::unicast;
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::{At, Items, Mark, Switch};
use crate::syntax::value::Whole;

/// The keywords that say it.
pub struct Written {
    pub mcast_src_ip: Option<At<IpAddr>>,
    pub mcast_dst_ip: Option<At<IpAddr>>,
    pub unicast_src_ip: Option<At<IpAddr>>,
    pub unicast_peer: Items<unicast::Peer>,
    pub unicast_ttl: Option<At<Whole<0, 255>>>,
    pub check_unicast_src: Switch,
    pub unicast_fault_no_peer: Mark,
}

impl Resolver<'_> {
    /// Where adverts go and what they are sent from; `None` when the virtual router is left out, reported.
    pub(super) fn destination(
        &mut self,
        written: Written,
        family: Family,
        name: &str,
    ) -> Option<(Destination, Option<IpAddr>)> {
        let Written { mcast_src_ip, mcast_dst_ip, unicast_src_ip, .. } = written;
        match self.peers(written, family, name) {
            Some(peers) => {
                for (keyword, given) in [("mcast_src_ip", mcast_src_ip), ("mcast_dst_ip", mcast_dst_ip)] {
                    if let Some(given) = given {
                        let message = format!("({name}) `{keyword}` and unicast peers exclude each other");
                        self.found.warning(Class::Conflict, given.at, message).done(format!("`{keyword}` is ignored"));
                    }
                }
                let source = self.of_family(unicast_src_ip, family, (name, "unicast_src_ip"));
                Some((Destination::Peers(peers), source))
            }
            None => {
                if let Some(source) = unicast_src_ip {
                    let message = format!("({name}) `unicast_src_ip` without unicast peers");
                    let diagnostic = self.found.warning(Class::Conflict, source.at, message);
                    let done = "adverts go to the multicast group, from this address";
                    diagnostic.done(done).hint("write `mcast_src_ip`");
                }
                let source = self.of_family(mcast_src_ip.or(unicast_src_ip), family, (name, "mcast_src_ip"));
                let group = self.of_family(mcast_dst_ip, family, (name, "mcast_dst_ip"));
                if let Some(At { value, at }) = mcast_dst_ip.filter(|_| group.is_some_and(|group| !is_group(group))) {
                    let what = if value.is_ipv6() { "link-local multicast group" } else { "multicast group" };
                    let message = format!("({name}) `mcast_dst_ip` is {value}, which is no {what}");
                    self.found.error(Class::Value, at, message).done(LEFT_OUT);
                    return None;
                }
                let default = match family {
                    Family::V4 => self.defaults.mcast_group4.map(IpAddr::V4),
                    Family::V6 => self.defaults.mcast_group6.map(IpAddr::V6),
                };
                let group = group.or(default).unwrap_or_else(|| vrrp_group(family).ip(family));
                Some((Destination::Group(group), source))
            }
        }
    }

    /// `None`: it is one of the group's, as in keepalived without a peer, unless it is to be at fault then.
    fn peers(&mut self, written: Written, family: Family, name: &str) -> Option<Unicast> {
        let Written { unicast_src_ip, unicast_peer, unicast_ttl, check_unicast_src, unicast_fault_no_peer, .. } =
            written;
        let at = unicast_peer.at?;
        let says_how_far = |peer: &At<unicast::Peer>| peer.value.min_ttl.or(peer.value.max_ttl).is_some();
        let limited = unicast_peer.items.iter().any(says_how_far);
        let mut peers = Vec::new();
        let mut known = BTreeSet::new();
        for item in unicast_peer.items {
            let unicast::Peer { address, min_ttl, max_ttl } = item.value;
            let against = if Family::of(address) != family {
                "is of the other family than the virtual addresses"
            } else if address.is_multicast() || address.is_unspecified() {
                "is not the address of a host"
            } else if unicast_src_ip.is_some_and(|source| source.value == address) {
                "is our own `unicast_src_ip`"
            } else if !known.insert(address) {
                "is there a second time"
            } else {
                let (min_ttl, max_ttl) = (min_ttl.unwrap_or(0), max_ttl.unwrap_or(u8::MAX));
                if min_ttl > max_ttl {
                    let message = format!("({name}) peer {address}: min_ttl {min_ttl} is above max_ttl {max_ttl}");
                    self.found.error(Class::Conflict, item.at, message).done("both are ignored");
                    peers.push(Peer { address, min_ttl: 0, max_ttl: u8::MAX });
                } else {
                    peers.push(Peer { address, min_ttl, max_ttl });
                }
                continue;
            };
            let message = format!("({name}) unicast peer {address} {against}");
            self.found.error(Class::Conflict, item.at, message).done("the peer is skipped");
        }
        if peers.is_empty() {
            let message = format!("({name}) has no unicast peer");
            let stays = unicast_fault_no_peer.0.is_some();
            let done = if stays { "it is in FAULT" } else { "adverts go to the multicast group" };
            let diagnostic = self.found.warning(Class::Incomplete, at, message).done(done);
            if !stays {
                return None;
            }
            diagnostic.hint("`unicast_fault_no_peer` says that it must not serve alone");
        }
        let peers_only = match check_unicast_src.0 {
            Some(own) => own.value,
            // To say of one how far away it is turns it on, as keepalived has it: a limit that others need not keep is none.
            None => self.default(self.defaults.check_unicast_src.0, at).unwrap_or(limited),
        };
        let ttl = unicast_ttl.map_or(u8::MAX, |ttl| ttl.value.get() as u8);
        Some(Unicast { peers, ttl, peers_only })
    }

    /// Whether a source address is watched: only one that is given can be missing.
    pub(super) fn tracks_source(&mut self, Mark(given): Mark, source: Option<IpAddr>, name: &str) -> bool {
        let Some(at) = given.filter(|_| source.is_none()) else { return given.is_some() };
        let message = format!("({name}) `track_src_ip` without a source address");
        let diagnostic = self.found.notice(Class::Conflict, at, message).done("it is ignored, as in keepalived");
        diagnostic.hint("write `mcast_src_ip` or, beside unicast peers, `unicast_src_ip`");
        false
    }

    /// An address, unless it is of the other family than the virtual router.
    fn of_family(
        &mut self,
        given: Option<At<IpAddr>>,
        family: Family,
        (name, keyword): (&str, &str),
    ) -> Option<IpAddr> {
        let At { value, at } = given?;
        if Family::of(value) == family {
            return Some(value);
        }
        let message = format!("({name}) `{keyword}` is {value}, of the other family than the virtual addresses");
        self.found.error(Class::Conflict, at, message).done("the line is skipped");
        None
    }
}

/// Whether adverts can go there: over IPv6 they stay on the link (RFC 9568 section 5.1.2.2), as keepalived has it, too.
pub(super) fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_multicast(),
        // The scope is in the second octet, beside flags (RFC 4291 section 2.7).
        IpAddr::V6(address) => address.is_multicast() && address.octets()[1] & 0x0f == 2,
    }
}
