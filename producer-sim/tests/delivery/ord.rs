//! ORD: ordering.

use crate::rig::*;
use producer_proto::{Event, Receipt};
use producer_sim::{ApiKey, ResponseError, Rule, World};
use std::time::Duration;

/// Receipts in the order in which their outcomes were told.
fn told(world: &World) -> Vec<Receipt> {
    let first = |event: &Event| match event {
        Event::Delivered { batch, records, .. } | Event::Failed { batch, records, .. } => {
            Some(Receipt { batch: *batch, index: records.start })
        }
        _ => None,
    };
    world.events().filter_map(|(_, event)| first(event)).collect()
}

#[test]
fn ord_01_one_in_flight_keeps_order() {
    let mut config = config();
    config.enable_idempotence = Some(false);
    config.max_in_flight_requests_per_connection = 1;
    let mut world = warm(1, 1, config);
    refuse(&mut world, ResponseError::NotLeaderOrFollower);
    batch(&mut world, 0, &["m0"]);
    batch(&mut world, 0, &["m1"]);
    assert!(settle(&mut world));
    let seen: Vec<u64> = batches(&world, 0)[1..].iter().map(|batch| batch.digest).collect();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0], seen[1], "m0, and m0 again");
    assert_ne!(seen[1], seen[2], "then m1");
    assert_eq!(world.values("t", 0), ["warm", "m0", "m1"]);
}

#[test]
fn ord_02_idempotent_with_5_in_flight_keeps_order() {
    let retriable = [
        ResponseError::NotEnoughReplicas,
        ResponseError::NotLeaderOrFollower,
        ResponseError::RequestTimedOut,
        ResponseError::NotEnoughReplicasAfterAppend,
        ResponseError::CorruptMessage,
        ResponseError::KafkaStorageError,
    ];
    for seed in 0..20 {
        let mut draws = Draws::new(seed);
        let mut world = warm(2, 2, config());
        world.set_latency(ms(5));
        for i in 0..60 {
            let rule = Rule::on(ApiKey::Produce).nth(1 + draws.below(3));
            let error = draws.pick(&retriable);
            match draws.below(8) {
                0 => drop(world.cluster.inject(rule.error(error))),
                1 => drop(world.cluster.inject(rule.error_after(error))),
                _ => {}
            }
            let partition = draws.below(2) as i32;
            batch(&mut world, partition, &[&format!("{i:03}")]);
            world.run_for(draws.millis(6));
        }
        assert!(settle(&mut world));
        assert!(world.outcomes().all(|(_, outcome)| outcome.unwrap().is_delivered()));
        world.assert_clean();
        world.assert_exactly_once();
        for partition in 0..2 {
            let values = world.values("t", partition);
            assert!(values[1..].is_sorted_by(|a, b| a < b), "seed {seed}: {values:?}");
        }
    }
}

#[test]
fn ord_04_expiry_with_one_in_flight() {
    let mut config = one_second();
    config.max_in_flight_requests_per_connection = 1;
    let mut world = warm(1, 1, config);
    let (first, held) = unanswered(&mut world);
    world.run_for(ms(500));
    let second = batch(&mut world, 0, &["second"])[0];
    let sent = produces(&world).len();
    world.run_for(ms(500));
    assert!(world.outcome(first).is_some(), "expired");
    assert_eq!(produces(&world).len(), sent, "the second waits until the first is settled");
    release(&mut world, held);
    assert!(settle(&mut world));
    assert!(is_delivered(&world, second));
    assert_eq!(world.values("t", 0), ["warm", "unanswered", "second"]);
    world.assert_clean();
}

#[test]
fn ord_05_retries_mixed_with_new_input() {
    let mut world = warm(2, 1, config());
    for i in 0..300 {
        if i % 60 == 30 {
            let to = 3 - leader(&world, 0);
            world.cluster.move_leader("t", 0, Some(to));
        }
        batch(&mut world, 0, &[&format!("{i:03}")]);
        world.run_for(ms(1));
    }
    assert!(settle(&mut world));
    let expected: Vec<String> = (0..300).map(|i| format!("{i:03}")).collect();
    assert_eq!(world.values("t", 0)[1..], expected);
    world.assert_clean();
}

#[test]
fn ord_06_outcomes_in_order() {
    let mut world = warm(1, 1, config());
    let held = world.cluster.inject(Rule::on(ApiKey::Produce).times(3).hold());
    let receipts: Vec<_> =
        ["a", "b", "c"].into_iter().map(|v| batch(&mut world, 0, &[v])[0]).collect();
    world.run_for(ms(10));
    assert_eq!(world.open_records(), 3);
    release(&mut world, held);
    assert_eq!(told(&world)[1..], receipts);
    let times: Vec<_> = receipts.iter().map(|r| world.outcome(*r).unwrap().at()).collect();
    assert!(times.iter().all(|at| *at == times[0]), "acknowledged in one read");
}

#[test]
fn ord_06_a_success_waits_for_an_older_one_in_doubt() {
    // The broker has all three, but says of the first that it does not know.
    let mut world = warm(1, 1, config());
    let rule = Rule::on(ApiKey::Produce).error_after(ResponseError::NotEnoughReplicasAfterAppend);
    world.cluster.inject(rule);
    let receipts: Vec<_> =
        ["a", "b", "c"].into_iter().map(|v| batch(&mut world, 0, &[v])[0]).collect();
    world.run_for(ms(10));
    assert_eq!(world.open_records(), 3, "two are known to be in the log, and wait");
    assert!(settle(&mut world));
    assert_eq!(told(&world)[1..], receipts);
    assert_eq!(produces(&world).len(), 1 + 3 + 1, "only the first was sent again");
    let offsets: Vec<_> = receipts.iter().map(|r| world.outcome(*r).unwrap().offset()).collect();
    assert_eq!(offsets, [Some(1), Some(2), Some(3)]);
    assert_empty(&world);
}

#[test]
fn ord_06_a_success_that_waits_survives_the_expiry_of_the_older_one() {
    let mut world = warm(1, 1, one_second());
    let rule = || {
        Rule::on(ApiKey::Produce).matching(|request| {
            request.batches().iter().any(|batch| batch.header.as_ref().unwrap().base_sequence == 1)
        })
    };
    world.cluster.inject(rule().always().error_after(ResponseError::RequestTimedOut));
    let first = batch(&mut world, 0, &["first"])[0];
    let second = batch(&mut world, 0, &["second"])[0];
    world.run_for(ms(999));
    assert_eq!(world.open_records(), 2);
    world.run_for(ms(1));
    assert_eq!(failure(&world, first).1, producer_proto::Persistence::PossiblyPersisted);
    assert_eq!(world.outcome(second).unwrap().offset(), Some(2));
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.values("t", 0), ["warm", "first", "second"]);
    assert_empty(&world);
    world.assert_clean();
}

#[test]
fn ord_08_plain_producer_with_5_in_flight() {
    let mut config = config();
    config.enable_idempotence = Some(false);
    config.allow_reordering_on_retry = true;
    let mut world = warm(1, 1, config);
    refuse(&mut world, ResponseError::NotEnoughReplicas);
    for values in [["a0", "a1"], ["b0", "b1"], ["c0", "c1"]] {
        batch(&mut world, 0, &values);
    }
    assert!(settle(&mut world));
    let values = world.values("t", 0);
    assert_eq!(values, ["warm", "b0", "b1", "c0", "c1", "a0", "a1"]);
    world.assert_clean();
}
