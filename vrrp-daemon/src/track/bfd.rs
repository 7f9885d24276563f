//! `bfd_instance`: a session of RFC 5880 with a neighbour, whose loss is noticed in milliseconds.

pub mod packet;
pub mod session;
#[cfg(feature = "io")]
pub mod word;

use std::net::IpAddr;
use std::time::Duration;

use super::{Defined, Kind, Programs, Weight};
use crate::engine::plan::TrackerPlan;
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::{At, Mark, block};
use crate::syntax::source::Span;
use crate::syntax::value::{Value, Whole, micros};
use session::Timing;

/// keepalived's.
const INTERVAL: Duration = Duration::from_millis(10);
const IDLE_INTERVAL: Duration = Duration::from_secs(1);
const MULTIPLIER: u8 = 5;
/// Of packets that have crossed no router: RFC 5881 section 5.
const TTL: u8 = 255;
/// What keepalived sends over IPv6 unless it is told otherwise.
const HOP_LIMIT: u8 = 64;

/// Milliseconds with a decimal fraction, to the microsecond; bounds in milliseconds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Millis<const MIN: u64, const MAX: u64>(pub Duration);

impl<const MIN: u64, const MAX: u64> Value for Millis<MIN, MAX> {
    fn expected() -> String {
        format!("milliseconds from {MIN} to {MAX}")
    }

    fn parse(word: &str) -> Option<Self> {
        // Read as seconds, it is a thousand times as much.
        let micros = micros(word)? / 1000;
        (MIN * 1000..=MAX * 1000).contains(&micros).then(|| Self(Duration::from_micros(micros)))
    }
}

/// An interval, bounded as in keepalived by what 32 bits of microseconds hold.
pub type Interval = Millis<1, 4_294_967>;
/// The interval of a session that is not up: RFC 5880 section 6.8.3 wants a second at least.
pub type IdleInterval = Millis<1000, 4_294_967>;

block! {
    /// A session as it is written.
    pub struct Written, others (&[]) {
        /// The neighbour's address.
        "neighbor_ip" | "neighbour_ip" => neighbor_ip: Option<At<IpAddr>>;
        /// Our own; default as the kernel chooses.
        "source_ip" => source_ip: Option<At<IpAddr>>;
        /// Milliseconds between packets that the neighbour may send; default 10.
        "min_rx" => min_rx: Option<Interval>;
        /// Milliseconds between our packets, unless the neighbour wants fewer; default 10.
        "min_tx" => min_tx: Option<Interval>;
        /// The same while the session is not up; default 1000.
        "idle_tx" => idle_tx: Option<IdleInterval>;
        /// Missed packets until the session is down; default 5.
        "multiplier" => multiplier: Option<Whole<1, 255>>;
        /// Say nothing before the neighbour does.
        "passive" => passive: Mark;
        /// TTL of our packets over IPv4; default 255.
        "ttl" => ttl: Option<Whole<1, 255>>;
        /// Hop limit of our packets over IPv6; default 255, and 64 is heard.
        "hoplimit" => hoplimit: Option<Whole<1, 255>>;
        /// How much less than that may be left of what arrives; -1 and 255: anything.
        "max_hops" => max_hops: Option<Whole<-1, 255>>;
        /// The neighbour is not on the link: port 4784 (RFC 5883).
        "multihop" => multihop: Mark;
        /// What it does to the priority of virtual routers that do not say; 0 makes its loss a fault.
        "weight" => weight: Option<Weight<253>>;
        /// Virtual routers hear of it, which they always do.
        "vrrp" => vrrp: Mark;
        /// Only keepalived's health checkers hear of it, unless `vrrp` is there, too.
        "checker" => checker: Mark;
    }
}

/// A session, resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bfd {
    pub neighbor: IpAddr,
    pub source: Option<IpAddr>,
    /// UDP port 4784 in place of 3784.
    pub is_multihop: bool,
    /// TTL or hop limit of our packets.
    pub ttl: u8,
    /// The least of what is heard.
    pub min_ttl: u8,
    pub timing: Timing,
}

impl Written {
    /// What it comes to. `None`: as if it had not been defined, reported.
    pub fn define(self, name: &str, at: Span, with: &mut dyn Programs) -> Option<Defined> {
        let Self {
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
        } = self;
        let Some(neighbor) = neighbor_ip.map(|neighbor| neighbor.value) else {
            let message = format!("bfd_instance {name} has no `neighbor_ip`");
            with.found().error(Class::Incomplete, at, message).done("it is left out");
            return None;
        };
        if let Some(source) = source_ip.filter(|source| source.value.is_ipv4() != neighbor.is_ipv4()) {
            let message = format!("bfd_instance {name}: {} and {neighbor} are of different families", source.value);
            with.found().error(Class::Conflict, source.at, message).done("it is left out");
            return None;
        }
        if let (Some(only), None) = (checker.0, vrrp.0) {
            let message = format!("bfd_instance {name}: `checker` without `vrrp` keeps it from virtual routers");
            let diagnostic = with.found().notice(Class::WithoutEffect, only, message);
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
        let interval = |given: Option<Interval>| given.map_or(INTERVAL, |interval| interval.0);
        let session = Bfd {
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
        };
        // As in keepalived, the neighbour is lost until it was heard.
        let plan = TrackerPlan { rise: 1, fall: 1, starts_failed: true };
        Some(Defined::Tracker {
            weight: weight.map(|weight| weight.0).unwrap_or_default(),
            plan,
            kind: Kind::Bfd(session),
        })
    }
}
