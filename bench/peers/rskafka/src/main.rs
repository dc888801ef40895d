//! Load through rskafka 0.6, which has no partitioner and no idempotence, and always waits for all
//! replicas.

mod batched;
mod direct;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bench_common::{Measure, Options, Payload};
use chrono::Utc;
use clap::{Parser, ValueEnum};
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::record::Record;
use std::collections::BTreeMap;

/// Load through rskafka.
#[derive(Debug, Parser)]
#[command(name = "rskafka-peer", version)]
struct Cli {
    #[command(flatten)]
    options: Options,
    /// Who makes the batches
    #[arg(long, value_enum, default_value_t = Mode::Direct)]
    mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// The application: `PartitionClient::produce` with a vector of records
    Direct,
    /// `BatchProducer`, a record at a time, with linger
    Batch,
}

/// What all measurements need.
struct Load {
    options: Options,
    payload: Payload,
    compression: Compression,
    partitions: Vec<Arc<PartitionClient>>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Cli { options, mode } = Cli::parse();
    options.refuse_idempotence("rskafka")?;
    ensure!(options.acks == -1, "rskafka waits for all replicas: give --acks -1");
    let measure = options.measure();
    let load = Load::start(options).await?;
    match (measure, mode) {
        (Measure::Latency, _) => direct::measure_lone(&load).await,
        (Measure::Throughput, Mode::Direct) => direct::measure(&load).await,
        (Measure::Throughput, Mode::Batch) => batched::measure(&load).await,
        (Measure::Paced(rate), _) => {
            ensure!(mode == Mode::Batch, "--rate needs a producer with linger: give --mode batch");
            batched::measure_paced(&load, rate).await
        }
    }
}

impl Load {
    async fn start(options: Options) -> Result<Self> {
        let payload = Payload::load(&options)?;
        let client = ClientBuilder::new(vec![options.bootstrap.clone()])
            .max_message_size(100 << 20)
            .build()
            .await
            .with_context(|| format!("connecting to {}", options.bootstrap))?;
        let mut partitions = Vec::new();
        for partition in 0..options.partitions {
            let handling = UnknownTopicHandling::Retry;
            let client = client.partition_client(options.topic.clone(), partition, handling).await;
            partitions.push(Arc::new(client.with_context(|| format!("partition {partition}"))?));
        }
        let compression = compression(&options);
        Ok(Self { options, payload, compression, partitions })
    }

    fn record(&self, i: u64) -> Record {
        Record {
            key: self.payload.key(i).map(<[u8]>::to_vec),
            value: Some(self.payload.value(i).to_vec()),
            headers: BTreeMap::new(),
            timestamp: Utc::now(),
        }
    }
}

fn compression(options: &Options) -> Compression {
    use bench_common::Compression as Option;
    match options.compression {
        Option::None => Compression::NoCompression,
        Option::Gzip => Compression::Gzip,
        Option::Lz4 => Compression::Lz4,
        Option::Snappy => Compression::Snappy,
        Option::Zstd => Compression::Zstd,
    }
}
