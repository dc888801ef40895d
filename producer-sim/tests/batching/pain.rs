//! What has hurt users of other producers; `SCENARIOS.md` has the list.

use crate::rig::{
    Draws, HOUR, batches, config, handed_out, ms, noise, partition_of, produces, settle,
    timeout_in, to, try_to, unkeyed, warm,
};
use producer_proto::{Config, PushError};
use producer_sim::{
    ApiKey, Cluster, ClusterConfig, NewRecord, Reach, ResponseError, Rule, TopicConfig, World,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// A lone record is handed out when its linger is over and not a microsecond before.
fn assert_lingers(world: &mut World, linger: Duration, after: &str) {
    let before = handed_out(world);
    try_to(world, 0, b"lone").unwrap();
    assert_eq!(timeout_in(world), Some(linger), "after {after}");
    world.run_for(linger - Duration::from_micros(1));
    assert_eq!(handed_out(world), before, "after {after}");
    world.run_for(Duration::from_micros(1));
    assert_eq!(handed_out(world), before + 1, "after {after}");
    assert!(world.settle());
}

#[test]
fn pain_18_nothing_ends_linger_for_ever() {
    let linger = ms(50);
    for buffer_memory in [8_000, 60_000] {
        let mut config = config();
        config.linger = linger;
        // Less than a batch: no full buffer ever fits.
        config.buffer_memory = buffer_memory;
        let mut world = warm(1, 2, config);
        let mut draws = Draws::new(buffer_memory as u64);
        for round in 0..40 {
            let mut kinds = Vec::new();
            for _ in 0..=draws.below(4) {
                let now = world.now();
                let receipt = try_to(&mut world, draws.below(2) as i32, b"v");
                let kind = draws.below(6);
                match (kind, receipt) {
                    (0, _) => {
                        world.producer.flush(now);
                    }
                    (1, _) => world.producer.abort_queued(now),
                    (2, Ok(it)) => {
                        world.producer.cancel(now, it);
                    }
                    (3, Ok(it)) => world.producer.expedite(now, it.batch),
                    (4, _) => while try_to(&mut world, 0, &noise(1, 700)).is_ok() {},
                    _ => {}
                }
                kinds.push(kind);
                world.drain();
                world.run_for(Duration::from_micros(draws.below(3_000)));
            }
            assert!(world.settle());
            assert_lingers(&mut world, linger, &format!("{kinds:?} in round {round}"));
        }
        world.assert_clean();
    }
}

#[test]
fn pain_23_every_partition_has_its_turn() {
    let mut config = config();
    config.max_in_flight_requests_per_connection = 1;
    config.batch_size = 1;
    config.max_request_size = 1_200;
    let mut world = warm(1, 1_000, config);
    let before = produces(&world).len();
    // One is under way while the others queue up.
    try_to(&mut world, 0, &[b'v'; 30]).unwrap();
    for _ in 0..3 {
        for partition in 0..1_000 {
            try_to(&mut world, partition, &[b'v'; 30]).unwrap();
        }
    }
    assert!(world.settle());
    let requests = &produces(&world)[before + 1..];
    assert!(requests.iter().all(|request| request.batches().len() <= 10));
    assert_eq!(requests.len(), 300);
    for (round, requests) in requests.chunks(100).enumerate() {
        let served: BTreeMap<i32, usize> = requests
            .iter()
            .flat_map(|request| request.batches())
            .map(|batch| (batch.partition, 1))
            .collect();
        assert_eq!(served.len(), 1_000, "round {round}");
    }
    world.assert_clean();
}

/// Ten minutes without an answer, at as much input as is taken; the most that was buffered.
fn outage(begin: impl FnOnce(&mut World)) -> usize {
    let mut cluster = Cluster::new(ClusterConfig::new(3));
    cluster.create_topic("t", TopicConfig::new(6));
    let mut config = config();
    config.buffer_memory = 100_000;
    let mut world = World::new(cluster, config).unwrap();
    for partition in 0..6 {
        world.send_to("t", partition, b"warm");
    }
    assert!(world.settle());
    begin(&mut world);
    let end = world.now() + Duration::from_secs(600);
    let (mut most, mut accepted) = (0, 0);
    let value = noise(1, 4_000);
    while world.now() < end {
        while world.try_push(&unkeyed(&value)).is_ok() {
            accepted += 1;
        }
        let pause = world.now() + Duration::from_secs(1);
        while world.step(pause) {
            most = most.max(world.producer.stats().buffered_bytes);
        }
        world.run_for(pause.saturating_since(world.now()));
    }
    assert!(accepted > 4 * 20, "expiry makes room for {accepted} records");
    world.assert_exactly_once();
    most
}

#[test]
fn pain_24_an_outage_does_not_fill_the_memory() {
    const CONSTANT: usize = 2_048;
    let down = outage(|world| (1..=3).for_each(|id| world.cluster.set_up(id, false)));
    let silent = outage(|world| {
        (1..=3).for_each(|id| world.deafen(id, false, true));
        (1..=3).for_each(|id| world.set_broker_reach(id, Reach::BlackHole));
    });
    let refusing = outage(|world| {
        let refuse = Rule::on(ApiKey::Produce).always().error(ResponseError::NotEnoughReplicas);
        world.cluster.inject(refuse);
    });
    for most in [down, silent, refusing] {
        assert!(most > 75_000, "the budget was used: {most}");
        assert!(most <= 100_000 + CONSTANT, "{most} bytes");
    }
}

/// How much each submitter offers each millisecond.
#[derive(Clone, Copy)]
enum Load {
    Steady(usize),
    AsMuchAsIsTaken,
}

/// Records that each of five brokers takes in 150 ms from ten submitters with a partition
/// each and one that leaves the choice to the producer. Broker 5 may be a black hole.
fn taken_by_each(load: Load, has_black_hole: bool) -> BTreeMap<i32, u64> {
    let mut cluster = Cluster::new(ClusterConfig::new(5).bounded());
    cluster.create_topic("t", TopicConfig::new(10));
    let mut config = Config::default();
    config.buffer_memory = 400_000;
    config.batch_size = 1_000;
    let mut world = World::new(cluster, config).unwrap();
    for partition in 0..10 {
        world.send_to("t", partition, b"warm");
    }
    assert!(world.settle());
    let before: Vec<u64> = (0..10).map(|p| world.cluster.counts("t", p).records).collect();
    if has_black_hole {
        world.deafen(5, true, true);
        world.set_broker_reach(5, Reach::BlackHole);
    }
    for _ in 0..150 {
        for submitter in (0..10).map(Some).chain([None]) {
            let record = NewRecord { partition: submitter, ..unkeyed(&[b'v'; 200]) };
            let offered = match load {
                Load::Steady(count) => count,
                Load::AsMuchAsIsTaken => usize::MAX,
            };
            let taken = (0..offered).take_while(|_| world.try_push(&record).is_ok()).count();
            let is_healthy = submitter.is_none_or(|partition| partition % 5 != 4);
            assert!(taken == offered || !is_healthy || offered == usize::MAX, "{submitter:?}");
        }
        world.run_for(ms(1));
    }
    let mut taken = BTreeMap::new();
    for (partition, before) in (0..10).zip(before) {
        *taken.entry(1 + partition % 5).or_default() +=
            world.cluster.counts("t", partition).records - before;
    }
    taken
}

#[test]
fn pain_25_one_black_hole_does_not_stop_the_others() {
    for load in [Load::Steady(2), Load::AsMuchAsIsTaken] {
        let healthy = taken_by_each(load, false);
        let with_black_hole = taken_by_each(load, true);
        assert_eq!(with_black_hole[&5], 0);
        for broker in 1..=4 {
            let (before, now) = (healthy[&broker], with_black_hole[&broker]);
            assert!(before > 600);
            assert!(now * 10 >= before * 9, "broker {broker}: {now} of {before}");
        }
    }
}

#[test]
fn pain_32_the_first_record_to_a_new_topic_waits_for_no_timer() {
    let mut world = warm(1, 1, config());
    world.cluster.create_topic("new", TopicConfig::new(1));
    let start = world.now();
    let receipt = world.send("new", b"v");
    // There and back for the metadata, there for the record, which leaves with the answer.
    assert_eq!(world.now() - start, ms(2));
    assert!(world.settle());
    assert_eq!(produces(&world).last().unwrap().at, start + ms(3));
    assert_eq!(world.outcome(receipt).unwrap().at(), start + ms(4));
    world.assert_clean();
}

fn slow_linger() -> Config {
    let mut config = config();
    config.linger = ms(100);
    config
}

#[test]
fn pain_34_a_lone_awaited_send_does_not_linger() {
    let mut world = warm(1, 1, slow_linger());
    for _ in 0..10 {
        let (start, before) = (world.now(), handed_out(&world));
        let receipt = try_to(&mut world, 0, b"v").unwrap();
        assert_eq!(handed_out(&world), before);
        world.producer.expedite(start, receipt.batch);
        world.drain();
        assert_eq!((handed_out(&world), world.now()), (before + 1, start));
        assert!(world.settle());
        assert_eq!(world.outcome(receipt).unwrap().at(), start + ms(2));
    }
    world.assert_clean();
}

#[test]
fn pain_34_many_senders_still_share_batches() {
    let mut world = warm(1, 1, slow_linger());
    let (start, before) = (world.now(), handed_out(&world));
    // Somebody sends without waiting, then somebody who waits: the batch is not theirs alone.
    for _ in 0..5 {
        try_to(&mut world, 0, b"not awaited").unwrap();
        let awaited = try_to(&mut world, 0, b"awaited").unwrap();
        let now = world.now();
        world.producer.expedite(now, awaited.batch);
        world.drain();
        world.run_for(ms(10));
    }
    assert_eq!(handed_out(&world), before);
    assert!(world.settle());
    let batch = batches(&world).last().unwrap().header.clone().unwrap();
    assert_eq!(batch.count, 10);
    assert_eq!(produces(&world).last().unwrap().at, start + ms(101));
    // With something in flight, those who wait gather in the next batch.
    let first = try_to(&mut world, 0, b"first").unwrap();
    let now = world.now();
    world.producer.expedite(now, first.batch);
    world.drain();
    let before = handed_out(&world);
    for _ in 0..5 {
        let next = try_to(&mut world, 0, b"next").unwrap();
        world.producer.expedite(now, next.batch);
        world.drain();
    }
    assert_eq!(handed_out(&world), before);
    assert!(world.settle());
    assert_eq!(batches(&world).last().unwrap().header.as_ref().unwrap().count, 5);
    world.assert_clean();
}

#[test]
fn pain_34_records_after_a_flush_keep_their_linger() {
    let mut world = warm(1, 1, slow_linger());
    let start = world.now();
    try_to(&mut world, 0, b"before").unwrap();
    world.producer.flush(start);
    world.drain();
    let after = try_to(&mut world, 0, b"after").unwrap();
    assert!(world.settle());
    assert_eq!(world.outcome(after).unwrap().at(), start + ms(102));
    world.assert_clean();
}

#[test]
fn pain_36_the_slowest_broker_does_not_get_the_most() {
    let mut cluster = Cluster::new(ClusterConfig::new(3));
    cluster.create_topic("t", TopicConfig::new(6));
    let mut config = config();
    config.batch_size = 2_000;
    let mut world = World::new(cluster, config).unwrap();
    for partition in 0..6 {
        world.send_to("t", partition, b"warm");
    }
    assert!(world.settle());
    // Each request takes broker 1 ten times as long.
    world.cluster.inject(Rule::on(ApiKey::Produce).broker(1).always().stall(ms(20)));
    let mut receipts = Vec::new();
    for _ in 0..600 {
        for _ in 0..3 {
            receipts.push(world.push(&unkeyed(&[b'v'; 200])).unwrap());
        }
        world.run_for(ms(1));
    }
    assert!(settle(&mut world));
    let slow = receipts.iter().filter(|it| partition_of(&world, **it) % 3 == 0).count();
    assert!(slow * 100 <= receipts.len() * 38, "{slow} of {} records", receipts.len());
    assert!(slow * 100 >= receipts.len(), "but it gets some: {slow}");
    world.assert_clean();
}

#[test]
fn pain_36_no_sizes_make_it_hang() {
    for batch_size in [0, 1, 100, 16_384, i32::MAX as usize] {
        for buffer_memory in [400, 5_000, 1 << 20] {
            for max_request_size in [400, 1 << 20, i32::MAX as usize] {
                for linger in [ms(0), HOUR] {
                    let mut config = Config::default();
                    config.batch_size = batch_size;
                    config.buffer_memory = buffer_memory;
                    config.max_request_size = max_request_size;
                    config.linger = linger;
                    let mut world = warm(2, 3, config.clone());
                    for i in 0..20 {
                        let value = noise(i, 250);
                        let accepted = match i % 2 {
                            0 => world.push(&unkeyed(&value)),
                            _ => world.push(&to(2, &value)),
                        };
                        assert!(
                            !matches!(accepted, Err(PushError::Full { .. })),
                            "full for an hour: {config:?}"
                        );
                        accepted.unwrap();
                    }
                    assert!(settle(&mut world), "{config:?}");
                    assert_eq!(world.cluster.total_counts().records, 23);
                    world.assert_clean();
                }
            }
        }
    }
}
