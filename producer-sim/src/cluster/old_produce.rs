//! Produce 0 to 2, the versions of brokers before 0.11: their envelope, by hand, as the library
//! of the others begins with version 3.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ApiKey, ProduceRequest, ProduceResponse};

use super::apis::topic_name;
use crate::records::{Batch, MessageSet};

/// The newest version with message sets instead of record batches.
pub(crate) const NEWEST: i16 = 2;

pub(crate) fn is_old(api: ApiKey, version: i16) -> bool {
    api == ApiKey::Produce && version <= NEWEST
}

/// The records of one partition as a batch, and the size that a limit for messages is held
/// against.
pub(crate) fn batch(records: Bytes, version: i16) -> Result<(Batch, usize), String> {
    let magic = if version == NEWEST { 1 } else { 0 };
    let set = MessageSet::parse(records, magic)?;
    let batch = set.to_batch().map_err(|error| error.to_string())?;
    Ok((batch, set.largest))
}

/// Reads a request behind its header.
pub(crate) fn decode(from: &mut Bytes) -> Result<ProduceRequest, bytes::TryGetError> {
    let acks = from.try_get_i16()?;
    let timeout_ms = from.try_get_i32()?;
    let mut topics = Vec::new();
    for _ in 0..from.try_get_i32()?.max(0) {
        let name = from.try_get_i16()?;
        let name = take(from, i32::from(name))?.unwrap_or_default();
        let mut partitions = Vec::new();
        for _ in 0..from.try_get_i32()?.max(0) {
            let index = from.try_get_i32()?;
            let length = from.try_get_i32()?;
            let records = take(from, length)?;
            partitions
                .push(PartitionProduceData::default().with_index(index).with_records(records));
        }
        let name = topic_name(&String::from_utf8_lossy(&name));
        topics.push(TopicProduceData::default().with_name(name).with_partition_data(partitions));
    }
    let request = ProduceRequest::default().with_acks(acks).with_timeout_ms(timeout_ms);
    Ok(request.with_topic_data(topics))
}

/// So many bytes; a negative length is null.
fn take(from: &mut Bytes, length: i32) -> Result<Option<Bytes>, bytes::TryGetError> {
    let Ok(requested) = usize::try_from(length) else { return Ok(None) };
    let available = from.len();
    if requested > available {
        return Err(bytes::TryGetError { requested, available });
    }
    Ok(Some(from.split_to(requested)))
}

/// Reads an answer behind its header.
pub(crate) fn decode_answer(
    from: &mut Bytes,
    version: i16,
) -> Result<ProduceResponse, bytes::TryGetError> {
    let mut response = ProduceResponse::default();
    for _ in 0..from.try_get_i32()?.max(0) {
        let length = from.try_get_i16()?;
        let name = take(from, i32::from(length))?.unwrap_or_default();
        let mut partitions = Vec::new();
        for _ in 0..from.try_get_i32()?.max(0) {
            let mut partition = PartitionProduceResponse::default()
                .with_index(from.try_get_i32()?)
                .with_error_code(from.try_get_i16()?)
                .with_base_offset(from.try_get_i64()?);
            if version >= 2 {
                partition.log_append_time_ms = from.try_get_i64()?;
            }
            partitions.push(partition);
        }
        let topic = TopicProduceResponse::default();
        let name = topic_name(&String::from_utf8_lossy(&name));
        response.responses.push(topic.with_name(name).with_partition_responses(partitions));
    }
    if version >= 1 {
        response.throttle_time_ms = from.try_get_i32()?;
    }
    Ok(response)
}

/// Writes an answer behind its header.
pub(super) fn encode(response: &ProduceResponse, version: i16, out: &mut BytesMut) {
    out.put_i32(response.responses.len() as i32);
    for topic in &response.responses {
        out.put_i16(topic.name.len() as i16);
        out.put_slice(topic.name.as_bytes());
        out.put_i32(topic.partition_responses.len() as i32);
        for partition in &topic.partition_responses {
            out.put_i32(partition.index);
            out.put_i16(partition.error_code);
            out.put_i64(partition.base_offset);
            if version >= 2 {
                out.put_i64(partition.log_append_time_ms);
            }
        }
    }
    if version >= 1 {
        out.put_i32(response.throttle_time_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        for version in 0..=NEWEST {
            let mut partition = PartitionProduceResponse::default()
                .with_index(3)
                .with_error_code(6)
                .with_base_offset(77);
            if version >= 2 {
                partition.log_append_time_ms = 12_345;
            }
            let topic = TopicProduceResponse::default()
                .with_name(topic_name("t"))
                .with_partition_responses(vec![partition]);
            let throttle = if version >= 1 { 50 } else { 0 };
            let response = ProduceResponse::default()
                .with_responses(vec![topic])
                .with_throttle_time_ms(throttle);
            let mut bytes = BytesMut::new();
            encode(&response, version, &mut bytes);
            let mut bytes = bytes.freeze();
            assert_eq!(decode_answer(&mut bytes, version).unwrap(), response, "version {version}");
            assert!(bytes.is_empty());
        }
    }
}
