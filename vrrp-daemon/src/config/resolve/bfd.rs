//! `bfd_instance`: the session that it comes to.

use std::net::IpAddr;
use std::time::Duration;

use super::Resolver;
use super::tracker::What;
use crate::config::setup::TrackerKind;
use crate::engine::plan::TrackerPlan;
use crate::syntax::diagnostic::Class;
use crate::syntax::source::Span;
use crate::syntax::value::Whole;
use crate::track::bfd::session::Timing;
use crate::track::bfd::{Bfd, Peer};
use crate::track::{Weight, bfd};

/// keepalived's.
const INTERVAL: Duration = Duration::from_millis(10);
const IDLE_INTERVAL: Duration = Duration::from_secs(1);
const MULTIPLIER: u8 = 5;
/// Of packets that have crossed no router: RFC 5881 section 5.
const TTL: u8 = 255;
/// What keepalived sends over IPv6 unless it is told otherwise.
const HOP_LIMIT: u8 = 64;

impl Resolver<'_> {
    /// `None`: as if it had not been defined.
    pub(super) fn bfd(&mut self, block: Bfd, name: &str, at: Span) -> Option<(Weight, What)> {
        let Bfd {
            neighbor_ip,
            source_ip,
            min_rx,
            min_tx,
            idle_tx,
            multiplier,
            passive,
            ttl,
            hoplimit,
            max_hops,
            multihop,
            weight,
            vrrp,
            checker,
            foreign: _,
        } = block;
        let Some(neighbor) = neighbor_ip.map(|neighbor| neighbor.value) else {
            let message = format!("bfd_instance {name} has no `neighbor_ip`");
            self.found.error(Class::Incomplete, at, message).done("it is left out");
            return None;
        };
        if let Some(source) = source_ip.filter(|source| source.value.is_ipv4() != neighbor.is_ipv4()) {
            let message = format!("bfd_instance {name}: {} and {neighbor} are of different families", source.value);
            self.found.error(Class::Conflict, source.at, message).done("it is left out");
            return None;
        }
        if let (Some(only), None) = (checker.0, vrrp.0) {
            let message = format!("bfd_instance {name}: `checker` without `vrrp` keeps it from virtual routers");
            let diagnostic = self.found.notice(Class::WithoutEffect, only, message);
            diagnostic.done("there are no health checkers here; who tracks it hears of it");
        }
        let octet = |number: Whole<1, 255>| number.get() as u8;
        let (given, heard) = match neighbor {
            IpAddr::V4(_) => (ttl.map(octet), TTL),
            IpAddr::V6(_) => (hoplimit.map(octet), HOP_LIMIT),
        };
        let min_ttl = match max_hops.map_or(0, Whole::get) {
            -1 | 255 => 0,
            less => given.unwrap_or(heard).saturating_sub(less as u8),
        };
        let interval = |given: Option<bfd::Interval>| given.map_or(INTERVAL, |interval| interval.0);
        let peer = Peer {
            neighbor,
            source: source_ip.map(|source| source.value),
            is_multihop: multihop.0.is_some(),
            ttl: given.unwrap_or(TTL),
            min_ttl,
            timing: Timing {
                min_rx: interval(min_rx),
                min_tx: interval(min_tx),
                idle_tx: idle_tx.map_or(IDLE_INTERVAL, |interval| interval.0),
                multiplier: multiplier.map_or(MULTIPLIER, octet),
                passive: passive.0.is_some(),
            },
            is_left_out: false,
        };
        // As in keepalived, the neighbour is lost until it was heard.
        let plan = TrackerPlan { rise: 1, fall: 1, starts_failed: true };
        Some((weight.unwrap_or_default(), What::Defined(plan, TrackerKind::Bfd(peer))))
    }
}
