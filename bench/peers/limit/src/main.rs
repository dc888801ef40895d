//! The floor under every producer: record batches are encoded, compressed and written to one
//! socket by one thread. No bookkeeping, no idempotence, no retries; acknowledgements are awaited
//! at the end.

mod batch;
mod checksum;
mod codec;
mod floors;
mod socket;

use anyhow::{Result, bail, ensure};
use bench_common::{Measure, Options, Payload, Span, Usage, print_throughput};
use clap::{Parser, ValueEnum};

use socket::Connection;

/// The floor: batches encoded and written to a socket, and nothing else.
#[derive(Debug, Parser)]
#[command(name = "limit", version)]
struct Cli {
    #[command(flatten)]
    options: Options,
    /// What to measure
    #[arg(long, value_enum, default_value_t = Mode::Socket)]
    mode: Mode,
    /// With socket: batches in each request, of different partitions as long as there are some
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    batches: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Records sent to a broker
    Socket,
    /// Encoding, checksums and codecs, in memory; a line of numbers for each
    Floors,
}

fn main() -> Result<()> {
    let Cli { options, mode, batches } = Cli::parse();
    ensure!(
        options.batch_bytes >= batch::room(&options),
        "--batch-bytes {} has no room for a record, needs {}",
        options.batch_bytes,
        batch::room(&options)
    );
    let payload = Payload::load(&options)?;
    if mode == Mode::Floors {
        return floors::measure(&options, &payload);
    }
    options.refuse_idempotence("limit")?;
    ensure!(options.acks != 0, "limit waits for acknowledgements: give --acks 1 or -1");
    match options.measure() {
        Measure::Throughput => {
            let mut connection = Connection::open(&options, batches)?;
            connection.fill(&payload, options.warmup)?;
            let from = Usage::now()?;
            let errors = connection.fill(&payload, options.records)?;
            print_throughput(&format!("limit-{batches}"), &options, &Span::since(from)?, errors)
        }
        Measure::Latency => {
            let mut lone = options.clone();
            lone.batch_bytes = batch::room(&options);
            lone.partitions = 1;
            let mut connection = Connection::open(&lone, 1)?;
            bench_common::measure_each("limit-1", &options, |_| {
                Ok(connection.fill(&payload, 1)? == 0)
            })
        }
        Measure::Paced(_) => bail!("limit has no linger, so that paced load means nothing"),
    }
}
