//! Codec and record format, as brokers of another make read it.

use crate::rig::{HOUR, batches, config, ms, produces, settle, to, try_to, warm, world};
use bytes::Bytes;
use producer_proto::{Codec, Config, Header};
use producer_sim::{ApiKey, Cluster, ClusterConfig, NewRecord, Outcome, TopicConfig, World};
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn cod_03_null_versus_empty() {
    let kinds: [Option<&[u8]>; 3] = [None, Some(b""), Some(b"x")];
    let mut world = world(1, 1, config());
    let mut sent = Vec::new();
    for key in kinds {
        for value in kinds {
            let headers = [Header { name: "h", value }, Header { name: "", value: key }];
            let record = NewRecord {
                topic: "t",
                partition: Some(0),
                key,
                value,
                headers: &headers,
                ..NewRecord::default()
            };
            world.push(&record).unwrap();
            sent.push((key.map(Bytes::from_static), value.map(Bytes::from_static)));
        }
    }
    assert!(settle(&mut world));
    let log = world.cluster.log("t", 0);
    let read: Vec<_> = log.iter().map(|r| (r.key.clone(), r.value.clone())).collect();
    assert_eq!(read, sent);
    for record in log {
        let expected = [("h".to_owned(), record.value), (String::new(), record.key)];
        assert_eq!(record.headers, expected);
    }
    world.assert_clean();
}

#[test]
fn cod_06_negative_timestamp_delta() {
    let mut config = Config::default();
    config.linger = ms(10);
    let mut world = warm(1, 1, config);
    for timestamp in [1_000, 400, 2_000] {
        let record = NewRecord { timestamp: Some(timestamp), ..to(0, b"v") };
        world.push(&record).unwrap();
    }
    assert!(settle(&mut world));
    let header = batches(&world).last().unwrap().header.clone().unwrap();
    assert_eq!((header.base_timestamp, header.max_timestamp, header.count), (1_000, 2_000, 3));
    let log = world.cluster.log("t", 0);
    let read: Vec<_> = log.iter().skip(1).map(|record| record.timestamp).collect();
    assert_eq!(read, [1_000, 400, 2_000]);
    world.assert_clean();
}

#[test]
fn cod_08_every_produce_version() {
    for version in 3..=13 {
        let mut cluster = Cluster::new(ClusterConfig::new(1));
        cluster.create_topic("t", TopicConfig::new(2));
        cluster.set_versions(1, ApiKey::Produce, 3, version);
        let mut world = World::new(cluster, config()).unwrap();
        let headers = [Header { name: "h", value: Some(b"1") }];
        let receipt = world.push(&NewRecord { headers: &headers, ..to(1, b"v") }).unwrap();
        assert!(world.settle());
        assert_eq!(world.outcome(receipt).unwrap().offset(), Some(0), "version {version}");
        assert_eq!(produces(&world)[0].version, version);
        let by_id = !batches(&world)[0].topic_id.is_zero();
        assert_eq!(by_id, version >= 13, "topic id instead of name from version 13");
        assert_eq!(world.values("t", 1), ["v"]);
        world.assert_clean();
    }
}

#[test]
fn cod_12_one_batch_per_partition_per_request() {
    let mut config = config();
    config.batch_size = 1; // Each record is a batch.
    config.max_in_flight_requests_per_connection = 1;
    let mut world = warm(1, 2, config);
    let before = produces(&world).len();
    for (partition, value) in [(0, b"a"), (0, b"b"), (0, b"c"), (1, b"d")] {
        try_to(&mut world, partition, value).unwrap();
    }
    assert!(world.settle());
    let requests: Vec<Vec<i32>> = produces(&world)[before..]
        .iter()
        .map(|request| request.batches().iter().map(|batch| batch.partition).collect())
        .collect();
    // The first left at once; what came meanwhile shares requests, each partition once in each.
    assert_eq!(requests, [vec![0], vec![0, 1], vec![0]]);
    assert_eq!(world.values("t", 0), ["warm", "a", "b", "c"]);
    world.assert_clean();
}

#[test]
fn cod_13_result_timestamp() {
    let mut world = world(1, 1, config());
    let created = world.send("t", b"create time");
    assert!(world.settle());
    let append_time = |world: &World, receipt| match world.outcome(receipt) {
        Some(Outcome::Delivered { append_time, .. }) => *append_time,
        other => panic!("{other:?}"),
    };
    // None: the record keeps its own time, which the handle has.
    assert_eq!(append_time(&world, created), None);
    world.cluster.configure_topic("t", |topic| topic.append_time = true);
    world.run_for(Duration::from_secs(7));
    let appended = world.send("t", b"append time");
    assert!(world.settle());
    let log = world.cluster.log("t", 0);
    assert_eq!(append_time(&world, appended), Some(log[1].timestamp));
    assert!(log[1].timestamp >= 1_700_000_007_000);
    world.assert_clean();
}

#[test]
fn cod_14_plain_producer_stamps() {
    let mut config = config();
    config.enable_idempotence = Some(false);
    let mut world = warm(1, 2, config);
    for batch in batches(&world) {
        let header = batch.header.clone().unwrap();
        assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (-1, -1, -1));
    }
    world.run_for(HOUR);
    assert!(world.cluster.requests_of(ApiKey::InitProducerId).is_empty());
    world.assert_clean();
}

#[test]
fn cod_17_independent_decode_of_everything_sent() {
    // The brokers read every frame and every record to the last byte with code of their own, and
    // say so when a byte is left or missing.
    let codecs = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    let mut apis = BTreeSet::new();
    for (i, codec) in codecs.into_iter().enumerate() {
        let mut config = config();
        config.compression_type = codec;
        config.linger = ms(3);
        config.batch_size = 700;
        config.client_id = "x".repeat(i * 50);
        config.metadata_max_age = ms(20);
        let mut world = world(3, 5, config);
        for n in 0..60_u32 {
            let value = vec![b'v'; (n * 7 % 300) as usize];
            let headers = [Header { name: "h", value: Some(&value) }];
            let record = NewRecord {
                topic: if n % 3 == 0 { "other" } else { "t" },
                key: (n % 2 == 0).then_some(b"key"),
                value: Some(&value),
                headers: &headers[..usize::from(n % 5 == 0)],
                ..NewRecord::default()
            };
            world.push(&record).unwrap();
            world.run_for(ms(1));
        }
        assert!(settle(&mut world));
        apis.extend(world.cluster.requests().map(|request| request.api as i16));
        assert_eq!(world.cluster.total_counts().records, 60);
        world.assert_clean();
        world.assert_exactly_once();
    }
    let every = [ApiKey::Produce, ApiKey::Metadata, ApiKey::ApiVersions, ApiKey::InitProducerId];
    assert_eq!(apis, every.map(|api| api as i16).into());
}
