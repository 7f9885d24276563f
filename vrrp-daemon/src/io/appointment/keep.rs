//! Keeping an appointment: the file is looked at when it changes, and a reload is asked for when its time has come.

use std::fs;
use std::future::pending;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Local, Utc};
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;
use tokio::select;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::Appointment;
use crate::config::setup::TimeFile;
use crate::track::eye::{self, Changed, Eye, POLL_INTERVAL};
use crate::track::readable::readable;

/// When the next reload is due, for the status: seconds since 1970, 0 for never.
#[derive(Clone, Debug, Default)]
pub struct Due(Arc<AtomicI64>);

impl Due {
    pub fn get(&self) -> Option<SystemTime> {
        let seconds = u64::try_from(self.0.load(Ordering::Relaxed)).ok().filter(|&seconds| seconds > 0)?;
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    fn set(&self, due: Option<DateTime<Utc>>) {
        self.0.store(due.map_or(0, |due| due.timestamp()), Ordering::Relaxed);
    }
}

/// Asks for reloads as the file says, until dropped; without a file never. On a tokio runtime.
pub async fn keep(file: Option<TimeFile>, shown: &Due, reload: impl AsyncFn()) {
    shown.set(None);
    let Some(TimeFile { path, repeats }) = file else { return pending().await };
    let mut alarm = match Alarm::new() {
        Ok(alarm) => alarm,
        Err(error) => {
            warn!("no reload is scheduled by {path}: {error}");
            return pending().await;
        }
    };
    let (path, mut eye, mut directory) = (PathBuf::from(path), Eye::new("reload_time_file"), None);
    let mut appointment = Appointment::default();
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changed = Changed::All;
    loop {
        // First the watch, then the look: what changes between the two is looked at twice and not missed.
        let is_concerned = changed.concerns(&path, directory);
        directory = directory.or_else(|| eye.follow(&path));
        if is_concerned {
            look(&path, &mut appointment).await;
            shown.set(appointment.due());
            alarm.set(appointment.due());
        }
        changed = select! {
            changed = eye.changed() => changed,
            _ = ticks.tick() => Changed::Unfollowed,
            () = alarm.reached() => {
                appointment.is_over();
                if !repeats && let Err(error) = fs::remove_file(&path) {
                    warn!("reload_time_file: {} cannot be removed: {error}", path.display());
                }
                reload().await;
                Changed::All
            }
        };
        directory = directory.filter(|&directory| !changed.ends(directory));
    }
}

async fn look(path: &Path, appointment: &mut Appointment) {
    let place = path.to_owned();
    // Elsewhere: the server of a network's file system may be dead.
    let Ok(text) = spawn_blocking(move || eye::text(&place)).await else { return };
    let said = match text {
        Ok(text) => Ok(Some(text.lines().next().unwrap_or_default().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    };
    match appointment.hear(said, &Local::now()) {
        None => {}
        Some(Ok(said)) => info!("{said}"),
        Some(Err(said)) => warn!("reload_time_file {}: {said}", path.display()),
    }
}

/// Rings at a time of day, also when the clock is set meanwhile.
struct Alarm {
    timer: TimerFd,
    /// The same timer, to be waited for.
    ready: AsyncFd<OwnedFd>,
}

impl Alarm {
    fn new() -> io::Result<Self> {
        let timer = TimerFd::new(ClockId::CLOCK_REALTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        let ready = readable(timer.as_fd().try_clone_to_owned()?)?;
        Ok(Self { timer, ready })
    }

    fn set(&self, due: Option<DateTime<Utc>>) {
        // The kernel refuses no time from 1970 on, and there is none before it.
        let _ = match due {
            Some(due) => {
                let at =
                    Expiration::OneShot(TimeSpec::from_duration(Duration::from_secs(due.timestamp().max(1) as u64)));
                self.timer.set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME)
            }
            None => self.timer.unset(),
        };
    }

    async fn reached(&mut self) {
        loop {
            let Ok(mut ready) = self.ready.readable().await else { return pending().await };
            match self.timer.wait() {
                Ok(()) => return,
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(_) => {}
            }
        }
    }
}
