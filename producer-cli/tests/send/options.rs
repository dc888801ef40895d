//! Options that say something of every record.

use producer_sim::NetCluster;

use crate::program::{cluster, send, send_json};

fn send_lines(cluster: &NetCluster, more: &[&str], input: &str) {
    let bootstrap = cluster.bootstrap();
    let output = send(&[&["--bootstrap", &bootstrap, "--topic", "t"], more].concat(), input);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
}

/// The headers of the records of partition 0, each as `name=value` or `name`.
fn headers(cluster: &NetCluster) -> Vec<Vec<String>> {
    let text = |name: &str, value: Option<&[u8]>| match value {
        Some(value) => format!("{name}={}", str::from_utf8(value).expect("text")),
        None => name.to_owned(),
    };
    let log = cluster.with(|cluster| cluster.log("t", 0));
    log.iter()
        .map(|record| {
            let headers = record.headers.iter();
            headers.map(|(name, value)| text(name, value.as_deref())).collect()
        })
        .collect()
}

#[test]
fn headers_of_the_command_line_come_after_a_records_own() {
    let cluster = cluster();
    let common = ["--header", "source=a=b", "--header", "empty=", "--partition", "0"];
    send_lines(&cluster, &common, "one\ntwo\n");
    assert_eq!(headers(&cluster), [["source=a=b", "empty="], ["source=a=b", "empty="]]);

    let input = r#"{"value":"v","headers":[["source","own"],["null",null]],"repeat":2}"#;
    let output = send_json(&cluster, &common, input);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    let merged = ["source=own", "null", "source=a=b", "empty="];
    assert_eq!(headers(&cluster)[2..], [merged, merged]);
}

#[test]
fn the_partition_of_the_command_line_is_for_records_that_name_none() {
    let cluster = cluster();
    let input =
        "{\"value\":\"a\",\"key\":\"k\"}\n{\"value\":\"b\",\"partition\":0}\n{\"value\":\"c\"}\n";
    let output = send_json(&cluster, &["--partition", "1"], input);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    let places: Vec<_> =
        output.records().iter().map(|record| record["partition"].as_i64()).collect();
    assert_eq!(places, [Some(1), Some(0), Some(1)]);

    // One that the topic does not have may be about to appear, so it is waited for.
    let options = ["--partition", "7", "--property", "max.block.ms=100"];
    let output = send_json(&cluster, &options, "{\"value\":\"a\"}\n");
    assert_eq!(output.code, Some(1));
    assert_eq!(output.records()[0]["error"], "MAX_BLOCK_TIMEOUT");
}

#[test]
fn a_tombstone_is_a_key_with_nothing_after_the_separator() {
    let cluster = cluster();
    let options = ["--key-separator", ":", "--partition", "0"];
    send_lines(&cluster, &options, "k:\n");
    send_lines(&cluster, &[&options[..], &["--tombstone"]].concat(), "k:v\nk:\n\n");
    let log = cluster.with(|cluster| cluster.log("t", 0));
    let sent: Vec<_> =
        log.iter().map(|record| (record.key.as_deref(), record.value.as_deref())).collect();
    let key = Some(&b"k"[..]);
    assert_eq!(
        sent,
        [(key, Some(&b""[..])), (key, Some(b"v")), (key, None), (None, Some(b""))],
        "empty, then a value, then null; a line without the separator is no tombstone"
    );
}

#[test]
fn a_rate_bounds_the_records_and_the_copies_of_a_repeated_one() {
    let cluster = cluster();
    let input = "{\"value\":\"a\",\"repeat\":6}\n{\"value\":\"b\",\"repeat\":5}\n";
    let output = send_json(&cluster, &["--rate", "100/s"], input);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    assert_eq!(output.records().len(), 11);
    let lines = output.json();
    let seconds = lines.last().and_then(|line| line["summary"]["seconds"].as_f64());
    assert!(seconds.is_some_and(|seconds| seconds >= 0.1), "10 intervals of 10 ms: {seconds:?}");
}
