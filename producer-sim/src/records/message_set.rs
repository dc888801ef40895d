//! A small strict reader of message sets (magic 0 and 1; KIP-31, KIP-32), the formats of brokers
//! before 0.11. What it reads becomes a batch of magic 2, as it does in a broker that keeps its
//! log in the newer format, so that nothing behind it need know of old formats.

use super::compression::{self, Codec};
use super::{Batch, Bytes, Cursor, LogRecord, RecordsError};

/// What a record has in front of its key and value.
const HEADERLESS: u8 = 0;

/// A set, read.
#[derive(Clone, Debug)]
pub struct MessageSet {
    /// Its messages, with the offsets that they have in the set. Timestamps are -1 in magic 0.
    pub records: Vec<LogRecord>,
    /// Size of its largest message, with offset and size; a wrapper counts as one message. It is
    /// what a broker of that age holds against its limit.
    pub largest: usize,
}

struct Message {
    offset: i64,
    attributes: i8,
    timestamp: i64,
    key: Option<Bytes>,
    value: Option<Bytes>,
    size: usize,
}

impl MessageSet {
    /// Reads a producer's set of one magic to its last byte. It is either plain messages or one
    /// wrapper; offsets count from 0.
    pub fn parse(bytes: Bytes, magic: i8) -> Result<Self, String> {
        let outer = messages(bytes, magic)?;
        let largest = outer.iter().map(|message| message.size).max().unwrap_or(0);
        let inner = match &outer[..] {
            [] => return Err("an empty set".to_owned()),
            [wrapper] if wrapper.attributes != 0 => unwrap(wrapper, magic)?,
            _ => outer,
        };
        let mut records = Vec::new();
        for (message, expected) in inner.into_iter().zip(0..) {
            if message.attributes != 0 || message.offset != expected {
                let Message { attributes, offset, .. } = message;
                return Err(format!(
                    "message {expected}: attributes {attributes}, offset {offset}"
                ));
            }
            let Message { offset, timestamp, key, value, .. } = message;
            records.push(LogRecord { offset, timestamp, key, value, headers: Vec::new() });
        }
        Ok(Self { records, largest })
    }

    /// The same records as a batch of magic 2 without producer id.
    pub fn to_batch(&self) -> Result<Batch, RecordsError> {
        let base = self.records.first().map_or(-1, |record| record.timestamp);
        let max = self.records.iter().map(|record| record.timestamp).max().unwrap_or(-1);
        let count = i32::try_from(self.records.len()).map_err(|_| RecordsError::Incomplete)?;
        let mut covered = Vec::new();
        covered.extend_from_slice(&[0; 2]); // attributes
        covered.extend_from_slice(&(count - 1).to_be_bytes());
        covered.extend_from_slice(&base.to_be_bytes());
        covered.extend_from_slice(&max.to_be_bytes());
        covered.extend_from_slice(&[0xff; 8 + 2 + 4]); // no producer id, epoch, sequence
        covered.extend_from_slice(&count.to_be_bytes());
        for (record, index) in self.records.iter().zip(0..) {
            let mut body = vec![0];
            put_varint(&mut body, record.timestamp.wrapping_sub(base));
            put_varint(&mut body, index);
            for part in [&record.key, &record.value] {
                put_varint(&mut body, part.as_ref().map_or(-1, |bytes| bytes.len() as i64));
                body.extend_from_slice(part.as_deref().unwrap_or_default());
            }
            body.push(HEADERLESS);
            put_varint(&mut covered, body.len() as i64);
            covered.append(&mut body);
        }
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &covered) as u32;
        let length = i32::try_from(covered.len() + 9).map_err(|_| RecordsError::Incomplete)?;
        let mut bytes = Vec::with_capacity(covered.len() + 21);
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 2]); // leader epoch, magic
        bytes.extend_from_slice(&crc.to_be_bytes());
        bytes.append(&mut covered);
        Batch::parse(Bytes::from(bytes))
    }
}

fn messages(bytes: Bytes, magic: i8) -> Result<Vec<Message>, String> {
    let mut cursor = Cursor::new(bytes);
    let mut messages = Vec::new();
    while cursor.remaining() > 0 {
        let index = messages.len();
        let message = message(&mut cursor, magic);
        messages.push(message.map_err(|what| format!("message {index}: {what}"))?);
    }
    Ok(messages)
}

fn message(cursor: &mut Cursor, magic: i8) -> Result<Message, &'static str> {
    let offset = cursor.i64().ok_or("offset")?;
    let size = usize::try_from(cursor.i32().ok_or("size")?).map_err(|_| "negative size")?;
    let mut body = cursor.split(size).ok_or("longer than the set")?;
    let crc = body.u32().ok_or("CRC")?;
    if body.checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc) != u64::from(crc) {
        return Err("the CRC does not match");
    }
    if body.i8().ok_or("magic")? != magic {
        return Err("another magic than the version of Produce has");
    }
    let attributes = body.i8().ok_or("attributes")?;
    let timestamp = if magic == 0 { -1 } else { body.i64().ok_or("timestamp")? };
    let key = body.sized_bytes().ok_or("key")?;
    let value = body.sized_bytes().ok_or("value")?;
    if body.remaining() > 0 {
        return Err("bytes behind the value");
    }
    Ok(Message { offset, attributes, timestamp, key, value, size: size + 12 })
}

/// The messages in a wrapper.
fn unwrap(wrapper: &Message, magic: i8) -> Result<Vec<Message>, String> {
    let codec = u8::try_from(wrapper.attributes).ok().and_then(Codec::from_bits);
    let codec = codec.filter(|codec| *codec != Codec::Zstd);
    let codec = codec.ok_or_else(|| format!("wrapper: attributes {}", wrapper.attributes))?;
    let (None, Some(value)) = (&wrapper.key, &wrapper.value) else {
        return Err("wrapper: a key, or no value".to_owned());
    };
    let mut value = value.to_vec();
    if codec == Codec::Lz4 && magic == 0 {
        // Of this header, old writers hashed the frame's magic too. Today's checksum is 82.
        let header = value.get_mut(..7).ok_or("wrapper: no LZ4 frame")?;
        if header != [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x1a] {
            return Err(format!("wrapper: LZ4 frame header {header:02x?}"));
        }
        header[6] = 0x82;
    }
    let inner = compression::decompress(codec, &value).ok_or("wrapper: broken compression")?;
    let inner = messages(Bytes::from(inner), magic)?;
    let newest = inner.iter().map(|message| message.timestamp).max();
    let last = inner.last().map(|message| message.offset);
    if (last, newest) != (Some(wrapper.offset), Some(wrapper.timestamp)) {
        return Err("wrapper: not the last message's offset, or not the largest time".to_owned());
    }
    Ok(inner)
}

fn put_varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1 ^ value >> 63) as u64;
    while rest > 0x7f {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
