//! LZ4 frames: independent blocks of 64 KiB, no checksums except the header's.
//!
//! Kafka's Java reader refuses blocks that refer to earlier ones.

use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size,
};

use super::cut;

/// Magic; FLG: version 1, independent blocks; BD: blocks of at most 64 KiB; HC: the second byte of
/// the xxHash-32 of FLG and BD.
const HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];

/// Where a frame has HC.
pub(in crate::batch) const HEADER_CHECKSUM_AT: usize = 6;

/// HC of our frames when the magic is hashed along, as messages of magic 0 want it.
pub(in crate::batch) const HEADER_CHECKSUM_WITH_MAGIC: u8 = 0x1a;

/// Uncompressed bytes in a block.
const BLOCK: usize = 64 * 1024;

/// The highest bit of a block's length: the block is stored as it is.
const STORED: u32 = 1 << 31;

/// The length that ends the frame.
const END: [u8; 4] = [0; 4];

/// The level that Kafka gives to the fast compressor; all others are the high compressor's.
const FAST_LEVEL: i32 = 9;

/// What [`Encoder::compress`] needs to have for its output.
pub(super) fn bound(len: usize) -> usize {
    let (blocks, rest) = (len / BLOCK, len % BLOCK);
    HEADER.len()
        + blocks * (4 + get_maximum_output_size(BLOCK))
        + (4 + get_maximum_output_size(rest))
        + END.len()
}

/// The tables of the fast compressor (8 and 16 KiB). The high compressor of the C library makes
/// its own (256 KiB) for each block.
#[derive(Default)]
pub(super) struct Encoder {
    /// For blocks below 64 KiB. The compressor would replace it by a large one for good, and its
    /// output depends on which it uses.
    small: CompressTable,
    large: Option<CompressTable>,
}

impl Encoder {
    /// Compresses into `out`, which has at least [`bound`] bytes.
    pub(super) fn compress(&mut self, level: i32, input: &[u8], out: &mut [u8]) -> Option<usize> {
        out.get_mut(..HEADER.len())?.copy_from_slice(&HEADER);
        let mut at = HEADER.len();
        for block in input.chunks(BLOCK) {
            let (head, data) = out.get_mut(at..)?.split_first_chunk_mut::<4>()?;
            let mut len = self.compress_block(level, block, data)?;
            let mut field = u32::try_from(len).ok()?;
            if len >= block.len() {
                len = block.len();
                field = len as u32 | STORED;
                data.get_mut(..len)?.copy_from_slice(block);
            }
            *head = field.to_le_bytes();
            at += head.len() + len;
        }
        out.get_mut(at..at + END.len())?.copy_from_slice(&END);
        Some(at + END.len())
    }

    fn compress_block(&mut self, level: i32, block: &[u8], out: &mut [u8]) -> Option<usize> {
        if level != FAST_LEVEL {
            return compress_high(level, block, out);
        }
        let table = if block.len() < usize::from(u16::MAX) {
            &mut self.small
        } else {
            self.large.get_or_insert_with(CompressTable::large)
        };
        compress_into_with_table(block, out, table).ok()
    }
}

#[cfg(feature = "lz4-hc")]
fn compress_high(level: i32, block: &[u8], out: &mut [u8]) -> Option<usize> {
    use lz4::block::{CompressionMode, compress_to_buffer};
    compress_to_buffer(block, Some(CompressionMode::HIGHCOMPRESSION(level)), false, out).ok()
}

/// Never called: without the feature, the settings refuse such levels.
#[cfg(not(feature = "lz4-hc"))]
fn compress_high(_level: i32, _block: &[u8], _out: &mut [u8]) -> Option<usize> {
    None
}

/// Fills `out` from a frame that [`Encoder`] wrote.
pub(super) fn decompress(mut input: &[u8], mut out: &mut [u8]) -> Option<()> {
    if cut(&mut input, HEADER.len())? != HEADER {
        return None;
    }
    loop {
        let field = u32::from_le_bytes(cut(&mut input, 4)?.try_into().ok()?);
        if field == 0 {
            return (input.is_empty() && out.is_empty()).then_some(());
        }
        let block = cut(&mut input, usize::try_from(field & !STORED).ok()?)?;
        let room = BLOCK.min(out.len());
        let len = if field & STORED == 0 {
            decompress_into(block, &mut out[..room]).ok()?
        } else {
            out.get_mut(..block.len())?.copy_from_slice(block);
            block.len()
        };
        out = out.split_at_mut_checked(len)?.1;
    }
}
