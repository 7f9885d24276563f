//! `vrrp_script`: a command run again and again, whose exit status tells whether something is well.

#[cfg(feature = "io")]
mod watch;

use super::command::{Command, Standing};
use super::schedule::{Schedule, Time, Times, outcomes};
use super::{Defined, Kind, Programs, Weight};
use crate::syntax::command::{CommandLine, UserName};
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::{At, Mark, block};
use crate::syntax::source::Span;

block! {
    /// A script as it is written.
    pub struct Written, others (&[]) {
        /// The command; exit status 0 is success.
        "script" => script: Option<CommandLine>;
        /// Seconds from start to start; default 1.
        "interval" => interval: Option<At<Time>>;
        /// Seconds after which a run is ended and counts as failed; default the interval.
        "timeout" => timeout: Option<At<Time>>;
        /// What it does to the priority of virtual routers that do not say; 0 makes a failure a fault.
        "weight" => weight: Option<Weight<253>>;
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

/// A script; exit status 0 is success.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Script {
    pub command: Command,
    pub schedule: Schedule,
}

impl Written {
    pub fn define(self, name: &str, at: Span, with: &mut dyn Programs) -> Option<Defined> {
        let Self { script, interval, timeout, weight, rise, fall, user, init_fail, foreign: _ } = self;
        let of = format!("vrrp_script {name}");
        let Some(line) = script else {
            with.found().error(Class::Incomplete, at, format!("{of} has no `script`")).done("it is left out");
            return None;
        };
        let schedule = Schedule::new(interval, timeout, &of, with);
        match with.command(&line, user.as_ref(), &of) {
            Standing::Nobody => None,
            Standing::Unusable => Some(Defined::Disabled),
            Standing::Usable(command) => Some(Defined::Tracker {
                weight: weight.unwrap_or_default().0,
                plan: outcomes(rise, fall, init_fail),
                kind: Kind::Script(Script { command, schedule }),
            }),
        }
    }
}
