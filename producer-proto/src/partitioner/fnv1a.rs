//! FNV-1a with 32 bits, as sarama's default partitioner hashes keys.

/// The hash of a key.
pub(super) fn fnv1a(key: &[u8]) -> u32 {
    key.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// `partitions` must be above zero. sarama takes the hash as signed and drops the sign of the
/// remainder, which is not the unsigned remainder.
pub(super) fn partition_for_key(key: &[u8], partitions: i32) -> i32 {
    (fnv1a(key) as i32 % partitions).abs()
}
