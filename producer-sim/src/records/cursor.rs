//! Bounded reading of big-endian integers and zigzag varints.

use bytes::{Buf, Bytes};

/// Reads from the front; each method gives `None`, and may have consumed some bytes, when the
/// bytes at hand do not hold a whole value.
pub(super) struct Cursor(Bytes);

macro_rules! integer {
    ($($name:ident: $type:ty = $get:ident),*) => {
        $(pub(super) fn $name(&mut self) -> Option<$type> {
            self.0.$get().ok()
        })*
    };
}

impl Cursor {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(super) fn remaining(&self) -> usize {
        self.0.len()
    }

    integer! {
        i8: i8 = try_get_i8,
        i16: i16 = try_get_i16,
        i32: i32 = try_get_i32,
        u32: u32 = try_get_u32,
        i64: i64 = try_get_i64
    }

    /// The next `len` bytes as a cursor of their own.
    pub(super) fn split(&mut self, len: usize) -> Option<Self> {
        (len <= self.0.len()).then(|| Self(self.0.split_to(len)))
    }

    /// A zigzag varint of at most 32 bits in at most five bytes.
    pub(super) fn varint(&mut self) -> Option<i32> {
        let raw = u32::try_from(self.unsigned(5)?).ok()?;
        Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// A zigzag varint of at most 64 bits in at most ten bytes.
    pub(super) fn varlong(&mut self) -> Option<i64> {
        let raw = self.unsigned(10)?;
        Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// A varint length and that many bytes; the inner `None` is Kafka's null (length -1).
    pub(super) fn nullable_bytes(&mut self) -> Option<Option<Bytes>> {
        match self.varint()? {
            -1 => Some(None),
            len => self.split(usize::try_from(len).ok()?).map(|part| Some(part.0)),
        }
    }

    /// A length in four bytes and that many bytes; the inner `None` is null (length -1).
    pub(super) fn sized_bytes(&mut self) -> Option<Option<Bytes>> {
        match self.i32()? {
            -1 => Some(None),
            len => self.split(usize::try_from(len).ok()?).map(|part| Some(part.0)),
        }
    }

    /// A checksum of what is left.
    pub(super) fn checksum(&self, algorithm: crc_fast::CrcAlgorithm) -> u64 {
        crc_fast::checksum(algorithm, &self.0)
    }

    fn unsigned(&mut self, max_bytes: u32) -> Option<u64> {
        let mut value = 0_u64;
        for i in 0..max_bytes {
            let byte = self.0.try_get_u8().ok()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits << (7 * i);
            if shifted >> (7 * i) != bits {
                return None; // more than 64 bits
            }
            value |= shifted;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}
