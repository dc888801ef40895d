//! As many records as possible, polled for by the thread that sends them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bench_common::{Options, Payload, Span, Usage, print_throughput};
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use crate::PEER;

/// Counts results.
#[derive(Default)]
struct Counts {
    delivered: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    fn all(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed) + self.failed()
    }
}

impl ClientContext for Counts {}

impl ProducerContext for Counts {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.delivered.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                if self.failed.fetch_add(1, Ordering::Relaxed) == 0 {
                    eprintln!("the first error: {error}");
                }
            }
        }
    }
}

/// Measures and prints the line of numbers.
pub(crate) fn measure(
    options: &Options,
    payload: &Payload,
    settings: &ClientConfig,
    poll_every: u64,
) -> Result<()> {
    let producer: BaseProducer<Counts> =
        settings.create_with_context(Counts::default()).context("starting the producer")?;
    let load = Load { producer: &producer, options, payload, poll_every };
    load.fill(options.warmup)?;
    let failed = producer.context().failed();
    let from = Usage::now()?;
    load.fill(options.records)?;
    let span = Span::since(from)?;
    print_throughput(PEER, options, &span, producer.context().failed() - failed)
}

struct Load<'a> {
    producer: &'a BaseProducer<Counts>,
    options: &'a Options,
    payload: &'a Payload,
    poll_every: u64,
}

impl Load<'_> {
    /// Sends so many records and waits for all results. Not with a flush: it would cut the last
    /// linger short, which no other load generator does.
    fn fill(&self, records: u64) -> Result<()> {
        let counts = self.producer.context();
        let all = counts.all() + records;
        for i in 0..records {
            self.send(i)?;
            if i % self.poll_every == 0 {
                self.producer.poll(Duration::ZERO);
            }
        }
        while counts.all() < all {
            self.producer.poll(Duration::from_millis(10));
        }
        Ok(())
    }

    fn send(&self, i: u64) -> Result<()> {
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.options.topic);
        record.payload = Some(self.payload.value(i));
        record.key = self.payload.key(i);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    self.producer.poll(Duration::from_millis(1));
                    record = again;
                }
                Err((error, _)) => bail!("record {i} is refused: {error}"),
            }
        }
    }
}
