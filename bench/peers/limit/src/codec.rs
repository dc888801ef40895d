//! The codecs, each with a context that is used again.

use std::io::Write as _;

use anyhow::{Context, Result, bail};
use bench_common::Compression;

/// Bytes of an LZ4 block, before compression.
const LZ4_BLOCK: usize = 64 << 10;

/// Begin of an LZ4 frame: magic number, independent blocks without checksums, of at most 64 KiB,
/// checksum of that.
const LZ4_FRAME: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];

/// Flag in the length of an LZ4 block: it is not compressed.
const LZ4_STORED: u32 = 1 << 31;

pub(crate) enum Codec {
    None,
    /// The C library, through the crate lz4: its frames are made here.
    Lz4,
    /// The crate lz4_flex.
    Lz4Flex,
    Snappy(Box<snap::raw::Encoder>),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Codec {
    pub(crate) fn new(compression: Compression) -> Result<Self> {
        Ok(match compression {
            Compression::None => Self::None,
            Compression::Lz4 => Self::Lz4,
            Compression::Snappy => Self::snappy(),
            Compression::Zstd => Self::zstd(3)?,
            Compression::Gzip => bail!("limit has no gzip"),
        })
    }

    pub(crate) fn snappy() -> Self {
        Self::Snappy(Box::new(snap::raw::Encoder::new()))
    }

    pub(crate) fn zstd(level: i32) -> Result<Self> {
        Ok(Self::Zstd(zstd::bulk::Compressor::new(level).context("zstd")?))
    }

    /// Its number in a batch.
    pub(crate) fn number(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::Snappy(_) => 2,
            Self::Lz4 | Self::Lz4Flex => 3,
            Self::Zstd(_) => 4,
        }
    }

    /// Room that compressed bytes may need.
    pub(crate) fn room(bytes: usize) -> usize {
        bytes + bytes / 4 + 1_024
    }

    /// Compresses to the begin of `to`. The compressed length.
    pub(crate) fn compress(&mut self, from: &[u8], to: &mut [u8]) -> Result<usize> {
        match self {
            Self::None => {
                to[..from.len()].copy_from_slice(from);
                Ok(from.len())
            }
            Self::Lz4 => lz4_frame(from, to),
            Self::Lz4Flex => lz4_flex_frame(from, to),
            Self::Snappy(encoder) => encoder.compress(from, to).context("snappy"),
            Self::Zstd(compressor) => compressor.compress_to_buffer(from, to).context("zstd"),
        }
    }
}

fn lz4_frame(from: &[u8], to: &mut [u8]) -> Result<usize> {
    to[..LZ4_FRAME.len()].copy_from_slice(&LZ4_FRAME);
    let mut at = LZ4_FRAME.len();
    for block in from.chunks(LZ4_BLOCK) {
        let body = at + 4;
        let mut size =
            lz4::block::compress_to_buffer(block, None, false, &mut to[body..]).context("lz4")?;
        let mut length = size as u32;
        if size >= block.len() {
            to[body..body + block.len()].copy_from_slice(block);
            size = block.len();
            length = size as u32 | LZ4_STORED;
        }
        to[at..body].copy_from_slice(&length.to_le_bytes());
        at = body + size;
    }
    to[at..at + 4].fill(0); // end of the frame
    Ok(at + 4)
}

fn lz4_flex_frame(from: &[u8], to: &mut [u8]) -> Result<usize> {
    use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};
    let room = to.len();
    let info = FrameInfo::new().block_size(BlockSize::Max64KB);
    let mut encoder = FrameEncoder::with_frame_info(info, to);
    encoder.write_all(from).context("lz4_flex")?;
    let rest = encoder.finish().context("lz4_flex")?;
    Ok(room - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn both_lz4_frames_are_read_by_a_decoder() {
        let text = b"to be or not to be, ".repeat(8_000);
        let noise: Vec<u8> = (0..70_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
        for from in [text, noise, Vec::new()] {
            for mut codec in [Codec::Lz4, Codec::Lz4Flex] {
                let mut to = vec![0; Codec::room(from.len())];
                let length = codec.compress(&from, &mut to).unwrap();
                let mut back = Vec::new();
                lz4_flex::frame::FrameDecoder::new(&to[..length]).read_to_end(&mut back).unwrap();
                assert!(back == from);
            }
        }
    }
}
