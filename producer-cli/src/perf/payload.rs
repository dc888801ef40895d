//! The values and keys that `perf` sends: files that every load generator in a comparison reads, or
//! made up when there are none.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// Bytes of a key in `keys-8.bin`.
const KEY_SIZE: usize = 8;

/// Values that are made up, at most, and their bytes.
const MADE_UP: usize = 16_384;
const MADE_UP_BYTES: usize = 4 << 20;

/// Values of one size, and as many keys.
pub(crate) struct Payload {
    values: Vec<u8>,
    keys: Vec<u8>,
    size: usize,
    count: usize,
}

impl Payload {
    /// Reads `payload-SIZE.bin` and, for keys, `keys-8.bin`.
    pub(crate) fn load(folder: &Path, size: usize, keyed: bool) -> Result<Self, String> {
        let read = |name: String| {
            let path = folder.join(name);
            let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            if bytes.is_empty() { Err(format!("{}: is empty", path.display())) } else { Ok(bytes) }
        };
        let values = read(format!("payload-{size}.bin"))?;
        let keys = if keyed { read(format!("keys-{KEY_SIZE}.bin"))? } else { Vec::new() };
        Self::new(values, keys, size, keyed)
    }

    /// Makes up values of sixteen letters, which a codec can halve, and keys. The same for each
    /// run.
    pub(crate) fn made_up(size: usize, keyed: bool) -> Result<Self, String> {
        if size > MADE_UP_BYTES {
            return Err(format!(
                "--size {size} is over the limit of {MADE_UP_BYTES} without --data"
            ));
        }
        let fit = MADE_UP_BYTES.checked_div(size).unwrap_or(1).min(MADE_UP);
        let count = 1 << fit.ilog2();
        let mut values = Vec::with_capacity(count * size);
        let mut n = 0;
        while values.len() < count * size {
            values.extend_from_slice(&draw(0, n).to_be_bytes().map(|byte| b'a' + byte % 16));
            n += 1;
        }
        values.truncate(count * size);
        let numbers = 0..if keyed { count as u64 } else { 0 };
        let keys = numbers.flat_map(|n| draw(1, n).to_be_bytes()).collect();
        Self::new(values, keys, size, keyed)
    }

    fn new(values: Vec<u8>, keys: Vec<u8>, size: usize, keyed: bool) -> Result<Self, String> {
        let count = values.len().checked_div(size).ok_or("--size must be at least 1")?;
        if !count.is_power_of_two() || count * size != values.len() {
            return Err(format!(
                "the payload file has {} bytes, must have a power of two of values of {size}",
                values.len()
            ));
        }
        if keyed && keys.len() != count * KEY_SIZE {
            return Err(format!("the key file has {} bytes for {count} values", keys.len()));
        }
        Ok(Self { values, keys, size, count })
    }

    /// The value of record `i`.
    pub(crate) fn value(&self, i: u64) -> &[u8] {
        let at = self.index(i) * self.size;
        &self.values[at..at + self.size]
    }

    /// The key of record `i`, if keys were asked for.
    pub(crate) fn key(&self, i: u64) -> Option<&[u8]> {
        let at = self.index(i) * KEY_SIZE;
        self.keys.get(at..at + KEY_SIZE)
    }

    fn index(&self, i: u64) -> usize {
        // A power of two: the cut of the upper bits changes nothing.
        (i as usize) & (self.count - 1)
    }
}

fn draw(stream: u8, n: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (stream, n).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_keys_come_round() {
        let payload = Payload::new(b"aabbccdd".to_vec(), vec![7; 32], 2, true).unwrap();
        assert_eq!(
            (payload.value(0), payload.value(3), payload.value(5)),
            (&b"aa"[..], &b"dd"[..], &b"bb"[..])
        );
        assert_eq!(payload.key(6), Some(&[7; 8][..]));
        let unkeyed = Payload::new(b"aabb".to_vec(), vec![], 2, false).unwrap();
        assert_eq!(unkeyed.key(0), None);
    }

    #[test]
    fn what_is_made_up_has_the_size_and_does_not_repeat_at_once() {
        for (size, count) in [(1, 16_384), (100, 16_384), (900_000, 4)] {
            let payload = Payload::made_up(size, true).unwrap();
            assert_eq!((payload.count, payload.value(count - 1).len()), (count as usize, size));
            assert_eq!(payload.key(count - 1).map(<[u8]>::len), Some(KEY_SIZE));
        }
        let payload = Payload::made_up(100, false).unwrap();
        assert!(payload.value(0) != payload.value(1) && payload.key(0).is_none());
        assert!(Payload::made_up(0, false).is_err());
        assert!(Payload::made_up((4 << 20) + 1, false).is_err());
    }

    #[test]
    fn files_that_do_not_fit_are_refused() {
        for (values, keys, size) in [(6, 24, 2), (9, 32, 2), (8, 31, 2), (8, 32, 0), (1, 8, 2)] {
            assert!(Payload::new(vec![0; values], vec![0; keys], size, true).is_err());
        }
        let Err(error) = Payload::load(Path::new("no/such/folder"), 100, false) else {
            panic!("loaded from nowhere")
        };
        assert!(error.contains("payload-100.bin"), "{error}");
    }
}
