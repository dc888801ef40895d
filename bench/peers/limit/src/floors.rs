//! What encoding, checksums and codecs cost in memory.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;
use bench_common::{Options, Payload};
use serde::Serialize;

use crate::batch::{HEADER, Records, write_header};
use crate::checksum::Checksum;
use crate::codec::Codec;

/// Bytes of the batches.
const BATCHES: [usize; 2] = [16_384, 1 << 20];

/// How often each is measured.
const PASSES: usize = 5;

#[derive(Serialize)]
struct Line<'a> {
    floor: &'a str,
    size: usize,
    keyed: u8,
    batch: usize,
    /// Median of the passes, least and most.
    ns_per_record: f64,
    min: f64,
    max: f64,
    /// Bytes of values for each byte of batches; null where none are made.
    ratio: Option<f64>,
}

/// Measures, and prints a line of numbers for each floor.
pub(crate) fn measure(options: &Options, payload: &Payload) -> Result<()> {
    for batch in BATCHES {
        let floors = Floors { options, payload, batch };
        floors.copy()?;
        floors.encode("encode", Checksum::None, Codec::None)?;
        floors.encode("encode+crc32c crate", Checksum::Crc32c, Codec::None)?;
        floors.encode("encode+crc-fast crate", Checksum::CrcFast, Codec::None)?;
        floors.encode("encode+lz4(C)+crc", Checksum::CrcFast, Codec::Lz4)?;
        floors.encode("encode+lz4_flex+crc", Checksum::CrcFast, Codec::Lz4Flex)?;
        floors.encode("encode+snappy+crc", Checksum::CrcFast, Codec::snappy())?;
        floors.encode("encode+zstd1+crc", Checksum::CrcFast, Codec::zstd(1)?)?;
        floors.encode("encode+zstd3+crc", Checksum::CrcFast, Codec::zstd(3)?)?;
        floors.checksum("crc32c crate only", Checksum::Crc32c)?;
        floors.checksum("crc-fast only", Checksum::CrcFast)?;
    }
    Ok(())
}

struct Floors<'a> {
    options: &'a Options,
    payload: &'a Payload,
    batch: usize,
}

impl Floors<'_> {
    /// Values copied one behind the other.
    fn copy(&self) -> Result<()> {
        let mut batch = vec![0; self.batch];
        let per_batch = (self.batch / self.options.size).max(1) as u64;
        self.report("memcpy value", || {
            let mut i = 0;
            while i < self.options.records {
                let many = per_batch.min(self.options.records - i);
                for to in batch.chunks_exact_mut(self.options.size).take(many as usize) {
                    to.copy_from_slice(self.payload.value(i));
                    i += 1;
                }
                black_box(&mut batch);
            }
            Ok((self.options.records, None))
        })
    }

    /// Whole batches.
    fn encode(&self, floor: &str, checksum: Checksum, mut codec: Codec) -> Result<()> {
        let mut plain = vec![0; self.batch];
        let mut compressed = vec![0; HEADER + Codec::room(self.batch)];
        self.report(floor, || {
            let mut records = Records::new(self.options, self.payload, self.options.records);
            let mut wire = 0;
            while records.left() > 0 {
                let (end, count) = records.encode(&mut plain);
                if codec.number() == 0 {
                    if checksum != Checksum::None {
                        write_header(&mut plain[..end], count, 0, checksum, 0);
                    }
                    wire += end;
                } else {
                    let length = codec.compress(&plain[HEADER..end], &mut compressed[HEADER..])?;
                    let batch = &mut compressed[..HEADER + length];
                    write_header(batch, count, codec.number(), checksum, 0);
                    wire += batch.len();
                }
                black_box((&mut plain, &mut compressed));
            }
            Ok((self.options.records, Some(wire)))
        })
    }

    /// The checksum of the values, in pieces as long as a batch.
    fn checksum(&self, floor: &str, checksum: Checksum) -> Result<()> {
        let values = self.payload.values();
        let bytes = self.options.records as usize * self.options.size;
        let rounds = (bytes / values.len()).max(1);
        self.report(floor, || {
            for _ in 0..rounds {
                for piece in values.chunks(self.batch) {
                    black_box(checksum.of(piece));
                }
            }
            Ok(((rounds * values.len() / self.options.size) as u64, None))
        })
    }

    /// Runs the passes, each of which tells how many records it was, and the bytes of their
    /// batches.
    fn report(
        &self,
        floor: &str,
        mut pass: impl FnMut() -> Result<(u64, Option<usize>)>,
    ) -> Result<()> {
        let mut times = Vec::new();
        let mut ratio = None;
        for _ in 0..PASSES {
            let begin = Instant::now();
            let (records, wire) = pass()?;
            times.push(begin.elapsed().as_nanos() as f64 / records as f64);
            let values = records as f64 * self.options.size as f64;
            ratio = wire.map(|wire| round(values / wire as f64));
        }
        times.sort_by(f64::total_cmp);
        let line = Line {
            floor,
            size: self.options.size,
            keyed: self.options.keyed.into(),
            batch: self.batch,
            ns_per_record: round(times[PASSES / 2]),
            min: round(times[0]),
            max: round(times[PASSES - 1]),
            ratio,
        };
        println!("{}", serde_json::to_string(&line)?);
        Ok(())
    }
}

fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
