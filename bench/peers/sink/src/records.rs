//! The records of an uncompressed batch.

/// Whether `bytes` are exactly so many records: their lengths, offset deltas from 0 on, keys,
/// values and headers, and nothing after them.
pub(crate) fn are_framed(bytes: &[u8], records: i32) -> bool {
    let mut rest = Fields(bytes);
    (0..records).all(|number| rest.record(number.into()).is_some()) && rest.0.is_empty()
}

/// Bytes that are taken from the front. `None` when there are too few.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn record(&mut self, offset_delta: i64) -> Option<()> {
        let length = self.varint()?;
        let mut record = Fields(self.take(length)?);
        record.take(1)?; // attributes
        record.varint()?; // timestamp delta
        let is_next = record.varint()? == offset_delta;
        record.nullable()?;
        record.nullable()?;
        let headers = record.varint()?;
        for _ in 0..headers {
            let name = record.varint()?;
            record.take(name)?;
            record.nullable()?;
        }
        (is_next && headers >= 0 && record.0.is_empty()).then_some(())
    }

    fn nullable(&mut self) -> Option<()> {
        match self.varint()? {
            -1 => Some(()),
            length => self.take(length).map(|_| ()),
        }
    }

    fn take(&mut self, length: i64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    /// A signed number of variable length.
    fn varint(&mut self) -> Option<i64> {
        let mut bits = 0u64;
        for shift in (0..70).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            bits |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some((bits >> 1) as i64 ^ -((bits & 1) as i64));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::are_framed;

    /// Key null, value "v", header "h" with null; the offset delta is the 4th byte.
    const RECORD: [u8; 10] = [18, 0, 0, 0, 1, 2, b'v', 2, 2, b'h'];

    fn record(offset_delta: u8) -> Vec<u8> {
        let mut record = RECORD.to_vec();
        record[3] = offset_delta * 2;
        record[0] = 20;
        record.push(1);
        record
    }

    #[test]
    fn records_fill_the_batch_and_are_numbered() {
        let two = [record(0), record(1)].concat();
        assert!(are_framed(&two, 2));
        assert!(are_framed(&[], 0));
        assert!(!are_framed(&two, 1), "one too many");
        assert!(!are_framed(&two, 3), "one too few");
        assert!(!are_framed(&two[..two.len() - 1], 2), "cut off");
        assert!(!are_framed(&[record(0), record(0)].concat(), 2), "a number twice");
        assert!(!are_framed(&RECORD, 1), "a header without a value");
    }
}
