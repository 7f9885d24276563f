//! What somebody else has undone is put right, for as long as it is wished for.

use super::addresses::Place;
use super::fixtures::Fixture;
use super::holdings::Holder;
use super::jobs::Job;
use super::{Network, Report};
use crate::io::clock;

/// What somebody else may undo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thing {
    Address(Holder),
    /// One that was made on another interface, by its place in [`Setup::uppers`](crate::config::setup::Setup::uppers).
    Upper(usize),
    Fixture(Fixture),
    /// All of them.
    Fixtures,
}

impl<F: AsyncFn(Report)> Network<F> {
    /// Sets an address again that somebody else removed while its instance is master. Whether it was such a one.
    pub(super) async fn restore(&mut self, place: Place) -> bool {
        let Some(holder) = self.holdings.holder(place) else { return false };
        if self.is_kept(holder) {
            self.repair(Thing::Address(holder)).await;
        }
        true
    }

    pub(super) fn is_kept(&self, (id, number): Holder) -> bool {
        self.setup.instances[id.index()].addresses[number].kept
    }

    /// Puts right what somebody else has undone, now or when its time comes.
    pub(super) async fn repair(&mut self, thing: Thing) {
        if self.repairs.may(thing, clock::now()) {
            self.mend(thing).await;
        }
    }

    pub(super) async fn mend(&mut self, thing: Thing) {
        match thing {
            Thing::Address((id, number)) => self.work(&[Job::Restore { id, number }]).await,
            Thing::Upper(place) => self.mend_upper(place).await,
            Thing::Fixture(fixture) => self.mend_fixture(fixture).await,
            Thing::Fixtures => self.mend_fixtures().await,
        }
    }
}
