//! A check as it is run: a command again and again, whose exit status is heard by the engine.

#[cfg(feature = "io")]
mod watch;

use std::time::Duration;

#[cfg(feature = "io")]
pub use watch::watch;

use super::command::Command;

/// `vrrp_script`, resolved; exit status 0 is success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    pub command: Command,
    /// From start to start; default 1 s.
    pub interval: Duration,
    /// After this a run counts as failed and is ended; default the interval.
    pub timeout: Duration,
}

impl Script {
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
        let command = Command { argv: Vec::new(), run_as: Default::default(), groups: Vec::new() };
        let second = Duration::from_secs(1);
        let script = Script { command, interval: second, timeout: second };
        let mut phases: Vec<_> = (0..100).map(|number| script.phase(number)).collect();
        assert_eq!(phases[0], second, "a single script keeps its interval from the start");
        phases.sort();
        assert!(phases[0] > Duration::ZERO && phases[99] <= second);
        let widest = phases.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(widest < Some(Duration::from_millis(25)), "{widest:?}");
    }
}
