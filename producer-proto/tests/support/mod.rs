//! A broker of a few lines for tests and benches of the core alone: it speaks one old version of
//! each API, acknowledges everything, and allocates nothing once its buffers have grown.

use bytes::Buf;
use producer_proto::{
    Action, Config, ConnectionId, DisconnectReason, Event, Input, Instant, Producer, Receipt,
    TopicId, Transmit,
};
use std::time::Duration;

const PRODUCE: i16 = 0;
const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;
const INIT_PRODUCER_ID: i16 = 22;

/// One broker that leads every partition of the one topic `t`.
pub(crate) struct MiniBroker {
    partitions: i32,
    inbound: Vec<u8>,
    /// Answers that nobody has read yet.
    pub(crate) outbound: Vec<u8>,
    /// Batches acknowledged.
    pub(crate) batches: u64,
}

impl MiniBroker {
    pub(crate) fn new(partitions: i32) -> Self {
        Self { partitions, inbound: Vec::new(), outbound: Vec::new(), batches: 0 }
    }

    /// Takes bytes as they come, and answers requests that are complete.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.inbound.extend_from_slice(bytes);
        while let Some((length, _)) = self.inbound.split_first_chunk() {
            let end = 4 + u32::from_be_bytes(*length) as usize;
            if self.inbound.len() < end {
                return;
            }
            let inbound = std::mem::take(&mut self.inbound);
            self.answer(&inbound[4..end]);
            self.inbound = inbound;
            self.inbound.drain(..end);
        }
    }

    fn answer(&mut self, mut frame: &[u8]) {
        let (api, version) = (frame.get_i16(), frame.get_i16());
        let correlation = frame.get_i32();
        let client = frame.get_i16();
        frame.advance(client as usize);
        let start = self.outbound.len();
        self.put(&0i32.to_be_bytes());
        self.put(&correlation.to_be_bytes());
        match api {
            API_VERSIONS => self.api_versions(version),
            METADATA => self.metadata(),
            INIT_PRODUCER_ID => {
                self.put(&0i32.to_be_bytes());
                self.put(&0i16.to_be_bytes());
                self.put(&7i64.to_be_bytes());
                self.put(&0i16.to_be_bytes());
            }
            PRODUCE => self.produce(frame),
            other => panic!("request of API {other}"),
        }
        let length = (self.outbound.len() - start - 4) as i32;
        self.outbound[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    fn put(&mut self, bytes: &[u8]) {
        self.outbound.extend_from_slice(bytes);
    }

    fn api_versions(&mut self, version: i16) {
        let error: i16 = if version == 0 { 0 } else { 35 };
        self.put(&error.to_be_bytes());
        let ranges =
            [(PRODUCE, 7, 7), (METADATA, 1, 1), (API_VERSIONS, 0, 0), (INIT_PRODUCER_ID, 0, 0)];
        self.put(&(ranges.len() as i32).to_be_bytes());
        for (api, min, max) in ranges {
            for number in [api, min, max] {
                self.put(&i16::to_be_bytes(number));
            }
        }
    }

    fn metadata(&mut self) {
        self.put(&1i32.to_be_bytes());
        self.put(&1i32.to_be_bytes());
        self.put(b"\x00\x01b");
        self.put(&9092i32.to_be_bytes());
        self.put(&(-1i16).to_be_bytes());
        self.put(&1i32.to_be_bytes());
        self.put(&1i32.to_be_bytes());
        self.put(&0i16.to_be_bytes());
        self.put(b"\x00\x01t\x00");
        self.put(&self.partitions.to_be_bytes());
        for partition in 0..self.partitions {
            self.put(&0i16.to_be_bytes());
            self.put(&partition.to_be_bytes());
            self.put(&1i32.to_be_bytes());
            self.put(&[0; 8]);
        }
    }

    fn produce(&mut self, mut body: &[u8]) {
        body.advance(2 + 2 + 4);
        let topics = body.get_i32();
        self.put(&topics.to_be_bytes());
        for _ in 0..topics {
            let name = body.get_i16() as usize;
            body.advance(name);
            self.put(b"\x00\x01t");
            let partitions = body.get_i32();
            self.put(&partitions.to_be_bytes());
            for _ in 0..partitions {
                let index = body.get_i32();
                let records = body.get_i32() as usize;
                body.advance(records);
                self.put(&index.to_be_bytes());
                self.put(&0i16.to_be_bytes());
                self.put(&(self.batches as i64).to_be_bytes());
                let (append_time, log_start) = (-1i64, -1i64);
                self.put(&append_time.to_be_bytes());
                self.put(&log_start.to_be_bytes());
                self.batches += 1;
            }
        }
        self.put(&0i32.to_be_bytes());
    }
}

/// A producer and its broker, joined without sockets, in time that the test moves.
pub(crate) struct Pair {
    /// The producer.
    pub(crate) producer: Producer,
    /// Its only broker.
    pub(crate) broker: MiniBroker,
    /// The topic `t`.
    pub(crate) topic: TopicId,
    /// The time.
    pub(crate) now: Instant,
    /// Records delivered so far.
    pub(crate) delivered: u64,
    answers: Vec<u8>,
}

impl Pair {
    /// A pair whose connection is up and whose topic is known.
    pub(crate) fn ready(config: &Config, partitions: i32) -> Self {
        let mut producer = Producer::new(config, Instant::ZERO, [1; 32]).expect("valid settings");
        let topic = producer.topic(Instant::ZERO, "t").expect("a valid name");
        let broker = MiniBroker::new(partitions);
        let now = Instant::ZERO;
        let mut pair = Self { producer, broker, topic, now, delivered: 0, answers: Vec::new() };
        pair.drive();
        assert_eq!(pair.producer.partition_count(topic), Some(partitions));
        pair
    }

    /// Moves time on, and everything that follows from it.
    pub(crate) fn pass(&mut self, duration: Duration) {
        self.advance(duration);
        self.drive();
    }

    /// Moves time on, and nothing else.
    pub(crate) fn advance(&mut self, duration: Duration) {
        self.now = self.now + duration;
        self.producer.handle_input(self.now, Input::Timeout);
    }

    /// Carries bytes both ways until nothing moves.
    pub(crate) fn drive(&mut self) {
        loop {
            let mut moved = self.act();
            while let Some(transmit) = self.producer.poll_transmit(self.now) {
                self.exchange(transmit);
                moved = true;
            }
            while let Some(event) = self.producer.poll_event() {
                match event {
                    Event::Delivered { records, .. } => self.delivered += records.len() as u64,
                    Event::Failed { error, .. } => panic!("{error}"),
                    _ => {}
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Carries out what the producer asks for.
    pub(crate) fn act(&mut self) -> bool {
        let mut acted = false;
        while let Some(action) = self.producer.poll_action() {
            let input = match action {
                Action::Connect { conn, .. } => Input::Connected { conn },
                Action::Close { conn } => {
                    Input::Disconnected { conn, reason: DisconnectReason::Requested }
                }
                Action::Run(job) => Input::Done(job.run()),
                _ => continue,
            };
            self.producer.handle_input(self.now, input);
            acted = true;
        }
        acted
    }

    fn exchange(&mut self, mut transmit: Transmit) {
        let conn = transmit.conn();
        let bytes = self.write(&mut transmit);
        drop(transmit);
        self.producer.handle_input(self.now, Input::Written { conn, bytes });
        self.hand_back(conn);
    }

    /// Gives all of a request to the broker; returns its length.
    pub(crate) fn write(&mut self, transmit: &mut Transmit) -> usize {
        let length = transmit.remaining();
        while transmit.has_remaining() {
            let chunk = transmit.chunk();
            let taken = chunk.len();
            self.broker.receive(chunk);
            transmit.advance(taken);
        }
        length
    }

    /// Gives what the broker has answered to the producer.
    pub(crate) fn hand_back(&mut self, conn: ConnectionId) {
        std::mem::swap(&mut self.answers, &mut self.broker.outbound);
        let bytes = &self.answers[..];
        self.producer.handle_input(self.now, Input::Received { conn, bytes });
        self.answers.clear();
    }

    /// Pushes a record to a partition.
    pub(crate) fn push(&mut self, partition: Option<i32>, value: &[u8]) -> Receipt {
        let record = producer_proto::Record {
            partition,
            ..producer_proto::Record::new(self.topic, 1_700_000_000_000, value)
        };
        self.producer.push(self.now, &record).expect("room for the record")
    }
}
