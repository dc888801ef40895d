//! Frames recorded from a real broker (4.3.0), sent to the simulated one: the answers must say
//! the same.

use crate::client::{NOW, batch, decode, drain, frame, produce_request};
use crate::golden::{hex, lines, name};
use bytes::Bytes;
use producer_sim::{
    ApiKey, BrokerSpec, Cluster, ClusterConfig, ConnId, Output, ResponseKind, TopicConfig, Uuid,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// When the frames were recorded, as the broker's clock had it.
const RECORDED_AT: i64 = 1_795_323_600_000;

fn uuid(text: &str) -> Uuid {
    Uuid(hex(text).try_into().unwrap())
}

/// The cluster that the frames were recorded from.
fn cluster() -> Cluster {
    let spec = BrokerSpec { id: 1, host: "127.0.0.1".into(), port: 27092, rack: None };
    let mut cluster = Cluster::new(ClusterConfig {
        brokers: vec![spec],
        wall_clock_millis: RECORDED_AT,
        ..ClusterConfig::new(1)
    });
    let recent = TopicConfig {
        timestamp_before_max: Some(Duration::from_secs(3600)),
        ..TopicConfig::new(1)
    };
    for (name, id, config) in [
        ("plain", "d5c95778359040de8e09d1ecb446477c", TopicConfig::new(16)),
        ("small", "9d79e8094298443aa58d6b7aab12b6fe", TopicConfig::new(1).max_message_bytes(300)),
        ("compact", "51622d248fcf440192482322444e5855", TopicConfig::new(1).compacted()),
        ("append-time", "c606abe6b9bb40138fb3a5b6e8fcb66b", TopicConfig::new(1).append_time()),
        ("recent-only", "9b3b69b926d04160ac5170fd1407b37c", recent),
        ("two-replicas", "f7776b16615d47639ee6a8523ca888df", TopicConfig::new(1).replicated(1, 2)),
        ("gz", "78563f93d2ce49169c411e5a56183386", TopicConfig::new(1)),
    ] {
        cluster.create_topic(name, config.id(uuid(id)));
    }
    cluster
}

fn version(line: &Value) -> i16 {
    i16::try_from(line["version"].as_i64().unwrap()).unwrap()
}

/// Sends a recorded request on a connection of its own.
fn send(cluster: &mut Cluster, line: &Value) -> (ConnId, Vec<Output>) {
    let conn = cluster.connect(NOW, 1).unwrap();
    cluster.receive(NOW, conn, &hex(line["request"].as_str().unwrap()));
    let output = drain(cluster, NOW, conn);
    (conn, output)
}

fn answers(api: ApiKey, version: i16, frame: &[u8]) -> BTreeMap<(String, i32), Said> {
    let (_, ResponseKind::Produce(response)) = decode(api, version, frame) else { panic!() };
    let mut said = BTreeMap::new();
    for topic in response.responses {
        for p in topic.partition_responses {
            let topic = format!("{}{}", topic.name.as_str(), topic.topic_id);
            let errors = p.record_errors.iter().map(|e| e.batch_index).collect();
            let offsets = (p.base_offset, p.log_start_offset);
            // Which instant it was differs; whether there is one does not.
            let stamped = p.log_append_time_ms != -1;
            said.insert((topic, p.index), (p.error_code, offsets, stamped, errors));
        }
    }
    said
}

type Said = (i16, (i64, i64), bool, Vec<i32>);

/// Requests between recorded lines that were sent but not recorded.
fn unrecorded(cluster: &mut Cluster, line: &Value, recorded: &BTreeMap<String, Value>) {
    if name(line) != "duplicate-forgotten" {
        return;
    }
    // The five batches behind the first one of this producer id: sequences 3 to 7.
    let first = &recorded[&format!("idempotent-ok {}", version(line))];
    let bytes = hex(first["request"].as_str().unwrap());
    let header = bytes.windows(8).position(|w| w == [255, 255, 255, 255, 2, w[5], w[6], w[7]]);
    let at = header.unwrap() - 12;
    let pid = i64::from_be_bytes(*bytes[at + 43..].first_chunk().unwrap());
    for sequence in 3..8 {
        append(cluster, i32::from(version(line)), batch(pid, 0, sequence, 1));
    }
}

fn check_produce(
    mut cluster: Cluster,
    text: &str,
    exact: fn(&Value, &(String, i32)) -> bool,
) -> usize {
    let recorded: BTreeMap<String, Value> =
        lines(text).map(|line| (format!("{} {}", name(&line), version(&line)), line)).collect();
    let mut compared = 0;
    for line in lines(text) {
        let at = format!("{} v{}", name(&line), version(&line));
        unrecorded(&mut cluster, &line, &recorded);
        let (_, output) = send(&mut cluster, &line);
        match (line["response"].as_str(), output.as_slice()) {
            (None, [Output::Close]) => assert_eq!(line["closed"], true, "{at}"),
            (None, []) => assert!(line["closed"].is_null(), "{at}"),
            (Some(response), [Output::Bytes(frame)]) => {
                let ours = answers(ApiKey::Produce, version(&line), frame);
                let mut theirs = answers(ApiKey::Produce, version(&line), &hex(response));
                for (key, said) in &mut theirs {
                    if let Some((_, (offset, _), ..)) = ours.get(key)
                        && *offset >= 0
                        && said.1.0 >= 0
                        && !exact(&line, key)
                    {
                        said.1.0 = *offset;
                    }
                }
                assert_eq!(ours, theirs, "{at}");
            }
            (theirs, ours) => panic!("{at}: recorded {theirs:?}, simulated {ours:?}"),
        }
        compared += 1;
    }
    compared
}

fn append(cluster: &mut Cluster, partition: i32, records: Bytes) {
    let conn = cluster.connect(NOW, 1).unwrap();
    let request = produce_request("plain", partition, records);
    cluster.receive(NOW, conn, &frame(ApiKey::Produce, 9, 0, &request));
    assert_eq!(drain(cluster, NOW, conn).len(), 1);
}

#[test]
fn produce_answers_as_the_real_broker_does() {
    // Each version wrote to the partition of its number; partitions that several versions wrote
    // to have other offsets, as only some versions are replayed.
    let exact = |line: &Value, (_, index): &(String, i32)| *index == i32::from(version(line));
    let compared = check_produce(cluster(), include_str!("golden/produce.jsonl"), exact);
    assert!(compared > 200, "{compared}");
}

#[test]
fn checks_are_made_in_the_real_brokers_order() {
    let mut cluster = cluster();
    append(&mut cluster, 1, batch(58, 0, 0, 2));
    let lines = include_str!("golden/produce_order.jsonl");
    let compared = check_produce(cluster, lines, |_, _| true);
    assert!(compared > 30, "{compared}");
}

/// The parts of a Metadata answer that a client acts on.
fn metadata_said(version: i16, frame: &[u8]) -> impl PartialEq + std::fmt::Debug + use<> {
    let (_, ResponseKind::Metadata(response)) = decode(ApiKey::Metadata, version, frame) else {
        panic!("not a Metadata answer")
    };
    let brokers: Vec<_> = response
        .brokers
        .iter()
        .map(|b| (b.node_id.0, b.host.to_string(), b.port, b.rack.clone()))
        .collect();
    let mut topics = BTreeMap::new();
    for topic in response.topics {
        let mut partitions: Vec<_> = topic
            .partitions
            .iter()
            .map(|p| (p.partition_index, p.error_code, p.leader_id.0, p.leader_epoch))
            .collect();
        partitions.sort_unstable();
        let name = topic.name.map(|name| name.to_string());
        topics.insert((name, topic.topic_id), (topic.error_code, partitions));
    }
    (brokers, response.controller_id.0, response.error_code, topics)
}

#[test]
fn metadata_answers_as_the_real_broker_does() {
    let mut cluster = cluster();
    let mut compared = 0;
    for line in lines(include_str!("golden/metadata.jsonl")) {
        // These name topics of versions that are not replayed.
        if matches!(name(&line), "all-topics" | "created-before") {
            continue;
        }
        let (_, output) = send(&mut cluster, &line);
        let [Output::Bytes(ours)] = output.as_slice() else { panic!("{line}: {output:?}") };
        let version = version(&line);
        let theirs = hex(line["response"].as_str().unwrap());
        let at = format!("{} v{version}", name(&line));
        assert_eq!(metadata_said(version, ours), metadata_said(version, &theirs), "{at}");
        compared += 1;
    }
    assert!(compared > 30, "{compared}");
    assert_eq!(cluster.violations(), []);
}

#[test]
fn init_producer_id_answers_as_the_real_broker_does() {
    let mut cluster = cluster();
    for line in lines(include_str!("golden/init_producer_id.jsonl")) {
        if line["closed"] == true {
            assert_eq!(send(&mut cluster, &line).1, [Output::Close], "{line}");
            continue;
        }
        let frame = hex(line["response"].as_str().unwrap());
        let decoded = |frame: &[u8]| decode(ApiKey::InitProducerId, version(&line), frame);
        let (_, ResponseKind::InitProducerId(theirs)) = decoded(&frame) else { panic!() };
        if theirs.error_code == 0 {
            cluster.set_next_producer_id(theirs.producer_id.0);
        }
        let (_, output) = send(&mut cluster, &line);
        let [Output::Bytes(ours)] = output.as_slice() else { panic!("{line}: {output:?}") };
        assert_eq!(ours, &frame, "{line}");
    }
}

#[test]
fn api_versions_answers_as_the_real_broker_does() {
    let mut cluster = cluster();
    for line in lines(include_str!("golden/api_versions.jsonl")) {
        let (_, output) = send(&mut cluster, &line);
        let [Output::Bytes(ours)] = output.as_slice() else { panic!("{line}: {output:?}") };
        let theirs = hex(line["response"].as_str().unwrap());
        let version = line["response_version"].as_i64().map_or(version(&line), |v| v as i16);
        let said = |frame: &[u8]| {
            let (id, ResponseKind::ApiVersions(r)) = decode(ApiKey::ApiVersions, version, frame)
            else {
                panic!("not an ApiVersions answer")
            };
            // Only the APIs that are simulated.
            let keys = r.api_keys.into_iter().filter(|k| [0, 3, 18, 22].contains(&k.api_key));
            let ranges: Vec<_> = keys.map(|k| (k.api_key, k.min_version, k.max_version)).collect();
            (id, r.error_code, ranges)
        };
        assert_eq!(said(ours).0, said(&theirs).0);
        assert_eq!(said(ours).1, said(&theirs).1);
        for ((key, min, max), (k, mi, ma)) in said(ours).2.into_iter().zip(said(&theirs).2) {
            // InitProducerId 6 is advertised where it is enabled, and served nowhere.
            assert_eq!((key, min, max), (k, mi, if key == 22 { ma.min(5) } else { ma }), "{line}");
        }
    }
}
