//! Topics, partitions and their logs.

use super::config::{Retention, TopicConfig};
use super::producer_state::ProducerStates;
use crate::records::{Batch, LogRecord, RecordsError};
use producer_proto::Uuid;
use std::collections::VecDeque;

/// What metadata says about a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionImage {
    /// The leader's node id, if there is a leader.
    pub leader: Option<i32>,
    /// Goes up with each change of leader.
    pub leader_epoch: i32,
    /// All replicas.
    pub replicas: Vec<i32>,
    /// The replicas that are in sync.
    pub isr: Vec<i32>,
}

#[derive(Clone, Debug)]
pub(super) struct Partition {
    pub(super) image: PartitionImage,
    pub(super) log: PartitionLog,
    pub(super) producers: ProducerStates,
}

#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub(super) id: Uuid,
    pub(super) config: TopicConfig,
    pub(super) partitions: Vec<Partition>,
    /// Not visible to anybody for the moment.
    pub(super) hidden: bool,
}

impl Topic {
    pub(super) fn partition(&mut self, index: i32) -> Option<&mut Partition> {
        self.partitions.get_mut(usize::try_from(index).ok()?)
    }

    /// Adds partitions up to `count`, spread over the brokers in order.
    pub(super) fn grow(&mut self, count: i32, brokers: &[i32]) {
        let count = usize::try_from(count).unwrap_or(0);
        for index in self.partitions.len()..count {
            let replicas: Vec<i32> = (0..self.config.replication.clamp(1, brokers.len().max(1)))
                .filter_map(|i| brokers.get((index + i) % brokers.len()).copied())
                .collect();
            self.partitions.push(Partition {
                image: PartitionImage {
                    leader: replicas.first().copied(),
                    leader_epoch: 0,
                    isr: replicas.clone(),
                    replicas,
                },
                log: PartitionLog::default(),
                producers: ProducerStates::default(),
            });
        }
        self.config.partitions = i32::try_from(self.partitions.len()).unwrap_or(i32::MAX);
    }
}

/// What was appended to one partition.
#[derive(Clone, Debug, Default)]
pub(super) struct PartitionLog {
    records: VecDeque<LogRecord>,
    start: i64,
    end: i64,
    batches: u64,
    bytes: u64,
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

impl PartitionLog {
    pub(super) fn start(&self) -> i64 {
        self.start
    }

    pub(super) fn end(&self) -> i64 {
        self.end
    }

    pub(super) fn counts(&self) -> LogCounts {
        LogCounts { records: self.end as u64, batches: self.batches, bytes: self.bytes }
    }

    pub(super) fn records(&self) -> Vec<LogRecord> {
        self.records.iter().cloned().collect()
    }

    /// Appends a batch whose count was checked; the base offset it got.
    pub(super) fn append(
        &mut self,
        batch: &Batch,
        append_time: Option<i64>,
        retention: Retention,
    ) -> Result<i64, RecordsError> {
        let base = self.end;
        if retention != Retention::CountOnly {
            batch.visit(|mut record| {
                record.offset += base - batch.header.base_offset;
                if let Some(time) = append_time {
                    record.timestamp = time;
                }
                self.records.push_back(record);
            })?;
        }
        if let Retention::Last(keep) = retention {
            self.records.drain(..self.records.len().saturating_sub(keep));
        }
        self.end += i64::from(batch.header.count);
        self.batches += 1;
        self.bytes += batch.bytes().len() as u64;
        Ok(base)
    }

    /// Drops everything before `offset`, as retention does.
    pub(super) fn advance_start(&mut self, offset: i64) {
        self.start = offset.clamp(self.start, self.end);
        while self.records.front().is_some_and(|record| record.offset < self.start) {
            self.records.pop_front();
        }
    }
}
