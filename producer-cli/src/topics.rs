//! `producer topics`: topics, their partitions, and who leads them.

use std::io::{self, BufWriter, Write};
use std::iter;
use std::process::ExitCode;
use std::time::Duration;

use producer_tokio::{
    ClusterDescription, Config, DescribeError, PartitionDescription, TopicDescription,
};
use serde::Serialize;

use crate::args::{ReportFormat, TopicsArgs};
use crate::{FAILED, settings};

/// How long an answer may take unless a property says otherwise. A record can wait for a cluster
/// that is about to come up, as long as the default of Kafka; someone at a prompt cannot.
const MAX_BLOCK_MS: u32 = 5_000;

/// How long the connections may take to end.
const CLOSE: Duration = Duration::from_secs(1);

/// Runs the command. `Err` is for wrong options and settings.
pub(crate) async fn run(args: TopicsArgs) -> Result<ExitCode, String> {
    let producer = args.runtime.start(config(&args)?)?;
    let names: Vec<&str> = args.topics.iter().map(String::as_str).collect();
    let answer = producer.describe((!names.is_empty()).then_some(&names)).await;
    producer.close(CLOSE).await;
    let cluster = match answer {
        Ok(cluster) => cluster,
        Err(DescribeError::InvalidTopic(error)) => return Err(error.to_string()),
        Err(error) => {
            eprintln!("producer: {}: {error}", args.bootstrap);
            return Ok(FAILED.into());
        }
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let write = match args.report {
        ReportFormat::Text => write_text,
        ReportFormat::Json => write_json,
    };
    let mut topics = cluster.topics.iter();
    let written = topics.try_for_each(|topic| write(&mut out, &cluster, topic));
    match written.and_then(|()| out.flush()) {
        Ok(()) if cluster.topics.iter().all(|topic| topic.error.is_none()) => Ok(ExitCode::SUCCESS),
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
    settings::config(None, &properties, Some(&args.bootstrap))
}

type Out<'a> = BufWriter<io::StdoutLock<'a>>;

fn write_text(
    out: &mut Out<'_>,
    cluster: &ClusterDescription,
    topic: &TopicDescription,
) -> io::Result<()> {
    let name = &topic.name;
    if !topic.error.is_none() {
        let (error, text) = (topic.error.name(), topic.error.description());
        return writeln!(out, "{name}: failed: {error}: {text}");
    }
    match topic.partitions.len() {
        1 => writeln!(out, "{name}: 1 partition")?,
        count => writeln!(out, "{name}: {count} partitions")?,
    }
    for partition in &topic.partitions {
        let leader = Leader::new(cluster, partition);
        write!(out, "  {}: ", leader.partition)?;
        match leader.broker {
            Some(id) => write!(out, "broker {id}")?,
            None => out.write_all(b"no leader")?,
        }
        if let (Some(host), Some(port)) = (leader.host, leader.port) {
            let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
            write!(out, " at {open}{host}{close}:{port}")?;
        }
        match leader.error {
            Some(error) => writeln!(out, " ({error})")?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

/// A topic's line in JSON.
#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Known { topic: &'a str, partitions: usize, leaders: Vec<Leader<'a>> },
    Failed { topic: &'a str, error: &'static str, message: &'static str },
}

/// A partition and its leader.
#[derive(Serialize)]
struct Leader<'a> {
    partition: i32,
    broker: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

impl<'a> Leader<'a> {
    fn new(cluster: &'a ClusterDescription, partition: &PartitionDescription) -> Self {
        let id = partition.leader;
        let broker = cluster.brokers.iter().find(|broker| Some(broker.id) == id);
        Self {
            partition: partition.index,
            broker: id.map(|id| id.0),
            host: broker.map(|broker| &*broker.host),
            port: broker.map(|broker| broker.port),
            error: (!partition.error.is_none()).then(|| partition.error.name()),
        }
    }
}

fn write_json(
    out: &mut Out<'_>,
    cluster: &ClusterDescription,
    topic: &TopicDescription,
) -> io::Result<()> {
    let name = &topic.name;
    let line = if topic.error.is_none() {
        let partitions = topic.partitions.iter();
        let leaders: Vec<_> = partitions.map(|it| Leader::new(cluster, it)).collect();
        Line::Known { topic: name, partitions: leaders.len(), leaders }
    } else {
        let (error, message) = (topic.error.name(), topic.error.description());
        Line::Failed { topic: name, error, message }
    };
    serde_json::to_writer(&mut *out, &line)?;
    writeln!(out)
}
