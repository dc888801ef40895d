//! The core alone: no sockets, no lock, and time that stands still.

use std::time::Duration;

use producer_proto::{Action, Codec, Config, Event, Input, Job, Record, Transmit};

use super::{Body, Case, Meter, Unmeasured, warm_up};
use crate::payload::{keys, values};
use crate::support::Pair;

/// Records per run where the unit is a record.
const RECORDS: u64 = 20_000;

/// Batches per run where the unit is a batch.
const BATCHES: u64 = 100;

/// Which records a body sends.
#[derive(Clone, Copy)]
struct Shape {
    is_keyed: bool,
    len: usize,
    partitions: i32,
}

const UNKEYED: Shape = Shape { is_keyed: false, len: 100, partitions: 4 };
const KEYED: Shape = Shape { is_keyed: true, ..UNKEYED };
const LARGE: Shape = Shape { len: 1_000, ..UNKEYED };

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, shape) in [("unkeyed/100", UNKEYED), ("keyed/100", KEYED), ("unkeyed/1000", LARGE)] {
        cases.push(Case::new(format!("push/{name}"), "record", RECORDS, move || push(shape)));
        cases.push(Case::new(format!("whole/{name}"), "record", RECORDS, move || whole(shape)));
    }
    for partitions in [10, 1_000, 100_000] {
        let shape = Shape { partitions, ..UNKEYED };
        let name = format!("whole/unkeyed/100/of-{partitions}-partitions");
        cases.push(Case::new(name, "record", RECORDS, move || whole(shape)));
        let name = format!("idle/{partitions}-partitions");
        cases.push(Case::new(name, "poll", IDLE_POLLS, move || idle(partitions)));
    }
    for partitions in [10, 1_000, 10_000] {
        let name = format!("linger/{partitions}-partitions");
        cases.push(Case::new(name, "batch", partitions as u64, move || linger(partitions)));
    }
    let codecs = [
        ("gzip", Codec::Gzip),
        ("snappy", Codec::Snappy),
        ("lz4", Codec::Lz4),
        ("zstd", Codec::Zstd),
    ];
    for (name, codec) in codecs {
        let name = format!("seal/{name}/16k");
        cases.push(Case::new(name, "batch", SEALS, move || seal(codec)));
    }
    for batches in [1, 100] {
        let name = format!("request/{batches}-batches");
        cases.push(Case::new(name, "batch", BATCHES, move || request(batches)));
        let name = format!("response/{batches}-batches");
        cases.push(Case::new(name, "batch", BATCHES, move || response(batches)));
    }
    cases
}

const LINGER: Duration = Duration::from_millis(5);

const IDLE_POLLS: u64 = 1_000;

const SEALS: u64 = 10;

fn config() -> Config {
    let mut config = Config::new("b:9092");
    config.linger = LINGER;
    config
}

/// A producer with records to push, over and over.
struct Source {
    pair: Pair,
    values: Vec<Vec<u8>>,
    keys: Vec<[u8; 8]>,
    is_keyed: bool,
    next: usize,
}

impl Source {
    /// One record is delivered, so that all connections are up.
    fn new(config: &Config, shape: Shape) -> Self {
        let mut source = Self {
            pair: Pair::ready(config, shape.partitions),
            values: values(shape.len),
            keys: keys(),
            is_keyed: shape.is_keyed,
            next: 0,
        };
        source.push();
        source.pair.pass(LINGER);
        assert_eq!(source.pair.delivered, 1);
        source
    }

    fn push(&mut self) {
        if self.next == self.values.len() {
            self.next = 0;
        }
        let mut record = Record::new(self.pair.topic, 1_700_000_000_000, &self.values[self.next]);
        if self.is_keyed {
            record.key = Some(&self.keys[self.next]);
        }
        self.next += 1;
        let receipt = self.pair.producer.push(self.pair.now, &record).expect("room");
        std::hint::black_box(receipt);
    }

    /// Carries bytes and events until nothing moves, the broker's work not measured.
    fn pump(&mut self, meter: &mut dyn Meter) {
        let pair = &mut self.pair;
        loop {
            let mut transmit = None;
            meter.measure(&mut || transmit = pair.producer.poll_transmit(pair.now));
            if let Some(mut transmit) = transmit {
                let conn = transmit.conn();
                let bytes = pair.write(&mut transmit);
                drop(transmit);
                meter.measure(&mut || {
                    pair.producer.handle_input(pair.now, Input::Written { conn, bytes });
                    pair.hand_back(conn);
                    take_events(pair);
                });
            } else if !pair.act() {
                return;
            }
        }
    }
}

fn take_events(pair: &mut Pair) {
    while let Some(event) = pair.producer.poll_event() {
        match event {
            Event::Delivered { records, .. } => pair.delivered += records.len() as u64,
            Event::Failed { error, .. } => panic!("{error}"),
            _ => {}
        }
    }
}

/// `push` alone: encoding, and what closing a full batch costs.
fn push(shape: Shape) -> Body {
    let mut source = Source::new(&config(), shape);
    warm_up(move |meter| {
        let mut left = RECORDS;
        while left > 0 {
            meter.measure(&mut || push_until_output(&mut source, &mut left));
            source.pump(&mut Unmeasured);
        }
    })
}

/// From `push` to the event that says "delivered", all that the core does.
fn whole(shape: Shape) -> Body {
    let mut source = Source::new(&config(), shape);
    warm_up(move |meter| {
        let mut left = RECORDS;
        while left > 0 {
            meter.measure(&mut || push_until_output(&mut source, &mut left));
            source.pump(meter);
        }
    })
}

/// As an embedder: the core is drained when it has something to give out.
fn push_until_output(source: &mut Source, left: &mut u64) {
    while *left > 0 {
        source.push();
        *left -= 1;
        if source.pair.producer.has_output() {
            return;
        }
    }
}

/// What a loop that wakes up for nothing pays.
fn idle(partitions: i32) -> Body {
    let mut pair = Pair::ready(&config(), partitions);
    pair.pass(Duration::from_secs(1));
    warm_up(move |meter| {
        meter.measure(&mut || {
            for _ in 0..IDLE_POLLS {
                pair.producer.handle_input(pair.now, Input::Timeout);
                assert!(pair.producer.poll_transmit(pair.now).is_none());
                assert!(pair.producer.poll_event().is_none());
                assert!(pair.producer.poll_action().is_none());
                std::hint::black_box(pair.producer.poll_timeout());
            }
        });
    })
}

/// One record for each partition, sent when its linger ends.
fn linger(partitions: i32) -> Body {
    let mut config = config();
    config.buffer_memory = 1 << 30;
    let mut source = Source::new(&config, Shape { partitions, ..UNKEYED });
    warm_up(move |meter| {
        meter.measure(&mut || {
            for partition in 0..partitions {
                source.pair.push(Some(partition), b"a record");
            }
        });
        meter.measure(&mut || source.pair.advance(LINGER));
        source.pump(meter);
    })
}

/// The job of a full batch: compression and CRC.
fn seal(codec: Codec) -> Body {
    let mut config = config();
    config.compression_type = codec;
    let mut source = Source::new(&config, UNKEYED);
    warm_up(move |meter| {
        for _ in 0..SEALS {
            let mut job = Some(next_job(&mut source));
            let mut result = None;
            meter.measure(&mut || result = job.take().map(Job::run));
            if let Some(result) = result {
                let now = source.pair.now;
                source.pair.producer.handle_input(now, Input::Done(result));
            }
            source.pump(&mut Unmeasured);
        }
    })
}

fn next_job(source: &mut Source) -> Job {
    loop {
        source.push();
        assert!(source.pair.producer.poll_transmit(source.pair.now).is_none());
        while let Some(action) = source.pair.producer.poll_action() {
            if let Action::Run(job) = action {
                return job;
            }
        }
    }
}

/// Full batches of so many partitions at a time: sealed without compression, and put in a request.
fn request(batches: u64) -> Body {
    let mut source = full_batches(batches);
    warm_up(move |meter| {
        for _ in 0..BATCHES / batches {
            fill(&mut source, batches);
            let transmit = take_request(&mut source, meter);
            answer(&mut source, transmit, &mut Unmeasured);
        }
    })
}

/// The answer to such a request.
fn response(batches: u64) -> Body {
    let mut source = full_batches(batches);
    warm_up(move |meter| {
        for _ in 0..BATCHES / batches {
            fill(&mut source, batches);
            let transmit = take_request(&mut source, &mut Unmeasured);
            answer(&mut source, transmit, meter);
        }
    })
}

fn full_batches(batches: u64) -> Source {
    let mut config = config();
    config.max_request_size = 8 << 20;
    Source::new(&config, Shape { partitions: batches as i32, ..UNKEYED })
}

/// Fills one batch of each partition, to the last record that has room.
fn fill(source: &mut Source, batches: u64) {
    for partition in 0..batches {
        let first = source.pair.push(Some(partition as i32), &source.values[0]).batch;
        loop {
            let receipt = source.pair.push(Some(partition as i32), &source.values[0]);
            if receipt.index >= FULL {
                break;
            }
            assert_eq!(receipt.batch, first);
        }
    }
    source.pair.advance(LINGER);
}

/// The last append index in a batch of 16 KiB, nearly full.
const FULL: u32 = 140;

fn take_request(source: &mut Source, meter: &mut dyn Meter) -> Transmit {
    let mut transmit = None;
    let pair = &mut source.pair;
    meter.measure(&mut || transmit = pair.producer.poll_transmit(pair.now));
    transmit.expect("a request")
}

fn answer(source: &mut Source, mut transmit: Transmit, meter: &mut dyn Meter) {
    let pair = &mut source.pair;
    let conn = transmit.conn();
    let bytes = pair.write(&mut transmit);
    drop(transmit);
    pair.producer.handle_input(pair.now, Input::Written { conn, bytes });
    meter.measure(&mut || {
        pair.hand_back(conn);
        take_events(pair);
    });
}
