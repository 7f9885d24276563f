//! Counts processes as the kernel tells of them, or by looking at /proc once a second where it does not.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::select;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::events::{Event, Events};
use super::proc::{self, Identity};
use super::{Pattern, Process};
use crate::track::report::{Finding, Reading, Tally};
use crate::track::watch::{Job, Stop, Watch};

/// How often /proc is looked at where the kernel does not tell.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

impl Watch for Process {
    const TOGETHER: bool = true;

    fn say(name: &str, Finding { reading, text }: &Finding) {
        match reading {
            Reading::Passed => info!("Quorum gained for tracked process {name}: {text}"),
            _ => warn!("Quorum lost for tracked process {name}: {text}"),
        }
    }

    async fn watch(jobs: Vec<Job<Self>>, stop: Stop) {
        let mut census = Census::new(jobs);
        let mut events = select! {
            events = Events::listen() => events,
            () = stop.asked() => return,
        };
        if let Err(why) = &events {
            warn!("track_process: {why}; processes are looked for once a second");
        }
        // After the kernel began to tell: nobody is missed.
        census.look().await;
        loop {
            census.report(Instant::now()).await;
            let due = census.due();
            let event = select! {
                event = next(&events) => event,
                () = async { sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => continue,
                () = stop.asked() => return,
            };
            match event {
                Ok(event) => census.hear(event).await,
                Err(why) => {
                    warn!("track_process: {why}; processes are looked for once a second");
                    events = Err(why);
                    census.look().await;
                }
            }
        }
    }
}

/// What happened; without events, a second later, anything may have.
async fn next(events: &Result<Events, String>) -> Result<Event, String> {
    match events {
        Ok(events) => events.next().await.map_err(|error| error.to_string()),
        Err(_) => {
            sleep(POLL_INTERVAL).await;
            Ok(Event::Lost)
        }
    }
}

/// All that is counted.
struct Census {
    counts: Vec<Count>,
    /// Somebody is known by its command line.
    wants_command: bool,
}

struct Count {
    job: Job<Process>,
    pids: BTreeSet<u32>,
    /// What was last reported: how many there were, and whether that was right.
    told: Option<(usize, bool)>,
    /// Since when that is no longer so.
    since: Option<Instant>,
}

impl Census {
    fn new(jobs: Vec<Job<Process>>) -> Self {
        let wants_command = jobs.iter().any(|job| matches!(job.watched.pattern, Pattern::Command { .. }));
        let counts = jobs.into_iter().map(|job| Count { job, pids: BTreeSet::new(), told: None, since: None });
        Self { counts: counts.collect(), wants_command }
    }

    /// Counts anew.
    async fn look(&mut self) {
        let wants_command = self.wants_command;
        // Elsewhere: there may be thousands.
        let Ok(all) = spawn_blocking(move || proc::all(wants_command)).await else { return };
        for count in &mut self.counts {
            let meant = all.iter().filter(|(_, identity)| count.means(identity));
            count.pids = meant.map(|(pid, _)| *pid).collect();
        }
    }

    async fn hear(&mut self, event: Event) {
        match event {
            Event::Answer(_) => {}
            Event::Lost => self.look().await,
            // It is what its parent was, until it is another.
            Event::Forked { parent, child } => {
                for count in self.counts.iter_mut().filter(|count| count.pids.contains(&parent)) {
                    count.pids.insert(child);
                }
            }
            Event::Changed(pid) => {
                let identity = proc::identity(pid, self.wants_command);
                for count in &mut self.counts {
                    match identity.as_ref().is_some_and(|identity| count.means(identity)) {
                        true => count.pids.insert(pid),
                        false => count.pids.remove(&pid),
                    };
                }
            }
            Event::Ended(pid) => self.counts.iter_mut().for_each(|count| count.pids.retain(|other| *other != pid)),
        }
    }

    /// When a change is old enough to be reported.
    fn due(&self) -> Option<Instant> {
        self.counts.iter().filter_map(Count::due).min()
    }

    /// Reports what changed long enough ago.
    async fn report(&mut self, now: Instant) {
        for count in &mut self.counts {
            count.notice(now);
            count.job.reporter.counts(count.tally());
            if count.told.is_some() && count.due().is_none_or(|due| due > now) {
                continue;
            }
            let (number, is_right) = count.now();
            count.told = Some((number, is_right));
            count.since = None;
            count.job.reporter.counts(count.tally());
            let reading = if is_right { Reading::Passed } else { Reading::Failed };
            count.job.reporter.report(Finding { reading, text: text(&count.job.watched, number) }).await;
        }
    }
}

impl Count {
    fn means(&self, identity: &Identity) -> bool {
        self.job.watched.pattern.matches(&identity.name, &identity.command)
    }

    fn now(&self) -> (usize, bool) {
        (self.pids.len(), self.job.watched.is_quorum(self.pids.len()))
    }

    fn tally(&self) -> Tally {
        let number = self.pids.len();
        Tally { number, waits: self.since.and(self.told).map(|(told, _)| number.cmp(&told)) }
    }

    /// Notes since when things are not as they were told.
    fn notice(&mut self, now: Instant) {
        let (_, is_right) = self.now();
        self.since = match self.told {
            Some((_, told)) if told != is_right => self.since.or(Some(now)),
            _ => None,
        };
    }

    /// Processes that were started count after `fork_delay`, those that ended after `terminate_delay`.
    fn due(&self) -> Option<Instant> {
        let Process { fork_delay, terminate_delay, .. } = self.job.watched;
        let (told, _) = self.told?;
        let delay = if self.pids.len() > told { fork_delay } else { terminate_delay };
        Some(self.since? + delay)
    }
}

fn text(process: &Process, number: usize) -> String {
    let needed = match (process.quorum, process.quorum_max) {
        (quorum, None) => format!("{quorum} or more"),
        (quorum, Some(most)) if quorum == most => quorum.to_string(),
        (quorum, Some(most)) => format!("{quorum} to {most}"),
    };
    format!("there are {number}, there should be {needed}")
}

#[cfg(test)]
mod tests;
