//! Reading the golden files (see `tests/golden/README.md`).

use serde_json::Value;

/// The lines of one golden file.
macro_rules! lines {
    ($file:literal) => {
        $crate::wire::tests::golden::parse(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/golden/",
            $file
        )))
    };
}
pub(super) use lines;

/// Parses JSON Lines.
pub(super) fn parse(text: &str) -> Vec<Value> {
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("golden JSON")).collect();
    assert!(!lines.is_empty(), "a golden file is never empty");
    lines
}

/// The bytes of a hex field.
pub(super) fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hex");
    assert!(text.len().is_multiple_of(2));
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex digits"))
        .collect()
}
