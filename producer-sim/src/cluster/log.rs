//! The log of one replica: batches as they were appended, and what they say of producers.

use super::config::Retention;
use super::producer_state::ProducerStates;
use crate::records::{Batch, BatchHeader, LogRecord};
use std::collections::VecDeque;
use std::sync::Arc;

/// Batches that are kept in any case, so that logs can be compared near their ends.
const KEPT_BATCHES: usize = 16;

/// A batch in a log. Replicas share it, so copying one is copying a pointer.
#[derive(Clone, Debug)]
pub(super) struct StoredBatch {
    pub(super) base_offset: i64,
    /// The leader epoch it was appended under.
    pub(super) leader_epoch: i32,
    pub(super) header: BatchHeader,
    pub(super) append_time: Option<i64>,
    pub(super) size: u64,
    /// Nothing where only counts are kept.
    pub(super) content: Option<Batch>,
}

impl StoredBatch {
    pub(super) fn end(&self) -> i64 {
        self.base_offset + i64::from(self.header.count)
    }

    /// The largest timestamp, as the broker stored it.
    pub(super) fn timestamp(&self) -> i64 {
        self.append_time.unwrap_or(self.header.max_timestamp)
    }

    /// Calls `visit` for each record that was kept.
    pub(super) fn visit(&self, mut visit: impl FnMut(LogRecord)) {
        let Some(batch) = &self.content else { return };
        let shift = self.base_offset - batch.header.base_offset;
        // It was read to its last byte before it was appended, so it cannot fail here.
        let _ = batch.visit(|mut record| {
            record.offset += shift;
            if let Some(time) = self.append_time {
                record.timestamp = time;
            }
            visit(record);
        });
    }
}

/// How much was appended to a partition, or to all of them together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogCounts {
    /// Records appended since the topic was created.
    pub records: u64,
    /// Batches appended.
    pub batches: u64,
    /// Bytes of those batches as they were sent.
    pub bytes: u64,
}

impl std::ops::AddAssign for LogCounts {
    fn add_assign(&mut self, other: Self) {
        self.records += other.records;
        self.batches += other.batches;
        self.bytes += other.bytes;
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct PartitionLog {
    batches: VecDeque<Arc<StoredBatch>>,
    start: i64,
    end: i64,
    counts: LogCounts,
    pub(super) producers: ProducerStates,
    /// Producer states are not rebuilt from before here: they were forgotten on purpose.
    states_from: i64,
}

impl PartitionLog {
    pub(super) fn start(&self) -> i64 {
        self.start
    }

    pub(super) fn end(&self) -> i64 {
        self.end
    }

    pub(super) fn counts(&self) -> LogCounts {
        self.counts
    }

    pub(super) fn batches(&self) -> impl DoubleEndedIterator<Item = &Arc<StoredBatch>> {
        self.batches.iter()
    }

    /// The batches that begin at `from` or later and before `end`.
    pub(super) fn batches_in(
        &self,
        from: i64,
        end: i64,
    ) -> impl Iterator<Item = &Arc<StoredBatch>> {
        let first = self.batches.partition_point(|batch| batch.base_offset < from);
        self.batches.range(first..).take_while(move |batch| batch.base_offset < end)
    }

    pub(super) fn push(&mut self, batch: Arc<StoredBatch>, retention: Retention) {
        self.end = batch.end();
        self.counts.records += u64::from(batch.header.count.unsigned_abs());
        self.counts.batches += 1;
        self.counts.bytes += batch.size;
        self.producers.appended(&batch.header, batch.base_offset, batch.timestamp());
        self.batches.push_back(batch);
        self.trim(retention);
    }

    fn trim(&mut self, retention: Retention) {
        let records = match retention {
            Retention::All => return,
            Retention::Last(records) => i64::try_from(records).unwrap_or(i64::MAX),
            Retention::CountOnly => 0,
        };
        while self.batches.len() > KEPT_BATCHES
            && self.batches.front().is_some_and(|batch| self.end - batch.end() >= records)
        {
            self.batches.pop_front();
        }
    }

    /// Calls `visit` for each record from `offset` on that was kept, in order, up to `end`.
    pub(super) fn visit(&self, offset: i64, end: i64, mut visit: impl FnMut(LogRecord)) {
        let from = offset.max(self.start);
        let first = self.batches.partition_point(|batch| batch.end() <= from);
        for batch in self.batches.range(first..).take_while(|batch| batch.base_offset < end) {
            batch.visit(|record| {
                if (from..end).contains(&record.offset) {
                    visit(record);
                }
            });
        }
    }

    /// Drops everything before `offset`, as retention does.
    pub(super) fn advance_start(&mut self, offset: i64) {
        self.start = offset.clamp(self.start, self.end);
        while self.batches.front().is_some_and(|batch| batch.end() <= self.start) {
            self.batches.pop_front();
        }
    }

    /// Forgets every producer, for good.
    pub(super) fn forget_producers(&mut self) {
        self.producers.clear();
        self.states_from = self.end;
    }

    /// Whether this very batch is in the log.
    pub(super) fn holds(&self, batch: &Arc<StoredBatch>) -> bool {
        let index = self.batches.partition_point(|b| b.base_offset < batch.base_offset);
        self.batches.get(index).is_some_and(|b| Arc::ptr_eq(b, batch))
    }

    /// The offset up to which both logs hold the same batches.
    pub(super) fn common_end(&self, other: &Self) -> i64 {
        let shared = self.batches.iter().rev().find(|batch| other.holds(batch));
        // Without a shared batch the logs part before the first one that both could have: where
        // the later of the two begins.
        let floor = |log: &Self| log.batches.front().map_or(log.end, |batch| batch.base_offset);
        shared
            .map_or_else(|| floor(self).max(floor(other)).min(self.end.min(other.end)), |b| b.end())
    }

    /// Removes what lies at `end` and behind it; the removed batches, oldest first.
    pub(super) fn truncate(&mut self, end: i64) -> Vec<Arc<StoredBatch>> {
        let keep = self.batches.partition_point(|batch| batch.end() <= end);
        let removed: Vec<_> = self.batches.drain(keep..).collect();
        if removed.is_empty() {
            return removed;
        }
        self.end = removed.first().map_or(self.end, |batch| batch.base_offset);
        self.start = self.start.min(self.end);
        for batch in &removed {
            self.counts.records -= u64::from(batch.header.count.unsigned_abs());
            self.counts.batches -= 1;
            self.counts.bytes -= batch.size;
        }
        self.rebuild_states();
        removed
    }

    /// Reads the producer states from the log, as a broker does after a truncation. Where old
    /// batches were not kept, what is known of them stays.
    fn rebuild_states(&mut self) {
        let kept_from = self.batches.front().map_or(self.end, |batch| batch.base_offset);
        self.states_from = self.states_from.min(self.end);
        if kept_from > self.start.max(self.states_from) {
            self.producers.truncate(self.end);
            return;
        }
        self.producers.clear();
        let from = self.batches.partition_point(|batch| batch.base_offset < self.states_from);
        for batch in self.batches.range(from..) {
            self.producers.appended(&batch.header, batch.base_offset, batch.timestamp());
        }
    }

    /// Makes this log one with the leader's: truncates what the leader does not have and copies
    /// what is missing.
    pub(super) fn follow(&mut self, leader: &Self, retention: Retention) {
        let common = self.common_end(leader);
        self.truncate(common);
        let reachable = leader.batches.front().map_or(leader.end, |batch| batch.base_offset);
        if self.end < reachable || self.end > common {
            // One of the two no longer has the batches in which they differ.
            *self = leader.clone();
            return;
        }
        let first = leader.batches.partition_point(|batch| batch.base_offset < self.end);
        for batch in leader.batches.range(first..) {
            self.push(Arc::clone(batch), retention);
        }
        self.advance_start(leader.start);
    }
}
