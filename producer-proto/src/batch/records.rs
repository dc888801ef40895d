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
