//! Keyed randomness: a draw is a pure function of (seed, stream, entity, n).
//!
//! Nothing is shared between streams, so one draw more or less in one place does not change what
//! any other place draws, and a replay with one event removed stays comparable.

/// What a draw is for. Each has a sequence of its own per entity.
#[derive(Clone, Copy)]
#[repr(u64)]
pub(crate) enum Stream {
    PartitionChoice = 1,
    RetryJitter,
    ReconnectJitter,
    SetupJitter,
    MetadataJitter,
    ProducerIdJitter,
    LeastLoadedStart,
    Instance,
    DescribeJitter,
}

#[derive(Clone)]
pub(crate) struct Rng {
    seed: [u64; 4],
}

impl Rng {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(seed.chunks_exact(8)) {
            for (i, byte) in bytes.iter().enumerate() {
                *word |= u64::from(*byte) << (8 * i);
            }
        }
        Self { seed: words }
    }

    /// The `n`th draw of `stream` for `entity`, uniform over all of `u64`.
    pub(crate) fn draw(&self, stream: Stream, entity: u64, n: u64) -> u64 {
        let mut state = mix(self.seed[0] ^ stream as u64);
        state = mix(state ^ self.seed[1] ^ entity);
        state = mix(state ^ self.seed[2] ^ n);
        mix(state ^ self.seed[3])
    }
}

/// The finaliser of SplitMix64: a bijection whose every output bit depends on every input bit.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_every_part_of_the_key_and_on_nothing_else() {
        let rng = Rng::new([7; 32]);
        let base = rng.draw(Stream::RetryJitter, 1, 1);
        assert_eq!(base, Rng::new([7; 32]).draw(Stream::RetryJitter, 1, 1));
        assert_ne!(base, Rng::new([8; 32]).draw(Stream::RetryJitter, 1, 1));
        assert_ne!(base, rng.draw(Stream::SetupJitter, 1, 1));
        assert_ne!(base, rng.draw(Stream::RetryJitter, 2, 1));
        assert_ne!(base, rng.draw(Stream::RetryJitter, 1, 2));
    }
}
