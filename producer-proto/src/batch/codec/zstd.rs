//! Zstandard: one frame.

use zstd::bulk::Compressor;

/// What [`Encoder::compress`] needs to have for its output.
pub(super) fn bound(len: usize) -> usize {
    zstd::zstd_safe::compress_bound(len)
}

/// A context of the C library. It is as large as the batches and the level need: about 1.3 MiB at
/// the default level, tens of MiB at the highest.
#[derive(Default)]
pub(super) struct Encoder(Option<(i32, Compressor<'static>)>);

impl Encoder {
    /// Compresses into `out`, which has at least [`bound`] bytes; `None` when the library has no
    /// memory.
    pub(super) fn compress(&mut self, level: i32, input: &[u8], out: &mut [u8]) -> Option<usize> {
        if !matches!(self.0, Some((current, _)) if current == level) {
            self.0 = Some((level, Compressor::new(level).ok()?));
        }
        let (_, compressor) = self.0.as_mut()?;
        compressor.compress_to_buffer(input, out).ok()
    }
}

/// Fills `out` from one frame.
pub(super) fn decompress(input: &[u8], out: &mut [u8]) -> Option<()> {
    let len = zstd::bulk::decompress_to_buffer(input, out).ok()?;
    (len == out.len()).then_some(())
}
