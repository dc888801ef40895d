//! A reader of record batches for the tests, strict, and sharing no code with the writer: varints
//! digit by digit, CRC byte by byte, the crates' own decoders for the codecs.

use std::io::Read;
use std::sync::LazyLock;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) attributes: i16,
    pub(super) base_timestamp: i64,
    pub(super) max_timestamp: i64,
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    pub(super) base_sequence: i32,
    pub(super) records: Vec<OwnedRecord>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnedRecord {
    pub(super) timestamp: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
}

/// CRC-32C, byte by byte.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    static TABLE: LazyLock<[u32; 256]> = LazyLock::new(|| {
        std::array::from_fn(|byte| {
            let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
            (0..8).fold(byte as u32, step)
        })
    });
    let table = &*TABLE;
    !bytes.iter().fold(!0, |crc: u32, &byte| crc >> 8 ^ table[(crc as u8 ^ byte) as usize])
}

/// Reads exactly one batch as a producer writes it: base offset 0, leader epoch -1, nothing left
/// over, offsets without gaps.
pub(super) fn read(bytes: &[u8]) -> Result<Batch, String> {
    let mut at = Cursor { bytes };
    let expect = |name: &str, found: i64, wanted: i64| {
        if found == wanted { Ok(()) } else { Err(format!("{name} is {found}, not {wanted}")) }
    };
    expect("base offset", at.int(8)?, 0)?;
    expect("length", at.int(4)?, bytes.len() as i64 - 12)?;
    expect("leader epoch", at.int(4)?, -1)?;
    expect("magic", at.int(1)?, 2)?;
    let crc = at.int(4)?;
    expect("crc", crc, i64::from(crc32c(at.bytes) as i32))?;
    let attributes = at.int(2)? as i16;
    let last_offset_delta = at.int(4)?;
    let base_timestamp = at.int(8)?;
    let max_timestamp = at.int(8)?;
    let producer_id = at.int(8)?;
    let epoch = at.int(2)? as i16;
    let base_sequence = at.int(4)? as i32;
    let count = at.int(4)?;
    expect("last offset delta", last_offset_delta, count - 1)?;
    let body = decompress(attributes & 7, at.bytes)?;
    let records = read_records(&body, base_timestamp, count)?;
    let max = records.iter().map(|record| record.timestamp).max().unwrap_or(base_timestamp);
    expect("max timestamp", max_timestamp, max)?;
    Ok(Batch {
        attributes,
        base_timestamp,
        max_timestamp,
        producer_id,
        epoch,
        base_sequence,
        records,
    })
}

fn read_records(body: &[u8], base_timestamp: i64, count: i64) -> Result<Vec<OwnedRecord>, String> {
    let mut at = Cursor { bytes: body };
    let mut records = Vec::new();
    for offset in 0..count {
        let len = at.varint()?;
        let mut record = Cursor { bytes: at.take(len)? };
        if record.int(1)? != 0 {
            return Err("record attributes".into());
        }
        let timestamp = base_timestamp.wrapping_add(record.varint()?);
        if record.varint()? != offset {
            return Err(format!("offset delta of record {offset}"));
        }
        let key = record.nullable()?;
        let value = record.nullable()?;
        let mut headers = Vec::new();
        for _ in 0..record.varint()? {
            let name = record.nullable()?.ok_or("null header name")?;
            let name = String::from_utf8(name).map_err(|error| error.to_string())?;
            headers.push((name, record.nullable()?));
        }
        if !record.bytes.is_empty() {
            return Err(format!("{} bytes left in record {offset}", record.bytes.len()));
        }
        records.push(OwnedRecord { timestamp, key, value, headers });
    }
    if !at.bytes.is_empty() {
        return Err(format!("{} bytes left after the records", at.bytes.len()));
    }
    Ok(records)
}

pub(super) fn decompress(codec: i16, body: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    match codec {
        0 => out.extend_from_slice(body),
        1 => {
            // `GzDecoder` reads one member; a second one would be left over.
            let mut decoder = flate2::bufread::GzDecoder::new(body);
            decoder.read_to_end(&mut out).map_err(|error| error.to_string())?;
            let rest = decoder.into_inner();
            if !rest.is_empty() {
                return Err(format!("{} bytes after the gzip member", rest.len()));
            }
        }
        2 => {
            let mut at = Cursor { bytes: body };
            if at.take(16)? != b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01" {
                return Err("xerial header".into());
            }
            while !at.bytes.is_empty() {
                let len = at.int(4)?;
                let block = snap::raw::Decoder::new().decompress_vec(at.take(len)?);
                let block = block.map_err(|error| error.to_string())?;
                if block.len() > 32 * 1024 {
                    return Err(format!("a snappy block of {} bytes", block.len()));
                }
                out.extend_from_slice(&block);
            }
        }
        3 => {
            if body[4] & 0x20 == 0 {
                return Err("the LZ4 blocks are not independent".into());
            }
            let mut decoder = lz4_flex::frame::FrameDecoder::new(body);
            decoder.read_to_end(&mut out).map_err(|error| error.to_string())?;
        }
        4 => {
            let mut decoder =
                zstd::stream::Decoder::new(body).map_err(|error| error.to_string())?;
            decoder.read_to_end(&mut out).map_err(|error| error.to_string())?;
        }
        other => return Err(format!("codec {other}")),
    }
    Ok(out)
}

struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: i64) -> Result<&'a [u8], String> {
        let len = usize::try_from(len).map_err(|_| format!("a length of {len}"))?;
        let (front, rest) = self.bytes.split_at_checked(len).ok_or("cut short")?;
        self.bytes = rest;
        Ok(front)
    }

    /// A signed big-endian integer.
    fn int(&mut self, len: i64) -> Result<i64, String> {
        let bytes = self.take(len)?;
        let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
        Ok(bytes.iter().fold(sign, |value, &byte| value << 8 | i64::from(byte)))
    }

    fn varint(&mut self) -> Result<i64, String> {
        let mut value = 0u128;
        for digit in 0.. {
            let byte = self.take(1)?[0];
            value += u128::from(byte & 0x7f) << (7 * digit);
            if byte & 0x80 == 0 {
                if byte == 0 && digit > 0 {
                    return Err("an overlong varint".into());
                }
                break;
            }
            if digit == 9 {
                return Err("an endless varint".into());
            }
        }
        let magnitude = (value / 2) as i64;
        Ok(if value & 1 == 0 { magnitude } else { -1 - magnitude })
    }

    fn nullable(&mut self) -> Result<Option<Vec<u8>>, String> {
        match self.varint()? {
            -1 => Ok(None),
            len => Ok(Some(self.take(len)?.to_vec())),
        }
    }
}
