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

/// The most that a short record has besides key and value: length (2), attributes (1), deltas
/// (2 + 2), lengths of key and value (2 + 2), header count (1).
const OVERHEAD: usize = 12;

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

/// A number below [`TWO_BYTES`] as varint: its bytes, the first one lowest, and how many.
#[inline(always)]
fn two_bytes(value: u64) -> (u64, usize) {
    if value < 1 << 7 { (value, 1) } else { (value & 0x7f | 0x80 | (value >> 7) << 8, 2) }
}

/// The number that stands for the length of nullable bytes.
#[inline(always)]
fn nullable(bytes: Option<&[u8]>) -> u64 {
    bytes.map_or(zigzag64(-1), |bytes| length(bytes.len()))
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
        value: Option<&[u8]>,
    ) -> Option<Short> {
        let index = self.count;
        let delta = zigzag64(timestamp.wrapping_sub(self.base_timestamp));
        let (key, key_code) = (key.unwrap_or_default(), nullable(key));
        let (value, value_code) = (value.unwrap_or_default(), nullable(value));
        let at_most = key.len().saturating_add(value.len()).saturating_add(OVERHEAD) as u64;
        if (delta | u64::from(index) | at_most) >= TWO_BYTES / 2 || self.room.ratio != ratio.ppm() {
            return None;
        }
        let (delta, delta_len) = two_bytes(delta);
        let (offset, offset_len) = two_bytes(length(index as usize));
        let (key_code, key_code_len) = two_bytes(key_code);
        let (value_code, value_code_len) = two_bytes(value_code);
        let body = delta_len + offset_len + key_code_len + key.len() + value_code_len + value.len();
        let body = body + 2; // attributes and the number of headers
        let (code, code_len) = two_bytes(length(body));
        let total = code_len + body;
        let end = self.len + total;
        if end > self.room.end || total > self.room.record {
            return None;
        }
        let out = self.buffer.get_mut(self.len..end + STORE)?;
        // The attributes are zero.
        let delta_at = code_len + 1;
        let offset_at = delta_at + delta_len;
        let prefix = code | delta << (8 * delta_at) | offset << (8 * offset_at);
        *out.first_chunk_mut()? = prefix.to_le_bytes();
        let key_code_at = offset_at + offset_len;
        put_code(out, key_code_at, key_code);
        let key_at = key_code_at + key_code_len;
        out[key_at..key_at + key.len()].copy_from_slice(key);
        let value_code_at = key_at + key.len();
        put_code(out, value_code_at, value_code);
        let value_at = value_code_at + value_code_len;
        out[value_at..value_at + value.len()].copy_from_slice(value);
        out[value_at + value.len()] = 0;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.len = end;
        self.count = index + 1;
        Some(Short { index, len: total })
    }
}

#[inline(always)]
fn put_code(out: &mut [u8], at: usize, code: u64) {
    out[at..at + 2].copy_from_slice(&(code as u16).to_le_bytes());
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
                (1_000, None, Some(value)),
                (900, Some(&value[..len / 2]), None),
                (1_070, Some(value), Some(&value[..len / 3])),
                (9_000, Some(b"".as_slice()), Some(b"".as_slice())),
            ];
            for (timestamp, key, value) in cases {
                let payload = Payload::measure(key, value, &[]).unwrap();
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
            while builder.append_short(&ratio, 1_000, None, Some(&value)).is_some() {
                assert!(ratio.estimate(builder.len()) < BATCH_SIZE);
            }
            assert!(ratio.estimate(builder.len()) > BATCH_SIZE / 2);

            let mut builder = first(&ratio);
            let before = builder.len();
            let long = [b'x'; 9_000];
            assert!(builder.append_short(&ratio, 1_000, None, Some(&long)).is_none());
            assert!(builder.append_short(&ratio, i64::MAX, None, Some(b"")).is_none());
            assert!(builder.append_short(&ratio, i64::MIN, None, Some(b"")).is_none());
            assert_eq!((builder.len(), builder.count()), (before, 1));
        }
    }

    #[test]
    fn room_that_was_worked_out_with_another_ratio_is_none() {
        let mut ratio = CompressionRatio::new(Codec::Lz4);
        let mut builder = first(&ratio);
        assert!(builder.append_short(&ratio, 1_000, None, Some(b"x")).is_some());
        ratio.set_ppm(2_000_000);
        assert!(builder.append_short(&ratio, 1_000, None, Some(b"x")).is_none());
    }
}
