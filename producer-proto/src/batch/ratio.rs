//! How well a topic's records compress, learnt from the batches sealed so far.

use crate::Codec;

use super::header::HEADER_LEN;
use super::sealed::SealedBatch;

/// Parts per million: the estimate is an integer so that every machine computes the same.
const ONE: u64 = 1_000_000;

/// How fast the estimate falls when batches compress better than it says.
const IMPROVE: u64 = 5_000;

/// How fast it rises, at least, when they compress worse.
const WORSEN: u64 = 50_000;

/// Bounds the estimate, so that no product overflows. A body is never larger than its records;
/// only a message set may be, some five times.
const MAX: u64 = 1_000 * ONE;

/// An estimate of compressed size over uncompressed size, of one topic and codec.
///
/// It starts at 1, falls slowly and rises at once: a batch that is larger than expected costs a
/// round trip and a split, one that is smaller only some room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CompressionRatio {
    codec: Codec,
    ppm: u64,
}

impl CompressionRatio {
    /// No batch seen yet.
    pub(crate) const fn new(codec: Codec) -> Self {
        Self { codec, ppm: ONE }
    }

    /// The estimated size of a batch with `raw_len` bytes of records, its header included, with
    /// five percent to spare. Exact without compression.
    #[inline]
    pub(crate) fn estimate(&self, raw_len: usize) -> usize {
        if self.is_exact() {
            return HEADER_LEN.saturating_add(raw_len);
        }
        let body = (raw_len as u64).saturating_mul(self.ppm * 105).div_ceil(100 * ONE);
        HEADER_LEN.saturating_add(usize::try_from(body).unwrap_or(usize::MAX))
    }

    /// Whether the estimate is the size itself.
    #[inline]
    pub(crate) fn is_exact(&self) -> bool {
        self.codec == Codec::None
    }

    /// The ratio in parts per million. The estimate of a size changes only when this does.
    #[inline]
    pub(crate) const fn ppm(&self) -> u64 {
        self.ppm
    }

    /// The most bytes of records whose estimated batch has no more than `size` bytes.
    pub(crate) fn raw_len_within(&self, size: usize) -> usize {
        let body = size.saturating_sub(HEADER_LEN);
        if self.is_exact() {
            return body;
        }
        let raw = (body as u64).saturating_mul(100 * ONE) / (self.ppm * 105).max(1);
        usize::try_from(raw).unwrap_or(usize::MAX)
    }

    /// By how much the estimate grows with the records.
    #[inline(always)]
    pub(crate) fn growth(&self, before: usize, after: usize) -> usize {
        if self.is_exact() {
            return after - before;
        }
        self.estimate(after) - self.estimate(before)
    }

    #[cfg(test)]
    pub(super) fn set_ppm(&mut self, ppm: u64) {
        self.ppm = ppm;
    }

    /// Learns from a sealed batch.
    pub(crate) fn observe(&mut self, batch: &SealedBatch) {
        let observed = observed(batch);
        self.ppm = if observed > self.ppm {
            observed.max(self.ppm + WORSEN).min(MAX)
        } else {
            observed.max(self.ppm.saturating_sub(IMPROVE))
        };
    }

    /// Starts anew after a batch turned out too large for the broker and was split.
    pub(crate) fn reset_after_split(&mut self, batch: &SealedBatch) {
        self.ppm = observed(batch).max(ONE);
    }
}

fn observed(batch: &SealedBatch) -> u64 {
    let raw = (batch.uncompressed_len as u64).max(1);
    let set = batch.message_set.as_ref();
    let len = set.map_or(batch.records.len(), |set| set.bytes.len());
    (len as u64).saturating_mul(ONE).div_ceil(raw).min(MAX)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn batch(raw: usize, compressed: usize) -> SealedBatch {
        SealedBatch {
            records: Bytes::from(vec![0; compressed]),
            codec: Codec::Lz4,
            body_crc: 0,
            count: 1,
            base_timestamp: 0,
            max_timestamp: 0,
            uncompressed_len: raw,
            message_set: None,
        }
    }

    #[test]
    fn cmp_06_the_estimate_falls_slowly_and_rises_at_once() {
        let mut ratio = CompressionRatio::new(Codec::Lz4);
        assert_eq!(ratio.estimate(1_000), 61 + 1_050);

        ratio.observe(&batch(1_000, 300));
        assert_eq!(ratio.ppm, 995_000, "down by 0.005, not to 0.3");
        for _ in 0..200 {
            ratio.observe(&batch(1_000, 300));
        }
        assert_eq!(ratio.ppm, 300_000, "never below what was observed");
        assert_eq!(ratio.estimate(1_000), 61 + 315);

        ratio.observe(&batch(1_000, 301));
        assert_eq!(ratio.ppm, 350_000, "up by at least 0.05");
        ratio.observe(&batch(1_000, 900));
        assert_eq!(ratio.ppm, 900_000, "up to what was observed");

        ratio.reset_after_split(&batch(1_000, 400));
        assert_eq!(ratio.ppm, 1_000_000);
        ratio.reset_after_split(&batch(1_000, 1_200));
        assert_eq!(ratio.ppm, 1_200_000);
    }

    #[test]
    fn without_compression_the_estimate_is_exact() {
        let mut ratio = CompressionRatio::new(Codec::None);
        ratio.observe(&batch(1_000, 1_000));
        assert_eq!(ratio.estimate(16_323), 16_384);
    }

    #[test]
    fn the_largest_raw_size_is_the_inverse_of_the_estimate() {
        let mut ratio = CompressionRatio::new(Codec::Lz4);
        for ppm in [1, 300_000, 999_999, ONE, 5 * ONE] {
            ratio.ppm = ppm;
            for size in [61, 62, 1_000, 16_384, 1 << 20] {
                let raw = ratio.raw_len_within(size);
                assert!(ratio.estimate(raw) <= size, "{ppm} ppm, {size} bytes");
                assert!(ratio.estimate(raw + 1) >= size, "{ppm} ppm, {size} bytes");
            }
        }
    }

    #[test]
    fn no_size_overflows() {
        let mut ratio = CompressionRatio::new(Codec::Zstd);
        ratio.observe(&batch(0, 70_000));
        assert!(ratio.estimate(usize::MAX) > i32::MAX as usize);
    }
}
