//! Gratuitous ARPs on their way out: a queue of one entry per instance, sent a batch at a time so that a thousand
//! addresses do not keep an advert waiting.

use std::collections::VecDeque;

use crate::engine::Announced;
use crate::engine::plan::InstanceId;

/// Frames sent in one go, between two looks at the protocol's deadlines.
pub const BATCH: usize = 64;

/// What one instance still has to announce.
#[derive(Clone, Copy, Debug)]
struct Pending {
    id: InstanceId,
    /// Of which time as master; an older one is forgotten.
    serial: u32,
    /// Addresses `first..end` of the instance; `next` is the one to go on with.
    first: u32,
    next: u32,
    end: u32,
    all: bool,
    rounds: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    serial: u32,
    /// A round of all addresses is in the queue.
    all_waiting: bool,
}

/// Announcements not sent yet: of each instance at most each address once, and one entry for rounds of all.
#[derive(Debug)]
pub struct Announcements {
    /// Single addresses, just set: before anything is said twice.
    firsts: VecDeque<Pending>,
    /// Rounds of all of an instance.
    rounds: VecDeque<Pending>,
    /// By instance.
    slots: Vec<Slot>,
}

impl Announcements {
    pub fn new(instances: usize) -> Self {
        Self { firsts: VecDeque::new(), rounds: VecDeque::new(), slots: vec![Slot::default(); instances] }
    }

    pub fn is_empty(&self) -> bool {
        self.firsts.is_empty() && self.rounds.is_empty()
    }

    /// Adds `rounds` announcements of each address meant; each address once before any comes again. Rounds of all
    /// addresses that already wait say everything that more of them would.
    pub fn add(&mut self, id: InstanceId, addresses: Announced, count: u32, rounds: u32) {
        let slot = &mut self.slots[id.index()];
        let (first, end) = match addresses {
            Announced::All if slot.all_waiting => return,
            Announced::All => (0, count),
            Announced::One(address) => (address, (address + 1).min(count)),
        };
        if first < end {
            let all = addresses == Announced::All;
            slot.all_waiting |= all;
            let queue = if all { &mut self.rounds } else { &mut self.firsts };
            queue.push_back(Pending { id, serial: slot.serial, first, next: first, end, all, rounds });
        }
    }

    /// Forgets what an instance that is no longer master would have announced.
    pub fn forget(&mut self, id: InstanceId) {
        let slot = &mut self.slots[id.index()];
        *slot = Slot { serial: slot.serial.wrapping_add(1), all_waiting: false };
    }

    /// Takes the next addresses to announce, at most [`BATCH`].
    pub fn take(&mut self, mut each: impl FnMut(InstanceId, u32)) {
        for _ in 0..BATCH {
            let queue = if self.firsts.is_empty() { &mut self.rounds } else { &mut self.firsts };
            let Some(pending) = queue.front_mut() else { return };
            let slot = &mut self.slots[pending.id.index()];
            if pending.serial == slot.serial {
                each(pending.id, pending.next);
                pending.next += 1;
                if pending.next < pending.end {
                    continue;
                }
                pending.next = pending.first;
                pending.rounds -= 1;
                if pending.rounds > 0 {
                    continue;
                }
                slot.all_waiting &= !pending.all;
            }
            queue.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(announcements: &mut Announcements) -> Vec<(u32, u32)> {
        let mut taken = Vec::new();
        while !announcements.is_empty() {
            let before = taken.len();
            announcements.take(|id, address| taken.push((id.0, address)));
            assert!(taken.len() - before <= BATCH);
        }
        taken
    }

    #[test]
    fn each_address_once_before_any_comes_again() {
        let mut announcements = Announcements::new(8);
        announcements.add(InstanceId(7), Announced::One(2), 3, 1);
        announcements.add(InstanceId(7), Announced::All, 3, 2);
        assert_eq!(taken(&mut announcements), [(7, 2), (7, 0), (7, 1), (7, 2), (7, 0), (7, 1), (7, 2)]);
    }

    #[test]
    fn what_was_just_set_comes_before_what_was_said() {
        let mut announcements = Announcements::new(8);
        announcements.add(InstanceId(1), Announced::One(0), 1, 1);
        announcements.add(InstanceId(1), Announced::All, 1, 2);
        announcements.add(InstanceId(2), Announced::One(0), 1, 1);
        assert_eq!(taken(&mut announcements), [(1, 0), (2, 0), (1, 0), (1, 0)]);
    }

    #[test]
    fn a_released_instance_announces_nothing() {
        let mut announcements = Announcements::new(8);
        announcements.add(InstanceId(1), Announced::All, 100, 5);
        announcements.add(InstanceId(2), Announced::All, 1, 1);
        announcements.take(|_, _| {});
        announcements.forget(InstanceId(1));
        assert_eq!(taken(&mut announcements), [(2, 0)]);
    }

    #[test]
    fn repeated_requests_do_not_add_up() {
        let mut announcements = Announcements::new(8);
        for _ in 0..1000 {
            announcements.add(InstanceId(1), Announced::All, 2, 5);
        }
        assert_eq!(taken(&mut announcements).len(), 10);
    }
}
