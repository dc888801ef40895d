//! The records reader against batches that Kafka's own library wrote.

use crate::golden::{BATCHES, blob, hex, lines, name};
use bytes::Bytes;
use producer_sim::records::{Batch, Codec, LogRecord, RecordsError};
use serde_json::Value;
use std::collections::BTreeMap;

fn expected(line: &Value, stored_time: Option<i64>) -> Vec<LogRecord> {
    let record = |(r, offset): (&Value, i64)| LogRecord {
        offset,
        timestamp: stored_time.unwrap_or_else(|| r["timestamp"].as_i64().unwrap()),
        key: blob(&r["key"]),
        value: blob(&r["value"]),
        headers: r["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|h| (h[0].as_str().unwrap().to_owned(), blob(&h[1])))
            .collect(),
    };
    line["records"].as_array().unwrap().iter().zip(0..).map(record).collect()
}

#[test]
fn reads_every_golden_batch_to_its_last_byte() {
    let by_name: BTreeMap<String, Value> =
        lines(BATCHES).map(|line| (name(&line).to_owned(), line)).collect();
    let mut read = 0;
    for line in by_name.values().filter(|line| line["bad"].is_null()) {
        let batch = Batch::parse(hex(line["hex"].as_str().unwrap()).into()).unwrap();
        let (header, golden) = (&batch.header, &line["header"]);
        for (field, value) in [
            ("base_offset", header.base_offset),
            ("length", header.batch_length.into()),
            ("partition_leader_epoch", header.partition_leader_epoch.into()),
            ("crc", header.crc.into()),
            ("attributes", header.attributes.into()),
            ("last_offset_delta", header.last_offset_delta.into()),
            ("base_timestamp", header.base_timestamp),
            ("max_timestamp", header.max_timestamp),
            ("producer_id", header.producer_id),
            ("producer_epoch", header.producer_epoch.into()),
            ("base_sequence", header.base_sequence.into()),
            ("count", header.count.into()),
        ] {
            assert_eq!(golden[field].as_i64().unwrap(), value, "{field} of {}", name(line));
        }
        if header.has_producer_id() && !header.is_control() {
            let last = i64::from(header.last_sequence());
            assert_eq!(golden["last_sequence"].as_i64().unwrap(), last, "{}", name(line));
        }
        assert_eq!(batch.check_crc(), Ok(()), "{}", name(line));
        let source = match line["records_as"].as_str() {
            Some(other) => &by_name[other],
            None => line,
        };
        let stored_time =
            (golden["timestamp_type"] != "CreateTime").then_some(header.max_timestamp);
        let mut expected = expected(source, stored_time);
        expected.iter_mut().for_each(|record| record.offset += header.base_offset);
        assert_eq!(batch.records().unwrap(), expected, "{}", name(line));
        read += 1;
    }
    assert!(read > 70, "only {read} batches were read");
}

#[test]
fn damaged_batches_are_named_for_what_is_wrong_with_them() {
    let verdict = |wanted: &str| {
        let line = lines(BATCHES).find(|line| name(line) == wanted).unwrap();
        let batch = Batch::parse(hex(line["hex"].as_str().unwrap()).into())?;
        batch.check()
    };
    assert!(matches!(verdict("bad-crc"), Err(RecordsError::Crc { .. })));
    assert!(matches!(verdict("bad-payload-bit"), Err(RecordsError::Crc { .. })));
    assert!(matches!(verdict("bad-attributes-bit"), Err(RecordsError::Crc { .. })));
    assert_eq!(verdict("bad-leader-epoch"), Ok(()));
    assert!(matches!(verdict("bad-base-offset"), Err(RecordsError::BaseOffset(_))));
    assert_eq!(verdict("bad-truncated"), Err(RecordsError::Incomplete));
    assert_eq!(verdict("bad-header-only"), Err(RecordsError::Incomplete));
    assert_eq!(verdict("bad-length-too-small"), Err(RecordsError::Length(13)));
    assert_eq!(verdict("bad-length-negative"), Err(RecordsError::Length(-1)));
    assert_eq!(verdict("bad-magic-3"), Err(RecordsError::Magic(3)));
    assert_eq!(verdict("bad-count-negative"), Err(RecordsError::Count(-2)));
    assert_eq!(verdict("bad-count-high"), Err(RecordsError::Count(4)));
    assert_eq!(verdict("bad-count-low"), Err(RecordsError::Count(2)));
    assert!(matches!(verdict("bad-record-length"), Err(RecordsError::Record { index: 0, .. })));
    assert_eq!(verdict("bad-codec-5"), Err(RecordsError::Codec(5)));
    assert_eq!(verdict("bad-gzip-cut"), Err(RecordsError::Compression(Codec::Gzip)));
    assert_eq!(verdict("bad-gzip-not"), Err(RecordsError::Compression(Codec::Gzip)));
}

#[test]
fn every_flipped_byte_is_noticed() {
    let line = lines(BATCHES).find(|line| name(line) == "idempotent-none").unwrap();
    let good = hex(line["hex"].as_str().unwrap());
    for position in 0..good.len() {
        let mut bad = good.clone();
        bad[position] ^= 0x10;
        let verdict = Batch::parse(bad.into()).and_then(|batch| batch.check());
        let leader_epoch = (12..16).contains(&position);
        assert_eq!(verdict.is_ok(), leader_epoch, "byte {position}: {verdict:?}");
    }
}

#[test]
fn bytes_behind_a_compressed_block_are_an_error() {
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        let wanted = format!("hundred-{codec}");
        let line = lines(BATCHES).find(|line| name(line) == wanted).unwrap();
        let mut bytes = hex(line["hex"].as_str().unwrap());
        bytes.push(0);
        let length = i32::try_from(bytes.len() - 12).unwrap();
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        let batch = Batch::parse(Bytes::from(bytes)).unwrap();
        assert!(matches!(batch.records(), Err(RecordsError::Compression(_))), "{codec}");
    }
}

#[test]
fn a_bare_snappy_block_is_read_like_a_xerial_stream() {
    let line = |wanted: &str| lines(BATCHES).find(|line| name(line) == wanted).unwrap();
    let stream = hex(line("three-snappy")["hex"].as_str().unwrap());
    let plain = hex(line("three-none")["hex"].as_str().unwrap());
    let mut bytes = stream[..61].to_vec();
    bytes.extend(snap::raw::Encoder::new().compress_vec(&plain[61..]).unwrap());
    let length = i32::try_from(bytes.len() - 12).unwrap();
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let bare = Batch::parse(bytes.into()).unwrap().records();
    assert_eq!(bare, Batch::parse(stream.into()).unwrap().records());
    assert_eq!(bare.unwrap().len(), 3);
}
