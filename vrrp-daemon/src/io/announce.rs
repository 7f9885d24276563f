//! Gratuitous ARPs on their way out: a queue of one entry per instance, sent a batch at a time so that a thousand
//! addresses do not keep an advert waiting. Where keepalived's `vrrp_garp_interval` or a `garp_group` sets a pace, one at a
//! time.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use vrrp_common::Instant;

use crate::engine::Announced;
use crate::engine::matching::Moves;
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
    /// Of which queue it is.
    queue: u32,
    /// A round of all addresses is in the queue.
    all_waiting: bool,
}

/// What is paced together.
#[derive(Debug, Default)]
struct Queue {
    /// Single addresses, just set: before anything is said twice.
    firsts: VecDeque<Pending>,
    /// Rounds of all of an instance.
    rounds: VecDeque<Pending>,
    /// From one to the next; zero for as fast as can be.
    pause: Duration,
    /// Not before then.
    ready_at: Instant,
}

/// Announcements not sent yet: of each instance at most each address once, and one entry for rounds of all.
#[derive(Debug)]
pub struct Announcements {
    queues: Vec<Queue>,
    /// Queues that are not empty, by when they may go on.
    waiting: BTreeSet<(Instant, u32)>,
    /// By instance.
    slots: Vec<Slot>,
}

impl Announcements {
    /// `pauses` by queue, and the queue of each instance.
    pub fn new(pauses: &[Duration], queues: impl Iterator<Item = u32>) -> Self {
        Self {
            queues: pauses.iter().map(|&pause| Queue { pause, ..Queue::default() }).collect(),
            waiting: BTreeSet::new(),
            slots: queues.map(|queue| Slot { queue, ..Slot::default() }).collect(),
        }
    }

    /// What another one has still to send, as far as there is who would send it: the numbers of addresses that `moved` are
    /// others now.
    pub fn take_over(
        &mut self,
        before: Self,
        moves: &Moves<InstanceId>,
        moved: impl Fn(InstanceId, u32) -> Option<u32>,
        counts: impl Fn(InstanceId) -> u32,
    ) {
        let Announcements { queues, slots, waiting: _ } = before;
        for pending in queues.into_iter().flat_map(|queue| queue.firsts.into_iter().chain(queue.rounds)) {
            let Some(id) = moves.to(pending.id).filter(|_| slots[pending.id.index()].serial == pending.serial) else {
                continue;
            };
            let count = counts(id);
            match pending.all {
                true => self.add(id, Announced::All, count, pending.rounds),
                false => moved(id, pending.first)
                    .into_iter()
                    .for_each(|one| self.add(id, Announced::One(one), count, pending.rounds)),
            }
        }
    }

    /// When there is something to send; an instant that has passed is now.
    pub fn due(&self) -> Option<Instant> {
        self.waiting.first().map(|&(at, _)| at)
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
            let queue = &mut self.queues[slot.queue as usize];
            let list = if all { &mut queue.rounds } else { &mut queue.firsts };
            list.push_back(Pending { id, serial: slot.serial, first, next: first, end, all, rounds });
            self.waiting.insert((queue.ready_at, slot.queue));
        }
    }

    /// Forgets what an instance that is no longer master would have announced.
    pub fn forget(&mut self, id: InstanceId) {
        let slot = &mut self.slots[id.index()];
        *slot = Slot { serial: slot.serial.wrapping_add(1), all_waiting: false, ..*slot };
    }

    /// Takes the next addresses to announce that may be by `now`, at most [`BATCH`].
    pub fn take(&mut self, now: Instant, mut each: impl FnMut(InstanceId, u32)) {
        let mut left = BATCH;
        while let Some(&(at, number)) = self.waiting.first()
            && at <= now
            && left > 0
        {
            self.waiting.pop_first();
            let queue = &mut self.queues[number as usize];
            let paced = !queue.pause.is_zero();
            let took = queue.take(&mut self.slots, if paced { 1 } else { left }, &mut each);
            // What was only forgotten cost time, too.
            left = left.saturating_sub(took.max(1));
            if paced && took > 0 {
                queue.ready_at = now + queue.pause;
            }
            if !queue.is_empty() {
                self.waiting.insert((queue.ready_at, number));
            }
        }
    }
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.firsts.is_empty() && self.rounds.is_empty()
    }

    /// Hands out so many, at most, and looks at no more than a batch of entries; how many it were.
    fn take(&mut self, slots: &mut [Slot], most: usize, each: &mut impl FnMut(InstanceId, u32)) -> usize {
        let mut took = 0;
        for _ in 0..BATCH {
            let list = if self.firsts.is_empty() { &mut self.rounds } else { &mut self.firsts };
            let Some(pending) = list.front_mut() else { break };
            let slot = &mut slots[pending.id.index()];
            if pending.serial == slot.serial {
                if took == most {
                    break;
                }
                took += 1;
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
            list.pop_front();
        }
        took
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight instances that nobody paces.
    fn unpaced() -> Announcements {
        Announcements::new(&[Duration::ZERO], std::iter::repeat_n(0, 8))
    }

    fn taken(announcements: &mut Announcements) -> Vec<(u32, u32)> {
        let mut taken = Vec::new();
        while announcements.due().is_some() {
            let before = taken.len();
            announcements.take(Instant::default(), |id, address| taken.push((id.0, address)));
            assert!(taken.len() - before <= BATCH);
        }
        taken
    }

    #[test]
    fn each_address_once_before_any_comes_again() {
        let mut announcements = unpaced();
        announcements.add(InstanceId(7), Announced::One(2), 3, 1);
        announcements.add(InstanceId(7), Announced::All, 3, 2);
        assert_eq!(taken(&mut announcements), [(7, 2), (7, 0), (7, 1), (7, 2), (7, 0), (7, 1), (7, 2)]);
    }

    #[test]
    fn what_was_just_set_comes_before_what_was_said() {
        let mut announcements = unpaced();
        announcements.add(InstanceId(1), Announced::One(0), 1, 1);
        announcements.add(InstanceId(1), Announced::All, 1, 2);
        announcements.add(InstanceId(2), Announced::One(0), 1, 1);
        assert_eq!(taken(&mut announcements), [(1, 0), (2, 0), (1, 0), (1, 0)]);
    }

    #[test]
    fn a_released_instance_announces_nothing() {
        let mut announcements = unpaced();
        announcements.add(InstanceId(1), Announced::All, 100, 5);
        announcements.add(InstanceId(2), Announced::All, 1, 1);
        announcements.take(Instant::default(), |_, _| {});
        announcements.forget(InstanceId(1));
        assert_eq!(taken(&mut announcements), [(2, 0)]);
    }

    #[test]
    fn repeated_requests_do_not_add_up() {
        let mut announcements = unpaced();
        for _ in 0..1000 {
            announcements.add(InstanceId(1), Announced::All, 2, 5);
        }
        assert_eq!(taken(&mut announcements).len(), 10);
    }

    /// Two queues with a pace, one without: each address at its time, and nobody waits for another.
    #[test]
    fn a_pace_is_kept_and_holds_up_nobody_else() {
        let ms = |count| Duration::from_millis(count);
        let mut announcements = Announcements::new(&[ms(0), ms(10), ms(25)], [0, 1, 1, 2].into_iter());
        let start = Instant::from_nanos(1_000_000_000);
        for id in 0..4 {
            announcements.add(InstanceId(id), Announced::All, 2, 1);
        }
        let mut told = Vec::new();
        for at in 0..100 {
            announcements.take(start + ms(at), |id, address| told.push((at, id.0, address)));
        }
        assert_eq!(told, [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 3, 0), (10, 1, 1), (20, 2, 0), (25, 3, 1), (30, 2, 1)]);
        assert_eq!(announcements.due(), None);
        // The pace is kept from one occasion to the next.
        announcements.add(InstanceId(3), Announced::One(0), 2, 1);
        assert_eq!(announcements.due(), Some(start + ms(50)));
    }

    /// What is forgotten takes no turn of a paced queue.
    #[test]
    fn who_left_takes_no_time_of_others() {
        let mut announcements = Announcements::new(&[Duration::from_secs(1)], [0, 0].into_iter());
        announcements.add(InstanceId(0), Announced::All, 50, 5);
        announcements.add(InstanceId(1), Announced::One(0), 1, 1);
        announcements.forget(InstanceId(0));
        let mut told = Vec::new();
        announcements.take(Instant::default(), |id, _| told.push(id.0));
        assert_eq!((told, announcements.due()), (vec![1], None));
    }
}
