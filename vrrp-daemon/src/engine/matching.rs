//! What of a new plan was in the old one already: of each id there, which it is here.
//!
//! It is made by whoever knows names (`config/matching.rs`), once for each reload. All that is kept by ids moves by it.

use super::plan::{Id, InstanceId, InterfaceId, TrackerId};

/// Everything that has an id and something to keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matching {
    pub instances: Moves<InstanceId>,
    pub interfaces: Moves<InterfaceId>,
    pub trackers: Moves<TrackerId>,
    /// By new [`InstanceId`]; what is new has nothing in common with anything.
    pub common: Vec<Common>,
}

/// What an instance has in common with itself before the reload, beyond its plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Common {
    /// Adverts of others are judged as before, and named addresses are compared with the same.
    pub hears_alike: bool,
    /// Its addresses, where they are not the same as before in the same order.
    pub addresses: Option<Moves<u32>>,
}

impl Common {
    /// The number of an address now; `None`: it is gone.
    pub fn address(&self, before: u32) -> Option<u32> {
        self.addresses.as_ref().map_or(Some(before), |moved| moved.to(before))
    }
}

/// From old ids to new ones, and back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moves<I> {
    /// By new id.
    from: Vec<Option<I>>,
    /// By old id.
    to: Vec<Option<I>>,
}

impl<I> Default for Moves<I> {
    fn default() -> Self {
        Self { from: Vec::new(), to: Vec::new() }
    }
}

impl<I: Id> Moves<I> {
    /// `from` says of each new id which of the `old` ones it was. No old one is named twice.
    pub fn new(old: usize, from: Vec<Option<I>>) -> Self {
        let mut to = vec![None; old];
        for (new, old) in from.iter().enumerate() {
            if let Some(old) = old {
                to[old.at()] = Some(I::nth(new));
            }
        }
        Self { from, to }
    }

    /// Which old id a new one was; `None`: it is new.
    pub fn from(&self, new: I) -> Option<I> {
        self.from[new.at()]
    }

    /// Which new id an old one is; `None`: it is gone.
    pub fn to(&self, old: I) -> Option<I> {
        *self.to.get(old.at())?
    }

    /// Old ids that are gone.
    pub fn gone(&self) -> impl Iterator<Item = I> {
        self.to.iter().enumerate().filter(|(_, new)| new.is_none()).map(|(old, _)| I::nth(old))
    }

    /// New ids of what is new.
    pub fn fresh(&self) -> impl Iterator<Item = I> {
        self.from.iter().enumerate().filter(|(_, old)| old.is_none()).map(|(new, _)| I::nth(new))
    }

    /// A table by old ids becomes one by new ids; `fresh` says what those have that are new.
    pub fn carry<T>(&self, old: Vec<T>, mut fresh: impl FnMut(I) -> T) -> Vec<T> {
        let mut old: Vec<_> = old.into_iter().map(Some).collect();
        let carried = self.from.iter().enumerate().map(|(new, from)| {
            let kept = from.and_then(|from| old.get_mut(from.at())?.take());
            kept.unwrap_or_else(|| fresh(I::nth(new)))
        });
        carried.collect()
    }

    /// Whether everything is where it was, and nothing is new or gone.
    pub fn is_nothing(&self) -> bool {
        self.from.len() == self.to.len() && self.from.iter().enumerate().all(|(new, from)| *from == Some(I::nth(new)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_move_with_their_ids() {
        let [a, b, c] = [0, 1, 2].map(InstanceId);
        let moves = Moves::new(3, vec![Some(c), None, Some(a)]);
        assert_eq!([a, b, c].map(|old| moves.to(old)), [Some(c), None, Some(a)]);
        assert_eq!([a, b, c].map(|new| moves.from(new)), [Some(c), None, Some(a)]);
        assert_eq!(moves.gone().collect::<Vec<_>>(), [b]);
        assert_eq!(moves.carry(vec!["a", "b", "c"], |id| if id == b { "new" } else { "?" }), ["c", "new", "a"]);
        assert!(!moves.is_nothing());
        assert!(Moves::new(2, vec![Some(a), Some(b)]).is_nothing());
        assert!(!Moves::new(3, vec![Some(a), Some(b)]).is_nothing());
    }
}
