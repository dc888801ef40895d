//! Writing varints into a slice, for records.
//!
//! [`crate::wire::varint`] has the encoding itself; this is the writer for the hot path. A
//! zigzagged `i32` has the same bytes whether it is widened before or after, so one function serves
//! both of Kafka's types (varint and varlong).

pub(super) use crate::wire::varint::{get_uvarlong, unzigzag64, uvarlong_len, zigzag64};

/// A length or an index as records write it: zigzagged, although it is never negative.
///
/// Lengths are bounded by [`Payload::measure`](super::Payload::measure), so the shift is exact.
#[inline]
pub(super) const fn length(len: usize) -> u64 {
    (len as u64) << 1
}

/// Writes `value` at `at`; returns the position after it.
#[inline]
pub(super) fn put(out: &mut [u8], at: usize, value: u64) -> usize {
    if value < 1 << 7 {
        out[at] = value as u8;
        at + 1
    } else if value < 1 << 14 {
        out[at..at + 2].copy_from_slice(&[value as u8 | 0x80, (value >> 7) as u8]);
        at + 2
    } else {
        put_long(out, at, value)
    }
}

fn put_long(out: &mut [u8], mut at: usize, mut value: u64) -> usize {
    while value >= 1 << 7 {
        out[at] = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    out[at] = value as u8;
    at + 1
}

/// Takes one varint from the front of `bytes`.
#[inline]
pub(super) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (value, len) = get_uvarlong(bytes).ok()?;
    *bytes = &bytes[len..];
    Some(value)
}
