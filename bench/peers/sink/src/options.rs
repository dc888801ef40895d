//! The command line.

use anyhow::{Result, ensure};
use clap::Parser;

/// A broker that throws records away, and counts them.
///
/// One line on the control port is a command: `stats` answers with the counters as JSON, `reset`
/// sets them to zero and forgets the topics, `quit` ends the program. SIGTERM and SIGINT end it,
/// too, after it has printed the counters.
#[derive(Clone, Debug, Parser)]
#[command(name = "sink", version)]
pub(crate) struct Options {
    /// Address to listen on, and to be found at
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: String,
    /// Port of the first broker; the others have the ports after it
    #[arg(long, value_name = "P", default_value_t = 29_092)]
    pub(crate) port: u16,
    /// Number of brokers; partition P is led by broker P mod N
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) brokers: u16,
    /// Partitions of each topic
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..=100_000))]
    pub(crate) partitions: i32,
    /// 1: check the CRC of every batch, and the records of uncompressed ones
    #[arg(long, value_name = "0|1", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=1))]
    pub(crate) crc: u8,
    /// Port for commands
    #[arg(long, value_name = "P", default_value_t = 29_091)]
    pub(crate) control: u16,
}

impl Options {
    /// Checks what the parser cannot.
    pub(crate) fn check(&self) -> Result<()> {
        let last = u32::from(self.port) + u32::from(self.brokers) - 1;
        ensure!(
            last <= u32::from(u16::MAX),
            "--port {} leaves no ports for {} brokers",
            self.port,
            self.brokers
        );
        let brokers = u32::from(self.port)..=last;
        ensure!(
            !brokers.contains(&u32::from(self.control)),
            "--control {} is a port of a broker",
            self.control
        );
        Ok(())
    }
}
