//! A small strict reader of record batches (magic 2) and of the older message sets, written apart from the producer's own codec.
//!
//! It is the second opinion on everything a producer writes: each length is checked against the
//! bytes at hand, and no byte may be left over, neither behind the batch, nor behind the compressed
//! block, nor inside a record. It is pinned by batches that Kafka's own library wrote.

mod compression;
mod cursor;
mod message_set;

pub use compression::Codec;
pub use message_set::MessageSet;

use bytes::Bytes;
use cursor::Cursor;
use std::fmt;

/// Bytes of a batch before its records.
pub const BATCH_HEADER_LEN: usize = 61;
/// Bytes before the first byte that the CRC covers (the attributes).
const CRC_START: usize = 21;
/// Bytes in front of what `batch_length` counts (base offset and the length itself).
const LENGTH_END: usize = 12;

/// Why a batch could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordsError {
    /// Fewer bytes than the header says; holds no complete batch.
    Incomplete,
    /// Bytes are left behind the batch (this many).
    Trailing(usize),
    /// The length field is smaller than any batch of this format.
    Length(i32),
    /// The format is not 2.
    Magic(i8),
    /// The stored CRC-32C is not that of the bytes.
    Crc {
        /// As stored in the header.
        stored: u32,
        /// As computed over the attributes and everything behind them.
        computed: u32,
    },
    /// The header's record count is negative or does not fit its last offset delta.
    Count(i32),
    /// A producer's batch begins with another offset than 0.
    BaseOffset(i64),
    /// A producer id without a base sequence, or the other way round.
    Sequence(i32),
    /// The codec bits name no known codec.
    Codec(u8),
    /// The compressed block cannot be decompressed, or something is left behind it.
    Compression(Codec),
    /// Record `index` is malformed: what is wrong with it.
    Record {
        /// Index of the record in the batch, from 0.
        index: u32,
        /// What is wrong.
        reason: &'static str,
    },
    /// This many bytes are left behind the last record.
    RecordsTrailing(usize),
}

impl fmt::Display for RecordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete => f.write_str("no complete batch"),
            Self::Trailing(n) => write!(f, "{n} bytes behind the batch"),
            Self::Length(n) => write!(f, "batch length {n} is too small"),
            Self::Magic(n) => write!(f, "magic {n} instead of 2"),
            Self::Crc { stored, computed } => {
                write!(f, "stored CRC {stored:08x}, computed {computed:08x}")
            }
            Self::Count(n) => write!(f, "record count {n} contradicts the header"),
            Self::BaseOffset(n) => write!(f, "base offset {n} instead of 0"),
            Self::Sequence(n) => write!(f, "base sequence {n} contradicts the producer id"),
            Self::Codec(n) => write!(f, "unknown codec {n}"),
            Self::Compression(codec) => write!(f, "broken {codec:?} block"),
            Self::Record { index, reason } => write!(f, "record {index}: {reason}"),
            Self::RecordsTrailing(n) => write!(f, "{n} bytes behind the last record"),
        }
    }
}

impl std::error::Error for RecordsError {}

/// The 61 bytes in front of a batch's records, field by field (message format 2, KIP-98).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record; 0 from a producer.
    pub base_offset: i64,
    /// Bytes behind this field.
    pub batch_length: i32,
    /// Leader epoch the broker stored the batch under; -1 from a producer.
    pub partition_leader_epoch: i32,
    /// Format, always 2 here.
    pub magic: i8,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Codec (bits 0-2), timestamp type (3), transactional (4), control (5), delete horizon (6).
    pub attributes: i16,
    /// Offset of the last record, relative to the first.
    pub last_offset_delta: i32,
    /// Timestamp of the first record, milliseconds since the Unix epoch.
    pub base_timestamp: i64,
    /// Largest timestamp of any record.
    pub max_timestamp: i64,
    /// Producer id, -1 for none.
    pub producer_id: i64,
    /// Producer epoch, -1 for none.
    pub producer_epoch: i16,
    /// Sequence of the first record, -1 for none.
    pub base_sequence: i32,
    /// Number of records.
    pub count: i32,
}

impl BatchHeader {
    /// The codec bits of the attributes, known or not.
    pub fn codec_bits(&self) -> u8 {
        (self.attributes & 0b111) as u8
    }

    /// Whether the transactional bit is set.
    pub fn is_transactional(&self) -> bool {
        self.attributes & 0x10 != 0
    }

    /// Whether the control bit is set (never by a producer).
    pub fn is_control(&self) -> bool {
        self.attributes & 0x20 != 0
    }

    /// Whether the batch belongs to a producer id.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > -1
    }

    /// Sequence of the last record; after 2^31-1 comes 0.
    pub fn last_sequence(&self) -> i32 {
        advance_sequence(self.base_sequence, self.last_offset_delta)
    }
}

/// `sequence` plus `by` records; after 2^31-1 comes 0.
pub fn advance_sequence(sequence: i32, by: i32) -> i32 {
    ((i64::from(sequence) + i64::from(by)) & 0x7fff_ffff) as i32
}

/// One record as a consumer would see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Offset in the partition.
    pub offset: i64,
    /// Milliseconds since the Unix epoch: create time, or the broker's append time.
    pub timestamp: i64,
    /// The key; `None` is null.
    pub key: Option<Bytes>,
    /// The value; `None` is null.
    pub value: Option<Bytes>,
    /// Names and values in order; names may repeat.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// A batch whose outer form is right: one complete batch of magic 2 and nothing behind it.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The header.
    pub header: BatchHeader,
    bytes: Bytes,
}

impl Batch {
    /// Checks the outer form (complete, alone, magic 2) and reads the header. Neither the CRC nor
    /// the records are looked at, as a broker may have to refuse the batch for another reason
    /// first.
    pub fn parse(bytes: Bytes) -> Result<Self, RecordsError> {
        let mut cursor = Cursor::new(bytes.clone());
        let (Some(base_offset), Some(batch_length)) = (cursor.i64(), cursor.i32()) else {
            return Err(RecordsError::Incomplete);
        };
        // The oldest formats need 14 bytes; less is corrupt whatever the format.
        let length = usize::try_from(batch_length)
            .ok()
            .filter(|&n| n >= 14)
            .ok_or(RecordsError::Length(batch_length))?;
        if cursor.remaining() < length {
            return Err(RecordsError::Incomplete);
        }
        let (Some(partition_leader_epoch), Some(magic)) = (cursor.i32(), cursor.i8()) else {
            return Err(RecordsError::Incomplete);
        };
        if magic != 2 {
            return Err(RecordsError::Magic(magic));
        }
        if length < BATCH_HEADER_LEN - LENGTH_END {
            return Err(RecordsError::Length(batch_length));
        }
        if bytes.len() > LENGTH_END + length {
            return Err(RecordsError::Trailing(bytes.len() - LENGTH_END - length));
        }
        let header = (|| {
            Some(BatchHeader {
                base_offset,
                batch_length,
                partition_leader_epoch,
                magic,
                crc: cursor.u32()?,
                attributes: cursor.i16()?,
                last_offset_delta: cursor.i32()?,
                base_timestamp: cursor.i64()?,
                max_timestamp: cursor.i64()?,
                producer_id: cursor.i64()?,
                producer_epoch: cursor.i16()?,
                base_sequence: cursor.i32()?,
                count: cursor.i32()?,
            })
        })()
        .ok_or(RecordsError::Incomplete)?;
        Ok(Self { header, bytes })
    }

    /// The whole batch.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Compares the stored CRC-32C with that of the bytes.
    pub fn check_crc(&self) -> Result<(), RecordsError> {
        let computed =
            crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &self.bytes[CRC_START..]) as u32;
        if computed == self.header.crc {
            Ok(())
        } else {
            Err(RecordsError::Crc { stored: self.header.crc, computed })
        }
    }

    /// Whether the header's numbers of records agree with each other. A batch that a broker has
    /// compacted may break this; a producer's may not.
    pub fn check_count(&self) -> Result<(), RecordsError> {
        let header = &self.header;
        if header.count > 0 && header.last_offset_delta == header.count - 1 {
            Ok(())
        } else {
            Err(RecordsError::Count(header.count))
        }
    }

    /// Everything that can be wrong with a producer's batch: base offset, CRC, counts, sequence
    /// and each record, to the last byte.
    pub fn check(&self) -> Result<(), RecordsError> {
        let header = &self.header;
        if header.base_offset != 0 {
            return Err(RecordsError::BaseOffset(header.base_offset));
        }
        if header.has_producer_id() != (header.base_sequence >= 0) {
            return Err(RecordsError::Sequence(header.base_sequence));
        }
        self.check_crc()?;
        self.check_count()?;
        self.visit(|_| ())
    }

    /// A digest of everything but base offset, length and leader epoch, which a broker may
    /// change: two sends of one frozen batch have the same.
    pub fn digest(&self) -> u64 {
        crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &self.bytes[LENGTH_END + 4..])
    }

    /// Calls `visit` for each record in order. Offsets are relative to the header's base offset;
    /// with the log-append-time bit, each timestamp is the header's largest. Uncompressed keys and
    /// values are slices of the batch, not copies.
    pub fn visit(&self, mut visit: impl FnMut(LogRecord)) -> Result<(), RecordsError> {
        let header = &self.header;
        let count = u32::try_from(header.count).map_err(|_| RecordsError::Count(header.count))?;
        let codec = Codec::from_bits(header.codec_bits())
            .ok_or(RecordsError::Codec(header.codec_bits()))?;
        let body = self.bytes.slice(BATCH_HEADER_LEN..);
        let body = match codec {
            Codec::None => body,
            codec => compression::decompress(codec, &body)
                .map(Bytes::from)
                .ok_or(RecordsError::Compression(codec))?,
        };
        let mut cursor = Cursor::new(body);
        for index in 0..count {
            let record = self
                .record(&mut cursor, index)
                .map_err(|reason| RecordsError::Record { index, reason })?;
            visit(record);
        }
        match cursor.remaining() {
            0 => Ok(()),
            left => Err(RecordsError::RecordsTrailing(left)),
        }
    }

    /// All records (see [`Batch::visit`]).
    pub fn records(&self) -> Result<Vec<LogRecord>, RecordsError> {
        let mut records = Vec::new();
        self.visit(|record| records.push(record))?;
        Ok(records)
    }

    fn record(&self, cursor: &mut Cursor, index: u32) -> Result<LogRecord, &'static str> {
        let header = &self.header;
        let length = cursor.varint().ok_or("length")?;
        let length = usize::try_from(length).map_err(|_| "negative length")?;
        let mut record = cursor.split(length).ok_or("longer than the batch")?;
        if record.i8().ok_or("attributes")? != 0 {
            return Err("attributes other than 0");
        }
        let timestamp_delta = record.varlong().ok_or("timestamp delta")?;
        let offset_delta = record.varint().ok_or("offset delta")?;
        if i64::from(offset_delta) != i64::from(index) && !self.is_compacted() {
            return Err("offset delta out of order");
        }
        let key = record.nullable_bytes().ok_or("key")?;
        let value = record.nullable_bytes().ok_or("value")?;
        let header_count = record.varint().ok_or("header count")?;
        let mut headers = Vec::new();
        for _ in 0..u32::try_from(header_count).map_err(|_| "negative header count")? {
            let name = record.nullable_bytes().ok_or("header name")?.ok_or("null header name")?;
            let name = std::str::from_utf8(&name).map_err(|_| "header name is not UTF-8")?;
            let name = name.to_owned();
            headers.push((name, record.nullable_bytes().ok_or("header value")?));
        }
        if record.remaining() != 0 {
            return Err("bytes behind the last header");
        }
        let append_time = header.attributes & 0x08 != 0;
        let timestamp = match append_time {
            true => header.max_timestamp,
            false => header.base_timestamp.wrapping_add(timestamp_delta),
        };
        let offset = header.base_offset.wrapping_add(i64::from(offset_delta));
        Ok(LogRecord { offset, timestamp, key, value, headers })
    }

    /// Fewer records than offsets: a broker has removed some, so offset deltas may skip.
    fn is_compacted(&self) -> bool {
        i64::from(self.header.count) < i64::from(self.header.last_offset_delta) + 1
    }
}
