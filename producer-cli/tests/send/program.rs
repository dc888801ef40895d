//! Runs the program and talks to it.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use producer_sim::{ClusterConfig, NetCluster, TopicConfig};
use serde_json::Value;

/// A cluster of one broker whose topics have two partitions.
pub(crate) fn cluster() -> NetCluster {
    let mut config = ClusterConfig::new(1);
    config.auto_create = TopicConfig::new(2);
    NetCluster::start(config).expect("loopback")
}

/// What a run that has ended left behind.
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// The lines of a JSON report.
    pub(crate) fn json(&self) -> Vec<Value> {
        let parse =
            |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        self.stdout.lines().map(parse).collect()
    }

    /// The JSON lines of records, by number.
    pub(crate) fn records(&self) -> Vec<Value> {
        let mut records: Vec<Value> =
            self.json().into_iter().filter(|line| !line["record"].is_null()).collect();
        records.sort_by_key(|line| line["record"].as_u64());
        records
    }
}

/// `producer send` with these arguments.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_producer"));
    command.arg("send").args(arguments).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `producer send` on this input to its end.
pub(crate) fn send(arguments: &[&str], input: &str) -> Output {
    run(&mut command(arguments), input)
}

/// Runs the program with these arguments and no input.
pub(crate) fn producer(arguments: &[&str]) -> Output {
    run(Command::new(env!("CARGO_BIN_EXE_producer")).args(arguments), "")
}

/// Runs a command on this input to its end.
pub(crate) fn run(command: &mut Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    // A program that ends before it reads its input closes the pipe.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("the program ends");
    Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// Runs `producer send` with a JSON report against a cluster.
pub(crate) fn send_json(cluster: &NetCluster, more: &[&str], input: &str) -> Output {
    let bootstrap = cluster.bootstrap();
    let arguments = ["--bootstrap", &bootstrap, "--topic", "t", "--input", "json"];
    send(&[&arguments, more, &["--report", "json"]].concat(), input)
}

/// A run to talk to, line by line.
pub(crate) struct Dialog {
    child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    stdout: Option<Lines<BufReader<ChildStdout>>>,
    stderr: Option<ChildStderr>,
}

impl Dialog {
    /// Starts `producer send` with JSON input and report.
    pub(crate) fn start(cluster: &NetCluster, more: &[&str]) -> Self {
        let bootstrap = cluster.bootstrap();
        let arguments =
            ["--bootstrap", &bootstrap, "--topic", "t", "--input", "json", "--report", "json"];
        let mut child = command(&[&arguments, more].concat()).spawn().expect("the program starts");
        Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take().map(|out| BufReader::new(out).lines()),
            stderr: child.stderr.take(),
            child,
        }
    }

    /// Writes one line of input; false when nobody reads it.
    pub(crate) fn write(&mut self, line: &str) -> bool {
        let stdin = self.stdin.as_mut().expect("not closed");
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).is_ok()
    }

    /// Waits for the next line of the report.
    pub(crate) fn read(&mut self) -> Value {
        let line = self.stdout.as_mut().expect("not closed").next();
        let line = line.expect("a line").expect("text");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Ends the input.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Stops reading the report.
    pub(crate) fn close_report(&mut self) {
        self.stdout = None;
    }

    /// Waits for the end; what was written to standard error.
    pub(crate) fn finish(mut self) -> (ExitStatus, String) {
        self.stdin = None;
        let mut text = String::new();
        let stderr = self.stderr.as_mut().expect("piped");
        std::io::Read::read_to_string(stderr, &mut text).expect("text");
        (self.child.wait().expect("the program ends"), text)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}
