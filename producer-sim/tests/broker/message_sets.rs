//! The reader of message sets, against those that Kafka's own library wrote.

use crate::golden::{MESSAGE_SETS, blob, hex, lines, name};
use bytes::Bytes;
use producer_sim::records::{LogRecord, MessageSet};
use serde_json::Value;

fn magic(line: &Value) -> i8 {
    i8::try_from(line["magic"].as_i64().unwrap()).unwrap()
}

fn bytes(line: &Value) -> Bytes {
    hex(line["hex"].as_str().unwrap()).into()
}

#[test]
fn reads_every_golden_set_to_its_last_byte() {
    let mut read = 0;
    for line in lines(MESSAGE_SETS) {
        let set = MessageSet::parse(bytes(&line), magic(&line)).unwrap();
        let expected: Vec<_> = line["records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| LogRecord {
                offset: record["offset"].as_i64().unwrap(),
                timestamp: record["timestamp"].as_i64().unwrap_or(-1),
                key: blob(&record["key"]),
                value: blob(&record["value"]),
                headers: Vec::new(),
            })
            .collect();
        assert_eq!(set.records, expected, "{}", name(&line));
        let batch = set.to_batch().unwrap();
        assert_eq!(batch.check(), Ok(()), "{}", name(&line));
        assert_eq!(batch.records().unwrap(), expected, "{}", name(&line));
        if line["codec"] != "none" {
            assert_eq!(set.largest, bytes(&line).len(), "the wrapper");
        }
        read += 1;
    }
    assert_eq!(read, 24);
}

#[test]
fn no_changed_byte_and_no_cut_goes_unseen() {
    for line in lines(MESSAGE_SETS) {
        let (whole, magic) = (bytes(&line), magic(&line));
        for at in 0..whole.len() {
            let mut changed = whole.to_vec();
            changed[at] ^= 1;
            let result = MessageSet::parse(changed.into(), magic);
            assert!(result.is_err(), "byte {at} of {}", name(&line));
        }
        // Behind a whole message a cut cannot be seen.
        for end in 1..whole.len() {
            if let Ok(set) = MessageSet::parse(whole.slice(..end), magic) {
                let all = line["records"].as_array().unwrap().len();
                assert!(line["codec"] == "none" && set.records.len() < all, "{}", name(&line));
            }
        }
        assert!(MessageSet::parse(whole, 1 - magic).is_err(), "the other magic");
    }
}
