//! `producer topics`.

use producer_sim::{ApiKey, ResponseError, Rule, TopicConfig};
use serde_json::json;

use crate::program::{cluster, producer};

#[test]
fn topics_are_told_in_the_order_of_the_question() {
    let cluster = cluster();
    cluster.with(|cluster| {
        cluster.create_topic("one", TopicConfig::new(1));
        cluster.create_topic("many", TopicConfig::new(12));
    });
    let bootstrap = cluster.bootstrap();
    let question = [
        "topics",
        "--bootstrap",
        &bootstrap,
        "--topic",
        "many",
        "--topic",
        "one",
        "--topic",
        "many",
    ];
    let output = producer(&question);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    assert_eq!(output.stdout, "many: 12 partitions\none: 1 partition\nmany: 12 partitions\n");
    let output = producer(&[&question[..5], &["--report", "json"]].concat());
    assert_eq!(output.json(), [json!({"topic": "many", "partitions": 12})]);
}

#[test]
fn a_topic_that_is_not_there_is_named_and_not_created() {
    let cluster = cluster();
    cluster.with(|cluster| {
        cluster.create_topic("here", TopicConfig::new(2));
        cluster.create_topic("secret", TopicConfig::new(2));
        cluster.inject(
            Rule::on(ApiKey::Metadata)
                .topic("secret")
                .always()
                .error(ResponseError::TopicAuthorizationFailed),
        );
    });
    let bootstrap = cluster.bootstrap();
    let question = ["topics", "--bootstrap", &bootstrap, "--property", "max.block.ms=300"];
    let topics =
        ["--topic", "absent", "--topic", "here", "--topic", "no blank", "--topic", "secret"];
    for _ in 0..2 {
        let output = producer(&[&question[..], &topics, &["--report", "json"]].concat());
        assert_eq!((output.code, output.stderr.as_str()), (Some(1), ""));
        let lines = output.json();
        let errors: Vec<_> = lines.iter().map(|line| line["error"].as_str()).collect();
        assert_eq!(
            errors,
            [
                Some("MAX_BLOCK_TIMEOUT"),
                None,
                Some("INVALID_TOPIC_EXCEPTION"),
                Some("TOPIC_AUTHORIZATION_FAILED")
            ]
        );
        assert_eq!(lines[1]["partitions"], 2);
        assert!(lines[0]["message"].as_str().is_some_and(|text| text.contains("absent")));
    }
    let output = producer(&[&question[..], &["--topic", "absent"]].concat());
    assert!(output.stdout.starts_with("absent: failed: MAX_BLOCK_TIMEOUT: "), "{}", output.stdout);
}

#[test]
fn a_question_without_a_topic_or_a_cluster_is_a_usage_error() {
    for arguments in [
        &["topics", "--bootstrap", "h:1"][..],
        &["topics", "--topic", "t"],
        &["topics", "--topic", "t", "--bootstrap", "no-port"],
    ] {
        let output = producer(arguments);
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{arguments:?}");
    }
}
