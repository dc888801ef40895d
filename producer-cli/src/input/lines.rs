//! `--input lines`: a line is a value, or key, separator and value.

use super::InputRecord;

/// The record of a line. Without the separator in it, the whole line is the value and the key is
/// null. With `tombstone` nothing after the separator is a null value, which deletes the key from a
/// compacted topic.
pub(super) fn parse(line: &[u8], key_separator: Option<&str>, tombstone: bool) -> InputRecord {
    let split = key_separator.map(str::as_bytes).and_then(|separator| {
        let at = line.windows(separator.len()).position(|window| window == separator)?;
        Some((&line[..at], &line[at + separator.len()..]))
    });
    let (key, value) = match split {
        Some((key, [])) if tombstone => (Some(key), None),
        Some((key, value)) => (Some(key), Some(value)),
        None => (None, Some(line)),
    };
    let [key, value] = [key, value].map(|bytes| bytes.map(<[u8]>::to_vec));
    InputRecord { key, value, repeat: 1, ..InputRecord::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_kept_as_they_are() {
        let record = parse(b"\xff\x00 tail ", None, false);
        assert_eq!(record.value.as_deref(), Some(&b"\xff\x00 tail "[..]));
        assert_eq!((record.key, record.repeat), (None, 1));
    }

    #[test]
    fn the_first_separator_ends_the_key() {
        let record = parse(b"k::v::w", Some("::"), false);
        assert_eq!(record.key.as_deref(), Some(&b"k"[..]));
        assert_eq!(record.value.as_deref(), Some(&b"v::w"[..]));
        let record = parse(b":v", Some(":"), false);
        assert_eq!(record.key.as_deref(), Some(&b""[..]), "an empty key is not a null key");
    }

    #[test]
    fn without_separator_the_key_is_null() {
        let record = parse(b"plain", Some(":"), false);
        assert_eq!((record.key, record.value.as_deref()), (None, Some(&b"plain"[..])));
        assert_eq!(parse(b"", Some(":"), false).value.as_deref(), Some(&b""[..]));
    }

    #[test]
    fn an_empty_value_is_a_tombstone_only_where_that_is_wanted_and_there_is_a_key() {
        let value = |line: &[u8], tombstone| parse(line, Some(":"), tombstone).value;
        assert_eq!(value(b"k:", true), None);
        assert_eq!(value(b"k:", false), Some(vec![]));
        assert_eq!(value(b"k:v", true), Some(b"v".to_vec()));
        assert_eq!(value(b"", true), Some(vec![]), "a line without the separator has no key");
        assert_eq!(parse(b"k:", Some(":"), true).key, Some(b"k".to_vec()));
    }
}
