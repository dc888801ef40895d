//! CRC-32C.

use crc_fast::CrcAlgorithm;

/// Who computes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// Nobody.
    None,
    /// The crate crc32c.
    Crc32c,
    /// The crate crc-fast.
    CrcFast,
}

impl Checksum {
    #[inline]
    pub(crate) fn of(self, bytes: &[u8]) -> u32 {
        match self {
            Self::None => 0,
            Self::Crc32c => crc32c::crc32c(bytes),
            Self::CrcFast => crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Checksum;

    #[test]
    fn both_crates_agree() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(Checksum::Crc32c.of(b"123456789"), 0xe306_9283);
        assert_eq!(Checksum::Crc32c.of(&bytes), Checksum::CrcFast.of(&bytes));
    }
}
