//! Accumulator: linger, full batches, sizes of requests, and whose turn it is.

use crate::rig::{
    Draws, HOUR, batches, config, handed_out, ms, produces, record, settle, timeout_in, to, try_to,
    warm, world,
};
use producer_proto::{Config, Event, Input, Persistence, PushError, Record};
use producer_sim::{ApiKey, Cluster, ClusterConfig, Fate, ResponseError, Rule, TopicConfig, World};
use std::time::Duration;

fn lingering(linger: Duration) -> Config {
    let mut config = config();
    config.linger = linger;
    config.delivery_timeout = Some(linger + 2 * HOUR);
    config
}

#[test]
fn acc_01_linger_is_exact() {
    let mut world = warm(1, 1, lingering(ms(10)));
    let (start, before) = (world.now(), handed_out(&world));
    try_to(&mut world, 0, b"v").unwrap();
    assert_eq!(timeout_in(&world), Some(ms(10)));
    world.run_for(Duration::from_micros(9_999));
    assert_eq!((handed_out(&world), timeout_in(&world)), (before, Some(Duration::from_micros(1))));
    world.run_for(Duration::from_micros(1));
    assert_eq!((handed_out(&world), world.now()), (before + 1, start + ms(10)));
    assert!(world.settle());
    assert_eq!(handed_out(&world), before + 1);
    world.assert_clean();
}

#[test]
fn acc_02_earliest_timer_wins() {
    let mut world = warm(2, 2, lingering(ms(10)));
    try_to(&mut world, 0, b"for one broker").unwrap();
    world.run_for(ms(5));
    try_to(&mut world, 1, b"for the other").unwrap();
    assert_eq!(timeout_in(&world), Some(ms(5)));
    assert!(world.settle());
    world.assert_clean();
}

#[test]
fn what_lingers_for_a_broker_goes_with_the_first_batch_that_has_to() {
    let mut world = warm(2, 6, lingering(ms(10)));
    let leader = |world: &World, p| world.cluster.partition("t", p).unwrap().leader;
    let (ours, theirs): (Vec<i32>, Vec<i32>) =
        (0..6).partition(|&p| leader(&world, p) == leader(&world, 0));
    assert_eq!((ours.len(), theirs.len()), (3, 3));
    let before = handed_out(&world);
    for &partition in &ours {
        try_to(&mut world, partition, b"for one broker").unwrap();
        world.run_for(ms(1));
    }
    try_to(&mut world, theirs[0], b"for the other").unwrap();
    world.run_for(ms(7));
    assert_eq!(handed_out(&world), before + 1, "the linger of the first is over");
    assert_eq!(timeout_in(&world), Some(ms(3)), "the other broker's batch lingers on");
    world.run_for(ms(2));
    assert_eq!(produces(&world).last().unwrap().batches().len(), 3, "one request");

    // The next ones linger anew.
    try_to(&mut world, ours[1], b"next").unwrap();
    world.run_for(ms(9));
    assert_eq!(handed_out(&world), before + 2);
    assert_eq!(timeout_in(&world), Some(ms(1)));
    assert!(world.settle());
    assert_eq!(handed_out(&world), before + 3);
    world.assert_clean();
}

#[test]
fn what_has_come_far_goes_along_with_a_full_batch_to_an_idle_broker() {
    const BATCH: usize = 1_024;
    let half = [b'v'; BATCH / 2];
    let mut settings = lingering(HOUR);
    settings.batch_size = BATCH;
    let mut world = warm(1, 6, settings);
    world.set_latency(ms(5));
    let before = batches(&world).len();
    let partitions = |world: &World| {
        let sent = &batches(world)[before..];
        sent.iter().map(|batch| batch.partition).collect::<Vec<_>>()
    };
    let fill = |world: &mut World, partition| {
        for _ in 0..2 {
            try_to(world, partition, &half).unwrap();
        }
    };
    try_to(&mut world, 0, b"hardly begun").unwrap();
    try_to(&mut world, 1, &half).unwrap();
    try_to(&mut world, 2, &half).unwrap();
    world.run_for(ms(20));
    assert!(partitions(&world).is_empty(), "nothing is full");
    fill(&mut world, 3);
    world.run_for(ms(6));
    assert_eq!(partitions(&world), [1, 3], "one for one, and the one that has waited longest");
    // The broker has this request, and the answer is on its way.
    fill(&mut world, 4);
    world.run_for(ms(20));
    assert_eq!(partitions(&world), [1, 3, 4], "a busy broker gets full ones only");
    // Now it has answered.
    fill(&mut world, 5);
    world.run_for(ms(20));
    assert_eq!(partitions(&world)[3..], [2, 5]);
    assert!(settle(&mut world));
    world.assert_clean();
}

#[test]
fn acc_03_full_batch_skips_linger() {
    let mut world = warm(1, 1, lingering(HOUR));
    let (start, before) = (world.now(), handed_out(&world));
    let mut fitted = 0;
    loop {
        let receipt = try_to(&mut world, 0, &[b'v'; 150]).unwrap();
        if handed_out(&world) > before {
            assert_eq!(receipt.index, 0, "the record that did not fit begins the next batch");
            break;
        }
        fitted += 1;
    }
    world.run_for(ms(10));
    let first = batches(&world).last().unwrap().header.clone().unwrap();
    assert_eq!(first.count, fitted, "with all earlier records");
    assert_eq!(world.open_records(), 1, "the second batch stays open");
    assert!(settle(&mut world));
    assert!(world.now() < start + HOUR);
    world.assert_clean();
}

#[test]
fn acc_04_record_larger_than_a_batch() {
    let mut config = lingering(HOUR);
    config.batch_size = 512;
    let mut world = warm(1, 1, config);
    let small = try_to(&mut world, 0, b"small").unwrap();
    let large = try_to(&mut world, 0, &[b'v'; 1_024]).unwrap();
    assert_ne!(small.batch, large.batch);
    // No linger for either: one is closed and the other full.
    world.run_for(ms(10));
    assert!(world.outcome(large).unwrap().is_delivered());
    let last = batches(&world).last().unwrap().header.clone().unwrap();
    assert_eq!(last.count, 1);
    assert_eq!(world.cluster.log("t", 0)[2].value.as_deref(), Some(&[b'v'; 1_024][..]));
    world.assert_clean();
}

#[test]
fn acc_05_record_larger_than_a_request() {
    const LIMIT: usize = 1 << 20;
    // Batch header, the most that a record has round its content, no key, the value's length, no
    // headers.
    const OVERHEAD: usize = 61 + 21 + 1 + 3 + 1;
    let mut world = warm(1, 1, config());
    let bytes = world.producer.stats().bytes_out;
    let refused = try_to(&mut world, 0, &vec![b'v'; LIMIT - OVERHEAD + 1]);
    let expected =
        PushError::TooLarge { size: LIMIT + 1, limit: LIMIT, setting: "max.request.size" };
    assert_eq!(refused, Err(expected));
    assert_eq!(world.open_records(), 0);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.producer.stats().bytes_out, bytes, "no bytes on the wire");
    let largest = try_to(&mut world, 0, &vec![b'v'; LIMIT - OVERHEAD]).unwrap();
    let later = try_to(&mut world, 0, b"later").unwrap();
    assert!(world.settle());
    assert!([largest, later].iter().all(|it| world.outcome(*it).unwrap().is_delivered()));
    world.assert_clean();
}

/// While a first request is under way, puts batches of one record each into the queues, so that
/// the next requests take as much as they can. Gives each of them as the list of its partitions.
fn requests_of(world: &mut World, records: &[(i32, usize)]) -> Vec<(i32, Vec<i32>, usize)> {
    let brokers: Vec<i32> = world.cluster.brokers().iter().map(|broker| broker.id).collect();
    for broker in brokers {
        let leads = |p: &i32| world.cluster.partition("t", *p).unwrap().leader == Some(broker);
        let partition = (0..).find(leads).unwrap();
        try_to(world, partition, b"first").unwrap();
    }
    let before = handed_out(world) as usize;
    for &(partition, len) in records {
        try_to(world, partition, &vec![b'v'; len]).unwrap();
    }
    assert_eq!(handed_out(world) as usize, before);
    assert!(world.settle());
    let partitions = |request: &producer_sim::ReceivedRequest| {
        request.batches().iter().map(|batch| batch.partition).collect()
    };
    let later = produces(world).into_iter().skip(before);
    later.map(|request| (request.broker, partitions(request), request.bytes)).collect()
}

fn one_request_at_a_time(max_request_size: usize) -> Config {
    let mut config = config();
    config.max_in_flight_requests_per_connection = 1;
    config.batch_size = 1;
    config.max_request_size = max_request_size;
    config
}

#[test]
fn acc_06_request_size_bound() {
    let mut world = warm(1, 2, one_request_at_a_time(1 << 20));
    let requests = requests_of(&mut world, &[(0, 800 << 10), (1, 800 << 10)]);
    let partitions: Vec<_> = requests.iter().map(|(_, partitions, _)| &partitions[..]).collect();
    assert_eq!(partitions, [[0], [1]]);
    world.assert_clean();
}

#[test]
fn acc_06_the_bound_is_that_of_the_whole_request() {
    // Framing counts too: of twenty small batches it is a tenth.
    let mut world = warm(1, 20, one_request_at_a_time(1_500));
    let records: Vec<_> = (0..20).map(|partition| (partition, 10)).collect();
    let requests = requests_of(&mut world, &records);
    for (_, _, bytes) in &requests {
        assert!(*bytes <= 1_500, "a request of {bytes} bytes");
    }
    assert_eq!(requests.len(), 2, "{requests:?}");
    world.assert_clean();
}

#[test]
fn acc_06_a_batch_above_the_limit_goes_alone() {
    let mut config = one_request_at_a_time(1_000);
    config.batch_size = 4_000;
    config.linger = HOUR;
    config.delivery_timeout = Some(2 * HOUR);
    let mut world = warm(1, 2, config);
    let before = produces(&world).len();
    let receipts: Vec<_> =
        (0..30).map(|i| try_to(&mut world, i % 2, &[b'v'; 200]).unwrap()).collect();
    assert!(settle(&mut world));
    assert!(receipts.iter().all(|it| world.outcome(*it).unwrap().is_delivered()));
    assert!(produces(&world)[before..].iter().all(|request| request.batches().len() == 1));
    world.assert_clean();
}

#[test]
fn acc_07_round_robin_per_broker() {
    // Broker 1 leads 0 and 2, broker 2 leads 1 and 3; a request has room for one batch.
    let mut world = warm(2, 4, one_request_at_a_time(1_300));
    let records = [0, 0, 0, 2, 2, 2, 1, 1, 1, 3, 3, 3].map(|partition| (partition, 1_000));
    let requests = requests_of(&mut world, &records);
    let of = |broker: i32| -> Vec<_> {
        let of_it = requests.iter().filter(|(b, ..)| *b == broker);
        of_it.flat_map(|(_, partitions, _)| partitions.clone()).collect()
    };
    assert_eq!(of(1), [0, 2, 0, 2, 0, 2]);
    assert_eq!(of(2), [1, 3, 1, 3, 1, 3]);
    world.assert_clean();
}

/// Partition 0 has a batch in flight and one behind it; partition 1 of the same broker has data.
/// Only that is sent before `end` has done with the first batch.
fn muted(config: Config, rule: Rule, end: impl FnOnce(&mut World, producer_sim::RuleId)) -> World {
    let mut world = warm(1, 2, config);
    let before = batches(&world).len();
    let rule = world.cluster.inject(rule);
    for (partition, value) in [(0, b"a"), (0, b"b"), (1, b"c")] {
        try_to(&mut world, partition, value).unwrap();
        world.run_for(Duration::from_micros(200));
    }
    world.run_for(ms(20));
    let sent: Vec<_> = batches(&world)[before..].iter().map(|batch| batch.partition).collect();
    assert_eq!(sent, [0, 1], "nothing of partition 0 follows what is in flight");
    end(&mut world, rule);
    assert!(world.settle());
    assert!(world.values("t", 0).ends_with(&["b".to_owned()]), "it is sendable again");
    world.assert_clean();
    world
}

fn plain() -> Config {
    let mut config = config();
    config.enable_idempotence = Some(false);
    config.batch_size = 1;
    config
}

#[test]
fn acc_09_muted_partition() {
    let first = || Rule::on(ApiKey::Produce).partition("t", 0);
    let world = muted(plain(), first().delay(ms(50)), |_, _| ());
    assert_eq!(world.values("t", 0), ["warm", "a", "b"]);
    assert_eq!(world.values("t", 1), ["warm", "c"]);
}

#[test]
fn acc_09_an_error_unmutes() {
    let first = || Rule::on(ApiKey::Produce).partition("t", 0).delay(ms(50));
    let world = muted(plain(), first().error(ResponseError::NotEnoughReplicas), |_, _| ());
    assert_eq!(world.values("t", 0), ["warm", "a", "b"], "a retry comes first");
    let world = muted(plain(), first().error(ResponseError::TopicAuthorizationFailed), |_, _| ());
    assert_eq!(world.values("t", 0), ["warm", "b"]);
}

#[test]
fn acc_09_a_disconnect_unmutes() {
    let first = Rule::on(ApiKey::Produce).partition("t", 0).hold();
    let world = muted(plain(), first, |world, _| world.reset(1, Fate::Lost));
    // Without idempotence the retry may double what the lost answer was about.
    assert_eq!(world.values("t", 0), ["warm", "a", "a", "b"]);
}

#[test]
fn acc_09_expiry_unmutes() {
    let mut config = plain();
    config.request_timeout = Duration::from_secs(5);
    config.delivery_timeout = Some(Duration::from_secs(5));
    let first = Rule::on(ApiKey::Produce).partition("t", 0).drop_answer();
    let mut world = warm(1, 2, config);
    world.cluster.inject(first);
    let expired = try_to(&mut world, 0, b"a").unwrap();
    world.run_for(ms(1_000));
    let next = try_to(&mut world, 0, b"b").unwrap();
    assert!(world.settle());
    let outcome = world.outcome(expired).unwrap();
    assert_eq!(outcome.persistence(), Some(Persistence::PossiblyPersisted));
    assert!(world.outcome(next).unwrap().is_delivered());
    world.assert_clean();
}

#[test]
fn acc_10_flush_beats_linger() {
    let mut world = warm(1, 1, lingering(Duration::from_secs(10)));
    let start = world.now();
    try_to(&mut world, 0, b"v").unwrap();
    assert!(settle(&mut world));
    assert!(world.now() < start + ms(1_000), "{:?}", world.now() - start);
    let start = world.now();
    let lone = try_to(&mut world, 0, b"linger applies again").unwrap();
    assert!(world.settle());
    let waited = world.outcome(lone).unwrap().at() - start;
    assert_eq!(waited, Duration::from_secs(10) + ms(2), "linger and the way there and back");
    world.assert_clean();
}

#[test]
fn acc_11_memory_pressure_beats_linger() {
    let mut config = lingering(HOUR);
    config.buffer_memory = 20_000;
    let mut world = warm(2, 4, config);
    let start = world.now();
    let mut refused = 0;
    let mut accepted = 0;
    // Four open batches, none of them full; then no room for more.
    while refused == 0 {
        match try_to(&mut world, accepted % 4, &[b'v'; 500]) {
            Ok(_) => accepted += 1,
            Err(PushError::Full { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(accepted > 20, "{accepted} records of 500 bytes in 20,000");
    assert!(world.settle(), "all that was open");
    assert!(world.now() - start < ms(100));
    try_to(&mut world, accepted % 4, &[b'v'; 500]).unwrap();
    assert!(settle(&mut world));
    world.assert_clean();
}

#[test]
fn acc_13_append_from_inside_an_outcome() {
    let mut world = warm(1, 1, lingering(HOUR));
    for _ in 0..10 {
        try_to(&mut world, 0, b"v").unwrap();
    }
    let topic = world.topic("t");
    let late = world.now() + 4 * HOUR;
    let producer = &mut world.producer;
    producer.handle_input(late, Input::Timeout);
    let (mut expired, mut receipts) = (0, Vec::new());
    while let Some(event) = producer.poll_event() {
        if let Event::Failed { records, persistence, .. } = event {
            assert_eq!(persistence, Persistence::NotPersisted);
            for _ in records {
                expired += 1;
                let record = Record { partition: Some(0), ..Record::new(topic, 0, b"again") };
                receipts.push(producer.push(late, &record).unwrap());
            }
        }
    }
    assert_eq!(expired, 10);
    let indexes: Vec<_> = receipts.iter().map(|receipt| receipt.index).collect();
    assert_eq!(indexes, (0..10).collect::<Vec<_>>());
    assert!(receipts.iter().all(|receipt| receipt.batch == receipts[0].batch));
    assert_eq!(producer.stats().records_outstanding, 10);
}

#[test]
fn acc_14_unknown_leader_holds_only_its_topic() {
    let mut cluster = Cluster::new(ClusterConfig::new(2));
    cluster.create_topic("a", TopicConfig::new(1));
    cluster.create_topic("b", TopicConfig::new(1));
    cluster.change_partition("a", 0, |image| image.leader = None);
    let mut world = World::new(cluster, config()).unwrap();
    world.send_to("b", 0, b"warm");
    assert!(world.settle());
    let waits = world.send_to("a", 0, b"v");
    world.run_for(Duration::from_secs(10));

    let before = world.cluster.requests_of(ApiKey::Metadata).len();
    let end = world.now() + Duration::from_secs(5);
    while world.step(end) {
        assert!(world.producer.stats().requests_in_flight <= 1, "one request for it, no more");
    }
    let asked = world.cluster.requests_of(ApiKey::Metadata).len() - before;
    assert!((4..=7).contains(&asked), "{asked} requests in 5 s: they go on, a second apart");

    let flows = world.send_to("b", 0, b"v");
    world.run_for(ms(2));
    assert!(world.outcome(flows).unwrap().is_delivered());
    assert!(world.outcome(waits).is_none());
    world.cluster.move_leader("a", 0, Some(1));
    assert!(world.settle());
    assert!(world.outcome(waits).unwrap().is_delivered());
    world.assert_clean();
}

#[test]
fn acc_15_backoff_blocks_the_queue_behind_it() {
    let mut config = config();
    config.batch_size = 1;
    let mut world = warm(1, 1, config);
    world.cluster.inject(Rule::on(ApiKey::Produce).error(ResponseError::NotEnoughReplicas));
    let start = world.now();
    try_to(&mut world, 0, b"first").unwrap();
    assert!(world.run_until(|world| world.producer.stats().errors_retriable == 1));
    assert_eq!(world.now(), start + ms(2));
    let before = handed_out(&world);
    try_to(&mut world, 0, b"second").unwrap();
    let backoff = timeout_in(&world).unwrap();
    assert!((ms(80)..=ms(120)).contains(&backoff), "{backoff:?}");
    world.run_for(backoff - Duration::from_micros(1));
    assert_eq!(handed_out(&world), before, "the second batch does not go first");
    assert_eq!(timeout_in(&world), Some(Duration::from_micros(1)));
    assert!(world.settle());
    assert_eq!(world.values("t", 0), ["warm", "first", "second"]);
    world.assert_clean();
}

#[test]
fn acc_16_first_flush_is_quick() {
    let mut cluster = Cluster::new(ClusterConfig::new(3));
    cluster.create_topic("t", TopicConfig::new(9));
    let mut config = lingering(HOUR);
    config.bootstrap_servers = vec!["broker-2:9092".to_owned()];
    let mut world = World::new(cluster, config).unwrap();
    let start = world.now();
    for partition in 0..9 {
        world.push(&to(partition, b"v")).unwrap();
    }
    assert!(settle(&mut world));
    assert!(world.now() - start < ms(1_000), "{:?}", world.now() - start);
    assert_eq!(world.cluster.requests_of(ApiKey::Metadata).len(), 1, "the first answer is enough");
    world.assert_clean();
}

#[test]
fn acc_17_stress_of_appends_and_drains() {
    let mut config = lingering(ms(3));
    config.batch_size = 300;
    config.max_request_size = 500;
    let mut cluster = Cluster::new(ClusterConfig::new(1));
    cluster.create_topic("t", TopicConfig::new(2));
    let mut world = World::new(cluster, config).unwrap();
    let mut draws = Draws::new(1);
    let mut expected = [Vec::new(), Vec::new()];
    for i in 0..50_000_u32 {
        let partition = draws.below(2) as i32;
        let value = i.to_string();
        world.push(&record(Some(partition), Some(value.as_bytes()))).unwrap();
        expected[partition as usize].push(value);
        if draws.below(30) == 0 {
            world.run_for(Duration::from_micros(draws.below(2_000)));
        }
    }
    assert!(settle(&mut world));
    for (partition, expected) in (0..).zip(&expected) {
        assert!(world.values("t", partition) == *expected, "partition {partition}");
    }
    world.assert_clean();
}

#[test]
fn acc_18_broker_without_partitions() {
    let mut world = world(5, 2, config());
    let first = world.send_to("t", 0, b"v");
    assert!(world.settle());
    // Also when it loses the only one that it leads, with data under way.
    world.cluster.move_leader("t", 0, Some(4));
    let second = world.send_to("t", 0, b"v");
    assert!(world.settle());
    world.run_for(HOUR);
    let delivered = |receipt| world.outcome(receipt).unwrap().is_delivered();
    assert!(delivered(first) && delivered(second));
    assert!(world.links(5).is_empty() && world.links(3).is_empty());
    world.assert_clean();
}
