//! Walking encoded records again, to renumber them when some are cancelled or a batch is split.

use super::varint;

/// One record as it lies in a batch's uncompressed body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EncodedRecord<'a> {
    /// Timestamp minus the batch's base timestamp (wrapping).
    pub(super) timestamp_delta: i64,
    /// Key, value and headers, as encoded.
    pub(super) payload: &'a [u8],
}

/// The parts of a record's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields<'a> {
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) has_headers: bool,
}

impl<'a> EncodedRecord<'a> {
    /// The payload's parts; `None` when it is not one.
    pub(super) fn fields(&self) -> Option<Fields<'a>> {
        let mut rest = self.payload;
        let key = take_nullable(&mut rest)?;
        let value = take_nullable(&mut rest)?;
        Some(Fields { key, value, has_headers: varint::take(&mut rest)? != 0 })
    }
}

/// Takes what has its length in front; a negative length means null.
fn take_nullable<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let Ok(len) = usize::try_from(varint::unzigzag64(varint::take(bytes)?)) else {
        return Some(None);
    };
    let (taken, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(Some(taken))
}

/// The size of a record with these deltas and a payload of this size, its length field included.
#[inline]
pub(super) fn record_len(timestamp_delta: i64, offset_delta: u32, payload_len: usize) -> usize {
    let body = body_len(timestamp_delta, offset_delta, payload_len);
    varint::encoded_len(varint::length(body)) + body
}

/// The size of a record after its length field.
#[inline]
pub(super) fn body_len(timestamp_delta: i64, offset_delta: u32, payload_len: usize) -> usize {
    1 + varint::encoded_len(varint::zigzag64(timestamp_delta))
        + varint::encoded_len(varint::length(offset_delta as usize))
        + payload_len
}

/// Writes what stands before the payload (length, attributes, deltas) at `at`; returns the
/// position after it.
#[inline(always)]
pub(super) fn put_prefix(
    out: &mut [u8],
    at: usize,
    timestamp_delta: i64,
    offset_delta: u32,
    body_len: usize,
) -> usize {
    let at = varint::put(out, at, varint::length(body_len));
    out[at] = 0; // record attributes: none are defined
    let at = varint::put(out, at + 1, varint::zigzag64(timestamp_delta));
    varint::put(out, at, varint::length(offset_delta as usize))
}

/// Takes the next record from the front of `body`; `None` when the bytes are not a record.
pub(super) fn take_record<'a>(body: &mut &'a [u8]) -> Option<EncodedRecord<'a>> {
    let len = usize::try_from(varint::unzigzag64(varint::take(body)?)).ok()?;
    let (mut record, rest) = body.split_at_checked(len)?;
    *body = rest;
    let (_attributes, deltas) = record.split_first()?;
    record = deltas;
    let timestamp_delta = varint::unzigzag64(varint::take(&mut record)?);
    let _offset_delta = varint::take(&mut record)?;
    Some(EncodedRecord { timestamp_delta, payload: record })
}
