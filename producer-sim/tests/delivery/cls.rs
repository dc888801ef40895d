//! CLS: flush, close, abort, cancel.

use crate::rig::*;
use producer_proto::Persistence::{NotPersisted, PossiblyPersisted};
use producer_proto::{Cancel, Event, FlushId, ProduceErrorKind, PushError};
use producer_sim::{ApiKey, Instant, ResponseError, Rule, World};
use std::time::Duration;

fn flushed(world: &World, id: FlushId) -> Option<Instant> {
    let mut events = world.events();
    events.find_map(|(at, event)| matches!(event, Event::Flushed(f) if *f == id).then_some(at))
}

fn closed(world: &World) -> Vec<Instant> {
    let events = world.events();
    events.filter_map(|(at, event)| matches!(event, Event::Closed).then_some(at)).collect()
}

fn flush(world: &mut World) -> FlushId {
    let now = world.now();
    let id = world.producer.flush(now);
    world.drain();
    id
}

fn close(world: &mut World, after: Duration) {
    let now = world.now();
    world.producer.close(now, Some(now + after));
    world.drain();
}

#[test]
fn cls_01_flush_covers_what_was_appended_before() {
    let mut config = config();
    config.linger = ms(500);
    let mut world = warm(1, 3, config);
    let receipts: Vec<_> = (0..50).map(|i| world.send_to("t", i % 3, b"before")).collect();
    let start = world.now();
    let id = flush(&mut world);
    let after = world.send_to("t", 0, b"after");
    assert!(world.run_until(|world| flushed(world, id).is_some()));
    assert!(flushed(&world, id).unwrap() - start < ms(100), "without lingering");
    assert!(receipts.iter().all(|r| is_delivered(&world, *r)));
    let last = receipts.iter().map(|r| world.outcome(*r).unwrap().at()).max();
    assert_eq!(flushed(&world, id), last);
    assert!(world.outcome(after).is_none(), "what came later keeps its linger");
    let empty = {
        assert!(settle(&mut world));
        flush(&mut world)
    };
    assert_eq!(flushed(&world, empty), Some(world.now()), "nothing to wait for");
}

#[test]
fn cls_03_flush_with_no_cluster() {
    let mut world = warm(1, 3, config());
    world.cluster.set_up(1, false);
    world.run_for(ms(10));
    let start = world.now();
    let receipts: Vec<_> = (0..3).map(|p| world.send_to("t", p, b"v")).collect();
    let id = flush(&mut world);
    assert!(world.run_until(|world| flushed(world, id).is_some()));
    assert_eq!(flushed(&world, id).unwrap() - start, Duration::from_secs(120));
    assert!(receipts.iter().all(|r| failure(&world, *r).1 == NotPersisted));
    assert_empty(&world);
}

#[test]
fn cls_04_graceful_close() {
    let mut config = config();
    config.linger = ms(200);
    let mut world = warm(2, 2, config);
    world.set_latency(ms(20));
    let mut receipts = Vec::new();
    for _ in 0..8 {
        receipts.extend(batch(&mut world, 0, &["queued or in flight"]));
    }
    receipts.push(world.send_to("t", 1, b"lingering"));
    let start = world.now();
    close(&mut world, Duration::from_secs(30));
    assert!(matches!(world.try_push(&to(0, b"late")), Err(PushError::Closed)));
    assert!(world.run_until(|world| !closed(world).is_empty()));
    assert!(world.now() - start < Duration::from_secs(1));
    assert!(receipts.iter().all(|r| is_delivered(&world, *r)));
    world.run_for(Duration::from_secs(60));
    assert!((1..=2).all(|broker| world.cluster.connections(broker).is_empty()));
    close(&mut world, Duration::ZERO);
    world.run_for(Duration::from_secs(1));
    assert_eq!(closed(&world).len(), 1, "the second close is a no-op");
    assert_eq!(world.producer.poll_timeout(), None);
    assert_empty(&world);
    world.assert_clean();
}

#[test]
fn cls_05_close_deadline() {
    let mut world = warm(1, 1, config());
    world.deafen(1, true, true);
    let receipts: Vec<_> = (0..7).map(|_| batch(&mut world, 0, &["v"])[0]).collect();
    world.run_for(ms(10));
    let start = world.now();
    close(&mut world, Duration::from_secs(1));
    assert!(world.run_until(|world| !closed(world).is_empty()));
    assert_eq!(closed(&world)[0] - start, Duration::from_secs(1));
    for (i, receipt) in receipts.iter().enumerate() {
        let promise = if i < 5 { PossiblyPersisted } else { NotPersisted };
        assert_eq!(failure(&world, *receipt), (ProduceErrorKind::Closed, promise), "record {i}");
    }
    let last = world.events().next_back().unwrap().1.clone();
    assert!(matches!(last, Event::Closed), "outcomes come before, not {last:?}");
    world.run_for(Duration::from_secs(1));
    assert_empty(&world);
}

#[test]
fn cls_06_append_after_close() {
    let mut world = warm(1, 1, config());
    close(&mut world, Duration::ZERO);
    let unknown = producer_sim::NewRecord { topic: "unknown", ..to(0, b"v") };
    for record in [to(0, b"v"), unknown] {
        assert!(matches!(world.try_push(&record), Err(PushError::Closed)), "{record:?}");
    }
    let before = world.cluster.request_count();
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.cluster.request_count(), before, "not even metadata is asked for");
}

#[test]
fn cls_07_close_while_waiting_for_metadata() {
    // A record that waits for its topic is still the caller's: the next push is refused at once.
    let mut world = world(1, 1, config());
    assert!(matches!(world.try_push(&to(0, b"v")), Err(PushError::TopicNotReady)));
    close(&mut world, Duration::ZERO);
    assert_eq!(closed(&world), [world.now()]);
    assert!(matches!(world.try_push(&to(0, b"v")), Err(PushError::Closed)));
}

#[test]
fn cls_08_close_during_coordinator_work() {
    let mut world = world(1, 1, config());
    world.cluster.inject(Rule::on(ApiKey::InitProducerId).hold());
    let receipt = world.send_to("t", 0, b"v");
    world.run_for(ms(100));
    close(&mut world, Duration::ZERO);
    assert_eq!(closed(&world), [world.now()]);
    assert_eq!(failure(&world, receipt), (ProduceErrorKind::Closed, NotPersisted));
    world.run_for(Duration::from_secs(1));
    assert_empty(&world);
}

#[test]
fn cls_09_close_while_the_producer_id_is_being_replaced() {
    for forced in [false, true] {
        let mut world = last_epoch(1);
        let held = world.cluster.inject(Rule::on(ApiKey::InitProducerId).hold());
        refuse(&mut world, ResponseError::OutOfOrderSequenceNumber);
        let receipt = batch(&mut world, 0, &["v"])[0];
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.cluster.requests_of(ApiKey::InitProducerId).len(), 2);
        close(&mut world, if forced { Duration::ZERO } else { Duration::from_secs(60) });
        if forced {
            assert_eq!(closed(&world), [world.now()]);
            assert_eq!(failure(&world, receipt).1, NotPersisted, "it was refused in sequence");
            continue;
        }
        world.run_for(Duration::from_secs(1));
        assert!(closed(&world).is_empty());
        release(&mut world, held);
        assert!(world.run_until(|world| !closed(world).is_empty()));
        assert!(is_delivered(&world, receipt), "under the new id");
        world.assert_exactly_once();
    }
}

#[test]
fn cls_10_purge() {
    let mut world = warm(2, 2, config());
    let held = world.cluster.inject(Rule::on(ApiKey::Produce).times(10).hold());
    let push = |world: &mut World| {
        let values = (0..10).map(|i| i % 2);
        values.map(|partition| batch(world, partition, &["v"])[0]).collect::<Vec<_>>()
    };
    let in_flight = push(&mut world);
    world.run_for(ms(10));
    let queued = push(&mut world);
    let now = world.now();
    world.producer.abort_queued(now);
    world.drain();
    for receipt in &queued {
        assert_eq!(failure(&world, *receipt), (ProduceErrorKind::Aborted, NotPersisted));
    }
    assert!(in_flight.iter().all(|r| world.outcome(*r).is_none()), "left to finish");
    release(&mut world, held);
    let next = batch(&mut world, 0, &["next"])[0];
    assert!(settle(&mut world));
    assert!(in_flight.iter().all(|r| is_delivered(&world, *r)) && is_delivered(&world, next));
    assert_eq!(stamps(&world, 0).last(), Some(&(0, 6, 1)), "no gap on the wire");
    assert_eq!(world.producer.stats().epoch_bumps, 0);
    assert_empty(&world);
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn cls_11_purge_races_with_a_new_append() {
    for purge_first in [true, false] {
        let mut world = world(1, 1, config());
        let now = world.now();
        let purge = |world: &mut World| {
            world.producer.abort_queued(now);
            world.drain();
        };
        if purge_first {
            purge(&mut world);
        }
        assert!(matches!(world.try_push(&to(0, b"v")), Err(PushError::TopicNotReady)));
        if !purge_first {
            purge(&mut world);
        }
        let receipt = world.send_to("t", 0, b"v");
        let id = flush(&mut world);
        assert!(world.run_until(|world| flushed(world, id).is_some()));
        assert!(is_delivered(&world, receipt));
        assert_empty(&world);
    }
}

#[test]
fn cls_12_cancel_one_record() {
    let mut config = config();
    config.linger = ms(50);
    let mut world = warm(1, 1, config);
    let receipts = ["a", "b", "c"].map(|v| world.send_to("t", 0, v.as_bytes()));
    let now = world.now();
    assert_eq!(world.producer.cancel(now, receipts[1]), Cancel::Cancelled);
    assert_eq!(world.producer.cancel(now, receipts[1]), Cancel::TooLate, "it is out already");
    assert!(settle(&mut world));
    assert_eq!(failure(&world, receipts[1]), (ProduceErrorKind::Cancelled, NotPersisted));
    assert_eq!(world.outcome(receipts[0]).unwrap().offset(), Some(1));
    assert_eq!(world.outcome(receipts[2]).unwrap().offset(), Some(2));
    assert_eq!(world.values("t", 0), ["warm", "a", "c"]);

    let held = world.cluster.inject(Rule::on(ApiKey::Produce).hold());
    let stamped = batch(&mut world, 0, &["d", "e", "f"]);
    world.run_for(ms(10));
    let now = world.now();
    assert_eq!(world.producer.cancel(now, stamped[1]), Cancel::TooLate, "the batch is frozen");
    release(&mut world, held);
    assert!(stamped.iter().all(|r| is_delivered(&world, *r)));
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn cls_12_a_cancelled_record_has_one_outcome_when_its_batch_fails() {
    for abort in [true, false] {
        let mut world = warm(1, 1, config());
        world.cluster.set_up(1, false);
        world.run_for(ms(10));
        let receipts = ["a", "b", "c"].map(|v| world.try_push(&to(0, v.as_bytes())).unwrap());
        let now = world.now();
        assert_eq!(world.producer.cancel(now, receipts[1]), Cancel::Cancelled);
        if abort {
            world.producer.abort_queued(now);
        }
        // The world notices a second outcome.
        assert!(settle(&mut world));
        assert_eq!(failure(&world, receipts[1]).0, ProduceErrorKind::Cancelled);
        assert_ne!(failure(&world, receipts[0]).0, ProduceErrorKind::Cancelled);
        assert_ne!(failure(&world, receipts[2]).0, ProduceErrorKind::Cancelled);
        assert_eq!(world.producer.stats().records_failed, 3);
        assert_empty(&world);
    }
}

#[test]
fn cls_13_error_state_does_not_block_close() {
    let mut world = warm(1, 1, config());
    refuse(&mut world, ResponseError::ClusterAuthorizationFailed);
    batch(&mut world, 0, &["v"]);
    assert!(settle(&mut world));
    assert!(world.producer.fatal().is_some());
    close(&mut world, Duration::from_secs(30));
    assert_eq!(closed(&world), [world.now()]);
}

#[test]
fn cls_13_nothing_is_told_after_closed_though_memory_comes_back() {
    let mut config = config();
    config.buffer_memory = 1_000;
    let mut world = warm(1, 1, config);
    world.deafen(1, true, true);
    while world.try_push(&to(0, &[b'v'; 100])).is_ok() {}
    close(&mut world, ms(30));
    world.run_for(Duration::from_secs(60));
    assert!(matches!(world.events().next_back(), Some((_, Event::Closed))));
    assert_eq!(world.producer.stats().buffered_bytes, 0);
}

#[test]
fn cls_14_failed_records_carry_no_plausible_garbage() {
    let mut world = warm(1, 1, config());
    refuse(&mut world, ResponseError::InvalidRecord);
    let receipts = batch(&mut world, 0, &["a", "b", "c"]);
    assert!(settle(&mut world));
    for receipt in receipts {
        // A failure has no place for an offset, a producer id or an epoch.
        assert_eq!(world.outcome(receipt).unwrap().offset(), None);
        assert!(world.outcome(receipt).unwrap().error().is_some());
    }
}
