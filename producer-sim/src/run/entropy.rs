//! Where random choices come from. Draws are keyed by what they are for, so that a choice left
//! out does not change the others.

/// What a draw is for. Each purpose has numbers of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Cluster, topics, settings and network of a run.
    Shape,
    /// What the application does.
    Workload,
    /// What goes wrong.
    Faults,
    /// What the network does by itself during the run.
    Network,
    /// What the driver does by itself during the run.
    Driver,
    /// The seed of the producer itself.
    Producer,
}

/// A source of numbers.
pub trait Entropy {
    /// Draw number `n` of `stream` for `entity`: a number below `limit`, which is at least 1.
    fn draw(&mut self, stream: Stream, entity: u64, n: u64, limit: u64) -> u64;
}

/// A seed: each draw is a function of the seed and of what it is for, whatever else is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Entropy for Seed {
    fn draw(&mut self, stream: Stream, entity: u64, n: u64, limit: u64) -> u64 {
        let mut x = self.0;
        for part in [stream as u64, entity, n] {
            x = mix(x ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        x % limit.max(1)
    }
}

/// The finalizer of SplitMix64.
pub(crate) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Bytes that somebody else chose, such as a fuzzer: each draw takes as many as its limit needs,
/// from front to back, and zero when there are no more.
#[derive(Clone, Debug)]
pub struct Tape<'a>(&'a [u8]);

impl<'a> Tape<'a> {
    /// Draws from these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl Entropy for Tape<'_> {
    fn draw(&mut self, _: Stream, _: u64, _: u64, limit: u64) -> u64 {
        let limit = limit.max(1);
        let bits = u64::BITS - (limit - 1).leading_zeros();
        let mut number = 0;
        for _ in 0..bits.div_ceil(8) {
            let Some((byte, rest)) = self.0.split_first() else { break };
            number = number << 8 | u64::from(*byte);
            self.0 = rest;
        }
        number % limit
    }
}

/// The draws of one entity, one after the other.
pub(crate) struct Dice<'a> {
    entropy: &'a mut dyn Entropy,
    stream: Stream,
    entity: u64,
    n: u64,
}

impl<'a> Dice<'a> {
    pub(crate) fn new(entropy: &'a mut dyn Entropy, stream: Stream, entity: u64) -> Self {
        Self { entropy, stream, entity, n: 0 }
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.n += 1;
        self.entropy.draw(self.stream, self.entity, self.n, limit)
    }

    /// A number from `least` to `most`.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least).saturating_add(1))
    }

    /// Whether one of `n` equal chances came true.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == n - 1
    }

    pub(crate) fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize].clone()
    }

    /// From `least` to `most`, each order of magnitude as likely as the others.
    pub(crate) fn log_uniform(&mut self, least: u64, most: u64) -> u64 {
        let bits = |x: u64| u64::from(u64::BITS - x.leading_zeros());
        let size = self.between(bits(least), bits(most));
        let low = if size == 0 { 0 } else { 1_u64 << (size - 1) };
        let high = low.max((low << 1).wrapping_sub(1));
        self.between(low, high).clamp(least, most)
    }

    /// About exponential around `mean`, and at most eight times that: integers only.
    pub(crate) fn exponential(&mut self, mean: u64) -> u64 {
        let halvings = u64::from(self.below(256).leading_zeros() - 56);
        self.between(0, mean) + mean * halvings.min(7)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_does_not_depend_on_others() {
        let draw = |n| Seed(7).draw(Stream::Faults, 3, n, 1_000_000);
        let two = [draw(1), draw(2)];
        assert_eq!([draw(2), draw(1)], [two[1], two[0]]);
        assert_ne!(two[0], two[1]);
        assert_ne!(two[0], Seed(8).draw(Stream::Faults, 3, 1, 1_000_000));
        assert_ne!(two[0], Seed(7).draw(Stream::Shape, 3, 1, 1_000_000));
        assert_ne!(two[0], Seed(7).draw(Stream::Faults, 4, 1, 1_000_000));
    }

    #[test]
    fn a_tape_is_taken_as_needed_and_ends_with_zeros() {
        let mut tape = Tape::new(&[3, 1, 2, 200]);
        let mut draw = |limit| tape.draw(Stream::Shape, 0, 0, limit);
        assert_eq!(draw(1), 0, "no choice takes no byte");
        assert_eq!(draw(256), 3);
        assert_eq!(draw(257), 258 % 257);
        assert_eq!(draw(100), 0);
        assert_eq!(draw(100), 0);
    }

    #[test]
    fn magnitudes_are_equally_likely() {
        let mut seed = Seed(1);
        let mut dice = Dice::new(&mut seed, Stream::Shape, 0);
        let mut counts = [0; 21];
        for _ in 0..21_000 {
            let x = dice.log_uniform(1, 1 << 20);
            assert!((1..=1 << 20).contains(&x));
            counts[x.ilog2() as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
        assert!((0..1_000).map(|_| dice.exponential(100)).all(|x| x <= 800));
    }
}
