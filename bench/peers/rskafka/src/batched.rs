//! Batches made by rskafka's `BatchProducer`, one for each partition.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bench_common::{Outcomes, Rate, Span, Usage, print_paced, print_throughput, send_paced};
use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt as _};
use rskafka::client::producer::aggregator::RecordAggregator;
use rskafka::client::producer::{BatchProducer, BatchProducerBuilder};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::Load;

const PEER: &str = "rskafka-batch";

type Producer = BatchProducer<RecordAggregator>;

fn producers(load: &Load) -> Vec<Producer> {
    let linger = Duration::from_millis(load.options.linger_ms());
    let start = |client: &std::sync::Arc<_>| {
        BatchProducerBuilder::new(std::sync::Arc::clone(client))
            .with_linger(linger)
            .with_compression(load.compression)
            .build(RecordAggregator::new(load.options.batch_bytes))
    };
    load.partitions.iter().map(start).collect()
}

/// Measures and prints the line of numbers.
pub(crate) async fn measure(load: &Load) -> Result<()> {
    let producers = producers(load);
    fill(load, &producers, load.options.warmup).await;
    let from = Usage::now()?;
    let errors = fill(load, &producers, load.options.records).await;
    print_throughput(PEER, &load.options, &Span::since(from)?, errors)
}

/// Sends so many records, in turn to all partitions. How many failed.
async fn fill(load: &Load, producers: &[Producer], records: u64) -> u64 {
    let tasks = (0..).zip(producers).map(|(first, producer)| one(load, producer, first, records));
    join_all(tasks).await.iter().sum()
}

/// Sends the records of one partition, of which about three batches wait at a time. How many
/// failed.
async fn one(load: &Load, producer: &Producer, first: u64, records: u64) -> u64 {
    let window = (load.options.batch_bytes / load.options.size * 3).max(16);
    let mut numbers = (first..records).step_by(load.partitions.len());
    let mut waiting = FuturesUnordered::new();
    let mut errors = 0;
    loop {
        while waiting.len() < window
            && let Some(i) = numbers.next()
        {
            waiting.push(producer.produce(load.record(i)));
        }
        match waiting.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                if errors == 0 {
                    eprintln!("the first error: {error}");
                }
                errors += 1;
            }
            None => return errors,
        }
    }
}

/// Measures records at their times and prints the line of numbers.
pub(crate) async fn measure_paced(load: &Load, rate: Rate) -> Result<()> {
    let producers = producers(load);
    paced(load, &producers, rate, load.options.warmup).await?;
    let from = Usage::now()?;
    let (outcomes, lateness) = paced(load, &producers, rate, load.options.records).await?;
    let span = Span::since(from)?;
    print_paced(PEER, rate, &span, outcomes.latencies, lateness, outcomes.errors)
}

/// The times come from a thread: the timers of a runtime are a millisecond late.
async fn paced(
    load: &Load,
    producers: &[Producer],
    rate: Rate,
    records: u64,
) -> Result<(Outcomes, Vec<Duration>)> {
    let (sender, due) = unbounded_channel();
    let clock = thread::spawn(move || {
        send_paced(rate, records, |i, time| {
            // Nobody listens any more when the measurement was given up.
            let _ = sender.send((i, time));
        })
    });
    let outcomes = produce_due(load, producers, due).await;
    let lateness = clock.join().ok().context("the thread of the clock has failed")?;
    Ok((outcomes, lateness))
}

/// Sends each record as it is due, until there are no more. What became of them.
async fn produce_due(
    load: &Load,
    producers: &[Producer],
    mut due: UnboundedReceiver<(u64, Instant)>,
) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let mut waiting = FuturesUnordered::new();
    let mut has_more = true;
    while has_more || !waiting.is_empty() {
        tokio::select! {
            biased;
            next = due.recv(), if has_more => match next {
                Some((i, time)) => {
                    let producer = &producers[i as usize % producers.len()];
                    let record = load.record(i);
                    waiting.push(async move {
                        let result = producer.produce(record).await;
                        (result, time.elapsed())
                    });
                }
                None => has_more = false,
            },
            Some((result, latency)) = waiting.next() => {
                if let Err(error) = &result && outcomes.errors == 0 {
                    eprintln!("the first error: {error}");
                }
                outcomes.add(result.is_ok(), latency);
            }
        }
    }
    outcomes
}
