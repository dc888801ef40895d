//! Damaged answers, for a decoder that makes room for as many elements as they claim to have.

use std::ops::Range;

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::buf::ByteBuf;

/// Numbers up to this are believed: to make room for so many elements does no harm.
const HARMLESS: u64 = 1 << 20;

/// Bytes in which no length or count may be larger than what is left. All numbers of variable length
/// in answers are such, or small; one that is not ends the decoding. Counts of four bytes, as versions
/// before the flexible ones have them, look like any other number and are believed.
pub(super) struct Careful<'a> {
    bytes: &'a mut Bytes,
    /// What the last bytes, read one by one, come to as a number of variable length, if that goes on.
    number: u64,
    bits: u32,
}

impl<'a> Careful<'a> {
    pub(super) fn new(bytes: &'a mut Bytes) -> Self {
        Self { bytes, number: 0, bits: 0 }
    }
}

impl Buf for Careful<'_> {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        (self.number, self.bits) = (0, 0);
        self.bytes.advance(count);
    }

    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        let byte = self.bytes.try_get_u8()?;
        self.number |= u64::from(byte & 0x7f).checked_shl(self.bits).unwrap_or(0);
        self.bits += 7;
        if byte < 0x80 {
            let number = std::mem::take(&mut self.number);
            self.bits = 0;
            let available = self.bytes.remaining();
            if number > HARMLESS.max(available as u64) {
                return Err(TryGetError { requested: number as usize, available });
            }
        }
        Ok(byte)
    }
}

impl ByteBuf for Careful<'_> {
    fn peek_bytes(&mut self, range: Range<usize>) -> Bytes {
        self.bytes.peek_bytes(range)
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        (self.number, self.bits) = (0, 0);
        self.bytes.get_bytes(size)
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::ProduceResponse;
    use kafka_protocol::protocol::{Decodable, Encodable};

    use super::*;

    #[test]
    fn a_count_beyond_all_bytes_is_an_error_and_takes_no_memory() {
        // One topic without a name; 268,435,455 partitions.
        let mut damaged = Bytes::from_static(&[2, 1, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0]);
        assert!(ProduceResponse::decode(&mut Careful::new(&mut damaged), 9).is_err());
        // Five bytes of a number: more than a u32.
        let mut damaged = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0]);
        assert!(ProduceResponse::decode(&mut Careful::new(&mut damaged), 9).is_err());
    }

    #[test]
    fn what_is_whole_is_read_as_ever() {
        let response = ProduceResponse::default().with_throttle_time_ms(7);
        let mut bytes = Vec::new();
        response.encode(&mut bytes, 9).unwrap();
        let mut bytes = Bytes::from(bytes);
        let read = ProduceResponse::decode(&mut Careful::new(&mut bytes), 9).unwrap();
        assert_eq!(read, response);
        assert!(bytes.is_empty());
    }
}
