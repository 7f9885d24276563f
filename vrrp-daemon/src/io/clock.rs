//! CLOCK_MONOTONIC: reading it, and being woken at one of its instants.
//!
//! Not tokio's timers, which tick in milliseconds.

use std::io;
use std::time::Duration;

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

/// CLOCK_REALTIME minus CLOCK_MONOTONIC, nanoseconds: what turns a socket's time stamp into an [`Instant`].
pub fn realtime_offset() -> i128 {
    let real = clock_gettime(Clock::CLOCK_REALTIME).map(nanos).unwrap_or_default();
    i128::from(real) - i128::from(now().as_nanos())
}

pub fn nanos(time: TimeSpec) -> u64 {
    Duration::from(time).as_nanos() as u64
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
        // Read, so that the descriptor is quiet until it is set again.
        match self.timer.wait() {
            Ok(()) | Err(nix::errno::Errno::EAGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        self.set = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wakes_not_before_its_time_and_again_when_moved() {
        let mut deadline = Deadline::new().unwrap();
        for wait in [3, 0, 2] {
            let due = now() + Duration::from_millis(wait);
            deadline.set(Some(due)).unwrap();
            deadline.reached().await.unwrap();
            assert!(now() >= due);
        }
    }
}
