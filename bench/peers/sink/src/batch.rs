//! Record batches: what their headers say.

use crate::connection::Request;
use crate::input::{Input, Stop};
use crate::records;
use crate::state::Partition;

/// Bytes of a header.
const HEADER: usize = 61;

/// Bytes before those that the length in the header counts.
const BEFORE_LENGTH: usize = 12;

/// Where the bytes begin that the CRC is of.
const AFTER_CRC: usize = 21;

/// What is of interest in a header.
struct Header {
    bytes: [u8; HEADER],
    /// Bytes of the whole batch.
    size: usize,
    records: i32,
}

impl Header {
    /// `None` when it cannot be one of a batch of at most `room` bytes.
    fn parse(bytes: [u8; HEADER], room: usize) -> Option<Self> {
        let mut header = Self { bytes, size: 0, records: 0 };
        header.size = usize::try_from(header.i32(8)).ok()? + BEFORE_LENGTH;
        header.records = header.i32(57);
        let is_version_2 = header.bytes[16] == 2;
        let fits = (HEADER..=room).contains(&header.size) && header.records >= 0;
        (is_version_2 && fits).then_some(header)
    }

    fn crc(&self) -> u32 {
        self.i32(17) as u32
    }

    fn codec(&self) -> usize {
        usize::from(self.bytes[22] & 7)
    }

    fn last_offset_delta(&self) -> i32 {
        self.i32(23)
    }

    fn producer_id(&self) -> i64 {
        i64::from_be_bytes(self.at(43))
    }

    fn epoch(&self) -> i16 {
        i16::from_be_bytes(self.at(51))
    }

    fn sequence(&self) -> i32 {
        self.i32(53)
    }

    fn i32(&self, at: usize) -> i32 {
        i32::from_be_bytes(self.at(at))
    }

    fn at<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|i| self.bytes[at + i])
    }
}

/// Takes the batches of a partition, which have `room` bytes. The first one's offset, -1 if there
/// is none.
pub(crate) fn take_all(
    request: &Request<'_>,
    partition: &Partition,
    input: &mut Input,
    mut room: usize,
) -> Result<i64, Stop> {
    let mut first = -1;
    while room > 0 {
        let header = Header::parse(input.array()?, room);
        let header = header.ok_or(Stop::Malformed("the header of a batch"))?;
        let offset = take(request, partition, input, &header)?;
        first = if first < 0 { offset } else { first };
        room -= header.size;
    }
    Ok(first)
}

/// Takes one batch. Its offset.
fn take(
    request: &Request<'_>,
    partition: &Partition,
    input: &mut Input,
    header: &Header,
) -> Result<i64, Stop> {
    let totals = &request.count.totals;
    let body = header.size - HEADER;
    if header.last_offset_delta() != header.records - 1 {
        totals.malformed.add(1);
    }
    if request.cluster.options().crc == 1 {
        let body = input.peek(body)?;
        let crc = crc32c::crc32c(&header.bytes[AFTER_CRC..]);
        if crc32c::crc32c_append(crc, body) != header.crc() {
            totals.crc_errors.add(1);
        }
        if header.codec() == 0 && !records::are_framed(body, header.records) {
            totals.record_errors.add(1);
        }
    }
    let producer_id = header.producer_id();
    let (sequence, records) = (header.sequence(), header.records);
    if producer_id >= 0 && !partition.is_next(producer_id, header.epoch(), sequence, records) {
        totals.sequence_errors.add(1);
    }
    input.skip(body)?;

    let records = u64::from(records.unsigned_abs());
    totals.records.add(records);
    totals.batches.add(1);
    totals.batch_bytes.add(header.size as u64);
    totals.batches_by_codec[header.codec()].add(1);
    Ok(partition.append(records))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_of_version_2_and_of_a_batch_that_fits() {
        let mut bytes = [0; HEADER];
        bytes[8..12].copy_from_slice(&60i32.to_be_bytes());
        bytes[16] = 2;
        bytes[57..61].copy_from_slice(&3i32.to_be_bytes());
        let parsed = Header::parse(bytes, 72).unwrap();
        assert_eq!((parsed.size, parsed.records, parsed.sequence()), (72, 3, 0));
        assert!(Header::parse(bytes, 71).is_none(), "longer than there is room");
        bytes[11] = 40;
        assert!(Header::parse(bytes, 72).is_none(), "shorter than its header");
        bytes[11] = 60;
        bytes[16] = 1;
        assert!(Header::parse(bytes, 72).is_none(), "an old format");
    }
}
