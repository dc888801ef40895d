//! `--input json`: a line is an object, a record or a command.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};

use super::{InputRecord, Item, Op};

/// Every field that a line may have. An outer `None` is a field that is not there, `Some(None)` is
/// `null`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
struct Line {
    #[serde(default, deserialize_with = "present")]
    value: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    key: Option<Option<String>>,
    value_base64: Option<String>,
    key_base64: Option<String>,
    partition: Option<i32>,
    timestamp: Option<i64>,
    headers: Option<Vec<(String, Option<String>)>>,
    topic: Option<String>,
    repeat: Option<u64>,
    op: Option<String>,
    ms: Option<u64>,
    timeout_ms: Option<u64>,
}

fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

pub(super) fn parse(line: &[u8]) -> Result<Item, String> {
    // A struct also reads from an array of its fields, which is not a form of ours.
    if !line.trim_ascii_start().starts_with(b"{") {
        return Err("expected a JSON object".to_owned());
    }
    let line: Line = serde_json::from_slice(line)
        .map_err(|error| format!("{}{}", field(line), describe(&error)))?;
    if line.op.is_some() { command(&line).map(Item::Op) } else { record(line).map(Item::Record) }
}

/// The field that a line cannot be read for, as the beginning of an error's text.
fn field(line: &[u8]) -> String {
    let mut json = serde_json::Deserializer::from_slice(line);
    let error = serde_path_to_error::deserialize::<_, Line>(&mut json).err();
    match error {
        Some(error) if error.inner().is_data() && error.path().iter().next().is_some() => {
            format!("{}: ", error.path())
        }
        _ => String::new(),
    }
}

/// serde_json counts lines of its own, which would contradict ours, and has Rust's names for
/// numbers.
fn describe(error: &serde_json::Error) -> String {
    let text = error
        .to_string()
        .replace("expected i32", "expected a whole number of 32 bits")
        .replace("expected i64", "expected a whole number of 64 bits")
        .replace("expected u64", "expected a whole number from 0");
    let position = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&position) {
        Some(what) => format!("{what} at column {}", error.column()),
        None => text,
    }
}

fn record(line: Line) -> Result<InputRecord, String> {
    if line.ms.is_some() || line.timeout_ms.is_some() {
        return Err("ms and timeout_ms belong to an op".to_owned());
    }
    let value = bytes("value", line.value, line.value_base64)?
        .ok_or("none of value, value_base64 and op is given")?;
    let key = bytes("key", line.key, line.key_base64)?.flatten();
    let repeat = line.repeat.unwrap_or(1);
    if repeat == 0 {
        return Err("repeat is 0, must be at least 1".to_owned());
    }
    Ok(InputRecord {
        topic: line.topic,
        partition: line.partition,
        timestamp: line.timestamp,
        key,
        value,
        headers: line.headers.unwrap_or_default(),
        repeat,
    })
}

/// The bytes of a field that has a text and a base64 form; the outer `None` when it has neither.
fn bytes(
    name: &str,
    text: Option<Option<String>>,
    base64: Option<String>,
) -> Result<Option<Option<Vec<u8>>>, String> {
    match (text, base64) {
        (Some(_), Some(_)) => Err(format!("{name} and {name}_base64 are both given")),
        (Some(text), None) => Ok(Some(text.map(String::into_bytes))),
        (None, Some(encoded)) => STANDARD
            .decode(&encoded)
            .map(|decoded| Some(Some(decoded)))
            .map_err(|error| format!("{name}_base64 is not base64: {error}")),
        (None, None) => Ok(None),
    }
}

fn command(line: &Line) -> Result<Op, String> {
    let name = line.op.as_deref().unwrap_or_default();
    let of_record = line.value.is_some()
        || line.key.is_some()
        || line.value_base64.is_some()
        || line.key_base64.is_some()
        || line.partition.is_some()
        || line.timestamp.is_some()
        || line.headers.is_some()
        || line.topic.is_some()
        || line.repeat.is_some();
    if of_record {
        return Err(format!("op {name:?} together with fields of a record"));
    }
    match (name, line.ms, line.timeout_ms) {
        ("flush", None, None) => Ok(Op::Flush),
        ("sleep", Some(ms), None) => Ok(Op::Sleep { ms }),
        ("close", None, Some(timeout_ms)) => Ok(Op::Close { timeout_ms }),
        ("flush", ..) => Err("op \"flush\" takes no other field".to_owned()),
        ("sleep", ..) => Err("op \"sleep\" takes ms, and nothing else".to_owned()),
        ("close", ..) => Err("op \"close\" takes timeout_ms, and nothing else".to_owned()),
        _ => Err(format!("op {name:?} is not one of flush, sleep, close")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record_of(line: &str) -> InputRecord {
        match parse(line.as_bytes()) {
            Ok(Item::Record(record)) => record,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_record_with_everything() {
        let record = record_of(
            r#"{"value":"v","key":"k","partition":3,"timestamp":-5,"topic":"o","repeat":2,
                "headers":[["a","1"],["a",null],["",""]]}"#,
        );
        let header =
            |name: &str, value: Option<&str>| (name.to_owned(), value.map(ToOwned::to_owned));
        assert_eq!(
            record,
            InputRecord {
                topic: Some("o".into()),
                partition: Some(3),
                timestamp: Some(-5),
                key: Some(b"k".to_vec()),
                value: Some(b"v".to_vec()),
                headers: vec![header("a", Some("1")), header("a", None), header("", Some(""))],
                repeat: 2,
            }
        );
    }

    #[test]
    fn null_empty_and_absent_are_different() {
        assert_eq!(record_of(r#"{"value":null}"#).value, None);
        assert_eq!(record_of(r#"{"value":""}"#).value, Some(vec![]));
        assert_eq!(record_of(r#"{"value":"v"}"#).key, None);
        assert_eq!(record_of(r#"{"value":"v","key":""}"#).key, Some(vec![]));
    }

    #[test]
    fn base64_gives_any_bytes() {
        let record = record_of(r#"{"value_base64":"AP8=","key_base64":""}"#);
        assert_eq!(record.value, Some(vec![0, 255]));
        assert_eq!(record.key, Some(vec![]));
    }

    #[test]
    fn commands() {
        let op = |line: &str| parse(line.as_bytes());
        assert_eq!(op(r#"{"op":"flush"}"#), Ok(Item::Op(Op::Flush)));
        assert_eq!(op(r#" {"op":"sleep","ms":5} "#), Ok(Item::Op(Op::Sleep { ms: 5 })));
        assert_eq!(
            op(r#"{"timeout_ms":0,"op":"close"}"#),
            Ok(Item::Op(Op::Close { timeout_ms: 0 }))
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, part) in [
            ("not json", "expected a JSON object"),
            ("[1]", "expected a JSON object"),
            (r#"{"value":"#, "at column"),
            (r#"{"value":5}"#, "value: invalid type: integer `5`, expected a string"),
            (
                r#"{"value":"v","ms":-1}"#,
                "ms: invalid value: integer `-1`, expected a whole number",
            ),
            (r#"{"value":"v","headers":[["a","b"],["c",5]]}"#, "headers[1][1]: "),
            (r#"{"value":"v"} x"#, "trailing"),
            (r#"{"vlaue":"v"}"#, "unknown field `vlaue`"),
            (r#"{"value":"a","value":"b"}"#, "duplicate field"),
            (r#"{"key":"k"}"#, "none of value"),
            (r#"{"value":"a","value_base64":"YQ=="}"#, "both"),
            (r#"{"value_base64":"%"}"#, "value_base64 is not base64"),
            (r#"{"value":"a","partition":4294967296}"#, "4294967296"),
            (r#"{"value":"a","repeat":0}"#, "repeat is 0"),
            (r#"{"value":"a","headers":[["n"]]}"#, "length 1"),
            (r#"{"value":"a","headers":[[null,"v"]]}"#, "null"),
            (r#"{"value":"a","ms":1}"#, "belong to an op"),
            (r#"{"op":"flush","value":"a"}"#, "fields of a record"),
            (r#"{"op":"sleep"}"#, "takes ms"),
            (r#"{"op":"stop"}"#, "not one of"),
            ("{\"value\":\"\u{0}\"}", "control character"),
        ] {
            let error = parse(line.as_bytes()).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
            assert!(!error.contains("line 1"), "{line}: {error}");
        }
        let error = parse(b"{\"value\":\"\xff\"}").expect_err("not UTF-8");
        assert!(error.contains("unicode"), "{error}");
    }
}
