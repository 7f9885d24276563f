//! Numbers in the kernel's tables: whose they are may change by a reload, which one somebody has does not, as long as he
//! stays. So adverts on their way need not be told of it.

use crate::engine::matching::Moves;
use crate::engine::plan::Id;

#[derive(Clone, Debug)]
pub struct Slots<I> {
    /// By id.
    of: Vec<u32>,
    /// By number; as many as the tables have.
    owners: Vec<Option<I>>,
}

impl<I: Id> Slots<I> {
    /// The first of them are those of `count` ids.
    pub fn new(count: usize, capacity: u32) -> Self {
        let owners = (0..count.max(capacity as usize)).map(|number| (number < count).then(|| I::nth(number)));
        Self { of: (0..count as u32).collect(), owners: owners.collect() }
    }

    pub fn of(&self, id: I) -> u32 {
        self.of[id.at()]
    }

    /// Whose a number is.
    pub fn owner(&self, number: u32) -> Option<I> {
        *self.owners.get(number as usize)?
    }

    pub const fn capacity(&self) -> u32 {
        self.owners.len() as u32
    }

    /// The tables have become larger.
    pub fn grow(&mut self, capacity: u32) {
        self.owners.resize(self.owners.len().max(capacity as usize), None);
    }

    /// Whether so many ids have room after this, none of them in place of one that is gone only now: what is under way for
    /// that one must not reach its successor.
    pub fn has_room(&self, moves: &Moves<I>) -> bool {
        let free = self.owners.iter().filter(|owner| owner.is_none()).count();
        moves.fresh().count() <= free
    }

    /// Ids move; returns the numbers that came free.
    pub fn carry(&mut self, moves: &Moves<I>) -> Vec<u32> {
        let freed: Vec<_> = moves.gone().map(|id| self.of(id)).collect();
        let mut free =
            (0..self.capacity()).filter(|&number| self.owner(number).is_none()).collect::<Vec<_>>().into_iter();
        let end = self.capacity();
        // The daemon makes room before; without, the number is none of the kernel's.
        self.of = moves.carry(std::mem::take(&mut self.of), |_| free.next().unwrap_or(end));
        self.owners.fill(None);
        for (index, &number) in self.of.iter().enumerate() {
            if let Some(owner) = self.owners.get_mut(number as usize) {
                *owner = Some(I::nth(index));
            }
        }
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::plan::InstanceId;

    #[test]
    fn who_stays_keeps_his_number() {
        let [a, b, c] = [0, 1, 2].map(InstanceId);
        let mut slots = Slots::new(2, 3);
        // The second is now the first; the first is gone, and what is new does not get its number.
        let moves = Moves::new(2, vec![Some(b), None]);
        assert!(slots.has_room(&moves));
        assert_eq!(slots.carry(&moves), [0]);
        assert_eq!([a, b].map(|id| slots.of(id)), [1, 2]);
        assert_eq!([0, 1, 2].map(|number| slots.owner(number)), [None, Some(a), Some(b)]);
        // From the next reload on it is anybody's.
        let moves = Moves::new(2, vec![Some(a), Some(b), None]);
        assert!(slots.has_room(&moves) && slots.carry(&moves).is_empty());
        assert_eq!(slots.of(c), 0);
        assert!(!slots.has_room(&Moves::new(3, vec![Some(a), Some(b), Some(c), None])));
        slots.grow(4);
        assert!(slots.has_room(&Moves::new(3, vec![Some(a), Some(b), Some(c), None])));
    }
}
