//! `vrrp_script`: a command run again and again, whose exit status tells whether something is well.

use super::Weight;
use crate::syntax::command::{CommandLine, UserName};
use crate::syntax::diagnostic::Diagnostics;
use crate::syntax::schema::{At, FromEntry, Mark, block};
use crate::syntax::tree::Entry;
use crate::syntax::value::{Seconds, Whole};

/// Intervals and timeouts, bounded as in keepalived.
pub type ScriptTime = Seconds<0, 4_294_000_000>;
/// How often in a row.
pub type Times = Whole<1, 2_147_483_647>;

block! {
    /// A script as it is written.
    pub struct Script, others (&[]) {
        /// The command; exit status 0 is success.
        "script" => script: Option<CommandLine>;
        /// Seconds from start to start; default 1.
        "interval" => interval: Option<At<ScriptTime>>;
        /// Seconds after which a run is ended and counts as failed; default the interval.
        "timeout" => timeout: Option<At<ScriptTime>>;
        /// What it does to the priority of virtual routers that do not say; 0 makes a failure a fault.
        "weight" => weight: Option<Weight>;
        /// Successes in a row until it counts as well again.
        "rise" => rise: Option<Times>;
        /// Failures in a row until it counts as failed.
        "fall" => fall: Option<Times>;
        /// Who runs it: user, and group if another than the user's.
        "user" => user: Option<UserName>;
        /// It counts as failed until it was heard of.
        "init_fail" => init_fail: Mark;
    }
}

impl FromEntry for Weight {
    fn from_entry(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        entry.parameter("a whole number from -253 to 253, perhaps with reverse", found)?;
        super::weight(entry.parameters(), found)
    }
}
