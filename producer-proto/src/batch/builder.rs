//! An open batch: records are encoded straight into the bytes that will be sent.

use bytes::Bytes;

use super::crc::Hashed;
use super::header::HEADER_LEN;
use super::payload::Payload;
use super::quick::Room;
use super::ratio::CompressionRatio;
use super::records::{body_len, put_prefix, record_len, take_record};
use super::varint;

/// An open batch.
///
/// Records are numbered from 0 in the order of appending, for ever: cancelling one leaves a hole.
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    /// All of it is initialised; the records are the first `len` bytes. Writing into a slice costs
    /// one bounds check per field instead of one capacity check and length update.
    pub(super) buffer: Vec<u8>,
    pub(super) len: usize,
    /// How far records may go without a further look.
    pub(super) room: Room,
    /// What a large batch has hashed of its records already, while they were in the processor's
    /// cache.
    pub(super) hashed: Hashed,
    /// The buffer grows to this size by doubling, beyond it only by what one record needs.
    usual_size: usize,
    pub(super) count: u32,
    pub(super) base_timestamp: i64,
    pub(super) max_timestamp: i64,
    /// Sorted indexes of cancelled records.
    holes: Vec<u32>,
}

/// A closed batch: its records as encoded, without compression, CRC or header.
#[derive(Clone, Debug)]
pub(crate) struct RawBatch {
    /// The encoded records, holes removed.
    pub(crate) records: Bytes,
    /// The number of records in `records`.
    pub(crate) count: u32,
    /// What the records' timestamp deltas are relative to.
    pub(crate) base_timestamp: i64,
    /// The largest timestamp of the records.
    pub(crate) max_timestamp: i64,
    /// The CRC of the first of `records`, as far as it is known.
    pub(crate) hashed: Hashed,
    /// Sorted append indexes of the cancelled records. Almost always empty, and then without an
    /// allocation.
    pub(crate) holes: Box<[u32]>,
}

impl BatchBuilder {
    /// An empty batch that writes into `buffer`, whose contents do not matter. When the buffer is
    /// too small it grows: by doubling up to `usual_size`, then by what a record needs.
    pub(crate) fn new(mut buffer: Vec<u8>, usual_size: usize) -> Self {
        buffer.resize(buffer.capacity(), 0);
        Self {
            buffer,
            len: 0,
            room: Room::default(),
            hashed: Hashed::default(),
            usual_size,
            count: 0,
            base_timestamp: -1,
            max_timestamp: -1,
            holes: Vec::new(),
        }
    }

    /// Bytes of encoded records; cancelled ones count until [`finish`](Self::finish).
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory held for the records: what the budget is charged with.
    #[inline]
    pub(crate) const fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// [`capacity`](Self::capacity) after appending `additional` bytes.
    #[inline]
    pub(crate) fn capacity_after(&self, additional: usize) -> usize {
        let needed = self.len.saturating_add(additional);
        if needed <= self.buffer.len() {
            return self.buffer.len();
        }
        needed.max(self.buffer.len().saturating_mul(2).min(self.usual_size))
    }

    /// Bytes of memory that are missing for appending `additional` bytes.
    pub(crate) fn shortage(&self, additional: usize) -> usize {
        self.len.saturating_add(additional).saturating_sub(self.buffer.len())
    }

    /// Records appended, cancelled ones included: the index of the next record.
    #[cfg(test)]
    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    /// Records appended and not cancelled.
    #[inline]
    pub(crate) fn live(&self) -> u32 {
        self.count - self.holes.len() as u32
    }

    /// Sorted append indexes of the cancelled records.
    pub(crate) fn holes(&self) -> &[u32] {
        &self.holes
    }

    /// The exact size of this record if it were appended next.
    #[inline]
    pub(crate) fn encoded_len(&self, timestamp: i64, payload: &Payload<'_>) -> usize {
        record_len(self.timestamp_delta(timestamp), self.count, payload.encoded_len())
    }

    /// Whether a record of `encoded_len` bytes may join: the estimated compressed batch stays
    /// within `batch_size` and the uncompressed one within `raw_cap` (both with the batch header).
    /// The first record always may.
    #[inline]
    pub(crate) fn has_room(
        &self,
        encoded_len: usize,
        ratio: &CompressionRatio,
        batch_size: usize,
        raw_cap: usize,
    ) -> bool {
        self.count == 0
            || (ratio.estimate(self.len).saturating_add(encoded_len) <= batch_size
                && (HEADER_LEN + self.len).saturating_add(encoded_len) <= raw_cap)
    }

    /// Appends a record and returns its index.
    ///
    /// Timestamps may go backwards and be of any value; deltas wrap, as readers' sums do.
    #[inline]
    pub(crate) fn append(&mut self, timestamp: i64, payload: &Payload<'_>) -> u32 {
        let delta = self.timestamp_delta(timestamp);
        let index = self.count;
        let body = body_len(delta, index, payload.encoded_len());
        let total = varint::encoded_len(varint::length(body)) + body;
        if self.buffer.len() - self.len < total {
            self.grow(self.capacity_after(total) - self.buffer.len());
        }
        let out = &mut self.buffer[self.len..self.len + total];
        let at = put_prefix(out, 0, delta, index, body);
        let end = payload.write(out, at);
        debug_assert_eq!(end, total, "a record is as long as it was measured");
        if index == 0 {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        } else {
            self.max_timestamp = self.max_timestamp.max(timestamp);
        }
        self.len += total;
        self.count += 1;
        index
    }

    /// Takes the record with this index out of the batch. `false` when there is no such record or
    /// it is out already. The bytes go at [`finish`](Self::finish).
    pub(crate) fn cancel(&mut self, index: u32) -> bool {
        if index >= self.count {
            return false;
        }
        match self.holes.binary_search(&index) {
            Ok(_) => false,
            Err(at) => {
                self.holes.insert(at, index);
                true
            }
        }
    }

    /// Closes the batch. Without live records the result has none, and is not to be sent.
    pub(crate) fn finish(mut self) -> RawBatch {
        if !self.holes.is_empty() {
            self.compact();
        }
        let count = self.live();
        self.buffer.truncate(self.len);
        RawBatch {
            records: Bytes::from(self.buffer),
            count,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            hashed: self.hashed,
            holes: self.holes.into_boxed_slice(),
        }
    }

    #[inline]
    fn timestamp_delta(&self, timestamp: i64) -> i64 {
        if self.count == 0 { 0 } else { timestamp.wrapping_sub(self.base_timestamp) }
    }

    /// Makes the buffer so many bytes larger.
    #[cold]
    pub(crate) fn grow(&mut self, bytes: usize) {
        self.buffer.reserve_exact(bytes);
        self.buffer.resize(self.buffer.len() + bytes, 0);
    }

    /// Moves the live records together and numbers them anew, in place.
    ///
    /// The base timestamp stays, even if the record it came from is gone: it only is what deltas
    /// are relative to. So no record grows, and a batch that fitted before still fits.
    fn compact(&mut self) {
        let mut holes = self.holes.iter().copied().peekable();
        let (mut read, mut write, mut kept) = (0, 0, 0);
        let mut max_timestamp = None;
        for index in 0..self.count {
            let mut rest = &self.buffer[read..self.len];
            let record = take_record(&mut rest).expect("a record that this builder encoded");
            let (delta, payload_len) = (record.timestamp_delta, record.payload.len());
            read = self.len - rest.len();
            if holes.next_if_eq(&index).is_some() {
                continue;
            }
            let timestamp = self.base_timestamp.wrapping_add(delta);
            max_timestamp = max_timestamp.max(Some(timestamp));
            let body = body_len(delta, kept, payload_len);
            write = put_prefix(&mut self.buffer, write, delta, kept, body);
            self.buffer.copy_within(read - payload_len..read, write);
            write += payload_len;
            kept += 1;
        }
        self.len = write;
        self.hashed = Hashed::default();
        self.max_timestamp = max_timestamp.unwrap_or(self.base_timestamp);
    }
}
