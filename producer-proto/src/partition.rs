//! One partition: the unit of order.
//!
//! Its batches stand in one queue in the order of their records, from the oldest without an
//! outcome to the open one; being sent, retried or split changes a batch's state, never its place.
//! So a retried batch needs no sorting back in. Sequence numbers are compared for one thing only:
//! whether an acknowledged batch stands before or behind a gap.

use std::collections::VecDeque;

use crate::batch::sequence_reaches;
use crate::batches::Batch;
use crate::outstanding::{NO_SLOT, Slot};
use crate::{ErrorCode, Instant};

/// Node index that means "no leader known".
pub(crate) const NO_NODE: u32 = u32::MAX;

pub(crate) struct Partition {
    pub(crate) topic: u32,
    /// Its number in the topic.
    pub(crate) index: i32,
    /// Node index of the leader, or [`NO_NODE`].
    pub(crate) leader: u32,
    /// -1 while unknown.
    pub(crate) leader_epoch: i32,
    /// Why the last metadata named no leader for it.
    pub(crate) error: ErrorCode,
    /// Slots of its batches, oldest first; only the last may be open.
    pub(crate) queue: VecDeque<Slot>,
    /// Slot of the open one, or [`NO_SLOT`].
    pub(crate) open: Slot,
    /// Batches of the queue that are handed out and not answered, expired ones included.
    pub(crate) in_flight: u32,
    /// Whether it stands in its leader's ready queue.
    pub(crate) is_ready: bool,
    /// Nothing is sent before this: the backoff of its oldest failed batch.
    pub(crate) retry_at: Instant,
    /// Bytes of its last sealed batch before compression: the next buffer's likely size.
    pub(crate) usual_size: u32,
    pub(crate) sequence: Sequence,
}

/// The idempotent producer's state for one partition (KIP-98, KIP-360).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// -1 before the first stamp.
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    /// Sequence of the next fresh batch.
    pub(crate) next: i32,
    /// A batch with this id and epoch has been acknowledged: the broker knows us, and refuses
    /// gaps. Until then it would take any first sequence, so one batch at a time.
    pub(crate) acknowledged: bool,
    /// The next stamp needs a new epoch: a stamp was given up whose fate is unknown, or refused.
    pub(crate) stale: bool,
    /// A broker has refused the oldest stamp for a gap before it. All stamps are to be given up
    /// as soon as each is known not to be in the log.
    pub(crate) gap: bool,
    /// Where the last gap begins: a batch in the log that stands before it says nothing about it.
    pub(crate) gap_at: i32,
    /// A stamp was given up that may still land in the log, with others behind it: then these
    /// may land too, and their refusal now is no proof.
    pub(crate) open_hole: bool,
    /// The last stamp that was given up so.
    pub(crate) hole_at: i32,
    /// Offset of the last acknowledged record; -1 when unknown.
    pub(crate) last_offset: i64,
}

impl Sequence {
    const NEW: Self = Self {
        producer_id: -1,
        epoch: -1,
        next: 0,
        acknowledged: false,
        stale: false,
        gap: false,
        gap_at: 0,
        open_hole: false,
        hole_at: 0,
        last_offset: -1,
    };

    /// Begins anew under another id or epoch.
    pub(crate) fn restart(&mut self, (producer_id, epoch): (i64, i16)) {
        *self = Self { producer_id, epoch, ..Self::NEW };
    }

    /// Whether a batch is known not to be in the log, now and for ever.
    ///
    /// A refusal in sequence proves it for the attempts that were answered. One that was not may
    /// still reach the broker, and is then refused as well; unless a stamp before it, given up
    /// unanswered, arrives too and closes the hole.
    pub(crate) fn knows_absent(&self, batch: &Batch) -> bool {
        !batch.ambiguous || (batch.refused_in_sequence && !(batch.lost && self.open_hole))
    }

    /// What stands behind `from` will be refused.
    pub(crate) fn open_gap(&mut self, from: i32) {
        if !self.gap || sequence_reaches(from, self.gap_at) {
            self.gap_at = from;
        }
        self.gap = true;
    }

    /// The stamp `at` may still land in the log.
    pub(crate) fn open_hole(&mut self, at: i32) {
        if !self.open_hole || sequence_reaches(at, self.hole_at) {
            self.hole_at = at;
        }
        self.open_hole = true;
    }

    /// A batch is in the log, and so is all before it: brokers take no gaps.
    pub(crate) fn in_log(&mut self, sequence: i32) {
        self.acknowledged = true;
        self.gap &= !sequence_reaches(sequence, self.gap_at);
        self.open_hole &= !sequence_reaches(sequence, self.hole_at);
    }

    pub(crate) fn is_under(&self, producer_id: i64, epoch: i16) -> bool {
        (self.producer_id, self.epoch) == (producer_id, epoch)
    }
}

impl Partition {
    pub(crate) fn new(topic: u32, index: i32) -> Self {
        Self {
            topic,
            index,
            leader: NO_NODE,
            leader_epoch: -1,
            error: ErrorCode::NONE,
            queue: VecDeque::new(),
            open: NO_SLOT,
            in_flight: 0,
            is_ready: false,
            retry_at: Instant::ZERO,
            usual_size: 0,
            sequence: Sequence::NEW,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_behind_a_gap_shows_that_there_is_none() {
        let mut sequence = Sequence::NEW;
        sequence.open_gap(i32::MAX - 1);
        sequence.open_hole(1);
        sequence.in_log(i32::MAX - 2);
        assert!(sequence.gap && sequence.open_hole);
        sequence.in_log(0);
        assert!(!sequence.gap, "sequences go round");
        assert!(sequence.open_hole);
        sequence.in_log(2);
        assert!(!sequence.open_hole);
    }

    #[test]
    fn of_several_gaps_the_last_counts() {
        let mut sequence = Sequence::NEW;
        for from in [8, 12, 9] {
            sequence.open_gap(from);
        }
        sequence.in_log(10);
        assert!(sequence.gap);
    }
}
