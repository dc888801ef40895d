//! How a topic's records are spread that nothing binds to a partition.

use super::{RoundRobinState, StickyState};

/// One of the ways, with its state.
pub(crate) enum Spread {
    /// Batch by batch, by load.
    Sticky(Box<StickyState>),
    /// Record by record, in turn.
    InTurn(Box<RoundRobinState>),
}

impl Spread {
    /// The number of partitions has changed (at least one).
    pub(crate) fn resize(&mut self, partitions: i32) {
        match self {
            Self::Sticky(state) => state.resize(partitions),
            Self::InTurn(state) => state.resize(partitions),
        }
    }

    /// Whether the partition has a leader.
    pub(crate) fn set_available(&mut self, partition: i32, available: bool) {
        match self {
            Self::Sticky(state) => state.set_available(partition, available),
            Self::InTurn(state) => state.set_available(partition, available),
        }
    }

    /// Whether the partition's leader has been unable to take data for too long.
    pub(crate) fn set_slow(&mut self, partition: i32, slow: bool) {
        if let Self::Sticky(state) = self {
            state.set_slow(partition, slow);
        }
    }

    /// A batch of the partition takes no more records.
    pub(crate) fn note_closed(&mut self, partition: i32) {
        if let Self::Sticky(state) = self {
            state.note_closed(partition);
        }
    }

    /// How many batches wait in the partition.
    pub(crate) fn set_queue(&mut self, partition: i32, batches: u32) {
        if let Self::Sticky(state) = self {
            state.set_queue(partition, batches);
        }
    }
}
