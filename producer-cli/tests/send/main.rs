//! The program `producer`, most of all its `send`, as its users and their scripts see it, against
//! brokers on loopback that are told how to behave.

mod manual;
mod options;
mod program;
mod topics;

use std::process::Command;
use std::time::Duration;

use producer_sim::{ApiKey, Output, ResponseError, Rule, TopicConfig};
use program::{Dialog, cluster, send, send_json};
use serde_json::json;

#[test]
fn every_runtime_sends_and_loads() {
    let folder = std::env::temp_dir().join(format!("producer-runtimes-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("payload-10.bin"), [7; 40]).unwrap();
    for runtime in ["tokio", "mio", "smol"] {
        let cluster = cluster();
        let input = "{\"value\":\"a\",\"partition\":0,\"repeat\":100}\n";
        let output = send_json(&cluster, &["--runtime", runtime], input);
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
        assert_eq!(cluster.with(|cluster| cluster.log("t", 0)).len(), 100);

        let perf = |options: &[&str]| {
            let output = program::run(
                Command::new(env!("CARGO_BIN_EXE_producer"))
                    .args(["perf", "--records", "1000", "--warmup", "10", "--size", "10"])
                    .args(["--runtime", runtime, "--bootstrap", &cluster.bootstrap()])
                    .args(options)
                    .arg("--data")
                    .arg(&folder),
                "",
            );
            assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
            output
        };
        let output = perf(&["--topic", "p"]);
        assert!(output.stdout.contains(&format!("\"producer-{runtime}\"")), "{}", output.stdout);
        let loaded = |topic: &str| {
            cluster.with(|cluster| cluster.log(topic, 0).len() + cluster.log(topic, 1).len())
        };
        assert_eq!(loaded("p"), 1010);

        let output = perf(&["--topic", "s", "--threads", "3"]);
        assert!(output.stdout.contains("\"records\":1000,"), "{}", output.stdout);
        assert_eq!(loaded("s"), 1010);

        let output = perf(&["--topic", "r", "--rate", "20000"]);
        assert_eq!(loaded("r"), 1010);
        let numbers: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(numbers["rate"], 20_000);
        // The last of 1,000 records is due 49.95 ms after the first.
        assert!(numbers["seconds"].as_f64().unwrap() >= 0.049, "{numbers}");
        assert!(numbers["p50_us"].as_f64().unwrap() > 0.0, "{numbers}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn every_record_gets_its_line_and_the_summary_is_last() {
    let cluster = cluster();
    let input = r#"
{"value":"a","key":"k","timestamp":1700000000123,"headers":[["h","1"],["h",null]]}
{"value":null,"partition":1,"timestamp":5}
{"value_base64":"AP8=","topic":"other","partition":0,"repeat":3}
"#;
    let output = send_json(&cluster, &[], input);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    let records = output.records();
    assert_eq!(records.len(), 5, "{}", output.stdout);
    assert_eq!(
        records[1],
        json!({"record":1,"status":"delivered","topic":"t","partition":1,"offset":0,"timestamp":5})
    );
    assert_eq!(records[0]["timestamp"], 1_700_000_000_123_i64);
    for (offset, record) in records[2..].iter().enumerate() {
        assert_eq!((&record["topic"], &record["offset"]), (&json!("other"), &json!(offset)));
    }
    let lines = output.json();
    let summary = &lines.last().unwrap()["summary"];
    assert_eq!(lines.len(), 6);
    assert_eq!(
        (&summary["records"], &summary["delivered"], &summary["failed"]),
        (&json!(5), &json!(5), &json!(0))
    );
    assert!(summary["seconds"].is_f64());
    assert_eq!(summary.as_object().unwrap().len(), 4);

    cluster.with(|cluster| {
        assert!(cluster.violations().is_empty(), "{:?}", cluster.violations());
        let partition = records[0]["partition"].as_i64().unwrap() as i32;
        let log = cluster.log("t", partition);
        let record = log.iter().find(|record| record.key.as_deref() == Some(b"k")).unwrap();
        assert_eq!(record.value.as_deref(), Some(&b"a"[..]));
        assert_eq!(record.headers.len(), 2);
        assert_eq!(cluster.log("t", 1).iter().filter(|record| record.value.is_none()).count(), 1);
        assert_eq!(cluster.log("other", 0)[2].value.as_deref(), Some(&[0, 255][..]));
    });
}

#[test]
fn lines_are_values_with_keys_before_the_separator() {
    let cluster = cluster();
    let bootstrap = cluster.bootstrap();
    let arguments = ["--bootstrap", &bootstrap, "--topic", "t", "--key-separator", "=>"];
    let output = send(&arguments, "k=>v\r\n=>e\n\nplain");
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    assert!(output.stdout.contains("record 3: t-"), "{}", output.stdout);
    assert!(output.stdout.lines().last().unwrap().starts_with("4 records: 4 delivered, 0 failed"));
    let mut sent = cluster.with(|cluster| [cluster.log("t", 0), cluster.log("t", 1)].concat());
    sent.sort_by(|a, b| a.value.cmp(&b.value));
    let sent: Vec<_> =
        sent.iter().map(|record| (record.key.as_deref(), record.value.as_deref())).collect();
    assert_eq!(
        sent,
        [
            (None, Some(&b""[..])),
            (Some(&b""[..]), Some(&b"e"[..])),
            (None, Some(&b"plain"[..])),
            (Some(&b"k"[..]), Some(&b"v"[..])),
        ]
    );
}

#[test]
fn without_bootstrap_an_embedded_broker_takes_the_records() {
    let output = send(&["--topic", "demo"], "one\ntwo\n");
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stderr.contains("embedded broker on 127.0.0.1:"), "{}", output.stderr);
    let places: Vec<_> = output.stdout.lines().filter(|line| line.contains(": demo-")).collect();
    assert_eq!(places.len(), 2, "{}", output.stdout);
}

#[test]
fn input_is_acted_on_as_it_arrives() {
    let cluster = cluster();
    let mut dialog = Dialog::start(&cluster, &[]);
    for number in 0..3 {
        assert!(dialog.write(r#"{"value":"v"}"#));
        let line = dialog.read();
        assert_eq!((&line["record"], &line["status"]), (&json!(number), &json!("delivered")));
    }
    dialog.end_input();
    assert_eq!(dialog.read()["summary"]["records"], 3);
    assert!(dialog.finish().0.success());
}

#[test]
fn a_malformed_line_is_named_and_the_rest_goes_on() {
    let cluster = cluster();
    let output =
        send_json(&cluster, &[], "{\"value\":\"a\"}\nnot json\n\n{\"value\":7}\n{\"value\":\"b\"}");
    assert_eq!(output.code, Some(1));
    let lines = output.json();
    let invalid: Vec<_> = lines.iter().filter(|line| line["status"] == "invalid").collect();
    assert_eq!((&invalid[0]["line"], &invalid[1]["line"]), (&json!(2), &json!(4)));
    assert_eq!(invalid[0]["error"], "INVALID_INPUT");
    assert_eq!(output.records().len(), 2, "{}", output.stdout);
    let summary = &lines.last().unwrap()["summary"];
    assert_eq!((&summary["delivered"], &summary["invalid"]), (&json!(2), &json!(2)));

    let bootstrap = cluster.bootstrap();
    let arguments = ["--bootstrap", &bootstrap, "--topic", "t", "--input", "json"];
    let output = send(&arguments, "{\"value\":\"a\"}\noops\n");
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("line 2: expected a JSON object"), "{}", output.stderr);
}

#[test]
fn what_a_broker_refuses_has_kafkas_name_and_what_is_refused_here_a_clear_one() {
    let cluster = cluster();
    cluster.with(|cluster| {
        cluster.create_topic("t", TopicConfig::new(1));
        cluster.create_topic("bad", TopicConfig::new(1));
        cluster.inject(
            Rule::on(ApiKey::Produce)
                .topic("bad")
                .always()
                .error(ResponseError::TopicAuthorizationFailed),
        );
    });
    let large = "x".repeat(2_000_000);
    let input = format!(
        r#"{{"value":"v","topic":"bad"}}
{{"value":"v","topic":"no spaces"}}
{{"value":"{large}"}}
{{"value":"v","partition":-1}}
{{"value":"ok"}}"#
    );
    let output = send_json(&cluster, &[], &input);
    assert_eq!(output.code, Some(1));
    let records = output.records();
    let names: Vec<_> = records.iter().map(|line| line["error"].as_str()).collect();
    assert_eq!(
        names,
        [
            Some("TOPIC_AUTHORIZATION_FAILED"),
            Some("INVALID_TOPIC_EXCEPTION"),
            Some("RECORD_TOO_LARGE"),
            Some("INVALID_PARTITION"),
            None
        ],
        "{}",
        output.stdout
    );
    for line in &records[..4] {
        assert_eq!(
            (&line["status"], &line["persistence"]),
            (&json!("failed"), &json!("not_persisted"))
        );
        assert!(!line["message"].as_str().unwrap().is_empty());
    }
    assert!(records[2]["message"].as_str().unwrap().contains("1048576"), "{}", records[2]);
    assert_eq!(output.json().last().unwrap()["summary"]["failed"], 4);
}

#[test]
fn a_flush_answers_after_the_records_before_it_and_does_not_stop_the_reading() {
    let cluster = cluster();
    cluster.with(|cluster| cluster.create_topic("t", TopicConfig::new(1)));
    let input = r#"{"value":"a","repeat":100}
{"op":"flush"}
{"op":"sleep","ms":1}
{"value":"b"}"#;
    let output = send_json(&cluster, &["--property", "linger.ms=1000"], input);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let lines = output.json();
    let flush = lines.iter().position(|line| line["op"] == "flush").unwrap();
    let before = lines[..flush].iter().filter(|line| line["status"] == "delivered").count();
    assert!(before >= 100, "{}", output.stdout);
    assert_eq!((&lines[flush]["status"], &lines[flush]["error"]), (&json!("ok"), &json!(null)));
    assert!(lines[flush]["ms"].as_u64().unwrap() < 1000, "a flush does not linger");
    assert!(lines.iter().any(|line| line["op"] == "sleep" && line["status"] == "ok"));
    assert_eq!(output.records().len(), 101);
}

#[test]
fn records_linger_although_their_report_is_awaited() {
    let cluster = cluster();
    cluster.with(|cluster| cluster.create_topic("t", TopicConfig::new(1)));
    let input = r#"{"value":"a","repeat":50}
{"op":"sleep","ms":20}
{"value":"b"}
"#;
    let output = send_json(&cluster, &["--property", "linger.ms=30000"], input);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let batches = cluster.with(|cluster| cluster.total_counts().batches);
    assert_eq!(batches, 1, "one batch at the end of the input");
}

#[test]
fn after_close_records_are_refused() {
    let cluster = cluster();
    let input = r#"{"value":"a"}
{"op":"close","timeout_ms":10000}
{"value":"b"}"#;
    let output = send_json(&cluster, &[], input);
    assert_eq!(output.code, Some(1));
    let lines = output.json();
    let close = lines.iter().find(|line| line["op"] == "close").unwrap();
    assert_eq!((&close["status"], &close["error"]), (&json!("ok"), &json!(null)));
    let records = output.records();
    assert_eq!(records[0]["status"], "delivered");
    assert_eq!(
        (&records[1]["error"], &records[1]["persistence"]),
        (&json!("CLOSED"), &json!("not_persisted"))
    );
}

#[test]
fn a_close_keeps_its_deadline_and_says_what_it_cost() {
    let cluster = cluster();
    cluster.with(|cluster| {
        cluster.create_topic("t", TopicConfig::new(1));
        cluster.inject(Rule::on(ApiKey::Produce).always().drop_answer());
    });
    let input = r#"{"value":"a"}
{"op":"sleep","ms":40}
{"op":"close","timeout_ms":50}"#;
    let output = send_json(&cluster, &[], input);
    assert_eq!(output.code, Some(1));
    let records = output.records();
    assert_eq!(records[0]["persistence"], "possibly_persisted", "{}", output.stdout);
    let lines = output.json();
    let close = lines.iter().find(|line| line["op"] == "close").unwrap();
    assert_eq!(close["status"], "failed");
    assert!(close["ms"].as_u64().unwrap() >= 50 && close["ms"].as_u64().unwrap() < 5000);
}

#[test]
fn a_full_buffer_stops_the_reading_for_max_block() {
    let cluster = cluster();
    cluster.with(|cluster| {
        cluster.create_topic("t", TopicConfig::new(1));
        cluster.inject(Rule::on(ApiKey::Produce).always().drop_answer());
    });
    let settings = ["--property", "buffer.memory=20000", "--property", "max.block.ms=30"];
    let input = format!(
        "{{\"value\":\"{}\",\"repeat\":8}}\n{{\"op\":\"close\",\"timeout_ms\":10}}",
        "x".repeat(9000)
    );
    let output = send_json(&cluster, &settings, &input);
    let records = output.records();
    assert_eq!(records.len(), 8);
    let full = records.iter().filter(|line| line["error"] == "BUFFER_EXHAUSTED").count();
    assert!(full >= 5, "{}", output.stdout);
    let seconds = output.json().last().unwrap()["summary"]["seconds"].as_f64().unwrap();
    assert!(seconds >= 0.03 * full as f64, "{full} records waited {seconds} s");
}

#[test]
fn a_broken_pipe_ends_the_program_quietly() {
    let cluster = cluster();
    let mut dialog = Dialog::start(&cluster, &[]);
    assert!(dialog.write(r#"{"value":"v"}"#));
    dialog.read();
    dialog.close_report();
    // The next line of the report finds nobody.
    dialog.write(r#"{"value":"w"}"#);
    let (status, stderr) = dialog.finish();
    assert_eq!((status.code(), stderr.as_str()), (Some(1), ""));
}

#[test]
fn interrupting_sends_what_was_read_and_reports() {
    let cluster = cluster();
    let mut dialog = Dialog::start(&cluster, &["--property", "linger.ms=30000"]);
    assert!(dialog.write(r#"{"value":"v"}"#));
    // Answered when the record before it is with the producer.
    assert!(dialog.write(r#"{"op":"sleep","ms":1}"#));
    assert_eq!(dialog.read()["op"], "sleep");
    let kill = Command::new("kill").args(["-INT", &dialog.id().to_string()]).status();
    assert!(kill.unwrap().success());
    assert_eq!(dialog.read()["status"], "delivered");
    assert_eq!(dialog.read()["summary"]["delivered"], 1);
    let stdin = dialog.stdin.take();
    let (status, stderr) = dialog.finish();
    assert!(status.success(), "{stderr}");
    assert!(stderr.contains("interrupted"), "{stderr}");
    drop(stdin);
}

#[test]
fn wrong_usage_and_settings_end_with_2_before_anything_is_sent() {
    let cases: [(&[&str], &str); 9] = [
        (&[], "--topic"),
        (&["--topic", "t", "--runtime", "threads"], "tokio"),
        (&["--topic", "t", "--report", "xml"], "json"),
        (&["--topic", "t", "--property", "linger.mss=5"], "linger.ms"),
        (&["--topic", "t", "--property", "linger.ms=soon"], "linger.ms"),
        (
            &["--topic", "t", "--property", "acks=1", "--property", "enable.idempotence=true"],
            "acks",
        ),
        (&["--topic", "t", "--properties", "no/such/file"], "no/such/file"),
        (&["--topic", "t", "no/such/input"], "no/such/input"),
        (&["--topic", "t", "--bootstrap", "no-port"], "no-port"),
    ];
    for (arguments, part) in cases {
        let output = send(arguments, "v\n");
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(output.stderr.contains(part), "{arguments:?}: {}", output.stderr);
    }
}

#[test]
fn an_address_where_nobody_listens_is_named() {
    let cluster = cluster();
    let bootstrap = cluster.bootstrap();
    drop(cluster);
    let arguments = ["--bootstrap", &bootstrap, "--topic", "t", "--report", "json"];
    let block = Duration::from_millis(200).as_millis();
    let output =
        send(&[&arguments[..], &["--property", &format!("max.block.ms={block}")]].concat(), "v\n");
    assert_eq!(output.code, Some(1));
    let line = &output.records()[0];
    assert_eq!(
        (&line["error"], &line["persistence"]),
        (&json!("MAX_BLOCK_TIMEOUT"), &json!("not_persisted"))
    );
    assert!(line["message"].as_str().unwrap().contains(&bootstrap), "{line}");
}

#[test]
fn a_server_that_is_not_kafka_is_told_by_its_first_bytes() {
    for (answer, part) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "TLS"),
    ] {
        let cluster = cluster();
        cluster.with(|cluster| {
            cluster.set_raw_peer(1, move |_, bytes| match bytes {
                [] => Vec::new(),
                _ => vec![Output::Bytes(answer.into()), Output::Close],
            });
        });
        let output = send_json(&cluster, &["--property", "max.block.ms=300"], r#"{"value":"v"}"#);
        assert_eq!(output.code, Some(1));
        let line = &output.records()[0];
        assert_eq!(line["persistence"], "not_persisted");
        assert!(line["message"].as_str().unwrap().contains(part), "{line}");
    }
}
