//! A client written by hand: one request at a time, decoded with the `kafka-protocol` crate.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{ProduceRequest, RequestHeader, ResponseHeader, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use producer_sim::{ApiKey, Cluster, ConnId, Instant, Output, RequestKind, ResponseKind};

pub(crate) const NOW: Instant = Instant::ZERO;
/// Create time of every record made here; the cluster's default wall clock.
pub(crate) const TIME: i64 = 1_700_000_000_000;

/// A request as a frame with its length prefix.
pub(crate) fn frame(api: ApiKey, version: i16, correlation: i32, body: &RequestKind) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    buffer.put_i32(0);
    RequestHeader::default()
        .with_request_api_key(api as i16)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_static_str("test")))
        .encode(&mut buffer, api.request_header_version(version))
        .unwrap();
    body.encode(&mut buffer, version).unwrap();
    let length = i32::try_from(buffer.len() - 4).unwrap();
    buffer[..4].copy_from_slice(&length.to_be_bytes());
    buffer.into()
}

/// The body of an answer frame; nothing may be left over.
pub(crate) fn decode(api: ApiKey, version: i16, frame: &[u8]) -> (i32, ResponseKind) {
    let length = i32::from_be_bytes(*frame.first_chunk().unwrap());
    assert_eq!(usize::try_from(length).unwrap() + 4, frame.len());
    let mut body = Bytes::copy_from_slice(&frame[4..]);
    let header = ResponseHeader::decode(&mut body, api.response_header_version(version)).unwrap();
    let kind = ResponseKind::decode(api, &mut body, version).unwrap();
    assert!(body.is_empty(), "{} bytes left over", body.len());
    (header.correlation_id, kind)
}

/// Everything a connection says now.
pub(crate) fn drain(cluster: &mut Cluster, now: Instant, conn: ConnId) -> Vec<Output> {
    std::iter::from_fn(|| cluster.poll_output(now, conn)).collect()
}

/// Sends a request and gives its answer, which must come at once.
pub(crate) fn ask(
    cluster: &mut Cluster,
    conn: ConnId,
    api: ApiKey,
    version: i16,
    body: &RequestKind,
) -> ResponseKind {
    cluster.receive(NOW, conn, &frame(api, version, 7, body));
    match drain(cluster, NOW, conn).as_slice() {
        [Output::Bytes(bytes)] => {
            let (correlation, kind) = decode(api, version, bytes);
            assert_eq!(correlation, 7);
            kind
        }
        other => panic!("not one answer: {other:?}"),
    }
}

pub(crate) fn produce_request(topic: &str, partition: i32, records: Bytes) -> RequestKind {
    produce_with(topic, partition, records, -1, 1000)
}

pub(crate) fn produce_with(
    topic: &str,
    partition: i32,
    records: Bytes,
    acks: i16,
    timeout_ms: i32,
) -> RequestKind {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(records));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(timeout_ms)
        .with_topic_data(vec![topic]);
    RequestKind::Produce(request)
}

/// Produces one batch with version 12 and gives the partition's answer.
pub(crate) fn produce(
    cluster: &mut Cluster,
    conn: ConnId,
    topic: &str,
    partition: i32,
    records: Bytes,
) -> PartitionProduceResponse {
    let request = produce_request(topic, partition, records);
    match ask(cluster, conn, ApiKey::Produce, 12, &request) {
        ResponseKind::Produce(mut r) => {
            r.responses.pop().unwrap().partition_responses.pop().unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// An uncompressed batch of `count` records with a one-byte value; -1 for no producer id.
pub(crate) fn batch(producer_id: i64, epoch: i16, sequence: i32, count: u8) -> Bytes {
    let mut records = Vec::new();
    for i in 0..count {
        // length 7: attributes, time delta 0, offset delta, null key, value of 1, no headers
        records.extend([14, 0, 0, i * 2, 1, 2, b'v', 0]);
    }
    let mut tail = Vec::new();
    tail.put_i16(0);
    tail.put_i32(i32::from(count) - 1);
    tail.put_i64(TIME);
    tail.put_i64(TIME);
    tail.put_i64(producer_id);
    tail.put_i16(epoch);
    tail.put_i32(sequence);
    tail.put_i32(i32::from(count));
    tail.extend(records);
    let mut batch = BytesMut::new();
    batch.put_i64(0);
    batch.put_i32(i32::try_from(tail.len()).unwrap() + 9);
    batch.put_i32(-1);
    batch.put_i8(2);
    batch.put_u32(crc32c(&tail));
    batch.extend(tail);
    batch.freeze()
}

/// CRC-32C bit by bit: slow, and shares nothing with the code under test.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
