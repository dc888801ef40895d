//! Stamps: producer id, epoch and sequence (KIP-98, KIP-360).
//!
//! A stamp is given once, when a batch is handed out first, and stays until an answer proves that
//! it is not in the log. When a stamp is lost for good, those after it stand behind a gap that the
//! broker refuses; then, once each of them is known not to be in the log, all are given up and the
//! partition begins again under a new epoch.

use crate::batch::{Stamp, sequence_add};
use crate::batches::State;
use crate::marks::Mark;
use crate::outstanding::Slot;
use crate::topics::PartitionIndex;

use super::Producer;

impl Producer {
    /// Gives a batch its stamp, if it needs one. False when it has to wait for older stamps, or
    /// for a new producer id.
    pub(super) fn stamp(&mut self, at: PartitionIndex, slot: Slot) -> bool {
        if !self.settings.idempotence || self.batches[slot].stamp.is_some() {
            return true;
        }
        if !self.restart_sequence_if_needed(at) {
            return false;
        }
        let count = self.batches[slot].count;
        let sequence = &mut self.partitions[at as usize].sequence;
        let stamp = Stamp {
            producer_id: sequence.producer_id,
            epoch: sequence.epoch,
            sequence: sequence.next,
        };
        sequence.next = sequence_add(sequence.next, count);
        #[cfg(planted_bugs)]
        if self.planted == Some(crate::PlantedBug::SignedSequence) {
            sequence.next = stamp.sequence.wrapping_add(count.cast_signed());
        }
        self.batches[slot].stamp = Some(stamp);
        true
    }

    /// Makes the partition's sequence one of the current id and epoch. That has to wait until no
    /// stamp of the old ones is left in the partition.
    fn restart_sequence_if_needed(&mut self, at: PartitionIndex) -> bool {
        let Some((producer_id, epoch)) = self.ids.current() else { return false };
        let sequence = self.partition(at).sequence;
        let is_current = sequence.is_under(producer_id, epoch);
        if is_current && !sequence.stale {
            return true;
        }
        if self.has_stamps(at) {
            return false;
        }
        let current = if is_current { self.bump_epoch() } else { Some((producer_id, epoch)) };
        let Some(current) = current else { return false };
        self.partition_mut(at).sequence.restart(current);
        true
    }

    /// The next epoch, or none when a new producer id has to be asked for.
    fn bump_epoch(&mut self) -> Option<(i64, i16)> {
        self.stats.epoch_bumps += 1;
        let next = self.ids.bump();
        self.marks.hit(if next.is_some() { Mark::EpochBumped } else { Mark::EpochExhausted });
        next
    }

    fn has_stamps(&self, at: PartitionIndex) -> bool {
        self.partition(at).queue.iter().any(|&slot| self.batches[slot].stamp.is_some())
    }

    /// A broker has acknowledged a batch.
    pub(super) fn note_acknowledged(
        &mut self,
        at: PartitionIndex,
        slot: Slot,
        base_offset: Option<i64>,
    ) {
        let batch = &self.batches[slot];
        let Some(stamp) = batch.stamp else { return };
        let last = base_offset.map(|base| base.saturating_add(i64::from(batch.count) - 1));
        let sequence = &mut self.partitions[at as usize].sequence;
        if sequence.is_under(stamp.producer_id, stamp.epoch) {
            sequence.in_log(stamp.sequence);
            if let Some(last) = last {
                sequence.last_offset = sequence.last_offset.max(last);
            }
        }
    }

    /// A batch that is not in flight leaves without being known in the log. To be called while it
    /// is still in its partition's queue.
    pub(super) fn give_up_stamp(&mut self, slot: Slot) {
        let batch = &self.batches[slot];
        let Some(stamp) = batch.stamp else { return };
        let partition = &self.partitions[batch.partition as usize];
        if !partition.sequence.is_under(stamp.producer_id, stamp.epoch) {
            return;
        }
        let mut later = partition.queue.iter().skip_while(|&&queued| queued != slot).skip(1);
        let is_newest = !later.any(|&queued| self.batches[queued].stamp.is_some());
        let is_absent = partition.sequence.knows_absent(batch);
        // Batches behind it may have ended in doubt before it: then theirs may be taken.
        let is_last = sequence_add(stamp.sequence, batch.count) == partition.sequence.next;
        let (at, lost) = (batch.partition, batch.lost);
        self.marks.hit(match (is_newest, is_absent) {
            (true, true) if is_last => Mark::SequenceFreed,
            (true, _) => Mark::SequenceInDoubt,
            (false, true) => Mark::SequenceMissing,
            (false, false) => Mark::HoleOpen,
        });
        let sequence = &mut self.partition_mut(at).sequence;
        match (is_newest, is_absent) {
            // Its number is free again.
            (true, true) if is_last => sequence.next = stamp.sequence,
            // Nobody knows whether its number, or one behind it, is taken.
            (true, _) => sequence.stale = true,
            // What stands behind it will be refused.
            (false, true) => sequence.open_gap(stamp.sequence),
            // What stands behind it will find out.
            (false, false) if lost => sequence.open_hole(stamp.sequence),
            (false, false) => {}
        }
    }

    /// A broker has refused a batch's sequence and nothing older is left that could explain it.
    pub(super) fn note_gap(&mut self, at: PartitionIndex) {
        let partition = &self.partitions[at as usize];
        let oldest = partition.queue.iter().find_map(|&slot| self.batches[slot].stamp);
        let from = oldest.map_or(partition.sequence.next, |stamp| stamp.sequence);
        self.partition_mut(at).sequence.open_gap(from);
    }

    /// The topic was deleted and made anew: a broker's memory of what its old log held is gone, so
    /// the sequence ends, as soon as no stamp of it can take effect any more.
    pub(super) fn end_sequence(&mut self, at: PartitionIndex) {
        if self.partition(at).sequence.producer_id >= 0 {
            self.marks.hit(Mark::SequenceEnded);
            self.note_gap(at);
            self.resolve_gap(at);
        }
    }

    /// Whether the partition has an older stamp than this batch's whose fate is open.
    pub(super) fn has_older_stamp(&self, at: PartitionIndex, slot: Slot) -> bool {
        let mut older = self.partition(at).queue.iter().take_while(|&&queued| queued != slot);
        older.any(|&queued| self.batches[queued].stamp.is_some())
    }

    /// Ends a gap as soon as every stamp of the partition is known not to be in the log: all are
    /// given up, and the next hand-out begins a new epoch.
    pub(super) fn resolve_gap(&mut self, at: PartitionIndex) {
        let partition = &self.partitions[at as usize];
        if !partition.sequence.gap || partition.in_flight > 0 {
            return;
        }
        let is_open = |&slot: &Slot| {
            let batch = &self.batches[slot];
            let is_in_log = matches!(batch.state, State::Acknowledged { .. });
            batch.stamp.is_some() && !is_in_log && !partition.sequence.knows_absent(batch)
        };
        if partition.queue.iter().any(is_open) {
            return;
        }
        self.marks.hit(Mark::GapResolved);
        for &slot in &self.partitions[at as usize].queue {
            self.batches[slot].stamp = None;
        }
        let sequence = &mut self.partition_mut(at).sequence;
        sequence.gap = false;
        sequence.stale = true;
    }
}
