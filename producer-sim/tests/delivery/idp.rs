//! IDP: producer id, epochs and sequences.

use crate::rig::*;
use producer_proto::Persistence::NotPersisted;
use producer_proto::{ErrorCode, Event, ProduceErrorKind, PushError};
use producer_sim::{ApiKey, Instant, NewRecord, ResponseError, ResponseKind, Rule, World};
use std::time::Duration;

fn init_requests(world: &World) -> Vec<Instant> {
    let requests = world.cluster.requests_of(ApiKey::InitProducerId);
    requests.into_iter().map(|request| request.at).collect()
}

/// The next Produce with a batch of this base sequence.
fn on_sequence(sequence: i32) -> Rule {
    Rule::on(ApiKey::Produce).partition("t", 0).matching(move |request| {
        let mut headers = request.batches().iter().filter_map(|batch| batch.header.as_ref());
        headers.any(|header| header.base_sequence == sequence)
    })
}

/// UNKNOWN_PRODUCER_ID with the start of the log, or -1.
fn forgotten(log_start: i64) -> Rule {
    let rule = Rule::on(ApiKey::Produce).error(ResponseError::UnknownProducerId);
    rule.edit_response(move |response| {
        let ResponseKind::Produce(produce) = response else { return };
        for partition in produce.responses.iter_mut().flat_map(|t| &mut t.partition_responses) {
            partition.log_start_offset = log_start;
        }
    })
}

#[test]
fn idp_01_producer_id_first() {
    for in_flight in [1, 5] {
        let mut config = config();
        config.max_in_flight_requests_per_connection = in_flight;
        let mut world = world(1, 3, config);
        for partition in 0..3 {
            world.send_to("t", partition, b"v");
        }
        assert!(settle(&mut world));
        assert_eq!(init_requests(&world).len(), 1);
        assert!(produces(&world).iter().all(|request| request.at > init_requests(&world)[0]));
        assert!(world.outcomes().all(|(_, outcome)| outcome.unwrap().is_delivered()));
        world.assert_clean();
    }
}

#[test]
fn idp_02_sequence_arithmetic() {
    let mut world = world(1, 2, config());
    world.cluster.set_next_producer_id(4711);
    world.topic("t");
    world.run_for(ms(100));
    for values in [&["a", "b"][..], &["c"], &["d", "e", "f"]] {
        batch(&mut world, 0, values);
        batch(&mut world, 1, &values[..1]);
        assert!(settle(&mut world));
    }
    assert_eq!(stamps(&world, 0), [(0, 0, 2), (0, 2, 1), (0, 3, 3)]);
    assert_eq!(stamps(&world, 1), [(0, 0, 1), (0, 1, 1), (0, 2, 1)]);
    let headers = batches(&world, 0).into_iter().map(|batch| batch.header.as_ref().unwrap());
    assert!(headers.into_iter().all(|header| header.producer_id == 4711));
}

#[test]
fn idp_05_answers_out_of_order_cannot_happen() {
    // What could be answered out of order is not sent: while a batch is unanswered at the old
    // leader, its successor does not go to the new one.
    let mut config = config();
    config.metadata_max_age = ms(500);
    let mut world = warm(2, 2, config);
    let old = leader(&world, 0);
    let held = world.cluster.inject(Rule::on(ApiKey::Produce).hold_request());
    let first = batch(&mut world, 0, &["first"])[0];
    world.run_for(ms(2));
    world.cluster.move_leader("t", 0, Some(3 - old));
    world.run_for(Duration::from_secs(1));
    let second = batch(&mut world, 0, &["second"])[0];
    world.run_for(Duration::from_secs(1));
    assert_eq!(stamps(&world, 0), [(0, 0, 1), (0, 1, 1)], "the second waits");
    release(&mut world, held);
    assert!(settle(&mut world));
    assert!(is_delivered(&world, first) && is_delivered(&world, second));
    let sent = &produces(&world)[1..];
    assert_eq!(stamps(&world, 0), [(0, 0, 1), (0, 1, 1), (0, 1, 1), (0, 2, 1)]);
    assert_ne!(sent[2].broker, old);
    assert!(sent[3].at >= world.outcome(first).unwrap().at(), "one in flight until then");
    world.assert_clean();
}

#[test]
fn idp_07_duplicate_sequence_means_success() {
    let mut world = warm(1, 1, config());
    let rule = || Rule::on(ApiKey::Produce).partition("t", 0);
    world.cluster.inject(rule().close_after());
    world.cluster.inject(rule().error(ResponseError::DuplicateSequenceNumber));
    let receipt = batch(&mut world, 0, &["v"])[0];
    assert!(settle(&mut world));
    assert!(is_delivered(&world, receipt));
    assert_eq!(world.outcome(receipt).unwrap().offset(), None);
    let next = batch(&mut world, 0, &["next"])[0];
    assert!(settle(&mut world));
    assert_eq!(world.outcome(next).unwrap().offset(), Some(2));
    assert_eq!(stamps(&world, 0), [(0, 0, 1), (0, 1, 1), (0, 1, 1), (0, 2, 1)]);
    world.assert_exactly_once();
}

#[test]
fn idp_08_true_gap_bump() {
    let mut world = warm(1, 1, config());
    batch(&mut world, 0, &["b"]);
    assert!(settle(&mut world));
    refuse(&mut world, ResponseError::OutOfOrderSequenceNumber);
    let receipt = batch(&mut world, 0, &["c"])[0];
    assert!(settle(&mut world));
    assert!(is_delivered(&world, receipt));
    assert_eq!(stamps(&world, 0), [(0, 0, 1), (0, 1, 1), (0, 2, 1), (1, 0, 1)]);
    assert_eq!(init_requests(&world).len(), 1, "the next epoch needs no broker");
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn idp_08_nothing_is_stamped_anew_while_an_answer_is_out() {
    let mut world = warm(1, 1, config());
    world.cluster.inject(on_sequence(1).error(ResponseError::OutOfOrderSequenceNumber));
    let held = world.cluster.inject(on_sequence(2).hold());
    batch(&mut world, 0, &["a"]);
    batch(&mut world, 0, &["b"]);
    world.run_for(Duration::from_secs(5));
    assert_eq!(stamps(&world, 0).len(), 3, "the second has no answer yet");
    release(&mut world, held);
    assert!(settle(&mut world));
    assert_eq!(stamps(&world, 0)[3..], [(1, 0, 1), (1, 1, 1)]);
    assert_eq!(world.values("t", 0), ["warm", "a", "b"]);
    world.assert_exactly_once();
}

#[test]
fn idp_09_idle_partitions_restart_lazily() {
    let mut world = warm(1, 2, config());
    batch(&mut world, 1, &["1", "2", "3", "4", "5"]);
    assert!(settle(&mut world));
    refuse(&mut world, ResponseError::OutOfOrderSequenceNumber);
    batch(&mut world, 0, &["a"]);
    assert!(settle(&mut world));
    batch(&mut world, 1, &["6"]);
    assert!(settle(&mut world));
    assert_eq!(stamps(&world, 1), [(0, 0, 1), (0, 1, 5), (1, 0, 1)]);
    assert!(world.outcomes().all(|(_, outcome)| outcome.unwrap().is_delivered()));
    world.assert_clean();
}

#[test]
fn idp_11_unknown_producer_id() {
    let mut world = warm(1, 1, config());
    world.cluster.inject(forgotten(-1));
    world.cluster.inject(forgotten(-1));
    world.cluster.inject(forgotten(1010));
    let receipt = batch(&mut world, 0, &["v"])[0];
    assert!(settle(&mut world));
    assert!(is_delivered(&world, receipt));
    assert_eq!(stamps(&world, 0)[1..], [(0, 1, 1), (0, 1, 1), (0, 1, 1), (1, 0, 1)]);
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn idp_12_errors_from_the_old_epoch_after_a_bump() {
    let mut world = warm(1, 1, config());
    world.cluster.inject(forgotten(5));
    world.cluster.inject(forgotten(5));
    batch(&mut world, 0, &["a"]);
    batch(&mut world, 0, &["b"]);
    assert!(settle(&mut world));
    assert_eq!(stamps(&world, 0)[1..], [(0, 1, 1), (0, 2, 1), (1, 0, 1), (1, 1, 1)]);
    assert_eq!(world.producer.stats().epoch_bumps, 1);
    assert_eq!(world.values("t", 0), ["warm", "a", "b"]);
    world.assert_exactly_once();
}

#[test]
fn idp_16_possibly_written_n_of_5() {
    for n in 1..=5_i32 {
        let mut world = warm(1, 1, config());
        for i in 0..5 {
            batch(&mut world, 0, &[&i.to_string()]);
            assert!(settle(&mut world));
        }
        // n are written, the rest is not, and nobody is told of any.
        let last = 5 + n;
        world.cluster.inject(on_sequence(last).close_after());
        world.cluster.inject(Rule::on(ApiKey::Produce).times(n as u64 - 1).hold());
        for i in 5..10 {
            batch(&mut world, 0, &[&i.to_string()]);
        }
        world.run_for(ms(10));
        assert_eq!(world.values("t", 0).len() as i32, 6 + n, "written before the connection broke");
        assert_eq!(world.open_records(), 5);
        world.cluster.clear_rules();
        refuse(&mut world, ResponseError::NotEnoughReplicas);
        assert!(settle(&mut world));
        assert!(world.outcomes().all(|(_, outcome)| outcome.unwrap().is_delivered()), "n = {n}");
        assert!(world.producer.fatal().is_none());
        world.assert_clean();
        world.assert_exactly_once();
    }
}

#[test]
fn idp_17_more_lost_answers_than_the_broker_remembers() {
    for in_flight in 1..=5 {
        let mut config = config();
        config.max_in_flight_requests_per_connection = in_flight;
        let mut world = warm(1, 1, config);
        // Each batch is appended at its first attempt, and only a later one is answered.
        for sequence in 1..=8 {
            world.cluster.inject(on_sequence(sequence).close_after());
        }
        // The broker has forgotten where it put the first.
        world.cluster.inject(on_sequence(1).error(ResponseError::DuplicateSequenceNumber));
        let receipts: Vec<_> =
            (1..=8).map(|i: i32| batch(&mut world, 0, &[&i.to_string()])[0]).collect();
        assert!(settle(&mut world));
        let offsets: Vec<_> =
            receipts.iter().map(|r| world.outcome(*r).unwrap().offset()).collect();
        assert_eq!(offsets[0], None);
        assert_eq!(offsets[1..], (2..=8).map(Some).collect::<Vec<_>>(), "{in_flight} in flight");
        assert_eq!(world.values("t", 0), ["warm", "1", "2", "3", "4", "5", "6", "7", "8"]);
        world.assert_clean();
    }
}

#[test]
fn idp_18_implicit_ack() {
    let mut world = warm(1, 1, config());
    world.cluster.inject(on_sequence(1).error_after(ResponseError::NotEnoughReplicasAfterAppend));
    let receipts: Vec<_> = ["a", "b", "c"].iter().map(|v| batch(&mut world, 0, &[v])[0]).collect();
    assert!(settle(&mut world));
    assert!(receipts.iter().all(|r| is_delivered(&world, *r)));
    assert_eq!(stamps(&world, 0)[4..], [(0, 1, 1)], "the first again, which is a duplicate");
    assert_eq!(world.values("t", 0), ["warm", "a", "b", "c"]);
    world.assert_exactly_once();
}

#[test]
fn idp_19_first_batch_refused_for_good() {
    let mut world = warm(1, 1, config());
    world.cluster.inject(on_sequence(1).error(ResponseError::InvalidRecord));
    let first = batch(&mut world, 0, &["a"])[0];
    let second = batch(&mut world, 0, &["b"])[0];
    assert!(settle(&mut world));
    let invalid = ProduceErrorKind::Kafka(ErrorCode::INVALID_RECORD);
    assert_eq!(failure(&world, first), (invalid, NotPersisted));
    assert!(is_delivered(&world, second));
    assert_eq!(stamps(&world, 0)[1..], [(0, 1, 1), (0, 2, 1), (1, 0, 1)]);
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn idp_20_authorization() {
    let denied = ResponseError::ClusterAuthorizationFailed;
    let mut world = world(1, 1, config());
    let rule = world.cluster.inject(Rule::on(ApiKey::InitProducerId).always().error(denied));
    let first = world.send_to("t", 0, b"denied");
    assert!(settle(&mut world));
    world.cluster.remove_rule(rule);
    let kind = ProduceErrorKind::Kafka(ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
    assert_eq!(failure(&world, first), (kind, NotPersisted));
    let second = world.send_to("t", 0, b"granted");
    assert!(settle(&mut world));
    assert!(is_delivered(&world, second));
}

#[test]
fn idp_20_authorization_on_produce_is_fatal() {
    let mut world = warm(2, 2, config());
    let other = Rule::on(ApiKey::Produce).partition("t", 1).delay(ms(50));
    world.cluster.inject(other);
    refuse(&mut world, ResponseError::ClusterAuthorizationFailed);
    let under_way = batch(&mut world, 1, &["b"])[0];
    let denied = batch(&mut world, 0, &["a"])[0];
    world.run_for(ms(1));
    let queued = world.send_to("t", 0, b"queued");
    assert!(settle(&mut world));
    assert_eq!(failure(&world, denied).1, NotPersisted);
    assert!(!is_delivered(&world, queued));
    assert!(is_delivered(&world, under_way), "its late success is harmless");
    let fatal = world.events().filter(|(_, event)| matches!(event, Event::Fatal(_)));
    assert_eq!(fatal.count(), 1);
    assert!(matches!(world.try_push(&to(0, b"v")), Err(PushError::Fatal(_))));
    assert_empty(&world);
}

#[test]
fn idp_21_init_producer_id_retries_with_backoff() {
    let mut world = world(1, 1, config());
    let loading = ResponseError::CoordinatorLoadInProgress;
    world.cluster.inject(Rule::on(ApiKey::InitProducerId).times(2).error(loading));
    let receipt = world.send_to("t", 0, b"v");
    assert!(settle(&mut world));
    assert!(is_delivered(&world, receipt));
    let times = init_requests(&world);
    let gaps: Vec<_> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    assert_eq!(gaps.len(), 2);
    assert!((82..=122).contains(&gaps[0]), "{gaps:?}");
    assert!((162..=242).contains(&gaps[1]), "{gaps:?}");
}

#[test]
fn idp_25_in_flight_batch_finishes_after_the_producer_id_changed() {
    let mut world = last_epoch(2);
    let held = world.cluster.inject(Rule::on(ApiKey::Produce).partition("t", 1).hold());
    let old = batch(&mut world, 1, &["old id"])[0];
    refuse(&mut world, ResponseError::OutOfOrderSequenceNumber);
    let moved = batch(&mut world, 0, &["moved"])[0];
    world.run_for(Duration::from_secs(1));
    assert!(is_delivered(&world, moved), "under a new id");
    assert_eq!(init_requests(&world).len(), 2);
    release(&mut world, held);
    assert_eq!(world.outcome(old).unwrap().offset(), Some(1));
    let next = batch(&mut world, 1, &["new id"])[0];
    assert!(settle(&mut world));
    assert!(is_delivered(&world, next));
    let ids: Vec<_> = batches(&world, 1)
        .iter()
        .map(|b| b.header.as_ref().unwrap())
        .map(|h| (h.producer_id, h.producer_epoch, h.base_sequence))
        .collect();
    assert_eq!(ids[1], (ids[0].0, i16::MAX, 1));
    assert_eq!((ids[2].1, ids[2].2), (0, 0));
    assert_ne!(ids[2].0, ids[0].0);
    world.assert_exactly_once();
}

#[test]
fn idp_22_serial_number_comparison_at_the_wrap() {
    let mut world = warm(1, 2, config());
    world.topic("t");
    let topic = world.topic("new");
    world.run_for(ms(1_000));
    world.producer.begin_sequence_at(topic, 0, i32::MAX - 5);
    let send = |world: &mut World, values: [&str; 2]| {
        for value in values {
            let value = Some(value.as_bytes());
            let record =
                NewRecord { topic: "new", partition: Some(0), value, ..Default::default() };
            world.push(&record).unwrap();
        }
        let now = world.now();
        world.producer.flush(now);
        world.drain();
    };
    send(&mut world, ["a", "b"]);
    assert!(settle(&mut world));
    // MAX-3 fails retriably, and what is behind it is refused by the broker.
    let rule = Rule::on(ApiKey::Produce).error(ResponseError::NotEnoughReplicas);
    world.cluster.inject(rule);
    for values in [["c", "d"], ["e", "f"], ["g", "h"]] {
        send(&mut world, values);
    }
    assert!(settle(&mut world));
    let max = i32::MAX;
    let sequences: Vec<i32> = stamps_of(&world, "new").iter().map(|stamp| stamp.1).collect();
    let first = [max - 5, max - 3, max - 1, 0];
    assert_eq!(sequences, [&first[..], &[max - 3, max - 1, 0]].concat(), "by age");
    assert_eq!(world.values("new", 0), ["a", "b", "c", "d", "e", "f", "g", "h"]);
    assert_eq!(world.producer.stats().epoch_bumps, 0, "not next is no gap");
    // A true gap is still seen.
    let rule = Rule::on(ApiKey::Produce).error(ResponseError::OutOfOrderSequenceNumber);
    world.cluster.inject(rule);
    send(&mut world, ["i", "j"]);
    assert!(settle(&mut world));
    assert_eq!(stamps_of(&world, "new")[7..], [(0, 2, 2), (1, 0, 2)]);
    world.assert_clean();
    world.assert_exactly_once();
}
