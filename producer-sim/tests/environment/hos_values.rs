//! HOS: answers that can be read but make no sense.

use crate::common::*;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{LeaderIdAndEpoch, NodeEndpoint};
use kafka_protocol::messages::{MetadataResponse, ProduceResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use producer_proto::{Config, Event, Persistence};
use producer_sim::{ApiKey, Instant, Moment, NewRecord, ResponseError, ResponseKind, Rule, World};

const UNKNOWN_CODES: [i16; 3] = [9_999, -2, i16::MIN];

#[test]
fn hos_13_unknown_error_codes_in_produce() {
    for code in UNKNOWN_CODES {
        for moment in [Moment::Before, Moment::After] {
            let mut world = warm(1, 1, config());
            world.cluster.inject(Rule::on(ApiKey::Produce).error_code(code, moment));
            let since = world.now();
            let receipt = world.send("t", b"v");
            assert!(world.settle());
            let outcome = outcome(&world, receipt);
            assert_eq!(outcome.persistence(), Some(Persistence::PossiblyPersisted));
            assert!(outcome.at() - since < ms(10), "final, not retried");
            assert_eq!(outcome.error().unwrap().attempts(), 1);
            let text = error_text(&world, receipt);
            assert!(text.contains(&code.to_string()), "{text}");
            let next = world.send("t", b"w");
            assert!(world.settle());
            assert_delivered(&world, next);
            world.assert_clean();
            world.assert_exactly_once();
        }
    }
}

#[test]
fn hos_13_unknown_error_codes_in_metadata() {
    for code in UNKNOWN_CODES {
        let mut world = world(1, 1, config());
        let refused = Rule::on(ApiKey::Metadata).always().error_code(code, Moment::Before);
        let refused = world.cluster.inject(refused);
        // The application insists, each millisecond.
        for _ in 0..2_000 {
            let record = NewRecord { topic: "t", value: Some(b"v"), ..NewRecord::default() };
            let _refused = world.try_push(&record).unwrap_err();
            world.run_for(ms(1));
        }
        let failed = |(_, event): (Instant, &Event)| match event {
            Event::TopicFailed { error, .. } => Some(error.code.0),
            _ => None,
        };
        let failed: Vec<i16> = world.events().filter_map(failed).collect();
        assert!(failed.len() > 1 && failed.iter().all(|failed| *failed == code), "{failed:?}");
        let asked = times(&world, ApiKey::Metadata, Instant::ZERO).len();
        assert!(asked < 9, "{asked} requests in 2 s");
        world.cluster.remove_rule(refused);
        let receipt = world.send("t", b"v");
        assert!(world.settle());
        assert_delivered(&world, receipt);
        world.assert_clean();
    }
}

#[test]
fn hos_13_unknown_error_codes_in_init_producer_id_are_fatal() {
    for code in UNKNOWN_CODES {
        let mut world = world(1, 1, config());
        let refused = Rule::on(ApiKey::InitProducerId).error_code(code, Moment::Before);
        world.cluster.inject(refused.delay(ms(20)));
        let receipt = world.send("t", b"v");
        assert!(world.settle());
        let outcome = outcome(&world, receipt);
        assert_eq!(outcome.persistence(), Some(Persistence::NotPersisted));
        assert!(error_text(&world, receipt).contains(&code.to_string()));
        let fatal = world.events().filter(|(_, event)| matches!(event, Event::Fatal(_))).count();
        assert_eq!(fatal, 1);
        assert_eq!(world.producer.fatal().unwrap().code.0, code);
        assert!(world.cluster.requests_of(ApiKey::Produce).is_empty());
        assert!(world.close(None));
        world.assert_clean();
    }
}

#[test]
fn hos_14_impossible_offsets() {
    for offset in [-5, i64::MIN, i64::MAX, i64::MAX - 1] {
        let mut config = config();
        config.linger = ms(5);
        let mut world = warm(1, 1, config);
        world.cluster.inject(edit_produce(move |response| {
            response.responses[0].partition_responses[0].base_offset = offset;
        }));
        let receipts = [b"1", b"2", b"3"].map(|value| world.send("t", value));
        assert!(world.settle());
        for receipt in receipts {
            assert_delivered(&world, receipt);
            assert_eq!(outcome(&world, receipt).offset(), None, "{offset}");
        }
        let next = world.send("t", b"4");
        assert!(world.settle());
        assert_eq!(outcome(&world, next).offset(), Some(4));
        world.assert_clean();
    }
}

#[test]
fn hos_15_bogus_leaders() {
    let endpoint = |id: i32, host: &'static str, port| {
        let host = StrBytes::from_static_str(host);
        NodeEndpoint::default().with_node_id(id.into()).with_host(host).with_port(port)
    };
    let hints = [
        (-7, 99, endpoint(-7, "bogus", 9092)),
        (9, -1, endpoint(9, "bogus", 9092)),
        (9, 0, endpoint(9, "bogus", 9092)),
        (9, 2, endpoint(9, "bogus", 9092)),
        (9, 99, endpoint(9, "bogus", 0)),
        (9, 99, endpoint(9, "bogus", 70_000)),
        (9, 99, endpoint(9, "bogus", -1)),
        (9, 99, endpoint(9, "", 9092)),
        (9, 99, endpoint(8, "bogus", 9092)),
    ];
    for (leader, epoch, endpoint) in hints {
        let mut cluster = cluster(2, 2);
        cluster.change_partition("t", 0, |image| image.leader_epoch = 3);
        let mut world = World::new(cluster, config()).unwrap();
        world.send_to("t", 0, b"warm");
        assert!(world.settle());
        world.run_for(secs(1));
        let (hint, named) = ((leader, epoch), endpoint.clone());
        world.cluster.inject(edit_produce(move |response: &mut ProduceResponse| {
            let partition = &mut response.responses[0].partition_responses[0];
            partition.error_code = ResponseError::NotLeaderOrFollower.code();
            let (leader, epoch) = hint;
            partition.current_leader =
                LeaderIdAndEpoch::default().with_leader_id(leader.into()).with_leader_epoch(epoch);
            response.node_endpoints = vec![named.clone()];
        }));
        let since = world.now();
        let receipt = world.send_to("t", 0, b"v");
        assert!(world.settle());
        assert_delivered(&world, receipt);
        let took = outcome(&world, receipt).at() - since;
        assert!((ms(80)..ms(200)).contains(&took), "normal backoff: {took:?}, {endpoint:?}");
        assert_eq!(times(&world, ApiKey::Metadata, since).len(), 1, "metadata refresh");
        assert!(world.dials().iter().all(|dial| dial.host != "bogus"), "{endpoint:?}");
        world.assert_clean();
        world.assert_exactly_once();
    }
}

fn broker(id: i32, host: String, port: i32) -> MetadataResponseBroker {
    let host = StrBytes::from_string(host);
    MetadataResponseBroker::default().with_node_id(id.into()).with_host(host).with_port(port)
}

#[test]
fn hos_16_bogus_brokers() {
    let mut world = world(2, 2, config());
    let bogus = edit_metadata(|response| {
        // Of an id that is named twice the first address counts.
        response.brokers.push(broker(1, "bogus".into(), 9092));
        response.brokers.push(broker(-1, "bogus".into(), 9092));
        response.brokers.push(broker(i32::MIN, "bogus".into(), 9092));
        response.brokers.push(broker(7, "x".repeat(32_000), 9092));
        for (id, port) in [(8, -1), (9, 0), (10, 65_536), (11, i32::MAX)] {
            response.brokers.push(broker(id, "bogus".into(), port));
        }
        response.brokers.push(broker(12, String::new(), 9092));
    });
    world.cluster.inject(bogus.always());
    for i in 0..10 {
        let receipt = world.send_to("t", i % 2, b"v");
        world.topic(&format!("other-{i}"));
        world.run_for(secs(1));
        assert_delivered(&world, receipt);
    }
    let is_known = |host: &str| host == "broker-1" || host == "broker-2";
    assert!(world.dials().iter().all(|dial| is_known(&dial.host)), "no resolver flood");
    assert!(world.dials().len() <= 4);
    assert!(world.producer.stats().bad_metadata_entries >= 9);
    world.assert_clean();
}

#[test]
fn hos_17_huge_or_negative_partition_index() {
    let mut world = world(1, 2, config());
    let bogus = edit_metadata(|response: &mut MetadataResponse| {
        let Some(topic) = response.topics.first_mut() else { return };
        for index in [i32::MAX, -1, i32::MIN, 1_000_000] {
            let partition = MetadataResponsePartition::default().with_partition_index(index);
            topic.partitions.push(partition.with_leader_id(1.into()));
        }
        for i in 0..1_000 {
            let name = TopicName(StrBytes::from_string(format!("unasked-{i}")));
            response.topics.push(MetadataResponseTopic::default().with_name(Some(name)));
        }
    });
    world.cluster.inject(bogus.always());
    let receipt = world.send_to("t", 1, b"v");
    assert!(world.settle());
    assert_delivered(&world, receipt);
    let topic = world.topic("t");
    assert_eq!(world.producer.partition_count(topic), Some(2));
    assert!(world.producer.stats().bad_metadata_entries >= 1_004);
    world.assert_clean();
}

#[test]
fn hos_17_many_partitions() {
    let mut world = world(1, 1, config());
    world.cluster.inject(edit_metadata(|response| {
        let Some(topic) = response.topics.first_mut() else { return };
        for index in 1..20_000 {
            let partition = MetadataResponsePartition::default().with_partition_index(index);
            topic.partitions.push(partition.with_leader_id(1.into()));
        }
    }));
    let receipt = world.send_to("t", 0, b"v");
    assert!(world.settle());
    assert_delivered(&world, receipt);
    let topic = world.topic("t");
    assert_eq!(world.producer.partition_count(topic), Some(20_000));
}

/// A producer whose broker announces these versions in place of its own, and what becomes of a
/// record within two seconds.
fn announced(edit: impl FnMut(&mut Vec<ApiVersion>) + Send + 'static) -> World {
    let mut config: Config = config();
    config.delivery_timeout = Some(secs(31));
    let mut world = world(1, 1, config);
    let mut edit = edit;
    world.cluster.inject(Rule::on(ApiKey::ApiVersions).always().edit_response(move |response| {
        let ResponseKind::ApiVersions(response) = response else { return };
        edit(&mut response.api_keys);
    }));
    world.topic("t");
    world.run_for(secs(2));
    let record = NewRecord { topic: "t", value: Some(b"v"), ..NewRecord::default() };
    let _maybe_unknown = world.try_push(&record);
    world.run_for(secs(2));
    assert!(world.cluster.request_count() < 60, "{} requests", world.cluster.request_count());
    world.assert_clean();
    world
}

fn range(api: ApiKey, min: i16, max: i16) -> ApiVersion {
    let range = ApiVersion::default().with_api_key(api as i16);
    range.with_min_version(min).with_max_version(max)
}

fn replace(keys: &mut Vec<ApiVersion>, range: ApiVersion) {
    keys.retain(|key| key.api_key != range.api_key);
    keys.push(range);
}

#[test]
fn hos_18_nonsense_api_versions() {
    // Unusable for Produce: the record fails, and says why.
    for (min, max) in [(9, 3), (-5, -1), (i16::MAX, i16::MIN), (100, 200)] {
        let world = announced(move |keys| replace(keys, range(ApiKey::Produce, min, max)));
        let (_, outcome) = world.outcomes().next().unwrap();
        let error = outcome.unwrap().error().unwrap();
        assert_eq!(error.name(), "UNSUPPORTED_VERSION", "{min} to {max}");
        assert!(error.to_string().contains("Produce"), "{error}");
    }
    // Unusable for Metadata: no connection, but no loop.
    for (min, max) in [(9, 3), (-5, -1)] {
        let world = announced(move |keys| replace(keys, range(ApiKey::Metadata, min, max)));
        assert_eq!(world.outcomes().count(), 0);
        let trouble = world.producer.connection_trouble().unwrap();
        assert!(trouble.contains("Metadata"), "{trouble}");
    }
    // Missing altogether.
    let world = announced(Vec::clear);
    assert!(world.producer.connection_trouble().unwrap().contains("Metadata"));
    // Harmless: a minimum below zero, ten thousand other keys, the same key twice.
    let mut harmless = vec![
        announced(|keys| replace(keys, range(ApiKey::Produce, -3, 13))),
        announced(|keys| {
            for key in 100..10_100 {
                keys.push(ApiVersion::default().with_api_key(key).with_max_version(3));
            }
        }),
        announced(|keys| keys.push(range(ApiKey::Produce, 0, 8))),
    ];
    for world in &mut harmless {
        let (receipt, outcome) = world.outcomes().next().unwrap();
        assert!(outcome.is_some(), "{receipt:?}");
        assert_delivered(world, receipt);
    }
}

#[test]
fn hos_19_init_producer_id_gives_minus_one() {
    for (id, epoch) in [(-1, 0), (5, -1), (i64::MIN, i16::MIN)] {
        let mut world = world(1, 1, config());
        let nothing = Rule::on(ApiKey::InitProducerId).times(3);
        world.cluster.inject(nothing.edit_response(move |response| {
            let ResponseKind::InitProducerId(response) = response else { return };
            response.producer_id = id.into();
            response.producer_epoch = epoch;
        }));
        let receipt = world.send("t", b"v");
        assert!(world.settle());
        assert_delivered(&world, receipt);
        assert_spaced(&times(&world, ApiKey::InitProducerId, Instant::ZERO), &[100, 200, 400]);
        for request in world.cluster.requests_of(ApiKey::Produce) {
            let header = request.batches()[0].header.clone().unwrap();
            assert!(header.producer_id >= 0 && header.producer_epoch >= 0);
        }
        world.assert_clean();
    }
}

#[test]
fn hos_26_record_error_indexes_out_of_range() {
    let indexes: [Vec<i32>; 5] =
        [vec![-1], vec![5], vec![2, 2, 2], vec![i32::MIN, i32::MAX, 1], (0..10_000).collect()];
    for indexes in indexes {
        let mut config = config();
        config.linger = ms(5);
        let mut world = warm(1, 1, config);
        let mut rule = Rule::on(ApiKey::Produce).error(ResponseError::InvalidRecord);
        for index in &indexes {
            rule = rule.record_error(*index, Some("no key"));
        }
        world.cluster.inject(rule);
        let receipts: Vec<_> = (0..5).map(|i| world.send("t", &[i])).collect();
        assert!(world.settle());
        for (index, receipt) in (0..).zip(receipts) {
            let outcome = outcome(&world, receipt);
            let error = outcome.error().unwrap();
            assert_eq!(error.name(), "INVALID_RECORD");
            assert_eq!(outcome.persistence(), Some(Persistence::NotPersisted));
            let is_named = error.broker_message() == Some("no key");
            assert_eq!(is_named, indexes.contains(&index), "record {index} of {indexes:?}");
        }
        world.assert_clean();
    }
}
