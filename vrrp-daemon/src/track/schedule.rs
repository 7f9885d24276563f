//! When something is tried again and again, and how outcomes make a verdict.

use std::time::Duration;

use super::Programs;
use crate::engine::plan::TrackerPlan;
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::{At, Mark};
use crate::syntax::value::{Seconds, Whole};

/// Intervals and timeouts, bounded as in keepalived.
pub type Time = Seconds<0, 4_294_000_000>;
/// How often in a row.
pub type Times = Whole<1, 2_147_483_647>;

/// What says `interval 0` gets this.
const INTERVAL: Duration = Duration::from_secs(1);
/// As often as something may be tried.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// `interval` and `timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Schedule {
    /// From start to start; default 1 s.
    pub interval: Duration,
    /// After this it counts as failed and is ended; default the interval.
    pub timeout: Duration,
}

impl Schedule {
    /// 0 of either is not meant.
    pub fn new(interval: Option<At<Time>>, timeout: Option<At<Time>>, of: &str, with: &mut dyn Programs) -> Self {
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

    /// How long after the first time the second one comes: a part of the interval that is different for each `number`, so
    /// that what has equal intervals, and all starts at once, does not keep starting together. Later ones are one
    /// interval apart.
    pub fn phase(&self, number: u32) -> Duration {
        // Multiples of the golden ratio, modulo one, fill the interval evenly however many there are.
        let fraction = f64::from(number.wrapping_mul(0x9e37_79b9)) / 4_294_967_296.0;
        self.interval.mul_f64(1.0 - fraction)
    }
}

/// The next start, not before now: what a sleeping machine missed is not made up for.
#[cfg(feature = "io")]
pub fn following(
    due: tokio::time::Instant,
    step: Duration,
    interval: Duration,
    now: tokio::time::Instant,
) -> tokio::time::Instant {
    let next = due + step;
    let late = now.saturating_duration_since(next);
    let missed = late.as_nanos().div_ceil(interval.as_nanos());
    next + interval.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX))
}

/// `rise`, `fall` and `init_fail`.
pub fn outcomes(rise: Option<Times>, fall: Option<Times>, init_fail: Mark) -> TrackerPlan {
    let times = |count: Option<Times>| count.map_or(1, |count| count.get() as u32);
    TrackerPlan { rise: times(rise), fall: times(fall), starts_failed: init_fail.0.is_some() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_fill_the_interval_and_never_exceed_it() {
        let second = Duration::from_secs(1);
        let schedule = Schedule { interval: second, timeout: second };
        let mut phases: Vec<_> = (0..100).map(|number| schedule.phase(number)).collect();
        assert_eq!(phases[0], second, "a single one keeps its interval from the start");
        phases.sort();
        assert!(phases[0] > Duration::ZERO && phases[99] <= second);
        let widest = phases.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(widest < Some(Duration::from_millis(25)), "{widest:?}");
    }

    #[cfg(feature = "io")]
    #[test]
    fn missed_starts_are_not_made_up_for() {
        let start = tokio::time::Instant::now();
        let (ms, interval) = (Duration::from_millis, Duration::from_millis(100));
        assert_eq!(following(start, interval, interval, start), start + ms(100));
        assert_eq!(following(start, interval, interval, start + ms(450)), start + ms(500));
        assert_eq!(following(start, ms(30), interval, start + ms(450)), start + ms(530));
    }
}
