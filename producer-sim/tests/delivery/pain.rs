//! What went wrong in other producers, and must not here: records lost, doubled or reordered
//! (`pain_01` to `pain_11`), a close that never ends, topics that come and go, frozen processes.

use crate::rig::*;
use producer_proto::Persistence::{NotPersisted, PossiblyPersisted};
use producer_proto::{Cancel, Codec, Config, Event, Input, Receipt};
use producer_sim::{
    ApiKey, Cluster, ClusterConfig, Fate, Jobs, NewRecord, Reach, ResponseError, Rule, TopicConfig,
    World,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

fn check(world: &World) {
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn pain_01_expiry_while_bytes_are_being_written_harms_no_other_batch() {
    let (mut in_doubt, mut arrived) = (0, 0);
    // The second attempt is written a byte per millisecond, beginning later with each run, so
    // that the delivery timeout falls on another byte of it.
    for backoff in (700..1_250).step_by(5) {
        let mut config = one_second();
        config.retry_backoff = Some(ms(backoff));
        config.retry_backoff_max = Some(ms(backoff));
        let mut world = warm(1, 2, config);
        refuse(&mut world, ResponseError::NotEnoughReplicas);
        let receipt = batch(&mut world, 0, &["the batch that expires"])[0];
        world.run_for(ms(400));
        world.set_write_window(1);
        let late = world.producer.stats().produce_requests;
        let others = ["x", "y"].map(|value| batch(&mut world, 1, &[&value.repeat(30)])[0]);
        world.run_for(ms(601));
        let retried = world.producer.stats().produce_requests > late + 2;
        let written = stamps(&world, 0).len() > 2;
        if retried && !written {
            assert_eq!(failure(&world, receipt).1, PossiblyPersisted, "in the middle of it");
            in_doubt += 1;
        }
        world.set_write_window(usize::MAX);
        assert!(settle(&mut world));
        world.run_for(Duration::from_secs(10));
        arrived += world.values("t", 0).len() - 1;
        let delivered = others.iter().filter(|r| is_delivered(&world, **r)).count();
        assert_eq!(world.values("t", 1).len(), 1 + delivered);
        // Each batch that the broker read is one that was submitted for that partition: it has
        // checked every CRC, and the logs hold nothing else.
        check(&world);
        assert_empty(&world);
    }
    assert!(in_doubt > 20 && arrived > 20, "{in_doubt} expired while written, {arrived} arrived");
}

#[test]
fn pain_02_a_cancel_never_frees_a_sequence_that_was_sent() {
    for step in 0..60 {
        let mut world = warm(1, 1, config());
        let rule = Rule::on(ApiKey::Produce).partition("t", 0).times(2);
        world.cluster.inject(rule.error_after(ResponseError::RequestTimedOut));
        let first = batch(&mut world, 0, &["first"])[0];
        world.run_for(ms(step * 7));
        let now = world.now();
        assert_eq!(world.producer.cancel(now, first), Cancel::TooLate);
        batch(&mut world, 0, &["second"]);
        assert!(settle(&mut world));
        assert_eq!(world.values("t", 0), ["warm", "first", "second"]);
        check(&world);
    }
}

#[test]
fn pain_03_a_topic_that_vanishes_for_a_while_keeps_its_sequences() {
    for seed in 0..60 {
        let mut draws = Draws::new(seed);
        let mut world = warm(2, 2, config());
        for i in 0..40 {
            batch(&mut world, i % 2, &[&format!("{i:02}")]);
            world.run_for(draws.millis(8));
            match draws.below(6) {
                0 => world.cluster.set_hidden("t", true),
                1 | 2 => world.cluster.set_hidden("t", false),
                3 => {
                    let topic = format!("other-{i}");
                    world.topic(&topic);
                }
                _ => {}
            }
        }
        world.cluster.set_hidden("t", false);
        assert!(settle(&mut world));
        assert!(world.outcomes().all(|(_, outcome)| outcome.unwrap().is_delivered()));
        assert_eq!(world.producer.stats().epoch_bumps, 0, "seed {seed}");
        check(&world);
    }
}

#[test]
fn pain_04_a_retry_is_the_same_bytes() {
    for seed in 0..40 {
        let world = shaken(seed, |_| {});
        let mut seen = BTreeMap::new();
        for request in produces(&world) {
            for batch in request.batches() {
                let header = batch.header.as_ref().unwrap();
                let stamp = (batch.partition, header.producer_epoch, header.base_sequence);
                let first = *seen.entry(stamp).or_insert(batch.digest);
                assert_eq!(batch.digest, first, "seed {seed}: {stamp:?}");
            }
        }
        assert!(world.producer.stats().batches_retried > 5, "seed {seed}");
    }
}

/// A run with faults that all pass: everything is delivered in the end.
fn shaken(seed: u64, change: impl FnOnce(&mut Config)) -> World {
    let mut draws = Draws::new(seed);
    let mut config = config();
    config.batch_size = draws.pick(&[1, 200, 16384]);
    change(&mut config);
    let mut world = warm(2, 2, config);
    world.set_latency(ms(3));
    for i in 0..40 {
        world.send_to("t", i % 2, format!("{i:03}").as_bytes());
        world.run_for(draws.millis(10));
        let rule = Rule::on(ApiKey::Produce);
        match draws.below(12) {
            0 => drop(world.cluster.inject(rule.error(ResponseError::NotEnoughReplicas))),
            1 => drop(world.cluster.inject(rule.error_after(ResponseError::RequestTimedOut))),
            2 => drop(world.cluster.inject(rule.close_after())),
            3 => world.reset(1, draws.pick(&[Fate::Lost, Fate::Arrive])),
            4 => world.cluster.move_leader("t", i % 2, Some(1 + draws.below(2) as i32)),
            5 => world.reset(2, Fate::ArriveAfter(draws.millis(200))),
            _ => {}
        }
    }
    assert!(settle(&mut world));
    world.run_for(Duration::from_secs(1));
    assert!(world.outcomes().all(|(_, outcome)| outcome.unwrap().is_delivered()), "seed {seed}");
    check(&world);
    world
}

/// Brings a record into a state in which it has not been sent.
type Prepare = fn(&mut World) -> Receipt;

#[test]
fn pain_05_a_record_that_fails_before_it_is_sent_leaves_no_gap() {
    let abort = |world: &mut World| {
        let now = world.now();
        world.producer.abort_queued(now);
        world.drain();
    };
    let failures: [(&str, Prepare); 5] = [
        ("open", |world| world.try_push(&to(0, b"v")).unwrap()),
        ("ready, its broker away", |world| {
            world.cluster.set_up(1, false);
            world.run_for(ms(5));
            batch(world, 0, &["v"])[0]
        }),
        ("with its compression job", |world| {
            world.set_jobs(Jobs::After(ms(10)));
            let receipt = batch(world, 0, &["v"])[0];
            world.run_for(ms(5));
            receipt
        }),
        ("behind five in flight", |world| {
            world.cluster.inject(Rule::on(ApiKey::Produce).times(5).delay(ms(40)));
            (0..5).for_each(|_| drop(batch(world, 0, &["in flight"])));
            world.run_for(ms(5));
            batch(world, 0, &["v"])[0]
        }),
        ("cancelled", |world| {
            let receipt = world.try_push(&to(0, b"v")).unwrap();
            let now = world.now();
            world.producer.cancel(now, receipt);
            receipt
        }),
    ];
    for (state, fail) in failures {
        let mut config = config();
        config.linger = ms(5);
        config.compression_type = Codec::Lz4;
        let mut world = warm(1, 1, config);
        let failed = fail(&mut world);
        abort(&mut world);
        assert_eq!(failure(&world, failed).1, NotPersisted, "{state}");
        world.set_jobs(Jobs::Inline);
        world.cluster.set_up(1, true);
        batch(&mut world, 0, &["next"]);
        assert!(settle(&mut world));
        let mut next = 0;
        for (epoch, sequence, count) in stamps(&world, 0) {
            assert_eq!((epoch, sequence), (0, next), "{state}");
            next += count;
        }
        check(&world);
    }
}

#[test]
fn pain_06_no_old_sequence_under_a_new_epoch() {
    let mut bumps = 0;
    for seed in 0..80 {
        let mut draws = Draws::new(seed);
        let mut world = warm(2, 3, config());
        for i in 0..40 {
            batch(&mut world, draws.below(3) as i32, &["v"; 3][..1 + draws.below(3) as usize]);
            if draws.one_in(3) {
                world.run_for(draws.millis(10));
            }
            if i % 5 == 4 {
                let errors =
                    [ResponseError::InvalidRecord, ResponseError::OutOfOrderSequenceNumber];
                let rule = Rule::on(ApiKey::Produce).partition("t", draws.below(3) as i32);
                world.cluster.inject(rule.error(draws.pick(&errors)));
            }
        }
        world.run_for(ms(20));
        world.cluster.clear_rules();
        assert!(settle(&mut world));
        // No request was lost here: each epoch of a partition is seen from its very start.
        for partition in 0..3 {
            let mut next = BTreeMap::new();
            for (epoch, sequence, count) in stamps(&world, partition) {
                let next = next.entry(epoch).or_insert(0);
                assert!(sequence <= *next, "seed {seed}: ({epoch}, {sequence}), {next} is next");
                *next = (*next).max(sequence + count);
            }
        }
        bumps += world.producer.stats().epoch_bumps;
        world.assert_clean();
    }
    assert!(bumps > 60, "{bumps} epochs");
}

#[test]
fn pain_07_counters_run_out_and_nobody_notices() {
    // The last epoch of an id: the next bump takes a new id.
    let mut world = last_epoch(2);
    for i in 0..50 {
        if i % 10 == 3 {
            refuse(&mut world, ResponseError::OutOfOrderSequenceNumber);
        }
        batch(&mut world, i % 2, &["v"]);
        assert!(settle(&mut world));
    }
    assert!(world.outcomes().all(|(_, outcome)| outcome.unwrap().is_delivered()));
    assert_eq!(world.cluster.requests_of(ApiKey::InitProducerId).len(), 2);
    world.assert_clean();

    // The last sequences before they wrap.
    let mut world = warm(1, 1, config());
    let topic = world.topic("new");
    world.run_for(ms(1_000));
    world.producer.begin_sequence_at(topic, 0, i32::MAX - 10);
    for i in 0..100 {
        if i % 7 == 3 {
            let rule = Rule::on(ApiKey::Produce);
            world.cluster.inject(rule.error_after(ResponseError::NotEnoughReplicasAfterAppend));
        }
        let value = format!("{i:03}");
        let value = Some(value.as_bytes());
        world.push(&NewRecord { topic: "new", value, ..NewRecord::default() }).unwrap();
        if i % 7 < 5 {
            assert!(settle(&mut world));
        }
    }
    assert!(world.outcomes().all(|(_, outcome)| outcome.unwrap().is_delivered()));
    assert_eq!(world.producer.stats().epoch_bumps, 0);
    assert!(stamps_of(&world, "new").iter().any(|stamp| stamp.1 > i32::MAX - 11));
    assert!(stamps_of(&world, "new").iter().any(|stamp| stamp.1 < 100));
    check(&world);
}

#[test]
fn pain_09_without_idempotence_retries_keep_order() {
    for in_flight in 1..=5 {
        for dropped in 1..=12 {
            let mut config = config();
            config.enable_idempotence = Some(false);
            config.max_in_flight_requests_per_connection = in_flight;
            let mut world = warm(1, 2, config);
            let rule = Rule::on(ApiKey::Produce).nth(dropped);
            world.cluster.inject(if dropped % 2 == 0 {
                rule.close_after()
            } else {
                rule.close_before()
            });
            for i in 0..20 {
                batch(&mut world, i % 2, &[&format!("{i:02}")]);
                if i % 4 == 3 {
                    world.run_for(ms(1));
                }
            }
            assert!(settle(&mut world));
            assert!(world.outcomes().all(|(_, outcome)| outcome.unwrap().is_delivered()));
            for partition in 0..2 {
                let mut values = world.values("t", partition).split_off(1);
                // An attempt whose answer was lost may be there twice.
                let mut seen = BTreeSet::new();
                values.retain(|value| seen.insert(value.clone()));
                let expected: Vec<String> =
                    (0..20).filter(|i| i % 2 == partition).map(|i| format!("{i:02}")).collect();
                assert_eq!(values, expected, "{in_flight} in flight, {dropped} dropped");
            }
            world.assert_clean();
        }
    }
}

#[test]
fn pain_11_splits_that_race_with_expiry_leave_nothing_behind() {
    let mut splits = 0;
    for seed in 0..120 {
        let mut draws = Draws::new(seed);
        let mut config = one_second();
        config.compression_type = draws.pick(&[Codec::None, Codec::Zstd]);
        config.request_timeout = ms(300);
        config.delivery_timeout = Some(ms(310));
        let mut world = warm(1, 2, config);
        world.set_latency(draws.millis(20));
        world.set_jobs(Jobs::After(draws.millis(40)));
        for i in 0..12 {
            let values = ["a", "b", "c", "d", "e", "f", "g"];
            batch(&mut world, i % 2, &values[..1 + draws.below(7) as usize]);
            let rule = Rule::on(ApiKey::Produce).error(ResponseError::MessageTooLarge);
            match draws.below(4) {
                0 => drop(world.cluster.inject(rule.delay(draws.millis(300)))),
                1 => drop(world.cluster.inject(rule)),
                2 => drop(world.cluster.inject(Rule::on(ApiKey::Produce).delay(draws.millis(300)))),
                _ => {}
            }
            world.run_for(draws.millis(60));
        }
        assert!(settle(&mut world));
        world.run_for(Duration::from_secs(5));
        assert_empty(&world);
        world.assert_clean();
        splits += world.producer.stats().batches_split;
    }
    assert!(splits > 200, "{splits} splits");
}

#[test]
fn pain_14_close_ends_by_its_deadline_whatever_the_state() {
    for seed in 0..250 {
        let mut draws = Draws::new(seed);
        let mut cluster = Cluster::new(ClusterConfig::new(2));
        cluster.create_topic("t", TopicConfig::new(3));
        let mut config = config();
        config.linger = draws.millis(100);
        config.compression_type = draws.pick(&[Codec::None, Codec::Lz4]);
        let mut world = World::new(cluster, config).unwrap();
        world.set_latency(draws.millis(30));
        let stuck = draws.below(30);
        for i in 0..30 {
            if i == stuck {
                // From here on nothing comes from outside but the passing of time.
                for broker in 1..=2 {
                    world.set_broker_reach(broker, Reach::BlackHole);
                    world.deafen(broker, true, true);
                }
                world.set_jobs(Jobs::After(Duration::from_secs(1_000)));
            }
            let record = to(draws.below(3) as i32, b"v");
            drop(world.try_push(&record));
            let rule = Rule::on(ApiKey::Produce);
            match draws.below(8) {
                0 => drop(world.cluster.inject(rule.error(ResponseError::NotEnoughReplicas))),
                1 => drop(world.cluster.inject(rule.error(ResponseError::MessageTooLarge))),
                2 => world.cluster.move_leader("t", draws.below(3) as i32, None),
                3 => drop(world.cluster.inject(Rule::on(ApiKey::InitProducerId).hold())),
                _ => {}
            }
            world.run_for(draws.millis(30));
        }
        let deadline = draws.millis(2_000);
        let end = world.now() + deadline;
        assert!(world.close(Some(deadline)), "seed {seed}: never closed");
        let (at, _) = world.events().find(|(_, event)| matches!(event, Event::Closed)).unwrap();
        assert!(at <= end, "seed {seed}: closed at {at:?}, not by {end:?}");
        assert_eq!(world.open_records(), 0, "seed {seed}");
    }
}

#[test]
fn pain_19_a_topic_that_is_deleted_and_made_anew_wedges_nothing() {
    for step in 0..40 {
        for gap in [0, 3, 700] {
            let mut config = one_second();
            config.delivery_timeout = Some(ms(5_000));
            let mut world = warm(2, 2, config);
            for i in 0..40 {
                if i == step {
                    world.cluster.delete_topic("t");
                    world.run_for(ms(gap));
                    world.cluster.create_topic("t", TopicConfig::new(2));
                }
                if world.try_push(&to(i % 2, b"v")).is_ok() && i % 3 == 0 {
                    world.run_for(ms(2));
                }
            }
            assert!(settle(&mut world), "deleted at {step}, for {gap} ms");
            let last = world.send_to("t", 0, b"last");
            assert!(settle(&mut world));
            assert!(is_delivered(&world, last), "deleted at {step}, for {gap} ms");
            world.assert_clean();
            assert_empty(&world);
        }
    }
}

#[test]
fn pain_43_a_process_that_was_frozen_goes_on() {
    for hold in [true, false] {
        let mut world = warm(2, 2, config());
        if hold {
            world.cluster.inject(Rule::on(ApiKey::Produce).times(4).hold());
        }
        for i in 0..4 {
            batch(&mut world, i % 2, &["before"]);
        }
        if hold {
            world.run_for(ms(5));
        }
        let late = world.now() + Duration::from_secs(3_600);
        world.producer.handle_input(late, Input::Timeout);
        world.drain();
        assert_eq!(world.open_records(), 0, "deadlines have passed, once");
        assert_eq!(world.producer.stats().batches_expired, 4);
        assert!(world.producer.poll_timeout().is_none_or(|at| at > late));
        world.cluster.clear_rules();
        world.run_for(Duration::from_secs(3_601));
        let after = world.send_to("t", 0, b"after");
        assert!(settle(&mut world));
        assert!(is_delivered(&world, after), "traffic goes on");
        assert_empty(&world);
        world.assert_clean();
    }
}
