//! The 61 bytes before a batch's records, and the arithmetic of sequences.

use crate::Codec;

use super::crc;
use super::sealed::SealedBatch;

/// Bytes of a batch before its records.
pub(crate) const HEADER_LEN: usize = 61;

/// Where the bytes that the CRC covers begin.
const CRC_START: usize = 21;

/// The bytes of `batchLength`'s value that are header: those after the field itself.
const LENGTH_START: usize = 12;

const TRANSACTIONAL: u16 = 1 << 4;

/// What lets the broker find duplicates and gaps (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The producer id, not negative.
    pub(crate) producer_id: i64,
    /// The producer's epoch, not negative.
    pub(crate) epoch: i16,
    /// The sequence of the batch's first record, not negative.
    pub(crate) sequence: i32,
}

impl Stamp {
    /// What a batch says that has no stamp.
    const NONE: Self = Self { producer_id: -1, epoch: -1, sequence: -1 };
}

/// The header of `batch`; header and records together are the batch as it is sent.
pub(crate) fn encode_header(
    batch: &SealedBatch,
    stamp: Option<Stamp>,
    transactional: bool,
) -> [u8; HEADER_LEN] {
    let stamp = stamp.unwrap_or(Stamp::NONE);
    let body_len =
        u32::try_from(batch.records.len()).expect("a batch is within max_request_size, an i32");
    let attributes = codec_bits(batch.codec) | if transactional { TRANSACTIONAL } else { 0 };
    let last_offset_delta = batch.count.wrapping_sub(1);

    let mut out = [0; HEADER_LEN];
    // 0: base offset 0, the broker assigns it.
    put(&mut out, 8, (HEADER_LEN - LENGTH_START) as u32 + body_len, u32::to_be_bytes);
    put(&mut out, 12, -1, i32::to_be_bytes); // leader epoch: the broker's, outside the CRC
    put(&mut out, 16, 2, u8::to_be_bytes); // magic
    put(&mut out, 21, attributes, u16::to_be_bytes);
    put(&mut out, 23, last_offset_delta, u32::to_be_bytes);
    put(&mut out, 27, batch.base_timestamp, i64::to_be_bytes);
    put(&mut out, 35, batch.max_timestamp, i64::to_be_bytes);
    put(&mut out, 43, stamp.producer_id, i64::to_be_bytes);
    put(&mut out, 51, stamp.epoch, i16::to_be_bytes);
    put(&mut out, 53, stamp.sequence, i32::to_be_bytes);
    put(&mut out, 57, batch.count, u32::to_be_bytes);
    let crc = crc::join(crc::crc32c(&out[CRC_START..]), batch.body_crc, body_len);
    put(&mut out, 17, crc, u32::to_be_bytes);
    out
}

/// Bits 0 to 2 of the attributes.
pub(super) const fn codec_bits(codec: Codec) -> u16 {
    match codec {
        Codec::None => 0,
        Codec::Gzip => 1,
        Codec::Snappy => 2,
        Codec::Lz4 => 3,
        Codec::Zstd => 4,
    }
}

#[inline]
fn put<T, const N: usize>(
    out: &mut [u8; HEADER_LEN],
    at: usize,
    value: T,
    to_bytes: impl Fn(T) -> [u8; N],
) {
    out[at..at + N].copy_from_slice(&to_bytes(value));
}

/// The sequence `n` records after `sequence`. Sequences count records and go round: 2³¹−1 is
/// followed by 0.
pub(crate) const fn sequence_add(sequence: i32, n: u32) -> i32 {
    ((sequence as u32).wrapping_add(n) & i32::MAX as u32) as i32
}

/// Whether `sequence` is `from` or comes after it. For sequences of one partition, of which there
/// are never so many under way that going round could be meant.
pub(crate) const fn sequence_reaches(sequence: i32, from: i32) -> bool {
    (sequence as u32).wrapping_sub(from as u32) & i32::MAX as u32 <= (i32::MAX / 2) as u32
}
