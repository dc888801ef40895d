//! The codecs, as Kafka frames them.
//!
//! Decompression is for splitting batches that this producer compressed itself. It takes the
//! expected length, which we know, and writes nothing beyond it. Nothing that comes from a network
//! reaches it: a producer never reads record batches.

#[cfg(not(all(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd")))]
mod absent;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

use std::cell::RefCell;

use bytes::Bytes;

use crate::config::{Codec, Compression};

#[cfg(not(feature = "gzip"))]
use absent as gzip;
#[cfg(not(feature = "lz4"))]
use absent as lz4;
#[cfg(not(feature = "snappy"))]
use absent as snappy;
#[cfg(not(feature = "zstd"))]
use absent as zstd;

pub(super) use lz4::{
    HEADER_CHECKSUM_AT as LZ4_HEADER_CHECKSUM_AT,
    HEADER_CHECKSUM_WITH_MAGIC as LZ4_HEADER_CHECKSUM_WITH_MAGIC,
};

/// The most scratch memory that is kept between two batches.
const SCRATCH_KEPT: usize = 4 << 20;

thread_local! {
    /// Setting up a context costs several times what compressing a small batch does. One set for
    /// each thread, so memory is bounded by the number of threads, not of partitions. The contexts
    /// carry no state from one batch to the next: the output is the same on every thread.
    static COMPRESSOR: RefCell<Compressor> = RefCell::default();
}

/// The records compressed, or `None` when that does not make them smaller.
pub(super) fn compress(compression: &Compression, records: &[u8]) -> Option<Bytes> {
    if compression.codec == Codec::None {
        return None; // and no thread's contexts are set up
    }
    COMPRESSOR.with_borrow_mut(|compressor| compressor.compress(compression, records))
}

/// The records that `compress` made `body` of; `None` when `body` is something else.
pub(super) fn decompress(codec: Codec, body: &Bytes, len: usize) -> Option<Bytes> {
    let decompress: fn(&[u8], &mut [u8]) -> Option<()> = match codec {
        Codec::None => return (body.len() == len).then(|| body.clone()),
        Codec::Gzip => gzip::decompress,
        Codec::Snappy => snappy::decompress,
        Codec::Lz4 => lz4::decompress,
        Codec::Zstd => zstd::decompress,
    };
    let mut records = vec![0; len];
    decompress(body, &mut records)?;
    Some(Bytes::from(records))
}

/// The codecs' contexts and an output buffer, used again from batch to batch.
#[derive(Default)]
struct Compressor {
    scratch: Vec<u8>,
    gzip: gzip::Encoder,
    snappy: snappy::Encoder,
    lz4: lz4::Encoder,
    zstd: zstd::Encoder,
}

impl Compressor {
    fn compress(&mut self, compression: &Compression, records: &[u8]) -> Option<Bytes> {
        let bound = match compression.codec {
            Codec::None => return None,
            Codec::Gzip => gzip::bound(records.len()),
            Codec::Snappy => snappy::bound(records.len()),
            Codec::Lz4 => lz4::bound(records.len()),
            Codec::Zstd => zstd::bound(records.len()),
        };
        if self.scratch.len() < bound {
            self.scratch.resize(bound, 0);
        }
        let (level, out) = (compression.level, &mut self.scratch[..bound]);
        let len = match compression.codec {
            Codec::None => None,
            Codec::Gzip => self.gzip.compress(level, records, out),
            Codec::Snappy => self.snappy.compress(level, records, out),
            Codec::Lz4 => self.lz4.compress(level, records, out),
            Codec::Zstd => self.zstd.compress(level, records, out),
        };
        let compressed = len
            .filter(|&len| len < records.len())
            .map(|len| Bytes::copy_from_slice(&self.scratch[..len]));
        if self.scratch.len() > SCRATCH_KEPT {
            self.scratch = Vec::new();
        }
        compressed
    }
}

/// Cuts `len` bytes off the front of `bytes`.
#[cfg(any(feature = "snappy", feature = "lz4"))]
fn cut<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (front, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(front)
}
