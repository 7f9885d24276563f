//! One thread that records what every router sends and holds, and lets tests await it.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::addresses::{self, Change, Ear};
use crate::capture::{Seen, SeenAdvert, Tap};
use crate::stamp::Stamp;

/// How long the thread may overlook that it is to end.
const ATTENTION: u16 = 100;

/// Everything seen, in the order of its arrival here.
#[derive(Default)]
pub struct Record {
    pub frames: Vec<Seen>,
    pub changes: Vec<Change>,
}

impl Record {
    pub fn adverts(&self) -> impl Iterator<Item = SeenAdvert> {
        self.frames.iter().filter_map(Seen::advert)
    }

    /// Adverts that arrived after `since`, of one router.
    pub fn adverts_of(&self, router: usize, since: Stamp) -> impl Iterator<Item = SeenAdvert> {
        self.frames.iter().filter(move |seen| seen.router == router && seen.at > since).filter_map(Seen::advert)
    }

    /// Gratuitous ARPs or unsolicited neighbour advertisements for `address` of one router that arrived after `since`.
    pub fn announcements(
        &self,
        router: usize,
        address: impl Into<IpAddr>,
        since: Stamp,
    ) -> impl Iterator<Item = Stamp> {
        let address = address.into();
        let of = self.frames.iter().filter(move |seen| seen.router == router && seen.at > since);
        of.filter(move |seen| seen.announces() == Some(address)).map(|seen| seen.at)
    }

    pub fn holders(&self, address: impl Into<IpAddr>) -> Vec<usize> {
        addresses::holders(&self.changes, address.into())
    }

    /// When `router` first came to hold `address`, or first lost it, after `since`.
    pub fn changed(&self, router: usize, address: impl Into<IpAddr>, set: bool, since: Stamp) -> Option<Stamp> {
        let address = address.into();
        let change = self
            .changes
            .iter()
            .find(|change| (change.router, change.address, change.set) == (router, address, set) && change.at >= since);
        change.map(|change| change.at)
    }
}

#[derive(Default)]
struct Shared {
    record: Mutex<Record>,
    grown: Condvar,
    end: AtomicBool,
}

pub struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub fn start(taps: Vec<Tap>, ears: Vec<Ear>) -> Self {
        let shared = Arc::<Shared>::default();
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || run(&shared, &taps, &ears)
        });
        Self { shared, thread: Some(thread) }
    }

    /// What was seen until now. Hold it briefly: nothing is recorded meanwhile.
    pub fn record(&self) -> MutexGuard<'_, Record> {
        self.shared.record.lock().expect("the watching thread does not panic")
    }

    /// Waits until the record answers; `what` says in the error what was awaited.
    pub fn wait<T>(
        &self,
        what: impl std::fmt::Display,
        patience: Duration,
        mut answer: impl FnMut(&Record) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + patience;
        let mut record = self.record();
        loop {
            if let Some(found) = answer(&record) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("waited {patience:?} in vain for {what}; {}", recent(&record));
            }
            record = self.shared.grown.wait_timeout(record, left).expect("the watching thread does not panic").0;
        }
    }

    /// Waits until `router`, and nobody else, holds `address`.
    pub fn wait_holder(&self, router: usize, address: impl Into<IpAddr>, patience: Duration) -> Result<()> {
        let address = address.into();
        let what = format!("{} alone to hold {address}", letter(router));
        self.wait(what, patience, |record| (record.holders(address) == [router]).then_some(()))
    }

    /// Waits until nobody holds `address`.
    pub fn wait_nobody(&self, address: impl Into<IpAddr>, patience: Duration) -> Result<()> {
        let address = address.into();
        self.wait(format!("{address} to be gone"), patience, |record| record.holders(address).is_empty().then_some(()))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Routers are called A, B, C, ...
pub fn letter(router: usize) -> char {
    char::from(b'A' + router as u8)
}

fn recent(record: &Record) -> String {
    let mut lines: Vec<_> = record
        .changes
        .iter()
        .map(|change| {
            let verb = if change.set { "got" } else { "lost" };
            (change.at, format!("{} {verb} {}", letter(change.router), change.address))
        })
        .collect();
    lines.extend(record.adverts().map(|advert| {
        let text = format!("{} sent v{} priority {}", letter(advert.router), advert.version as u8, advert.priority);
        (advert.at, text)
    }));
    lines.sort();
    let shown = lines.iter().rev().take(12).rev();
    let shown: Vec<_> = shown.map(|(at, text)| format!("\n  {:5} ms ago: {text}", at.elapsed().as_millis())).collect();
    format!("seen last:{}", shown.concat())
}

fn run(shared: &Shared, taps: &[Tap], ears: &[Ear]) {
    let sockets = taps.iter().map(|tap| tap.socket.as_fd()).chain(ears.iter().map(|ear| ear.socket.as_fd()));
    let mut polled: Vec<_> = sockets.map(|socket| PollFd::new(socket, PollFlags::POLLIN)).collect();
    let (mut frames, mut changes) = (Vec::new(), Vec::new());
    while !shared.end.load(Ordering::Relaxed) {
        let _ = poll(&mut polled, PollTimeout::from(ATTENTION));
        taps.iter().for_each(|tap| tap.drain(&mut frames));
        ears.iter().for_each(|ear| ear.drain(&mut changes));
        if frames.is_empty() && changes.is_empty() {
            continue;
        }
        let Ok(mut record) = shared.record.lock() else { return };
        record.frames.append(&mut frames);
        record.changes.append(&mut changes);
        shared.grown.notify_all();
    }
}
