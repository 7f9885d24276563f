//! When each instance is next due: a binary heap that can change an entry in place, so that moving a deadline costs
//! O(log n) and leaves nothing stale behind.

use vrrp_common::Instant;

use super::plan::InstanceId;

/// Children of an entry. Four lie together in memory, and make the heap half as deep as two would.
const WIDTH: usize = 4;
/// Marks an instance that has no deadline.
const ABSENT: u32 = u32::MAX;

/// At most one deadline for each instance. Equal instants come in the order of the instances.
#[derive(Clone, Debug, Default)]
pub struct Agenda {
    /// A heap: the entry at `i` is due before those from `WIDTH * i + 1` on, as many as it is wide.
    heap: Vec<(Instant, u32)>,
    /// By instance: its place in `heap`.
    places: Vec<u32>,
}

impl Agenda {
    pub fn new(instances: usize) -> Self {
        Self { heap: Vec::with_capacity(instances), places: vec![ABSENT; instances] }
    }

    /// What is due first.
    pub fn first(&self) -> Option<(Instant, InstanceId)> {
        self.heap.first().map(|&(due, id)| (due, InstanceId(id)))
    }

    /// Everything due by `until`, in no order; costs what it finds, not what there is.
    pub fn by(&self, until: Instant, mut each: impl FnMut(InstanceId)) {
        let mut places = vec![0];
        while let Some(place) = places.pop() {
            if let Some(&(due, id)) = self.heap.get(place)
                && due <= until
            {
                each(InstanceId(id));
                places.extend(WIDTH * place + 1..=WIDTH * (place + 1));
            }
        }
    }

    /// Sets or clears the deadline of an instance.
    pub fn set(&mut self, id: InstanceId, due: Option<Instant>) {
        let place = self.places[id.index()];
        match (due, place) {
            (None, ABSENT) => {}
            (None, place) => self.remove(place as usize),
            (Some(due), ABSENT) => {
                self.heap.push((due, id.0));
                self.rise(self.heap.len() - 1);
            }
            (Some(due), place) => {
                self.heap[place as usize].0 = due;
                self.settle(place as usize);
            }
        }
    }

    fn remove(&mut self, place: usize) {
        let (_, id) = self.heap.swap_remove(place);
        self.places[id as usize] = ABSENT;
        if place < self.heap.len() {
            self.settle(place);
        }
    }

    /// Moves an entry whose instant changed to where it belongs.
    fn settle(&mut self, place: usize) {
        let place = self.rise(place);
        self.sink(place);
    }

    fn rise(&mut self, mut place: usize) -> usize {
        let moved = self.heap[place];
        while place > 0 {
            let parent = (place - 1) / WIDTH;
            if self.heap[parent] <= moved {
                break;
            }
            self.put(place, self.heap[parent]);
            place = parent;
        }
        self.put(place, moved);
        place
    }

    fn sink(&mut self, mut place: usize) {
        let moved = self.heap[place];
        loop {
            let first = WIDTH * place + 1;
            let children = first..(first + WIDTH).min(self.heap.len());
            let Some(least) = children.min_by_key(|&child| self.heap[child]) else { break };
            if moved <= self.heap[least] {
                break;
            }
            self.put(place, self.heap[least]);
            place = least;
        }
        self.put(place, moved);
    }

    fn put(&mut self, place: usize, entry: (Instant, u32)) {
        self.heap[place] = entry;
        self.places[entry.1 as usize] = place as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the plainest thing that could be right: a table searched for its least entry.
    #[test]
    fn agrees_with_a_table() {
        let mut agenda = Agenda::new(50);
        let mut table = vec![None; 50];
        let mut random = 12345u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let id = (random >> 33) as u32 % 50;
            let due = (!(random >> 20).is_multiple_of(4)).then(|| Instant::from_nanos((random >> 40) % 100));
            agenda.set(InstanceId(id), due);
            table[id as usize] = due;
            let least =
                table.iter().enumerate().filter_map(|(id, due)| due.map(|due| (due, InstanceId(id as u32)))).min();
            assert_eq!(agenda.first(), least);
            let until = Instant::from_nanos(50);
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            agenda.by(until, |id| found.push(id.0));
            expected.extend((0..50).filter(|&id| table[id as usize].is_some_and(|due| due <= until)));
            found.sort_unstable();
            assert_eq!(found, expected);
        }
    }
}
