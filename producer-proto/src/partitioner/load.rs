//! How loaded each partition of a topic is, arranged so that a partition can be drawn by weight
//! without looking at all of them.
//!
//! KIP-794 gives a partition with `queue` batches waiting the weight `longest + 1 - queue`. All
//! weights change whenever the longest queue does, so the tree does not hold weights but what they
//! are made of: the weight of a prefix is `(longest + 1) * candidates - queued`, and both sums
//! come from a Fenwick tree. A draw and an update cost O(log n); a partition costs 14 bytes.

/// Longer queues count as this long; an empty one then still has 256 times the weight.
const MAX_QUEUE: u8 = u8::MAX;
/// With [`MAX_QUEUE`], sums over more partitions would not fit 32 bits. Far beyond what a cluster
/// can hold; partitions further up would only get no records without key.
const MAX_PARTITIONS: usize = 1 << 24;

/// What is known of one partition.
#[derive(Clone, Copy)]
struct Partition {
    /// Batches waiting.
    queue: u8,
    /// It has a leader.
    available: bool,
    /// Its leader has been unable to take data for too long.
    slow: bool,
}

impl Partition {
    const NEW: Self = Self { queue: 0, available: true, slow: false };

    /// What the partition adds to the sums.
    fn sums(self) -> Sums {
        let candidate = self.available && !self.slow;
        Sums {
            available: u32::from(self.available),
            candidates: u32::from(candidate),
            queued: if candidate { u32::from(self.queue) } else { 0 },
        }
    }
}

/// Sums over a range of partitions.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    /// Partitions with a leader.
    available: u32,
    /// Those of them whose leader is not slow.
    candidates: u32,
    /// Batches waiting in the candidates.
    queued: u32,
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.available += other.available;
        self.candidates += other.candidates;
        self.queued += other.queued;
    }

    fn replace(&mut self, old: Self, new: Self) {
        // The old part is in the sum, so adding first cannot go below zero.
        self.available = self.available + new.available - old.available;
        self.candidates = self.candidates + new.candidates - old.candidates;
        self.queued = self.queued + new.queued - old.queued;
    }
}

/// The partitions of one topic with their load.
pub(super) struct LoadTable {
    partitions: Vec<Partition>,
    /// Fenwick tree: `tree[i]` has the sums of the partitions in `(i & (i + 1))..=i`.
    tree: Vec<Sums>,
    total: Sums,
    /// How many candidates have a queue of each length; the last entry is not 0.
    lengths: Vec<u32>,
}

impl LoadTable {
    /// A table of this many partitions, at least one; all available, none slow, queues empty.
    pub(super) fn new(partitions: i32) -> Self {
        let mut table = Self {
            partitions: Vec::new(),
            tree: Vec::new(),
            total: Sums::default(),
            lengths: Vec::new(),
        };
        table.resize(partitions);
        table
    }

    /// Number of partitions.
    pub(super) fn len(&self) -> i32 {
        self.partitions.len() as i32
    }

    /// Memory on the heap.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.partitions.capacity() * size_of::<Partition>()
            + self.tree.capacity() * size_of::<Sums>()
            + self.lengths.capacity() * size_of::<u32>()
    }

    /// Number of partitions with a leader.
    pub(super) fn available(&self) -> u32 {
        self.total.available
    }

    /// Number of partitions with a leader that is not slow.
    pub(super) fn candidates(&self) -> u32 {
        self.total.candidates
    }

    /// Changes the number of partitions, at least one. New ones are available, with empty queues.
    pub(super) fn resize(&mut self, partitions: i32) {
        let count = usize::try_from(partitions).unwrap_or(0).clamp(1, MAX_PARTITIONS);
        for index in count..self.partitions.len() {
            // Takes the partition out of the totals and the lengths.
            self.update(index, |partition| partition.available = false);
        }
        // A node covers partitions up to its own index only, so a prefix of the tree is a tree.
        self.partitions.truncate(count);
        self.tree.truncate(count);
        let added = count - self.partitions.len();
        self.partitions.reserve_exact(added);
        self.tree.reserve_exact(added);
        for _ in 0..added {
            self.push(Partition::NEW);
        }
    }

    fn push(&mut self, partition: Partition) {
        let sums = partition.sums();
        let index = self.tree.len();
        let first = index & (index + 1);
        let mut node = sums;
        let mut end = index;
        while end > first {
            node.add(self.tree[end - 1]);
            end &= end - 1;
        }
        self.tree.push(node);
        self.partitions.push(partition);
        self.total.add(sums);
        self.count_length(partition, true);
    }

    pub(super) fn set_available(&mut self, partition: i32, available: bool) {
        self.update_known(partition, |p| p.available = available);
    }

    pub(super) fn set_slow(&mut self, partition: i32, slow: bool) {
        self.update_known(partition, |p| p.slow = slow);
    }

    pub(super) fn set_queue(&mut self, partition: i32, batches: u32) {
        let queue = u8::try_from(batches).unwrap_or(MAX_QUEUE);
        self.update_known(partition, |p| p.queue = queue);
    }

    /// Partitions that are not in the table are none of its business: the caller's number of
    /// partitions may be newer.
    fn update_known(&mut self, partition: i32, change: impl FnOnce(&mut Partition)) {
        if let Some(index) = self.index(partition) {
            self.update(index, change);
        }
    }

    fn update(&mut self, index: usize, change: impl FnOnce(&mut Partition)) {
        let old = self.partitions[index];
        let mut new = old;
        change(&mut new);
        self.partitions[index] = new;
        if old.sums() == new.sums() {
            return;
        }
        self.count_length(old, false);
        self.count_length(new, true);
        self.total.replace(old.sums(), new.sums());
        let mut node = index;
        while let Some(sums) = self.tree.get_mut(node) {
            sums.replace(old.sums(), new.sums());
            node |= node + 1;
        }
    }

    fn count_length(&mut self, partition: Partition, add: bool) {
        if partition.sums().candidates == 0 {
            return;
        }
        let length = usize::from(partition.queue);
        if add {
            if self.lengths.len() <= length {
                self.lengths.resize(length + 1, 0);
            }
            self.lengths[length] += 1;
        } else {
            self.lengths[length] -= 1;
            while self.lengths.last() == Some(&0) {
                self.lengths.pop();
            }
        }
    }

    fn index(&self, partition: i32) -> Option<usize> {
        usize::try_from(partition).ok().filter(|&index| index < self.partitions.len())
    }

    /// Whether the partition has a leader that is not slow.
    pub(super) fn is_candidate(&self, partition: i32) -> bool {
        self.index(partition).is_some_and(|index| self.partitions[index].sums().candidates == 1)
    }

    /// `longest + 1`: what a candidate with an empty queue weighs.
    fn heaviest(&self) -> u64 {
        self.lengths.len() as u64
    }

    fn weight(&self, sums: Sums) -> u64 {
        self.heaviest() * u64::from(sums.candidates) - u64::from(sums.queued)
    }

    /// The weights of all candidates together. Each weighs at least 1.
    pub(super) fn total_weight(&self) -> u64 {
        self.weight(self.total)
    }

    /// The candidate at this point of the table of weights; `point` is below
    /// [`total_weight`](Self::total_weight).
    pub(super) fn candidate_at(&self, point: u64) -> i32 {
        self.find(point, |sums| self.weight(sums))
    }

    /// The n-th partition with a leader; `n` is below [`available`](Self::available).
    pub(super) fn available_at(&self, n: u32) -> i32 {
        self.find(u64::from(n), |sums| u64::from(sums.available))
    }

    /// The first partition with a leader from `start` on, beginning again at 0 after the last
    /// one.
    pub(super) fn next_available(&self, start: i32) -> Option<i32> {
        self.next(start, |sums| sums.available)
    }

    /// The first candidate from `start` on, beginning again at 0 after the last one.
    pub(super) fn next_candidate(&self, start: i32) -> Option<i32> {
        self.next(start, |sums| sums.candidates)
    }

    fn next(&self, start: i32, count: impl Fn(Sums) -> u32) -> Option<i32> {
        let total = count(self.total);
        if total == 0 {
            return None;
        }
        let before = count(self.prefix(self.index(start).unwrap_or(0)));
        let rank = if before < total { before } else { 0 };
        Some(self.find(u64::from(rank), |sums| u64::from(count(sums))))
    }

    /// The sums of the partitions below `end`.
    fn prefix(&self, end: usize) -> Sums {
        let mut sums = Sums::default();
        let mut end = end;
        while end > 0 {
            sums.add(self.tree[end - 1]);
            end &= end - 1;
        }
        sums
    }

    /// The first partition up to which the measures add up to more than `point`.
    fn find(&self, point: u64, measure: impl Fn(Sums) -> u64) -> i32 {
        let mut rest = point;
        let mut below = 0;
        let mut step = (self.tree.len() + 1).next_power_of_two() / 2;
        while step > 0 {
            if let Some(&sums) = self.tree.get(below + step - 1) {
                let measured = measure(sums);
                if measured <= rest {
                    rest -= measured;
                    below += step;
                }
            }
            step /= 2;
        }
        below.min(self.tree.len() - 1) as i32
    }
}

/// Spreads a uniform 64-bit draw evenly over `0..below`.
pub(super) fn scale(draw: u64, below: u64) -> u64 {
    ((u128::from(draw) * u128::from(below)) >> 64) as u64
}
