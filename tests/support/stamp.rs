//! Instants of CLOCK_REALTIME, the clock of the kernel's packet time stamps.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub u64);

impl Stamp {
    pub fn now() -> Self {
        Self(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64))
    }

    /// Time from here until now.
    pub fn elapsed(self) -> Duration {
        Self::now() - self
    }
}

impl Sub for Stamp {
    type Output = Duration;

    /// Zero when `earlier` is later.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Stamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0 + span.as_nanos() as u64)
    }
}

/// A duration in milliseconds, as the tables show it.
pub struct Millis(pub Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_secs_f64() * 1e3;
        let text = if millis < 10.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") };
        f.pad(&text)
    }
}
