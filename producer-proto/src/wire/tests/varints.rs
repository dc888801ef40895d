//! Variable-length integers.

use serde_json::Value;

use super::golden::{hex, lines};
use crate::wire::varint::*;

/// Reads `bytes` as `kind`; the value as JSON and the bytes used.
fn read(kind: &str, bytes: &[u8]) -> Result<(Value, usize), VarintError> {
    Ok(match kind {
        "varint" => get_varint(bytes).map(|(v, n)| (Value::from(v), n))?,
        "varlong" => get_varlong(bytes).map(|(v, n)| (Value::from(v), n))?,
        "unsigned-varint" => get_uvarint(bytes).map(|(v, n)| (Value::from(v), n))?,
        "unsigned-varlong" => get_uvarlong(bytes).map(|(v, n)| (Value::from(v), n))?,
        other => panic!("unknown kind {other}"),
    })
}

fn write(kind: &str, value: &Value) -> (Vec<u8>, usize) {
    let mut out = Vec::new();
    let signed = || value.as_i64().expect("i64");
    let unsigned = || value.as_u64().expect("u64");
    let len = match kind {
        "varint" => {
            let value = i32::try_from(signed()).expect("i32");
            put_varint(&mut out, value);
            varint_len(value)
        }
        "varlong" => {
            put_varlong(&mut out, signed());
            varlong_len(signed())
        }
        "unsigned-varint" => {
            let value = u32::try_from(unsigned()).expect("u32");
            put_uvarint(&mut out, value);
            uvarint_len(value)
        }
        "unsigned-varlong" => {
            put_uvarlong(&mut out, unsigned());
            uvarlong_len(unsigned())
        }
        other => panic!("unknown kind {other}"),
    };
    (out, len)
}

#[test]
fn cod_05_golden_varints_both_ways() {
    for line in lines!("varints.jsonl") {
        let kind = line["kind"].as_str().expect("kind");
        let bytes = hex(&line["hex"]);
        if line["odd"] == true {
            continue;
        }
        let (written, len) = write(kind, &line["value"]);
        assert_eq!(written, bytes, "{line}");
        assert_eq!(len, bytes.len(), "{line}");
        assert_eq!(read(kind, &bytes), Ok((line["value"].clone(), bytes.len())), "{line}");
        for cut in 0..bytes.len() {
            assert_eq!(read(kind, &bytes[..cut]), Err(VarintError::Truncated), "{line}");
        }
    }
}

/// Overlong forms are read as Kafka reads them. Where Kafka drops bits we refuse.
#[test]
fn hos_10_odd_varints() {
    let mut dropped_bits = 0;
    for line in lines!("varints.jsonl") {
        if line["odd"] != true {
            continue;
        }
        let kind = line["kind"].as_str().expect("kind");
        let bytes = hex(&line["hex"]);
        let ours = read(kind, &bytes);
        if line["java"].is_string() {
            assert!(ours.is_err(), "{line}: {ours:?}");
        } else if let Ok((value, len)) = ours {
            assert_eq!((&value, len), (&line["value"], line["read"].as_u64().unwrap() as usize));
        } else {
            assert_eq!(ours, Err(VarintError::Overflow), "{line}");
            let full = if kind.ends_with("long") { MAX_VARLONG_LEN } else { MAX_VARINT_LEN };
            assert_eq!(line["read"], full, "only the last byte can overflow: {line}");
            dropped_bits += 1;
        }
    }
    assert!(dropped_bits > 0);
}

#[test]
fn cod_05_lengths_at_the_edges() {
    let cases = [(0, 1), (-1, 1), (63, 1), (64, 2), (-64, 1), (-65, 2), (8191, 2), (8192, 3)];
    for (value, len) in cases {
        assert_eq!(varint_len(value), len, "{value}");
        assert_eq!(varlong_len(i64::from(value)), len, "{value}");
    }
    assert_eq!([varint_len(i32::MIN), varint_len(i32::MAX)], [5, 5]);
    assert_eq!([varlong_len(i64::MIN), varlong_len(i64::MAX)], [10, 10]);
}

#[test]
fn hos_10_too_many_bits() {
    assert_eq!(get_uvarint(&[0xff, 0xff, 0xff, 0xff, 0x10]), Err(VarintError::Overflow));
    assert_eq!(get_uvarint(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]), Err(VarintError::Overflow));
    assert_eq!(get_varint(&[0xff, 0xff, 0xff, 0xff, 0x8f]), Err(VarintError::Overflow));
    assert_eq!(get_varlong(&[0xff; 11]), Err(VarintError::Overflow));
    let mut ten = [0xff; 10];
    ten[9] = 0x02;
    assert_eq!(get_varlong(&ten), Err(VarintError::Overflow));
    ten[9] = 0x01;
    assert_eq!(get_varlong(&ten), Ok((i64::MIN, 10)));
}
