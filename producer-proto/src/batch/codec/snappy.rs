//! Snappy in the stream format of snappy-java ("xerial"): a fixed header, then blocks, each with
//! its length (big endian).

use super::cut;

/// Magic, version 1, compatible with version 1.
const HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// Uncompressed bytes in a block. Snappy looks for matches no further than 64 KiB, and snappy-java
/// takes this.
const BLOCK: usize = 32 * 1024;

/// What [`Encoder::compress`] needs to have for its output.
pub(super) fn bound(len: usize) -> usize {
    let (blocks, rest) = (len / BLOCK, len % BLOCK);
    HEADER.len()
        + blocks * (4 + snap::raw::max_compress_len(BLOCK))
        + (4 + snap::raw::max_compress_len(rest))
}

/// The table of the compressor (at most 34 KiB).
pub(super) struct Encoder(snap::raw::Encoder);

impl Default for Encoder {
    fn default() -> Self {
        Self(snap::raw::Encoder::new())
    }
}

impl Encoder {
    /// Compresses into `out`, which has at least [`bound`] bytes. There are no levels.
    pub(super) fn compress(&mut self, _level: i32, input: &[u8], out: &mut [u8]) -> Option<usize> {
        out.get_mut(..HEADER.len())?.copy_from_slice(&HEADER);
        let mut at = HEADER.len();
        for block in input.chunks(BLOCK) {
            let (head, data) = out.get_mut(at..)?.split_first_chunk_mut::<4>()?;
            let len = self.0.compress(block, data).ok()?;
            *head = u32::try_from(len).ok()?.to_be_bytes();
            at += head.len() + len;
        }
        Some(at)
    }
}

/// Fills `out` from a xerial stream.
pub(super) fn decompress(mut input: &[u8], mut out: &mut [u8]) -> Option<()> {
    if cut(&mut input, HEADER.len())? != HEADER {
        return None;
    }
    while !input.is_empty() {
        let len = u32::from_be_bytes(cut(&mut input, 4)?.try_into().ok()?);
        let block = cut(&mut input, usize::try_from(len).ok()?)?;
        let len = snap::raw::Decoder::new().decompress(block, out).ok()?;
        out = out.split_at_mut_checked(len)?.1;
    }
    out.is_empty().then_some(())
}
