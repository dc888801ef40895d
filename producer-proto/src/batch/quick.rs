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

/// What the length of a record and its front are stored to; both may be shorter.
const HEAD: usize = 2 + 8;

/// Part of `batch.size` that a record may take of a compressed batch to be short, at most: the
/// estimate holds for what is in the batch already, the new record counts in full.
const SHORT_SHARE: usize = 8;

/// Short records of a compressed batch are at most so many times longer than the one before them.
/// What they may take of the batch goes the long way at its end, so it is not to be much.
const SHORT_GROWTH: usize = 2;

/// So many bytes of records are hashed while the batch is open. As many as a batch of the usual size
/// has, which is hashed once, at its end.
const HASH_STEP: usize = 16 * 1024;

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

/// A few bytes that are put together in a register, lowest first.
#[derive(Clone, Copy)]
struct Word {
    bytes: u64,
    bits: u32,
}

impl Word {
    const EMPTY: Self = Self { bytes: 0, bits: 0 };

    /// Adds a number below [`TWO_BYTES`] as varint.
    #[inline(always)]
    fn varint(self, value: u64) -> Self {
        if value < 1 << 7 {
            return Self { bytes: self.bytes | value << self.bits, bits: self.bits + 8 };
        }
        Self { bytes: self.bytes | two_bytes(value) << self.bits, bits: self.bits + 16 }
    }

    #[inline(always)]
    fn len(self) -> usize {
        self.bits as usize / 8
    }
}

/// The varint of a number that takes two bytes, the first one lowest.
#[inline(always)]
fn two_bytes(value: u64) -> u64 {
    value + (value & !0x7f) + 0x80
}

impl BatchBuilder {
    /// Lets short records in, as far as that needs no further look. `record` is the most bytes
    /// that a record may have, `last` what the last one had. To be called after an append that has
    /// left the batch open.
    pub(crate) fn make_room(
        &mut self,
        ratio: &CompressionRatio,
        batch_size: usize,
        raw_cap: usize,
        record: usize,
        last: usize,
    ) {
        // What is not compressed is hashed as it is, and while it is at hand.
        let is_plain = ratio.is_exact();
        if is_plain && self.len - self.hashed.len() >= HASH_STEP {
            self.hashed.extend(&self.buffer[..self.len]);
        }
        let next_hash = if is_plain { self.hashed.len() + HASH_STEP } else { usize::MAX };
        let share = match is_plain {
            true => usize::MAX,
            false => last.saturating_mul(SHORT_GROWTH).min(batch_size / SHORT_SHARE),
        };
        let spare = if is_plain { 1 } else { share };
        let full = ratio.raw_len_within(batch_size.saturating_sub(spare));
        let capped = raw_cap.saturating_sub(HEADER_LEN + 1);
        let buffer = self.capacity().saturating_sub(HEAD);
        self.room = Room {
            end: full.min(capped).min(buffer).min(next_hash),
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
        if (delta | offset) >= TWO_BYTES || value.len() >= LONG || self.room.ratio != ratio.ppm() {
            return None;
        }
        // Attributes, timestamp, index: what records with and without a key have in common.
        let front = Word::EMPTY.varint(0).varint(delta).varint(offset);
        let len = match key {
            None => {
                let front = front.varint(zigzag64(-1)).varint(length(value.len()));
                let (len, out) = self.begin(front, value.len() + 1)?;
                put_last(out, value)?;
                len
            }
            Some(key) => {
                if key.len() >= LONG / 2 {
                    return None;
                }
                let front = front.varint(length(key.len()));
                let value_code = Word::EMPTY.varint(length(value.len()));
                let rest = key.len() + value_code.len() + value.len() + 1;
                let (len, out) = self.begin(front, rest)?;
                let (place, out) = out.split_at_mut_checked(key.len())?;
                place.copy_from_slice(key);
                *out.first_chunk_mut()? = (value_code.bytes as u16).to_le_bytes();
                put_last(out.get_mut(value_code.len()..)?, value)?;
                len
            }
        };
        let index = self.count;
        if timestamp > self.max_timestamp {
            self.max_timestamp = timestamp;
        }
        self.len += len;
        self.count = index + 1;
        Some(Short { index, len })
    }

    /// Writes the length of a record and its front, if there is room for it and the `rest` of its
    /// bytes. Gives the record's length, its own included, and where the rest goes.
    #[inline(always)]
    fn begin(&mut self, front: Word, rest: usize) -> Option<(usize, &mut [u8])> {
        let body = front.len() + rest;
        let code = length(body);
        let begin = 1 + usize::from(code >= 1 << 7);
        let len = begin + body;
        if self.len + len > self.room.end || len > self.room.record {
            return None;
        }
        let out = self.buffer.get_mut(self.len..)?;
        let head: &mut [u8; HEAD] = out.first_chunk_mut()?;
        if begin == 1 {
            head[0] = code as u8;
            head[1..9].copy_from_slice(&front.bytes.to_le_bytes());
        } else {
            head[..2].copy_from_slice(&(two_bytes(code) as u16).to_le_bytes());
            head[2..].copy_from_slice(&front.bytes.to_le_bytes());
        }
        let begin = begin + front.len();
        Some((len, out.get_mut(begin..begin + rest)?))
    }
}

/// Writes the value of a record, and that it has no headers: all of `out`.
#[inline(always)]
fn put_last(out: &mut [u8], value: &[u8]) -> Option<()> {
    let (headers, place) = out.split_last_mut()?;
    *headers = 0;
    place.copy_from_slice(value);
    Some(())
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
        builder.make_room(ratio, BATCH_SIZE, 8 * BATCH_SIZE, BATCH_SIZE, BATCH_SIZE);
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
