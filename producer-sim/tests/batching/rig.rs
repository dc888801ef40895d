//! What the scenarios share.

use producer_proto::{Config, PushError, Receipt};
use producer_sim::{
    ApiKey, Cluster, ClusterConfig, NewRecord, ReceivedBatch, ReceivedRequest, TopicConfig, World,
};
use std::time::Duration;

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// The settings that scenarios start from: the defaults, without linger.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.linger = Duration::ZERO;
    config
}

/// A world of so many brokers with topic "t".
pub(crate) fn world(brokers: i32, partitions: i32, config: Config) -> World {
    let mut cluster = Cluster::new(ClusterConfig::new(brokers));
    cluster.create_topic("t", TopicConfig::new(partitions));
    World::new(cluster, config).unwrap()
}

/// The same, with one record delivered to each partition: connections, metadata and producer id
/// are there, and each partition's sequence has begun.
pub(crate) fn warm(brokers: i32, partitions: i32, config: Config) -> World {
    let mut world = world(brokers, partitions, config);
    for partition in 0..partitions {
        world.send_to("t", partition, b"warm");
    }
    assert!(settle(&mut world));
    world
}

/// Lets time pass until every record has its outcome, whatever the linger.
pub(crate) fn settle(world: &mut World) -> bool {
    let now = world.now();
    world.producer.flush(now);
    world.settle()
}

/// A record for a partition.
pub(crate) fn to(partition: i32, value: &[u8]) -> NewRecord<'_> {
    record(Some(partition), Some(value))
}

/// A record for any partition.
pub(crate) fn unkeyed(value: &[u8]) -> NewRecord<'_> {
    record(None, Some(value))
}

pub(crate) fn keyed<'a>(key: &'a [u8], value: &'a [u8]) -> NewRecord<'a> {
    NewRecord { key: Some(key), ..unkeyed(value) }
}

pub(crate) fn record(partition: Option<i32>, value: Option<&[u8]>) -> NewRecord<'_> {
    NewRecord { topic: "t", partition, value, ..NewRecord::default() }
}

/// Pushes to a partition once, without letting time pass.
pub(crate) fn try_to(
    world: &mut World,
    partition: i32,
    value: &[u8],
) -> Result<Receipt, PushError> {
    world.try_push(&to(partition, value))
}

/// Produce requests handed to connections so far.
pub(crate) fn handed_out(world: &World) -> u64 {
    world.producer.stats().produce_requests
}

/// The Produce requests that have arrived, oldest first.
pub(crate) fn produces(world: &World) -> Vec<&ReceivedRequest> {
    world.cluster.requests_of(ApiKey::Produce)
}

/// Their batches.
pub(crate) fn batches(world: &World) -> Vec<&ReceivedBatch> {
    produces(world).into_iter().flat_map(ReceivedRequest::batches).collect()
}

/// When the producer wants to be called next.
pub(crate) fn timeout_in(world: &World) -> Option<Duration> {
    world.producer.poll_timeout().map(|at| at.saturating_since(world.now()))
}

/// The partition of a record that has its outcome.
pub(crate) fn partition_of(world: &World, receipt: Receipt) -> i32 {
    match world.outcome(receipt).unwrap() {
        producer_sim::Outcome::Delivered { partition, .. }
        | producer_sim::Outcome::Failed { partition, .. } => *partition,
    }
}

/// Bytes that no codec makes smaller, the same for the same seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut draws = Draws::new(seed);
    (0..len).map(|_| draws.below(256) as u8).collect()
}

/// Random numbers of a run: SplitMix64.
pub(crate) struct Draws(u64);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % limit
    }
}
