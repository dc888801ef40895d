//! What the application hands in.

use crate::TopicId;

/// A record to be produced, borrowed for the length of one call.
///
/// `null` and empty are different values in Kafka; both are kept for the key, the value and each
/// header value.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The topic, from [`Producer::topic`](crate::Producer::topic).
    pub topic: TopicId,
    /// The partition, or `None` to let the partitioner choose.
    pub partition: Option<i32>,
    /// Create time, milliseconds since the Unix epoch (may be negative). The core never reads a
    /// clock: the caller stamps the record.
    pub timestamp: i64,
    /// The key; it decides the partition when `partition` is `None`.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone on a compacted topic.
    pub value: Option<&'a [u8]>,
    /// Headers in order; names may repeat and may be empty.
    pub headers: &'a [Header<'a>],
}

impl<'a> Record<'a> {
    /// A record with a value only, for a partition that the partitioner chooses.
    pub const fn new(topic: TopicId, timestamp: i64, value: &'a [u8]) -> Self {
        Self { topic, partition: None, timestamp, key: None, value: Some(value), headers: &[] }
    }
}

/// One header of a record (KIP-82).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name. Kafka has no null names.
    pub name: &'a str,
    /// The value; `None` is Kafka's null.
    pub value: Option<&'a [u8]>,
}
