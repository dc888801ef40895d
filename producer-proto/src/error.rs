//! What can go wrong, for the application to read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{ErrorCode, Lane, PartitionerError};

/// A topic name that Kafka does not accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTopic {
    /// The empty string.
    #[error("topic name is empty")]
    Empty,
    /// `.` or `..`.
    #[error("topic name {0:?} is reserved")]
    Reserved(String),
    /// Longer than 249 characters.
    #[error("topic name {name:?} has {length} characters, the limit is 249")]
    TooLong {
        /// The name, cut to its beginning.
        name: String,
        /// Its length.
        length: usize,
    },
    /// A character outside `[a-zA-Z0-9._-]`.
    #[error("topic name {name:?} has the character {character:?}, allowed are a-z A-Z 0-9 . _ -")]
    Character {
        /// The name.
        name: String,
        /// The first character that is not allowed.
        character: char,
    },
}

/// Why [`Producer::push`](crate::Producer::push) did not take a record. The record stays with the
/// caller, nothing of it was stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// No room in the memory budget. An [`Event::Writable`](crate::Event::Writable) for the lane
    /// says when to try again.
    #[error("buffer memory of {lane:?} is exhausted")]
    Full {
        /// The lane that has no room.
        lane: Lane,
    },
    /// The topic's metadata, or this partition of it, is not known yet. An
    /// [`Event::TopicReady`](crate::Event::TopicReady) or
    /// [`Event::TopicFailed`](crate::Event::TopicFailed) follows if the cluster answers.
    #[error("metadata of the topic is not here yet")]
    TopicNotReady,
    /// The record would never fit.
    #[error("record of {size} bytes is larger than {setting} = {limit}")]
    TooLarge {
        /// Upper bound of its encoded size, in bytes, batch header included.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
        /// The setting that sets the limit.
        setting: &'static str,
    },
    /// The record cannot be written in Kafka's format.
    #[error("{what} of {size} is over the limit of the record format, {limit}")]
    Format {
        /// What is too large: the length of the key, the number of headers ...
        what: String,
        /// Its size.
        size: usize,
        /// The largest size the format holds.
        limit: usize,
    },
    /// A partition number below zero, or one that a partitioner should not have given.
    #[error("partition {partition} {}", match count {
        0 => "is below 0".to_owned(),
        _ => format!("is not in 0..{count}"),
    })]
    InvalidPartition {
        /// The number.
        partition: i32,
        /// How many partitions the topic has, as far as known; 0 when unknown.
        count: i32,
    },
    /// The partitioner refused this record.
    #[error(transparent)]
    Partitioner(PartitionerError),
    /// The topic id is not one of this producer's.
    #[error("topic id {0} was not given out by this producer")]
    UnknownTopicId(u32),
    /// [`Producer::close`](crate::Producer::close) was called.
    #[error("producer is closed")]
    Closed,
    /// The producer is in a state that it cannot leave.
    #[error(transparent)]
    Fatal(FatalError),
}

/// Why the cluster refuses a topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("topic {topic}: {code}")]
pub struct TopicError {
    /// The topic's name.
    pub topic: Arc<str>,
    /// What the cluster answered.
    pub code: ErrorCode,
}

/// Why [`Producer::describe`](crate::Producer::describe) has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DescribeError {
    /// A name that Kafka does not accept; nothing was asked.
    #[error(transparent)]
    InvalidTopic(#[from] InvalidTopic),
    /// No broker gave a usable answer in time.
    #[error(
        "no answer about the cluster within {} ms{}", after.as_millis(),
        cause.as_ref().map(|cause| format!("; last error: {cause}")).unwrap_or_default()
    )]
    TimedOut {
        /// From the question to its deadline.
        after: Duration,
        /// What last went wrong on the way, where something did.
        cause: Option<Arc<str>>,
    },
    /// The producer is closed, or was closed before an answer came.
    #[error("producer is closed")]
    Closed,
}

/// An error after which this producer cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct FatalError {
    /// Kafka's code for it.
    pub code: ErrorCode,
    /// What happened, in words.
    pub message: Arc<str>,
}

/// Why a record that was accepted was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProduceError(Box<Details>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Details {
    kind: ProduceErrorKind,
    message: Option<Arc<str>>,
    attempts: u32,
    cause: Option<Arc<str>>,
}

/// The kind of a [`ProduceError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ProduceErrorKind {
    /// A broker's answer, or a code that stands for a lost connection
    /// (`NETWORK_EXCEPTION`) or a request without an answer (`REQUEST_TIMED_OUT`).
    Kafka(ErrorCode),
    /// `delivery.timeout.ms` passed.
    DeliveryTimeout(Phase),
    /// Cancelled by the caller.
    Cancelled,
    /// Dropped by [`Producer::abort_queued`](crate::Producer::abort_queued).
    Aborted,
    /// The deadline of [`Producer::close`](crate::Producer::close) passed.
    Closed,
    /// The batch could not be compressed or split: a defect of the job that was to do it.
    Job,
}

/// What a batch was waiting for when its time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Its partition had no leader.
    NoLeader,
    /// The leader's connection was not up.
    Connecting,
    /// The producer id had not arrived.
    ProducerId,
    /// Its turn, or the end of a backoff or throttle.
    Queued,
    /// The answer to a request.
    InFlight,
}

impl ProduceError {
    pub(crate) fn new(kind: ProduceErrorKind, attempts: u32) -> Self {
        Self(Box::new(Details { kind, message: None, attempts, cause: None }))
    }

    pub(crate) fn with_message(mut self, message: Option<Arc<str>>) -> Self {
        self.0.message = message;
        self
    }

    pub(crate) fn with_cause(mut self, cause: Option<Arc<str>>) -> Self {
        self.0.cause = cause;
        self
    }

    /// What kind of failure.
    pub fn kind(&self) -> ProduceErrorKind {
        self.0.kind
    }

    /// Kafka's name of the error (`NOT_LEADER_OR_FOLLOWER`), or the local name of a failure that
    /// no broker reported (`DELIVERY_TIMEOUT`, `CANCELLED`, `ABORTED`, `CLOSED`).
    pub fn name(&self) -> String {
        match self.0.kind {
            ProduceErrorKind::Kafka(code) => code.name().to_owned(),
            ProduceErrorKind::DeliveryTimeout(_) => "DELIVERY_TIMEOUT".to_owned(),
            ProduceErrorKind::Cancelled => "CANCELLED".to_owned(),
            ProduceErrorKind::Aborted => "ABORTED".to_owned(),
            ProduceErrorKind::Closed => "CLOSED".to_owned(),
            ProduceErrorKind::Job => "JOB_FAILED".to_owned(),
        }
    }

    /// The broker's own words, where it sent some.
    pub fn broker_message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// How often the batch was handed to a connection.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// The last thing that went wrong on the way, where the final error does not say it.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }
}

impl fmt::Display for ProduceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = &self.0;
        match details.kind {
            ProduceErrorKind::Kafka(code) => match &details.message {
                Some(message) => write!(f, "{code}: {message}")?,
                None => write!(f, "{code}: {}", code.description())?,
            },
            ProduceErrorKind::DeliveryTimeout(phase) => {
                let waiting = match phase {
                    Phase::NoLeader => "while the partition had no leader",
                    Phase::Connecting => "while the leader's connection was not up",
                    Phase::ProducerId => "while waiting for a producer id",
                    Phase::Queued => "while queued",
                    Phase::InFlight => "while waiting for the broker's answer",
                };
                write!(f, "delivery.timeout.ms passed {waiting}")?;
            }
            ProduceErrorKind::Cancelled => f.write_str("cancelled by the caller")?,
            ProduceErrorKind::Aborted => f.write_str("dropped before it was sent")?,
            ProduceErrorKind::Closed => {
                f.write_str("the producer's close deadline passed before an answer")?;
            }
            ProduceErrorKind::Job => f.write_str("a compression job failed")?,
        }
        if let (Some(message), false) =
            (&details.message, matches!(details.kind, ProduceErrorKind::Kafka(_)))
        {
            write!(f, " ({message})")?;
        }
        match details.attempts {
            0 => {}
            1 => f.write_str(", after 1 attempt")?,
            attempts => write!(f, ", after {attempts} attempts")?,
        }
        if let Some(cause) = &details.cause {
            write!(f, "; last error: {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ProduceError {}
