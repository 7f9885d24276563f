//! How often things are put right that somebody else undoes: at once the first time, then once a second for each of them.
//! Two programs that undo each other's work must not keep the host busy with it.

use std::collections::BTreeMap;
use std::time::Duration;

use vrrp_common::Instant;

/// Between two repairs of one thing.
const PERIOD: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub struct Repairs<T> {
    /// When a thing was last repaired, for as long as that matters.
    last: BTreeMap<T, Instant>,
    /// Things that wait for their time.
    waiting: BTreeMap<T, Instant>,
}

impl<T> Default for Repairs<T> {
    fn default() -> Self {
        Self { last: BTreeMap::new(), waiting: BTreeMap::new() }
    }
}

impl<T: Ord + Copy> Repairs<T> {
    /// Whether a thing may be repaired now, and is taken to be; otherwise it waits for its time.
    pub fn may(&mut self, thing: T, now: Instant) -> bool {
        self.last.retain(|_, last| now.since(*last) < PERIOD);
        match self.last.get(&thing) {
            Some(&last) => {
                self.waiting.insert(thing, last + PERIOD);
                false
            }
            None => {
                self.waiting.remove(&thing);
                self.last.insert(thing, now);
                true
            }
        }
    }

    /// When the first of those that wait is due.
    pub fn due(&self) -> Option<Instant> {
        self.waiting.values().min().copied()
    }

    /// Takes those that are due; they are repaired by now.
    pub fn take_due(&mut self, now: Instant) -> Vec<T> {
        let due: Vec<T> = self.waiting.iter().filter(|(_, at)| **at <= now).map(|(thing, _)| *thing).collect();
        for thing in &due {
            self.waiting.remove(thing);
            self.last.insert(*thing, now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_repair_is_at_once_and_the_next_a_second_later() {
        let at = |millis: u64| Instant::from_nanos(millis * 1_000_000);
        let mut repairs = Repairs::default();
        assert!(repairs.may('a', at(1000)) && repairs.may('b', at(1100)));
        for again in [1100, 1500, 1999] {
            assert!(!repairs.may('a', at(again)));
        }
        assert_eq!((repairs.due(), repairs.take_due(at(1999))), (Some(at(2000)), vec![]));
        assert_eq!((repairs.take_due(at(2000)), repairs.due()), (vec!['a'], None));
        // That was a repair, too.
        assert!(!repairs.may('a', at(2500)));
        assert!(repairs.may('b', at(2500)));
        assert_eq!(repairs.due(), Some(at(3000)));
    }
}
