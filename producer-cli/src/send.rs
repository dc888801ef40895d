//! `producer send`: input in, records out, a line for each fate.
//!
//! Three things run side by side: a thread that reads the input, the [`feed`] that hands records
//! to the producer in the order of the input, and the [`outcomes`] that are reported as they come.

mod feed;
mod outcomes;
mod progress;
mod settle;
mod waiting;

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use producer_sim::NetCluster;
use producer_tokio::Config;
use tokio::sync::{mpsc, watch};

use crate::args::SendArgs;
use crate::input::{Parser, Source, spawn_reader};
use crate::report::{Counts, Reporter};
use crate::{FAILED, embedded, settings};
use feed::{Defaults, Feed};
use outcomes::Outcomes;
use progress::Progress;

/// How long records may still take after Ctrl-C, or when nobody reads the report any more.
const INTERRUPT_DEADLINE: Duration = Duration::from_secs(5);

/// The exit status of a program that a second Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Messages between feed and report; the records behind them are bounded by the producer.
const MESSAGES: usize = 1024;

/// Runs the command. `Err` is for what is wrong before the first record: usage or configuration.
pub(crate) async fn run(args: SendArgs) -> Result<ExitCode, String> {
    let sources = open(&args)?;
    let (config, _embedded) = configure(&args)?;
    let buffer_memory = config.buffer_memory;
    let producer = args.runtime.start(config)?;
    let progress = Progress::new(&args.files);
    let begin = Instant::now();

    let parser =
        Parser { format: args.input, key_separator: args.key_separator, tombstone: args.tombstone };
    let chunks = spawn_reader(sources, parser).map_err(|error| format!("input: {error}"))?;
    let (messages, inbox) = mpsc::channel(MESSAGES);
    let (stop, stopped) = watch::channel(false);

    let defaults = Defaults { topic: args.topic, partition: args.partition, headers: args.headers };
    let feed =
        Feed::new(producer.clone(), buffer_memory, defaults, args.rate, messages, progress.clone());
    let feed = async {
        feed.run(chunks, stopped.clone()).await;
        // End of input: flush and close. Each record's own timeout bounds that.
        let mut stopped = stopped.clone();
        tokio::select! {
            () = producer.close(None) => {}
            _ = stopped.wait_for(|stop| *stop) => producer.close(INTERRUPT_DEADLINE).await,
        }
    };
    let out = BufWriter::with_capacity(64 << 10, io::stdout());
    let mut outcomes = Outcomes::new(Reporter::new(out, args.report), progress.clone());
    let report = async {
        let result = outcomes.run(inbox).await;
        if result.is_err() {
            stop.send_replace(true);
        }
        result
    };
    let result = tokio::select! {
        ((), result) = async { tokio::join!(feed, report) } => result,
        never = interrupts(&stop) => match never {},
    };
    progress.finish();
    match result.and_then(|()| outcomes.summary(begin.elapsed())) {
        Ok(counts) => Ok(exit_code(counts)),
        // Whoever read the report has gone: there is nobody to tell.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(FAILED.into()),
        Err(error) => {
            eprintln!("producer: the report could not be written: {error}");
            Ok(FAILED.into())
        }
    }
}

/// Opens every file before the first record is sent.
fn open(args: &SendArgs) -> Result<Vec<Source>, String> {
    let stdin = || Source { name: None, reader: Box::new(io::stdin()) };
    if args.files.is_empty() {
        return Ok(vec![stdin()]);
    }
    args.files
        .iter()
        .map(|path| {
            if path == Path::new("-") {
                return Ok(stdin());
            }
            let name = path.display().to_string();
            let file = File::open(path).and_then(|file| {
                if file.metadata()?.is_dir() {
                    return Err(io::ErrorKind::IsADirectory.into());
                }
                Ok(file)
            });
            match file {
                Ok(file) => Ok(Source { name: Some(name), reader: Box::new(file) }),
                Err(error) => Err(format!("{name}: {error}")),
            }
        })
        .collect()
}

/// The settings, and the embedded broker if they name no other.
fn configure(args: &SendArgs) -> Result<(Config, Option<NetCluster>), String> {
    let mut config = settings::config(
        args.properties_file.as_deref(),
        &args.properties,
        args.bootstrap.as_deref(),
    )?;
    if args.bootstrap.is_some() || !config.bootstrap_servers.is_empty() {
        return Ok((config, None));
    }
    // What is wrong with the settings is wrong wherever the records go: before a broker is started.
    config.bootstrap_servers = vec!["localhost:9092".to_owned()];
    config.validate().map_err(|error| error.to_string())?;
    let cluster = embedded::start(0, 1, embedded::PARTITIONS)?;
    config.bootstrap_servers = cluster.addresses().iter().map(ToString::to_string).collect();
    eprintln!(
        "producer: no --bootstrap: the records go to an embedded broker on {}, which checks and \
         forgets them",
        cluster.bootstrap()
    );
    Ok((config, Some(cluster)))
}

/// The first Ctrl-C ends the input, the second the program.
async fn interrupts(stop: &watch::Sender<bool>) -> Infallible {
    for first in [true, false] {
        if tokio::signal::ctrl_c().await.is_err() {
            break;
        }
        if !first {
            std::process::exit(INTERRUPTED);
        }
        eprintln!(
            "producer: interrupted; waiting up to {} s for records on their way",
            INTERRUPT_DEADLINE.as_secs()
        );
        stop.send_replace(true);
    }
    std::future::pending().await
}

fn exit_code(counts: Counts) -> ExitCode {
    if counts.failed == 0 && counts.invalid == 0 { ExitCode::SUCCESS } else { FAILED.into() }
}
