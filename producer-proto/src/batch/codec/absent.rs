//! Stands for a codec that is not in this build. The settings refuse such a codec, so nobody comes
//! here; whoever did would get the records uncompressed.

/// What [`Encoder::compress`] needs to have for its output.
pub(super) fn bound(_len: usize) -> usize {
    0
}

/// As in the real LZ4 codec, for whom this may stand.
#[allow(dead_code, reason = "used only where this stands for LZ4")]
pub(in crate::batch) const HEADER_CHECKSUM_AT: usize = 6;

/// As in the real LZ4 codec, for whom this may stand.
#[allow(dead_code, reason = "used only where this stands for LZ4")]
pub(in crate::batch) const HEADER_CHECKSUM_WITH_MAGIC: u8 = 0x1a;

/// Nothing.
#[derive(Default)]
pub(super) struct Encoder;

impl Encoder {
    /// `None`: nothing was compressed.
    pub(super) fn compress(
        &mut self,
        _level: i32,
        _input: &[u8],
        _out: &mut [u8],
    ) -> Option<usize> {
        None
    }
}

/// `None`: this cannot be read.
pub(super) fn decompress(_input: &[u8], _out: &mut [u8]) -> Option<()> {
    None
}
