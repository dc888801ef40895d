//! What the core has to tell.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::description::ClusterDescription;
use crate::error::{DescribeError, FatalError, ProduceError, TopicError};
use crate::{BatchId, BrokerId, DescribeId, FlushId, TopicId};

/// Where an accepted record went: its batch, and its place in the order of that batch's appends.
///
/// The index never changes, whatever becomes of the batch: a split reports several ranges of the
/// same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Receipt {
    /// The batch that holds the record.
    pub batch: BatchId,
    /// The record's append index in it.
    pub index: u32,
}

/// Which part of the memory budget a record is charged to: that of the broker that leads its
/// partition. One broker's lane cannot take what is reserved for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// The leader's lane.
    Broker(BrokerId),
    /// Partitions whose leader is not known.
    NoLeader,
}

/// Whether a failed record may be in the log all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Persistence {
    /// A promise: the record is not in the log and never will be.
    NotPersisted,
    /// The record was handed to a connection and its fate is not known.
    PossiblyPersisted,
}

/// What [`Producer::cancel`](crate::Producer::cancel) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// The record is out of its batch and will never be in the log. Its outcome,
    /// [`Event::Failed`] with `NotPersisted`, follows.
    Cancelled,
    /// The batch is sealed, sent or done; the record's outcome comes as it comes.
    TooLate,
}

/// Something that happened, for the application. Taken with
/// [`Producer::poll_event`](crate::Producer::poll_event).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Records of one batch are in the log, as far as `acks` asks for it. Successes of one
    /// partition come in append order.
    Delivered {
        /// The batch.
        batch: BatchId,
        /// Append indexes in that batch; record `i` has offset `base_offset + (i - start)`.
        records: Range<u32>,
        /// Topic.
        topic: TopicId,
        /// Partition.
        partition: i32,
        /// Offset of the first record; `None` when the broker does not say (acks 0, a duplicate
        /// older than its memory).
        base_offset: Option<i64>,
        /// Milliseconds since the Unix epoch when the topic stamps records on append; `None`
        /// when the records keep their own timestamps.
        append_time: Option<i64>,
    },
    /// Records of one batch have failed for good.
    Failed {
        /// The batch.
        batch: BatchId,
        /// Append indexes in that batch.
        records: Range<u32>,
        /// Topic.
        topic: TopicId,
        /// Partition.
        partition: i32,
        /// Why.
        error: ProduceError,
        /// Whether the records may be in the log all the same.
        persistence: Persistence,
    },
    /// A lane that refused a record with [`PushError::Full`](crate::PushError::Full) has room
    /// again: it is worth pushing once more.
    Writable {
        /// The lane.
        lane: Lane,
    },
    /// A topic's partitions are known, or have become more; records that were refused with
    /// [`PushError::TopicNotReady`](crate::PushError::TopicNotReady) are worth pushing again.
    TopicReady(TopicId),
    /// The cluster refuses this topic: records that wait for it should fail. A later push asks
    /// the cluster anew.
    TopicFailed {
        /// The topic.
        topic: TopicId,
        /// Why.
        error: TopicError,
    },
    /// The answer to [`Producer::describe`](crate::Producer::describe).
    Described {
        /// The question.
        question: DescribeId,
        /// What the cluster said, or why there is no answer.
        result: Result<ClusterDescription, DescribeError>,
    },
    /// Everything pushed before this flush has its outcome.
    Flushed(FlushId),
    /// A batch was refused or lost, and will be handed out again after a backoff: its records have
    /// no outcome yet.
    Retrying {
        /// The batch.
        batch: BatchId,
        /// Topic.
        topic: TopicId,
        /// Partition.
        partition: i32,
        /// How often the batch has been handed out.
        attempts: u32,
        /// What went wrong, with the names of topic and error.
        cause: Arc<str>,
    },
    /// A broker asked us to wait (KIP-219); nothing is written to it meanwhile.
    Throttled {
        /// The broker; `None` for a bootstrap connection.
        broker: Option<BrokerId>,
        /// For how long.
        duration: Duration,
    },
    /// A connection came up or went down.
    Broker {
        /// The broker; `None` for a bootstrap address.
        broker: Option<BrokerId>,
        /// What happened to its connection.
        state: BrokerState,
    },
    /// The producer can do no more; every record that waits has failed or will, and pushes are
    /// refused.
    Fatal(FatalError),
    /// Closed: every record has its outcome, no event, byte or deadline follows.
    Closed,
}

/// What happened to a broker's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BrokerState {
    /// Ready for requests.
    Connected,
    /// Gone, after it had been ready, for a reason that is not an error: idle for too long, or
    /// nothing leads there any more.
    Closed,
    /// Could not be used, or broke; the text says why, and names the address.
    Failed(Arc<str>),
}
