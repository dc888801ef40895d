//! CRC-32 (IEEE), as librdkafka's `consistent` partitioners hash keys.

/// `partitions` must be above zero.
pub(super) fn partition_for_key(key: &[u8], partitions: i32) -> i32 {
    (crc32fast::hash(key) % partitions.unsigned_abs()) as i32
}
