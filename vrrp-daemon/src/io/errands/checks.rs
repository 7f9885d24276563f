//! The checks that run: one task for each tracker that some instance depends on. A reload starts and ends those that
//! changed; the others do not notice, but for the id that they report by.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::stop_of;
use crate::config::setup::{Setup, TrackerKind};
use crate::engine::plan::{Subject, TrackerId};
use crate::io::reload::Move;
use crate::track::check;

/// Which reload an id is of, and the id.
type Edited = Rc<Cell<(u32, TrackerId)>>;

pub struct Checks<R> {
    setup: Arc<Setup>,
    reports: Rc<R>,
    edition: u32,
    /// By `TrackerId`; `None`: nobody depends on it.
    running: Vec<Option<Check>>,
    tasks: JoinSet<()>,
}

/// Dropped, it ends.
struct Check {
    id: Edited,
    _stop: watch::Sender<bool>,
}

impl<R: AsyncFn(u32, TrackerId, bool) + 'static> Checks<R> {
    pub fn start(setup: &Arc<Setup>, reports: R) -> Self {
        let (reports, running, tasks) = (Rc::new(reports), Vec::new(), JoinSet::new());
        let mut checks = Self { setup: Arc::clone(setup), reports, edition: 0, running, tasks };
        checks.running.resize_with(setup.trackers.len(), || None);
        checks.start_missing();
        checks
    }

    /// Goes on with the checks of another configuration.
    pub fn reload(&mut self, to: &Move) {
        self.edition = self.edition.wrapping_add(1);
        let before = std::mem::replace(&mut self.setup, Arc::clone(&to.setup));
        let running = std::mem::take(&mut self.running);
        self.running = to.matching.trackers.carry(running, |_| None);
        let watched = watched(&self.setup);
        for (index, running) in self.running.iter_mut().enumerate() {
            let id = TrackerId(index as u32);
            let goes_on = to.matching.trackers.from(id).is_some_and(|old| {
                let (old, new) = (old.index(), index);
                before.trackers[old] == self.setup.trackers[new]
                    && before.plan.trackers[old] == self.setup.plan.trackers[new]
            });
            match running {
                Some(check) if goes_on && watched[index] => check.id.set((self.edition, id)),
                _ => *running = None,
            }
        }
        self.start_missing();
        while self.tasks.try_join_next().is_some() {}
    }

    /// Ends them all, and waits for it.
    pub async fn stop(mut self) {
        self.running.clear();
        self.tasks.join_all().await;
    }

    fn start_missing(&mut self) {
        let watched = watched(&self.setup);
        for index in (0..self.running.len()).filter(|&index| watched[index]) {
            if self.running[index].is_none() {
                self.running[index] = Some(self.spawn(TrackerId(index as u32)));
            }
        }
    }

    fn spawn(&mut self, id: TrackerId) -> Check {
        let (stop, stopping) = watch::channel(false);
        let (setup, reports, edited) =
            (Arc::clone(&self.setup), Rc::clone(&self.reports), Rc::new(Cell::new((self.edition, id))));
        let check = Check { id: Rc::clone(&edited), _stop: stop };
        self.tasks.spawn_local(async move {
            // Not the whole configuration: the check may outlast it.
            let tracker = setup.trackers[id.index()].clone();
            let plan = setup.plan.trackers[id.index()];
            drop(setup);
            let TrackerKind::Script(script) = &tracker.kind;
            let report = async |passed| {
                let (edition, id) = edited.get();
                reports(edition, id, passed).await;
            };
            check::watch(script, &tracker.name, id.0, plan, report, stop_of(stopping)).await;
        });
        check
    }
}

/// By `TrackerId`: whether some instance depends on it.
pub(super) fn watched(setup: &Setup) -> Vec<bool> {
    let mut watched = vec![false; setup.trackers.len()];
    for watch in setup.plan.instances.iter().flat_map(|instance| &instance.watches) {
        if let Subject::Tracker(id) = watch.subject {
            watched[id.index()] = true;
        }
    }
    watched
}
