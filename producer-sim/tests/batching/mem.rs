//! Memory: the bound, who waits, and that everything comes back.

use crate::rig::{Draws, HOUR, config, ms, noise, produces, settle, to, try_to, unkeyed, warm};
use producer_proto::{Cancel, Codec, Config, Input, Persistence, PushError};
use producer_sim::{
    ApiKey, Cluster, ClusterConfig, Fate, Jobs, ResponseError, Rule, TopicConfig, World,
};
use std::time::Duration;

/// What the bound may be exceeded by: the headers of the pieces when batches are split, whose
/// bytes exist already.
const SLACK: usize = 2_048;

/// Lets time pass and looks at the bound after each step.
fn run_bounded(world: &mut World, time: Duration, bound: usize) {
    let end = world.now() + time;
    loop {
        let buffered = world.producer.stats().buffered_bytes;
        assert!(buffered <= bound, "{buffered} bytes at {:?}", world.now());
        if !world.step(end) {
            break;
        }
    }
    world.run_for(end.saturating_since(world.now()));
}

fn trouble(world: &mut World, draws: &mut Draws) {
    let rule = Rule::on(ApiKey::Produce);
    let broker = 1 + draws.below(2) as i32;
    match draws.below(7) {
        0 => world.reset(broker, Fate::Lost),
        1 => world.reset(broker, Fate::Arrive),
        2 => world.deafen(broker, true, true),
        3 => drop(world.cluster.inject(rule.error(ResponseError::NotEnoughReplicas))),
        4 => drop(world.cluster.inject(rule.delay(ms(draws.below(900))))),
        5 => world.cluster.move_leader("t", draws.below(4) as i32, Some(broker)),
        _ => drop(world.cluster.inject(rule.error(ResponseError::MessageTooLarge))),
    }
}

#[test]
fn mem_01_bound_holds_at_each_step() {
    const BUFFER: usize = 20_000;
    for seed in 0..6 {
        let mut draws = Draws::new(seed);
        let mut config = config();
        config.buffer_memory = BUFFER;
        config.batch_size = 4_000;
        config.linger = ms(draws.below(20));
        config.compression_type = [Codec::None, Codec::Lz4][draws.below(2) as usize];
        config.request_timeout = Duration::from_secs(2);
        config.delivery_timeout = Some(Duration::from_secs(4));
        let mut world = warm(2, 4, config);
        world.set_write_window(500 + draws.below(3_000) as usize);
        if draws.below(2) == 0 {
            world.set_jobs(Jobs::After(ms(draws.below(20))));
        }
        let mut refused = 0;
        for i in 0..600 {
            let value = noise(i, draws.below(900) as usize);
            match try_to(&mut world, draws.below(4) as i32, &value) {
                Ok(_) => {}
                Err(PushError::Full { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
            run_bounded(&mut world, ms(draws.below(4)), BUFFER + SLACK);
            if draws.below(40) == 0 {
                trouble(&mut world, &mut draws);
            }
        }
        assert!(refused > 10, "the bound was never reached: {refused}");
        world.cluster.clear_rules();
        run_bounded(&mut world, Duration::from_secs(20), BUFFER + SLACK);
        assert!(world.settle());
        assert_eq!(world.producer.stats().buffered_bytes, 0, "seed {seed}");
        world.assert_clean();
    }
}

#[test]
fn mem_02_never_satisfiable() {
    // Batch header, the most that a record has round its content, no key, length, no headers.
    const OVERHEAD: usize = 61 + 21 + 1 + 2 + 1;
    let mut config = config();
    config.buffer_memory = 1_024;
    let mut world = warm(1, 1, config);
    let refused = try_to(&mut world, 0, &[b'v'; 1_025 - OVERHEAD]);
    let expected = PushError::TooLarge { size: 1_025, limit: 1_024, setting: "buffer.memory" };
    assert_eq!(refused, Err(expected));
    assert!(try_to(&mut world, 0, &[b'v'; 1_024 - OVERHEAD]).is_ok());
    assert!(world.settle());
    world.assert_clean();
}

/// Nothing is held any more, and all of the buffer can be used again.
fn assert_all_returned(world: &mut World, exit: &str) {
    world.run_for(Duration::from_secs(60));
    let stats = world.producer.stats();
    assert_eq!((stats.buffered_bytes, stats.lent_bytes), (0, 0), "{exit}");
    assert_eq!((stats.records_outstanding, stats.batches_outstanding), (0, 0), "{exit}");
    world.cluster.clear_rules();
    let large = world.push(&to(0, &[b'v'; 19_000])).unwrap();
    assert!(world.settle(), "{exit}");
    assert!(world.outcome(large).unwrap().is_delivered(), "{exit}");
    world.assert_clean();
}

fn small_buffer() -> Config {
    let mut config = config();
    config.buffer_memory = 20_000;
    config.request_timeout = Duration::from_secs(5);
    config.delivery_timeout = Some(Duration::from_secs(10));
    config
}

#[test]
fn mem_05_all_exits_return_memory() {
    use ResponseError::{MessageTooLarge, NotEnoughReplicas, TopicAuthorizationFailed};
    let produce = || Rule::on(ApiKey::Produce);
    let answers: [(&str, Option<Rule>); 6] = [
        ("acked", None),
        ("retried, then acked", Some(produce().times(3).error(NotEnoughReplicas))),
        ("refused", Some(produce().error(TopicAuthorizationFailed))),
        ("expired", Some(produce().always().error(NotEnoughReplicas))),
        ("expired in flight", Some(produce().drop_answer())),
        ("split", Some(produce().error(MessageTooLarge))),
    ];
    for (exit, rule) in answers {
        for codec in [Codec::None, Codec::Gzip] {
            let mut config = small_buffer();
            config.linger = ms(2);
            config.compression_type = codec;
            let mut world = warm(1, 1, config);
            if let Some(rule) = rule.clone() {
                world.cluster.inject(rule);
            }
            for _ in 0..50 {
                try_to(&mut world, 0, &[b'v'; 200]).unwrap();
            }
            assert!(world.settle());
            assert_all_returned(&mut world, exit);
            let split = world.producer.stats().batches_split > 0;
            assert_eq!(split, exit == "split");
        }
    }
}

#[test]
fn mem_05_aborted_cancelled_and_left_behind_too() {
    for jobs in [Jobs::Inline, Jobs::After(ms(50)), Jobs::Abandon] {
        let mut config = small_buffer();
        config.compression_type = Codec::Zstd;
        let mut world = warm(1, 1, config);
        world.set_jobs(jobs);
        let hold = world.cluster.inject(Rule::on(ApiKey::Produce).hold());
        for _ in 0..20 {
            try_to(&mut world, 0, &noise(3, 400)).unwrap();
        }
        let now = world.now();
        world.producer.abort_queued(now);
        world.run_for(ms(100));
        world.cluster.release(world.now(), hold);
        assert!(world.settle());
        assert_all_returned(&mut world, "aborted");
    }
    let mut config = small_buffer();
    config.linger = ms(20);
    let mut world = warm(1, 1, config);
    for _ in 0..10 {
        let receipt = try_to(&mut world, 0, &[b'v'; 200]).unwrap();
        let now = world.now();
        assert_eq!(world.producer.cancel(now, receipt), Cancel::Cancelled);
        world.drain();
    }
    assert_all_returned(&mut world, "cancelled");
}

#[test]
fn mem_08_slow_reader() {
    const BUFFER: usize = 256 << 10;
    const REQUEST: usize = 16 << 10;
    let mut config = config();
    config.buffer_memory = BUFFER;
    config.max_request_size = REQUEST;
    config.batch_size = 4 << 10;
    let mut world = warm(1, 4, config);
    // One KiB each second.
    world.set_write_window(1 << 10);
    world.set_latency(Duration::from_secs(1));
    let before = world.producer.stats().bytes_out as usize;
    let end = world.now() + Duration::from_secs(10);
    let mut refused = 0;
    while world.now() < end {
        refused += u32::from(world.try_push(&unkeyed(&[b'v'; 1_000])).is_err());
        run_bounded(&mut world, ms(2), BUFFER);
        let taken = world.producer.stats().bytes_out as usize - before;
        assert!(taken <= 5 * REQUEST, "{taken} bytes held for one connection");
    }
    assert!(refused > 1_000, "refused at the bound");
    world.set_write_window(usize::MAX);
    world.set_latency(ms(1));
    assert!(world.settle());
    world.assert_clean();
}

#[test]
fn mem_09_retry_storms_stay_bounded() {
    const BUFFER: usize = 200_000;
    for (count, len) in [(10_000, 1), (40, 95_000)] {
        let mut config = config();
        config.buffer_memory = BUFFER;
        config.request_timeout = Duration::from_secs(1);
        config.delivery_timeout = Some(Duration::from_secs(2));
        let mut cluster = Cluster::new(ClusterConfig::new(1));
        cluster.create_topic("t", TopicConfig::new(1));
        let refuse = Rule::on(ApiKey::Produce).always().error(ResponseError::NotLeaderOrFollower);
        cluster.inject(refuse);
        let mut world = World::new(cluster, config).unwrap();
        let value = vec![b'v'; len];
        for _ in 0..count {
            world.push(&to(0, &value)).unwrap();
            assert!(world.producer.stats().buffered_bytes <= BUFFER);
        }
        run_bounded(&mut world, Duration::from_secs(5), BUFFER);
        assert_eq!(world.open_records(), 0);
        assert_eq!(world.outcomes().count(), count);
        assert!(world.outcomes().all(|(_, it)| !it.unwrap().is_delivered()));
        assert!(produces(&world).len() > 3);
        assert_eq!(world.producer.stats().buffered_bytes, 0);
        world.assert_clean();
    }
}

#[test]
fn mem_11_large_response_does_not_steal_producer_memory() {
    let mut config = config();
    config.buffer_memory = 100_000;
    config.metadata_max_age = ms(200);
    let mut world = warm(2, 2, config);
    // A metadata answer of 90 MiB begins to arrive at broker 2, and takes its time.
    let huge = Rule::on(ApiKey::Metadata).broker(2).edit_bytes(|frame| {
        frame[..4].copy_from_slice(&(90_u32 << 20).to_be_bytes());
        frame.resize(2 << 20, 0);
    });
    let huge = world.cluster.inject(huge);
    assert!(world.run_until(|world| world.cluster.rule_hits(huge) == 1));
    world.run_for(ms(10));
    for _ in 0..10 {
        let receipt = try_to(&mut world, 0, &[b'v'; 80_000]).unwrap();
        world.run_for(ms(10));
        assert!(world.outcome(receipt).unwrap().is_delivered());
        assert_eq!(world.producer.stats().buffered_bytes, 0);
    }
    // Nobody waits for it longer than a request's time.
    let waits = try_to(&mut world, 1, b"behind it").unwrap();
    assert!(world.settle());
    assert!(world.outcome(waits).unwrap().is_delivered());
    world.assert_clean();
}

#[test]
fn mem_a_broker_that_is_gone_keeps_only_its_share() {
    let mut config = config();
    config.buffer_memory = 100_000;
    config.delivery_timeout = Some(HOUR);
    let mut world = warm(2, 2, config);
    world.deafen(1, true, true);
    while try_to(&mut world, 0, &[b'v'; 500]).is_ok() {}
    for _ in 0..100 {
        let receipt = try_to(&mut world, 1, &[b'v'; 500]).unwrap();
        world.run_for(ms(3));
        assert!(world.outcome(receipt).unwrap().is_delivered());
    }
    let now = world.now();
    world.producer.close(now, Some(now));
    world.drain();
    let lost: Vec<_> =
        world.outcomes().filter_map(|(_, outcome)| outcome.unwrap().persistence()).collect();
    assert!(lost.contains(&Persistence::PossiblyPersisted));
    assert!(lost.contains(&Persistence::NotPersisted));
    world.assert_clean();
}

#[test]
fn mem_a_batch_that_began_small_for_want_of_room_does_not_grow_by_single_records() {
    let mut config = config();
    config.buffer_memory = 20_000;
    config.batch_size = 8_000;
    config.linger = ms(100);
    let mut world = warm(1, 2, config);
    // From its last batch the producer knows that partition 1 needs all of `batch.size`.
    for i in 0..70 {
        try_to(&mut world, 1, &noise(i, 100)).unwrap();
    }
    let now = world.now();
    world.producer.flush(now);
    assert!(settle(&mut world));
    try_to(&mut world, 0, &noise(0, 13_000)).unwrap();

    let mut sizes = Vec::new();
    for i in 0..30 {
        try_to(&mut world, 1, &noise(i, 100)).unwrap();
        world.producer.handle_input(world.now(), Input::Timeout);
        sizes.push(world.producer.stats().buffered_bytes);
    }
    assert!(sizes[0] < 14_000, "there was no room for a large buffer: {}", sizes[0]);
    sizes.dedup();
    assert!(sizes.len() <= 6, "it grew by doubling: {sizes:?}");
}

#[test]
fn mem_writable_comes_when_there_is_room_and_not_before() {
    use producer_proto::Event;
    let mut config = config();
    config.buffer_memory = 20_000;
    let mut world = warm(1, 1, config);
    let hold = world.cluster.inject(Rule::on(ApiKey::Produce).hold());
    while try_to(&mut world, 0, &[b'v'; 3_000]).is_ok() {}
    let told = |world: &World| {
        world.events().filter(|(_, event)| matches!(event, Event::Writable { .. })).count()
    };
    world.run_for(ms(500));
    assert_eq!(told(&world), 0);
    world.cluster.release(world.now(), hold);
    assert!(world.run_until(|world| told(world) == 1));
    try_to(&mut world, 0, &[b'v'; 3_000]).unwrap();
    assert!(settle(&mut world));
    assert_eq!(told(&world), 1, "once");
    world.assert_clean();
}
