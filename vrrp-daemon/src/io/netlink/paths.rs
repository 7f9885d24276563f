//! Routes, rules and static addresses on the host: set after the addresses of their master and removed before them, and set
//! again when others remove them.
//!
//! The kernel drops routes without a word: those of an interface that goes down, or of an address that is removed. So when
//! an interface comes up and when an address comes or goes, all of ours are asked for again; what is there stays as it is.

use std::io;
use std::sync::Arc;

use rtnetlink::MulticastGroup;
use rtnetlink::packet_route::RouteNetlinkMessage as Message;

use super::fixtures::{Fixture, Fixtures, Item, Owner, report, trace, undoing};
use super::jobs::Job;
use super::mend::Thing;
use super::requests::{BATCH, Outcome, Request};
use super::watch::{Event, Events};
use super::{Network, Report};
use crate::config::setup::Setup;
use crate::engine::plan::{InstanceId, InterfaceId};

impl<F: AsyncFn(Report)> Network<F> {
    /// Hears of routes and rules while there are any of ours, by a connection of its own: on a router there may be a million,
    /// and word of interfaces must not be lost among them.
    pub(super) fn watch_paths(&mut self) -> anyhow::Result<()> {
        if self.fixtures.owners.is_empty() {
            self.path_events = None;
        } else if self.path_events.is_none() {
            self.path_events = Some(Events::of(&[
                MulticastGroup::Ipv4Route,
                MulticastGroup::Ipv6Route,
                MulticastGroup::Ipv4Rule,
                MulticastGroup::Ipv6Rule,
            ])?);
        }
        Ok(())
    }

    pub(super) async fn path_event(&mut self, event: io::Result<Event>) {
        match event {
            Ok(Event::Changed(message @ (Message::DelRoute(_) | Message::DelRule(_)))) => self.miss(&message).await,
            Ok(Event::Changed(_)) => {}
            Ok(Event::Lost) => self.miss_all().await,
            Err(error) => {
                tracing::error!(
                    "the kernel's word of routes and rules broke off, and those that others remove stay away: {error}"
                );
                self.path_events = None;
            }
        }
    }

    /// Goes on by the present configuration: what is wanted no longer goes, what stays is not touched, what is new comes. What
    /// is new and needs an address that is new, too, comes with that.
    pub(super) async fn carry_paths(&mut self, before: &Fixtures, to: impl Fn(InstanceId) -> Option<InstanceId>) {
        self.fixtures = Fixtures::new(&self.setup);
        if let Err(error) = self.watch_paths() {
            tracing::error!("routes and rules that others remove stay away: {error:#}");
        }
        let setup = Arc::clone(&self.setup);
        let (mut gone, mut stay) = (Vec::new(), Vec::new());
        for (owner, message) in before.all() {
            let owner = match owner {
                Owner::Daemon => Some(owner),
                Owner::Instance(id) => to(id).map(Owner::Instance),
            };
            let owed = owner.filter(|&owner| self.is_owed(owner));
            let is_same = |&fixture: &Fixture| self.message(&setup, fixture).is_some_and(|(now, _)| now == *message);
            match owed.and_then(|owner| owner.fixtures(&setup).find(is_same)) {
                Some(fixture) => {
                    self.fixtures.take(fixture, message.clone());
                    stay.push(fixture);
                }
                None => gone.push(message.clone()),
            }
        }
        gone.retain(|message| !self.has(message));
        for batch in gone.chunks(BATCH) {
            let requests: Vec<_> = batch.iter().map(|message| Request::Lift(undoing(message.clone()))).collect();
            for (message, outcome) in batch.iter().zip(self.ask(&requests)) {
                match outcome {
                    Outcome::Done | Outcome::Already => self.guard.undone(&trace(message)),
                    Outcome::Failed(error) => tracing::error!("cannot remove {message:?}: {error}"),
                }
            }
        }
        self.guard.flush();
        for report in stay.into_iter().filter_map(|fixture| report(fixture, true)) {
            (self.reports)(report).await;
        }
        let owed = self.fixtures.owners.iter().filter(|owner| self.is_owed(**owner));
        let fresh = owed.flat_map(|owner| owner.fixtures(&setup)).filter(|&it| self.fixtures.held(it).is_none());
        let jobs: Vec<_> = fresh.map(Job::Relay).collect();
        self.work_all(&jobs).await;
    }

    /// To be set for a new master.
    pub(super) fn lay_all(&self, id: InstanceId, jobs: &mut Vec<Job>) {
        let (name, paths) = (&self.setup.instances[id.index()].name, &self.setup.instances[id.index()].paths);
        if !paths.routes.is_empty() {
            tracing::info!("({name}) setting Virtual Routes");
        }
        if !paths.rules.is_empty() {
            tracing::info!("({name}) setting Virtual Rules");
        }
        jobs.extend(Owner::Instance(id).fixtures(&self.setup).map(Job::Lay));
    }

    /// To be removed, rules first: what leads to a table goes before what is in it.
    pub(super) fn lift_all(&self, id: InstanceId, jobs: &mut Vec<Job>) {
        let ours = Owner::Instance(id).fixtures(&self.setup).rev();
        let before = jobs.len();
        jobs.extend(ours.filter(|&fixture| self.fixtures.held(fixture).is_some()).map(Job::Lift));
        if jobs.len() > before {
            let name = &self.setup.instances[id.index()].name;
            tracing::info!("({name}) removing Virtual Rules and Virtual Routes");
        }
    }

    /// At the start: what virtual routers left behind goes, unless they own their addresses; what is static comes. A static
    /// that is there already may be the administrator's own, and the way to this host.
    pub(super) fn start_paths(&mut self, jobs: &mut Vec<Job>) {
        let plans = self.setup.plan.instances.iter().zip((0..).map(InstanceId));
        for (_, id) in plans.filter(|(plan, _)| !plan.priority.is_owner()) {
            jobs.extend(Owner::Instance(id).fixtures(&self.setup).rev().map(Job::Sweep));
        }
        jobs.extend(Owner::Daemon.fixtures(&self.setup).map(Job::Lay));
        self.has_statics = true;
    }

    fn is_owed(&self, owner: Owner) -> bool {
        match owner {
            Owner::Daemon => self.has_statics,
            Owner::Instance(id) => self.wishes[id.index()].is_some(),
        }
    }

    /// Something of ours may be gone that the kernel tells of.
    pub(super) async fn miss(&mut self, removal: &Message) {
        for fixture in self.fixtures.named(removal) {
            if Item::of(&self.setup, fixture).is_kept() {
                self.repair(Thing::Fixture(fixture)).await;
            }
        }
    }

    /// Something of ours may be gone that the kernel does not tell of.
    pub(super) async fn miss_all(&mut self) {
        if !self.fixtures.owners.is_empty() {
            self.repair(Thing::Fixtures).await;
        }
    }

    pub(super) async fn mend_fixture(&mut self, fixture: Fixture) {
        if self.is_owed(fixture.0) {
            self.work(&[Job::Relay(fixture)]).await;
        }
    }

    pub(super) async fn mend_fixtures(&mut self) {
        let setup = &self.setup;
        let owed = self.fixtures.owners.iter().filter(|owner| self.is_owed(**owner));
        // Those without `no_track`, and those that could not be set until now.
        let is_missed = |fixture| self.fixtures.held(fixture).is_none() || Item::of(setup, fixture).is_kept();
        let mut jobs = Vec::new();
        for fixture in owed.flat_map(|owner| owner.fixtures(setup)).filter(|&fixture| is_missed(fixture)) {
            let now = self.message(setup, fixture).map(|(message, _)| message);
            // By the number of an interface that is not there any more, or not under that name.
            if self.fixtures.held(fixture).is_some_and(|held| now.as_ref() != Some(held)) {
                jobs.push(Job::Lift(fixture));
            }
            jobs.push(Job::Relay(fixture));
        }
        self.work_all(&jobs).await;
    }

    fn message(&self, setup: &Setup, fixture: Fixture) -> Option<(Message, u16)> {
        let index = |id: InterfaceId| self.shown[id.index()].map(|link| link.index);
        Item::of(setup, fixture).message(setup, index)
    }

    pub(super) fn lay<'a>(&self, setup: &Setup, fixture: Fixture) -> Option<Request<'a>> {
        self.message(setup, fixture).map(|(message, flags)| Request::Lay(message, flags))
    }

    pub(super) fn lift<'a>(&self, fixture: Fixture) -> Option<Request<'a>> {
        let message = self.fixtures.held(fixture)?;
        (!self.fixtures.is_shared(fixture, message)).then(|| Request::Lift(undoing(message.clone())))
    }

    pub(super) fn sweep<'a>(&self, setup: &Setup, fixture: Fixture) -> Option<Request<'a>> {
        self.message(setup, fixture).map(|(message, _)| Request::Lift(undoing(message)))
    }

    pub(super) fn was_laid(&mut self, setup: &Setup, fixture: Fixture, answered: Option<(Request, Outcome)>) {
        let (item, prefix) = (Item::of(setup, fixture), fixture.0.prefix(setup));
        match answered {
            Some((Request::Lay(message, _), Outcome::Done)) => self.fixtures.take(fixture, message),
            Some((Request::Lay(message, _), Outcome::Already)) => {
                if self.has(&message) {
                    self.fixtures.take(fixture, message);
                } else {
                    self.guard.undone(&trace(&message));
                    tracing::info!("{prefix}{item} was there already, and stays there");
                }
            }
            Some((Request::Lay(message, _), Outcome::Failed(error))) => {
                self.guard.undone(&trace(&message));
                tracing::error!("{prefix}cannot set {item}: {error}");
            }
            _ if setup.daemon.dynamic_interfaces => tracing::info!("{prefix}{item} waits for its interface"),
            _ => tracing::error!("{prefix}cannot set {item}: an interface of it does not exist"),
        }
    }

    /// Whether somebody of ours has what a message sets.
    fn has(&self, message: &Message) -> bool {
        self.fixtures.named(message).into_iter().any(|other| self.fixtures.held(other) == Some(message))
    }

    pub(super) fn was_relaid(&mut self, setup: &Setup, fixture: Fixture, answered: Option<(Request, Outcome)>) {
        let (item, prefix) = (Item::of(setup, fixture), fixture.0.prefix(setup));
        match answered {
            Some((Request::Lay(message, _), Outcome::Done)) => {
                if self.fixtures.held(fixture).is_some() {
                    tracing::warn!("{prefix}{item} was removed by somebody else; set again");
                } else {
                    tracing::info!("{prefix}{item} is set now");
                }
                self.fixtures.take(fixture, message);
            }
            // There all the time: if not ours, then the guard shall not remove it.
            Some((Request::Lay(message, _), Outcome::Already)) if !self.has(&message) => {
                self.guard.undone(&trace(&message));
            }
            Some((Request::Lay(message, _), Outcome::Failed(error))) => {
                if self.fixtures.held(fixture).is_none() {
                    self.guard.undone(&trace(&message));
                    tracing::warn!("{prefix}{item} cannot be set yet: {error}");
                } else {
                    tracing::debug!("{prefix}{item} cannot be set again yet: {error}");
                }
            }
            _ => {}
        }
    }

    pub(super) fn was_lifted(&mut self, setup: &Setup, fixture: Fixture, answered: Option<(Request, Outcome)>) {
        let held = self.fixtures.held(fixture).cloned();
        self.fixtures.leave(fixture);
        match (answered, held) {
            (Some((_, Outcome::Done | Outcome::Already)), Some(held)) => self.guard.undone(&trace(&held)),
            // The guard still knows of it, and tries once more at the end.
            (Some((_, Outcome::Failed(error))), _) => {
                let (item, prefix) = (Item::of(setup, fixture), fixture.0.prefix(setup));
                tracing::error!("{prefix}cannot remove {item}: {error}");
            }
            _ => {}
        }
    }

    pub(super) fn was_swept(&mut self, setup: &Setup, fixture: Fixture, answered: Option<(Request, Outcome)>) {
        let (item, prefix) = (Item::of(setup, fixture), fixture.0.prefix(setup));
        match answered {
            Some((_, Outcome::Done)) => tracing::info!("{prefix}removed left-over {item}"),
            Some((_, Outcome::Failed(error))) => tracing::error!("{prefix}cannot remove left-over {item}: {error}"),
            _ => {}
        }
    }
}
