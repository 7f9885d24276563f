//! Which addresses are ours, and which instances hold them: one that two instances share goes with the last of them.

use std::collections::BTreeSet;

use vrrp_common::IfIndex;

use super::addresses::Place;
use crate::config::setup::Setup;
use crate::engine::plan::InstanceId;

/// An address of an instance, by its number there.
pub type Holder = (InstanceId, usize);

/// What was set by this daemon and not removed since.
#[derive(Debug)]
pub struct Holdings {
    /// By address, of one instance after the other: where it is.
    indices: Vec<Option<IfIndex>>,
    /// By instance: the place of its first address there.
    first: Vec<usize>,
    /// What is held, with each of those who hold it.
    holders: BTreeSet<(Place, Holder)>,
}

impl Holdings {
    pub fn new(setup: &Setup) -> Self {
        Self::of(setup.instances.iter().map(|instance| instance.addresses.len()))
    }

    /// Of instances with so many addresses each.
    fn of(counts: impl Iterator<Item = usize>) -> Self {
        let (mut first, mut indices) = (Vec::new(), Vec::new());
        for count in counts {
            first.push(indices.len());
            indices.resize(indices.len() + count, None);
        }
        Self { indices, first, holders: BTreeSet::new() }
    }

    /// Where an instance holds this address.
    pub fn index(&self, holder: Holder) -> Option<IfIndex> {
        self.indices[self.place(holder)]
    }

    fn place(&self, (id, number): Holder) -> usize {
        self.first[id.index()] + number
    }

    /// Whether some instance holds what is at this place.
    pub fn has(&self, place: Place) -> bool {
        self.holder(place).is_some()
    }

    /// Whether others than this one do.
    pub fn is_shared(&self, holder: Holder, place: Place) -> bool {
        self.holders(place).any(|other| other != holder)
    }

    /// All that is held, with one of those who hold it.
    pub fn all(&self) -> impl Iterator<Item = (Place, Holder)> {
        let mut last = None;
        self.holders.iter().copied().filter(move |&(place, _)| last.replace(place) != Some(place))
    }

    /// All that is held, with each of those who hold it.
    pub fn everything(&self) -> impl Iterator<Item = (Place, Holder)> {
        self.holders.iter().copied()
    }

    /// One of those who hold what is at this place.
    pub fn holder(&self, place: Place) -> Option<Holder> {
        self.holders(place).next()
    }

    fn holders(&self, place: Place) -> impl Iterator<Item = Holder> {
        let all = (place, (InstanceId(0), 0))..=(place, (InstanceId(u32::MAX), usize::MAX));
        self.holders.range(all).map(|&(_, holder)| holder)
    }

    pub fn take(&mut self, holder: Holder, place: Place) {
        let at = self.place(holder);
        self.indices[at] = Some(place.0);
        self.holders.insert((place, holder));
    }

    /// From now on an instance does not hold its address of this kind, wherever that was.
    pub fn leave(&mut self, holder: Holder, place: impl FnOnce(IfIndex) -> Place) {
        let at = self.place(holder);
        if let Some(index) = self.indices[at].take() {
            self.holders.remove(&(place(index), holder));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_address_goes_with_its_last_holder() {
        let place = (IfIndex(7), "10.0.0.1".parse().unwrap(), 32);
        let (a, b) = ((InstanceId(0), 0), (InstanceId(1), 0));
        let mut holdings = Holdings::of([1, 1].into_iter());
        holdings.take(a, place);
        assert!(holdings.has(place) && !holdings.is_shared(a, place));
        holdings.take(b, place);
        assert!(holdings.is_shared(a, place) && holdings.is_shared(b, place));
        assert_eq!(holdings.all().collect::<Vec<_>>(), [(place, a)]);
        holdings.leave(a, |_| place);
        assert_eq!((holdings.index(a), holdings.holder(place)), (None, Some(b)));
        assert!(!holdings.is_shared(b, place));
        holdings.leave(b, |_| place);
        holdings.leave(b, |_| place);
        assert!(!holdings.has(place) && holdings.all().next().is_none());
    }
}
