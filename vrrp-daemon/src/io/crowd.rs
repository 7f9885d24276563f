//! Whether there is a crowd before the raw sockets: so many packets that to be woken for each costs more than to let them
//! wait for a moment.

use std::time::Duration;

use vrrp_common::Instant;

/// How long the packets of a crowd wait. Their arrival is known all the same, and no deadline fires before they are heard.
pub const PAUSE: Duration = Duration::from_millis(1);
/// What a packet adds to a crowd, and time takes away: 16,000 a second are none yet.
const EACH: Duration = Duration::from_nanos(62_500);

/// A bucket that packets fill and time empties.
#[derive(Debug, Default)]
pub struct Crowd {
    empty_at: Instant,
}

impl Crowd {
    /// So many packets were read by `now`; whether there may be as many more at once.
    pub fn is_there(&mut self, packets: usize, now: Instant) -> bool {
        let packets = packets.try_into().unwrap_or(u32::MAX);
        // However large it was, it is forgotten soon.
        self.empty_at = (self.empty_at.max(now) + EACH * packets).min(now + 2 * PAUSE);
        self.empty_at > now + PAUSE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Of a second of packets, read as they come, or after a pause while there is a crowd: how often one was woken.
    fn turns(packets_per_second: u64) -> u64 {
        let (mut crowd, mut now, mut read, mut turns) = (Crowd::default(), 0, 0, 0);
        while now < SECOND {
            let come = now * packets_per_second / SECOND;
            let is_there = crowd.is_there((come - read) as usize, Instant::from_nanos(now));
            (read, turns) = (come, turns + 1);
            now = match is_there {
                true => now + PAUSE.as_nanos() as u64,
                false => (come + 1) * SECOND / packets_per_second + 1,
            };
        }
        turns
    }

    #[test]
    fn a_crowd_wakes_once_in_a_pause() {
        assert_eq!([1, 100, 10_000, 15_900].map(turns), [1, 100, 10_000, 15_900]);
        for flood in [20_000, 200_000, 5_000_000] {
            assert!((1000..1200).contains(&turns(flood)), "{flood} packets wake {} times", turns(flood));
        }
    }

    #[test]
    fn a_crowd_is_soon_forgotten() {
        let mut crowd = Crowd::default();
        let at = Instant::from_nanos(SECOND);
        assert!(crowd.is_there(1_000_000, at));
        assert!(!crowd.is_there(1, at + 2 * PAUSE));
    }
}
