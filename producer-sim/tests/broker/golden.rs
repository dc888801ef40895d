//! Reads the golden files: JSON lines, bytes in hex.

use bytes::Bytes;
use serde_json::Value;

pub(crate) const BATCHES: &str = include_str!("golden/batches.jsonl");
pub(crate) const MESSAGE_SETS: &str = include_str!("golden/message_sets.jsonl");

pub(crate) fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

pub(crate) fn name(line: &Value) -> &str {
    line["name"].as_str().unwrap()
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd number of hex digits");
    let digit = |d: u8| char::from(d).to_digit(16).unwrap() as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// A key or value: null, hex, a repetition, or the bytes of a linear congruential generator.
pub(crate) fn blob(value: &Value) -> Option<Bytes> {
    if value.is_null() {
        return None;
    }
    if let Some(text) = value.as_str() {
        return Some(hex(text).into());
    }
    if let Some(unit) = value["repeat"].as_str() {
        let times = usize::try_from(value["times"].as_u64().unwrap()).unwrap();
        return Some(hex(unit).repeat(times).into());
    }
    let mut x = value["lcg"].as_u64().unwrap();
    let next = |_| {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (x >> 56) as u8
    };
    Some((0..value["len"].as_u64().unwrap()).map(next).collect())
}
