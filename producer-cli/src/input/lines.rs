//! `--input lines`: a line is a value, or key, separator and value.

use super::InputRecord;

/// The record of a line. Without the separator in it, the whole line is the value and the key is
/// null.
pub(super) fn parse(line: &[u8], key_separator: Option<&str>) -> InputRecord {
    let split = key_separator.map(str::as_bytes).and_then(|separator| {
        let at = line.windows(separator.len()).position(|window| window == separator)?;
        Some((&line[..at], &line[at + separator.len()..]))
    });
    let (key, value) = match split {
        Some((key, value)) => (Some(key.to_vec()), value),
        None => (None, line),
    };
    InputRecord { key, value: Some(value.to_vec()), repeat: 1, ..InputRecord::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_kept_as_they_are() {
        let record = parse(b"\xff\x00 tail ", None);
        assert_eq!(record.value.as_deref(), Some(&b"\xff\x00 tail "[..]));
        assert_eq!((record.key, record.repeat), (None, 1));
    }

    #[test]
    fn the_first_separator_ends_the_key() {
        let record = parse(b"k::v::w", Some("::"));
        assert_eq!(record.key.as_deref(), Some(&b"k"[..]));
        assert_eq!(record.value.as_deref(), Some(&b"v::w"[..]));
        let record = parse(b":v", Some(":"));
        assert_eq!(record.key.as_deref(), Some(&b""[..]), "an empty key is not a null key");
    }

    #[test]
    fn without_separator_the_key_is_null() {
        let record = parse(b"plain", Some(":"));
        assert_eq!((record.key, record.value.as_deref()), (None, Some(&b"plain"[..])));
        assert_eq!(parse(b"", Some(":")).value.as_deref(), Some(&b""[..]));
    }
}
