//! Choosing the partition of a record that names none.
//!
//! A key decides by its hash, over **all** partitions of the topic, so that a lost leader moves
//! no keys. Records without key go where it is best for the cluster: [`sticky`] fills a batch in
//! one partition before it picks the next, and picks by queue length. Each topic has its own
//! state, which exists only once the topic got a record without key.

mod crc32;
mod fnv1a;
mod load;
mod murmur2;
mod round_robin;
mod spread;
mod sticky;

pub(crate) use round_robin::RoundRobinState;
pub(crate) use spread::Spread;
pub(crate) use sticky::StickyState;

use crate::PartitionerKind;

/// An application's own way to choose partitions.
///
/// It is called once for each record that names no partition, also for records without key, in
/// the order of the sends. It must be a pure function of its arguments and its own state: it may
/// not call the producer. The record is refused, alone and before anything of it is kept, when
/// it returns an error or an index that is not within `0..partitions`.
///
/// ```
/// use producer_proto::{Partitioner, PartitionerError};
///
/// /// Keys are decimal numbers; odd and even ones are kept apart.
/// struct Parity;
///
/// impl Partitioner for Parity {
///     fn partition(
///         &mut self,
///         _topic: &str,
///         key: Option<&[u8]>,
///         _value: Option<&[u8]>,
///         partitions: i32,
///         _available: &dyn Fn(i32) -> bool,
///     ) -> Result<i32, PartitionerError> {
///         let digit = key.and_then(<[u8]>::last).ok_or(PartitionerError::new("no key"))?;
///         Ok(i32::from(digit % 2) % partitions)
///     }
/// }
/// ```
pub trait Partitioner: Send {
    /// The partition for a record of `topic`, which has `partitions` of them. `available` says
    /// which partitions have a leader at the moment.
    ///
    /// # Errors
    /// Whatever makes a choice impossible; it becomes the record's error.
    fn partition(
        &mut self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        partitions: i32,
        available: &dyn Fn(i32) -> bool,
    ) -> Result<i32, PartitionerError>;
}

/// A [`Partitioner`] could not choose.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the partitioner failed: {reason}")]
pub struct PartitionerError {
    reason: String,
}

impl PartitionerError {
    /// An error with this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// Asks an application's partitioner, and checks that what it returns exists.
pub(crate) fn ask(
    partitioner: &mut dyn Partitioner,
    topic: &str,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    partitions: i32,
    available: &dyn Fn(i32) -> bool,
) -> Result<i32, PartitionerError> {
    let partition = partitioner.partition(topic, key, value, partitions, available)?;
    if (0..partitions).contains(&partition) {
        return Ok(partition);
    }
    Err(PartitionerError::new(format!(
        "it chose partition {partition} of {topic}, which has {partitions}"
    )))
}

impl PartitionerKind {
    /// The partition for a key in a topic with this many partitions, or `None` if the key plays
    /// no part: with [`RoundRobin`](Self::RoundRobin), with an empty key and
    /// [`Crc32`](Self::Crc32), and if there are no partitions.
    ///
    /// ```
    /// use producer_proto::PartitionerKind;
    /// assert_eq!(PartitionerKind::Murmur2.partition_for_key(b"kafka", 100), Some(80));
    /// ```
    #[inline]
    pub fn partition_for_key(self, key: &[u8], partitions: i32) -> Option<i32> {
        if partitions <= 0 {
            return None;
        }
        match self {
            Self::Murmur2 => Some(murmur2::partition_for_key(key, partitions)),
            Self::Fnv1a => Some(fnv1a::partition_for_key(key, partitions)),
            Self::Crc32 if key.is_empty() => None,
            Self::Crc32 => Some(crc32::partition_for_key(key, partitions)),
            Self::RoundRobin => None,
        }
    }
}

#[cfg(test)]
mod tests;
