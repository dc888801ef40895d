//! A connection to a broker, written to as fast as it takes bytes.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use bench_common::{Options, Payload};

use crate::batch::{HEADER, Records, write_header};
use crate::checksum::Checksum;
use crate::codec::Codec;

const PRODUCE: i16 = 0;
const PRODUCE_VERSION: i16 = 7;
const METADATA: i16 = 3;
const METADATA_VERSION: i16 = 4;

/// How many requests are written before the answers that have come are read: else the broker
/// could not write any more, and would read none.
const READ_EVERY: u64 = 32;

/// Milliseconds that the broker has for a request.
const TIMEOUT: i32 = 30_000;

/// Bytes of a Produce response before its partitions, the topic's name aside, and of each
/// partition.
const RESPONSE_HEAD: usize = 14;
const RESPONSE_PARTITION: usize = 30;

/// A connection, and the memory of its requests.
pub(crate) struct Connection<'a> {
    options: &'a Options,
    batches: u16,
    stream: TcpStream,
    codec: Codec,
    /// Begin of every Produce request, up to the number of partitions.
    head: Vec<u8>,
    request: Vec<u8>,
    /// Records of a batch before they are compressed.
    plain: Vec<u8>,
    answers: Answers,
    /// The partition of the next batch.
    partition: i32,
}

impl<'a> Connection<'a> {
    /// Connects, and asks for the topic's metadata, by which it comes to be.
    pub(crate) fn open(options: &'a Options, batches: u16) -> Result<Self> {
        let mut stream = TcpStream::connect(&options.bootstrap)
            .with_context(|| format!("connecting to {}", options.bootstrap))?;
        stream.set_nodelay(true)?;
        let topic = string(&options.topic);
        let metadata = [&1i32.to_be_bytes(), topic.as_slice(), &[1]].concat();
        stream.write_all(&request(METADATA, METADATA_VERSION, &metadata))?;
        let mut length = [0; 4];
        stream.read_exact(&mut length).context("reading metadata")?;
        let mut metadata = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut metadata).context("reading metadata")?;

        let mut produce = Vec::new();
        produce.extend((-1i16).to_be_bytes()); // no transactional id
        produce.extend(options.acks.to_be_bytes());
        produce.extend(TIMEOUT.to_be_bytes());
        produce.extend(1i32.to_be_bytes()); // topics
        produce.extend(topic);
        let head = request(PRODUCE, PRODUCE_VERSION, &produce);
        let batch = 8 + HEADER + Codec::room(options.batch_bytes);
        Ok(Self {
            options,
            batches,
            stream,
            codec: Codec::new(options.compression)?,
            request: vec![0; head.len() + 4 + usize::from(batches) * batch],
            head,
            plain: vec![0; options.batch_bytes],
            answers: Answers::new(options.topic.len()),
            partition: 0,
        })
    }

    /// Sends so many records and waits for all answers. How many partitions' batches failed.
    pub(crate) fn fill(&mut self, payload: &Payload, records: u64) -> Result<u64> {
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
        let mut records = Records::new(self.options, payload, records);
        let failed = self.answers.errors;
        let mut sent = 0;
        while records.left() > 0 {
            let end = self.encode(&mut records, timestamp)?;
            self.stream.write_all(&self.request[..end]).context("writing")?;
            sent += 1;
            if sent % READ_EVERY == 0 {
                self.stream.set_nonblocking(true)?;
                while self.answers.read(&mut self.stream)? {}
                self.stream.set_nonblocking(false)?;
            }
        }
        while self.answers.whole < sent {
            self.answers.read(&mut self.stream)?;
        }
        self.answers.whole = 0;
        Ok(self.answers.errors - failed)
    }

    /// Encodes a request. Its length.
    fn encode(&mut self, records: &mut Records<'_>, timestamp: i64) -> Result<usize> {
        let partitions = self.head.len();
        self.request[..partitions].copy_from_slice(&self.head);
        let mut end = partitions + 4;
        let mut batches = 0i32;
        while batches < self.batches.into() && records.left() > 0 {
            self.put(end, self.partition);
            let batch = end + 8;
            let length = self.encode_batch(batch, records, timestamp)?;
            self.put(end + 4, length as i32);
            end = batch + length;
            batches += 1;
            self.partition = (self.partition + 1) % self.options.partitions;
        }
        self.put(partitions, batches);
        self.put(0, (end - 4) as i32);
        Ok(end)
    }

    /// Encodes a batch. Its length.
    fn encode_batch(
        &mut self,
        at: usize,
        records: &mut Records<'_>,
        timestamp: i64,
    ) -> Result<usize> {
        let number = self.codec.number();
        let (length, count) = if number == 0 {
            records.encode(&mut self.request[at..at + self.options.batch_bytes])
        } else {
            let (end, count) = records.encode(&mut self.plain);
            let to = &mut self.request[at + HEADER..];
            (HEADER + self.codec.compress(&self.plain[HEADER..end], to)?, count)
        };
        let batch = &mut self.request[at..at + length];
        write_header(batch, count, number, Checksum::CrcFast, timestamp);
        Ok(length)
    }

    fn put(&mut self, at: usize, number: i32) {
        self.request[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }
}

/// A request with its length, which is right as long as nothing is appended.
fn request(api: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let client = string("limit");
    let length = (8 + client.len() + body.len()) as i32;
    let mut request = Vec::new();
    request.extend(length.to_be_bytes());
    request.extend(api.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(0i32.to_be_bytes()); // correlation id
    request.extend(client);
    request.extend(body);
    request
}

fn string(text: &str) -> Vec<u8> {
    let mut string = (text.len() as i16).to_be_bytes().to_vec();
    string.extend(text.as_bytes());
    string
}

/// Answers to Produce requests, as far as they have come.
struct Answers {
    topic: usize,
    bytes: Vec<u8>,
    room: Box<[u8; 16_384]>,
    whole: u64,
    errors: u64,
}

impl Answers {
    fn new(topic: usize) -> Self {
        Self { topic, bytes: Vec::new(), room: Box::new([0; 16_384]), whole: 0, errors: 0 }
    }

    /// Reads once. Whether there may be more.
    fn read(&mut self, stream: &mut TcpStream) -> Result<bool> {
        let count = match stream.read(&mut self.room[..]) {
            Ok(0) => bail!("the broker has closed the connection"),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).context("reading answers"),
        };
        self.bytes.extend_from_slice(&self.room[..count]);
        let mut at = 0;
        while let Some(length) = number_at(&self.bytes, at) {
            let end = at + 4 + length;
            let Some(answer) = self.bytes.get(at + 4..end) else { break };
            self.errors += failures(answer, self.topic)?;
            self.whole += 1;
            at = end;
        }
        self.bytes.drain(..at);
        Ok(count == self.room.len())
    }
}

/// How many partitions of an answer have an error.
fn failures(answer: &[u8], topic: usize) -> Result<u64> {
    let head = RESPONSE_HEAD + topic;
    let count = number_at(answer, head - 4).context("an answer is too short")?;
    let mut failures = 0;
    for partition in 0..count {
        let error = head + partition * RESPONSE_PARTITION + 4;
        let error = answer.get(error..error + 2).context("an answer is too short")?;
        failures += u64::from(error != [0, 0]);
    }
    Ok(failures)
}

fn number_at(bytes: &[u8], at: usize) -> Option<usize> {
    let number = bytes.get(at..at + 4)?;
    Some(number.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}
