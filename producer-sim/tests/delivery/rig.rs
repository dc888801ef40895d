//! What the scenarios share.

use producer_proto::{Config, Persistence, ProduceErrorKind, Receipt};
use producer_sim::{
    ApiKey, Cluster, ClusterConfig, NewRecord, ReceivedBatch, ReceivedRequest, ResponseError,
    ResponseKind, Rule, RuleId, TopicConfig, World,
};
use std::time::Duration;

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The settings that scenarios start from: the defaults, with next to no linger.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.linger = ms(1);
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
        assert!(settle(&mut world));
    }
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
    NewRecord { topic: "t", partition: Some(partition), value: Some(value), ..NewRecord::default() }
}

/// Pushes a batch of its own: what is pushed next goes into another one.
pub(crate) fn batch(world: &mut World, partition: i32, values: &[&str]) -> Vec<Receipt> {
    let push = |value: &&str| world.try_push(&to(partition, value.as_bytes())).unwrap();
    let receipts = values.iter().map(push).collect();
    let now = world.now();
    world.producer.flush(now);
    world.drain();
    receipts
}

/// The Produce requests that have arrived, oldest first.
pub(crate) fn produces(world: &World) -> Vec<&ReceivedRequest> {
    world.cluster.requests_of(ApiKey::Produce)
}

/// Their batches for a partition of "t".
pub(crate) fn batches(world: &World, partition: i32) -> Vec<&ReceivedBatch> {
    let all = produces(world).into_iter().flat_map(ReceivedRequest::batches);
    all.filter(|batch| batch.topic == "t" && batch.partition == partition).collect()
}

/// Epoch, base sequence and count of each batch that arrived for a partition of "t".
pub(crate) fn stamps(world: &World, partition: i32) -> Vec<(i16, i32, i32)> {
    batches(world, partition).into_iter().map(stamp).collect()
}

/// The same for all partitions of a topic.
pub(crate) fn stamps_of(world: &World, topic: &str) -> Vec<(i16, i32, i32)> {
    let all = produces(world).into_iter().flat_map(ReceivedRequest::batches);
    all.filter(|batch| batch.topic == topic).map(stamp).collect()
}

fn stamp(batch: &ReceivedBatch) -> (i16, i32, i32) {
    let header = batch.header.as_ref().unwrap();
    (header.producer_epoch, header.base_sequence, header.count)
}

/// The leader of a partition of "t".
pub(crate) fn leader(world: &World, partition: i32) -> i32 {
    world.cluster.partition("t", partition).unwrap().leader.unwrap()
}

pub(crate) fn is_delivered(world: &World, receipt: Receipt) -> bool {
    world.outcome(receipt).is_some_and(|outcome| outcome.is_delivered())
}

/// Kind and promise of a record that failed.
pub(crate) fn failure(world: &World, receipt: Receipt) -> (ProduceErrorKind, Persistence) {
    let outcome = world.outcome(receipt).unwrap_or_else(|| panic!("{receipt:?} is open"));
    let error = outcome.error().unwrap_or_else(|| panic!("{receipt:?} was delivered"));
    (error.kind(), outcome.persistence().unwrap())
}

/// Asserts that nothing is left of any record: no memory, no bytes lent, nothing outstanding.
pub(crate) fn assert_empty(world: &World) {
    let stats = world.producer.stats();
    let left = (stats.records_outstanding, stats.batches_outstanding);
    assert_eq!(left, (0, 0), "outstanding records and batches");
    assert_eq!((stats.buffered_bytes, stats.lent_bytes), (0, 0), "buffered and lent bytes");
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

    pub(crate) fn millis(&mut self, limit: u64) -> Duration {
        ms(self.below(limit))
    }

    /// Whether one of `n` equal chances came true.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// Sends a record whose first attempt is refused and whose second is answered only when the rule
/// is released: its delivery timeout of one second passes while it is in flight, a while before
/// the request times out.
pub(crate) fn unanswered(world: &mut World) -> (Receipt, RuleId) {
    let rule = || Rule::on(ApiKey::Produce).partition("t", 0);
    world.cluster.inject(rule().error(ResponseError::NotEnoughReplicas));
    let held = world.cluster.inject(rule().hold());
    let before = produces(world).len();
    let receipt = batch(world, 0, &["unanswered"])[0];
    assert!(world.run_until(|world| produces(world).len() == before + 2));
    (receipt, held)
}

/// For [`unanswered`].
pub(crate) fn one_second() -> Config {
    let mut config = config();
    config.request_timeout = ms(999);
    config.delivery_timeout = Some(ms(1_000));
    config
}

/// Lets go of what a rule holds, and of what follows from that at once.
pub(crate) fn release(world: &mut World, rule: RuleId) {
    let now = world.now();
    world.cluster.release(now, rule);
    world.run_for(ms(5));
}

/// The next Produce for partition 0 is answered with this error, and has no effect.
pub(crate) fn refuse(world: &mut World, error: ResponseError) -> RuleId {
    world.cluster.inject(Rule::on(ApiKey::Produce).partition("t", 0).error(error))
}

/// A warm world whose producer id is in its last epoch.
pub(crate) fn last_epoch(partitions: i32) -> World {
    let mut world = world(2, partitions, config());
    let rule = Rule::on(ApiKey::InitProducerId).edit_response(|response| {
        if let ResponseKind::InitProducerId(response) = response {
            response.producer_epoch = i16::MAX;
        }
    });
    world.cluster.inject(rule);
    for partition in 0..partitions {
        world.send_to("t", partition, b"warm");
        assert!(settle(&mut world));
    }
    world
}
