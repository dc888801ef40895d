//! Record batches, format v2 (magic 2; KIP-98), and the message sets of older brokers that are
//! made from them at the seal ([`message_set`]).
//!
//! A batch passes through these hands:
//!
//! ```text
//! Payload ──append──> BatchBuilder ──finish──> RawBatch ──seal──> SealedBatch ──encode_header──> wire
//! (measured,           (open: records are        (bytes as        (compressed, CRC    (61 bytes with the
//!  limits checked)      encoded in place)         encoded)         of the body)        stamp and joined CRC)
//!                                                                      │
//!                                                                      └──split──> smaller SealedBatches
//! ```
//!
//! The records are copied once, by [`BatchBuilder::append`]. The header is apart from the body:
//! a stamp (producer id, epoch, sequence) can be put on without touching or hashing the body again.
//! Sealing and splitting are pure functions of owned values, so they may run on any thread.

mod builder;
mod codec;
mod crc;
mod header;
mod message_set;
mod payload;
mod pool;
mod quick;
mod ratio;
mod records;
mod sealed;
mod split;
mod varint;

// The tests read every codec back.
#[cfg(test)]
#[cfg(all(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd"))]
mod tests;

pub(crate) use builder::{BatchBuilder, RawBatch};
pub(crate) use header::{HEADER_LEN, Stamp, encode_header, sequence_add, sequence_reaches};
pub(crate) use message_set::{Format, Sealed, Sealing, WithHeaders, seal_as};
pub(crate) use payload::{Payload, RecordLimit};
pub(crate) use pool::BufferPool;
pub(crate) use ratio::CompressionRatio;
pub(crate) use sealed::{SealedBatch, seal};
pub(crate) use split::{Piece, split};
