//! Record batches and message sets.

use crate::batch::{
    BatchBuilder, Format, Payload, RawBatch, Sealed, SealedBatch, Sealing, Stamp, encode_header,
    seal_as, split,
};
use crate::{Config, Header};

/// A record to be appended.
#[derive(Clone, Copy, Debug)]
pub struct Appended<'a> {
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    /// Headers in order.
    pub headers: &'a [Header<'a>],
    /// Whether it is cancelled after all were appended.
    pub is_cancelled: bool,
}

/// What a batch is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchFormat {
    /// Message set of magic 0.
    V0,
    /// Message set of magic 1.
    V1,
    /// Record batch.
    V2,
}

/// Producer id, epoch and sequence.
pub type BatchStamp = (i64, i16, i32);

/// One batch as it goes to a broker.
#[derive(Clone, Debug)]
pub struct Written {
    /// Header and records, or the message set.
    pub bytes: Vec<u8>,
    /// How many records are in it.
    pub count: u32,
    /// Position of its first record among those that are not cancelled.
    pub first: u32,
}

/// Appends records to a batch and writes it: several when a message set would be longer than
/// `limit`. None when every record was cancelled, or has headers and the format knows none.
///
/// Compression is that of `config`.
///
/// # Panics
/// The settings are not valid, or a batch does not hold what it says.
pub fn write_batch(
    config: &Config,
    records: &[Appended<'_>],
    format: BatchFormat,
    limit: usize,
    stamp: Option<BatchStamp>,
) -> Vec<Written> {
    let Some(raw) = build(records) else { return Vec::new() };
    let how = sealing(config, format, limit);
    write(&raw, &how, stamp)
}

fn write(raw: &RawBatch, how: &Sealing, stamp: Option<BatchStamp>) -> Vec<Written> {
    match seal_as(raw, how).expect("a batch that was just built") {
        Sealed::Whole(sealed) => vec![written(&sealed, stamp, 0)],
        Sealed::Pieces(pieces) => {
            pieces.iter().map(|piece| written(&piece.sealed, stamp, piece.first)).collect()
        }
        Sealed::Headers(with) if with.rest.count == 0 => Vec::new(),
        // What is left is sealed anew, as the producer does it.
        Sealed::Headers(with) => {
            let rest = with.rest.to_raw().expect("a batch that was just sealed");
            write(&rest, how, stamp)
        }
    }
}

/// Appends records to a batch, seals it and splits it into pieces of at most `target` bytes.
///
/// # Panics
/// As [`write_batch`].
pub fn split_batch(
    config: &Config,
    records: &[Appended<'_>],
    format: BatchFormat,
    target: usize,
) -> Vec<Written> {
    let Some(raw) = build(records) else { return Vec::new() };
    let how = sealing(config, format, usize::MAX);
    let Sealed::Whole(sealed) = seal_as(&raw, &how).expect("a batch that was just built") else {
        return Vec::new();
    };
    let pieces = split(&sealed, target, &how).expect("a batch that was just sealed");
    pieces.iter().map(|piece| written(&piece.sealed, None, piece.first)).collect()
}

fn build(records: &[Appended<'_>]) -> Option<RawBatch> {
    let mut builder = BatchBuilder::new(Vec::new(), 1 << 14);
    for record in records {
        let payload = Payload::measure(record.key, record.value, record.headers)
            .expect("records within the format");
        let expected = builder.len() + builder.encoded_len(record.timestamp, &payload);
        builder.append(record.timestamp, &payload);
        assert_eq!(builder.len(), expected, "a record is as long as it was said to be");
    }
    for (index, _) in records.iter().enumerate().filter(|(_, record)| record.is_cancelled) {
        assert!(builder.cancel(index as u32));
    }
    let raw = builder.finish();
    (raw.count > 0).then_some(raw)
}

fn sealing(config: &Config, format: BatchFormat, limit: usize) -> Sealing {
    let compression = config.resolve().expect("valid settings").compression;
    let format = match format {
        BatchFormat::V0 => Format::V0,
        BatchFormat::V1 => Format::V1,
        BatchFormat::V2 => Format::V2,
    };
    Sealing { compression, format, limit }
}

fn written(sealed: &SealedBatch, stamp: Option<BatchStamp>, first: u32) -> Written {
    let stamp = stamp.map(|(producer_id, epoch, sequence)| Stamp { producer_id, epoch, sequence });
    let bytes = match &sealed.message_set {
        Some(set) => set.bytes.to_vec(),
        None => [&encode_header(sealed, stamp, false)[..], &sealed.records].concat(),
    };
    assert_eq!(bytes.len(), sealed.encoded_len(), "the length that goes into the request");
    Written { bytes, count: sealed.count, first }
}
