//! Gzip: one member.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// The largest window, 32 KiB, as a power of two.
const WINDOW_BITS: u8 = 15;

/// What [`Encoder::compress`] needs to have for its output. It may be less than deflate could write:
/// the encoder stops when the output is as long as the input, nobody wants it then.
pub(super) fn bound(len: usize) -> usize {
    len
}

/// A deflate state (about 300 KiB) for the level that was used last.
#[derive(Default)]
pub(super) struct Encoder(Option<(i32, Compress)>);

impl Encoder {
    /// Compresses into `out`; `None` when it does not fit.
    pub(super) fn compress(&mut self, level: i32, input: &[u8], out: &mut [u8]) -> Option<usize> {
        if !matches!(self.0, Some((current, _)) if current == level) {
            self.0 = Some((level, Compress::new_gzip(flate_level(level), WINDOW_BITS)));
        }
        let (_, compress) = self.0.as_mut()?;
        compress.reset();
        match compress.compress(input, out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => usize::try_from(compress.total_out()).ok(),
            _ => None,
        }
    }
}

/// A negative level is the default, as in the settings.
fn flate_level(level: i32) -> Compression {
    u32::try_from(level).map_or_else(|_| Compression::default(), Compression::new)
}

/// Fills `out` from one gzip member.
pub(super) fn decompress(input: &[u8], out: &mut [u8]) -> Option<()> {
    let mut decompress = Decompress::new_gzip(WINDOW_BITS);
    let status = decompress.decompress(input, out, FlushDecompress::Finish).ok()?;
    (status == Status::StreamEnd && decompress.total_out() == out.len() as u64).then_some(())
}
