//! Who gets which record.

use crate::rig::{
    HOUR, batches, config, keyed, ms, noise, partition_of, produces, settle, to, try_to, unkeyed,
    warm, world,
};
use producer_proto::{Config, Partitioner, PartitionerError, PartitionerKind, PushError, Receipt};
use producer_sim::{ApiKey, Cluster, ClusterConfig, ResponseError, Rule, TopicConfig, World};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[test]
fn prt_02_placement_compatible_with_java() {
    let mut world = world(3, 100, config());
    let keys = ["foo", "bar", "baz", "kafka", "sarama"];
    let receipts = keys.map(|key| world.push(&keyed(key.as_bytes(), b"v")).unwrap());
    assert!(world.settle());
    let partitions = receipts.map(|receipt| partition_of(&world, receipt));
    assert_eq!(partitions, [16, 45, 80, 80, 11]);
    world.assert_clean();
}

#[test]
fn prt_03_empty_key_is_a_key() {
    let mut config = config();
    config.batch_size = 1; // So that the sticky choice does not stick.
    let mut world = world(1, 17, config);
    let send = |world: &mut World, record| world.push(&record).unwrap();
    let empty: Vec<_> = (0..30).map(|_| send(&mut world, keyed(b"", b"v"))).collect();
    let null: Vec<_> = (0..30).map(|_| send(&mut world, unkeyed(b"v"))).collect();
    assert!(world.settle());
    let partitions = |of: Vec<Receipt>| -> BTreeSet<i32> {
        of.into_iter().map(|receipt| partition_of(&world, receipt)).collect()
    };
    assert_eq!(partitions(empty), [11].into());
    assert!(partitions(null).len() > 5);
    world.assert_clean();
}

#[test]
fn prt_04_explicit_partition() {
    let mut world = warm(1, 2, config());
    let given = try_to(&mut world, 1, b"v").unwrap();
    let negative = try_to(&mut world, -1, b"v");
    assert_eq!(negative, Err(PushError::InvalidPartition { partition: -1, count: 2 }));
    // It may yet be added: the caller waits, and the cluster is asked.
    let asked = world.cluster.requests_of(ApiKey::Metadata).len();
    assert_eq!(try_to(&mut world, 5, b"v"), Err(PushError::TopicNotReady));
    assert!(world.settle());
    world.run_for(ms(200));
    assert!(world.cluster.requests_of(ApiKey::Metadata).len() > asked);
    assert_eq!(partition_of(&world, given), 1);
    world.cluster.set_partitions("t", 6);
    let late = world.push(&to(5, b"v")).unwrap();
    assert!(world.settle());
    assert_eq!(partition_of(&world, late), 5);
    world.assert_clean();
}

/// An answer to a question from before a push tells nothing about the partition that the push was
/// for, nor does a broker that denies the topic: the cluster is asked again.
#[test]
fn prt_04_a_partition_added_while_an_answer_is_on_its_way() {
    let mut world = warm(1, 1, config());
    world.set_latency(ms(10));
    assert_eq!(try_to(&mut world, 1, b"v"), Err(PushError::TopicNotReady));
    world.run_for(ms(15));
    world.cluster.set_partitions("t", 2);
    let denied = ResponseError::UnknownTopicOrPartition;
    world.cluster.inject(Rule::on(ApiKey::Metadata).error(denied));
    assert_eq!(try_to(&mut world, 1, b"v"), Err(PushError::TopicNotReady));
    world.run_for(Duration::from_secs(1));
    let added = try_to(&mut world, 1, b"v").expect("the partition is known");
    assert!(world.settle());
    assert_eq!(partition_of(&world, added), 1);
    world.assert_clean();
}

/// Pushes unkeyed records of these sizes without linger ending, and gives the runs: partition
/// and bytes of the records that went there one after the other.
fn sticky_runs(sizes: &[usize]) -> Vec<(i32, usize)> {
    const BATCH: usize = 1_024;
    let mut config = config();
    config.batch_size = BATCH;
    config.linger = HOUR;
    config.delivery_timeout = Some(2 * HOUR);
    let mut world = warm(1, 3, config);
    let requests = produces(&world).len();
    let receipts: Vec<_> =
        sizes.iter().map(|&len| world.push(&unkeyed(&noise(1, len))).unwrap()).collect();
    world.run_for(Duration::from_secs(1));
    let largest = sizes.iter().max().unwrap() + 20;
    for request in &produces(&world)[requests..] {
        // One that has come far may go along with each that is full.
        let (full, short): (Vec<_>, Vec<_>) =
            request.batches().iter().partition(|batch| batch.bytes + largest > BATCH);
        assert!(short.len() <= full.len(), "{} batches were cut short", short.len());
        for batch in short {
            assert!(batch.bytes > BATCH / 8, "a batch of {} was cut short", batch.bytes);
        }
    }
    let sent = batches(&world).len();
    assert!(settle(&mut world));
    assert!(batches(&world).len() <= sent + 1, "more than one partition had an open batch");
    let mut runs: Vec<(i32, usize)> = Vec::new();
    for (receipt, len) in receipts.into_iter().zip(sizes) {
        let partition = partition_of(&world, receipt);
        match runs.last_mut().filter(|(last, _)| *last == partition) {
            Some((_, bytes)) => *bytes += len + 20,
            None => runs.push((partition, len + 20)),
        }
    }
    world.assert_clean();
    runs
}

#[test]
fn prt_05_sticky_switch_rule() {
    for (name, sizes) in [
        ("small", vec![50; 1_000]),
        ("half", vec![600; 100]),
        ("large", vec![3_000; 60]),
        ("small, then large", [vec![90; 500], vec![700; 100], vec![40; 500]].concat()),
    ] {
        let runs = sticky_runs(&sizes);
        assert!(runs.len() > 15, "{name}: {} runs", runs.len());
        let (_, whole_runs) = runs.split_last().unwrap();
        for (partition, bytes) in whole_runs {
            assert!(*bytes >= 900, "{name}: partition {partition} was left after {bytes} bytes");
        }
        let used: BTreeSet<_> = runs.iter().map(|(partition, _)| *partition).collect();
        assert_eq!(used.len(), 3, "{name}");
    }
}

#[test]
fn prt_06_no_fractional_batches() {
    let mut config = config();
    config.batch_size = 3_000;
    config.linger = ms(10);
    let mut world = warm(1, 3, config);
    for round in 0..10 {
        let before = batches(&world).len();
        for _ in 0..20 {
            world.push(&unkeyed(&[b'v'; 90])).unwrap(); // Two thirds of a batch.
        }
        world.run_for(ms(10));
        world.run_for(ms(1)); // On its way to the broker.
        let ready = &batches(&world)[before..];
        assert_eq!(ready.len(), 1, "round {round}");
        assert!(ready[0].bytes > 1_500, "round {round}: {} bytes", ready[0].bytes);
    }
    assert!(world.settle());
    world.assert_clean();
}

#[test]
fn prt_07_leaderless_partitions() {
    let mut cluster = Cluster::new(ClusterConfig::new(2));
    cluster.create_topic("t", TopicConfig::new(3));
    cluster.change_partition("t", 1, |image| image.leader = None);
    let mut config = config();
    config.batch_size = 1;
    let mut world = World::new(cluster, config).unwrap();
    let (mut plain, mut with_key) = (Vec::new(), Vec::new());
    for i in 0..100_u32 {
        plain.push(world.push(&unkeyed(b"v")).unwrap());
        let key = i.to_string();
        let expected = PartitionerKind::Murmur2.partition_for_key(key.as_bytes(), 3).unwrap();
        with_key.push((world.push(&keyed(key.as_bytes(), b"v")).unwrap(), expected));
    }
    world.run_for(ms(100));
    assert!(plain.iter().all(|receipt| world.outcome(*receipt).unwrap().is_delivered()));
    let waiting = with_key.iter().filter(|(receipt, _)| world.outcome(*receipt).is_none());
    assert!(waiting.clone().count() > 20);
    assert!(waiting.clone().all(|(_, partition)| *partition == 1));
    world.cluster.move_leader("t", 1, Some(2));
    assert!(world.settle());
    assert!(plain.iter().all(|receipt| partition_of(&world, *receipt) != 1));
    assert!(with_key.iter().all(|(receipt, p)| partition_of(&world, *receipt) == *p));
    world.assert_clean();
}

#[test]
fn prt_07_if_all_are_leaderless_records_wait() {
    let mut cluster = Cluster::new(ClusterConfig::new(2));
    cluster.create_topic("t", TopicConfig::new(3));
    (0..3).for_each(|p| cluster.change_partition("t", p, |image| image.leader = None));
    let mut config = config();
    config.batch_size = 1;
    let mut world = World::new(cluster, config).unwrap();
    let receipts: Vec<_> = (0..50).map(|_| world.push(&unkeyed(b"v")).unwrap()).collect();
    world.run_for(Duration::from_secs(2));
    assert_eq!(world.open_records(), 50);
    (0..3).for_each(|p| world.cluster.move_leader("t", p, Some(1)));
    assert!(world.settle());
    let used: BTreeSet<_> = receipts.iter().map(|it| partition_of(&world, *it)).collect();
    assert_eq!(used.len(), 3);
    world.assert_clean();
}

#[test]
fn prt_09_slow_broker_is_avoided() {
    let mut config = config();
    config.partitioner_availability_timeout = ms(100);
    config.max_in_flight_requests_per_connection = 1;
    config.batch_size = 1;
    let mut world = warm(2, 4, config);
    let hold = world.cluster.inject(Rule::on(ApiKey::Produce).broker(1).hold());
    // One in flight, one that broker 1 does not take.
    try_to(&mut world, 0, b"v").unwrap();
    try_to(&mut world, 0, b"v").unwrap();
    world.run_for(ms(200));
    let ten = |world: &mut World| -> Vec<Receipt> {
        (0..10).map(|_| world.push(&unkeyed(b"v")).unwrap()).collect()
    };
    let avoiding = ten(&mut world);
    world.run_for(ms(10));
    world.cluster.release(world.now(), hold);
    assert!(world.settle());
    let again: Vec<_> = (0..3).flat_map(|_| ten(&mut world)).collect();
    assert!(world.settle());
    let at_broker_1 =
        |of: &[Receipt]| of.iter().filter(|it| partition_of(&world, **it) % 2 == 0).count();
    assert_eq!(at_broker_1(&avoiding), 0, "broker 1 leads partitions 0 and 2");
    assert!(at_broker_1(&again) > 0, "it drains again");
    world.assert_clean();
}

#[test]
fn prt_10_stale_weights_after_shrink() {
    let mut config = config();
    config.batch_size = 1;
    config.metadata_max_age = ms(100);
    let mut world = warm(1, 8, config);
    // Something waits in the partitions that go away.
    world
        .cluster
        .inject(Rule::on(ApiKey::Produce).times(40).error(ResponseError::NotEnoughReplicas));
    for partition in 0..8 {
        try_to(&mut world, partition, b"v").unwrap();
    }
    for _ in 0..20 {
        world.push(&unkeyed(b"v")).unwrap();
    }
    world.cluster.delete_topic("t");
    world.cluster.create_topic("t", TopicConfig::new(3));
    world.run_for(ms(250));
    let receipts: Vec<_> = (0..50).map(|_| world.push(&unkeyed(b"v")).unwrap()).collect();
    assert!(world.settle());
    let used: BTreeSet<_> = receipts.iter().map(|it| partition_of(&world, *it)).collect();
    assert!(used.iter().all(|partition| *partition < 3), "{used:?}");
    world.assert_clean();
}

#[test]
fn prt_11_partition_count_grows_with_data_queued() {
    let mut config = config();
    config.metadata_max_age = ms(100);
    let mut world = warm(1, 4, config);
    world
        .cluster
        .inject(Rule::on(ApiKey::Produce).times(12).error(ResponseError::NotEnoughReplicas));
    let send = |world: &mut World, partitions: i32| -> Vec<(Receipt, i32)> {
        let keys = (0..40).map(|key: i32| key.to_string());
        let records = keys.map(|key| {
            let key = key.as_bytes();
            let expected = PartitionerKind::Murmur2.partition_for_key(key, partitions).unwrap();
            (world.push(&keyed(key, b"v")).unwrap(), expected)
        });
        records.collect()
    };
    let mut sent = send(&mut world, 4);
    world.cluster.set_partitions("t", 8);
    world.run_for(ms(250));
    assert!(world.open_records() > 0, "some are still queued, some retried");
    sent.extend(send(&mut world, 8));
    assert!(world.settle());
    assert!(world.producer.stats().batches_retried > 0);
    for (receipt, partition) in sent {
        assert_eq!(partition_of(&world, receipt), partition);
    }
    world.assert_clean();
}

/// Fails for every third record: an index that does not exist, or an error.
struct EveryThirdFails(u32);

impl Partitioner for EveryThirdFails {
    fn partition(
        &mut self,
        _topic: &str,
        _key: Option<&[u8]>,
        _value: Option<&[u8]>,
        partitions: i32,
        _available: &dyn Fn(i32) -> bool,
    ) -> Result<i32, PartitionerError> {
        self.0 += 1;
        match self.0 {
            3 | 9 => Ok(99),
            6 => Err(PartitionerError::new("no idea")),
            n => Ok((n % 2) as i32 % partitions),
        }
    }
}

#[test]
fn prt_12_failing_user_partitioner() {
    let mut world = warm(1, 2, config());
    world.producer.set_partitioner(Box::new(EveryThirdFails(0)));
    let results: Vec<_> = (0..9).map(|_| world.try_push(&unkeyed(b"v"))).collect();
    assert!(world.settle());
    for (n, result) in (1..).zip(results) {
        match result {
            Ok(receipt) => {
                assert_ne!(n % 3, 0);
                assert_eq!(partition_of(&world, receipt), n % 2);
                assert!(world.outcome(receipt).unwrap().is_delivered());
            }
            Err(error) => {
                assert_eq!(n % 3, 0);
                assert!(matches!(error, PushError::Partitioner(_)), "{error}");
                let text = error.to_string();
                assert!(text.contains(if n == 6 { "no idea" } else { "99" }), "{text}");
            }
        }
    }
    world.assert_clean();
}

#[test]
fn prt_every_kind_spreads_records_without_key() {
    use PartitionerKind::{Crc32, Fnv1a, Murmur2, RoundRobin};
    for kind in [Murmur2, Fnv1a, Crc32, RoundRobin] {
        let mut config: Config = config();
        config.partitioner = kind;
        config.batch_size = 0;
        let mut world = warm(2, 4, config);
        let mut count: BTreeMap<i32, u32> = BTreeMap::new();
        let receipts: Vec<_> = (0..200)
            .map(|_| {
                world.run_for(ms(1));
                world.push(&unkeyed(b"v")).unwrap()
            })
            .collect();
        assert!(world.settle());
        for receipt in receipts {
            *count.entry(partition_of(&world, receipt)).or_default() += 1;
        }
        assert_eq!(count.len(), 4, "{kind:?}: {count:?}");
        assert!(count.values().all(|n| *n > 25), "{kind:?}: {count:?}");
        world.assert_clean();
    }
}
