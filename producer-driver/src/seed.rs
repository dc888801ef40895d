//! Where a producer's random seed comes from.

use std::hash::{BuildHasher, RandomState};

/// A fresh seed for [`pair`](crate::pair), from the operating system's random source.
///
/// The standard library keys its hash maps with 128 random bits of the system; this draws from
/// the same source, so no further library is needed. Two calls never give the same seed.
#[must_use]
pub fn system_seed() -> [u8; 32] {
    let mut seed = [0; 32];
    let keys = RandomState::new();
    for (word, bytes) in seed.chunks_exact_mut(8).enumerate() {
        bytes.copy_from_slice(&keys.hash_one(word).to_le_bytes());
    }
    seed
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds_differ() {
        assert_ne!(super::system_seed(), super::system_seed());
    }
}
