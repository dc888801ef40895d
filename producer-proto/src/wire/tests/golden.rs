//! Reading the golden files (see `tests/golden/README.md`).

use serde_json::Value;

use crate::ids::Uuid;

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

/// An integer field, of whatever width the caller expects.
pub(super) fn int<T: TryFrom<i64>>(value: &Value) -> T {
    let wide = value.as_i64().unwrap_or_else(|| panic!("an integer, not {value}"));
    T::try_from(wide).unwrap_or_else(|_| panic!("{wide} is out of range"))
}

/// An array field.
pub(super) fn array(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("an array, not {value}"))
}

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Kafka's text form of a uuid: 22 characters of URL-safe base64.
pub(super) fn uuid_text(id: Uuid) -> String {
    let bits = u128::from_be_bytes(id.0);
    let group = |i: u32| if i < 21 { bits >> (122 - 6 * i) } else { bits << 4 };
    (0..22).map(|i| char::from(BASE64_URL[(group(i) & 63) as usize])).collect()
}

/// Undoes [`uuid_text`].
pub(super) fn uuid(value: &Value) -> Uuid {
    let text = value.as_str().expect("a uuid").as_bytes();
    assert_eq!(text.len(), 22);
    let digit = |c| BASE64_URL.iter().position(|&d| d == c).expect("base64") as u128;
    let head = text[..21].iter().fold(0, |bits, &c| bits << 6 | digit(c));
    Uuid((head << 2 | digit(text[21]) >> 4).to_be_bytes())
}
