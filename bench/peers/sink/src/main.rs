//! A Kafka-speaking broker that throws records away at memory speed, and counts them: with it,
//! the client is what limits a benchmark.
//!
//! A thread for each connection, blocking sockets. Only the headers of requests and batches are
//! parsed; records are dropped in the kernel, unless `--crc 1` asks for the check of the CRC and,
//! in uncompressed batches, of the framing of the records. It serves ApiVersions 0-4, Metadata
//! 0-12, Produce 3-13 and InitProducerId 0-5; a topic appears when it is asked for.

mod api_versions;
mod batch;
mod connection;
mod control;
mod input;
mod metadata;
mod options;
mod output;
mod produce;
mod records;
mod state;
mod totals;

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use clap::Parser as _;
use nix::sys::signal::{SigSet, Signal};

use options::Options;
use state::Cluster;

fn main() -> Result<()> {
    let options = Options::parse();
    options.check()?;
    // Before there are threads, which inherit it: the signals are taken below.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block().context("blocking signals")?;

    let cluster = Arc::new(Cluster::new(options));
    let options = cluster.options();
    for broker in 0..options.brokers {
        let listener = bind(&options.host, options.port + broker)?;
        let cluster = cluster.clone();
        thread::spawn(move || connection::accept(&listener, &cluster, broker.into()));
    }
    let control = bind(&options.host, options.control)?;
    let controlled = cluster.clone();
    thread::spawn(move || control::accept(&control, &controlled));
    eprintln!("{} brokers from {}:{} on", options.brokers, options.host, options.port);

    signals.wait().context("waiting for a signal")?;
    println!("{}", cluster.stats()?);
    Ok(())
}

fn bind(host: &str, port: u16) -> Result<TcpListener> {
    TcpListener::bind((host, port)).with_context(|| format!("cannot listen on {host}:{port}"))
}
