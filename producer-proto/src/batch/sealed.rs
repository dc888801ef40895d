//! Sealing: compression and the body's CRC, the work per byte that need not happen under a lock.

use bytes::Bytes;

use crate::config::{Codec, Compression};

use super::builder::RawBatch;
use super::codec;
use super::crc::crc32c;
use super::header::HEADER_LEN;

/// A batch whose bytes are final, except for the header.
#[derive(Clone, Debug)]
pub(crate) struct SealedBatch {
    /// The body: the records, compressed with `codec`.
    pub(crate) records: Bytes,
    /// How the body is compressed; [`Codec::None`] if compression did not make it smaller.
    pub(crate) codec: Codec,
    /// CRC-32C of the body.
    pub(crate) body_crc: u32,
    /// The number of records.
    pub(crate) count: u32,
    /// What the records' timestamp deltas are relative to.
    pub(crate) base_timestamp: i64,
    /// The largest timestamp of the records.
    pub(crate) max_timestamp: i64,
    /// Bytes of the records before compression.
    pub(crate) uncompressed_len: usize,
}

impl SealedBatch {
    /// Bytes on the wire, header included.
    pub(crate) fn encoded_len(&self) -> usize {
        HEADER_LEN + self.records.len()
    }
}

/// Compresses a batch and hashes its body.
///
/// Cannot fail: what a codec cannot make smaller is sent as it is. The result depends on nothing
/// but the arguments. Without compression it shares the bytes of `raw`; otherwise it has its own,
/// of exactly the size needed, and the buffer of `raw` is free for another batch.
pub(crate) fn seal(raw: &RawBatch, compression: &Compression) -> SealedBatch {
    let (records, codec) = match codec::compress(compression, &raw.records) {
        Some(compressed) => (compressed, compression.codec),
        None => (raw.records.clone(), Codec::None),
    };
    SealedBatch {
        body_crc: crc32c(&records),
        records,
        codec,
        count: raw.count,
        base_timestamp: raw.base_timestamp,
        max_timestamp: raw.max_timestamp,
        uncompressed_len: raw.records.len(),
    }
}
