//! `producer topics`: how many partitions topics have.

use std::io::{self, BufWriter, Write};
use std::iter;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::future::join_all;
use producer_tokio::{Config, SendError};
use serde::Serialize;

use crate::args::{ReportFormat, TopicsArgs};
use crate::runtime::Runtime;
use crate::{FAILED, settings};

/// How long an answer may take unless a property says otherwise. A record can wait for a topic that
/// is about to appear, as long as the default of Kafka; someone at a prompt cannot.
const MAX_BLOCK_MS: u32 = 5_000;

/// How long the connections may take to end.
const CLOSE: Duration = Duration::from_secs(1);

/// Runs the command. `Err` is for wrong options and settings.
pub(crate) async fn run(args: TopicsArgs) -> Result<ExitCode, String> {
    let producer = Runtime::Tokio.start(config(&args)?)?;
    // All at once, as each may take `max.block.ms`.
    let asked = args.topics.iter().map(|topic| producer.partitions_for(topic.as_str()));
    let counts = join_all(asked).await;
    producer.close(CLOSE).await;

    let mut out = BufWriter::new(io::stdout().lock());
    let written = args
        .topics
        .iter()
        .zip(&counts)
        .try_for_each(|(topic, count)| write_topic(&mut out, args.report, topic, count));
    match written.and_then(|()| out.flush()) {
        Ok(()) if counts.iter().all(Result::is_ok) => Ok(ExitCode::SUCCESS),
        Ok(()) => Ok(FAILED.into()),
        Err(error) => {
            if error.kind() != io::ErrorKind::BrokenPipe {
                eprintln!("producer: the report could not be written: {error}");
            }
            Ok(FAILED.into())
        }
    }
}

fn config(args: &TopicsArgs) -> Result<Config, String> {
    let wait = ("max.block.ms".to_owned(), MAX_BLOCK_MS.to_string());
    let properties: Vec<_> = iter::once(wait).chain(args.properties.iter().cloned()).collect();
    let mut config = settings::config(None, &properties, Some(&args.bootstrap))?;
    // Looking at a topic must not create it. Brokers before 0.11 cannot be told so.
    config.allow_auto_topic_creation = false;
    Ok(config)
}

/// A topic's line in JSON.
#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    partitions: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

fn write_topic(
    out: &mut impl Write,
    format: ReportFormat,
    topic: &str,
    count: &Result<i32, SendError>,
) -> io::Result<()> {
    match (format, count) {
        (ReportFormat::Text, Ok(1)) => writeln!(out, "{topic}: 1 partition"),
        (ReportFormat::Text, Ok(count)) => writeln!(out, "{topic}: {count} partitions"),
        (ReportFormat::Text, Err(error)) => {
            writeln!(out, "{topic}: failed: {}: {error}", error.name())
        }
        (ReportFormat::Json, count) => {
            let error = count.as_ref().err();
            let line = Line {
                topic,
                partitions: count.as_ref().ok().copied(),
                error: error.map(SendError::name),
                message: error.map(ToString::to_string),
            };
            serde_json::to_writer(&mut *out, &line)?;
            writeln!(out)
        }
    }
}
