//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::rate::Rate;
use crate::runtime::Runtime;
use crate::simulate::SimulateArgs;

/// Send records to Apache Kafka, measure how fast that goes, serve an embedded cluster, or simulate
/// one.
#[derive(Debug, Parser)]
#[command(name = "producer", version, about, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send lines or JSON records from files or standard input, and report what became of each
    Send(SendArgs),
    /// Generate load and print one JSON line with the rates, the CPU time and the memory it took
    Perf(PerfArgs),
    /// Run an embedded cluster on loopback, in memory, until Ctrl-C
    Serve(ServeArgs),
    /// List topics, their partitions and who leads them; creates none
    Topics(TopicsArgs),
    /// Run the producer against a simulated cluster where everything goes wrong, in virtual time
    Simulate(SimulateArgs),
    /// Print a shell's completions for this program
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, in roff, of this program or of one of its commands
    Man {
        /// The command, e.g. send; without it, the program
        command: Option<String>,
    },
}

/// Options of `producer send`.
#[derive(Debug, Args)]
#[command(after_help = SEND_HELP)]
pub(crate) struct SendArgs {
    /// Addresses to find the cluster at; without it an embedded broker is started on loopback
    #[arg(long, value_name = "HOST:PORT,...")]
    pub(crate) bootstrap: Option<String>,
    /// Topic of the records that do not name their own
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: String,
    /// What to run the producer on
    #[arg(long, value_enum, default_value_t = Runtime::Tokio)]
    pub(crate) runtime: Runtime,
    /// A setting under its Kafka name, e.g. linger.ms=20; may be repeated, the last one counts
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = parse_property)]
    pub(crate) properties: Vec<(String, String)>,
    /// A Java properties file with settings; --property goes over it
    #[arg(long = "properties", value_name = "FILE")]
    pub(crate) properties_file: Option<PathBuf>,
    /// What a line of input is
    #[arg(long, value_enum, default_value_t = InputFormat::Lines)]
    pub(crate) input: InputFormat,
    /// With lines: what stands before the first S of a line is the key
    #[arg(long, value_name = "S", value_parser = parse_separator)]
    pub(crate) key_separator: Option<String>,
    /// With --key-separator: nothing after it is a null value, not an empty one
    #[arg(long, requires = "key_separator")]
    pub(crate) tombstone: bool,
    /// A header of every record, after those of its own; may be repeated
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = parse_header)]
    pub(crate) headers: Vec<(String, String)>,
    /// Partition of the records that do not name their own; without it, it is chosen as usual
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partition: Option<i32>,
    /// At most so many records per second, evenly spaced
    #[arg(long, value_name = "N/s")]
    pub(crate) rate: Option<Rate>,
    /// How to report what became of each record
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) report: ReportFormat,
    /// Files to read, one after the other; none, or `-`, is standard input
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

const SEND_HELP: &str = "\
JSON input, an object per line: a record
  {\"value\": text|null, \"key\": text|null, \"partition\": N, \"timestamp\": ms,
   \"headers\": [[\"name\", \"value\"|null], ...], \"topic\": other,
   \"value_base64\": text, \"key_base64\": text, \"repeat\": N}
of which only value or value_base64 is needed, or a command
  {\"op\": \"flush\"}  {\"op\": \"sleep\", \"ms\": N}  {\"op\": \"close\", \"timeout_ms\": N}

Records are numbered from 0 in the order of the input; each copy of a repeated one counts.
Exit status: 0 all records delivered, 1 some failed or were not readable, 2 usage or configuration.";

/// Options of `producer perf`.
#[derive(Clone, Debug, Args)]
pub(crate) struct PerfArgs {
    /// Addresses to find the cluster at
    #[arg(long, value_name = "HOST:PORT,...", default_value = "127.0.0.1:29092")]
    pub(crate) bootstrap: String,
    /// Topic to fill
    #[arg(long, default_value = "bench")]
    pub(crate) topic: String,
    /// Records to send and to measure
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) records: u64,
    /// Records to send before, not measured
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    pub(crate) warmup: u64,
    /// Bytes of each value; with --data it names the file payload-BYTES.bin
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    pub(crate) size: usize,
    /// 1: with 8-byte keys, with --data from keys-8.bin
    #[arg(long, value_name = "0|1", default_value = "0", value_parser = parse_switch, action = clap::ArgAction::Set)]
    pub(crate) keyed: bool,
    /// linger.ms
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) linger_ms: u64,
    /// batch.size
    #[arg(long, value_name = "N", default_value_t = 16_384)]
    pub(crate) batch_bytes: usize,
    /// buffer.memory
    #[arg(long, value_name = "N", default_value_t = 32 << 20)]
    pub(crate) buffer_bytes: usize,
    /// compression.type: none, gzip, snappy, lz4 or zstd
    #[arg(long, value_name = "C", default_value = "none")]
    pub(crate) compression: String,
    /// acks: -1 (all), 1 or 0
    #[arg(long, value_name = "N", default_value = "-1", allow_hyphen_values = true)]
    pub(crate) acks: String,
    /// enable.idempotence
    #[arg(long, value_name = "0|1", default_value = "1", value_parser = parse_switch, action = clap::ArgAction::Set)]
    pub(crate) idempotent: bool,
    /// Partitions of the topic; accepted so that the options are those of other load generators,
    /// the cluster knows the number
    #[arg(long, value_name = "N", hide = true)]
    pub(crate) partitions: Option<i32>,
    /// 1: one record in flight, and the time of each
    #[arg(long, value_name = "0|1", default_value = "0", value_parser = parse_switch, action = clap::ArgAction::Set)]
    pub(crate) latency: bool,
    /// N records per second, evenly spaced, sent from a thread beside the producer's; and the time
    /// of each, from when it was due to its acknowledgement
    #[arg(long, value_name = "N", conflicts_with = "latency")]
    pub(crate) rate: Option<Rate>,
    /// Send from N plain threads that share the producer, which is on a thread of its own
    #[arg(long, value_name = "N", conflicts_with_all = ["latency", "rate"], value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(crate) threads: Option<u16>,
    /// Folder of payload files; by default data, and if there is none, values and keys are made up
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// What to run the producer on
    #[arg(long, value_enum, default_value_t = Runtime::Tokio)]
    pub(crate) runtime: Runtime,
    /// tokio with a worker thread per processor, as of #[tokio::main]; else all is on one thread
    #[arg(long, conflicts_with_all = ["rate", "threads"])]
    pub(crate) workers: bool,
}

/// Options of `producer serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Port of the first broker, the others get the ports after it; 0 lets the system choose
    #[arg(long, value_name = "P", default_value_t = 9092)]
    pub(crate) port: u16,
    /// Number of brokers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) brokers: u16,
    /// Partitions of each topic; topics appear when they are asked for
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..=100_000))]
    pub(crate) partitions: i32,
}

/// Options of `producer topics`.
#[derive(Debug, Args)]
#[command(after_help = TOPICS_HELP)]
pub(crate) struct TopicsArgs {
    /// Addresses to find the cluster at
    #[arg(long, value_name = "HOST:PORT,...")]
    pub(crate) bootstrap: String,
    /// A topic to ask about; may be repeated; without it, all are listed
    #[arg(long = "topic", value_name = "TOPIC")]
    pub(crate) topics: Vec<String>,
    /// What to run the producer on
    #[arg(long, value_enum, default_value_t = Runtime::Tokio)]
    pub(crate) runtime: Runtime,
    /// A setting under its Kafka name; max.block.ms, by default 5000, bounds the time it takes
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = parse_property)]
    pub(crate) properties: Vec<(String, String)>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) report: ReportFormat,
}

const TOPICS_HELP: &str = "\
JSON report, an object per topic, in the order of the question or by name:
  {\"topic\": text, \"partitions\": N, \"leaders\": [{\"partition\": N, \"broker\": id|null,
   \"host\": text, \"port\": N, \"error\": name}, ...]}
where host and port are left out if the broker is not known, and error if there is none; or
  {\"topic\": text, \"error\": name, \"message\": text}

Exit status: 0 all topics are listed, 1 one is not there or nobody answered, 2 usage or configuration.";

/// What a line of input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputFormat {
    /// A value, or key and value
    Lines,
    /// A JSON object: a record or a command
    Json,
}

/// How fates are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    Text,
    /// An object per line
    Json,
}

fn parse_property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// Unlike a setting's, a header's name is taken as it is, blanks included.
fn parse_header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

fn parse_separator(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn parse_switch(text: &str) -> Result<bool, String> {
    match text {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err("expected 0 or 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("producer").chain(arguments.iter().copied()))
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn send_has_its_defaults() {
        let Command::Send(send) = parse(&["send", "--topic", "t", "a.txt"]).unwrap().command else {
            panic!("not send");
        };
        assert_eq!(send.bootstrap, None);
        assert_eq!(send.input, InputFormat::Lines);
        assert_eq!(send.report, ReportFormat::Text);
        assert_eq!(send.files, [PathBuf::from("a.txt")]);
    }

    #[test]
    fn properties_may_hold_more_equal_signs_and_stay_in_order() {
        let arguments =
            ["send", "--topic", "t", "--property", "a=b=c", "--property", "linger.ms=0"];
        let Command::Send(send) = parse(&arguments).unwrap().command else { panic!("not send") };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(send.properties, [pair("a", "b=c"), pair("linger.ms", "0")]);
        assert!(parse(&["send", "--topic", "t", "--property", "linger.ms"]).is_err());
    }

    #[test]
    fn options_for_every_record_are_checked_before_anything_is_sent() {
        let send = |options: &str| {
            let options = options.split_whitespace();
            let line: Vec<_> = ["send", "--topic", "t"].into_iter().chain(options).collect();
            match parse(&line).map(|cli| cli.command) {
                Ok(Command::Send(send)) => Ok(send),
                Ok(other) => panic!("{other:?}"),
                Err(error) => Err((error.exit_code(), error.to_string())),
            }
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let given =
            "--header a=1=2 --header a= --partition 3 --rate 5/s --key-separator : --tombstone";
        let args = send(given).unwrap();
        assert_eq!(args.headers, [pair("a", "1=2"), pair("a", "")]);
        assert_eq!((args.partition, args.rate), (Some(3), "5".parse().ok()));
        assert!(args.tombstone);
        for (wrong, part) in [
            ("--header name", "NAME=VALUE"),
            ("--header =value", "NAME=VALUE"),
            ("--partition=-1", "-1"),
            ("--rate 0", "from 1"),
            ("--tombstone", "--key-separator"),
        ] {
            let (code, message) = send(wrong).unwrap_err();
            assert!(code == 2 && message.contains(part), "{wrong}: {message}");
        }
    }

    #[test]
    fn a_runtime_without_an_adapter_is_a_usage_error() {
        let error = parse(&["send", "--topic", "t", "--runtime", "glib"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        for known in ["tokio", "mio", "smol"] {
            assert!(error.to_string().contains(known), "{error}");
            let send = parse(&["send", "--topic", "t", "--runtime", known]);
            assert!(send.is_ok() && parse(&["perf", "--runtime", known]).is_ok());
        }
    }

    #[test]
    fn perf_takes_the_options_of_the_other_load_generators() {
        let line = "perf --bootstrap h:1 --topic t --records 10 --warmup 2 --size 100 --keyed 1 \
                    --linger-ms 0 --batch-bytes 16384 --buffer-bytes 33554432 --compression lz4 \
                    --acks -1 --idempotent 0 --latency 1 --data /d --partitions 4";
        let arguments: Vec<_> = line.split_whitespace().collect();
        let Command::Perf(perf) = parse(&arguments).unwrap().command else { panic!("not perf") };
        assert_eq!((perf.acks.as_str(), perf.keyed, perf.idempotent), ("-1", true, false));
        assert!(perf.latency && perf.rate.is_none());
        assert!(parse(&["perf", "--keyed", "yes"]).is_err());
        let Command::Perf(paced) = parse(&["perf", "--rate", "9"]).unwrap().command else {
            panic!("not perf")
        };
        assert_eq!(paced.rate, "9".parse().ok());
        let both = parse(&["perf", "--rate", "9", "--latency", "1"]).unwrap_err();
        assert!(both.to_string().contains("--latency"), "{both}");
        assert!(parse(&["perf", "--workers", "--rate", "9"]).is_err());
        let arguments = ["perf", "--workers", "--runtime", "mio"];
        let Command::Perf(mio) = parse(&arguments).unwrap().command else { panic!("not perf") };
        let error = crate::perf::run(&mio).unwrap_err();
        assert!(error.contains("--runtime tokio"), "{error}");
    }
}
