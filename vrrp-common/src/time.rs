//! Monotonic time, advertisement intervals, and the two durations that the protocol derives from them.

use core::fmt;
use core::ops::{Add, Sub};
use core::time::Duration;

use crate::ids::{Priority, Version};

/// A point of CLOCK_MONOTONIC, in nanoseconds: the clock of `bpf_ktime_get_ns` and of timerfd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to here; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates: 584 years after boot is far enough for "never".
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }
}

/// Whole nanoseconds of a duration, saturating. (`as_nanos` is 128 bits wide, which the BPF target cannot do.)
const fn nanos(span: Duration) -> u64 {
    span.as_secs().saturating_mul(1_000_000_000).saturating_add(span.subsec_nanos() as u64)
}

/// An advertisement interval in centiseconds, never 0.
///
/// The v3 field carries 1 to 4095 (RFC 9568 section 5.2.7); v2 carries 1 to 255 whole seconds (RFC 3768 section 5.3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Centis(u16);

impl Centis {
    pub const SECOND: Self = Self(100);
    /// The widest value of v3's 12 bits, 40.95 s.
    pub const MAX_V3: Self = Self(4095);

    /// `None` for 0: an interval of 0 would make every backup take over at once (erratum 8301).
    pub const fn new(centis: u16) -> Option<Self> {
        if centis == 0 { None } else { Some(Self(centis)) }
    }

    pub const fn get(self) -> u16 {
        self.0
    }

    /// As v2 says it: whole seconds, 1 to 255 (RFC 9568 section 8.4 has v2 say one second of what is less).
    pub const fn seconds(self) -> u8 {
        match self.0 / 100 {
            0 => 1,
            seconds if seconds > 255 => 255,
            seconds => seconds as u8,
        }
    }

    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0 as u64 * 10)
    }
}

impl fmt::Display for Centis {
    /// In seconds, as `advert_int` is written: `1`, `0.01`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, centis) = (self.0 / 100, self.0 % 100);
        match (centis, centis % 10) {
            (0, _) => write!(f, "{whole}"),
            (_, 0) => write!(f, "{whole}.{}", centis / 10),
            _ => write!(f, "{whole}.{centis:02}"),
        }
    }
}

/// Skew_Time: how much later a router of lower priority takes over.
///
/// v3: (256 - priority) / 256 of the master's interval (RFC 9568 section 6.1); v2: of one second (RFC 3768 section
/// 6.1). In nanoseconds: whole centiseconds would make it zero at 10 ms, and with it the order of election.
pub const fn skew(version: Version, priority: Priority, interval: Centis) -> Duration {
    let whole = match version {
        Version::V2 => Centis::SECOND,
        Version::V3 => interval,
    };
    let nanos = whole.get() as u64 * 10_000_000;
    Duration::from_nanos((256 - priority.get() as u64) * nanos / 256)
}

/// Active_Down_Interval (Master_Down_Interval): how long a backup waits for the next advert.
///
/// `adverts` missed intervals (3 in the RFC; keepalived's `down_timer_adverts`) and the skew.
pub const fn down(version: Version, priority: Priority, interval: Centis, adverts: u8) -> Duration {
    let intervals = Duration::from_millis(interval.get() as u64 * 10 * adverts as u64);
    intervals.saturating_add(skew(version, priority, interval))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    const fn prio(p: u8) -> Priority {
        match Priority::new(p) {
            Some(p) => p,
            None => unreachable!(),
        }
    }

    const CENTI: Centis = Centis(1);

    #[test]
    fn skew_against_literals() {
        // PROTOCOL C1: at 10 ms, D is 30.08 ms for 254, 36.09 ms for 100, 39.96 ms for 1.
        assert_eq!(down(Version::V3, prio(254), CENTI, 3).as_nanos(), 30_078_125);
        assert_eq!(down(Version::V3, prio(100), CENTI, 3).as_nanos(), 36_093_750);
        assert_eq!(down(Version::V3, prio(1), CENTI, 3).as_nanos(), 39_960_937);
        assert_eq!(down(Version::V3, prio(100), Centis::SECOND, 3).as_nanos(), 3_609_375_000);
        // v2's skew is a part of a second, whatever the interval.
        assert_eq!(down(Version::V2, prio(254), Centis::SECOND, 3).as_nanos(), 3_007_812_500);
        assert_eq!(skew(Version::V2, prio(156), Centis(1000)).as_nanos(), 390_625_000);
        // The owner's skew is 1/256, not zero.
        assert_eq!(skew(Version::V3, Priority::OWNER, CENTI).as_nanos(), 39_062);
    }

    #[test]
    fn one_step_of_priority_is_39_microseconds_at_a_centisecond() {
        let step = skew(Version::V3, prio(99), CENTI) - skew(Version::V3, prio(100), CENTI);
        assert_eq!(step.as_nanos(), 39_062);
    }

    #[test]
    fn intervals_read_as_advert_int_is_written() {
        for (centis, text) in [(1, "0.01"), (10, "0.1"), (25, "0.25"), (100, "1"), (150, "1.5"), (4095, "40.95")] {
            assert_eq!(format!("{}", Centis(centis)), text);
        }
    }

    #[test]
    fn instants_saturate() {
        let start = Instant::from_nanos(5);
        assert_eq!(start - Duration::from_secs(1), Instant::from_nanos(0));
        assert_eq!(start + Duration::MAX, Instant::from_nanos(u64::MAX));
        assert_eq!(start.since(start + Duration::from_nanos(1)), Duration::ZERO);
    }
}
