//! What the engine shows of an instance to whoever asks.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use vrrp_common::{Centis, Instant, Priority};

use super::stats::Stats;

/// The state of an instance, as it is named in notify scripts and status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StateName {
    Init,
    Backup,
    Master,
    Fault,
    Stop,
}

impl StateName {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Backup => "BACKUP",
            Self::Master => "MASTER",
            Self::Fault => "FAULT",
            Self::Stop => "STOP",
        }
    }
}

/// Why an instance is in its state; RFC 8347's `last-event`, and what it has no word for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    None,
    Startup,
    Shutdown,
    /// A master yielded to one of higher priority, or of equal priority and higher address.
    HigherPriorityBackup,
    /// The master was not heard for the whole down interval.
    MasterTimeout,
    /// The master left with priority 0.
    MasterLeft,
    /// A backup of higher priority let a weaker master starve.
    LowerPriorityMaster,
    InterfaceDown,
    NoPrimaryIpAddress,
    NoPeer,
    CheckFailed,
    /// What was at fault is well again.
    FaultCleared,
    OwnerPreempt,
    /// Its own advert was so late that another must have taken over.
    CameTooLate,
    /// Another member of its sync group moved.
    SyncGroup,
}

/// The master that a backup hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rival {
    pub address: IpAddr,
    #[serde(serialize_with = "octet")]
    pub priority: Priority,
}

fn octet<S: serde::Serializer>(priority: &Priority, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(priority.get())
}

/// One instance at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub state: StateName,
    pub since: Instant,
    pub cause: Cause,
    /// Configured, and with what trackers make of it.
    pub base: Priority,
    pub effective: Priority,
    /// Ourselves while master; the last one heard while backup.
    pub master: Option<Rival>,
    /// The interval of the master's adverts; our own while master, or while none was heard.
    pub interval: Centis,
    pub stats: Stats,
}
