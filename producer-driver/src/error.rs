//! What a caller can be told.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use producer_proto::{
    ErrorCode, FatalError, InvalidTopic, Lane, Persistence, ProduceError, PushError, TopicError,
};

/// Why a record was not accepted. Nothing of it was kept: it is not in the log and never will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendError(Box<Details>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Details {
    topic: Arc<str>,
    kind: SendErrorKind,
}

/// The kind of a [`SendError`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// Kafka does not accept the topic's name.
    InvalidTopic(InvalidTopic),
    /// The record itself is refused: too large, a partition below zero, refused by the
    /// partitioner.
    Refused(PushError),
    /// The serializer of a [`TypedProducer`](crate::TypedProducer) cannot make bytes of the record.
    Serializer {
        /// Of which part.
        part: RecordPart,
        /// What it says.
        reason: Arc<str>,
    },
    /// There is no room in the buffer memory now, or earlier records of this topic wait for room.
    /// Only from calls that do not wait.
    Full {
        /// The lane that has no room.
        lane: Lane,
    },
    /// The topic's metadata, or this partition of it, is not known yet. Only from calls that do
    /// not wait.
    NotReady,
    /// So many records wait already that their bytes fill a second `buffer_memory`.
    TooManyWaiting {
        /// Bytes that this record would have added.
        size: usize,
        /// Bytes that wait.
        waiting: usize,
        /// How many bytes may wait.
        limit: usize,
    },
    /// `max_block` has passed.
    Timeout {
        /// The setting's value.
        max_block: Duration,
        /// What the record was waiting for.
        waiting_for: WaitingFor,
        /// What last went wrong on the way, where something did.
        cause: Option<Arc<str>>,
    },
    /// The cluster refuses the topic.
    TopicFailed(TopicError),
    /// The topic has failed again and again; see [`CircuitBreaker`](crate::CircuitBreaker).
    CircuitOpen {
        /// How often, in a row.
        failures: u32,
        /// When a record will be let through as a probe.
        probe_in: Duration,
        /// The last failure.
        cause: Arc<str>,
    },
    /// Dropped while it waited, by [`Handle::abort_queued`](crate::Handle::abort_queued) or by the
    /// caller, who gave it up.
    Aborted,
    /// The producer is closed, or was closed before the record's turn came.
    Closed,
    /// The producer is in a state that it cannot leave.
    Fatal(FatalError),
}

/// A part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordPart {
    /// The key.
    Key,
    /// The value.
    Value,
}

/// What a record that is not yet accepted waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum WaitingFor {
    /// The topic's metadata.
    Metadata,
    /// A partition that the topic does not have.
    Partition {
        /// The partition asked for.
        partition: i32,
        /// How many the topic has.
        count: i32,
    },
    /// The leaders of the topic's partitions, or their connections. Only in
    /// [`Handle::warm_up`](crate::Handle::warm_up).
    Leaders,
    /// Room in the buffer memory.
    Memory(Lane),
    /// Its turn behind earlier records of the same topic.
    Turn,
}

impl SendError {
    pub(crate) fn new(topic: Arc<str>, kind: SendErrorKind) -> Self {
        Self(Box::new(Details { topic, kind }))
    }

    /// The error for a push that was refused.
    pub(crate) fn refused(topic: &Arc<str>, error: PushError) -> Self {
        let kind = match error {
            PushError::Full { lane } => SendErrorKind::Full { lane },
            PushError::TopicNotReady => SendErrorKind::NotReady,
            PushError::Closed => SendErrorKind::Closed,
            PushError::Fatal(error) => SendErrorKind::Fatal(error),
            error => SendErrorKind::Refused(error),
        };
        Self::new(topic.clone(), kind)
    }

    /// The topic's name, as it was given.
    pub fn topic(&self) -> &str {
        &self.0.topic
    }

    /// What kind of refusal.
    pub fn kind(&self) -> &SendErrorKind {
        &self.0.kind
    }

    /// Kafka's name of the error where a broker or the protocol has one
    /// (`TOPIC_AUTHORIZATION_FAILED`, `INVALID_TOPIC_EXCEPTION`), else a local name of the same
    /// form: `RECORD_TOO_LARGE`, `INVALID_RECORD_FORMAT`, `INVALID_PARTITION`,
    /// `PARTITIONER_FAILED`, `SERIALIZATION_FAILED`, `BUFFER_EXHAUSTED`, `TOPIC_NOT_READY`, `MAX_BLOCK_TIMEOUT`,
    /// `CIRCUIT_OPEN`, `ABORTED`, `CLOSED`.
    pub fn name(&self) -> &'static str {
        match &self.0.kind {
            SendErrorKind::InvalidTopic(_) => ErrorCode::INVALID_TOPIC_EXCEPTION.name(),
            SendErrorKind::Refused(error) => match error {
                PushError::TooLarge { .. } => "RECORD_TOO_LARGE",
                PushError::Format { .. } => "INVALID_RECORD_FORMAT",
                PushError::InvalidPartition { .. } => "INVALID_PARTITION",
                PushError::Partitioner(_) => "PARTITIONER_FAILED",
                _ => "REFUSED",
            },
            SendErrorKind::Serializer { .. } => "SERIALIZATION_FAILED",
            SendErrorKind::Full { .. } | SendErrorKind::TooManyWaiting { .. } => "BUFFER_EXHAUSTED",
            SendErrorKind::NotReady => "TOPIC_NOT_READY",
            SendErrorKind::Timeout { waiting_for, .. } => match waiting_for {
                WaitingFor::Memory(_) | WaitingFor::Turn => "BUFFER_EXHAUSTED",
                _ => "MAX_BLOCK_TIMEOUT",
            },
            SendErrorKind::TopicFailed(error) => error.code.name(),
            SendErrorKind::CircuitOpen { .. } => "CIRCUIT_OPEN",
            SendErrorKind::Aborted => "ABORTED",
            SendErrorKind::Closed => "CLOSED",
            SendErrorKind::Fatal(error) => error.code.name(),
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topic = &self.0.topic;
        match &self.0.kind {
            // These name the topic themselves.
            SendErrorKind::InvalidTopic(error) => error.fmt(f),
            SendErrorKind::TopicFailed(error) => error.fmt(f),
            SendErrorKind::Refused(error) => write!(f, "topic {topic}: {error}"),
            SendErrorKind::Serializer { part, reason } => {
                let part = match part {
                    RecordPart::Key => "key",
                    RecordPart::Value => "value",
                };
                write!(f, "topic {topic}: the {part} cannot be serialized: {reason}")
            }
            SendErrorKind::Full { lane } => {
                write!(f, "topic {topic}: buffer memory of {} is exhausted", Name(*lane))
            }
            SendErrorKind::NotReady => write!(f, "topic {topic}: metadata is not here yet"),
            SendErrorKind::TooManyWaiting { size, waiting, limit } => write!(
                f,
                "topic {topic}: record of {size} bytes cannot wait for room: {waiting} bytes wait \
                 already, the limit is buffer.memory = {limit}"
            ),
            SendErrorKind::Timeout { max_block, waiting_for, cause } => {
                let millis = max_block.as_millis();
                write!(f, "topic {topic}: max.block.ms = {millis} passed while waiting for ")?;
                match waiting_for {
                    WaitingFor::Metadata => f.write_str("its metadata")?,
                    WaitingFor::Partition { partition, count } => {
                        write!(f, "partition {partition}; it has {count} partitions")?;
                    }
                    WaitingFor::Leaders => f.write_str("its leaders")?,
                    WaitingFor::Memory(lane) => write!(f, "buffer memory of {}", Name(*lane))?,
                    WaitingFor::Turn => f.write_str("earlier records of this topic")?,
                }
                match cause {
                    Some(cause) => write!(f, "; last error: {cause}"),
                    None => Ok(()),
                }
            }
            SendErrorKind::CircuitOpen { failures, probe_in, cause } => write!(
                f,
                "topic {topic}: no leader was found {failures} times in a row, not tried again \
                 for {} ms; last error: {cause}",
                probe_in.as_millis()
            ),
            SendErrorKind::Aborted => write!(f, "topic {topic}: dropped while it waited"),
            SendErrorKind::Closed => write!(f, "topic {topic}: producer is closed"),
            SendErrorKind::Fatal(error) => write!(f, "topic {topic}: {error}"),
        }
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            SendErrorKind::Refused(error) => Some(error),
            SendErrorKind::Fatal(error) => Some(error),
            _ => None,
        }
    }
}

struct Name(Lane);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Lane::Broker(broker) => broker.fmt(f),
            Lane::NoLeader => f.write_str("partitions without a leader"),
        }
    }
}

/// Why an accepted record was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error} ({})", match persistence {
    Persistence::NotPersisted => "the record is not in the log",
    Persistence::PossiblyPersisted => "the record may be in the log all the same",
})]
pub struct DeliveryError {
    /// What happened.
    #[source]
    pub error: ProduceError,
    /// Whether the record may be in the log all the same. `NotPersisted` is a promise.
    pub persistence: Persistence,
}

/// Why a record is not where it should be, in one type: not accepted, or not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The record was not accepted; nothing of it was kept.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The record was accepted and has failed.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
}

impl RecordError {
    /// Whether the record may be in the log all the same. `NotPersisted` is a promise.
    pub fn persistence(&self) -> Persistence {
        match self {
            Self::Send(_) => Persistence::NotPersisted,
            Self::Delivery(error) => error.persistence,
        }
    }
}
