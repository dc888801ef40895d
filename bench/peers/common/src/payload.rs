//! The values and keys to send, from files: every load generator sends the very same bytes.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::options::Options;

/// Bytes of a key in `keys-8.bin`.
const KEY_SIZE: usize = 8;

/// Values of one size, and as many keys.
#[derive(Debug)]
pub struct Payload {
    values: Vec<u8>,
    keys: Vec<u8>,
    size: usize,
    count: usize,
    keyed: bool,
}

impl Payload {
    /// Reads the files that the options name.
    ///
    /// # Errors
    /// A file is not there or has not the right size.
    pub fn load(options: &Options) -> Result<Self> {
        let read = |name: String| {
            let path = options.data.join(name);
            fs::read(&path).with_context(|| {
                format!("{}: make the payload files with gen_payload.py", path.display())
            })
        };
        let size = options.size;
        let values = read(format!("payload-{size}.bin"))?;
        let keys = read(format!("keys-{KEY_SIZE}.bin"))?;
        ensure!(size > 0, "--size must be at least 1");
        let count = values.len() / size;
        ensure!(
            count.is_power_of_two() && count * size == values.len(),
            "payload-{size}.bin has {} bytes, must have a power of two of values",
            values.len()
        );
        ensure!(
            keys.len() == count * KEY_SIZE,
            "keys-{KEY_SIZE}.bin has {} bytes for {count} values",
            keys.len()
        );
        Ok(Self { values, keys, size, count, keyed: options.keyed })
    }

    /// The value of record `i`.
    #[inline]
    pub fn value(&self, i: u64) -> &[u8] {
        let at = self.index(i) * self.size;
        &self.values[at..at + self.size]
    }

    /// The key of record `i`, if keys were asked for.
    #[inline]
    pub fn key(&self, i: u64) -> Option<&[u8]> {
        let at = self.index(i) * KEY_SIZE;
        self.keyed.then(|| &self.keys[at..at + KEY_SIZE])
    }

    /// All values, one after the other.
    pub fn values(&self) -> &[u8] {
        &self.values
    }

    #[inline]
    fn index(&self, i: u64) -> usize {
        // A power of two: the cut of the upper bits changes nothing.
        (i as usize) & (self.count - 1)
    }
}
