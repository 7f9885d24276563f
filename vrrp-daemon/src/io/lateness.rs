//! How late the protocol is: adverts against when they were due, takeovers against theory, wake-ups against their timer.
//!
//! It is counted by the protocol thread alone: no lock, no text, and nothing that grows.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vrrp_common::Instant;

use crate::engine::Due;
use crate::engine::matching::Moves;
use crate::engine::plan::InstanceId;

/// Buckets of a histogram: the first is below a microsecond, each is twice as wide as the one before, the last is 17
/// seconds and more.
const BUCKETS: usize = 26;

/// Durations, counted by powers of two of a microsecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    most: Duration,
}

impl Histogram {
    pub fn add(&mut self, late: Duration) {
        let micros = late.as_micros() as u64;
        let bucket = (u64::BITS - micros.leading_zeros()) as usize;
        self.counts[bucket.min(BUCKETS - 1)] += 1;
        self.most = self.most.max(late);
    }

    /// What so many of a thousand do not exceed; rounded up to the end of a bucket, never beyond the greatest.
    fn within(&self, of_thousand: u64) -> Duration {
        let rank = (self.counts.iter().sum::<u64>() * of_thousand).div_ceil(1000);
        let mut sum = 0;
        let bucket = self.counts.iter().position(|count| {
            sum += count;
            sum >= rank
        });
        bucket.and_then(end).unwrap_or(self.most).min(self.most)
    }
}

/// Where a bucket ends; `None` for the last, which does not.
fn end(bucket: usize) -> Option<Duration> {
    (bucket < BUCKETS - 1).then(|| Duration::from_micros(1 << bucket))
}

/// What is known of all instances together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    adverts: Histogram,
    takeovers: Histogram,
    wakeups: Histogram,
}

/// The measure, as it is taken.
#[derive(Debug)]
pub struct Lateness {
    measured: Measured,
    /// By instance: how late its latest advert was, microseconds.
    worst: Vec<u32>,
}

impl Lateness {
    pub fn new(instances: usize) -> Self {
        Self { measured: Measured::default(), worst: vec![0; instances] }
    }

    /// Instances move, between two turns.
    pub fn carry(&mut self, moves: &Moves<InstanceId>) {
        self.worst = moves.carry(std::mem::take(&mut self.worst), |_| 0);
    }

    /// The kernel has taken an advert. An answer cannot be late.
    pub fn sent(&mut self, id: InstanceId, due: Due, now: Instant) {
        let (histogram, due) = match due {
            Due::Now => return,
            Due::Advert(due) => (&mut self.measured.adverts, due),
            Due::Takeover(due) => (&mut self.measured.takeovers, due),
        };
        let late = now.since(due);
        histogram.add(late);
        let worst = &mut self.worst[id.index()];
        *worst = (*worst).max(late.as_micros().try_into().unwrap_or(u32::MAX));
    }

    /// The thread runs, having meant to sleep until `due` at most.
    pub fn woke(&mut self, due: Instant, now: Instant) {
        if due <= now {
            self.measured.wakeups.add(now.since(due));
        }
    }

    pub const fn measured(&self) -> Measured {
        self.measured
    }

    /// The latest that an advert of this instance ever was.
    pub fn worst(&self, id: InstanceId) -> Duration {
        Duration::from_micros(self.worst[id.index()].into())
    }
}

/// The measure, as it is told: microseconds, since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    /// Adverts of a master, from when they were due to when the kernel had taken them.
    pub advert: Spread,
    /// Takeovers: the first advert of a new master, from when the old one counted as dead.
    pub takeover: Spread,
    /// The protocol's thread, from when its timer was due to when it ran.
    pub wakeup: Spread,
}

/// How late something was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    pub count: u64,
    /// Half were no later; rounded up to the end of a bucket.
    pub p50_us: u64,
    /// The same of 99 in a hundred.
    pub p99_us: u64,
    pub max_us: u64,
    /// Those that are not empty, in order.
    pub buckets: Vec<Bucket>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Where it ends; the next shorter bucket ends at half of it. `null` for the last.
    pub below_us: Option<u64>,
    pub count: u64,
}

impl From<&Measured> for Late {
    fn from(measured: &Measured) -> Self {
        let Measured { adverts, takeovers, wakeups } = measured;
        Self { advert: adverts.into(), takeover: takeovers.into(), wakeup: wakeups.into() }
    }
}

impl From<&Histogram> for Spread {
    fn from(histogram: &Histogram) -> Self {
        let micros = |duration: Duration| duration.as_micros() as u64;
        let counted = histogram.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let buckets = counted.map(|(bucket, &count)| Bucket { below_us: end(bucket).map(micros), count });
        Self {
            count: histogram.counts.iter().sum(),
            p50_us: micros(histogram.within(500)),
            p99_us: micros(histogram.within(990)),
            max_us: micros(histogram.most),
            buckets: buckets.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(lates: impl IntoIterator<Item = u64>) -> Spread {
        let mut histogram = Histogram::default();
        lates.into_iter().for_each(|nanos| histogram.add(Duration::from_nanos(nanos)));
        Spread::from(&histogram)
    }

    #[test]
    fn buckets_end_at_powers_of_two() {
        let buckets = spread([0, 999, 1000, 1999, 2000, 3999, 4000, 1_000_000, 16_777_215_999, 16_777_216_000]).buckets;
        let expected =
            [(Some(1), 2), (Some(2), 2), (Some(4), 2), (Some(8), 1), (Some(1024), 1), (Some(16_777_216), 1), (None, 1)];
        assert_eq!(buckets, expected.map(|(below_us, count)| Bucket { below_us, count }));
        assert_eq!(spread([u64::MAX]).buckets, [Bucket { below_us: None, count: 1 }]);
    }

    #[test]
    fn percentiles_are_rounded_up_and_never_beyond_the_greatest() {
        let of = |lates: Vec<u64>| {
            let Spread { count, p50_us, p99_us, max_us, .. } = spread(lates);
            (count, p50_us, p99_us, max_us)
        };
        assert_eq!(of(vec![]), (0, 0, 0, 0));
        assert_eq!(of(vec![70_000]), (1, 70, 70, 70));
        // Of a hundred, the 99th is the last that counts.
        let hundred = |longest: usize| {
            let short = std::iter::repeat_n(5_000, 100 - longest);
            short.chain(std::iter::repeat_n(20_000_000_000, longest)).collect()
        };
        assert_eq!(of(hundred(1)), (100, 8, 8, 20_000_000));
        assert_eq!(of(hundred(2)), (100, 8, 20_000_000, 20_000_000));
    }

    #[test]
    fn only_what_was_due_can_be_late() {
        let at = Instant::from_nanos;
        let ids = [InstanceId(0), InstanceId(1), InstanceId(2)];
        let mut lateness = Lateness::new(3);
        lateness.sent(ids[0], Due::Advert(at(1_000_000)), at(4_000_000));
        lateness.sent(ids[1], Due::Takeover(at(1_000_000)), at(4_000_000));
        ids.into_iter().for_each(|id| lateness.sent(id, Due::Now, at(9_000_000)));
        let late = Late::from(&lateness.measured());
        assert_eq!((late.advert.count, late.advert.max_us), (1, 3000));
        assert_eq!((late.takeover.count, late.takeover.max_us), (1, 3000));
        assert_eq!(ids.map(|id| lateness.worst(id).as_micros()), [3000, 3000, 0]);
    }
}
