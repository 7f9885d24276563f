//! One case as it was read: a configuration, what happens to its router and when, and all that must come of it.
//!
//! The language is described in docs/TESTING.md.

use std::fmt;
use std::net::IpAddr;

use vrrp_common::drop::{Disposition, Reason};
use vrrp_daemon::config::setup::Setup;
use vrrp_daemon::engine::snapshot::StateName;

/// A whole `.case` file.
#[derive(Debug)]
pub struct Case {
    /// The file's name.
    pub name: String,
    /// Id of the rule that it shows.
    pub rule: String,
    pub sentence: String,
    /// Where the rule is from, `RFC 9568 6.4.2`.
    pub source: String,
    pub setup: Setup,
    pub steps: Vec<Step>,
}

/// Something that happens, and all that comes of it.
#[derive(Debug)]
pub struct Step {
    pub line: usize,
    pub at: Nanos,
    pub happening: Happening,
    pub expectations: Vec<Expectation>,
}

/// What happens to the router.
#[derive(Debug, PartialEq, Eq)]
pub enum Happening {
    /// An interface as it is from now on, with the addresses that it has.
    Interface {
        name: String,
        up: bool,
        addresses: Vec<IpAddr>,
    },
    /// A frame arrives by an interface: right for the virtual router meant, but for the fields given.
    Hear {
        source: IpAddr,
        on: Option<String>,
        fields: Vec<Field>,
    },
    /// A frame arrives, octet by octet.
    Frame {
        on: Option<String>,
        octets: Vec<u8>,
    },
    /// Time passes, and what was received before is heard.
    Deadline,
    /// A script has an outcome.
    Check {
        name: String,
        passed: bool,
    },
    /// The kernel has set an address, or could not.
    Address {
        address: IpAddr,
        installed: bool,
    },
    Shutdown,
}

/// One thing that must come of it.
#[derive(Debug)]
pub struct Expectation {
    pub line: usize,
    /// The virtual router meant; needed when there are several.
    pub router: Option<String>,
    pub what: Expected,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Expected {
    /// An advert is sent, with these fields.
    Advert(Vec<Field>),
    Install,
    Release,
    /// Of one address or of all.
    Announce {
        address: Option<IpAddr>,
        rounds: u32,
        frame: Option<Vec<u8>>,
    },
    /// Equal adverts need not be handed in, or must be again.
    Absorb(bool),
    /// The frame does not reach the state machine.
    Refused(Disposition, Reason),
    /// A log line with this text.
    Log(String),
    State(StateName),
    /// When the router next wants to be called, and why.
    Deadline(Option<(Nanos, String)>),
    /// The effective priority.
    Effective(u8),
    /// A counter of the router's statistics.
    Counter(String, u64),
    /// Nothing of all this.
    Nothing,
}

/// `name value`, of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub value: String,
}

/// Time since the case began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub u64);

impl fmt::Display for Nanos {
    /// In microseconds, as cases are written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 1000 {
            0 => write!(f, "{}us", self.0 / 1000),
            rest => write!(f, "{}.{}us", self.0 / 1000, format!("{rest:03}").trim_end_matches('0')),
        }
    }
}

/// What is wrong with a case, or with the router that it was tried on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub line: usize,
    pub text: String,
}

impl Fault {
    pub fn new(line: usize, text: impl Into<String>) -> Self {
        Self { line, text: text.into() }
    }
}
