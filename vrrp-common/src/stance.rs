//! What the present state of an instance makes of valid adverts: heard, absorbed, or too many of no consequence.
//!
//! A backup follows a master: adverts equal to the last one say nothing new, and only their time is kept. Adverts that can
//! change nothing, being weaker than the router that hears them, are limited; each instance has one bucket for them,
//! whoever the sources are: a forger has as many addresses as he likes. The master that is followed is never limited,
//! nor is an advert that could win.

use bytemuck::{Pod, Zeroable};

use crate::address::Address;
use crate::wire::advert::{HEADER, Header};

/// What an instance expects. Map value, by slot; all zero hears everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Stance {
    /// The master that is followed, or none.
    pub source: Address,
    /// The first eight octets of its last advert. Their checksum stands for the addresses behind them.
    pub header: [u8; HEADER],
    /// Adverts of a lower priority octet than this change nothing.
    pub weaker_than: u8,
    pub unused: [u8; 7],
}

/// What becomes of a valid advert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heed {
    Hear,
    /// It says nothing new: keep its time.
    Absorb,
    /// One too many of those that change nothing.
    Limit,
}

impl Stance {
    #[inline(always)]
    pub fn heed(&self, source: Address, header: Header, bucket: &mut Bucket, now: u64) -> Heed {
        if self.source == source {
            return match u64::from_ne_bytes(self.header) == u64::from_ne_bytes(header.0) {
                true => Heed::Absorb,
                false => Heed::Hear,
            };
        }
        match header.claim().octet() < self.weaker_than && !bucket.take(now) {
            true => Heed::Limit,
            false => Heed::Hear,
        }
    }
}

/// Tokens in a full bucket: what a weaker router, or a few, may say at once.
const TOKENS: u64 = 16;
/// Nanoseconds until a token is put back: a hundred adverts a second, as many as one router sends of one instance.
const REFILL: u64 = 10_000_000;

/// The limit of one instance. Map value, by slot; all zero is a full bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Bucket {
    /// When it will be full again, CLOCK_MONOTONIC nanoseconds.
    full_at: u64,
}

impl Bucket {
    /// Takes a token; `false` when there is none.
    #[inline(always)]
    pub const fn take(&mut self, now: u64) -> bool {
        let full_at = if self.full_at > now { self.full_at } else { now };
        if full_at - now > (TOKENS - 1) * REFILL {
            return false;
        }
        self.full_at = full_at + REFILL;
        true
    }
}

const _: () = {
    assert!(size_of::<Stance>() == 32);
    assert!(size_of::<Bucket>() == 8);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let mut bucket = Bucket::default();
        let start = 5_000_000_000;
        let taken = (0..1000).filter(|_| bucket.take(start)).count();
        assert_eq!(taken, 16);
        let second = (1..=1000).filter(|milli| bucket.take(start + milli * 1_000_000)).count();
        assert_eq!(second, 100);
    }

    #[test]
    fn a_weaker_master_at_a_centisecond_is_heard() {
        let mut bucket = Bucket::default();
        assert!((1..10_000).all(|centi| bucket.take(centi * 10_000_000)));
    }

    #[test]
    fn the_master_is_followed_and_never_limited() {
        let (master, other) = (Address::v4([10, 0, 0, 1]), Address::v6([0xfe; 16]));
        let header = Header([0x31, 1, 150, 1, 0, 100, 7, 7]);
        let stance = Stance { source: master, header: header.0, weaker_than: 200, unused: [0; 7] };
        let mut bucket = Bucket::default();
        let mut weaker = header;
        weaker.0[2] = 90;
        for now in 0..1000 {
            assert_eq!(stance.heed(master, header, &mut bucket, now), Heed::Absorb);
            assert_eq!(stance.heed(master, weaker, &mut bucket, now), Heed::Hear);
        }
        let heard = |priority: u8| {
            let (mut bucket, mut header) = (Bucket::default(), header);
            header.0[2] = priority;
            (0..1000).filter(|&now| stance.heed(other, header, &mut bucket, now) == Heed::Hear).count()
        };
        assert_eq!([heard(0), heard(199), heard(200), heard(255)], [16, 16, 1000, 1000]);
    }

    #[test]
    fn without_a_stance_everything_is_heard() {
        let mut bucket = Bucket::default();
        let source = Address::v4([10, 0, 0, 1]);
        let all =
            (0..1000).all(|now| Stance::default().heed(source, Header([0; HEADER]), &mut bucket, now) == Heed::Hear);
        assert!(all);
    }
}
