//! Why a broker refuses a batch: its checks in its own order.

use super::config::TopicConfig;
use super::old_produce;
use crate::records::{Batch, Codec, RecordsError};
use bytes::Bytes;
use kafka_protocol::ResponseError;

/// Below this Produce version a broker takes no Zstandard (KIP-110).
const FIRST_ZSTD_VERSION: i16 = 7;

/// The answer to a batch that was not appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: i16,
    pub(super) message: Option<String>,
    pub(super) record_errors: Vec<(i32, String)>,
    /// Whether the check is made so late that the answer holds the log's start offset.
    pub(super) reached_log: bool,
}

impl From<ResponseError> for Refusal {
    fn from(error: ResponseError) -> Self {
        Self { code: error.code(), message: None, record_errors: Vec::new(), reached_log: false }
    }
}

impl Refusal {
    fn explained(error: ResponseError, message: &str) -> Self {
        Self { message: Some(message.to_owned()), ..error.into() }
    }

    pub(super) fn in_log(error: ResponseError) -> Self {
        Self { reached_log: true, ..error.into() }
    }
}

/// First check: is there exactly one batch, in the version's format, with a codec of this version?
/// Gives it with the size that counts against the topic's limit.
pub(super) fn form(
    records: Bytes,
    version: i16,
    transactional_id: Option<&str>,
) -> Result<(Batch, usize), Refusal> {
    if version <= old_produce::NEWEST {
        return old_produce::batch(records, version)
            .map_err(|_| ResponseError::CorruptMessage.into());
    }
    let batch = Batch::parse(without_rest(records)).map_err(|error| match error {
        RecordsError::Length(_) => Refusal::from(ResponseError::CorruptMessage),
        RecordsError::Magic(magic) if !matches!(magic, 0 | 1) => {
            Refusal::explained(ResponseError::CorruptMessage, "invalid magic")
        }
        _ => ResponseError::InvalidRecord.into(),
    })?;
    let codec = Codec::from_bits(batch.header.codec_bits());
    if codec.is_none() && version < FIRST_ZSTD_VERSION {
        return Err(ResponseError::UnknownServerError.into());
    }
    if codec == Some(Codec::Zstd) && version < FIRST_ZSTD_VERSION {
        return Err(ResponseError::UnsupportedCompressionType.into());
    }
    if batch.header.is_transactional() {
        // No transaction coordinator lives here, so nobody has begun one.
        return Err(match transactional_id {
            None => ResponseError::TransactionalIdAuthorizationFailed.into(),
            Some(_) => ResponseError::InvalidProducerIdMapping.into(),
        });
    }
    let size = batch.bytes().len();
    Ok((batch, size))
}

/// Drops what lies behind the first batch if it is not another whole one, as brokers do.
fn without_rest(records: Bytes) -> Bytes {
    let end = |at: usize| {
        let length = records.get(at + 8..)?.first_chunk::<4>()?;
        let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
        at.checked_add(12)?.checked_add(length)
    };
    let whole = |end: &usize| *end <= records.len();
    match end(0).filter(whole) {
        Some(first) if first < records.len() && end(first).filter(whole).is_none() => {
            records.slice(..first)
        }
        _ => records,
    }
}

/// The checks of the log, after acks and leader: base offset, size, CRC, header, records.
pub(super) fn content(
    batch: &Batch,
    size: usize,
    config: &TopicConfig,
    wall_clock: i64,
    partition: (&str, i32),
) -> Result<(), Refusal> {
    let header = &batch.header;
    if header.base_offset != 0 {
        return Err(Refusal::in_log(ResponseError::InvalidRecord));
    }
    if size > config.max_message_bytes {
        return Err(ResponseError::MessageTooLarge.into());
    }
    if batch.check_crc().is_err() {
        return Err(ResponseError::CorruptMessage.into());
    }
    let bad_sequence = header.has_producer_id() && header.base_sequence < 0;
    let Some(codec) = Codec::from_bits(header.codec_bits()) else {
        return Err(Refusal::in_log(ResponseError::UnknownServerError));
    };
    if batch.check_count().is_err() || bad_sequence || header.is_control() {
        return Err(Refusal::in_log(ResponseError::InvalidRecord));
    }
    records(batch, codec, config, wall_clock, partition)
}

fn records(
    batch: &Batch,
    codec: Codec,
    config: &TopicConfig,
    wall_clock: i64,
    (topic, partition): (&str, i32),
) -> Result<(), Refusal> {
    let millis = |d: std::time::Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
    let oldest =
        config.timestamp_before_max.map_or(i64::MIN, |d| wall_clock.saturating_sub(millis(d)));
    let newest =
        config.timestamp_after_max.map_or(i64::MAX, |d| wall_clock.saturating_add(millis(d)));
    let mut errors = Vec::new();
    let mut bad_timestamp = false;
    batch
        .visit(|record| {
            let index = i32::try_from(record.offset - batch.header.base_offset).unwrap_or(-1);
            if config.compacted && record.key.is_none() {
                errors.push((index, format!("no key, but {topic}-{partition} is compacted")));
            } else if !config.append_time
                && record.timestamp != -1
                && !(oldest..=newest).contains(&record.timestamp)
            {
                bad_timestamp = true;
                let time = record.timestamp;
                errors.push((index, format!("timestamp {time} is not in [{oldest}, {newest}]")));
            }
        })
        .map_err(|error| {
            Refusal::in_log(match (error, codec) {
                (RecordsError::Compression(_), _) => ResponseError::UnknownServerError,
                _ => ResponseError::InvalidRecord,
            })
        })?;
    if errors.is_empty() {
        return Ok(());
    }
    let error = match bad_timestamp {
        true => ResponseError::InvalidTimestamp,
        false => ResponseError::InvalidRecord,
    };
    let message = Some(format!("{} records of the batch were rejected", errors.len()));
    Err(Refusal { message, record_errors: errors, ..Refusal::in_log(error) })
}
