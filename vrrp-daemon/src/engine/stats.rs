//! What an instance counts; keepalived's statistics, by the same names.

use serde::{Deserialize, Serialize};
use vrrp_common::drop::Reason;

/// Since the daemon started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    pub advert_rcvd: u64,
    pub advert_sent: u64,
    pub become_master: u64,
    pub release_master: u64,
    pub pri_zero_rcvd: u64,
    pub pri_zero_sent: u64,
    /// Adverts of a lower priority than ours.
    pub lower_prio_rcvd: u64,
    /// Answers to them that the limit withheld (RFC 9568 section 6.4.3 would make a reflector of us).
    pub answers_withheld: u64,
    pub addr_list_err: u64,
    pub advert_interval_err: u64,
    /// Adverts from our own address.
    pub self_rcvd: u64,
    /// Intervals many times ours, which were not believed (v3).
    pub interval_jumps: u64,
    /// Adverts of priority 255 that an owner heard.
    pub owner_conflicts: u64,
    /// Adverts of priority 255 of another router than the one before.
    pub several_owners: u64,
    /// Adverts that an owner did not listen to (`owner_ignore_adverts`).
    pub adverts_ignored: u64,
    /// With both versions: adverts of version 2, without those that repeat what was said in version 3 or were absorbed.
    pub version_2_rcvd: u64,
    /// Those that do, which are not listened to.
    pub version_2_ignored: u64,
    /// Those of a stronger router, while our interval is less than a second.
    pub version_2_preferred: u64,
    /// Intervals that passed without our advert because this host was late.
    pub advert_missed: u64,
}

impl Stats {
    /// What the engine found of valid adverts, beside what was found of their frames.
    pub fn by_reason(&self) -> [(Reason, u64); 5] {
        [
            (Reason::IntervalJump, self.interval_jumps),
            (Reason::AddrListMismatch, self.addr_list_err),
            (Reason::OwnerConflict, self.owner_conflicts),
            (Reason::Prio255FromNonOwner, self.several_owners),
            (Reason::LowerPrioDiscarded, self.lower_prio_rcvd),
        ]
    }
}
