//! Kafka's own tools: topics, and reading back with the console consumer.

use std::collections::HashMap;
use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::records::{EPOCH, NULL, Sample};

/// Partitions of the topics that the tests make.
pub(crate) const PARTITIONS: i32 = 6;

/// The addresses in an environment variable. Without it the test is skipped, and says so.
pub(crate) fn bootstrap(variable: &str) -> Option<String> {
    let addresses = env::var(variable).ok().filter(|text| !text.is_empty());
    if addresses.is_none() {
        eprintln!("skipped: {variable} does not name a cluster, see scripts/real-kafka-tests.sh");
    }
    addresses
}

/// Runs `scripts/kafka.sh`, or what `KAFKA_SCRIPT` names in its place.
pub(crate) fn script<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(arguments: I) -> Command {
    let script = env::var_os("KAFKA_SCRIPT").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/kafka.sh"),
        PathBuf::from,
    );
    let mut command = Command::new(script);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs the script to its end; its standard output.
pub(crate) fn run<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(arguments: I) -> String {
    let output = script(arguments).output().expect("scripts/kafka.sh starts");
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// A topic of one test, deleted at its end.
pub(crate) struct Topic {
    pub(crate) name: String,
    bootstrap: String,
}

impl Topic {
    /// Creates a topic with a name that nobody else has.
    pub(crate) fn create(bootstrap: &str, purpose: &str, replication: u64) -> Self {
        let topic = Self::named(bootstrap, purpose);
        topic.tool(&[
            "--create",
            "--partitions",
            &PARTITIONS.to_string(),
            "--replication-factor",
            &replication.to_string(),
            // The records' timestamps are years old: the broker would soon clear them away.
            "--config",
            "retention.ms=-1",
        ]);
        topic
    }

    /// Only the name: the cluster creates the topic when it is first asked for.
    pub(crate) fn named(bootstrap: &str, purpose: &str) -> Self {
        Self { name: Self::name(purpose), bootstrap: bootstrap.to_owned() }
    }

    /// A name for a topic that is not deleted, which today's tools cannot do on old brokers.
    pub(crate) fn name(purpose: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        format!("producer-test-{purpose}-{now}-{count}")
    }

    fn tool(&self, arguments: &[&str]) {
        let tool = ["tool", "org.apache.kafka.tools.TopicCommand"];
        let common = ["--bootstrap-server", &self.bootstrap, "--topic", &self.name];
        run(tool.iter().chain(&common).chain(arguments));
    }

    /// How many records the topic's partitions hold together, by their end offsets.
    pub(crate) fn end_offsets(&self) -> u64 {
        let text = run([
            "tool",
            "org.apache.kafka.tools.GetOffsetShell",
            "--bootstrap-server",
            &self.bootstrap,
            "--topic",
            &self.name,
        ]);
        let offset = |line: &str| line.rsplit(':').next().and_then(|end| end.parse::<u64>().ok());
        text.lines().map(|line| offset(line).expect("topic:partition:offset")).sum()
    }

    /// Reads the whole topic with Kafka's console consumer and compares it with what was sent
    /// and with what the producer said about it: `delivered[i]` is the place of record `i`.
    ///
    /// Every record once, in the order of sending within its partition, all bytes equal.
    pub(crate) fn verify(&self, delivered: &[(i32, i64)]) {
        let count = delivered.len();
        assert_eq!(self.end_offsets(), count as u64, "records in the topic");
        let mut consumer = script([
            "tool",
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            "--bootstrap-server",
            &self.bootstrap,
            "--topic",
            &self.name,
            "--from-beginning",
            "--max-messages",
            &count.to_string(),
            "--timeout-ms",
            "60000",
        ]);
        for property in ["timestamp", "partition", "offset", "headers", "key"] {
            consumer.arg("--formatter-property").arg(format!("print.{property}=true"));
        }
        let null = String::from_utf8_lossy(NULL);
        consumer.arg("--formatter-property").arg(format!("null.literal={null}"));
        let mut consumer =
            consumer.stdout(Stdio::piped()).spawn().expect("console consumer starts");
        let mut lines = BufReader::new(consumer.stdout.take().expect("piped"));
        let mut check = Check::new(delivered);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).expect("console consumer's output") > 0 {
            check.line(line.strip_suffix(b"\n").unwrap_or(&line));
            line.clear();
        }
        assert!(consumer.wait().expect("console consumer ends").success());
        check.finish();
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("topic {} is left for a look", self.name);
        } else {
            self.tool(&["--delete"]);
        }
    }
}

/// Compares the console consumer's lines with the records that were sent.
struct Check<'a> {
    delivered: &'a [(i32, i64)],
    seen: Vec<bool>,
    partitions: HashMap<i32, Position>,
    /// Where each key went: always to the same partition.
    keys: HashMap<Vec<u8>, i32>,
}

#[derive(Default)]
struct Position {
    next_offset: i64,
    last_record: Option<usize>,
}

impl<'a> Check<'a> {
    fn new(delivered: &'a [(i32, i64)]) -> Self {
        let seen = vec![false; delivered.len()];
        Self { delivered, seen, partitions: HashMap::new(), keys: HashMap::new() }
    }

    fn line(&mut self, line: &[u8]) {
        let mut fields = line.splitn(4, |byte| *byte == b'\t');
        let mut number = |name: &str| -> i64 {
            let field = fields.next().and_then(|field| field.strip_prefix(name.as_bytes()));
            let text = field.and_then(|field| std::str::from_utf8(field).ok());
            text.and_then(|text| text.parse().ok())
                .unwrap_or_else(|| panic!("no {name} in {:?}", String::from_utf8_lossy(line)))
        };
        let timestamp = number("CreateTime:");
        let partition = i32::try_from(number("Partition:")).expect("a partition");
        let offset = number("Offset:");
        let rest = fields.next().expect("headers, key and value");

        let index = usize::try_from(timestamp - EPOCH).expect("a timestamp that was sent");
        let sample = Sample::new(index as u64);
        assert!(index < self.seen.len(), "timestamp {timestamp} was never sent");
        assert!(!std::mem::replace(&mut self.seen[index], true), "record {index} is there twice");
        assert_eq!(self.delivered[index], (partition, offset), "place of record {index}");
        assert!(rest == sample.printed(), "bytes of record {index} differ");

        let position = self.partitions.entry(partition).or_default();
        assert_eq!(offset, position.next_offset, "offsets of partition {partition}");
        position.next_offset += 1;
        assert!(
            position.last_record < Some(index),
            "partition {partition}: record {index} after {:?}",
            position.last_record
        );
        position.last_record = Some(index);

        if let Some(key) = sample.key {
            let same = *self.keys.entry(key).or_insert(partition);
            assert_eq!(partition, same, "the key of record {index} went to another partition");
        }
    }

    fn finish(&self) {
        let missing = self.seen.iter().filter(|seen| !**seen).count();
        let first = self.seen.iter().position(|seen| !seen);
        assert_eq!(missing, 0, "records not in the topic, the first is {first:?}");
        assert_eq!(self.partitions.len(), PARTITIONS as usize, "partitions in use");
    }
}

/// The checker itself must see what is wrong.
mod checker {
    use super::*;

    fn line(index: u64, partition: i32, offset: i64) -> Vec<u8> {
        let sample = Sample::new(index);
        let head =
            format!("CreateTime:{}\tPartition:{partition}\tOffset:{offset}\t", sample.timestamp);
        [head.as_bytes(), &sample.printed()].concat()
    }

    #[test]
    fn accepts_what_was_sent() {
        let delivered: Vec<_> = (0..6).map(|partition| (partition, 0)).collect();
        let mut check = Check::new(&delivered);
        // Unkeyed records only: their partitions are free.
        let unkeyed = (0..6).all(|index| {
            check.line(&line(index, index as i32, 0));
            true
        });
        assert!(unkeyed);
        check.finish();
    }

    #[test]
    #[should_panic(expected = "there twice")]
    fn sees_a_duplicate() {
        let mut check = Check::new(&[(0, 0), (0, 1)]);
        check.line(&line(0, 0, 0));
        check.line(&line(0, 0, 1));
    }

    #[test]
    #[should_panic(expected = "record 0 after Some(1)")]
    fn sees_a_reordering() {
        let mut check = Check::new(&[(0, 1), (0, 0)]);
        check.line(&line(1, 0, 0));
        check.line(&line(0, 0, 1));
    }

    #[test]
    #[should_panic(expected = "bytes of record 0 differ")]
    fn sees_a_changed_byte() {
        let mut changed = line(0, 0, 0);
        *changed.last_mut().unwrap() ^= 1;
        Check::new(&[(0, 0)]).line(&changed);
    }

    #[test]
    #[should_panic(expected = "not in the topic")]
    fn sees_a_loss() {
        let mut check = Check::new(&[(0, 0), (0, 1)]);
        check.line(&line(0, 0, 0));
        check.finish();
    }
}
