//! Which addresses are ours, and which instances hold them: one that two instances share goes with the last of them.

use std::collections::{BTreeMap, BTreeSet};

use vrrp_common::IfIndex;

use super::addresses::Place;
use crate::config::setup::Setup;
use crate::engine::plan::InstanceId;

/// An address of an instance, by its number there.
pub type Holder = (InstanceId, usize);

/// What was set by this daemon and not removed since.
#[derive(Debug)]
pub struct Holdings {
    /// By instance and address: where it is.
    indices: Vec<Vec<Option<IfIndex>>>,
    holders: BTreeMap<Place, BTreeSet<Holder>>,
}

impl Holdings {
    pub fn new(setup: &Setup) -> Self {
        let indices = setup.instances.iter().map(|instance| vec![None; instance.addresses.len()]).collect();
        Self { indices, holders: BTreeMap::new() }
    }

    /// Where an instance holds this address.
    pub fn index(&self, (id, number): Holder) -> Option<IfIndex> {
        self.indices[id.index()][number]
    }

    /// Whether some instance holds what is at this place.
    pub fn has(&self, place: Place) -> bool {
        self.holders.contains_key(&place)
    }

    /// Whether others than this one do.
    pub fn is_shared(&self, holder: Holder, place: Place) -> bool {
        self.holders.get(&place).is_some_and(|holders| holders.iter().any(|&other| other != holder))
    }

    /// All that is held, with one of those who hold it.
    pub fn all(&self) -> impl Iterator<Item = (Place, Holder)> {
        self.holders.iter().filter_map(|(&place, holders)| Some((place, *holders.first()?)))
    }

    /// One of those who hold what is at this place.
    pub fn holder(&self, place: Place) -> Option<Holder> {
        self.holders.get(&place)?.first().copied()
    }

    pub fn take(&mut self, holder: Holder, place: Place) {
        self.indices[holder.0.index()][holder.1] = Some(place.0);
        self.holders.entry(place).or_default().insert(holder);
    }

    /// From now on an instance does not hold its address of this kind, wherever that was.
    pub fn leave(&mut self, holder: Holder, place: impl FnOnce(IfIndex) -> Place) {
        let Some(index) = self.indices[holder.0.index()][holder.1].take() else { return };
        let place = place(index);
        if let Some(holders) = self.holders.get_mut(&place) {
            holders.remove(&holder);
            if holders.is_empty() {
                self.holders.remove(&place);
            }
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
        let mut holdings = Holdings { indices: vec![vec![None], vec![None]], holders: BTreeMap::new() };
        holdings.take(a, place);
        assert!(holdings.has(place) && !holdings.is_shared(a, place));
        holdings.take(b, place);
        assert!(holdings.is_shared(a, place) && holdings.is_shared(b, place));
        holdings.leave(a, |_| place);
        assert_eq!((holdings.index(a), holdings.holder(place)), (None, Some(b)));
        assert!(!holdings.is_shared(b, place));
        holdings.leave(b, |_| place);
        holdings.leave(b, |_| place);
        assert!(!holdings.has(place) && holdings.all().next().is_none());
    }
}
