//! The tasks that watch: one for all equal trackers, and for kinds that share something one for the whole kind.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::Kind;
use super::report::{Board, Finding, InUse, Report, Reporter};

/// How something is watched.
pub trait Watch: Sized {
    /// One task watches all of the kind; otherwise each is watched by a task of its own.
    const TOGETHER: bool;

    /// Why it could never find anything out: its virtual routers do without.
    fn unusable(&self) -> Option<String> {
        None
    }

    /// Logs what was found out of the tracker of this name.
    fn say(name: &str, finding: &Finding);

    /// Watches until told to stop. On a `LocalSet`.
    fn watch(jobs: Vec<Job<Self>>, stop: Stop) -> impl Future<Output = ()>;
}

/// Something to watch, and where to tell what is found out.
pub struct Job<W> {
    pub watched: W,
    pub reporter: Rc<Reporter>,
    /// It was not watched before the reload.
    pub fresh: bool,
}

/// Tells a task to stop.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// A stop, and what asks for it; that being dropped asks for it, too.
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (ask, asked) = watch::channel(false);
        (ask, Self(asked))
    }

    /// Completes when the task is to stop.
    pub async fn asked(&self) {
        // An error says that nobody is left to ask, which is a stop too.
        let _ = self.0.clone().wait_for(|&asked| asked).await;
    }
}

/// All that is watched. Dropped, nothing is any more.
pub struct Watchers {
    groups: Vec<Group>,
    tasks: JoinSet<()>,
    board: Board,
    reports: mpsc::Sender<Report>,
}

/// What one task watches.
struct Group {
    watched: Vec<(Kind, Rc<Reporter>)>,
    stop: watch::Sender<bool>,
}

impl Watchers {
    pub fn new(board: Board, reports: mpsc::Sender<Report>) -> Self {
        Self { groups: Vec::new(), tasks: JoinSet::new(), board, reports }
    }

    /// Watches these from now on: at the start, and after a reload. A task that would be started anew goes on instead, with
    /// the names and numbers that its trackers have now. On a `LocalSet`.
    pub async fn set(&mut self, in_use: Vec<(Kind, InUse)>) {
        let names: BTreeSet<_> = in_use.iter().map(|(kind, tracker)| (kind.keyword(), tracker.name.clone())).collect();
        self.board.borrow_mut().retain(|key, _| names.contains(key));
        let mut before: Vec<_> = std::mem::take(&mut self.groups).into_iter().map(Some).collect();
        let of =
            |group: &Option<Group>| group.iter().flat_map(|old| &old.watched).map(|(kind, _)| kind.clone()).collect();
        let known: HashSet<Kind> =
            before.iter().flatten().flat_map(|old| &old.watched).map(|(kind, _)| kind.clone()).collect();
        let places: HashMap<Vec<Kind>, usize> = before.iter().map(of).zip(0..).collect();
        for group in groups(in_use) {
            let kinds: Vec<_> = group.iter().map(|(kind, _)| kind.clone()).collect();
            match places.get(&kinds).and_then(|&place| before[place].take()) {
                Some(old) => {
                    for ((_, reporter), (_, users)) in old.watched.iter().zip(group) {
                        reporter.tell_of(users).await;
                    }
                    self.groups.push(old);
                }
                None => self.start(group, &known),
            }
        }
        before.iter().flatten().for_each(Group::end);
        while self.tasks.try_join_next().is_some() {}
    }

    fn start(&mut self, group: Vec<(Kind, Vec<InUse>)>, known: &HashSet<Kind>) {
        let reporter = |(kind, users): (Kind, Vec<InUse>)| {
            let reporter = Reporter::new(kind.keyword(), kind.say(), users, self.board.clone(), self.reports.clone());
            (kind, Rc::new(reporter))
        };
        let watched: Vec<_> = group.into_iter().map(reporter).collect();
        let job = |(kind, reporter): &(Kind, Rc<Reporter>)| Job {
            watched: kind.clone(),
            reporter: Rc::clone(reporter),
            fresh: !known.contains(kind),
        };
        let jobs = watched.iter().map(job).collect();
        let (ask, stop) = Stop::new();
        self.tasks.spawn_local(Kind::watch(jobs, stop));
        self.groups.push(Group { watched, stop: ask });
    }

    /// Stops all of it, and waits until it has.
    pub async fn end(self) {
        self.groups.iter().for_each(Group::end);
        self.tasks.join_all().await;
    }
}

impl Group {
    fn end(&self) {
        let _ = self.stop.send(true);
    }
}

/// Puts equal trackers together, then kinds that are watched by one task; in the order of first mention.
fn groups(in_use: Vec<(Kind, InUse)>) -> Vec<Vec<(Kind, Vec<InUse>)>> {
    let mut distinct: Vec<(Kind, Vec<InUse>)> = Vec::new();
    let mut places = HashMap::new();
    for (kind, tracker) in in_use {
        let place = *places.entry(kind.clone()).or_insert(distinct.len());
        match distinct.get_mut(place) {
            Some((_, users)) => users.push(tracker),
            None => distinct.push((kind, vec![tracker])),
        }
    }
    let mut groups: Vec<Vec<(Kind, Vec<InUse>)>> = Vec::new();
    // Places of kinds that are watched by one task.
    let mut shared: Vec<(&str, usize)> = Vec::new();
    for (kind, users) in distinct {
        let of_kind = shared.iter().find(|(keyword, _)| *keyword == kind.keyword()).map(|&(_, place)| place);
        match of_kind {
            Some(place) => groups[place].push((kind, users)),
            None => {
                if kind.is_shared() {
                    shared.push((kind.keyword(), groups.len()));
                }
                groups.push(vec![(kind, users)]);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests;
