//! Brokers before 0.11: message sets in place of record batches.

use crate::rig::*;
use kafka_protocol::ResponseError;
use producer_proto::{Codec, Config, Header, OldBroker, Persistence};
use producer_sim::{ApiKey, Cluster, ClusterConfig, NewRecord, Rule, TopicConfig, World};

const CODECS: [Codec; 4] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4];

/// How long after it the producer hears of another leader.
const METADATA_AGE: std::time::Duration = ms(500);

/// Without idempotence, which such brokers do not have.
fn old_config() -> Config {
    let mut config = config();
    config.enable_idempotence = Some(false);
    config.metadata_max_age = METADATA_AGE;
    config
}

/// Makes a broker one of 0.10, with Produce and Metadata up to 2; 0 and 1 are of older ones.
fn make_old(cluster: &mut Cluster, broker: i32, newest: i16) {
    cluster.set_versions(broker, ApiKey::Produce, 0, newest);
    cluster.set_versions(broker, ApiKey::Metadata, 0, newest);
    cluster.set_versions(broker, ApiKey::ApiVersions, 0, 0);
    cluster.remove_api(broker, ApiKey::InitProducerId);
}

/// Brokers 1 (old) and 2 (new); partition 0 of "t" is led by 1, partition 1 by 2.
fn old_and_new(config: Config) -> World {
    let mut cluster = Cluster::new(ClusterConfig::new(2));
    cluster.create_topic("t", TopicConfig::new(2));
    make_old(&mut cluster, 1, 2);
    World::new(cluster, config).unwrap()
}

fn versions(world: &World) -> Vec<i16> {
    produces(world).iter().map(|request| request.version).collect()
}

#[test]
fn an_old_broker_gets_message_sets_of_every_codec() {
    for codec in CODECS {
        let mut cluster = Cluster::new(ClusterConfig::new(1));
        cluster.create_topic("t", TopicConfig::new(1));
        make_old(&mut cluster, 1, 2);
        let mut config = old_config();
        config.linger = ms(5);
        config.compression_type = codec;
        let mut world = World::new(cluster, config).unwrap();
        let parts = [None, Some(&b""[..]), Some(&[b'x'; 300]), Some(b"\xff\0")];
        let mut sent = Vec::new();
        for (timestamp, (key, value)) in
            parts.into_iter().flat_map(|key| parts.map(|value| (key, value))).enumerate()
        {
            let timestamp = 1_000 - timestamp as i64;
            let record = NewRecord { key, timestamp: Some(timestamp), ..record(Some(0), value) };
            let receipt = world.push(&record).unwrap();
            sent.push((receipt, timestamp, key, value));
        }
        assert!(settle(&mut world));
        let log = world.cluster.log("t", 0);
        assert_eq!(log.len(), sent.len());
        for (offset, (receipt, timestamp, key, value)) in sent.into_iter().enumerate() {
            let record = &log[offset];
            assert_eq!(world.outcome(receipt).unwrap().offset(), Some(offset as i64));
            assert_eq!(record.timestamp, timestamp);
            assert_eq!((record.key.as_deref(), record.value.as_deref()), (key, value));
        }
        assert_eq!(versions(&world), [2], "one batch");
        world.assert_clean();
    }
}

#[test]
fn without_idempotence_an_old_broker_has_one_request_of_a_partition_at_a_time() {
    let mut world = old_and_new(old_config());
    let rule = Rule::on(ApiKey::Produce).nth(2).close_after();
    world.cluster.inject(rule);
    let receipts: Vec<_> = (0..50)
        .map(|i| {
            let receipt = world.send_to("t", 0, format!("{i:02}").as_bytes());
            world.run_for(ms(1));
            receipt
        })
        .collect();
    assert!(settle(&mut world));
    assert!(receipts.iter().all(|receipt| world.outcome(*receipt).unwrap().is_delivered()));
    // What was sent twice is there twice, and nothing has overtaken anything.
    let mut first = Vec::new();
    for value in world.values("t", 0) {
        if !first.contains(&value) {
            first.push(value);
        }
    }
    assert!(first.len() == 50 && first.is_sorted(), "{first:?}");
    assert!(versions(&world).iter().all(|version| *version == 2));
    world.assert_clean();
}

/// Each way: a batch that was sealed for one broker is sent to the other in its own format.
#[test]
fn a_batch_follows_its_leader_from_one_format_to_another() {
    for codec in CODECS {
        for (partition, from, to) in [(0, 1, 2), (1, 2, 1)] {
            let mut config = old_config();
            config.compression_type = codec;
            let mut world = old_and_new(config);
            world.send_to("t", partition, b"warm");
            assert!(world.settle());
            let before = produces(&world).len();
            // The first is answered with an error that says nothing about its fate, the second is
            // full and sealed behind it.
            let error = Rule::on(ApiKey::Produce).error(ResponseError::UnknownTopicOrPartition);
            world.cluster.inject(error.times(1));
            let receipts = [&[b'v'; 200][..], &[b'w'; 20_000], b"x"]
                .map(|value| world.send_to("t", partition, value));
            world.cluster.move_leader("t", partition, Some(to));
            assert!(settle(&mut world));
            for receipt in receipts {
                assert!(world.outcome(receipt).unwrap().is_delivered(), "{codec:?} to {to}");
            }
            let log = world.cluster.log("t", partition);
            let lengths: Vec<_> =
                log.iter().map(|record| record.value.as_ref().unwrap().len()).collect();
            assert_eq!(lengths, [4, 200, 20_000, 1]);
            let sent = &produces(&world)[before..];
            assert_eq!(sent[0].broker, from);
            let is_v2 = |broker| broker == 2;
            assert!(sent.iter().all(|request| (request.version > 2) == is_v2(request.broker)));
            assert!(sent.iter().any(|request| request.broker == to));
            world.assert_clean();
        }
    }
}

#[test]
fn records_with_headers_fail_alone() {
    for codec in CODECS {
        let mut config = old_config();
        config.linger = ms(5);
        config.compression_type = codec;
        let mut world = old_and_new(config);
        let headers = [Header { name: "name", value: Some(b"value") }];
        let mut receipts = Vec::new();
        for (partition, with_headers) in
            [(0, true), (0, false), (0, true), (0, false), (0, true), (1, true), (1, false)]
        {
            let headers = if with_headers { &headers[..] } else { &[] };
            let record = NewRecord { headers, ..to(partition, &[b'v'; 100]) };
            receipts.push((world.push(&record).unwrap(), with_headers && partition == 0));
        }
        // All of a batch, in a batch of their own.
        assert!(settle(&mut world));
        for _ in 0..2 {
            let record = NewRecord { headers: &headers, ..to(0, b"v") };
            receipts.push((world.push(&record).unwrap(), true));
        }
        assert!(settle(&mut world));
        for (receipt, is_refused) in receipts {
            let outcome = world.outcome(receipt).unwrap();
            assert_eq!(outcome.is_delivered(), !is_refused, "{outcome:?}");
            if is_refused {
                assert_eq!(outcome.persistence(), Some(Persistence::NotPersisted));
                let text = outcome.error().unwrap().to_string();
                for part in ["UNSUPPORTED_FOR_MESSAGE_FORMAT", "broker 1", "Produce 0 to 2"] {
                    assert!(text.contains(part), "{part:?} is not in {text:?}");
                }
            }
        }
        assert_eq!(world.cluster.log_end("t", 0), 2);
        let new = world.cluster.log("t", 1);
        assert_eq!(new[0].headers.len(), 1, "the new broker takes them");
        world.assert_clean();
    }
}

/// The limit of an old broker is for each message; a wrapper is one message.
#[test]
fn a_set_that_is_too_large_is_split() {
    for codec in CODECS {
        let mut config = old_config();
        config.linger = ms(5);
        config.batch_size = 100_000;
        config.compression_type = codec;
        let mut world = old_and_new(config);
        world.cluster.configure_topic("t", |topic| topic.max_message_bytes = 3_000);
        let receipts: Vec<_> =
            (0..20).map(|i| world.push(&to(0, &noise(i, 500))).unwrap()).collect();
        let large = world.push(&to(0, &noise(99, 5_000))).unwrap();
        let last = world.push(&to(0, b"last")).unwrap();
        assert!(settle(&mut world));
        for (offset, receipt) in receipts.into_iter().chain([last]).enumerate() {
            assert_eq!(world.outcome(receipt).unwrap().offset(), Some(offset as i64), "{codec:?}");
        }
        let error = world.outcome(large).unwrap().error().unwrap();
        assert_eq!(error.name(), "MESSAGE_TOO_LARGE");
        assert!(world.producer.stats().batches_split > 0);
        world.assert_clean();
    }
}

/// Messages are longer than records: a batch within max.request.size may make a set that is not.
#[test]
fn a_set_that_outgrows_a_request_is_cut_before_it_is_sent() {
    let mut config = old_config();
    config.linger = ms(5);
    config.batch_size = 4_000;
    config.max_request_size = 4_000;
    let mut world = old_and_new(config);
    let receipts: Vec<_> = (0..1_000).map(|_| world.push(&to(0, b"")).unwrap()).collect();
    assert!(settle(&mut world));
    for (offset, receipt) in receipts.into_iter().enumerate() {
        assert_eq!(world.outcome(receipt).unwrap().offset(), Some(offset as i64));
    }
    assert!(produces(&world).iter().all(|request| request.bytes <= 4_100));
    assert!(produces(&world).len() >= 9);
    world.assert_clean();
}

#[test]
fn idempotence_and_an_old_leader_among_new_ones_is_an_error_that_says_so() {
    let mut cluster = Cluster::new(ClusterConfig::new(2));
    cluster.create_topic("t", TopicConfig::new(2));
    cluster.set_versions(1, ApiKey::Produce, 0, 2);
    let mut world = World::new(cluster, config()).unwrap();
    let (old, new) = (world.send_to("t", 0, b"v"), world.send_to("t", 1, b"v"));
    assert!(settle(&mut world));
    assert!(world.outcome(new).unwrap().is_delivered());
    let outcome = world.outcome(old).unwrap();
    assert_eq!(outcome.persistence(), Some(Persistence::NotPersisted));
    let text = outcome.error().unwrap().to_string();
    for part in ["broker 1", "announces 0 to 2", "enable.idempotence=false"] {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    world.assert_clean();
}

/// Brokers before 0.10 close the connection when they are asked for their versions: they are not
/// asked.
#[test]
fn brokers_that_cannot_be_asked_are_assumed_to_be_what_the_setting_says() {
    for (assumed, newest) in [(OldBroker::V0_8, 0), (OldBroker::V0_9, 1)] {
        for codec in CODECS {
            let mut cluster = Cluster::new(ClusterConfig::new(2));
            cluster.create_topic("t", TopicConfig::new(2));
            for broker in [1, 2] {
                make_old(&mut cluster, broker, newest);
                cluster.set_versions(broker, ApiKey::Metadata, 0, 0);
                cluster.remove_api(broker, ApiKey::ApiVersions);
            }
            let mut config = old_config();
            config.linger = ms(5);
            config.compression_type = codec;
            config.assume_broker_version = Some(assumed);
            let mut world = World::new(cluster, config).unwrap();
            let receipts: Vec<_> =
                (0..40).map(|i| world.send_to("t", i % 2, &[b'v'; 50])).collect();
            assert!(settle(&mut world));
            for receipt in receipts {
                assert!(world.outcome(receipt).unwrap().is_delivered());
            }
            assert!(versions(&world).iter().all(|version| *version == newest));
            assert!(world.cluster.requests_of(ApiKey::ApiVersions).is_empty());
            world.assert_clean();
        }
    }
    let mut config = config();
    config.assume_broker_version = Some(OldBroker::V0_9);
    let text = config.validate().unwrap_err().to_string();
    for part in ["assume.broker.version", "0.9", "enable.idempotence"] {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}
