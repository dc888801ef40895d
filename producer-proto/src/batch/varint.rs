//! Writing varints into a slice, for records.
//!
//! [`crate::wire::varint`] has the encoding itself; this is the writer for the hot path. A
//! zigzagged `i32` has the same bytes whether it is widened before or after, so one function serves
//! both of Kafka's types (varint and varlong).

use crate::wire::varint::{get_uvarlong, uvarlong_len};
pub(super) use crate::wire::varint::{unzigzag64, zigzag64};

/// A length or an index as records write it: zigzagged, although it is never negative.
///
/// Lengths are bounded by [`Payload::measure`](super::Payload::measure), so the shift is exact.
#[inline]
pub(super) const fn length(len: usize) -> u64 {
    (len as u64) << 1
}

/// The number of bytes of `value`, 1 to 10. Most are short: comparing is cheaper than counting bits.
#[inline]
pub(super) const fn encoded_len(value: u64) -> usize {
    if value < 1 << 7 {
        1
    } else if value < 1 << 14 {
        2
    } else {
        uvarlong_len(value)
    }
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
