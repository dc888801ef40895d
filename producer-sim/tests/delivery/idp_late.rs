//! IDP: requests that take effect late, when their batch has expired or its epoch is over.

use crate::rig::*;
use producer_proto::ConnectErrorKind;
use producer_proto::Persistence::{NotPersisted, PossiblyPersisted};
use producer_sim::{ApiKey, Fate, Reach, Rule};
use std::time::Duration;

#[test]
fn idp_14_drain_after_expiry_under_load() {
    for seed in 0..10 {
        let mut draws = Draws::new(seed);
        let mut config = one_second();
        config.delivery_timeout = Some(ms(3_000));
        let mut world = warm(2, 2, config);
        let value = vec![b'x'; 2_000];
        for i in 0..200 {
            match i {
                50 => world.set_latency(ms(3_500 + draws.below(1_000))),
                150 => world.set_latency(ms(1)),
                _ => {}
            }
            let mut value = value.clone();
            value[..4].copy_from_slice(format!("{i:04}").as_bytes());
            world.push(&to(draws.below(2) as i32, &value)).unwrap();
            world.run_for(ms(100));
        }
        assert!(settle(&mut world));
        world.run_for(Duration::from_secs(60));
        let in_doubt =
            |outcome: &producer_sim::Outcome| outcome.persistence() == Some(PossiblyPersisted);
        assert!(world.outcomes().any(|(_, outcome)| in_doubt(outcome.unwrap())));
        world.assert_clean();
        world.assert_exactly_once();
        for partition in 0..2 {
            let values = world.values("t", partition);
            assert!(values[1..].is_sorted_by(|a, b| a < b), "seed {seed}, partition {partition}");
        }
        let last = world.send_to("t", 0, b"healed");
        assert!(settle(&mut world));
        assert!(is_delivered(&world, last), "seed {seed}");
    }
}

#[test]
fn idp_14_late_requests_behind_an_expired_one_double_nothing() {
    // Two batches are sent shortly before the first expires; their connection breaks, and both
    // requests arrive after the second has been refused for the gap before it.
    for late in (0..200).step_by(10) {
        let mut config = config();
        config.linger = ms(900);
        config.request_timeout = ms(300);
        config.delivery_timeout = Some(ms(1_200));
        config.batch_size = 200;
        config.reconnect_backoff = Some(ms(10));
        config.reconnect_backoff_max = Some(ms(10));
        let mut world = warm(1, 1, config);
        let first = world.send_to("t", 0, &[b'1'; 100]);
        world.run_for(ms(850));
        world.set_latency(ms(20));
        let second = world.send_to("t", 0, &[b'2'; 110]);
        let now = world.now();
        world.producer.flush(now);
        world.run_for(ms(5));
        assert_eq!(world.producer.stats().produce_requests, 3, "both are on their way");
        // Nothing gets through before the first has expired.
        world.reset(1, Fate::ArriveAfter(ms(345 + late)));
        world.set_broker_reach(1, Reach::Fails(ConnectErrorKind::Refused));
        world.run_for(ms(345));
        world.set_broker_reach(1, Reach::Normal);
        world.set_latency(ms(1));
        assert_eq!(failure(&world, first).1, PossiblyPersisted);
        assert!(world.settle());
        world.run_for(Duration::from_secs(10));
        assert_ne!(world.outcome(second).unwrap().persistence(), Some(NotPersisted));
        world.assert_clean();
        world.assert_exactly_once();
        assert_empty(&world);
    }
}

#[test]
fn idp_24_epoch_fence_wins_over_a_ghost() {
    let mut world = warm(1, 1, one_second());
    let ghost = batch(&mut world, 0, &["ghost"])[0];
    world.reset(1, Fate::ArriveAfter(Duration::from_secs(60)));
    world.cluster.inject(Rule::on(ApiKey::Produce).close_before().always());
    assert!(world.settle());
    assert_eq!(failure(&world, ghost).1, PossiblyPersisted);
    world.cluster.clear_rules();
    let next = batch(&mut world, 0, &["next"])[0];
    assert!(settle(&mut world));
    assert!(is_delivered(&world, next));
    assert_eq!(stamps(&world, 0).last(), Some(&(1, 0, 1)), "the next epoch");
    world.run_for(Duration::from_secs(70));
    assert_eq!(stamps(&world, 0).last(), Some(&(0, 1, 1)), "the ghost has arrived");
    assert_eq!(world.values("t", 0), ["warm", "next"]);
    let last = batch(&mut world, 0, &["last"])[0];
    assert!(settle(&mut world));
    assert!(is_delivered(&world, last));
    assert_eq!(stamps(&world, 0).last(), Some(&(1, 1, 1)), "sequences go on");
    world.assert_exactly_once();
}

#[test]
fn idp_26_same_base_sequence_twice_after_reset() {
    // The first batch of an epoch expires while its request is on the wire; the next epoch begins
    // with the same sequence only when that request is over.
    let mut world = world(1, 1, one_second());
    world.topic("t");
    world.run_for(ms(100));
    let (expired, held) = unanswered(&mut world);
    world.run_for(ms(950));
    let next = batch(&mut world, 0, &["next"])[0];
    world.run_for(ms(60));
    assert_eq!(failure(&world, expired).1, PossiblyPersisted);
    assert_eq!(stamps(&world, 0), [(0, 0, 1); 2]);
    // The request times out; its connection is closed, and its answer would come too late.
    world.run_for(ms(500));
    assert_eq!(stamps(&world, 0).last(), Some(&(1, 0, 1)));
    release(&mut world, held);
    assert!(settle(&mut world));
    assert_eq!(world.outcome(next).unwrap().offset(), Some(1));
    assert_eq!(failure(&world, expired).1, PossiblyPersisted);
    assert_eq!(world.values("t", 0), ["unanswered", "next"]);
    world.assert_exactly_once();
    assert_empty(&world);
}
