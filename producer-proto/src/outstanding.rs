//! Which batches have no outcome yet, in the order of their ids.
//!
//! Ids are dense, so a ring indexed by `id - oldest` finds a batch in one step, and a flush is no
//! more than a mark: it is over when the oldest batch without an outcome is younger than the mark.

use std::collections::VecDeque;

use crate::BatchId;
use crate::spare::give_back;

/// Slot of a batch in the batch table.
pub(crate) type Slot = u32;

/// No batch.
pub(crate) const NO_SLOT: Slot = Slot::MAX;

#[derive(Clone, Copy)]
struct Entry {
    /// Where the batch is, while it is open.
    slot: Slot,
    /// Parts of the batch without an outcome: one, or more after a split.
    parts: u32,
}

#[derive(Default)]
pub(crate) struct Outstanding {
    oldest: u64,
    entries: VecDeque<Entry>,
    unfinished: usize,
}

impl Outstanding {
    /// Registers a new batch; its id is the next one.
    pub(crate) fn open(&mut self, slot: Slot) -> BatchId {
        let id = self.oldest + self.entries.len() as u64;
        self.entries.push_back(Entry { slot, parts: 1 });
        self.unfinished += 1;
        BatchId(id)
    }

    /// The id that the next batch will get.
    pub(crate) fn next_id(&self) -> BatchId {
        BatchId(self.oldest + self.entries.len() as u64)
    }

    /// The oldest batch without an outcome; [`next_id`](Self::next_id) when there is none.
    pub(crate) fn oldest(&self) -> BatchId {
        BatchId(self.oldest)
    }

    /// Where the batch was opened; it may have moved on since.
    pub(crate) fn slot(&self, id: BatchId) -> Option<Slot> {
        let index = usize::try_from(id.0.checked_sub(self.oldest)?).ok()?;
        self.entries.get(index).filter(|entry| entry.parts > 0).map(|entry| entry.slot)
    }

    /// One part of a batch has become `parts`.
    pub(crate) fn split(&mut self, id: BatchId, parts: u32) {
        if let Some(entry) = self.entry(id) {
            entry.parts += parts - 1;
        }
    }

    /// One part of a batch has its outcome.
    pub(crate) fn finish(&mut self, id: BatchId) {
        let Some(entry) = self.entry(id) else { return };
        entry.parts -= 1;
        if entry.parts == 0 {
            self.unfinished -= 1;
            while self.entries.front().is_some_and(|entry| entry.parts == 0) {
                self.entries.pop_front();
                self.oldest += 1;
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.unfinished == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.unfinished
    }

    /// Gives back the memory of a burst that is over.
    pub(crate) fn give_back(&mut self) {
        give_back(&mut self.entries);
    }

    fn entry(&mut self, id: BatchId) -> Option<&mut Entry> {
        let index = usize::try_from(id.0.checked_sub(self.oldest)?).ok()?;
        self.entries.get_mut(index).filter(|entry| entry.parts > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_moves_past_everything_that_is_finished() {
        let mut outstanding = Outstanding::default();
        let ids: Vec<_> = (0..4).map(|slot| outstanding.open(slot)).collect();
        outstanding.finish(ids[1]);
        assert_eq!(outstanding.oldest(), ids[0]);
        outstanding.finish(ids[0]);
        assert_eq!(outstanding.oldest(), ids[2]);
        assert_eq!(outstanding.slot(ids[1]), None);
        assert_eq!(outstanding.slot(ids[3]), Some(3));
        outstanding.split(ids[2], 2);
        outstanding.finish(ids[2]);
        assert_eq!((outstanding.oldest(), outstanding.len()), (ids[2], 2));
        outstanding.finish(ids[2]);
        outstanding.finish(ids[3]);
        assert!(outstanding.is_empty());
        assert_eq!(outstanding.oldest(), outstanding.next_id());
    }
}
