//! Idempotence under random faults. Each run is a small world with a few records and many
//! troubles: answers lost, late or wrong, connections reset with requests that take effect later
//! than anybody waits, leaders that move, records that expire. In the end, when the last late
//! request has arrived, what the producer said is held against the logs.

use crate::rig::{Draws, assert_empty, ms, produces, to};
use producer_proto::{Codec, Config, Event, Persistence, Receipt};
use producer_sim::{
    ApiKey, Cluster, ClusterConfig, Cut, Fate, Jobs, ReceivedRequest, ResponseError, ResponseKind,
    Rule, TopicConfig, World,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const BROKERS: i32 = 2;
const RECORDS: u32 = 14;
const RUNS: u64 = 1_000;

/// Longer than any request is late.
const ALL_LATE_REQUESTS: Duration = Duration::from_secs(120);

/// Errors that say that the request had no effect.
const REFUSALS: [ResponseError; 9] = [
    ResponseError::NotEnoughReplicas,
    ResponseError::NotEnoughReplicas,
    ResponseError::NotLeaderOrFollower,
    ResponseError::CorruptMessage,
    ResponseError::InvalidRecord,
    ResponseError::MessageTooLarge,
    ResponseError::TopicAuthorizationFailed,
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

fn config(draws: &mut Draws) -> Config {
    let mut config = Config::default();
    config.enable_idempotence = Some(true);
    config.linger = draws.millis(8);
    config.batch_size = draws.pick(&[1, 150, 400, 16384]);
    config.request_timeout = ms(150 + draws.below(400));
    let least = config.linger + config.request_timeout;
    config.delivery_timeout = Some(least + draws.millis(1_500));
    config.retry_backoff = Some(ms(5 + draws.below(60)));
    config.retry_backoff_max = Some(ms(200));
    config.reconnect_backoff = Some(ms(5 + draws.below(30)));
    config.reconnect_backoff_max = Some(ms(100));
    config.retries = draws.pick(&[1, 3, 1_000, 1_000]);
    config.max_in_flight_requests_per_connection = 1 + draws.below(5) as usize;
    config.compression_type = draws.pick(&[Codec::None, Codec::None, Codec::Lz4]);
    config
}

/// How late a request may be: within the time of a retry, or beyond everything.
fn lateness(draws: &mut Draws) -> Duration {
    match draws.below(4) {
        0 => draws.millis(60),
        1 => draws.millis(500),
        2 => draws.millis(3_000),
        _ => Duration::from_secs(60),
    }
}

fn trouble(world: &mut World, draws: &mut Draws, partitions: i32) {
    let broker = 1 + draws.below(BROKERS as u64) as i32;
    let partition = draws.below(partitions as u64) as i32;
    let rule = Rule::on(ApiKey::Produce).times(1 + draws.below(2));
    let rule = if draws.one_in(2) { rule.partition("t", partition) } else { rule };
    let cluster = &mut world.cluster;
    match draws.below(16) {
        0 | 1 => drop(cluster.inject(rule.error(draws.pick(&REFUSALS)))),
        2 | 3 => drop(cluster.inject(rule.error_after(draws.pick(&DOUBTS)))),
        4 => drop(cluster.inject(rule.delay(draws.millis(400)))),
        5 => drop(cluster.inject(rule.stall(lateness(draws)))),
        6 => drop(cluster.inject(rule.close_before())),
        7 => drop(cluster.inject(rule.close_after())),
        8 => drop(cluster.inject(rule.drop_answer())),
        9 => drop(cluster.inject(rule.omit())),
        10 => world.reset(broker, Fate::Lost),
        11 => world.reset(broker, Fate::ArriveAfter(lateness(draws))),
        12 => world.deafen(broker, draws.one_in(2), draws.one_in(2)),
        13 => cluster.set_up(broker, false),
        14 => {
            let to = (!draws.one_in(4)).then_some(broker);
            cluster.move_leader("t", partition, to);
        }
        _ => heal(world, draws, partitions),
    }
}

fn heal(world: &mut World, draws: &mut Draws, partitions: i32) {
    (1..=BROKERS).for_each(|id| world.cluster.set_up(id, true));
    for partition in 0..partitions {
        if world.cluster.partition("t", partition).unwrap().leader.is_none() {
            let to = 1 + draws.below(BROKERS as u64) as i32;
            world.cluster.move_leader("t", partition, Some(to));
        }
    }
}

/// Every producer id comes in its last epoch but one.
fn near_the_last_epoch() -> Rule {
    Rule::on(ApiKey::InitProducerId).always().edit_response(|response| {
        if let ResponseKind::InitProducerId(response) = response {
            response.producer_epoch = i16::MAX - 1;
        }
    })
}

/// One run; gives the world when everything has come to its end.
fn run(seed: u64) -> World {
    let mut draws = Draws::new(seed);
    let partitions = 1 + draws.below(3) as i32;
    let mut cluster = Cluster::new(ClusterConfig::new(BROKERS));
    cluster.create_topic("t", TopicConfig::new(partitions));
    let mut world = World::new(cluster, config(&mut draws)).unwrap();
    world.set_latency(draws.millis(12));
    world.set_cut(draws.pick(&[Cut::Whole, Cut::Every(1), Cut::Edge(1)]));
    if draws.one_in(3) {
        world.set_jobs(Jobs::After(draws.millis(30)));
    }
    if draws.one_in(4) {
        world.cluster.inject(near_the_last_epoch());
    }
    let mut pushed: Vec<Receipt> = Vec::new();
    for i in 0..RECORDS {
        let partition = draws.below(partitions as u64) as i32;
        let value = format!("{i:0>30}");
        pushed.push(world.push(&to(partition, value.as_bytes())).unwrap());
        world.run_for(ms(draws.pick(&[0, 0, 1, 10, 40, 300])));
        if draws.one_in(2) {
            trouble(&mut world, &mut draws, partitions);
        }
        let now = world.now();
        match draws.below(20) {
            0 => drop(world.producer.cancel(now, draws.pick(&pushed))),
            1 => world.producer.abort_queued(now),
            _ => {}
        }
    }
    world.run_for(draws.millis(3_000));
    world.cluster.clear_rules();
    heal(&mut world, &mut draws, partitions);
    assert!(world.settle(), "{} records open", world.open_records());
    world.run_for(ALL_LATE_REQUESTS);
    world
}

/// Values in each log, pushes in order: nothing is there twice, or before an older record. A new
/// producer id (after 32,768 epochs) cannot fence late requests of the old one.
fn assert_logs_in_order(world: &World) {
    let batches = produces(world).into_iter().flat_map(ReceivedRequest::batches);
    let ids = batches.map(|batch| batch.header.as_ref().unwrap().producer_id);
    if ids.collect::<BTreeSet<_>>().len() > 1 {
        return;
    }
    for partition in 0..3 {
        let values = world.values("t", partition);
        assert!(values.is_sorted_by(|a, b| a < b), "log of partition {partition}: {values:?}");
    }
}

/// Successes of each partition are told in the order of the pushes.
fn assert_successes_in_order(world: &World) {
    let mut last = BTreeMap::new();
    for (_, event) in world.events() {
        let Event::Delivered { batch, records, partition, .. } = event else { continue };
        let place = (*batch, records.start);
        let before = last.insert(*partition, place);
        assert!(before.is_none_or(|before| before < place), "{place:?} told after {before:?}");
    }
}

fn check(world: &World) {
    world.assert_clean();
    world.assert_exactly_once();
    assert_logs_in_order(world);
    assert_successes_in_order(world);
    assert_empty(world);
}

#[test]
fn random_faults_break_no_promise() {
    let (mut delivered, mut absent, mut in_doubt) = (0, 0, 0);
    let (mut bumps, mut splits, mut retries) = (0, 0, 0);
    for seed in 0..RUNS {
        let checked = std::panic::catch_unwind(|| {
            let world = run(seed);
            check(&world);
            world
        });
        let Ok(world) = checked else { panic!("it was seed {seed}") };
        for (_, outcome) in world.outcomes() {
            match outcome.unwrap().persistence() {
                None => delivered += 1,
                Some(Persistence::NotPersisted) => absent += 1,
                Some(Persistence::PossiblyPersisted) => in_doubt += 1,
            }
        }
        let stats = world.producer.stats();
        bumps += stats.epoch_bumps;
        splits += stats.batches_split;
        retries += stats.batches_retried;
    }
    let all = RUNS * u64::from(RECORDS);
    assert!(delivered > all / 4, "only {delivered} of {all} delivered");
    assert!(absent > all / 20, "only {absent} of {all} certainly failed");
    assert!(in_doubt > all / 20, "only {in_doubt} of {all} in doubt");
    let counts = (bumps, splits, retries);
    assert!(bumps > RUNS / 4 && splits > RUNS / 100 && retries > RUNS, "too quiet: {counts:?}");
}
