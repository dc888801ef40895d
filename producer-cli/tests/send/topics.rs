//! `producer topics`.

use producer_sim::{ApiKey, ClusterConfig, NetCluster, ResponseError, Rule, TopicConfig};
use serde_json::json;

use crate::program::{Output, cluster, producer};

fn topics(bootstrap: &str, more: &[&str]) -> Output {
    producer(&[&["topics", "--bootstrap", bootstrap], more].concat())
}

#[test]
fn topics_are_told_in_the_order_of_the_question_or_all_by_name() {
    let cluster = cluster();
    cluster.with(|cluster| {
        cluster.create_topic("one", TopicConfig::new(1));
        cluster.create_topic("more", TopicConfig::new(2));
    });
    let bootstrap = cluster.bootstrap();
    let (one, more) = (
        format!("one: 1 partition\n  0: broker 1 at {bootstrap}\n"),
        format!("more: 2 partitions\n  0: broker 1 at {bootstrap}\n  1: broker 1 at {bootstrap}\n"),
    );
    let named = ["--topic", "one", "--topic", "more", "--topic", "one"];
    for (question, answer) in [(&named[..], [&*one, &*more]), (&[], [&*more, &*one])] {
        let output = topics(&bootstrap, question);
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
        assert_eq!(output.stdout, answer.concat());
    }
}

#[test]
fn each_partition_has_its_leader_on_every_runtime() {
    let cluster = NetCluster::start(ClusterConfig::new(3)).expect("loopback");
    cluster.with(|cluster| {
        cluster.create_topic("t", TopicConfig::new(4));
        cluster.move_leader("t", 2, None);
    });
    let ports: Vec<_> = cluster.addresses().iter().map(|address| address.port()).collect();
    let leader = |partition, broker: usize| {
        let port = ports[broker - 1];
        json!({"partition": partition, "broker": broker, "host": "127.0.0.1", "port": port})
    };
    let nobody = json!({"partition": 2, "broker": null, "error": "LEADER_NOT_AVAILABLE"});
    let leaders = json!([leader(0, 1), leader(1, 2), nobody, leader(3, 1)]);
    for runtime in ["tokio", "mio", "smol"] {
        let json = ["--report", "json", "--runtime", runtime];
        let output = topics(&cluster.bootstrap(), &json);
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
        assert_eq!(output.json(), [json!({"topic": "t", "partitions": 4, "leaders": leaders})]);
    }
    let output = topics(&cluster.bootstrap(), &["--topic", "t"]);
    assert!(
        output.stdout.contains("\n  2: no leader (LEADER_NOT_AVAILABLE)\n"),
        "{}",
        output.stdout
    );
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
    let named = ["--topic", "absent", "--topic", "here", "--topic", "secret"];
    for _ in 0..2 {
        let output = topics(&bootstrap, &[&named[..], &["--report", "json"]].concat());
        assert_eq!((output.code, output.stderr.as_str()), (Some(1), ""));
        let lines = output.json();
        let errors: Vec<_> = lines.iter().map(|line| line["error"].as_str()).collect();
        let expected =
            [Some("UNKNOWN_TOPIC_OR_PARTITION"), None, Some("TOPIC_AUTHORIZATION_FAILED")];
        assert_eq!(errors, expected);
        assert_eq!((&lines[0]["topic"], &lines[1]["partitions"]), (&json!("absent"), &json!(2)));
        assert!(lines[0]["message"].as_str().is_some_and(|text| !text.is_empty()));
    }
    let output = topics(&bootstrap, &["--topic", "absent"]);
    let expected = "absent: failed: UNKNOWN_TOPIC_OR_PARTITION: ";
    assert!(output.stdout.starts_with(expected), "{}", output.stdout);
}

#[test]
fn a_cluster_that_does_not_answer_is_named() {
    // A port that was free a moment ago.
    let bootstrap = cluster().bootstrap();
    let output = topics(&bootstrap, &["--property", "max.block.ms=300"]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""));
    for part in [&*bootstrap, "300 ms", "connection refused"] {
        assert!(output.stderr.contains(part), "{part:?} is not in: {}", output.stderr);
    }
}

#[test]
fn a_question_without_a_cluster_or_with_a_wrong_name_is_a_usage_error() {
    for arguments in [
        &["topics"][..],
        &["topics", "--topic", "t"],
        &["topics", "--topic", "t", "--bootstrap", "no-port"],
        &["topics", "--topic", "no blank", "--bootstrap", "h:1"],
    ] {
        let output = producer(arguments);
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
}
