//! What the records of a run hold: a number that nobody else has, and a check on all the rest.

use crate::records::LogRecord;
use crc_fast::{CrcAlgorithm, Digest};

/// Bytes that every value has at least.
pub(crate) const LEAST_VALUE: usize = 12;

/// The number of a record: the producer's place among those of the run, and the append's among
/// those of the producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RecordNumber {
    pub(crate) instance: u32,
    pub(crate) append: u32,
}

impl std::fmt::Display for RecordNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "r{}.{}", self.instance, self.append)
    }
}

/// Writes a value of `size` bytes, or the least that holds the number.
pub(crate) fn write_value(number: RecordNumber, size: usize, value: &mut Vec<u8>) {
    value.clear();
    value.extend_from_slice(&number.instance.to_be_bytes());
    value.extend_from_slice(&number.append.to_be_bytes());
    let check = crc_fast::checksum(CrcAlgorithm::Crc32IsoHdlc, value) as u32;
    value.extend_from_slice(&check.to_be_bytes());
    let mut filler = u64::from(number.append) | 1;
    while value.len() < size {
        filler = filler.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ filler >> 29;
        // Runs of equal bytes, so that codecs have something to do.
        let run = 1 + (filler >> 60) as usize;
        let end = (value.len() + run).min(size);
        value.resize(end, (filler >> 8) as u8);
    }
}

/// The number that a value holds, if it is one of ours.
pub(crate) fn read_value(value: &[u8]) -> Option<RecordNumber> {
    let (number, rest) = value.split_first_chunk::<8>()?;
    let check = u32::from_be_bytes(*rest.first_chunk()?);
    if crc_fast::checksum(CrcAlgorithm::Crc32IsoHdlc, number) as u32 != check {
        return None;
    }
    let number = u64::from_be_bytes(*number);
    Some(RecordNumber { instance: (number >> 32) as u32, append: number as u32 })
}

/// A digest of everything that a record holds, but for its timestamp.
pub(crate) fn digest<'a>(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
) -> u64 {
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    let mut part = |bytes: Option<&[u8]>| {
        let length = bytes.map_or(u64::MAX, |bytes| bytes.len() as u64);
        digest.update(&length.to_be_bytes());
        digest.update(bytes.unwrap_or_default());
    };
    part(key);
    part(value);
    for (name, value) in headers {
        part(Some(name.as_bytes()));
        part(value);
    }
    digest.finalize()
}

/// The digest of a record in a log.
pub(crate) fn digest_of(record: &LogRecord) -> u64 {
    let headers = record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
    digest(record.key.as_deref(), record.value.as_deref(), headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_gives_its_number_back_and_notices_damage() {
        let number = RecordNumber { instance: 3, append: 70_000 };
        let mut value = Vec::new();
        for size in [0, 12, 13, 500] {
            write_value(number, size, &mut value);
            assert_eq!(value.len(), size.max(LEAST_VALUE));
            assert_eq!(read_value(&value), Some(number));
        }
        let whole = digest(None, Some(&value), [].into_iter());
        value[3] ^= 1;
        assert_eq!(read_value(&value), None);
        assert_ne!(digest(None, Some(&value), [].into_iter()), whole);
        assert_ne!(
            digest(Some(b""), None, [].into_iter()),
            digest(None, Some(b""), [].into_iter())
        );
    }
}
