//! `vrrp_script`: a command run again and again, whose exit status tells whether something is well.

#[cfg(feature = "io")]
mod watch;

use std::time::Duration;

use super::command::{Command, Standing};
use super::{Defined, Kind, Programs, Weight};
use crate::engine::plan::TrackerPlan;
use crate::syntax::command::{CommandLine, UserName};
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::{At, Mark, block};
use crate::syntax::source::Span;
use crate::syntax::value::{Seconds, Whole};

/// Intervals and timeouts, bounded as in keepalived.
pub type ScriptTime = Seconds<0, 4_294_000_000>;
/// How often in a row.
pub type Times = Whole<1, 2_147_483_647>;

/// One that says `interval 0` gets this.
const INTERVAL: Duration = Duration::from_secs(1);
/// As often as it may run.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

block! {
    /// A script as it is written.
    pub struct Written, others (&[]) {
        /// The command; exit status 0 is success.
        "script" => script: Option<CommandLine>;
        /// Seconds from start to start; default 1.
        "interval" => interval: Option<At<ScriptTime>>;
        /// Seconds after which a run is ended and counts as failed; default the interval.
        "timeout" => timeout: Option<At<ScriptTime>>;
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

/// When something is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Schedule {
    /// From start to start; default 1 s.
    pub interval: Duration,
    /// After this it counts as failed and is ended; default the interval.
    pub timeout: Duration,
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

/// How outcomes make a verdict.
pub fn outcomes(rise: Option<Times>, fall: Option<Times>, init_fail: Mark) -> TrackerPlan {
    let times = |count: Option<Times>| count.map_or(1, |count| count.get() as u32);
    TrackerPlan { rise: times(rise), fall: times(fall), starts_failed: init_fail.0.is_some() }
}

impl Schedule {
    /// From `interval` and `timeout` of a block; 0 of either is not meant.
    pub fn new(
        interval: Option<At<ScriptTime>>,
        timeout: Option<At<ScriptTime>>,
        of: &str,
        with: &mut dyn Programs,
    ) -> Self {
        let interval = match interval {
            Some(At { value, at }) if value.micros() == 0 => {
                with.found().error(Class::Value, at, format!("{of}: an interval of 0")).done("1 second is used");
                INTERVAL
            }
            Some(At { value, .. }) => value.duration().max(INTERVAL_MIN),
            None => INTERVAL,
        };
        let timeout = timeout.map(|timeout| timeout.value.duration()).filter(|timeout| !timeout.is_zero());
        Self { interval, timeout: timeout.unwrap_or(interval) }
    }

    /// How long after the first run the second one starts: a part of the interval that is different for each `number`, so
    /// that scripts of equal interval, which all start at once, do not keep starting together. Later runs are one
    /// interval apart.
    pub fn phase(&self, number: u32) -> Duration {
        // Multiples of the golden ratio, modulo one, fill the interval evenly however many there are.
        let fraction = f64::from(number.wrapping_mul(0x9e37_79b9)) / 4_294_967_296.0;
        self.interval.mul_f64(1.0 - fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_fill_the_interval_and_never_exceed_it() {
        let second = Duration::from_secs(1);
        let schedule = Schedule { interval: second, timeout: second };
        let mut phases: Vec<_> = (0..100).map(|number| schedule.phase(number)).collect();
        assert_eq!(phases[0], second, "a single script keeps its interval from the start");
        phases.sort();
        assert!(phases[0] > Duration::ZERO && phases[99] <= second);
        let widest = phases.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(widest < Some(Duration::from_millis(25)), "{widest:?}");
    }
}
