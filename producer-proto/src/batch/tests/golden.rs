//! Against batches that Kafka's own Java library wrote.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;

const GOLDEN: &str = include_str!("../../../tests/golden/batches.jsonl");

struct Golden {
    line: Value,
    records: Vec<OwnedRecord>,
}

impl Golden {
    fn name(&self) -> &str {
        self.line["name"].as_str().unwrap()
    }

    fn codec(&self) -> &str {
        self.line["codec"].as_str().unwrap()
    }

    fn header(&self, field: &str) -> i64 {
        self.line["header"][field].as_i64().unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        unhex(self.line["hex"].as_str().unwrap())
    }

    fn stamp(&self) -> Option<Stamp> {
        let stamp = Stamp {
            producer_id: self.header("producer_id"),
            epoch: self.header("producer_epoch") as i16,
            sequence: self.header("base_sequence") as i32,
        };
        (stamp.producer_id >= 0).then_some(stamp)
    }

    fn transactional(&self) -> bool {
        self.line["header"]["transactional"].as_bool().unwrap()
    }
}

fn golden() -> Vec<Golden> {
    let lines: Vec<Value> = GOLDEN.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let records: BTreeMap<&str, Vec<OwnedRecord>> = lines
        .iter()
        .filter_map(|line| {
            let records = line["records"].as_array()?.iter().map(parse_record).collect();
            Some((line["name"].as_str()?, records))
        })
        .collect();
    lines
        .iter()
        .map(|line| {
            let from = line["records_as"].as_str().or(line["name"].as_str()).unwrap();
            Golden { line: line.clone(), records: records[from].clone() }
        })
        .collect()
}

pub(super) fn parse_record(json: &Value) -> OwnedRecord {
    let headers = json["headers"].as_array().into_iter().flatten();
    OwnedRecord {
        // Message sets of magic 0 have none.
        timestamp: json["timestamp"].as_i64().unwrap_or(0),
        key: blob(&json["key"]),
        value: blob(&json["value"]),
        headers: headers
            .map(|header| (header[0].as_str().unwrap().to_owned(), blob(&header[1])))
            .collect(),
    }
}

fn blob(json: &Value) -> Option<Vec<u8>> {
    match json {
        Value::Null => None,
        Value::String(hex) => Some(unhex(hex)),
        _ => Some(match json["repeat"].as_str() {
            Some(hex) => unhex(hex).repeat(json["times"].as_u64().unwrap() as usize),
            None => {
                assert_eq!(json["lcg"], 1, "the seed of `noise`");
                noise(json["len"].as_u64().unwrap() as usize)
            }
        }),
    }
}

pub(super) fn unhex(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn cod_01_uncompressed_batches_are_byte_for_byte_java_s() {
    let mut compared = 0;
    for golden in golden().iter().filter(|golden| golden.codec() == "none") {
        let batch = seal(&build(&golden.records), &NONE);
        let ours = whole(&batch, golden.stamp(), golden.transactional());
        assert_eq!(ours, golden.bytes(), "{}", golden.name());
        compared += 1;
    }
    assert!(compared >= 12, "only {compared} golden batches");
}

#[test]
fn cmp_01_compressed_batches_of_java_and_ours_hold_the_same() {
    let mut compared = 0;
    for golden in golden().iter().filter(|golden| golden.codec() != "none") {
        let java =
            reader::read(&golden.bytes()).unwrap_or_else(|e| panic!("{}: {e}", golden.name()));
        assert_eq!(java.records, golden.records, "{}", golden.name());

        let compression = compressions()[java.attributes as usize % 8 - 1];
        let raw = build(&golden.records);
        let uncompressed_len = golden.line["uncompressed_length"].as_u64();
        if let Some(len) = uncompressed_len {
            assert_eq!(raw.records.len() as u64, len, "{}", golden.name());
        }
        let sealed = seal(&raw, &compression);
        let bytes = whole(&sealed, golden.stamp(), golden.transactional());
        let mut ours = reader::read(&bytes).unwrap_or_else(|e| panic!("{}: {e}", golden.name()));
        if sealed.codec == Codec::None {
            assert!(golden.bytes().len() >= bytes.len(), "{} does not compress", golden.name());
            ours.attributes |= java.attributes & 7;
        }
        assert_eq!(ours, java, "{}", golden.name());
        compared += 1;
    }
    assert!(compared >= 50, "only {compared} golden batches");
}

#[test]
fn cmp_03_snappy_output_is_pinned_to_java_s_framing() {
    let golden = golden();
    let large = golden.iter().find(|golden| golden.name() == "large-snappy").unwrap();
    let java = large.bytes();
    let snappy = compressions()[1];
    let ours = seal(&build(&large.records), &snappy).records;
    assert_eq!(ours[..16], java[61..77], "magic and versions");
    let blocks = |mut body: &[u8]| {
        let mut lengths = Vec::new();
        while let Some((len, rest)) = body.split_first_chunk::<4>() {
            let len = u32::from_be_bytes(*len) as usize;
            lengths.push(snap::raw::decompress_len(&rest[..len]).unwrap());
            body = &rest[len..];
        }
        lengths
    };
    assert_eq!(blocks(&ours[16..]), blocks(&java[77..]), "the same cuts");

    // This library's own bytes for a small body: a change of framing or of compressor shows here.
    let records = [record(0, None, Some(&b"golden".repeat(8)))];
    let body = seal(&build(&records), &snappy).records;
    assert_eq!(
        body[..],
        unhex("82534e4150505900000000010000000100000013372c6c0000000160676f6c64656ea606000000")[..],
    );
}

#[test]
fn cmp_02_lz4_frame_header_is_java_s() {
    let golden = golden();
    let java = golden.iter().find(|golden| golden.name() == "hundred-lz4").unwrap();
    let ours = seal(&build(&java.records), &compressions()[2]).records;
    assert_eq!(ours[..7], java.bytes()[61..68], "magic, flags, block size, header checksum");
    assert_eq!(ours[ours.len() - 4..], [0; 4], "end mark, no content checksum");
}

#[test]
fn cod_02_every_byte_after_the_crc_is_covered() {
    let golden = golden();
    let three = golden.iter().find(|golden| golden.name() == "three-none").unwrap();
    let bytes = whole(&seal(&build(&three.records), &NONE), None, false);
    let crc = |bytes: &[u8]| u32::from_be_bytes(bytes[17..21].try_into().unwrap());
    let holds = |bytes: &[u8]| crc(bytes) == reader::crc32c(&bytes[21..]);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert_eq!(holds(&damaged), at < 17, "byte {at}");
    }
}
