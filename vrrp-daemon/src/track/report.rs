//! What watchers find out, on its way to the log, to whoever asks for the status, and to the engine.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::SystemTime;

use tokio::sync::mpsc;

use crate::engine::plan::{TrackerId, TrackerPlan};
use crate::engine::tracking::{Tracker, Verdict};

/// Something that was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub reading: Reading,
    /// Goes on after the tracker's name: `failed (exited with status 1)`.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    Passed,
    Failed,
    Value(i16),
}

/// What the engine is to hear: of which tracker, by its id after how many reloads.
pub type Report = (u32, TrackerId, Reading);

/// What was last found out, by keyword and name of the tracker.
pub type Finds = BTreeMap<(&'static str, String), Seen>;
pub type Board = Rc<RefCell<Finds>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// With rise and fall counted.
    pub verdict: Verdict,
    pub text: String,
    pub at: SystemTime,
    pub tally: Tally,
}

/// Of kinds that count: how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub number: usize,
    /// They became more, or fewer, which does not count yet.
    pub waits: Option<Ordering>,
}

/// A tracker that somebody depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InUse {
    /// How many reloads its id has seen.
    pub edition: u32,
    pub id: TrackerId,
    pub name: String,
    pub plan: TrackerPlan,
}

/// Tells what one watcher finds out, for all trackers that it watches for.
pub struct Reporter {
    keyword: &'static str,
    /// Logs a change of verdict.
    say: fn(&str, &Finding),
    users: RefCell<Vec<User>>,
    last: RefCell<Option<Finding>>,
    tally: Cell<Tally>,
    board: Board,
    reports: mpsc::Sender<Report>,
}

struct User {
    tracker: InUse,
    /// The engine has one like it: its verdict is what the instances see.
    verdict: Tracker,
    heard: bool,
}

impl Reporter {
    pub fn new(
        keyword: &'static str,
        say: fn(&str, &Finding),
        users: Vec<InUse>,
        board: Board,
        reports: mpsc::Sender<Report>,
    ) -> Self {
        let users = users.into_iter().map(User::new).collect();
        Self {
            keyword,
            say,
            users: RefCell::new(users),
            last: RefCell::default(),
            tally: Cell::default(),
            board,
            reports,
        }
    }

    /// Of whom it tells, for the log: the first, and how many more.
    pub fn name(&self) -> String {
        let users = self.users.borrow();
        let first = users.first().map(|user| user.tracker.name.clone()).unwrap_or_default();
        if users.len() < 2 { first } else { format!("{first} (and {} equal ones)", users.len() - 1) }
    }

    /// Sets scripts of equal interval apart.
    pub fn number(&self) -> u32 {
        self.users.borrow().first().map_or(0, |user| user.tracker.id.0)
    }

    /// Tells of something; waits while the engine is busy.
    pub async fn report(&self, finding: Finding) {
        self.last.replace(Some(finding.clone()));
        let reports = self.users.borrow_mut().iter_mut().map(|user| self.tell(user, &finding)).collect();
        self.send(reports).await;
    }

    /// How many there are, for whoever asks.
    pub fn counts(&self, tally: Tally) {
        if self.tally.replace(tally) == tally {
            return;
        }
        let mut board = self.board.borrow_mut();
        for user in self.users.borrow().iter() {
            if let Some(seen) = board.get_mut(&(self.keyword, user.tracker.name.clone())) {
                seen.tally = tally;
            }
        }
    }

    /// After a reload: it tells of these from now on, first what it last found out. What was counted towards a verdict is
    /// kept.
    pub async fn tell_of(&self, users: Vec<InUse>) {
        let mut before = self.users.take();
        let take = |tracker: InUse| {
            let same =
                before.iter().position(|user| (&user.tracker.name, user.tracker.plan) == (&tracker.name, tracker.plan));
            match same {
                Some(index) => User { tracker, ..before.swap_remove(index) },
                None => User::new(tracker),
            }
        };
        let mut users: Vec<_> = users.into_iter().map(take).collect();
        let last = self.last.borrow().clone();
        let mut reports = Vec::new();
        if let Some(finding) = last {
            for user in users.iter_mut() {
                // One that goes on has been told of it.
                if !user.heard {
                    reports.push(self.tell(user, &finding));
                }
            }
        }
        self.users.replace(users);
        self.send(reports).await;
    }

    fn tell(&self, user: &mut User, finding: &Finding) -> Report {
        let before = user.verdict.verdict();
        let changed = match finding.reading {
            Reading::Passed => user.verdict.hear(true),
            Reading::Failed => user.verdict.hear(false),
            Reading::Value(value) => user.verdict.read(value),
        };
        // One that starts as failed and fails has changed nothing; that it was heard of is worth a line all the same.
        if changed || (before == Verdict::Failed && !user.heard) {
            (self.say)(&user.tracker.name, finding);
        }
        user.heard = true;
        let (verdict, text, at) = (user.verdict.verdict(), finding.text.clone(), SystemTime::now());
        let seen = Seen { verdict, text, at, tally: self.tally.get() };
        self.board.borrow_mut().insert((self.keyword, user.tracker.name.clone()), seen);
        (user.tracker.edition, user.tracker.id, finding.reading)
    }

    async fn send(&self, reports: Vec<Report>) {
        for report in reports {
            // Gone, when the daemon stops.
            let _ = self.reports.send(report).await;
        }
    }
}

impl User {
    fn new(tracker: InUse) -> Self {
        Self { verdict: Tracker::new(tracker.plan), heard: false, tracker }
    }
}
