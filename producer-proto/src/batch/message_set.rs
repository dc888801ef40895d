//! Message sets, formats v0 and v1 (magic 0 and 1; KIP-31, KIP-32): what brokers before 0.11 read.
//!
//! A set is a row of messages; a compressed set is one message that holds such a row. Neither
//! format has headers, producer ids or sequences, and v0 has no timestamps either. So an open
//! batch is always v2, a set is made from it when its broker is known, and the batch keeps its v2
//! body beside the set: should its next leader read another format, nothing is lost.

use bytes::Bytes;

use crate::config::{Codec, Compression};

use super::builder::RawBatch;
use super::codec;
use super::crc::crc32;
use super::header::codec_bits;
use super::records::take_record;
use super::sealed::{SealedBatch, seal};
use super::split::{Piece, split};

/// Offset and size in front of a message.
const ENTRY_OVERHEAD: usize = 12;

/// A format in which a broker takes records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Message set of magic 0: brokers before 0.10.
    V0,
    /// Message set of magic 1: brokers before 0.11.
    V1,
    /// Record batch of magic 2.
    V2,
}

impl Format {
    /// The format that goes with a version of Produce.
    pub(crate) const fn of_produce(version: i16) -> Self {
        match version {
            i16::MIN..=1 => Self::V0,
            2 => Self::V1,
            _ => Self::V2,
        }
    }

    /// Bytes of a message that are neither key nor value. CRC, magic, attributes and the lengths
    /// of key and value; v1 has a timestamp too.
    const fn message_overhead(self) -> usize {
        if matches!(self, Self::V0) { 14 } else { 22 }
    }

    /// Bytes of a message in a set, with its offset and size.
    pub(super) const fn entry_len(self, key: Option<&[u8]>, value: Option<&[u8]>) -> usize {
        let key = if let Some(key) = key { key.len() } else { 0 };
        let value = if let Some(value) = value { value.len() } else { 0 };
        ENTRY_OVERHEAD + self.message_overhead() + key + value
    }
}

/// How a batch is to be sealed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealing {
    pub(crate) compression: Compression,
    pub(crate) format: Format,
    /// A set of several messages that is longer, before compression, is split: messages are
    /// longer than records, so a batch within `max.request.size` may make a set that is not.
    pub(crate) limit: usize,
}

/// A batch in an old format.
#[derive(Clone, Debug)]
pub(crate) struct MessageSet {
    /// Not [`Format::V2`].
    pub(crate) format: Format,
    pub(crate) bytes: Bytes,
    /// Length of the set before compression.
    pub(crate) uncompressed_len: usize,
}

/// What became of a batch that was to be sealed.
#[derive(Debug)]
pub(crate) enum Sealed {
    Whole(SealedBatch),
    /// The set would have been longer than the limit.
    Pieces(Vec<Piece>),
    /// Some records have headers, which the format has no place for. Nothing was sealed.
    Headers(Box<WithHeaders>),
}

/// A batch of which some records cannot go to an old broker.
#[derive(Debug)]
pub(crate) struct WithHeaders {
    /// All of it, as an uncompressed v2 batch.
    pub(crate) whole: SealedBatch,
    /// The same without those records; possibly none is left.
    pub(crate) rest: SealedBatch,
    /// The positions of those records, sorted.
    pub(crate) refused: Vec<u32>,
}

/// Seals a batch in the format wanted. `None` when the body does not hold what it says, which is
/// a defect of this crate.
pub(crate) fn seal_as(raw: &RawBatch, how: &Sealing) -> Option<Sealed> {
    if how.format == Format::V2 {
        return Some(Sealed::Whole(seal(raw, &how.compression)));
    }
    let plain = seal_plain(raw);
    let mut refused = Vec::new();
    let mut len = 0usize;
    let mut rest = &raw.records[..];
    for position in 0..raw.count {
        let fields = take_record(&mut rest)?.fields()?;
        if fields.has_headers {
            refused.push(position);
        }
        len = len.saturating_add(how.format.entry_len(fields.key, fields.value));
    }
    if !refused.is_empty() {
        let rest = without(&plain, &refused)?;
        return Some(Sealed::Headers(Box::new(WithHeaders { whole: plain, rest, refused })));
    }
    if len > how.limit && raw.count > 1 {
        return split(&plain, how.limit, how).ok().map(Sealed::Pieces);
    }
    seal_set(plain, len, how).map(Sealed::Whole)
}

/// A v2 batch without compression.
pub(super) fn seal_plain(raw: &RawBatch) -> SealedBatch {
    seal(raw, &Compression { codec: Codec::None, level: 0 })
}

fn without(plain: &SealedBatch, refused: &[u32]) -> Option<SealedBatch> {
    let mut kept = super::split::OpenPiece::default();
    let mut refused = refused.iter().copied().peekable();
    let mut rest = &plain.records[..];
    for position in 0..plain.count {
        let record = take_record(&mut rest)?;
        if refused.next_if_eq(&position).is_none() {
            kept.append(plain.base_timestamp.wrapping_add(record.timestamp_delta), &record);
        }
    }
    Some(seal_plain(&kept.into_raw()))
}

/// Adds the set to an uncompressed v2 batch without headers; `len` is the set's length before
/// compression.
pub(super) fn seal_set(mut plain: SealedBatch, len: usize, how: &Sealing) -> Option<SealedBatch> {
    let format = how.format;
    let mut set = Vec::with_capacity(len);
    let mut rest = &plain.records[..];
    for offset in 0..plain.count {
        let record = take_record(&mut rest)?;
        let fields = record.fields()?;
        let message = Message {
            attributes: 0,
            timestamp: plain.base_timestamp.wrapping_add(record.timestamp_delta),
            key: fields.key,
            value: fields.value,
        };
        message.write(&mut set, format, offset);
    }
    debug_assert_eq!(set.len(), len, "a set is as long as it was measured");
    if let Some(compressed) = codec::compress(&how.compression, &set) {
        let wrapper = Message {
            attributes: codec_bits(how.compression.codec) as u8,
            timestamp: plain.max_timestamp,
            key: None,
            value: Some(&frame_for(format, how.compression.codec, compressed)),
        };
        set.clear();
        wrapper.write(&mut set, format, plain.count - 1);
        set.shrink_to_fit();
    }
    plain.message_set = Some(MessageSet { format, bytes: Bytes::from(set), uncompressed_len: len });
    Some(plain)
}

/// Kafka's first LZ4 writer hashed the frame's magic along with its header, and readers of magic 0
/// want it so (KIP-57).
fn frame_for(format: Format, codec: Codec, compressed: Bytes) -> Bytes {
    if format != Format::V0 || codec != Codec::Lz4 {
        return compressed;
    }
    let mut frame = Vec::from(compressed);
    if let Some(checksum) = frame.get_mut(codec::LZ4_HEADER_CHECKSUM_AT) {
        *checksum = codec::LZ4_HEADER_CHECKSUM_WITH_MAGIC;
    }
    Bytes::from(frame)
}

struct Message<'a> {
    attributes: u8,
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

impl Message<'_> {
    /// Appends the message. Offsets count from 0, relative to the set; a wrapper has that of the
    /// last message in it.
    fn write(&self, out: &mut Vec<u8>, format: Format, offset: u32) {
        let len = format.entry_len(self.key, self.value) - ENTRY_OVERHEAD;
        let len = i32::try_from(len).expect("a message is within max_request_size, an i32");
        out.extend_from_slice(&i64::from(offset).to_be_bytes());
        out.extend_from_slice(&len.to_be_bytes());
        let crc_at = out.len();
        out.extend_from_slice(&[0; 4]);
        match format {
            Format::V0 => out.extend_from_slice(&[0, self.attributes]),
            _ => {
                out.extend_from_slice(&[1, self.attributes]);
                out.extend_from_slice(&self.timestamp.to_be_bytes());
            }
        }
        for part in [self.key, self.value] {
            // Shorter than the message, whose length fits.
            let len = part.map_or(-1, |bytes| bytes.len() as i32);
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(part.unwrap_or_default());
        }
        let crc = crc32(&out[crc_at + 4..]);
        out[crc_at..crc_at + 4].copy_from_slice(&crc.to_be_bytes());
    }
}
