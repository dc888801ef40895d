//! What became of each record.

use crate::Instant;
use producer_proto::{BatchId, Event, Persistence, ProduceError, Receipt};
use std::collections::BTreeMap;
use std::ops::Range;

/// What the producer said about one record.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is in the log.
    Delivered {
        /// When the producer said so.
        at: Instant,
        /// Its own offset, unless the broker did not say.
        offset: Option<i64>,
        /// The broker's timestamp, where the topic has such.
        append_time: Option<i64>,
        /// The partition.
        partition: i32,
    },
    /// It failed.
    Failed {
        /// When the producer said so.
        at: Instant,
        /// Why.
        error: ProduceError,
        /// Whether it may be in the log all the same.
        persistence: Persistence,
        /// The partition.
        partition: i32,
    },
}

impl Outcome {
    /// Whether the record was delivered.
    pub fn is_delivered(&self) -> bool {
        matches!(self, Self::Delivered { .. })
    }

    /// The offset of a delivered record, if known.
    pub fn offset(&self) -> Option<i64> {
        match self {
            Self::Delivered { offset, .. } => *offset,
            Self::Failed { .. } => None,
        }
    }

    /// When the producer said so.
    pub fn at(&self) -> Instant {
        match self {
            Self::Delivered { at, .. } | Self::Failed { at, .. } => *at,
        }
    }

    /// The error of a failed record.
    pub fn error(&self) -> Option<&ProduceError> {
        match self {
            Self::Delivered { .. } => None,
            Self::Failed { error, .. } => Some(error),
        }
    }

    /// The promise about a failed record.
    pub fn persistence(&self) -> Option<Persistence> {
        match self {
            Self::Delivered { .. } => None,
            Self::Failed { persistence, .. } => Some(*persistence),
        }
    }
}

/// Accepted records and their outcomes: exactly one each.
#[derive(Default)]
pub(super) struct Outcomes {
    accepted: BTreeMap<(BatchId, u32), Option<Outcome>>,
    open: usize,
}

impl Outcomes {
    pub(super) fn accepted(&mut self, receipt: Receipt) {
        let before = self.accepted.insert((receipt.batch, receipt.index), None);
        assert!(before.is_none(), "{receipt:?} was given out twice");
        self.open += 1;
    }

    pub(super) fn get(&self, receipt: Receipt) -> Option<&Outcome> {
        self.accepted.get(&(receipt.batch, receipt.index))?.as_ref()
    }

    pub(super) fn open(&self) -> usize {
        self.open
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (Receipt, Option<&Outcome>)> {
        let receipt = |&(batch, index): &(BatchId, u32)| Receipt { batch, index };
        self.accepted.iter().map(move |(key, outcome)| (receipt(key), outcome.as_ref()))
    }

    pub(super) fn note(&mut self, at: Instant, event: &Event) {
        match event {
            Event::Delivered { batch, records, base_offset, append_time, partition, .. } => {
                self.settle(*batch, records, |i| Outcome::Delivered {
                    at,
                    offset: base_offset.map(|base| base + i64::from(i)),
                    append_time: *append_time,
                    partition: *partition,
                });
            }
            Event::Failed { batch, records, error, persistence, partition, .. } => {
                self.settle(*batch, records, |_| Outcome::Failed {
                    at,
                    error: error.clone(),
                    persistence: *persistence,
                    partition: *partition,
                });
            }
            _ => {}
        }
    }

    fn settle(&mut self, batch: BatchId, records: &Range<u32>, outcome: impl Fn(u32) -> Outcome) {
        assert!(!records.is_empty(), "an outcome of {batch} for no record");
        for index in records.clone() {
            let Some(slot) = self.accepted.get_mut(&(batch, index)) else {
                panic!("an outcome for record {index} of {batch}, which was never accepted");
            };
            let new = outcome(index - records.start);
            if let Some(first) = slot.replace(new) {
                panic!("a second outcome for record {index} of {batch} after {first:?}");
            }
            self.open -= 1;
        }
    }
}
