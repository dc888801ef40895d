//! The table of all batches that something still refers to.

use std::sync::Arc;

use crate::batch::{BatchBuilder, RawBatch, SealedBatch, Stamp};
use crate::budget::LaneIndex;
use crate::outstanding::Slot;
use crate::spare::SPARE;
use crate::topics::PartitionIndex;
use crate::{BatchId, ConnectionId, ErrorCode, Instant};

/// One batch on its way from the first append to its outcome, or a piece of one after a split.
pub(crate) struct Batch {
    pub(crate) id: BatchId,
    pub(crate) partition: PartitionIndex,
    pub(crate) state: State,
    pub(crate) content: Content,
    /// Append index of the first record; 0 but for the later pieces of a split.
    pub(crate) first: u32,
    /// Records in it, cancelled ones not counted.
    pub(crate) count: u32,
    /// Append indexes of cancelled records, sorted; almost always empty. While the batch is open
    /// its builder has them: see [`Batch::cancelled`].
    pub(crate) holes: Box<[u32]>,
    /// When its first record came; the delivery timeout counts from here.
    pub(crate) created: Instant,
    /// An open batch is sent from here on even when it is not full.
    pub(crate) due: Instant,
    pub(crate) stamp: Option<Stamp>,
    /// How often it was handed to a connection.
    pub(crate) attempts: u32,
    /// Leader epoch when it was last handed out: a newer one makes a backoff pointless.
    pub(crate) attempt_epoch: i32,
    /// An attempt ended with its fate unknown. Stays set: a request may take effect late.
    pub(crate) ambiguous: bool,
    /// An attempt ended without any answer: its bytes may reach the broker late. Stays set.
    pub(crate) lost: bool,
    /// The last attempt's answer says that this stamp is not in the log yet.
    pub(crate) refused_in_sequence: bool,
    /// Its outcome has been told; only bytes or an answer are awaited.
    pub(crate) done: bool,
    /// It is done and its memory counts as lent.
    pub(crate) is_lent: bool,
    /// Calls of `expedite` while open.
    pub(crate) awaited: u32,
    pub(crate) charge: usize,
    pub(crate) lane: LaneIndex,
    pub(crate) last_error: LastError,
}

/// What went wrong with the last attempt, kept for the final error's text.
#[derive(Clone, Default)]
pub(crate) struct LastError {
    pub(crate) code: ErrorCode,
    pub(crate) message: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Takes records.
    Open,
    /// Full or due, not sealed: the leader's protocol version decides how.
    Closed,
    /// A job has it.
    Working,
    /// Sealed, waits for its turn.
    Queued,
    /// Handed to a connection.
    InFlight(ConnectionId),
    /// In the log, but not told yet: an older batch has no outcome.
    Acknowledged { base_offset: Option<i64>, append_time: Option<i64> },
}

pub(crate) enum Content {
    Open(BatchBuilder),
    Raw(RawBatch),
    Sealed(SealedBatch),
    /// With a job, or given back already.
    Away,
}

impl Batch {
    /// Append indexes of cancelled records, sorted.
    pub(crate) fn cancelled(&self) -> &[u32] {
        match &self.content {
            Content::Open(builder) => builder.holes(),
            _ => &self.holes,
        }
    }

    /// Whether nothing can change its outcome any more, told or not.
    pub(crate) fn has_ended(&self) -> bool {
        self.done || matches!(self.state, State::Acknowledged { .. })
    }

    /// Whether it was handed out before and waits to be handed out again.
    pub(crate) fn is_retry(&self) -> bool {
        self.attempts > 0
    }
}

/// A slab: slots are reused, so no batch costs an allocation of its own.
#[derive(Default)]
pub(crate) struct Batches {
    slots: Vec<Option<Batch>>,
    free: Vec<Slot>,
}

impl Batches {
    pub(crate) fn insert(&mut self, batch: Batch) -> Slot {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(batch);
            return slot;
        }
        self.slots.push(Some(batch));
        Slot::try_from(self.slots.len() - 1).expect("fewer batches than bytes of memory")
    }

    /// The slot that the next `insert` will use.
    pub(crate) fn next_slot(&self) -> Slot {
        self.free.last().copied().unwrap_or(self.slots.len() as Slot)
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Batch {
        self.free.push(slot);
        self.slots[slot as usize].take().expect("a slot is removed once")
    }

    /// Whether there is no batch at all, and room for very many.
    pub(crate) fn has_spare(&self) -> bool {
        self.free.len() > SPARE && self.free.len() == self.slots.len()
    }

    /// The batch in this slot, if it is one of this partition.
    #[inline(always)]
    pub(crate) fn find_of(&mut self, at: PartitionIndex, slot: Slot) -> Option<&mut Batch> {
        self.slots.get_mut(slot as usize)?.as_mut().filter(|batch| batch.partition == at)
    }

    pub(crate) fn find(&self, slot: Slot) -> Option<&Batch> {
        self.slots.get(slot as usize)?.as_ref()
    }
}

impl std::ops::Index<Slot> for Batches {
    type Output = Batch;

    #[inline(always)]
    fn index(&self, slot: Slot) -> &Batch {
        self.slots[slot as usize].as_ref().expect("a queued or handed-out slot is occupied")
    }
}

impl std::ops::IndexMut<Slot> for Batches {
    #[inline(always)]
    fn index_mut(&mut self, slot: Slot) -> &mut Batch {
        self.slots[slot as usize].as_mut().expect("a queued or handed-out slot is occupied")
    }
}
