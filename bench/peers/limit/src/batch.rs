//! Record batches, of version 2, encoded into memory that is there.

use bench_common::{Options, Payload};

use crate::checksum::Checksum;

/// Bytes of a batch's header.
pub(crate) const HEADER: usize = 61;

/// The most that a record has beside key and value: five lengths and deltas, attributes.
const RECORD_OVERHEAD: usize = 16;

/// Bytes of a key.
const KEY: usize = 8;

/// Bytes that the largest record needs.
fn record_room(options: &Options) -> usize {
    options.size + RECORD_OVERHEAD + if options.keyed { KEY } else { 0 }
}

/// Bytes of a batch that surely has room for a record.
pub(crate) fn room(options: &Options) -> usize {
    HEADER + record_room(options)
}

/// The records of a run, encoded one batch after the other.
pub(crate) struct Records<'a> {
    payload: &'a Payload,
    room: usize,
    next: u64,
    end: u64,
}

impl<'a> Records<'a> {
    pub(crate) fn new(options: &Options, payload: &'a Payload, records: u64) -> Self {
        Self { payload, room: record_room(options), next: 0, end: records }
    }

    /// How many are left.
    pub(crate) fn left(&self) -> u64 {
        self.end - self.next
    }

    /// Encodes as many records as surely fit, behind room for the header. The length with the
    /// header, and how many they are.
    #[inline]
    pub(crate) fn encode(&mut self, batch: &mut [u8]) -> (usize, i32) {
        let mut writer = Writer { bytes: batch, at: HEADER };
        let mut count = 0;
        while writer.at + self.room <= writer.bytes.len() && self.next < self.end {
            writer.record(count.into(), self.payload.key(self.next), self.payload.value(self.next));
            self.next += 1;
            count += 1;
        }
        (writer.at, count)
    }
}

/// Writes the header, without a producer id, in front of encoded records.
pub(crate) fn write_header(
    batch: &mut [u8],
    records: i32,
    codec: u8,
    checksum: Checksum,
    timestamp: i64,
) {
    let length = (batch.len() - 12) as i32;
    batch[..8].fill(0); // base offset
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[12..16].fill(0xff); // leader epoch
    batch[16] = 2; // version
    batch[21] = 0;
    batch[22] = codec;
    batch[23..27].copy_from_slice(&(records - 1).to_be_bytes());
    batch[27..35].copy_from_slice(&timestamp.to_be_bytes());
    batch[35..43].copy_from_slice(&timestamp.to_be_bytes());
    batch[43..57].fill(0xff); // producer id, epoch, sequence
    batch[57..61].copy_from_slice(&records.to_be_bytes());
    let crc = checksum.of(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

struct Writer<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    /// A record with the batch's timestamp and without headers.
    #[inline]
    fn record(&mut self, offset_delta: i64, key: Option<&[u8]>, value: &[u8]) {
        let key_size = key.map_or(1, |key| bytes_size(key.len()));
        let size = 2 + varint_size(offset_delta) + key_size + bytes_size(value.len()) + 1;
        self.varint(size as i64);
        self.put(&[0, 0]); // attributes, timestamp delta
        self.varint(offset_delta);
        match key {
            Some(key) => self.bytes(key),
            None => self.varint(-1),
        }
        self.bytes(value);
        self.varint(0); // headers
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as i64);
        self.put(bytes);
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    #[inline]
    fn varint(&mut self, number: i64) {
        let mut rest = zigzag(number);
        while rest >= 0x80 {
            self.bytes[self.at] = rest as u8 | 0x80;
            self.at += 1;
            rest >>= 7;
        }
        self.bytes[self.at] = rest as u8;
        self.at += 1;
    }
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

#[inline]
fn varint_size(number: i64) -> usize {
    (70 - (zigzag(number) | 1).leading_zeros() as usize) / 7
}

/// The size of bytes with their length in front.
#[inline]
fn bytes_size(length: usize) -> usize {
    varint_size(length as i64) + length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_as_kafka_wants_it() {
        let mut bytes = [0; 64];
        let mut writer = Writer { bytes: &mut bytes, at: 0 };
        writer.record(1, None, b"v");
        writer.record(64, Some(b"k"), b"");
        let end = writer.at;
        let first = [14, 0, 0, 2, 1, 2, b'v', 0];
        let second = [16, 0, 0, 0x80, 1, 2, b'k', 0, 0];
        assert_eq!(bytes[..end], [&first[..], &second[..]].concat());
    }

    #[test]
    fn sizes_of_numbers_are_those_that_are_written() {
        for number in [0, -1, 63, 64, -64, -65, 8_191, 8_192, i64::from(i32::MAX), i64::MIN] {
            let mut bytes = [0; 10];
            let mut writer = Writer { bytes: &mut bytes, at: 0 };
            writer.varint(number);
            assert_eq!(writer.at, varint_size(number), "{number}");
        }
    }
}
