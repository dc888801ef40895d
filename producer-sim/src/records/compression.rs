//! Decompression as a broker does it: one block, read to its exact end.

use std::io::Read;

/// No batch may grow beyond this when decompressed; more is taken for a decompression bomb.
const MAX_UNCOMPRESSED: usize = 512 << 20;
/// Start of the stream format that snappy-java writes; other clients write one bare block.
const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";

/// A compression codec, by its number in the batch attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codec {
    /// 0: not compressed.
    None,
    /// 1: one RFC 1952 member.
    Gzip,
    /// 2: a xerial stream or one bare Snappy block.
    Snappy,
    /// 3: one LZ4 frame with independent blocks.
    Lz4,
    /// 4: one Zstandard frame (Produce 7 and later, KIP-110).
    Zstd,
}

impl Codec {
    /// The codec with this number, if there is one.
    pub fn from_bits(bits: u8) -> Option<Self> {
        [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd]
            .get(usize::from(bits))
            .copied()
    }
}

/// The decompressed block, or `None` when it is damaged or something is left behind it.
pub(super) fn decompress(codec: Codec, input: &[u8]) -> Option<Vec<u8>> {
    let mut rest = input;
    let output = match codec {
        Codec::None => return Some(input.to_vec()),
        Codec::Gzip => read_all(flate2::bufread::GzDecoder::new(&mut rest))?,
        Codec::Snappy => return snappy(input),
        Codec::Lz4 => {
            // Kafka's Java reader refuses frames whose blocks depend on each other.
            let independent_blocks = input.get(4)? & 0x20 != 0;
            if !independent_blocks {
                return None;
            }
            read_all(lz4_flex::frame::FrameDecoder::new(&mut rest))?
        }
        Codec::Zstd => {
            read_all(zstd::stream::read::Decoder::with_buffer(&mut rest).ok()?.single_frame())?
        }
    };
    rest.is_empty().then_some(output)
}

fn read_all(reader: impl Read) -> Option<Vec<u8>> {
    let mut output = Vec::new();
    reader.take(MAX_UNCOMPRESSED as u64 + 1).read_to_end(&mut output).ok()?;
    (output.len() <= MAX_UNCOMPRESSED).then_some(output)
}

fn snappy(input: &[u8]) -> Option<Vec<u8>> {
    let Some(stream) = input.strip_prefix(XERIAL_MAGIC) else {
        return snappy_block(input);
    };
    // Two version numbers, both 1 today, that readers skip.
    let mut rest = stream.get(8..)?;
    let mut output = Vec::new();
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (block, tail) = tail.split_at_checked(length)?;
        output.extend_from_slice(&snappy_block(block)?);
        if output.len() > MAX_UNCOMPRESSED {
            return None;
        }
        rest = tail;
    }
    Some(output)
}

fn snappy_block(block: &[u8]) -> Option<Vec<u8>> {
    if snap::raw::decompress_len(block).ok()? > MAX_UNCOMPRESSED {
        return None;
    }
    snap::raw::Decoder::new().decompress_vec(block).ok()
}
