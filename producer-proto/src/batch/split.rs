//! Splitting a batch that the broker found too large (KIP-126).

use bytes::Bytes;

use super::builder::RawBatch;
use super::codec;
use super::crc::Hashed;
use super::header::HEADER_LEN;
use super::message_set::{Format, Sealing, seal_plain, seal_set};
use super::records::{EncodedRecord, body_len, put_prefix, record_len, take_record};
use super::sealed::{SealedBatch, seal};

/// A part of a batch, a batch of its own.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// The part, without a stamp.
    pub(crate) sealed: SealedBatch,
    /// The position of its first record among the records of the batch.
    pub(crate) first: u32,
}

/// The batch's body is not what was sealed. That is a defect in this crate or in a codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SplitError {
    /// The codec cannot read what it wrote.
    #[error("the body of the batch cannot be decompressed")]
    Decompress,
    /// The uncompressed body does not hold the records that the batch counts.
    #[error("the body of the batch does not hold its {expected} records")]
    Records {
        /// How many there should be.
        expected: u32,
    },
}

/// Cuts a batch into pieces, in order, of at most `target_bytes` each in the format wanted, before
/// compression, headers included; a record larger than that has a piece to itself.
///
/// A batch of two records or more always becomes two pieces or more, whatever the target, so that
/// splitting again and again comes to an end. Keys, values, headers and timestamps stay as they
/// are.
///
/// The body is one that this producer sealed: nothing from a network is decompressed here.
///
/// # Errors
/// The body does not hold what the batch says; then nothing was split.
pub(crate) fn split(
    batch: &SealedBatch,
    target_bytes: usize,
    how: &Sealing,
) -> Result<Vec<Piece>, SplitError> {
    let records = codec::decompress(batch.codec, &batch.records, batch.uncompressed_len)
        .ok_or(SplitError::Decompress)?;
    let malformed = SplitError::Records { expected: batch.count };
    let mut rest = &records[..];
    let mut pieces = Vec::new();
    let mut open = OpenPiece::default();
    for index in 0..batch.count {
        let record = take_record(&mut rest).ok_or(malformed)?;
        let timestamp = batch.base_timestamp.wrapping_add(record.timestamp_delta);
        let entry_len = set_entry_len(&record, how.format).ok_or(malformed)?;
        let last_of_all = index + 1 == batch.count;
        if open.count > 0
            && (!open.has_room(timestamp, &record, entry_len, target_bytes)
                || (last_of_all && pieces.is_empty()))
        {
            pieces.push(open.seal(how).ok_or(malformed)?);
            open = OpenPiece { first: index, ..OpenPiece::default() };
        }
        open.append(timestamp, &record);
        open.set_len += entry_len;
    }
    if !rest.is_empty() || open.count == 0 {
        return Err(malformed);
    }
    pieces.push(open.seal(how).ok_or(malformed)?);
    Ok(pieces)
}

/// The length of a record as a message of a set; 0 for v2, which has no such thing.
fn set_entry_len(record: &EncodedRecord<'_>, format: Format) -> Option<usize> {
    if format == Format::V2 {
        return Some(0);
    }
    let fields = record.fields()?;
    Some(format.entry_len(fields.key, fields.value))
}

/// Records that are put together anew.
#[derive(Default)]
pub(super) struct OpenPiece {
    records: Vec<u8>,
    /// Length of its message set, when it is to be one.
    set_len: usize,
    first: u32,
    count: u32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl OpenPiece {
    fn has_room(
        &self,
        timestamp: i64,
        record: &EncodedRecord<'_>,
        entry_len: usize,
        target: usize,
    ) -> bool {
        if entry_len > 0 {
            return self.set_len.saturating_add(entry_len) <= target;
        }
        let delta = timestamp.wrapping_sub(self.base_timestamp);
        let len = record_len(delta, self.count, record.payload.len());
        HEADER_LEN + self.records.len() + len <= target
    }

    pub(super) fn append(&mut self, timestamp: i64, record: &EncodedRecord<'_>) {
        if self.count == 0 {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let delta = timestamp.wrapping_sub(self.base_timestamp);
        let body = body_len(delta, self.count, record.payload.len());
        let at = self.records.len();
        let len = record_len(delta, self.count, record.payload.len());
        self.records.resize(at + len, 0);
        let at = put_prefix(&mut self.records, at, delta, self.count, body);
        self.records[at..].copy_from_slice(record.payload);
        self.count += 1;
    }

    fn seal(self, how: &Sealing) -> Option<Piece> {
        let (first, set_len) = (self.first, self.set_len);
        let raw = self.into_raw();
        let sealed = match how.format {
            Format::V2 => seal(&raw, &how.compression),
            _ => seal_set(seal_plain(&raw), set_len, how)?,
        };
        Some(Piece { sealed, first })
    }

    pub(super) fn into_raw(mut self) -> RawBatch {
        self.records.shrink_to_fit();
        RawBatch {
            records: Bytes::from(self.records),
            count: self.count,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            hashed: Hashed::default(),
            holes: Box::default(),
        }
    }
}
