//! CLOCK_MONOTONIC: reading it, and being woken at one of its instants.
//!
//! Not tokio's timers, which tick in milliseconds.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId as Clock, clock_gettime};
use vrrp_common::Instant;

use super::readiness::Readiness;

/// The present instant.
pub fn now() -> Instant {
    // Neither clock can fail on Linux.
    Instant::from_nanos(clock_gettime(Clock::CLOCK_MONOTONIC).map(nanos).unwrap_or_default())
}

/// CLOCK_REALTIME minus CLOCK_MONOTONIC, nanoseconds.
fn realtime_offset() -> i128 {
    // Between two readings a thread may lose its processor: the closest pair is right.
    let looks = (0..3).map(|_| {
        let before = now().as_nanos();
        let real = clock_gettime(Clock::CLOCK_REALTIME).map(nanos).unwrap_or_default();
        let after = now().as_nanos();
        (after - before, i128::from(real) - i128::from(before + (after - before) / 2))
    });
    looks.min().map(|(_, offset)| offset).unwrap_or_default()
}

/// The wall clock at an instant of not long ago: the time since 1970.
pub fn wall(at: Instant) -> Duration {
    Duration::from_nanos((i128::from(at.as_nanos()) + realtime_offset()).max(0) as u64)
}

pub fn nanos(time: TimeSpec) -> u64 {
    Duration::from(time).as_nanos() as u64
}

/// Turns the stamps of received packets, which the kernel takes from the wall clock, into instants, across a step of that.
pub struct Stamps {
    /// [`realtime_offset`] in this turn and the one before.
    offset: i128,
    before: i128,
}

/// By how much the offset may seem to have changed without a step, nanoseconds.
const WAVER: u64 = 1_000_000;

impl Stamps {
    pub fn begin() -> Self {
        let offset = realtime_offset();
        Self { offset, before: offset }
    }

    /// A turn begins: what was received before the last one is read.
    pub fn turn(&mut self) {
        self.before = std::mem::replace(&mut self.offset, realtime_offset());
    }

    /// For packets that were just read.
    pub fn reading(&self) -> Reading {
        Reading { before: self.before, after: realtime_offset(), now: now() }
    }
}

/// The clocks around some packets: before any of them was received, and after all of them were.
pub struct Reading {
    before: i128,
    after: i128,
    now: Instant,
}

impl Reading {
    /// When a packet with this stamp, CLOCK_REALTIME nanoseconds, arrived; now, if it has none.
    ///
    /// It was stamped before the step or after it. The later of the two is meant, unless that is yet to come: the other is
    /// the step away, and taking the earlier one could make a master dead that is not.
    pub fn arrival(&self, stamp: Option<u64>) -> Instant {
        let Some(stamp) = stamp else { return self.now };
        let by = |offset: i128| Instant::from_nanos((i128::from(stamp) - offset).max(0) as u64);
        let past = [by(self.before), by(self.after)].into_iter().filter(|&arrival| arrival <= self.now);
        past.max().unwrap_or(self.now)
    }

    /// Whether the wall clock was set while these packets came.
    pub const fn is_stepping(&self) -> bool {
        self.before.abs_diff(self.after) > WAVER as u128
    }
}

/// One deadline at a time, exact to what the kernel's high resolution timers give.
pub struct Deadline {
    timer: TimerFd,
    /// The same timer, to be waited for.
    ready: Readiness,
    set: Option<Instant>,
}

impl Deadline {
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let ready = Readiness::of(&timer)?;
        Ok(Self { timer, ready, set: None })
    }

    /// Moves the deadline; an instant in the past is due at once.
    pub fn set(&mut self, due: Option<Instant>) -> io::Result<()> {
        if self.set == due {
            return Ok(());
        }
        self.set = due;
        match due {
            // An absolute 0 would disarm it.
            Some(due) => {
                let at = TimeSpec::from_duration(Duration::from_nanos(due.as_nanos().max(1)));
                self.timer.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
            }
            None => self.timer.unset()?,
        }
        Ok(())
    }

    /// Waits until the deadline is reached.
    pub async fn reached(&mut self) -> io::Result<()> {
        self.ready.wait().await?;
        self.clear()
    }

    /// Waits for the deadline and for nothing else, the thread with it: the runtime would be woken by every packet, whether
    /// somebody asked or not.
    pub fn sleep(&mut self) -> io::Result<()> {
        match poll(&mut [PollFd::new(self.timer.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => self.clear(),
            Err(error) => Err(error.into()),
        }
    }

    fn clear(&mut self) -> io::Result<()> {
        // Read, so that the descriptor is quiet until it is set again.
        match self.timer.wait() {
            Ok(()) | Err(Errno::EAGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        self.set = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i128 = 1_000_000_000;

    /// Clocks that were `step` seconds apart when packets were read, at the hundredth second.
    fn reading(step: i128) -> Reading {
        let before = 1_700_000_000 * SECOND;
        Reading { before, after: before + step * SECOND, now: Instant::from_nanos(100 * SECOND as u64) }
    }

    /// When a packet of the `at`th second is taken to have arrived, stamped before or after the step.
    fn arrival(reading: &Reading, offset: i128, at: i128) -> i128 {
        reading.arrival(Some((offset + at * SECOND) as u64)).as_nanos() as i128 / SECOND
    }

    #[test]
    fn a_step_of_the_wall_clock_misdates_nothing() {
        // An hour either way: more than anything has waited.
        for step in [3600, -3600] {
            let reading = reading(step);
            assert!(reading.is_stepping());
            for at in [90, 99, 100] {
                assert_eq!(arrival(&reading, reading.before, at), at, "stamped before a step of {step} s");
                assert_eq!(arrival(&reading, reading.after, at), at, "stamped after a step of {step} s");
            }
        }
    }

    /// Less than packets may have waited: what cannot be told apart is taken for younger, by the step at most.
    #[test]
    fn a_small_step_never_makes_a_packet_older() {
        for step in [-3, 3] {
            let reading = reading(step);
            for (offset, at) in [90, 96, 98, 100].into_iter().flat_map(|at| [(reading.before, at), (reading.after, at)])
            {
                let taken = arrival(&reading, offset, at);
                assert!((at..=(at + 3).min(100)).contains(&taken), "{at} is taken for {taken}, step {step}");
            }
        }
    }

    #[test]
    fn without_a_step_stamps_are_exact_and_never_in_the_future() {
        let reading = reading(0);
        assert!(!reading.is_stepping());
        assert_eq!(arrival(&reading, reading.after, 7), 7);
        assert_eq!(arrival(&reading, reading.after, 101), 100);
        assert_eq!(reading.arrival(None).as_nanos() as i128, 100 * SECOND);
        assert!(realtime_offset().abs_diff(realtime_offset()) < u128::from(WAVER), "the clocks run together");
    }

    #[tokio::test]
    async fn wakes_not_before_its_time_and_again_when_moved() {
        let mut deadline = Deadline::new().unwrap();
        for wait in [3, 0, 2] {
            let due = now() + Duration::from_millis(wait);
            deadline.set(Some(due)).unwrap();
            deadline.reached().await.unwrap();
            assert!(now() >= due);
            let due = now() + Duration::from_millis(wait);
            deadline.set(Some(due)).unwrap();
            deadline.sleep().unwrap();
            assert!(now() >= due);
        }
    }
}
