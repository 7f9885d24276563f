//! The steps of commands: asked of the kernel many at a time, and what came of each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use vrrp_common::IfIndex;

use super::addresses::Place;
use super::fixtures::{Fixture, Item, Subject, report, trace};
use super::requests::{BATCH, Outcome, Request};
use super::upper::Kind;
use super::{Network, Report};
use crate::config::setup::{Setup, VirtualAddress};
use crate::engine::Tenure;
use crate::engine::plan::InstanceId;

/// Batches between two moments of sleep: a tenth of a second of the kernel's work.
const UNBROKEN: usize = 64;

/// A step of a command.
#[derive(Clone, Copy, Debug)]
pub(super) enum Job {
    Set {
        id: InstanceId,
        number: usize,
        tenure: Tenure,
    },
    Clear {
        id: InstanceId,
        number: usize,
    },
    Settle {
        id: InstanceId,
    },
    /// Set a route, a rule or a static address.
    Lay(Fixture),
    /// Remove one.
    Lift(Fixture),
    /// See to it that one is there, after something happened that may have cost it.
    Relay(Fixture),
    /// Remove one that an earlier daemon left.
    Sweep(Fixture),
    /// Take an interface that was made on another up.
    Raise {
        place: usize,
    },
    /// Set what somebody else removed.
    Restore {
        id: InstanceId,
        number: usize,
    },
    /// Remove what an earlier daemon left.
    Tidy {
        id: InstanceId,
        number: usize,
        index: IfIndex,
    },
}

impl<F: AsyncFn(Report)> Network<F> {
    /// Does these jobs, many at a time; but of one address one at a time, since what came of the first decides what is to
    /// be done for the next.
    pub(super) async fn work_all(&mut self, mut jobs: &[Job]) {
        for number in 1.. {
            if jobs.is_empty() {
                return;
            }
            // A thread with real-time priority must sleep now and then, or the kernel ends it (`privilege.rs`).
            if number % UNBROKEN == 0 {
                std::thread::sleep(Duration::from_micros(1));
            }
            let mut subjects = BTreeSet::new();
            let is_new = |&&job: &&Job| subject(&self.setup, job).is_none_or(|subject| subjects.insert(subject));
            let count = jobs.iter().take(BATCH).take_while(is_new).count();
            let (batch, rest) = jobs.split_at(count);
            self.work(batch).await;
            jobs = rest;
        }
    }

    /// One batch: the guard hears of what will be set, the kernel does it all, then each job learns what came of its part.
    pub(super) async fn work(&mut self, jobs: &[Job]) {
        let setup = Arc::clone(&self.setup);
        let mut requests = Vec::new();
        let mut asked = Vec::new();
        for &job in jobs {
            match self.request(&setup, job) {
                Some(request) => {
                    match &request {
                        Request::Add(index, address) => self.guard.holds(*index, address.address, address.prefix),
                        Request::Lay(message, _) => self.guard.leaves(&trace(message)),
                        _ => {}
                    }
                    requests.push(request);
                    asked.push(true);
                }
                None => asked.push(false),
            }
        }
        self.guard.flush();
        let mut outcomes = self.ask(&requests).into_iter();
        let mut requests = requests.into_iter();
        for (&job, asked) in jobs.iter().zip(asked) {
            let answered = if asked { requests.next().zip(outcomes.next()) } else { None };
            let report = self.conclude(&setup, job, answered);
            if let Some(report) = report {
                (self.reports)(report).await;
            }
        }
        self.guard.flush();
    }

    /// What came of requests, at most [`BATCH`]; nothing when the kernel does not answer.
    pub(super) fn ask(&mut self, requests: &[Request]) -> Vec<Outcome> {
        self.requests.make(requests).unwrap_or_else(|error| {
            tracing::error!("the kernel does not take netlink requests: {error}");
            Vec::new()
        })
    }

    /// What to ask of the kernel for a job; `None` when nothing can or must be.
    fn request<'a>(&self, setup: &'a Setup, job: Job) -> Option<Request<'a>> {
        let address = |id: InstanceId, number: usize| &setup.instances[id.index()].addresses[number];
        match job {
            Job::Set { id, number, .. } => {
                let address = address(id, number);
                Some(Request::Add(self.shown[address.interface.index()]?.index, address))
            }
            Job::Restore { id, number } => Some(Request::Add(self.holdings.index((id, number))?, address(id, number))),
            Job::Clear { id, number } => {
                let place = place(address(id, number), self.holdings.index((id, number))?);
                (!self.holdings.is_shared((id, number), place)).then_some(Request::Remove(place))
            }
            Job::Tidy { id, number, index } => {
                let VirtualAddress { address, prefix, .. } = *address(id, number);
                Some(Request::Remove((index, address, prefix)))
            }
            Job::Lay(fixture) => self.lay(setup, fixture),
            Job::Relay(fixture) => self.lay(setup, fixture),
            Job::Lift(fixture) => self.lift(fixture),
            Job::Sweep(fixture) => self.sweep(setup, fixture),
            Job::Raise { place } => Some(Request::Up(self.upper_link(place)?.index, true)),
            Job::Settle { .. } => None,
        }
    }

    /// Takes in what came of a job, and says what to report of it.
    fn conclude(&mut self, setup: &Setup, job: Job, answered: Option<(Request, Outcome)>) -> Option<Report> {
        let is_set = matches!(answered, Some((_, Outcome::Done | Outcome::Already)));
        match job {
            Job::Set { id, number, tenure } => {
                let installed = self.was_set(setup, id, number, answered);
                return Some(Report::Address { id, tenure, address: number as u32, installed });
            }
            Job::Settle { id } => return Some(Report::Settled { id }),
            Job::Lay(fixture) => {
                self.was_laid(setup, fixture, answered);
                return report(fixture, is_set);
            }
            Job::Relay(fixture) => {
                self.was_relaid(setup, fixture, answered);
                return report(fixture, is_set);
            }
            Job::Lift(fixture) => {
                self.was_lifted(setup, fixture, answered);
                return report(fixture, false);
            }
            Job::Sweep(fixture) => self.was_swept(setup, fixture, answered),
            Job::Raise { place } => {
                // One that is gone is told of by itself.
                if let Some((_, Outcome::Failed(error))) = answered
                    && error.raw_os_error() != Some(libc::ENODEV)
                {
                    let upper = &setup.uppers[place];
                    let (what, name) = (Kind::of(&upper.kind).text(), &setup.interfaces[upper.interface.index()]);
                    tracing::error!("cannot take {what} {name} up: {error}");
                }
            }
            Job::Restore { id, number } => {
                // There already: what was told of is the removal of an earlier tenure's.
                if let Some((Request::Add(_, address), Outcome::Done)) = answered {
                    let VirtualAddress { address, prefix, .. } = address;
                    let name = &setup.instances[id.index()].name;
                    tracing::warn!("({name}) {address}/{prefix} was removed by somebody else; set again");
                    // Others may have had it meanwhile.
                    let tenure = self.wishes[id.index()]?;
                    return Some(Report::Address { id, tenure, address: number as u32, installed: true });
                }
            }
            Job::Clear { id, number } => {
                self.holdings.leave((id, number), |index| place(&setup.instances[id.index()].addresses[number], index));
                match answered {
                    Some((Request::Remove((index, address, prefix)), Outcome::Done | Outcome::Already)) => {
                        self.guard.released(index, address, prefix);
                    }
                    // The guard still knows of it, and tries once more at the end.
                    Some((Request::Remove((_, address, prefix)), Outcome::Failed(error))) => {
                        tracing::error!(
                            "({}) cannot remove {address}/{prefix}: {error}",
                            setup.instances[id.index()].name
                        );
                    }
                    _ => {}
                }
            }
            Job::Tidy { id, .. } => {
                let name = &setup.instances[id.index()].name;
                match answered {
                    Some((Request::Remove((_, address, prefix)), Outcome::Done)) => {
                        tracing::info!("({name}) removed left-over address {address}/{prefix}");
                    }
                    Some((Request::Remove((_, address, prefix)), Outcome::Failed(error))) => {
                        tracing::error!("({name}) cannot remove left-over address {address}/{prefix}: {error}");
                    }
                    _ => {}
                }
            }
        }
        None
    }

    /// Whether an address is there after it was asked for.
    fn was_set(&mut self, setup: &Setup, id: InstanceId, number: usize, answered: Option<(Request, Outcome)>) -> bool {
        let instance = &setup.instances[id.index()];
        let name = &instance.name;
        let VirtualAddress { address: ip, prefix, interface, .. } = instance.addresses[number];
        let interface = &setup.interfaces[interface.index()];
        let Some((Request::Add(index, _), outcome)) = answered else {
            tracing::error!("({name}) cannot set {ip}/{prefix}: interface {interface} does not exist");
            return false;
        };
        let place = (index, ip, prefix);
        match outcome {
            Outcome::Done => {
                self.holdings.take((id, number), place);
                true
            }
            Outcome::Already => {
                if self.holdings.has(place) {
                    self.holdings.take((id, number), place);
                } else {
                    self.guard.released(index, ip, prefix);
                    tracing::info!("({name}) {ip}/{prefix} was on {interface} already, and stays there");
                }
                true
            }
            Outcome::Failed(error) => {
                self.guard.released(index, ip, prefix);
                tracing::error!("({name}) cannot set {ip}/{prefix} on {interface}: {error}");
                false
            }
        }
    }
}

/// Where an address of the configuration is on an interface of this number.
const fn place(address: &VirtualAddress, index: IfIndex) -> Place {
    (index, address.address, address.prefix)
}

/// What a job is about, if it is about something that another one may be about, too.
fn subject(setup: &Setup, job: Job) -> Option<Subject> {
    let (id, number) = match job {
        Job::Set { id, number, .. }
        | Job::Clear { id, number }
        | Job::Restore { id, number }
        | Job::Tidy { id, number, .. } => (id, number),
        Job::Lay(fixture) | Job::Lift(fixture) | Job::Relay(fixture) | Job::Sweep(fixture) => {
            return Some(Item::of(setup, fixture).subject());
        }
        Job::Settle { .. } | Job::Raise { .. } => return None,
    };
    let VirtualAddress { interface, address, prefix, .. } = setup.instances[id.index()].addresses[number];
    Some(Subject::Address(interface, address, prefix))
}
