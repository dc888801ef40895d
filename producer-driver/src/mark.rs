//! What a delivery knows of its record, in one word.

use std::fmt;

/// Bits of the record's place in its batch.
const INDEX_BITS: u32 = 32;

/// Bits of who waits.
const WAIT_BITS: u32 = 2;

/// Which record of a batch it is, who waits for its result, and by how much its timestamp differs
/// from that of the batch.
///
/// One word, so that a delivery has two and is handed on in registers: records come so fast that
/// to write three and read them again at once is felt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(u64);

/// Who waits for a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Nobody yet; waiting may cut the linger short.
    Unawaited = 0,
    /// Nobody yet; the linger is left as it is.
    Lingering = 1,
    /// Somebody has left a waker.
    Awaited = 2,
}

impl Mark {
    /// Stands for a difference that is too large for it: a week.
    const FAR: i64 = i64::MIN >> (INDEX_BITS + WAIT_BITS);

    /// The mark of a record that nobody waits for yet.
    #[inline]
    pub(crate) fn new(index: u32, base_timestamp: i64, timestamp: i64) -> Self {
        let difference = timestamp
            .checked_sub(base_timestamp)
            .filter(|difference| difference.unsigned_abs() < Self::FAR.unsigned_abs())
            .unwrap_or(Self::FAR);
        Self((difference << (INDEX_BITS + WAIT_BITS)) as u64 | u64::from(index))
    }

    /// The append index of the record in its batch.
    #[inline]
    pub(crate) fn index(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    pub(crate) fn wait(self) -> Wait {
        match (self.0 >> INDEX_BITS) & ((1 << WAIT_BITS) - 1) {
            0 => Wait::Unawaited,
            1 => Wait::Lingering,
            _ => Wait::Awaited,
        }
    }

    /// Gives what it was before.
    pub(crate) fn set_wait(&mut self, wait: Wait) -> Wait {
        let before = self.wait();
        let others = self.0 & !(((1 << WAIT_BITS) - 1) << INDEX_BITS);
        self.0 = others | (wait as u64) << INDEX_BITS;
        before
    }

    /// The record's timestamp; `None` when it is too far from that of the batch.
    #[inline]
    pub(crate) fn timestamp(self, base_timestamp: i64) -> Option<i64> {
        let difference = self.0 as i64 >> (INDEX_BITS + WAIT_BITS);
        // No overflow: it is the timestamp that the difference was taken from.
        (difference != Self::FAR).then(|| base_timestamp.wrapping_add(difference))
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {}, {:?}", self.index(), self.wait())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_comes_out() {
        let week = 500_000_000;
        for base in [0, 1_700_000_000_000, i64::MIN, i64::MAX] {
            for index in [0, 1, u32::MAX] {
                for difference in [0, 1, -1, week, -week] {
                    let Some(timestamp) = base.checked_add(difference) else { continue };
                    let mut mark = Mark::new(index, base, timestamp);
                    for wait in [Wait::Unawaited, Wait::Lingering, Wait::Awaited] {
                        mark.set_wait(wait);
                        assert_eq!(mark.wait(), wait);
                        assert_eq!(mark.index(), index);
                        assert_eq!(mark.timestamp(base), Some(timestamp), "{base}");
                    }
                    assert_eq!(mark.set_wait(Wait::Unawaited), Wait::Awaited);
                }
            }
        }
    }

    #[test]
    fn a_timestamp_that_is_far_away_is_not_in_it() {
        for (base, timestamp) in
            [(0, 1 << 29), (0, -(1 << 29)), (i64::MIN, i64::MAX), (1, i64::MIN)]
        {
            let mark = Mark::new(7, base, timestamp);
            assert_eq!((mark.timestamp(base), mark.index()), (None, 7));
            assert_eq!(mark.wait(), Wait::Unawaited);
        }
    }
}
