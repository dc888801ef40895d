//! `producer`: send records to Kafka, measure how fast that goes, serve an embedded cluster, simulate.

mod args;
mod embedded;
mod input;
mod manual;
mod perf;
mod rate;
mod report;
mod runtime;
mod say;
mod send;
mod serve;
mod settings;
mod simulate;
mod topics;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;

use args::{Cli, Command};

/// Some records failed, or were not readable.
const FAILED: u8 = 1;

/// Nothing was done: the command line or the settings are wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        // The report may block on its pipe: the producer goes on, on a thread of its own.
        Command::Send(args) => {
            runtime::on_tokio(Builder::new_multi_thread().worker_threads(1), send::run(args))
        }
        Command::Perf(args) => perf::run(&args),
        Command::Serve(args) => {
            runtime::on_tokio(&mut Builder::new_current_thread(), serve::run(args))
        }
        Command::Topics(args) => {
            runtime::on_tokio(&mut Builder::new_current_thread(), topics::run(args))
        }
        Command::Simulate(args) => simulate::run_all(&args),
        Command::Completions { shell } => Ok(manual::completions(shell)),
        Command::Man { command } => manual::page(command.as_deref()),
    };
    result.unwrap_or_else(|error| {
        eprintln!("producer: {error}");
        USAGE.into()
    })
}
