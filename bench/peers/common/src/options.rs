//! The options that every load generator takes, `producer perf` and those in other languages
//! included.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{ArgAction, Args, ValueEnum};

use crate::paced::Rate;

/// Options of a load generator.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Address of a broker
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:29092")]
    pub bootstrap: String,
    /// Topic to fill
    #[arg(long, default_value = "bench")]
    pub topic: String,
    /// Records to send and to measure
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub records: u64,
    /// Records to send before, not measured
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    pub warmup: u64,
    /// Bytes of each value; names the payload file payload-BYTES.bin
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    pub size: usize,
    /// 1: with 8-byte keys from keys-8.bin
    #[arg(long, value_name = "0|1", default_value = "0", value_parser = parse_switch, action = ArgAction::Set)]
    pub keyed: bool,
    /// How long a batch waits for more records
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub linger_ms: u64,
    /// Bytes of a batch
    #[arg(long, value_name = "N", default_value_t = 16_384)]
    pub batch_bytes: usize,
    /// Bytes of records that may wait
    #[arg(long, value_name = "N", default_value_t = 32 << 20)]
    pub buffer_bytes: usize,
    /// Codec of the batches
    #[arg(long, value_enum, default_value_t = Compression::None)]
    pub compression: Compression,
    /// Acknowledgements to wait for: -1 (all in-sync replicas), 1 or 0
    #[arg(long, value_name = "N", default_value_t = -1, allow_hyphen_values = true, value_parser = clap::value_parser!(i16).range(-1..=1))]
    pub acks: i16,
    /// 1: with a producer id and sequence numbers
    #[arg(long, value_name = "0|1", default_value = "1", value_parser = parse_switch, action = ArgAction::Set)]
    pub idempotent: bool,
    /// Partitions of the topic, for those that must be told
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: i32,
    /// 1: one record in flight and no linger, and the time of each
    #[arg(long, value_name = "0|1", default_value = "0", value_parser = parse_switch, action = ArgAction::Set, conflicts_with = "rate")]
    pub latency: bool,
    /// N records per second, and the time of each from when it was due to its acknowledgement
    #[arg(long, value_name = "N")]
    pub rate: Option<Rate>,
    /// Folder of the payload files
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub enum Measure {
    /// How fast records go out and what that costs.
    Throughput,
    /// How long a lone record takes.
    Latency,
    /// How long records take under load.
    Paced(Rate),
}

/// A codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    /// No compression
    None,
    /// gzip
    Gzip,
    /// Snappy
    Snappy,
    /// LZ4, in frames
    Lz4,
    /// Zstandard
    Zstd,
}

impl Compression {
    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl Options {
    /// What the options ask for.
    pub fn measure(&self) -> Measure {
        match self.rate {
            Some(rate) => Measure::Paced(rate),
            None if self.latency => Measure::Latency,
            None => Measure::Throughput,
        }
    }

    /// The linger that is to be set: a lone record has none.
    pub fn linger_ms(&self) -> u64 {
        if self.latency { 0 } else { self.linger_ms }
    }

    /// Refuses idempotence, for generators without it.
    ///
    /// # Errors
    /// It was asked for, which is the default.
    pub fn refuse_idempotence(&self, who: &str) -> Result<()> {
        if self.idempotent {
            bail!("{who} is not idempotent: give --idempotent 0");
        }
        Ok(())
    }
}

fn parse_switch(text: &str) -> Result<bool, String> {
    match text {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err("expected 0 or 1".to_owned()),
    }
}
