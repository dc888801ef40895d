//! `producer`: send records to Kafka, measure how fast that goes, serve an embedded cluster.

mod args;
mod embedded;
mod input;
mod perf;
mod report;
mod send;
mod serve;
mod settings;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command, Runtime};

/// Some records failed, or were not readable.
const FAILED: u8 = 1;

/// Nothing was done: the command line or the settings are wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Send(args) => match args.runtime {
            Runtime::Tokio => on_tokio(send::run(args)),
        },
        Command::Perf(args) => match args.runtime {
            Runtime::Tokio => on_tokio(perf::run(args)),
        },
        Command::Serve(args) => on_tokio(serve::run(args)),
    };
    result.unwrap_or_else(|error| {
        eprintln!("producer: {error}");
        USAGE.into()
    })
}

/// The caller's work runs on this thread, the producer's on another.
fn on_tokio(work: impl Future<Output = Result<ExitCode, String>>) -> Result<ExitCode, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let result = runtime.block_on(work);
    // A read of standard input that never returns must not hold up the end.
    runtime.shutdown_background();
    result
}
