//! The slow thread: it hosts script watchers, notify scripts and the control socket, away from the protocol.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::SigSet;
use tokio::runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{interval, timeout};
use tracing::warn;

use super::control::{self, Request, Socket};
use super::dump;
use super::notify::{self, Notice};
use super::sparing::Withheld;
use super::status::Process;
use super::telling::Losses;
use crate::config::setup::{Command, Notify, Setup, TrackerKind};
use crate::engine::plan::{Subject, TrackerId};
use crate::track::check;

/// How long everything together may hold up the stop; then what still runs is killed.
const TIME_TO_STOP: Duration = Duration::from_millis(1500);

/// How often what was lost is told in the log.
const LOSS_INTERVAL: Duration = Duration::from_secs(1);

/// Takes out of a set-up what could never run: trackers of scripts that are missing or not executable, and such notify
/// scripts, each with one line. The instances go on without them, as with keepalived.
///
/// A script that disappears later is another matter: its runs fail. It reads the disk, so it is for the start and for the
/// preparation of a reload, before the plan reaches the engine.
pub fn disable_unusable(setup: &mut Setup) {
    for (index, tracker) in setup.trackers.iter().enumerate() {
        let TrackerKind::Script(script) = &tracker.kind;
        let Err(unusable) = script.command.inspect() else { continue };
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
        let Notify { master, backup, fault, stop, deleted, rx_lower, any, priority_changes: _ } = notify;
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

/// The slow thread's handle.
#[derive(Debug)]
pub struct Errands {
    dumps: mpsc::Sender<dump::Kind>,
    stop: watch::Sender<bool>,
    stopped: std::sync::mpsc::Receiver<()>,
    thread: JoinHandle<()>,
}

/// Starts the thread. `reports` is called on it with each outcome of a check, and may wait for the protocol thread to take
/// it; so do requests in `requests`, of which no more than [`control::REQUESTS`] are ever open. The scripts of `notices` are
/// run, and those that read FIFOs.
pub fn start<M: From<Request> + Send + 'static>(
    setup: Arc<Setup>,
    socket: Socket,
    process: Process,
    withheld: Arc<Withheld>,
    notices: mpsc::Receiver<Notice>,
    requests: mpsc::Sender<M>,
    reports: impl AsyncFn(TrackerId, bool) + Send + 'static,
) -> io::Result<Errands> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopping) = watch::channel(false);
    let (dumps, dumped) = mpsc::channel(dump::QUEUE);
    let (done, stopped) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("errands".into()).spawn(move || {
        // Scripts get a clean mask of their own.
        let _ = SigSet::all().thread_block();
        let local = LocalSet::new();
        local.block_on(&runtime, async {
            let process = Rc::new(process);
            let dumping = dump::serve(dumped, requests.clone());
            let notifying = tokio::task::spawn_local(notify::run(notices, stop_of(stopping.clone())));
            let checks = checks(&setup, reports, &stopping);
            let readers = fifo_readers(&setup, &stopping);
            tokio::select! {
                _ = async { tokio::join!(control::serve(&socket, process.clone(), requests), dumping, tell_losses(&process, &withheld)) } => {}
                () = stop_of(stopping) => {}
            }
            drop(socket);
            let rest = async { tokio::join!(checks.join_all(), readers.join_all(), notifying) };
            let _ = timeout(TIME_TO_STOP, rest).await;
        });
        // What still runs is killed when its task is dropped.
        drop(local);
        runtime.shutdown_timeout(Duration::ZERO);
        let _ = done.send(());
    })?;
    Ok(Errands { dumps, stop, stopped, thread })
}

impl Errands {
    /// Has a file written. Who asks faster than they are written gets fewer of them.
    pub fn dump(&self, kind: dump::Kind) {
        if self.dumps.try_send(kind).is_err() {
            warn!("a file of the daemon's state was asked for before the ones before were written; ask again");
        }
    }

    /// Ends check scripts, starts the notify scripts that wait, gives them a second, removes the socket. Blocks for up to
    /// two and a half seconds, mostly for milliseconds: to be called when the protocol has sent its last advert.
    pub fn stop(self) {
        let Self { dumps: _, stop, stopped, thread } = self;
        let _ = stop.send(true);
        // Loading a program can hang in the kernel (a dead NFS server); the daemon's end may not.
        match stopped.recv_timeout(TIME_TO_STOP + Duration::from_secs(1)) {
            Err(RecvTimeoutError::Timeout) => warn!("the errands thread did not stop in time"),
            _ => drop(thread.join()),
        }
    }
}

/// Watches every script that some instance depends on.
fn checks(
    setup: &Arc<Setup>,
    reports: impl AsyncFn(TrackerId, bool) + 'static,
    stopping: &watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut checks = JoinSet::new();
    let reports = Rc::new(reports);
    for id in watched(setup) {
        let (setup, reports, stop) = (setup.clone(), reports.clone(), stop_of(stopping.clone()));
        checks.spawn_local(async move {
            let tracker = &setup.trackers[id.index()];
            let TrackerKind::Script(script) = &tracker.kind;
            let plan = setup.plan.trackers[id.index()];
            check::watch(script, &tracker.name, id.0, plan, async |passed| reports(id, passed).await, stop).await;
        });
    }
    checks
}

/// Runs the scripts that read the FIFOs.
fn fifo_readers(setup: &Arc<Setup>, stopping: &watch::Receiver<bool>) -> JoinSet<()> {
    let mut readers = JoinSet::new();
    for (number, fifo) in setup.telling.fifos.iter().enumerate() {
        let (setup, stop) = (setup.clone(), stop_of(stopping.clone()));
        if fifo.script.is_some() {
            readers.spawn_local(async move {
                let fifo = &setup.telling.fifos[number];
                if let Some(script) = &fifo.script {
                    notify::read_fifo(script, &fifo.path, stop).await;
                }
            });
        }
    }
    readers
}

/// The trackers that some instance depends on.
fn watched(setup: &Setup) -> Vec<TrackerId> {
    let depends = |subject| setup.plan.instances.iter().flat_map(|i| &i.watches).any(|watch| watch.subject == subject);
    (0..setup.trackers.len() as u32).map(TrackerId).filter(|&id| depends(Subject::Tracker(id))).collect()
}

/// Completes when the daemon stops.
async fn stop_of(mut stopping: watch::Receiver<bool>) {
    // An error says that the sender is gone, which is a stop too.
    let _ = stopping.wait_for(|&stopping| stopping).await;
}

/// Says now and then what came to nothing.
async fn tell_losses(process: &Process, withheld: &Withheld) {
    let mut ticks = interval(LOSS_INTERVAL);
    let mut told = [0; 3];
    let Losses { events, notices, fifo_lines } = &process.losses;
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
