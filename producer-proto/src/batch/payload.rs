//! What a record carries, measured and checked before anything is stored.

use crate::Header;

use super::header::HEADER_LEN;
use super::varint;

/// The most bytes a record has besides its [`Payload`]: length (5), attributes (1), timestamp
/// delta (10) and offset delta (5).
const MAX_RECORD_OVERHEAD: usize = 21;

/// What Kafka's format can say of any length or count.
const FORMAT_LIMIT: usize = i32::MAX as usize;

/// Key, value and headers of a record that fits the format, and the size of their encoding.
///
/// The size does not depend on the batch that takes the record, so it is computed once even when
/// the record is offered to several batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload<'a> {
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: &'a [Header<'a>],
    encoded_len: usize,
}

/// A part of a record that is larger than the format can express.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part} is {len}, the record format allows at most {limit}")]
pub(crate) struct RecordLimit {
    /// Which part.
    pub(crate) part: RecordPart,
    /// Its length in bytes, or the number of headers.
    pub(crate) len: usize,
    /// The largest value that is allowed.
    pub(crate) limit: usize,
}

/// The parts of a record that have a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordPart {
    /// The key.
    Key,
    /// The value.
    Value,
    /// The number of headers.
    HeaderCount,
    /// The name of the header with this index.
    HeaderName(usize),
    /// The value of the header with this index.
    HeaderValue(usize),
    /// The whole record.
    Record,
}

impl std::fmt::Display for RecordPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key => f.write_str("length of the key"),
            Self::Value => f.write_str("length of the value"),
            Self::HeaderCount => f.write_str("number of headers"),
            Self::HeaderName(index) => write!(f, "length of the name of header {index}"),
            Self::HeaderValue(index) => write!(f, "length of the value of header {index}"),
            Self::Record => f.write_str("length of the record"),
        }
    }
}

impl<'a> Payload<'a> {
    /// What [`size_upper_bound`](Self::size_upper_bound) adds, at most, to a record's encoded size.
    pub(crate) const MAX_OVERHEAD: usize = HEADER_LEN + MAX_RECORD_OVERHEAD;

    /// Measures a record.
    ///
    /// # Errors
    /// The first part, in the order of encoding, whose length does not fit the format.
    #[inline]
    pub(crate) fn measure(
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
        headers: &'a [Header<'a>],
    ) -> Result<Self, RecordLimit> {
        let mut size = measured(RecordPart::Key, key.map(<[u8]>::len))?
            .saturating_add(measured(RecordPart::Value, value.map(<[u8]>::len))?);
        size = size.saturating_add(if headers.is_empty() { 1 } else { headers_len(headers)? });
        within(RecordPart::Record, size.saturating_add(MAX_RECORD_OVERHEAD))?;
        Ok(Self { key, value, headers, encoded_len: size })
    }

    /// Bytes from the key's length to the last header.
    #[inline]
    pub(crate) const fn encoded_len(&self) -> usize {
        self.encoded_len
    }

    /// The most bytes a batch with this record alone can have, uncompressed: what is held against
    /// `max_request_size` and the memory budget before the record is accepted.
    #[inline]
    pub(crate) const fn size_upper_bound(&self) -> usize {
        Self::MAX_OVERHEAD + self.encoded_len
    }

    fn write_headers(&self, out: &mut [u8], at: usize) -> usize {
        let mut at = varint::put(out, at, varint::length(self.headers.len()));
        for header in self.headers {
            at = put_nullable(out, at, Some(header.name.as_bytes()));
            at = put_nullable(out, at, header.value);
        }
        at
    }

    /// Writes the payload at `at`; returns the position after it.
    #[inline(always)]
    pub(super) fn write(&self, out: &mut [u8], at: usize) -> usize {
        let at = put_nullable(out, at, self.key);
        let at = put_nullable(out, at, self.value);
        if self.headers.is_empty() {
            out[at] = 0;
            return at + 1;
        }
        self.write_headers(out, at)
    }
}

#[inline(always)]
fn put_nullable(out: &mut [u8], at: usize, bytes: Option<&[u8]>) -> usize {
    let Some(bytes) = bytes else {
        return varint::put(out, at, varint::zigzag64(-1));
    };
    let at = varint::put(out, at, varint::length(bytes.len()));
    out[at..at + bytes.len()].copy_from_slice(bytes);
    at + bytes.len()
}

fn headers_len(headers: &[Header<'_>]) -> Result<usize, RecordLimit> {
    let count = within(RecordPart::HeaderCount, headers.len())?;
    headers.iter().enumerate().try_fold(
        varint::encoded_len(varint::length(count)),
        |size, (index, header)| {
            let name = measured(RecordPart::HeaderName(index), Some(header.name.len()))?;
            let value = measured(RecordPart::HeaderValue(index), header.value.map(<[u8]>::len))?;
            Ok(size.saturating_add(name).saturating_add(value))
        },
    )
}

/// The encoded size of nullable bytes of length `len`.
#[inline]
fn measured(part: RecordPart, len: Option<usize>) -> Result<usize, RecordLimit> {
    let Some(len) = len else { return Ok(1) };
    let len = within(part, len)?;
    Ok(varint::encoded_len(varint::length(len)).saturating_add(len))
}

#[inline]
fn within(part: RecordPart, len: usize) -> Result<usize, RecordLimit> {
    if len > FORMAT_LIMIT {
        return Err(RecordLimit { part, len, limit: FORMAT_LIMIT });
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_beyond_the_format_are_named() {
        let limit = i32::MAX as usize;
        assert!(measured(RecordPart::Value, Some(limit)).is_ok());
        let error = measured(RecordPart::HeaderName(3), Some(limit + 1)).unwrap_err();
        assert_eq!(error, RecordLimit { part: RecordPart::HeaderName(3), len: limit + 1, limit });
        assert_eq!(
            error.to_string(),
            "length of the name of header 3 is 2147483648, the record format allows at most \
             2147483647"
        );
    }

    #[test]
    fn upper_bound_is_the_batch_header_the_worst_overhead_and_the_payload() {
        let headers = [Header { name: "h", value: Some(b"1") }, Header { name: "", value: None }];
        let payload = Payload::measure(Some(b"key"), None, &headers).unwrap();
        assert_eq!(payload.encoded_len(), 4 + 1 + 1 + (2 + 2) + (1 + 1));
        assert_eq!(payload.size_upper_bound(), 61 + 21 + 12);
    }
}
