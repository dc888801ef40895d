//! Load through librdkafka, by way of the crate rdkafka.
//!
//! Throughput is measured with `BaseProducer`, which the sender polls. Latencies are measured
//! with `ThreadedProducer`: a poll of rdkafka 0.39 with a timeout always takes all of it, also
//! when results come.

mod threaded;
mod throughput;

use anyhow::Result;
use bench_common::{Measure, Options, Payload};
use clap::Parser;
use rdkafka::config::ClientConfig;

const PEER: &str = "rdkafka";

/// Load through librdkafka.
#[derive(Debug, Parser)]
#[command(name = "rdkafka-peer", version)]
struct Cli {
    #[command(flatten)]
    options: Options,
    /// Records that are sent before results are looked at
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..))]
    poll_every: u64,
}

fn main() -> Result<()> {
    let Cli { options, poll_every } = Cli::parse();
    let payload = Payload::load(&options)?;
    let settings = settings(&options);
    match options.measure() {
        Measure::Throughput => throughput::measure(&options, &payload, &settings, poll_every),
        Measure::Latency => threaded::measure_lone(&options, &payload, &settings),
        Measure::Paced(rate) => threaded::measure_paced(&options, &payload, &settings, rate),
    }
}

fn settings(options: &Options) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", &options.bootstrap)
        .set("acks", options.acks.to_string())
        .set("enable.idempotence", options.idempotent.to_string())
        .set("linger.ms", options.linger_ms().to_string())
        .set("batch.size", options.batch_bytes.to_string())
        .set("batch.num.messages", "1000000")
        .set("message.max.bytes", "2000000")
        .set("queue.buffering.max.kbytes", (options.buffer_bytes / 1024).to_string())
        .set("queue.buffering.max.messages", "2000000")
        .set("max.in.flight.requests.per.connection", "5")
        .set("compression.type", options.compression.name())
        .set("partitioner", "murmur2_random")
        .set("socket.nagle.disable", "true");
    settings
}
