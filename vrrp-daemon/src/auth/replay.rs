//! Sequence numbers of signed adverts: what the next one sent has, and which of those heard is new.

use std::time::Duration;

use vrrp_common::Address;

/// Seconds since 1970, a fraction of 1/65,536 s and a counter, as one number: it grows with the clock, and between two
/// ticks by one. A daemon that starts anew goes on above its old numbers, as long as its clock does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sequence(u64);

impl Sequence {
    /// Eight octets.
    pub fn from_octets(octets: &[u8]) -> Self {
        Self(octets.iter().fold(0, |number, &octet| number << 8 | u64::from(octet)))
    }

    pub const fn octets(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// The first number of a time since 1970.
    pub fn at(time: Duration) -> Self {
        let fraction = (u64::from(time.subsec_nanos()) << 16) / 1_000_000_000;
        Self(time.as_secs() << 32 | fraction << 16)
    }

    pub const fn seconds(self) -> u64 {
        self.0 >> 32
    }

    /// The number to send after this one. It grows even if the clock was set back; but where it must also be fresh,
    /// numbers of a clock that was further ahead than `window` seconds were heard by nobody, and it starts anew.
    pub fn next(self, time: Duration, window: Option<u64>) -> Self {
        let now = Self::at(time);
        let unheard = window.is_some_and(|window| self.seconds() > now.seconds() + window);
        if unheard { now } else { now.max(Self(self.0 + 1)) }
    }

    /// Whether it is of a time no more than `window` seconds from this. Whole seconds: a peer may count its fractions in
    /// other units.
    pub const fn is_fresh(self, time: Duration, window: u64) -> bool {
        self.seconds().abs_diff(time.as_secs()) <= window
    }
}

/// Senders remembered at a time, as many as in keepalived: those heard of last.
const SENDERS: usize = 4;

/// The newest sequence number of each sender.
#[derive(Clone, Debug, Default)]
pub struct Senders {
    /// The one heard of last comes last.
    newest: Vec<(Address, Sequence)>,
}

impl Senders {
    /// Takes note of an advert that is authentic; `false` when it is a replay.
    pub fn admit(&mut self, sender: Address, sequence: Sequence) -> bool {
        let known = self.newest.iter().position(|&(address, _)| address == sender);
        if known.is_some_and(|index| self.newest[index].1 >= sequence) {
            return false;
        }
        match known {
            Some(index) => drop(self.newest.remove(index)),
            None if self.newest.len() == SENDERS => drop(self.newest.remove(0)),
            None => {}
        }
        self.newest.push((sender, sequence));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(1_700_000_000_000 + millis)
    }

    #[test]
    fn numbers_are_seconds_fraction_and_counter() {
        let half = Sequence::at(Duration::from_millis(7_500));
        assert_eq!(half.octets(), [0, 0, 0, 7, 0x80, 0, 0, 0]);
        assert_eq!(half.next(Duration::from_millis(7_500), None).octets(), [0, 0, 0, 7, 0x80, 0, 0, 1]);
        assert_eq!(Sequence::from_octets(&half.octets()), half);
    }

    #[test]
    fn numbers_grow_whatever_the_clock_does() {
        let first = Sequence::default().next(millis(0), None);
        assert_eq!(first, Sequence::at(millis(0)));
        assert!(first.next(millis(1), None) > first);
        let same = first.next(millis(0), None);
        assert!(same > first && same < Sequence::at(millis(1)));
        // More in one tick than the counter holds run into the fraction.
        let many = (0..70_000).fold(first, |last, _| last.next(millis(0), None));
        assert_eq!(many.0, first.0 + 70_000);
        assert!(first.next(Duration::ZERO, None) > first);
    }

    #[test]
    fn a_clock_set_back_far_starts_anew_where_numbers_must_be_fresh() {
        let ahead = Sequence::at(millis(3_600_000));
        let back = ahead.next(millis(0), Some(5));
        assert!(back.is_fresh(millis(0), 5), "stale for an hour otherwise");
        let little = Sequence::at(millis(5_000)).next(millis(0), Some(5));
        assert!(little > Sequence::at(millis(5_000)) && little.is_fresh(millis(0), 5));
    }

    #[test]
    fn fresh_is_neither_old_nor_early() {
        let at = |seconds: i64| Sequence::at(Duration::from_secs((1_700_000_000 + seconds) as u64));
        let fresh = [-6, -5, 0, 5, 6].map(|seconds| at(seconds).is_fresh(millis(0), 5));
        assert_eq!(fresh, [false, true, true, true, false]);
    }

    #[test]
    fn each_sender_has_numbers_of_its_own_and_four_are_remembered() {
        let sender = |last: u8| Address::v4([192, 0, 2, last]);
        let mut senders = Senders::default();
        for last in 1..=4 {
            assert!(senders.admit(sender(last), Sequence(10)));
            assert!(!senders.admit(sender(last), Sequence(10)));
            assert!(!senders.admit(sender(last), Sequence(9)));
        }
        assert!(senders.admit(sender(1), Sequence(11)), "a later one of the first");
        assert!(senders.admit(sender(5), Sequence(1)), "a fifth takes the place of the second");
        let known = [1, 3, 4, 5].map(|last| senders.admit(sender(last), Sequence(1)));
        assert_eq!(known, [false; 4]);
        assert!(senders.admit(sender(2), Sequence(1)));
    }
}
