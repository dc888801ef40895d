//! Each record to the next partition that has a leader.

use super::load::LoadTable;

/// The state of one topic.
pub(crate) struct RoundRobinState {
    table: LoadTable,
    next: i32,
}

impl RoundRobinState {
    /// The state of a topic with this many partitions (at least one), all of them with a leader.
    pub(crate) fn new(partitions: i32) -> Self {
        Self { table: LoadTable::new(partitions), next: 0 }
    }

    /// The number of partitions has changed (at least one). New ones have a leader.
    pub(crate) fn resize(&mut self, partitions: i32) {
        self.table.resize(partitions);
    }

    /// Whether the partition has a leader. Unknown partitions are ignored.
    pub(crate) fn set_available(&mut self, partition: i32, available: bool) {
        self.table.set_available(partition, available);
    }

    /// The next partition that has a leader, or the next one of all if none has.
    pub(crate) fn choose(&mut self) -> i32 {
        let start = if self.next < self.table.len() { self.next } else { 0 };
        let partition = self.table.next_available(start).unwrap_or(start);
        self.next = partition + 1;
        partition
    }
}
