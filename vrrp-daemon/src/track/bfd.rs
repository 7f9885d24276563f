//! `bfd_instance`: a session of RFC 5880 with a neighbour, whose loss is noticed in milliseconds.

pub mod packet;
pub mod session;

use std::net::IpAddr;
use std::time::Duration;

use super::Weight;
use crate::syntax::schema::{At, Mark, block};
use crate::syntax::value::{Value, Whole, micros};

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
    pub struct Bfd, others (&[]) {
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
        "weight" => weight: Option<Weight>;
        /// Virtual routers hear of it, which they always do.
        "vrrp" => vrrp: Mark;
        /// Only keepalived's health checkers hear of it, unless `vrrp` is there, too.
        "checker" => checker: Mark;
    }
}

/// A session, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub neighbor: IpAddr,
    pub source: Option<IpAddr>,
    /// UDP port 4784 in place of 3784.
    pub is_multihop: bool,
    /// TTL or hop limit of our packets.
    pub ttl: u8,
    /// The least of what is heard.
    pub min_ttl: u8,
    pub timing: session::Timing,
    /// By `-B`: it is not run.
    pub is_left_out: bool,
}
