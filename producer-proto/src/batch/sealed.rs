//! Sealing: compression and the body's CRC, the work per byte that need not happen under a lock.

use bytes::Bytes;

use crate::config::{Codec, Compression};

use super::builder::RawBatch;
use super::codec;
use super::crc::Hashed;
use super::header::HEADER_LEN;
use super::message_set::{Format, MessageSet};

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
    /// What goes out in place of all of the above, to a broker that does not read v2. The body is
    /// then not compressed.
    pub(crate) message_set: Option<MessageSet>,
}

impl SealedBatch {
    /// Bytes on the wire, header included.
    pub(crate) fn encoded_len(&self) -> usize {
        self.message_set.as_ref().map_or(self.body_len(), |set| set.bytes.len())
    }

    /// Bytes on the wire if there were no compression.
    pub(crate) fn encoded_len_uncompressed(&self) -> usize {
        let set = self.message_set.as_ref();
        set.map_or(HEADER_LEN + self.uncompressed_len, |set| set.uncompressed_len)
    }

    /// Bytes of the body, with a v2 header.
    pub(crate) fn body_len(&self) -> usize {
        HEADER_LEN + self.records.len()
    }

    /// Bytes of the message set, which are held in addition to the body.
    pub(crate) fn message_set_len(&self) -> usize {
        self.message_set.as_ref().map_or(0, |set| set.bytes.len())
    }

    /// The format that goes out.
    pub(crate) fn format(&self) -> Format {
        self.message_set.as_ref().map_or(Format::V2, |set| set.format)
    }

    /// The batch as it was before it was sealed; `None` when the codec cannot read what it wrote.
    pub(crate) fn to_raw(&self) -> Option<RawBatch> {
        Some(RawBatch {
            records: codec::decompress(self.codec, &self.records, self.uncompressed_len)?,
            count: self.count,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            hashed: Hashed::default(),
            holes: Box::default(),
        })
    }
}

/// Compresses a batch and hashes its body.
///
/// Cannot fail: what a codec cannot make smaller is sent as it is. The result depends on nothing
/// but the arguments. Without compression it shares the bytes of `raw`; otherwise it has its own,
/// of exactly the size needed, and the buffer of `raw` is free for another batch.
pub(crate) fn seal(raw: &RawBatch, compression: &Compression) -> SealedBatch {
    let (records, codec, hashed) = match codec::compress(compression, &raw.records) {
        Some(compressed) => (compressed, compression.codec, Hashed::default()),
        None => (raw.records.clone(), Codec::None, raw.hashed),
    };
    SealedBatch {
        body_crc: hashed.finish(&records),
        records,
        codec,
        count: raw.count,
        base_timestamp: raw.base_timestamp,
        max_timestamp: raw.max_timestamp,
        uncompressed_len: raw.records.len(),
        message_set: None,
    }
}
