//! Tests of record batches: what they share.

mod builder;
mod compression;
mod golden;
mod message_sets;
mod reader;
mod split;

use bytes::Bytes;
use proptest::prelude::*;
use reader::{Batch, OwnedRecord};

use super::*;
use crate::config::Compression;
use crate::{Codec, Header};

/// How today's batches are sealed.
fn v2(compression: Compression) -> Sealing {
    Sealing { compression, format: Format::V2, limit: usize::MAX }
}

const NONE: Compression = Compression { codec: Codec::None, level: 0 };

/// Every codec of this build, at its default level.
fn compressions() -> [Compression; 4] {
    [
        Compression { codec: Codec::Gzip, level: -1 },
        Compression { codec: Codec::Snappy, level: 0 },
        Compression { codec: Codec::Lz4, level: 9 },
        Compression { codec: Codec::Zstd, level: 3 },
    ]
}

fn new_builder() -> BatchBuilder {
    BatchBuilder::new(Vec::new(), 16_384)
}

fn record(timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> OwnedRecord {
    OwnedRecord {
        timestamp,
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        headers: Vec::new(),
    }
}

fn headers(record: &OwnedRecord) -> Vec<Header<'_>> {
    record.headers.iter().map(|(name, value)| Header { name, value: value.as_deref() }).collect()
}

fn append(builder: &mut BatchBuilder, record: &OwnedRecord) -> u32 {
    let headers = headers(record);
    let payload = Payload::measure(record.key.as_deref(), record.value.as_deref(), &headers);
    let payload = payload.expect("a record within the limits");
    let expected = builder.len() + builder.encoded_len(record.timestamp, &payload);
    let index = builder.append(record.timestamp, &payload);
    assert_eq!(builder.len(), expected, "a record is as long as was said before");
    assert!(builder.len() <= builder.capacity());
    index
}

fn build(records: &[OwnedRecord]) -> RawBatch {
    let mut builder = new_builder();
    for (index, record) in records.iter().enumerate() {
        assert_eq!(append(&mut builder, record), index as u32);
    }
    builder.finish()
}

/// Header and body, as they go out.
fn whole(batch: &SealedBatch, stamp: Option<Stamp>, transactional: bool) -> Vec<u8> {
    let mut bytes = encode_header(batch, stamp, transactional).to_vec();
    bytes.extend_from_slice(&batch.records);
    assert_eq!(bytes.len(), batch.encoded_len());
    bytes
}

fn read_back(batch: &SealedBatch) -> Batch {
    reader::read(&whole(batch, None, false)).expect("a batch the strict reader takes")
}

/// Text-like records that compress well, about `bytes` of them.
fn compressible(bytes: usize) -> Vec<OwnedRecord> {
    (0..bytes.div_ceil(120))
        .map(|i| {
            let value = format!(
                "{{\"sensor\":{},\"city\":\"Utrecht\",\"celsius\":{},\"status\":\"{}\",\"seq\":{i}}}",
                i % 17,
                i * 7 % 40,
                ["ok", "stale", "calibrating"][i % 3],
            );
            record(1_700_000_000_000 + i as i64, Some(&(i as u32).to_be_bytes()), Some(value.as_bytes()))
        })
        .collect()
}

/// Bytes that no codec makes smaller.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    (0..len)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect()
}

fn any_bytes(most: usize) -> impl Strategy<Value = Option<Vec<u8>>> {
    prop::option::of(prop::collection::vec(any::<u8>(), 0..most))
}

fn any_timestamp() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => 1_700_000_000_000..1_700_000_100_000i64,
        1 => any::<i64>(),
        1 => prop_oneof![Just(-1), Just(0), Just(i64::MIN), Just(i64::MAX)],
    ]
}

fn any_record() -> impl Strategy<Value = OwnedRecord> {
    let headers = prop::collection::vec(("[a-zé]{0,5}", any_bytes(8)), 0..3);
    (any_timestamp(), any_bytes(20), any_bytes(90), headers)
        .prop_map(|(timestamp, key, value, headers)| OwnedRecord { timestamp, key, value, headers })
}

fn any_records(most: usize) -> impl Strategy<Value = Vec<OwnedRecord>> {
    prop::collection::vec(any_record(), 1..most)
}
