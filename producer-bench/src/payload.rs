//! Values that look like what applications send, and compress like it.

/// How many different values a body takes turns with.
const VALUES: usize = 256;

/// Values of `len` bytes each, the same on every run.
pub(crate) fn values(len: usize) -> Vec<Vec<u8>> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..VALUES)
        .map(|_| {
            let mut value = String::new();
            while value.len() < len {
                let (user, amount) = (next() % 1_000_000, next() % 10_000);
                value += &format!("{{\"user\":{user},\"amount\":{amount},\"state\":\"accepted\"}}");
            }
            value.truncate(len);
            value.into_bytes()
        })
        .collect()
}

/// Keys of eight bytes, one for each of [`values`].
pub(crate) fn keys() -> Vec<[u8; 8]> {
    (0..VALUES as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()).collect()
}
