//! The one list of what happens to an instance and is worth telling: the log line, its level and its hooks follow from it.
//! What happens to a sync group is beside it.
//!
//! Lines that operators of keepalived search their logs for are worded as there.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use vrrp_common::{Centis, Priority};

use super::snapshot::StateName;

/// Declares [`Event`]: `Name { fields } level "text"` behind the help of each.
macro_rules! events {
    ($($(#[$doc:meta])* $name:ident $({ $($field:ident: $type:ty),+ })? $level:ident $text:literal;)+) => {
        /// Something that happened to one instance.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Event {
            $($(#[$doc])* $name $({ $($field: $type),+ })?,)+
        }

        impl Event {
            pub const fn level(&self) -> Level {
                match self { $(Self::$name { .. } => Level::$level,)+ }
            }
        }

        impl fmt::Display for Event {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Self::$name $({ $($field),+ })? => write!(f, $text),)+ }
            }
        }
    };
}

/// How loudly an event is told. Nothing that a packet alone can cause is louder than `Warn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Error,
    Warn,
    Info,
}

events! {
    /// It takes part for the first time, or again after a fault it had from the start.
    Started Info "Entering BACKUP STATE (init)";
    BecameBackup Info "Entering BACKUP STATE";
    BecameMaster Info "Entering MASTER STATE";
    BecameFault Info "Entering FAULT STATE";
    /// The daemon stops.
    Stopped Info "Entering STOP STATE";
    /// A reload took it out of the configuration.
    Deleted Info "is not configured any more";
    MasterTimedOut Info "Receive advertisement timeout";
    InterfaceDown Info "interface is down";
    NoAddress Warn "interface has no address to send from";
    NoPeer Warn "has no unicast peer";
    CheckFailed Info "a tracked check has failed";
    InstallsAddresses Info "setting VIPs.";
    ReleasesAddresses Info "removing VIPs.";
    SentPriorityZero Info "sent 0 priority";
    HeardPriorityZero Info "Backup received priority 0 advertisement";
    /// A backup hears a master weaker than itself, and lets it starve.
    HeardLower { source: IpAddr, theirs: Priority } Info "received lower priority ({theirs}) advert from {source} - discarding";
    /// A master hears another that must yield to it.
    MasterHeardLower { source: IpAddr, theirs: Priority, ours: Priority } Info
        "Received advert from {source} with lower priority {theirs}, ours {ours}, forcing new election";
    MasterHeardHigher { source: IpAddr, theirs: Priority, ours: Priority } Info
        "Master received advert from {source} with higher priority {theirs}, ours {ours}";
    MasterHeardEqual { source: IpAddr, theirs: Priority } Info
        "Master received advert from {source} with same priority {theirs} but higher IP address than ours";
    /// A router with our address and our priority: neither can yield to the other.
    HeardTwin Warn "WARNING - equal priority advert received from remote host with our IP address.";
    HeardItself { source: IpAddr } Warn
        "WARNING - advert received from remote host with our IP address {source}.";
    PriorityChanged { from: Priority, to: Priority } Info "Changing effective priority from {from} to {to}";
    /// The advertised addresses are not ours.
    AddressListDiffers { source: IpAddr } Warn "advert from {source} names other virtual addresses than this configuration";
    /// v3: the master's interval is not ours.
    IntervalDiffers { source: IpAddr, theirs: Centis, ours: Centis } Warn
        "advert from {source} has interval {theirs} s, ours is {ours} s";
    /// v3: a followed master's interval is suddenly many times ours.
    IntervalJumps { source: IpAddr, theirs: Centis, kept: Centis } Warn
        "advert from {source} has interval {theirs} s, which is not believed; {kept} s is kept";
    OtherOwner { source: IpAddr } Warn
        "advert from {source} claims to own the addresses (priority 255), and so does another router";
    /// `vrrpd_dual_version`: a router of version 2 is stronger than this one, whose interval is less than a second.
    VersionTwoPreferred { source: IpAddr, theirs: Priority } Warn
        "advert from {source} is of version 2 and has priority {theirs}: while it is preferred, failover takes seconds";
    PreemptDelayStarts { delay: Seconds } Info "start preempt delay ({delay})";
    PreemptDelayEnds Info "stop preempt delay";
    /// A master that must suppose that another took over meanwhile.
    CameTooLate { late: Seconds } Warn "A thread timer expired {late} seconds ago";
    /// What it means is in the line of the host side, which has the address and the kernel's error.
    AddressFailed { address: u32 } Error "virtual address number {address} could not be set";
}

impl Event {
    /// The state that it is the entry of.
    pub const fn entered(&self) -> Option<StateName> {
        match self {
            Self::Started | Self::BecameBackup => Some(StateName::Backup),
            Self::BecameMaster => Some(StateName::Master),
            Self::BecameFault => Some(StateName::Fault),
            Self::Stopped => Some(StateName::Stop),
            _ => None,
        }
    }

    /// Whether adverts can cause it as often as they come, and no state changes by it: a forger could fill the log with such.
    pub const fn is_cheap(&self) -> bool {
        matches!(self, Self::HeardLower { .. } | Self::MasterHeardLower { .. } | Self::HeardPriorityZero)
    }
}

/// A span as keepalived writes it: `3.000000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.0.as_secs_f64())
    }
}

/// Something that happened to a sync group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupEvent {
    /// A member moved, and the others follow it: for the log.
    Syncs(StateName),
    /// All have moved: for the group's scripts.
    Entered(StateName),
}

impl fmt::Display for GroupEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Syncs(state) | Self::Entered(state)) = self;
        write!(f, "Syncing instances to {} state", state.label())
    }
}
