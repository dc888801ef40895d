//! The usual record in few instructions: short, without headers, into a batch with room to spare.
//!
//! What lies behind the checks of the usual way is worked out once per buffer ([`Room`]) instead
//! of once per record, and every varint has one or two bytes.

use super::builder::BatchBuilder;
use super::header::HEADER_LEN;
use super::ratio::CompressionRatio;
use super::varint::{length, zigzag64};

/// The first number that takes three bytes as a varint.
const TWO_BYTES: u64 = 1 << 14;

/// A value of so many bytes, or a key of half as many, is long: both together, with all that a
/// record has besides, have a length of two bytes.
const LONG: usize = 1 << 12;

/// The widest store; it may reach beyond the end of what it writes, within the buffer.
const STORE: usize = 8;

/// Part of `batch.size` that a record may take of a compressed batch to be short: the estimate
/// holds for what is in the batch already, the new record counts in full.
const SHORT_SHARE: usize = 8;

/// How far short records may go in a batch without a further look: until its buffer must grow, or
/// it may be full.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Room {
    /// Bytes of records that it may hold.
    end: usize,
    /// Bytes of one record.
    record: usize,
    /// The ratio that `end` was worked out with.
    ratio: u64,
}

/// A short record that was appended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Short {
    pub(crate) index: u32,
    /// The bytes it takes.
    pub(crate) len: usize,
}

/// How many bytes a number below [`TWO_BYTES`] takes as varint.
#[inline(always)]
fn code_len(value: u64) -> usize {
    1 + usize::from(value >= 1 << 7)
}

/// These bytes, the first one lowest.
#[inline(always)]
fn code(value: u64) -> u64 {
    let high = value & !0x7f;
    value + high + (u64::from(high != 0) << 7)
}

impl BatchBuilder {
    /// Lets short records in, as far as that needs no further look. `record` is the most bytes
    /// that a record may have. To be called after an append that has left the batch open.
    pub(crate) fn make_room(
        &mut self,
        ratio: &CompressionRatio,
        batch_size: usize,
        raw_cap: usize,
        record: usize,
    ) {
        let share = if ratio.is_exact() { usize::MAX } else { batch_size / SHORT_SHARE };
        let spare = if ratio.is_exact() { 1 } else { share };
        let full = ratio.raw_len_within(batch_size.saturating_sub(spare));
        let capped = raw_cap.saturating_sub(HEADER_LEN + 1);
        let buffer = self.capacity().saturating_sub(STORE);
        self.room = Room {
            end: full.min(capped).min(buffer),
            record: record.min(share),
            ratio: ratio.ppm(),
        };
    }

    /// Appends a record if it is short, there is room for it and the batch stays open with it.
    /// Otherwise nothing has changed, and it goes the long way.
    #[inline(always)]
    pub(crate) fn append_short(
        &mut self,
        ratio: &CompressionRatio,
        timestamp: i64,
        key: Option<&[u8]>,
        value: &[u8],
    ) -> Option<Short> {
        let delta = zigzag64(timestamp.wrapping_sub(self.base_timestamp));
        let offset = length(self.count as usize);
        let key_len = key.unwrap_or_default().len();
        if (delta | offset) >= TWO_BYTES
            || (value.len() | key_len << 1) >= LONG
            || self.room.ratio != ratio.ppm()
        {
            return None;
        }
        let lengths = value.len() + key_len;
        // Attributes, the number of headers, and the length of a key that is null: a byte each.
        let key_code_len = key.map_or(1, |key| code_len(length(key.len())));
        let value_code_len = code_len(length(value.len()));
        let body = 2 + code_len(delta) + code_len(offset) + key_code_len + value_code_len + lengths;
        let len = code_len(length(body)) + body;
        let end = self.len + len;
        if end > self.room.end || len > self.room.record {
            return None;
        }
        let out = self.buffer.get_mut(self.len..end + STORE)?;

        let mut prefix = code(length(body));
        let mut at = code_len(length(body)) + 1;
        prefix |= code(delta) << (8 * at);
        at += code_len(delta);
        prefix |= code(offset) << (8 * at);
        at += code_len(offset);
        // A key that is null.
        prefix |= zigzag64(-1) << (8 * at);
        *out.first_chunk_mut()? = prefix.to_le_bytes();
        let mut out = out.get_mut(at..)?;
        match key {
            None => out = out.get_mut(1..)?,
            Some(key) => out = put(out, key, key_code_len)?,
        }
        *put(out, value, value_code_len)?.first_mut()? = 0;

        let index = self.count;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.len = end;
        self.count = index + 1;
        Some(Short { index, len })
    }
}

/// Writes bytes with their length in front; gives what is left of `out`.
#[inline(always)]
fn put<'a>(out: &'a mut [u8], bytes: &[u8], code_len: usize) -> Option<&'a mut [u8]> {
    let code = code(length(bytes.len())) as u16;
    *out.first_chunk_mut()? = code.to_le_bytes();
    let (place, rest) = out.get_mut(code_len..)?.split_at_mut_checked(bytes.len())?;
    place.copy_from_slice(bytes);
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Codec;
    use crate::batch::Payload;

    const BATCH_SIZE: usize = 16_384;

    fn first(ratio: &CompressionRatio) -> BatchBuilder {
        let mut builder = BatchBuilder::new(vec![0; BATCH_SIZE], BATCH_SIZE);
        let payload = Payload::measure(None, Some(b"first"), &[]).unwrap();
        builder.append(1_000, &payload);
        builder.make_room(ratio, BATCH_SIZE, 8 * BATCH_SIZE, BATCH_SIZE);
        builder
    }

    #[test]
    fn a_short_record_has_the_same_bytes_as_by_the_long_way() {
        let ratio = CompressionRatio::new(Codec::None);
        let (mut short, mut long) = (first(&ratio), first(&ratio));
        let mut appended = 0;
        let bytes = vec![b'x'; 4_000];
        for len in (0..200).chain([1_000, 4_000]) {
            let value = &bytes[..len];
            let cases = [
                (1_000, None, value),
                (900, Some(&value[..len / 2]), b""),
                (1_070, Some(value), &value[..len / 3]),
                (9_000, Some(b"".as_slice()), b""),
            ];
            for (timestamp, key, value) in cases {
                let payload = Payload::measure(key, Some(value), &[]).unwrap();
                let len = short.encoded_len(timestamp, &payload);
                match short.append_short(&ratio, timestamp, key, value) {
                    Some(record) => {
                        assert_eq!((record.index, record.len), (long.count(), len));
                        appended += 1;
                    }
                    None => {
                        short.append(timestamp, &payload);
                    }
                }
                long.append(timestamp, &payload);
            }
        }
        assert!(appended > 100, "{appended} short records");
        let (short, long) = (short.finish(), long.finish());
        assert_eq!(short.records, long.records);
        assert_eq!((short.count, short.max_timestamp), (long.count, long.max_timestamp));
    }

    #[test]
    fn short_records_never_fill_a_batch_and_what_is_not_short_is_left_alone() {
        for codec in [Codec::None, Codec::Lz4] {
            let ratio = CompressionRatio::new(codec);
            let mut builder = first(&ratio);
            let value = [b'x'; 100];
            while builder.append_short(&ratio, 1_000, None, &value).is_some() {
                assert!(ratio.estimate(builder.len()) < BATCH_SIZE);
            }
            assert!(ratio.estimate(builder.len()) > BATCH_SIZE / 2);

            let mut builder = first(&ratio);
            let before = builder.len();
            let long = [b'x'; 9_000];
            assert!(builder.append_short(&ratio, 1_000, None, &long).is_none());
            assert!(builder.append_short(&ratio, i64::MAX, None, b"").is_none());
            assert!(builder.append_short(&ratio, i64::MIN, None, b"").is_none());
            assert_eq!((builder.len(), builder.count()), (before, 1));
        }
    }

    #[test]
    fn room_that_was_worked_out_with_another_ratio_is_none() {
        let mut ratio = CompressionRatio::new(Codec::Lz4);
        let mut builder = first(&ratio);
        assert!(builder.append_short(&ratio, 1_000, None, b"x").is_some());
        ratio.set_ppm(2_000_000);
        assert!(builder.append_short(&ratio, 1_000, None, b"x").is_none());
    }
}
