//! Batches of the application's own making: a task for each partition, one request in flight.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use bench_common::{Outcomes, Span, Usage, print_latency, print_throughput};
use futures::future::join_all;
use rskafka::client::partition::PartitionClient;

use crate::Load;

/// Bytes of a record beside its value: lengths and deltas, and the key.
const UNKEYED: u64 = 12;
const KEYED: u64 = 21;

/// Measures and prints the line of numbers.
pub(crate) async fn measure(load: &Load) -> Result<()> {
    fill(load, load.options.warmup).await;
    let from = Usage::now()?;
    let errors = fill(load, load.options.records).await;
    print_throughput("rskafka-direct", &load.options, &Span::since(from)?, errors)
}

/// Measures one record after the other and prints the line of numbers.
pub(crate) async fn measure_lone(load: &Load) -> Result<()> {
    let send = async |i| {
        let records = vec![load.record(i)];
        load.partitions[0].produce(records, load.compression).await
    };
    for i in 0..load.options.warmup {
        send(i).await?;
    }
    let mut outcomes = Outcomes::default();
    outcomes.latencies.reserve_exact(load.options.records as usize);
    let from = Usage::now()?;
    for i in 0..load.options.records {
        let begin = Instant::now();
        let is_delivered = send(i).await.is_ok();
        outcomes.add(is_delivered, begin.elapsed());
    }
    print_latency("rskafka-direct", &Span::since(from)?, outcomes.latencies, outcomes.errors)
}

/// Sends so many records, in turn to all partitions. How many failed.
async fn fill(load: &Load, records: u64) -> u64 {
    let tasks =
        (0..).zip(&load.partitions).map(|(first, client)| one(load, client, first, records));
    join_all(tasks).await.iter().sum()
}

/// Sends the records of one partition. How many failed.
async fn one(load: &Load, client: &Arc<PartitionClient>, first: u64, records: u64) -> u64 {
    let options = &load.options;
    let size = options.size as u64 + if options.keyed { KEYED } else { UNKEYED };
    let batch = (options.batch_bytes as u64 / size).max(1) as usize;
    let mut numbers = (first..records).step_by(load.partitions.len()).peekable();
    let mut errors = 0;
    while numbers.peek().is_some() {
        let mut batched = Vec::with_capacity(batch);
        batched.extend(numbers.by_ref().take(batch).map(|i| load.record(i)));
        let count = batched.len() as u64;
        if let Err(error) = client.produce(batched, load.compression).await {
            if errors == 0 {
                eprintln!("the first error: {error}");
            }
            errors += count;
        }
    }
    errors
}
