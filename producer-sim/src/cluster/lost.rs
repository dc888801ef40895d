//! Records that were appended and are no longer there.

use super::log::StoredBatch;
use crate::records::{BatchHeader, LogRecord};
use producer_proto::{Instant, Uuid};
use std::sync::Arc;

/// Why a batch is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostReason {
    /// A replica without it became leader by a clean election: it was never committed.
    Deposed,
    /// A replica outside the ISR became leader.
    UncleanElection,
    /// The only copy that counted lost its tail when its broker crashed.
    LostTail,
    /// The topic was deleted, or created anew.
    TopicDeleted,
}

/// A batch that some leader appended and that is not in the partition's log, and never will be
/// unless an unclean election brings it back.
#[derive(Clone, Debug)]
pub struct Lost {
    /// When it was lost.
    pub at: Instant,
    /// The topic.
    pub topic: Arc<str>,
    /// The topic's id at that time.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: i32,
    /// Whether it lay below the high watermark, so that acks=all may have been answered. Never
    /// with [`LostReason::Deposed`].
    pub committed: bool,
    /// Why.
    pub reason: LostReason,
    pub(super) batch: Arc<StoredBatch>,
}

impl Lost {
    /// The offset that its first record had.
    pub fn base_offset(&self) -> i64 {
        self.batch.base_offset
    }

    /// The leader epoch it was appended under.
    pub fn leader_epoch(&self) -> i32 {
        self.batch.leader_epoch
    }

    /// The header, as the producer wrote it.
    pub fn header(&self) -> &BatchHeader {
        &self.batch.header
    }

    /// Its records with the offsets they had; none with
    /// [`Retention::CountOnly`](super::Retention::CountOnly).
    pub fn records(&self) -> Vec<LogRecord> {
        let mut records = Vec::new();
        self.batch.visit(|record| records.push(record));
        records
    }
}
