//! The slow thread: it hosts what watches trackers, notify scripts and the control socket, away from the protocol.

use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::SigSet;
use tokio::runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::LocalSet;
use tokio::time::{interval, timeout};
use tracing::warn;

use super::appointment::keep::keep;
use super::control::{self, Request, Socket};
use super::dbus;
use super::dump;
use super::mail;
use super::next::Move;
use super::notify;
use super::onward::Arriving;
use super::readers::Readers;
use super::sparing::Withheld;
use super::status::Process;
use super::telling::Losses;
use crate::config::setup::{Command, Notify, Setup, Tracker, TrackerKind};
use crate::engine::plan::{Subject, TrackerId};
use crate::track::report::{Board, InUse, Report};
use crate::track::watch::Watchers;

/// How long everything together may hold up the stop; then what still runs is killed.
const TIME_TO_STOP: Duration = Duration::from_millis(1500);

/// What trackers found out and the protocol thread has not taken, at most; who finds out more waits.
const REPORTS: usize = 64;

/// How often what was lost is told in the log.
const LOSS_INTERVAL: Duration = Duration::from_secs(1);

/// Takes out of a set-up what could never run: trackers whose script is missing or not executable, and such notify
/// scripts, each with one line. The instances go on without them, as with keepalived.
///
/// A script that disappears later is another matter: its runs fail. It reads the disk, so it is for the start and for the
/// preparation of a reload, before the plan reaches the engine.
pub fn disable_unusable(setup: &mut Setup) {
    for (index, tracker) in setup.trackers.iter().enumerate() {
        let Some(unusable) = tracker.kind.unusable() else { continue };
        warn!("Disabling track script {} since not found/accessible: {unusable}", tracker.name);
        let subject = Subject::Tracker(TrackerId(index as u32));
        for instance in Arc::make_mut(&mut setup.plan.instances) {
            instance.watches.retain(|watch| watch.subject != subject);
        }
    }
    let instances =
        setup.instances.iter_mut().filter_map(|instance| Some((&instance.name, instance.notify.as_deref_mut()?)));
    let groups = setup.groups.iter_mut().filter_map(|group| Some((&group.name, group.notify.as_deref_mut()?)));
    for (name, notify) in instances.chain(groups) {
        let Notify { master, backup, fault, stop, deleted, says_deleted: _, rx_lower, any, priority_changes: _ } =
            notify;
        for (script, keyword) in [
            (master, "notify_master"),
            (backup, "notify_backup"),
            (fault, "notify_fault"),
            (stop, "notify_stop"),
            (deleted, "notify_deleted"),
            (rx_lower, "notify_master_rx_lower_pri"),
            (any, "notify"),
        ] {
            if let Some(Err(unusable)) = script.as_ref().map(Command::inspect) {
                warn!("({name}) Disabling {keyword} script since not found/accessible: {unusable}");
                *script = None;
            }
        }
    }
}

/// What other threads have to say to it.
#[derive(Debug)]
pub enum Errand {
    /// Another configuration holds.
    Reload(Arc<Move>),
}

/// The slow thread's handle.
#[derive(Debug)]
pub struct Errands {
    dumps: mpsc::Sender<(dump::Kind, dump::By)>,
    errands: mpsc::UnboundedSender<Errand>,
    stop: watch::Sender<bool>,
    stopped: std::sync::mpsc::Receiver<()>,
    thread: JoinHandle<()>,
}

/// Starts the thread. `reports` is called on it with what trackers find out, and may wait for the protocol thread to take
/// it; so do requests in `requests`, of which no more than [`control::REQUESTS`] are ever open. What
/// arrives of changes of state is done, and the readers of FIFOs are run.
pub fn start<M: From<Request> + Send + 'static>(
    setup: Arc<Setup>,
    socket: Socket,
    process: Process,
    withheld: Arc<Withheld>,
    Arriving { scripts, letters, signals }: Arriving,
    requests: mpsc::Sender<M>,
    reports: impl AsyncFn(Report) + Send + 'static,
) -> io::Result<Errands> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopping) = watch::channel(false);
    let (dumps, dumped) = mpsc::channel(dump::QUEUE);
    let wishes = dbus::Wishes::new(dumps.clone(), requests.clone());
    // Bounded by who sends: a reload waits for the one before it.
    let (errands, mut inbox) = mpsc::unbounded_channel();
    let (done, stopped) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("errands".into()).spawn(move || {
        // Scripts get a clean mask of their own.
        let _ = SigSet::all().thread_block();
        let local = LocalSet::new();
        local.block_on(&runtime, async {
            let process = Rc::new(process);
            let mailing = tokio::task::spawn_local(mail::run(letters, Arc::clone(&process.losses.letters)));
            let (holds, held) = watch::channel(Arc::clone(&setup));
            let lost = Arc::clone(&process.losses.signals);
            let signalling = dbus::run(held, signals, lost, wishes, stop_of(stopping.clone()));
            let signalling = tokio::task::spawn_local(signalling);
            let notifying = tokio::task::spawn_local(notify::run(scripts, stop_of(stopping.clone())));
            let (board, (found, mut finds)) = (Board::default(), mpsc::channel(REPORTS));
            let dumping = dump::serve(dumped, board.clone(), requests.clone());
            let mut watchers = Watchers::new(board.clone(), found);
            let passing_on = tokio::task::spawn_local(async move {
                while let Some(report) = finds.recv().await {
                    reports(report).await;
                }
            });
            let mut readers = Readers::default();
            let reload = async || {
                let (reply, _nobody) = oneshot::channel();
                drop(requests.send(Request::Reload { reply }.into()).await);
            };
            let following = async {
                let (mut next, mut edition) = (Some(setup), 0_u32);
                while let Some(setup) = next.take() {
                    watchers.set(in_use(&setup, edition)).await;
                    readers.set(&setup.telling.fifos);
                    let keeping = keep(setup.reloading.time_file.clone(), &process.reload_due, &reload);
                    // After a reload nobody needs it.
                    drop(setup);
                    tokio::select! {
                        errand = inbox.recv() => next = errand.map(|Errand::Reload(to)| Arc::clone(&to.setup)),
                        () = keeping => {}
                    }
                    next.iter().for_each(|setup| drop(holds.send_replace(Arc::clone(setup))));
                    edition = edition.wrapping_add(1);
                }
            };
            let serving = control::serve(&socket, process.clone(), board, requests.clone());
            tokio::select! {
                _ = async { tokio::join!(serving, dumping, tell_losses(&process, &withheld), following) } => {}
                () = stop_of(stopping) => {}
            }
            drop(socket);
            let rest = async { tokio::join!(watchers.end(), readers.end(), notifying, mailing, signalling) };
            let _ = timeout(TIME_TO_STOP, rest).await;
            passing_on.abort();
        });
        // What still runs is killed when its task is dropped.
        drop(local);
        runtime.shutdown_timeout(Duration::ZERO);
        let _ = done.send(());
    })?;
    Ok(Errands { dumps, errands, stop, stopped, thread })
}

impl Errands {
    /// Has a file written. Who asks faster than they are written gets fewer of them.
    pub fn dump(&self, kind: dump::Kind) {
        if self.dumps.try_send((kind, dump::By::Signal)).is_err() {
            warn!("a file of the daemon's state was asked for before the ones before were written; ask again");
        }
    }

    /// Where it is told of reloads.
    pub fn errands(&self) -> mpsc::UnboundedSender<Errand> {
        self.errands.clone()
    }

    /// Ends what watches trackers, starts the notify scripts that wait, gives them a second, removes the socket. Blocks for up to
    /// two and a half seconds, mostly for milliseconds: to be called when the protocol has sent its last advert.
    pub fn stop(self) {
        let Self { dumps: _, errands: _, stop, stopped, thread } = self;
        let _ = stop.send(true);
        // Loading a program can hang in the kernel (a dead NFS server); the daemon's end may not.
        match stopped.recv_timeout(TIME_TO_STOP + Duration::from_secs(1)) {
            Err(RecvTimeoutError::Timeout) => warn!("the errands thread did not stop in time"),
            _ => drop(thread.join()),
        }
    }
}

/// The trackers that some instance depends on, by their ids after so many reloads.
fn in_use(setup: &Setup, edition: u32) -> Vec<(TrackerKind, InUse)> {
    let watches = setup.plan.instances.iter().flat_map(|instance| &instance.watches);
    let used = watches.filter_map(|watch| match watch.subject {
        Subject::Tracker(id) => Some(id),
        Subject::Interface(_) => None,
    });
    let tracker = |id: TrackerId| {
        let (Tracker { name, kind, weight: _ }, plan) = (&setup.trackers[id.index()], setup.plan.trackers[id.index()]);
        (kind.clone(), InUse { edition, id, name: name.clone(), plan })
    };
    used.collect::<BTreeSet<_>>().into_iter().map(tracker).collect()
}

/// Completes when the daemon stops.
async fn stop_of(mut stopping: watch::Receiver<bool>) {
    // An error says that the sender is gone, which is a stop too.
    let _ = stopping.wait_for(|&stopping| stopping).await;
}

/// Says now and then what came to nothing.
async fn tell_losses(process: &Process, withheld: &Withheld) {
    let mut ticks = interval(LOSS_INTERVAL);
    let mut told = [0; 5];
    let Losses { events, notices, fifo_lines, letters, signals } = &process.losses;
    loop {
        ticks.tick().await;
        if let Some(log) = &process.log {
            log.tell();
        }
        withheld.tell();
        let texts = [
            (events, "events were neither logged nor told: too many were waiting"),
            (notices, "changes of state had no notify scripts run: too many were waiting"),
            (fifo_lines, "lines were not written to a FIFO: nobody read it"),
            (letters, "letters were not sent: the mail server did not take them, or too many were waiting"),
            (signals, "changes of state were not told on the message bus: too many were waiting"),
        ];
        for ((lost, text), told) in texts.into_iter().zip(&mut told) {
            let lost: u64 = AtomicU64::load(lost, Ordering::Relaxed);
            if lost > *told {
                warn!("{} {text}", lost - *told);
                *told = lost;
            }
        }
    }
}

#[cfg(test)]
mod tests;
