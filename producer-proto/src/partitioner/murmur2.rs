//! MurmurHash2 with 32 bits, as Kafka's Java client hashes keys. Other clients that promise the
//! same placement must agree bit by bit, so this is pinned by vectors from the Java library.

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;

/// The hash of a key. Java reads it as a signed number.
#[inline]
pub(super) fn murmur2(key: &[u8]) -> u32 {
    // Java's array lengths have 31 bits; a longer key could not be sent anyway.
    let mut hash = SEED ^ (key.len() as u32);
    let (words, tail) = key.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (i, &byte) in tail.iter().enumerate() {
            hash ^= u32::from(byte) << (8 * i);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// `partitions` must be above zero.
#[inline]
pub(super) fn partition_for_key(key: &[u8], partitions: i32) -> i32 {
    // Clearing the sign is not the absolute value: Java's client does it for i32::MIN's sake.
    (murmur2(key) & 0x7fff_ffff) as i32 % partitions
}
