//! What an application and a network may do, over the simulated cluster, as the input says; then
//! what the producer said is held against what is in the logs.

use arbitrary::{Result, Unstructured};
use producer_proto::{Codec, Config, Event, Receipt};
use producer_sim::{
    ApiKey, Cluster, ClusterConfig, Cut, Fate, Jobs, NewRecord, ResponseError, Rule, TopicConfig,
    World,
};
use std::collections::BTreeMap;
use std::time::Duration;

const BROKERS: i32 = 2;
const MAX_OPERATIONS: usize = 60;

/// Longer than any request is late.
const ALL_LATE_REQUESTS: Duration = Duration::from_secs(120);

/// Errors that say that the request had no effect. None of them is a lie about a batch that an earlier
/// request has brought into the log, as OUT_OF_ORDER_SEQUENCE_NUMBER would be.
const REFUSALS: [ResponseError; 9] = [
    ResponseError::NotEnoughReplicas,
    ResponseError::NotLeaderOrFollower,
    ResponseError::CorruptMessage,
    ResponseError::InvalidRecord,
    ResponseError::MessageTooLarge,
    ResponseError::TopicAuthorizationFailed,
    ResponseError::UnknownTopicOrPartition,
    ResponseError::KafkaStorageError,
    ResponseError::UnknownServerError,
];

/// Errors of brokers that may have appended all the same.
const DOUBTS: [ResponseError; 5] = [
    ResponseError::RequestTimedOut,
    ResponseError::NotEnoughReplicasAfterAppend,
    ResponseError::NotLeaderOrFollower,
    ResponseError::KafkaStorageError,
    ResponseError::UnknownServerError,
];

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Settings, then operations one after the other.
pub fn run(input: &[u8]) {
    let mut from = Unstructured::new(input);
    // Input that ends too soon is no input.
    let Ok(mut world) = new_world(&mut from) else { return };
    let mut pushed = Vec::new();
    for _ in 0..MAX_OPERATIONS {
        if from.is_empty() || operate(&mut world, &mut from, &mut pushed).is_err() {
            break;
        }
    }
    finish(&mut world);
}

fn new_world(from: &mut Unstructured<'_>) -> Result<World> {
    let mut config = Config::default();
    config.enable_idempotence = Some(true);
    config.linger = ms(from.int_in_range(0..=8)?);
    config.batch_size = *from.choose(&[16_384, 400, 150, 1])?;
    config.request_timeout = ms(from.int_in_range(150..=550)?);
    let least = config.linger + config.request_timeout;
    config.delivery_timeout = Some(least + ms(from.int_in_range(0..=1_500)?));
    config.retry_backoff = Some(ms(from.int_in_range(5..=65)?));
    config.retry_backoff_max = Some(ms(200));
    config.reconnect_backoff = Some(ms(from.int_in_range(5..=35)?));
    config.reconnect_backoff_max = Some(ms(100));
    config.retries = *from.choose(&[1_000, 3, 1])?;
    config.max_in_flight_requests_per_connection = from.int_in_range(1..=5)?;
    config.compression_type = *from.choose(&[Codec::None, Codec::Lz4])?;
    let partitions = from.int_in_range(1..=2)?;
    let mut cluster = Cluster::new(ClusterConfig::new(BROKERS));
    cluster.create_topic("t", TopicConfig::new(partitions));
    let mut world = World::new(cluster, config).expect("valid settings");
    world.set_latency(ms(from.int_in_range(0..=12)?));
    world.set_cut(*from.choose(&[Cut::Whole, Cut::Every(1), Cut::Edge(1), Cut::Edge(-1)])?);
    if from.arbitrary()? {
        world.set_jobs(Jobs::After(ms(from.int_in_range(0..=30)?)));
    }
    Ok(world)
}

/// How late a request may be: within the time of a retry, or beyond everything.
fn lateness(from: &mut Unstructured<'_>) -> Result<Duration> {
    let longest = *from.choose(&[60, 500, 3_000, 60_000])?;
    Ok(ms(from.int_in_range(0..=longest)?))
}

fn operate(
    world: &mut World,
    from: &mut Unstructured<'_>,
    pushed: &mut Vec<Receipt>,
) -> Result<()> {
    let broker = 1 + i32::from(from.arbitrary::<bool>()?);
    let partition = i32::from(from.arbitrary::<bool>()?);
    let known = world.cluster.partition("t", partition).is_some();
    let partition = if known { partition } else { 0 };
    let rule = Rule::on(ApiKey::Produce).partition("t", partition);
    let now = world.now();
    let cluster = &mut world.cluster;
    match from.int_in_range(0..=23)? {
        0..=4 => push(world, partition, pushed),
        5 => world.run_for(ms(from.int_in_range(0..=20)?)),
        6 => world.run_for(ms(from.int_in_range(0..=2_000)?)),
        7 => drop(cluster.inject(rule.error(*from.choose(&REFUSALS)?))),
        8 => drop(cluster.inject(rule.error_after(*from.choose(&DOUBTS)?))),
        9 => drop(cluster.inject(rule.delay(ms(from.int_in_range(0..=400)?)))),
        10 => drop(cluster.inject(rule.stall(lateness(from)?))),
        11 => drop(cluster.inject(rule.close_before())),
        12 => drop(cluster.inject(rule.close_after())),
        13 => drop(cluster.inject(rule.drop_answer())),
        14 => drop(cluster.inject(rule.omit())),
        15 => world.reset(broker, Fate::Lost),
        16 => world.reset(broker, Fate::ArriveAfter(lateness(from)?)),
        17 => world.deafen(broker, from.arbitrary()?, from.arbitrary()?),
        18 => cluster.set_up(broker, from.arbitrary()?),
        19 => {
            let to = from.arbitrary::<bool>()?.then_some(broker);
            cluster.move_leader("t", partition, to);
        }
        20 if !pushed.is_empty() => {
            let receipt = *from.choose(pushed)?;
            world.producer.cancel(now, receipt);
            world.drain();
        }
        21 => {
            world.producer.abort_queued(now);
            world.drain();
        }
        22 => {
            world.producer.flush(now);
            world.drain();
        }
        _ => heal(world),
    }
    Ok(())
}

fn push(world: &mut World, partition: i32, pushed: &mut Vec<Receipt>) {
    let value = format!("{:0>20}", pushed.len());
    let record = NewRecord {
        topic: "t",
        partition: Some(partition),
        value: Some(value.as_bytes()),
        ..NewRecord::default()
    };
    // While the topic is not known, the record stays with us.
    pushed.extend(world.try_push(&record));
}

fn heal(world: &mut World) {
    (1..=BROKERS).for_each(|id| world.cluster.set_up(id, true));
    for partition in 0..2 {
        let image = world.cluster.partition("t", partition);
        if image.is_some_and(|image| image.leader.is_none()) {
            world.cluster.move_leader("t", partition, Some(1));
        }
    }
}

/// Heals everything, lets the last late request arrive, and looks.
fn finish(world: &mut World) {
    world.cluster.clear_rules();
    heal(world);
    assert!(world.settle(), "{} records open", world.open_records());
    world.run_for(ALL_LATE_REQUESTS);
    world.assert_clean();
    world.assert_exactly_once();
    for partition in 0..2 {
        let values = world.values("t", partition);
        assert!(values.is_sorted_by(|a, b| a < b), "log of partition {partition}: {values:?}");
    }
    let mut last = BTreeMap::new();
    for (_, event) in world.events() {
        let Event::Delivered { batch, records, partition, .. } = event else { continue };
        let place = (*batch, records.start);
        let before = last.insert(*partition, place);
        assert!(before.is_none_or(|before| before < place), "{place:?} told after {before:?}");
    }
    let stats = world.producer.stats();
    assert_eq!((stats.records_outstanding, stats.batches_outstanding), (0, 0));
    assert_eq!((stats.buffered_bytes, stats.lent_bytes), (0, 0));
}
