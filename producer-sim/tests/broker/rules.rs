//! Scripted faults: what a rule says happens, once, to the requests it is about.

use crate::client::{NOW, ask, batch, decode, drain, frame, produce, produce_request};
use kafka_protocol::messages::{InitProducerIdRequest, MetadataRequest};
use producer_sim::{
    ApiKey, Cluster, ClusterConfig, ConnId, Instant, Moment, Output, RequestKind, ResponseError,
    ResponseKind, Rule, TopicConfig,
};
use std::time::Duration;

fn cluster() -> (Cluster, ConnId) {
    let mut cluster = Cluster::new(ClusterConfig::new(2));
    cluster.create_topic("t", TopicConfig::new(2));
    let conn = cluster.connect(NOW, 1).unwrap();
    (cluster, conn)
}

#[test]
fn errors_are_answered_in_the_order_they_were_injected() {
    let (mut cluster, conn) = cluster();
    let rule = || Rule::on(ApiKey::Produce).partition("t", 0);
    cluster.inject(rule().error(ResponseError::NotEnoughReplicas));
    let after = cluster.inject(rule().error_after(ResponseError::RequestTimedOut));
    let codes: Vec<i16> =
        (0..4).map(|_| produce(&mut cluster, conn, "t", 0, batch(7, 0, 0, 3)).error_code).collect();
    // Refused, appended without saying so, and then twice a duplicate.
    assert_eq!(codes, [19, 7, 0, 0]);
    assert_eq!(cluster.log_end("t", 0), 3);
    assert_eq!(cluster.rule_hits(after), 1);
    assert_eq!(cluster.violations(), []);
}

#[test]
fn a_rule_for_one_partition_leaves_the_others_alone() {
    let (mut cluster, conn) = cluster();
    cluster.move_leader("t", 1, Some(1));
    cluster.inject(
        Rule::on(ApiKey::Produce).partition("t", 1).nth(2).error_code(1234, Moment::Before),
    );
    let mut codes = Vec::new();
    for partition in [0, 1, 0, 1, 1] {
        codes.push(produce(&mut cluster, conn, "t", partition, batch(-1, -1, -1, 1)).error_code);
    }
    assert_eq!(codes, [0, 0, 0, 1234, 0]);
}

#[test]
fn answers_keep_the_order_of_requests_while_one_is_held() {
    let (mut cluster, conn) = cluster();
    let held = cluster.inject(Rule::on(ApiKey::Produce).hold());
    for correlation in 0..3 {
        let request = produce_request("t", 0, batch(7, 0, correlation, 1));
        cluster.receive(NOW, conn, &frame(ApiKey::Produce, 9, correlation, &request));
    }
    assert_eq!(drain(&mut cluster, NOW, conn), []);
    assert_eq!(cluster.log_end("t", 0), 3, "only the answer is held");
    cluster.release(NOW, held);
    let order: Vec<i32> = drain(&mut cluster, NOW, conn)
        .iter()
        .map(|output| match output {
            Output::Bytes(bytes) => decode(ApiKey::Produce, 9, bytes).0,
            Output::Close => panic!("closed"),
        })
        .collect();
    assert_eq!(order, [0, 1, 2]);
}

#[test]
fn a_delayed_answer_comes_at_its_time() {
    let (mut cluster, conn) = cluster();
    cluster.inject(Rule::on(ApiKey::Produce).delay(Duration::from_millis(5)));
    let request = produce_request("t", 0, batch(7, 0, 0, 1));
    cluster.receive(NOW, conn, &frame(ApiKey::Produce, 9, 0, &request));
    assert_eq!(drain(&mut cluster, NOW, conn), []);
    assert_eq!(cluster.poll_timeout(), Some(Instant::from_millis(5)));
    assert_eq!(drain(&mut cluster, Instant::from_millis(5), conn).len(), 1);
    assert_eq!(cluster.poll_timeout(), None);
}

#[test]
fn a_stalled_request_takes_effect_after_its_client_has_gone() {
    let (mut cluster, conn) = cluster();
    cluster.inject(Rule::on(ApiKey::Produce).stall(Duration::from_secs(3)));
    let request = produce_request("t", 0, batch(7, 0, 0, 2));
    cluster.receive(NOW, conn, &frame(ApiKey::Produce, 9, 0, &request));
    cluster.disconnect(NOW, conn);
    assert_eq!(cluster.log_end("t", 0), 0);
    assert_eq!(cluster.poll_timeout(), Some(Instant::from_millis(3000)));
    cluster.advance(Instant::from_millis(3000));
    assert_eq!(cluster.log_end("t", 0), 2);
    assert_eq!(cluster.poll_timeout(), None);
}

#[test]
fn closing_comes_before_or_after_the_append() {
    for (rule, appended) in [(Rule::any().close_before(), 0), (Rule::any().close_after(), 1)] {
        let (mut cluster, conn) = cluster();
        cluster.inject(rule);
        let request = produce_request("t", 0, batch(7, 0, 0, 1));
        cluster.receive(NOW, conn, &frame(ApiKey::Produce, 9, 0, &request));
        assert_eq!(drain(&mut cluster, NOW, conn), [Output::Close]);
        assert_eq!(cluster.log_end("t", 0), appended);
        assert_eq!(cluster.connections(1), []);
        assert_eq!(cluster.accepted(1), 1);
    }
}

#[test]
fn a_dropped_answer_silences_the_connection_but_not_the_broker() {
    let (mut cluster, conn) = cluster();
    cluster.inject(Rule::on(ApiKey::Produce).drop_answer());
    for sequence in 0..2 {
        let request = produce_request("t", 0, batch(7, 0, sequence, 1));
        cluster.receive(NOW, conn, &frame(ApiKey::Produce, 9, sequence, &request));
    }
    assert_eq!(drain(&mut cluster, Instant::from_millis(60_000), conn), []);
    assert_eq!(cluster.log_end("t", 0), 2);
}

#[test]
fn a_throttled_connection_is_not_read_for_so_long() {
    let (mut cluster, conn) = cluster();
    cluster.inject(Rule::on(ApiKey::Metadata).throttle(Duration::from_millis(200)));
    let request = RequestKind::Metadata(MetadataRequest::default());
    let ResponseKind::Metadata(answer) = ask(&mut cluster, conn, ApiKey::Metadata, 9, &request)
    else {
        panic!("not a Metadata answer")
    };
    assert_eq!(answer.throttle_time_ms, 200);
    cluster.receive(NOW, conn, &frame(ApiKey::Metadata, 9, 8, &request));
    assert_eq!(drain(&mut cluster, Instant::from_millis(199), conn), []);
    assert_eq!(cluster.poll_timeout(), Some(Instant::from_millis(200)));
    assert_eq!(drain(&mut cluster, Instant::from_millis(200), conn).len(), 1);
}

#[test]
fn the_old_leader_names_the_new_one() {
    let (mut cluster, conn) = cluster();
    cluster.move_leader("t", 0, Some(2));
    let request = produce_request("t", 0, batch(7, 0, 0, 1));
    let ResponseKind::Produce(answer) = ask(&mut cluster, conn, ApiKey::Produce, 10, &request)
    else {
        panic!("not a Produce answer")
    };
    let partition = &answer.responses[0].partition_responses[0];
    assert_eq!(partition.error_code, 6);
    assert_eq!(
        (partition.current_leader.leader_id.0, partition.current_leader.leader_epoch),
        (2, 1)
    );
    let endpoint = &answer.node_endpoints[0];
    assert_eq!((endpoint.node_id.0, &*endpoint.host, endpoint.port), (2, "broker-2", 9092));
}

#[test]
fn a_frozen_broker_tells_old_news_until_it_catches_up() {
    let (mut cluster, conn) = cluster();
    cluster.freeze_metadata(1, true);
    cluster.move_leader("t", 0, Some(2));
    let mut leader = || {
        let request = RequestKind::Metadata(MetadataRequest::default().with_topics(None));
        match ask(&mut cluster, conn, ApiKey::Metadata, 9, &request) {
            ResponseKind::Metadata(r) => {
                let partitions = &r.topics[0].partitions;
                let first = partitions.iter().find(|p| p.partition_index == 0).unwrap();
                let said = (first.leader_id.0, first.leader_epoch);
                cluster.freeze_metadata(1, false);
                said
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(leader(), (1, 0));
    assert_eq!(leader(), (2, 1));
}

#[test]
fn answers_can_be_edited_as_values_and_as_bytes() {
    let (mut cluster, conn) = cluster();
    cluster.inject(Rule::on(ApiKey::InitProducerId).edit_response(|response| {
        if let ResponseKind::InitProducerId(r) = response {
            r.producer_id = (-5).into();
        }
    }));
    let request = RequestKind::InitProducerId(InitProducerIdRequest::default());
    let ResponseKind::InitProducerId(answer) =
        ask(&mut cluster, conn, ApiKey::InitProducerId, 4, &request)
    else {
        panic!("not an InitProducerId answer")
    };
    assert_eq!(answer.producer_id.0, -5);
    cluster.inject(Rule::on(ApiKey::InitProducerId).edit_bytes(|bytes| bytes.truncate(3)));
    cluster.receive(NOW, conn, &frame(ApiKey::InitProducerId, 4, 1, &request));
    let output = drain(&mut cluster, NOW, conn);
    assert!(matches!(output.as_slice(), [Output::Bytes(bytes)] if bytes.len() == 3));
}

#[test]
fn bytes_may_come_one_by_one() {
    let (mut cluster, conn) = cluster();
    let bytes = frame(ApiKey::Produce, 9, 1, &produce_request("t", 0, batch(7, 0, 0, 1)));
    for (i, byte) in bytes.iter().enumerate() {
        assert_eq!(drain(&mut cluster, NOW, conn), [], "byte {i}");
        cluster.receive(NOW, conn, &[*byte]);
    }
    assert_eq!(drain(&mut cluster, NOW, conn).len(), 1);
}

#[test]
fn whatever_a_producer_must_not_do_is_noted() {
    type Spoil = fn(&mut Vec<u8>);
    let cases: [(&str, Spoil); 5] = [
        ("1 bytes left over", |f| {
            f.push(0);
            f[3] += 1;
        }),
        ("stored CRC", |f| *f.last_mut().unwrap() ^= 1),
        ("unknown API key", |f| f[4] = 0x7f),
        ("Produce v2 is not served here", |f| f[7] = 2),
        ("frame length -1", |f| f[..4].fill(0xff)),
    ];
    for (expected, spoil) in cases {
        let (mut cluster, conn) = cluster();
        let mut bytes = frame(ApiKey::Produce, 3, 1, &produce_request("t", 0, batch(7, 0, 0, 1)));
        spoil(&mut bytes);
        cluster.receive(NOW, conn, &bytes);
        let what = &cluster.violations()[0].what;
        assert!(what.contains(expected), "{what:?} instead of {expected:?}");
    }
}

#[test]
fn a_raw_peer_says_what_it_likes() {
    let (mut cluster, _) = cluster();
    cluster.set_raw_peer(1, |_, bytes| match bytes {
        [] => vec![],
        _ => vec![Output::Bytes("HTTP/1.1 400".into()), Output::Close],
    });
    let conn = cluster.connect(NOW, 1).unwrap();
    cluster.receive(NOW, conn, b"\0\0\0\x0a");
    let said = drain(&mut cluster, NOW, conn);
    assert_eq!(said, [Output::Bytes("HTTP/1.1 400".into()), Output::Close]);
}

#[test]
fn a_broker_that_is_down_takes_nobody_and_loses_its_clients() {
    let (mut cluster, conn) = cluster();
    cluster.set_up(1, false);
    assert_eq!(drain(&mut cluster, NOW, conn), [Output::Close]);
    assert!(cluster.connect(NOW, 1).is_err());
    assert_eq!(cluster.brokers().len(), 1);
    cluster.set_up(1, true);
    assert!(cluster.connect(NOW, 1).is_ok());
}
